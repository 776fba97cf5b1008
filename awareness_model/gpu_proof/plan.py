"""Which stages there are, in which order, and at what size. Standard library only.

The order is that of what is worth most where time ends early: the wiring, the main reader and its
numbers, the control, the other seeds, then everything side by side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from awareness_model.config import UserError

PROVE, TRAIN, MEASURE = "prove", "train", "measure"
UNTRAINED = "none"


@dataclass(frozen=True, slots=True)
class Stage:
    """One thing to do; a folder of its name holds what it leaves."""

    name: str
    kind: str
    seed: int = 0
    is_shuffled: bool = False
    """The control: every row reads its neighbour's documents."""
    readers: tuple[str, ...] = ()
    """Trainings to measure, or `none`."""
    control: str = ""
    haystacks: int = 1
    """How many of the haystacks packed are asked of, smallest first."""


STAGES: Final = (
    Stage("prove", PROVE),
    Stage("main", TRAIN),
    Stage("measure-main", MEASURE, readers=(UNTRAINED, "main")),
    Stage("control", TRAIN, is_shuffled=True),
    Stage("seed-2", TRAIN, seed=2),
    Stage("seed-3", TRAIN, seed=3),
    Stage(
        "measure",
        MEASURE,
        readers=(UNTRAINED, "main", "seed-2", "seed-3"),
        control="control",
        haystacks=2,
    ),
)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything."""

    course: Mapping[str, Any]
    """Settings of `reader.course.Course` that differ from its own."""
    needles: int
    """Documents to learn from; as many as `haystack` has needles are asked about."""
    lines: int
    """Remote lines of a training package, and as many in-file ones."""
    packages: int
    """Training packages."""
    probed: tuple[int, ...]
    """Documents visible in the probe of a training."""
    remote: Mapping[str, Any]
    """Settings of `evaluation.lines.Sizes`."""
    haystack: Mapping[str, Any]
    """Settings of `evaluation.haystack.NeedleSizes`."""
    haystack_lines: tuple[int, ...]
    most_files: int
    """Of a package."""
    batch: int
    """Rows measured at a time."""
    precision: str
    """Of the base model, in training and measuring; what trains is float32."""
    prove: tuple[str, ...]
    """Arguments of `awareness_model.prove`."""
    runs: int
    """Runs of that proof."""
    every: Mapping[str, int] = field(default_factory=dict)
    """Steps between a training's saves and probes."""
    is_usual_fitted: bool = True
    """Whether there are documents enough to say what is usual (`reader.usual`)."""


FULL: Final = Scale(
    course={
        "steps": 1_000,
        "warmup": 20,
        "levels": (4, 8, 16, 32),
        "needle_rows": 16,
        "code_rows": 12,
        "calm_weight": 0.5,
        "harmless_rows": 8,
        "harmless_every": 1,
        "is_varied": True,
    },
    needles=600,
    lines=24,
    packages=88,
    probed=(1, 4, 8, 16, 32),
    remote={"lines": 2_667, "packages": 24, "visible": 4, "most_files": 80},
    haystack={"needles": 64, "asked": 48, "visible": (1, 2, 4, 8, 16, 32)},
    haystack_lines=(10_000, 100_000),
    most_files=400,
    batch=8,
    precision="bfloat16",
    prove=("--jobs", "8"),
    runs=8,
    every={"save_every": 20, "probe_every": 100},
)

TINY: Final = Scale(
    course={
        "steps": 6,
        "rank": 4,
        "warmup": 1,
        "levels": (2, 3),
        "needle_rows": 2,
        "questions": 2,
        "code_rows": 1,
        "code_visible": 2,
        "harmless_every": 2,
    },
    needles=9,
    lines=2,
    packages=4,
    probed=(1, 2),
    remote={
        "lines": 6,
        "in_file": 0.5,
        "packages": 3,
        "visible": 2,
        "chunk_tokens": 160,
        "prompt_tokens": 40,
    },
    haystack={"needles": 5, "asked": 1, "visible": (1, 2), "chunk_tokens": 160},
    haystack_lines=(20, 40),
    most_files=40,
    batch=2,
    precision="float32",
    prove=("--ablate", "base", "--family", "llama", "--seeds", "0", "--steps", "2"),
    runs=1,
    every={"save_every": 2, "probe_every": 3},
    is_usual_fitted=False,
)

SCALES: Final[Mapping[str, Scale]] = {"full": FULL, "tiny": TINY}


def stage(name: str) -> Stage:
    """Return a stage by its name. Raises UserError: there is none."""
    for one in STAGES:
        if one.name == name:
            return one
    raise UserError(f"no stage {name!r}: {', '.join(one.name for one in STAGES)}")
