"""Numbers of a reader from scores of single rows: S, R, exact answers, harm; variants side by side.

A variant is one way to read the same rows: the base model (without memory, and with the text in
context), the untrained kv reader, one number set by hand, the trained reader, and the control that
was trained on wrong documents. Each variant's scores are kept in a file of their own, so that a
killed measurement goes on. Intervals: 95 %, packages drawn with replacement. Limits: one seed; R is
a ratio of small numbers where the text itself gains little.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, TypeAlias

from awareness_model.base import plain_ids
from awareness_model.decoder import ReasoningDecoder
from awareness_model.reader import code_rows
from awareness_model.reader.code_rows import Code, Line
from awareness_model.reader.material import Material
from awareness_model.reader.measure import Asked, Score, in_context, needle_rows, plain, read
from awareness_model.reader.rows import Row, Shelf
from awareness_model.schema import digest
from awareness_model.scores import interval, resampled

SEEN = (1, 2, 4, 8, 16)
"""Needles visible."""
CODE_VISIBLE = 4
COMPARED = ("untrained", "control")
"""Variants that the others' own memory is compared with."""
SEED = 0

Scores: TypeAlias = dict[str, list[Score]]
"""By test: `remote own`, `remote other`, `harm`, `needle value 8 own`, …"""


@dataclass(frozen=True, slots=True)
class Tests:
    """Rows of every test, and the package of each remote line."""

    rows: Mapping[str, Sequence[Row]]
    packages: Sequence[str]


def tests(tokenizer: Any, held: Material, lines: int, needles: int) -> Tests:
    """Return the rows of every test on held-out material."""
    code = held.code
    remote = _spread([line for line in code.lines if line.remote and code.others(line)], lines)
    own = [code_rows.row(code, line, CODE_VISIBLE, f"own {n}") for n, line in enumerate(remote)]
    local = _spread([line for line in code.lines if not line.remote], lines // 2)
    sizes = {name: sum(len(one.keys) for one in held.shelf[name]) for name in code.texts}
    rows: dict[str, Sequence[Row]] = {
        "remote own": own,
        "remote other": [_instead(row, line, sizes) for row, line in zip(own, remote, strict=True)],
        "harm": [_foreign(line, code, n) for n, line in enumerate(local)],
    }
    for asked in _asked(needles):
        kind = "other" if asked.is_other else "own"
        name = f"needle {asked.task} {asked.visible} {kind}"
        rows[name] = needle_rows(tokenizer, held.needles, asked)
    return Tests(rows, [line.package for line in remote])


def _asked(count: int) -> list[Asked]:
    values = [Asked(visible, count) for visible in SEEN]
    more = [Asked(8, count // 2, "signature"), Asked(8, count // 2, "description")]
    return [*values, *more, Asked(8, count // 2, is_other=True)]


def _spread(lines: Sequence[Line], most: int) -> list[Line]:
    """Return lines of all packages in turn."""
    place: dict[str, int] = {}
    ranked = []
    for line in lines:
        place[line.package] = place.get(line.package, -1) + 1
        ranked.append((place[line.package], line.package, line))
    return [line for _, _, line in sorted(ranked, key=lambda one: one[:2])[:most]]


def _instead(row: Row, line: Line, sizes: Mapping[str, int]) -> Row:
    """Return a row with as many documents of another package, each the nearest in tokens; where it
    has too few, of two."""
    packages = sorted({name.split(":")[0] for name in sizes} - {line.package})
    packages.sort(key=lambda one: digest(one, line.package, line.file))
    rest: list[str] = []
    for package in packages:
        if len(rest) < len(row.visible):
            rest += [name for name in sizes if name.startswith(f"{package}:")]
    chosen: list[str] = []
    for name in row.visible:
        left = [one for one in rest if one not in chosen]
        chosen.append(min(left, key=lambda one: (abs(sizes[one] - sizes[name]), one)))
    return Row("remote", row.ids, row.answers, tuple(chosen))


def _foreign(line: Line, code: Code, number: int) -> Row:
    """Return an in-file line, all its tokens scored, with other packages' documents."""
    names = [one for one in sorted(code.texts) if not one.startswith(f"{line.package}:")]
    found = code_rows.harmless(line, names, CODE_VISIBLE, f"harm {number}")
    return Row("harm", found.ids, ((max(line.begin, 1), len(line.ids)),), found.visible)


def base_scores(decoder: ReasoningDecoder, held: Material, asked: Tests) -> Scores:
    """Return scores of the base model: `none …` without memory, `text …` in context."""
    tokenizer = decoder.tokenizer
    texts = {one.path: plain_ids(tokenizer, one.text) for one in held.needles}
    texts |= {name: plain_ids(tokenizer, text) for name, text in held.code.texts.items()}
    made: Scores = {}
    for name, rows in asked.rows.items():
        if not name.endswith("other"):
            made[f"none {name}"] = plain(decoder, rows)
        if name.endswith("own"):
            made[f"text {name}"] = plain(decoder, [in_context(decoder, row, texts) for row in rows])
    return made


def reader_scores(decoder: ReasoningDecoder, shelf: Shelf, asked: Tests) -> Scores:
    """Return the scores of the reader as it stands."""
    return {name: read(decoder, rows, shelf) for name, rows in asked.rows.items()}


def summary(asked: Tests, base: Scores, variants: Mapping[str, Scores]) -> dict[str, Any]:
    """Return all numbers: the base model's, then each variant's."""
    told: dict[str, Any] = {"base": {name: _mean(found) for name, found in base.items()}}
    for variant, scores in variants.items():
        told[variant] = {
            "tests": {name: _mean(found) for name, found in scores.items()},
            **_remote(asked, base, scores),
            "own below": {
                other: _gap(asked, "remote own", variants[other], scores)
                for other in COMPARED
                if other in variants and other != variant
            },
            "harm": _mean(scores["harm"])["nll"] - _mean(base["none harm"])["nll"],
        }
    return told


def _gap(asked: Tests, test: str, worse: Scores, better: Scores) -> dict[str, Any]:
    """Return how many nats per token one is better than another, with its interval."""
    return _drawn(
        asked, {"worse": worse[test], "better": better[test]}, lambda n: n["worse"] - n["better"]
    )


def _remote(asked: Tests, base: Scores, scores: Scores) -> dict[str, Any]:
    found = {
        "own": scores["remote own"],
        "other": scores["remote other"],
        "none": base["none remote own"],
        "text": base["text remote own"],
    }

    def recovery(nll: Mapping[str, float]) -> float:
        return (nll["other"] - nll["own"]) / (nll["other"] - nll["text"])

    return {
        "S": _drawn(asked, found, lambda nll: nll["other"] - nll["own"]),
        "R": _drawn(asked, found, recovery),
        "own below none": _drawn(asked, found, lambda nll: nll["none"] - nll["own"]),
    }


def _drawn(
    asked: Tests, found: Scores, number: Callable[[Mapping[str, float]], float]
) -> dict[str, Any]:
    """Return a number of nats per token by condition, and its interval over packages."""
    clusters: dict[str, list[int]] = {}
    for place, package in enumerate(asked.packages):
        clusters.setdefault(package, []).append(place)

    def nll(places: Sequence[int]) -> dict[str, float]:
        return {name: _mean([held[n] for n in places])["nll"] for name, held in found.items()}

    groups = list(clusters.values())
    draws = [number(nll(list(chain(*draw)))) for draw in resampled(groups, SEED)]
    return {
        "value": number(nll(list(chain(*groups)))),
        "ci": interval(draws),
        "packages": len(groups),
    }


def _mean(scores: Sequence[Score]) -> dict[str, float]:
    tokens = sum(one.tokens for one in scores)
    return {
        "nll": sum(one.nats for one in scores) / tokens,
        "exact": sum(one.exact for one in scores) / len(scores),
        "rows": len(scores),
    }


def kept(scores: Scores) -> dict[str, Any]:
    """Return scores as plain JSON values."""
    return {name: [asdict(one) for one in found] for name, found in scores.items()}


def restored(plain_scores: Mapping[str, Any]) -> Scores:
    """Return what `kept` made plain."""
    return {name: [Score(**one) for one in found] for name, found in plain_scores.items()}
