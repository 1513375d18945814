"""Parity of what Triton's core adds something to: sequences followed, the rest told apart."""

import json

import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T

from tritonforge.cli import main
from tritonforge.errors import ConfigError
from tritonforge.parity import Wish, parity
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
ZEROS = 'name: "zeros" data_type: TYPE_INT32 dims: [ 1 ] zero_data: true'


def compared(path, *models, endpoint=None, **wishes):
    """Compare without listening to rehearsals."""
    wish = Wish(**wishes)
    return parity(Repository(path), models, wish, endpoint=endpoint, rehearsed=lambda _: None)


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
            batching("direct { }", START % values[0], END % values[1], ready, ID),
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


def says_again(repository):
    """Place a model without a batch that says what it was told last, at first what a file says."""
    initial = 'name: "said" data_type: TYPE_STRING dims: [ 1 ] data_file: "said"'
    folder = tiny.place(
        repository,
        "says_again",
        tiny.config(0, "x STRING 1", "y STRING 1", batching(STATE % ("STRING", 1, initial))),
        [("Identity", ["before"], ["y"], {}), ("Identity", ["x"], ["after"], {})],
        [("x", T.STRING, [1]), ("before", T.STRING, [1])],
        [("y", T.STRING, [1]), ("after", T.STRING, [1])],
    )
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "said").write_bytes(b"\x07\0\0\0nothing")


def test_sequences_are_followed_with_their_controls_and_states(tmp_path):
    oldest = batching("oldest { max_candidate_sequences: 8 }", STATE % ("INT32", 1, ZEROS))
    sums(tmp_path, oldest)
    sums(tmp_path, batching(START % "int32_false_true: [ 0, 1 ]", BARE_STATE), "resets")
    tells(tmp_path)
    says_again(tmp_path)
    for report in compared(tmp_path):
        assert report.passed, report
        checks = [(check.name, check.protocol) for check in report.checks]
        assert checks == [
            (name, protocol) for protocol in ("http", "grpc") for name in ("sizes", "concurrent")
        ]
        # whole sequences: one of four for each size and one of one, three of four a client
        counts = {check.name: check.report.samples for check in report.checks}
        assert counts["concurrent"] == 16 * 3 * 4
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
