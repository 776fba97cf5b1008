"""Which runs: the proof itself, its small form for tests, and the ablations. Standard library only.

An ablation changes one setting of the base plan. Losses and gates are seen in the whole run; what
starts wide has no easier stage before it and gets the same number of steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from awareness_model.proof.plan import FAMILIES, SHUFFLED, TEXT, Plan

SEEDS: Final = (0, 1)
CONTROL_STEPS: Final = 400
ABLATION_STEPS: Final = 600

VARIANTS: Final[Mapping[str, Mapping[str, object]]] = {
    "base": {},
    "no citation loss": {"citation": 0.0},
    "no null loss": {"null": 0.0},
    "gold absent in 20 %": {"gold_absent": 0.2},
    "gold absent in 20 %, no null loss": {"gold_absent": 0.2, "null": 0.0},
    "8 visible from the start": {"stages": (8,)},
    "8 visible from the start, no citation loss": {"stages": (8,), "citation": 0.0},
    "random projections": {"copied": False},
    "gates open at the start (α = 0.5)": {"gate": 0.5},
    "placement every_third": {"placement": "every_third"},
    "placement middle": {"placement": "middle"},
    "placement upper_third": {"placement": "upper_third"},
    "causal states": {"bidirectional": "none"},
    "frozen base": {"base": TEXT},
    "frozen base, KL": {"base": TEXT, "kl": 1.0},
    "frozen base, random projections": {"base": TEXT, "copied": False},
    "frozen base, 8 visible from the start": {"base": TEXT, "stages": (8,)},
    "value before name in half": {"swapped": 0.5},
    "value before name in half, causal states": {"swapped": 0.5, "bidirectional": "none"},
}
"""Name to the settings that differ."""


def proof(families: Sequence[str] = FAMILIES, seeds: Sequence[int] = SEEDS) -> list[Plan]:
    """Return the runs with own memory, then those trained with shuffled memory (C7)."""
    own = [Plan(family=family, seed=seed) for seed in seeds for family in families]
    return own + [replace(plan, memory=SHUFFLED, stop_after=CONTROL_STEPS) for plan in own]


def small(family: str) -> Plan:
    """Return the run of `make test`: shorter names and values, one visible document, so that values
    must come through and nothing need be chosen."""
    return Plan(
        family=family,
        letters=2,
        digits=3,
        stages=(1,),
        batch=32,
        asked=64,
        measured_every=25,
        most_steps=600,
        stop_after=600,
    )


def ablations(
    names: Sequence[str] = tuple(VARIANTS),
    families: Sequence[str] = ("llama",),
    seeds: Sequence[int] = SEEDS,
    steps: int = ABLATION_STEPS,
) -> dict[str, list[Plan]]:
    """Return the runs of each variant, all of the same number of steps at most."""
    return {
        name: [
            replace(Plan(family=family, seed=seed, stop_after=steps), **VARIANTS[name])  # type: ignore[arg-type]
            for seed in seeds
            for family in families
        ]
        for name in names
    }
