"""One stage, in a process of its own: prove, train a reader, or measure readers.

Trainings are the course of `reader.course`, measurements those of `evaluation`; nothing is chunked,
routed or chosen here. All tensors of a course are made where the model is, and its encoded
documents lie there (about 15 GB at full size). A finished training keeps its reader alone.

Limits: one GPU; the plain engine; what trains is float32, the frozen base as the scale says.
"""

import json
import random
import time
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch

from awareness_model import checkpoint, pretrained, prove
from awareness_model.config import DecoderConfig, EncoderConfig, UserError
from awareness_model.decoder import ReasoningDecoder
from awareness_model.encoder import ContextEncoder
from awareness_model.evaluation.readers import PRECISIONS
from awareness_model.gpu_proof import measuring, parts, questions
from awareness_model.gpu_proof.plan import MEASURE, PROVE, SCALES, Scale, Stage
from awareness_model.gpu_proof.running import FINISHED, PROGRESS, WORK
from awareness_model.reader.course import STATE, Course, learn, load
from awareness_model.reader.material import Material
from awareness_model.reader.measure import Asked, mean, needle_rows, read
from awareness_model.reader.mixture import mixture
from awareness_model.reader.needle_rows import known
from awareness_model.reader.rows import Held, held
from awareness_model.reader.usual import fit_usual
from awareness_model.schema import write_atomic

ADAPTER = "adapter"
AT_ONCE = 64
"""Documents given to the encoder at a time."""


def do(at: Path, one: Stage, device: str) -> None:
    """Do a stage, going on from what it left. Raises UserError: what it needs is not there."""
    manifest = parts.ready(at)
    scale, work = SCALES[manifest["scale"]], at / WORK / one.name
    work.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    if one.kind == PROVE:
        _prove(scale, work, device)
    elif one.kind == MEASURE:
        measuring.measure(at, one, scale, device)
    else:
        if device.startswith("cuda"):
            torch.set_float32_matmul_precision("high")
        _train(at, one, scale, device, manifest["corpus"])
    told = {"seconds_of_last_process": round(time.monotonic() - begun, 1)}
    _write(work / FINISHED, {**told, "machine": measuring.machine(device)})


def _prove(scale: Scale, work: Path, device: str) -> None:
    given = ["--device", device, "--out", str(work), "--results", str(work / "prove.json")]
    _write(work / PROGRESS, {"total": scale.runs, "unit": "runs"})
    if prove.main([*scale.prove, *given]) == 2:
        raise UserError("the proof could not be run")


def _train(at: Path, one: Stage, scale: Scale, device: str, corpus: str) -> None:
    work = at / WORK / one.name
    course = Course(seed=one.seed, is_shuffled=one.is_shuffled, **scale.course)
    decoder, encoder = opened(str(at / parts.MODEL), device, course.rank)
    if not (work / ADAPTER / checkpoint.RECORD).is_file():
        with torch.device(device):
            _learn(decoder, encoder, at, course, scale, work, corpus)
        _export(decoder, work, course, corpus)
    _slim(work)


def opened(model: str, device: str, rank: int) -> tuple[ReasoningDecoder, ContextEncoder]:
    """Return a kv decoder to train, and the encoder on its base."""
    decoder = ReasoningDecoder(DecoderConfig(model, device, "kv", reader_rank=rank))
    encoder = ContextEncoder.from_model(
        decoder.base, decoder.tokenizer, EncoderConfig(model, device)
    )
    return decoder, encoder


def _learn(
    decoder: ReasoningDecoder,
    encoder: ContextEncoder,
    at: Path,
    course: Course,
    scale: Scale,
    work: Path,
    corpus: str,
) -> None:
    code = questions.code(at / parts.DATA)
    drawn = known(scale.needles, 0, "train")
    asked = known(scale.haystack["needles"] * 2, 0, "held_out")
    texts = {one.path: one.text for one in (*drawn, *asked)} | dict(code.texts)
    shelf = shelved(encoder, texts)
    material = Material(tuple(drawn), code, shelf, corpus)
    _begin(decoder, material, scale)
    decoder.base.to(PRECISIONS[scale.precision])

    def probe() -> Mapping[str, float]:
        told = {}
        for visible in scale.probed:
            count = min(scale.haystack["needles"], 12)
            rows = needle_rows(decoder.tokenizer, asked, Asked(visible, count))
            found = mean(read(decoder, rows, shelf))
            told.update({f"{name}_{visible}": value for name, value in found.items()})
        return told

    def say(line: str) -> None:
        print(line, flush=True)
        step = json.loads(line)["step"]
        _write(work / PROGRESS, {"done": step, "total": course.steps, "unit": "steps"})

    draw = mixture(decoder.tokenizer, material, course)
    learn(decoder, shelf, draw, course, work, probe=probe, say=say, **scale.every)


def _begin(decoder: ReasoningDecoder, material: Material, scale: Scale) -> None:
    """Fit what a reader's gates begin with, as `learn_kv` does."""
    assert decoder.reader is not None
    if scale.is_usual_fitted:
        names = sorted(material.code.texts)
        random.Random(0).shuffle(names)
        fit_usual(decoder.reader, material.shelf, names)


def shelved(encoder: ContextEncoder, texts: Mapping[str, str]) -> dict[str, list[Held]]:
    """Return documents of one chunk each encoded in the kv layout, by name, where the model is."""
    shelf: dict[str, list[Held]] = {}
    names = list(texts)
    for start in range(0, len(names), AT_ONCE):
        some = names[start : start + AT_ONCE]
        for name, chunks in zip(
            some, encoder.encode([texts[one] for one in some], "kv"), strict=True
        ):
            shelf[name] = [held(one.keys, one.values) for one in chunks]
    return shelf


def _export(decoder: ReasoningDecoder, work: Path, course: Course, corpus: str) -> None:
    assert decoder.reader is not None
    step = load(work, decoder.reader)
    decoder.reader.halve()
    settings = {one.name: getattr(course, one.name) for one in fields(course)}
    settings = json.loads(json.dumps({**settings, "engine": "plain"}))
    given = pretrained.kv_settings(decoder, settings)
    checkpoint.save(work / ADAPTER, decoder, step=step, settings=given, data=corpus)


def _slim(work: Path) -> None:
    """Drop the optimizer of a finished training: what is left is a third, and loads as before."""
    held_there = torch.load(work / STATE, weights_only=True, map_location="cpu")
    if held_there.pop("optimizer", None) is not None:
        torch.save(held_there, work / f".{STATE}.aside")
        (work / f".{STATE}.aside").rename(work / STATE)


def _write(path: Path, told: Mapping[str, Any]) -> None:
    write_atomic(path, (json.dumps(told, indent=1) + "\n").encode())
