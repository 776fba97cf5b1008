"""A model of one family, its documents encoded, and readers of its layouts with open gates."""

import copy
import functools

import pytest
import torch

from awareness_model.base import load_model, plain_ids
from awareness_model.config import LOCAL_MODEL, DecoderConfig, EncoderConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.families import FAMILIES
from awareness_model.memory.batch import collate
from awareness_model.tiny import tiny

DOCUMENTS = ["RATE = 4831\n", "def area(width):\n    return width * 7\n", "x = 'short'\n"]
PROMPTS = ["assert RATE == ", "print(area(3))"]
REAL = "smollm2"
GREEDY = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}


class World:
    def __init__(self, family):
        real = family == REAL
        self.base, self.tokenizer = load_model(str(LOCAL_MODEL)) if real else tiny(family)
        self.layouts = FAMILIES["llama" if real else family]
        encoder = ContextEncoder.from_model(
            copy.deepcopy(self.base), self.tokenizer, EncoderConfig(model_name="tiny")
        )
        self.encoded = {layout: encoder.encode(DOCUMENTS, layout) for layout in self.layouts}
        self.readers = {layout: self.reader(layout) for layout in self.layouts}

    def reader(self, layout, **settings):
        config = DecoderConfig(model_name="tiny", layout=layout, **settings)
        return self.opened(
            ReasoningDecoder.from_model(copy.deepcopy(self.base), self.tokenizer, config)
        )

    def opened(self, decoder):
        with torch.no_grad():
            for gate in decoder.trainable_parameters()["gates"].values():
                gate.copy_(torch.linspace(-1.0, 1.0, len(gate)))
        return decoder

    def memory(self, layout, rows):
        return collate([[self.encoded[layout][n] for n in row] for row in rows])

    def ids(self, text):
        return torch.tensor([plain_ids(self.tokenizer, text)])

    def padded(self, prompts, left):
        """Return ids and mask of prompts of different lengths, and each prompt's columns."""
        alone = [self.ids(prompt)[0] for prompt in prompts]
        longest = max(map(len, alone))
        ids = torch.full((len(alone), longest), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(ids)
        columns = [slice(longest - len(one), longest) if left else slice(len(one)) for one in alone]
        for n, (one, place) in enumerate(zip(alone, columns, strict=True)):
            ids[n, place], mask[n, place] = one, 1
        return ids, mask, columns


made = functools.cache(World)

WORLDS = [*FAMILIES, pytest.param(REAL, marks=pytest.mark.slow)]
CASES = [
    *((family, layout) for family, layouts in FAMILIES.items() for layout in layouts),
    *(pytest.param((REAL, layout), marks=pytest.mark.slow) for layout in FAMILIES["llama"]),
]
KV_WORLDS = [
    *(family for family, layouts in FAMILIES.items() if "kv" in layouts),
    pytest.param(REAL, marks=pytest.mark.slow),
]


def largest(one, other):
    return (one - other).abs().max().item()


def near(one, other, within=1e-5):
    """Whether two tensors agree to `within` of the largest number, or of one."""
    return largest(one, other) <= within * max(1.0, other.abs().max().item())
