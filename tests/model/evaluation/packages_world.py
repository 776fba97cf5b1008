"""Small packages whose files use one another, and a tiny model on disk."""

from string import ascii_lowercase

from awareness_model.evaluation.corpus import Package, side

NAMES = [name for name in map("pack{}".format, ascii_lowercase) if side(name) == "held_out"]
"""Held-out packages; the letter is part of the family."""


def package(name, functions=4):
    """A package of four files: `use` takes functions, a class and keywords from `rules`."""
    rules = [
        f'def rule_{n}(weight, scale=1):\n    """Return a weight."""\n    value = weight * {n}\n'
        f"    return value * scale\n"
        for n in range(functions)
    ]
    rules.append("class Table:\n    limit = 3\n\n    def rows(self):\n        return self.limit\n")
    calls = [
        f"    total = rule_{n}(1, scale={n})\n    checked = total + {n}" for n in range(functions)
    ]
    use = [
        f"from {name}.rules import Table, " + ", ".join(f"rule_{n}" for n in range(functions)),
        f"import {name}.notes as notes\n\n",
        "def total_of():\n"
        + "\n".join(calls)
        + "\n    return Table.limit + notes.count_of(checked)",
    ]
    notes = "def count_of(things):\n    counted = len(str(things))\n    return counted\n"
    return Package(
        name,
        "",
        (
            (f"{name}/extra.py", f"def extra_of(total):\n    text = '{name}'\n    return text\n"),
            (f"{name}/notes.py", notes),
            (f"{name}/rules.py", "\n\n".join(rules)),
            (f"{name}/use.py", "\n".join(use) + "\n"),
        ),
    )


def packages(count=3):
    """Held-out packages that are no copies of one another in name."""
    return [package(name) for name in NAMES[:count]]
