import copy
from itertools import chain

import pytest
import torch

from awareness_model.base import plain_ids
from awareness_model.config import EncoderConfig, UserError
from awareness_model.encoder import ContextEncoder, encoder_fingerprint
from awareness_model.tiny import save_tiny, tiny

TEXT = "RATE = 4831\nLIMIT = 12\n"
LONG = "\n".join(f"NAME_{n} = {n * 37}" for n in range(12)) + "\n"


@pytest.fixture(scope="module", params=["llama", "qwen3"])
def loaded(request):
    return tiny(request.param)


def encoder(loaded, **settings):
    return ContextEncoder.from_model(*loaded, EncoderConfig(model_name="tiny", **settings))


def test_kv_holds_keys_and_values_of_every_layer_before_rope(loaded):
    model, tokenizer = loaded
    (chunk,) = encoder(loaded).encode([TEXT], "kv")[0]
    ids = torch.tensor([[tokenizer.bos_token_id, *plain_ids(tokenizer, TEXT)]])
    with torch.no_grad():
        hidden = model.model(ids, output_hidden_states=True).hidden_states
        for n, layer in enumerate(model.model.layers):
            states, attention = layer.input_layernorm(hidden[n])[0, 1:], layer.self_attn
            keys = attention.k_proj(states).unflatten(-1, (2, -1))
            keys = attention.k_norm(keys) if hasattr(attention, "k_norm") else keys
            values = attention.v_proj(states).unflatten(-1, (2, -1))
            torch.testing.assert_close(chunk.keys[:, n], keys, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(chunk.values[:, n], values, atol=1e-4, rtol=1e-4)


def test_latents_are_the_normed_inputs_of_the_reading_layers(loaded):
    model, tokenizer = loaded
    (chunk,) = encoder(loaded, bidirectional="none").encode([TEXT], "latent")[0]
    ids = torch.tensor([[tokenizer.bos_token_id, *plain_ids(tokenizer, TEXT)]])
    with torch.no_grad():
        hidden = model.model(ids, output_hidden_states=True).hidden_states
        for place, n in enumerate((2, 5)):
            states = model.model.layers[n].input_layernorm(hidden[n])[0, 1:]
            torch.testing.assert_close(chunk.keys[:, place], states, atol=1e-5, rtol=1e-4)
    assert chunk.values is None


def test_echo_lets_every_state_see_the_whole_chunk(loaded):
    """The first token's state is the same in any text for a causal reader, not with echo."""
    for bidirectional, same in (("none", True), ("echo", False)):
        body = encoder(loaded, bidirectional=bidirectional)
        one, other = (body.encode([text], "latent")[0][0].keys for text in ("a = 1\n", "a = 2\n"))
        assert len(one) == len(other) == 6
        assert torch.allclose(one[0], other[0], atol=1e-5) is same


@pytest.mark.parametrize("p", [1, 2, 4, 8])
def test_pooling_is_the_mean_of_contiguous_states(loaded, p):
    whole = encoder(loaded).encode([TEXT], "latent")[0][0].keys
    pooled = encoder(loaded, pooling=p).encode([TEXT], "latent")[0][0]
    assert pooled.tokens == len(whole) == 23
    assert len(pooled.keys) == -(-23 // p)
    for slot in range(len(pooled.keys)):
        torch.testing.assert_close(pooled.keys[slot], whole[p * slot : p * (slot + 1)].mean(0))


@pytest.mark.parametrize("layout", ["kv", "latent"])
def test_a_document_is_encoded_alike_whatever_is_encoded_with_it(loaded, layout):
    body = encoder(loaded, max_chunk_tokens=60)
    alone = body.encode([LONG], layout)[0]
    among = body.encode(["x = 1\n", "", LONG, TEXT], layout)
    assert [len(held) for held in among] == [1, 0, len(alone), 1]
    assert len(alone) > 2
    for one, other in zip(alone, among[2], strict=True):
        assert torch.equal(one.keys, other.keys)
        assert torch.equal(one.route, other.route)
        assert (one.span, one.tokens) == (other.span, other.tokens)


@pytest.mark.parametrize("layout", ["kv", "latent"])
def test_padded_batches_give_the_same_as_single_chunks(loaded, layout):
    body = encoder(loaded, max_chunk_tokens=60)
    alone = [*chain(*body.encode([LONG, TEXT], layout))]
    body._backend.batch = 4
    together = [*chain(*body.encode([LONG, TEXT], layout))]
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(one.keys, other.keys, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.route, other.route, atol=1e-4, rtol=1e-4)


def test_spans_cut_the_document_into_its_chunks(loaded):
    chunks = encoder(loaded, max_chunk_tokens=60).encode([LONG], "kv")[0]
    assert "".join(LONG[slice(*chunk.span)] for chunk in chunks) == LONG
    assert all(len(chunk.keys) == chunk.tokens for chunk in chunks)


def test_encode_document_gives_the_users_form(loaded):
    keys, values = encoder(loaded, max_chunk_tokens=60).encode_document(LONG, loaded[1])
    assert keys is values
    assert keys.shape == (len(LONG), 2, 64)
    keys, values = encoder(loaded).encode_document(TEXT, layout="kv")
    assert keys.shape == values.shape
    assert keys.shape[:3] == (23, 6, 2)
    with pytest.raises(ValueError, match="empty"):
        encoder(loaded).encode_document("")
    with pytest.raises(UserError, match=r"a\.bin is binary"):
        encoder(loaded).encode_document("\x7fELF\0", path="a.bin")


def test_a_path_tells_how_a_document_is_cut(loaded):
    text = "def one():\n    return 1\ndef two():\n    return 2\n"
    body = encoder(loaded, max_chunk_tokens=36)
    first = body.encode([text, text], "kv", ["a.py", "a.txt"])
    assert first[0][0].span == (0, text.index("def two"))
    assert first[1][0].span != first[0][0].span
    keys, _ = body.encode_document(text, layout="kv", path="a.py")
    assert torch.equal(keys, torch.cat([chunk.keys for chunk in first[0]]))


def test_another_tokenizer_is_refused(loaded):
    other = copy.deepcopy(loaded[1])
    other.add_tokens(["strange"])
    with pytest.raises(ValueError, match="tokenizer"):
        encoder(loaded).encode_document(TEXT, other)


def test_routes_have_length_one_and_tell_documents_apart(loaded):
    body = encoder(loaded)
    routes = [body.encode([text], "kv")[0][0].route for text in (TEXT, LONG[:40])]
    for route in routes:
        assert route.dtype == torch.float32
        assert route.norm().item() == pytest.approx(1, abs=1e-5)
    same = body.query_route(plain_ids(loaded[1], TEXT))
    assert (same @ routes[0]).item() == pytest.approx(1, abs=1e-4)
    assert (same @ routes[1]).item() < 0.999


def test_settings_that_cannot_be_are_refused(loaded):
    with pytest.raises(UserError, match="echo"):
        encoder(loaded, bidirectional="both")
    with pytest.raises(ValueError, match="pooling"):
        encoder(loaded, pooling=2).encode([TEXT], "kv")
    with pytest.raises(ValueError, match="layout"):
        encoder(loaded).encode([TEXT], "other")


def test_the_fingerprint_follows_what_changes_the_tensors(tmp_path, monkeypatch):
    one, other = (str(save_tiny(tmp_path / f, f)) for f in ("llama", "qwen3"))

    def mark(layout="latent", model=one, **settings):
        return encoder_fingerprint(EncoderConfig(model_name=model, **settings), layout)

    assert mark() == mark(device="cuda")
    different = [
        mark(),
        mark("kv"),
        mark(model=other),
        mark(bidirectional="none"),
        mark(pooling=2),
        mark(placement="middle"),
        mark(max_chunk_tokens=64),
        mark(backend="qwen3-embedding"),
        mark(routing=other),
    ]
    assert len(set(different)) == len(different)
    assert mark("kv", bidirectional="none", placement="all") == mark("kv")
    monkeypatch.setattr("awareness_model.encoder.fingerprint.REVISION", "0")
    assert mark() not in different
    with pytest.raises(UserError, match="no model"):
        mark(model=str(tmp_path / "nowhere"))
