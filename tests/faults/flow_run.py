"""The whole flow at its smallest, as a process of its own: `python -m tests.faults.flow_run`.

Recipe `demo()` with a tiny random model, one shard and few rows, so that a run takes seconds beside
the start of its child processes.
"""

import sys
from dataclasses import replace
from pathlib import Path

from awareness_pipeline import config, flow


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


def main(argv: list[str]) -> None:
    """Run the flow: ROOT API_URL MODEL."""
    flow.run_flow(small(Path(argv[0]), argv[1], Path(argv[2])))


if __name__ == "__main__":
    main(sys.argv[1:])
