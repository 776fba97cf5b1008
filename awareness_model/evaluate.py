"""evaluate: what a memory is worth, with controls: `python -m awareness_model.evaluate`.

Reads `EvaluationItem` lines, asks each with the repository's own memory, another repository's,
none, and the same documents as text in the context, and writes a report (`scores.summary` by
`schema.READINGS`) and beside it one row per question. The base model is the same under all
conditions; `none` and `text` do not depend on how memory is read and run once. Finding is measured
apart from reading: the recall of the router that answers use (`memory.routing`: words, names,
files, vectors), beside that of its vectors alone and of blind choice.

Limits: answers are scored, not written; all layouts must hold the same documents.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model.config import (
    DecoderConfig,
    EncoderConfig,
    MemoryConfig,
    UserError,
    default_device,
    default_model,
)
from awareness_model.schema import (
    LAYOUTS,
    EncodeDocument,
    EvaluationItem,
    read_rows,
    write_atomic,
)

if TYPE_CHECKING:
    from awareness_model.conditions import Nats
    from awareness_model.decoder import ReasoningDecoder
    from awareness_model.evaluation.routed import Routed
    from awareness_model.memory.shelf import Shelf
    from awareness_model.question import Question


@dataclass(frozen=True, slots=True)
class Job:
    """What to evaluate, and with which readers."""

    items: Sequence[EvaluationItem]
    texts: Mapping[str, str]
    """Documents by content hash, for the text condition."""
    store: str
    checkpoint: Path | None
    layouts: Sequence[str]
    model: str
    device: str = "cpu"
    visible: int = 4
    seed: int = 0


@dataclass(slots=True)
class _Progress:
    """Counts passes over questions."""

    total: int
    done: int = 0

    def add(self, count: int) -> None:
        from awareness_model.batch import say_progress

        self.done += count
        say_progress("evaluate", self.done, self.total)


@dataclass(frozen=True, slots=True)
class _Reading:
    """A way of reading: its name in the report, the layout, the trained reader's folder."""

    name: str
    layout: str
    reader: Path | None


@dataclass(slots=True)
class _Measured:
    """Nats of answers by (reading, condition); by reading, what its layout's router found."""

    routed: "dict[str, Routed]"
    nats: "dict[tuple[str, str], Nats]" = field(default_factory=dict)


def evaluate(job: Job) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the report and the rows of single questions.

    Raises:
        UserError: no checkpoint for `latent`, or no question can be asked.
    """
    from awareness_model.base import load_model

    if "latent" in job.layouts and job.checkpoint is None:
        raise UserError("the latent layout is read by a trained reader: give --checkpoint")
    shelves = _shelves(job)
    loaded = load_model(job.model, job.device)
    asked, dropped = _ask(job, next(iter(shelves.values())), loaded[1])
    measured = _measure(job, shelves, loaded, asked)
    return _report(job, asked, dropped, measured), _rows(job, asked, measured)


def _shelves(job: Job) -> "dict[str, Shelf]":
    from awareness_model.encoder import encoder_fingerprint
    from awareness_model.memory.shelf import Shelf
    from awareness_model.memory.store import LatentMemoryStore

    store = LatentMemoryStore(MemoryConfig(path=job.store))
    config = EncoderConfig(model_name=job.model, device=job.device)
    layouts = [layout for layout in LAYOUTS if layout in job.layouts]
    return {one: Shelf(store, one, encoder_fingerprint(config, one)) for one in layouts}


def _ask(job: Job, shelf: "Shelf", tokenizer: Any) -> "tuple[list[Question], dict[str, int]]":
    """Return the questions that can be asked of every layout: all hold the same documents."""
    from awareness_model.question import questions

    keys = sorted({(item.repo_id, item.sha) for item in job.items})
    trees = {key: shelf.snapshot(*key) for key in keys}
    hashes = {name for tree in trees.values() for name in tree.values()}
    tokens: dict[str, int] = {}
    for held in shelf.store.held(hashes, shelf.layout, shelf.fingerprint):
        tokens[held.content_hash] = tokens.get(held.content_hash, 0) + held.tokens
    asked, dropped = questions(job.items, trees, tokens, tokenizer, job.visible)
    if not asked:
        raise UserError(f"no question can be asked ({dropped or 'there are none'}): encode first")
    if lost := {one for question in asked for one in question.own} - set(job.texts):
        raise UserError(f"--documents lacks the text of {len(lost)} visible documents")
    return asked, dropped


def _measure(
    job: Job, shelves: "dict[str, Shelf]", loaded: tuple[Any, Any], asked: "list[Question]"
) -> _Measured:
    """Run every condition; kv first, because the latent reader's layers stay in the model."""
    from awareness_model import conditions
    from awareness_model.evaluation.routed import routed

    model, tokenizer = loaded
    readings = _readings(job, shelves)
    found = routed(shelves, loaded, job.model, asked, job.texts)
    measured = _Measured({one.name: found[one.layout] for one in readings})
    say = _Progress(len(asked) * (2 + 2 * len(readings))).add
    none = conditions.answer_nats(conditions.alone(model), asked, model.device, say)
    text = conditions.text_nats(model, tokenizer, job.texts, asked, say)
    for one in readings:
        decoder = _decoder(job, one, loaded)
        measured.nats[one.name, "none"], measured.nats[one.name, "text"] = none, text
        for name, documents in (("own", _own), ("other", _other)):
            score = conditions.reading(decoder, shelves[one.layout], documents)
            nats = conditions.answer_nats(score, asked, model.device, say)
            measured.nats[one.name, name] = nats
    return measured


def _readings(job: Job, layouts: Iterable[str]) -> list[_Reading]:
    from awareness_model.pretrained import shipped

    found = []
    for layout in layouts:
        found.append(_Reading(layout, layout, job.checkpoint if layout == "latent" else None))
        if layout == "kv" and (folder := shipped(job.model)) is not None:
            found.append(_Reading("kv_trained", layout, folder))
    return found


def _decoder(job: Job, reading: _Reading, loaded: tuple[Any, Any]) -> "ReasoningDecoder":
    from awareness_model.checkpoint import load_gca
    from awareness_model.decoder import ReasoningDecoder
    from awareness_model.pretrained import config_of

    if reading.reader is None:
        config = DecoderConfig(job.model, job.device, reading.layout)
        return ReasoningDecoder.from_model(*loaded, config)
    config = config_of(reading.reader, job.model, job.device)
    decoder = ReasoningDecoder.from_model(*loaded, config)
    load_gca(decoder, reading.reader)
    return decoder


def _own(question: "Question") -> Sequence[str]:
    return question.own


def _other(question: "Question") -> Sequence[str]:
    return question.other


def _report(
    job: Job, asked: "Sequence[Question]", dropped: Mapping[str, int], measured: _Measured
) -> dict[str, Any]:
    from awareness_model.evaluation.routed import summary as router_summary
    from awareness_model.schema import CONDITIONS
    from awareness_model.scores import Outcome, by_kind, summary

    report: dict[str, Any] = {
        "n_repos": len({one.item.repo_id for one in asked}),
        "n_items": len(asked),
        "n_answer_tokens": sum(len(one.answer) for one in asked),
        "visible_documents": job.visible,
        "dropped": dict(dropped),
    }
    for reading, found in measured.routed.items():
        nats = {name: measured.nats[reading, name] for name in CONDITIONS}
        outcomes = [
            Outcome(
                one.item.repo_id,
                one.item.kind,
                len(one.answer),
                {name: nats[name][one.key] for name in CONDITIONS},
            )
            for one in asked
        ]
        report[reading] = {
            **summary(outcomes, job.seed),
            "by_kind": by_kind(outcomes, job.seed),
            "router": router_summary(found, asked),
        }
    return report


def _rows(job: Job, asked: "Sequence[Question]", measured: _Measured) -> list[dict[str, Any]]:
    """Return one row per question: what was asked, what could be read, nats per condition."""
    rows = []
    for one in asked:
        rows.append(
            {
                "item_id": one.item.item_id,
                "repo_id": one.item.repo_id,
                "kind": one.item.kind,
                "language": one.item.language,
                "answer": one.item.answer,
                "answer_tokens": len(one.answer),
                "own": one.own,
                "other_repo_id": one.other_repo,
                "other": one.other,
                **{
                    reading: {
                        "nats": {
                            name: nats[one.key]
                            for (held, name), nats in measured.nats.items()
                            if held == reading
                        },
                        "routed": found.hits[one.key],
                    }
                    for reading, found in measured.routed.items()
                },
            }
        )
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate a file of items. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.evaluate")
    parser.add_argument("--model", default=default_model(), help="folder or hub id")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--items", type=Path, required=True, help="EvaluationItem lines")
    parser.add_argument(
        "--documents", type=Path, nargs="+", required=True, help="EncodeDocument lines, for text"
    )
    parser.add_argument("--store", required=True, help="the memory's folder or URL")
    parser.add_argument("--checkpoint", type=Path, help="a trained reader, for latent")
    parser.add_argument("--layouts", nargs="+", choices=LAYOUTS, default=list(LAYOUTS))
    parser.add_argument("--visible", type=int, default=4, help="documents visible per question")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    parser.add_argument("--report", type=Path, required=True, help="JSON, written last")
    args = parser.parse_args(argv)
    try:
        texts = {
            row.content_hash: row.text
            for path in args.documents
            for row in read_rows(EncodeDocument, path)
        }
        job = Job(
            items=list(read_rows(EvaluationItem, args.items)),
            texts=texts,
            store=args.store,
            checkpoint=args.checkpoint,
            layouts=args.layouts,
            model=args.model,
            device=args.device,
            visible=args.visible,
            seed=args.seed,
        )
        report, rows = evaluate(job)
    except (UserError, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_atomic(args.report.with_suffix(".items.jsonl"), lines.encode())
    write_atomic(args.report, (json.dumps(report, indent=1) + "\n").encode())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
