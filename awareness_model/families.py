"""Model families that can read memory, and the layouts each of them can read. No torch here.

A family is transformers' `model_type`. `latent` needs decoder layers with `input_layernorm` and
`self_attn`; `kv` needs more: full attention in every layer, one plain softmax, and a rotary
embedding whose angles do not depend on the length, because memory is placed before the prompt.
Not covered: families whose layers are named otherwise, and mixtures of several kinds of layers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from awareness_model.config import UserError

BOTH = ("latent", "kv")
FAMILIES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"llama": BOTH, "qwen2": BOTH, "qwen3": BOTH, "gpt_oss": ("latent",)}
)
"""Layouts by family. GPT-OSS gives every head a learned sink inside its softmax and a window to
every second layer; the join with memory knows neither."""

MOVING_ANGLES = ("dynamic", "longrope")
"""Kinds of rotary embedding whose angles change with the length of the input."""


def family_of(config: Any, layout: str) -> str:
    """Return the family of a transformers configuration, checked for a layout.

    Raises:
        UserError: the layout is unknown, or models of this kind cannot read it.
    """
    family = str(getattr(config, "model_type", "unknown"))
    if layout not in BOTH:
        raise UserError(f"unknown layout {layout!r}: choose one of {', '.join(BOTH)}")
    if family not in FAMILIES:
        raise UserError(f"{family!r} models cannot read memory: choose one of {_named('latent')}")
    if layout not in FAMILIES[family]:
        raise UserError(
            f"{family!r} models cannot read {layout} memory (attention sinks, sliding windows): "
            f"use layout 'latent', or a model of {_named(layout)}"
        )
    if layout == "kv":
        _check_kv(config)
    return family


def _check_kv(config: Any) -> None:
    """Refuse what the join of memory with self-attention would get wrong."""
    if set(getattr(config, "layer_types", None) or ()) - {"full_attention"}:
        raise UserError(
            "kv memory needs full attention in every layer and this model has sliding windows: "
            "use layout 'latent'"
        )
    kind = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if kind in MOVING_ANGLES:
        raise UserError(
            f"kv memory needs fixed rotary angles and this model's are {kind!r}: "
            "use layout 'latent'"
        )


def _named(layout: str) -> str:
    return ", ".join(name for name, layouts in FAMILIES.items() if layout in layouts)
