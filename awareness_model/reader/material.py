"""What a reader learns from and is measured on, encoded once and kept in a folder.

    <folder>/needles.pt            documents of needles, both sides
    <folder>/code_<side>.pt        lines and documents of real packages, by side

Readers learn from `train` alone. A file that is there is read, whatever made it: give another
folder for other sizes. Limits: everything is held in memory (46 KB a token, half of it on disk).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from awareness_model.config import UserError
from awareness_model.encoder import ContextEncoder
from awareness_model.evaluation.corpus import corpus_digest, on_side, packages
from awareness_model.reader.code_rows import Code, read
from awareness_model.reader.needle_rows import Known, known
from awareness_model.reader.rows import Document, Held, encoded


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much material."""

    needles: int = 450
    """Documents to learn from."""
    held_out: int = 48
    """Documents of held-out names."""
    packages: int = 40
    lines: int = 3
    """Remote lines of a package, and as many in-file ones."""


@dataclass(frozen=True, slots=True)
class Material:
    """One side's documents, and what is asked of them."""

    needles: tuple[Known, ...]
    code: Code
    shelf: Mapping[str, Document]
    corpus: str
    """Digest of the packages."""


def material(encoder: ContextEncoder, folder: Path, side: str, sizes: Sizes) -> Material:
    """Return one side's material, made where it is not kept yet."""
    folder.mkdir(parents=True, exist_ok=True)
    needles, by_needle = _kept(
        folder / f"needles_{side}.pt", lambda: _needles(encoder, side, sizes)
    )
    (code, digest), by_chunk = _kept(
        folder / f"code_{side}.pt", lambda: _code(encoder, side, sizes)
    )
    return Material(tuple(needles), code, {**by_needle, **by_chunk}, digest)


def corpus_of(folder: Path) -> str:
    """Return the digest of the packages that a folder's readers learn from.

    Raises:
        UserError: no material is there.
    """
    path = folder / "code_train.pt"
    if not path.is_file():
        raise UserError(f"no material at {folder}: name the folder that the run was given")
    (_, corpus), _ = torch.load(path, weights_only=False, mmap=True)
    return str(corpus)


def _needles(encoder: ContextEncoder, side: str, sizes: Sizes) -> tuple[Any, dict[str, list[Held]]]:
    drawn = known(sizes.needles if side == "train" else sizes.held_out, 0, side)
    return drawn, encoded(encoder, {one.path: one.text for one in drawn})


def _code(encoder: ContextEncoder, side: str, sizes: Sizes) -> tuple[Any, dict[str, list[Held]]]:
    found = packages()
    code = read(encoder.tokenizer, on_side(found, side), sizes.lines, seed=0)
    code = _first(code, sizes.packages)
    return (code, corpus_digest(found)), encoded(encoder, code.texts)


def _first(code: Code, most: int) -> Code:
    """Return the lines of the first packages that have two documents or more, by name."""
    rich = [line.package for line in code.lines if line.remote and code.others(line)]
    kept = sorted(set(rich))[:most]
    lines = tuple(line for line in code.lines if line.package in kept)
    texts = {name: text for name, text in code.texts.items() if name.split(":")[0] in kept}
    return Code(lines, texts)


def _kept(
    path: Path, make: Callable[[], tuple[Any, dict[str, list[Held]]]]
) -> tuple[Any, dict[str, list[Held]]]:
    """Return what lies at `path`; made and written aside first where nothing does."""
    if not path.is_file():
        about, shelf = make()
        plain = {name: [(one.keys, one.values) for one in held] for name, held in shelf.items()}
        aside = path.with_name(f".{path.name}.aside")
        torch.save((about, plain), aside)
        aside.replace(path)
    about, plain = torch.load(path, weights_only=False)
    return about, {name: [Held(*one) for one in held] for name, held in plain.items()}
