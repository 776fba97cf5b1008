import json

import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from awareness_model.config import UserError
from awareness_model.evaluation import perplexity, run
from awareness_model.evaluation.embedding import EMBEDDED, FIRST, Embedder, Search, finder
from awareness_model.evaluation.haystack import NeedleSizes
from awareness_model.evaluation.lines import Sizes, recall
from awareness_model.evaluation.readers import Piece
from awareness_model.tiny import save_tiny
from tests.model.evaluation.packages_world import packages

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
SIZES = Sizes(lines=6, in_file=0.5, packages=3, visible=2, chunk_tokens=160, prompt_tokens=40)
NEEDLES = NeedleSizes(haystack_lines=20, needles=5, asked=1, visible=(1, 2))


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """A tiny random BERT with a vocabulary of characters, as a folder."""
    letters = [chr(n) for n in range(33, 127)]
    tokens = [*SPECIAL, *letters, *("##" + one for one in letters)]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    backend = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    shape = {"hidden_size": 32, "num_hidden_layers": 1, "intermediate_size": 64}
    config = BertConfig(
        vocab_size=len(vocabulary), num_attention_heads=2, max_position_embeddings=130, **shape
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BertModel(config)
    folder = tmp_path_factory.mktemp("minilm")
    model.save_pretrained(folder)
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token"], SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    return str(folder)


def piece(name, text):
    return Piece(name, 0, text, len(text))


PIECES = [piece(f"p/{n}.py", f"zq {n * 1111} wx\n" * 3) for n in range(20)]


def test_a_text_is_nearest_to_itself_and_its_own_file_can_be_left_out(minilm):
    embedder = Embedder(minilm, "float32", 100)
    searches = {
        "same": Search(PIECES[7].text),
        "left out": Search(PIECES[7].text, without="p/7.py"),
    }
    found = embedder.find(PIECES, searches)
    assert found["same"][0] == PIECES[7]
    assert PIECES[7] not in found["left out"]
    assert len(found["same"]) == FIRST


def test_only_the_end_of_a_prompt_asks(minilm):
    embedder = Embedder(minilm, "float32", 20)
    found = embedder.find(
        PIECES, {"a": Search("x" * 300 + PIECES[3].text), "b": Search(PIECES[3].text)}
    )
    assert found["a"] == found["b"]


def test_what_was_found_is_not_searched_again(minilm, tmp_path):
    find = finder(Embedder(minilm, "float32", 100), tmp_path, {"a": 1})
    first = find("corpus", PIECES, {"one": Search(PIECES[2].text)})
    assert first["one"][0] == PIECES[2].name
    again = finder(Embedder(minilm, "float32", 100), tmp_path, {"a": 1})
    assert again("corpus", [], {"one": Search("")}) == first
    other = finder(Embedder(minilm, "float32", 50), tmp_path, {"a": 1})
    assert other("corpus", PIECES[:1], {"one": Search("a")})["one"] == [PIECES[0].name]


def test_rag_by_embedding_stands_beside_rag_by_words(minilm, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "packages", lambda most: packages(4))
    model = str(save_tiny(tmp_path / "model", "llama"))
    conditions = (*perplexity.TEXTS, *perplexity.MEMORIES)
    settings = {"conditions": conditions, "sizes": SIZES, "needle": NEEDLES}
    job = run.Job(tmp_path / "out", model, embedder=minilm, **settings)
    report = json.loads(json.dumps(run.evaluate(job, ["perplexity", "needle"])))
    (remote,), (needles,) = report["perplexity"], report["needle"]
    nll = remote["classes"]["remote"]["nll"]
    assert {"rag_embedding", "rag_slots", "rag_latency"} <= set(nll)
    assert "rag_embedding" not in remote["classes"]["in_file"]["nll"]
    assert 0 <= remote["recall"]["embedded"] <= 1
    assert remote["recall"]["routed"] is not None
    assert EMBEDDED in {one["condition"] for one in needles["table"]}
    assert set(needles["embedding"]["value"]) == {"1", "2", "16"}
    assert not any("embedding" in one for one in (*remote["missing"], *needles["missing"]))
    plain = run.Job(tmp_path / "out", model, **settings)
    without = json.loads(json.dumps(run.evaluate(plain, ["perplexity"])))["perplexity"][0]
    assert without["recall"]["embedded"] is None
    assert "condition rag_embedding" in without["missing"]
    assert without["classes"]["remote"]["nll"]["rag_slots"] == nll["rag_slots"]


def test_recall_is_of_remote_lines_alone():
    assert recall([], "routed") is None


def test_a_folder_that_is_no_sentence_encoder_is_the_users_error(tmp_path):
    model = str(save_tiny(tmp_path / "model", "llama"))
    with pytest.raises(UserError, match="reads BERT models"):
        Embedder(model, "float32", 100).find(PIECES, {"one": Search("a")})
