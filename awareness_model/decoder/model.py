"""The decoder users meet: a frozen causal language model, its memory-reading layers, what trains.

Two layouts: `latent` (`decoder.latent`, trained) and `kv` (`decoder.kv`, untrained). Without memory
both leave the base model as it is, bit for bit. Limits: one device; `families.FAMILIES`.
"""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import CausalLMOutputWithPast

from awareness_model import pretrained
from awareness_model.base import load_model
from awareness_model.checkpoint import CheckpointRecord, load_gca
from awareness_model.config import DecoderConfig, UserError, frozen, placement_layers
from awareness_model.decoder import kv, latent, low_rank
from awareness_model.decoder.heads import EncoderHeads
from awareness_model.decoder.kv_reader import KVReader
from awareness_model.decoder.prepared import Reading, bound, focus, mass_at, placed, places
from awareness_model.families import family_of
from awareness_model.memory.batch import Memory, from_slots

DEFAULT_PLACEMENT = {"latent": "every_third", "kv": "all"}


@dataclass
class ReasoningOutput(CausalLMOutputWithPast):
    """transformers' output, with the attention mass of the layers it was asked of."""

    memory_mass: Tensor | None = None
    """`[B, S, T, N]` over [null slot (kv: sink), memory slots], mean over heads, float32; S layers.
    In the kv layout the rest, up to 1, is on the row's own tokens."""


class ReasoningDecoder(nn.Module):
    """A frozen causal language model with memory-reading layers.

    Attributes: `base` (the transformers model), `tokenizer`, `config` (frozen), `family`,
    `placement`, `reading_layers`, `origin` (the record it was loaded from, or None).
    """

    base: Any
    sink_keys: Tensor
    sink_values: Tensor

    def __init__(self, config: DecoderConfig, loaded: tuple[Any, Any] | None = None) -> None:
        super().__init__()
        self.config = frozen(config)
        base, self.tokenizer = loaded or load_model(config.model_name, config.device)
        self.family = family_of(base.config, config.layout)
        self.base = base.requires_grad_(False)
        self.placement = config.placement or DEFAULT_PLACEMENT[config.layout]
        self.reading_layers = placement_layers(self.placement, len(self.base.model.layers))
        self.origin: CheckpointRecord | None = None
        self.reader: KVReader | None = None
        if (config.lora_rank or config.encoder_rank) and config.layout != "latent":
            raise UserError(
                "lora_rank and encoder_rank are for the latent layout: kv memory is the base's own"
            )
        self.heads: EncoderHeads | None = None
        if config.layout == "latent":
            latent.splice(self.base, self.reading_layers)
            if config.lora_rank:
                low_rank.install(self.base.model.layers, config.lora_rank)
            if config.encoder_rank:
                self.heads = self._heads(config.encoder_rank)
        else:
            sink_keys, sink_values = kv.sink(self.base, self.tokenizer)
            self.register_buffer("sink_keys", sink_keys, persistent=False)
            self.register_buffer("sink_values", sink_values, persistent=False)
            self.base.set_attn_implementation(kv.ATTENTION)
            if config.reader_rank:
                made = KVReader(self.base, self.reading_layers, config.reader_rank)
                self.reader = made.to(self.base.device)
        if config.activation_checkpointing:
            latent.replay_from(self.base, min(self.reading_layers))

    @classmethod
    def from_model(cls, model: Any, tokenizer: Any, config: DecoderConfig) -> "ReasoningDecoder":
        """Build on a model that is already loaded; it is frozen and changed in place."""
        return cls(config, loaded=(model, tokenizer))

    @classmethod
    def from_pretrained(
        cls, folder: Path | str, base: str | None = None, device: str | None = None
    ) -> "ReasoningDecoder":
        """Load what `save_pretrained` or a training left at `folder`, on its base model.

        Args:
            base: folder or hub id of the base model, where it is not where the record says.

        Raises:
            UserError: nothing there, damaged, or made for another base model.
        """
        made = cls(pretrained.config_of(Path(folder), base, device))
        made.origin = load_gca(made, Path(folder))
        return made

    def save_pretrained(self, folder: Path | str) -> None:
        """Write what trains and what it needs to be read again; never the base model's weights."""
        pretrained.save(Path(folder), self, self.origin)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        memory: Memory | None = None,
        *,
        memory_key: Tensor | None = None,
        memory_value: Tensor | None = None,
        want_mass: bool | Collection[int] = False,
        **kwargs: Any,
    ) -> ReasoningOutput:
        """Return logits `[B, T, V]`, and the memory's attention mass when asked for.

        Args:
            input_ids, attention_mask: `[B, T]`, as transformers has them.
            memory: what each row may read (its rows divide B); None: the base model as it is.
            memory_key, memory_value: the same for one document, as `encode_document` gives it.
            want_mass: fill `memory_mass`, for all reading layers or for those named.
            kwargs: for the base model (`position_ids`, `past_key_values`, `logits_to_keep`, …).

        Raises:
            ValueError: the memory does not fit the batch, the decoder's layout or its layers.
        """
        if memory_key is not None and memory_value is not None:
            memory = from_slots(memory_key, memory_value, self.config.layout)
        reading = None if memory is None else self.prepare(memory, want_mass)
        if reading is not None:
            kwargs = {**self._placed_prompt(input_ids, attention_mask), **kwargs, "memory": reading}
        output = self.base(input_ids=input_ids, attention_mask=attention_mask, **kwargs)
        mass = None
        if reading is not None and reading.mass is not None:
            mass = torch.stack([reading.mass[layer] for layer in sorted(reading.wanted)], dim=1)
        return ReasoningOutput(**output, memory_mass=mass)

    @torch.no_grad()
    def generate(self, input_ids: Tensor, memory: Memory | None = None, **settings: Any) -> Tensor:
        """Return what transformers' `generate()` returns, reading `memory` at every step.

        Sampling, beams, static caches and streamers are transformers' own. The forward pass is not
        compiled while memory is read: a compiled one would not see the memory of the next call.
        """
        if memory is None:
            return self.base.generate(input_ids=input_ids, **settings)
        with bound(self.prepare(memory)):
            return self.base.generate(input_ids=input_ids, **{"disable_compile": True, **settings})

    @torch.no_grad()
    def attended(
        self,
        input_ids: Tensor,
        memory: Memory,
        positions: Tensor,
        *,
        attention_mask: Tensor | None = None,
        layers: Collection[int] | None = None,
    ) -> Tensor:
        """Return how much the tokens at `positions` attend to each slot, `[B, N]`: one pass over
        prompt and answer, without the head. Column 0 is the null slot (kv: the sink).

        Args:
            positions: columns `[K]`, or True where a token counts, `[B, T]` or `[T]`. The token at
                t is the one that asks for token t + 1.
            layers: mean over these reading layers; None: all of them, each weighing as much as it
                tells documents apart (`prepared.focus`).
        """
        reading = self.prepare(memory, layers or True)
        prompt = self._placed_prompt(input_ids, attention_mask)
        self.base.model(
            input_ids, attention_mask=attention_mask, memory=reading, use_cache=False, **prompt
        )
        mass = mass_at(reading, positions)
        if layers:
            return mass.mean(1)
        return torch.einsum("cs,csn->cn", focus(mass, memory), mass)

    def prepare(self, memory: Memory, want_mass: bool | Collection[int] = False) -> Reading:
        """Make memory ready to read: split by layer, heads or rotated keys, biases.

        Raises:
            ValueError: another layout, another number of layers, or mass asked of a layer that
                does not read.
        """
        if memory.layout != self.config.layout:
            raise ValueError(f"{memory.layout} memory for a {self.config.layout} decoder")
        named = () if isinstance(want_mass, bool) else want_mass
        wanted = frozenset(self.reading_layers if want_mass is True else named)
        if wanted - set(self.reading_layers):
            raise ValueError(f"mass of layers {sorted(wanted)}, {self.reading_layers} read")
        memory = placed(memory, self.base.lm_head.weight)
        if self.heads is not None:
            memory = self.heads(memory)
        if self.config.layout == "latent":
            return latent.prepare(self.base, self.reading_layers, memory, wanted)
        sinks = self.sink_keys, self.sink_values
        return kv.prepare(self.base, self.reading_layers, sinks, memory, wanted, self.reader)

    def trainable_parameters(self) -> dict[str, dict[str, nn.Parameter]]:
        """Return what trains, by group and full name: `projections`, `gates` (their own learning
        rate), `gains` (norm gains, biases, null slots), and where there are any `encoder` (its
        heads) and `lora`; only projections and heads take weight decay."""
        groups: dict[str, dict[str, nn.Parameter]] = {"projections": {}, "gates": {}, "gains": {}}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            if own := "lora" if low_rank.MARK in name else "encoder" * name.startswith("heads."):
                groups.setdefault(own, {})[name] = parameter
                continue
            kind = "gates" if name.endswith(".alpha") else "gains"
            groups["projections" if name.endswith(".weight") else kind][name] = parameter
        return groups

    def _heads(self, rank: int) -> EncoderHeads:
        """Return heads for the base's own states, on its device and in its type."""
        weight = self.base.lm_head.weight
        heads = EncoderHeads(len(self.reading_layers), weight.shape[1], rank)
        return heads.to(weight.device, weight.dtype)

    def _placed_prompt(self, input_ids: Tensor, mask: Tensor | None) -> dict[str, Tensor]:
        """Return the position ids of a padded prompt in the kv layout, whose memory has places."""
        if self.config.layout == "latent" or mask is None or mask.dim() != 2:
            return {}
        return {"position_ids": places(mask, input_ids.shape[1])}
