"""Who may ask, and how much: the token, the host's name, the body's size.

Without a token the service answers on loopback only, and only to requests that name it by a
loopback name: a page of another site, whose name was pointed here, gets nothing. POSTs are JSON by
their content type, which a browser does not send across sites without asking first.
"""

import asyncio
import hmac
import ipaddress
import json
from typing import Any

from starlette.requests import Request

from awareness_model.config import UserError
from awareness_model.service.refusal import Wrong

TOKEN = "AWARENESS_SERVE_TOKEN"
SLOWEST_S = 30
"""A body that takes longer is not read to its end."""


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is this machine's alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def checked_host(host: str, token: str | None) -> str:
    """Return the host to serve on.

    Raises:
        UserError: others could reach it and no token is set.
    """
    if not is_loopback(host) and not token:
        raise UserError(
            f"others can reach {host}: set {TOKEN} to a secret of your own, or serve on 127.0.0.1"
        )
    return host


def admit(request: Request, token: str | None) -> None:
    """Let a request pass.

    Raises:
        Wrong: no or another token, or a host that is not this one.
    """
    if token is not None:
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {token}".encode()):
            raise Wrong(f"a token is needed: that of {TOKEN}", "invalid_api_key", 401)
    elif not is_loopback(request.url.hostname or ""):
        raise Wrong("this service is known as localhost only", "wrong_host", 403)


async def json_body(request: Request, most: int) -> Any:
    """Return a request's body, read as JSON.

    Raises:
        Wrong: it is too large, too slow, no JSON, or not said to be JSON.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise Wrong("the content type is application/json", "invalid_content_type", 415)
    data = b""
    try:
        async with asyncio.timeout(SLOWEST_S):
            async for part in request.stream():
                data += part
                if len(data) > most:
                    raise Wrong(f"the body has more than {most} bytes", "body_too_large", 413)
    except TimeoutError:
        raise Wrong("the body came too slowly", "body_timeout", 408) from None
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Wrong("the body is not JSON", "invalid_json") from None
