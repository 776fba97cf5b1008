"""What trainings have kept: `python -m awareness_model.checkpoints ls|prune|export FOLDER`.

    ls FOLDER                every checkpoint below it, lowest step first
    prune FOLDER --keep N    keep the newest N that each training could go on from; finished readers
                             stay
    export FOLDER OUT        the newest (or the one that FOLDER is) in the form that
                             `ReasoningDecoder.from_pretrained` loads: weights and record alone

`export --bf16` halves the size: projections become bfloat16, gates and norm gains stay fp32.
Limits: a folder that is being trained in is locked, and not pruned.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awareness_model import checkpoint, ranks
from awareness_model.config import UserError

MIB = 1 << 20
COLUMNS = ("step", "loss", "S", "mib", "layout", "model", "path")


def listed(root: Path) -> list[dict[str, Any]]:
    """Return a row per checkpoint below a folder; a loss or S is that of its training's last line
    up to the step, None where there is no such line.

    Raises:
        UserError: no such folder, or a checkpoint of another form or damaged.
    """
    return [_row(folder) for folder in _found(root)]


def prune(root: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` of every training's checkpoints; return what went.

    Raises:
        UserError: no such folder, `keep` below 1, or a training is at work there.
    """
    if keep < 1:
        raise UserError("--keep is 1 or more: without a checkpoint a training begins anew")
    before = _found(root)
    for training in sorted({one.parent.parent for one in before if _to_resume(one)}):
        with ranks.locked(training / ".lock", wait_s=0.0):
            checkpoint.prune(training / "checkpoints", keep)
    return [one for one in before if not one.exists()]


def export(source: Path, target: Path, bf16: bool = False) -> checkpoint.CheckpointRecord:
    """Write a checkpoint as a reader to keep: the finished one, else that of the highest step.

    Raises:
        UserError: nothing there, damaged, or something else stands at `target`.
    """
    if target.exists():
        raise UserError(f"{target} is there already: name a folder that is not")
    found = _found(source)
    if not found:
        raise UserError(f"no checkpoint below {source}: train one first")
    steps = {one: checkpoint.read_record(one).step for one in found}
    chosen = max(found, key=lambda one: (steps[one], not _to_resume(one)))
    return checkpoint.copy(chosen, target, bf16=bf16)


def _found(root: Path) -> list[Path]:
    """Return the folders of checkpoints below one, by step and path."""
    if not root.is_dir():
        raise UserError(f"no folder {root}: name one that a training wrote to")
    whole = [one.parent for one in root.rglob(checkpoint.RECORD) if _is_whole(one.parent)]
    return sorted(whole, key=lambda one: (checkpoint.read_record(one).step, str(one)))


def _is_whole(folder: Path) -> bool:
    return (folder / checkpoint.WEIGHTS).is_file() and not folder.name.startswith(".")


def _to_resume(folder: Path) -> bool:
    return folder.parent.name == "checkpoints" and folder.name.isdigit()


def _row(folder: Path) -> dict[str, Any]:
    record = checkpoint.read_record(folder)
    training = folder.parent.parent if _to_resume(folder) else folder.parent
    size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    return {
        "step": record.step,
        "loss": _last(training / "metrics.jsonl", "loss", record.step),
        "S": _last(training / "probe.jsonl", "S", record.step),
        "mib": round(size / MIB, 2),
        "layout": record.layout,
        "model": record.name,
        "path": str(folder),
    }


def _last(path: Path, name: str, step: int) -> float | None:
    """Return a number of the last line up to a step."""
    if not path.is_file():
        return None
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    values = [row[name] for row in rows if row["step"] <= step]
    return values[-1] if values else None


def _table(rows: Sequence[dict[str, Any]]) -> str:
    shown = [[_cell(row[name]) for name in COLUMNS] for row in rows]
    widths = [max(map(len, column)) for column in zip(COLUMNS, *shown, strict=True)]
    lines = [COLUMNS, *shown]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _run(args: argparse.Namespace) -> None:
    if args.what == "ls":
        rows = listed(args.folder)
        print(json.dumps(rows) if args.json else _table(rows))
    elif args.what == "prune":
        gone = prune(args.folder, args.keep)
        print(json.dumps([str(one) for one in gone]) if args.json else f"removed {len(gone)}")
    else:
        record = export(args.folder, args.out, args.bf16)
        said = {"step": record.step, "digest": record.digest, "path": str(args.out)}
        print(json.dumps(said) if args.json else f"step {record.step} is at {args.out}")


def main(argv: Sequence[str] | None = None) -> int:
    """List, prune or export. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="awareness checkpoint", description=__doc__)
    parser.add_argument("what", choices=("ls", "prune", "export"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, nargs="?", help="export: a folder that is not there yet")
    parser.add_argument("--keep", type=int, default=1)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    try:
        if (args.what == "export") != (args.out is not None):
            raise UserError("export takes two folders, FOLDER and OUT; ls and prune take one")
        _run(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
