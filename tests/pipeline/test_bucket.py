"""The bucket: bytes there and back in bounded memory, one line where it does not answer."""

import tracemalloc
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import pytest

from awareness_pipeline import bucket as module
from awareness_pipeline.bucket import BLOCK, opened
from awareness_pipeline.config import UserError
from tests import objects
from tests.objects import KEY, SECRET


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[objects.Bucket]:
    with objects.bucket() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def test_file_comes_back_as_it_went_in_blocks(made: objects.Bucket, tmp_path: Path) -> None:
    data = bytes(range(256)) * ((3 * BLOCK + 256) // 256)
    (tmp_path / "there").write_bytes(data)
    bucket = opened(made.url("far/below"))
    bucket.put("a/b", tmp_path / "there")
    tracemalloc.start()
    mark = bucket.get("a/b", tmp_path / "back")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "back").read_bytes() == data
    assert mark == blake2b(data, digest_size=16).hexdigest()
    assert bucket.size("a/b") == len(data)
    assert list(made.objects()) == ["far/below/a/b"]
    assert most < 40 * BLOCK


def test_listing_shows_files_alone(made: objects.Bucket) -> None:
    bucket = opened(made.url("p"))
    for key in ("a/1", "a/b/2", "ab/3"):
        bucket.write(key, key.encode())
    bucket.remove("a/b/2")
    bucket.remove("a/b/2")
    assert bucket.sizes("a") == {"1": 3}
    assert bucket.sizes("none") == {}
    assert bucket.read("a/1") == b"a/1"
    assert bucket.read("a/b/2") is bucket.size("a/b/2") is None


def test_bucket_that_is_not_there_is_no_empty_one(made: objects.Bucket) -> None:
    with pytest.raises(UserError, match="no bucket 'other'"):
        opened("s3://other/far")


def test_service_that_does_not_answer_ends_in_one_line_without_a_secret(
    made: objects.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(UserError, match="NETWORK_CONNECTION") as told:
        opened(made.url())
    said = str(told.value)
    assert "\n" not in said
    assert KEY not in said
    assert SECRET not in said


def test_password_in_the_endpoint_is_refused(
    made: objects.Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://me:hunter2@127.0.0.1")
    with pytest.raises(UserError, match="without a password") as told:
        opened(made.url())
    assert "hunter2" not in str(told.value)
