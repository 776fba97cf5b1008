"""Artifacts in a bucket: what two machines see of one another's units, kills included."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_pipeline import flow, parcels, store
from awareness_pipeline.artifacts import Counts, Place, place, read_record, unit_records, writing
from awareness_pipeline.bucket import Bucket
from awareness_pipeline.cli import again
from awareness_pipeline.cli.parts import resharded
from awareness_pipeline.config import Paths, Settings, Source, UserError, demo
from awareness_pipeline.curation.index import stat_of
from awareness_pipeline.units import Outcome, Unit, UnitFailed, forget, run_units
from tests import objects
from tests.objects import KEY, SECRET

HOME = "kept/commits/demo/000"


class Killed(BaseException):
    """Ends a run as a kill does: nothing of ours comes after."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[objects.Bucket]:
    with objects.bucket() as made:
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def settings(bucket: objects.Bucket) -> Settings:
    paths = Paths(store=bucket.url("kept"))
    return replace(demo(), paths=paths, source=Source(url="http://127.0.0.1/api/v3"))


def machine(settings: Settings, root: Path, artifact: str = "commits") -> Place:
    """Return the partition as a machine with that root has it."""
    there = replace(settings, paths=replace(settings.paths, root=root))
    return place(there, artifact, "000", {"max_commits": 3})


def unit(key: str, digest: str = "d") -> Unit:
    return Unit(key, {"clones": digest})


class Work:
    """Writes a file for each unit and remembers what it was asked to do."""

    def __init__(self, here: Place, text: str = "text of ") -> None:
        self.here, self.text, self.asked = here, text, list[str]()

    def __call__(self, unit: Unit) -> Outcome:
        self.asked.append(unit.key)
        with writing(self.here.folder / f"{unit.key}.jsonl") as path:
            path.write_text(self.text + unit.key)
        return Outcome(Counts(2, 1, {"bot": 1}), (f"{unit.key}.jsonl",))


def rerun(here: Place, units: list[Unit], text: str = "text of ") -> list[str]:
    """Work on the partition as the flow does; return the keys of what was done."""
    store.bring(here, own=True)
    work = Work(here, text)
    run_units(here, units, work)
    return work.asked


def files(here: Place) -> dict[str, bytes]:
    """Return what readers see of a partition's folder."""
    paths = sorted(path for path in here.folder.rglob("*") if path.is_file())
    named = {path.relative_to(here.folder).as_posix(): path.read_bytes() for path in paths}
    return {name: data for name, data in named.items() if not name.startswith(".")}


def object_of(bucket: objects.Bucket, key: str) -> str:
    """Return the name in the bucket of the one file of a unit."""
    (name,) = (
        one for one in bucket.objects() if one.startswith(f"{HOME}/{key}.") and one[-1] != "n"
    )
    return name


def replaced(bucket: objects.Bucket, name: str, data: bytes) -> None:
    opened(bucket).write(name, data)


def opened(bucket: objects.Bucket) -> Bucket:
    from awareness_pipeline.bucket import opened

    return opened(bucket.url())


def test_what_one_machine_finished_another_has(settings: Settings, tmp_path: Path) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit("1"), unit("2")])
    store.bring(two)
    assert files(two) == files(one)
    assert [record.key for record in unit_records(two)] == ["1", "2"]
    assert rerun(two, [unit("1"), unit("2")]) == []


def test_what_is_here_is_not_brought_again(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit(str(number)) for number in range(8)])
    store.bring(two)
    before = {path: stat_of(path) for path in two.folder.iterdir() if path.is_file()}
    bucket.asked.clear()
    store.bring(two)
    assert {asked.path.rpartition("/")[2] for asked in bucket.asked} == {"record.json"}
    assert all(stat_of(path) == stat for path, stat in before.items())
    (two.folder / "3.jsonl").unlink()
    bucket.asked.clear()
    store.bring(two)
    assert files(two) == files(one)
    assert sum(asked.path.startswith(f"/{bucket.name}/{HOME}/3.") for asked in bucket.asked) == 2


def test_unit_done_anew_replaces_what_others_have(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit("1")], "old! of ")
    store.bring(two)
    old = object_of(bucket, "1")
    assert rerun(one, [unit("1", "other")], "new! of ") == ["1"]
    store.bring(two)
    assert files(two) == files(one)
    assert old not in bucket.objects()


@pytest.mark.parametrize("at", ["1.record.json", "2.", "record.json"])
def test_killed_at_any_moment_a_rerun_elsewhere_ends_with_the_same(
    settings: Settings,
    bucket: objects.Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    at: str,
) -> None:
    units = [unit("1"), unit("2")]

    def killed(self: Bucket, key: str, *given: Any) -> None:
        if key.rpartition("/")[2].startswith(at):
            raise Killed
        (write if isinstance(given[0], bytes) else put)(self, key, *given)

    write, put = Bucket.write, Bucket.put
    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "write", killed)
        patched.setattr(Bucket, "put", killed)
        with pytest.raises(Killed):
            rerun(machine(settings, tmp_path / "one"), units)
    store.bring(reader := machine(settings, tmp_path / "reader"))
    assert all(record.key in ("1", "2") for record in unit_records(reader))
    for name in ("one", "two"):
        rerun(machine(settings, tmp_path / name), units)
        told = [one for one in files(machine(settings, tmp_path / name)) if one[-1] == "l"]
        assert told == ["1.jsonl", "2.jsonl"]
    rerun(machine(settings, tmp_path / "undisturbed"), units)
    named = {f"{HOME}/{name}" for name in ("1.record.json", "2.record.json", "record.json")}
    held = {object_of(bucket, key) for key in ("1", "2")}
    assert {name for name in bucket.objects() if name[-1] != "/"} == named | held


@pytest.mark.parametrize("damage", ["missing", "short", "other bytes"])
def test_damaged_file_is_noticed_and_made_again(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path, damage: str
) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit("1"), unit("2")])
    name, whole = object_of(bucket, "1"), files(one)
    if damage == "missing":
        opened(bucket).remove(name)
    else:
        replaced(bucket, name, b"text" if damage == "short" else b"TEXT of 1")
    with pytest.raises(UserError, match="awareness run commits --partition 000"):
        store.bring(two)
    assert not (two.folder / "1.record.json").exists()
    assert rerun(one, [unit("1"), unit("2")]) == ["1"]
    store.bring(two)
    assert files(two)["1.jsonl"] == whole["1.jsonl"]


def test_unit_that_changes_while_it_is_brought_comes_as_it_is_then(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit("1"), unit("2")])
    get, changes = Bucket.get, ["new! of ", ""]

    def changing(self: Bucket, key: str, path: Path) -> str:
        if text := changes.pop(0) if changes else "":
            rerun(one, [unit("1", "other"), unit("2", "other")], text)
        return get(self, key, path)

    monkeypatch.setattr(Bucket, "get", changing)
    monkeypatch.setattr(store, "AT_ONCE", 1)
    store.bring(two)
    assert (two.folder / "1.jsonl").read_text() == "new! of 1"
    store.bring(two)
    assert files(two) == files(one)


def test_worker_that_has_the_damaged_partition_does_that_unit_again(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    rerun(machine(settings, tmp_path / "one"), [unit("1"), unit("2")])
    replaced(bucket, object_of(bucket, "2"), b"TEXT of 2")
    assert rerun(machine(settings, tmp_path / "two"), [unit("1"), unit("2")]) == ["2"]
    assert bucket.objects()[object_of(bucket, "2")] == b"text of 2"


def test_unit_that_nothing_owns_goes_everywhere_its_record_first(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit("1"), unit("2")])
    store.bring(two)
    gone = object_of(bucket, "2")
    bucket.asked.clear()
    rerun(one, [unit("1")])
    removed = [one.path for one in bucket.asked if one.method == "DELETE"]
    assert removed == [f"/{bucket.name}/{HOME}/2.record.json", f"/{bucket.name}/{gone}"]
    store.bring(two)
    assert files(two) == files(one)
    assert not [name for name in bucket.objects() if "/2." in name]
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith("2.")]


def test_worker_with_an_empty_root_removes_what_nothing_owns(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    rerun(machine(settings, tmp_path / "one"), [unit("1"), unit("2")])
    rerun(machine(settings, tmp_path / "two"), [unit("2")])
    assert not [name for name in bucket.objects() if "/1." in name]


def test_forgotten_unit_is_done_again_wherever(settings: Settings, tmp_path: Path) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "two")
    rerun(one, [unit("1"), unit("2")])
    (tmp_path / "two" / "commits" / "demo" / "000").mkdir(parents=True)
    assert forget(two, ["2"]) == 1
    assert rerun(one, [unit("1"), unit("2")]) == ["2"]
    assert forget(one) == 2


def clone_in(folder: Path, head: str = "a" * 40) -> None:
    """Make what has the looks of a bare clone, and what must not travel."""
    made = {
        "HEAD": "ref: refs/heads/main\n",
        "config": "[core]\n\trepositoryformatversion = 1\n\tbare = true\n",
        "refs/heads/main": f"{head}\n",
        f"objects/pack/pack-{head}.pack": "packed",
        "hooks/post-checkout": "#!/bin/sh\n",
        "objects/info/alternates": "/elsewhere\n",
    }
    for name, text in made.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "refs" / "link").unlink(missing_ok=True)
    (folder / "refs" / "link").symlink_to("/etc/passwd")


def cloned(here: Place, head: str = "a" * 40, digest: str = "d") -> None:
    def work(unit: Unit) -> Outcome:
        shutil.rmtree(here.folder / "7.git", ignore_errors=True)
        clone_in(here.folder / "7.git", head)
        return Outcome(Counts(1, 1), ("7.git/HEAD",))

    store.bring(here, own=True)
    run_units(here, [unit("7", digest)], work)


def test_clone_travels_whole_without_hooks_links_and_alternates(
    settings: Settings, tmp_path: Path
) -> None:
    one, two = (machine(settings, tmp_path / name, "clones") for name in ("one", "two"))
    cloned(one)
    store.bring(two)
    names = {"HEAD", "config", "refs/heads/main", f"objects/pack/pack-{'a' * 40}.pack"}
    assert {name for name in files(two) if ".git/" in name} == {f"7.git/{one}" for one in names}


def test_clone_is_brought_without_its_packs_where_records_are_enough(
    settings: Settings, tmp_path: Path
) -> None:
    one, two = (machine(settings, tmp_path / name, "clones") for name in ("one", "two"))
    cloned(one)
    store.bring(two, whole=False)
    assert [record.key for record in unit_records(two)] == ["7"]
    assert {name for name in files(two) if ".git/" in name} == {"7.git/HEAD"}
    store.bring(two)
    assert f"7.git/objects/pack/pack-{'a' * 40}.pack" in files(two)


def test_clone_that_moved_on_leaves_nothing_old_in_copies(
    settings: Settings, tmp_path: Path
) -> None:
    one, two = (machine(settings, tmp_path / name, "clones") for name in ("one", "two"))
    cloned(one)
    store.bring(two)
    cloned(one, head="b" * 40, digest="other")
    store.bring(two)
    found = files(two)
    assert found["7.git/refs/heads/main"] == b"b" * 40 + b"\n"
    assert [name for name in found if "pack-" in name] == [
        f"7.git/objects/pack/pack-{'b' * 40}.pack"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "../1.jsonl",
        "/etc/cron.d/job",
        "a/../../b",
        ".work/x",
        ".parcels/1.json",
        "2.record.json",
        "record.json",
        "a\\..\\b",
        "a//b",
        "a\x00b",
        "1.git/hooks/post-checkout",
        "1.git/objects/info/alternates",
        "1.git/x/../config",
        "1.git",
    ],
)
def test_hostile_name_writes_nothing(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path, name: str
) -> None:
    one, two = machine(settings, tmp_path / "one"), machine(settings, tmp_path / "far" / "two")
    rerun(one, [unit("1")])
    where = f"{HOME}/1.record.json"
    said = json.loads(bucket.objects()[where])
    mark = said["files"].pop("1.jsonl")
    replaced(bucket, where, json.dumps({**said, "files": {name: mark}}).encode())
    assert not parcels.allowed(name)
    for own in (False, True):
        with pytest.raises(UserError, match="names a file where none may be"):
            store.bring(two, own=own)
    assert [path for path in (tmp_path / "far").rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize(
    "line",
    ['[remote "x"]', "\tfsmonitor = !sh -c id", "[include]", "\tworktree = /", "\tsshCommand=x"],
)
def test_configuration_that_names_programs_is_refused(
    settings: Settings, tmp_path: Path, line: str
) -> None:
    one, two = (machine(settings, tmp_path / name, "clones") for name in ("one", "two"))

    def work(unit: Unit) -> Outcome:
        clone_in(one.folder / "7.git")
        (one.folder / "7.git" / "config").write_text(f"[core]\n{line}\n")
        return Outcome(Counts(1, 1), ("7.git/HEAD",))

    run_units_of(one, work)
    with pytest.raises(UserError, match="configuration of 7"):
        store.bring(two)
    assert not (two.folder / "7.git" / "config").exists()
    assert list(unit_records(two)) == []


def run_units_of(here: Place, work: Any) -> None:
    here.folder.mkdir(parents=True)
    run_units(here, [unit("7")], work)


def test_link_in_the_copy_is_not_written_through(settings: Settings, tmp_path: Path) -> None:
    one, two = (machine(settings, tmp_path / name, "clones") for name in ("one", "two"))
    cloned(one)
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / "kept").write_text("kept")
    two.folder.mkdir(parents=True)
    (two.folder / "7.git").symlink_to(elsewhere)
    with pytest.raises(UserError, match="link"):
        store.bring(two)
    assert [path.name for path in elsewhere.iterdir()] == ["kept"]


def test_record_of_another_unit_is_refused(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    rerun(machine(settings, tmp_path / "one"), [unit("1"), unit("2")])
    text = bucket.objects()[f"{HOME}/1.record.json"]
    replaced(bucket, f"{HOME}/2.record.json", text)
    with pytest.raises(UserError, match="another unit's record"):
        store.bring(machine(settings, tmp_path / "two"))


def test_root_is_the_copy_of_one_store_and_of_one_worker(
    settings: Settings, tmp_path: Path
) -> None:
    paths = replace(settings.paths, root=tmp_path / "one")
    with (
        store.copied(paths),
        pytest.raises(UserError, match="another worker"),
        store.copied(paths),
    ):
        pass
    with store.copied(paths):
        pass
    other = replace(paths, store="s3://other")
    with pytest.raises(UserError, match="copy of s3://"), store.copied(other):
        pass


def test_root_with_outputs_of_its_own_is_left_alone(settings: Settings, tmp_path: Path) -> None:
    plain = replace(settings, paths=Paths(root=tmp_path))
    here = place(plain, "commits", "000", {})
    here.folder.mkdir(parents=True)
    run_units(here, [unit("1")], Work(here))
    own = replace(settings.paths, root=tmp_path)
    with pytest.raises(UserError, match="holds outputs"), store.copied(own):
        pass
    assert read_record(here.folder / "1.record.json")


def test_store_wants_a_catalog_that_is_shared(settings: Settings, tmp_path: Path) -> None:
    alone = replace(settings, paths=replace(settings.paths, root=tmp_path))
    with pytest.raises(UserError, match="AWARENESS_DB_PATH"):
        flow.run_step(alone, "extract", ["000"])


def test_nothing_that_is_kept_or_said_holds_a_credential(
    settings: Settings, bucket: objects.Bucket, tmp_path: Path
) -> None:
    rerun(machine(settings, tmp_path / "one"), [unit("1")])
    rerun(machine(settings, tmp_path / "two"), [unit("1")])
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    kept += b"".join(bucket.objects().values()) + repr(settings).encode()
    for secret in (KEY, SECRET, bucket.endpoint):
        assert secret.encode() not in kept


def test_what_workers_left_is_brought_to_look_at(settings: Settings, tmp_path: Path) -> None:
    rerun(one := machine(settings, tmp_path / "one"), [unit("1")])
    there = replace(settings, paths=replace(settings.paths, root=tmp_path / "two"))
    two = machine(settings, tmp_path / "two")
    assert flow.bring(there, ["extract"], records=True) == settings.shards
    assert list(files(two)) == ["record.json"]
    assert flow.bring(there, ["commits"]) == settings.shards
    assert files(two) == files(one)


def test_failures_of_other_machines_are_known_here(settings: Settings, tmp_path: Path) -> None:
    def work(unit: Unit) -> Outcome:
        raise UnitFailed("network")

    (one := machine(settings, tmp_path / "one")).folder.mkdir(parents=True)
    run_units(one, [unit("1")], work)
    rerun(machine(settings, tmp_path / "one", "clones"), [unit("1")])
    there = replace(settings, paths=replace(settings.paths, root=tmp_path / "two"))
    assert again.unfinished(there, "extract") == settings.shard_keys
    assert again.unfinished(there, "clone") == settings.shard_keys[1:]


def test_what_a_folder_alone_can_do_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="AWARENESS_STORE"):
        flow.bring(replace(settings, paths=Paths(root=tmp_path)), flow.STAGES)
    with pytest.raises(UserError, match="moved in a folder"):
        resharded(settings, 8)
