"""The page in a real browser, as people use it: a question typed, Ask clicked, and looked at."""

import httpx2
import pytest

from awareness_model.service.app import Service
from awareness_model.service.forms import Limits
from tests.browser import ABSENT, REQUIRED, browser, present
from tests.model.agent_world import FILES, filled, tiny_model
from tests.model.memory.live_world import put
from tests.model.test_serve import listening

HOSTILE = "src/<img src=x onerror=alert(1)>.py"
LONG = "".join(f"def step_{n}(value):\n    return value + {n}\n\n\n" for n in range(60))
BARS = """
return Array.from(document.querySelectorAll("article:first-of-type .bars > div"), (row) => [
  row.className, row.querySelector("code").textContent,
  parseFloat(row.querySelector(".fill").style.width), row.querySelector(".number").textContent])
"""
DRAWN = """
const fill = document.querySelector("article .document .fill").getBoundingClientRect();
const track = document.querySelector("article .document .track").getBoundingClientRect();
return 100 * fill.width / track.width
"""
LEAVES = """
return Array.from(document.querySelectorAll(".leaf"), (leaf) => [
  leaf.querySelector("code").title.split(" · ")[0],
  ...Array.from(leaf.querySelectorAll(".number"), (one) => one.textContent)])
"""


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    if not present():
        (pytest.fail if REQUIRED else pytest.skip)(ABSENT)
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    model = tiny_model(folder / "model")
    memory = filled(folder / "shop", model)
    put(memory.root, HOSTILE, "x = 1\n")
    put(memory.root, "lib/steps.py", LONG)
    memory.index()
    limits = Limits(max_tokens=12)
    return Service("tiny", model, {"shop": memory}, limits=limits, history=False)


@pytest.fixture
def service(made):
    """The service without an answer yet, so that the first one on the page is a test's own."""
    made.recent.clear()
    return made


def ask(window, url, scope, question):
    """Type a question and click Ask, once the page shows the memory."""
    window.open(url)
    assert window.text(".tree p")
    window.type("#scope", scope)
    window.type("#question", question)
    window.click("#send")


def test_a_question_is_typed_and_asked_and_what_was_read_is_drawn_by_mass(window, service):
    with listening(service) as url:
        ask(window, url, "src/**", "Is <b>this</b> safe?")
        assert window.text("article .question") == "Is <b>this</b> safe?"
        (told,) = httpx2.get(f"{url}/api/answers").json()
        assert (
            window.run("return document.querySelector('article .answer').textContent")
            == (told["answer"])
        )
        drawn = window.run(BARS)
        documents = [(name, width) for kind, name, width, _ in drawn if kind == "document"]
        assert [name for name, _ in documents] == [one["path"] for one in told["documents"]]
        for (_, width), one in zip(documents, told["documents"], strict=True):
            assert width == pytest.approx(100 * one["mass"], abs=0.1)
        assert [one["mass"] for one in told["documents"]] == sorted(
            (one["mass"] for one in told["documents"]), reverse=True
        )
        assert HOSTILE in dict(documents)
        assert window.run(DRAWN) == pytest.approx(documents[0][1], abs=1)
        assert [name for kind, name, *_ in drawn if kind == "chunk"].count("lines 1–5") == 2
        assert window.run("return document.images.length") == 0
        assert "tiny · what it attended to" in window.text("#status")


def test_spans_of_a_long_file_stand_below_it_and_their_masses_add_up(window, service):
    with listening(service) as url:
        ask(window, url, "lib/**", "What does step_30 return?")
        assert "step_30" in window.text("article:first-of-type .question")
        (_, _, whole, _), *spans = window.run(BARS)
    assert whole == 100
    assert len(spans) == 5
    assert all(name.startswith("lines ") for _, name, *_ in spans[:4])
    assert spans[4][1].endswith(" more places")
    assert sum(width for _, _, width, _ in spans) == pytest.approx(whole, abs=0.5)


def test_the_memory_is_a_tree_with_sizes_and_ages(window, service):
    with listening(service) as url:
        window.open(url)
        assert window.text(".tree p").startswith("shop · 5 documents, ")
        (memory,) = httpx2.get(f"{url}/api/memories").json()
        leaves = {path: (size, age) for path, size, age in window.run(LEAVES)}
        assert set(leaves) == {*FILES, HOSTILE, "lib/steps.py"}
        assert {one["path"] for one in memory["documents"]} == set(leaves)
        for size, age in leaves.values():
            assert size.split()[1] in ("KB", "MB")
            assert age == "now" or age.endswith(" min")
        assert window.is_shown(".leaf")
        window.click(".tree > details > summary")
        assert not window.is_shown(".tree > details .leaf")


def test_what_is_wrong_is_said_and_the_next_question_can_be_asked(window, service):
    with listening(service) as url:
        ask(window, url, "nope/**", "Where?")
        while "matches nothing" not in window.text("#status"):
            assert "failed" not in window.text("#status")
        assert window.run("return document.getElementById('send').disabled") is False


def test_without_the_token_the_page_asks_for_it_and_shows_nothing(window, service):
    service.token = "secret"
    try:
        with listening(service) as url:
            window.open(url)
            assert window.is_shown("#token:not([hidden])")
            assert window.run("return document.querySelectorAll('.leaf').length") == 0
            assert "a token is needed" in window.text("#status")
            window.type("#token", "secret\t")
            assert window.text(".tree p").startswith("shop · ")
    finally:
        service.token = None
