"""Which runs: the proof itself, its small form for tests, and the ablations. Standard library only.

An ablation changes one setting of one small plan (`WIDE`) and gets the same number of steps.
Limits: one size, so it ranks settings by how soon they work, not by what they end at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from awareness_model.proof.plan import FAMILIES, SHUFFLED, TEXT, Plan

SEEDS: Final = (4, 5)
"""Never looked at when the settings were chosen; 0 and 1 were tuned on."""
CONTROL_STEPS: Final = 400
ABLATION_STEPS: Final = 450
ABLATION_SEEDS: Final = (0, 1)

WIDE: Final = Plan(
    digits=2,
    stages=(8,),
    batch=24,
    asked=128,
    citation=1.0,
    most_steps=ABLATION_STEPS,
    stop_after=ABLATION_STEPS,
    settle=0,
)
"""Of which an ablation changes one setting: a run of half a CPU minute that reads eight documents.
With these sizes the course 1 → 2 → 4 → 8 gets no further than two in as many steps."""

SECTIONS: Final[Mapping[str, Mapping[str, Mapping[str, object]]]] = {
    "base": {"base": {}},
    "losses": {
        "no citation loss": {"citation": 0.0},
        "citation loss at 0.3": {"citation": 0.3},
        "sparsity loss at 0.1": {"sparsity": 0.1},
        "gold absent in 20 %": {"gold_absent": 0.2},
        "gold absent in 20 %, no null loss": {"gold_absent": 0.2, "null": 0.0},
    },
    "curriculum": {
        "1 → 2 → 4 → 8 visible": {"stages": (1, 2, 4, 8)},
        "1 → 8 visible": {"stages": (1, 8)},
        "1 → 8 visible, transmission at 1": {"stages": (1, 8), "transmission": True},
        "2 → 8 visible": {"stages": (2, 8)},
        "4 → 8 visible": {"stages": (4, 8)},
        "1 → 8 visible, no citation loss": {"stages": (1, 8), "citation": 0.0},
    },
    "start": {
        "random projections": {"copied": False},
        "gates open (α = 0.5)": {"gate": 0.5},
        "random projections, gates open": {"copied": False, "gate": 0.5},
        "q/k gain 1": {"gain": 1.0},
    },
    "encoder": {
        "causal states": {"bidirectional": "none"},
        "no gradient to the encoder": {"reached": False},
        "value before name in half": {"swapped": 0.5},
        "value before name in half, causal states": {"swapped": 0.5, "bidirectional": "none"},
    },
    "placement": {
        "6 layers, all": {"layers": 6},
        "6 layers, every_third": {"layers": 6, "placement": "every_third"},
        "6 layers, middle": {"layers": 6, "placement": "middle"},
        "6 layers, upper_third": {"layers": 6, "placement": "upper_third"},
    },
    "frozen base": {
        "frozen base": {"base": TEXT},
        "frozen base, KL": {"base": TEXT, "kl": 1.0},
        "frozen base, random projections": {"base": TEXT, "copied": False},
        "frozen base, gold absent, harm loss": {"base": TEXT, "gold_absent": 0.2, "harm": 1.0},
        "frozen base, gold absent, no harm loss": {"base": TEXT, "gold_absent": 0.2},
    },
}
"""Name to the settings that differ, by what they are about."""
VARIANTS: Final = {name: made for section in SECTIONS.values() for name, made in section.items()}


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
        settle=50,
    )


def ablations(
    names: Sequence[str] = tuple(VARIANTS),
    families: Sequence[str] = ("llama",),
    seeds: Sequence[int] = ABLATION_SEEDS,
    steps: int = ABLATION_STEPS,
) -> dict[str, list[Plan]]:
    """Return the runs of each variant, all of the same number of steps at most."""
    base = replace(WIDE, most_steps=steps, stop_after=steps)
    return {
        name: [
            replace(base, family=family, seed=seed, **VARIANTS[name])  # type: ignore[arg-type]
            for seed in seeds
            for family in families
        ]
        for name in names
    }


def by_turns(named: Mapping[str, Sequence[Plan]]) -> list[Plan]:
    """Return every variant's first run, then every variant's second, and so on."""
    longest = max(map(len, named.values()), default=0)
    return [plans[turn] for turn in range(longest) for plans in named.values() if turn < len(plans)]
