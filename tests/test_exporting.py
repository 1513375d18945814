"""From sources to files that fit a target: what is pinned is read back from the file."""

from dataclasses import dataclass, replace

import nets
import numpy as np
import onnx
import pytest
import tiny
import torch
from onnx import TensorProto as T
from onnx import helper, numpy_helper
from torch import nn

from tritonforge import export, exporting, graph, reference, release
from tritonforge.errors import ExportError, GraphError, SpecError
from tritonforge.progress import silent
from tritonforge.sources import Loaded
from tritonforge.spec import Domain, ModelSpec, Range, parse_input

FEATURES = "features:FP32:batch,8"
IMAGE = "x:FP32:batch,16"
ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)


def spec(target="24.10", **more):
    return ModelSpec(source="m", target=release.find(target), **more)


def loaded(module, *inputs, asked=False, **examples):
    """Hand in a module with inputs as they are written on the command line."""
    return Loaded(
        module=module.eval(),
        inputs=tuple(map(parse_input, inputs)),
        examples=examples,
        asked=asked,
        weights="random",
        weights_sha256=None,
    )


def made(source, path, of=None):
    """Make a file and hold what is said of it against what is in it."""
    exported = exporting.make(source, of or spec(), path, silent)
    model = onnx.load(path)
    written = {each.domain: each.version for each in model.opset_import}
    assert (written[""], model.ir_version) == (exported.stamp.opset, exported.stamp.ir)
    assert graph.signature(model) == exported.signature
    onnx.checker.check_model(path, full_check=True)
    return exported


def refusal(source, path, of=None, error=ExportError):
    """Return the error of a source that cannot be made."""
    with pytest.raises(error) as caught:
        exporting.make(source, of or spec(), path, silent)
    return caught.value


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.onnx"


# --- what is pinned is what is written ------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "exporter", "opset", "ir"),
    [
        ("21.06", "dynamo", 14, 7),
        ("21.06", "torchscript", 14, 7),
        ("22.12", "dynamo", 17, 8),
        ("22.12", "torchscript", 17, 8),
        ("24.10", "dynamo", 18, 10),
        ("24.10", "torchscript", 20, 10),
        ("26.08", "dynamo", 18, 13),
        ("26.08", "torchscript", 20, 13),
    ],
)
def test_the_file_carries_the_opset_and_the_ir_of_the_target(path, target, exporter, opset, ir):
    exported = made(loaded(nets.Mlp(), FEATURES), path, spec(target, exporter=exporter))
    assert (exported.stamp.opset, exported.stamp.ir) == (opset, ir)
    assert exported.exporter.startswith(exporter)
    assert exported.signature.batch == "batch"
    with graph.session(path) as run:
        for rows in (1, 3):
            assert run({"features": np.ones((rows, 8), np.float32)})["output"].shape == (rows, 4)


def test_the_wished_opset_is_written_by_whichever_exporter_reaches_it(path):
    told = []

    def progress(what, done=None):
        told.append((what, done))

    exported = exporting.make(loaded(nets.Mlp(), FEATURES), spec(opset=9), path, progress)
    assert exported.stamp.opset == onnx.load(path).opset_import[0].version == 9
    assert exported.exporter == "torchscript"
    assert told == [("exporting with dynamo", None), ("exporting with torchscript", None)]


def test_what_torchscript_does_not_know_is_reached_by_a_conversion(path):
    module, _ = nets.scripted()
    exported = made(loaded(module, "x:FP32:batch,4"), path, spec("26.08", opset=24))
    assert exported.stamp.opset == 24
    assert exported.exporter == "torchscript, converted from opset 20"
    run = export.eager(module, ["x"], ["output"])
    with graph.session(path) as session:
        for sample in ({"x": ROWS}, {"x": -ROWS}):
            np.testing.assert_allclose(session(sample)["output"], run(sample)["output"], rtol=1e-4)


def test_an_opset_that_no_way_reaches_is_told(path):
    error = refusal(
        loaded(nets.Mlp(), FEATURES), path, spec(opset=7, exporter="dynamo"), GraphError
    )
    assert "onnx cannot convert from opset 18 to 7" in str(error)
    assert error.hint == "leave --opset out: release 24.10 takes opset 18"


def test_an_opset_beyond_the_target_is_refused(path):
    error = refusal(loaded(nets.Mlp(), FEATURES), path, spec("22.12", opset=18), SpecError)
    assert "opset 18 is not within 7 to 17" in str(error)
    assert not path.exists()


# --- models of different kinds --------------------------------------------------------------------


def test_names_and_domains_of_two_inputs_and_two_outputs(path):
    exported = made(loaded(nets.TwoByTwo(), "ids:INT64:batch,seq", "mask:INT64:batch,seq"), path)
    assert [each.name for each in exported.signature.outputs] == ["pooled", "hidden"]
    assert exported.signature.dynamic == ("batch", "seq")
    assert exported.domains == {"ids": Domain(kind="integers", low=0, high=50)}
    assert exported.sizes == {"batch": 2, "seq": 16}


def test_what_the_user_says_of_a_domain_counts(path):
    wish = spec(domains=(("ids", Domain(kind="integers", low=0, high=9)),))
    exported = made(
        loaded(nets.TwoByTwo(), "ids:INT64:batch,seq", "mask:INT64:batch,seq"), path, wish
    )
    assert exported.domains["ids"].high == 9


def test_a_scripted_module_keeps_its_branches(path):
    module, _ = nets.scripted()
    exported = made(loaded(module, "x:FP32:batch,4"), path, spec("22.12"))
    assert exported.exporter == "torchscript"
    assert len(exported.conditions) == 1
    assert {"If", "Loop"} <= {node.op_type for node in onnx.load(path).graph.node}


def test_a_scripted_module_is_nothing_for_dynamo(path):
    module, _ = nets.scripted()
    error = refusal(loaded(module, "x:FP32:batch,4"), path, spec(exporter="dynamo"))
    assert "ScriptModule" in str(error)
    assert "--exporter torchscript" in error.hint


def test_a_decision_by_values_is_told_with_its_line_and_not_traced_over(path):
    error = refusal(loaded(nets.Deciding(), "x:FP32:batch,4"), path)
    assert "the model decides by the values of a tensor at nets.py:" in str(error)
    assert "if x.sum() > 0:" in str(error)
    assert "torch.jit.script" in error.hint


@pytest.mark.parametrize(
    ("exporter", "operator"),
    [("dynamo", "aten.linalg_eig"), ("torchscript", "aten.linalg_eigvals")],
)
def test_an_operator_without_an_onnx_form_is_named(path, exporter, operator):
    error = refusal(loaded(nets.Exotic(), "x:FP32:batch,4,4"), path, spec(exporter=exporter))
    assert f"no ONNX form for the operator {operator}" in str(error)
    if exporter == "dynamo":
        assert "at nets.py:" in str(error)
        assert "torch.linalg.eigvals(x)" in str(error)


def test_a_frozen_dimension_that_was_asked_for_is_named(path):
    error = refusal(loaded(nets.Frozen(), IMAGE, asked=True), path)
    assert "'batch', dimension 0 of input 'x', becomes 2" in str(error)
    assert "x.shape" in error.hint


def test_a_frozen_batch_that_nobody_asked_for_costs_the_batching(path):
    exported = made(loaded(nets.Frozen(), IMAGE, x=np.ones((2, 16), np.float32)), path)
    assert exported.fixed == "'batch', dimension 0 of input 'x', becomes 2"
    assert exported.signature.batch is None
    assert exported.signature.inputs[0].dims == (2, 16)


class FrozenLength(nn.Module):
    def forward(self, ids):
        return torch.stack([ids[:, at] * at for at in range(ids.shape[1])], 1)


def test_a_frozen_dimension_that_nobody_asked_for_has_its_largest_size(path):
    source = replace(
        loaded(FrozenLength(), "ids:FP32:batch,seq"), ranges={"seq": Range(low=1, high=12)}
    )
    exported = made(source, path, spec(ranges=(("seq", Range(low=1, high=12)),)))
    assert exported.signature.inputs[0].dims == ("batch", 12)
    assert exported.fixed is None
    (note,) = exported.notes
    assert note.startswith("seq is always 12, pad requests to that: 'seq', dimension 1 of")


def test_a_frozen_dimension_whose_sizes_were_asked_for_is_named(path):
    source = loaded(FrozenLength(), "ids:FP32:batch,seq")
    error = refusal(source, path, spec(ranges=(("seq", Range(low=1, high=12)),)))
    assert "'seq', dimension 1 of input 'ids', becomes" in str(error)


class Summing(nn.Module):
    def forward(self, first, *others):
        return first + sum(others)


class Keyed(nn.Module):
    def forward(self, *, x, y=None):
        return x + 1 if y is None else y


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_arguments_that_have_no_name_of_their_own(path, exporter):
    inputs = [f"{name}:FP32:batch,4" for name in ("a", "b", "c")]
    made(loaded(Summing(), *inputs), path, spec(exporter=exporter))
    with graph.session(path) as run:
        np.testing.assert_array_equal(run(dict.fromkeys("abc", ROWS))["output"], ROWS * 3)


def test_arguments_that_go_by_name_only(path):
    made(loaded(Keyed(), "x:FP32:batch,4"), path)
    with graph.session(path) as run:
        np.testing.assert_array_equal(run({"x": ROWS})["output"], ROWS + 1)


class Ignoring(nn.Module):
    def forward(self, x, unused):
        del unused
        return x + 1


class Sparing(nn.Module):
    def forward(self, x, unused=None):
        del unused
        return x + 1


EXPORTERS = pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])


@EXPORTERS
@pytest.mark.parametrize("asked", [True, False])
def test_an_input_that_the_model_does_not_use_is_left_out_and_named(path, exporter, asked):
    source = loaded(Ignoring(), "x:FP32:batch,4", "unused:FP32:batch,4", asked=asked)
    wish = spec(exporter=exporter, inputs=source.inputs if asked else ())
    exported = made(source, path, wish)
    assert [each.name for each in exported.signature.inputs] == ["x"]
    assert exported.notes == ("input 'unused' is left out: the model does not use it",)
    with reference.opened(source, exported) as judge:
        np.testing.assert_array_equal(judge.run({"x": ROWS})["output"], ROWS + 1)


@EXPORTERS
def test_an_input_that_need_not_have_been_asked_for_is_an_error(path, exporter):
    source = loaded(Sparing(), "x:FP32:batch,4", "unused:FP32:batch,4", asked=True)
    error = refusal(source, path, spec(exporter=exporter, inputs=source.inputs))
    assert "the model does not use the input 'unused'" in str(error)
    assert error.hint == "leave it out of --input"


class Constant(nn.Module):
    def forward(self, x):
        del x
        return torch.ones(3)


@EXPORTERS
def test_a_model_that_uses_no_input_is_told(path, exporter):
    error = refusal(loaded(Constant(), "x:FP32:batch,4"), path, spec(exporter=exporter))
    assert "the model uses none of its inputs: x" in str(error)


@dataclass
class Found:
    boxes: torch.Tensor
    masks: torch.Tensor | None = None
    count: int = 3


class Returning(nn.Module):
    """Returns what `made_of` makes of x."""

    def __init__(self, made_of):
        super().__init__()
        self.made_of = made_of

    def forward(self, x):
        return self.made_of(x)


OUTPUT = "output {!r} is {}, and left out"
TYPED = "of type {}, no tensor"
INT = TYPED.format("int")


@EXPORTERS
@pytest.mark.parametrize(
    ("made_of", "outputs", "left_out"),
    [
        (lambda x: {3: x, 1: x * 2}, ["output_3", "output_1"], {}),
        (lambda x: (x * 2, None), ["output_0"], {"output_1": "None"}),
        (lambda x: {"a": x * 2, "b": None}, ["a"], {"b": "None"}),
        (
            lambda x: Found(x * 2),
            ["boxes"],
            {"masks": "None", "count": INT},
        ),
        (
            lambda x: (x * 2, {"p": [x + 1, (x + 2, None)], "q": x}),
            ["output_0", "output_1_p_0", "output_1_p_1_0", "output_1_q"],
            {"output_1_p_1_1": "None"},
        ),
        (
            lambda x: {"y": x + 1, "n": 3, "f": 0.5, "b": True, "s": "text", "rows": x.shape[0]},
            ["y"],
            {"n": INT, "f": TYPED.format("float"), "b": TYPED.format("bool")}
            | {"s": TYPED.format("str"), "rows": INT},
        ),
        (lambda x: (x.shape[1], [x + 1, x + 2]), ["output_1_0", "output_1_1"], {"output_0": INT}),
        (lambda x: (x + 1, {x.dtype}), ["output_0"], {"output_1": TYPED.format("set")}),
    ],
)
def test_outputs_of_every_form_and_those_that_are_none(path, exporter, made_of, outputs, left_out):
    source = loaded(Returning(made_of), "x:FP32:batch,4")
    exported = made(source, path, spec(exporter=exporter))
    assert [each.name for each in exported.signature.outputs] == outputs
    assert exported.notes == tuple(OUTPUT.format(*each) for each in left_out.items())
    with reference.opened(source, exported) as judge, graph.session(path) as session:
        want, got = judge.run({"x": ROWS}), session({"x": ROWS})
        for name in outputs:
            np.testing.assert_array_equal(got[name], want[name])


class Dropping(nn.Module):
    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(x), 3


@EXPORTERS
def test_a_module_that_is_flattened_is_in_eval_mode_still(path, exporter):
    source = loaded(Dropping(), "x:FP32:batch,4")
    exported = made(source, path, spec(exporter=exporter))
    assert not any(each.training for each in source.module.modules())
    with reference.opened(source, exported) as judge:
        np.testing.assert_array_equal(judge.run({"x": ROWS})["output_0"], ROWS)


class Fixing(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1) + torch.zeros(2, 1)


def test_what_tracing_freezes_inside_is_left_to_the_proof_but_inputs_are_held(path):
    source = loaded(Fixing(), "x:FP32:batch,4")
    assert made(source, path, spec(exporter="torchscript")).signature.inputs[0].dims == ("batch", 4)


def test_a_model_that_fails_on_its_inputs_is_told(path):
    error = refusal(loaded(nets.Mlp(), "features:FP32:batch,7"), path)
    assert "the model itself fails on [2, 7]" in str(error)


class Narrow(nn.Module):
    def forward(self, x):
        return x.to(torch.bfloat16)


def test_an_output_that_triton_cannot_take_is_told(path):
    error = refusal(loaded(Narrow(), "x:FP32:batch,4"), path, error=GraphError)
    assert "output 'output' is BFLOAT16" in str(error)
    assert "Cast" in error.hint


def test_a_size_that_a_range_forbids_is_not_exported_with(path):
    wish = spec(ranges=(("seq", Range(low=40, high=50)),))
    exported = made(
        loaded(nets.TwoByTwo(), "ids:INT64:batch,seq", "mask:INT64:batch,seq"), path, wish
    )
    assert 40 <= exported.sizes["seq"] <= 50


def test_a_source_that_holds_nothing(path):
    assert "neither a module nor a file" in str(
        refusal(Loaded(weights="none", weights_sha256=None), path)
    )


# --- files of others ------------------------------------------------------------------------------


def foreign(path):
    return Loaded(path=path, weights=f"file {path}", weights_sha256=None)


def saved(folder, opset=17, ir=8, op="Add", inputs=("x", "x"), **more):
    """Save a model of one node."""
    infos = [helper.make_tensor_value_info(name, T.FLOAT, ["n", 4]) for name in "xy"]
    node = helper.make_node(op, list(inputs), ["y"], **more)
    model = helper.make_model(
        helper.make_graph([node], "g", infos[:1], infos[1:]),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=ir,
    )
    folder.mkdir(exist_ok=True)
    onnx.save(model, folder / "given.onnx")
    return folder / "given.onnx"


def test_a_file_within_the_limits_is_taken_as_it_is(tmp_path, path):
    given = tiny.save(tmp_path / "given.onnx", *tiny.DOUBLE)
    exported = made(foreign(given), path)
    assert exported.exporter == "as given"
    assert path.read_bytes() == given.read_bytes()
    assert exported.fixed is None


@pytest.mark.parametrize(
    ("target", "given", "wanted", "said"),
    [
        ("24.10", (17, 11), (17, 10), "as given, IR 11 stamped 10"),
        ("24.10", (22, 10), (21, 10), "converted from opset 22"),
        ("22.12", (18, 10), (17, 8), "converted from opset 18, IR 10 stamped 8"),
        ("24.10", (9, 4), (9, 4), "as given"),
    ],
)
def test_a_file_beyond_the_limits_is_brought_within(tmp_path, path, target, given, wanted, said):
    op = "Softmax" if given[0] > 13 else "Relu"
    exported = made(foreign(saved(tmp_path / "a", *given, op=op, inputs="x")), path, spec(target))
    assert (exported.stamp.opset, exported.stamp.ir) == wanted
    assert exported.exporter == said


def test_a_file_is_converted_to_the_wished_opset(tmp_path, path):
    exported = made(foreign(tiny.save(tmp_path / "g.onnx", *tiny.DOUBLE)), path, spec(opset=20))
    assert (exported.stamp.opset, exported.exporter) == (20, "converted from opset 17")
    with graph.session(path) as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], ROWS * 2)


def test_an_opset_that_a_file_does_not_need_is_left_out(tmp_path, path):
    given = foreign(tiny.save(tmp_path / "g.onnx", *tiny.DOUBLE))
    error = refusal(given, path, spec(opset=7), GraphError)
    assert "onnx cannot convert from opset 17 to 7" in str(error)
    assert error.hint == "leave --opset out: release 24.10 takes opset 17"


def test_a_file_that_is_too_new_to_convert_is_told(tmp_path, path):
    given = saved(tmp_path / "a", 22, 10, op="Abs", inputs="x")
    model = onnx.load(given)
    model.opset_import[0].version = 24
    model.graph.node[0].op_type = "TensorScatter"
    model.graph.node[0].input.append("x")
    onnx.save(model, given)
    error = refusal(foreign(given), path, error=GraphError)
    assert "onnx cannot convert from opset 24 to 21" in str(error)
    assert "TensorScatter" in str(error)
    assert "choose a newer --target" in error.hint


def test_an_operator_that_is_newer_than_the_target_is_written_out(tmp_path, path):
    given = saved(tmp_path / "a", 23, 11, op="Abs", inputs="x")
    model = onnx.load(given)
    model.opset_import[0].version = 24
    model.graph.node[0].op_type = "Swish"
    onnx.save(model, given)
    exported = made(foreign(given), path)
    assert exported.stamp.opset <= 21
    assert {node.op_type for node in onnx.load(path).graph.node} >= {"Sigmoid", "Mul"}


def test_a_file_of_newer_classic_operators_than_the_target_knows_is_told(tmp_path, path):
    given = saved(tmp_path / "a", op="Normalizer", inputs="x", domain="ai.onnx.ml", norm="MAX")
    model = onnx.load(given)
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 5))
    onnx.save(model, given)
    assert made(foreign(given), path).stamp.ml_opset == 5
    error = refusal(foreign(given), path, spec("22.12"), GraphError)
    assert "the file says ai.onnx.ml 5, release 22.12 takes 3 at most" in str(error)
    assert "--target" in error.hint


def with_external(folder, **entries):
    """Save a model whose one weight lies beside it."""
    given = saved(folder, op="Mul", inputs=("x", "w"))
    model = onnx.load(given)
    weight = numpy_helper.from_array(np.full(4, 3, np.float32), "w")
    (folder / "weights.bin").write_bytes(weight.raw_data)
    weight.ClearField("raw_data")
    weight.data_location = T.EXTERNAL
    for key, value in {"location": "weights.bin", "offset": "0", "length": "16", **entries}.items():
        weight.external_data.add(key=key, value=value)
    model.graph.initializer.append(weight)
    given.write_bytes(model.SerializeToString())
    return given


def test_weights_beside_a_file_come_inside(tmp_path, path):
    exported = made(foreign(with_external(tmp_path / "a")), path)
    assert exported.exporter == "as given"
    assert graph.external_files(path) == ()
    with graph.session(path) as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], ROWS * 3)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"location": "../weights.bin"}, "outside its folder"),
        ({"location": "/etc/passwd"}, "outside its folder"),
        ({"location": "other.bin"}, "which is missing"),
        ({"length": "17"}, "has 17 bytes for 'w', whose shape takes 16"),
        ({"offset": "4"}, "needs more weights than"),
        ({"length": "many"}, "says of 'w' that it begins at '0' and takes 'many' bytes"),
        ({"offset": "-8"}, "says of 'w' that it begins at '-8' and takes '16' bytes"),
        ({"length": "12"}, "has 12 bytes for 'w', whose shape takes 16"),
    ],
)
def test_weights_that_are_wrong_are_told(tmp_path, path, entries, said):
    error = refusal(foreign(with_external(tmp_path / "a", **entries)), path, error=GraphError)
    assert said in str(error)


@pytest.mark.parametrize("content", [b"", b"text", b"\x08\x08"])
def test_a_file_that_is_no_model_is_told(tmp_path, path, content):
    given = tmp_path / "given.onnx"
    given.write_bytes(content)
    assert "given.onnx is " in str(refusal(foreign(given), path, error=GraphError))


def test_a_file_that_gives_a_sequence_is_told(tmp_path, path):
    given = saved(tmp_path / "a", op="SequenceConstruct", inputs="x")
    model = onnx.load(given)
    model.graph.output[0].CopyFrom(helper.make_tensor_sequence_value_info("y", T.FLOAT, None))
    onnx.save(model, given)
    error = refusal(foreign(given), path, error=GraphError)
    assert "output 'y' is a sequence" in str(error)


def test_a_file_of_an_unknown_operator_is_told(tmp_path, path):
    given = saved(tmp_path / "a", op="Mine", inputs="x", domain="mine")
    error = refusal(foreign(given), path, error=GraphError)
    assert "given.onnx" in str(error)  # not by the name of the copy
    assert "--exporter" not in error.hint


@pytest.mark.parametrize("saturate", [1, 0])
def test_an_attribute_that_an_older_operator_lacks_is_dropped_where_it_says_nothing(
    tmp_path, path, saturate
):
    given = saved(tmp_path / "a", 19, 9, op="Cast", inputs="x", to=T.FLOAT, saturate=saturate)
    wished = spec("23.04")
    if saturate:
        assert made(foreign(given), path, wished).stamp.opset == 18
        assert [each.name for each in onnx.load(path).graph.node[0].attribute] == ["to"]
    else:
        error = refusal(foreign(given), path, wished, GraphError)
        assert "Cast has no saturate at opset 18" in str(error)
