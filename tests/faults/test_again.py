"""The same flow again, in a process of its own: what is finished is not done twice."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from awareness_pipeline import flow
from awareness_pipeline.config import PROJECT, Paths
from awareness_pipeline.digest import digests
from awareness_pipeline.sandbox import build, server
from tests.faults.left import stamps


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "tiny"
    code = "import sys; from awareness_model.tiny import save_tiny; save_tiny(*sys.argv[1:3])"
    subprocess.run([sys.executable, "-c", code, str(folder), "llama"], check=True)
    return folder


@pytest.fixture(scope="module")
def api_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("universe")
    with server.serve(build.build(folder, project=folder, folders=())) as sandbox:
        yield sandbox.api_url


class Flow:
    """Runs of the small flow on one root, in processes of their own."""

    def __init__(self, root: Path, api_url: str, model: Path) -> None:
        self.root = root
        self._command = [sys.executable, "-m", "tests.faults.flow_run"]
        self._command += [str(root), api_url, str(model)]

    def finish(self) -> None:
        done = subprocess.run(self._command, cwd=PROJECT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def digest(self) -> dict[str, object]:
        return digests(Paths(root=self.root), "small")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, api_url: str, model: Path) -> Flow:
    run = Flow(tmp_path_factory.mktemp("undisturbed"), api_url, model)
    run.finish()
    return run


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("kill")
def test_second_run_finds_everything_done(undisturbed: Flow) -> None:
    before = stamps(undisturbed.root)
    undisturbed.finish()
    assert stamps(undisturbed.root) == before


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("kill")
def test_removing_one_commit_file_redoes_that_repository_alone(undisturbed: Flow) -> None:
    before, digest = stamps(undisturbed.root), undisturbed.digest()
    victim = min(undisturbed.root.glob("commits/small/*/*.jsonl.zst"))
    victim.unlink()
    undisturbed.finish()
    after = stamps(undisturbed.root)
    changed = {path for path in after if after[path] != before[path]}
    key = victim.name.split(".")[0]
    assert {Path(path).name for path in changed} == {f"{key}.record.json"}
    assert {Path(path).parts[-4] for path in changed} == {"commits"}
    assert undisturbed.digest() == digest


@pytest.mark.xdist_group("kill")
def test_every_stage_left_what_the_next_one_reads(undisturbed: Flow) -> None:
    for step in flow.FLOW:
        for path in undisturbed.root.glob(f"{step.artifact}/small/*/record.json"):
            result = json.loads(path.read_text())["result"]
            assert result["out"] > 0, step.name
            assert result["in"] >= result["out"] or step.name in ("distil", "encode"), step.name
