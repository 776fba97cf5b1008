"""Are prompts and traces of real histories worth anything? `python -m tests.bench.evidence FOLDER`.

Runs the flow from discovery to audit over the git repositories below a local folder, with the model
on this machine as teacher, and writes the audit's report to `results/evidence.json`. Work is kept
under `data/evidence`: a run that was cut off goes on where it was. By hand: about an hour on two
cores. Limits: one model, one seed; whoever runs it chooses the repositories.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

from awareness_model.schema import write_atomic
from awareness_pipeline.config import Audit, Distil, Reverse, Settings, load
from awareness_pipeline.flow import run_step
from awareness_pipeline.report import summary

STAGES = ("discover", "clone", "extract", "curate", "reverse", "distil", "audit")
COMMITS, TRACES = 60, 64


def settings(folder: Path, root: Path) -> Settings:
    """Return the flow's settings: some commits of every repository, none of the spans."""
    found = load("pilot")
    return replace(
        found,
        version="evidence",
        shards=1,
        paths=replace(found.paths, root=root),
        source=replace(found.source, local=folder),
        reverse=Reverse(max_commits=COMMITS, max_prompt_tokens=640, max_new_tokens=56),
        distil=Distil(max_traces=TRACES, target="both", max_reconstruction=0, max_state=0),
        audit=Audit(max_context_tokens=768, max_prompt_tokens=192),
    )


def main() -> None:
    """Run what is not done, print and write the evidence."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="git repositories lie below it")
    parser.add_argument("--root", type=Path, default=Path("data") / "evidence")
    args = parser.parse_args()
    chosen = settings(args.folder, args.root)
    for stage in STAGES:
        for record in run_step(chosen, stage):
            print(f"{stage}: {record.counts}", flush=True)
    found = summary(chosen.paths, chosen.version)
    command = "python -m tests.bench.evidence FOLDER"
    kept = {"command": command, "prompts": found["prompts"], "evidence": found["evidence"]}
    write_atomic(Path("results") / "evidence.json", (json.dumps(kept, indent=1) + "\n").encode())
    print(json.dumps(found["evidence"], indent=1))


if __name__ == "__main__":
    main()
