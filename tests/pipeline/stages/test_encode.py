"""Which documents become memory, each once, and what is done again when something changes."""

from dataclasses import replace

import pytest

from awareness_model.config import MemoryConfig
from awareness_model.memory.store import LatentMemoryStore
from awareness_model.schema import SnapshotRow, read_rows
from awareness_model.tiny import save_tiny
from awareness_pipeline.config import UserError
from awareness_pipeline.stages import encode
from awareness_pipeline.stages.encode import Source, choose
from tests.model.small_world import trace, write_traces
from tests.pipeline.gitrepo import Snap
from tests.pipeline.stages.lessons import (
    history,
    put_repository,
    put_traces,
    small_settings,
)
from tests.pipeline.stages.shelf import put_clone

GOLD, SEEN = ["pkg/constants.py"], ["pkg/first.py", "pkg/gone.py"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("model") / "tiny", "llama"))


@pytest.fixture
def settings(tmp_path, model, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return small_settings(tmp_path, model)


def rows_of(settings, repo_id):
    folder = settings.paths.root / "memory_shards" / "demo" / f"{repo_id % 2:03d}"
    return [(row.sha, row.path) for row in read_rows(SnapshotRow, folder / f"{repo_id}.jsonl")]


def store_of(settings):
    path = settings.paths.root / "memory_shards" / "demo" / "store"
    return LatentMemoryStore(MemoryConfig(str(path)))


def chosen(settings, traces=(), **limits):
    """Return (sha's place in history, path) of what is chosen of one repository, and reasons."""
    shas = put_clone(settings, 7, history(7))
    clone = settings.paths.root / "clones" / "demo" / "001" / "7.git"
    limited = replace(settings, encode=replace(settings.encode, **limits))
    found = choose(Source(7, clone, shas[-1], tuple(traces)), limited)
    return [(shas.index(sha), path) for sha, path in found.rows], found.dropped


def test_of_held_out_trees_the_files_that_items_ask_about_come_first(settings):
    rows, dropped = chosen(settings)
    assert rows[0] == (1, "pkg/constants.py")
    assert {path for _, path in rows} == {
        "pkg/constants.py",
        "pkg/__init__.py",
        "pkg/first.py",
        "pkg/second.py",
        "readme.md",
    }
    assert dropped == {}


def test_the_budget_keeps_what_is_needed_most_and_says_what_it_left(settings):
    rows, dropped = chosen(settings, max_repository_tokens=30)
    assert rows == [(1, "pkg/constants.py"), (1, "pkg/__init__.py"), (1, "readme.md")]
    assert list(dropped.values()) == ["over_budget", "over_budget"]


def test_a_file_too_long_is_left_out_with_its_reason(settings):
    rows, dropped = chosen(settings, max_file_tokens=40)
    assert {path for _, path in rows} == {"pkg/constants.py", "pkg/__init__.py", "readme.md"}
    assert list(dropped.values()) == ["too_big", "too_big"]


def test_training_takes_deciding_files_then_what_the_teacher_saw(settings):
    shas = put_repository(settings, 9, "train")
    put_traces(settings, 9, shas[0], GOLD, SEEN)
    clone = settings.paths.root / "clones" / "demo" / "001" / "9.git"
    traces = settings.paths.root / "teacher_traces" / "demo" / "001" / "9.parquet"
    found = choose(Source(9, clone, shas[-1], (traces,)), settings)
    assert list(found.rows) == [(shas[0], "pkg/constants.py"), (shas[0], "pkg/first.py")]
    assert found.dropped == {f"{shas[0]}:pkg/gone.py": "not_in_tree"}
    assert len(found.wanted) == 3
    assert found.reasons() == {"not_in_tree": 1}


def test_the_two_trees_of_an_edit_are_both_in_memory_each_with_its_own_version(settings):
    shas = put_clone(
        settings,
        9,
        [
            Snap(b"Begin\n", {b"a.py": b"RATE = 1\n", b"b.py": b"# same\n", b"c.py": b"# one\n"}),
            Snap(b"Edit\n", {b"a.py": b"RATE = 2\n"}),
        ],
    )
    usual = {"kind": "state", "chain": "one", "manifest_paths": ["a.py"]}
    path = settings.paths.root / "9.parquet"
    single = trace(2, 9, gold=("b.py",), parent_sha=shas[1], manifest_paths=[])
    steps = [trace(n, 9, parent_sha=sha, step=n, **usual) for n, sha in enumerate(shas)]
    write_traces(path, [*steps, single])
    clone = settings.paths.root / "clones" / "demo" / "001" / "9.git"
    found = choose(Source(9, clone, shas[-1], (path,)), settings)
    held = {place: found.texts[row.content_hash] for place, row in found.rows.items()}
    assert held == {
        (shas[0], "a.py"): "RATE = 1\n",
        (shas[0], "b.py"): "# same\n",
        (shas[1], "a.py"): "RATE = 2\n",
        (shas[1], "b.py"): "# same\n",
    }
    assert found.dropped == {}


def test_two_shards_fill_one_store_and_only_what_changed_is_encoded_again(settings):
    first = put_repository(settings, 2, "train")
    put_traces(settings, 2, first[0], GOLD, SEEN)
    put_repository(settings, 4, "held_out")
    for path in (settings.paths.root / "clones" / "demo" / "000" / "4.git" / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    held = put_repository(settings, 3, "held_out")
    later = put_repository(settings, 5, "train")
    records = [encode.run(settings, key) for key in settings.shard_keys]

    assert [record.fresh for record in records] == [1, 1]
    assert rows_of(settings, 2) == [(first[0], "pkg/constants.py"), (first[0], "pkg/first.py")]
    assert len(rows_of(settings, 3)) == 5
    assert {row.path for row in store_of(settings).select(3, held[-1])} == {
        path for _, path in rows_of(settings, 3)
    }
    assert [record.counts.rows_out for record in records] == [4, 10]
    assert records[0].counts.dropped == {"failed: broken": 1, "not_in_tree": 1}

    digest = store_of(settings).digest()
    again = encode.run(settings, "001")
    assert (again.fresh, again.digest) == (0, records[1].digest)
    put_traces(settings, 5, later[-1], GOLD, [])
    assert encode.run(settings, "001").fresh == 1
    grown = store_of(settings).digest()
    assert grown != digest

    store = settings.paths.root / "memory_shards" / "demo" / "store"
    store.rename(store.with_name("lost"))
    assert encode.run(settings, "000").fresh == 1
    assert not (store.parent / "001" / "3.record.json").exists()


def test_another_model_under_the_same_version_is_refused(settings, tmp_path):
    (settings.paths.root / "memory_shards" / "demo" / "store").mkdir(parents=True)
    encode.run(settings, "000")
    other = str(save_tiny(tmp_path / "other", "qwen3"))
    with pytest.raises(UserError, match="model was"):
        encode.run(replace(settings, model=other), "000")


def test_memory_of_a_repository_that_left_is_removed(settings):
    shas = put_repository(settings, 3, "held_out")
    kept = put_repository(settings, 5, "held_out")
    encode.run(settings, "001")
    assert store_of(settings).select(3, shas[-1])
    for artifact in ("clones", "curated_commits"):
        (settings.paths.root / artifact / "demo" / "001" / "3.record.json").unlink()
    record = encode.run(settings, "001")
    assert "3" not in record.inputs
    assert store_of(settings).select(3, shas[-1]) == []
    assert store_of(settings).select(5, kept[-1])
    assert not (settings.paths.root / "memory_shards" / "demo" / "001" / "3.jsonl").exists()
