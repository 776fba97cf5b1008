"""Runs of plans: one row of a JSONL file each, so that a kill costs the runs in hand and no more.

A row holds the plan, the curve, what was read at each number of documents, and the controls; under
`run` what it cost. Rows are found by their plan's digest: plans that are there are not run again.
Limits: code is not in the digest; remove the file after a change of meaning.
"""

import json
import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeAlias

from awareness_model.proof.plan import TEXT, Plan
from awareness_model.schema import whole_lines, write_through

ROOM: Final = 4
"""Questions per visible document at least: else every row's memory holds every row's document."""
READ_AT: Final = (1, 2, 4, 8, 16, 32)
"""Documents visible at the end; stages of the plan, and beyond them never trained."""

Row: TypeAlias = dict[str, Any]


def rows_of(
    path: Path,
    plans: Sequence[Plan],
    device: str,
    jobs: int,
    say: Callable[[int, int], None] = lambda done, total: None,
    cpu_seconds: float = math.inf,
) -> list[Row]:
    """Run what is missing in the file, append it, and return the rows of the plans, in order.

    Args:
        jobs: processes, one thread each; 1: this one.
        cpu_seconds: no run is begun once those of the plans took so many; what is then missing is
            not in the answer.
    """
    found = {row["id"]: row for row in map(json.loads, whole_lines(path))}
    missing = [plan for plan in plans if plan.id not in found]
    total = len(plans)
    say(total - len(missing), total)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        left = cpu_seconds - sum(_cost(found[plan.id]) for plan in plans if plan.id in found)
        for count, row in enumerate(_run_all(missing, device, jobs, left), 1):
            line = json.dumps(row)
            write_through(file, f"{line}\n".encode())
            found[row["id"]] = json.loads(line)
            say(total - len(missing) + count, total)
    return [found[plan.id] for plan in plans if plan.id in found]


def run(plan: Plan, device: str = "cpu") -> Row:
    """Train by a plan and measure the result."""
    import torch

    from awareness_model.proof.controls import compared, controls
    from awareness_model.proof.growing import grown
    from awareness_model.proof.small import made
    from awareness_model.proof.task import questions
    from awareness_model.proof.text import exact_in_context

    torch.set_num_threads(1)
    began, spent = time.monotonic(), time.process_time()
    decoder, encoder = made(plan, device)
    curve = grown(decoder, encoder, plan, lambda point: _tell(plan, point))
    trained = time.process_time() - spent
    last = plan.stages[-1]
    numbers = [visible for visible in READ_AT if ROOM * visible <= plan.asked]
    asked = {visible: questions(plan, plan.asked, visible, "result") for visible in numbers}
    read = {
        visible: [asdict(score) for score in compared(decoder, encoder, one)]
        for visible, one in asked.items()
    }
    return {
        "id": plan.id,
        "plan": asdict(plan),
        "steps": curve[-1].step if curve else 0,
        "reached": curve[-1].visible if curve else 0,
        "read_at": {str(n): {"own": own, "shuffled": other} for n, (own, other) in read.items()},
        "controls": controls(decoder, encoder, asked[last]),
        "text": exact_in_context(decoder, asked[last]) if plan.base == TEXT else None,
        "curve": [asdict(point) for point in curve],
        "run": {
            "training_cpu_seconds": round(trained, 1),
            "cpu_seconds": round(time.process_time() - spent, 1),
            "seconds": round(time.monotonic() - began, 1),
        },
    }


def _run_all(plans: Sequence[Plan], device: str, jobs: int, left: float) -> Iterator[Row]:
    """Yield rows as they are done, and begin none once they took the CPU seconds that are left."""
    if jobs == 1 or len(plans) < 2:
        for plan in plans:
            if left > 0:
                row = run(plan, device)
                left -= _cost(row)
                yield row
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        going: set[Future[Row]] = set()
        waiting = list(plans)
        while going or (waiting and left > 0):
            while waiting and left > 0 and len(going) < jobs:
                going.add(pool.submit(run, waiting.pop(0), device))
            done, going = wait(going, return_when=FIRST_COMPLETED)
            for one in done:
                left -= _cost(one.result())
                yield one.result()


def _cost(row: Row) -> float:
    """Return the CPU seconds of a run."""
    return float(row["run"]["cpu_seconds"])


def _tell(plan: Plan, point: Any) -> None:
    own, other = point.own, point.shuffled
    run_of = f"{plan.family} seed {plan.seed} {plan.memory}"
    place = f"step {point.step}, {point.visible} visible"
    exact = f"exact {own.exact:.2f}, shuffled {other.exact:.2f}"
    nats = f"nll {own.nll:.2f}, shuffled {other.nll:.2f}"
    print(f"{run_of}: {place}: {exact}; {nats}", file=sys.stderr, flush=True)
