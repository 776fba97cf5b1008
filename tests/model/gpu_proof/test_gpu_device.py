"""No tensor of a course or a measurement is left behind on the CPU.

There is no GPU here. The meta device stands in for one: it refuses, as a GPU does, to compute with
tensors of another device, and its numbers, which it does not have, are made up where Python asks.
Limits: kernels, precision and speed of a GPU are not seen, nor what needs real values.
"""

import pytest
import torch
import torch.fx.experimental._config as experimental

from awareness_model.config import DecoderConfig, EncoderConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.evaluation import needle, perplexity
from awareness_model.evaluation.haystack import Asking, Haystack, NeedleSizes
from awareness_model.evaluation.lines import Line, Lines
from awareness_model.evaluation.needles import ask, needles
from awareness_model.evaluation.readers import Piece, Reader, whole
from awareness_model.gpu_proof.stages import shelved
from awareness_model.reader import needle_rows
from awareness_model.reader.course import Course, Progress, _optimizer, _step
from awareness_model.reader.measure import Asked, read
from awareness_model.reader.measure import needle_rows as asked_rows
from awareness_model.reader.rows import CODE, Held, Row
from awareness_model.tiny import tiny

KNOWN = needle_rows.known(6, 0, "train")


def filled(tensor, value):
    """Numbers of a tensor's shape, as `tolist` nests them."""

    def nested(shape):
        return [nested(shape[1:]) for _ in range(shape[0])] if shape else value

    return nested(list(tensor.shape))


@pytest.fixture
def elsewhere(monkeypatch):
    """Give the meta device numbers where Python asks for them."""
    monkeypatch.setattr(experimental, "meta_nonzero_assume_all_nonzero", True, raising=False)
    made_up = {
        "tolist": lambda one: filled(one, 0),
        "item": lambda one: 0.5,
        "__bool__": lambda one: True,
        "__int__": lambda one: 1,
        "__float__": lambda one: 0.5,
        "cpu": lambda one: torch.zeros(one.shape, dtype=one.dtype, device="cpu"),
    }
    for name, value in made_up.items():
        real = getattr(torch.Tensor, name)

        def asked(one, *more, real=real, value=value):
            return value(one) if one.is_meta else real(one, *more)

        monkeypatch.setattr(torch.Tensor, name, asked)
    real_to = torch.Tensor.to

    def brought(one, *where, **more):
        if one.is_meta and where and where[0] in ("cpu", torch.device("cpu")):
            return torch.zeros(one.shape, dtype=where[1] if where[1:] else one.dtype, device="cpu")
        return real_to(one, *where, **more)

    monkeypatch.setattr(torch.Tensor, "to", brought)


def parted():
    """A kv decoder on the other device, and an encoder on its base."""
    base, tokenizer = tiny("llama")
    config = DecoderConfig(model_name="tiny", layout="kv", reader_rank=4)
    decoder = ReasoningDecoder.from_model(base, tokenizer, config)
    encoder = ContextEncoder.from_model(base, tokenizer, EncoderConfig(model_name="tiny"))
    return decoder, encoder


def test_a_mix_of_devices_would_be_seen(elsewhere):
    with pytest.raises(RuntimeError, match="expected device meta"):
        torch.ones(2, device="meta") + torch.ones(2)


def test_a_step_of_the_course_and_its_probe_stay_where_the_model_is(elsewhere):
    decoder, encoder = parted()
    texts = {one.path: one.text for one in KNOWN}
    shelf = {
        name: [Held(one.keys.to("meta"), one.values.to("meta")) for one in held]
        for name, held in shelved(encoder, texts).items()
    }
    decoder.to("meta")

    def draw(seed, step, visible):
        rows = [
            needle_rows.draw(decoder.tokenizer, KNOWN, visible, 2, f"{seed} {n}") for n in range(2)
        ]
        code = [Row(CODE, row.ids, row.answers, row.visible) for row in rows]
        harmless = Row("harmless", rows[0].ids, ((5, 9),), rows[1].visible, is_harmless=True)
        return [rows, code, [harmless]]

    course = Course(levels=(2, 3), rank=4, calm_weight=0.5)
    with torch.device("meta"):
        optimizer, progress = _optimizer(decoder.reader, course), Progress()
        for _ in range(2):
            told = _step(decoder, shelf, draw, course, optimizer, progress)
        scores = read(decoder, asked_rows(decoder.tokenizer, KNOWN, Asked(2, 2)), shelf)
    assert {"needle", CODE, "harmless"} <= set(told)
    assert len(scores) == 2
    gradients = [one.grad for one in decoder.reader.parameters() if one.grad is not None]
    assert len(gradients) > 20
    assert all(one.is_meta for one in (*gradients, *decoder.reader.parameters()))


@pytest.fixture
def reader():
    decoder, encoder = parted()
    decoder.to("meta")
    return Reader("kv", decoder.eval(), encoder)


def test_remote_lines_are_scored_where_the_model_is(elsewhere, reader, tmp_path):
    own, other = (Piece(f"{n}.py", 0, f"def rule_{n}():\n    return {n}\n", 30) for n in (1, 2))
    reads = dict.fromkeys(perplexity.MEMORIES, (own, other))
    line = Line("p:use.py:1", (5, 6, 7), (8, 9), ("remote", "rest"), reads)
    names = (*perplexity.TEXTS, *perplexity.MEMORIES)
    cells = perplexity.cells_of(tmp_path, reader, {})
    found = perplexity.measure(reader, names, [Lines("p", "p", (line,))], cells, 2)
    assert set(found["p"]["lines"][0]["nats"]) == set(names)


def test_needles_are_asked_where_the_model_is(elsewhere, reader, tmp_path):
    drawn = needles(3, 0, "held_out")
    pieces = tuple(whole(reader.tokenizer, one.path, one.text) for one in drawn)
    question = ask(drawn[0], "value")
    asked = Asking(
        "key", "value", question, (5, 6, 7), (8, 9), (9, 8), pieces[0].name, Everything(pieces[:2])
    )
    sizes = NeedleSizes(needles=3, asked=1, visible=(1, 2))
    haystack = Haystack(10, 3, (asked,), {"value": {1: 1.0}})
    found = needle.measure(reader, haystack, sizes, tmp_path, 2)
    assert len(found["table"]) == 11


class Everything(dict):
    """Reads the same pieces whatever is asked."""

    def __init__(self, pieces):
        super().__init__({("given", 2): pieces})
        self.pieces = pieces

    def __missing__(self, key):
        return self.pieces

    def get(self, key, default=None):
        return self.pieces
