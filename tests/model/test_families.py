"""Which models read which memory, and one clear line for the rest."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    Qwen3Config,
)

from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.families import FAMILIES, family_of
from awareness_model.memory.batch import collate
from awareness_model.tiny import tiny
from tests.model.decoder_world import largest

SIZES = {
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.1,
    "pad_token_id": None,
}
WINDOWS = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 3}


def model(kind, **more):
    _, tokenizer = tiny("llama")
    config = kind(vocab_size=len(tokenizer), **SIZES, **more)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval(), tokenizer


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_what_it_is_and_reads_its_layouts(family):
    for layout in FAMILIES[family]:
        decoder = ReasoningDecoder.from_model(*tiny(family), DecoderConfig("tiny", layout=layout))
        assert decoder.family == family


def test_an_unknown_family_is_refused_in_one_line_that_names_the_known_ones():
    for config in (GemmaConfig(), MistralConfig()):
        with pytest.raises(UserError, match="llama, qwen2, qwen3, gpt_oss") as told:
            family_of(config, "latent")
        assert config.model_type in str(told.value)
        assert "\n" not in str(told.value)
    with pytest.raises(UserError, match="latent, kv"):
        family_of(LlamaConfig(), "text")


def test_gpt_oss_is_refused_for_kv_before_anything_is_changed():
    base, tokenizer = tiny("gpt_oss")
    before = base.config._attn_implementation
    with pytest.raises(UserError, match=r"attention sinks.*layout 'latent'.*llama, qwen2, qwen3"):
        ReasoningDecoder.from_model(base, tokenizer, DecoderConfig("tiny", layout="kv"))
    assert base.config._attn_implementation == before
    assert all(parameter.requires_grad for parameter in base.parameters())


@pytest.mark.parametrize("kind", [Qwen2Config, Qwen3Config])
def test_sliding_windows_are_refused_for_kv_and_read_latents(kind):
    base, tokenizer = model(kind, **WINDOWS)
    with pytest.raises(UserError, match="sliding windows"):
        ReasoningDecoder.from_model(base, tokenizer, DecoderConfig("tiny", layout="kv"))
    decoder = ReasoningDecoder.from_model(base, tokenizer, DecoderConfig("tiny"))
    assert decoder.reading_layers == (2, 5)
    off, _ = model(kind)
    assert family_of(off.config, "kv") == base.config.model_type


def test_angles_that_change_with_the_length_are_refused_for_kv():
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    config = LlamaConfig(rope_parameters=rope)
    with pytest.raises(UserError, match="rotary"):
        family_of(config, "kv")
    assert family_of(config, "latent") == "llama"


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config, Qwen3Config])
@pytest.mark.parametrize("layout", ["latent", "kv"])
@torch.no_grad()
def test_a_head_size_of_its_own_is_read_right(kind, layout):
    """head_dim 20 where hidden / heads is 12; kv memory is compared with text in context."""
    base, tokenizer = model(kind, head_dim=20)
    assert base.model.layers[0].self_attn.head_dim == 20
    encoder = ContextEncoder.from_model(base, tokenizer, EncoderConfig("tiny"))
    document, prompt = "RATE = 4831\n", torch.tensor([tokenizer("RATE is").input_ids])
    memory = collate([encoder.encode([document], layout)])
    first = torch.tensor([[tokenizer.bos_token_id, *tokenizer(document).input_ids]])
    expected = base(torch.cat([first, prompt], dim=1)).logits[:, first.shape[1] :]
    alone = base(prompt).logits
    decoder = ReasoningDecoder.from_model(base, tokenizer, DecoderConfig("tiny", layout=layout))
    if layout == "kv":
        assert largest(decoder(prompt, memory=memory).logits, expected) <= 1e-3
    else:
        for gate in decoder.trainable_parameters()["gates"].values():
            gate.fill_(0.5)
        assert decoder.base.model.layers[2].gca.head_dim == 20
        assert largest(decoder(prompt, memory=memory).logits, alone) > 1e-3


@torch.no_grad()
def test_a_scaled_rotary_embedding_is_read_right():
    """YaRN scales its angles; memory is turned by the same ones."""
    rope = {
        "rope_type": "yarn",
        "factor": 4.0,
        "rope_theta": 10_000.0,
        "original_max_position_embeddings": 64,
    }
    base, tokenizer = model(LlamaConfig, rope_parameters=rope, max_position_embeddings=256)
    encoder = ContextEncoder.from_model(base, tokenizer, EncoderConfig("tiny"))
    memory = collate([encoder.encode(["RATE = 4831\n"], "kv")])
    prompt = torch.tensor([tokenizer("RATE is").input_ids])
    first = torch.tensor([[tokenizer.bos_token_id, *tokenizer("RATE = 4831\n").input_ids]])
    expected = base(torch.cat([first, prompt], dim=1)).logits[:, first.shape[1] :]
    decoder = ReasoningDecoder.from_model(base, tokenizer, DecoderConfig("tiny", layout="kv"))
    assert largest(decoder(prompt, memory=memory).logits, expected) <= 1e-3
