"""A code location of few repositories and four shards, for workers that are processes.

`python -m tests.pipeline.cluster.small_flow STAGE` runs the flow up to a stage without Dagster, in
one process: what the workers' outputs are compared with. The environment says where. Where files
are in a bucket, each process has a root of its own below AWARENESS_ROOT, as containers have; with
MEET, a folder, no process extracts before so many have come to extract as there are shards.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from awareness_pipeline import config, flow
from awareness_pipeline.artifacts import Record
from awareness_pipeline.config import Settings


def settings() -> Settings:
    """Return the settings of the environment, cut down to one language and few commits."""
    asked = config.load("demo")
    if asked.paths.store:
        root = asked.paths.root / f"worker{os.getpid()}"
        asked = replace(asked, paths=replace(asked.paths, root=root))
    return replace(
        asked,
        shards=4,
        discover=replace(asked.discover, languages=("Python",)),
        extract=replace(asked.extract, max_commits=12),
    )


def meet(step: flow.Step) -> flow.Step:
    """Return the step with a wait for the other shards' workers before each partition."""
    folder = Path(os.environ["MEET"])

    def run(asked: Settings, partition: str) -> Record:
        (folder / partition).touch()
        while len(list(folder.iterdir())) < asked.shards:
            time.sleep(0.05)
        return step.run(asked, partition)

    return replace(step, run=run)


if "MEET" in os.environ:
    flow.FLOW = tuple(meet(step) if step.name == "extract" else step for step in flow.FLOW)

if __name__ == "__main__":
    flow.run_flow(settings(), until=sys.argv[1])
else:
    from awareness_pipeline.defs.location import location

    defs = location(settings())
