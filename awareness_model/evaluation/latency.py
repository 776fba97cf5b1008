"""How much text costs as much to read as a memory: by arithmetic, so that it depends on no clock.

Multiplications and additions of one prompt of T tokens, counted as 2 each. Memory of M slots adds
attention in the layers that read, and for `latent` the projection of its slots to keys and values;
text of t tokens goes through the whole decoder once (Kaplan et al. 2020, section 2.1: 2N per token,
attention beside it). Encoding is left out: memory is encoded when a file changes, not when it is
asked. Limits: bandwidth and kernels are not counted; text whose cache is kept costs less.
"""

from typing import Any


def memory_cost(config: Any, layers: int, slots: int, prompt: int, latent: bool) -> float:
    """Return what reading `slots` slots in `layers` layers adds to a prompt, in operations."""
    attention = 4.0 * layers * slots * prompt * _width(config)
    projected = 4.0 * layers * slots * config.hidden_size * _width(config, keys=True)
    return attention + (projected if latent else 0.0)


def text_cost(config: Any, tokens: int, prompt: int) -> float:
    """Return what `tokens` tokens of text before a prompt add, in operations."""
    seen = tokens * prompt + tokens * tokens / 2
    attention = 4.0 * config.num_hidden_layers * seen * _width(config)
    return 2.0 * weights(config) * tokens + attention


def tokens_at(config: Any, cost: float, prompt: int) -> int:
    """Return the most tokens of text that cost no more, at least 1."""
    low, high = 1, 1
    while text_cost(config, high, prompt) < cost:
        high *= 2
    while low < high:
        middle = (low + high + 1) // 2
        if text_cost(config, middle, prompt) <= cost:
            low = middle
        else:
            high = middle - 1
    return low


def weights(config: Any) -> int:
    """Return the decoder's weights outside the embedding."""
    own, keys = _width(config), _width(config, keys=True)
    attention = config.hidden_size * (2 * own + 2 * keys)
    mlp = 3 * config.hidden_size * config.intermediate_size
    return int(config.num_hidden_layers * (attention + mlp))


def _width(config: Any, keys: bool = False) -> int:
    heads = config.num_key_value_heads if keys else config.num_attention_heads
    head_dim = getattr(config, "head_dim", None)
    return int(heads * (head_dim or config.hidden_size // config.num_attention_heads))
