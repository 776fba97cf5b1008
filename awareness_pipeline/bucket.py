"""An S3 bucket as a place for files: put, get, list, remove. For any service that speaks S3.

Who asks is the provider's own business: `AWS_ACCESS_KEY_ID` and its kin, `AWS_SHARED_CREDENTIALS_
FILE`, or a role; `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL` names a service that is not Amazon's.
Nothing of these is in a URL, a message or a file. The client is Arrow's, which is here anyway.

A put shows whole or not at all. Files go and come in blocks, so memory is bounded; the service is
tried `ATTEMPTS` times, with pauses. Limits: what a killed put left unfinished is invisible, and
costs until a lifecycle rule of the bucket ends it (AbortIncompleteMultipartUpload).
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from awareness_pipeline.config import UserError

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

BLOCK: Final = 4 << 20
CONNECT_S: Final = 10.0
REQUEST_S: Final = 60.0
ATTEMPTS: Final = 6
LARGEST_TEXT: Final = 256 << 20
"""Bytes of an object that is read into memory: records, never data."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or what lies below a prefix in it. Keys are relative to that."""

    root: str
    """`bucket` or `bucket/prefix`."""
    s3: "S3FileSystem"

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size in bytes of everything below a folder, by key relative to it."""
        from pyarrow.fs import FileSelector

        start = f"{self.root}/{folder}/"
        with _plain("list", folder):
            below = FileSelector(start.rstrip("/"), recursive=True, allow_not_found=True)
            found = self.s3.get_file_info(below)
        return {one.path.removeprefix(start): one.size for one in found if one.is_file}

    def size(self, key: str) -> int | None:
        """Return the size of an object; None where there is none."""
        with _plain("look at", key):
            (found,) = self.s3.get_file_info([f"{self.root}/{key}"])
        return found.size if found.is_file else None

    def put(self, key: str, path: Path) -> None:
        """Send a file. The object is there when all of it is."""
        with (
            path.open("rb") as file,
            _plain("write", key),
            self.s3.open_output_stream(f"{self.root}/{key}") as out,
        ):
            while block := file.read(BLOCK):
                out.write(block)

    def write(self, key: str, text: bytes) -> None:
        """Put a small object."""
        with _plain("write", key), self.s3.open_output_stream(f"{self.root}/{key}") as out:
            out.write(text)

    def read(self, key: str) -> bytes | None:
        """Return a small object; None where there is none.

        Raises:
            UserError: it is larger than any record.
        """
        with suppress(FileNotFoundError), _plain("read", key):
            with self.s3.open_input_stream(f"{self.root}/{key}") as file:
                text = bytes(file.read(LARGEST_TEXT + 1))
            if len(text) > LARGEST_TEXT:
                raise UserError(f"{key} in the store is no record: it is too large")
            return text
        return None

    def get(self, key: str, path: Path) -> str:
        """Write an object to a file, synced. Returns the blake2b-128 of what came.

        Raises:
            FileNotFoundError: there is no such object.
        """
        state = blake2b(digest_size=16)
        with path.open("wb") as out:
            for block in self._blocks(key):
                state.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        return state.hexdigest()

    def _blocks(self, key: str) -> Iterator[bytes]:
        with _plain("read", key):
            file = self.s3.open_input_stream(f"{self.root}/{key}")
        with file:
            while True:
                with _plain("read", key):
                    block = bytes(file.read(BLOCK))
                if not block:
                    return
                yield block

    def remove(self, key: str) -> None:
        """Remove an object if it is there."""
        with suppress(FileNotFoundError), _plain("remove", key):
            self.s3.delete_file(f"{self.root}/{key}")


def opened(url: str) -> Bucket:
    """Return the bucket that an `s3://BUCKET/PREFIX` URL names.

    Raises:
        UserError: it is not there, cannot be asked, or the endpoint is no URL.
    """
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    endpoint = next(filter(None, (os.environ.get(name) for name in names)), "")
    return _opened(url, endpoint)


def lance_options(place: str) -> dict[str, str] | None:
    """Return what opens a Lance table at a folder or URL, beside the provider's own variables: what
    `AWARENESS_STORAGE_OPTIONS` says, as for the model package (`memory/location.py`).

    Raises:
        UserError: it is no JSON object.
    """
    given = os.environ.get("AWARENESS_STORAGE_OPTIONS")
    if not given or "://" not in place:
        return None
    try:
        return dict(json.loads(given))
    except (ValueError, TypeError):
        raise UserError("AWARENESS_STORAGE_OPTIONS must be a JSON object of strings") from None


@cache
def _opened(url: str, endpoint: str) -> Bucket:
    # Arrow's client takes half a second, which only those wait for who have a bucket.
    from pyarrow.fs import AwsStandardS3RetryStrategy, S3FileSystem

    parts = urlsplit(endpoint or "https:")
    if endpoint and (parts.scheme not in ("http", "https") or not parts.netloc or parts.username):
        raise UserError("AWS_ENDPOINT_URL must be http(s)://HOST:PORT, without a password")
    with _plain("open", url):
        s3 = S3FileSystem(
            endpoint_override=f"{parts.netloc}{parts.path.rstrip('/')}" or None,
            scheme=parts.scheme,
            connect_timeout=CONNECT_S,
            request_timeout=REQUEST_S,
            retry_strategy=AwsStandardS3RetryStrategy(max_attempts=ATTEMPTS),
            # A small object is one request; what goes wrong is told when it is closed.
            allow_delayed_open=True,
        )
        root = url.removeprefix("s3://").strip("/")
        # A listing of no bucket is as empty as one of an empty bucket.
        (found,) = s3.get_file_info([root.split("/")[0]])
    if not found.type:
        raise UserError(
            f"there is no bucket {root.split('/')[0]!r}: make it, or set AWARENESS_STORE"
        )
    return Bucket(root, s3)


@contextmanager
def _plain(what: str, key: str) -> Iterator[None]:
    """Turn what the service or the network is to blame for into a UserError, in our own words: what
    a service says may repeat anything. Errors of this machine's files pass."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        found = re.search(r"AWS Error (\w+)", str(error))
        code = found[1] if found else "no answer"
        raise UserError(
            f"the store does not let us {what} {key} ({code}): check AWARENESS_STORE, the AWS "
            "variables and the network, then run again"
        ) from None
