"""What is learned from and asked, chosen and cut where the tools for it are, written once.

    data/train.json.gz      lines of training packages and the chunks that decide them
    data/remote.json.gz     remote lines of held-out packages with all that each may read
    data/needles-N.json.gz  questions about needles among N lines of real functions

Needles to learn from follow from a seed and do not travel. A haystack for which the packages have
too few lines is made as large as they allow, and said to be so. Limits: `evaluation.corpus` says
what the packages are; what is installed decides.
"""

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from awareness_model.base import load_tokenizer
from awareness_model.evaluation import haystack
from awareness_model.evaluation.corpus import Package, corpus_digest, functions, on_side
from awareness_model.evaluation.haystack import Haystack, NeedleSizes
from awareness_model.evaluation.lines import Lines, Sizes, choose, prepare
from awareness_model.gpu_proof.plan import Scale
from awareness_model.gpu_proof.rows import plain, restored
from awareness_model.reader import code_rows
from awareness_model.reader.code_rows import Code

TRAIN, REMOTE, NEEDLES = "train.json.gz", "remote.json.gz", "needles-{}.json.gz"


@dataclass(frozen=True, slots=True)
class Remote:
    """Remote lines, and what names them in cells."""

    lines: tuple[Lines, ...]
    corpus: str
    sizes: Sizes


def made(found: Sequence[Package], model: str, scale: Scale) -> dict[str, bytes]:
    """Return the files of data, by name.

    Raises:
        UserError: the packages have too few lines.
    """
    tokenizer = load_tokenizer(model)
    train = sorted(on_side(found, "train"), key=lambda one: one.name)[: scale.packages]
    sizes = Sizes(**scale.remote)
    chosen = choose(found, sizes)
    remote = {
        "corpus": corpus_digest([package for package, _ in chosen]),
        "sizes": asdict(sizes),
        "lines": plain(prepare(chosen, tokenizer, sizes)),
    }
    code = code_rows.read(tokenizer, train, scale.lines, seed=0)
    files = {TRAIN: plain(code), REMOTE: remote}
    for number, sizes_of in enumerate(_haystacks(found, scale), 1):
        held = haystack.build(found, model, sizes_of)
        files[NEEDLES.format(number)] = {"sizes": asdict(sizes_of), "haystack": plain(held)}
    return {name: _packed(told) for name, told in files.items()}


def _haystacks(found: Sequence[Package], scale: Scale) -> list[NeedleSizes]:
    """Return the sizes of the haystacks, none larger than the packages allow."""
    texts = {f.text for one in on_side(found, "held_out") for f in functions(one)}
    most = sum(text.count("\n") for text in texts)
    wanted = dict.fromkeys(min(lines, most) for lines in scale.haystack_lines)
    return [NeedleSizes(haystack_lines=lines, **scale.haystack) for lines in wanted]


def code(data: Path) -> Code:
    """Return the lines to learn from."""
    found: Code = restored(_opened(data / TRAIN))
    return found


def remote(data: Path) -> Remote:
    """Return the remote lines to measure on."""
    told = _opened(data / REMOTE)
    return Remote(restored(told["lines"]), told["corpus"], Sizes(**told["sizes"]))


def haystacks(data: Path, count: int) -> list[tuple[Haystack, NeedleSizes]]:
    """Return the first haystacks with their sizes; fewer where fewer were made."""
    paths = [data / NEEDLES.format(number) for number in range(1, count + 1)]
    told = [_opened(path) for path in paths if path.is_file()]
    return [(restored(one["haystack"]), _needle_sizes(one["sizes"])) for one in told]


def _needle_sizes(told: Mapping[str, Any]) -> NeedleSizes:
    return NeedleSizes(**{**told, "visible": tuple(told["visible"])})


def _packed(told: Any) -> bytes:
    return gzip.compress(json.dumps(told, separators=(",", ":")).encode(), mtime=0)


def _opened(path: Path) -> Any:
    return json.loads(gzip.decompress(path.read_bytes()))
