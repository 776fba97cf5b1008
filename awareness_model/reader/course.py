"""The course a kv reader takes: more documents visible as soon as it can read among fewer.

A step is a batch of needle rows and, beside it, rows from real packages and rows that memory cannot
help. Loss: cross-entropy of the tokens that count; where nothing in memory helps, the divergence
from the base model without memory, of every token; on all other tokens of a package's lines that
from the untrained reader of the same memory, which is nearly the text in context. The base is
frozen; a step depends on the seed, its number and the level alone, so that a resumed course goes on
as if it had never stopped.

Limits: one process, one device.
"""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from awareness_model.config import UserError
from awareness_model.decoder import ReasoningDecoder, kv
from awareness_model.decoder.kv_reader import KVReader, LayerReader
from awareness_model.decoder.prepared import placed
from awareness_model.reader.rows import CODE, Batch, Row, Shelf, batch, shuffled, uncounted

STATE = "state.pt"
LOG = "log.jsonl"
SCALES, LEADS, GATES = ("temperature", "offset"), ("lead",), ("gate",)
"""Parameters with a learning rate of their own."""
WINDOW = 8
"""Steps over which the share of right answers is taken before the next level."""


@dataclass(frozen=True, slots=True)
class Course:
    """Settings of a course."""

    steps: int = 280
    rank: int = 16
    learning_rate: float = 1e-3
    scale_rate: float = 5e-3
    """Learning rate of temperatures and offsets."""
    lead_rate: float = 5e-2
    """Learning rate of leads."""
    gate_rate: float = 2e-2
    """Learning rate of gates; 0 leaves them out."""
    warmup: int = 10
    decay_from: float = 0.6
    """Share of the steps after which the rate falls, to a twentieth at the end."""
    clip: float = 1.0
    levels: tuple[int, ...] = (4, 8, 16)
    """Documents visible."""
    enough: float = 0.75
    """Share of answers all right that opens the next level."""
    needle_rows: int = 3
    questions: int = 4
    """Of a needle row at most."""
    code_rows: int = 2
    code_visible: int = 4
    calm_weight: float = 0.0
    """Of the divergence from the untrained reader, where a package's lines count no token; above 0
    every second row of a package is a line of its own file."""
    harmless_rows: int = 1
    harmless_every: int = 3
    """Steps from one with harmless rows to the next."""
    is_varied: bool = False
    """Harmless rows also are pieces of other files and needles whose document is missing, every
    token counts, and lines of packages begin anywhere."""
    seed: int = 0
    is_shuffled: bool = False
    """The control: every row reads its neighbour's documents."""


@dataclass(slots=True)
class Progress:
    """Where a course stands."""

    step: int = 0
    level: int = 0
    recent: list[float] = field(default_factory=list)
    seconds: float = 0.0


Draw = Callable[[str, int, int], Sequence[Sequence[Row]]]
"""(seed, step, visible) to groups of rows; a group is one batch."""


def loss_of(
    decoder: ReasoningDecoder, rows: Sequence[Row], shelf: Shelf, calm_weight: float = 0.0
) -> tuple[Tensor, float]:
    """Return the sum of losses over a group of rows and the share of answers all right."""
    made = batch(rows, shelf, decoder.tokenizer.pad_token_id)
    states = hidden(decoder, made.ids, made.mask, made.memory)
    logits = decoder.base.lm_head(states[made.rows, made.places]).float()
    if rows[0].is_harmless:
        with torch.no_grad():
            plain = decoder.base.model(made.ids, attention_mask=made.mask, use_cache=False)
        return _divergence(decoder, logits, plain, (made.rows, made.places)), math.nan
    loss, right = F.cross_entropy(logits, made.targets), (logits.argmax(-1) == made.targets)
    if calm_weight and rows[0].kind == CODE:
        calm = uncounted(made)
        logits = decoder.base.lm_head(states[calm]).float()
        away = _divergence(decoder, logits, _untrained(decoder, made), calm)
        loss = loss + calm_weight * away
    return loss, _all_right(rows, right.tolist())


def _divergence(
    decoder: ReasoningDecoder, logits: Tensor, teacher: Any, places: tuple[Tensor, Tensor]
) -> Tensor:
    """Return how far logits are from a teacher's at these places, nats a token."""
    with torch.no_grad():
        told = decoder.base.lm_head(teacher.last_hidden_state[places]).float()
    return F.kl_div(
        logits.log_softmax(-1), told.log_softmax(-1), reduction="batchmean", log_target=True
    )


@torch.no_grad()
def _untrained(decoder: ReasoningDecoder, made: Batch) -> Any:
    """Return the base's output where it reads a batch's memory untrained."""
    memory = placed(made.memory, decoder.base.lm_head.weight)
    sinks = decoder.sink_keys, decoder.sink_values
    reading = kv.prepare(decoder.base, decoder.reading_layers, sinks, memory, frozenset())
    return decoder.base.model(made.ids, attention_mask=made.mask, memory=reading, use_cache=False)


def hidden(decoder: ReasoningDecoder, ids: Tensor, mask: Tensor, memory: Any) -> Tensor:
    """Return the last hidden states `[C, T, d]` of rows that read memory."""
    reading = decoder.prepare(memory)
    output = decoder.base.model(ids, attention_mask=mask, memory=reading, use_cache=False)
    states: Tensor = output.last_hidden_state
    return states


def _all_right(rows: Sequence[Row], right: Sequence[bool]) -> float:
    done, answers, place = 0, 0, 0
    for row in rows:
        for begin, end in row.answers:
            done += all(right[place : place + end - begin])
            answers += 1
            place += end - begin
    return done / answers


def rate(course: Course, step: int) -> float:
    """Return the factor of the learning rates at a step."""
    if step < course.warmup:
        return (step + 1) / course.warmup
    left = (course.steps - step) / max(course.steps * (1 - course.decay_from), 1)
    return max(min(left, 1.0), 0.05)


def learn(
    decoder: ReasoningDecoder,
    shelf: Shelf,
    draw: Draw,
    course: Course,
    folder: Path,
    *,
    probe: Callable[[], Mapping[str, float]] = dict,
    probe_every: int = 50,
    save_every: int = 25,
    say: Callable[[str], None] = print,
) -> Progress:
    """Run a course, going on from what lies at `folder`; return where it ends."""
    assert decoder.reader is not None
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(decoder.reader, course)
    progress = _resumed(folder, decoder.reader, optimizer)
    while progress.step < course.steps:
        begun = time.perf_counter()
        told = _step(decoder, shelf, draw, course, optimizer, progress)
        progress.seconds += time.perf_counter() - begun
        progress.step += 1
        if progress.step % probe_every == 0:
            told = {**told, **probe()}
        _note(folder, progress, told, say)
        if progress.step % save_every == 0 or progress.step == course.steps:
            _save(folder, decoder.reader, optimizer, progress)
    return progress


def _step(
    decoder: ReasoningDecoder,
    shelf: Shelf,
    draw: Draw,
    course: Course,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> dict[str, float]:
    """Take one optimizer step; return its losses by kind of row."""
    assert decoder.reader is not None
    for group in optimizer.param_groups:
        group["lr"] = group["top"] * rate(course, progress.step)
    told: dict[str, float] = {}
    optimizer.zero_grad()
    visible = course.levels[progress.level]
    for rows in draw(f"{course.seed} {progress.step}", progress.step, visible):
        kind = rows[0].kind
        seen = shuffled(rows) if course.is_shuffled else rows
        loss, right = loss_of(decoder, seen, shelf, course.calm_weight)
        loss.backward()
        told[kind] = loss.item()
        told[f"{kind}_right"] = right
    norm = torch.nn.utils.clip_grad_norm_(decoder.reader.parameters(), course.clip)
    optimizer.step()
    _rise(course, progress, told.get("needle_right", 0.0))
    return {**told, "visible": visible, "norm": norm.item()}


def _rise(course: Course, progress: Progress, right: float) -> None:
    """Open the next level once enough answers are right at this one."""
    progress.recent = [*progress.recent, right][-WINDOW:]
    full = len(progress.recent) == WINDOW and sum(progress.recent) / WINDOW >= course.enough
    if full and progress.level + 1 < len(course.levels):
        progress.level += 1
        progress.recent = []


def _optimizer(reader: torch.nn.Module, course: Course) -> torch.optim.Optimizer:
    rates = {SCALES: course.scale_rate, LEADS: course.lead_rate, GATES: course.gate_rate}
    named = list(reader.named_parameters())
    chosen = {kind: [value for name, value in named if name.endswith(kind)] for kind in rates}
    apart = {id(value) for held in chosen.values() for value in held}
    rest = [value for _, value in named if id(value) not in apart]
    groups = [{"params": held, "top": rates[kind]} for kind, held in chosen.items()]
    groups.append({"params": rest, "top": course.learning_rate})
    return torch.optim.AdamW(groups, lr=course.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)


def _save(
    folder: Path, reader: torch.nn.Module, optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    aside = folder / f".{STATE}.aside"
    state = {
        "reader": reader.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
    }
    torch.save(state, aside)
    aside.rename(folder / STATE)


def _resumed(folder: Path, reader: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    if not (folder / STATE).is_file():
        return Progress()
    state = torch.load(folder / STATE, weights_only=True)
    reader.load_state_dict(state["reader"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


def load(folder: Path, reader: torch.nn.Module) -> int:
    """Put a course's corrections into a reader; return the steps it took.

    Raises:
        UserError: nothing was saved there yet.
    """
    if not (folder / STATE).is_file():
        raise UserError(f"no reader at {folder}: train one first")
    state = torch.load(folder / STATE, weights_only=True)
    reader.load_state_dict(state["reader"])
    return int(state["progress"]["step"])


def by_hand(reader: KVReader, lead: float) -> None:
    """Make a reader untrained but for one number: every head's lead at the middle decay."""
    with torch.no_grad():
        for layer in reader.layers.values():
            assert isinstance(layer, LayerReader)
            small = (layer.temperature, layer.offset, layer.gate)
            for part in (layer.query_out, layer.slot_out, *small):
                part.zero_()
            layer.lead.zero_()[:, 1] = lead


def _note(
    folder: Path, progress: Progress, told: Mapping[str, float], say: Callable[[str], None]
) -> None:
    rounded = {name: round(value, 4) for name, value in told.items() if not math.isnan(value)}
    line = json.dumps({"step": progress.step, **rounded, "seconds": round(progress.seconds, 1)})
    with (folder / LOG).open("a") as file:
        file.write(line + "\n")
    say(line)
