"""Files made by hand against references in numpy: the gate, the batch, both sides of every If."""

from dataclasses import replace

import nets
import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import helper

from tritonforge import export, exporting, graph, proving, release
from tritonforge.errors import ExportError, GateError, GraphError
from tritonforge.progress import silent
from tritonforge.proving import Case
from tritonforge.sources import Loaded
from tritonforge.spec import Domain, ModelSpec, Range, Tolerance, parse_input

ROW = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]


def constant(name, value, kind=T.FLOAT):
    array = np.array(value)
    return helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


@pytest.fixture
def case(tmp_path):
    """Return a maker of cases from nodes and tensors."""

    def make(nodes, inputs=ROW[0], outputs=ROW[1], initializers=(), **more):
        path = tiny.save(tmp_path / "m.onnx", nodes, inputs, outputs, initializers)
        return opened(path, **more)

    return make


def opened(path, **more):
    """Make a case of a file as a build does."""
    model = graph.load(path)
    signature = graph.signature(model)
    plain = Case(
        path=path,
        signature=signature,
        conditions=graph.conditions(model),
        domains={},
        ranges={"n": Range(high=8)},
        tolerance=Tolerance(),
        max_batch_size=8,
        sample_seed=0,
        export_sizes=dict.fromkeys(signature.dynamic, 2),
    )
    return replace(plain, **more)


def prove(case, function):
    """Prove against a function of the inputs that gives `y`."""
    return proving.prove(case, lambda arrays: {"y": function(**arrays)}, silent)


def double(x):
    return x * np.float32(2)


# --- what agrees ----------------------------------------------------------------------------------


def test_a_model_that_batches_is_proven_at_many_sizes(case):
    seen, told = [], []

    def reference(arrays):
        seen.append(len(arrays["x"]))
        return {"y": double(arrays["x"])}

    def progress(what, done=None):
        told.append((what, done))

    proof = proving.prove(case(*tiny.DOUBLE), reference, progress)
    assert (proof.max_batch_size, proof.unbatched, proof.notes) == (8, None, ())
    assert seen == [1, 2, 5, 8, 1, 1, 1]  # the sweep, two more seeds, the golden sample
    assert proof.report.passed
    assert proof.report.samples == 6
    assert told[0] == ("proving sample 1 of 6", 0)
    assert len({done for _, done in told}) == 6


def test_the_golden_sample_is_one_row_and_what_the_original_made_of_it(case):
    proof = prove(case(*tiny.DOUBLE), double)
    inputs, outputs = proof.golden
    assert inputs["x"].shape == (1, 4)
    np.testing.assert_array_equal(outputs["y"], inputs["x"] * 2)


def test_the_same_seed_proves_with_the_same_samples(case):
    first, again = (prove(case(*tiny.DOUBLE), double) for _ in "ab")
    np.testing.assert_array_equal(first.golden[0]["x"], again.golden[0]["x"])
    other = prove(case(*tiny.DOUBLE, sample_seed=1), double)
    assert not np.array_equal(first.golden[0]["x"], other.golden[0]["x"])


def test_every_other_dynamic_dimension_is_swept(case):
    sizes = set()

    def watched(x):
        sizes.add(x.shape)
        return x + x

    dims = [["n", "s"]] * 2
    nodes = [("Add", ["x", "x"], ["y"], {})]
    wide = case(
        nodes,
        [("x", T.FLOAT, dims[0])],
        [("y", T.FLOAT, dims[1])],
        ranges={"s": Range(low=3, high=9)},
    )
    proof = prove(wide, watched)
    assert proof.report.passed
    assert {shape[1] for shape in sizes} == {3, 5, 6, 9}


# --- what is found only now and then --------------------------------------------------------------

KEEP = [
    ("ReduceMean", ["x"], ["mean"], {"axes": [1], "keepdims": 0}),
    ("Greater", ["mean", "t"], ["more"], {}),
    ("Compress", ["x", "more"], ["y"], {"axis": 0}),
]


def finding(case, threshold):
    """Prove a model that keeps the rows whose mean is above a threshold."""
    made = case(
        KEEP,
        [("x", T.FLOAT, [1, 4])],
        [("y", T.FLOAT, ["found", 4])],
        [constant("t", np.float32(threshold))],
        sample_seed=0,
    )
    return prove(made, lambda x: x[x.mean(1) > threshold])


def test_more_samples_are_drawn_until_something_is_found(case):
    proof = finding(case, 0.3)
    (output,) = proof.report.outputs
    assert proof.report.samples == 5
    assert output.elements == 4
    assert output.verdict == "pass"
    assert proof.golden[1]["y"].size == 4
    assert proof.notes == ()


def test_an_output_that_was_always_empty_has_not_passed(case):
    proof = finding(case, 1e9)
    (output,) = proof.report.outputs
    assert proof.report.samples == 11
    assert (output.elements, output.verdict) == (0, "empty")
    assert proof.report.uncompared == ("y",)
    (note,) = proof.notes
    assert note.startswith("output 'y' was empty in every sample: nothing of it was compared")


# --- what differs ---------------------------------------------------------------------------------


def test_numbers_that_differ_are_in_the_report(case):
    proof = prove(case(*tiny.DOUBLE), lambda x: x * np.float32(2.1))
    assert not proof.report.passed
    assert proof.report.outputs[0].mismatched > 0


def test_a_tolerance_that_was_given_counts(case):
    proof = prove(case(*tiny.DOUBLE, tolerance=Tolerance(atol=10)), lambda x: x * np.float32(2.1))
    assert proof.report.passed


def test_a_dimension_frozen_inside_is_named(case):
    frozen = case(
        [("Reshape", ["x", "shape"], ["y"], {})],
        initializers=[constant("shape", [2, 4], T.INT64)],
    )
    with pytest.raises(ExportError) as caught:
        prove(frozen, lambda x: x)
    assert str(caught.value) == (
        "dimension 'n' was frozen at export: the file works at 2, not at 1"
    )
    assert "--range n=LOW..HIGH" in caught.value.hint


LOOKUP = {
    "nodes": [("Add", ["x", "x"], ["twice"], {}), ("Gather", ["table", "twice"], ["y"], {})],
    "inputs": [("x", T.INT64, ["n", "k"])],
    "outputs": [("y", T.FLOAT, ["n", "k"])],
    "initializers": [constant("table", [0.0] * 10)],
}


@pytest.mark.parametrize(
    ("domain", "words", "hint"),
    [
        (Domain(kind="integers", low=0, high=90), "'x' was drawn from integers 0..90", "--domain"),
        (
            Domain(kind="recorded", values=(np.array([[1, 2]]), np.array([[1, 7]]))),
            "'x' was taken from --sample",
            "values of x that the model takes, for its --sample",
        ),
    ],
)
def test_values_that_the_model_does_not_take_are_told_from_sizes(case, domain, words, hint):
    lookup = case(**LOOKUP, domains={"x": domain})
    with graph.session(lookup.path) as run, pytest.raises(GraphError, match=words) as caught:
        proving.prove(lookup, run, silent)
    assert "out of data bounds" in caught.value.message
    assert hint in caught.value.hint


def test_values_that_onnx_itself_does_not_take_have_a_hint_too(case):
    """Its reference implementation, which judges files that are too new, has none of its own."""
    lookup = case(**LOOKUP, domains={"x": Domain(kind="integers", low=0, high=90)})
    with pytest.raises(GraphError, match="'x' was drawn from integers") as caught:
        proving.prove(lookup, graph.evaluator(lookup.path), silent)
    assert caught.value.hint == "give recorded values by --sample"


def test_another_shape_than_the_models_is_told(case):
    with pytest.raises(GateError, match="output 'y' has not the model's shape") as caught:
        prove(case(*tiny.DOUBLE), lambda x: x[:, :1])
    assert "where the model gives [1, 1]" in caught.value.hint


def test_a_reference_that_gives_something_else_is_told(case):
    with pytest.raises(GateError, match="output 'z' is missing; there are y"):
        proving.prove(case(*tiny.DOUBLE), lambda arrays: {"z": arrays["x"]}, silent)
    with pytest.raises(GateError, match="'y' is float32"):
        prove(case(*tiny.DOUBLE), lambda x: (x * 2).astype(np.float64))


# --- batching -------------------------------------------------------------------------------------


def test_rows_that_depend_on_each_other_cannot_batch(case):
    mixing = case(
        [("ReduceMean", ["x"], ["m"], {"axes": [0]}), ("Sub", ["x", "m"], ["y"], {})],
    )
    proof = prove(mixing, lambda x: x - x.mean(axis=0, keepdims=True))
    assert proof.report.passed
    assert proof.max_batch_size == 0
    assert proof.unbatched.startswith("a row's result depends on the rest of its batch (output 'y'")


def test_a_sum_over_the_batch_cannot_batch(case):
    summing = case(
        [("ReduceSum", ["x"], ["y"], {"keepdims": 1})],
        outputs=[("y", T.FLOAT, ["m", 1])],
    )
    proof = prove(summing, lambda x: x.sum(keepdims=True))
    assert (proof.max_batch_size, proof.unbatched) == (
        0,
        "output 'y' has (1,) rows for a batch of 8",
    )


def test_an_output_that_pads_to_its_batch_cannot_batch(case):
    """The second dimension is as long as the batch: two rows alone are narrower than together."""
    square = case(
        [("Transpose", ["x"], ["t"], {"perm": [1, 0]}), ("MatMul", ["x", "t"], ["y"], {})],
        outputs=[("y", T.FLOAT, ["n", "m"])],
    )
    proof = prove(square, lambda x: x @ x.T)
    assert proof.unbatched == "output 'y' changes its shape with the batch"


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ([2, 4], [2, 4], "the first dimension of input 'x' is fixed at 2"),
        ([], [], "input 'x' is a scalar"),
    ],
)
def test_why_a_signature_cannot_batch(case, inputs, outputs, reason):
    nodes = [("Add", ["x", "x"], ["y"], {})]
    proof = prove(case(nodes, [("x", T.FLOAT, inputs)], [("y", T.FLOAT, outputs)]), double)
    assert (proof.max_batch_size, proof.unbatched) == (0, reason)
    assert proof.report.passed


def test_a_scalar_output_or_two_batches_cannot_batch(case):
    total = case([("ReduceSum", ["x"], ["y"], {"keepdims": 0})], outputs=[("y", T.FLOAT, [])])
    assert prove(total, lambda x: x.sum()).unbatched == "output 'y' is a scalar"
    two = case(
        [("Concat", ["a", "b"], ["y"], {"axis": 0})],
        [("a", T.FLOAT, ["n", 4]), ("b", T.FLOAT, ["m", 4])],
        [("y", T.FLOAT, ["k", 4])],
        ranges={"n": Range(high=3), "m": Range(high=3)},
    )
    proof = prove(two, lambda a, b: np.concatenate([a, b]))
    assert proof.unbatched == "the first dimensions of the inputs are not the same one"


def test_no_batch_was_asked_for(case):
    proof = prove(case(*tiny.DOUBLE, max_batch_size=0), double)
    assert (proof.max_batch_size, proof.unbatched) == (0, "max_batch_size 0 was asked for")


def test_a_batch_of_one_needs_no_independence(case):
    mixing = case(
        [("ReduceMean", ["x"], ["m"], {"axes": [0]}), ("Sub", ["x", "m"], ["y"], {})],
        max_batch_size=1,
    )
    proof = prove(mixing, lambda x: x - x.mean(axis=0, keepdims=True))
    assert (proof.max_batch_size, proof.unbatched) == (1, None)


# --- both sides of every If -----------------------------------------------------------------------


def deciding(path, threshold, otherwise=1.0, whole_batch=True):
    """Write: the sum above a threshold gives x * 2, else x - `otherwise`."""

    def side(op, value):
        nodes = [
            helper.make_node("Constant", [], ["k"], value=constant("k", value)),
            helper.make_node(op, ["x", "k"], ["r"]),
        ]
        given = helper.make_tensor_value_info("r", T.FLOAT, ["n", 4])
        return helper.make_graph(nodes, op, [], [given])

    decide = [
        helper.make_node("ReduceSum", ["x"], ["s"], keepdims=0),
        helper.make_node("Constant", [], ["t"], value=constant("t", threshold)),
        helper.make_node("Greater", ["s", "t"], ["above"]),
    ]
    node = helper.make_node(
        "If", ["above"], ["y"], then_branch=side("Mul", 2.0), else_branch=side("Sub", otherwise)
    )
    x, y = (helper.make_tensor_value_info(name, T.FLOAT, ["n", 4]) for name in "xy")
    model = helper.make_model(
        helper.make_graph([*decide, node] if whole_batch else [node], "g", [x], [y]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    onnx.save(model, path)
    return path


def decide(threshold):
    def reference(x):
        return x * np.float32(2) if x.sum() > threshold else x - np.float32(1)

    return reference


def test_both_sides_are_taken_and_a_decision_over_the_batch_forbids_batching(tmp_path):
    taken = set()

    def reference(x):
        taken.add(bool(x.sum() > 0))
        return decide(0)(x)

    proof = prove(opened(deciding(tmp_path / "m.onnx", 0.0)), reference)
    assert taken == {True, False}
    assert proof.report.passed
    assert proof.notes == ()
    assert proof.unbatched.startswith("a row's result depends on the rest of its batch")


def test_a_side_that_differs_is_found_though_it_is_rare(tmp_path):
    """One sample in some twenty takes the other side, which the file has wrong."""
    rare = opened(deciding(tmp_path / "m.onnx", -3.0, otherwise=1.5), max_batch_size=0)
    with pytest.raises(GateError, match="with another branch taken, output 'y' differs"):
        prove(rare, decide(-3))


def test_a_side_that_no_sample_takes_is_noted(tmp_path):
    proof = prove(opened(deciding(tmp_path / "m.onnx", -1e9)), decide(-1e9))
    assert proof.report.passed
    (note,) = proof.notes
    assert note == (
        "no sample took the else branch decided by 'above';"
        " widen --domain, or --range where a size decides, so that the gate can see it"
    )


def test_a_wider_domain_takes_the_other_side(tmp_path):
    far = {"x": Domain(kind="uniform", low=-10.0, high=10.0)}
    proof = prove(opened(deciding(tmp_path / "m.onnx", -15.0), domains=far), decide(-15))
    assert proof.notes == ()


def test_a_side_that_a_size_decides_is_taken_by_the_sizes_of_the_plan(tmp_path):
    near = {"x": Domain(kind="uniform", low=0.9, high=1.1)}  # so that rows alone reach a sum of 12
    proof = prove(opened(deciding(tmp_path / "m.onnx", 12.0), domains=near), decide(12))
    assert proof.report.passed
    assert proof.notes == ()


def test_a_scripted_module_goes_through_both_branches(tmp_path):
    module, _ = nets.scripted()
    source = Loaded(
        module=module, inputs=(parse_input("x:FP32:n,4"),), weights="", weights_sha256=None
    )
    spec = ModelSpec(source="m", target=release.find("24.10"))
    exported = exporting.make(source, spec, tmp_path / "m.onnx", silent)
    run = export.eager(module, ["x"], ["output"])
    proof = proving.prove(opened(tmp_path / "m.onnx", conditions=exported.conditions), run, silent)
    assert proof.report.passed
    assert proof.notes == ()
    assert proof.max_batch_size == 0


def test_tracing_over_a_decision_does_not_pass(tmp_path):
    module = nets.Deciding().eval()
    source = Loaded(
        module=module, inputs=(parse_input("x:FP32:n,4"),), weights="", weights_sha256=None
    )
    spec = ModelSpec(source="m", target=release.find("24.10"), exporter="torchscript")
    exporting.make(source, spec, tmp_path / "m.onnx", silent)
    run = export.eager(module, ["x"], ["output"])
    assert not proving.prove(opened(tmp_path / "m.onnx"), run, silent).report.passed


# --- outputs restated -----------------------------------------------------------------------------


def stated(case, **dims):
    """State other output dims in the file of a case."""
    model = graph.load(case.path)
    graph.name_output_dims(model, dims)
    graph.write(model, case.path)
    return replace(case, signature=graph.signature(model))


def test_an_output_dimension_that_the_file_has_wrong_is_restated(case):
    nodes = [("Add", ["x", "x"], ["y"], {})]
    wrong = stated(
        case(nodes, [("x", T.FLOAT, ["n", "s"])], [("y", T.FLOAT, ["n", "s"])], ranges={}),
        y=("n", 16),
    )
    proof = prove(wrong, lambda x: x + x)
    assert proof.signature.outputs[0].dims == ("n", "s")
    assert graph.signature(graph.load(wrong.path)) == proof.signature
    graph.check(wrong.path)


def test_a_batch_that_the_file_has_wrong_is_restated_and_served(case):
    wrong = stated(case(*tiny.DOUBLE), y=(2, 4))
    assert wrong.signature.batch is None
    proof = prove(wrong, double)
    assert (proof.max_batch_size, proof.unbatched) == (8, None)
    assert proof.signature.outputs[0].dims == ("n", 4)
    assert len(proof.golden[0]["x"]) == 1


def test_an_output_dimension_that_follows_no_input_gets_a_name_of_its_own(case):
    nodes = [("Concat", ["x", "x"], ["y"], {"axis": 1})]
    wrong = stated(
        case(nodes, [("x", T.FLOAT, ["n", "s"])], [("y", T.FLOAT, ["n", "m"])], ranges={}),
        y=("n", 32),
    )
    proof = prove(wrong, lambda x: np.concatenate([x, x], axis=1))
    assert proof.signature.outputs[0].dims == ("n", "y_1")


def test_a_signature_that_is_right_leaves_the_file_alone(case):
    right = case(*tiny.DOUBLE)
    before = right.path.read_bytes()
    assert prove(right, double).signature == right.signature
    assert right.path.read_bytes() == before


def test_an_lstm_whose_length_the_exporter_froze_is_restated(tmp_path):
    module = nets.lstm().eval()
    source = Loaded(
        module=module, inputs=(parse_input("x:FP32:n,seq,4"),), weights="", weights_sha256=None
    )
    spec = ModelSpec(source="m", target=release.find("24.10"))
    exported = exporting.make(source, spec, tmp_path / "m.onnx", silent)
    assert exported.signature.outputs[0].dims == ("n", 17, 8)  # as it was exported
    run = export.eager(module, ["x"], ["output"])
    proof = proving.prove(opened(tmp_path / "m.onnx"), run, silent)
    assert proof.signature.outputs[0].dims == ("n", "seq", 8)
    assert proof.report.passed
    assert proof.max_batch_size == 8


# --- how exact the model itself is ----------------------------------------------------------------


def judged(case, rough, exact):
    """Prove against a rough reference whose double-precision form is known."""
    return proving.prove(
        case,
        lambda arrays: {"y": rough(arrays["x"])},
        silent,
        lambda: lambda arrays: {"y": exact(arrays["x"].astype(np.float64))},
    )


def test_a_difference_that_rounding_explains_is_no_failure(case):
    def rough(x):
        return double(x) + np.float32(0.01) * np.sin(x * np.float32(1e4))

    proof = judged(case(*tiny.DOUBLE), rough, lambda x: 2 * x)
    assert proof.report.passed
    assert 0.01 < proof.report.outputs[0].atol < 0.05
    assert any("away from double precision" in note for note in proof.notes)
    assert proof.max_batch_size == 8


def test_another_branch_is_judged_by_rounding_too(tmp_path):
    rare = opened(deciding(tmp_path / "m.onnx", 2.3), max_batch_size=1)
    decided = decide(2.3)

    def rough(arrays):
        x = arrays["x"]
        return {"y": decided(x) + np.float32(3.5e-4 if x.sum() > 2.3 else 9e-5)}

    def exact():
        return lambda arrays: {"y": decided(arrays["x"].astype(np.float64))}

    with pytest.raises(GateError, match="with another branch taken"):
        proving.prove(rare, rough, silent)
    assert proving.prove(rare, rough, silent, exact).report.passed


def test_rounding_is_measured_where_rows_change_places(case):
    """In double precision the two rows of one score come the other way round."""
    scores = np.array([0.9, 0.5, 0.5], np.float32)
    boxes = np.array([[1, 1], [50, 50], [99, 99]], np.float32)
    fixed = case(*tiny.DOUBLE[:1], [("x", T.FLOAT, [3, 4])], [("y", T.FLOAT, [3, 4])])
    order = [0, 2, 1]
    noise = proving.outputs.noise_of(
        fixed,
        lambda _: {"scores": scores, "boxes": boxes},
        lambda: lambda _: {"scores": scores[order], "boxes": boxes[order] + 0.01},
        [({}, 0)],
    )
    assert noise["boxes"] == pytest.approx(0.04, rel=1e-3)
    fewer = proving.outputs.noise_of(
        fixed,
        lambda _: {"scores": scores, "boxes": boxes},
        lambda: lambda _: {"scores": scores[:2], "boxes": boxes[:2]},
        [({}, 0)],
    )
    assert fewer == {}


def test_boxes_are_judged_by_rounding_from_the_start(case):
    """A server's samples are others than those of the build, and may be the ones that need it."""
    nodes = [
        ("Constant", [], ["scores"], {"value_floats": [0.9, 0.5, 0.4]}),
        ("Add", ["x", "x"], ["y"], {}),
    ]
    found = [("scores", T.FLOAT, [3]), ("y", T.FLOAT, [3, 4])]
    fixed = case(nodes, [("x", T.FLOAT, [3, 4])], found)
    scores = np.array([0.9, 0.5, 0.4], np.float32)
    proof = proving.prove(
        fixed,
        lambda arrays: {"scores": scores, "y": double(arrays["x"])},
        silent,
        lambda: lambda arrays: {"scores": scores, "y": 2 * arrays["x"] + 1e-3},
    )
    assert proof.report.noise == {"y": pytest.approx(0.004, rel=1e-3)}


def test_a_wrong_file_is_not_excused_by_rounding(case):
    proof = judged(case(*tiny.DOUBLE), lambda x: x * np.float32(2.01), lambda x: 2.01 * x)
    assert not proof.report.passed


def test_a_model_without_any_exactness_fails(case):
    def rough(x):
        return double(x) + np.sin(x * np.float32(1e4))

    assert not judged(case(*tiny.DOUBLE), rough, lambda x: 2 * x).report.passed


def test_a_model_that_gives_other_values_each_time_is_not_excused(case):
    calls = iter(range(1000))
    proof = judged(case(*tiny.DOUBLE), lambda x: double(x) + np.float32(next(calls)), double)
    assert not proof.report.passed
    assert not proof.steady


def test_a_tolerance_that_was_asked_for_is_not_raised(case):
    def rough(x):
        return double(x) + np.float32(0.01) * np.sin(x * np.float32(1e4))

    strict = case(*tiny.DOUBLE, tolerance=Tolerance(atol=1e-4))
    assert not judged(strict, rough, lambda x: 2 * x).report.passed


QUANTIZED = [
    ("QuantizeLinear", ["x", "step", "zero"], ["q"], {}),
    ("DequantizeLinear", ["q", "step", "zero"], ["d"], {}),
]
STEP = constant("step", 0.25), constant("zero", 0, T.INT8)


def advice(case, last, by):
    """Return the hint where a quantized model differs by so much."""
    made = case([*QUANTIZED, last], initializers=STEP)
    proof = prove(made, lambda x: np.round(x * 4) / 4 + np.float32(by))
    assert not proof.report.passed
    return proving.hint(proof.report, made.path, steady=proof.steady)


@pytest.mark.parametrize(("by", "said"), [(0.25, "1 step;"), (0.5, "2 steps;"), (0.3, "2 steps;")])
def test_a_quantized_output_differs_by_steps(case, by, said):
    told = advice(case, ("Identity", ["d"], ["y"], {}), by)
    assert told.startswith(f"output 'y' is quantized in steps of 0.25 and differs by {said}")
    assert told.endswith("--atol 0.25" if by == 0.25 else "--atol 0.5")


def test_a_quantized_model_may_differ_behind_its_steps(case):
    told = advice(case, ("Relu", ["d"], ["y"], {}), 0.25)
    assert told.startswith("the model is quantized: what lies between two steps")


# --- an original that leaves ----------------------------------------------------------------------


class Leaving:
    """An original that counts when it is asked, and when it leaves."""

    def __init__(self, function):
        self.function, self.told = function, []

    def run(self, arrays):
        self.told.append("asked")
        return {"y": self.function(arrays["x"])}

    def leave(self):
        self.told.append("left")


def test_an_original_that_leaves_is_asked_all_before_the_file_is_opened(case):
    one = case(*tiny.DOUBLE)
    original, said = Leaving(double), []
    proof = proving.prove(
        one, original.run, lambda text, _=None: said.append(text), leave=original.leave
    )
    stays = prove(one, double)
    assert original.told == ["asked"] * (len(original.told) - 1) + ["left"]
    assert (proof.report, proof.max_batch_size) == (stays.report, stays.max_batch_size)
    np.testing.assert_array_equal(proof.golden[1]["y"], stays.golden[1]["y"])
    asking = [text.startswith("asking the model for sample") for text in said]
    assert asking == sorted(asking, reverse=True)
    assert not [each for each in one.path.parent.iterdir() if each.is_dir()]


def test_an_original_that_leaves_is_asked_again_how_exact_it_is(case):
    def rough(x):
        return double(x) + np.float32(0.01) * np.sin(x * np.float32(1e4))

    one, original = case(*tiny.DOUBLE), Leaving(rough)
    proof = proving.prove(
        one,
        original.run,
        silent,
        lambda: lambda arrays: {"y": 2 * arrays["x"].astype(np.float64)},
        original.leave,
    )
    assert proof.report == judged(one, rough, lambda x: 2 * x).report
    assert proof.report.passed
    assert original.told[-3:] == ["asked", "asked", "left"]  # whether it is steady


def test_an_original_that_leaves_and_fails_on_a_sample_is_told_as_ever(case):
    def failing(_):
        raise GraphError("it divides by zero")

    with pytest.raises(GraphError, match=r"it divides by zero; 'x' was drawn from"):
        proving.prove(case(*tiny.DOUBLE), failing, silent, leave=lambda: None)


def test_both_sides_of_an_original_that_leaves_are_compared_too(tmp_path):
    original = Leaving(decide(0))
    one = opened(deciding(tmp_path / "m.onnx", 0.0))
    assert proving.prove(one, original.run, silent, leave=original.leave).notes == ()
    assert original.told.index("left") == len(original.told) - 1
    rare = opened(deciding(tmp_path / "r.onnx", -3.0, otherwise=1.5), max_batch_size=0)
    original = Leaving(decide(-3))
    with pytest.raises(GateError, match="with another branch taken, output 'y' differs"):
        proving.prove(rare, original.run, silent, leave=original.leave)
