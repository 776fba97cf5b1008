from datetime import timedelta
from pathlib import Path

import pytest

from awareness_model.config import MemoryConfig
from awareness_model.memory.lexicon import MOST_FOUND, Lexicon
from tests.model.memory.made import opened as open_store
from tests.model.memory.made import put

TEXTS = {
    "h1": "def parse_file(path):\n    return open(path)\n",
    "h2": "from reader import parse_file\nresult = parse_file('a')\nparse_file('b')\n",
    "h3": "class Account:\n    balance = 0\n",
    "h4": "the moon is far away\n",
}


def opened(folder, texts=None):
    lexicon = Lexicon(MemoryConfig(path=str(folder)))
    if texts:
        lexicon.put(texts)
    return lexicon


@pytest.fixture
def lexicon(tmp_path):
    return opened(tmp_path / "m", TEXTS)


def test_words_and_definitions_are_told_apart(lexicon):
    found = lexicon.search("what does parse_file return?", list(TEXTS))
    assert set(found.words) == {"h1", "h2"}
    assert max(found.words.values()) == 1.0
    assert found.names == {"h1": 1.0}


def test_plain_words_find_identifiers_and_names_need_their_case(lexicon):
    assert "h1" in lexicon.search("Parse a FILE", list(TEXTS)).words
    assert lexicon.search("the account", list(TEXTS)).names == {}
    assert lexicon.search("an Account", list(TEXTS)).names == {"h3": 1.0}


def test_a_forbidden_document_is_never_found_and_another_takes_its_place(lexicon):
    found = lexicon.search("parse_file", ["h2", "h3"])
    assert set(found.words) == {"h2"}
    assert found.names == {}
    assert lexicon.search("parse_file", []).words == {}


def test_any_number_of_better_forbidden_documents_hides_none(tmp_path):
    texts = {f"f{n}": "parse parse parse" for n in range(MOST_FOUND + 50)}
    lexicon = opened(tmp_path, {**texts, "open": "parse and many other words"})
    assert lexicon.search("parse", ["open"]).words == {"open": 1.0}


def test_scores_depend_neither_on_order_nor_on_the_number_of_writes(lexicon, tmp_path):
    other = opened(tmp_path / "n")
    for name in sorted(TEXTS, reverse=True):
        other.put({name: TEXTS[name]})
    for prompt in ("parse_file", "balance of the moon", "open path"):
        assert other.search(prompt, list(TEXTS)) == lexicon.search(prompt, list(TEXTS))


def test_what_is_there_is_not_written_again(lexicon):
    before = lexicon.table.number()
    lexicon.put(TEXTS)
    assert lexicon.table.number() == before
    assert lexicon.missing(["h1", "h9"]) == ["h9"]


def test_words_leave_with_their_records_and_leave_no_trace(tmp_path):
    store = open_store(tmp_path)
    put(store, "a.py", 1)
    put(store, "b.py", 2)
    lexicon = Lexicon(store.config)
    lexicon.put({"hash1": "def quokkastays(): ...", "hash2": "def wombatleaves(): ..."})
    place = Path(lexicon.table.uri)

    def on_disk(word):
        return any(word in one.read_bytes() for one in place.rglob("*") if one.is_file())

    assert on_disk(b"wombatleaves")
    assert lexicon.sweep(store.records, timedelta(days=1)) == 0
    store.remove("b.py")
    store.records.delete("content_hash = 'hash2'")
    assert lexicon.sweep(store.records, timedelta(0)) == 1
    assert lexicon.missing(["hash1", "hash2"]) == ["hash2"]
    assert on_disk(b"quokkastays")
    assert not on_disk(b"wombatleaves")
    assert lexicon.search("quokkastays", ["hash1"]).names == {"hash1": 1.0}


@pytest.mark.parametrize("prompt", ["", " ", "?!", 'a "quoted', "AND ( OR *", "x' OR '1'='1"])
def test_no_prompt_is_a_query_language(lexicon, prompt):
    assert lexicon.search(prompt, list(TEXTS)).names == {}


def test_no_table_finds_nothing(tmp_path):
    assert opened(tmp_path).search("anything", ["h1"]).words == {}
    assert opened(tmp_path).missing(["h1"]) == ["h1"]
