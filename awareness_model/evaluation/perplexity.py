"""Remote-context perplexity: what a package's memory is worth where a line uses another file.

NLL in nats per token, for three classes of tokens apart (`lines.CLASSES`), under the conditions of
`lines`, and of the base model alone (`none`), with the own pieces as text (`text`), and with the
router's pieces as text: `rag_slots` (as many tokens as `routed` has slots) and `rag_latency` (as
many as cost the same to read, `latency`); `rag_embedding`: the pieces of a sentence encoder, as
many tokens as slots. A reader trained on shuffled memory, where one is given,
reads `own` as `control`. Intervals are over families of packages.

    S = other − own      R = S / (other − text)      oracle specificity = own_minus − oracle
    over the control = control − own                 harm = own − none, other − none

Limits: what the base model knows of a package by heart shows in `none` and lowers every gain.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from awareness_model.base import plain_ids
from awareness_model.conditions import Scored, Scorer, alone, answers
from awareness_model.evaluation import latency
from awareness_model.evaluation.cells import Cells
from awareness_model.evaluation.embedding import EMBEDDED
from awareness_model.evaluation.lines import CLASSES, Line, Lines, Row
from awareness_model.evaluation.readers import Piece, Reader
from awareness_model.scores import estimate

TEXTS = ("none", "text", "rag_slots", "rag_latency")
"""Conditions of the base model."""
FOUND_BY = {"text": "own", EMBEDDED: "embedded"}
"""Whose pieces a condition has as text; else those of `routed`."""
MEMORIES = ("own", "other", "oracle", "own_minus", "routed")
CONTROL = "control"
SMALL = ("none", "own", "other", "text")
"""Conditions for two cores."""

Sums: TypeAlias = dict[str, dict[str, dict[str, float]]]
"""By family, by class: nats by condition, and tokens."""


def measure(
    reader: Reader, conditions: Sequence[str], lines: Sequence[Lines], cells: Cells, batch: int
) -> dict[str, dict[str, Any]]:
    """Return by package its family and, line by line, what each class of tokens cost under each
    condition. A cell is one condition of one package; finished ones are not measured again."""
    work: dict[str, Callable[[], dict[str, Any]]] = {
        f"{one.package} {name}": partial(
            _measured, reader, name, one, batch, name == conditions[-1]
        )
        for one in lines
        for name in conditions
    }
    done = cells.run(f"perplexity: {reader.name}: {', '.join(conditions)}", work)
    return {
        one.package: {
            "family": one.family,
            "lines": [
                _told(line, {name: done[f"{one.package} {name}"] for name in conditions})
                for line in one.lines
            ],
        }
        for one in lines
    }


def cells_of(folder: Path, reader: Reader, settings: Mapping[str, Any]) -> Cells:
    """Return the cells of one reader under some settings."""
    return Cells(folder, "perplexity", {**settings, "reader": reader.identity})


def _measured(
    reader: Reader, condition: str, lines: Lines, batch: int, last: bool
) -> dict[str, Any]:
    """Score the lines of a package under one condition: nats by line and class, and exactness."""
    rows, score = _asked(reader, condition, lines.lines)
    device = reader.decoder.base.device
    scored = answers(score, rows, device, lambda count: None, batch) if rows else {}
    if last:
        reader.forget()
    by_key = {line.key: line for line in lines.lines}
    return {
        key: {"exact": one.exact, "nats": _by_class(one, by_key[key])}
        for key, one in scored.items()
    }


def _by_class(scored: Scored, line: Line) -> dict[str, float]:
    nats: dict[str, float] = {}
    for value, kind in zip(scored.nats, line.classes, strict=True):
        nats[kind] = nats.get(kind, 0.0) + value
    return nats


def _told(line: Line, done: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return a line's tokens by class, and its nats and exactness by condition."""
    found = {name: cell[line.key] for name, cell in done.items() if line.key in cell}
    return {
        "key": line.key,
        "tokens": {kind: line.classes.count(kind) for kind in CLASSES if kind in line.classes},
        "nats": {name: one["nats"] for name, one in found.items()},
        "exact": {name: one["exact"] for name, one in found.items()},
    }


def _asked(reader: Reader, condition: str, lines: Sequence[Line]) -> tuple[list[Row], Scorer[Row]]:
    """Return the rows of a condition and what scores them."""
    if condition in (*TEXTS, EMBEDDED):
        rows = [_row(reader, condition, line) for line in lines if _is_asked(condition, line)]
        return rows, alone(reader.decoder.base)
    name = "own" if condition == CONTROL else condition
    reads = {line.key: line.reads[name] for line in lines if name in line.reads}
    rows = [Row(line.key, line.prompt, line.answer) for line in lines if line.key in reads]
    return rows, reading(reader, reads)


def reading(reader: Reader, reads: Mapping[str, Sequence[Piece]]) -> Scorer[Row]:
    """Score while reading the memory of each row's pieces."""

    def score(batch: Sequence[Row], ids: Tensor, mask: Tensor, keep: Tensor) -> Tensor:
        with torch.no_grad():
            memory = reader.memory([reads[one.key] for one in batch])
        return reader.decoder(ids, mask, memory, use_cache=False, logits_to_keep=keep).logits

    return score


def as_text(reader: Reader, pieces: Sequence[Piece], most: int | None = None) -> list[int]:
    """Return pieces as text in the context: the first token, then each piece in the order given,
    cut to `most` tokens from the front of the list."""
    ids: list[int] = []
    for piece in pieces:
        text = piece.text if piece.text.endswith("\n") else piece.text + "\n"
        ids += plain_ids(reader.tokenizer, text)
    return [reader.first, *ids[:most]]


def _is_asked(condition: str, line: Line) -> bool:
    return condition == "none" or FOUND_BY.get(condition, "routed") in line.reads


def _row(reader: Reader, condition: str, line: Line) -> Row:
    """Return a line as the base model reads it."""
    if condition == "none":
        return Row(line.key, reader.prompt(line.prompt), line.answer)
    pieces = line.reads[FOUND_BY.get(condition, "routed")]
    slots = sum(piece.tokens for piece in pieces)
    most = slots
    if condition == "rag_latency":
        most = _as_cheap(reader, slots, len(line.prompt) + len(line.answer))
    window = int(reader.decoder.base.config.max_position_embeddings)
    most = min(most, window - len(line.prompt) - len(line.answer) - 1)
    return Row(line.key, (*as_text(reader, pieces, most), *line.prompt), line.answer)


def _as_cheap(reader: Reader, slots: int, prompt: int) -> int:
    config, layers = reader.decoder.base.config, len(reader.decoder.reading_layers)
    slots = -(-slots // reader.pooling)
    cost = latency.memory_cost(config, layers, slots, prompt, reader.layout == "latent")
    return latency.tokens_at(config, cost, prompt)


def summary(results: Mapping[str, Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Return by class of tokens the NLLs, and what is made of them with intervals.

    Args:
        results: what `measure` returned, by package; conditions of several calls joined.
    """
    families = len({one["family"] for one in results.values()})
    lines = [line for one in results.values() for line in one["lines"]]
    kinds = {kind: _of_class(results, kind, seed) for kind in CLASSES}
    return {
        "by_package": {name: _of_package(one["lines"], seed) for name, one in results.items()},
        "packages": len(results),
        "families": families,
        "lines": len(lines),
        "classes": {kind: found for kind, found in kinds.items() if found},
    }


def _of_package(lines: Sequence[Mapping[str, Any]], seed: int) -> dict[str, Any]:
    """Return S of one package on remote tokens; its interval is over its lines, which are few."""
    held = [
        one for one in lines if "remote" in one["tokens"] and {"own", "other"} <= {*one["nats"]}
    ]
    sums = [
        {"tokens": one["tokens"]["remote"]}
        | {name: one["nats"][name]["remote"] for name in ("own", "other")}
        for one in held
    ]
    return {"lines": len(sums), "S": estimate(sums, _less("other", "own"), seed)}


def joined(parts: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return results of the same packages under different conditions as one."""
    whole: dict[str, dict[str, Any]] = {}
    for package in parts[0]:
        lines = []
        for rows in zip(*(part[package]["lines"] for part in parts), strict=True):
            nats = {name: one for row in rows for name, one in row["nats"].items()}
            exact = {name: one for row in rows for name, one in row["exact"].items()}
            lines.append({**rows[0], "nats": nats, "exact": exact})
        whole[package] = {**parts[0][package], "lines": lines}
    return whole


def _of_class(results: Mapping[str, Mapping[str, Any]], kind: str, seed: int) -> dict[str, Any]:
    """Return the NLLs of one class and their differences."""
    lines = [
        (one["family"], line)
        for one in results.values()
        for line in one["lines"]
        if kind in line["tokens"]
    ]
    if not lines:
        return {}
    names = [
        name
        for name in (*TEXTS, EMBEDDED, *MEMORIES, CONTROL)
        if all(name in one["nats"] for _, one in lines)
    ]
    clusters: dict[str, dict[str, float]] = {}
    for cluster, line in lines:
        held = clusters.setdefault(cluster, dict.fromkeys((*names, "tokens"), 0.0))
        held["tokens"] += line["tokens"][kind]
        for name in names:
            held[name] += line["nats"][name][kind]
    sums = [clusters[name] for name in sorted(clusters)]
    tokens = sum(one["tokens"] for one in sums)
    found = {
        what: estimate(sums, value, seed)
        for what, (needs, value) in CONTRASTS.items()
        if set(needs) <= set(names)
    }
    nll = {name: sum(one[name] for one in sums) / tokens for name in names}
    return {"lines": len(lines), "tokens": int(tokens), "nll": nll, **found}


def _less(one: str, other: str) -> Callable[[Mapping[str, float]], float | None]:
    return lambda nll: nll[one] - nll[other]


def _recovery(nll: Mapping[str, float]) -> float | None:
    gain = nll["other"] - nll["text"]
    return (nll["other"] - nll["own"]) / gain if gain > 0 else None


CONTRASTS: Mapping[str, tuple[tuple[str, ...], Callable[[Mapping[str, float]], float | None]]] = {
    "S": (("other", "own"), _less("other", "own")),
    "R": (("other", "own", "text"), _recovery),
    "oracle_specificity": (("own_minus", "oracle"), _less("own_minus", "oracle")),
    "over_control": ((CONTROL, "own"), _less(CONTROL, "own")),
    "harm_own": (("own", "none"), _less("own", "none")),
    "harm_other": (("other", "none"), _less("other", "none")),
}
"""What is made of NLLs: which it needs, and how. Harm is what memory costs in-file tokens."""
