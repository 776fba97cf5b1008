"""A world to train in: traces whose answers stand in documents held in memory, all tiny.

Documents are random latents, told apart by their seed; the model is a tiny random one.
"""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from awareness_model.config import DecoderConfig, TrainingConfig
from awareness_model.data import load_samples
from awareness_model.decoder import ReasoningDecoder
from awareness_model.engine import Reader
from awareness_model.feed import Feed
from awareness_model.loss import Weights
from awareness_model.schema import TRACE_COLUMNS
from awareness_model.tiny import tiny
from awareness_model.trial import TYPES

FINGERPRINT = "same"
SCHEMA = pa.schema([(name, TYPES[kind]) for name, kind in TRACE_COLUMNS.items()])


@dataclass(frozen=True)
class Chunk:
    keys: torch.Tensor
    values: torch.Tensor | None = None


class Shelf:
    """Documents by snapshot, in memory: `{(repo_id, sha): {path: content_hash}}`."""

    def __init__(self, snapshots, layers=4, width=64):
        self.snapshots, self.shape = snapshots, (layers, width)

    def snapshot(self, repo_id, sha):
        return self.snapshots.get((repo_id, sha), {})

    def chunks(self, content_hashes):
        return [[self._chunk(one)] for one in content_hashes]

    def _chunk(self, one):
        draw = torch.Generator().manual_seed(int(one.removeprefix("doc")))
        slots = 3 + int(one.removeprefix("doc")) % 3
        return Chunk(torch.randn(slots, *self.shape, generator=draw))


def trace(number, repo_id=1, gold=("a.py",), prompt=6, answer=4, k=3, **changes):
    """One row of a trace file; its tokens follow from its number."""
    ids = [(number * 7 + place) % 200 for place in range(prompt + answer)]
    logprobs = [-0.5 - place for place in range(k)]
    row = {
        "trace_id": f"t{number}",
        "repo_id": repo_id,
        "sha": f"child{repo_id}",
        "parent_sha": f"tree{repo_id}",
        "kind": "instruction",
        "style": "imperative",
        "target": "teacher",
        "prompt": "do it",
        "student_path": "",
        "student_prompt_ids": ids[:prompt],
        "response_ids": ids[prompt:],
        "response_text": "done",
        "top_k": k,
        "topk_ids": [[token, 201, 202, 203][:k] for token in ids[prompt:]] if k else [],
        "topk_logprobs": [logprobs for _ in range(answer)] if k else [],
        "tail_mass": [0.1] * answer if k else [],
        "manifest_paths": list(gold),
        "manifest_tokens": [1] * len(gold),
        "manifest_reasons": ["gold"] * len(gold),
        "gold_paths": list(gold),
        "hops": 0,
        "chain": "",
        "step": 0,
        "language": "Python",
        "repository_bytes": 1_000,
        "finish_reason": "stop",
        "tokenizer_fingerprint": FINGERPRINT,
    }
    return {**row, **changes}


def write_traces(path, rows):
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
    return path


def shelf(repositories=3, files=4, **shape):
    return Shelf(
        {
            (repo, f"tree{repo}"): {
                f"{'abcdef'[place]}.py": f"doc{repo * 10 + place}" for place in range(files)
            }
            for repo in range(1, repositories + 1)
        },
        **shape,
    )


def settings(**changes):
    usual = {"batch_size": 4, "steps": 6, "checkpoint_every": 2, "warmup_fraction": 0.2}
    return TrainingConfig(**{**usual, **changes})


def samples_of(folder, rows, store, training):
    path = write_traces(folder / "traces.parquet", rows)
    return load_samples([path], store, training, FINGERPRINT)


def world(folder, training, family="llama", rows=12, decoder=None, answer=lambda n: 3 + n % 3):
    """Return (reader, feed, digest of the samples): a fresh decoder each time, always the same."""
    decoder = decoder or ReasoningDecoder.from_model(*tiny(family), DecoderConfig(layout="latent"))
    store = shelf(layers=len(decoder.reading_layers))
    traces = [trace(n, 1 + n % 3, answer=answer(n)) for n in range(rows)]
    samples = samples_of(folder, traces, store, training)
    weights = Weights.of(training)
    feed = Feed(samples, store, training, decoder.tokenizer.pad_token_id)
    return Reader(decoder, weights), feed, samples.digest
