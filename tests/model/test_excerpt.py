"""The part of a file that a request is about."""

import pytest

from awareness_model.excerpt import best_line, excerpt, scores
from awareness_model.tiny import tiny

LINES = "import os\n\nPORT = 8443\n\n\ndef listen(port):\n    return port or PORT\n"


def long_file(functions=60):
    return "".join(f"def step_{n}(value):\n    return value + {n}\n\n\n" for n in range(functions))


@pytest.fixture(scope="module")
def tokenizer():
    return tiny("llama")[1]


def test_a_file_that_fits_is_shown_as_it_is(tokenizer):
    assert excerpt(LINES, tokenizer, 1000, "PORT") == LINES


def test_of_a_long_file_the_asked_function_is_shown_and_gaps_are_told(tokenizer):
    text = long_file()
    found = excerpt(text, tokenizer, 700, "step_30 must return value + 31", "a.py")
    assert "def step_30(value):\n    return value + 30\n" in found
    assert len(tokenizer(found)["input_ids"]) <= 700
    first, last = found.splitlines()[0], found.splitlines()[-1]
    assert first.startswith("[... lines 1 to ")
    assert last.endswith(f" to {len(text.splitlines())} ...]")
    kept = [line for line in found.splitlines() if not line.startswith("[...")]
    assert "\n".join(kept) in text
    gap = int(first.split(" to ")[1].split()[0])
    assert text.splitlines()[gap] == kept[0]


def test_a_request_that_names_nothing_shows_the_beginning(tokenizer):
    assert excerpt(long_file(), tokenizer, 600, "zebra", "a.py").startswith("def step_0")


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        ("change the PORT to 9000", "PORT = 8443"),
        ("rename the function listen to serve", "def listen(port):"),
        ("zebra", None),
    ],
)
def test_the_line_that_a_request_names(request_, line):
    number = best_line(LINES, request_)
    assert (None if number is None else LINES.split("\n")[number]) == line


def test_rare_words_and_names_in_their_own_case_count_more():
    rare, usual = scores(["alpha beta", "beta", "beta"], "alpha beta")[:2]
    assert rare > usual > 0
    exact, other = scores(["PORT", "port"], "PORT")
    assert exact > other > 0
    assert scores(["the line of"], "the line of") == [0.0]
