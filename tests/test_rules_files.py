"""Files of models, weights, labels and proofs: what rules say of them, and the real server."""

import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import backend
import graphs
import nets
import onnx
import onnxruntime
import pytest
import rulecases
import tiny
from onnx import TensorProto, helper
from onnx import TensorProto as T

from tritonforge import client, manifest, pbtxt, release, server
from tritonforge.build import build
from tritonforge.errors import ServerError
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec

ROW = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]
CONFIG = tiny.config(8, "x FP32 4", "y FP32 4")
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def written(root, name, nodes, weights=(), *, domain="", opset=17, ir=8):
    """Write a model without checking it."""
    domains = [
        helper.make_opsetid(*each) for each in (("", opset), *([(domain, 1)] if domain else []))
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(*each) for each in ROW[0]],
        [helper.make_tensor_value_info(*each) for each in ROW[1]],
        list(weights),
    )
    made = helper.make_model(graph, opset_imports=domains, ir_version=ir)
    folder = root / name
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(made.SerializeToString())
    (folder / "config.pbtxt").write_text(f'name: "{name}"\n{CONFIG}')
    return folder


def outside(location, make=lambda _: None, **entry):
    """Write a model with a weight at a place."""

    def place(root, name):
        held = TensorProto(name="w", data_type=1, dims=[1, 4], data_location=1)
        for key, told in {"location": location, **entry}.items():
            held.external_data.add(key=key, value=str(told))
        make(written(root, name, [helper.make_node("Add", ["x", "w"], ["y"])], [held]))

    return place


def held(size=16, at="1/w.bin"):
    """Write weights."""
    return lambda folder: (folder / at).write_bytes(bytes(size))


def link(folder):
    """Write weights elsewhere, and link to them."""
    away = folder.parent.parent / f"{folder.name}.bin"
    away.write_bytes(bytes(16))
    (folder / "1" / "w.bin").symlink_to(away)


def node(op, inputs=("x",), **more):
    """Write a model of one node."""
    file = {key: more.pop(key) for key in ("opset", "ir") if key in more}
    domain = more.get("domain", "")
    return lambda root, name: written(
        root, name, [helper.make_node(op, list(inputs), ["y"], **more)], domain=domain, **file
    )


def content(data):
    """Write a file that is no model."""

    def place(root, name):
        (tiny.double(root, name) / "1" / "model.onnx").write_bytes(data)

    return place


def cut(root, name):
    """Write half a model."""
    path = tiny.double(root, name) / "1" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-9])


def called(file, *, converted):
    """Write a model under another name, in ONNX Runtime's own format or as it is."""

    def place(root, name):
        folder = tiny.double(root, name)
        path = folder / "1" / "model.onnx"
        if converted:
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            options.optimized_model_filepath = str(path)
            options.add_session_config_entry("session.save_model_format", "ORT")
            onnxruntime.InferenceSession(path.read_bytes(), options)
        path.rename(path.with_name(file))
        with (folder / "config.pbtxt").open("a") as config:
            config.write(f'\ndefault_model_filename: "{file}"\n')

    return place


def labelled(file, make=lambda _: None):
    """Write a model whose output has labels."""

    def place(root, name):
        folder = tiny.double(root, name)
        text = (folder / "config.pbtxt").read_text()
        text = text.replace('name: "y"', f'name: "y" label_filename: "{file}"')
        (folder / "config.pbtxt").write_text(text)
        make(folder)

    return place


def lines(count, at="l.txt"):
    """Write labels."""
    return lambda folder: (folder / at).write_text("class\n" * count)


AT = "output[y].label_filename"
CASES = {
    "beside": (outside("w.bin", held()), []),
    "below": (outside("./w.bin", held()), []),
    "gone": (outside("w.bin"), ["EXT101"]),
    "short": (outside("w.bin", held(12)), ["EXT101"]),
    "offset": (outside("w.bin", held(), offset=8), ["EXT101"]),
    "length": (outside("w.bin", held(), length=12), ["EXT101"]),
    "negative": (outside("w.bin", held(), offset=-4), ["EXT101"]),
    "nameless": (outside(""), ["EXT101"]),
    "folder": (outside("w.bin", lambda f: (f / "1" / "w.bin").mkdir()), ["EXT101"]),
    "device": (outside("/dev/zero", length=16), ["EXT101"]),
    "elsewhere": (outside("/nowhere/w.bin"), ["EXT101"]),
    "absolute": (outside("/etc/passwd"), ["EXT201"]),
    "above": (outside("../w.bin", held(at="w.bin")), ["EXT201"]),
    "linked": (outside("w.bin", link), ["EXT201"]),
    "itself": (outside("model.onnx"), ["EXT202"]),
    "pointer": (content(POINTER), ["OPS101"]),
    "page": (content(b"<!DOCTYPE html>"), ["OPS101"]),
    "nothing": (content(b""), ["OPS101"]),
    "cut": (cut, ["OPS101"]),
    "named": (called("weights", converted=False), []),
    "converted": (called("model.ort", converted=True), []),
    "converted_above": (called("model.ORT", converted=True), []),
    "converted_not": (called("model.ort", converted=False), ["OPS101"]),
    "converted_elsewhere": (called("model.onnx", converted=True), ["OPS101"]),
    "opset": (node("Relu", opset=25), ["OPS102"]),
    "ir": (node("Relu", ir=13), ["OPS102"]),
    "unknown": (node("Releu"), ["OPS102"]),
    "own": (node("Relu", domain="acme"), ["OPS102", "OPS103"]),
    "contributed": (node("Gelu", domain="com.microsoft"), []),
    "labels": (labelled("l.txt", lines(4)), []),
    "labels_below": (labelled("/1/l.txt", lines(4, "1/l.txt")), []),
    "labels_gone": (labelled("l.txt"), ["LBL101"]),
    "labels_windows": (
        labelled("l.txt", lambda f: (f / "l.txt").write_bytes(b"a\r\n" * 4)),
        ["LBL202"],
    ),
    "labels_pointer": (labelled("l.txt", lambda f: (f / "l.txt").write_bytes(POINTER)), ["LBL203"]),
    "weights_pointer": (
        outside("w.bin", lambda f: (f / "1" / "w.bin").write_bytes(POINTER)),
        ["EXT203"],  # 16 bytes of it are four values to ONNX Runtime
    ),
    "labels_few": (labelled("l.txt", lines(3)), ["LBL301"]),
    "labels_above": (
        labelled("../../l.txt", lambda f: (f.parent.parent / "l.txt").write_text("a\n")),
        ["LBL201"],
    ),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a repository of all cases."""
    root = tmp_path_factory.mktemp("files") / "repository"
    for name, (place, _) in CASES.items():
        place(root, name)
    return root


@pytest.fixture(scope="module")
def report(repository):
    return rulecases.checked(repository, release.find("24.10"))


@pytest.mark.parametrize("name", CASES)
def test_what_is_amiss_is_found(report, name):
    assert rulecases.codes(report, name) == CASES[name][1]


def test_the_server_refuses_what_is_refused_and_nothing_else(embedded, repository, report):
    said = backend.refused(repository, embedded)
    names = set(re.findall(r"^model '([\w.]+)'", said, re.MULTILINE))
    assert names == rulecases.refused(report)


def test_newer_releases_refuse_weights_outside(repository):
    newer = rulecases.checked(repository, release.find("26.08"))
    assert rulecases.codes(newer, "absolute") == ["EXT102"]
    assert rulecases.codes(newer, "beside") == []


def test_labels_that_are_a_folder_end_the_whole_server(embedded, tmp_path):
    labelled("l.txt", lambda folder: (folder / "l.txt").mkdir())(tmp_path, "m")
    assert rulecases.codes(rulecases.checked(tmp_path), "m") == ["LBL101"]
    with (
        pytest.raises(ServerError, match="the server ended by itself"),
        server.serving(tmp_path, embedded),
    ):
        pass


def test_a_library_brings_operators_of_which_nothing_is_known(tmp_path):
    folder = node("Relu", domain="acme")(tmp_path, "own")
    with (folder / "config.pbtxt").open("a") as file:
        file.write('model_operations { op_library_filename: "acme.so" }\n')
    assert rulecases.codes(rulecases.checked(tmp_path), "own") == []


def test_a_lost_link_and_hidden_folders_of_the_root(embedded, tmp_path):
    tiny.double(tmp_path, "fine")
    tiny.double(tmp_path, ".hidden")
    (tmp_path / ".git" / "objects").mkdir(parents=True)
    report = rulecases.checked(tmp_path)
    assert rulecases.codes(report, ".hidden") == ["LAY204"]
    assert rulecases.refused(report) == {".git"}
    assert "model '.git' does not load" in backend.refused(tmp_path, embedded)
    (tmp_path / "lost").symlink_to("nowhere")
    assert rulecases.codes(rulecases.checked(tmp_path), "lost") == ["LAY111"]
    assert "failed to stat file" in backend.refused(tmp_path, embedded)


def test_what_a_gpu_leaves_to_the_cpu_is_told_of_models_for_one(tmp_path):
    for opset, name in ((20, "lost"), (18, "kept")):
        folder = node("Pad", ("x", "pads"), opset=opset)(tmp_path, name)
        pads = helper.make_tensor("pads", T.INT64, [4], [0] * 4)
        path = folder / "1" / "model.onnx"
        made = onnx.load(path)
        made.graph.initializer.append(pads)
        onnx.save(made, path)
    assert rulecases.checked(tmp_path).findings == ()
    for config in tmp_path.glob("*/config.pbtxt"):
        config.write_text(config.read_text().replace("KIND_CPU", "KIND_GPU"))
    (found,) = rulecases.checked(tmp_path, release.find("24.10")).findings
    assert (found.model, found.rule.code) == ("lost", "PLC201")
    assert found.found.said == "the GPU leaves nodes to the CPU: 1 Pad"


@pytest.mark.parametrize(("kind", "codes"), [("KIND_GPU", []), ("KIND_CPU", ["ACC201", "OPS102"])])
def test_an_accelerator_that_no_instance_reads_gives_no_kernels(tmp_path, kind, codes):
    halves = [("x", T.FLOAT16, ["n", 4, 2560]), ("b", T.FLOAT16, [2560])]
    folder = tmp_path / "m"
    (folder / "1").mkdir(parents=True)
    graph = helper.make_graph(
        [helper.make_node("BiasSplitGelu", ["x", "b"], ["y"], domain="com.microsoft")],
        "g",
        [helper.make_tensor_value_info(*each) for each in halves],
        [helper.make_tensor_value_info("y", T.FLOAT16, ["n", 4, 1280])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(made, folder / "1" / "model.onnx")
    text = tiny.config(0, "x FP16 -1,4,2560;b FP16 2560", "y FP16 -1,4,1280", "")
    accelerator = 'gpu_execution_accelerator { name: "cuda" }'
    (folder / "config.pbtxt").write_text(
        text.replace("KIND_CPU", kind)
        + f"optimization {{ execution_accelerators {{ {accelerator} }} }}"
    )
    assert rulecases.codes(rulecases.checked(tmp_path), "m") == codes


def test_loops_and_half_floats_that_the_cpu_widens(tmp_path):
    onnx.save(graphs.branching(), tiny.double(tmp_path, "loop") / "1" / "model.onnx")
    nodes = [("Cast", ["x"], ["h"], {"to": T.FLOAT16}), ("Tanh", ["h"], ["t"], {})]
    nodes.append(("Cast", ["t"], ["y"], {"to": T.FLOAT}))
    tiny.place(tmp_path, "half", CONFIG, nodes, *ROW)
    report = rulecases.checked(tmp_path)
    assert "OPS301" in rulecases.codes(report, "loop")
    assert rulecases.codes(report, "half") == ["OPS302"]


def test_instances_that_may_be_on_a_gpu_are_judged_by_what_it_takes(tmp_path):
    nodes = [("Cast", ["x"], ["h"], {"to": T.FLOAT16}), ("Tanh", ["h"], ["t"], {})]
    nodes.append(("Cast", ["t"], ["y"], {"to": T.FLOAT}))
    folder = tiny.place(tmp_path, "half", CONFIG, nodes, *ROW)
    text = (folder / "config.pbtxt").read_text("utf-8")
    told = text.replace("instance_group { count: 1 kind: KIND_CPU }", "")
    assert told != text
    (folder / "config.pbtxt").write_text(told, "utf-8")
    assert rulecases.codes(rulecases.checked(tmp_path), "half") == []


def test_functions_that_stand_for_more_than_any_memory_cost_nothing(tmp_path):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [
        helper.make_function(
            "f", "f0", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], opsets
        )
    ]
    for number in range(1, 60):
        inner = [
            helper.make_node(f"f{number - 1}", [one], [other], domain="f")
            for one, other in (("a", "c"), ("c", "b"))
        ]
        functions.append(helper.make_function("f", f"f{number}", ["a"], ["b"], inner, opsets))
    path = node("f59", domain="f")(tmp_path, "m") / "1" / "model.onnx"
    made = onnx.load(path)
    made.functions.extend(functions)
    path.write_bytes(made.SerializeToString())
    assert rulecases.codes(rulecases.checked(tmp_path), "m") == ["OPS102"]


def test_a_file_of_nothing_but_fields_is_given_up(tmp_path):
    content(b"\x08\x01" * 3_000_000)(tmp_path, "m")
    (found,) = rulecases.checked(tmp_path).findings
    assert "more than 2,000,000 fields" in found.found.said


# --- what was built ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build a model once."""
    repository = Repository(tmp_path_factory.mktemp("built"))
    spec = ModelSpec(source=f"{Path(nets.__file__)}:mlp", target=release.find("24.10"))
    build(spec, repository)
    return repository.path


@pytest.fixture
def model(built, tmp_path):
    """Return a copy of the folder of a model that was built, its dates as they were."""
    (folder,) = [each for each in shutil.copytree(built, tmp_path / "r").iterdir() if each.is_dir()]
    return folder


def of(model):
    """Return the codes of what is found of the model."""
    return rulecases.codes(rulecases.checked(model.parent), model.name)


def test_what_was_built_stands(model):
    assert of(model) == []
    os.utime(model / "1" / "model.onnx")
    assert of(model) == []


def test_a_file_that_is_not_the_one_that_was_proven(model):
    path = model / "1" / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "PRF201" in of(model)


@pytest.mark.parametrize("name", ["/dev/zero", "../../../../etc/passwd"])
def test_a_manifest_leads_nowhere_else(model, name):
    path = model / "1" / "manifest.json"
    said = json.loads(path.read_text())
    said["files"] = {name: {"sha256": "0" * 64, "size": 0, "changed": 0}}
    path.write_text(json.dumps(said))
    assert of(model) == ["PRF201"]


def test_weights_and_gate_are_as_the_manifest_says(model):
    known = manifest.read(model / "1")
    manifest.write(replace(known, weights="random"), model / "1")
    assert of(model) == ["PRF202"]
    manifest.write(replace(known, gate=replace(known.gate, samples=0)), model / "1")
    assert of(model) == ["PRF203"]


def test_a_damaged_manifest_is_told_where_it_lies(model):
    (model / "1" / "manifest.json").write_text("{")
    (found,) = rulecases.checked(model.parent).findings
    assert (found.rule.code, found.file.name) == ("PRF204", "manifest.json")
    assert found.found.said.startswith("it is damaged")


def test_a_config_that_is_not_the_proven_one(model):
    path = model / "config.pbtxt"
    text = path.read_text()
    path.write_text(re.sub("max_batch_size: [0-9]+", "max_batch_size: 4096", text))
    assert of(model) == ["PRF205"]
    path.write_text(f"{text}\noptimization {{ graph {{ level: -1 }} }}\n")
    assert of(model) == ["PRF301"]
    path.write_text(f'{text}\ndefault_model_filename: "model.onnx"\n')
    assert of(model) == []


def test_what_else_is_amiss_with_a_field_does_not_say_that_it_is_not_as_proven(model):
    path = model / "config.pbtxt"
    text = re.sub("max_batch_size: [0-9]+", "max_batch_size: 4096", path.read_text())
    path.write_text(pbtxt.unset(text, "dynamic_batching"))
    assert of(model) == ["BAT205", "PRF205"]


def test_a_refusal_of_what_is_not_as_proven_says_enough(model):
    path, file = model / "config.pbtxt", model / "1" / "model.onnx"
    text = path.read_text()
    path.write_text(text.replace("TYPE_FP32", "TYPE_FP16", 1))
    assert of(model) == ["FIT105"]
    path.write_text(f"{path.read_text()}\noptimization {{ graph {{ level: -1 }} }}\n")
    assert of(model) == ["FIT105", "PRF301"]
    path.write_text(text)
    file.write_bytes(b"no model")
    assert of(model) == ["OPS101"]
    file.unlink()
    assert of(model) == ["LAY108"]


def test_a_config_that_is_lost_is_told(model):
    config = model / "config.pbtxt"
    config.rename(model / "config.txt")
    assert of(model) == ["LAY203"]
    (model / "config.txt").unlink()
    (found,) = rulecases.checked(model.parent).findings
    assert (found.rule.code, found.file.name) == ("PRF206", "config.pbtxt")
    (model / "1" / "manifest.json").unlink()
    assert of(model) == []


def test_the_server_makes_up_another_config_for_one_that_is_lost(embedded, model):
    proven = pbtxt.read(model / "config.pbtxt")
    (model / "config.pbtxt").unlink()
    with server.serving(model.parent, embedded) as endpoint:
        served = pbtxt.from_json(client.config(endpoint, model.name))
    assert (proven.max_batch_size, served.max_batch_size) == (16, 4)
    assert (len(proven.parameters), len(served.parameters)) == (1, 0)


def test_labels_change_no_answer(model):
    path = model / "config.pbtxt"
    (model / "labels.txt").write_text("a\nb\nc\nd\n")
    path.write_text(pbtxt.put(path.read_text(), "output[0].label_filename", "labels.txt"))
    assert "PRF301" not in of(model)
