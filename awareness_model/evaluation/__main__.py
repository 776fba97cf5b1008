"""What a memory is worth on held-out packages: `python -m awareness_model.evaluation`.

Leaves `report.json`, `report.html`, its plots and finished cells in a folder; the same command goes
on where it was killed. `--eval-type pareto` compares stored dtypes, placements and tokens in a
slot; `--export-harness FOLDER` writes the needle tasks for lm-evaluation-harness instead of
measuring.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from awareness_model.config import UserError, default_device, default_model
from awareness_model.evaluation import run
from awareness_model.evaluation.haystack import NeedleSizes
from awareness_model.evaluation.lines import Sizes
from awareness_model.evaluation.page import page
from awareness_model.evaluation.perplexity import MEMORIES, SMALL, TEXTS
from awareness_model.evaluation.pictures import pictures
from awareness_model.evaluation.readers import PRECISIONS, UNTRAINED
from awareness_model.schema import write_atomic

KINDS = {
    "perplexity": ("perplexity",),
    "needle": ("needle",),
    "all": ("perplexity", "needle"),
    "pareto": ("pareto",),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the report. Exit status 2 with one line on a user's error."""
    args = _parser().parse_args(argv)
    job = _job(args)
    try:
        if args.export_harness:
            run.export_tasks(job, args.export_harness)
            return 0
        report = run.evaluate(job, KINDS[args.eval_type])
    except (UserError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _write(job.out, {**_before(job.out, report), **report})
    return 0


def _before(out: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Return the kinds an earlier report of the same model and sizes holds."""
    path = out / "report.json"
    there = json.loads(path.read_bytes()) if path.is_file() else {}
    same = all(
        there.get(name) == json.loads(json.dumps(report[name])) for name in ("model", "sizes")
    )
    return there if same else {}


def _write(out: Path, report: dict[str, Any]) -> None:
    text = json.dumps(report, indent=1) + "\n"
    plain = json.loads(text)
    drawn = pictures(plain)
    for name, content in drawn.items():
        write_atomic(out / name, content)
    write_atomic(out / "report.html", page(plain, drawn).encode())
    write_atomic(out / "report.json", text.encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m awareness_model.evaluation")
    parser.add_argument("--out", type=Path, required=True, help="folder of report and cells")
    parser.add_argument("--eval-type", choices=list(KINDS), default="all")
    parser.add_argument("--export-harness", type=Path, help="write the harness's tasks there")
    parser.add_argument("--model", default=default_model(), help="folder or hub id")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--precision", choices=list(PRECISIONS), default="float32")
    parser.add_argument("--dtype", default="float32", help="of stored memory")
    parser.add_argument("--dtypes", nargs="+", default=list(run.DTYPES), help="for pareto")
    parser.add_argument("--placements", nargs="+", default=list(run.PLACEMENTS), help="for pareto")
    parser.add_argument("--poolings", type=int, nargs="+", default=list(run.POOLINGS))
    parser.add_argument(
        "--reader", nargs="+", default=[UNTRAINED], help="folders of trained readers, or none"
    )
    parser.add_argument("--control", default="", help="a reader trained on shuffled memory")
    parser.add_argument("--corpus", type=Path, help="packages as JSON lines, not those installed")
    parser.add_argument("--embedder", default="", help="folder of all-MiniLM-L6-v2: RAG by it too")
    parser.add_argument("--conditions", nargs="+", choices=(*TEXTS, *MEMORIES), default=list(SMALL))
    parser.add_argument("--batch", type=int, default=1, help="rows scored at a time")
    _add(parser, Sizes, "")
    _add(parser, NeedleSizes, "needle-")
    return parser


def _add(parser: argparse.ArgumentParser, sizes: Any, prefix: str) -> None:
    """Add an option for each size: `--lines`, `--needle-asked`, …"""
    for one in fields(sizes):
        many = isinstance(one.default, tuple)
        parser.add_argument(
            f"--{prefix}{one.name.replace('_', '-')}",
            type=int if many else type(one.default),
            nargs="+" if many else None,
            default=one.default,
            dest=f"{prefix}{one.name}",
        )


def _sizes(args: argparse.Namespace, sizes: Any, prefix: str) -> Any:
    given = {one.name: getattr(args, f"{prefix}{one.name}") for one in fields(sizes)}
    return sizes(**{name: tuple(v) if isinstance(v, list) else v for name, v in given.items()})


def _job(args: argparse.Namespace) -> run.Job:
    return run.Job(
        out=args.out,
        model=args.model,
        device=args.device,
        precision=args.precision,
        dtype=args.dtype,
        readers=tuple(args.reader),
        control=args.control,
        corpus=args.corpus,
        conditions=tuple(args.conditions),
        sizes=_sizes(args, Sizes, ""),
        needle=_sizes(args, NeedleSizes, "needle-"),
        dtypes=tuple(args.dtypes),
        placements=tuple(args.placements),
        poolings=tuple(args.poolings),
        embedder=args.embedder,
        batch=args.batch,
    )


if __name__ == "__main__":
    raise SystemExit(main())
