"""Gold documents of a change, out of real diffs."""

from pathlib import Path

import pytest

from awareness_pipeline.symbols.gold import MAX_GOLD, Gold, gold_files, imports_of
from awareness_pipeline.symbols.index import SymbolIndex
from tests.pipeline.patch.changed import Texts, history

SUFFIXES = {
    ".py": "Python",
    ".js": "JavaScript",
    ".go": "Go",
    ".md": "Markdown",
    ".mod": "Go Module",
}

PYTHON = {
    "shop/rates.py": "TAX_RATE = 1937\n\n\ndef with_tax(cents):\n    return cents * TAX_RATE\n",
    "shop/prices.py": "OFFSET_CENTS = 3\n",
    "shop/model.py": "class Basket:\n    pass\n",
    "shop/__init__.py": "from .model import Basket\nfrom .money import *\n",
    "shop/money.py": "def rounded(x):\n    return x\n",
    "other/rates.py": "TAX_RATE = 1\nELSE = 2\n",
    "shop/use.py": "from shop.rates import TAX_RATE\n\n\ndef total(rows):\n    return 0\n",
    "README.md": "# Shop\n",
}


def tree(texts: Texts) -> list[tuple[str, str, str]]:
    return [(path, SUFFIXES.get(Path(path).suffix, ""), text) for path, text in texts.items()]


def gold(folder: Path, before: Texts, edits: Texts, gone: tuple[str, ...] = ()) -> Gold:
    """Gold of the commit that writes `edits` over `before`, and deletes `gone`."""
    after = {path: text for path, text in {**before, **edits}.items() if path not in gone}
    (one,) = history(folder / "r.git", [before, after])
    return gold_files(tree(before), one.commit.diff)


def python_gold(folder: Path, body: str, header: str = "") -> tuple[str, ...]:
    """Definers beyond the touched file, when `total` gets a body and the file a header."""
    edits = {"shop/use.py": f"{header}{PYTHON['shop/use.py'].replace('return 0', body)}"}
    found = gold(folder, PYTHON, edits)
    assert found.touched == found.paths[:1] == ("shop/use.py",)
    assert found.hops == len(found.paths) - 1
    return found.paths[1:]


def test_a_name_that_a_changed_line_uses_is_gold(tmp_path: Path) -> None:
    assert python_gold(tmp_path, "return sum(rows) * TAX_RATE") == ("shop/rates.py",)


def test_a_change_that_needs_no_other_file_has_no_hops(tmp_path: Path) -> None:
    assert python_gold(tmp_path, "return len(rows)") == ()


@pytest.mark.parametrize(
    ("header", "body", "found"),
    [
        ("from . import prices\n", "return prices.OFFSET_CENTS", ("shop/prices.py",)),
        ("from . import prices as p\n", "return p.OFFSET_CENTS", ("shop/prices.py",)),
        ("import shop.prices\n", "return shop.prices.OFFSET_CENTS", ("shop/prices.py",)),
        ("import shop\n", "return shop.prices.OFFSET_CENTS", ("shop/prices.py",)),
        ("from shop.rates import with_tax as w\n", "return w(1)", ("shop/rates.py",)),
        ("from shop import Basket\n", "return Basket()", ("shop/model.py",)),
        ("from shop import rounded\n", "return rounded(1)", ("shop/money.py",)),
        ("from shop.money import *\n", "return rounded(1)", ("shop/money.py",)),
        ("from other.rates import ELSE\n", "return ELSE", ("other/rates.py",)),
        ("from rates import ELSE\n", "return ELSE", ()),
        ("from json import TAX_RATE as t\n", "return t", ()),
        ("from shop.use import total\n", "return total", ()),
        ("thing = 1\n", "return thing.OFFSET_CENTS", ()),
    ],
)
def test_python_names_are_followed_through_imports(
    tmp_path: Path, header: str, body: str, found: tuple[str, ...]
) -> None:
    assert python_gold(tmp_path, body, header) == found


def test_a_name_of_several_files_counts_where_the_import_decides(tmp_path: Path) -> None:
    assert python_gold(tmp_path, "return TAX_RATE") == ("shop/rates.py",)
    both = {"a/rates.py": "RATE = 1\n", "b/rates.py": "RATE = 2\n", "use.py": "x = 1\n"}
    edits = {"use.py": "from rates import RATE\nx = RATE\n"}
    assert gold(tmp_path / "both", both, edits).hops == 0
    near = {"b/use.py": "x = 1\n", **both}
    found = gold(tmp_path / "near", near, {"b/use.py": "from rates import RATE\nx = RATE\n"})
    assert found.paths == ("b/use.py", "b/rates.py")


def test_removed_lines_and_headers_around_them_count(tmp_path: Path) -> None:
    before = {
        "base.py": "class Base:\n    pass\n\n\nTIMEOUT = 1234\n",
        "gone.py": "def old_way():\n    return 1\n",
        "unused.py": "OTHER = 1\n",
        "use.py": (
            "from base import TIMEOUT, Base\nfrom gone import old_way\nfrom unused import OTHER\n"
            "class Use(Base):\n    def wait(self, seconds=TIMEOUT):\n        x = 1\n"
            "        return old_way()\n\n    def other(self):\n        return OTHER\n"
        ),
    }
    edits = {"use.py": before["use.py"].replace("return old_way()", "return 1")}
    found = gold(tmp_path, before, edits)
    assert found.paths == ("use.py", "base.py", "gone.py")


def test_definers_are_ordered_by_number_of_uses(tmp_path: Path) -> None:
    before = {"a.py": "ONE = 1\n", "b.py": "TWO = 1\n", "z.py": "x = 0\n"}
    edits = {"z.py": "from a import ONE\nfrom b import TWO\nx = TWO + TWO + ONE\n"}
    assert gold(tmp_path, before, edits).paths == ("z.py", "b.py", "a.py")


def test_added_moved_and_deleted_files(tmp_path: Path) -> None:
    body = "".join(f"line_{n} = {n}\n" for n in range(30))
    before = {"lib/a.py": "ONE = 1\n", "old.py": body, "gone.py": "from lib.a import ONE\n"}
    edits = {"lib/new.py": "from .a import ONE\n", "moved.py": body + "last = 1\n"}
    found = gold(tmp_path, before, edits, gone=("gone.py", "old.py"))
    assert found == Gold(("gone.py", "old.py", "lib/a.py"), ("gone.py", "old.py"), 1)


JAVASCRIPT = {
    "src/limits.js": "export const REEF_LIMIT = 8123;\nexport default function cap(x) {}\n",
    "src/index.js": 'export { REEF_LIMIT as LIMIT } from "./limits";\nexport * from "./tank.js";\n',
    "src/tank.js": "export const TANK_SIZE = 6420;\n",
    "lib/c.js": "const A = 1;\nfunction go() {}\nmodule.exports = { A, go };\n",
    "lib/all.js": 'module.exports = require("./c");\n',
    "src/use.js": "function f(x) {\n  return x;\n}\n",
}


@pytest.mark.parametrize(
    ("header", "value", "found"),
    [
        ('import { REEF_LIMIT } from "./limits.js";', "REEF_LIMIT", "src/limits.js"),
        ('import { REEF_LIMIT as r } from "./limits.js";', "r", "src/limits.js"),
        ('import * as l from "./limits.js";', "l.REEF_LIMIT", "src/limits.js"),
        ('import cap from "./limits.js";', "cap(x)", "src/limits.js"),
        ('import { LIMIT } from "./index.js";', "LIMIT", "src/limits.js"),
        ('import { TANK_SIZE } from ".";', "TANK_SIZE", "src/tank.js"),
        ('const { go } = require("../lib/c");', "go(x)", "lib/c.js"),
        ('const { go: run } = require("../lib/c");', "run(x)", "lib/c.js"),
        ('const go = require("../lib/c").go;', "go(x)", "lib/c.js"),
        ('const c = require("../lib/c");', "c.go(x)", "lib/c.js"),
        ('const all = require("../lib/all");', "all.go(x)", "lib/c.js"),
        ('const go = require("c").go;', "go(x)", ""),
        ("const f2 = { go: 1 };", "f2.go", ""),
    ],
)
def test_javascript_names_are_followed_through_imports(
    tmp_path: Path, header: str, value: str, found: str
) -> None:
    edits = {"src/use.js": f"{header}\nfunction f(x) {{\n  return {value};\n}}\n"}
    beyond = gold(tmp_path, JAVASCRIPT, edits).paths[1:]
    assert beyond == ((found,) if found else ())


GO = {
    "go.mod": "module example.org/x\n\ngo 1.22\n",
    "clay/clay.go": "package clay\n\nconst ClayLimit = 9431\n",
    "clay/more.go": "package clay\n\nfunc Other() {}\n",
    "clay/clay_test.go": "package clay\n\nfunc InTest() {}\n",
    "kiln/cool.go": "package kiln\n\nfunc coolDown(n int) int { return n }\n",
    "kiln/a_linux.go": "package kiln\n\nfunc twice() {}\n",
    "kiln/a_windows.go": "package kiln\n\nfunc twice() {}\n",
    "kiln/kiln.go": "package kiln\n\nfunc Cap(n int) int {\n\treturn n\n}\n",
}


@pytest.mark.parametrize(
    ("header", "value", "found"),
    [
        ("", "coolDown(n)", "kiln/cool.go"),
        ("", "twice()", ""),
        ("", "n.coolDown(n)", ""),
        ('import "example.org/x/clay"', "clay.ClayLimit", "clay/clay.go"),
        ('import c "example.org/x/clay"', "c.Other()", "clay/more.go"),
        ('import c "example.org/x/clay"', "clay.Other()", ""),
        ('import "example.org/x/clay"', "clay.InTest()", ""),
        ('import "elsewhere.org/clay"', "clay.ClayLimit", ""),
        ('import "example.org/x/clay"', "clay.Nothing", ""),
    ],
)
@pytest.mark.parametrize("rooted", [True, False])
def test_go_names_are_followed_into_packages(
    tmp_path: Path, header: str, value: str, found: str, *, rooted: bool
) -> None:
    before = {path: text for path, text in GO.items() if rooted or path != "go.mod"}
    edits = {
        "kiln/kiln.go": f"package kiln\n{header}\nfunc Cap(n int) int {{\n\treturn {value}\n}}\n"
    }
    if "elsewhere" in header and not rooted:
        found = "clay/clay.go"
    assert gold(tmp_path, before, edits).paths[1:] == ((found,) if found else ())


def test_other_languages_have_touched_files_alone(tmp_path: Path) -> None:
    found = gold(tmp_path, PYTHON, {"README.md": "TAX_RATE\n"})
    assert found == Gold(("README.md",), ("README.md",), 0)


def test_gold_is_capped_with_touched_files_first(tmp_path: Path) -> None:
    before = {f"m{n:02}.py": f"NAME_{n} = 1\n" for n in range(50)}
    uses = "".join(f"from m{n:02} import NAME_{n}\n" for n in range(50))
    found = gold(tmp_path / "one", {**before, "use.py": ""}, {"use.py": uses})
    assert (len(found.paths), found.hops, found.paths[0]) == (MAX_GOLD, MAX_GOLD - 1, "use.py")
    edits = {path: text + "x = 1\n" for path, text in before.items()}
    found = gold(tmp_path / "two", before, edits)
    assert (len(found.paths), found.hops, found.touched) == (MAX_GOLD, 0, found.paths)


def test_a_cut_diff_gives_what_it_shows(tmp_path: Path) -> None:
    after = {**PYTHON, "shop/use.py": "x = 1\n"}
    (one,) = history(tmp_path / "r.git", [PYTHON, after])
    cut = one.commit.diff[: one.commit.diff.index("-def total")]
    assert gold_files(tree(PYTHON), cut).paths == ("shop/use.py", "shop/rates.py")


def test_files_are_parsed_once_for_all_trees(tmp_path: Path) -> None:
    edit = {"shop/use.py": PYTHON["shop/use.py"].replace("return 0", "return TAX_RATE")}
    later = {**PYTHON, **edit}
    (one,) = history(tmp_path / "r.git", [PYTHON, later])
    index = SymbolIndex()
    gold_files(tree(PYTHON), one.commit.diff, index=index)
    parsed = index.parsed
    assert gold_files(tree(PYTHON), one.commit.diff, index=index).hops == 1
    assert index.parsed == parsed


def test_an_index_keeps_no_more_than_its_limit() -> None:
    index = SymbolIndex(limit=2)
    for text in ("A = 1\n", "B = 1\n", "A = 1\n", "C = 1\n", "A = 1\n"):
        index.facts("Python", text)
    assert index.parsed == 3
    index.facts("Python", "B = 1\n")
    assert index.parsed == 4


def test_imports_of_files_are_one_hop() -> None:
    files = tree({**PYTHON, "top.py": "import shop.use\nfrom shop import prices, Basket\n"})
    assert imports_of(files, ["top.py"]) == {
        "shop/__init__.py",
        "shop/model.py",
        "shop/prices.py",
        "shop/use.py",
    }
    assert imports_of(files, ["shop/use.py", "README.md", "gone.py"]) == {"shop/rates.py"}
    assert imports_of(tree(JAVASCRIPT), ["src/index.js"]) == {"src/limits.js", "src/tank.js"}
    use = 'package kiln\nimport "example.org/x/clay"\nvar x = clay.ClayLimit + coolDown(1)\n'
    assert imports_of(tree({**GO, "kiln/use.go": use}), ["kiln/use.go"]) == {
        "clay/clay.go",
        "kiln/cool.go",
    }


def test_names_passed_on_in_a_circle_or_by_everyone_end_somewhere() -> None:
    stars = "".join(f"from m{n} import *\n" for n in range(200))
    everyone = {f"m{n}.py": stars for n in range(200)}
    circle = {"a.py": "from b import X\n", "b.py": "from a import X\n"}
    users = {"use.py": "from m0 import X, Y\nfrom a import X\n"}
    found = imports_of(tree({**everyone, **circle, **users}), ["use.py"])
    assert found == {"a.py", "m0.py"}


def test_a_touched_file_that_defines_is_no_hop(tmp_path: Path) -> None:
    edits = {
        "shop/rates.py": PYTHON["shop/rates.py"].replace("1937", "2041"),
        "shop/use.py": PYTHON["shop/use.py"].replace("return 0", "return TAX_RATE"),
    }
    both = ("shop/rates.py", "shop/use.py")
    assert gold(tmp_path, PYTHON, edits) == Gold(both, both, 0)


def test_a_file_is_not_gold_for_its_own_names(tmp_path: Path) -> None:
    before = {
        "shop/__init__.py": "from .use import OWN\n",
        "shop/all.py": "LOCAL = 1\n",
        "shop/use.py": "OWN = 1\n",
    }
    circle = "from shop import OWN as again\nOWN = again\n"
    assert gold(tmp_path / "circle", before, {"shop/use.py": circle}).hops == 0
    star = "from shop.all import *\nLOCAL = 2\nOWN = LOCAL\n"
    assert gold(tmp_path / "star", before, {"shop/use.py": star}).hops == 0
