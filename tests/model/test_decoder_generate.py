"""`generate()` while reading memory: the same as by hand, in every mode transformers has."""

import pytest
import torch
from transformers import TextIteratorStreamer

from awareness_model.base import plain_ids
from awareness_model.encoder import sink_token
from tests.model.decoder_world import CASES, DOCUMENTS, GREEDY, KV_WORLDS, PROMPTS, made, near


@pytest.fixture(params=CASES, ids=str)
def case(request):
    family, layout = request.param
    return made(family), layout


def in_context(world, document, prompt):
    """[BOS, document, prompt]: what kv memory of that document must be equal to."""
    first = sink_token(world.tokenizer, world.base.config)
    return torch.cat(
        [torch.tensor([[first, *plain_ids(world.tokenizer, document)]]), world.ids(prompt)], dim=1
    )


@torch.no_grad()
def by_hand(reader, ids, memory):
    for _ in range(GREEDY["max_new_tokens"]):
        last = reader(ids, memory=memory).logits[:, -1:].argmax(-1)
        ids = torch.cat([ids, last], dim=1)
    return ids


@torch.no_grad()
def test_generate_reads_memory_and_forgets_it(case):
    world, layout = case
    reader, ids = world.readers[layout], world.ids(PROMPTS[0])
    memory = world.memory(layout, [[0, 1]])
    assert torch.equal(reader.generate(ids, memory, **GREEDY), by_hand(reader, ids, memory))
    assert torch.equal(reader(ids).logits, world.base(ids).logits)


@pytest.mark.parametrize("cache", ["dynamic", "static"])
def test_a_left_padded_batch_equals_one_by_one_with_every_cache(case, cache):
    world, layout = case
    reader, rows = world.readers[layout], [[0], [1, 2]]
    ids, mask, _ = world.padded(PROMPTS, left=True)
    settings = {**GREEDY, "cache_implementation": cache}
    together = reader.generate(ids, world.memory(layout, rows), attention_mask=mask, **settings)
    for n, prompt in enumerate(PROMPTS):
        one = world.ids(prompt)
        single = by_hand(reader, one, world.memory(layout, [rows[n]]))
        assert torch.equal(together[n, ids.shape[1] :], single[0, one.shape[1] :])


def test_beams_read_the_memory_of_their_own_row(case):
    """The score of a beam is the mean log-probability of its tokens under a full forward pass."""
    world, layout = case
    reader, rows = world.readers[layout], [[0], [1, 2]]
    ids = world.ids(PROMPTS[0]).expand(2, -1)
    settings = {**GREEDY, "num_beams": 3, "num_return_sequences": 2}
    out = reader.generate(
        ids,
        world.memory(layout, rows),
        **settings,
        return_dict_in_generate=True,
        output_scores=True,
    )
    assert out.sequences.shape[0] == 4
    for n, sequence in enumerate(out.sequences):
        with torch.no_grad():
            logits = reader(sequence[None], memory=world.memory(layout, [rows[n // 2]])).logits
        likely = logits.log_softmax(-1)[0, ids.shape[1] - 1 : -1]
        written = sequence[ids.shape[1] :]
        mean = likely.gather(1, written[:, None]).mean()
        assert near(out.sequences_scores[n], mean, 1e-4)
    alone = reader.generate(ids[:1], world.memory(layout, [[1, 2]]), **settings)
    assert torch.equal(out.sequences[2:], alone)


def test_samples_are_seeded_and_all_read_their_rows_memory(case):
    world, layout = case
    reader, ids = world.readers[layout], world.ids(PROMPTS[0]).expand(2, -1)
    settings = {**GREEDY, "do_sample": True, "num_return_sequences": 3, "top_k": 20}

    def sampled(rows, seed):
        torch.manual_seed(seed)
        return reader.generate(ids, world.memory(layout, rows), **settings)

    first = sampled([[0], [1, 2]], 0)
    assert first.shape[0] == 6
    assert torch.equal(first, sampled([[0], [1, 2]], 0))
    assert not torch.equal(first, sampled([[0], [1, 2]], 1))
    assert not torch.equal(first, sampled([[1, 2], [0]], 0))


@pytest.mark.parametrize("family", KV_WORLDS)
@pytest.mark.parametrize(
    "mode",
    [
        {"num_beams": 4, "num_return_sequences": 3},
        {"do_sample": True, "num_return_sequences": 4, "top_k": 20},
        {"cache_implementation": "static"},
        {"num_beams": 3, "cache_implementation": "static"},
    ],
    ids=["beams", "samples", "static", "static beams"],
)
def test_kv_memory_generates_what_the_document_in_context_generates(family, mode):
    world = made(family)
    settings, whole = {**GREEDY, **mode}, in_context(world, DOCUMENTS[1], PROMPTS[1])
    prompt = world.ids(PROMPTS[1])
    torch.manual_seed(3)
    expected = world.base.generate(whole, **settings)[:, whole.shape[1] :]
    torch.manual_seed(3)
    said = world.readers["kv"].generate(prompt, world.memory("kv", [[1]]), **settings)
    assert torch.equal(said[:, prompt.shape[1] :], expected)


def test_a_streamer_gets_the_text_as_it_is_written(case):
    world, layout = case
    reader, memory = world.readers[layout], world.memory(layout, [[0, 1]])
    ids = world.ids(PROMPTS[0])
    streamer = TextIteratorStreamer(world.tokenizer, skip_prompt=True)
    said = reader.generate(ids, memory, streamer=streamer, **GREEDY)
    assert "".join(streamer) == world.tokenizer.decode(said[0, ids.shape[1] :])
