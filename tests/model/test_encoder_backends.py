"""Backends beside the decoder's own body: a Qwen3 body of its own, and MiniLM for routes."""

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from awareness_model.base import plain_ids
from awareness_model.config import EncoderConfig, UserError
from awareness_model.encoder import ContextEncoder
from awareness_model.tiny import tiny

TEXT = "RATE = 4831\nLIMIT = 12\n"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def own(bidirectional="full", **settings):
    settings = {"model_name": "tiny", "backend": "qwen3-embedding", **settings}
    config = EncoderConfig(bidirectional=bidirectional, **settings)
    return ContextEncoder.from_model(*tiny("qwen3"), config)


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """A tiny random BERT with a vocabulary of characters, as a folder."""
    letters = [chr(n) for n in range(33, 127)]
    vocabulary = {t: n for n, t in enumerate([*SPECIAL, *letters, *("##" + c for c in letters)])}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token"], SPECIAL, strict=True))
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=66,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(config)
    folder = tmp_path_factory.mktemp("minilm")
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    return str(folder)


def routing(minilm, **settings):
    return ContextEncoder(EncoderConfig(minilm, "cpu", backend="minilm", **settings))


@pytest.mark.parametrize(("bidirectional", "same"), [("none", True), ("full", False)])
def test_without_the_causal_mask_every_state_sees_the_whole_chunk(bidirectional, same):
    body = own(bidirectional)
    one, other = (body.encode([text], "latent")[0][0].keys for text in ("a = 1\n", "a = 2\n"))
    assert torch.allclose(one[0, 1], other[0, 1], atol=1e-5) is same


def test_the_causal_mask_is_off_in_every_layer_and_only_there():
    body = own("full")
    assert not any(layer.self_attn.is_causal for layer in body.model.model.layers)
    assert all(layer.self_attn.is_causal for layer in own("echo").model.model.layers)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_padding_is_hidden_without_the_causal_mask(implementation):
    body = own("full", max_chunk_tokens=12)
    body.model.set_attn_implementation(implementation)
    alone = body.encode([TEXT], "latent")[0]
    body._backend.batch = 4
    for one, other in zip(alone, body.encode([TEXT], "latent")[0], strict=True):
        torch.testing.assert_close(one.keys, other.keys, atol=1e-4, rtol=1e-4)


def test_an_embedding_model_is_loaded_from_a_folder_without_a_head(tmp_path):
    model, tokenizer = tiny("qwen3")
    model.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    body = ContextEncoder(EncoderConfig(str(tmp_path), "cpu", backend="qwen3-embedding"))
    expected = own("echo").encode([TEXT], "latent")[0][0]
    torch.testing.assert_close(body.encode([TEXT], "latent")[0][0].keys, expected.keys)


def test_a_body_of_its_own_gives_no_kv():
    with pytest.raises(UserError, match=r"gives no kv.*latent with trained heads"):
        own("echo").encode([TEXT], "kv")


def test_backends_that_cannot_be_are_refused(minilm):
    with pytest.raises(UserError, match="reads Qwen3 models, not llama"):
        ContextEncoder.from_model(*tiny("llama"), EncoderConfig("t", backend="qwen3-embedding"))
    with pytest.raises(UserError, match="would change the decoder itself"):
        own("full", backend="self")
    with pytest.raises(UserError, match="reads BERT models, not llama"):
        ContextEncoder.from_model(*tiny("llama"), EncoderConfig("t", backend="minilm"))
    with pytest.raises(UserError, match="unknown backend 'other'"):
        own("echo", backend="other")


def test_minilm_gives_the_masked_mean_of_its_last_layer_and_nothing_else(minilm):
    body = routing(minilm)
    ((routed,),) = body.routes([TEXT])
    reference = BertModel.from_pretrained(minilm).eval()
    ids = [2, *plain_ids(body.tokenizer, TEXT), 3]
    with torch.no_grad():
        states = reference(torch.tensor([ids])).last_hidden_state[0]
    expected = torch.nn.functional.normalize(states.mean(0), dim=0)
    torch.testing.assert_close(routed.route, expected)
    assert (routed.tokens, routed.span) == (len(ids) - 2, (0, len(TEXT)))
    with pytest.raises(UserError, match="routing vectors only"):
        body.encode([TEXT], "latent")


def test_minilm_reads_chunks_that_fit_its_positions_and_each_alone(minilm):
    body, text = routing(minilm), "value = 1\n" * 40
    (held, other) = body.routes([text, TEXT])
    assert len(held) > 1
    assert max(one.tokens for one in held) <= 64
    assert torch.equal(other[0].route, body.routes([TEXT])[0][0].route)
    body._backend.batch = 8
    for one, padded in zip(held, body.routes([text])[0], strict=True):
        torch.testing.assert_close(one.route, padded.route, atol=1e-5, rtol=1e-5)
    query = body.query_route(plain_ids(body.tokenizer, TEXT))
    assert (query @ other[0].route).item() == pytest.approx(1, abs=1e-5)


def test_minilm_can_route_what_the_decoder_body_encodes(minilm):
    model, tokenizer = tiny("llama")
    plain = ContextEncoder.from_model(model, tokenizer, EncoderConfig("tiny", "cpu"))
    mixed = ContextEncoder.from_model(
        model, tokenizer, EncoderConfig("tiny", "cpu", routing=minilm)
    )
    (one,), (other,) = (body.encode([TEXT], "kv")[0] for body in (plain, mixed))
    assert torch.equal(one.keys, other.keys)
    assert torch.equal(other.route, routing(minilm).routes([TEXT])[0][0].route)
    assert torch.equal(mixed.query_route(plain_ids(tokenizer, TEXT)), other.route)
