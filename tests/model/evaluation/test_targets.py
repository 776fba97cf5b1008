from awareness_model.evaluation.corpus import Package
from awareness_model.evaluation.targets import remote_targets
from tests.model.evaluation.packages_world import package


def found(files, limit=99):
    made = Package("p", "", tuple(sorted((f"p/{path}", text) for path, text in files.items())))
    return {one.line: one for one in remote_targets(made, limit) if one.kind == "remote"}


def words(target):
    return [target.text[slice(*span)] for span in target.spans]


def test_names_attributes_and_keywords_of_another_file_are_remote():
    targets = remote_targets(package("pack"), 99)
    by_text = {one.text: one for one in targets}
    call = by_text["total = rule_2(1, scale=2)"]
    assert words(call) == ["rule_2", "scale"]
    assert [(gold.path, gold.name) for gold in call.gold] == [("pack/rules.py", "rule_2")]
    last = by_text["return Table.limit + notes.count_of(checked)"]
    assert words(last) == ["Table", "limit", "count_of"]
    assert {gold.name for gold in last.gold} == {"Table", "limit", "count_of"}
    assert by_text["checked = total + 1"].kind == "in_file"


def test_gold_is_the_definition_and_the_prompt_the_text_before():
    made = package("pack")
    texts = dict(made.files)
    for one in remote_targets(made, 99):
        before = texts[one.file].splitlines()[: one.line - 1]
        assert one.prompt.splitlines()[: len(before)] == before
        assert texts[one.file].splitlines()[one.line - 1].strip() == one.text
        for gold in one.gold:
            assert gold.path != one.file
            assert gold.name in texts[gold.path][gold.start : gold.end].splitlines()[0]


def test_re_exports_relative_imports_and_modules_are_followed():
    files = {
        "__init__.py": "from .deep.core import made as made\n",
        "deep/__init__.py": "",
        "deep/core.py": "def made(size):\n    return size\n",
        "other.py": "from . import made as built\nfrom .deep import core\n\n"
        "first_thing = built(size=3)\nsecond_thing = core.made(4)\n",
    }
    targets = found(files)
    assert words(targets[4]) == ["built", "size"]
    assert words(targets[5]) == ["made"]
    assert {gold.path for one in targets.values() for gold in one.gold} == {"p/deep/core.py"}


def test_names_bound_anew_and_other_packages_are_no_targets():
    files = {
        "core.py": "def made(size):\n    return size\n\n\ndef kept(size):\n    return size\n",
        "use.py": "import json\nfrom p.core import made, kept\n\n\ndef inner(made):\n"
        "    return made(size=1)\n\n\ntext_of = json.dumps(kept(2))\n",
    }
    targets = found(files)
    assert list(targets) == [9]
    assert words(targets[9]) == ["kept"]


def test_circles_of_imports_end():
    files = {
        "a.py": "from .b import thing\n\nvalue_of = thing(1)\n",
        "b.py": "from .a import thing\n\nother_of = thing(2)\n",
    }
    assert found(files) == {}


def test_a_statement_of_several_lines_is_several_targets():
    files = {
        "core.py": "LIMIT = 3\nOTHER = 4\n",
        "use.py": "from p.core import LIMIT, OTHER\n\nvalue = (\n    LIMIT +\n    OTHER + 10\n)\n",
    }
    targets = found(files)
    assert words(targets[5]) == ["OTHER"]


def test_the_limit_is_spread_over_files_and_the_order_is_drawn():
    files = {
        f"u{n}.py": "from p.core import made\n\nx_value = made(1)\ny_value = made(2)\n"
        for n in range(4)
    }
    files["core.py"] = "def made(size):\n    return size\n"
    made = Package("p", "", tuple(sorted((f"p/{path}", text) for path, text in files.items())))
    taken = [one for one in remote_targets(made, 4) if one.kind == "remote"]
    assert len({one.file for one in taken}) == 4
    assert remote_targets(made, 4) == remote_targets(made, 4)
    assert [one.key for one in remote_targets(made, 8, 1)] != [
        one.key for one in remote_targets(made, 8)
    ]


def test_a_long_prompt_is_whole_last_lines():
    files = {
        "core.py": "def made(size):\n    return size\n",
        "use.py": "from p.core import made\n" + "padding = 1\n" * 500 + "value_of = made(1)\n",
    }
    (one,) = found(files).values()
    assert len(one.prompt) <= 1_200
    assert set(one.prompt.splitlines()) == {"padding = 1"}
