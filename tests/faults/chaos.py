"""kill -9 at random, over and over, on a flow that is started again each time: what is left must
be what an undisturbed flow leaves.

    python -m tests.faults.chaos --seed 17 --kills 200 --out results/chaos.json

Each root has a seed of its own (17, 18, …), from which everything is drawn: who dies (the flow's
process group, whoever touches the disk next, a child, a database session, PostgreSQL itself, the
host of repositories, the LLM endpoint) and when (at the n-th change of a file, at the n-th request,
after a time). Between kills the disk fills up or turns read-only now and then, and the flow must
say so in one line. `--seed 23 --kills 1 --faults 1` repeats the root of seed 23 alone, as far as
the machine's timing allows. Even seeds ask an endpoint and have the catalog on PostgreSQL; odd ones
ask the model on this machine and have it on SQLite.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults import forks
from tests.faults.disk import Disk, build, disk, environment
from tests.faults.disturbed import Root
from tests.faults.left import Left, look
from tests.faults.tally import Tally
from tests.faults.world import CONCURRENCY, World, world


def undisturbed(world: World, disk: Disk, folder: Path, *, remote: bool) -> Left:
    """Run the flow in peace; return what it leaves."""
    with world.database() as database:
        root = folder / f"undisturbed-{'remote' if remote else 'local'}"
        settings = world.settings(root, database.url if database and remote else "", remote=remote)
        disk.watch(root, os.getpid())
        tally = Tally(0)
        quiet = Root(0, world, disk, settings, None, folder / "quiet.log", tally)
        quiet.finish()
        assert not tally.wrong, tally.wrong
        return look(settings, folder)


def disturb(world: World, disk: Disk, folder: Path, seed: int, tally: Tally) -> Iterator[int]:
    """Run roots, one after another, until enough was killed; yield the seed of each when done."""
    expected: dict[bool, Left] = {}
    while not tally.enough:
        remote = seed % 2 == 0
        if remote not in expected:
            expected[remote] = undisturbed(world, disk, folder, remote=remote)
        _one_root(world, disk, folder, seed, tally, expected[remote])
        yield seed
        seed += 1


def _one_root(world: World, disk: Disk, folder: Path, seed: int, tally: Tally, left: Left) -> None:
    remote = seed % 2 == 0
    asked, starts = len(world.asked()), tally.starts
    with world.database() as found:
        database = found if remote else None
        root = folder / f"root-{seed}"
        settings = world.settings(root, database.url if database else "", remote=remote)
        one = Root(seed, world, disk, settings, database, folder / "flow.log", tally)
        one.finish()
        tally.roots += 1
        now = look(settings, folder)
    for what in left.differences(now):
        one.wrong(what)
    tally.leftovers += len(now.files - left.files)
    fresh = world.asked()[asked:]
    again = len(fresh) - len(set(fresh))
    tally.asked, tally.asked_again = tally.asked + len(fresh), tally.asked_again + again
    if again > (tally.starts - starts) * CONCURRENCY:
        one.wrong(f"{again} requests were sent again in {tally.starts - starts} starts")


def main(arguments: Sequence[str] | None = None) -> int:
    """Disturb, and write the table. Exit status 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--faults", type=int, default=40, help="full and read-only disks")
    parser.add_argument("--out", type=Path, help="the table, as JSON")
    parser.add_argument("--folder", type=Path, help="where to work; kept")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="awareness-chaos-") as scratch:
        folder = (options.folder or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if "FAULTS_DISK" not in os.environ:
            return _loaded(folder, sys.argv[1:] if arguments is None else list(arguments))
        return _chaos(folder, options)


def _loaded(folder: Path, arguments: list[str]) -> int:
    """Run this program again with the library that watches the disk."""
    extra = environment(build(folder), folder / "disk")
    env = {**os.environ, **extra, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, "-m", "tests.faults.chaos", *arguments, "--folder", str(folder)]
    return os.spawnve(os.P_WAIT, sys.executable, command, env)


def _chaos(folder: Path, options: argparse.Namespace) -> int:
    forks.import_all()
    forks.forked_models()
    tally = Tally(options.kills, options.faults)
    with disk(Path(os.environ["FAULTS_DISK"])) as held, world(folder) as made:
        for seed in disturb(made, held, folder, options.seed, tally):
            table = tally.as_json(options.seed, sum(os.times()[:4]))
            text = json.dumps(table, indent=1, sort_keys=True) + "\n"
            print(f"seed {seed} is done: {tally.kills} kills, {tally.starts} starts", flush=True)
            if options.out:
                options.out.write_text(text)
    print(text)
    return 1 if tally.wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
