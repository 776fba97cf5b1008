"""The latent layout: decoder layers wrapped so that each reads encoder states before its own work.

Wrapping, not hooking: memory stays attached through backward, ZeRO sees the parameters, and what
transformers asks of a layer is answered by the layer inside. Limits: memory holds one state per
reading layer, or one for all of them.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from awareness_model.config import UserError
from awareness_model.decoder.bias import slot_bias
from awareness_model.decoder.prepared import Reading, current
from awareness_model.gca import GatedCrossAttention
from awareness_model.memory.batch import Memory


class GCALayer(GradientCheckpointingLayer):
    """A decoder layer that reads memory first; without memory it is the layer it wraps."""

    layer: Any

    def __init__(self, layer: nn.Module, gca: GatedCrossAttention, index: int) -> None:
        super().__init__()
        self.layer, self.gca, self.index = layer, gca, index

    def __getattr__(self, name: str) -> Any:
        """Attributes that transformers looks for on a layer are those of the wrapped one."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def forward(
        self, hidden_states: Tensor, *args: Any, memory: Reading | None = None, **kwargs: Any
    ) -> Any:
        """Read, then run the wrapped layer. Returns what it returns (a tensor or a tuple)."""
        reading = current(memory, "latent")
        if reading is not None:
            read, mass = self.gca(
                self.layer.input_layernorm(hidden_states),
                reading.keys[self.index],
                reading.values[self.index],
                reading.bias,
                projected=reading.projected,
                want_mass=self.index in reading.wanted,
            )
            hidden_states = hidden_states + read
            if reading.mass is not None and mass is not None:
                reading.mass[self.index] = mass
        if memory is not None:
            kwargs["memory"] = memory
        return self.layer(hidden_states, *args, **kwargs)


def splice(base: Any, reading_layers: tuple[int, ...]) -> None:
    """Wrap layers of a base model in place.

    Raises:
        UserError: they are wrapped already.
    """
    layers = base.model.layers
    for index in reading_layers:
        if isinstance(layers[index], GCALayer):
            raise UserError("this model already has memory-reading layers; load it afresh")
        gca = GatedCrossAttention.from_self_attention(layers[index].self_attn)
        layers[index] = GCALayer(layers[index], gca, index)


def replay_from(base: Any, first: int) -> None:
    """Recompute the layers from `first` on in backward; a wrapped layer is part of its wrapper.

    Set by hand because transformers' own switch installs a hook on the embeddings.
    """
    replay: Callable[..., Any] = functools.partial(checkpoint, use_reentrant=False)
    for layer in list(base.model.layers)[first:]:
        layer.gradient_checkpointing = True
        layer._gradient_checkpointing_func = replay


def prepare(
    base: Any, reading_layers: tuple[int, ...], memory: Memory, wanted: frozenset[int]
) -> Reading:
    """Return memory split by reading layer; without gradients its heads are made here, once.

    Raises:
        ValueError: the memory holds another number of layers' states.
    """
    stored = memory.keys.shape[2]
    if stored not in (1, len(reading_layers)):
        raise ValueError(
            f"memory holds {stored} layers' states, the decoder reads {len(reading_layers)}"
        )
    # ZeRO 3 (`ds_id`) has a layer's parameters whole only while its own forward runs.
    shared_out = hasattr(base.model.layers[reading_layers[0]].gca.k_gain, "ds_id")
    projected = not torch.is_grad_enabled() and not shared_out
    keys, values = {}, {}
    for n, layer in enumerate(reading_layers):
        pair = memory.keys[:, :, n % stored], memory.values[:, :, n % stored]
        if projected:
            pair = base.model.layers[layer].gca.project(*pair)
        keys[layer], values[layer] = pair
    bias = slot_bias(memory.mask, memory.log_bias)
    return Reading("latent", keys, values, bias, projected, wanted, {} if wanted else None)
