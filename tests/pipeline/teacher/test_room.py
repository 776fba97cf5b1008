"""Room in tokens: the estimate holds against a real tokenizer, and parts fit into their room."""

import pytest

from awareness_pipeline.teacher.room import GAP, first_part, head_and_tail, most_tokens

TRUE = {
    "def total(self, rates: dict[str, float]) -> float:\n    return sum(rate * self.base_rate "
    "for rate in rates.values() if rate is not None)\n": 41,
    "-\tif tools.ScaleTire(0) != 3087 {\n+\tif tools.ScaleTire(0) != 3087 ||\n+\t\ttools."
    'SpareTandem(0) != 447 {\n+export const ENDGAME_TEXT = "laba-63";\n': 74,
    "Searches keep one pace whatever the tokens; a secondary limit is waited for as long as the "
    "server says, else for a minute, then two, then five.": 34,
    "HARNESS_POOL getHttpServerURL stonewareGain XMLHttpRequest __init__ free_anchor QUILL_PREFIX "
    "kilnroom/forms.go": 33,
    "9bFlIkpYt5HfavHYMD5hzcS7hsPRxCcQPDRMQYnrLx571dR+RG/OwqPYEXNhEOV4G8zOppZ2LmEWxunJLZm/NYwuBxiC"
    "LOR8qMdBB+ZssOSys/TVjYLKY4bSyW52DoGbhckkw1lxZMSmBYoAWBoisi3lBHJDPS5E/ti2uDV+RM0xKZA6wdRVl6JC"
    "/fEfjysaOfPD5kNR": 152,
    "73a9bef499bbf4dc7bd2a4f2c8af5bd99f267a0ed3197217dd2bba1537436e5c2441e3d54410492b788768bcff2218"
    "cf8f7373abe8e394daf807e24e58c367402e281f9bddf85336d15b579b74e4250950c9c994752666ae81c78b283592"
    "edff935d406e": 181,
    '!function(e,t){"use strict";for(var n=0,r=t.length;n<r;++n)e[t[n]]=function(i){return i&&i.a?'
    'i.a(n):void 0}}(window,["x","y"]);': 70,
    "修复上传失败时的重试逻辑，并更新文档。": 32,
    "Größe überschritten: l'élève a raté señor Núñez": 27,
}
"""Tokens that SmolLM2's tokenizer makes of a text; counted once, since the pipeline has none."""


@pytest.mark.parametrize("text", TRUE)
def test_the_estimate_is_rather_too_high(text: str) -> None:
    assert TRUE[text] <= most_tokens(text) <= min(2 * TRUE[text], len(text.encode()) + 1)


def test_parts_fit_into_their_room() -> None:
    for room in (0, 1, 7, 50, 500):
        for text in TRUE:
            part = first_part(text, room)
            assert text.startswith(part)
            assert most_tokens(part) <= room
    assert first_part("some words", 99) == "some words"


def test_lines_that_fit_are_shown_whole() -> None:
    assert head_and_tail(["+a", "-b"], 10) == "+a\n-b"
    assert head_and_tail([], 10) == ""


@pytest.mark.parametrize("room", [20, 60, 200, 300])
def test_head_and_tail_of_many_lines_are_shown(room: int) -> None:
    lines = [f"+line {number}" for number in range(100)]
    shown = head_and_tail(lines, room)
    assert room / 2 < most_tokens(shown) <= room
    assert shown.startswith("+line 0\n")
    assert f"\n{GAP}\n" in shown
    assert shown.endswith("\n+line 99")
    kept = [line for line in shown.split("\n") if line != GAP]
    assert [line for line in lines if line in kept] == kept


def test_one_endless_line_is_cut() -> None:
    shown = head_and_tail(["+" + "word " * 9_000, "+last"], 60)
    assert shown.startswith("+word word")
    assert shown.endswith(f"{GAP}\n+last")
    assert most_tokens(shown) <= 60


@pytest.mark.parametrize("room", [-5, 0, 1, 5])
def test_where_there_is_no_room_little_or_nothing_is_shown(room: int) -> None:
    assert most_tokens(head_and_tail(["+line"] * 9, room)) <= max(room, 0)
