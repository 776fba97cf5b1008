"""Tiny random models of every family, with a byte-level tokenizer: nothing is downloaded.

For tests and smoke runs: shapes, caches and file formats are real, what they write is noise. The
Qwen3 one has q/k norms, the Qwen2 one biases in q/k/v, both a head_dim that is not hidden / heads;
GPT-OSS has attention sinks, windows in every second layer, and experts.
"""

from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content']"
    " + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny(family: str, seed: int = 0) -> tuple[Any, Any]:
    """Return a tiny random model (6 layers, hidden 64) and a byte-level tokenizer, nothing loaded.

    Args:
        family: `llama` (head_dim 16 = hidden / heads), `qwen3` (q/k norm, head_dim 32), `qwen2`
            (biases, head_dim 24) or `gpt_oss` (sinks, windows of 16, four experts).
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        GptOssConfig,
        LlamaConfig,
        Qwen2Config,
        Qwen3Config,
    )

    experts = {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 16}
    kind, head_dim, more = {
        "llama": (LlamaConfig, 16, {}),
        "qwen2": (Qwen2Config, 24, {}),
        "qwen3": (Qwen3Config, 32, {}),
        "gpt_oss": (GptOssConfig, 32, experts),
    }[family]
    tokenizer = _byte_tokenizer()
    config = kind(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=head_dim,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
        initializer_range=0.1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for name, parameter in model.named_parameters():
            if name.endswith(".bias"):  # zero as transformers makes them: nothing would show
                parameter.data.normal_(std=0.1)
    return model.eval(), tokenizer


def save_tiny(path: Path, family: str, seed: int = 0) -> Path:
    """Write `tiny(family, seed)` where `load_model(path)` finds it; return the path."""
    model, tokenizer = tiny(family, seed)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def _byte_tokenizer() -> Any:
    """Return a tokenizer of 256 bytes and ChatML's special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        unk_token="<|endoftext|>",
        chat_template=CHATML,
        clean_up_tokenization_spaces=False,
    )
