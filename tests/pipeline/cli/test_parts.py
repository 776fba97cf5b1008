"""Single partitions, what failed, and another number of shards: nothing finished is done again."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import Result

from awareness_pipeline import shards
from awareness_pipeline.artifacts import Record, read_record
from awareness_pipeline.locks import hold
from awareness_pipeline.records import shard_of
from tests.pipeline.cli.conftest import Awareness

SHARDED = ("clones", "commits", "curated_commits", "commit_facts")
NOTHING = "everything was done: nothing to do"


@pytest.fixture
def root(finished: tuple[Path, Result], tmp_path: Path) -> Path:
    """The files of a finished run, to be changed."""
    shutil.copytree(finished[0], tmp_path / "data", symlinks=True)
    return tmp_path / "data"


def units(root: Path, artifact: str) -> dict[str, Record]:
    """The records of an artifact's units by `<partition>/<key>`."""
    found = {}
    for path in sorted((root / artifact / "demo").glob("*/*.record.json")):
        record = read_record(path)
        assert record
        found[f"{record.partition}/{record.key}"] = record
    return found


def digest_of(awareness: Awareness, root: Path) -> dict[str, object]:
    return json.loads(awareness.ok("digest", "--root", root, "--json").output)


def test_after_resharding_everything_is_done_and_where_it_belongs(
    awareness: Awareness, root: Path
) -> None:
    before = {name: units(root, name) for name in SHARDED}
    said = awareness.ok("reshard", 7, "--root", root).output
    after = {name: units(root, name) for name in SHARDED}
    elsewhere = 0
    for name in SHARDED:
        assert {one.key: one.digest for one in before[name].values()} == {
            one.key: one.digest for one in after[name].values()
        }
        for where, record in after[name].items():
            assert where == f"{shard_of(int(record.key), 7)}/{record.key}"
        elsewhere += len(after[name].keys() - before[name].keys())
        assert sorted(path.name for path in (root / name / "demo").glob("[0-9]*")) == [
            f"00{number}" for number in range(7)
        ]
    assert said.startswith(f"{elsewhere:,} units moved. Set AWARENESS_SHARDS=7")
    assert elsewhere
    assert NOTHING in awareness.ok("full", "--root", root, AWARENESS_SHARDS="7").output


def test_a_version_that_was_resharded_is_as_if_it_had_that_number_from_the_start(
    awareness: Awareness, root: Path, tmp_path: Path
) -> None:
    awareness.ok("reshard", 3, "--root", root)
    awareness.ok("full", "--root", root, AWARENESS_SHARDS="3")
    awareness.ok("full", "--root", tmp_path / "fresh", AWARENESS_SHARDS="3")
    assert digest_of(awareness, root) == digest_of(awareness, tmp_path / "fresh")


def test_a_way_there_and_back_changes_nothing(awareness: Awareness, root: Path) -> None:
    before = digest_of(awareness, root)
    awareness.ok("reshard", 40, "--root", root)
    assert digest_of(awareness, root) != before
    awareness.ok("reshard", 4, "--root", root)
    assert digest_of(awareness, root) == before


@pytest.mark.parametrize("writes", [0, 1, 17, 60, 100])
def test_killed_anywhere_it_goes_on_and_no_stage_runs_before(
    awareness: Awareness, root: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    left, real = [writes], shards.write_record

    def killed(path: Path, record: Record) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(path, record)

    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_record", killed)
        assert awareness("reshard", 6, "--root", root).exit_code != 0
    for number in ("4", "6"):
        refused = awareness("full", "--root", root, AWARENESS_SHARDS=number)
        assert refused.exit_code == 2
        assert "run `awareness reshard 6` again" in refused.output
    assert "finish what was begun first" in awareness("reshard", 5, "--root", root).output
    awareness.ok("reshard", 6, "--root", root)
    assert NOTHING in awareness.ok("full", "--root", root, AWARENESS_SHARDS="6").output
    assert not list(root.glob(".*.reshard"))


def test_it_waits_for_nobody_who_is_at_work(awareness: Awareness, root: Path) -> None:
    before = digest_of(awareness, root)
    with hold(root / ".demo.lock", wait=False, shared=True):
        refused = awareness("reshard", 6, "--root", root)
        assert NOTHING in awareness.ok("run", "extract", "--root", root).output
    assert refused.exit_code == 2
    assert "is at work: let it end first" in refused.output
    assert digest_of(awareness, root) == before
    with hold(root / ".demo.lock", wait=False):
        refused = awareness("run", "extract", "--root", root)
    assert "is being resharded" in refused.output


def test_the_old_number_is_refused_with_what_to_do(awareness: Awareness, root: Path) -> None:
    awareness.ok("reshard", 6, "--root", root)
    refused = awareness("run", "clone", "--root", root)
    assert refused.exit_code == 2
    assert "has 6 shards: set AWARENESS_SHARDS to that, or run `awareness reshard 4`" in (
        refused.output
    )


@pytest.mark.parametrize("number", [0, 1001])
def test_numbers_out_of_range_are_refused(awareness: Awareness, root: Path, number: int) -> None:
    assert awareness("reshard", number, "--root", root).exit_code == 2


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("002", {"002"}),
        ("001...002", {"001", "002"}),
        ("000,002...003", {"000", "002", "003"}),
        ("all", {"000", "001", "002", "003"}),
    ],
)
def test_one_partition_a_range_and_all_are_run(
    awareness: Awareness, root: Path, said: str, expected: set[str]
) -> None:
    for path in (root / "commits" / "demo").glob("*/*.record.json"):
        path.unlink()
    awareness.ok("run", "commits", "--partition", said, "--root", root)
    assert {one.partition for one in units(root, "commits").values()} == expected


@pytest.mark.parametrize("said", ["004", "002...001", "1", "000...", ""])
def test_partitions_that_are_not_there_are_refused(
    awareness: Awareness, root: Path, said: str
) -> None:
    assert awareness("run", "clone", "--partition", said, "--root", root).exit_code == 2


def test_retry_runs_only_what_failed_and_what_follows(awareness: Awareness, root: Path) -> None:
    expected = digest_of(awareness, root)
    record = next(iter(units(root, "commits").values()))
    objects = root / "clones" / "demo" / record.partition / f"{record.key}.git" / "objects"
    objects.rename(objects.with_name("away"))
    (root / "commits" / "demo" / record.partition / f"{record.key}.record.json").unlink()
    awareness.ok("run", "extract", "--root", root)
    awareness.ok("run", "curate", "--root", root)
    assert digest_of(awareness, root) != expected
    objects.with_name("away").rename(objects)
    said = awareness.ok("retry", "--root", root, "--json")
    stages = {one["name"]: one for one in json.loads(said.stdout)["stages"]}
    assert stages.keys() == {"extract", "curate"}
    assert stages["extract"]["state"] == "fresh"
    assert digest_of(awareness, root) == expected
    assert NOTHING in awareness.ok("retry", "--root", root).output
