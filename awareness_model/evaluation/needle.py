"""Needle, repository edition: what a reader answers of a function among thousands of lines.

Exact match (greedy: every token of the answer is the likeliest) and nats, by task and condition
(`haystack`). Finding is apart: recall of the router over all documents, beside which stands what
the reader does where the deciding document is given. An edit encodes one document anew, and the
answer must follow it; the order of documents must not matter. For `given` and `removed` also: is
the deciding document the one with most attention mass, and how much lies on the null slot (kv: the
first token)? Limits: answers are scored, not written; equal texts are encoded once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from awareness_model.conditions import Scored, alone, answers
from awareness_model.evaluation.cells import Cells
from awareness_model.evaluation.embedding import EMBEDDED
from awareness_model.evaluation.haystack import (
    AT_EACH_SIZE,
    AT_LARGEST,
    Asking,
    Haystack,
    NeedleSizes,
)
from awareness_model.evaluation.lines import Row
from awareness_model.evaluation.needles import CHANCE, TASKS
from awareness_model.evaluation.perplexity import as_text, reading
from awareness_model.evaluation.readers import Piece, Reader
from awareness_model.scores import estimate

CITED = ("given", "removed")


def measure(
    reader: Reader, haystack: Haystack, sizes: NeedleSizes, folder: Path, batch: int
) -> dict[str, Any]:
    """Return the tables of one reader; cells that are done are not measured again."""
    settings = {"reader": reader.identity, "sizes": asdict(sizes), "lines": haystack.lines}
    settings["questions"] = [
        [one.key, one.prompt, one.answer, *_named(one)] for one in haystack.questions
    ]
    most = max(sizes.visible)
    asked = [(name, k) for k in sizes.visible for name in AT_EACH_SIZE]
    asked += [(name, most) for name in AT_LARGEST]
    work: dict[str, Callable[[], dict[str, Any]]] = {
        f"{name} {k}": partial(_cell, reader, name, k, haystack.questions, batch)
        for name, k in asked
    }
    done = Cells(folder, "needle", settings).run(f"needle: {reader.name}", work)
    if haystack.by_embedding:
        found = [[one.key, *map(_name, one.reads[EMBEDDED, most])] for one in haystack.questions]
        cells = Cells(folder, "needle", {**settings, EMBEDDED: found})
        cell = f"{EMBEDDED} {most}"
        only = {cell: partial(_cell, reader, EMBEDDED, most, haystack.questions, batch)}
        done |= cells.run(f"needle: {reader.name}: {EMBEDDED}", only)
        asked.append((EMBEDDED, most))
    return {
        "haystack_lines": haystack.lines,
        "documents": haystack.documents,
        "questions": len(haystack.questions),
        "router": {task: dict(held) for task, held in haystack.recall.items()},
        "embedding": {task: dict(held) for task, held in haystack.by_embedding.items()},
        "table": [
            row
            for name, k in asked
            for row in _rows(name, k, done[f"{name} {k}"]["answers"], sizes.seed)
        ],
        "controls": _controls(done, most),
    }


def _named(one: Asking) -> list[list[str]]:
    """Return what a question reads, but for what depends on a sentence encoder."""
    return [
        [name, str(k), *map(_name, held)]
        for (name, k), held in one.reads.items()
        if name != EMBEDDED
    ]


def _name(piece: Piece) -> str:
    return piece.name


def _cell(
    reader: Reader, condition: str, visible: int, asked: Sequence[Asking], batch: int
) -> dict[str, Any]:
    """Answer every question under one condition."""
    wanted = [one for one in asked if condition != "edited" or one.edited]
    before = _already(reader, condition, visible, wanted)
    scored = _answered(reader, condition, visible, wanted, batch)
    cited = _cited(reader, condition, visible, wanted) if condition in CITED else {}
    found = {
        one.key: {
            "task": one.task,
            "nats": sum(scored[one.key].nats),
            "tokens": len(scored[one.key].nats),
            "exact": scored[one.key].exact,
            **cited.get(one.key, {}),
        }
        for one in wanted
    }
    return {"answers": found, "encoded": reader.encodes - before, "asked": len(wanted)}


def _already(reader: Reader, condition: str, visible: int, asked: Sequence[Asking]) -> int:
    """Have all of an edit's documents but the edited one in memory; return the encodings so far."""
    if condition == "edited":
        for one in asked:
            reader.read(one.reads["given", visible])
    return reader.encodes


def _answered(
    reader: Reader, condition: str, visible: int, asked: Sequence[Asking], batch: int
) -> dict[str, Scored]:
    """Return what each answer cost, by the question's key."""
    device = reader.decoder.base.device
    reads = {one.key: one.reads.get((condition, visible), ()) for one in asked}
    if condition in ("none", "text", "rag", EMBEDDED):
        rows = [_alone(reader, one, reads[one.key]) for one in asked]
        return answers(alone(reader.decoder.base), rows, device, lambda count: None, batch)
    rows = [Row(one.key, one.prompt, _wanted(one, condition)) for one in asked if reads[one.key]]
    found = answers(reading(reader, reads), rows, device, lambda count: None, batch) if rows else {}
    empty = [_alone(reader, one, ()) for one in asked if not reads[one.key]]
    if empty:
        found |= answers(alone(reader.decoder.base), empty, device, lambda count: None, batch)
    return found


def _wanted(one: Asking, condition: str) -> tuple[int, ...]:
    return one.edited if condition == "edited" else one.answer


def _alone(reader: Reader, one: Asking, pieces: Sequence[Piece]) -> Row:
    """Return a question for the base model, behind text if there is any."""
    prompt = (*as_text(reader, pieces), *one.prompt) if pieces else reader.prompt(one.prompt)
    return Row(one.key, prompt, one.answer)


@torch.no_grad()
def _cited(
    reader: Reader, condition: str, visible: int, asked: Sequence[Asking]
) -> dict[str, dict[str, Any]]:
    """Return whether the deciding document has most mass, and the null slot's mass."""
    found: dict[str, dict[str, Any]] = {}
    device = reader.decoder.base.device
    for one in asked:
        pieces = one.reads[condition, visible]
        memory = reader.memory([pieces])
        ids = torch.tensor([[*one.prompt, *one.answer][:-1]], device=device)
        places = torch.arange(len(one.prompt) - 1, ids.shape[1], device=device)
        mass = reader.decoder.attended(ids, memory, places)[0].float().cpu()
        by_document = [
            float(mass[1:][memory.document[0] == number].sum()) for number in range(len(pieces))
        ]
        best = pieces[by_document.index(max(by_document))].name
        found[one.key] = {"cited": best == one.gold, "null": float(mass[0])}
    return found


def _rows(
    condition: str, visible: int, found: Mapping[str, Mapping[str, Any]], seed: int
) -> list[dict[str, Any]]:
    """Return a table's rows of one condition, by task."""
    rows = []
    for task in TASKS:
        held = [one for one in found.values() if one["task"] == task]
        if not held:
            continue
        right = [{"exact": float(one["exact"]), "tokens": 1.0} for one in held]
        row = {
            "condition": condition,
            "visible": visible,
            "task": task,
            "questions": len(held),
            "em": estimate(right, lambda nll: nll["exact"], seed),
            "nll": sum(one["nats"] for one in held) / sum(one["tokens"] for one in held),
            "chance": CHANCE if task == "value" else None,
        }
        if condition in CITED:
            row["cited_first"] = sum(one["cited"] for one in held) / len(held)
            row["null_mass"] = sum(one["null"] for one in held) / len(held)
        rows.append(row)
    return rows


def _controls(done: Mapping[str, Mapping[str, Any]], most: int) -> dict[str, Any]:
    """Return what an edit encoded, and what the order of documents changed."""
    edited, given = done[f"edited {most}"], done[f"given {most}"]["answers"]
    permuted = done[f"permuted {most}"]["answers"]
    return {
        "documents_encoded_per_edit": edited["encoded"] / max(edited["asked"], 1),
        "largest_difference_permuted": max(
            abs(given[key]["nats"] - one["nats"]) for key, one in permuted.items()
        ),
        "exact_changed_permuted": sum(
            given[key]["exact"] != one["exact"] for key, one in permuted.items()
        ),
    }
