"""A worker without Dagster: `python -m tests.pipeline.cluster.worker PARTITION STAGE…`.

The environment says where everything is. Before each stage it says `ready STAGE`, and goes on when
it is told a line; so a test decides what runs at the same time.
"""

import sys

from awareness_pipeline import config, flow


def main(partition: str, *stages: str) -> None:
    settings = config.load("demo")
    for stage in stages:
        print(f"ready {stage}", flush=True)
        sys.stdin.readline()
        flow.run_step(settings, stage, [partition])


if __name__ == "__main__":
    main(*sys.argv[1:])
