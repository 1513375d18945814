import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2
from tritonclient.utils import np_to_triton_dtype, triton_to_np_dtype

from tritonforge.errors import SpecError
from tritonforge.tensors import DType, Signature, TensorSpec

DIMS = st.lists(st.integers(1, 9) | st.sampled_from(["batch", "seq", "x_1"]), max_size=4).map(tuple)


def spec(name="x", *dims):
    return TensorSpec(name=name, dtype=DType.FP32, dims=dims)


@pytest.mark.parametrize("dtype", DType)
def test_a_dtype_has_the_same_meaning_in_every_dialect(dtype):
    assert model_config_pb2.DataType.Name(getattr(model_config_pb2, dtype.config)) == dtype.config
    assert np_to_triton_dtype(dtype.numpy) == dtype.name
    assert np.dtype(triton_to_np_dtype(dtype.name)) == dtype.numpy
    if dtype is not DType.BYTES:  # onnx holds strings in a list of their own
        assert onnx.helper.tensor_dtype_to_np_dtype(dtype.onnx) == dtype.numpy
    assert DType.from_onnx(dtype.onnx) is dtype
    assert DType.from_numpy(dtype.numpy) is dtype


def test_the_table_misses_only_bf16_of_what_a_config_can_say():
    known = {dtype.config for dtype in DType}
    assert set(model_config_pb2.DataType.keys()) - known == {"TYPE_INVALID", "TYPE_BF16"}


@given(dtype=st.sampled_from(DType), data=st.data())
def test_every_name_of_a_dtype_is_read_in_any_case(dtype, data):
    names = [dtype.name, dtype.config, str(dtype.numpy), dtype.config.removeprefix("TYPE_")]
    name = data.draw(st.sampled_from(names))
    for written in (name, name.lower(), name.upper(), name.swapcase()):
        assert DType.parse(written) is dtype


@given(st.sampled_from(["S3", "U7", "O"]))
def test_every_kind_of_string_is_bytes(kind):
    assert DType.from_numpy(np.dtype(kind)) is DType.BYTES


@pytest.mark.parametrize("text", ["", "FP8", "BF16", "TYPE_", "float33", "TYPE_INVALID"])
def test_an_unknown_dtype_is_told_with_the_known_ones(text):
    with pytest.raises(SpecError, match=f"unknown dtype {text!r}") as caught:
        DType.parse(text)
    assert "FP32" in caught.value.hint


@pytest.mark.parametrize("name", ["complex64", "datetime64[s]"])
def test_a_numpy_dtype_that_no_tensor_has_is_refused(name):
    with pytest.raises(SpecError, match="unknown dtype"):
        DType.from_numpy(np.dtype(name))


def test_onnx_types_without_a_triton_tensor_are_none():
    known = {dtype.onnx for dtype in DType}
    assert all(
        DType.from_onnx(n) is None for n in onnx.TensorProto.DataType.values() if n not in known
    )


def test_exactly_floats_are_compared_with_a_tolerance():
    assert {d for d in DType if d.is_float} == {d for d in DType if d.numpy.kind == "f"}


@given(DIMS, st.fixed_dictionaries({"batch": st.integers(1, 9), "seq": st.integers(1, 9)}))
def test_a_shape_keeps_numbers_and_fills_in_names(dims, sizes):
    sizes = {**sizes, "x_1": 3}
    shape = spec("x", *dims).shape(sizes)
    assert len(shape) == len(dims)
    for dim, size in zip(dims, shape, strict=True):
        assert size == (dim if isinstance(dim, int) else sizes[dim])


@given(DIMS)
def test_dynamic_dimensions_are_named_once_in_order(dims):
    names = spec("x", *dims).dynamic
    assert len(set(names)) == len(names)
    assert set(names) == {dim for dim in dims if isinstance(dim, str)}
    assert sorted(names, key=dims.index) == list(names)


def test_a_tensor_prints_as_it_is_written_on_the_command_line():
    assert str(spec("ids", "batch", 3)) == "ids:FP32:batch,3"
    assert str(spec("scalar")) == "scalar:FP32:"


@pytest.mark.parametrize(
    ("inputs", "outputs", "batch"),
    [
        ([("batch", 3)], [("batch", 2)], "batch"),
        ([("n",)], [("n",)], "n"),
        ([("n", 3), ("n", "seq")], [("n", 2), ("n",)], "n"),
        # The exporter may name the outputs' dimension anew; the server asks only that it varies.
        ([("n", 3)], [("m", 2)], "n"),
        ([("n", 3), ("m", 3)], [("n", 2)], None),
        ([(2, 3)], [(2, 2)], None),
        ([("n", 3)], [(2, 2)], None),
        ([("n", 3)], [()], None),
        ([()], [("n",)], None),
        ([("n", 3), ()], [("n", 2)], None),
        ([], [("n", 2)], None),
    ],
)
def test_a_model_batches_along_one_dynamic_first_dimension_of_every_tensor(inputs, outputs, batch):
    signature = Signature(
        inputs=tuple(spec(f"i{n}", *dims) for n, dims in enumerate(inputs)),
        outputs=tuple(spec(f"o{n}", *dims) for n, dims in enumerate(outputs)),
    )
    assert signature.batch == batch
    assert set(signature.dynamic) == {d for dims in inputs for d in dims if isinstance(d, str)}
