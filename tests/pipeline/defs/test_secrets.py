"""What Dagster stores of runs in which all went wrong holds no secret: events, tags, logs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from awareness_pipeline.config import Settings, UserError
from awareness_pipeline.defs import demo
from awareness_pipeline.sandbox import build, server
from awareness_pipeline.sandbox.gitfaults import GitFault, GitFaultKind
from tests.pipeline import leaks
from tests.pipeline.defs.conftest import new_home, settings_of


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[server.Sandbox]:
    universe = build.build(tmp_path / "universe", project=tmp_path, folders=())
    with server.serve(universe, tokens=(f"{leaks.MARK}good",)) as served:
        yield served


def with_secrets(settings: Settings, *tokens: str) -> Settings:
    return replace(
        settings,
        shards=1,
        source=replace(settings.source, tokens=tuple(f"{leaks.MARK}{one}" for one in tokens)),
        discover=replace(settings.discover, languages=("Go",)),
        teacher=replace(settings.teacher, key=f"{leaks.MARK}teacher"),
    )


def test_an_instance_keeps_no_secret_of_runs_that_went_wrong(
    sandbox: server.Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in leaks.SECRETS.items():
        monkeypatch.setenv(name, value)
    kept = tmp_path / "kept"
    home = new_home(kept / "home")
    settings = with_secrets(settings_of(sandbox.api_url, kept / "data"), "dead", "good")
    sandbox.git_faults.add(GitFault(GitFaultKind.BLOCKED), GitFault(GitFaultKind.CORRUPT))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        demo.materialize(settings, instance, until="clone")
        refused = with_secrets(settings_of(sandbox.api_url, kept / "other"), "dead", "gone")
        with pytest.raises(UserError, match="token"):
            demo.materialize(refused, instance, until="discover")
        statuses = {run.status for run in instance.get_runs()}
    assert statuses == {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}
    assert leaks.in_folder(kept) == []
    said = capfd.readouterr()
    assert not leaks.holds((said.out + said.err).encode())
