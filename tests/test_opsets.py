"""The opset that a model is built at, and what is said of it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from tritonforge import converting, exporting, opsets, placement, release
from tritonforge.errors import GraphError, SpecError, VerdictError
from tritonforge.progress import silent
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec


def spec(target="24.10", accelerator="cuda", **more):
    return ModelSpec(source="m", target=release.find(target), accelerator=accelerator, **more)


def saved(path, nodes, opset, weights=(), output=T.FLOAT, shape=("n", 3, 8, 8)):
    """Save a model of these nodes from x to y."""
    given = helper.make_tensor_value_info("x", T.FLOAT, ["n", 3, 8, 8])
    made = helper.make_tensor_value_info("y", output, shape)
    graph = helper.make_graph(nodes, "g", [given], [made], initializer=list(weights))
    versions = [helper.make_opsetid("", opset), helper.make_opsetid("acme", 1)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=8), path)
    return path


def weight(name, values, dtype=np.float32):
    return numpy_helper.from_array(np.array(values, dtype), name)


def reshaping(path, opset):
    """Save a Relu, a Transpose and a Reshape."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="relu"),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 3, 1], name="turn"),
        helper.make_node("Reshape", ["b", "shape"], ["y"], name="flat"),
    ]
    return saved(path, nodes, opset, [weight("shape", [0, 192], np.int64)], shape=("n", 192))


def made(path, given, wished):
    """Make a foreign file, return what was made and its nodes' opset."""
    source = Loaded(path=given, weights="file", weights_sha256=None)
    return exporting.make(source, wished, path, silent)


def test_a_file_that_would_lose_its_kernels_is_brought_to_where_it_keeps_them(tmp_path):
    given = reshaping(tmp_path / "given.onnx", 21)
    exported = made(tmp_path / "model.onnx", given, spec())
    assert exported.stamp.opset == 20
    assert exported.exporter == "converted from opset 21"
    assert exported.chosen == (
        "opset 20, not 21: at 21 ONNX Runtime 1.19.2 has no CUDA kernel for Transpose, Reshape:"
        " 2 of 3 nodes"
    )


@pytest.mark.parametrize("accelerator", ["cpu", "openvino"])
def test_what_loses_nothing_is_left_as_it_is(tmp_path, accelerator):
    given = reshaping(tmp_path / "given.onnx", 21)
    exported = made(tmp_path / "model.onnx", given, spec(accelerator=accelerator))
    assert (exported.stamp.opset, exported.exporter) == (21, "as given")
    assert exported.chosen == "opset 21, the highest that 24.10 loads"


def test_an_older_file_is_not_converted_up(tmp_path):
    exported = made(tmp_path / "model.onnx", reshaping(tmp_path / "given.onnx", 13), spec())
    assert (exported.stamp.opset, exported.exporter) == (13, "as given")
    assert exported.chosen.startswith("opset 13, not 21: at 21 ONNX Runtime 1.19.2 has no CUDA")


@pytest.mark.parametrize("accelerator", ["cpu", "cuda", "tensorrt"])
@pytest.mark.parametrize("target", ["23.06", "25.08"])
@pytest.mark.parametrize("opset", [13, 18, 21])
@pytest.mark.parametrize("native", [{13}, {18}, {21}, range(7, 21)], ids=str)
def test_what_is_not_looked_at_would_change_nothing(tmp_path, accelerator, target, opset, native):
    given, wished = reshaping(tmp_path / "given.onnx", opset), spec(target, accelerator)
    every = opsets.ranked(given, wished, native)
    found = opsets.ranked(given, wished, native, written=opset)
    assert set(found) <= set(every)
    assert found[:1] == every[:1]
    told = [opsets.reason(found[0].opset, options, wished) for options in (found, every)]
    assert told[0] == told[1]
    stands = opset in native and every[0].opset == opset and not every[0].lost
    assert stands or found == every


def test_no_other_opset_is_looked_at_where_nothing_is_lost_at_the_files_own(tmp_path):
    given, wished = reshaping(tmp_path / "given.onnx", 18), spec(accelerator="cpu")
    found = opsets.ranked(given, wished, {18}, written=18)
    assert [each.opset for each in found] == [18, 21]


def test_a_wished_opset_stands_and_what_it_loses_is_told(tmp_path):
    path = tmp_path / "model.onnx"
    wished = spec(opset=21)
    exported = made(path, reshaping(tmp_path / "given.onnx", 21), wished)
    assert (exported.stamp.opset, exported.chosen) == (21, None)
    (note,) = opsets.check(path, wished)
    assert note == "2 of 3 nodes go to the CPU, for want of a CUDA kernel: Transpose, Reshape"


@pytest.mark.parametrize(
    ("most", "allowed", "fails"),
    [(2, (), False), (1, (), True), (1, ("Reshape",), False), (0, ("Reshape",), True)],
)
def test_nodes_on_the_cpu_are_counted_against_what_is_allowed(tmp_path, most, allowed, fails):
    given = reshaping(tmp_path / "given.onnx", 21)
    wished = spec(opset=21, max_cpu_nodes=most, allow_cpu=frozenset(allowed))
    if not fails:
        assert opsets.check(given, wished)
        return
    with pytest.raises(VerdictError, match=f"CUDA kernel, {most} are allowed") as caught:
        opsets.check(given, wished)
    assert "--allow-cpu" in caught.value.hint


@pytest.mark.parametrize("accelerator", ["cuda", "tensorrt"])
def test_a_shape_on_the_host_is_no_loss(tmp_path, accelerator):
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Unsqueeze", ["n", "zero"], ["n1"]),
        helper.make_node("Concat", ["n1", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    weights = [weight("zero", 0, np.int64), weight("rest", [-1, 2], np.int64)]
    weights[0] = numpy_helper.from_array(np.array(0), "zero")
    nodes[2] = helper.make_node("Unsqueeze", ["n", "axes"], ["n1"])
    weights.append(weight("axes", [0], np.int64))
    given = saved(tmp_path / "given.onnx", nodes, 17, weights)
    wished = spec(accelerator=accelerator, max_cpu_nodes=0)
    assert opsets.ranked(given, spec(), {17})[0].lost == ()
    assert opsets.check(given, wished) == ()


@pytest.mark.parametrize("name", ["Shpae", "shape"])
def test_an_operator_that_nobody_knows_cannot_be_allowed(tmp_path, name):
    given = reshaping(tmp_path / "given.onnx", 21)
    wished = spec(opset=21, max_cpu_nodes=9, allow_cpu=frozenset({name, "Gather"}))
    with pytest.raises(SpecError, match=f"--allow-cpu names '{name}', which is no operator") as got:
        opsets.check(given, wished)
    assert got.value.hint == "did you mean 'Shape'?"


@pytest.mark.parametrize("name", ["Gather", "SkipLayerNormalization"])
def test_an_operator_that_this_model_lacks_may_be_allowed(tmp_path, name):
    given = saved(tmp_path / "given.onnx", [helper.make_node("Relu", ["x"], ["y"])], 17)
    assert opsets.check(given, spec(max_cpu_nodes=0, allow_cpu=frozenset({name}))) == ()


def test_an_operator_of_the_models_own_may_be_allowed_and_is_then_refused_by_name(tmp_path):
    nodes = [helper.make_node("Mine", ["x"], ["y"], domain="acme")]
    given = saved(tmp_path / "given.onnx", nodes, 17)
    wished = spec(max_cpu_nodes=9, allow_cpu=frozenset({"Mine"}))
    with pytest.raises(GraphError, match="would refuse the file: no operator Mine") as got:
        opsets.check(given, wished)
    assert "--target all" in got.value.hint


def test_limits_need_a_gpu_and_exceptions_a_limit():
    with pytest.raises(SpecError, match="--max-cpu-nodes counts what a GPU leaves"):
        spec(accelerator="cpu", max_cpu_nodes=0)
    with pytest.raises(SpecError, match="--allow-cpu excepts operators"):
        spec(allow_cpu=frozenset({"Shape"}))


def test_an_operator_that_the_target_lacks_is_judged_by_what_stands_for_it(tmp_path):
    nodes = [helper.make_node("RMSNormalization", ["x", "scale"], ["y"], axis=-1)]
    given = saved(tmp_path / "given.onnx", nodes, 23, [weight("scale", [1] * 8)])
    options = {each.opset: each.lost for each in opsets.ranked(given, spec(), {23})}
    assert options[18] == ()
    assert "Shape" in options[21]
    exported = made(tmp_path / "model.onnx", given, spec())
    assert options[exported.stamp.opset] == ()


@pytest.mark.parametrize(
    ("op", "opset", "wanted"),
    [("Swish", 24, 17), ("Mish", 18, 17), ("Mish", 18, 18), ("CastLike", 17, 17)],
)
def test_the_choice_counts_the_nodes_that_place_counts(tmp_path, op, opset, wanted):
    inputs = ["x", "like"] if op == "CastLike" else ["x"]
    nodes = [helper.make_node(op, inputs, ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    wished = spec("23.06", opset=wanted)  # its ONNX Runtime has a kernel for none of them
    given = saved(tmp_path / "given.onnx", nodes, opset, [weight("like", 1.0)])
    options = {each.opset: each for each in opsets.ranked(given, wished, {opset})}
    made(tmp_path / "model.onnx", given, wished)
    (found,) = placement.place(tmp_path / "model.onnx", (wished.target,), "cuda")
    assert options[wanted].nodes == len(found.nodes)
    assert [*options[wanted].lost] == [node.op for node in found.nodes if node.provider == "cpu"]


def test_tensorrt_is_kept_below_the_opset_that_its_parser_knows(tmp_path):
    wished = spec("25.08", "tensorrt")
    options = opsets.ranked(reshaping(tmp_path / "given.onnx", 23), wished, {23})
    assert options[0].opset == 22
    assert opsets.reason(22, options, wished) == (
        f"opset 22, not 23: the parser of TensorRT {wished.target.parser}"
        f" ({wished.target.parser_source}) knows 22 at most"
    )


def test_an_operator_without_kernel_is_named_with_the_targets_that_run_it(tmp_path):
    nodes = [helper.make_node("HannWindow", ["size"], ["y"], output_datatype=T.DOUBLE)]
    nodes.insert(0, helper.make_node("ReduceMean", ["x"], ["z"], keepdims=0))
    nodes[1] = helper.make_node("Sinh", ["z64"], ["y"])
    nodes.insert(1, helper.make_node("Cast", ["z"], ["z64"], to=T.BFLOAT16))
    given = saved(tmp_path / "given.onnx", nodes, 13, output=T.BFLOAT16)
    with pytest.raises(GraphError, match=r"would refuse the file: .*Sinh") as caught:
        opsets.check_loads(given, release.find("24.10"), "cpu")
    assert "target" in caught.value.hint
    assert "TensorRT 10.4 takes Sinh" in caught.value.hint


def test_what_has_kernels_from_some_release_on_says_from_which(tmp_path):
    nodes = [helper.make_node("Gelu", ["x"], ["y"])]
    given = saved(tmp_path / "given.onnx", nodes, 20)
    with pytest.raises(GraphError, match="opset 20") as caught:
        opsets.check_loads(given, release.find("23.10"), "cpu")
    first = caught.value.hint.removeprefix("targets that load it: ").split(" to ")[0]
    assert release.find(first).opset >= 20
    opsets.check_loads(given, release.find(first), "cpu")


@pytest.mark.parametrize("target", ["24.10", "24.12"])
def test_what_only_cuda_runs_cannot_be_proven_and_says_so(tmp_path, target):
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=T.BFLOAT16),
        helper.make_node("MatMul", ["a", "a"], ["b"]),
        helper.make_node("Cast", ["b"], ["y"], to=T.FLOAT),
    ]
    given = saved(tmp_path / "given.onnx", nodes, 17)
    with pytest.raises(GraphError, match="cannot be proven here") as caught:
        made(tmp_path / "model.onnx", given, spec(target))
    runtime = release.find(target).onnxruntime
    assert caught.value.message == (
        "the file cannot be proven here, since the gate runs on the CPU: there ONNX Runtime"
        f" {runtime} has no kernel for MatMul-13 of bfloat16, which its CUDA provider has"
    )
    assert caught.value.hint == "export it as FP32 or FP16, which the CPU runs too"


def test_a_custom_operator_has_no_target(tmp_path):
    nodes = [helper.make_node("Mine", ["x"], ["y"], domain="acme")]
    given = saved(tmp_path / "given.onnx", nodes, 17)
    with pytest.raises(GraphError, match="no operator Mine") as caught:
        opsets.check_loads(given, release.find("24.10"), "cpu")
    assert caught.value.hint.startswith("no known target loads it")


def test_a_quantized_file_passes_unchanged(tmp_path):
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("Relu", ["d"], ["y"]),
    ]
    weights = [weight("s", 0.1), weight("z", 0, np.int8)]
    given = saved(tmp_path / "given.onnx", nodes, 13, weights)
    path = tmp_path / "model.onnx"
    for accelerator in ("cpu", "cuda", "tensorrt"):
        made(path, given, spec(accelerator=accelerator))
        assert path.read_bytes() == given.read_bytes()


def test_a_file_out_of_order_is_put_in_order(tmp_path):
    nodes = [helper.make_node("Relu", ["a"], ["y"]), helper.make_node("Abs", ["x"], ["a"])]
    given = saved(tmp_path / "given.onnx", nodes, 17)
    exported = made(tmp_path / "model.onnx", given, spec(accelerator="cpu"))
    assert "nodes put in order" in exported.exporter
    written = onnx.load(tmp_path / "model.onnx")
    assert [each.op_type for each in written.graph.node] == ["Abs", "Relu"]


def test_where_no_conversion_leads_to_the_best_opset_another_is_taken(tmp_path, monkeypatch):
    given = reshaping(tmp_path / "given.onnx", 21)
    convert = converting.converted

    def below(model, opset, wished):
        if opset < 20:
            raise GraphError("no way down", hint="none")
        return convert(model, opset, wished)

    monkeypatch.setattr(converting, "converted", below)
    wished = spec("23.11", "tensorrt")  # its parser knows 17 at most, ONNX Runtime 19
    with pytest.raises(GraphError, match="no way down"):
        made(tmp_path / "model.onnx", given, wished)
    wished = spec("24.04", "tensorrt")
    found = made(tmp_path / "model.onnx", given, wished)
    assert found.stamp.opset >= 20
    assert "no conversion leads to" in found.chosen


def test_targets_are_told_by_their_runs():
    known = ["1", "2", "3", "4", "5"]
    assert opsets._spans(["1", "2", "4"], known) == "1 to 2, 4"
    assert opsets._spans(known, known) == "1 to 5"


def test_a_file_of_tables_alone_stays_as_it_is(tmp_path):
    node = helper.make_node("Binarizer", ["x"], ["y"], domain="ai.onnx.ml", threshold=0.0)
    given = saved(tmp_path / "given.onnx", [node], 17, shape=("n", 3, 8, 8))
    model = onnx.load(given)
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    onnx.save(model, given)
    exported = made(tmp_path / "model.onnx", given, spec(accelerator="cpu"))
    assert (exported.exporter, exported.chosen) == ("as given", None)
