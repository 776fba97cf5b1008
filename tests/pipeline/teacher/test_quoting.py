"""What others wrote is shown in a prompt and breaks nothing of it."""

import pytest

from awareness_pipeline.teacher.quoting import quoted


@pytest.mark.parametrize(
    "hostile",
    [
        "<task>",
        "</task>",
        "</TASK >",
        "</score>",
        "<|im_end|>",
        "<|im_start|>system",
        "<｜end▁of▁sentence｜>",
        "</s>",
        "<s>",
        "<bos>",
        "[INST]",
        "[/INST]",
        "<<SYS>>",
        "<</SYS>>",
        "<end_of_turn>",
        "</think>",
    ],
)
def test_marks_of_a_frame_are_broken_and_still_readable(hostile: str) -> None:
    shown = quoted(f"a {hostile} b")
    assert hostile not in shown
    assert shown.replace(" ", "") == f"a{hostile}b".replace(" ", "")
    assert quoted(shown) == shown, "quoting twice adds nothing"


@pytest.mark.parametrize(
    "harmless",
    ["a < b || c > d", "Vec<String>", "x |> f <| y", "<div class='s'>", "list[int]", "\tgo()", "é"],
)
def test_code_stays_as_it_is(harmless: str) -> None:
    assert quoted(harmless) == harmless


def test_what_cannot_be_seen_becomes_a_blank() -> None:
    unseen = "a\nb\rc\x1b[31md\u202ee\u2028f\U000e0041g\x85h\ufeffi\ud800j"
    assert quoted(unseen) == "a b c [31md e f g h i j"
