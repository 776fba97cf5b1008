"""prove: does the wiring of memory work? `python -m awareness_model.prove`, or `make prove`.

A small decoder is trained from scratch with memory, through the product's own encoder, memory,
gated cross-attention, losses and training step, to look up `name = 4831` among 1, 2, 4 and then 8
documents; and again with shuffled memory, which must teach nothing (C7). Proved: exact match of at
least .95 with its own memory, and chance with another's, for every family and seed. Exit status 1
where it is not.

Runs are rows of `<out>/runs.jsonl`; a kill costs the runs in hand, and a rerun does no finished one
again. `--ablate` runs variants of one setting instead, as many as `--cpu-minutes` allow. Limits:
names of three letters, values of four digits, documents of one line: that the parts are wired, not
that a real decoder reads code.
"""

import argparse
import json
import math
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from awareness_model.config import UserError, default_device
from awareness_model.proof import ablated, report, variants
from awareness_model.proof.plan import FAMILIES
from awareness_model.proof.runs import rows_of
from awareness_model.schema import write_atomic

LABEL = "prove"


def main(arguments: Sequence[str] | None = None) -> int:
    """Prove or ablate; return 0 where the wiring is proved (or the ablations ran), else 1."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    command = shlex.join(["python", "-m", "awareness_model.prove", *given])
    try:
        return _prove(options, command) if options.ablate is None else _ablate(options, command)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m awareness_model.prove",
        description="Prove on a small decoder that training with memory teaches it to read memory.",
    )
    parser.add_argument("--family", nargs="+", choices=FAMILIES, help="both; of variants llama")
    parser.add_argument("--seeds", type=int, nargs="+", help="what is drawn from")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--jobs", type=int, default=1, help="processes, one thread each")
    parser.add_argument("--out", type=Path, default=Path("outputs/prove"), help="runs, to resume")
    parser.add_argument("--results", type=Path, help="where to write the result's JSON")
    parser.add_argument("--plot", type=Path, help="where to draw the curves, a PNG")
    parser.add_argument(
        "--ablate",
        nargs="*",
        choices=list(variants.VARIANTS),
        metavar="VARIANT",
        help="run variants of one setting: those named, else all of "
        + "; ".join(f"`{name}`" for name in variants.VARIANTS).replace("%", "%%"),
    )
    parser.add_argument("--steps", type=int, default=variants.ABLATION_STEPS, help="of a variant")
    parser.add_argument(
        "--cpu-minutes", type=float, default=math.inf, help="begin no more variants after so many"
    )
    return parser


def _prove(options: argparse.Namespace, command: str) -> int:
    plans = variants.proof(options.family or FAMILIES, options.seeds or variants.SEEDS)
    rows = rows_of(options.out / "runs.jsonl", plans, options.device, options.jobs, _say)
    found = report.result(rows, command, options.device)
    _write(options, found)
    if options.plot:
        report.plot(rows, options.plot)
    print(report.table(rows))
    print("proved" if found["proved"] else "NOT proved: " + "; ".join(found["failures"]))
    return 0 if found["proved"] else 1


def _ablate(options: argparse.Namespace, command: str) -> int:
    named = variants.ablations(
        options.ablate or tuple(variants.VARIANTS),
        options.family or FAMILIES[:1],
        options.seeds or variants.ABLATION_SEEDS,
        options.steps,
    )
    path, most = options.out / "runs.jsonl", 60 * options.cpu_minutes
    plans = variants.by_turns(named)
    rows = rows_of(path, plans, options.device, options.jobs, _say, most)
    by_id = {row["id"]: row for row in rows}
    runs = {n: [by_id[one.id] for one in group if one.id in by_id] for n, group in named.items()}
    table = ablated.variants(runs)
    _write(options, ablated.result(table, rows, command, options.device))
    if options.plot:
        ablated.bars(table, options.plot)
    print(ablated.table(table))
    return 0


def _write(options: argparse.Namespace, found: object) -> None:
    if options.results:
        write_atomic(options.results, (json.dumps(found, indent=1) + "\n").encode())


def _say(done: int, total: int) -> None:
    """Print one progress line, which the pipeline turns into a bar."""
    print(json.dumps({"progress": {"label": LABEL, "done": done, "total": total}}), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
