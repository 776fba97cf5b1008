"""What was measured and what was not, and why a difference is not clear of 0.

A difference is clear where its 95 % interval over repositories leaves 0 out on the side that was
hoped for; a gain (a style beside the cleaned message) where it leaves 0 out on either; and only
from `ENOUGH` repositories on. Whatever is not clear has a reason in words, as far as the numbers
tell it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from awareness_pipeline.evidence.plan import Plan

__all__ = ["CONTROLS", "judged", "label", "sides"]

CONTROLS: Final = {"same": "another commit of the repository", "other": "another repository"}
"""Hardest first."""
BASELINE: Final = "message"
ENOUGH: Final = 6
"""Repositories that make a verdict: fewer are all on one side by chance more often than 2.5 % of
the time (2^-5 = 3.1 %), and a bootstrap over them is too narrow."""

Measure = Mapping[str, Any]


def judged(measures: Iterable[Measure], plans: Sequence[Plan]) -> list[dict[str, Any]]:
    """Return every measure that was looked for, in order, with `headline`, `clear` and `why`.

    One that nothing was measured for has `D` None and counts of 0. `headline`: against the hardest
    control that the kind has numbers for; gains have none.
    """
    known = {(one["kind"], one["group"], one["control"]): one for one in measures}
    found = []
    for kind, group, control, plan in _wanted(plans):
        hardest = next((one for one in CONTROLS if _any(known, kind, one)), "other")
        measure = known.get((kind, group, control))
        why = _unclear(measure) if measure else _absent(plan, kind, group, control)
        found.append(
            {
                **(measure or _nothing(kind, group, control)),
                "headline": kind != "gain" and control == hardest,
                "clear": not why,
                "why": why,
            }
        )
    return found


def label(measure: Measure) -> str:
    """Return what a measure compares, in words."""
    return ", against ".join(sides(measure))


def sides(measure: Measure) -> tuple[str, str]:
    """Return what is compared, and with what."""
    against = CONTROLS[measure["control"]]
    if measure["kind"] == "context":
        names = {"teacher": "teacher's answers", "commit": "true diffs"}
        return names[measure["group"]], f"files of {against}"
    name = "cleaned messages" if measure["group"] == BASELINE else f"{measure['group']} prompts"
    return (f"{name} beside messages" if measure["kind"] == "gain" else name), against


def _wanted(plans: Sequence[Plan]) -> Iterable[tuple[str, str, str, Plan]]:
    for plan in plans:
        controls = CONTROLS if plan.kind == "prompt" else ("other",)
        for group in plan.groups:
            yield from ((plan.kind, group, control, plan) for control in controls)
        for group in plan.groups if plan.kind == "prompt" else ():
            if group != BASELINE:
                yield from (("gain", group, control, plan) for control in controls)


def _any(known: Mapping[tuple[str, str, str], Measure], kind: str, control: str) -> bool:
    return any((one, where) == (kind, control) for one, _, where in known)


def _nothing(kind: str, group: str, control: str) -> dict[str, Any]:
    counts = dict.fromkeys(("n_repos", "n_items", "n_tokens", "above", "alike"), 0)
    head = {"kind": kind, "group": group, "control": control}
    return {**head, "D": None, "D_ci": None, **counts}


def _absent(plan: Plan, kind: str, group: str, control: str) -> str:
    """Return why nothing was measured."""
    what = {"prompt": "accepted prompts of this style", "context": "traces with this target"}
    if not plan.offered[group]:
        return f"nothing to measure: there are no {what[plan.kind]}"
    if kind == "gain":
        return "nothing to measure: no commit has every style and a partner that has them too"
    if not any(one.group == group for one in plan.requests):
        reasons = sorted((why, n) for (of, why), n in plan.dropped.items() if of == group)
        listed = ", ".join(f"{why} {n}" for why, n in reasons)
        return f"nothing to measure: none of {plan.offered[group]} could be used ({listed})"
    return f"nothing to measure: {CONTROLS[control]} with such a prompt was not found"


def _unclear(measure: Measure) -> str:
    """Return why a difference is not clear of 0; empty if it is."""
    if measure["D_ci"] is None:
        return "one repository only: there is nothing to draw an interval from"
    low, high = measure["D_ci"]
    gain = measure["kind"] == "gain"
    apart = low > 0 or (gain and high < 0)
    if apart and measure["n_repos"] < ENOUGH:
        often = f"all are on one side by chance once in {2 ** measure['n_repos']} times"
        return f"0 is outside, but {measure['n_repos']} repositories are too few: {often}"
    if apart:
        return ""
    said = [
        "the interval includes 0" if high >= 0 else "what is not its own predicts the text better",
        f"{measure['above']} of {measure['n_repos']} repositories are above 0",
    ]
    if measure["n_repos"] < ENOUGH:
        said.append("with so few repositories one decides much")
    if measure["alike"]:
        said.append(f"{measure['alike']} of {measure['n_items']} pairs read the very same")
    if gain:
        said.append("to this model, the style tells of the change as much as the message does")
    elif high < 0:
        said.append("the reading misleads this model, or says nothing of the text")
    else:
        said.append(
            "own and other readings are alike to this model, or it is too small to use them"
        )
    return "; ".join(said)
