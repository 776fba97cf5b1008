"""The whole flow at its smallest, as a process of its own: `python -m tests.faults.flow_run`.

Recipe `demo()` with a tiny random model, one shard and few rows, so that a run takes seconds beside
the start of its child processes. A stage waits until the one before it has no failed units, as
someone who wants the same outputs would: caps and sides are dealt to the repositories there.
"""

import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from awareness_pipeline import config, flow
from awareness_pipeline.cli.errors import line_for

USER_CAN_MEND, FAILED_UNITS = 2, 3


def small(root: Path, api_url: str, model: Path) -> config.Settings:
    """Return settings for a run that touches everything once."""
    demo = config.demo()
    return replace(
        demo,
        version="small",
        shards=1,
        model=str(model),
        paths=config.Paths(root=root),
        source=config.Source(url=api_url, search_interval_s=0.001),
        discover=replace(demo.discover, languages=("Python",)),
        extract=replace(demo.extract, max_commits=12),
        reverse=replace(demo.reverse, max_commits=4, max_new_tokens=8),
        distil=replace(
            demo.distil,
            max_traces=6,
            max_reconstruction=8,
            max_state=6,
            max_new_tokens=8,
            top_k=4,
        ),
        audit=replace(demo.audit, max_commits=3, max_tasks=2),
        encode=replace(demo.encode, max_repository_tokens=400),
        train=replace(demo.train, steps=6, batch_size=2, checkpoint_every=2),
        evaluate=replace(demo.evaluate, max_items=8),
    )


def run(settings: config.Settings) -> int:
    """Run the flow; return the exit status, having said in one line why it is not 0.

    Raises:
        Exception: whatever is no fault of the surroundings.
    """
    return next(filter(None, (run_stage(settings, name) for name in flow.STAGES)), 0)


def run_stage(settings: config.Settings, name: str) -> int:
    """Run one stage; otherwise as `run`."""
    try:
        records = flow.run_step(settings, name)
    except Exception as error:
        line = line_for(error)
        if line is None:
            raise
        print(f"error: {line}", flush=True)
        return USER_CAN_MEND
    if failed := sum(map(failures, records), Counter()):
        print(f"failed: {name}: {dict(failed)}", flush=True)
        return FAILED_UNITS
    return 0


def failures(record: flow.Record) -> Counter[str]:
    """Return what a run could not do, by reason."""
    dropped = record.counts.dropped.items()
    return Counter({why: n for why, n in dropped if why == "pending" or why.startswith("failed")})


if __name__ == "__main__":
    root, url, model = sys.argv[1:]
    raise SystemExit(run(small(Path(root), url, Path(model))))
