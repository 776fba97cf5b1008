"""One root whose flow is killed and started again until it is done.

Its seed draws who dies and when, before each start and after each service that died. A kill counts
when the moment came; a flow that ends first is started again, or was done.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from awareness_pipeline import config, flow
from tests.faults import forks
from tests.faults.disk import ALL, DURABLE, Action, Disk, Kind
from tests.faults.flow_run import FAILED_UNITS, USER_CAN_MEND, run
from tests.faults.left import stamps
from tests.faults.tally import Tally
from tests.faults.world import Database, Service, World

DEADLINE_S = 300
"""For one start of the flow, on a busy machine."""
TIMES_WITHOUT_END = 25
"""Starts in a row that end by themselves, undisturbed, without an end: the flow is stuck."""
TICK_S = 0.002
ROOM = {Action.FULL: "disk full", Action.READ_ONLY: "disk read-only"}
SAID = {
    Action.FULL: ("disk is full", "disk full or read-only"),
    Action.READ_ONLY: ("read-only",),
}
"""What the one line names."""


@dataclass
class Root:
    """A flow that is disturbed until it is done."""

    seed: int
    world: World
    disk: Disk
    settings: config.Settings
    database: Database | None
    log: Path
    tally: Tally
    pid: int = 0
    status: int | None = None

    def __post_init__(self) -> None:
        self.random = Random(self.seed)

    def finish(self) -> None:
        """Start the flow again and again until it ends well."""
        self.disk.watch(self.settings.paths.root, os.getpid())
        quiet = 0
        while self.status != 0 and quiet < TIMES_WITHOUT_END:
            before, hits = stamps(self.settings.paths.root), self._hits()
            self._start()
            self._disturb()
            self._await_end()
            self._note_end()
            self.disk.release()
            self._mind_services()
            self._compare(before)
            quiet = quiet + 1 if self._hits() == hits else 0
        if self.status != 0:
            self.wrong(f"no end: {self._said()}")

    def _hits(self) -> int:
        return self.tally.kills + self.tally.faults.total()

    def _start(self) -> None:
        self.tally.starts += 1
        self.log.unlink(missing_ok=True)
        self.status = None
        self.pid = forks.fork(lambda: run(self.settings), self.log)

    def _stage(self) -> str:
        """The first stage that is not finished."""
        for step in flow.FLOW:
            if not any(self.settings.paths.root.glob(f"{step.artifact}/small/*/record.json")):
                return step.name
        return flow.STAGES[-1]

    def _disturb(self) -> None:
        """Draw who dies and when, and see to it, as long as it lives and kills are wanted."""
        hits = self._hits()
        while self.status is None and not self.tally.enough:
            stage = self._stage()
            # A disk is spoilt first or not at all: the line must be about it.
            ways = self._ways(stage, spoil=self._hits() == hits)
            if not ways:
                return
            self.random.choice(ways)(stage)
            self._poll()

    def _ways(self, stage: str, *, spoil: bool) -> list[Callable[[str], None]]:
        tally = self.tally
        wanted = spoil and tally.faults.total() < tally.wanted_faults
        faults = [self._out_of_room] if wanted else []
        if tally.kills >= tally.wanted:
            return faults
        ways = [self._at_a_moment] * 5 + [self._after_a_time, self._child, *faults] * 2
        if self.database:
            ways += [self._without_database] * (4 if stage == "discover" else 1)
        if stage in ("discover", "clone"):
            ways += [self._without(self.world.sandbox, 30)] * 4
        if stage in ("reverse", "distil") and self.settings.teacher.url:
            ways += [self._without(self.world.endpoint, 15)] * 6
        return ways

    def _at_a_moment(self, stage: str) -> None:
        """Kill the group, or who makes the call, at a change of a file: of any, or of an artifact
        that is not finished."""
        kinds = self.random.choice((ALL, DURABLE, DURABLE))
        action = self.random.choice((Action.KILL_GROUP, Action.KILL_CALLER))
        self.disk.arm(action, self._soon(kinds), kinds=kinds, only=self._aim(stage), group=self.pid)
        self._watch(lambda: self.disk.hit)
        if not self.disk.hit:
            return
        call, path, caller = self.disk.where
        victim = "worker" if action is Action.KILL_GROUP or caller == self.pid else "child"
        self.tally.killed(victim, self._stage_of(path) or stage, f"file: {call}")

    def _soon(self, kinds: Kind) -> int:
        """Draw the number of a moment: the first ones more often, so that each stage is met."""
        return int(2 ** self.random.uniform(0, 8 if kinds == ALL else 6))

    def _aim(self, stage: str) -> str:
        """Draw an artifact that is not finished, or none: anywhere."""
        left = [step.artifact for step in flow.FLOW[flow.STAGES.index(stage) :]]
        return f"/{self.random.choice(left)}/" if self.random.random() < 0.6 else ""

    def _stage_of(self, path: str) -> str:
        inside = Path(path).relative_to(self.settings.paths.root.resolve()).parts
        names = {step.artifact: step.name for step in flow.FLOW}
        return names.get(inside[0], "") if inside else ""

    def _after_a_time(self, stage: str) -> None:
        """Kill the group after a time."""
        self._wait_a_time()
        if self.status is None:
            stage = self._stage()
            os.killpg(self.pid, signal.SIGKILL)
            self.tally.killed("worker", stage, "time")

    def _child(self, stage: str) -> None:
        """Kill a process that the flow has started: git, or one of the model's."""
        self._watch(lambda: bool(_children(self.pid)))
        self._wait_a_time()
        stage = self._stage()
        if self.status is None and (children := _children(self.pid)):
            os.kill(self.random.choice(children), signal.SIGKILL)
            self.tally.killed("child", stage, "time")

    def _wait_a_time(self) -> None:
        until = time.monotonic() + self.random.expovariate(3)
        self._watch(lambda: time.monotonic() >= until)

    def _without_database(self, stage: str) -> None:
        """End the sessions on the database, at the first moment that there are any."""
        assert self.database
        harshly = self.random.random() < 0.5
        self._wait_a_time()
        ended: list[int] = []
        database = self.database
        self._watch(lambda: bool(ended or _note(ended, database.end_sessions(harshly=harshly))))
        if ended:
            name = "postgresql" if harshly else "database session"
            self.tally.killed(name, self._stage(), "session")

    def _without(self, service: Service, most: int) -> Callable[[str], None]:
        def disturb(stage: str) -> None:
            deaths = service.deaths
            service.fuse.set(self.random.randint(1, most))
            self._watch(service.mind)
            service.fuse.set(0)
            if service.deaths > deaths:
                self.tally.killed(service.name, stage, "request")

        return disturb

    def _out_of_room(self, stage: str) -> None:
        """Have the disk be full, or read-only, from a moment on; the flow must say so."""
        action = self.random.choice(tuple(ROOM))
        self.disk.arm(action, self._soon(ALL), only=self._aim(stage))
        self._await_end()
        if not self.disk.hit:
            return
        where = " ".join(self.disk.where[:2])
        self.tally.faults[ROOM[action]] += 1
        self.disk.release()
        if self.status == 0:
            return  # it took nothing away that mattered
        lines = [line for line in self._said().splitlines() if line.startswith("error: ")]
        if self.status != USER_CAN_MEND or not any(one in lines[-1] for one in SAID[action]):
            self.wrong(f"{ROOM[action]} from {where}: status {self.status}: {self._said()}")

    def _watch(self, come: Callable[[], object]) -> None:
        """Wait until something has come, or the flow has ended."""
        ends = time.monotonic() + DEADLINE_S
        while self.status is None and not come() and time.monotonic() < ends:
            self._poll()
            time.sleep(TICK_S)

    def _poll(self) -> None:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None

    def _await_end(self) -> None:
        self._watch(lambda: self._mind_services() and False)
        if self.status is None:
            self.wrong(f"stuck in {self._stage()}: {self._said()}")
            os.killpg(self.pid, signal.SIGKILL)
            self._watch(lambda: False)

    def _note_end(self) -> None:
        """Note how a start ended, and what it said."""
        if self.status not in (0, USER_CAN_MEND, FAILED_UNITS, -signal.SIGKILL):
            self.wrong(f"status {self.status} in {self._stage()}: {self._said()}")
        self.tally.ends[_end_named(self.status)] += 1
        for line in self._said().splitlines():
            if line.startswith(("error: ", "failed: ")):
                self.tally.lines[_plain(line, self.settings.paths.root)] += 1

    def _mind_services(self) -> None:
        for service in (self.world.sandbox, self.world.endpoint):
            service.mind()

    def _compare(self, before: dict[str, int]) -> None:
        now = stamps(self.settings.paths.root)
        again = [path for path, stamp in before.items() if now.get(path) != stamp]
        self.tally.kept += len(before)
        self.tally.redone += len(again)
        if again:
            self.wrong(f"done again: {again[:5]}")

    def _said(self) -> str:
        return self.log.read_text(errors="replace")[-3000:] if self.log.is_file() else ""

    def wrong(self, what: str) -> None:
        self.tally.wrong.append(f"seed {self.seed}: {what}")
        print(f"WRONG, seed {self.seed}: {what}", flush=True)


def _note(kept: list[int], number: int) -> int:
    if number:
        kept.append(number)
    return number


def _end_named(status: int | None) -> str:
    names = {0: "done", USER_CAN_MEND: "a line", FAILED_UNITS: "failed units", -9: "killed"}
    return names.get(status, str(status)) if status is not None else "stuck"


def _plain(line: str, root: Path) -> str:
    return "".join(part for part in line.replace(str(root), "ROOT") if not part.isdigit())[:160]


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started and that live."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return sorted(found)
