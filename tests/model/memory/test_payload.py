import pytest
import torch

from awareness_model.config import UserError
from awareness_model.memory.payload import DTYPES, cost_table, costs, from_bytes, to_bytes
from tests.model.memory.made import Encoded, encoded, opened


def hard_rows():
    """Rows of many sizes: ordinary, one outlier, zeros, tiny and huge numbers."""
    draw = torch.Generator().manual_seed(1)
    plain = torch.randn(200, 64, generator=draw)
    outlier = plain[:20].clone()
    outlier[:, 3] = 1000.0
    tiny, huge = plain[:20] * 1e-30, plain[:20] * 1e30
    least = torch.full((1, 64), 1.5e-45)
    return torch.cat([plain, outlier, torch.zeros(3, 64), tiny, huge, least])


def restored(tensor, dtype):
    data, scale = to_bytes(tensor, dtype)
    return from_bytes(data, scale, tensor.shape, dtype).float()


def test_the_error_of_every_number_is_bounded():
    rows = hard_rows()
    largest = rows.abs().amax(-1, keepdim=True)
    rounding = 1 + 1e-5  # The scale itself is a float32.
    error = {dtype: (restored(rows, dtype) - rows).abs() for dtype in DTYPES}
    assert torch.equal(error["float32"], torch.zeros_like(rows))
    assert (error["bfloat16"] <= rows.abs() / 256 + 1e-40).all()
    assert (error["int8"] <= largest / 254 * rounding + 1e-44).all()
    subnormal = largest / (448 * 1024)
    assert (error["fp8"] <= torch.maximum(rows.abs() / 16, subnormal) * rounding + 1e-44).all()


def test_the_bounds_are_reached_so_they_say_something():
    rows = hard_rows()[:200]
    largest = rows.abs().amax(-1, keepdim=True)
    assert ((restored(rows, "int8") - rows).abs() / largest).max() > 0.9 / 254
    assert ((restored(rows, "fp8") - rows).abs() / rows.abs()).max() > 0.9 / 16


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused_and_nothing_is_stored(tmp_path, number):
    store = opened(tmp_path, "int8")
    bad = encoded(1)
    bad.keys[1, 0, 1, 2] = number
    with pytest.raises(UserError, match="NaN or infinity"):
        store.upsert({"good": [encoded(2)], "bad": [bad]}, "kv", "f")
    assert store.missing(["good"], "kv", "f") == ["good"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["kv", "latent"])
def test_a_store_keeps_its_dtype_in_every_record(tmp_path, dtype, layout):
    store = opened(tmp_path, dtype)
    chunk = encoded(1, layout=layout)
    store.upsert({"doc": [chunk]}, layout, "f")
    (record,) = store.chunks(["doc"], layout, "f")[0]
    assert record.dtype == dtype
    assert record.keys.shape == chunk.keys.shape
    assert torch.equal(record.keys.float(), restored(chunk.keys, dtype))
    if layout == "kv":
        assert torch.equal(record.values.float(), restored(chunk.values, dtype))


def test_the_bytes_told_are_the_bytes_kept(tmp_path):
    shapes = {"latent": ((2, 8), False), "kv": ((2, 2, 4), True)}
    for cost in costs(shapes):
        store = opened(tmp_path / cost.layout / cost.dtype, cost.dtype)
        store.upsert({"doc": [encoded(1, layout=cost.layout)]}, cost.layout, "f")
        assert store.held(["doc"], cost.layout, "f")[0].bytes == 3 * cost.bytes_per_slot


def test_the_table_of_costs_counts_scales():
    table = cost_table({"latent": ((1, 1024), False)}, pooling=4)
    assert "| latent | 1,024 | int8 | 1,028 | 257 |" in table
    assert "| latent | 1,024 | bfloat16 | 2,048 | 512 |" in table


def test_short_names_are_names_and_a_store_has_one_dtype(tmp_path):
    opened(tmp_path, "bf16").upsert({"doc": [encoded(1)]}, "kv", "f")
    other = opened(tmp_path, "int8")
    with pytest.raises(UserError, match="holds bfloat16, not int8"):
        other.upsert({"more": [encoded(2)]}, "kv", "f")
    assert other.chunks(["doc"], "kv", "f")[0][0].dtype == "bfloat16"


def test_empty_tensors_pass(tmp_path):
    for dtype in DTYPES:
        none = Encoded(torch.ones(0, 2, 8), None, encoded(1).route, 0, (0, 0))
        store = opened(tmp_path / dtype, dtype)
        store.upsert({"doc": [none]}, "latent", "f")
        assert store.chunks(["doc"], "latent", "f")[0][0].keys.shape == (0, 2, 8)
