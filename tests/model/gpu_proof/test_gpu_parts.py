"""What travels comes out as it went in, bit for bit, and nothing damaged or foreign is used."""

import io
import json
import shutil
from itertools import permutations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from awareness_model.config import UserError
from awareness_model.gpu_proof import parts, state, weights
from awareness_model.gpu_proof.weights import BLOCK


def blocks(count, codes, offset):
    """Numbers as a GGUF reader makes them of blocks whose extremes occur."""
    draw = np.random.default_rng(0)
    low, high = (0, 15) if offset else (-127, 127)
    q = draw.integers(low, high + 1, (count, BLOCK))
    q[:, 0], q[:, 1] = low, high
    d = draw.uniform(1e-3, 2e-3, (count, 1)).astype("<f2").astype("<f4")
    m = draw.uniform(-0.1, -0.01, (count, 1)).astype("<f2").astype("<f4") if offset else 0
    return (d * q.astype("<f4") + np.float32(m)).astype("<f4").reshape(-1, codes)


def model(folder, seed=0):
    draw = np.random.default_rng(seed)
    odd = draw.normal(size=(7, 5)).astype("<f4")
    odd[0, 0], odd[0, 1] = -0.0, np.inf
    tensors = {
        "four": blocks(96, 64, offset=True),
        "eight": blocks(96, 64, offset=False),
        "norm": draw.normal(size=64).astype("<f4"),
        "zero": np.zeros((2, 32), "<f4"),
        "odd": odd,
        "half": draw.normal(size=(4, 32)).astype("<f2"),
    }
    folder.mkdir(parents=True)
    save_file(tensors, folder / parts.WEIGHTS, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps({"seed": seed}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def encoded(path):
    held = io.BytesIO()
    weights.encode(path, held)
    return held.getvalue()


def test_quantised_weights_travel_in_their_own_bytes_and_come_back_bit_for_bit(tmp_path):
    path = model(tmp_path / "model") / parts.WEIGHTS
    data, out = encoded(path), io.BytesIO()
    weights.decode(io.BytesIO(data), out)
    assert out.getvalue() == path.read_bytes()
    four, eight = (load_file(path)[name].nbytes for name in ("four", "eight"))
    saved = path.stat().st_size - len(data)
    assert saved > 0.8 * four + 0.7 * eight


def test_one_bit_that_no_block_gives_back_has_the_tensor_travel_as_it_is():
    numbers = blocks(4, BLOCK, offset=True)
    assert weights._written(numbers.ravel())[:1] == weights.FOUR_BITS
    numbers.view("<u4")[2, 5] ^= 1
    written = weights._written(numbers.ravel())
    assert written == weights.PLAIN + numbers.tobytes()


@pytest.fixture
def packed(tmp_path):
    found = model(tmp_path / "model")
    given = {"train.json.gz": b"lines"}
    manifest = parts.pack(tmp_path / "parts", str(found), given, {"scale": "tiny"}, most=7_000)
    assert len(manifest["parts"]) == 3
    return tmp_path, [tmp_path / "parts" / str(n) for n in (1, 2, 3)]


def test_no_part_is_larger_than_asked_and_any_order_makes_the_same_model(packed):
    root, folders = packed
    assert all((folder / parts.PART).stat().st_size <= 7_000 for folder in folders)
    for number, order in enumerate(permutations(folders)):
        at = root / f"at{number}"
        assert [parts.join([one], at) for one in order] == [(1, 3), (2, 3), (3, 3)]
        made = (at / parts.MODEL / parts.WEIGHTS).read_bytes()
        assert made == (root / "model" / parts.WEIGHTS).read_bytes()
        assert (at / parts.DATA / "train.json.gz").read_bytes() == b"lines"
        assert parts.ready(at)["scale"] == "tiny"


def test_until_the_last_part_has_come_nothing_is_ready(packed):
    root, folders = packed
    parts.join(folders[:2], root / "at")
    with pytest.raises(UserError, match="bring every part"):
        parts.ready(root / "at")
    assert parts.join(folders, root / "at") == (3, 3)
    assert parts.join(folders[:1], root / "at") == (3, 3)


def test_a_damaged_part_and_one_of_another_model_are_refused(packed):
    root, folders = packed
    part = folders[0] / parts.PART
    part.write_bytes(part.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match="damaged"):
        parts.join(folders[:1], root / "at")
    parts.join(folders[1:], root / "at")
    other = model(root / "other", seed=1)
    parts.pack(root / "parts2", str(other), {}, {"scale": "tiny"}, most=7_000)
    with pytest.raises(UserError, match="another archive"):
        parts.join([root / "parts2" / "1"], root / "at")


def test_a_model_that_is_no_folder_of_one_file_is_a_users_error(tmp_path):
    with pytest.raises(UserError, match="make models"):
        parts.pack(tmp_path / "parts", "some/hub-id", {}, {})


@pytest.fixture
def work(tmp_path):
    (tmp_path / "work" / "main").mkdir(parents=True)
    (tmp_path / "work" / "main" / "state.pt").write_bytes(bytes(range(256)) * 4_000)
    (tmp_path / "work" / "main" / ".state.pt.aside").write_bytes(b"half")
    return tmp_path / "work"


STANDS = {"main": {"finished": False, "seconds": 1.0}}


def test_a_state_comes_back_in_small_pieces_without_what_was_being_written(work, monkeypatch):
    monkeypatch.setattr(state, "PIECE_BYTES", 2_000)
    files = state.save(work, work.parent / "out", STANDS)
    assert len(files) > 2
    assert all(path.stat().st_size <= 2_000 for path in files)
    assert state.restore(work.parent / "out", work.parent / "again")
    there = [path.name for path in (work.parent / "again").rglob("*") if path.is_file()]
    assert sorted(there) == ["saves", "state.pt"]
    again = work.parent / "again" / "main" / "state.pt"
    assert again.read_bytes() == (work / "main" / "state.pt").read_bytes()


def test_a_save_that_was_cut_off_leaves_the_one_before(work):
    out = work.parent / "out"
    state.save(work, out, STANDS)
    index = (out / state.INDEX).read_bytes()
    (out / "state-2-1").write_bytes(b"half of the next")
    assert state.standing(out) == STANDS
    assert state.restore(out, work.parent / "again")
    assert (out / state.INDEX).read_bytes() == index
    assert {path.name for path in state.save(work, out, {})} == {"state-2-1", state.INDEX}
    assert not (out / "state-1-1").exists()


def test_a_machine_that_has_work_of_its_own_keeps_it(work):
    state.save(work, work.parent / "out", STANDS)
    (work / "main" / "state.pt").write_bytes(b"newer")
    assert not state.restore(work.parent / "out", work)
    assert (work / "main" / "state.pt").read_bytes() == b"newer"


def test_what_came_back_is_kept_whole_or_not_at_all_and_never_older(work):
    out, kept = work.parent / "out", work.parent / "kept"
    state.save(work, out, STANDS)
    old = shutil.copytree(out, work.parent / "old")
    assert state.keep(out, kept) == STANDS
    state.save(work, out, STANDS)
    state.keep(out, kept)
    before = sorted(path.name for path in kept.iterdir())
    with pytest.raises(UserError, match="newer"):
        state.keep(old, kept)
    state.save(work, out, STANDS)
    (out / "state-3-1").write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged"):
        state.keep(out, kept)
    assert sorted(path.name for path in kept.iterdir()) == before


def test_saves_are_counted_on_from_machine_to_machine_though_their_folder_is_emptied(work):
    out, kept = work.parent / "out", work.parent / "kept"
    for _ in range(3):
        state.save(work, out, STANDS)
    state.keep(out, kept)
    shutil.rmtree(out)
    state.restore(kept, work.parent / "next")
    state.save(work.parent / "next", out, {"main": {"finished": True, "seconds": 2.0}})
    assert state.keep(out, kept)["main"]["finished"]
