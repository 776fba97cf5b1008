"""Pieces of HTML: a page that needs nothing from outside, tables, lists, pictures.

Colours follow the reader's light or dark setting. Everything given as text is escaped.
"""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

__all__ = ["absent", "document", "listing", "number", "picture", "table"]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.absent { opacity: .6; } .reason { opacity: .75; } img { max-width: 100%; }
blockquote { margin: .6rem 0; padding: .5rem .9rem; background: var(--soft); border-radius: 6px;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
.beside { table-layout: fixed; } .beside td { vertical-align: top; overflow-wrap: anywhere; }
"""


def document(title: str, body: str) -> str:
    """Return a whole page; `body` is HTML."""
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}</body></html>\n"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], text_columns: int) -> str:
    """Return a table whose columns after the first `text_columns` are numbers."""

    def row(cells: Sequence[Any], tag: str) -> str:
        shown = "".join(
            f"<{tag}{'' if place < text_columns else ' class=number'}>"
            f"{escape(f'{cell:,}' if isinstance(cell, int) else str(cell))}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{shown}</tr>"

    body = "".join(row(cells, "td") for cells in rows)
    return f'<div class="wide"><table>{row(head, "th")}{body}</table></div>'


def listing(lines: Iterable[str]) -> str:
    """Return lines as a list."""
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def picture(source: str, says: str) -> str:
    """Return a picture from a data URI."""
    return f'<p><img src="{source}" alt="{escape(says)}"></p>'


def absent() -> str:
    """Return what stands for a stage that has not run."""
    return '<p class="absent">not run</p>'


def number(value: float | None) -> str:
    """Return a number with two digits behind the point; a dash for none."""
    # Adding 0.0 turns -0.0 into 0.0.
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"
