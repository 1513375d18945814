"""Parity of what Triton's core adds something to: sequences followed, the rest told apart."""

import json
import time

import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T
from onnx import helper

from tritonforge.cli import main
from tritonforge.client import Place
from tritonforge.errors import ConfigError, RefusedError
from tritonforge.parity import Wish, load, parity
from tritonforge.repository import Repository
from tritonforge.serving import serving

START = 'control_input { name: "start" control { kind: CONTROL_SEQUENCE_START %s } }'
END = 'control_input { name: "end" control { kind: CONTROL_SEQUENCE_END %s } }'
READY = 'control_input { name: "ready" control { kind: CONTROL_SEQUENCE_READY %s } }'
ID = 'control_input { name: "id" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT64 } }'
STATE = (
    'state { input_name: "before" output_name: "after" data_type: TYPE_%s dims: [ %s ] '
    "initial_state { %s } }"
)
BARE_STATE = 'state { input_name: "before" output_name: "after" data_type: TYPE_INT32 dims: [ 1 ] }'
TEXT = "data_type: TYPE_STRING dims: [ 1 ]"
ZEROS = 'name: "zeros" data_type: TYPE_INT32 dims: [ 1 ] zero_data: true'


def compared(path, *models, endpoint=None, **wishes):
    """Compare without listening to rehearsals."""
    wish = Wish(**wishes)
    return parity(Repository(path), models, wish, endpoint=endpoint, rehearsed=lambda _: None)


IDLE = "max_sequence_idle_microseconds: 60000000"  # for tests on a machine that is busy


def batching(*parts):
    return f"sequence_batching {{ {' '.join(parts)} }}"


def sums(repository, scheduler, name="sums", operator="Add"):
    """Place a model that adds each request to what has been; one that is told of a start resets."""
    nodes = [(operator, ["x", "before"], ["y"], {}), ("Identity", ["y"], ["after"], {})]
    told = [("start", T.INT32, ["n", 1])] if "START" in scheduler else []
    if told:
        nodes = [
            ("Cast", ["start"], ["anew"], {"to": T.BOOL}),
            ("Where", ["anew", "x", "before"], ["kept"], {}),
            ("Add", ["x", "kept"], ["y"], {}),
            ("Identity", ["y"], ["after"], {}),
        ]
    tiny.place(
        repository,
        name,
        tiny.config(4, "x INT32 1", "y INT32 1", scheduler),
        nodes,
        [("x", T.INT32, ["n", 1]), *told, ("before", T.INT32, ["n", 1])],
        [("y", T.INT32, ["n", 1]), ("after", T.INT32, ["n", 1])],
    )


def tells(repository):
    """Place a model that hands on all its control tensors."""
    values = ("fp32_false_true: [ 2, 3 ]", "int32_false_true: [ 0, 7 ]")
    ready = READY % "bool_false_true: [ false, true ]"
    kinds = [("start", "FP32"), ("end", "INT32"), ("ready", "BOOL"), ("id", "INT64")]
    types = {"FP32": T.FLOAT, "INT32": T.INT32, "BOOL": T.BOOL, "INT64": T.INT64}
    tiny.place(
        repository,
        "tells",
        tiny.config(
            4,
            "x FP32 -1",
            "y FP32 -1;" + ";".join(f"{name}_out {dtype} 1" for name, dtype in kinds),
            batching("direct { }", IDLE, START % values[0], END % values[1], ready, ID),
        ),
        [
            ("Identity", ["x"], ["y"], {}),
            *(("Identity", [name], [f"{name}_out"], {}) for name, _ in kinds),
        ],
        [("x", T.FLOAT, ["n", "k"]), *((name, types[kind], ["n", 1]) for name, kind in kinds)],
        [
            ("y", T.FLOAT, ["n", "k"]),
            *((f"{name}_out", types[kind], ["n", 1]) for name, kind in kinds),
        ],
    )


SAID = STATE % ("STRING", 1, f'name: "said" {TEXT} data_file: "said"')


def says_again(repository, state=SAID):
    """Place a model without a batch that says what it was told last, at first what a file says."""
    folder = tiny.place(
        repository,
        "says_again",
        tiny.config(0, "x STRING 1", "y STRING 1", batching(IDLE, state)),
        [("Identity", ["before"], ["y"], {}), ("Identity", ["x"], ["after"], {})],
        [("x", T.STRING, [1]), ("before", T.STRING, [1])],
        [("y", T.STRING, [1]), ("after", T.STRING, [1])],
    )
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "said").write_bytes(b"\x07\0\0\0nothing")


def slow(repository, scheduler):
    """Place a model that sums, some hundredths of a second each: products that add nothing."""
    tiny.place(
        repository,
        "slow",
        tiny.config(1, "x FP32 1", "y FP32 1", scheduler),
        [
            ("ReduceSum", ["x"], ["sum"], {"keepdims": 0}),
            ("Expand", ["sum", "size"], ["m"], {}),
            ("MatMul", ["m", "m"], ["mm"], {}),
            ("MatMul", ["mm", "mm"], ["mmmm"], {}),
            ("ReduceMax", ["mmmm"], ["most"], {"keepdims": 0}),
            ("Mul", ["most", "zero"], ["nothing"], {}),
            ("Sum", ["x", "before", "nothing"], ["y"], {}),
            ("Identity", ["y"], ["after"], {}),
        ],
        [("x", T.FLOAT, ["n", 1]), ("before", T.FLOAT, ["n", 1])],
        [("y", T.FLOAT, ["n", 1]), ("after", T.FLOAT, ["n", 1])],
        initializers=[
            helper.make_tensor("size", T.INT64, [2], [900, 900]),
            helper.make_tensor("zero", T.FLOAT, [], [0.0]),
        ],
    )


def test_sequences_are_followed_with_their_controls_and_states(tmp_path):
    oldest = batching("oldest { max_candidate_sequences: 8 }", IDLE, STATE % ("INT32", 1, ZEROS))
    sums(tmp_path, oldest)
    sums(tmp_path, batching(IDLE, START % "int32_false_true: [ 0, 1 ]", BARE_STATE), "resets")
    tells(tmp_path)
    says_again(tmp_path)
    for report in compared(tmp_path):
        assert report.passed, report
        checks = [(check.name, check.protocol) for check in report.checks]
        assert checks == [
            (name, protocol) for protocol in ("http", "grpc") for name in ("sizes", "concurrent")
        ]
        # whole sequences: one of four for each size and one of one, three of four a client, or one
        # where a busy machine is slow over it
        counts = {check.name: check.report.samples for check in report.checks}
        assert counts["concurrent"] in {16 * 3 * 4, 16 * 4}
        assert counts["sizes"] == (5 if report.model != "tells" else 17)


def test_a_sequence_that_goes_another_way_differs(tmp_path):
    state = batching(STATE % ("INT32", 1, ZEROS))
    sums(tmp_path / "served", state, operator="Add")
    sums(tmp_path / "here", state, operator="Sub")
    with serving(tmp_path / "served") as endpoint:
        (report,) = compared(tmp_path / "here", endpoint=endpoint)
        words = ["parity", "-r", str(tmp_path / "here"), "--url", f"http://{endpoint.http}"]
        assert CliRunner().invoke(main, words).exit_code == 1
    assert not report.passed
    # with nothing before, a sum and a difference are the same
    assert all(check.report.outputs[0].worst.sample != 0 for check in report.checks)


def test_a_state_that_is_left_to_chance_is_not_compared(tmp_path):
    sums(tmp_path, batching(BARE_STATE))
    result = CliRunner().invoke(main, ["parity", "-r", str(tmp_path)])
    assert result.exit_code == 2
    assert "the state 'before' has no initial_state" in result.stderr
    assert "zero_data: true" in result.stderr
    sums(tmp_path, batching(STATE % ("INT32", 1, ZEROS)))
    with pytest.raises(ConfigError, match="in which the golden sample has no place"):
        compared(tmp_path, reference="golden")


def test_a_dynamic_state_begins_with_one_value_and_text_without_any(tmp_path):
    """The server gives the first of the state's three values, from a file that holds four."""
    initial = 'name: "three" data_type: TYPE_FP32 dims: [ 3 ] data_file: "three"'
    folder = tiny.place(
        tmp_path,
        "grows",
        tiny.config(4, "x FP32 1", "y FP32 -1", batching(STATE % ("FP32", "-1", initial))),
        [("Concat", ["before", "x"], ["y"], {"axis": 1}), ("Identity", ["y"], ["after"], {})],
        [("x", T.FLOAT, ["n", 1]), ("before", T.FLOAT, ["n", "k"])],
        [("y", T.FLOAT, ["n", "more"]), ("after", T.FLOAT, ["n", "more"])],
    )
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "three").write_bytes(np.array([5, 6, 7, 8], np.float32).tobytes())
    says_again(tmp_path, f'state {{ input_name: "before" output_name: "after" {TEXT} }}')
    for report in compared(tmp_path):
        assert report.passed, report


def test_sequences_that_wait_for_each_other_are_no_difference(tmp_path):
    """Sixteen at once would be forgotten while they wait for the one slot."""
    slow(tmp_path, batching("direct { }", STATE % ("FP32", 1, ZEROS.replace("INT32", "FP32"))))
    (report,) = compared(tmp_path)
    assert report.passed, report


def test_a_sequence_that_fails_leaves_its_slot_to_the_next(tmp_path):
    """Else each check but the first would wait for a minute."""
    state = batching(IDLE, STATE % ("INT32", 1, ZEROS))
    for place, size in (("served", 2), ("here", 1)):
        tiny.place(
            tmp_path / place,
            "wide",
            tiny.config(1, "x INT32 1", f"y INT32 {size}", state),
            [("Concat", ["x"] * size, ["y"], {"axis": 1}), ("Add", ["x", "before"], ["after"], {})],
            [("x", T.INT32, ["n", 1]), ("before", T.INT32, ["n", 1])],
            [("y", T.INT32, ["n", size]), ("after", T.INT32, ["n", 1])],
        )
    with serving(tmp_path / "served") as endpoint:
        started = time.monotonic()
        (report,) = compared(tmp_path / "here", endpoint=endpoint)
    assert len(report.checks) == 4
    assert all("is wanted" in check.refused for check in report.checks)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("place", [Place(sequence=7, start=True, end=False), None])
def test_a_refused_request_ends_its_sequence(place):
    asked = []

    def ask(_, place):
        asked.append(place)
        raise RefusedError("no")

    with pytest.raises(RefusedError, match=r"no \(asked with x \[2, 3\]\)"):
        load.in_a_row(ask, [({"x": np.zeros((2, 3))}, place)])
    ends = [Place(sequence=7, start=False, end=True)]
    assert asked == [place, *(ends if place else [])]


def test_what_cannot_be_compared_says_why_and_the_others_are(tmp_path):
    tiny.double(tmp_path)
    (tmp_path / "both" / "1").mkdir(parents=True)
    (tmp_path / "both" / "config.pbtxt").write_text(
        'platform: "ensemble" max_batch_size: 8 '
        'input { name: "x" data_type: TYPE_FP32 dims: 4 } '
        'output { name: "y" data_type: TYPE_FP32 dims: 4 } '
        'ensemble_scheduling { step { model_name: "double" model_version: -1 '
        'input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } }'
    )
    text = tiny.config(8, "x FP32 -1", "y FP32 -1")
    folder = tiny.place(
        tmp_path,
        "ragged",
        text.replace("dims: [ -1 ] }", "dims: [ -1 ] allow_ragged_batch: true }", 1),
        [("Identity", ["x"], ["y"], {})],
        [("x", T.FLOAT, ["all"])],
        [("y", T.FLOAT, ["all"])],
    )
    assert folder.is_dir()
    words = ["parity", "-r", str(tmp_path)]
    result = CliRunner().invoke(main, [*words, "--format", "json"])
    both, double, ragged = json.loads(result.stdout)["reports"]
    assert result.exit_code == 2
    assert double["passed"]
    assert both["error"] == "parity cannot compare 'both': an ensemble has no file of its own"
    assert "by the ragged input 'x' in its config" in ragged["error"]
    alone = CliRunner().invoke(main, [*words, "both"])
    assert "compare its steps: double" in alone.stderr


# --- configs that the server completes ------------------------------------------------------------


def test_a_config_that_the_server_completes_is_asked_for(tmp_path):
    tiny.place(tmp_path, "bare", None, *tiny.DOUBLE)
    tiny.place(tmp_path, "partial", 'backend: "onnxruntime"\nmax_batch_size: 2\n', *tiny.DOUBLE)
    bare, partial = compared(tmp_path)
    for report, largest in ((bare, 4), (partial, 2)):
        assert report.passed, report
        assert report.batching is not None
        assert report.batching.largest <= largest


def test_the_versions_that_the_policy_serves_are_compared(tmp_path):
    policy = "version_policy { specific { versions: [ 1, 3, 7 ] } }"
    folder = tiny.double(tmp_path, more=policy)
    for version in (2, 3):
        tiny.save(folder / str(version) / "model.onnx", *tiny.DOUBLE)
    reports = compared(tmp_path)
    assert [(report.version, report.passed) for report in reports] == [(1, True), (3, True)]
    with serving(tmp_path) as endpoint:
        reports = compared(tmp_path, endpoint=endpoint)
    assert [(report.version, report.passed) for report in reports] == [(1, True), (3, True)]
    (report,) = compared(tmp_path, version=2)
    assert (report.version, report.passed) == (2, True)
