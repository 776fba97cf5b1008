import pytest

from awareness_model.memory.terms import (
    MOST_WORDS,
    QUERY_WORDS,
    REPEATS,
    asked_names,
    asked_words,
    bag,
    defined_in,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("parse_file", ["parse_file", "parse", "file"]),
        ("parseFile", ["parsefile", "parse", "file"]),
        ("HTTPServer", ["httpserver", "http", "server"]),
        ("MAX_SIZE = 4096", ["max_size", "max", "size", "4096"]),
        ("utf8", ["utf8", "utf"]),
        ("größe", ["größe"]),
        ("a + b", []),
    ],
)
def test_identifiers_are_split_in_every_writing(text, words):
    found = list(words_of(text))
    assert found[0 : len(words)] == words
    assert set(words) <= set(found)
    assert all(len(word) > 1 for word in found)


def test_a_bag_tells_words_but_no_text():
    assert bag("def area(width, height): return width * height") == (
        "area def height height return width width"
    )
    assert bag("zeta alpha") == bag("alpha zeta") == "alpha zeta"
    assert bag("loop " * 1000) == " ".join(["loop"] * REPEATS)
    assert len(set(bag(" ".join(f"w{n}x" for n in range(9000))).split())) == MOST_WORDS


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def area(w):", "area"),
        ("    async def close(self):", "close"),
        ("class Shape(Base):", "Shape"),
        ("LIMIT: int = 3", "LIMIT"),
        ("limit = 3", "limit"),
        ("export default class Panel {", "Panel"),
        ("export const size = 3", "size"),
        ("func (s *Server) Listen(port int) {", "Listen"),
        ("pub(crate) fn open_file() {", "open_file"),
        ("public static final class Thing {", "Thing"),
        ("type Handler struct {", "Handler"),
    ],
)
def test_names_are_seen_where_they_are_defined(text, name):
    assert name in defined_in(text).split()


@pytest.mark.parametrize(
    "text", ["return area(3)", "if size == 3:", "# def hidden", "    local = 3", "import area", ""]
)
def test_names_that_are_only_used_are_no_definitions(text):
    assert defined_in(text) == ""


def test_a_long_prompt_is_asked_by_its_end():
    prompt = " ".join(f"word{n}" for n in range(2000))
    assert len(asked_names(prompt).split()) == QUERY_WORDS
    assert asked_names(prompt).endswith("word1998 word1999")
    assert len(asked_words(prompt).split()) == QUERY_WORDS
    assert asked_names("open Open open") == "Open open"


def test_a_hostile_line_is_read_in_time():
    assert defined_in("a " * 200_000) == ""
    assert defined_in("x:" + " y" * 200_000) == ""
