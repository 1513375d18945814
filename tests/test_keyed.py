"""Keys of weights in names: engines of TensorRT are cached by names alone."""

import warnings

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from graphs import branching, constant, heads, made, node, value
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from tritonforge.errors import GraphError
from tritonforge.graph.halved import halve
from tritonforge.graph.halves import swap
from tritonforge.graph.keyed import key, rename
from tritonforge.graph.optimized import optimized
from tritonforge.graph.schemas import every_graph
from tritonforge.graph.typed import resolved

OPSETS = [13, 14, 16, 17, 18, 19, 20, 21]
ROW = [("x", T.FLOAT, ["n", 8])], [("y", T.FLOAT, ["n", 8])]


def drawn(name, *dims, seed=0, dtype=np.float32):
    number = [seed, *name.encode()]
    values = np.random.default_rng(number).normal(size=dims) * 10
    return numpy_helper.from_array(values.astype(dtype), name)


def perceptron(seed=0, opset=17):
    nodes = [
        node("Gemm", ["x", "A", "a"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "B", "b"], ["z"]),
        node("Softmax", ["z"], ["y"]),
    ]
    weights = [drawn(name, 8, 8, seed=seed) for name in "AB"]
    weights += [drawn(name, 8, seed=seed) for name in "ab"]
    return made(nodes, *ROW, weights, opset=opset)


def convolved(seed=0, opset=17):
    nodes, weights, last = [], [], "x"
    for index in range(2):
        names = [f"{each}{index}" for each in ("scale", "bias", "mean", "var")]
        nodes += [
            node("Conv", [last, f"W{index}"], [f"c{index}"], pads=[1, 1, 1, 1]),
            node("BatchNormalization", [f"c{index}", *names], [f"n{index}"]),
            node("Relu", [f"n{index}"], [f"r{index}"]),
        ]
        weights.append(drawn(f"W{index}", 3, 3, 3, 3, seed=seed))
        weights += [drawn(name, 3, seed=seed) for name in names[:3]]
        weights.append(constant(names[3], [1.0, 2.0, 3.0], np.float32))
        last = f"r{index}"
    nodes += [node("Add", ["x", last], ["s"]), node("GlobalAveragePool", ["s"], ["y"])]
    image = [("x", T.FLOAT, ["n", 3, 8, 8])], [("y", T.FLOAT, ["n", 3, 1, 1])]
    return made(nodes, *image, weights, opset=opset)


def attentive(seed=0, opset=17):
    nodes = [
        node("MatMul", ["x", "Q"], ["q0"]),
        node("Add", ["q0", "qb"], ["q"]),
        node("MatMul", ["x", "K"], ["k"]),
        node("Transpose", ["k"], ["kt"], perm=[0, 2, 1]),
        node("MatMul", ["q", "kt"], ["s"]),
        node("Softmax", ["s"], ["p"]),
        node("MatMul", ["p", "x"], ["o"]),
        node("Add", ["o", "x"], ["y"]),
    ]
    weights = [drawn("Q", 8, 8, seed=seed), drawn("K", 8, 8, seed=seed), drawn("qb", 8, seed=seed)]
    words = ["n", "seq", 8]
    return made(nodes, [("x", T.FLOAT, words)], [("y", T.FLOAT, words)], weights, opset=opset)


def quantized(seed=0, opset=17):
    nodes = [
        node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        node("DequantizeLinear", ["W", "ws", "wz"], ["w"]),
        node("MatMul", ["d", "w"], ["m"]),
        node("QuantizeLinear", ["m", "s", "z"], ["mq"]),
        node("DequantizeLinear", ["mq", "s", "z"], ["y"]),
    ]
    weights = [
        *(constant("s", 0.1, np.float32), constant("z", 3, np.uint8)),
        *(constant("ws", 0.05, np.float32), constant("wz", 0, np.int8)),
        drawn("W", 8, 8, seed=seed, dtype=np.int8),
    ]
    return made(nodes, *ROW, weights, opset=opset)


def branched(seed=0, opset=17):
    """Write an If whose branches capture a product and use the same names, one hiding an outer."""
    then = helper.make_graph(
        [node("MatMul", ["m", "W"], ["t"]), node("Relu", ["t"], ["out"])],
        "then",
        [],
        [value("out", T.FLOAT, None)],
    )
    other = helper.make_graph(
        [node("MatMul", ["m", "V"], ["t"]), node("Abs", ["t"], ["out"])],
        "else",
        [],
        [value("out", T.FLOAT, None)],
        [drawn("V", 8, 8, seed=seed)],
    )
    body = helper.make_graph(
        [
            node("MatMul", ["carried", "W"], ["next"]),
            node("Add", ["next", "m"], ["next2"]),
            node("Identity", ["c"], ["c2"]),
        ],
        "body",
        [value("i", T.INT64, []), value("c", T.BOOL, []), value("carried", T.FLOAT, ["n", 8])],
        [value("c2", T.BOOL, []), value("next2", T.FLOAT, ["n", 8])],
    )
    nodes = [
        node("MatMul", ["x", "W"], ["m"]),
        node("ReduceMax", ["x"], ["most"], keepdims=0),
        node("Greater", ["most", "zero"], ["is"]),
        node("If", ["is"], ["chosen"], then_branch=then, else_branch=other),
        node("Loop", ["times", "", "chosen"], ["y"], body=body),
    ]
    weights = [drawn("W", 8, 8, seed=seed), constant("zero", 0, np.float32), constant("times", 2)]
    return made(nodes, *ROW, weights, opset=opset)


NETS = [perceptron, convolved, attentive, quantized, branched]
nets = pytest.mark.parametrize("net", NETS, ids=lambda each: each.__name__)


def copied(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy


def keyed(model):
    copy = copied(model)
    return copy, rename(copy, key(copy))


def outputs(model, seed=0):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rng = np.random.default_rng(seed)
    sizes = {"n": 8, "seq": 5}
    fed = {
        each.name: rng.normal(size=[sizes.get(dim, dim) for dim in each.shape]).astype(np.float32)
        for each in session.get_inputs()
    }
    return session.run(None, fed)


def plain(name):
    return name.partition(".key_")[0]


def surviving(model):
    return {
        name
        for graph in every_graph(optimized(model).graph)
        for each in graph.node
        for name in each.output
    }


def agree(one, other):
    return all(np.array_equal(*pair) for pair in zip(outputs(one), outputs(other), strict=True))


@nets
@pytest.mark.parametrize("opset", OPSETS)
def test_names_change_and_nothing_else(net, opset):
    given = net(opset=opset)
    found, names = keyed(given)
    onnx.checker.check_model(found, full_check=True)
    assert names
    assert set(names) <= surviving(found)
    assert agree(given, found)
    for field in ("input", "output", "initializer"):
        assert getattr(found.graph, field) == getattr(given.graph, field)
    assert [each.op_type for each in found.graph.node] == [
        each.op_type for each in given.graph.node
    ]


@nets
def test_other_weights_have_other_names(net):
    (_, one), (_, same), (_, other) = keyed(net()), keyed(net()), keyed(net(seed=1))
    assert one == same
    assert len(one) == len(other)
    assert not set(one) & set(other)


@nets
@pytest.mark.parametrize("opset", OPSETS)
def test_half_floats_are_named_as_floats_are(net, opset):
    if net is quantized and opset < 19:
        pytest.skip("its scales take no half floats")
    given = halve(net(opset=opset)).model
    found, names = keyed(given)
    onnx.checker.check_model(found, full_check=True)
    assert {plain(name) for name in keyed(net(opset=opset))[1]} <= {plain(name) for name in names}
    assert agree(given, found)
    for field in ("input", "output", "initializer"):
        assert getattr(found.graph, field) == getattr(given.graph, field)


@nets
def test_half_floats_of_other_weights_have_other_names(net):
    (_, one), (_, other) = (keyed(halve(net(seed=seed, opset=19)).model) for seed in range(2))
    assert len(one) == len(other)
    assert not set(one) & set(other)


def test_a_product_in_half_floats_is_keyed_though_it_gives_an_output():
    given = halve(made([node("MatMul", ["x", "W"], ["y"])], *ROW, [drawn("W", 8, 8)])).model
    assert keyed(given)[1] == (f"y_half.key_{key(given)}",)


def test_half_floats_inside_and_out():
    given = perceptron()
    swap(given.graph, T.FLOAT, T.FLOAT16)
    assert [plain(name) for name in keyed(given)[1]] == ["h", "z"]


def test_a_name_that_looks_like_one_of_a_cast():
    given = halve(perceptron()).model
    mine = "InsertedPrecisionFreeCast_h"
    given.graph.node[1].output[0] = given.graph.node[2].input[0] = mine
    assert f"{mine}.key_{key(given)}" in keyed(given)[1]


@nets
def test_a_key_is_replaced_and_the_same_again(net):
    given = net()
    found, names = keyed(given)
    assert key(found) == key(given)
    again = copied(found)
    assert rename(again, key(again)) == names
    assert again == found
    other = rename(again, "0" * 12)
    assert [each.count(".key_") for each in other] == [1] * len(names)
    assert key(again) == key(given)
    assert agree(given, again)


def test_what_is_fused_is_named_as_it_is_after():
    assert [each.partition(".")[0] for each in keyed(convolved())[1]] == ["n0", "n1"]
    assert [each.partition(".")[0] for each in keyed(perceptron())[1]] == ["h", "z"]
    assert "q" in {each.partition(".")[0] for each in keyed(attentive())[1]}


def test_a_product_and_its_bias_that_become_one():
    nodes = [
        node("MatMul", ["x", "W"], ["m"]),
        node("Add", ["m", "b"], ["a"]),
        node("Relu", ["a"], ["y"]),
    ]
    tensors = [("x", T.FLOAT, [4, 8])], [("y", T.FLOAT, [4, 8])]
    model = made(nodes, *tensors, [drawn("W", 8, 8), drawn("b", 8)])
    _, names = keyed(model)
    assert names == (f"a.key_{key(model)}",)


def test_graphs_within_follow():
    found, names = keyed(branched())
    told = f".key_{key(found)}"
    assert {f"m{told}", f"t{told}", f"next2{told}"} <= set(names)
    inner = list(every_graph(found.graph))[1:]
    assert sum(f"m{told}" in each.input for graph in inner for each in graph.node) == 3


def test_a_name_that_hides_an_outer_one_stays_the_value_that_it_was():
    body = helper.make_graph(
        [
            node("MatMul", ["m", "W"], ["k"]),
            node("Relu", ["k"], ["m2"]),
            node("Identity", ["c"], ["c2"]),
        ],
        "body",
        [value("i", T.INT64, []), value("c", T.BOOL, []), value("m", T.FLOAT, ["n", 8])],
        [value("c2", T.BOOL, []), value("m2", T.FLOAT, ["n", 8])],
    )
    nodes = [
        node("MatMul", ["x", "W"], ["m"]),
        node("Loop", ["times", "", "x"], ["looped"], body=body),
        node("Add", ["m", "looped"], ["y"]),
    ]
    given = made(nodes, *ROW, [drawn("W", 8, 8), constant("times", 2)])
    found, names = keyed(given)
    assert {each.partition(".")[0] for each in names} == {"m", "k"}
    assert agree(given, found)


def test_what_is_stated_of_values_follows():
    given = resolved(perceptron()).model
    given.graph.initializer.extend([])
    model = perceptron()
    model.graph.value_info.extend(given.graph.value_info)
    found, names = keyed(model)
    assert set(names) <= {each.name for each in found.graph.value_info}
    known = {each.name: each.type for each in found.graph.value_info}
    assert known[names[0]].tensor_type.shape.dim[0].dim_param == "n"


@pytest.mark.parametrize("model", [branching(), heads()], ids=["branching", "heads"])
def test_graphs_of_other_shapes(model):
    found, names = keyed(model)
    assert names
    assert set(names) <= surviving(found)
    assert agree(model, found)


def test_a_product_that_is_an_output_is_keyed_by_what_it_reads():
    given = made(
        [node("Relu", ["x"], ["r"]), node("MatMul", ["r", "W"], ["y"])], *ROW, [drawn("W", 8, 8)]
    )
    found, names = keyed(given)
    assert names == (f"r.key_{key(given)}",)
    assert agree(given, found)


def test_any_other_value_where_nothing_is_computed_of_weights():
    given = made([node("Relu", ["x"], ["r"]), node("Exp", ["r"], ["y"])], *ROW)
    assert keyed(given)[1] == (f"r.key_{key(given)}",)


def test_nothing_is_left_to_rename():
    given = made([node("MatMul", ["x", "W"], ["y"])], *ROW, [drawn("W", 8, 8)])
    found, names = keyed(given)
    assert names == ()
    assert found == given


def test_what_is_folded_away_is_not_renamed():
    nodes = [node("MatMul", ["W", "V"], ["p"]), node("MatMul", ["x", "p"], ["m"])]
    nodes.append(node("Relu", ["m"], ["y"]))
    given = made(nodes, *ROW, [drawn("W", 8, 8), drawn("V", 8, 8)])
    assert keyed(given)[1] == (f"m.key_{key(given)}",)


def test_a_name_that_is_taken():
    given = perceptron()
    clash = f"h.key_{key(given)}"
    given.graph.node[1].output[0] = given.graph.node[2].input[0] = clash
    found, names = keyed(given)
    made_names = [name for each in found.graph.node for name in each.output]
    assert len(set(made_names)) == len(made_names)
    assert len(set(names)) == 2
    assert agree(given, found)
    assert rename(copied(found), key(found)) == names


def test_functions_of_the_model():
    body = [node("MatMul", ["a", "w"], ["p"]), node("Relu", ["p"], ["b"])]

    def model(op="Relu", seed=0):
        body[1].op_type = op
        function = helper.make_function(
            "own", "Part", ["a", "w"], ["b"], body, [helper.make_opsetid("", 17)]
        )
        nodes = [node("Part", ["x", "W"], ["h"], domain="own"), node("Gemm", ["h", "W"], ["z"])]
        nodes.append(node("Tanh", ["z"], ["y"]))
        return made(
            *(nodes, *ROW, [drawn("W", 8, 8, seed=seed)]),
            domains=[("own", 1)],
            functions=[function],
        )

    given = model()
    found, names = keyed(given)
    assert found.functions == given.functions
    assert f"z.key_{key(given)}" in names
    assert agree(given, found)
    assert len({key(given), key(model("Abs")), key(model(seed=1))}) == 3


def test_weights_beside_the_model(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(perceptron(), path, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert key(onnx.load(path)) == key(perceptron())
    with pytest.raises(GraphError, match="the weights of 'A' were not read"):
        key(onnx.load(path, load_external_data=False))


def test_a_model_that_is_refused():
    with pytest.raises(GraphError, match="refuses it"):
        rename(made([node("Nonsense", ["x"], ["y"])], *ROW), "0" * 12)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_key_is_of_what_is_computed_alone(data):
    model = data.draw(st.sampled_from(NETS))()
    wanted = key(model)
    model.producer_name = model.doc_string = model.graph.doc_string = data.draw(st.text(max_size=5))
    model.ir_version, model.model_version = 9, 7
    model.metadata_props.add(key="by", value=data.draw(st.text(max_size=5)))
    for field in (model.graph.node, model.graph.initializer):
        kept = [type(each).FromString(each.SerializeToString()) for each in field]
        del field[:]
        field.extend(data.draw(st.permutations(kept)))
    for number, each in enumerate(model.graph.node):
        each.name, each.doc_string = f"node {number}", "said"
    for tensor in model.graph.initializer:
        if data.draw(st.booleans()) and tensor.data_type == T.FLOAT:
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(
                helper.make_tensor(tensor.name, T.FLOAT, values.shape, values.flatten().tolist())
            )
    assert key(model) == wanted
    assert len(wanted) == 12


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_key_changes_with_any_weight(data):
    model = data.draw(st.sampled_from(NETS))()
    known = key(model)
    tensor = data.draw(st.sampled_from([*model.graph.initializer]))
    values = numpy_helper.to_array(tensor).copy()
    place = data.draw(st.integers(0, max(values.size - 1, 0)))
    values.reshape(-1)[place] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    assert key(model) != known


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.graph.node[1].attribute.add(name="alpha", type=1, f=0.5),
        lambda model: setattr(model.graph.node[1], "op_type", "Abs"),
        lambda model: setattr(model.opset_import[0], "version", 18),
        lambda model: setattr(model.graph.input[0], "name", "other"),
    ],
)
def test_a_key_changes_with_the_graph(change):
    model = perceptron()
    change(model)
    assert key(model) != key(perceptron())


def exported(seed, path):
    torch.manual_seed(seed)
    net = torchvision.models.resnet18(weights=None).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            *(net, (torch.randn(1, 3, 64, 64),), path),
            dynamo=False,
            opset_version=17,
            input_names=["x"],
            dynamic_axes={"x": {0: "n"}},
        )
    return onnx.load(path)


def test_a_resnet(tmp_path):
    one, other = (exported(seed, tmp_path / "model.onnx") for seed in range(2))
    (found, names), (_, others) = keyed(one), keyed(other)
    assert len(names) == 21  # convolutions, and what the last layer reads: it gives the output
    assert set(names) <= surviving(found)
    assert not set(names) & set(others)
    assert agree(one, found)
