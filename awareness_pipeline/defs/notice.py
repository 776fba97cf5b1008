"""Tell a webhook that a run failed. Plain Python.

`AWARENESS_WEBHOOK_URL` takes a POST of `{"text": LINE}`, which Slack, Mattermost and Teams' relays
read. Such an address is a secret: it is in no log, no error and no event, only its host is. (That
is why this is urllib: HTTP clients that log what they ask log the address.)

Limits: one try of ten seconds; no redirect is followed, and the reply is not read.
"""

import json
import os
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

TIMEOUT_S = 10.0
MOST = 500
"""Characters of a line."""


class _Stay(HTTPRedirectHandler):
    """Follow no redirect: the line is for this host alone."""

    def redirect_request(self, *_: object) -> None:
        return None


def tell(line: str, url: str | None = None) -> str:
    """Send a line to the webhook of the environment, if there is one. Returns what came of it."""
    url = os.environ.get("AWARENESS_WEBHOOK_URL", "") if url is None else url
    if not url:
        return "no AWARENESS_WEBHOOK_URL is set, so nobody is told"
    try:
        where = urlsplit(url)
        if where.scheme not in ("http", "https"):
            return "AWARENESS_WEBHOOK_URL is no address of the web, so nobody is told"
        return f"told {where.hostname}: status {_post(line, url)}"
    except (OSError, ValueError, HTTPException) as error:
        # Its text may hold the address.
        return f"the webhook was not reached: {type(error).__name__}"


def _post(line: str, url: str) -> int:
    body = json.dumps({"text": line[:MOST]}).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        with build_opener(_Stay).open(request, timeout=TIMEOUT_S) as reply:
            return int(reply.status)
    except HTTPError as error:
        with error:
            return error.code
