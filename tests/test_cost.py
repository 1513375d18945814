"""What nodes cost, against what a person counts."""

import graphs
import onnx
import pytest
from graphs import constant, node, weight

from tritonforge.graph import cost, typed


def flops(model):
    """Return what each node of a model costs."""
    found = typed.inferred(model)
    return [cost.flops(each) for each in typed.nodes(found.graph, typed.opsets(found.opset_import))]


IMAGE = ("x", [1, 3, 8, 8])
CASES = {
    # every output takes the kernel's 3 * 3 * 3 products and sums, and a bias
    "conv": ("Conv", [IMAGE, ("w", [4, 3, 3, 3])], {"pads": [1] * 4}, 2 * 4 * 64 * 27),
    "bias": ("Conv", [IMAGE, ("w", [4, 3, 3, 3]), ("b", [4])], {}, 2 * 4 * 36 * 27 + 4 * 36),
    "groups": ("Conv", [IMAGE, ("w", [3, 1, 1, 1])], {"group": 3}, 2 * 3 * 64),
    "transposed": ("ConvTranspose", [IMAGE, ("w", [3, 4, 2, 2])], {}, 2 * 3 * 64 * 16),
    "matmul": ("MatMul", [("x", [5, 2, 3]), ("w", [3, 7])], {}, 2 * 5 * 2 * 7 * 3),
    "gemm": ("Gemm", [("x", [3, 2]), ("w", [3, 7]), ("b", [7])], {"transA": 1}, 2 * 14 * 3 + 14),
    "add": ("Add", [("x", [2, 3]), ("b", [3])], {}, 6),
    "mean": ("ReduceMean", [("x", [2, 3])], {"axes": [1]}, 6),
    "softmax": ("Softmax", [("x", [2, 3])], {}, 24),
    "pool": ("MaxPool", [IMAGE], {"kernel_shape": [2, 2], "strides": [2, 2]}, 3 * 16 * 4),
    "global": ("GlobalAveragePool", [IMAGE], {}, 3 * 64),
    "einsum": (
        "Einsum",
        [("x", [2, 5, 3]), ("w", [3, 7])],
        {"equation": "...i,ij->...j"},
        2 * 2 * 5 * 3 * 7,
    ),
    "moves": ("Transpose", [("x", [2, 3])], {}, 0),
    "lstm": (
        "LSTM",
        [("x", [6, 2, 3]), ("w", [1, 16, 3]), ("r", [1, 16, 4])],
        {"hidden_size": 4},
        2 * 6 * 2 * (16 * 3 + 16 * 4),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_node_costs_what_is_counted_by_hand(case):
    op, inputs, attributes, want = CASES[case]
    model = graphs.one(op, inputs, [("y", None)], **attributes)
    assert flops(model) == [want]


def test_quantized_products_are_counted_as_others():
    whole = [weight("W", 3, 7, dtype="int8"), constant("s", 1, "float32"), constant("z", 0, "int8")]
    inputs = ["x", "s", "z", "W", "s", "z", "s", "z"]
    nodes = [node("QLinearMatMul", inputs, ["y"])]
    model = graphs.made(nodes, [("x", 3, [2, 3])], [("y", 3, None)], whole)
    assert flops(model) == [2 * 2 * 7 * 3]


def test_what_has_no_shape_or_no_meaning_is_unknown():
    assert flops(graphs.one("Relu", [("x", None)], [("y", None)])) == [None]
    assert flops(graphs.one("Own", [("x", [2])], [("y", [2])], domain="acme")) == [None]
    assert flops(graphs.one("Relu", [("x", [2])], [("y", [2])], domain="acme")) == [None]


def test_onnx_runtimes_own_are_counted_as_far_as_they_are_known():
    shapes = [("x", [2, 3]), ("w", [7, 3])]
    made = graphs.one("FusedMatMul", shapes, [("y", [2, 7])], domain="com.microsoft", transB=1)
    versions = typed.opsets(made.opset_import)
    (found,) = typed.nodes(made.graph, versions)
    assert cost.flops(found) == 2 * 2 * 7 * 3


@pytest.mark.parametrize(
    ("dtype", "elements", "bytes_"),
    [("FLOAT", 3, 12), ("BOOL", 3, 3), ("INT4", 3, 2), ("BFLOAT16", 3, 6), ("STRING", 3, None)],
)
def test_bytes_of_a_dtype(dtype, elements, bytes_):
    assert cost.tensor_bytes(onnx.TensorProto.DataType.Value(dtype), elements) == bytes_


def test_bytes_of_a_type_that_nobody_knows():
    assert cost.tensor_bytes(99, 3) is None


def test_texts_take_their_letters():
    assert cost.size_of(onnx.helper.make_tensor("t", 8, [2], ["ab", "cde"])) == 5
