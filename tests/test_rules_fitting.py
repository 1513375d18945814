"""Configs against the files that they are to serve: what rules say of them, and the real server."""

import re

import backend
import numpy as np
import pytest
import rulecases
import tiny
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from tritonforge import release

ROW = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]
ADD = [("Add", ["x", "x"], ["y"], {})]
FIXED = (ADD, [("x", T.FLOAT, [1, 4])], [("y", T.FLOAT, [1, 4])])
SCALAR = (ADD, [("x", T.FLOAT, [])], [("y", T.FLOAT, [])])
FLAT = (ADD, [("x", T.FLOAT, ["n"])], [("y", T.FLOAT, ["n"])])
WEIGHT = numpy_helper.from_array(np.ones((1, 4), np.float32), "w")
HALVED = helper.make_tensor("w", T.BFLOAT16, [1, 4], [1.0] * 4)
SPARE = (
    [("Add", ["x", "w"], ["y"], {})],
    [*ROW[0], ("w", T.FLOAT, [1, 4])],
    ROW[1],
)
# A weight in bfloat16 that a request may bring.
STRANGE = (
    [("Cast", ["w"], ["f"], {"to": T.FLOAT}), ("Add", ["x", "f"], ["y"], {})],
    [*ROW[0], ("w", T.BFLOAT16, [1, 4])],
    ROW[1],
)
TWO = (
    [("Identity", ["x"], ["y"], {}), ("Identity", ["z"], ["v"], {})],
    [("x", T.FLOAT, ["n", 4]), ("z", T.FLOAT, ["m", 4])],
    [("y", T.FLOAT, ["n", 4]), ("v", T.FLOAT, ["m", 4])],
)
CONTROLLED = (
    [("Mul", ["x", "START"], ["y"], {})],
    [("x", T.FLOAT, ["n", 4]), ("START", T.FLOAT, ["n", 1])],
    ROW[1],
)
FOLLOWED, NUMBERED = (
    (
        [("Identity", ["x"], ["y"], {}), ("Identity", ["id"], ["who"], {})],
        [("x", T.FLOAT, ["n", 4]), ("id", kind, ["n", 1])],
        [("y", T.FLOAT, ["n", 4]), ("who", kind, ["n", 1])],
    )
    for kind in (T.STRING, T.INT64)
)
HELD = (
    [("Add", ["x", "before"], ["after"], {}), ("Identity", ["after"], ["y"], {})],
    [("x", T.FLOAT, ["n", 4]), ("before", T.FLOAT, ["n", 4])],
    [("y", T.FLOAT, ["n", 4]), ("after", T.FLOAT, ["n", 4])],
)
COUNTED = (
    [("Cast", ["many"], ["f"], {"to": T.FLOAT}), ("Mul", ["x", "f"], ["y"], {})],
    [("x", T.FLOAT, ["n"]), ("many", T.INT32, ["n"])],
    [("y", T.FLOAT, ["n"])],
)
GONE = (
    [("Constant", [], ["none"], {"value_ints": [0]}), ("ConstantOfShape", ["none"], ["y"], {})],
    ROW[0],
    [("y", T.FLOAT, [0])],
)
ZERO = (ADD, [("x", T.FLOAT, ["n", 0])], [("y", T.FLOAT, ["n", 0])])
HALF = (
    [("Cast", ["x"], ["y"], {"to": T.BFLOAT16})],
    ROW[0],
    [("y", T.BFLOAT16, ["n", 4])],
)
HIDDEN = (
    [*ADD, ("Cast", ["x"], ["b"], {"to": T.BFLOAT16})],
    ROW[0],
    [*ROW[1], ("b", T.BFLOAT16, ["n", 4])],
)
# What ONNX infers of the output is one row, which the file does not say.
INFERRED = (
    [("ReduceSum", ["x"], ["y"], {"keepdims": 1})],
    ROW[0],
    [("y", T.FLOAT, ["n", "m"])],
)


def stating(*dims):
    """Return a graph which ONNX Runtime changes, and that states another shape than it gives."""
    nodes = [("Identity", ["x"], ["h"], {}), ("Relu", ["h"], ["y"], {})]
    return nodes, [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, list(dims))]


def starts(kind="fp32_false_true: [ 0, 1 ]", name="START"):
    """Write a control of sequences."""
    return (
        f'sequence_batching {{ direct {{ }} control_input {{ name: "{name}"'
        f" control {{ kind: CONTROL_SEQUENCE_START {kind} }} }} }}"
    )


def follows(dtype):
    """Write a control that tells the sequence."""
    return (
        'sequence_batching { direct { } control_input { name: "id"'
        f" control {{ kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_{dtype} }} }} }}"
    )


def keeps(name="before", output="after", dtype="FP32", dims="4"):
    """Write a state of sequences."""
    return (
        f'sequence_batching {{ direct {{ }} state {{ input_name: "{name}" output_name: "{output}"'
        f" data_type: TYPE_{dtype} dims: [ {dims} ] initial_state {{ data_type: TYPE_{dtype}"
        f' dims: [ {dims} ] zero_data: true name: "i" }} }} }}'
    )


def counts(target="many", dtype="INT32"):
    """Write an input that Triton fills in with what it counts of a batch."""
    return (
        f'batch_input {{ kind: BATCH_ELEMENT_COUNT target_name: "{target}"'
        f' data_type: TYPE_{dtype} source_input: "x" }} dynamic_batching {{ }}'
    )


RAGGED = "allow_ragged_batch: true"
SCATTER = 'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "y" source_input: "x" }'
OPTIONAL = """
input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }
input { name: "w" data_type: TYPE_FP32 dims: [ 1, 4 ] optional: true }
"""
# By name: config, graph, the codes that are found, and places of what is.
CASES = {
    "fine": (tiny.config(4, "x FP32 4", "y FP32 4"), (ADD, *ROW), {}),
    "narrowed": (tiny.config(0, "x FP32 2,4", "y FP32 -1,4", ""), (ADD, *ROW), {}),
    "input_name": (
        tiny.config(4, "xx FP32 4", "y FP32 4"),
        (ADD, *ROW),
        {"FIT101": "input[xx].name"},
    ),
    "input_strange": (
        tiny.config(4, "other FP32 4", "y FP32 4"),
        (ADD, *ROW),
        {"FIT101": "input[other].name", "FIT103": "input"},
    ),
    "input_case": (
        tiny.config(4, "X FP32 4", "y FP32 4"),
        (ADD, *ROW),
        {"FIT101": "input[X].name"},
    ),
    "input_unnamed": (
        tiny.config(4, "x FP32 4", "y FP32 4").replace('input { name: "x"', "input {"),
        (ADD, *ROW),
        {"FIT101": "input[0].name"},
    ),
    "input_unnamed_otherwise": (
        tiny.config(4, "x INT8 4", "y FP32 4").replace('input { name: "x"', "input {"),
        (ADD, *ROW),
        {},  # which TEN101 tells
    ),
    "inputs_unnamed": (
        tiny.config(4, "x FP32 4;z FP32 4", "y FP32 4;v FP32 4").replace('{ name: "x"', "{", 1),
        TWO,
        {"FIT101": "input[0].name"},
    ),
    "output_unnamed": (
        tiny.config(4, "x FP32 4", "y FP32 4").replace('output { name: "y"', "output {"),
        (ADD, *ROW),
        {"FIT102": "output[0].name"},
    ),
    "negative": (tiny.config(-1, "x FP32 4", "y FP32 4", ""), (ADD, *ROW), {}),  # but GEN101
    "bfloat16_listed": (tiny.config(4, "x FP32 4", "y BF16 4"), HALF, {}),  # but TEN109
    "output_name": (
        tiny.config(4, "x FP32 4", "z FP32 4"),
        (ADD, *ROW),
        {"FIT102": "output[z].name"},
    ),
    "unlisted": (tiny.config(4, "x FP32 4", "y FP32 4"), TWO, {"FIT103": "input"}),
    "twice": (
        tiny.config(4, "x FP32 4;x FP32 4", "y FP32 4"),
        (ADD, *ROW),
        {},  # which TEN112 tells
    ),
    "input_type": (
        tiny.config(4, "x INT64 4", "y FP32 4"),
        (ADD, *ROW),
        {"FIT105": "input[x].data_type"},
    ),
    "output_type": (
        tiny.config(4, "x FP32 4", "y FP16 4"),
        (ADD, *ROW),
        {"FIT105": "output[y].data_type"},
    ),
    "with_batch": (
        tiny.config(4, "x FP32 -1,4", "y FP32 4"),
        (ADD, *ROW),
        {"FIT106": "input[x].dims"},
    ),
    "without_batch": (
        tiny.config(0, "x FP32 4", "y FP32 -1,4", ""),
        (ADD, *ROW),
        {"FIT106": "input[x].dims"},
    ),
    "input_size": (
        tiny.config(4, "x FP32 5", "y FP32 4"),
        (ADD, *ROW),
        {"FIT107": "input[x].dims[0]"},
    ),
    "input_open": (
        tiny.config(4, "x FP32 -1", "y FP32 4"),
        (ADD, *ROW),
        {"FIT107": "input[x].dims[0]"},
    ),
    "output_open": (
        tiny.config(4, "x FP32 4", "y FP32 -1"),
        (ADD, *ROW),
        {"FIT108": "output[y].dims[0]"},
    ),
    "output_inferred": (
        tiny.config(0, "x FP32 -1,4", "y FP32 -1,-1", ""),
        INFERRED,
        {"FIT108": "output[y].dims[0]"},
    ),
    "output_as_inferred": (tiny.config(0, "x FP32 -1,4", "y FP32 1,1", ""), INFERRED, {}),
    "reshaped": (
        tiny.config(4, "x FP32 2,2", "y FP32 4").replace(
            "dims: [ 2,2 ]", "dims: [ 2, 2 ] reshape { shape: [ 4 ] }"
        ),
        (ADD, *ROW),
        {},
    ),
    "reshaped_wrongly": (
        tiny.config(4, "x FP32 2,4", "y FP32 4").replace(
            "dims: [ 2,4 ]", "dims: [ 2, 4 ] reshape { shape: [ 8 ] }"
        ),
        (ADD, *ROW),
        {"FIT107": "input[x].reshape.shape[0]"},
    ),
    "fixed": (tiny.config(4, "x FP32 4", "y FP32 4"), FIXED, {"FIT109": "max_batch_size"}),
    "fixed_whole": (tiny.config(0, "x FP32 1,4", "y FP32 1,4", ""), FIXED, {}),
    "scalar": (tiny.config(0, "x FP32 1", "y FP32 1", ""), SCALAR, {}),
    "scalar_of_two": (
        tiny.config(0, "x FP32 2", "y FP32 1", ""),
        SCALAR,
        {"FIT110": "input[x].dims"},
    ),
    "scalar_in_batch": (
        tiny.config(4, "x FP32 1", "y FP32 1"),
        SCALAR,
        {"FIT202": "max_batch_size"},
    ),
    "ragged": (
        tiny.config(4, "x FP32 -1", "y FP32 -1").replace(
            "dims: [ -1 ] }", f"dims: [ -1 ] {RAGGED} }}", 1
        ),
        FLAT,
        {"FIT106": "output[y].dims"},
    ),
    "ragged_rows": (
        tiny.config(4, "x FP32 4", "y FP32 4").replace(
            "dims: [ 4 ] }", f"dims: [ 4 ] {RAGGED} }}", 1
        ),
        (ADD, *ROW),
        {"FIT111": "input[x].allow_ragged_batch"},
    ),
    "spare": (tiny.config(4, "x FP32 4", "y FP32 4"), SPARE, {}),
    "spare_listed": (
        tiny.config(0, "x FP32 -1,4;w FP32 1,4", "y FP32 -1,4", "").replace(
            'name: "w"', 'name: "w" optional: true'
        ),
        SPARE,
        {},
    ),
    "spare_needed": (
        tiny.config(0, "x FP32 -1,4;w FP32 1,4", "y FP32 -1,4", ""),
        SPARE,
        {"FIT104": "input[w]"},
    ),
    "spare_for_another": (
        tiny.config(0, "w FP32 1,4", "y FP32 -1,4", ""),
        SPARE,
        {"FIT207": "input"},
    ),
    "optional": (
        tiny.config(0, "x FP32 -1,4", "y FP32 -1,4", "").replace(
            'name: "x"', 'name: "x" optional: true'
        ),
        (ADD, *ROW),
        {"FIT104": "input[x].optional"},
    ),
    "stated_rank": (
        tiny.config(4, "x FP32 4", "y FP32 4"),
        stating("n"),
        {"FIT209": "output[y].dims"},
    ),
    "stated_size": (
        tiny.config(4, "x FP32 4", "y FP32 4"),
        stating("n", 5),
        {"FIT209": "output[y].dims"},
    ),
    "stated_by_one": (  # a graph that ONNX Runtime leaves as it is
        tiny.config(4, "x FP32 4", "y FP32 4"),
        (ADD, ROW[0], [("y", T.FLOAT, ["n", 5])]),
        {"FIT108": "output[y].dims[0]"},
    ),
    "stated_and_listed": (
        tiny.config(4, "x FP32 4", "y FP32 5"),
        stating("n", 5),
        {"FIT108": "output[y].dims[0]"},
    ),
    "controlled": (tiny.config(4, "x FP32 4", "y FP32 4", starts()), CONTROLLED, {}),
    "control_name": (
        tiny.config(4, "x FP32 4;START FP32 1", "y FP32 4", starts(name="START2")),
        CONTROLLED,
        {"FIT112": "sequence_batching.control_input[START2].name"},
    ),
    "control_type": (
        tiny.config(4, "x FP32 4", "y FP32 4", starts("int32_false_true: [ 0, 1 ]")),
        CONTROLLED,
        {"FIT112": "sequence_batching.control_input[START].control[0]"},
    ),
    "control_text": (
        tiny.config(4, "x FP32 4", "y FP32 4", follows("STRING")),
        FOLLOWED,
        {"FIT208": "sequence_batching.control_input[id].control[0]"},
    ),
    "control_number": (tiny.config(4, "x FP32 4", "y FP32 4", follows("INT64")), NUMBERED, {}),
    "control_listed": (
        tiny.config(4, "x FP32 4;START FP32 1", "y FP32 4", starts()),
        CONTROLLED,
        {},  # which SEQ113 tells
    ),
    "kept": (tiny.config(4, "x FP32 4", "y FP32 4", keeps()), HELD, {}),
    "state_name": (
        tiny.config(4, "x FP32 4", "y FP32 4", keeps(name="befor")),
        HELD,
        {"FIT205": "sequence_batching.state[0].input_name"},
    ),
    "state_output": (
        tiny.config(4, "x FP32 4", "y FP32 4", keeps(output="next")),
        HELD,
        {"FIT205": "sequence_batching.state[0].output_name"},
    ),
    "state_type": (
        tiny.config(4, "x FP32 4", "y FP32 4", keeps(dtype="INT32")),
        HELD,
        {"FIT205": "sequence_batching.state[0].data_type"},
    ),
    "state_shape": (
        tiny.config(4, "x FP32 4", "y FP32 4", keeps(dims="5")),
        HELD,
        {"FIT203": "sequence_batching.state[0].dims"},
    ),
    "counted": (
        tiny.config(4, "x FP32 1", "y FP32 1", counts()).replace(
            "dims: [ 1 ] }", "dims: [ 1 ] reshape { } }"
        ),
        COUNTED,
        {},
    ),
    "count_name": (
        tiny.config(4, "x FP32 1", "y FP32 1", counts(target="few")).replace(
            "dims: [ 1 ] }", "dims: [ 1 ] reshape { } }"
        ),
        COUNTED,
        {"FIT206": "batch_input[0].target_name[0]"},
    ),
    "count_type": (
        tiny.config(4, "x FP32 1", "y FP32 1", counts(dtype="FP32")).replace(
            "dims: [ 1 ] }", "dims: [ 1 ] reshape { } }"
        ),
        COUNTED,
        {"FIT204": "batch_input[0].data_type"},
    ),
    "apart": (
        tiny.config(4, "x FP32 4;z FP32 4", "y FP32 4;v FP32 4"),
        TWO,
        {"FIT201": "max_batch_size"},
    ),
    "bare": (None, (ADD, *ROW), {}),
    "bare_fixed": (None, FIXED, {}),
    "open": ('backend: "onnxruntime"\n', (ADD, *ROW), {}),
    "open_fixed": (
        'backend: "onnxruntime"\nmax_batch_size: 2\n',
        FIXED,
        {"FIT117": "max_batch_size"},
    ),
    "open_outputs": (
        'backend: "onnxruntime"\ninput { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }\n',
        (ADD, *ROW),
        {},
    ),
    # the server then batches: max_batch_size becomes 4
    "open_outputs_whole": (
        'backend: "onnxruntime"\ninput { name: "x" data_type: TYPE_FP32 dims: [ -1, 4 ] }\n',
        (ADD, *ROW),
        {"FIT106": "input[x].dims"},
    ),
    "bfloat16": (None, HALF, {"FIT116": ""}),
    "bfloat16_unlisted": (tiny.config(4, "x FP32 4", "y FP32 4"), HIDDEN, {}),
    "empty": (None, ZERO, {"FIT118": ""}),
    "empty_scattered": (
        tiny.config(4, "x FP32 4", "y FP32 4").replace(
            "dynamic_batching", f"{SCATTER} dynamic_batching"
        ),
        GONE,
        {},
    ),
    # the server then batches
    "open_optional": (
        OPTIONAL,
        SPARE,
        {"FIT119": "input[w].optional"},
    ),
    "optional_strange": (
        tiny.config(0, "x FP32 -1,4;w FP32 1,4", "y FP32 -1,4", "").replace(
            'name: "w"', 'name: "w" optional: true'
        ),
        STRANGE,
        {"FIT105": "input[w].data_type", "FIT116": ""},
    ),
}


def sequence(folder):
    """Write a model that gives a sequence beside a tensor."""
    import onnx

    graph = helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["y"]),
            helper.make_node("SequenceConstruct", ["x"], ["s"]),
        ],
        "g",
        [helper.make_tensor_value_info(*ROW[0][0])],
        [
            helper.make_tensor_value_info(*ROW[1][0]),
            helper.make_tensor_sequence_value_info("s", T.FLOAT, None),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1").mkdir(parents=True)
    onnx.save(model, folder / "1" / "model.onnx")
    (folder / "config.pbtxt").write_text(tiny.config(4, "x FP32 4", "y FP32 4"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a repository of all cases."""
    root = tmp_path_factory.mktemp("cases")
    for name, (config, graph, _) in CASES.items():
        weights = [each for known, each in ((SPARE, WEIGHT), (STRANGE, HALVED)) if graph is known]
        tiny.place(root, name, config, *graph, initializers=weights)
    sequence(root / "sequence")
    return root


@pytest.fixture(scope="module")
def report(repository):
    return rulecases.checked(repository)


@pytest.mark.parametrize("name", CASES)
def test_misfits_are_found_at_their_places(report, name):
    found = [
        (each.rule.code, each.found.at)
        for each in report.findings
        if each.model == name and each.rule.code.startswith("FIT")
    ]
    assert sorted(set(found)) == sorted(CASES[name][2].items())


def test_names_that_leave_no_doubt_are_mended(report):
    named = {
        each.model: [(change.path, change.value) for change in each.found.changes]
        for each in report.findings
        if each.is_fixable and each.rule.code in {"FIT101", "FIT102"}
    }
    assert named == {
        "input_name": [("input[xx].name", '"x"')],
        "input_case": [("input[X].name", '"x"')],
        "input_unnamed": [("input[0].name", '"x"')],
        "inputs_unnamed": [("input[0].name", '"x"')],
        "output_unnamed": [("output[0].name", '"y"')],
    }


@pytest.mark.parametrize("name", ["sequence", "bfloat16", "empty"])
def test_what_a_file_alone_is_at_fault_for_is_of_the_file(report, name):
    found = {each.file.as_posix() for each in report.findings if each.model == name}
    assert found == {f"{name}/1/model.onnx"}


def test_an_output_that_is_no_tensor_is_found_though_no_config_lists_it(report):
    (found,) = [each for each in report.findings if each.model == "sequence"]
    assert found.rule.code == "FIT115"
    assert found.found.said == "the output 's' of the model is seq(tensor(float)), and no tensor"


def test_the_server_refuses_what_is_refused_and_nothing_else(embedded, repository, report):
    said = backend.refused(repository, embedded)
    names = set(re.findall(r"^model '(\w+)'", said, re.MULTILINE))
    assert names == rulecases.refused(report)


def test_scalars_are_taken_since_23_10(repository):
    before = rulecases.checked(repository, release.find("23.09"))
    assert rulecases.codes(before, "scalar") == ["FIT106"]
    assert rulecases.codes(before, "scalar_in_batch") == ["FIT109"]


@pytest.mark.parametrize(("batch", "told"), [(1, []), (2, ["WRM123"]), (5, ["WRM101"])])
def test_a_model_that_cannot_batch_is_warmed_up_row_by_row(tmp_path, batch, told):
    value = "value { data_type: TYPE_FP32 dims: [ 1, 4 ] zero_data: true }"
    warm = f'name: "w" batch_size: {batch} inputs {{ key: "x" {value} }}'
    tiny.place(tmp_path, "fixed", f'backend: "onnxruntime" model_warmup {{ {warm} }}', *FIXED)
    assert rulecases.codes(rulecases.checked(tmp_path), "fixed") == told
