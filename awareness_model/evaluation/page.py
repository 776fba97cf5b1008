"""One page of an evaluation's report: tables, plots, and what each row lacks. Nothing from outside.

Takes the report as JSON gives it, so that a page can be made of any `report.json`. All text is
escaped.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from awareness_model.evaluation.needles import TASKS

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.3rem; margin-top: 3rem; }
h3 { font-size: 1.05rem; margin: 2rem 0 .2rem; } p { max-width: 48rem; }
table { border-collapse: collapse; font-size: .8rem; margin: .6rem 0; }
th, td { text-align: right; padding: .25rem .55rem; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { vertical-align: bottom; font-weight: 600; } tr:hover td { background: var(--soft); }
th:first-child, td:first-child, .left { text-align: left; }
.wide { overflow-x: auto; } .small { opacity: .75; font-size: .85rem; margin: .2rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .9rem; }
dt { font-weight: 600; } dd { margin: 0; } img { max-width: 100%; }
"""
LEAD = (
    "S is what a repository's own memory is worth over another repository's of the same size, in "
    "nats per token: above 0, the model reads what the memory says, not only that there is one. R "
    "is the share of what the same text in the context would be worth: at 1 memory is as good as "
    "text. Intervals are 95 %."
)
SAYS = {
    "perplexity": "Lines of held-out packages that use what another file defines. NLL is in nats "
    "per token, lower is better. None against own is no gain of memory: any memory changes the "
    "form of answers. Intervals by resampling families of packages; of one package, its few lines.",
    "needle": "Procedural functions hidden among real ones; exact match of greedy answers. Memory "
    "has no positions beyond a document, so there is no depth: what varies is how many documents "
    "are visible, and the size of the haystack. Removed and other must fall to chance, edited must "
    "not.",
    "pareto": "What stored memory costs against what it is worth on remote tokens; down and left "
    "is better. Raw text is the line to beat: it costs least to store, and most to read.",
}
CONDITIONS = {
    "none": "no memory, no text",
    "own": "memory of the pieces that decide, and others of the package",
    "other": "memory of another package's pieces, matched in size",
    "text": "what own reads, as text in the context",
    "oracle": "memory of the deciding pieces alone",
    "own_minus": "memory of the package without the files that decide",
    "routed": "memory of what the router finds, whatever decides",
    "rag_slots": "the router's pieces as text, as many tokens as slots",
    "rag_latency": "the router's pieces as text, as many tokens as cost the same to read",
    "rag_embedding": "a sentence encoder's pieces as text, as many tokens as slots",
    "control": "own, read by a reader that was trained on shuffled memory",
}
CLASSES = {
    "remote": "defined in another file",
    "rest": "the same lines' other tokens",
    "in_file": "lines that use no other file",
}
CONTRASTS = {
    "S": "S",
    "R": "R",
    "oracle_specificity": "own_minus − oracle",
    "over_control": "control − own",
    "harm_own": "own − none",
    "harm_other": "other − none",
}
PARETO_HEAD = (
    *("reader", "placement", "layers", "dtype", "tokens a slot", "bytes a token"),
    *("own", "S", "R", "own − none, in-file"),
)
TITLES = {
    "perplexity": "Remote lines of held-out packages",
    "needle": "Needles among real functions",
    "pareto": "Quality against bytes",
}
Html = str


def page(report: Mapping[str, Any], pictures: Mapping[str, bytes]) -> Html:
    """Return the whole page.

    Args:
        pictures: PNGs by file name, as `pictures.pictures` makes them.
    """
    parts = {"perplexity": _perplexity, "needle": _needle, "pareto": _pareto}
    shown = {
        "perplexity": ("remote.png", "packages.png"),
        "needle": ("needle.png",),
        "pareto": ("pareto.png",),
    }
    body = "".join(
        f"<h2>{TITLES[name]}</h2><p>{escape(SAYS[name])}</p>"
        + "".join(_picture(pictures[one], one) for one in shown[name] if one in pictures)
        + part(report[name])
        for name, part in parts.items()
        if report.get(name)
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>What a memory is '
        'worth</title><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>What a memory is worth</h1>\n"
        f"<p>{escape(LEAD)}</p>{_short(report)}{body}</body></html>\n"
    )


def _short(report: Mapping[str, Any]) -> Html:
    """Return a row for each reader: the numbers to look at first."""
    remote = {row["reader"]: row for row in report.get("perplexity", ())}
    needle = {row["reader"]: row for row in report.get("needle", ())}
    body = []
    for reader in dict.fromkeys((*remote, *needle)):
        classes = remote.get(reader, {}).get("classes", {})
        found = [
            _estimate(classes.get(kind, {}).get(name))
            for kind, name in (("remote", "S"), ("remote", "R"), ("in_file", "harm_other"))
        ]
        body.append([reader, *found, _most_visible(needle.get(reader))])
    head = ["reader", "S, remote tokens", "R", "harm of wrong memory, in-file", "needle values"]
    return _table(head, body) if body else ""


def _most_visible(row: Mapping[str, Any] | None) -> str:
    given = [
        one
        for one in (row or {}).get("table", ())
        if one["condition"] == "given" and one["task"] == "value"
    ]
    if not given:
        return "–"
    one = max(given, key=lambda one: one["visible"])
    return f"{_share(one)} with {one['visible']} visible"


def _perplexity(rows: Sequence[Mapping[str, Any]]) -> Html:
    names = {name for row in rows for one in row["classes"].values() for name in one["nll"]}
    legend = "".join(
        f"<dt>{name}</dt><dd>{escape(says)}</dd>"
        for name, says in CONDITIONS.items()
        if name in names
    )
    return f"<dl>{legend}</dl>{''.join(map(_classes, rows))}"


def _classes(row: Mapping[str, Any]) -> Html:
    """Return one reader's tables: a row for each class of tokens."""
    classes = row["classes"]
    held = {name for one in classes.values() for name in one["nll"]}
    names = [name for name in CONDITIONS if name in held]
    made = [name for name in CONTRASTS if any(name in one for one in classes.values())]
    nats = [
        [CLASSES[kind], f"{one['lines']:,}", f"{one['tokens']:,}"]
        + [_number(one["nll"].get(name)) for name in names]
        for kind, one in classes.items()
    ]
    contrasts = [
        [CLASSES[kind], *(_estimate(one.get(name)) for name in made)]
        for kind, one in classes.items()
    ]
    counted = f"{row['packages']} packages of {row['families']} families, {row['lines']} lines"
    return (
        _headed(row, counted)
        + _table(["NLL of tokens", "lines", "tokens", *names], nats)
        + _table(["differences", *(CONTRASTS[name] for name in made)], contrasts)
        + _found(row.get("recall") or {})
    )


def _found(recall: Mapping[str, float | None]) -> Html:
    said = {"routed": "the router", "embedded": "the sentence encoder"}
    parts = [
        f"{said[name]} finds a deciding piece for {share:.0%} of the lines"
        for name, share in recall.items()
        if share is not None
    ]
    return f'<p class="small">{escape("; ".join(parts))}.</p>' if parts else ""


def _needle(rows: Sequence[Mapping[str, Any]]) -> Html:
    made = []
    for row in rows:
        counted = f"{row['haystack_lines']:,} lines, {row['documents']:,} documents"
        tasks = [task for task in TASKS if any(one["task"] == task for one in row["table"])]
        head = ["condition", "documents", *tasks, *(f"NLL {task}" for task in tasks)]
        head += ["cited first", "null mass"]
        made += [_headed(row, counted), _table(head, _pivoted(row["table"], tasks))]
        made.append(_recall(row["router"], "the router finds it among the first"))
        made.append(_recall(row.get("embedding") or {}, "the sentence encoder, among the first"))
        said = (
            f"{name.replace('_', ' ')}: {_number(one)}" for name, one in row["controls"].items()
        )
        made.append(f'<p class="small">{escape("; ".join(said))}.</p>')
    return "".join(made)


def _pivoted(table: Sequence[Mapping[str, Any]], tasks: Sequence[str]) -> list[list[Any]]:
    """Return a row for each condition and number of documents, tasks side by side."""
    rows = []
    for condition, visible in dict.fromkeys((one["condition"], one["visible"]) for one in table):
        held = {
            one["task"]: one
            for one in table
            if (one["condition"], one["visible"]) == (condition, visible)
        }
        exact = [_share(held[task]) if task in held else "–" for task in tasks]
        nats = [_number(held.get(task, {}).get("nll")) for task in tasks]
        looked = [_mean([one.get(name) for one in held.values()]) for name in LOOKED]
        rows.append([condition, visible, *exact, *nats, *map(_number, looked)])
    return rows


LOOKED = ("cited_first", "null_mass")


def _share(one: Mapping[str, Any]) -> str:
    """Return how many of a row's answers are exact."""
    return f"{round(one['em']['value'] * one['questions'])} of {one['questions']}"


def _mean(values: Sequence[float | None]) -> float | None:
    held = [one for one in values if one is not None]
    return sum(held) / len(held) if held else None


def _recall(found: Mapping[str, Mapping[str, float]], says: str) -> Html:
    if not found:
        return ""
    sizes = list(next(iter(found.values())))
    body = [[task, *(_number(held[k]) for k in sizes)] for task, held in found.items()]
    return _table([says, *sizes], body)


def _pareto(rows: Sequence[Mapping[str, Any]]) -> Html:
    body = [
        [
            row["reader"].removesuffix(f", {row.get('placement')}"),
            row.get("placement") or "",
            row.get("layers", ""),
            row.get("dtype", ""),
            row.get("pooling", ""),
            f"{row['bytes_per_token']:,.{0 if row['bytes_per_token'] > 100 else 1}f}",
            _number((row.get("nll") or {}).get("own", (row.get("nll") or {}).get("text"))),
            _estimate(row.get("S")),
            _estimate(row.get("R")),
            _estimate(row.get("harm_own")),
        ]
        for row in rows
    ]
    last = rows[-1]
    counted = f"{last['packages']} packages, {last['lines']} lines. {last['machine']}"
    return _table(PARETO_HEAD, body) + _missing(counted, last["missing"])


def _headed(row: Mapping[str, Any], counted: str) -> Html:
    said = f"{row['layout']}, stored as {row['dtype']}, computed in {row['precision']}"
    named = f"<h3>{escape(row['reader'])}</h3>"
    return named + _missing(f"{said}; {counted}. {row['machine']}", row["missing"])


def _missing(said: str, missing: Sequence[str]) -> Html:
    lacks = "; ".join(missing) or "nothing"
    return f'<p class="small">{escape(said)}.<br>Missing: {escape(lacks)}.</p>'


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Html:
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{top}</tr>{body}</table></div>'


def _picture(content: bytes, says: str) -> Html:
    source = "data:image/png;base64," + b64encode(content).decode()
    return f'<div><img src="{source}" alt="{escape(says)}"></div>'


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _estimate(found: Mapping[str, Any] | None) -> str:
    if not found or found["value"] is None:
        return "–"
    return f"{found['value']:.2f} [{found['ci'][0]:.2f}, {found['ci'][1]:.2f}]"
