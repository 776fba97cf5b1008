"""The decoder of the proof: a small Llama or Qwen3 over bytes, with its own encoder.

Base and reading layers train together, because no small pretrained decoder is at hand; or
(`Plan.base` is `text`) the base first learned the task from text in its context and is frozen, as
in the product. The encoder is backend `self`: the same layers, so its states are of the
space that the reader lives in.
"""

from functools import lru_cache
from typing import Any, Final

import torch
from torch import Tensor, nn

from awareness_model.config import DecoderConfig, EncoderConfig
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.proof.plan import TEXT, Plan
from awareness_model.proof.text import learn
from awareness_model.tiny import tiny

NAME: Final = "proof"
HEADS: Final = 4
"""Of a tiny model."""
TEXT_STEPS: Final = 3
"""A base that learns from text gets so many times the steps of its reader at most."""


def made(plan: Plan, device: str = "cpu") -> tuple[ReasoningDecoder, ContextEncoder]:
    """Return the decoder of a plan and the differentiable encoder on its base."""
    frozen = plan.base == TEXT
    taught = _taught(_teaching(plan), device) if frozen else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        base, tokenizer = _model(plan)
        if taught:
            base.load_state_dict(taught)
        settings = DecoderConfig(NAME, device, "latent", plan.placement)
        decoder = ReasoningDecoder.from_model(base.to(device), tokenizer, settings)
        _start(decoder, plan)
    if not frozen:
        decoder.base.requires_grad_(True)
    reading = EncoderConfig(
        NAME, device, bidirectional=plan.bidirectional, placement=decoder.placement
    )
    return decoder, ContextEncoder.from_model(base, tokenizer, reading, differentiable=plan.reached)


def _model(plan: Plan) -> tuple[Any, Any]:
    """Return a random model and its tokenizer."""
    model, tokenizer = tiny(plan.family, plan.seed)
    shape = {
        "num_hidden_layers": plan.layers,
        "hidden_size": plan.hidden,
        "intermediate_size": 2 * plan.hidden,
        "head_dim": plan.hidden // HEADS * (2 if plan.family == "qwen3" else 1),
        "initializer_range": 0.05,
        "layer_types": None,
    }
    return type(model)(type(model.config)(**{**model.config.to_dict(), **shape})), tokenizer


def _teaching(plan: Plan) -> Plan:
    """Return the plan by which a base learns from text: the same for all readers of one base."""
    size = ("layers", "hidden", "letters", "digits", "swapped", "batch")
    course = ("family", "seed", "asked", "measured_every")
    kept = {name: getattr(plan, name) for name in (*size, *course)}
    return Plan(**kept, stages=plan.stages[-1:], most_steps=TEXT_STEPS * plan.most_steps)


@lru_cache(2)
def _taught(plan: Plan, device: str) -> dict[str, Tensor]:
    """Return the weights of a base that learned the task from text."""
    decoder, _ = made(plan, device)
    learn(decoder, plan)
    return {
        name.replace(".layer.", "."): value.cpu()
        for name, value in decoder.base.state_dict().items()
        if ".gca." not in name
    }


@torch.no_grad()
def _start(decoder: ReasoningDecoder, plan: Plan) -> None:
    """Set gates, and projections where they are no copies."""
    for layer in decoder.reading_layers:
        gca = decoder.base.model.layers[layer].gca
        gca.alpha.fill_(plan.gate)
        gca.q_gain.mul_(plan.gain)
        gca.k_gain.mul_(plan.gain)
        if not plan.copied:
            for projection in (gca.q_proj, gca.k_proj, gca.v_proj, gca.o_proj):
                nn.init.xavier_uniform_(projection.weight)
