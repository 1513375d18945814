"""ONNX's own backend node models, from the `onnx` package: built, served and compared.

Each comes with inputs and the outputs that the standard wants. What the embedded server's own ONNX
Runtime runs in-process, and Triton's tensors can express, has to come through a build and a server.
"""

import json
import subprocess
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper, version_converter

from tritonforge import client, release, server, toolchain
from tritonforge.build import build
from tritonforge.errors import ForgeError
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec
from tritonforge.tensors import DType
from tritonforge.toolchain import Toolchain

TARGET = release.find(release.EMBEDDED)
TABLE = Path(__file__).with_name("node_models.tsv")
_RANDOM = {"Bernoulli", "RandomUniformLike", "RandomNormalLike", "Multinomial"}
TOGETHER = 40  # models in one server, each with a process of its own

# Run by the server's own Python: which files does its ONNX Runtime run, and how right is it?
_IN_PROCESS = """
import json, sys, numpy as np, onnxruntime as ort
found = {}
for name, path, rtol, atol in json.load(sys.stdin):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        stored = np.load(path + ".npz")
        text = lambda array: array.astype(object) if array.dtype.kind == "U" else array
        feed = {key[3:]: text(stored[key]) for key in stored if key.startswith("in:")}
        got = session.run(None, feed)
    except Exception as error:
        found[name] = "refused: " + str(error).splitlines()[0]
        continue
    same = True
    for node, array in zip(session.get_outputs(), got):
        want, array = stored["out:" + node.name], np.asarray(array)
        if array.shape != want.shape:
            same = False
        elif want.dtype.kind == "U":
            same = same and bool((array.astype(str) == want).all())
        else:
            same = same and bool(np.allclose(array, want, rtol, atol, equal_nan=True))
    found[name] = "right" if same else "differs"
print(json.dumps(found))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeModel:
    """A model of the corpus, its inputs by name, and the outputs that the standard wants."""

    name: str
    model: onnx.ModelProto
    inputs: dict
    outputs: dict
    rtol: float
    atol: float


def models() -> list[NodeModel]:
    """Return the corpus, by name."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its references divide by zero on purpose
        cases = collect_testcases(None)
    found = []
    for case in cases:
        inputs, outputs = case.data_sets[0]
        graph = case.model.graph
        given = zip((each.name for each in graph.input), inputs, strict=True)
        wanted = zip((each.name for each in graph.output), outputs, strict=True)
        found.append(
            NodeModel(
                name=case.name,
                model=case.model,
                inputs=dict(given),
                outputs=dict(wanted),
                rtol=case.rtol,
                atol=case.atol,
            )
        )
    return sorted(found, key=lambda each: each.name)


def inexpressible(node: NodeModel) -> str | None:
    """Say what of a model's inputs and outputs Triton's tensors cannot be, None where they can."""
    for value in (*node.model.graph.input, *node.model.graph.output):
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            return kind.removesuffix("_type")
        tensor = value.type.tensor_type
        if DType.from_onnx(tensor.elem_type) is None:
            return TensorProto.DataType.Name(tensor.elem_type)
        if any(dim.HasField("dim_value") and dim.dim_value == 0 for dim in tensor.shape.dim):
            return "a dimension of size 0"
    return None


def in_process(nodes: list[NodeModel], folder: Path, tools: Toolchain) -> dict[str, str]:
    """Ask the server's ONNX Runtime about each file, brought down to its opset and IR by onnx."""
    asked = []
    for node in nodes:
        model, path = node.model, folder / f"{node.name}.onnx"
        opsets = {each.domain: each.version for each in model.opset_import}
        if opsets.get("", 1) > TARGET.opset:
            try:
                model = version_converter.convert_version(model, TARGET.opset)
            except Exception:  # noqa: BLE001, S112 - nothing the target could run
                continue
        model = onnx.ModelProto.FromString(model.SerializeToString())
        model.ir_version = min(model.ir_version, TARGET.ir)
        onnx.save(model, path)
        stored = {f"in:{name}": _plain(array) for name, array in node.inputs.items()}
        stored |= {f"out:{name}": _plain(array) for name, array in node.outputs.items()}
        np.savez(f"{path}.npz", **stored)
        asked.append((node.name, str(path), node.rtol, node.atol))
    ended = subprocess.run(
        [str(tools.root / "bin" / "python"), "-I", "-c", _IN_PROCESS],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout)


def _plain(array):
    """Return strings as numpy's own text."""
    array = np.asarray(array)
    if array.dtype.kind not in "OSU":
        return array
    items = [item.decode() if isinstance(item, bytes) else str(item) for item in array.flat]
    return np.array(items, dtype=np.str_).reshape(array.shape)


def through(nodes: list[NodeModel], folder: Path, tools: Toolchain) -> dict[str, str]:
    """Build, serve and ask each; return what went wrong, by name."""
    wrong: dict[str, str] = {}
    for start in range(0, len(nodes), TOGETHER):
        repository = Repository(folder / f"repository_{start}")
        built = []
        for node in nodes[start : start + TOGETHER]:
            try:
                _build(node, folder, repository)
                built.append(node)
            except ForgeError as error:
                wrong[node.name] = f"build: {error.message}"
        if built:
            with server.serving(repository.path, tools) as endpoint:
                for node in built:
                    said = _ask(node, endpoint)
                    if said is not None:
                        wrong[node.name] = f"serve: {said}"
    return wrong


def _build(node: NodeModel, folder: Path, repository: Repository) -> None:
    """Build a model on its own inputs, laid out as ONNX lays out its test data."""
    data = folder / node.name / "test_data_set_0"
    data.mkdir(parents=True)
    path = folder / node.name / "model.onnx"
    onnx.save(node.model, path)
    for number, array in enumerate(node.inputs.values()):
        tensor = numpy_helper.from_array(np.asarray(array))
        (data / f"input_{number}.pb").write_bytes(tensor.SerializeToString())
    samples = (data,) if node.inputs else ()
    build(ModelSpec(source=str(path), target=TARGET, name=node.name, samples=samples), repository)


def _ask(node: NodeModel, endpoint) -> str | None:
    """Send the inputs; say how the answer differs from what the standard wants."""
    fed = {name: _sent(array) for name, array in node.inputs.items()}
    try:
        with client.remote(endpoint, node.name) as ask:
            answer = ask(fed)
    except ForgeError as error:
        return error.message
    for name, want in node.outputs.items():
        got, want = answer[name], np.asarray(want)  # noqa: PLW2901 - as an array
        if want.ndim == 0 and got.shape == (1,):  # how Triton sends a scalar
            got = got.reshape(())
        if got.shape != want.shape or got.dtype.kind != (
            "O" if want.dtype.kind in "OSU" else want.dtype.kind
        ):
            return f"{name!r} is {got.dtype} {got.shape}, wanted {want.dtype} {want.shape}"
        if want.dtype.kind in "OSU":
            same = bool((_plain(got) == _plain(want)).all())
        else:
            same = np.allclose(got, want, node.rtol, node.atol, equal_nan=True)
        if not same:
            return f"{name!r} differs"
    return None


def _sent(array) -> np.ndarray:
    """Return an input as Triton wants it: text as bytes, a scalar as one value."""
    array = np.asarray(array)
    if array.dtype.kind in "OSU":
        items = [str(item).encode() for item in _plain(array).flat]
        array = np.array(items, dtype=object).reshape(array.shape)
    return array.reshape(1) if array.ndim == 0 else array


def cause(node: NodeModel, alone: str, said: str) -> str:
    """Name why a model that the server's ONNX Runtime runs does not come through."""
    operators = {each.op_type for each in node.model.graph.node}
    if operators & _RANDOM or "training" in node.name:
        return "random: every run draws other numbers"
    if alone == "differs":
        return f"ONNX Runtime {TARGET.onnxruntime} in-process differs from the standard too"
    return said


def read_table() -> dict[str, str]:
    """Return the cause of each model that is known not to come through."""
    lines = (line for line in TABLE.read_text("utf-8").splitlines() if line[:1] not in {"", "#"})
    return dict(line.split("\t") for line in lines)


def write_table() -> None:
    """Run the whole corpus and write which models do not come through, and why."""
    tools = toolchain.find()
    everything = models()
    nodes = [node for node in everything if inexpressible(node) is None]
    with tempfile.TemporaryDirectory() as place:
        alone = in_process(nodes, Path(place), tools)
        running = [node for node in nodes if alone.get(node.name, "refused")[:7] != "refused"]
        wrong = through(running, Path(place), tools)
    share = 1 - len(wrong) / len(running)
    head = f"""\
# {len(everything)} node models of onnx {onnx.__version__}: Triton's tensors express {len(nodes)};
# of those ONNX Runtime {TARGET.onnxruntime} runs {len(running)}, and {len(running) - len(wrong)}
# come through a build and a server ({share:.1%}). The others, written by scripts/node_models:
"""
    rows = (
        f"{node.name}\t{cause(node, alone[node.name], wrong[node.name])}\n"
        for node in running
        if node.name in wrong
    )
    TABLE.write_text(head + "".join(rows), "utf-8")
