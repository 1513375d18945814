"""Everything that a spec can say of ModelConfig, built, and loaded by the real server."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T
from onnx import helper

from tritonforge import client, pbtxt, server, specfile
from tritonforge.build import build
from tritonforge.cli import main
from tritonforge.client import Place
from tritonforge.parity import Wish, parity
from tritonforge.repository import Repository

ROOT = Path(__file__).parents[1]
ROWS = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]


def recurrent(path):
    """Save a model that adds each request to a state, and tells where a sequence starts."""
    nodes = [
        ("Add", ["x", "before"], ["after"], {}),
        ("Add", ["after", "start"], ["y"], {}),
    ]
    given = [("x", T.FLOAT, ["n", 1]), ("before", T.FLOAT, ["n", 1]), ("start", T.FLOAT, ["n", 1])]
    return tiny.save(path, nodes, given, [("y", T.FLOAT, ["n", 1]), ("after", T.FLOAT, ["n", 1])])


def sums(path):
    """Save a model that sums requests put end to end, told apart by where each begins."""
    nodes = [
        ("CumSum", ["x", "axis"], ["running"], {}),
        ("Concat", ["zero", "running"], ["totals"], {"axis": 0}),
        ("Cast", ["bounds"], ["where"], {"to": T.INT64}),
        ("Clip", ["where", "none", ""], ["low"], {}),
        ("Shape", ["x"], ["length"], {}),
        ("Min", ["low", "length"], ["within"], {}),
        ("Slice", ["within", "one", "far"], ["till"], {}),
        ("Slice", ["within", "axes", "last"], ["from"], {}),
        ("Gather", ["totals", "till"], ["upper"], {}),
        ("Gather", ["totals", "from"], ["lower"], {}),
        ("Sub", ["upper", "lower"], ["each"], {}),
        ("Unsqueeze", ["each", "one"], ["sum"], {}),
    ]
    numbers = {"axes": [0], "one": [1], "last": [-1], "far": [1000]}
    return tiny.save(
        path,
        nodes,
        [("x", T.FLOAT, ["all"]), ("bounds", T.FLOAT, ["edges"])],
        [("sum", T.FLOAT, ["n", 1])],
        [
            helper.make_tensor("axis", T.INT64, [], [0]),
            helper.make_tensor("none", T.INT64, [], [0]),
            helper.make_tensor("zero", T.FLOAT, [1], [0.0]),
            *(helper.make_tensor(name, T.INT64, [1], said) for name, said in numbers.items()),
        ],
    )


def optional(path):
    """Save a model whose weight a request may override."""
    return tiny.save(
        path,
        [("Mul", ["x", "w"], ["y"], {})],
        [("x", T.FLOAT, [4]), ("w", T.FLOAT, [4])],
        [("y", T.FLOAT, [4])],
        [helper.make_tensor("w", T.FLOAT, [4], [2.0] * 4)],
    )


def texts(path):
    """Save a model that hands texts on."""
    return tiny.save(
        path,
        [("Identity", ["t"], ["u"], {})],
        [("t", T.STRING, ["n", 2])],
        [("u", T.STRING, ["n", 2])],
    )


SPECS = """
[defaults]
repository = "models"
max_batch_size = 8

[models.queues]
source = "double.onnx"
[models.queues.dynamic_batching]
preferred_batch_size = [4, 8]
max_queue_delay_microseconds = 100
priority_levels = 2
default_priority_level = 1
default_queue_policy = { timeout_action = "REJECT", default_timeout_microseconds = 9000000 }
priority_queue_policy.2 = { max_queue_size = 64, allow_timeout_override = true }

[models.ordered]
source = "double.onnx"
dynamic_batching.preserve_ordering = true

[models.instances]
source = "double.onnx"
version_policy.specific = [1, 3]
[[models.instances.instance_group]]
name = "two"
count = 2
kind = "KIND_CPU"
rate_limiter = { priority = 2, resources = [{ name = "slots", count = 1 }] }
host_policy = "cpu"
[[models.instances.instance_group]]
count = 1
kind = "KIND_CPU"

[models.cached]
source = "double.onnx"
response_cache = true
optimization = { graph = -1, input_pinned_memory = false, output_pinned_memory = false }
metric_tags = { team = "vision" }
default_model_filename = "net.onnx"
parameters = { execution_mode = 1, inter_op_thread_count = 2, enable_mem_arena = false }

[models.shaped]
source = "double.onnx"
inputs.x.reshape = [4]
outputs.y.reshape = [4]
labels.y = "names.txt"
version_policy.all = true
warmup = "random"

[models.flat]
source = "square.onnx"
inputs.x = { dims = [12], reshape = [3, 4] }
outputs.y = { dims = [2, 6], reshape = [3, 4] }
warmup = "random"

[models.folded]
source = "sizes.onnx"
inputs.x = { dims = [-1, 2, -1, 1, 3], reshape = [-1, 2, -1, 3] }
outputs.y = { dims = [-1, 2, -1, 1, 3], reshape = [-1, 2, -1, 3] }

[models.golden]
source = "texts.onnx"
warmup = "golden"

[models.zeros]
source = "double.onnx"
warmup = "zero"
dynamic_batching = false

[models.spare]
source = "optional.onnx"
max_batch_size = 0
inputs.w.optional = true

[models.adds]
source = "recurrent.onnx"
states.before = "after"
[models.adds.sequence_batching]
max_sequence_idle_microseconds = 5000000
[models.adds.sequence_batching.control_input]
name = "start"
control = { kind = "CONTROL_SEQUENCE_START", fp32_false_true = [0, 100] }

[models.oldest]
source = "recurrent.onnx"
sequence_batching.oldest = { max_candidate_sequences = 4, preferred_batch_size = [2] }
sequence_batching.max_sequence_idle_microseconds = 7000000

[models.sums]
source = "sums.onnx"
inputs.x.allow_ragged_batch = true
[models.sums.batch_input]
kind = "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO"
source_input = "x"
target_name = "bounds"
data_type = "TYPE_FP32"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build every model of the specs."""
    folder = tmp_path_factory.mktemp("specs")
    tiny.save(folder / "double.onnx", *tiny.DOUBLE)
    for name, dims in {"square": ["n", 3, 4], "sizes": ["n", "s", 2, "t", 3]}.items():
        x, y = [("x", T.FLOAT, dims)], [("y", T.FLOAT, dims)]
        tiny.save(folder / f"{name}.onnx", [("Add", ["x", "x"], ["y"], {})], x, y)
    recurrent(folder / "recurrent.onnx")
    sums(folder / "sums.onnx")
    optional(folder / "optional.onnx")
    texts(folder / "texts.onnx")
    (folder / "names.txt").write_text("a\nb\nc\nd\n")
    (folder / "tritonforge.toml").write_text(SPECS)
    file = specfile.find(folder / "tritonforge.toml")
    repository = Repository(folder / "models")
    for name in file.models():
        build(specfile.effective(name, file).spec, repository)
    return repository


@pytest.fixture(scope="module")
def served(built, embedded):
    """Serve them all."""
    with server.serving(built.path, embedded) as ready:
        yield ready


NAMES = re.findall(r"^\[models\.(\w+)\]$", SPECS, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_what_was_said_is_what_the_server_has(built, served, name):
    written = pbtxt.parse(built.config(name))
    echoed = pbtxt.from_json(client.config(served, name))
    for field, value in written.ListFields():
        if field.name not in {"instance_group", "dynamic_batching", "optimization"}:
            assert getattr(echoed, field.name) == value, field.name
    assert [each.count for each in echoed.instance_group] == [
        each.count for each in written.instance_group
    ]
    assert pbtxt.parse(pbtxt.render(written)) == written


def test_the_specs_say_what_they_were_meant_to(built):
    instances = pbtxt.parse(built.config("instances"))
    assert [(each.name, each.count) for each in instances.instance_group] == [("two", 2), ("", 1)]
    assert instances.instance_group[0].rate_limiter.resources[0].name == "slots"
    assert list(instances.version_policy.specific.versions) == [1, 3]
    cached = pbtxt.parse(built.config("cached"))
    assert cached.optimization.graph.level == -1
    assert cached.parameters["enable_mem_arena"].string_value == "false"
    assert not pbtxt.parse(built.config("zeros")).HasField("dynamic_batching")
    queues = pbtxt.parse(built.config("queues")).dynamic_batching
    assert queues.priority_queue_policy[2].max_queue_size == 64


@pytest.mark.parametrize("name", ["queues", "ordered", "instances", "cached", "shaped", "zeros"])
def test_rows_are_doubled_whatever_was_said(served, name):
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    with client.remote(served, name, protocol="grpc") as run:
        np.testing.assert_array_equal(run({"x": x})["y"], 2 * x)


@pytest.mark.parametrize(
    ("name", "sent", "got"),
    [("flat", (12,), (2, 6)), ("folded", (5, 2, 3, 1, 3), (5, 2, 3, 1, 3))],
)
def test_requests_have_the_dims_that_were_said_beside_a_reshape(built, served, name, sent, got):
    x = np.arange(2 * np.prod(sent), dtype=np.float32).reshape(2, *sent)
    with client.remote(served, name, protocol="grpc") as run:
        np.testing.assert_array_equal(run({"x": x})["y"], 2 * x.reshape(2, *got))
    (report,) = parity(built, (name,), Wish(), endpoint=served, rehearsed=lambda _: None)
    assert report.passed


def test_a_weight_may_be_left_out(served):
    x = np.ones(4, np.float32)
    with client.remote(served, "spare", protocol="http") as run:
        np.testing.assert_array_equal(run({"x": x})["y"], 2 * x)
        np.testing.assert_array_equal(run({"x": x, "w": 5 * x})["y"], 5 * x)


def test_triton_keeps_a_state(served):
    one = np.ones((1, 1), np.float32)
    with client.remote(served, "adds", protocol="grpc") as run:
        answers = [
            run({"x": one}, Place(sequence=7, start=turn == 0, end=turn == 2))["y"].item()
            for turn in range(3)
        ]
    assert answers == [101.0, 2.0, 3.0]


def test_ragged_requests_are_told_apart(served):
    with client.remote(served, "sums", protocol="grpc") as run:
        found = run({"x": np.arange(5, dtype=np.float32)[None]})["sum"]
    assert found.tolist() == [[10.0]]


# --- the README's file ----------------------------------------------------------------------------

NETS = """
import torch
from torch import nn

class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(30522, 8)
        self.out = nn.Linear(8, 2)
    def forward(self, ids, mask):
        kept = self.words(ids) * mask.unsqueeze(-1)
        return self.out(kept.sum(1))

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(4, 8)
    def forward(self, x, h0):
        h1 = self.cell(x, h0)
        return {"y": h1 * 2, "h1": h1}

def bert():
    return Bert()

def gru():
    return Recurrent(), (torch.randn(2, 4), torch.zeros(2, 8))
"""


def readme():
    """Return the README's file of specs."""
    (text,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    return text


def test_every_model_of_the_readme_is_built_and_loaded(tmp_path, monkeypatch, embedded):
    monkeypatch.chdir(tmp_path)
    Path("tritonforge.toml").write_text(readme())
    Path("nets.py").write_text(NETS)
    sums(Path("sums.onnx"))
    told = CliRunner().invoke(main, ["build", "--format", "json"])
    assert told.exit_code == 0, told.output
    builds = json.loads(told.stdout)["builds"]
    assert [each["model"] for each in builds] == list(specfile.find(None).models())
    with server.serving(Path("model_repository"), embedded) as ready:
        for each in builds:
            assert client.metadata(ready, each["model"]).inputs


def test_every_environment_of_the_readme_makes_a_spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("tritonforge.toml").write_text(readme())
    file = specfile.find(None)
    assert file.envs
    for env in file.envs:
        for name in file.models(env):
            assert specfile.effective(name, file, env).spec.accelerator in {"tensorrt", "cuda"}
