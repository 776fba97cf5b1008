"""learn_kv: teach the kv layout's reader on a CPU, measure it with controls, keep it.

    python -m awareness_model.learn_kv train --out FOLDER             trains, goes on where it was
    python -m awareness_model.learn_kv train --out OTHER --shuffled   the control: wrong documents
    python -m awareness_model.learn_kv train --out NEXT --begin FOLDER    goes on from another run
    python -m awareness_model.learn_kv measure --out FOLDER --control OTHER --to results.json
    python -m awareness_model.learn_kv export --out FOLDER --to ADAPTER

`train` may be killed at any time; the same command goes on. Documents are encoded once into
`--material`, which runs may share. `export` writes what `ReasoningDecoder.from_pretrained` loads,
in bfloat16. Exit status 2 with one line on a user's error. Limits: one process; a run's folder
remembers its settings and refuses others.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from awareness_model.config import DecoderConfig, EncoderConfig, UserError, default_model
from awareness_model.schema import write_atomic

SETTINGS = "settings.json"
VARIANTS = ("base", "untrained", "by_hand", "trained", "weakened", "control")
BY_HAND = 6.0
"""The lead of every head in the variant that nothing trained."""
SWITCHES = {
    "is_shuffled": "read another row's documents",
    "is_varied": "harmless rows of many kinds, lines of packages cut anywhere",
}
"""Settings of a course that are on or off."""
SHOWN = 12
"""Held-out questions of the probe while training."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    from awareness_model.reader.course import Course

    made = argparse.ArgumentParser(prog="python -m awareness_model.learn_kv", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = made.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="train a reader")
    measure = commands.add_parser("measure", help="needles and remote lines, with every control")
    export = commands.add_parser("export", help="write the reader in bfloat16")
    for one in (train, measure, export):
        one.add_argument("--model", default=default_model(), help="folder or hub id")
        one.add_argument("--out", type=Path, required=True, help="the run's folder")
    for one in (train, measure, export):
        one.add_argument("--material", type=Path, default=Path("data/kv_material"))
    for one in (train, measure):
        one.add_argument("--threads", type=int, default=1, help="torch's threads")
    for setting in fields(Course):
        flag = f"--{setting.name.removeprefix('is_').replace('_', '-')}"
        if setting.type is bool:
            train.add_argument(flag, action="store_true", help=SWITCHES[setting.name])
        elif setting.name != "levels":
            train.add_argument(flag, type=setting.type, default=setting.default)
    train.add_argument("--levels", type=_levels, default=Course().levels, help="as in 4,8,16")
    train.add_argument("--begin", type=Path, help="a run whose corrections are gone on from")
    train.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    measure.add_argument("--control", type=Path, help="folder of the run with --shuffled")
    measure.add_argument("--lines", type=int, default=120, help="remote lines at most")
    measure.add_argument("--only", default="", help="one variant: base, untrained, by_hand, …")
    measure.add_argument("--needles", type=int, default=48, help="needles asked about at most")
    for one in (train, measure, export):
        strength = "of all but leads and gates; train: of the run that is gone on from"
        one.add_argument("--strength", type=float, default=1.0, help=strength)
    for one in (measure, export):
        one.add_argument("--to", type=Path, required=True, help="where to write")
    return made


def _levels(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 2 with one line on a user's error."""
    args = parser().parse_args(argv)
    try:
        {"train": _train, "measure": _measure, "export": _export}[args.command](args)
    except UserError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    return 0


def _train(args: argparse.Namespace) -> None:
    import torch

    from awareness_model.reader.course import Course, learn
    from awareness_model.reader.material import Sizes, material
    from awareness_model.reader.measure import Asked, mean, needle_rows, read
    from awareness_model.reader.mixture import mixture

    names = {one.name for one in fields(Course)}
    given = {**vars(args), "is_shuffled": args.shuffled, "is_varied": args.varied}
    course = Course(**{name: given[name] for name in names})
    origin = {"begin": str(args.begin or ""), "begin_strength": args.strength}
    settings = {"model": args.model, **asdict(course), **origin, "precision": args.precision}
    _remember(args.out, settings)
    torch.set_num_threads(args.threads)
    decoder, encoder = _opened(args.model, course.rank)
    held = material(encoder, args.material, "train", Sizes())
    _begin(decoder, held, args)
    decoder.base.to(getattr(torch, args.precision))
    asked = material(encoder, args.material, "held_out", Sizes())

    def probe() -> Mapping[str, float]:
        told = {}
        for visible in (1, 4, 8):
            rows = needle_rows(decoder.tokenizer, asked.needles, Asked(visible, SHOWN))
            found = mean(read(decoder, rows, asked.shelf))
            told.update({f"{name}_{visible}": value for name, value in found.items()})
        return told

    draw = mixture(decoder.tokenizer, held, course)
    learn(decoder, held.shelf, draw, course, args.out, probe=probe)


def _begin(decoder: Any, held: Any, args: argparse.Namespace) -> None:
    """Put another run's corrections into the reader, if one is named, and what is usual."""
    import random

    from awareness_model.reader.course import load
    from awareness_model.reader.usual import fit_usual

    if args.begin is not None:
        load(args.begin, decoder.reader)
        decoder.reader.weaken(args.strength)
    names = sorted(held.code.texts)
    random.Random(0).shuffle(names)
    fit_usual(decoder.reader, held.shelf, names)


def _opened(model: str, rank: int) -> tuple[Any, Any]:
    from awareness_model.decoder import ReasoningDecoder
    from awareness_model.encoder import ContextEncoder

    decoder = ReasoningDecoder(DecoderConfig(model, "cpu", "kv", reader_rank=rank))
    config = EncoderConfig(model, "cpu")
    return decoder, ContextEncoder.from_model(decoder.base, decoder.tokenizer, config)


def _remember(folder: Path, settings: Mapping[str, Any]) -> None:
    """Note a run's settings; refuse others in the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(settings))
    if (folder / SETTINGS).is_file():
        held = json.loads((folder / SETTINGS).read_text())
        if held != plain:
            changed = sorted(name for name in plain if held.get(name) != plain[name])
            raise UserError(f"{folder} was begun with other {', '.join(changed)}: name another")
    write_atomic(folder / SETTINGS, (json.dumps(plain, indent=1) + "\n").encode())


def _measure(args: argparse.Namespace) -> None:
    import torch

    from awareness_model.reader import report
    from awareness_model.reader.material import Sizes, material

    torch.set_num_threads(args.threads)
    rank = int(_settings(args.out)["rank"])
    decoder, encoder = _opened(args.model, rank)
    held = material(encoder, args.material, "held_out", Sizes())
    asked = report.tests(decoder.tokenizer, held, args.lines, args.needles)
    found = {}
    for variant in (args.only,) if args.only else VARIANTS:
        if variant == "control" and args.control is None:
            continue
        place = args.out / f"scores_{variant}.json"
        if not place.is_file():
            _prepare(decoder, variant, args)
            base = variant == "base"
            made = (
                report.base_scores(decoder, held, asked)
                if base
                else report.reader_scores(decoder, held.shelf, asked)
            )
            write_atomic(place, json.dumps(report.kept(made)).encode())
        found[variant] = report.restored(json.loads(place.read_bytes()))
    if not args.only:
        told = report.summary(asked, found.pop("base"), found)
        told |= {"corpus": held.corpus, "settings": _settings(args.out)}
        write_atomic(args.to, (json.dumps(told, indent=1) + "\n").encode())


def _prepare(decoder: Any, variant: str, args: argparse.Namespace) -> None:
    """Put a variant's numbers into the reader."""
    from awareness_model.reader.course import by_hand, load

    folder = {"trained": args.out, "weakened": args.out, "control": args.control}.get(variant)
    if folder is not None:
        load(folder, decoder.reader)
        decoder.reader.weaken(args.strength if variant == "weakened" else 1.0)
    else:
        by_hand(decoder.reader, BY_HAND if variant == "by_hand" else 0.0)


def _settings(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / SETTINGS).read_bytes())
    except FileNotFoundError:
        raise UserError(f"no run at {folder}: `train --out {folder}` makes one") from None
    return found


def _export(args: argparse.Namespace) -> None:
    from awareness_model import checkpoint, pretrained
    from awareness_model.reader.course import load
    from awareness_model.reader.material import corpus_of

    settings = _settings(args.out)
    decoder, _ = _opened(args.model, int(settings["rank"]))
    step = load(args.out, decoder.reader)
    decoder.reader.weaken(args.strength)
    decoder.reader.halve()
    given = pretrained.kv_settings(decoder, {**settings, "strength": args.strength})
    checkpoint.save(args.to, decoder, step=step, settings=given, data=corpus_of(args.material))


if __name__ == "__main__":
    raise SystemExit(main())
