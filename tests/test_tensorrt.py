"""What TensorRT takes, by its parser's table and the rules of ONNX Runtime's provider."""

import graphs
import pytest
from graphs import made, node
from onnx import TensorProto as T
from placements import placed, reasons

from tritonforge import release
from tritonforge.errors import SpecError
from tritonforge.placement import certainty
from tritonforge.placement.tensorrt import operator, parser_of


def test_what_the_parser_lacks_goes_to_the_next_provider():
    nodes = [node("Relu", ["x"], ["a"]), node("NonZero", ["a"], ["b"]), node("Det", ["b2"], ["y"])]
    nodes[2] = node("Hardmax", ["a"], ["y"])
    model = made(nodes[:2], graphs.ROW[0], [("b", T.INT64, None)])
    assert reasons(model, accelerator="tensorrt")["Relu"] == "tensorrt"
    found = placed(made([nodes[0], nodes[2]], *graphs.ROW), "22.12", "tensorrt")
    by_op = {each.op: each for each in found.nodes}
    assert by_op["Relu"].provider == "tensorrt"
    if operator("8.5", "Hardmax") is None:
        assert by_op["Hardmax"].reason.kind == "parser"


def test_types_that_the_parser_lacks():
    pair = [("x", T.DOUBLE, [2, 8])], [("y", T.DOUBLE, [2, 8])]
    found = placed(made([node("Relu", ["x"], ["y"])], *pair), accelerator="tensorrt")
    (only,) = found.lost
    assert (only.provider, only.reason.kind) == ("cuda", "parser")
    assert only.reason.text == "TensorRT 10.4 has no Relu of DOUBLE"


def test_operators_of_another_domain_are_not_its_own():
    model = graphs.one("BiasGelu", [("x", [2, 8]), ("b", [8])], [("y", [2, 8])],
                       domain="com.microsoft")  # fmt: skip
    assert reasons(model, accelerator="tensorrt") == {"BiasGelu": "TensorRT 10.4 has no BiasGelu"}


def test_a_branch_is_taken_whole_or_not_at_all():
    found = placed(graphs.branching(), accelerator="tensorrt")
    assert found.lost == ()
    model = graphs.branching()
    (choice,) = (each for each in model.graph.node if each.op_type == "If")
    (relu,) = choice.attribute[1].g.node
    relu.op_type, relu.domain = "QuickGelu", "com.microsoft"
    del relu.input[1:]
    model.opset_import.add(domain="com.microsoft", version=1)
    found = placed(model, accelerator="tensorrt")
    lost = {each.op: each.reason.kind for each in found.lost}
    assert lost == {"QuickGelu": "parser", "If": "subgraph"}
    assert {each.path for each in found.nodes if each.op == "QuickGelu"} == {("choice",)}


def test_how_sure_it_is():
    sure = certainty(release.find("24.10"), {"Relu", "Resize"})
    assert (sure.parser, sure.source, sure.read, sure.newest_opset) == ("10.4", "hinted", True, 20)
    assert list(sure.restricted) == ["Resize"]
    assert not certainty(release.find("26.08"), ()).read


def test_a_runtime_alone_has_no_tensorrt():
    with pytest.raises(SpecError) as caught:
        parser_of(release.find("ort:1.19.2"))
    assert caught.value.hint is not None
