from datetime import timedelta

import pytest
import torch

from awareness_model.memory.hot import HotRows
from tests.model.memory.made import Encoded, encoded, opened, put, seen


def one_record(store, seed=1):
    return store.chunks([f"hash{seed}"], "kv", "f")[0][0]


def test_the_second_read_comes_from_ram(tmp_path):
    store = opened(tmp_path)
    put(store, "a.py", 1)
    first = one_record(store)
    assert (store.hot.hits, store.hot.misses) == (0, 1)
    assert one_record(store) is first
    assert (store.hot.hits, store.hot.misses) == (1, 1)
    assert store.hot.held == first.nbytes == (2 * 3 * 16 + 8) * 4


def test_ram_is_bounded_and_the_least_used_goes_first(tmp_path):
    size = (2 * 3 * 16 + 8) * 4
    store = opened(tmp_path, hot_bytes=2 * size)
    for n in range(3):
        put(store, f"{n}.py", n)
    first = one_record(store, 0)
    one_record(store, 1)
    assert one_record(store, 0) is first
    one_record(store, 2)
    assert store.hot.held == 2 * size
    assert one_record(store, 0) is first
    misses = store.hot.misses
    one_record(store, 1)
    assert store.hot.misses == misses + 1


def test_what_is_larger_than_the_bound_is_read_each_time(tmp_path):
    store = opened(tmp_path, hot_bytes=10)
    put(store, "a.py", 1)
    assert torch.equal(one_record(store).keys, encoded(1).keys)
    assert (store.hot.held, store.hot.hits) == (0, 0)
    one_record(store)
    assert store.hot.misses == 2


def test_a_new_version_is_asked_before_a_hot_row_is_given(tmp_path):
    store, other = opened(tmp_path), opened(tmp_path)
    put(store, "a.py", 1)
    put(store, "b.py", 2)
    first, second = one_record(store, 1), one_record(store, 2)
    other.remove("a.py")
    other.collect_garbage(timedelta(0))
    with pytest.raises(KeyError):
        store.load([first.record_id])
    assert store.hot.held == second.nbytes
    assert store.load([second.record_id])[0] is second


def test_a_record_written_anew_with_other_numbers_is_read_anew(tmp_path):
    store, other = opened(tmp_path), opened(tmp_path)
    put(store, "a.py", 1)
    assert torch.equal(one_record(store).keys, encoded(1).keys)
    other.remove("a.py")
    other.collect_garbage(timedelta(0))
    changed = encoded(1)
    changed = Encoded(changed.keys + 1, changed.values, changed.route, 3, (0, 10))
    other.upsert({"hash1": [changed]}, "kv", "f")
    assert torch.equal(one_record(store).keys, encoded(1).keys + 1)


def test_a_pinned_reader_shares_the_hot_rows(tmp_path):
    store = opened(tmp_path)
    put(store, "a.py", 1)
    seen(store)
    with store.pinned() as reader:
        seen(reader)
    assert store.hot.hits == 1


def test_many_threads_agree(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    store = opened(tmp_path, hot_bytes=2000)
    for n in range(6):
        put(store, f"{n}.py", n)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: (n % 6, one_record(store, n % 6).keys), range(60)))
    assert all(torch.equal(keys, encoded(n).keys) for n, keys in found)
    assert store.hot.hits + store.hot.misses == 60
    assert store.hot.held <= 2000


def test_a_fresh_one_holds_nothing():
    assert HotRows(5).take(["x"], 1) == {}
