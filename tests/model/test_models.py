"""The user's own examples: every block of code of their description runs as it is written, with
`awareness` under its name here."""

import re

import pytest
import torch
from torch.utils.data import DataLoader

from awareness_model.config import Config
from awareness_model.memory import LatentMemoryStore
from awareness_model.models import ContextEncoder, ReasoningDecoder
from awareness_model.tiny import save_tiny, tiny

WRITTEN = """
## Configuration

The configuration system uses dataclasses in `src/awareness/config.py`:

```python
from awareness.config import Config

config = Config()
config.training.learning_rate = 2e-5
config.training.batch_size = 16
```

### Encoding a Document

```python
from awareness.models import ContextEncoder
from awareness.config import EncoderConfig, Config
from transformers import AutoTokenizer

config = Config()
encoder = ContextEncoder(config.encoder)
tokenizer = AutoTokenizer.from_pretrained(config.encoder.model_name)

document_text = "def hello():\\n    return 'world'"
K_mem, V_mem = encoder.encode_document(document_text, tokenizer)
```

### Storing in Memory

```python
from awareness.memory import LatentMemoryStore

memory = LatentMemoryStore(config.memory)
memory.add_document("src/main.py", K_mem, V_mem,
                   metadata={"path": "src/main.py"})
```

### Using Memory for Reasoning

```python
from awareness.models import ReasoningDecoder

decoder = ReasoningDecoder(config.decoder)
K_mem, V_mem = memory.retrieve_by_scope("src/**/*.py")

outputs = decoder(
    input_ids=input_ids,
    attention_mask=attention_mask,
    memory_key=K_mem,
    memory_value=V_mem
)
```

## Training with Distillation

The trainer supports knowledge distillation from a teacher model:

```python
from awareness.training import AwarenessTrainer

trainer = AwarenessTrainer(config)
trainer.train(
    train_dataloader,
    teacher_model=teacher,
    eval_dataloader=eval_loader
)
```
"""
"""The parts with code of the user's description, as they wrote them."""

CONFIGURE, ENCODE, STORE, REASON, TRAIN = (
    re.sub(r"\bfrom awareness\.", "from awareness_model.", block)
    for block in re.findall(r"```python\n(.*?)```", WRITTEN, re.S)
)


@pytest.fixture(params=["llama", "qwen3"])
def config(request, tmp_path):
    made = Config()
    made.encoder.model_name = made.decoder.model_name = str(
        save_tiny(tmp_path / "m", request.param)
    )
    made.memory.path = str(tmp_path / "memory")
    return made


def test_the_users_example_runs_from_document_to_logits(config):
    from transformers import AutoTokenizer

    encoder = ContextEncoder(config.encoder)
    tokenizer = AutoTokenizer.from_pretrained(config.encoder.model_name)
    document_text = "def hello():\n    return 'world'"
    K_mem, V_mem = encoder.encode_document(document_text, tokenizer)

    memory = LatentMemoryStore(config.memory)
    memory.add_document("src/main.py", K_mem, V_mem, metadata={"path": "src/main.py"})

    decoder = ReasoningDecoder(config.decoder)
    K_mem, V_mem = memory.retrieve_by_scope("src/**/*.py")
    inputs = tokenizer("print(hello())", return_tensors="pt")
    input_ids, attention_mask = inputs["input_ids"], inputs["attention_mask"]
    outputs = decoder(
        input_ids=input_ids,
        attention_mask=attention_mask,
        memory_key=K_mem,
        memory_value=V_mem,
    )
    assert outputs.logits.shape == (1, input_ids.shape[1], len(tokenizer))
    with torch.no_grad():
        for gate in decoder.trainable_parameters()["gates"].values():
            gate.fill_(1.0)
        opened = decoder(input_ids, attention_mask, memory_key=K_mem, memory_value=V_mem)
    assert (opened.logits - outputs.logits).abs().max() > 1e-3


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_every_block_of_the_users_description_runs_as_written(family, tmp_path, monkeypatch):
    monkeypatch.setenv("AWARENESS_MODEL", str(save_tiny(tmp_path / "m", family)))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(CONFIGURE, names)
    assert (names["config"].training.learning_rate, names["config"].training.batch_size) == (
        2e-5,
        16,
    )
    for block in (ENCODE, STORE):
        exec(block, names)
    inputs = names["tokenizer"]("print(hello())", return_tensors="pt")
    names |= {"input_ids": inputs["input_ids"], "attention_mask": inputs["attention_mask"]}
    exec(REASON, names)
    assert names["outputs"].logits.shape[:2] == inputs["input_ids"].shape
    rows = [
        {
            **{name: inputs[name][0] for name in ("input_ids", "attention_mask")},
            "memory_key": names["K_mem"] + turn,
            "memory_value": names["V_mem"],
        }
        for turn in range(4)
    ]
    loader = DataLoader(rows, batch_size=2)
    teacher, _ = tiny(family, seed=1)
    exec(TRAIN, names | {"train_dataloader": loader, "eval_loader": loader, "teacher": teacher})
    saved = ReasoningDecoder.from_pretrained(tmp_path / "outputs" / "final")
    assert saved.origin.step == len(loader)
    gates = saved.trainable_parameters()["gates"].values()
    assert any(gate.abs().max() > 0 for gate in gates)


def test_settings_in_use_cannot_change_under_a_running_model(config):
    decoder = ReasoningDecoder(config.decoder)
    config.decoder.layout = "kv"
    assert decoder.config.layout == "latent"
    with pytest.raises(AttributeError, match="before use"):
        decoder.config.layout = "kv"
