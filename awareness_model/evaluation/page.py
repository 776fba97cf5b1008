"""One page of an evaluation's report: tables, plots, and what each row lacks. Nothing from outside.

Takes the report as JSON gives it, so that a page can be made of any `report.json`. All text is
escaped.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from awareness_model.evaluation import plots

STYLE = """
:root { color-scheme: light dark; --line: #8884; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
table { border-collapse: collapse; width: 100%; font-size: .85rem; }
th, td { text-align: left; padding: .25rem .5rem; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; } .missing { opacity: .75; font-size: .85rem; } img { max-width: 100%; }
"""
SAYS = {
    "perplexity": "Nats per token, on lines of held-out packages that use another file. S is what "
    "the own memory is worth over another package's of the same size; R is its share of what the "
    "same text in the context is worth. None against own is no gain of memory: any memory changes "
    "the form of answers. Intervals: 95 %, by resampling families of packages.",
    "needle": "Exact match of greedy answers. The deciding document is given among k, or found by "
    "the router among all. Removed and other must fall to chance, edited must not.",
    "pareto": "What stored memory costs against what it is worth on remote tokens. Raw text is the "
    "line to beat.",
}
NEEDLE_HEAD = (
    *("condition", "k", "task", "questions", "EM"),
    *("NLL", "chance", "cited first", "null mass"),
)
PARETO_HEAD = (
    *("reader", "placement", "dtype", "p", "bytes/token", "own", "S", "R"),
    *("harm in-file", "machine", "missing"),
)
Html = str


def page(report: Mapping[str, Any]) -> Html:
    """Return the whole page."""
    parts = {"perplexity": _perplexity, "needle": _needle, "pareto": _pareto}
    titles = {
        "perplexity": "Remote-context perplexity",
        "needle": "Needle, repository edition",
        "pareto": "Quality against bytes per token",
    }
    body = "".join(
        f"<h2>{titles[name]}</h2><p>{escape(SAYS[name])}</p>{part(report[name])}"
        for name, part in parts.items()
        if report.get(name)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>What a memory is '
        'worth</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>What a memory is worth</h1>\n{body}"
        "</body></html>\n"
    )


def _perplexity(rows: Sequence[Mapping[str, Any]]) -> Html:
    drawn = {
        f"{row['reader']}: {kind}": (found["S"]["value"], *found["S"]["ci"])
        for row in rows
        for kind, found in row["classes"].items()
        if found.get("S", {}).get("ci")
    }
    nll = {row["reader"]: row["classes"].get("remote", {}).get("nll", {}) for row in rows}
    pictures = [
        _picture(plots.intervals(drawn, "S (nats per token)"), "S with intervals") if drawn else "",
        _picture(plots.bars(nll, "NLL of remote tokens"), "NLL by condition")
        if any(nll.values())
        else "",
    ]
    return "".join([*map(_classes, rows), *pictures])


def _classes(row: Mapping[str, Any]) -> Html:
    """Return one reader's table: a row for each class of tokens."""
    names = list(dict.fromkeys(name for one in row["classes"].values() for name in one["nll"]))
    made = [name for name in CONTRASTS if any(name in one for one in row["classes"].values())]
    body = [
        [
            kind,
            f"{found['lines']:,}",
            f"{found['tokens']:,}",
            *(_number(found["nll"].get(name)) for name in names),
            *(_estimate(found.get(name)) for name in made),
        ]
        for kind, found in row["classes"].items()
    ]
    head = ["tokens of", "lines", "tokens", *names, *(CONTRASTS[name] for name in made)]
    counted = f"{row['packages']} packages of {row['families']} families, {row['lines']} lines"
    return _headed(row, counted) + _table(head, body)


CONTRASTS = {
    "S": "S",
    "R": "R",
    "oracle_specificity": "own minus oracle − oracle",
    "over_control": "shuffled reader − own",
    "harm_own": "own − none",
    "harm_other": "other − none",
}


def _needle(rows: Sequence[Mapping[str, Any]]) -> Html:
    made = []
    for row in rows:
        counted = f"{row['haystack_lines']:,} lines, {row['documents']:,} documents"
        body = [
            [
                one["condition"],
                one["visible"],
                one["task"],
                one["questions"],
                _estimate(one["em"]),
                _number(one["nll"]),
                _number(one["chance"]) if one["chance"] is None else f"{one['chance']:g}",
                _number(one.get("cited_first")),
                _number(one.get("null_mass")),
            ]
            for one in row["table"]
        ]
        made += [_headed(row, counted), _table(NEEDLE_HEAD, body), _recall(row["router"])]
        made.append(_listing(f"{name}: {_number(one)}" for name, one in row["controls"].items()))
        picture = plots.curves(_em_by_size(row["table"]), "documents visible", "exact match")
        made.append(_picture(picture, "exact match by documents visible"))
    return "".join(made)


def _em_by_size(table: Sequence[Mapping[str, Any]]) -> dict[str, dict[int, float]]:
    found: dict[str, dict[int, float]] = {}
    for one in table:
        if one["condition"] in ("given", "routed"):
            held = found.setdefault(f"{one['task']}, {one['condition']}", {})
            held[one["visible"]] = one["em"]["value"]
    return found


def _recall(router: Mapping[str, Mapping[str, float]]) -> Html:
    sizes = list(next(iter(router.values())))
    body = [[task, *(_number(held[k]) for k in sizes)] for task, held in router.items()]
    return _table(["router finds it", *(f"recall@{k}" for k in sizes)], body)


def _pareto(rows: Sequence[Mapping[str, Any]]) -> Html:
    body = [
        [
            row["reader"],
            row.get("placement") or "",
            row.get("dtype", ""),
            row.get("pooling", ""),
            f"{row['bytes_per_token']:,.0f}",
            _number((row.get("nll") or {}).get("own")),
            _estimate(row.get("S")),
            _estimate(row.get("R")),
            _estimate(row.get("harm_own")),
            row.get("machine", ""),
            "; ".join(row.get("missing", ())),
        ]
        for row in rows
    ]
    dots = [
        (f"{row['reader']} {row['dtype']}", row["bytes_per_token"], row["S"]["value"])
        for row in rows
        if (row.get("S") or {}).get("value") is not None
    ]
    drawn = plots.scatter(dots, "bytes per token", "S (nats per remote token)") if dots else ""
    return _table(PARETO_HEAD, body) + (
        _picture(drawn, "S against bytes per token") if drawn else ""
    )


def _headed(row: Mapping[str, Any], counted: str) -> Html:
    said = f"{row['layout']}, stored as {row['dtype']}, computed in {row['precision']}"
    return (
        f"<h3>{escape(row['reader'])}</h3><p>{escape(said)}; {escape(counted)}. "
        f"{escape(row['machine'])}.</p>"
        f'<p class="missing">Missing: {escape("; ".join(row["missing"]) or "nothing")}.</p>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Html:
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _listing(lines: Iterable[str]) -> Html:
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _picture(source: str, says: str) -> Html:
    return f'<p><img src="{source}" alt="{escape(says)}"></p>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _estimate(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "–"
    return f"{found['value']:.3f} [{found['ci'][0]:.3f}, {found['ci'][1]:.3f}]"
