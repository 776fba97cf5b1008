"""An S3 service for tests: moto's, in a thread of this process, on loopback, gone at the end.

`bucket()` gives an empty bucket and the variables by which clients find it; `Bucket.url` names
places in it. One request is answered at a time, so that a conditional put (`If-None-Match: *`) is
atomic, as S3 promises: moto's own looks first and writes after. Objects lie in RAM. Limits: moto
checks no signature, so any key is let in; it has no network delays.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from threading import Lock, Thread
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

KEY, SECRET = "AKIDTESTS0000000000", "hunter2+a/secret+for/tests"
REGION = "us-east-1"
_NUMBERS = count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its method and path, its condition on what is there, and the reply's status."""

    method: str
    path: str
    if_none_match: str | None
    status: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a running service."""

    name: str
    endpoint: str
    asked: list[Asked]
    """Requests so far."""

    def url(self, path: str = "") -> str:
        """Return the URL of a place in it, without any credentials."""
        return f"s3://{self.name}/{path}"

    @property
    def environment(self) -> dict[str, str]:
        """What a user sets: the provider's own variables, which Lance and AWS's clients read, and
        what only a service that is not Amazon's needs, as our storage options."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWARENESS_STORAGE_OPTIONS": json.dumps(
                {"endpoint": self.endpoint, "allow_http": "true", "region": REGION}
            ),
        }

    def objects(self, below: str = "") -> dict[str, bytes]:
        """Return everything at a URL of it, or in all of it, by key, sorted."""
        start = below.removeprefix(self.url())
        held = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[self.name].keys
        return {key: held[key].value for key in sorted(held) if key.startswith(start)}


@contextmanager
def bucket() -> Iterator[Bucket]:
    """Start a service, make a bucket, and end the service after."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    asked: list[Asked] = []
    application = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, _one_by_one(application, asked), threaded=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    made = Bucket(f"tests-{next(_NUMBERS)}", f"http://127.0.0.1:{server.server_port}", asked)
    s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(made.name, REGION)
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _one_by_one(
    application: Callable[..., Iterable[bytes]], asked: list[Asked]
) -> Callable[..., Any]:
    """Return an application that works on one request at a time and notes what was asked."""
    lock = Lock()

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        def started(status: str, *rest: Any) -> Any:
            condition = environ.get("HTTP_IF_NONE_MATCH")
            path = environ["PATH_INFO"]
            asked.append(Asked(environ["REQUEST_METHOD"], path, condition, int(status.split()[0])))
            return start(status, *rest)

        with lock:
            return list(application(environ, started))

    return answer
