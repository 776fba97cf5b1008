"""How much memory each stage takes over histories of two sizes: `python -m tests.faults.memory_run
FOLDER`. Prints `{"tree_kb": [small, large], "peak_mb": {stage: [small, large]}}`.

Peaks are those of the stage's process or of a child of its, whichever is larger (`ru_maxrss`). The
processes are forked from one with everything imported, so all begin at its size. Limits: git's own
memory shows only beyond that size (`tests/pipeline/gitio/test_memory.py` looks at it).
"""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

from awareness_pipeline import config, flow
from awareness_pipeline.sandbox.generator.fastimport import write_repository
from awareness_pipeline.sandbox.generator.history import Commit
from tests.faults import forks
from tests.faults.flow_run import run_stage, small

SIZES = (6, 60)
"""Files of a repository."""
REPOSITORIES = 8
LINES = 60
DAY_S = 86_400
START = 1_700_000_000


def history(name: str, files: int) -> list[Commit]:
    """Return a first commit of so many files, and one for every second file that changes it."""
    tree = {path(name, number): text(name, number, 0) for number in range(files)}
    commits = [Commit(f"Begin {name}", "Ann Lee", START, (), dict(tree))]
    for number in range(0, files, 2):
        tree[path(name, number)] = text(name, number, 1 + number)
        said = f"Raise the limit of step {number} of {name}, since requests were refused"
        when = START + DAY_S * (1 + number)
        commits.append(Commit(said, "Ann Lee", when, (len(commits) - 1,), dict(tree)))
    return commits


def path(name: str, number: int) -> str:
    """Return where a module lies."""
    return f"{name}/step_{number}.py"


def text(name: str, number: int, turn: int) -> bytes:
    """Return a module that uses the one before it, in words of its own."""
    before, draw = max(number - 1, 0), Random(f"{name} {number}")
    limit = f"LIMIT_{before}"
    head = f'"""Step {number} of {name}."""\n\nfrom {name}.step_{before} import {limit}\n\n'
    head += f"LIMIT_{number} = {100 + number + 7 * turn}\n"
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvw", k=6)) for _ in range(LINES)]
    body = "".join(
        f"\n\ndef {one}({two}):\n    {three} = {two} * {number}\n    return {three} + {limit}\n"
        for one, two, three in zip(words[::3], words[1::3], words[2::3], strict=True)
    )
    return (head + body).encode()


def settings_of(folder: Path, files: int) -> config.Settings:
    """Make the repositories of a size; return the settings of a flow over them."""
    source = folder / f"source-{files}"
    for number in range(REPOSITORIES):
        write_repository(source / f"shop{number}.git", history(f"shop{number}", files))
    made = small(folder / f"root-{files}", config.Source().url, folder / "model")
    # Room for what these files' prompts and documents need.
    return replace(
        made,
        source=config.Source(local=source),
        distil=replace(made.distil, max_context_tokens=2_048),
        encode=replace(made.encode, max_repository_tokens=2_400),
    )


def peaks(settings: config.Settings, log: Path) -> dict[str, int]:
    """Run the flow; return the peak of each stage in MB."""
    found = {}
    for name in flow.STAGES:
        child = forks.fork(lambda name=name: run_stage(settings, name), log)
        _, status, used = os.wait4(child, 0)
        assert status == 0, log.read_text()
        found[name] = used.ru_maxrss >> 10
        print(f"{name}: {found[name]} MB", file=sys.stderr, flush=True)
    return found


def main(folder: Path) -> None:
    """Measure both sizes."""
    # A compiler that `train` has to start first would be its largest child.
    prepare = [sys.executable, "-m", "awareness_model.train", "--prepare"]
    subprocess.run(prepare, check=True, stdout=sys.stderr)
    forks.import_all()
    forks.forked_models()
    log = folder / "log"
    _, status = os.waitpid(forks.fork(lambda: forks.save_model(folder / "model"), log), 0)
    assert status == 0, log.read_text()
    sources = [settings_of(folder, files) for files in SIZES]
    each = [peaks(settings, log) for settings in sources]
    read = [sum(map(len, history("shop0", files)[-1].files.values())) for files in SIZES]
    peak = {name: [one[name] for one in each] for name in flow.STAGES}
    print(json.dumps({"tree_kb": [size * REPOSITORIES >> 10 for size in read], "peak_mb": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
