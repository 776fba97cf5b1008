"""A trained kv reader: nothing without memory, the untrained reader at zero, and the same answer
however the text comes."""

import copy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from awareness_model import checkpoint, pretrained
from awareness_model.config import LOCAL_MODEL, DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.loaded import chosen_reader, load
from awareness_model.memory.batch import collate
from awareness_model.tiny import save_tiny
from tests.model.decoder_world import DOCUMENTS, GREEDY, PROMPTS, largest, made

FAMILIES = ("llama", "qwen3", "qwen2")
RANK = 4


@pytest.fixture(params=FAMILIES)
def world(request):
    return made(request.param)


def reader_of(world, spread=0.0):
    config = DecoderConfig(model_name="tiny", layout="kv", reader_rank=RANK)
    decoder = ReasoningDecoder.from_model(copy.deepcopy(world.base), world.tokenizer, config)
    return opened(decoder, spread)


def opened(decoder, spread=0.3):
    if spread:
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for one in decoder.reader.parameters():
                one.normal_(std=spread, generator=draw)
    return decoder


@torch.no_grad()
def test_a_reader_of_zeros_is_the_untrained_one_bit_for_bit(world):
    ids, memory = world.ids(PROMPTS[0]), world.memory("kv", [[0, 1]])
    untrained = world.readers["kv"](ids, memory=memory).logits
    assert torch.equal(reader_of(world)(ids, memory=memory).logits, untrained)
    assert largest(reader_of(world, 0.3)(ids, memory=memory).logits, untrained) > 1e-2


def test_training_starts_at_the_untrained_reader(world):
    """With gradients every layer goes through the corrections, zero as they are."""
    ids, memory = world.ids(PROMPTS[0]), world.memory("kv", [[0, 1]])
    reader = reader_of(world)
    logits = reader(ids, memory=memory).logits
    with torch.no_grad():
        assert largest(logits, world.readers["kv"](ids, memory=memory).logits) <= 1e-5
    logits.square().mean().backward()
    for name in ("query_out", "slot_out", "temperature", "offset", "lead", "gate"):
        assert reader.reader.layers["3"].get_parameter(name).grad.abs().max() > 0, name
    assert all(one.grad is None for one in reader.base.parameters())


@torch.no_grad()
def test_without_memory_a_trained_reader_is_the_base_model(world):
    ids = world.ids(PROMPTS[0])
    assert torch.equal(reader_of(world, 0.3)(ids).logits, world.base(ids).logits)


@torch.no_grad()
def test_the_order_of_documents_does_not_matter(world):
    ids, reader = world.ids(PROMPTS[0]), reader_of(world, 0.3)
    one, other = (world.memory("kv", [order]) for order in ([0, 1, 2], [2, 0, 1]))
    assert largest(reader(ids, memory=one).logits, reader(ids, memory=other).logits) <= 1e-5


@torch.no_grad()
@pytest.mark.parametrize("cut", [1, 5])
def test_decoding_with_a_cache_is_a_whole_pass(world, cut):
    ids, reader = world.ids(PROMPTS[0]), reader_of(world, 0.3)
    memory = world.memory("kv", [[0, 1]])
    whole = reader(ids, memory=memory).logits
    begun = reader(ids[:, :-cut], memory=memory, use_cache=True)
    rest = [begun.logits]
    for place in range(ids.shape[1] - cut, ids.shape[1]):
        step = reader(
            ids[:, place : place + 1], memory=memory, past_key_values=begun.past_key_values
        )
        rest.append(step.logits)
    assert largest(torch.cat(rest, dim=1), whole) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("left", [True, False])
def test_padding_has_no_effect(world, left):
    reader, memory = reader_of(world, 0.3), world.memory("kv", [[0, 1], [2]])
    ids, mask, columns = world.padded(PROMPTS, left)
    together = reader(ids, mask, memory=memory).logits
    for n, prompt in enumerate(PROMPTS):
        alone = reader(world.ids(prompt), memory=world.memory("kv", [[[0, 1], [2]][n]])).logits
        assert largest(together[n, columns[n]], alone[0]) <= 1e-4


@torch.no_grad()
@pytest.mark.parametrize("settings", [{}, {"num_beams": 2}, {"cache_implementation": "static"}])
def test_generate_reads_as_whole_passes_do(world, settings):
    reader, memory = reader_of(world, 0.3), world.memory("kv", [[0, 1]])
    ids = world.ids(PROMPTS[0])
    written = reader.generate(ids, memory, **GREEDY, **settings)
    if not settings.get("num_beams"):
        for place in range(ids.shape[1], written.shape[1]):
            told = reader(written[:, :place], memory=memory).logits[0, -1].argmax()
            assert told == written[0, place]
    assert written.shape[1] == ids.shape[1] + GREEDY["max_new_tokens"]


@torch.no_grad()
@pytest.mark.parametrize("cast", ["whole", "base"])
def test_a_reader_reads_in_bfloat16(world, cast):
    """The reader cast with the base, as for a decoder in bfloat16, and left in float32."""
    reader, ids = reader_of(world, 0.1), world.ids(PROMPTS[0])
    memory = world.memory("kv", [[0, 1]])
    full = reader(ids, memory=memory).logits
    (reader if cast == "whole" else reader.base).bfloat16()
    half = reader(ids, memory=memory).logits
    assert half.dtype == torch.bfloat16
    assert largest(half.float(), full) <= 0.1 * full.abs().max()


@torch.no_grad()
def test_mass_is_told_by_corrected_layers_too(world):
    reader, memory = reader_of(world, 0.3), world.memory("kv", [[0, 1]])
    out = reader(world.ids(PROMPTS[0]), memory=memory, want_mass=(1, 3))
    assert out.memory_mass.shape[1:] == (2, len(world.ids(PROMPTS[0])[0]), memory.mask.shape[1] + 1)
    assert 0 < out.memory_mass.sum(-1).max() <= 1 + 1e-5


@torch.no_grad()
def test_a_reader_is_saved_and_loaded_in_either_precision(tmp_path):
    base = save_tiny(tmp_path / "base", "llama")
    config = DecoderConfig(str(base), "cpu", "kv", reader_rank=RANK)
    reader = opened(ReasoningDecoder(config))
    encoder = ContextEncoder.from_model(
        reader.base, reader.tokenizer, EncoderConfig(str(base), "cpu")
    )
    memory = collate([encoder.encode(DOCUMENTS, "kv")])
    ids = torch.tensor([reader.tokenizer(PROMPTS[0])["input_ids"]])
    told = reader(ids, memory=memory).logits
    reader.save_pretrained(tmp_path / "full")
    again = ReasoningDecoder.from_pretrained(tmp_path / "full", str(base), "cpu")
    assert torch.equal(again(ids, memory=memory).logits, told)
    reader.reader.halve()
    halved = reader(ids, memory=memory).logits
    reader.save_pretrained(tmp_path / "half")
    again = ReasoningDecoder.from_pretrained(tmp_path / "half", str(base), "cpu")
    assert torch.equal(again(ids, memory=memory).logits, halved)
    assert 0 < largest(halved, told) <= 0.2
    small, large = (tmp_path / name / "gca.safetensors" for name in ("half", "full"))
    assert small.stat().st_size < 0.7 * large.stat().st_size


def test_the_packages_reader_is_taken_where_the_base_model_fits(tmp_path, monkeypatch):
    base = save_tiny(tmp_path / "base", "llama")
    other = save_tiny(tmp_path / "other", "qwen3")
    config = DecoderConfig(str(base), "cpu", "kv", reader_rank=RANK)
    opened(ReasoningDecoder(config)).save_pretrained(tmp_path / "adapters" / "tiny-kv")
    monkeypatch.setattr(pretrained, "SHIPPED", tmp_path / "adapters")
    found = load(str(base), "cpu").decoder.reader
    assert found is not None
    assert not found.layers["2"].is_zero()
    assert load(str(base), "cpu", "kv", Path("none")).decoder.reader is None
    assert load(str(other), "cpu").decoder.reader is None
    with pytest.raises(UserError, match="needs a trained reader"):
        chosen_reader(str(base), "latent", None)
    with pytest.raises(UserError, match="give --layout kv"):
        load(str(base), "cpu", "latent", tmp_path / "adapters" / "tiny-kv")


def test_what_comes_with_the_package_is_whole_and_small():
    folders = [path.parent for path in pretrained.SHIPPED.glob("*/record.json")]
    assert folders
    for folder in folders:
        record = checkpoint.read_record(folder)
        state = load_file(folder / checkpoint.WEIGHTS)
        assert checkpoint._digest(state) == record.digest
        assert record.settings["reader_rank"] == state["reader.layers.0.query_in"].shape[1]
        assert sum(path.stat().st_size for path in folder.iterdir()) <= 15 * 2**20
        assert (folder / "NOTICE.md").is_file()


@pytest.mark.slow
def test_the_packages_reader_is_the_local_models():
    assert load(str(LOCAL_MODEL), "cpu").decoder.reader is not None
