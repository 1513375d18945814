"""What is found in a file."""

import warnings

import graphs
import onnx
import pytest
import torch
import torchvision
from graphs import constant, node, weight
from onnx.backend.test.case.node import collect_testcases

from tritonforge import graph
from tritonforge.errors import GraphError


@pytest.fixture
def told(tmp_path):
    """Return a function that writes a model and inspects it."""

    def write(model, **sizes):
        onnx.save(model, tmp_path / "m.onnx")
        return graph.inspect(tmp_path / "m.onnx", sizes)

    return write


@pytest.fixture(scope="module")
def resnet50(tmp_path_factory):
    """Export a real model; its weights do not matter."""
    path = tmp_path_factory.mktemp("resnet50") / "resnet50.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            torchvision.models.resnet50(weights=None).eval(),
            (torch.zeros(1, 3, 224, 224),),
            path,
            dynamo=False,
            opset_version=17,
            input_names=["pixels"],
            output_names=["classes"],
            dynamic_axes={"pixels": {0: "batch"}},
        )
    return path


def test_resnet50_is_what_its_paper_says(resnet50):
    found = graph.inspect(resnet50)
    assert found.flops == pytest.approx(8.2e9, rel=0.005)  # 4.1 G multiply-adds
    assert found.parameters == pytest.approx(25.5e6, rel=0.005)
    assert found.weight_bytes == sum(each.bytes for each in found.weights) <= found.bytes
    assert found.sizes == {"batch": 1}
    assert found.uncounted == found.faults == ()
    assert found.operators[0].op == "Conv"
    assert found.operators[0].count == 53
    assert found.largest[0].dims == (512, 512, 3, 3)
    # the first block's input and the two halves of what is added to it, before anything is freed
    assert found.activation_bytes == pytest.approx(9.7e6, rel=0.01)


def test_a_batch_costs_its_size(resnet50):
    one, eight = graph.inspect(resnet50), graph.inspect(resnet50, {"batch": 8})
    assert eight.flops == pytest.approx(8 * one.flops, rel=0.001)
    assert eight.activation_bytes == 8 * one.activation_bytes


def test_what_a_file_says_of_itself(told):
    model = graphs.heads()
    model.producer_name, model.producer_version = "maker", "1.2"
    found = told(model, n=3)
    assert (found.producer, found.ir, found.opsets) == ("maker 1.2", 8, {"ai.onnx": 17})
    (x,), (y,) = found.inputs, found.outputs
    assert (x.name, x.type, x.dims) == ("x", "float", ("n", 8))
    assert (y.name, y.type, y.dims) == ("y", "float", ("n", 2, 4))
    assert found.flops == 2 * 3 * 8 * 4
    by_dtype = {each.dtype: (each.tensors, each.elements, each.bytes) for each in found.weights}
    assert by_dtype == {"float": (1, 16, 64), "int64": (3, 4, 32)}
    assert (found.parameters, found.weight_bytes) == (20, 96)
    assert found.largest[0].name == "W"


def test_subgraphs_are_told_by_branch(told):
    found = told(graphs.branching(), n=8)
    lines = [(each.op, each.node, each.branch, each.nodes, each.flops) for each in found.subgraphs]
    assert lines == [
        ("If", "choice", "else_branch", 1, 64),
        ("If", "choice", "then_branch", 1, 2 * 8 * 8 * 8),
        ("Loop", "steps", "body", 2, 64),
    ]
    assert found.nodes == 8


def test_contrib_and_custom_operators_are_told(told):
    nodes = [
        node("Own", ["x"], ["a"], domain="acme"),
        node("Gelu", ["x"], ["b"], domain="com.microsoft"),
        node("Add", ["a", "b"], ["y"]),
    ]
    found = told(graphs.made(nodes, *graphs.ROW, domains=[("acme", 1), ("com.microsoft", 1)]))
    kinds = {each.op: (each.kind, each.uncounted) for each in found.operators}
    assert kinds == {"Own": ("custom", 1), "Gelu": ("contrib", 0), "Add": ("standard", 0)}
    assert found.uncounted == ("Own",)
    assert found.flops == 16
    assert found.activation_bytes is None


def test_a_sound_model_of_which_no_shape_is_known(told):
    found = told(graphs.one("Relu", [("x", None)], [("y", None)]))
    assert found.inputs[0].dims is None
    assert (found.flops, found.uncounted, found.activation_bytes) == (0, ("Relu",), None)
    assert found.faults == ()


def test_a_dimension_without_a_name_is_named_as_in_a_signature(told):
    found = told(graphs.one("Relu", [("x", [None, None])], [("y", [None, None])]), batch=2, x_1=3)
    assert found.inputs[0].dims == ("batch", "x_1")
    assert found.flops == 6


def test_a_size_of_nothing_is_refused(told):
    with pytest.raises(GraphError, match="no input has a dynamic dimension 'm'") as caught:
        told(graphs.heads(), m=2)
    assert caught.value.hint == "it has n"
    with pytest.raises(GraphError) as caught:
        told(graphs.one("Relu", [("x", [2])], [("y", [2])]), m=2)
    assert caught.value.hint == "all its dimensions are fixed"


def test_a_model_that_contradicts_itself_is_told_as_far_as_it_goes(told):
    nodes = [node("MatMul", ["x", "W"], ["h"]), node("Relu", ["x"], ["y"])]
    found = told(graphs.made(nodes, *graphs.ROW, [weight("W", 3, 3)]))
    assert "MatMul" in found.faults[0]
    assert found.uncounted == ("MatMul",)
    assert found.flops == 8


@pytest.mark.parametrize("there", [True, False])
def test_weights_beside_the_file(tmp_path, there):
    path = tmp_path / "m.onnx"
    onnx.save(graphs.heads(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    if not there:
        (tmp_path / "w.bin").unlink()
    found = graph.inspect(path)
    (told,) = found.external
    assert (told.location, told.tensors, told.bytes is None) == ("w.bin", 4, not there)
    assert found.largest[0].location == "w.bin"
    assert found.parameters == 20
    if there:  # the shape that is in the file too
        assert (found.flops, found.faults) == (2 * 8 * 4, ())
    else:
        assert "needs 'w.bin' beside it, which is missing" in found.faults[-1]


def test_texts_and_functions(told):
    opsets = [onnx.helper.make_opsetid("", 17)]
    body = [node("Relu", ["a"], ["b"])]
    function = onnx.helper.make_function("acme", "F", ["a"], ["b"], body, opsets)
    found = told(
        graphs.made(
            [node("F", ["x"], ["y"], domain="acme")],
            *graphs.ROW,
            [onnx.helper.make_tensor("words", 8, [2], ["ab", "cde"]), constant("c", 1)],
            domains=[("acme", 1)],
            functions=[function],
        )
    )
    assert found.functions == ("acme.F",)
    assert found.operators[0].op == "Relu"
    assert {each.dtype: each.bytes for each in found.weights} == {"int64": 8, "string": 5}


def test_every_kind_of_node_can_be_told(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its references divide by zero on purpose
        cases = collect_testcases(None)
    odd = ("loop", "if_", "scan", "sequence", "optional", "string", "int4", "function", "ai_onnx")
    chosen = [case for case in cases if any(word in case.name for word in odd)]
    assert len(chosen) > 50
    for case in chosen:
        onnx.save(case.model, tmp_path / "m.onnx")
        found = graph.inspect(tmp_path / "m.onnx")
        assert found.faults == (), case.name
        assert graph.outline(tmp_path / "m.onnx").nodes == found.nodes, case.name
