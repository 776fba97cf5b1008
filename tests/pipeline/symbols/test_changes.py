"""Questions whose answers change with an edit, and stay when another file is edited."""

import random

import pytest

from awareness_pipeline.symbols.changes import MAX_STEPS, Chain, StateItem, chains, state_items
from awareness_pipeline.symbols.index import SymbolIndex

File = tuple[str, str, str]

RATES = (
    'TAX_RATE = 1937\nNAME = "quay-surge"\nKEPT = 5151\n\n\ndef total(rows, tax=1937):\n    pass\n'
)
LIMITS = "export const REEF_LIMIT = 8123;\nexport function tagReef(name) {}\n"
CLAY = "package clay\n\nconst ClayLimit = 9431\n\nfunc CapKiln(n int) int { return n }\n"
TREE: list[File] = [
    ("shop/rates.py", "Python", RATES),
    ("src/limits.js", "JavaScript", LIMITS),
    ("clay/clay.go", "Go", CLAY),
    ("README.md", "Markdown", "TAX_RATE = 1937\n"),
]


def edit(tree: list[File], *swaps: tuple[str, str]) -> list[File]:
    """Replace texts everywhere."""
    for old, new in swaps:
        tree = [(path, language, text.replace(old, new)) for path, language, text in tree]
    return tree


def one(before: list[File], after: list[File]) -> StateItem:
    (item,) = state_items(before, after, seed=0)
    return item


@pytest.mark.parametrize(
    ("old", "new", "kind", "answers"),
    [
        ("TAX_RATE = 1937", "TAX_RATE = 2041", "constant", ("1937", "2041")),
        ('"quay-surge"', '"fog-bell"', "constant", ('"quay-surge"', '"fog-bell"')),
        ("LIMIT = 8123", "LIMIT = 7321", "constant", ("8123", "7321")),
        ("Limit = 9431", "Limit = 1349", "constant", ("9431", "1349")),
        ("tagReef(name)", "tagReef(name, size)", "signature", ("(name)", "(name, size)")),
        ("(n int)", "(n, m int)", "signature", ("(n int)", "(n, m int)")),
    ],
)
def test_an_answer_that_an_edit_changes(
    old: str, new: str, kind: str, answers: tuple[str, str]
) -> None:
    item = one(TREE, edit(TREE, (old, new)))
    assert (item.kind, item.before, item.after) == (kind, *answers)
    assert item.path_before == item.path_after
    assert item.before not in item.prompt
    assert item.after not in item.prompt


def test_prompts_ask_a_test_or_open_the_definition() -> None:
    after = edit(TREE, ("TAX_RATE = 1937", "TAX_RATE = 2041"), ("tax=1937", "tax=2041"))
    items = state_items(TREE, after, seed=0)
    assert {item.kind: (item.prompt, item.before, item.after) for item in items} == {
        "constant": (
            "# tests/test_rates.py\nfrom shop.rates import TAX_RATE\n\nassert TAX_RATE == ",
            "1937",
            "2041",
        ),
        "default": (
            """# tests/test_rates.py
import inspect
from shop.rates import total

assert inspect.signature(total).parameters["tax"].default == """,
            "1937",
            "2041",
        ),
        "signature": (
            "# shop/rates.py\n\ndef total",
            "(rows, tax=1937)",
            "(rows, tax=2041)",
        ),
    }


def test_a_file_may_move_under_the_same_module() -> None:
    after = [
        ("src/shop/rates.py", "Python", RATES.replace("TAX_RATE = 1937", "TAX_RATE = 2041")),
        *TREE[1:],
    ]
    item = one(TREE, after)
    assert (item.path_before, item.path_after) == ("shop/rates.py", "src/shop/rates.py")


@pytest.mark.parametrize(
    "swap",
    [
        ("nothing", "else"),
        ("TAX_RATE", "VAT_RATE"),
        ("TAX_RATE = 1937", "TAX_RATE = 20"),
        ("TAX_RATE = 1937", "TAX_RATE = compute()"),
        ("TAX_RATE = 1937", "TAX_RATE = 2041\nTAX_RATE = 2042"),
        ("# Shop", "# Market"),
        ("{}", "{ return 1; }"),
    ],
)
def test_edits_that_change_no_answer_worth_asking_for(swap: tuple[str, str]) -> None:
    assert state_items(TREE, edit(TREE, swap), seed=0) == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_name_that_two_files_define_is_not_asked_for(where: str) -> None:
    after = edit(TREE, ("TAX_RATE = 1937", "TAX_RATE = 2041"))
    more = [("other/rates.py", "Python", "TAX_RATE = 1\n")]
    trees = {"before": TREE, "after": after}
    trees[where] = trees[where] + more
    assert state_items(trees["before"], trees["after"], seed=0) == []


def versions(*values: int, others: bool = False) -> list[tuple[str, list[File]]]:
    """Trees with the constant at each value; with `others`, another file changes in each."""
    return [
        (
            f"sha{n}",
            [
                ("shop/rates.py", "Python", f"TAX_RATE = {value}\n"),
                ("shop/other.py", "Python", f"x = {n if others else 0}\n"),
            ],
        )
        for n, value in enumerate(values)
    ]


def followed(chain: Chain) -> list[tuple[str, str, bool]]:
    return [(step.sha, step.answer, step.changed) for step in chain.steps]


def test_a_chain_follows_a_question_through_edits_with_controls_between() -> None:
    (chain,) = chains(versions(1111, 1111, 2222, 2222, 2222, 3333, others=True), seed=0)
    assert followed(chain) == [
        ("sha0", "1111", True),
        ("sha1", "1111", False),
        ("sha2", "2222", True),
        ("sha4", "2222", False),
        ("sha5", "3333", True),
    ]
    assert {step.path for step in chain.steps} == {"shop/rates.py"}


def test_trees_that_are_the_same_are_one_step() -> None:
    (chain,) = chains(versions(1111, 1111, 2222, 2222), seed=0)
    assert followed(chain) == [("sha0", "1111", True), ("sha2", "2222", True)]


def test_an_answer_may_come_back() -> None:
    (chain,) = chains(versions(1111, 2222, 1111), seed=0)
    assert [answer for _, answer, _ in followed(chain)] == ["1111", "2222", "1111"]


def test_a_question_that_a_tree_does_not_have_ends_its_chain() -> None:
    trees = versions(1111, 2222, 3333, 4444, 5555)
    trees[2] = ("sha2", [("shop/rates.py", "Python", "OTHER = 1\n")])
    found = chains(trees, seed=0)
    assert sorted(tuple(one.sha for one in chain.steps) for chain in found) == [
        ("sha0", "sha1"),
        ("sha3", "sha4"),
    ]


def test_answers_that_never_change_make_no_chain() -> None:
    assert chains(versions(1111, 1111, 1111, others=True), seed=0) == []


def test_a_chain_has_at_most_so_many_steps() -> None:
    (chain,) = chains(versions(*range(1111, 1140)), seed=0)
    assert len(chain.steps) == MAX_STEPS


def test_order_of_files_does_not_matter_and_the_seed_does() -> None:
    after = edit(TREE, ("1937", "2041"), ("8123", "7321"), ("9431", "1349"), ("quay", "pier"))
    shuffled = list(TREE)
    random.Random(1).shuffle(shuffled)
    items = state_items(TREE, after, seed=0)
    assert len(items) == 6
    assert state_items(shuffled, after, seed=0) == items
    other = state_items(TREE, after, seed=1)
    assert other != items
    assert set(other) == set(items)
    assert state_items(TREE, after, seed=0, limit=2) == items[:2]
    trees = [("a", TREE), ("b", after)]
    found = chains(trees, seed=0)
    assert len(found) == 6
    assert chains(trees, seed=0, limit=2) == found[:2]
    assert len({chain.chain_id for chain in found}) == 6


def test_only_files_that_differ_are_parsed_again() -> None:
    index = SymbolIndex()
    state_items(TREE, TREE, seed=0, index=index)
    parsed = index.parsed
    assert parsed == 3
    state_items(TREE, edit(TREE, ("8123", "7321")), seed=0, index=index)
    assert index.parsed == parsed + 1
