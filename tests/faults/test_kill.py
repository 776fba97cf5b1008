"""kill -9 in every stage, then the same command: the same outputs, nothing finished done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from awareness_pipeline import flow
from awareness_pipeline.config import PROJECT, Paths
from awareness_pipeline.digest import digests
from awareness_pipeline.sandbox import build, server

KILLED_IN = (
    "repositories",
    "clones",
    "commits",
    "task_prompts",
    "teacher_traces",
    "data_evidence",
    "memory_shards",
)
DEADLINE_S = 150


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
    """Runs of the small flow on one root, in processes that can be killed."""

    def __init__(self, root: Path, api_url: str, model: Path) -> None:
        self.root = root
        self._command = [sys.executable, "-m", "tests.faults.flow_run"]
        self._command += [str(root), api_url, str(model)]

    def finish(self) -> None:
        done = subprocess.run(self._command, cwd=PROJECT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def kill_when(self, ready: Callable[[], bool]) -> None:
        with subprocess.Popen(
            self._command, cwd=PROJECT, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            deadline = time.monotonic() + DEADLINE_S
            while not ready():
                assert process.poll() is None, "the flow ended before its kill"
                assert time.monotonic() < deadline, "the moment to kill never came"
                time.sleep(0.005)
            os.kill(process.pid, signal.SIGKILL)

    def started(self, artifact: str) -> Callable[[], bool]:
        """True from the first file that a stage writes on: mostly in the middle of a unit."""
        folder = self.root / artifact / "small"
        return lambda: any(path.is_file() for path in folder.rglob("*"))

    def digest(self) -> dict[str, object]:
        return digests(Paths(root=self.root), "small")

    def stamps(self) -> dict[str, int]:
        """When each finished unit was written."""
        records = self.root.glob("*/small/*/*.record.json")
        return {str(path): path.stat().st_mtime_ns for path in records}

    def leftovers(self) -> list[str]:
        return [str(path) for path in self.root.rglob("*.aside")] + [
            str(path) for path in self.root.rglob(".work")
        ]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, api_url: str, model: Path) -> Flow:
    run = Flow(tmp_path_factory.mktemp("undisturbed"), api_url, model)
    run.finish()
    return run


@pytest.mark.timeout(600)
@pytest.mark.xdist_group("kill")
def test_flow_killed_in_every_stage_ends_with_the_same_outputs(
    tmp_path: Path, api_url: str, model: Path, undisturbed: Flow
) -> None:
    run = Flow(tmp_path / "root", api_url, model)
    kept: dict[str, int] = {}
    for artifact in KILLED_IN:
        run.kill_when(run.started(artifact))
        now = run.stamps()
        redone = [path for path, stamp in kept.items() if now.get(path) != stamp]
        assert not redone, f"killed in {artifact}: finished units were done again: {redone}"
        kept = now
    checkpoints = run.root / "gca_checkpoint"
    run.kill_when(lambda: any("record.json" in path.name for path in checkpoints.rglob("*")))
    run.finish()
    assert run.digest() == undisturbed.digest()
    assert run.leftovers() == []


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("kill")
def test_second_run_finds_everything_done(undisturbed: Flow) -> None:
    before = undisturbed.stamps()
    undisturbed.finish()
    assert undisturbed.stamps() == before


@pytest.mark.timeout(300)
@pytest.mark.xdist_group("kill")
def test_removing_one_commit_file_redoes_that_repository_alone(undisturbed: Flow) -> None:
    before, digest = undisturbed.stamps(), undisturbed.digest()
    victim = min(undisturbed.root.glob("commits/small/*/*.jsonl.zst"))
    victim.unlink()
    undisturbed.finish()
    after = undisturbed.stamps()
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
