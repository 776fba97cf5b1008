"""Ten random kills and a full and a read-only disk, on a flow that must end as if nothing had been.

`python -m tests.faults.chaos --kills 200` is the long form; a seed that fails can be run alone.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from awareness_pipeline.config import PROJECT

SEED, KILLS, FAULTS = 18, 10, 4


@pytest.mark.timeout(900)
@pytest.mark.xdist_group("kill")
def test_ten_random_kills_leave_what_no_kill_leaves(tmp_path: Path) -> None:
    table = tmp_path / "chaos.json"
    command = [sys.executable, "-m", "tests.faults.chaos", "--seed", str(SEED)]
    command += ["--kills", str(KILLS), "--faults", str(FAULTS), "--out", str(table)]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(table.read_text())
    assert (found["redone"], found["leftovers"], found["wrong"]) == (0, 0, [])
    assert found["kills"] >= KILLS
    assert sum(found["faults"].values()) >= FAULTS
    assert found["kept"] > 0
