"""Several processes write one memory at once; one of them is killed."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.model.memory.made import encoded, opened, put, row, seen

WRITER = """
import sys
sys.path.insert(0, {root!r})
from awareness_model.memory import upkeep
from tests.model.memory.made import document, encoded, opened, put, row
upkeep.SMALL_FRAGMENTS = 12
me, store, rounds = int(sys.argv[1]), opened(sys.argv[2], "bfloat16"), int(sys.argv[3])
print("ready", flush=True)
n = 0
while n < rounds:
    store.upsert({{f"shared{{n}}": [encoded(n)], f"{{me}}-{{n}}": [encoded(n)]}}, "kv", "f")
    store.put_snapshot([row(f"{{n}}.py", f"{{me}}-{{n}}", repo_id=me, sha=str(n))])
    put(store, f"same{{n}}.py", n)
    put(store, "contended.py", 1000 * me + n)
    put(store, f"own{{me}}-{{n}}.py", 100 + n)
    store.move(f"own{{me}}-{{n}}.py", f"moved{{me}}-{{n}}.py")
    if n % 3 == 2:
        store.remove(f"moved{{me}}-{{n}}.py")
    n += 1
"""


def writer(request, me, path, rounds):
    script = WRITER.format(root=str(request.config.rootpath))
    command = [sys.executable, "-W", "ignore", "-c", script, str(me), str(path), str(rounds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def ended(process):
    process.communicate()
    return process.returncode


def unique(table, column):
    held = [one[column] for one in table.rows([column])]
    assert len(held) == len(set(held)), "doubled"
    return held


def test_three_processes_lose_and_double_nothing(tmp_path, request):
    store = opened(tmp_path / "memory", "bfloat16")
    put(store, "seed.py", 5000)
    store.compact()  # Indices are there: a merge that used them would double rows.
    running = [writer(request, me, tmp_path / "memory", 5) for me in range(3)]
    assert [ended(process) for process in running] == [0, 0, 0]
    names = [f"shared{n}" for n in range(5)] + [f"{me}-{n}" for me in range(3) for n in range(5)]
    assert store.missing(names, "kv", "f") == []
    assert all(len(chunks) == 1 for chunks in store.chunks(names, "kv", "f"))
    assert all(len(store.select(me, str(n))) == 1 for me in range(3) for n in range(5))
    kept = {f"moved{me}-{n}.py" for me in range(3) for n in range(5) if n % 3 != 2}
    wanted = kept | {f"same{n}.py" for n in range(5)} | {"contended.py", "seed.py"}
    assert seen(store).keys() == wanted
    assert store.documents()["contended.py"] in {f"hash{1000 * me + 4}" for me in range(3)}
    contended = {f"hash{1000 * me + n}" for me in range(3) for n in range(5)}
    by_content = {f"hash{n}" for n in (*range(5), *range(100, 105), 5000)} | contended
    assert len(unique(store.records, "record_id")) == len(by_content | set(names))
    unique(store.snapshots, "key")
    assert store.check().good
    assert store.check().absent == ()


def test_a_killed_writer_leaves_a_whole_memory_that_others_go_on_with(tmp_path, request):
    path = tmp_path / "memory"
    victim, other = writer(request, 1, path, 10**6), writer(request, 2, path, 5)
    store = opened(path, "bfloat16")
    while len(store.documents("moved1-*")) < 3:
        assert victim.poll() is None
    victim.send_signal(signal.SIGKILL)
    assert ended(victim) == -signal.SIGKILL
    assert ended(other) == 0
    report = store.check()
    assert report.good
    assert report.absent == ()
    found = seen(store)
    assert {f"moved2-{n}.py" for n in range(5) if n % 3 != 2} <= found.keys()
    unique(store.records, "record_id")
    unique(store.snapshots, "key")
    put(store, "later.py", 1)
    assert store.chunks(["hash1"], "kv", "f")[0][0].keys.shape == encoded(1).keys.shape
    store.put_snapshot([row("x.py", "hash1")])
    assert len(store.select(1, "s1")) == 1


def test_many_who_make_the_memory_at_once_lose_nothing(tmp_path):
    def first(n):
        put(opened(path), f"{n}.py", n)

    for race in range(6):
        path = tmp_path / str(race)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(first, range(6)))
        assert len(seen(opened(path))) == 6
