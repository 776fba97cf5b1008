"""curate: decisions beside the commits, with reasons, and a split by repository."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_model.schema import read_rows
from awareness_pipeline.artifacts import Counts, Record, place, read_record, upstream_records
from awareness_pipeline.config import Curate, Extract, Settings, UserError
from awareness_pipeline.curation import index
from awareness_pipeline.records import Decision, Finding, shard_of, split_of
from awareness_pipeline.stages import curate, extract
from awareness_pipeline.units import Outcome, Unit, close, finish_unit, forget
from tests.pipeline.gitrepo import ZOO, Snap
from tests.pipeline.stages.shelf import put_clone, settings_at

BASE = [
    Snap(b"Begin\n", {b"a.py": b"1\n"}),
    Snap(b"Change\n", {b"a.py": b"2\n"}),
    Snap(b"Change more\n", {b"a.py": b"3\n"}),
]
FORK = [*BASE, Snap(b"Only in the fork\n", {b"b.py": b"1\n"})]
MIT = (Path(__file__).parents[3] / "LICENSE").read_bytes()


def own(number: int, commits: int = 3) -> list[Snap]:
    """A history that no other has."""
    return [
        Snap(b"%d of %d\n" % (step, number), {b"own%d.py" % number: b"%d, %d\n" % (step, number)})
        for step in range(commits)
    ]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_at(tmp_path)


def run(settings: Settings) -> list[Record]:
    for shard in settings.shard_keys:
        extract.run(settings, shard)
    return [curate.run(settings, shard) for shard in settings.shard_keys]


def folder(settings: Settings, artifact: str, repo_id: int) -> Path:
    return settings.paths.artifact(artifact) / settings.version / shard_of(repo_id, settings.shards)


def decisions(settings: Settings, repo_id: int) -> list[Decision]:
    path = folder(settings, curate.ARTIFACT, repo_id) / f"{repo_id}.jsonl"
    return list(read_rows(Decision, path))


def reasons(settings: Settings, repo_id: int) -> dict[str, str]:
    return {decision.sha: decision.reason for decision in decisions(settings, repo_id)}


def record_of(settings: Settings, repo_id: int) -> Record:
    record = read_record(folder(settings, curate.ARTIFACT, repo_id) / f"{repo_id}.record.json")
    assert record
    return record


def tell(settings: Settings, repo_id: int, **said: Any) -> None:
    """Change what the record of a clone says."""
    here = place(settings, "clones", shard_of(repo_id, settings.shards), {})
    records = [one for _, one in upstream_records(settings, "clones", (here.partition,))]
    for record in records:
        if record.key == str(repo_id):
            extra = {**record.extra, **said}
            finish_unit(here, Unit(record.key, {}), Outcome(record.counts, extra=extra))
    (here.folder / "record.json").unlink()
    close(here, [Unit(one.key, {}) for one in records], fresh=1)


def test_each_reason_drops(settings: Settings) -> None:
    more = [
        Snap(b"Vendor\n", {b"vendor/a.go": b"1\n"}),
        Snap(b"Generate\n", {b"a.pb.go": b"1\n"}),
        Snap(b"Lock\n", {b"yarn.lock": b"1\n"}),
        Snap(b"Nothing\n", {}),
        Snap(b"Link\n", {b"x": None, b"new-link2": ZOO[1].changes[b"new-link"]}),
        Snap(b"Sub\n", {b"sub2": ZOO[0].changes[b"sub"]}),
    ]
    shas = put_clone(settings, 4, [*ZOO, *more])
    record = run(settings)[0]
    found = [reasons(settings, 4)[sha] for sha in shas]
    assert found == [
        "root",
        *[""] * 9,
        "merge",
        "root",
        "merge",
        "",
        "revert",
        "",
        "",
        "",
        "bot",
        "vendored",
        "generated",
        "lockfile",
        "empty",
        "symlink",
        "submodule",
    ]
    assert record.counts.rows_in == len(shas)
    assert record.counts.rows_out == found.count("")
    assert record.counts.dropped["merge"] == 2
    assert sum(record.counts.dropped.values()) + record.counts.rows_out == len(shas)


def test_a_binary_only_commit_is_dropped(settings: Settings) -> None:
    shas = put_clone(settings, 4, [*BASE, Snap(b"Picture\n", {b"p.png": b"\x00\x01"})])
    run(settings)
    assert reasons(settings, 4)[shas[-1]] == "binary"


def test_a_cut_diff_is_dropped(tmp_path: Path) -> None:
    settings = settings_at(tmp_path, Extract(max_file_diff_bytes=400, workers=1))
    shas = put_clone(settings, 4, [*BASE, Snap(b"Big\n", {b"b.py": b"x = 1\n" * 200})])
    run(settings)
    assert [reasons(settings, 4)[sha] for sha in shas] == ["root", "", "", "truncated"]


def test_decisions_follow_the_order_of_the_commits(settings: Settings) -> None:
    shas = put_clone(settings, 4, BASE)
    run(settings)
    assert [decision.sha for decision in decisions(settings, 4)] == shas
    assert all(decision.keep is not bool(decision.reason) for decision in decisions(settings, 4))


def test_the_repository_with_most_stars_keeps_a_shared_commit(settings: Settings) -> None:
    shas = put_clone(settings, 4, BASE, stars=3)
    put_clone(settings, 5, FORK, stars=90)
    run(settings)
    assert set(reasons(settings, 4).values()) == {"duplicate"}
    assert [one.duplicate_of for one in decisions(settings, 4)] == [f"5:{sha}" for sha in shas]
    assert "duplicate" not in reasons(settings, 5).values()
    assert set(shas) < set(reasons(settings, 5))


def test_of_equal_stars_the_lowest_id_keeps_it(settings: Settings) -> None:
    put_clone(settings, 6, FORK)
    put_clone(settings, 5, BASE)
    put_clone(settings, 7, BASE)
    run(settings)
    assert list(reasons(settings, 5).values()) == ["root", "", ""]
    assert list(reasons(settings, 6).values()) == [*["duplicate"] * 3, ""]
    assert set(reasons(settings, 7).values()) == {"duplicate"}


def test_a_fork_loses_to_its_parent_whatever_their_ids(settings: Settings) -> None:
    put_clone(settings, 4, FORK)
    put_clone(settings, 5, BASE)
    tell(settings, 4, fork=True)
    run(settings)
    assert list(reasons(settings, 4).values()) == [*["duplicate"] * 3, ""]


def test_no_shared_commit_is_kept_twice_or_never(settings: Settings) -> None:
    for repo_id, stars in ((4, 1), (5, 1), (6, 8), (7, 2)):
        put_clone(settings, repo_id, FORK if repo_id % 2 else BASE, stars=stars)
    run(settings)
    kept = [d.sha for repo_id in (4, 5, 6, 7) for d in decisions(settings, repo_id) if d.keep]
    assert len(kept) == len(set(kept)) == len(FORK) - 1


def test_a_cherry_pick_and_a_near_copy_are_found_across_shards(settings: Settings) -> None:
    text = [b"value_%d = compute(%d)\n" % (number, number) for number in range(60)]
    fix = Snap(b"Fix\n", {b"core.py": b"".join(text)})
    put_clone(settings, 4, [*own(4), fix], stars=5)
    put_clone(settings, 5, [*own(5), Snap(b"Pick\n", fix.changes)])
    near = b"".join([*text[:30], b"another = thing\n", *text[31:]])
    put_clone(settings, 6, [*own(6), Snap(b"Copy\n", {b"other.py": near})])
    run(settings)
    kept = f"4:{decisions(settings, 4)[-1].sha}"
    last = [decisions(settings, repo_id)[-1] for repo_id in (4, 5, 6)]
    assert [(one.reason, one.duplicate_of) for one in last] == [
        ("", ""),
        ("duplicate_patch", kept),
        ("near_duplicate", kept),
    ]


def test_only_repositories_whose_decision_changes_are_redone(settings: Settings) -> None:
    put_clone(settings, 4, FORK, stars=3)
    put_clone(settings, 6, own(6))
    assert [record.fresh for record in run(settings)] == [2, 0]
    assert [record.fresh for record in run(settings)] == [0, 0]
    put_clone(settings, 8, BASE, stars=9)
    assert [record.fresh for record in run(settings)] == [2, 0]
    assert list(reasons(settings, 4).values()) == [*["duplicate"] * 3, ""]
    put_clone(settings, 5, own(5))
    assert [record.fresh for record in run(settings)] == [0, 1]
    assert [record.fresh for record in run(settings)] == [0, 0]


def test_new_stars_change_who_keeps_a_commit(settings: Settings) -> None:
    put_clone(settings, 4, FORK, stars=3)
    put_clone(settings, 5, BASE, stars=2)
    run(settings)
    assert set(reasons(settings, 5).values()) == {"duplicate"}
    tell(settings, 5, stars=9)
    assert [record.fresh for record in run(settings)] == [1, 1]
    assert set(reasons(settings, 5).values()) == {"", "root"}
    assert list(reasons(settings, 4).values()) == [*["duplicate"] * 3, ""]


def test_another_keeper_is_told_to_those_who_lose_as_before(settings: Settings) -> None:
    for repo_id, stars in ((4, 9), (5, 5), (6, 1)):
        put_clone(settings, repo_id, BASE, stars=stars)
    run(settings)
    assert {one.duplicate_of[:2] for one in decisions(settings, 6)} == {"4:"}
    tell(settings, 5, stars=50)
    assert [record.fresh for record in run(settings)] == [2, 1]
    assert {one.duplicate_of[:2] for one in decisions(settings, 6)} == {"5:"}


def test_with_nothing_new_a_shard_looks_at_none_or_its_own_repositories_alone(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_clone(settings, 4, own(4))
    put_clone(settings, 5, own(5))
    run(settings)
    looked = []

    def noting(here: Any, *args: Any, **other: Any) -> Record:
        looked.append((here.artifact, here.partition))
        return real(here, *args, **other)

    real = curate.run_units
    monkeypatch.setattr(curate, "run_units", noting)
    curate.run(settings, "001")
    assert looked == []
    (settings.paths.root / ".seen" / settings.version / curate.ARTIFACT / "001.json").unlink()
    curate.run(settings, "001")
    assert looked == [(curate.FACTS, "001"), (curate.ARTIFACT, "001")]


def test_a_run_of_one_shard_sees_all_shards(settings: Settings) -> None:
    put_clone(settings, 4, BASE, stars=3)
    put_clone(settings, 5, FORK, stars=90)
    for shard in settings.shard_keys:
        extract.run(settings, shard)
    curate.run(settings, "000")
    assert set(reasons(settings, 4).values()) == {"duplicate"}


def test_commits_are_read_once_and_compared_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, compared = [], []

    def reading(path: Path) -> Iterator[Any]:
        read.append(path.name)
        return real_read(path)

    def comparing(*args: Any) -> Any:
        compared.append(len(args[0].members))
        return real_compare(*args)

    real_read, real_compare = curate.read_commits, index.compare
    monkeypatch.setattr(curate, "read_commits", reading)
    monkeypatch.setattr(index, "compare", comparing)
    for repo_id in (4, 5, 6, 7):
        put_clone(settings, repo_id, own(repo_id))
    run(settings)
    run(settings)
    assert sorted(read) == [f"{repo_id}.jsonl.zst" for repo_id in (4, 5, 6, 7)]
    assert compared == [4]


def test_what_is_extracted_decides_and_not_the_order_of_runs(tmp_path: Path) -> None:
    once, stepwise = (
        replace(settings_at(tmp_path / name), curate=Curate(held_out_fraction=0.0))
        for name in ("once", "stepwise")
    )
    snaps = {4: FORK, 5: BASE, 6: own(6), 7: [*own(7), FORK[-1]]}
    for repo_id, history in snaps.items():
        put_clone(once, repo_id, history, stars=repo_id)
    run(once)
    for repo_id, history in reversed(snaps.items()):
        put_clone(stepwise, repo_id, history, stars=repo_id)
        run(stepwise)
    for repo_id in snaps:
        first, second = (
            (folder(one, curate.ARTIFACT, repo_id) / f"{repo_id}.jsonl").read_text()
            for one in (once, stepwise)
        )
        assert first == second


def test_a_history_that_grows_is_read_on(settings: Settings) -> None:
    put_clone(settings, 4, BASE)
    run(settings)
    shutil.rmtree(folder(settings, "clones", 4) / "4.git")
    shas = put_clone(settings, 4, FORK)
    run(settings)
    assert [one.sha for one in decisions(settings, 4)] == shas


def test_a_clone_that_was_dropped_ranks_nowhere(settings: Settings) -> None:
    put_clone(settings, 4, BASE)
    finish_unit(place(settings, "clones", "000", {}), Unit("6", {}), Outcome(Counts(1, 0)))
    assert run(settings)[0].counts.rows_in == len(BASE)


def test_no_repositories_are_no_trouble(settings: Settings) -> None:
    assert [record.counts.rows_in for record in run(settings)] == [0, 0]


def test_the_split_is_the_repositorys(settings: Settings) -> None:
    held = replace(settings, curate=Curate(held_out_fraction=0.5))
    for repo_id in range(4, 16):
        put_clone(held, repo_id, own(repo_id, 1))
    run(held)
    found = {repo_id: {d.split for d in decisions(held, repo_id)} for repo_id in range(4, 16)}
    assert found == {repo_id: {split_of(repo_id, 0.5)} for repo_id in range(4, 16)}
    assert {"train"} in found.values()
    assert {"held_out"} in found.values()


def test_the_unit_says_its_split(settings: Settings) -> None:
    put_clone(settings, 4, BASE)
    run(settings)
    assert record_of(settings, 4).extra == {
        "split": split_of(4, 1 / 3),
        "cluster": "4",
        "licences": {"no_license": 2},
        "findings": {},
    }


HALF = Curate(held_out_fraction=0.5)
LOW = next(n for n in range(1, 99) if split_of(n, 0.5) == "held_out")
HIGH = next(n for n in range(LOW + 1, 99) if split_of(n, 0.5) == "train")
LONE = next(n for n in range(HIGH + 1, 99) if split_of(n, 0.5) == "held_out")


def splits(settings: Settings, *ids: int) -> list[str]:
    return [record_of(settings, repo_id).extra["split"] for repo_id in ids]


def test_a_fork_is_on_its_parents_side(settings: Settings) -> None:
    settings = replace(settings, curate=HALF)
    put_clone(settings, HIGH, FORK)
    put_clone(settings, LOW, BASE)
    run(settings)
    assert splits(settings, LOW, HIGH) == ["held_out", "held_out"]
    assert record_of(settings, HIGH).extra["cluster"] == str(LOW)


def test_a_side_once_given_never_moves(settings: Settings) -> None:
    settings = replace(settings, curate=HALF)
    put_clone(settings, HIGH, FORK)
    run(settings)
    assert splits(settings, HIGH) == ["train"]
    put_clone(settings, LOW, BASE)
    run(settings)
    assert splits(settings, LOW, HIGH) == ["train", "train"]
    for key in settings.shard_keys:
        forget(place(settings, curate.ARTIFACT, key, {}))
        shutil.rmtree(settings.paths.artifact(curate.FACTS))
        shutil.rmtree(settings.paths.artifact(curate.ARTIFACT) / settings.version / ".verdicts")
        run(settings)
    assert splits(settings, LOW, HIGH) == ["train", "train"]


def test_a_training_repository_that_turns_out_kin_of_a_held_out_one_is_set_aside(
    settings: Settings,
) -> None:
    settings = replace(settings, curate=HALF)
    put_clone(settings, HIGH, [*own(1), Snap(b"One\n", {b"one.py": b"1\n"})])
    put_clone(settings, LONE, [*own(2), Snap(b"Two\n", {b"two.py": b"2\n"})])
    run(settings)
    assert splits(settings, HIGH, LONE) == ["train", "held_out"]
    both = [
        Snap(b"Both\n", {b"x.py": b"x\n"}),
        Snap(b"One\n", {b"one.py": b"1\n"}),
        Snap(b"Two\n", {b"two.py": b"2\n"}),
    ]
    put_clone(settings, LONE + 1, both)
    run(settings)
    assert splits(settings, HIGH, LONE, LONE + 1) == ["train", "held_out", "held_out"]
    assert set(reasons(settings, HIGH).values()) <= {"split", "duplicate_patch"}
    assert "split" in reasons(settings, HIGH).values()
    assert any(one.keep for one in decisions(settings, LONE))


@pytest.mark.parametrize("shard", ["000", "001"])
@pytest.mark.parametrize("name", ["held_out_fraction", "near_duplicate", "shared_commits"])
def test_other_settings_are_refused_before_anything_is_written(
    settings: Settings, name: str, shard: str
) -> None:
    put_clone(settings, 4, BASE)
    run(settings)
    before = outputs(settings)
    state = settings.paths.artifact(curate.ARTIFACT) / settings.version / ".verdicts/state.json"
    compared = state.read_bytes()
    other = replace(settings, curate=replace(settings.curate, **{name: 0.95}))
    with pytest.raises(UserError, match=f"{name} was"):
        curate.run(other, shard)
    assert outputs(settings) == before
    assert state.read_bytes() == compared


def test_a_side_outlives_its_repositorys_absence(settings: Settings) -> None:
    settings = replace(settings, curate=HALF)
    put_clone(settings, HIGH, FORK)
    run(settings)
    clone = folder(settings, "clones", HIGH)
    (clone / f"{HIGH}.record.json").rename(clone / "kept")
    run(settings)
    assert not (folder(settings, curate.ARTIFACT, HIGH) / f"{HIGH}.jsonl").exists()
    put_clone(settings, LOW, BASE)
    run(settings)
    (clone / "kept").rename(clone / f"{HIGH}.record.json")
    run(settings)
    assert splits(settings, LOW, HIGH) == ["held_out", "train"]
    assert set(reasons(settings, HIGH).values()) == {"duplicate", "split"}


def test_a_ledger_that_is_lost_is_written_again(settings: Settings) -> None:
    put_clone(settings, 4, BASE)
    run(settings)
    ledger = settings.paths.artifact(curate.ARTIFACT) / settings.version / "sides.json"
    before = ledger.read_bytes()
    ledger.unlink()
    run(settings)
    assert ledger.read_bytes() == before


def test_after_forgetting_all_another_fraction_draws_anew(settings: Settings) -> None:
    put_clone(settings, 4, own(4))
    run(settings)
    for key in settings.shard_keys:
        forget(place(settings, curate.ARTIFACT, key, {}))
    run(replace(settings, curate=Curate(held_out_fraction=1.0)))
    assert splits(settings, 4) == ["held_out"]


def test_commits_are_never_rewritten(settings: Settings) -> None:
    put_clone(settings, 4, FORK)
    extract.run(settings, "000")
    path = settings.paths.artifact("commits") / settings.version / "000" / "4.jsonl.zst"
    before = path.read_bytes()
    run(settings)
    assert path.read_bytes() == before


def licence(settings: Settings, repo_id: int) -> list[tuple[str, str]]:
    return [(one.licence, one.licence_class) for one in decisions(settings, repo_id)]


def test_a_commit_has_the_licence_its_tree_had_before_it(settings: Settings) -> None:
    history = [
        *own(4, 2),
        Snap(b"License\n", {b"LICENSE": MIT}),
        Snap(b"After\n", {b"a.py": b"1\n"}),
        Snap(b"Closed\n", {b"LICENSE": b"All rights reserved.\n"}),
        Snap(b"Since\n", {b"a.py": b"2\n"}),
    ]
    put_clone(settings, 4, history)
    run(settings)
    none, mit = ("no_license", "no_license"), ("MIT", "permissive")
    unknown = ("NOASSERTION", "unknown")
    assert licence(settings, 4) == [none, none, none, mit, mit, unknown]
    assert record_of(settings, 4).extra["licences"] == {
        "no_license": 2,
        "permissive": 2,
        "unknown": 1,
    }


def test_the_hosts_licence_counts_where_files_say_nothing_and_can_be_stricter(
    settings: Settings,
) -> None:
    put_clone(settings, 4, [*own(4, 1), Snap(b"L\n", {b"COPYING": MIT}), *own(40, 1)])
    tell(settings, 4, licence="GPL-3.0")
    run(settings)
    assert licence(settings, 4) == [("GPL-3.0", "copyleft")] * 2 + [("MIT", "copyleft")]
    tell(settings, 4, licence="MIT")
    assert run(settings)[0].fresh == 1
    assert licence(settings, 4) == [("MIT", "permissive")] * 3


def test_findings_are_at_their_places_in_the_stored_text(settings: Settings) -> None:
    put_clone(
        settings, 4, [*own(4), Snap(b"By ann@mail.org\n", {b"m.py": b"to = 'bob@mail.org'\n"})]
    )
    run(settings)
    last = decisions(settings, 4)[-1]
    assert last.keep
    commits = list(curate.read_commits(curate.commit_file(folder(settings, "commits", 4), "4")))
    texts = {"message": commits[-1].message, "diff": commits[-1].diff}
    found = [texts[one.field][one.start : one.end] for one in last.findings]
    assert found == ["ann@mail.org", "bob@mail.org"]
    assert all(isinstance(one, Finding) for one in last.findings)
    assert record_of(settings, 4).extra["findings"] == {"email": 2}


def test_a_private_key_drops_its_commit(settings: Settings) -> None:
    key = b"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n"
    shas = put_clone(settings, 4, [*own(4), Snap(b"Key\n", {b"k.pem": key}), *own(40, 1)])
    record = run(settings)[0]
    assert reasons(settings, 4)[shas[3]] == "secret"
    assert record.counts.dropped["secret"] == 1


def test_a_benchmarks_repository_gives_nothing(settings: Settings) -> None:
    put_clone(settings, 4, BASE, name="Django/Django")
    put_clone(settings, 5, FORK, name="ann/copy", stars=99)
    put_clone(settings, 6, own(6), name="ann/django")
    run(settings)
    assert set(reasons(settings, 4).values()) == set(reasons(settings, 5).values()) == {"benchmark"}
    assert "benchmark" not in reasons(settings, 6).values()


def test_a_damaged_file_of_commits_fails_by_name_and_the_others_complete(
    settings: Settings,
) -> None:
    for repo_id in (4, 6):
        put_clone(settings, repo_id, own(repo_id))
    extract.run(settings, "000")
    path = folder(settings, "commits", 4) / "4.jsonl.zst"
    whole = path.read_bytes()
    path.write_bytes(whole[:-6] + b"\0" * 6)
    record = curate.run(settings, "000")
    assert record.counts.dropped["failed: damaged"] == 1
    assert record.counts.rows_out == 2
    assert not (folder(settings, curate.ARTIFACT, 4) / "4.jsonl").exists()
    path.write_bytes(whole)
    record = curate.run(settings, "000")
    assert record.counts.rows_out == 4
    assert not any(reason.startswith("failed") for reason in record.counts.dropped)


def test_a_clone_that_is_gone_fails_by_name(settings: Settings) -> None:
    put_clone(settings, 4, own(4))
    extract.run(settings, "000")
    shutil.rmtree(folder(settings, "clones", 4) / "4.git")
    assert curate.run(settings, "000").counts.dropped == {"failed: not_a_repository": 1}


def test_a_repository_that_left_leaves_nothing_behind(settings: Settings) -> None:
    put_clone(settings, 4, BASE)
    put_clone(settings, 6, FORK, stars=5)
    run(settings)
    shutil.rmtree(folder(settings, "clones", 6) / "6.git")
    (folder(settings, "clones", 6) / "6.record.json").unlink()
    run(settings)
    left = [
        path.name
        for artifact in (curate.ARTIFACT, curate.FACTS)
        for path in settings.paths.artifact(artifact).rglob("6.*")
    ]
    assert left == []
    assert "duplicate" not in reasons(settings, 4).values()


def test_two_processes_at_once_leave_what_one_does(extracted: Settings, tmp_path: Path) -> None:
    alone, together = (settings_at(tmp_path / name) for name in ("alone", "together"))
    for settings in (alone, together):
        shutil.copytree(extracted.paths.root, settings.paths.root)
    for shard in alone.shard_keys:
        curate.run(alone, shard)
    context = multiprocessing.get_context("forkserver")
    processes = [
        context.Process(target=curate.run, args=(together, shard)) for shard in together.shard_keys
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert outputs(together) == outputs(alone)


class Killed(BaseException):
    """The process dies here."""


def outputs(settings: Settings) -> dict[str, Any]:
    """Every file that curation leaves, without times and the list of tries."""
    found: dict[str, Any] = {}
    for artifact in (curate.ARTIFACT, curate.FACTS):
        root = settings.paths.artifact(artifact)
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root.parent))
            if name.endswith("record.json"):
                found[name] = {**json.loads(path.read_bytes()), "run": None}
            elif path.is_file() and path.name != "state.json" and path.suffix != ".attempts":
                found[name] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def extracted(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_at(tmp_path_factory.mktemp("killed"))
    put_clone(settings, 4, FORK, stars=3)
    put_clone(settings, 5, BASE)
    for shard in settings.shard_keys:
        extract.run(settings, shard)
    return settings


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_write_the_rerun_leaves_the_same(
    extracted: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    real = Path.replace

    def curated(name: str, dies_at: int | None) -> tuple[Settings, int]:
        """Curate a copy, dying at one of its writes."""
        settings = settings_at(tmp_path / name)
        shutil.copytree(extracted.paths.root, settings.paths.root)
        writes = 0

        def replacing(self: Path, target: Any) -> Path:
            nonlocal writes
            writes += 1
            if writes == dies_at and not after:
                raise Killed
            done = real(self, target)
            if writes == dies_at:
                raise Killed
            return done

        monkeypatch.setattr(Path, "replace", replacing)
        try:
            for shard in settings.shard_keys:
                curate.run(settings, shard)
        except Killed:
            pass
        finally:
            monkeypatch.setattr(Path, "replace", real)
        return settings, writes

    whole, writes = curated("whole", None)
    expected = outputs(whole)
    assert writes > 12
    for number in range(1, writes + 1):
        settings, _ = curated(f"at {number}", number)
        for shard in settings.shard_keys:
            curate.run(settings, shard)
        assert outputs(settings) == expected, number
