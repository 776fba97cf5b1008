"""Lists of names and the liveness sweep, against the sandbox's API."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from awareness_pipeline.artifacts import Counts, Record, place
from awareness_pipeline.catalog import Catalog
from awareness_pipeline.config import Paths, Settings, Source, UserError, demo
from awareness_pipeline.sandbox.server import Sandbox, serve
from awareness_pipeline.sandbox.universe import SandboxRepo, Universe
from awareness_pipeline.stages import discover
from awareness_pipeline.stages.liveness import sweep
from tests.pipeline import universes
from tests.pipeline.github.clock import FakeTime

HOST = "127.0.0.1"
REPOS = tuple(universes.one(number, language="Go") for number in range(1, 9))
Change = Callable[[SandboxRepo], SandboxRepo | None]


def settings_for(root: Path, url: str) -> Settings:
    return replace(demo(), paths=Paths(root=root), source=Source(url=url))


@pytest.fixture
def known(tmp_path: Path) -> Settings:
    """Settings of a catalog that knows the eight repositories."""
    with serve(Universe(REPOS)) as sandbox:
        settings = settings_for(tmp_path / "data", sandbox.api_url)
        discover.run(settings, "Go", FakeTime().clock)
    return settings


def swept(settings: Settings, repos: tuple[SandboxRepo, ...], days: float = -1) -> dict[str, int]:
    with serve(Universe(repos)) as sandbox:
        there = replace(settings, source=Source(url=sandbox.api_url))
        found = sweep(there, days, FakeTime().clock)
        assert sum(found.values()) == sum("/repositories/" in call.path for call in sandbox.calls)
        return found


def test_sweep_tells_what_became_of_each(known: Settings) -> None:
    changed: dict[int, Any] = {
        1: None,
        2: {"blocked": True},
        3: {"private": True},
        4: {"full_name": "new/name", "former_names": ("owner/r4",)},
        5: {"archived": True},
    }
    now = tuple(
        replace(repo, **changed.get(repo.id, {}))
        for repo in REPOS
        if changed.get(repo.id, {}) is not None
    )
    found = swept(known, now)
    # To those without a token what is private is as good as gone.
    assert found == {"alive": 3, "archived": 1, "blocked": 1, "gone": 2, "renamed": 1}
    with Catalog(known.paths.database_url) as catalog:
        rows = {row.external_id: row for row in catalog.repositories(HOST)}
        assert catalog.states(HOST)["blocked"] == 1
    assert rows["4"].full_name == "new/name"
    assert rows["5"].archived
    # Withdrawn for every stage; what is only gone keeps what was cloned.
    assert "2" not in rows
    assert "1" in rows
    # It is back: so it is handed out again.
    assert swept(known, REPOS)["alive"] >= 6
    with Catalog(known.paths.database_url) as catalog:
        assert len(catalog.repositories(HOST)) == 8


def test_sweep_leaves_alone_what_was_heard_of_lately(known: Settings) -> None:
    assert swept(known, REPOS, days=30) == {}


def test_killed_sweep_goes_on_with_the_rest(
    known: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert, left = Catalog.upsert, 4

    def deadly(self: Catalog, *args: Any, **kwargs: Any) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            raise KeyboardInterrupt
        return upsert(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        # All eight were heard of just now; nothing is younger than this sweep asks for.
        patch.setattr("awareness_pipeline.catalog.store.utc_now", lambda: "2099-01-01T00:00:00Z")
        patch.setattr(Catalog, "upsert", deadly)
        with pytest.raises(KeyboardInterrupt):
            swept(known, REPOS)
    assert swept(known, REPOS)["alive"] == 5


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    renamed = replace(REPOS[0], full_name="new/name", former_names=("owner/r1",))
    blocked = replace(REPOS[1], blocked=True)
    html = universes.one(50, language="HTML")
    with serve(Universe((renamed, blocked, *REPOS[2:], html))) as served:
        yield served


def listed(settings: Settings, sandbox: Sandbox, text: str) -> Record:
    file = settings.paths.root.parent / "names.txt"
    file.write_text(text)
    source = Source(url=sandbox.api_url, listing=file)
    return discover.run(replace(settings, source=source), "listed", FakeTime().clock)


NAMES = """# what we want
Owner/R1
{site}/owner/r3.git
owner/r3
owner/r2

owner/r50  # not a language of the tiers
nobody/nothing
"""


def test_listed_names_are_looked_up_once_each(tmp_path: Path, sandbox: Sandbox) -> None:
    settings = settings_for(tmp_path / "data", sandbox.api_url)
    text = NAMES.format(site=sandbox.git_url)
    record = listed(settings, sandbox, text)
    assert record.counts == Counts(5, 3, {"blocked": 1, "gone": 1})
    with Catalog(settings.paths.database_url) as catalog:
        found = {row.full_name: row.language for row in catalog.repositories(HOST)}
    assert found == {"new/name": "Go", "owner/r3": "Go", "owner/r50": "HTML"}
    asked = len(sandbox.calls)
    again = listed(settings, sandbox, text)
    assert (again.fresh, again.digest, len(sandbox.calls)) == (0, record.digest, asked)
    more = listed(settings, sandbox, text + "owner/r4\n")
    assert (more.counts.rows_out, len(sandbox.calls)) == (4, asked + 1)
    folder = place(settings, "repositories", "listed", {}).folder
    assert len((folder / "listed.jsonl").read_text().splitlines()) == 4


def test_listed_name_that_the_catalog_knows_costs_no_call(tmp_path: Path, sandbox: Sandbox) -> None:
    settings = settings_for(tmp_path / "data", sandbox.api_url)
    discover.run(settings, "Go", FakeTime().clock)
    asked = len(sandbox.calls)
    assert listed(settings, sandbox, "owner/r5\nowner/r6\n").counts == Counts(2, 2, {})
    assert len(sandbox.calls) == asked


def test_listed_repositories_are_selected_whatever_the_sampling(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    settings = settings_for(tmp_path / "data", sandbox.api_url)
    few = replace(settings, discover=replace(settings.discover, languages=("Go",), target=2))
    listed(settings, sandbox, "owner/r50\n")
    discover.ahead(few, ["Go"], FakeTime().clock)
    with Catalog(settings.paths.database_url) as catalog:
        selected = catalog.selected(HOST)
        chosen = {row.external_id for row in catalog.repositories(HOST) if row.repo_id in selected}
        assert catalog.count(HOST) == 8
    assert len(chosen) == 3
    assert "50" in chosen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("owner/r1\nnot a name\nowner/r3", "line 2: neither owner/name nor"),
        ("https://elsewhere.example/a/b", "line 1: an address of another host"),
        ("\n# nothing\n", "names no repository"),
    ],
)
def test_bad_list_is_refused_before_anything_is_asked(
    tmp_path: Path, sandbox: Sandbox, text: str, says: str
) -> None:
    settings = settings_for(tmp_path / "data", sandbox.api_url)
    (tmp_path / "data").mkdir()
    with pytest.raises(UserError, match=says):
        listed(settings, sandbox, text)
    assert sandbox.calls == []
