"""Memory where artifacts are in a bucket: Lance writes there itself, and any machine reads it."""

from dataclasses import replace

import pytest

from awareness_model.tiny import save_tiny
from awareness_pipeline import digest, store
from awareness_pipeline.artifacts import place
from awareness_pipeline.config import Paths
from awareness_pipeline.defs.checks.encode import stored
from awareness_pipeline.stages import encode
from tests import objects
from tests.objects import KEY, SECRET
from tests.pipeline.stages.lessons import put_repository, small_settings


@pytest.fixture
def bucket(monkeypatch):
    with objects.bucket() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        yield made


def on(settings, root, url):
    return replace(settings, paths=Paths(root=root, store=url))


def test_memory_of_one_machine_is_that_of_all(bucket, tmp_path, capfd):
    model = str(save_tiny(tmp_path / "model", "llama"))
    plain = small_settings(tmp_path / "plain", model)
    settings = on(plain, tmp_path / "one", bucket.url("kept"))
    put_repository(settings, 3, "held_out")
    record = encode.run(settings, "001")
    assert record.fresh == 1
    assert not list((tmp_path / "one").rglob("*.lance"))
    assert [name for name in bucket.objects() if "store/records.lance/_versions" in name]
    assert list(stored(settings, ["001"])) == []

    other = on(plain, tmp_path / "two", bucket.url("kept"))
    here = place(other, "memory_shards", "001", {})
    store.bring(here, own=True)
    put_repository(other, 3, "held_out")
    assert encode.run(other, "001").fresh == 0

    one, two = (digest._artifact(one.paths, "memory_shards", "demo") for one in (settings, other))
    assert one == two
    assert one["digest"] != digest._artifact(plain.paths, "memory_shards", "demo")["digest"]
    said = capfd.readouterr()
    for secret in (KEY, SECRET):
        assert secret not in said.out + said.err
        assert not [
            p for p in tmp_path.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()
        ]


def test_without_the_memory_no_record_of_it_stands(bucket, tmp_path, monkeypatch):
    plain = small_settings(tmp_path / "plain", "none")
    settings = on(plain, tmp_path / "one", bucket.url("kept"))
    forgotten = []
    monkeypatch.setattr(encode, "forget", lambda here: forgotten.append(here.partition))
    monkeypatch.setattr(encode, "model_identity", lambda model: model)
    encode.run(settings, "000")
    assert forgotten == ["000", "001"]
    objects_now = bucket.objects()
    assert [name for name in objects_now if name.endswith("record.json")]
