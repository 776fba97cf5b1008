"""The proof and the main training on one GPU: `python -m awareness_model.gpu_proof`.

    all --out FOLDER                 everything on this machine, from the packing to the results
    pack --out FOLDER                here: the parts that travel, at most 45 MiB each
    join PART… --at FOLDER           there: takes parts in; the last one makes model and data
    run --at FOLDER --out STATE      there: the next stages, until time is over
    keep FILES --to STATE            here: the state that came back
    status STATE                     what is done, what is next, how long it takes
    collect STATE                    here: results/gpu_*.json, and the readers

`--tiny` packs a tiny random model and asks little, for a CPU. `join` and `run` need nothing but
torch, transformers and what they bring. Exit status 2 with one line on a user's error, 1 where a
stage failed. Limits: one GPU; see each module.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from awareness_model.config import UserError, default_model
from awareness_model.gpu_proof import parts, results, running, state
from awareness_model.gpu_proof.plan import SCALES, STAGES, stage

STATE = "state"
PARTS = "parts"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status."""
    given = list(sys.argv[1:] if argv is None else argv)
    args = parser().parse_args(given)
    args.line = shlex.join(["python", "-m", "awareness_model.gpu_proof", *given])
    try:
        status: int = COMMANDS[args.command](args)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    made = argparse.ArgumentParser(
        prog="python -m awareness_model.gpu_proof",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = made.add_subparsers(dest="command", required=True)
    whole = commands.add_parser("all", help="everything, on this machine")
    pack = commands.add_parser("pack", help="make the parts that travel")
    join = commands.add_parser("join", help="take parts in")
    run = commands.add_parser("run", help="run the next stages")
    one = commands.add_parser("stage", help="run one stage in this process, to its end")
    keep = commands.add_parser("keep", help="keep the state that came back")
    status = commands.add_parser("status", help="what is done and what is next")
    collect = commands.add_parser("collect", help="write results/gpu_*.json")
    for each in (whole, pack):
        each.add_argument("--out", type=Path, required=True)
        each.add_argument("--model", help="folder of one safetensors file")
        each.add_argument("--tiny", action="store_true", help="a tiny random model, tiny sizes")
        each.add_argument("--corpus", type=Path, help="packages as JSON lines, not those installed")
        each.add_argument("--part-bytes", type=int, default=parts.MOST_BYTES, help="of a part")
    for each in (whole, run, one):
        each.add_argument("--device", default="cuda")
    for each in (whole, collect):
        each.add_argument("--results", type=Path, default=Path("results"))
    join.add_argument("parts", type=Path, nargs="+", help="folders that `pack` made")
    run.add_argument("--out", type=Path, required=True, help="where the state goes")
    run.add_argument("--state", type=Path, help="to go on from, where there is none here")
    run.add_argument("--minutes", type=float, default=9.0, help="at most; 0: to the end")
    run.add_argument("--stage", nargs="+", default=[], choices=[s.name for s in STAGES])
    one.add_argument("name", choices=[s.name for s in STAGES])
    for each in (join, run, one):
        each.add_argument("--at", type=Path, required=True, help="where the parts are put together")
    keep.add_argument("files", type=Path, help="the folder in which files came back")
    keep.add_argument("--to", type=Path, required=True, help="the state's folder")
    for each in (status, collect):
        each.add_argument("state", type=Path, help="the state's folder")
    collect.add_argument("--parts", type=Path, help="the folder that `pack` made")
    collect.add_argument("--readers", type=Path, help="where trained readers go")
    return made


def _all(args: argparse.Namespace) -> int:
    running.check_device(args.device)
    folder, at = args.out / PARTS, args.out / "at"
    if not (at / parts.READY).is_file():
        _pack(argparse.Namespace(**{**vars(args), "out": folder}))
        parts.join(_parts(folder), at)
    failed = running.run(at, args.out / STATE, 0, args.device)
    readers, made = args.out / "readers", parts.ready(at)
    _collected(args.out / STATE, args.results, readers, made, args.line)
    return failed


def _pack(args: argparse.Namespace) -> int:
    from awareness_model.evaluation.corpus import corpus_digest, packages, read_packages
    from awareness_model.gpu_proof import questions
    from awareness_model.tiny import save_tiny

    scale, model = ("tiny" if args.tiny else "full"), args.model or default_model()
    sizes = SCALES[scale]
    if args.tiny and not args.model:
        model = str(save_tiny(args.out.with_name(f"{args.out.name}-model"), "llama"))
    found = read_packages(args.corpus) if args.corpus else packages(sizes.most_files)
    data = questions.made(found, model, sizes)
    about = {"scale": scale, "corpus": corpus_digest(found), "command": args.line}
    manifest = parts.pack(args.out, model, data, about, args.part_bytes)
    held = sum(map(len, data.values())) / 2**20
    print(f"{len(manifest['parts'])} parts at {args.out}; the data are {held:.1f} MiB of them")
    return 0


def _parts(folder: Path) -> list[Path]:
    return [path.parent for path in sorted(folder.glob(f"*/{parts.PART}"))]


def _join(args: argparse.Namespace) -> int:
    there, of = parts.join(args.parts, args.at)
    print(f"{there} of {of} parts are at {args.at}{'' if there < of else ': ready'}")
    return 0


def _run(args: argparse.Namespace) -> int:
    running.check_device(args.device)
    return running.run(args.at, args.out, args.minutes, args.device, args.stage, args.state)


def _stage(args: argparse.Namespace) -> int:
    from awareness_model.gpu_proof.stages import do

    running.check_device(args.device)
    running.with_starter()
    with running.alone(args.at / running.WORK):
        do(args.at, stage(args.name), args.device)
    return 0


def _keep(args: argparse.Namespace) -> int:
    print("\n".join(results.lines(state.keep(args.files, args.to))))
    return 0


def _status(args: argparse.Namespace) -> int:
    found = state.standing(args.state)
    if not found:
        raise UserError(f"no state at {args.state}: run a stage, or `keep` what came back")
    print("\n".join(results.lines(found)))
    return 0


def _collect(args: argparse.Namespace) -> int:
    folder = args.parts or args.state.parent / PARTS
    found = sorted(folder.glob(f"*/{parts.MANIFEST}"))
    manifest = json.loads(found[0].read_bytes()) if found else {}
    readers = args.readers or args.state.parent / "readers"
    _collected(args.state, args.results, readers, manifest, args.line)
    return 0


def _collected(
    source: Path, to: Path, readers: Path, manifest: dict[str, object], line: str
) -> None:
    for path in results.collect(source, to, readers, manifest, line):
        print(f"wrote {path}")


COMMANDS = {
    "all": _all,
    "pack": _pack,
    "join": _join,
    "run": _run,
    "stage": _stage,
    "keep": _keep,
    "status": _status,
    "collect": _collect,
}

if __name__ == "__main__":
    raise SystemExit(main())
