import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tritonforge import samples
from tritonforge.errors import SpecError
from tritonforge.spec import Domain, Range, parse_input
from tritonforge.tensors import DType, TensorSpec

SIZES = {"n": 3, "m": 4}
SHAPES = st.lists(st.integers(1, 4) | st.sampled_from(list(SIZES)), max_size=3).map(tuple)
RANGES = st.builds(
    lambda low, more: Range(low=low, high=None if more is None else low + more),
    st.integers(1, 300),
    st.none() | st.integers(0, 300),
)
INTEGERS = [each for each in DType if each.numpy.kind in "iu"]
SMALL = st.integers(-(10**4), 10**4)


def drawn(dtype, dims, domain, seed=0, sizes=SIZES):
    tensor = TensorSpec(name="x", dtype=dtype, dims=dims)
    return samples.draw([tensor], {"x": domain} if domain else {}, sizes, seed)["x"]


@given(st.sampled_from(DType), SHAPES, st.integers(0, 2**32))
def test_an_array_has_the_dtype_and_shape_of_its_tensor_and_is_the_same_again(dtype, dims, seed):
    array = drawn(dtype, dims, None, seed)
    assert array.dtype == dtype.numpy
    assert array.shape == tuple(SIZES.get(dim, dim) for dim in dims)
    np.testing.assert_array_equal(array, drawn(dtype, dims, None, seed))


def test_another_seed_or_input_draws_other_values():
    tensors = [TensorSpec(name=name, dtype=DType.FP32, dims=("n", 8)) for name in "ab"]
    first, again = (samples.draw(tensors, {}, SIZES, seed) for seed in (0, 1))
    assert not np.array_equal(first["a"], first["b"])
    assert not np.array_equal(first["a"], again["a"])


def test_the_same_arrays_on_every_machine():
    assert drawn(DType.INT64, (6,), Domain(kind="integers", low=0, high=1000)).tolist() == [
        850,
        636,
        511,
        269,
        307,
        40,
    ]


@given(st.sampled_from(INTEGERS), SMALL, st.integers(1, 10**4), st.integers(0, 99))
def test_whole_numbers_lie_in_their_domain_and_dtype(dtype, low, more, seed):
    info = np.iinfo(dtype.numpy)
    assume(low <= info.max and low + more > info.min)
    array = drawn(dtype, ("n", 8), Domain(kind="integers", low=low, high=low + more), seed)
    assert int(array.min()) >= low
    assert int(array.max()) < low + more


@given(
    st.sampled_from([DType.FP16, DType.FP32, DType.FP64]),
    st.floats(-100, 100, width=16),
    st.floats(0.5, 100, width=16),
    st.integers(0, 99),
)
def test_floats_lie_in_their_domain(dtype, low, more, seed):
    array = drawn(dtype, (64,), Domain(kind="uniform", low=low, high=low + more), seed)
    assert array.min() >= low
    assert array.max() < low + more


@given(st.sampled_from(DType), st.sampled_from(["normal", "uniform", "integers", "mask"]))
def test_every_domain_can_be_drawn_for_every_dtype(dtype, kind):
    array = drawn(dtype, ("n", 8), Domain(kind=kind, low=-5, high=5))
    assert array.dtype == dtype.numpy
    if dtype.is_float:
        assert np.isfinite(array).all()


def test_the_corners_of_boxes_are_in_order():
    boxes = drawn(DType.INT64, (3, 16, 4), Domain(kind="boxes", high=1000))
    assert (boxes[..., 2:] >= boxes[..., :2]).all()
    assert boxes.min() >= 0
    assert boxes.max() < 1000
    assert len(np.unique(boxes)) > 4


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [(DType.UINT8, 256, 300), (DType.UINT32, -9, 0), (DType.BOOL, 2, 9)]
)
def test_a_domain_beyond_the_dtype_is_told(dtype, low, high):
    with pytest.raises(SpecError, match=f"of input 'x' holds nothing that {dtype.name} can"):
        drawn(dtype, (3,), Domain(kind="integers", low=low, high=high))


@pytest.mark.parametrize("dtype", [each for each in DType if each.is_float])
def test_plain_floats_are_standard_normal(dtype):
    array = drawn(dtype, (4000,), None).astype(np.float64)
    assert abs(array.mean()) < 0.1
    assert abs(array.std() - 1) < 0.1


def test_plain_whole_numbers_are_zeros_and_ones():
    assert set(drawn(DType.INT32, (64,), None).tolist()) == {0, 1}
    assert set(drawn(DType.BOOL, (64,), None).tolist()) == {False, True}


@given(SHAPES, st.sampled_from([DType.INT64, DType.BOOL, DType.FP32]), st.integers(0, 99))
def test_a_mask_is_ones_then_zeros_with_at_least_a_one(dims, dtype, seed):
    array = drawn(dtype, dims, Domain(kind="mask"), seed).astype(np.int64)
    assert set(array.flat) <= {0, 1}
    rows = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    assert (rows[:, 0] == 1).all()
    assert (np.diff(rows, axis=1) <= 0).all()


def test_masks_differ_in_length():
    assert len(set(drawn(DType.INT64, (32, 8), Domain(kind="mask")).sum(axis=1).tolist())) > 3


@pytest.mark.parametrize("kind", ["normal", "uniform", "integers", "mask"])
@pytest.mark.parametrize("dims", [(0,), (2, 0), (0, 2)])
def test_a_dimension_of_size_zero_holds_nothing(kind, dims):
    assert drawn(DType.FP32, dims, Domain(kind=kind)).shape == dims


@pytest.mark.parametrize("dims", [(2**44,), (2**62, 2**62)])
def test_a_shape_beyond_the_memory_is_told(dims):
    with pytest.raises(
        SpecError, match=r"input 'x' of shape \[.*\] does not fit into memory"
    ) as caught:
        drawn(DType.FP32, dims, None)
    assert "--range" in caught.value.hint


def test_strings_are_bytes_that_are_text():
    array = drawn(DType.BYTES, ("n", 2), Domain(kind="mask"))
    assert all(isinstance(item, bytes) and item.decode().startswith("text ") for item in array.flat)


@given(RANGES)
def test_a_typical_size_lies_within_its_range(size):
    (typical,) = samples.typical(["seq"], {"seq": size}).values()
    assert size.low <= typical <= (typical if size.high is None else size.high)


@given(st.integers(1, 300), RANGES)
def test_a_sweep_takes_the_batches_that_matter_and_both_ends_of_every_range(maximum, size):
    sizes = list(samples.sweep(("b", "s"), {"s": size}, batch="b", max_batch_size=maximum))
    batches = {each["b"] for each in sizes}
    assert {1, min(2, maximum), maximum} <= batches <= set(range(1, maximum + 1))
    assert maximum < 3 or any(batch % 2 and batch > 1 for batch in batches)
    others = {each["s"] for each in sizes}
    assert size.low in others
    assert all(size.low <= each <= (size.high or max(64, size.low)) for each in others)
    assert max(others) == (size.high or max(64, size.low))
    assert len(sizes) <= 4


def test_a_sweep_of_16_and_of_a_range():
    assert list(samples.sweep(("b",), {}, batch="b", max_batch_size=16)) == [
        {"b": 1},
        {"b": 2},
        {"b": 5},
        {"b": 16},
    ]
    steps = samples.sweep(("s",), {"s": Range(low=1, high=512)}, batch=None, max_batch_size=16)
    assert [each["s"] for each in steps] == [1, 22, 23, 512]
    steps = samples.sweep(("s",), {"s": Range(low=8, high=32)}, batch=None, max_batch_size=16)
    assert [each["s"] for each in steps] == [8, 16, 17, 32]


def rows(dynamic, ranges, batch=None, maximum=16):
    found = samples.sweep(dynamic, ranges, batch=batch, max_batch_size=maximum)
    return [tuple(each[name] for name in dynamic) for each in found]


def test_the_larger_the_batch_the_smaller_the_rest():
    ranges = {"s": Range(low=1, high=512)}
    assert rows("bs", ranges, "b") == [(1, 512), (2, 23), (5, 22), (16, 1)]
    assert rows("sb", ranges, "b") == [(512, 1), (23, 2), (22, 5), (1, 16)]
    assert rows("bs", ranges, "b", 1) == [(1, 512), (1, 23), (1, 22), (1, 1)]
    assert rows("bs", ranges, "b", 2) == [(1, 512), (1, 23), (2, 22), (2, 1)]
    assert rows("bs", {"s": Range(low=7, high=7)}, "b") == [(1, 7), (2, 7), (5, 7), (16, 7)]
    assert rows("bs", {"s": Range(low=32, high=64, step=32)}, "b") == [
        *((1, 64), (2, 64), (5, 32), (16, 32))
    ]


def test_two_dimensions_are_now_equal_and_now_not():
    side = Range(low=32, high=512, step=32)
    found = rows("bhw", {"h": side, "w": side}, "b")
    assert {row[1:] for row in found} == {(32, 128), (128, 512), (512, 32), (128, 128)}
    assert [row[0] for row in found] == [1, 2, 5, 16]
    cells = [height * width for _, height, width in found]
    assert cells == sorted(cells, reverse=True)


@given(st.lists(RANGES, max_size=3), st.integers(1, 300))
def test_a_sweep_goes_to_the_ends_of_every_dimension(sizes, maximum):
    names = ("b", "s", "t", "u")[: len(sizes) + 1]
    ranges = dict(zip(names[1:], sizes, strict=True))
    found = list(samples.sweep(names, ranges, batch="b", max_batch_size=maximum))
    for name, size in ranges.items():
        swept = {each[name] for each in found}
        assert {size.low, size.high or max(64, size.low)} <= swept
        assert (size.high or 64) < size.low + 3 or {number % 2 for number in swept} == {0, 1}
    assert {1, min(2, maximum), maximum} <= {each["b"] for each in found}
    assert len(found) <= 5


def test_a_batch_that_was_not_asked_for_is_one():
    assert list(samples.sweep(("b",), {}, batch="b", max_batch_size=0)) == [{"b": 1}]


def test_a_fixed_model_is_swept_once():
    assert list(samples.sweep((), {}, batch=None, max_batch_size=16)) == [{}]


def test_missing_inputs_are_drawn_in_the_sizes_of_the_others():
    inputs = [parse_input(text) for text in ("x:FP32:batch,4", "ids:INT64:batch,seq", "s:BOOL:")]
    domains = {"ids": Domain(kind="integers", low=5, high=5000)}
    arrays = {"x": np.ones((3, 4), np.float32)}
    got = samples.completed(arrays, inputs, domains)
    assert got["x"] is arrays["x"]
    assert (got["ids"].shape, got["ids"].dtype, got["s"].shape) == ((3, 1), np.int64, ())
    assert got["ids"].min() >= 5
    again = samples.completed({"x": arrays["x"].copy()}, inputs, domains)
    np.testing.assert_array_equal(again["ids"], got["ids"])
    other = samples.completed({"x": arrays["x"] + 1}, inputs, domains)
    assert (other["ids"] != got["ids"]).any()
    assert samples.completed(arrays, inputs[:1], domains) == arrays
