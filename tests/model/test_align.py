"""Alternatives are kept where the teacher's tokens are provably the student's, and only there."""

import math
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from awareness_model.align import align, main
from awareness_model.base import plain_ids, tokenizer_fingerprint
from awareness_model.schema import (
    AlignRequest,
    DistilAnswer,
    ManifestEntry,
    SourceFile,
    read_rows,
    write_rows,
)
from awareness_model.spelling import Spelling
from awareness_model.student import student_ids
from awareness_model.tiny import CHATML, save_tiny, tiny

TEXT = "fin, naïve end"
END = "<|im_end|>"


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Bytes, a few merges and ChatML's special tokens."""
    special = ["<|endoftext|>", "<|im_start|>", END]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("i", "n"), ("f", "in"), ("Ġ", "e"), ("Ã", "¯")]
    pieces = [*special, *alphabet, *("".join(pair) for pair in merges)]
    vocabulary = {token: number for number, token in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token=END,
        additional_special_tokens=["<|endoftext|>"],
        chat_template=CHATML,
    )


@pytest.fixture(scope="module")
def spelling(tokenizer: Any) -> Spelling:
    return Spelling(tokenizer)


def request(**changes: Any) -> AlignRequest:
    found: dict[str, Any] = {
        "id": "x",
        "prompt": "Set A",
        "raw": False,
        "student_file": None,
        "response": TEXT,
        "finish_reason": "stop",
        "token_ids": (),
        "token_bytes": (),
        "topk_ids": (),
        "topk_bytes": (),
        "topk_logprobs": (),
        "written_tokens": 0,
        "teacher_tokens": 9,
        "manifest": (ManifestEntry("a.py", 3),),
    }
    return AlignRequest(**found | changes)


def told(
    spelling: Spelling, ids: list[int], *, names: bool, spells: bool, **changes: Any
) -> AlignRequest:
    """What an endpoint says of tokens: by their ids, their bytes or both; the second alternative is
    the token of the letter q."""
    other = spelling.id_of(b"q")
    assert other is not None

    def number(one: int) -> int:
        return one if names else -1

    def raw(one: int) -> str:
        data = spelling.bytes_of(one)
        assert data is not None
        return data.hex() if spells else ""

    tops = [(one, other) for one in ids]
    usual: dict[str, Any] = {
        "token_ids": tuple(map(number, ids)),
        "token_bytes": tuple(map(raw, ids)),
        "topk_ids": tuple(tuple(map(number, top)) for top in tops),
        "topk_bytes": tuple(tuple(map(raw, top)) for top in tops),
        "topk_logprobs": ((math.log(0.5), math.log(0.25)),) * len(ids),
        "written_tokens": len(ids),
    }
    return request(**usual | changes)


def one(tokenizer: Any, path: Path, asked: AlignRequest) -> DistilAnswer:
    path.unlink(missing_ok=True)
    align(tokenizer, [asked], path)
    (row,) = read_rows(DistilAnswer, path)
    return row


@pytest.mark.parametrize(
    ("names", "spells"), [(True, False), (True, True), (False, True)], ids=["ids", "both", "bytes"]
)
def test_tokens_that_are_the_students_keep_their_alternatives(
    tokenizer: Any, spelling: Spelling, tmp_path: Path, names: bool, spells: bool
) -> None:
    ids = plain_ids(tokenizer, TEXT)
    assert len(ids) < len(TEXT.encode()), "merges are at work"
    row = one(tokenizer, tmp_path / "a", told(spelling, ids, names=names, spells=spells))
    assert list(row.response_ids) == ids
    assert row.topk_ids == tuple((id, spelling.id_of(b"q")) for id in ids)
    assert row.topk_logprobs == ((-0.693147, -1.386294),) * len(ids)
    assert row.tail_mass == (0.25,) * len(ids)
    assert (row.response_text, row.finish_reason) == (TEXT, "stop")
    assert (row.manifest, row.teacher_tokens) == ((ManifestEntry("a.py", 3),), 9)
    assert row.tokenizer_fingerprint == tokenizer_fingerprint(tokenizer)


@pytest.mark.parametrize(("names", "spells"), [(True, False), (False, True)])
def test_the_answer_is_found_between_a_template_and_the_end_of_the_turn(
    tokenizer: Any, spelling: Spelling, tmp_path: Path, names: bool, spells: bool
) -> None:
    before = plain_ids(tokenizer, "assistant\n")
    ids = [*before, *plain_ids(tokenizer, TEXT), tokenizer.convert_tokens_to_ids(END)]
    row = one(tokenizer, tmp_path / "a", told(spelling, ids, names=names, spells=spells))
    assert list(row.response_ids) == ids[len(before) : -1]
    assert len(row.topk_ids) == len(row.response_ids)


def text_only(tokenizer: Any, row: DistilAnswer) -> None:
    assert (row.topk_ids, row.topk_logprobs, row.tail_mass) == ((), (), ())
    assert list(row.response_ids) == plain_ids(tokenizer, row.response_text)


@pytest.mark.parametrize("spells", [False, True], ids=["ids alone", "with bytes"])
def test_ids_of_another_vocabulary_leave_the_text(
    tokenizer: Any, spelling: Spelling, tmp_path: Path, spells: bool
) -> None:
    right = told(spelling, plain_ids(tokenizer, TEXT), names=True, spells=spells)
    wrong = tuple(number + 1 for number in right.token_ids)
    row = one(tokenizer, tmp_path / "a", request(**_fields(right) | {"token_ids": wrong}))
    if spells:  # the bytes still prove that the tokens are the same ones
        assert len(row.topk_ids) == len(row.response_ids)
    else:
        text_only(tokenizer, row)


def test_alternatives_of_another_vocabulary_leave_the_text(
    tokenizer: Any, spelling: Spelling, tmp_path: Path
) -> None:
    """Where bytes are told, they must agree for alternatives too."""
    right = told(spelling, plain_ids(tokenizer, TEXT), names=True, spells=True)
    wrong = tuple((one, other + 1) for one, other in right.topk_ids)
    broken = {"topk_ids": wrong, "written_tokens": 90}
    text_only(tokenizer, one(tokenizer, tmp_path / "a", request(**_fields(right) | broken)))


def test_tokens_cut_elsewhere_leave_the_text(
    tokenizer: Any, spelling: Spelling, tmp_path: Path
) -> None:
    """A teacher without merges: every byte a token."""
    ids = [spelling.id_of(bytes([byte])) for byte in TEXT.encode()]
    asked = told(spelling, [id for id in ids if id is not None], names=False, spells=True)
    text_only(tokenizer, one(tokenizer, tmp_path / "a", asked))


def test_tokens_that_an_endpoint_joined_leave_the_text(
    tokenizer: Any, spelling: Spelling, tmp_path: Path
) -> None:
    """Two tokens of one character come as one, which is a token of the student: its probability is
    that of the second half alone."""
    ids = plain_ids(tokenizer, TEXT)
    asked = told(spelling, ids, names=False, spells=True, written_tokens=len(ids) + 2)
    text_only(tokenizer, one(tokenizer, tmp_path / "a", asked))


@pytest.mark.parametrize("changes", [{}, {"response": ""}], ids=["no tokens", "no text"])
def test_an_answer_without_tokens_is_text(
    tokenizer: Any, tmp_path: Path, changes: dict[str, Any]
) -> None:
    text_only(tokenizer, one(tokenizer, tmp_path / "a", request(**changes)))


def test_a_text_that_the_tokens_do_not_spell_is_text(
    tokenizer: Any, spelling: Spelling, tmp_path: Path
) -> None:
    asked = told(spelling, plain_ids(tokenizer, TEXT), names=True, spells=True, response="other")
    text_only(tokenizer, one(tokenizer, tmp_path / "a", asked))


def test_what_the_student_cannot_write_goes_to_the_tail(
    tokenizer: Any, spelling: Spelling, tmp_path: Path
) -> None:
    """Every place keeps as many alternatives as the poorest has."""
    ids = plain_ids(tokenizer, TEXT)
    right = told(spelling, ids, names=False, spells=True)
    poor = ((right.topk_bytes[0][0], b"\xf0\x9f".hex()), *right.topk_bytes[1:])
    row = one(tokenizer, tmp_path / "a", request(**_fields(right) | {"topk_bytes": poor}))
    assert row.topk_ids == tuple((id,) for id in ids)
    assert row.tail_mass == (0.5,) * len(ids)


def test_alternatives_come_likeliest_first(
    tokenizer: Any, spelling: Spelling, tmp_path: Path
) -> None:
    right = told(spelling, plain_ids(tokenizer, "b"), names=True, spells=False, response="b")
    asked = request(**_fields(right) | {"topk_logprobs": ((-2.0, -0.5),)})
    row = one(tokenizer, tmp_path / "a", asked)
    assert row.topk_ids == ((spelling.id_of(b"q"), spelling.id_of(b"b")),)
    assert row.topk_logprobs == ((-0.5, -2.0),)


def test_a_vocabulary_without_bytes_gives_text(spelling: Spelling, tmp_path: Path) -> None:
    backend = Tokenizer(models.WordLevel({"fin": 0, "?": 1}, unk_token="?"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    words = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="?", chat_template=CHATML)
    asked = request(
        response="fin", token_ids=(0,), token_bytes=("",), topk_ids=((0,),), topk_bytes=(("",),)
    )
    text_only(
        words, one(words, tmp_path / "a", request(**_fields(asked) | {"topk_logprobs": ((0.0,),)}))
    )


def test_the_student_reads_the_file_that_the_task_names(tokenizer: Any, tmp_path: Path) -> None:
    file = SourceFile("a.py", "A = 1\n")
    row = one(tokenizer, tmp_path / "a", request(student_file=file))
    assert list(row.student_prompt_ids) == student_ids(tokenizer, "Set A", file, raw=False)
    said = tokenizer.decode(row.student_prompt_ids)
    assert "user\na.py\nA = 1\n\nThe task:\nSet A<|im_end|>" in said
    bare = one(tokenizer, tmp_path / "a", request(raw=True)).student_prompt_ids
    assert list(bare) == plain_ids(tokenizer, "Set A")


def test_every_id_is_spelled_as_the_tokenizer_decodes_it() -> None:
    _, tokenizer = tiny("llama")
    spelling = Spelling(tokenizer)
    for text in ("plain", "tab\tand\nline", "naïve – 日本 \U0001f600", "\x00\x7f"):
        ids = plain_ids(tokenizer, text)
        pieces = [spelling.bytes_of(one) for one in ids]
        assert b"".join(piece or b"?" for piece in pieces) == text.encode()
        assert [spelling.id_of(piece or b"?") for piece in pieces] == ids
    assert spelling.bytes_of(10**6) is None


def test_the_command_is_taken_up_again_with_the_same_bytes(tmp_path: Path) -> None:
    model = save_tiny(tmp_path / "m", "qwen3")
    asked, path = tmp_path / "r.jsonl", tmp_path / "a.jsonl"
    write_rows(asked, [request(id=str(number)) for number in range(3)])
    command = ["--model", str(model), "--requests", str(asked), "--answers", str(path)]
    assert main(command) == 0
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 40])
    assert main(command) == 0
    assert path.read_bytes() == whole


def test_a_student_that_is_not_there_ends_with_status_2(tmp_path: Path, capsys: Any) -> None:
    asked = tmp_path / "r.jsonl"
    write_rows(asked, [request()])
    command = ["--requests", str(asked), "--answers", str(tmp_path / "a")]
    assert main(["--model", "./none", *command]) == 2
    assert capsys.readouterr().err.startswith("error: no model at")


def _fields(row: AlignRequest) -> dict[str, Any]:
    return {name: getattr(row, name) for name in AlignRequest.__slots__}
