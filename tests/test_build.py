"""Builds from end to end, on small models of different kinds."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import nets
import numpy as np
import onnx
import pytest
import tiny
from onnx import TensorProto as T
from onnx import numpy_helper

from tritonforge import graph, manifest, pbtxt, release, toolchain
from tritonforge.build import build
from tritonforge.check import check
from tritonforge.errors import (
    ConfigError,
    ExportError,
    GateError,
    GraphError,
    RepositoryError,
    SourceError,
)
from tritonforge.repository import Repository
from tritonforge.spec import Domain, ModelSpec, Range, parse_input
from tritonforge.stamp import sha256

NETS = str(Path(nets.__file__))


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "models")


def spec(source, **wishes):
    """Return what a user asks of a source, a factory of `nets` by its name."""
    source = source if ":" in source or "." in source else f"{NETS}:{source}"
    return ModelSpec(source=source, target=release.find("24.10"), **wishes)


def config_of(built):
    """Read the config that a build left."""
    return pbtxt.parse(built.entry.config_path.read_text())


def unfinished(repository):
    """Name what a build left unfinished."""
    return list(repository.path.parent.rglob("*.partial"))


def test_a_version_is_whole_and_says_what_it_is(repository):
    built = build(spec("mlp", seed=3), repository)
    folder = built.entry.version_dir
    assert sorted(path.name for path in folder.iterdir()) == [
        "golden.npz",
        "manifest.json",
        "model.onnx",
    ]
    record = manifest.read(folder)
    assert record == built.manifest
    model = onnx.load(folder / "model.onnx")
    assert (
        (record.opset, record.ir) == (model.opset_import[0].version, model.ir_version) == (18, 10)
    )
    assert record.config == built.entry.config_path.read_text()
    assert record.files["model.onnx"].sha256 == sha256(folder / "model.onnx")
    assert record.gate.passed
    assert record.gate.samples >= 5
    inputs, outputs = manifest.read_golden(folder)
    assert inputs["features"].shape == (1, 8)
    assert outputs["output"].shape == (1, 4)
    assert record.seed == 3
    assert config_of(built).max_batch_size == 16


def test_the_same_seed_gives_the_same_weights(repository):
    first, second, other = (
        build(spec("mlp", seed=seed, name=f"m{i}"), repository) for i, seed in enumerate((1, 1, 2))
    )
    assert first.manifest.weights_sha256 == second.manifest.weights_sha256
    assert first.manifest.weights_sha256 != other.manifest.weights_sha256


@pytest.mark.parametrize(("target", "opset", "ir"), [("22.12", 17, 8), ("26.08", 18, 13)])
def test_the_target_pins_opset_and_ir(repository, target, opset, ir):
    wish = replace(spec("mlp"), target=release.find(target))
    model = onnx.load(build(wish, repository).entry.version_dir / "model.onnx")
    assert (model.opset_import[0].version, model.ir_version) == (opset, ir)


def test_two_inputs_two_outputs_and_a_dynamic_length(repository):
    inputs = tuple(parse_input(f"{name}:INT64:batch,seq") for name in ("ids", "mask"))
    wish = spec(
        "two_by_two",
        inputs=inputs,
        ranges=(("seq", Range(low=1, high=24)),),
        domains=(("mask", Domain(kind="mask")),),
    )
    built = build(wish, repository)
    assert built.manifest.domains["ids"] == Domain(kind="integers", low=0, high=50)
    config = config_of(built)
    assert [list(each.dims) for each in config.input] == [[-1], [-1]]
    assert {each.name: list(each.dims) for each in config.output} == {
        "pooled": [6],
        "hidden": [-1, 6],
    }


def test_a_recurrent_model_keeps_its_length_dynamic(repository):
    wish = spec(
        "lstm", inputs=(parse_input("x:FP32:batch,seq,4"),), ranges=(("seq", Range(high=20)),)
    )
    assert list(config_of(build(wish, repository)).output[0].dims) == [-1, 8]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*")
def test_a_scripted_model_has_both_branches_compared_and_no_batching(repository):
    built = build(spec("scripted"), repository)
    assert built.manifest.exporter == "torchscript"
    assert "depends on the rest of its batch" in built.unbatched
    assert built.notes == ()
    kinds = {node.op_type for node in onnx.load(built.entry.version_dir / "model.onnx").graph.node}
    assert {"If", "Loop"} <= kinds


@pytest.mark.parametrize(
    ("factory", "reason"), [("mixer", "depends on the rest"), ("score", None)], ids=str
)
def test_whether_it_batches(repository, factory, reason):
    built = build(spec(factory), repository)
    assert (built.unbatched is None) == (reason is None)
    assert reason is None or reason in built.unbatched
    config = config_of(built)
    assert config.max_batch_size == (0 if reason else 16)
    assert config.HasField("dynamic_batching") == (reason is None)


def test_a_failed_gate_publishes_nothing(repository):
    with pytest.raises(GateError, match="would take --atol") as error:
        build(spec("restless"), repository)
    assert not error.value.report.passed
    assert repository.models() == ()
    assert unfinished(repository) == []


@pytest.mark.parametrize(
    ("source", "error", "words"),
    [
        ("deciding", ExportError, r"decides by the values of a tensor at nets.py:\d+ \(`if x.sum"),
        ("exotic", ExportError, r"no ONNX form for the operator aten.linalg_eig at nets.py:\d+"),
        ("broken", SourceError, r"failed at nets.py:\d+: RuntimeError: no such thing"),
        ("text", SourceError, "returned str, not an nn.Module"),
        ("nosuch", SourceError, "has no function 'nosuch'"),
        ("bare_mlp", SourceError, "does not say what its inputs are"),
        ("none.py:net", SourceError, "no file none.py"),
        ("no.such.module:net", SourceError, "cannot import no.such.module"),
        ("none.onnx", SourceError, "no file none.onnx"),
    ],
)
def test_what_cannot_be_built_is_explained(repository, source, error, words):
    with pytest.raises(error, match=words):
        build(spec(source), repository)
    assert repository.models() == ()
    assert unfinished(repository) == []


def test_a_frozen_dimension_is_named(repository):
    with pytest.raises(ExportError, match="'batch', dimension 0 of input 'x', becomes 2"):
        build(spec("frozen", inputs=(parse_input("x:FP32:batch,16"),)), repository)


def test_the_next_build_takes_the_next_version_and_leaves_the_config(repository):
    build(spec("mlp"), repository)
    path = repository.path / "nets_mlp" / "config.pbtxt"
    path.write_text("# tuned by hand\n" + path.read_text())
    assert build(spec("mlp"), repository, rebuild=True).version == 2
    assert path.read_text().startswith("# tuned by hand")


def test_a_config_that_differs_is_never_overwritten_unasked(repository):
    build(spec("mlp"), repository)
    path = repository.path / "nets_mlp" / "config.pbtxt"
    path.write_text(path.read_text().replace("max_batch_size: 16", "max_batch_size: 4"))
    edited = path.read_text()
    with pytest.raises(ConfigError, match=r"(?s)-max_batch_size: 4.*\+max_batch_size: 16"):
        build(spec("mlp"), repository)
    assert repository.versions("nets_mlp") == (1,)
    kept = build(spec("mlp"), repository, standing="keep")
    assert path.read_text() == edited == kept.manifest.config
    assert kept.manifest.max_batch_size == 4
    build(spec("mlp"), repository, standing="update")
    assert "max_batch_size: 16" in path.read_text()
    assert repository.versions("nets_mlp") == (1, 2, 3)


def test_a_kept_config_must_fit(repository):
    build(spec("mlp", name="net"), repository)
    with pytest.raises(ConfigError, match="the model has no input 'features'"):
        build(spec("score", name="net"), repository, standing="keep")
    assert repository.versions("net") == (1,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("onnxruntime", "python"), "its backend is 'python'"),
        (('"nets_mlp"', '"other"'), "its name is 'other', the folder's is 'nets_mlp'"),
        (
            ("latest {\n    num_versions: 1", "specific {\n    versions: 1"),
            "serves 1, not version 2",
        ),
    ],
)
def test_a_kept_config_must_serve_the_new_version_and_says_so_at_once(repository, change, said):
    path = build(spec("mlp"), repository).entry.config_path
    path.write_text(path.read_text().replace(*change))
    told = []
    with pytest.raises(ConfigError, match=said):
        build(spec("mlp"), repository, standing="keep", progress=lambda *what: told.append(what))
    assert told == []
    assert repository.versions("nets_mlp") == (1,)


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_kept_config_that_the_release_refuses_is_told_by_its_rule(repository, dry_run):
    path = build(spec("mlp"), repository).entry.config_path
    text = path.read_text().replace(
        "dynamic_batching {", "dynamic_batching {\n  preferred_batch_size: 99"
    )
    assert "99" in text
    path.write_text(text)
    said = r"release 24\.10 would refuse the model: BAT101 nets_mlp/config\.pbtxt:[0-9]+:"
    with pytest.raises(ConfigError, match=said) as caught:
        build(spec("mlp", seed=5), repository, standing="keep", dry_run=dry_run)
    assert "tritonforge check --explain BAT101" in caught.value.hint
    assert repository.versions("nets_mlp") == (1,)
    path.write_text(f"# tritonforge: ignore-file BAT101\n{text}")
    assert build(spec("mlp", seed=5), repository, standing="keep", dry_run=dry_run).version == 2


def test_a_kept_config_that_does_not_do_what_was_meant_is_noted(repository):
    path = build(spec("mlp"), repository).entry.config_path
    with path.open("a") as file:
        file.write('parameters { key: "intra_op_thread_cout" value { string_value: "1" } }\n')
    notes = build(spec("mlp", seed=5), repository, standing="keep").notes
    assert [each for each in notes if each.startswith("PRM201 nets_mlp/config.pbtxt:")]


def test_what_is_built_passes_its_check(repository):
    build(spec("mlp"), repository)
    build(spec("mlp"), repository, rebuild=True)
    report = check(repository)
    assert report.passed, report.findings


def test_labels_are_taken_for_what_will_lie_in_the_models_folder(repository, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("a\nb\nc\nd\n")
    path = tiny.save(
        tmp_path / "rows.onnx",
        [("Identity", ["x"], ["y"], {})],
        [("x", T.FLOAT, ["n", 4])],
        [("y", T.FLOAT, ["n", 4])],
    )
    wanted = spec(str(path), labels=(("y", labels),))
    for built in (build(wanted, repository), build(wanted, repository, rebuild=True)):
        assert not [each for each in built.notes if "LBL" in each]


def test_labels_that_a_link_brings_from_elsewhere_are_noted(repository, tmp_path):
    built = build(spec("mlp"), repository)
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\n")
    (built.entry.model_dir / "labels.txt").symlink_to(tmp_path / "labels.txt")
    path = built.entry.config_path
    text = path.read_text().replace('name: "output"', 'name: "output" label_filename: "labels.txt"')
    path.write_text(text)
    notes = build(spec("mlp", seed=5), repository, standing="keep").notes
    assert [each for each in notes if each.startswith("LBL201 nets_mlp/config.pbtxt:")]


def test_a_scalar_needs_a_target_that_takes_it(repository, tmp_path):
    path = tiny.save(
        tmp_path / "bare.onnx",
        [("ReduceSum", ["x"], ["y"], {"keepdims": 0})],
        [("x", T.FLOAT, [4])],
        [("y", T.FLOAT, [])],
    )
    older = replace(spec(str(path)), target=release.find("23.09"))
    with pytest.raises(ConfigError, match="'y' has no dimensions"):
        build(older, repository)
    assert repository.models() == ()
    newer = replace(older, target=release.find("23.10"))
    assert list(config_of(build(newer, repository)).output[0].dims) == [1]


def test_an_existing_version_is_refused_before_any_work(repository):
    build(spec("mlp"), repository)
    with pytest.raises(RepositoryError, match="version 1 of 'nets_mlp' exists"):
        build(spec("mlp"), repository, version=1)
    assert build(spec("mlp"), repository, version=1, force=True).version == 1


def test_a_dry_run_touches_nothing(repository):
    built = build(spec("mlp"), repository, dry_run=True)
    assert built.entry is None
    assert built.version == 1
    assert "max_batch_size: 16" in built.manifest.config
    assert not repository.path.exists()


def test_two_builds_at_once_both_succeed(repository):
    build(spec("mlp"), repository)  # torch is imported and warm before the race
    code = (
        "import sys; from tritonforge.cli import main; main(sys.argv[1:])",
        *("build", f"{NETS}:mlp", "--name", "net", "-r", str(repository.path)),
    )
    with subprocess.Popen([sys.executable, "-c", *code], stdout=subprocess.DEVNULL) as other:
        while not unfinished(repository):  # the other one has begun
            assert other.poll() is None
            time.sleep(0.01)
        build(spec("mlp", name="net"), repository)
        assert other.wait(120) == 0
    assert repository.versions("net") == (1, 2)


def test_two_builds_at_once_both_succeed_where_both_replace_the_config(repository):
    build(spec("mlp", name="net"), repository)
    code = (
        "import sys; from tritonforge.cli import main; main(sys.argv[1:])",
        *("build", f"{NETS}:mlp", "--name", "net", "-r", str(repository.path)),
        *("--max-batch-size", "4", "--update-config"),
    )
    with subprocess.Popen([sys.executable, "-c", *code], stdout=subprocess.DEVNULL) as other:
        while not unfinished(repository):  # the other one has begun
            assert other.poll() is None
            time.sleep(0.01)
        build(spec("mlp", name="net", max_batch_size=8), repository, standing="update")
        assert other.wait(120) == 0
    assert repository.versions("net") == (1, 2, 3)
    assert unfinished(repository) == []


def test_a_build_killed_half_way_leaves_the_repository_as_it_was(repository):
    code = "import sys; from tritonforge.cli import main; main(sys.argv[1:])"
    command = ("build", f"{NETS}:mlp", "-r", str(repository.path))
    with subprocess.Popen([sys.executable, "-c", code, *command]) as child:
        deadline = time.monotonic() + 60
        while not unfinished(repository) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
    assert len(unfinished(repository)) == 1
    assert repository.models() == ()
    assert build(spec("mlp"), repository).version == 1
    assert unfinished(repository) == []


def foreign(tmp_path, name="foreign.onnx", **more):
    """Write an `.onnx` file that someone else might have exported."""
    nodes = [
        ("Gather", ["table", "ids"], ["rows"], {"axis": 0}),
        ("ReduceSum", ["rows", "axes"], ["y"], {"keepdims": 0}),
    ]
    table = numpy_helper.from_array(np.arange(27, dtype=np.float32).reshape(9, 3), "table")
    axes = numpy_helper.from_array(np.array([1]), "axes")
    return tiny.save(
        tmp_path / name,
        nodes,
        [("ids", T.INT64, [None, "length"])],
        [("y", T.FLOAT, [None, 3])],
        initializers=[table, axes],
        **more,
    )


def test_a_foreign_file_is_taken_as_it_is(repository, tmp_path):
    path = foreign(tmp_path)
    built = build(spec(str(path)), repository)
    assert built.name == "foreign"
    assert (built.entry.version_dir / "model.onnx").read_bytes() == path.read_bytes()
    assert built.manifest.exporter == "as given"
    assert built.manifest.reference == "onnx"
    assert built.manifest.domains == {"ids": Domain(kind="integers", low=0, high=9)}
    assert config_of(built).max_batch_size == 16


def test_a_foreign_file_above_the_target_is_converted(repository, tmp_path):
    path = foreign(tmp_path)
    model = onnx.version_converter.convert_version(onnx.load(path), 23)
    model.ir_version = 12
    onnx.save(model, path)
    built = build(spec(str(path)), repository)
    assert (built.manifest.opset, built.manifest.ir) == (21, 10)
    assert "converted from opset 23" in built.manifest.exporter


def test_a_foreign_file_with_external_weights_is_taken_whole(repository, tmp_path):
    path = foreign(tmp_path)
    onnx.save(
        onnx.load(path), path, save_as_external_data=True, location="w.bin", size_threshold=64
    )
    built = build(spec(str(path)), repository)
    stored = onnx.load(built.entry.version_dir / "model.onnx", load_external_data=False)
    assert all(each.data_location != T.EXTERNAL for each in stored.graph.initializer)
    path.with_name("w.bin").unlink()
    with pytest.raises(Exception, match=r"needs 'w.bin' beside it, which is missing"):
        build(spec(str(path)), repository)


def test_weights_come_from_a_file(repository, tmp_path):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(99)
    state = nets.Mlp().state_dict()
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pt")
    save_file(state, tmp_path / "w.safetensors")
    pt, safe = (
        build(spec("mlp", weights=str(tmp_path / name), name=name), repository)
        for name in ("w.pt", "w.safetensors")
    )
    assert pt.manifest.weights_sha256 == safe.manifest.weights_sha256
    folder = repository.path / "w.pt" / "1"
    inputs, outputs = manifest.read_golden(folder)
    module = nets.Mlp()
    module.load_state_dict(state)
    with torch.inference_mode():
        want = module(torch.from_numpy(inputs["features"])).numpy()
    np.testing.assert_array_equal(outputs["output"], want)


SIDES = (parse_input("x:FP32:batch,3,h,w"),)
POSITIVE = (("x", Domain(kind="uniform", low=1, high=2)),)


@pytest.mark.parametrize("exporter", ["dynamo", "torchscript"])
def test_a_model_that_minds_equal_sizes_is_not_published_wrong(repository, exporter):
    wish = spec("unequal", inputs=SIDES, exporter=exporter)
    with pytest.raises((ExportError, GateError)):
        build(wish, repository)
    assert repository.models() == ()


def test_a_decision_that_tracing_burns_in_is_told(repository):
    built = build(spec("deciding", exporter="torchscript", domains=POSITIVE), repository)
    assert any("tracing decided at nets.py:" in note for note in built.notes)
    assert any("`if x.sum() > 0:`" in note for note in built.notes)


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_seldom_meet_are_found_out(repository, seed):
    built = build(spec("largest", sample_seed=seed), repository)
    assert "depends on the rest of its batch" in built.unbatched


def test_the_graph_knows_the_vocabulary_better_than_an_example(repository):
    built = build(spec("words"), repository)
    assert built.manifest.domains["ids"] == Domain(kind="integers", low=0, high=100)


def test_outputs_without_a_number_are_noted(repository):
    built = build(spec("hopeless"), repository)
    assert any("are NaN or infinite, in the model itself too" in note for note in built.notes)


def test_a_domain_of_whole_ends_is_no_constant_for_a_float(repository):
    name, domain = Domain.parse("features=0..1")
    built = build(spec("mlp", domains=((name, domain),)), repository)
    inputs, _ = manifest.read_golden(built.entry.version_dir)
    assert 0 < inputs["features"].std() < 1


def test_sizes_that_must_be_multiples(repository):
    ranges = tuple(Range.parse(f"{side}=8..32:4") for side in "hw")
    built = build(spec("pyramid", inputs=SIDES, ranges=ranges), repository)
    assert built.manifest.gate.passed


def test_output_dims_are_those_that_the_server_will_infer(repository, tmp_path):
    path = tiny.save(
        tmp_path / "loose.onnx",
        [("Add", ["x", "x"], ["y"], {})],
        [("x", T.FLOAT, ["n", 4])],
        [("y", T.FLOAT, ["n", "k"])],
    )
    built = build(spec(str(path)), repository)
    assert list(config_of(built).output[0].dims) == [4]
    assert built.manifest.signature.outputs[0].dims == ("n", 4)


def test_shapes_frozen_inside_do_not_outlive_the_proof(repository):
    inputs, ranges = (parse_input("x:FP32:batch,t,8"),), (("t", Range(high=20)),)
    built = build(spec("headed", inputs=inputs, ranges=ranges), repository)
    assert list(config_of(built).output[0].dims) == [-1, 3]
    known = graph.output_dims(built.entry.version_dir / "model.onnx")
    assert not any(isinstance(dim, int) for dim in known["output"][:2])


def test_an_output_that_the_file_states_wrongly(repository, tmp_path):
    path = tiny.save(
        tmp_path / "wrong.onnx",
        [("Relu", ["x"], ["y"], {})],
        [("x", T.FLOAT, ["N", 3])],
        [("y", T.FLOAT, ["N", 3])],
    )
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(model, path)
    assert list(config_of(build(spec(str(path)), repository)).output[0].dims) == [3]


def test_the_targets_own_runtime_must_load_the_file(repository, embedded):
    inputs = (parse_input("x:INT8:batch,4"),)
    with pytest.raises(GraphError, match=r"ONNX Runtime 1\.19\.2 of release 24\.10 refuses"):
        build(spec("bytes8", inputs=inputs), repository)
    assert build(spec("mlp"), repository).manifest.loaded_by == embedded.onnxruntime
    newer = replace(spec("bytes8", inputs=inputs), target=release.find("26.08"))
    assert build(newer, repository).manifest.loaded_by is None
    other = release.find("25.03")
    toolchain.own(other)
    built = build(replace(spec("mlp", name="other"), target=other), repository)
    assert built.manifest.loaded_by == other.onnxruntime == "1.21.0"


def test_a_version_that_no_server_loads_is_told(repository):
    wish = spec(f"{NETS}:mlp", config={"version_policy": {"specific": [1]}})
    assert not [note for note in build(wish, repository).notes if "no server loads" in note]
    again = build(wish, repository, rebuild=True)
    assert "no server loads version 2: version_policy leaves it out" in again.notes
