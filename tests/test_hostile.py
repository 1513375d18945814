"""Repositories of somebody who means ill: each costs bounded time and memory, and gets a finding.

Each is checked in a child of its own, held to seconds of a processor and to memory by the system.
"""

import ctypes
import json
import os
import random
import resource
import socket
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_manifest import plain

from tritonforge import manifest
from tritonforge.check import check, listing, remembering
from tritonforge.repository import Repository

PR_CAPBSET_DROP, CAPABILITIES = 24, (1, 2)  # those that let root read everything
SECONDS, MEMORY = 60, 4 << 30  # of a child; each needs a few seconds on a free machine
CONFIG = """\
backend: "onnxruntime"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 16 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 16 ] label_filename: "labels.txt" } ]
instance_group [ { count: 2 kind: KIND_CPU } ]
dynamic_batching { preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100 }
parameters { key: "intra_op_thread_count" value { string_value: "2" } }
model_warmup {
  name: "w" batch_size: 1
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 16 ] input_data_file: "f" } }
}
"""


@pytest.fixture(autouse=True)
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv(remembering.VARIABLE, str(tmp_path / "cache"))


def value(name, *dims):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, dims or ("batch", 16))


def graph_of(nodes, weights=(), inputs=(), outputs=()):
    return helper.make_graph(
        list(nodes),
        "g",
        list(inputs) or [value("x")],
        list(outputs) or [value("y")],
        list(weights),
    )


def bytes_of(graph, functions=(), opset=17):
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("f", 1)]
    model = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=8)
    return model.SerializeToString()


WEIGHT = numpy_helper.from_array(np.ones((16, 16), np.float32), "w")
SHAPE = numpy_helper.from_array(np.array([-1, 16]), "s")
RELU = helper.make_graph([helper.make_node("Relu", ["x"], ["t"])], "g", [], [value("t")])
SOUND = bytes_of(
    graph_of(
        [
            helper.make_node("MatMul", ["x", "w"], ["a"], "first"),
            helper.make_node("Reshape", ["a", "s"], ["b"]),
            helper.make_node("ReduceSum", ["b"], ["c"], keepdims=0),
            helper.make_node("Cast", ["c"], ["d"], to=TensorProto.BOOL),
            helper.make_node("If", ["d"], ["e"], then_branch=RELU, else_branch=RELU),
            helper.make_node("F", ["e"], ["y"], domain="f"),
        ],
        [WEIGHT, SHAPE],
    ),
    [
        helper.make_function(
            "f",
            "F",
            ["p"],
            ["q"],
            [helper.make_node("Tanh", ["p"], ["q"])],
            [helper.make_opsetid("", 17)],
        )
    ],
)


def placed(root, *, name="m", config=CONFIG, model=SOUND):
    """Write a model; return its folder."""
    folder = root / name
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_bytes(config.encode() if isinstance(config, str) else config)
    (folder / "1" / "model.onnx").write_bytes(model)
    return folder


def told(root):
    """Check in a child within limits; return the codes that it tells."""
    return {each["code"] for each in findings(root)}


def findings(root):
    """Check in a child within limits; return what it finds."""
    ended = checked(root)
    assert ended.returncode == 1, ended.stderr.decode()[-2000:]
    found = json.loads(ended.stdout)
    assert not found["failures"]
    return found["findings"]


def checked(root):
    """Check in a child within limits, which permissions bind, whoever runs the tests."""

    def limited():
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        for each in CAPABILITIES:
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, each, 0, 0, 0)

    command = [sys.executable, "-m", "tritonforge", "check", "-r", str(root), "--format", "json"]
    return subprocess.run(
        command, capture_output=True, preexec_fn=limited, timeout=600, check=False
    )


# --- configs -------------------------------------------------------------------------------------


def a_gigabyte(path):
    os.truncate(path, 1 << 30)


def endless(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def a_socket(path):
    path.unlink()
    short = tempfile.mkdtemp()  # an address has few letters
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(f"{short}/s")
    Path(short, "s").rename(path)
    Path(short).rmdir()


def a_folder(path):
    path.unlink()
    path.mkdir()


def of_the_process(path):
    path.unlink()
    path.symlink_to("/proc/self/mem")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (a_gigabyte, "BND201"),
        (endless, "BND101"),
        (a_pipe, "BND101"),
        (a_socket, "BND101"),
        (of_the_process, "BND101"),
        (a_folder, "LAY105"),
    ],
)
def test_a_config_that_is_no_short_file(tmp_path, make, code):
    make(placed(tmp_path / "r") / "config.pbtxt")
    assert code in told(tmp_path / "r")


def test_a_config_that_may_not_be_read(tmp_path):
    (placed(tmp_path / "r") / "config.pbtxt").chmod(0)
    assert "BND101" in told(tmp_path / "r")


TENSOR = 'input {{ name: "x{0}" data_type: TYPE_FP32 dims: [ 1 ] }}\n'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("max_batch_size: 1\n" * 50_000, "SYN104"),
        ("input {" * 100_000, "SYN101"),
        ("foo [" * 100_000, "SYN101"),
        ("max_batch_size: " + "9" * 900_000, "SYN103"),
        ('name: "' + "a" * 900_000 + '"', "LAY101"),
        ("name: " + '"a" ' * 200_000, "LAY101"),
        (b'name: "\xff\xfe" \xff\n' * 50_000, "SYN101"),
        ("".join(TENSOR.format(each) for each in range(18_000)), "FIT101"),
        (TENSOR.format("") * 18_000, "TEN112"),
        ('input { name: "x" dims: [ ' + "1, " * 300_000 + "1 ] }", "TEN102"),
        ("# tritonforge: ignore BAT101\n" * 30_000 + 'name: "n"', "LAY101"),
        ('backend: "python" default_model_filename: "' + "a/" * 3_000 + '"', "LAY108"),
        ('default_model_filename: "../../../../../../etc/passwd"', "GEN205"),
    ],
    ids=lambda text: str(text[:24]),
)
def test_a_config_of_nonsense(tmp_path, text, code):
    placed(tmp_path / "r", config=text)
    assert code in told(tmp_path / "r")


def test_nothing_outside_a_version_is_read(tmp_path):
    (tmp_path / "secret").write_bytes(SOUND)
    placed(tmp_path / "r", config='default_model_filename: "../../../secret"')
    found = [each.found.said for each in check(Repository(tmp_path / "r")).findings]
    assert not [each for each in found if "'x'" in each]


def ensemble(steps):
    head = 'platform: "ensemble" input { name: "x" data_type: TYPE_FP32 dims: [ 16 ] }'
    tail = 'output { name: "y" data_type: TYPE_FP32 dims: [ 16 ] }'
    told = "".join(
        f'step {{ model_name: "{name}" model_version: -1 input_map {{ key: "x" value: "{taken}" }}'
        f' output_map {{ key: "y" value: "{given}" }} }}\n'
        for name, taken, given in steps
    )
    return f"{head} {tail} ensemble_scheduling {{ {told} }}"


def test_an_ensemble_of_very_many_steps_in_the_wrong_order(tmp_path):
    placed(tmp_path / "r")
    steps = [("m", f"t{number}", f"t{number + 1}") for number in reversed(range(8_000))]
    placed(tmp_path / "r", name="e", config=ensemble(steps))
    assert told(tmp_path / "r") & {"ENS111", "ENS113"}


def test_ensembles_that_lead_to_each_other(tmp_path):
    """A circle of many, and one in which all ways are counted by no computer."""
    for number in range(600):
        steps = [(f"e{(number + 1) % 600}", "x", "y")]
        placed(tmp_path / "r", name=f"e{number}", config=ensemble(steps))
    for number in range(50):
        steps = [(f"d{other}", "x", f"y{other}") for other in range(number + 1, 50)]
        placed(tmp_path / "r", name=f"d{number}", config=ensemble(steps))
    assert {"ENS203", "ENS204"} <= told(tmp_path / "r")


def test_an_ensemble_of_models_that_are_not_there(tmp_path):
    steps = [(f"model{number}", "x", "y") for number in range(8_000)]
    placed(tmp_path / "r", name="e", config=ensemble(steps))
    for number in range(2_000):
        (tmp_path / "r" / f"modle{number}").mkdir()
    assert "ENS201" in told(tmp_path / "r")


# --- folders -------------------------------------------------------------------------------------


@pytest.fixture
def closed():
    """Return a function that takes a permission from a folder or file, for this test."""
    taken = []

    def take(path, mode):
        taken.append(path)
        path.chmod(mode)

    yield take
    for each in reversed(taken):
        each.chmod(0o755)


WHY = "the folder cannot be read: Permission denied"
FILE = "cannot read it: Permission denied"


@pytest.mark.parametrize(
    ("path", "mode", "config", "codes"),
    [
        ("", 0o000, True, {"BND102": WHY}),
        ("", 0o111, True, {"BND102": WHY}),
        ("", 0o444, True, {"BND101": "it cannot be read: Permission denied", "BND102": WHY}),
        ("", 0o000, False, {"BND102": WHY}),
        ("", 0o111, False, {"BND102": WHY}),
        ("1", 0o000, True, {"BND102": WHY}),
        ("1", 0o111, True, {"BND102": WHY}),
        ("1", 0o444, True, {"OPS101": FILE}),
        ("1", 0o000, False, {"BND102": WHY}),
        ("1", 0o111, False, {"BND102": WHY}),
        ("2", 0o000, True, {"BND102": WHY}),
        ("2", 0o111, True, {}),
        ("0notes", 0o000, True, {"BND102": WHY}),
        ("0notes", 0o444, True, {}),
        ("notes", 0o000, True, {}),
        ("1/model.onnx", 0o000, True, {"OPS101": FILE}),
    ],
)
def test_what_may_not_be_read_is_told_as_such(tmp_path, closed, path, mode, config, codes):
    """Each case as the embedded server has it, which refuses just those that are told."""
    folder = placed(tmp_path / "r", config=CONFIG + "version_policy { all { } }")
    if not config:
        (folder / "config.pbtxt").unlink()
    for name in ("2", "notes", "0notes"):
        if path == name:
            (folder / name).mkdir()
    if path == "2":
        (folder / "2" / "model.onnx").write_bytes(SOUND)
    closed(folder / path, mode)
    found = {each["code"]: each["message"] for each in findings(tmp_path / "r")}
    plain = ("BND", "OPS10", "LAY", "PRF", "FIT11")
    assert {code: said for code, said in found.items() if code.startswith(plain)} == codes


def test_a_repository_that_may_not_be_read_is_no_empty_one(tmp_path, closed):
    placed(tmp_path / "r")
    closed(tmp_path / "r", 0o000)
    ended = checked(tmp_path / "r")
    assert ended.returncode == 2
    assert f"Error: cannot read {tmp_path}/r: Permission denied" in ended.stderr.decode()


def test_a_repository_of_folders_that_may_not_be_gone_into(tmp_path, closed):
    placed(tmp_path / "r")
    (tmp_path / "r" / "m" / "link").symlink_to("1")
    closed(tmp_path / "r", 0o444)
    assert told(tmp_path / "r") == {"BND102"}


def test_very_many_names(tmp_path):
    folder = placed(tmp_path / "r")
    for number in range(10_001):
        (folder / "1" / f"f{number}").touch()
    assert "BND202" in told(tmp_path / "r")


def test_many_names_in_many_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(listing, "_MOST_INSIDE", 100)
    folder = placed(tmp_path / "r")
    for number in range(2, 5):
        (folder / str(number)).mkdir()
        for name in range(40):
            (folder / str(number) / f"f{name}").touch()
    report = check(Repository(tmp_path / "r"))
    cut = {each.found.file: each.found.said for each in report.findings if "names" in each.sentence}
    assert [*cut] == ["4"]
    assert "19 are judged, and there are more" in cut["4"]


def test_links_in_circles_and_out(tmp_path):
    folder = placed(tmp_path / "r")
    for name, target in (("2", ".."), ("3", "3"), ("4", "."), ("5", "/"), ("6", "/proc/self")):
        (folder / name).symlink_to(target)
    for name, target in (("n", "."), ("o", "o"), ("etc", "/etc")):
        (tmp_path / "r" / name).symlink_to(target)
    assert {"LAY106", "LAY111"} <= told(tmp_path / "r")


@pytest.mark.parametrize("form", ["table", "json", "github", "sarif"])
def test_names_that_are_no_words(tmp_path, form):
    for name in (
        b"a\nb",
        b"\x1b[31m",
        b"\xff\xfe",
        b"a" * 255,
        b"::error::x",
        b"\xe2\x80\xae",
        b"[",
    ):
        folder = tmp_path / "r" / os.fsdecode(name)
        (folder / os.fsdecode(b"1\n\xff")).mkdir(parents=True)
        (folder / "config.pbtxt").write_text('name: "zzz" max_batch_size: -1\n foo: 3')
        (folder / os.fsdecode(b"\xfd\x1b[31m")).symlink_to(os.fsdecode(b"\xfe\n"))
    command = [sys.executable, "-m", "tritonforge", "check", "-r", str(tmp_path / "r")]
    ended = subprocess.run(
        [*command, "--format", form], capture_output=True, timeout=300, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert b"\x1b[31m" not in ended.stdout + ended.stderr
    assert not ended.stderr.startswith(b"Error")


# --- files of models -----------------------------------------------------------------------------


def number_of(value):
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def within(tags, body):
    """Put bytes into messages in messages, the innermost first."""
    for tag in tags:
        body = tag + number_of(len(body)) + body
    return body


def calling(count, times):
    """Make functions each of which calls the next one so many times."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = []
    for number in range(count):
        last = number == count - 1
        names = ["a", *(f"c{each}" for each in range(1, times)), "b"]
        op, domain = ("Relu", "") if last else (f"F{number + 1}", "f")
        nodes = [
            helper.make_node(op, [one], [other], domain=domain) for one, other in pairwise(names)
        ]
        functions.append(helper.make_function("f", f"F{number}", ["a"], ["b"], nodes, opsets))
    first = helper.make_node("F0", ["x"], ["y"], domain="f")
    return bytes_of(graph_of([first]), functions)


def of_external(entries):
    weight = TensorProto(name="w", data_type=1, dims=(16,), data_location=TensorProto.EXTERNAL)
    for key, text in entries.items():
        weight.external_data.add(key=key, value=text)
    return bytes_of(graph_of([helper.make_node("Add", ["x", "w"], ["y"])], [weight]))


def of_dims(*dims):
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=dims)
    return bytes_of(graph_of([helper.make_node("Add", ["x", "w"], ["y"])], [weight]))


HOLDING_ITSELF = helper.make_function(
    "f",
    "F",
    ["a"],
    ["b"],
    [helper.make_node("F", ["a"], ["b"], domain="f")],
    [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)],
)
FILES = {
    "cut short": SOUND[:-7],
    "a length of 63 bits": b"\x3a" + b"\xff" * 8 + b"\x7f" + b"abc",
    "groups in groups": b"\x3b" * 100_000,
    "deep": b"\x08\x08" + within([*[b"\x32", b"\x2a", b"\x0a"] * 3_000, b"\x3a"], b"x" * 2_000),
    "empty nodes": SOUND + within([b"\x3a"], b"\x0a\x00" * 3_000_000),
    "empty attributes": SOUND + within([b"\x3a"], within([b"\x0a"], b"\x2a\x00" * 250) * 40_000),
    "a function that holds itself": bytes_of(
        graph_of([helper.make_node("F", ["x"], ["y"], domain="f")]), [HOLDING_ITSELF]
    ),
    "functions that stand for all nodes of the world": calling(40, 2),
    "functions far below": calling(5_000, 1),
    "a layer along no axis": bytes_of(
        graph_of(
            [helper.make_node("LayerNormalization", ["x", "w"], ["y", "m", "d"], axis=2**31)],
            [WEIGHT],
        )
    ),
    "more parts than it says": bytes_of(
        graph_of([helper.make_node("Split", ["x"], ["y", "b", "c"], num_outputs=2, axis=1)]),
        opset=18,
    ),
    "nothing where something is needed": bytes_of(
        graph_of([helper.make_node("EyeLike", [""], ["y"], dtype=1)])
    ),
    "an opset beyond 32 bits": bytes_of(
        graph_of([helper.make_node("Relu", ["x"], ["y"])]), opset=2**40
    ),
    "cut short behind large weights": bytes_of(
        graph_of([], [numpy_helper.from_array(np.ones((64, 64), np.float32), "w")])
    )[:-9],
    "huge dims": of_dims(2**62, 2**62),
    "negative dims": of_dims(-5, -(2**62)),
    "very many dims": of_dims(*[2**62] * 100_000),
    "a circle": bytes_of(
        graph_of(
            [helper.make_node("Add", ["x", "y"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
        )
    ),
    "weights in /etc": of_external({"location": "/etc/passwd"}),
    "weights above": of_external({"location": "../../../etc/passwd"}),
    "weights in itself": of_external({"location": "model.onnx"}),
    "weights in a pipe": of_external({"location": "pipe"}),
    "weights behind the end": of_external({"location": "model.onnx", "offset": "9" * 5_000}),
    "weights of a negative size": of_external({"location": "model.onnx", "length": "-1"}),
    "weights in a long name": of_external({"location": "a" * 5_000}),
    "weights in no name": of_external({"location": "a\0b"}),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_model(tmp_path, kind):
    folder = placed(tmp_path / "r", model=FILES[kind])
    os.mkfifo(folder / "1" / "pipe")
    assert told(tmp_path / "r") & {"OPS101", "OPS102", "EXT101", "EXT201", "EXT202", "BND203"}


@pytest.mark.parametrize("make", [endless, a_pipe, a_socket, of_the_process])
def test_a_file_that_is_no_file(tmp_path, make):
    make(placed(tmp_path / "r") / "1" / "model.onnx")
    assert "OPS101" in told(tmp_path / "r")


def test_a_file_of_a_hundred_gigabytes(tmp_path):
    os.truncate(placed(tmp_path / "r") / "1" / "model.onnx", 100 << 30)
    assert "OPS101" in told(tmp_path / "r")


def test_branches_in_a_large_graph_cost_what_they_hold(tmp_path):
    nodes = [
        helper.make_node("If", ["c"], [f"y{number}"], then_branch=RELU, else_branch=RELU)
        for number in range(4_000)
    ]
    condition = helper.make_tensor_value_info("c", TensorProto.BOOL, [1])
    model = bytes_of(graph_of(nodes, inputs=[value("x"), condition], outputs=[value("y0")]))
    placed(tmp_path / "r", model=model)
    assert "FIT103" in told(tmp_path / "r")


# --- manifests -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[" * 1_000_000,
        '{"a":' * 100_000,
        "[]",
        "null",
        '{"format": NaN}',
        '{"format": ' + "1" * 10_000 + "}",
        '{"format": 1, "target": 5}',
        '"\ud800"',
        b"\xff\xfe",
    ],
    ids=lambda text: str(text[:16]),
)
def test_a_manifest_of_nonsense(tmp_path, text):
    data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    (placed(tmp_path / "r") / "1" / "manifest.json").write_bytes(data)
    assert "PRF204" in told(tmp_path / "r")


@pytest.mark.parametrize("make", [endless, a_pipe, a_socket, a_folder, of_the_process])
def test_a_manifest_that_is_no_file(tmp_path, make):
    path = placed(tmp_path / "r") / "1" / "manifest.json"
    path.touch()
    make(path)
    assert "PRF204" in told(tmp_path / "r")


def test_a_manifest_of_a_gigabyte(tmp_path):
    path = placed(tmp_path / "r") / "1" / "manifest.json"
    path.touch()
    a_gigabyte(path)
    assert "PRF204" in told(tmp_path / "r")


# --- mutations -----------------------------------------------------------------------------------


def mutated(rng, data):
    """Change some bytes, take some out, put some in, or repeat some."""
    held = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 5))):
        at, size = rng.randrange(len(held) + 1), rng.choice((1, 1, 2, 8, 64))
        new = rng.choice(
            (rng.randbytes(size), b"\x00" * size, b"\xff" * size, held[at : at + size])
        )
        held[at : at + rng.choice((0, size, size))] = new
    return bytes(held)


@pytest.mark.parametrize("kind", ["config.pbtxt", "1/model.onnx"])
@pytest.mark.parametrize("seed", range(4))
def test_no_mutation_of_what_is_sound_ends_a_check(tmp_path, kind, seed):
    rng = random.Random(f"{kind} {seed}")  # noqa: S311 - the same each time
    for number in range(300):
        folder = placed(tmp_path / "r", name=f"m{number}")
        (folder / kind).write_bytes(mutated(rng, (folder / kind).read_bytes()))
    assert not check(Repository(tmp_path / "r")).failures


JUNK = (None, True, -1, 1e308, 10**400, "", "../../x", "/etc/passwd", [], {}, [[]], {"a": {}})


def put(rng, document):
    """Put something else in the place of a value, however deep."""
    held = document
    while True:
        keys = [*held] if isinstance(held, dict) else [*range(len(held))]
        key = rng.choice(keys)
        if isinstance(held[key], dict | list) and held[key] and rng.random() < 0.7:
            held = held[key]
            continue
        held[key] = rng.choice(JUNK)
        return


@pytest.mark.parametrize("seed", range(2))
def test_no_mutation_of_a_manifest_ends_a_check(tmp_path, seed):
    rng = random.Random(seed)  # noqa: S311 - as above
    for number in range(200):
        version = placed(tmp_path / "r", name=f"m{number}") / "1"
        manifest.write(plain(), version)
        sound = (version / "manifest.json").read_bytes()
        document = json.loads(sound)
        put(rng, document)
        data = json.dumps(document).encode() if number % 2 else mutated(rng, sound)
        (version / "manifest.json").write_bytes(data)
    assert not check(Repository(tmp_path / "r")).failures
