"""The memory of each stage stays below a ceiling while its input grows."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from awareness_pipeline import flow
from awareness_pipeline.config import PROJECT

CEILING_MB = 1_000
"""For any stage's process: what Python, torch, transformers and DeepSpeed take before any work is
two thirds of it."""
GROWTH_MB = 16
"""Between the two sizes, a factor of 10."""
NOISE_MB = 128
"""The same for stages that run a model: equal runs of those differ by 50 MB and more."""
MODELS = ("reverse", "distil", "audit", "encode", "train", "evaluate")


@pytest.mark.timeout(600)
def test_no_stage_takes_more_for_a_larger_history(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.memory_run", str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    small, large = measured["tree_kb"]
    assert large > 9 * small
    peaks = measured["peak_mb"]
    assert list(peaks) == list(flow.STAGES)
    assert {name: peak for name, peak in peaks.items() if max(peak) > CEILING_MB} == {}
    grown = {name: large - small for name, (small, large) in peaks.items()}
    most = {name: NOISE_MB if name in MODELS else GROWTH_MB for name in grown}
    assert {name: by for name, by in grown.items() if by > most[name]} == {}
