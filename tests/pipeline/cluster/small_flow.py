"""A code location of few repositories and four shards, for workers that are processes.

`python -m tests.pipeline.cluster.small_flow STAGE` runs the flow up to a stage without Dagster, in
one process: what the workers' outputs are compared with. The environment says where.
"""

import sys
from dataclasses import replace

from awareness_pipeline import config, flow
from awareness_pipeline.config import Settings


def settings() -> Settings:
    """Return the settings of the environment, cut down to one language and few commits."""
    asked = config.load("demo")
    return replace(
        asked,
        shards=4,
        discover=replace(asked.discover, languages=("Python",)),
        extract=replace(asked.extract, max_commits=12),
    )


if __name__ == "__main__":
    flow.run_flow(settings(), until=sys.argv[1])
else:
    from awareness_pipeline.defs.location import location

    defs = location(settings())
