import contextlib
import os

import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from tritonforge import graph
from tritonforge.errors import GraphError
from tritonforge.graph import Stamp
from tritonforge.spec import Domain
from tritonforge.tensors import DType, TensorSpec

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def double(tmp_path):
    """A sound model on disk."""
    return tiny.save(tmp_path / "double.onnx", *tiny.DOUBLE)


def made(nodes, inputs, outputs, initializers=(), opset=17, ir=8, check=True):
    """Make a model in memory; tensors are `(name, type, dims)` or value infos."""

    def infos(tensors):
        return [helper.make_tensor_value_info(*t) if isinstance(t, tuple) else t for t in tensors]

    model = helper.make_model(
        helper.make_graph(nodes, "g", infos(inputs), infos(outputs), list(initializers)),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir,
    )
    if check:
        onnx.checker.check_model(model)
    return model


def identity(info_in, info_out=None):
    """Make a model that hands `x` on as `y`."""
    given = onnx.ValueInfoProto()
    given.CopyFrom(info_out or info_in)
    given.name = "y"
    node = helper.make_node("Identity", ["x"], ["y"])
    return made([node], [info_in], [given], check=False)


def two_sided(condition, extra=(), inputs=(), outputs=()):
    """Make a model with an If: then x * 2, else x - 1."""

    def side(op, constant):
        value = helper.make_tensor("c", T.FLOAT, [], [constant])
        return helper.make_graph(
            [
                helper.make_node("Constant", [], ["k"], value=value),
                helper.make_node(op, ["x", "k"], ["r"]),
            ],
            op,
            [],
            [helper.make_tensor_value_info("r", T.FLOAT, None)],
        )

    node = helper.make_node(
        "If", [condition], ["y"], then_branch=side("Mul", 2.0), else_branch=side("Sub", 1.0)
    )
    return made(
        [*extra, node],
        [("x", T.FLOAT, ["n", 4]), *inputs],
        [("y", T.FLOAT, ["n", 4]), *outputs],
        check=False,
    )


SUM_ABOVE = (
    helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
    helper.make_node("Constant", [], ["zero"], value=helper.make_tensor("z", T.FLOAT, [], [0.0])),
    helper.make_node("Greater", ["s", "zero"], ["positive"]),
)


# --- reading ------------------------------------------------------------------------------------


def test_what_a_file_says_of_itself(double):
    assert graph.stamp_of(graph.load(double)) == Stamp(opset=17, ir=8)
    x = TensorSpec(name="x", dtype=DType.FP32, dims=("n", 4))
    signature = graph.signature(graph.load(double))
    assert signature.inputs == (x,)
    assert (signature.outputs[0].name, signature.batch) == ("y", "n")


def test_the_opset_is_that_of_the_default_domain():
    model = made([], [], [], check=False)
    model.opset_import.insert(0, helper.make_opsetid("ai.onnx.ml", 3))
    assert graph.stamp_of(model) == Stamp(opset=17, ir=8, ml_opset=3)
    model.opset_import[1].domain = "ai.onnx"
    assert graph.stamp_of(model).opset == 17
    del model.opset_import[1]
    assert graph.stamp_of(model).opset == 1


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"not a model at all", b"\xff" * 64, b"{}"])
def test_a_file_that_is_no_model_is_told(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(GraphError, match=r"m\.onnx is not") as caught:
        graph.load(path)
    assert "truncated" in caught.value.hint


def test_a_file_cut_anywhere_is_told_or_still_a_model(double):
    whole = double.read_bytes()
    for end in range(0, len(whole), 3):
        double.write_bytes(whole[:end])
        with pytest.raises(GraphError):
            graph.check(double)
        with contextlib.suppress(GraphError):  # the start of a model may be a model
            graph.signature(graph.load(double))


def test_a_file_that_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(GraphError, match=r"cannot read .*missing\.onnx"):
        graph.load(tmp_path / "missing.onnx")
    with pytest.raises(GraphError, match="cannot read"):
        graph.load(tmp_path)


# --- the signature ------------------------------------------------------------------------------


def test_every_dtype_of_the_table_is_read():
    for dtype in DType:
        info = helper.make_tensor_value_info("x", dtype.onnx, ["n"])
        assert graph.signature(identity(info)).inputs[0].dtype is dtype


def test_dimensions_without_a_name_get_one():
    info = helper.make_tensor_value_info("x", T.FLOAT, [None, 3, None, "seq", -1])
    spec = graph.signature(identity(info)).inputs[0]
    assert spec.dims == ("batch", 3, "x_2", "seq", "x_4")


def test_a_scalar_has_no_dimensions():
    info = helper.make_tensor_value_info("x", T.FLOAT, [])
    assert graph.signature(identity(info)).inputs[0].dims == ()


def test_an_initializer_is_no_input():
    weight = helper.make_tensor("w", T.FLOAT, [1], [2.0])
    model = made(
        [helper.make_node("Mul", ["x", "w"], ["y"])],
        [("x", T.FLOAT, ["n"]), ("w", T.FLOAT, [1])],
        [("y", T.FLOAT, ["n"])],
        [weight],
    )
    assert [each.name for each in graph.signature(model).inputs] == ["x"]


@pytest.mark.parametrize(
    ("info", "said", "hint"),
    [
        (
            helper.make_tensor_sequence_value_info("x", T.FLOAT, ["n"]),
            "'x' is a sequence, Triton serves tensors only",
            "zipmap",
        ),
        (
            helper.make_value_info(
                "x",
                helper.make_map_type_proto(T.INT64, helper.make_tensor_type_proto(T.FLOAT, [])),
            ),
            "'x' is a map,",
            "zipmap",
        ),
        (
            helper.make_value_info(
                "x", helper.make_optional_type_proto(helper.make_tensor_type_proto(T.FLOAT, []))
            ),
            "'x' is a optional,",
            "zipmap",
        ),
        (onnx.ValueInfoProto(name="x"), "'x' is a nothing,", "cut the graph"),
        (helper.make_tensor_value_info("x", T.BFLOAT16, [1]), "'x' is BFLOAT16, which", "Cast"),
        (helper.make_tensor_value_info("x", T.FLOAT8E4M3FN, [1]), "'x' is FLOAT8E4M3FN", "Cast"),
        (helper.make_tensor_value_info("x", T.COMPLEX64, [1]), "'x' is COMPLEX64", "Cast"),
        (helper.make_tensor_value_info("x", T.UNDEFINED, [1]), "'x' is UNDEFINED", "Cast"),
        (helper.make_tensor_value_info("x", 99, [1]), "'x' is of type 99", "Cast"),
        (helper.make_tensor_value_info("x", T.FLOAT, None), "'x' has no shape", "shape_inference"),
    ],
)
def test_what_no_triton_tensor_can_express_is_told(info, said, hint):
    plain = helper.make_tensor_value_info("x", T.FLOAT, ["n"])
    for model, words in (
        (identity(info, plain), f"input {said}"),
        (identity(plain, info), f"output {said.replace('x', 'y', 1)}"),
    ):
        with pytest.raises(GraphError) as caught:
            graph.signature(model)
        assert str(caught.value).startswith(words)
        assert hint in caught.value.hint


def test_output_dimensions_are_restated():
    model = made(
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", T.FLOAT, ["n", 4])],
        [("y", T.FLOAT, [2, 4])],
    )
    graph.name_output_dims(model, {"y": ("n", 4), "unknown": (1,)})
    assert graph.signature(model).outputs[0].dims == ("n", 4)
    graph.name_output_dims(model, {"y": (3, "m")})
    assert graph.signature(model).outputs[0].dims == (3, "m")


# --- what the graph tells of its inputs -----------------------------------------------------------


def gather(indices, axis=0, table=(7, 3), extra=()):
    """Make a model that looks up a table by its input `ids`."""
    weights = numpy_helper.from_array(np.zeros(table, np.float32), "table")
    return made(
        [*extra, helper.make_node("Gather", ["table", indices], ["y"], axis=axis)],
        [("ids", T.INT64, ["n", "s"])],
        [("y", T.FLOAT, None)],
        [weights],
        check=False,
    )


def test_an_input_that_indexes_a_table_stays_below_its_length():
    assert graph.domains(gather("ids")) == {"ids": Domain(kind="integers", low=0, high=7)}
    assert graph.domains(gather("ids", axis=1))["ids"].high == 3
    assert graph.domains(gather("ids", axis=-1))["ids"].high == 3


def test_the_table_is_found_through_what_keeps_values():
    extra = (
        helper.make_node("Cast", ["ids"], ["a"], to=T.INT32),
        helper.make_node("Flatten", ["a"], ["b"]),
    )
    assert graph.domains(gather("b", extra=extra))["ids"].high == 7


def test_a_computed_index_tells_nothing():
    extra = (helper.make_node("Add", ["ids", "ids"], ["a"]),)
    assert graph.domains(gather("a", extra=extra)) == {}


def test_the_shorter_of_two_tables_counts():
    small = numpy_helper.from_array(np.zeros((4, 1), np.float32), "small")
    model = gather("ids")
    model.graph.initializer.append(small)
    model.graph.node.append(helper.make_node("Gather", ["small", "ids"], ["z"]))
    assert graph.domains(model)["ids"].high == 4


@pytest.mark.parametrize("table", [(), (0, 3)])
def test_a_table_without_rows_tells_nothing(table):
    assert graph.domains(gather("ids", table=table)) == {}


def test_a_float_that_is_cast_to_an_index_keeps_its_own_domain():
    model = gather("a", extra=(helper.make_node("Cast", ["ids"], ["a"], to=T.INT64),))
    model.graph.input[0].type.tensor_type.elem_type = T.FLOAT
    assert graph.domains(model) == {}


def test_the_conditions_of_the_graph_are_named_once():
    assert graph.conditions(two_sided("positive", SUM_ABOVE)) == ("positive",)
    model = two_sided("always")
    model.graph.initializer.append(helper.make_tensor("always", T.BOOL, [], [True]))
    assert graph.conditions(model) == ()


# --- running --------------------------------------------------------------------------------------


def test_a_session_runs_named_arrays(double):
    for optimize in (True, False):
        with graph.session(double, optimize=optimize) as run:
            np.testing.assert_array_equal(run({"x": ROWS})["y"], ROWS * 2)


def test_strings_run_as_bytes_and_as_text(tmp_path):
    path = tmp_path / "m.onnx"
    graph.write(identity(helper.make_tensor_value_info("x", T.STRING, ["n"])), path)
    with graph.session(path) as run:
        for values in ([b"a", "ü".encode()], ["a", "ü"]):
            assert list(run({"x": np.array(values, object)})["y"]) == ["a", "ü"]
        with pytest.raises(GraphError, match=r"fails on x \[1\]: .*utf-8"):
            run({"x": np.array([b"\xff"], object)})


def test_bytes_that_are_no_text_run_as_they_are(tmp_path):
    terms = {"pool_strings": [b"one", b"\xff\xfe"], "ngram_counts": [0], "ngram_indexes": [0, 1]}
    lengths = {"min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0, "mode": "TF"}
    inputs, outputs = [("x", T.STRING, ["n", 2])], [("y", T.FLOAT, ["n", 2])]
    nodes = [("TfIdfVectorizer", ["x"], ["y"], {**terms, **lengths})]
    with graph.session(tiny.save(tmp_path / "m.onnx", nodes, inputs, outputs)) as run:
        got = run({"x": np.array([[b"one", b"\xff\xfe"], [b"", "one"]], object)})["y"]
        assert got.tolist() == [[1, 1], [1, 0]]
        with pytest.raises(GraphError, match="utf-8"):
            run({"x": np.array([[b"one", b"\xff\0"]], object)})


@pytest.mark.parametrize(
    "arrays",
    [{}, {"z": ROWS}, {"x": ROWS[:, :3]}, {"x": ROWS.astype(np.float64)}, {"x": ROWS, "z": ROWS}],
)
def test_a_run_that_fails_is_told_with_its_shapes(double, arrays):
    with graph.session(double) as run, pytest.raises(GraphError, match="ONNX Runtime fails on"):
        run(arrays)


@pytest.mark.parametrize("extra", [SUM_ABOVE, (SUM_ABOVE[0], *SUM_ABOVE[1:])])
def test_inner_values_are_watched(tmp_path, extra):
    path = tmp_path / "m.onnx"
    graph.write(two_sided("positive", extra), path)
    with graph.session(path, extra_outputs=("positive",)) as run:
        values = run({"x": ROWS})
        np.testing.assert_array_equal(values["y"], ROWS * 2)
        assert values["positive"].item() is True
        assert run({"x": -ROWS})["positive"].item() is False


def test_an_input_and_an_output_are_watched_like_inner_values(tmp_path):
    path = tmp_path / "m.onnx"
    graph.write(two_sided("flag", inputs=[("flag", T.BOOL, [])]), path)
    with graph.session(path, extra_outputs=("flag",)) as run:
        assert run({"x": ROWS, "flag": np.array(False)})["flag"].item() is False
    graph.write(two_sided("positive", SUM_ABOVE, outputs=[("positive", T.BOOL, [])]), path)
    with graph.session(path, extra_outputs=("positive",)) as run:
        assert run({"x": ROWS})["positive"].item() is True


def test_what_onnx_runtime_refuses_is_told(tmp_path):
    path = tmp_path / "m.onnx"
    graph.write(
        made(
            [helper.make_node("Mine", ["x"], ["y"], domain="my")],
            [("x", T.FLOAT, [1])],
            [("y", T.FLOAT, [1])],
            check=False,
        ),
        path,
    )
    with (
        pytest.raises(GraphError, match=r"ONNX Runtime .* refuses m\.onnx") as caught,
        graph.session(path),
    ):
        pass
    assert caught.value.hint


def test_the_checker_says_what_it_finds(tmp_path):
    path = tmp_path / "m.onnx"
    graph.write(
        made(
            [helper.make_node("Add", ["x"], ["y"])],
            [("x", T.FLOAT, [1])],
            [("y", T.FLOAT, [1])],
            check=False,
        ),
        path,
    )
    with pytest.raises(GraphError, match=r"m\.onnx fails the ONNX checker: .*Add"):
        graph.check(path)


# --- changing -------------------------------------------------------------------------------------


def test_a_model_is_converted_to_another_opset(double):
    for opset in (14, 21):
        model = graph.converted(graph.load(double), opset)
        assert graph.stamp_of(model).opset == opset
        onnx.checker.check_model(model)


def test_a_model_that_cannot_be_converted_is_told():
    model = made(
        [helper.make_node("GridSample", ["x", "g"], ["y"], mode="linear")],
        [("x", T.FLOAT, [1, 1, 2, 2]), ("g", T.FLOAT, [1, 1, 1, 2])],
        [("y", T.FLOAT, None)],
        opset=20,
        ir=9,
        check=False,
    )
    with pytest.raises(GraphError, match="onnx cannot convert from opset 20 to 15") as caught:
        graph.converted(model, 15)
    assert "--target" in caught.value.hint


# --- weights outside the file ---------------------------------------------------------------------


def external(folder, location="weights.bin", place="initializer"):
    """Write a model whose weight lies in another file; `place` says where it is named."""
    weight = numpy_helper.from_array(np.full(4, 3, np.float32), "w")
    data = weight.raw_data
    weight.ClearField("raw_data")
    weight.data_location = T.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        weight.external_data.add(key=key, value=value)
    inputs, outputs = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]
    mul = helper.make_node("Mul", ["x", "w"], ["y"])
    constant = helper.make_node("Constant", [], ["w"], value=weight)
    if place == "initializer":
        model = made([mul], inputs, outputs, [weight], check=False)
    elif place == "constant":
        model = made([constant, mul], inputs, outputs, check=False)
    else:
        model = two_sided("positive", SUM_ABOVE)
        (branch,) = (a.g for a in model.graph.node[-1].attribute if a.name == "then_branch")
        branch.node[1].input[1] = "w"
        branch.initializer.append(weight)
    folder.mkdir(exist_ok=True)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx", data


PLACES = pytest.mark.parametrize("place", ["initializer", "constant", "branch"])


@PLACES
def test_weights_beside_the_model_are_named_and_read(tmp_path, place):
    path, data = external(tmp_path / "a", place=place)
    (tmp_path / "a" / "weights.bin").write_bytes(data)
    assert graph.external_files(path) == ("weights.bin",)
    whole = tmp_path / "whole.onnx"
    graph.write(graph.load(path, weights=True), whole)
    assert graph.external_files(whole) == ()
    with graph.session(whole) as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], ROWS * 3)


@PLACES
def test_missing_weights_are_told(tmp_path, place):
    path, _ = external(tmp_path / "a", place=place)
    with pytest.raises(GraphError, match=r"m\.onnx needs 'weights\.bin' beside it, which is miss"):
        graph.external_files(path)


@PLACES
@pytest.mark.parametrize("location", ["../weights.bin", "b/../../weights.bin", "{}/weights.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path, location, place):
    location = location.format(tmp_path)
    path, data = external(tmp_path / "a", location, place)
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "weights.bin").write_bytes(data)
    with pytest.raises(GraphError, match="keeps weights outside its folder, at '"):
        graph.external_files(path)


def test_weights_behind_a_symlink_are_refused(tmp_path):
    path, data = external(tmp_path / "a")
    (tmp_path / "secret").write_bytes(data)
    (tmp_path / "a" / "weights.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(GraphError, match="keeps weights outside its folder"):
        graph.external_files(path)
    path, data = external(tmp_path / "c", "link/weights.bin")
    (tmp_path / "weights.bin").write_bytes(data)
    (tmp_path / "c" / "link").symlink_to(tmp_path)
    with pytest.raises(GraphError, match="keeps weights outside its folder"):
        graph.external_files(path)


def test_weights_without_a_place_are_told(tmp_path):
    path, _ = external(tmp_path / "a", "")
    with pytest.raises(GraphError, match="needs '' beside it"):
        graph.external_files(path)


def test_weights_that_are_cut_are_told(tmp_path):
    path, data = external(tmp_path / "a")
    (tmp_path / "a" / "weights.bin").write_bytes(data[:-4])
    with pytest.raises(GraphError, match=r"needs more weights than 'weights\.bin' holds"):
        graph.external_files(path)


def test_a_fifo_does_not_hang(tmp_path):
    path, _ = external(tmp_path / "a")
    os.mkfifo(tmp_path / "a" / "weights.bin")
    with pytest.raises(GraphError, match="which is no file"):
        graph.external_files(path)


def test_an_assertion_of_the_converter_loses_its_place():
    raw = "/onnx/BaseConverter.h:66: lookup: Assertion `false` failed: No Adapter From Version $14"
    assert graph.file.first_line(RuntimeError(raw)) == "No Adapter From Version $14"


@pytest.mark.parametrize(
    ("op", "opset", "to", "said"),
    [
        ("Cast", 13, 9, "it knows no way from version 13 of Cast"),
        ("BatchNormalization", 14, 13, "it knows no way to version 13 of BatchNormalization"),
        ("Frobnicate2", 18, 9, "it does not know Frobnicate2"),
    ],
)
def test_what_stops_the_converter_is_told_in_words(op, opset, to, said):
    attributes = {"to": T.FLOAT} if op == "Cast" else {}
    inputs = ["x"] * (5 if op == "BatchNormalization" else 1)
    nodes = [helper.make_node(op, inputs, ["y"], **attributes)]
    tensors = [("x", T.FLOAT, [1, 1])], [("y", T.FLOAT, None)]
    with pytest.raises(GraphError) as caught:
        graph.converted(made(nodes, *tensors, opset=opset, ir=8, check=False), to)
    assert str(caught.value) == f"onnx cannot convert from opset {opset} to {to}: {said}"


def test_a_cycle_is_told_as_what_it_is(tmp_path):
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    tensors = [("x", T.FLOAT, [1])], [("b", T.FLOAT, [1])]
    onnx.save(made(nodes, *tensors, ir=8, check=False), tmp_path / "m.onnx")
    with pytest.raises(
        GraphError, match=r"m\.onnx has a cycle, which cannot be run: Add → Relu → Add"
    ):
        graph.check(tmp_path / "m.onnx")


def test_a_division_by_zero_is_told_how_to_be_avoided(tmp_path):
    ints = [("a", onnx.TensorProto.INT64, ["n"]), ("b", onnx.TensorProto.INT64, ["n"])]
    quotient = [("y", onnx.TensorProto.INT64, ["n"])]
    path = tiny.save(tmp_path / "m.onnx", [("Div", ["a", "b"], ["y"], {})], ints, quotient)
    zeros = {"a": np.ones(2, np.int64), "b": np.zeros(2, np.int64)}
    with graph.session(path) as run, pytest.raises(GraphError, match="by zero") as caught:
        run(zeros)
    assert "--domain NAME=1..N" in caught.value.hint
