"""Sequences in the stand-in for Triton's ONNX Runtime backend: control tensors, implicit state."""

import importlib
import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
from backend import counted, refused
from onnx import TensorProto as T
from onnx import helper
from tritonclient.utils import InferenceServerException

from tritonforge import client, server

both = pytest.mark.parametrize("protocol", ["http", "grpc"])
LONG = "max_sequence_idle_microseconds: 60000000"


def control(kind: str, name: str, values: str) -> str:
    return (
        f'control_input {{ name: "{name}" control {{ kind: CONTROL_SEQUENCE_{kind} {values} }} }} '
    )


def state(dtype: str, dims: int, initial: str = "") -> str:
    return (
        f'state {{ input_name: "before" output_name: "after" data_type: TYPE_{dtype} '
        f"dims: [ {dims} ] {initial} }} "
    )


ZEROS = 'initial_state { name: "zeros" data_type: TYPE_INT32 dims: [ 1 ] zero_data: true }'
CONTROLS = {
    "start": control("START", "start", "fp32_false_true: [ 0, 1 ]"),
    "end": control("END", "end", "int32_false_true: [ 3, 5 ]"),
    "ready": control("READY", "ready", "bool_false_true: [ false, true ]"),
    "id": control("CORRID", "id", "data_type: TYPE_UINT64"),
}


def sequences(*parts: str) -> str:
    return f"sequence_batching {{ {' '.join(parts)} }}"


def tells(repository: Path) -> None:
    """Place a model that tells its control tensors, and how many rows ran and were ready."""
    outs = {"start": ("s", "FP32"), "end": ("e", "INT32"), "ready": ("r", "BOOL")}
    outs["id"] = ("i", "UINT64")
    kinds = {"FP32": T.FLOAT, "INT32": T.INT32, "BOOL": T.BOOL, "UINT64": T.UINT64}
    tiny.place(
        repository,
        "tells",
        tiny.config(
            4,
            "x INT32 1",
            ";".join(f"{name} {dtype} 1" for name, dtype in outs.values()) + ";rows INT32 1",
            sequences("direct { }", LONG, *CONTROLS.values()),
        ),
        [
            *(("Identity", [name], [out], {}) for name, (out, _) in outs.items()),
            ("Cast", ["ready"], ["ones"], {"to": T.INT32}),
            ("ReduceSum", ["ones"], ["count"], {"keepdims": 1}),
            ("Mul", ["count", "hundred"], ["hundreds"], {}),
            ("Shape", ["x"], ["shape"], {"start": 0, "end": 1}),
            ("Cast", ["shape"], ["size"], {"to": T.INT32}),
            ("Add", ["hundreds", "size"], ["both"], {}),
            ("Shape", ["x"], ["whole"], {}),
            ("Expand", ["both", "whole"], ["rows"], {}),
        ],
        [("x", T.INT32, ["n", 1])]
        + [(name, kinds[dtype], ["n", 1]) for name, (_, dtype) in outs.items()],
        [(out, kinds[dtype], ["n", 1]) for out, dtype in outs.values()]
        + [("rows", T.INT32, ["n", 1])],
        initializers=[helper.make_tensor("hundred", T.INT32, [1], [100])],
    )


def adds(repository: Path, name: str, batching: str) -> None:
    """Place a model that looks up what to add to its state, and fails beyond a table of 100."""
    tiny.place(
        repository,
        name,
        tiny.config(4, "x INT32 1", "y INT32 1", batching),
        [
            ("Gather", ["table", "x"], ["more"], {}),
            ("Add", ["more", "before"], ["y"], {}),
            ("Identity", ["y"], ["after"], {}),
        ],
        [("x", T.INT32, ["n", 1]), ("before", T.INT32, ["n", 1])],
        [("y", T.INT32, ["n", 1]), ("after", T.INT32, ["n", 1])],
        initializers=[helper.make_tensor("table", T.INT32, [100], list(range(100)))],
    )


def grows(repository: Path) -> None:
    """Place a model whose state grows by a value with each request, and sums it."""
    initial = 'initial_state { name: "one" data_type: TYPE_FP32 dims: [ 1 ] zero_data: true }'
    tiny.place(
        repository,
        "grows",
        tiny.config(
            4,
            "x FP32 1",
            "y FP32 1;size INT64 1",
            sequences(
                "oldest { max_candidate_sequences: 4 max_queue_delay_microseconds: 50000 }",
                LONG,
                state("FP32", -1, initial),
            ),
        ),
        [
            ("Concat", ["before", "x"], ["after"], {"axis": 1}),
            ("ReduceSum", ["after", "axis"], ["y"], {"keepdims": 1}),
            ("Shape", ["after"], ["length"], {"start": 1, "end": 2}),
            ("Shape", ["x"], ["whole"], {}),
            ("Expand", ["length", "whole"], ["size"], {}),
        ],
        [("x", T.FLOAT, ["n", 1]), ("before", T.FLOAT, ["n", "k"])],
        [
            ("y", T.FLOAT, ["n", 1]),
            ("size", T.INT64, ["n", 1]),
            ("after", T.FLOAT, ["n", "k1"]),
        ],
        initializers=[helper.make_tensor("axis", T.INT64, [1], [1])],
    )


def says_again(repository: Path) -> None:
    """Place a model without a batch that says what it was told last."""
    initial = 'initial_state { name: "said" data_type: TYPE_STRING dims: [ 1 ] data_file: "said" }'
    folder = tiny.place(
        repository,
        "says_again",
        tiny.config(
            0,
            "x STRING 1",
            "y STRING 1;after STRING 1",
            sequences(LONG, state("STRING", 1, initial)),
        ),
        [("Identity", ["before"], ["y"], {}), ("Identity", ["x"], ["after"], {})],
        [("x", T.STRING, [1]), ("before", T.STRING, [1])],
        [("y", T.STRING, [1]), ("after", T.STRING, [1])],
    )
    (folder / "initial_state").mkdir()
    (folder / "initial_state" / "said").write_bytes(b"\x07\0\0\0nothing")


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def served(embedded, said, tmp_path_factory):
    """Serve a model of each kind."""
    repository = tmp_path_factory.mktemp("sequences")
    oldest = "oldest { max_candidate_sequences: 8 max_queue_delay_microseconds: 100000 }"
    tells(repository)
    adds(repository, "adds", sequences(oldest, LONG, state("INT32", 1, ZEROS)))
    shared = f"{ZEROS} use_same_buffer_for_input_output: true"
    two = sequences("direct { }", LONG, state("INT32", 1, shared))
    adds(repository, "adds_in_two", f'{two} instance_group {{ name: "more" kind: KIND_CPU }}')
    short = "max_sequence_idle_microseconds: 100000"
    adds(repository, "forgets", sequences("direct { }", short, state("INT32", 1, ZEROS)))
    grows(repository)
    says_again(repository)
    with server.serving(repository, embedded, show=said.append) as ready:
        yield ready


@contextmanager
def asking(endpoint, model, protocol="http"):
    """Give a function that makes one request of a sequence."""
    module = importlib.import_module(f"tritonclient.{protocol}")
    client = module.InferenceServerClient(getattr(endpoint, protocol))
    types = {"i": "INT32", "f": "FP32", "O": "BYTES"}

    def ask(sequence, array, *, start=False, end=False, outputs=None):
        tensor = module.InferInput("x", list(array.shape), types[array.dtype.kind])
        tensor.set_data_from_numpy(array)
        answer = client.infer(
            model,
            [tensor],
            outputs=outputs and [module.InferRequestedOutput(name) for name in outputs],
            sequence_id=sequence,
            sequence_start=start,
            sequence_end=end,
        )
        found = answer.get_response()
        said = found["outputs"] if protocol == "http" else found.outputs
        names = [each["name"] if protocol == "http" else each.name for each in said]
        return {name: answer.as_numpy(name).reshape(-1).tolist() for name in names}

    try:
        yield ask
    finally:
        client.close()


def number(value, dtype=np.int32):
    return np.array([[value]], dtype)


@both
def test_control_tensors_tell_the_place_in_the_sequence(served, protocol):
    with asking(served, "tells", protocol) as ask:
        first = ask(7, number(0), start=True)
        assert first == {"s": [1.0], "e": [3], "r": [True], "i": [7], "rows": [101]}
        # slot 0 is the first sequence's, so that this one runs with a row that is not ready
        ask(8, number(0), start=True)
        assert ask(8, number(0)) == {"s": [0.0], "e": [3], "r": [True], "i": [8], "rows": [102]}
        ended = ask(7, number(0), end=True, outputs=["e", "rows"])
        assert ended == {"e": [5], "rows": [101]}
        alone = ask(8, number(0), end=True)
        assert (alone["s"], alone["e"]) == ([0.0], [5])


def test_sequences_run_together_each_with_its_own_state(served):
    before = client.statistics(served, "adds")

    def run(sequence):
        with asking(served, "adds") as ask:
            last = 4
            return [
                ask(sequence, number(sequence), start=n == 0, end=n == last)["y"][0]
                for n in range(last + 1)
            ]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(run, range(1, 7)))
    assert answers == [[sequence * n for n in range(1, 6)] for sequence in range(1, 7)]
    inferences, executions, _ = counted(served, "adds", before)
    assert executions < inferences == 30


@both
def test_a_failed_request_leaves_its_sequence_as_it_was(served, protocol):
    with asking(served, "adds", protocol) as ask:
        assert ask("first", number(5), start=True)["y"] == [5]
        assert ask("second", number(1), start=True)["y"] == [1]
        with pytest.raises(Exception, match="onnx runtime error 2"):
            ask("first", number(999))
        assert ask("second", number(1), end=True)["y"] == [2]
        assert ask("first", number(2), end=True)["y"] == [7]
        with pytest.raises(Exception, match="onnx runtime error 2"):
            ask("third", number(999), start=True)
        assert ask("third", number(4), end=True)["y"] == [4]


def test_a_start_begins_anew_and_an_end_forgets(served):
    with asking(served, "adds") as ask:
        ask(1, number(5), start=True)
        ask(1, number(5))
        assert ask(1, number(2), start=True)["y"] == [2]
        assert ask(1, number(2), end=True)["y"] == [4]
        with pytest.raises(Exception, match="must specify the START flag"):
            ask(1, number(2))
        assert ask(1, number(3), start=True, end=True)["y"] == [3]


def test_two_instances_keep_their_sequences_apart(served):
    with asking(served, "adds_in_two") as ask:
        for sequence in range(1, 8):
            ask(sequence, number(sequence), start=True)
        for times in (2, 3, 4):
            for sequence in range(1, 8):
                assert ask(sequence, number(sequence))["y"] == [times * sequence]
        for sequence in range(1, 8):
            ask(sequence, number(0), end=True)


def test_an_idle_sequence_is_over(served):
    with asking(served, "forgets") as ask:
        ask(1, number(5), start=True)
        time.sleep(0.5)  # five times as long as it may be idle
        with pytest.raises(Exception, match="must specify the START flag"):
            ask(1, number(5))
        assert ask(1, number(2), start=True, end=True)["y"] == [2]


def test_states_may_grow_and_differ_in_length(served):
    def run(sequence):
        with asking(served, "grows") as ask:
            values = [np.full((1, 1), sequence, np.float32)] * sequence
            ask(sequence, values[0], start=True)
            found = [ask(sequence, value) for value in values]
            return found[-1], ask(sequence, values[0], end=True, outputs=["size"])

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(run, (1, 2, 4)))
    for sequence, (last, end) in zip((1, 2, 4), answers, strict=True):
        assert last == {"y": [float(sequence * (sequence + 1))], "size": [sequence + 2]}
        assert end == {"size": [sequence + 3]}


def test_states_of_other_lengths_in_one_batch_are_kept_apart(served, said):
    value, largest, length = np.ones((1, 1), np.float32), 1, 2
    with asking(served, "grows", "grpc") as one, asking(served, "grows", "grpc") as other:
        for ask, sequence, requests in ((one, 11, 3), (other, 12, 1)):
            for n in range(requests):
                ask(sequence, value, start=n == 0)
        with ThreadPoolExecutor(2) as pool:
            while largest == 1 and length < 30:  # till both have arrived within a batch's time
                before, length = client.statistics(served, "grows"), length + 1
                answers = [pool.submit(one, 11, value), pool.submit(other, 12, value)]
                found = [each.result()["size"][0] for each in answers]
                assert found == [length + 2, length]
                _, _, largest = counted(served, "grows", before)
        assert largest == 2
        for ask, sequence in ((one, 11), (other, 12)):
            ask(sequence, value, end=True)
    assert not any("failed as one batch" in line for line in said)  # nothing was tried in vain


@both
def test_text_as_state_from_a_file_and_as_correlation_id(served, protocol):
    def words(text):
        return np.array([text], dtype=object)

    with asking(served, "says_again", protocol) as ask:
        first = ask("anna", words("one"), start=True)
        assert first == {"y": [b"nothing"], "after": [b"one"]}
        assert ask("anna", words("two"), outputs=["y"]) == {"y": [b"one"]}
        assert ask("anna", words("three"), end=True)["y"] == [b"two"]


# --- what is refused ----------------------------------------------------------------------------

OUT = [("y", T.INT32, ["n", 1]), ("after", T.INT32, ["n", 1])]
WRONG = {
    "no_control": (
        control("START", "begin", "int32_false_true: [ 0, 1 ]"),
        "sequence control 'beg",
    ),
    "control_type": (
        control("START", "flag", "fp32_false_true: [ 0, 1 ]"),
        "the model expects data-type INT32 but the model configuration specifies data-type TYPE_F",
    ),
    "control_dims": (
        control("END", "before", "int32_false_true: [ 0, 1 ]"),
        r"control 'before' in model has dims \[-1\] but dims \[1\] is expected",
    ),
    "too_few": (
        control("START", "flag", "int32_false_true: [ 0, 1 ]"),
        "expects 2 inputs, model provides 3",
    ),
    "state_file": (
        control("START", "flag", "int32_false_true: [ 0, 1 ]")
        + state("INT32", 1, ZEROS.replace("zero_data: true", 'data_file: "absent"')),
        "initial_state/absent",
    ),
}


def test_sequences_that_do_not_fit_are_refused_in_the_words_of_the_real_backend(embedded, tmp_path):
    for name, (batching, _) in WRONG.items():
        tiny.place(
            tmp_path,
            name,
            tiny.config(4, "x INT32 1", "y INT32 1", sequences(batching)),
            [
                ("Add", ["x", "flag"], ["sum"], {}),
                ("ReduceSum", ["before"], ["all"], {"keepdims": 0}),
                ("Add", ["sum", "all"], ["y"], {}),
                ("Identity", ["y"], ["after"], {}),
            ],
            [
                ("x", T.INT32, ["n", 1]),
                ("flag", T.INT32, ["n", 1]),
                ("before", T.INT32, ["n", "k"]),
            ],
            OUT,
        )
    said = refused(tmp_path, embedded)
    for name, (_, words) in WRONG.items():
        assert re.search(f"model '{name}'[^;]*{words}", said), said


# Told by the requests alone, there as here: the model loads, and each of them fails.
FAILING = {
    "state_type": (state("FP32", 1), "expected: .tensor.int32"),
    "state_input": (state("INT32", 1).replace("before", "earlier"), "earlier"),
    "state_output": (state("INT32", 1).replace("after", "later"), "later"),
}


def test_states_that_do_not_fit_and_texts_as_controls_fail_every_request(embedded, tmp_path):
    flag = control("START", "flag", "int32_false_true: [ 0, 1 ]")
    for name, (batching, _) in FAILING.items():
        tiny.place(
            tmp_path,
            name,
            tiny.config(4, "x INT32 1", "y INT32 1", sequences(flag, batching)),
            [
                ("Add", ["x", "flag"], ["sum"], {}),
                ("Add", ["sum", "before"], ["y"], {}),
                ("Identity", ["y"], ["after"], {}),
            ],
            [(each, T.INT32, ["n", 1]) for each in ("x", "flag", "before")],
            OUT,
        )
    tiny.place(
        tmp_path,
        "text",
        tiny.config(
            4,
            "x INT32 1",
            "y INT32 1",
            sequences(control("CORRID", "id", "data_type: TYPE_STRING")),
        ),
        [("Identity", ["x"], ["y"], {}), ("Identity", ["id"], ["by"], {})],
        [("x", T.INT32, ["n", 1]), ("id", T.STRING, ["n", 1])],
        [("y", T.INT32, ["n", 1]), ("by", T.STRING, ["n", 1])],
    )
    said = {name: words for name, (_, words) in FAILING.items()}
    said["text"] = "unexpected number of string elements"
    with server.serving(tmp_path, embedded) as endpoint:
        for name, words in said.items():
            with asking(endpoint, name) as ask:
                for start in (True, False):
                    with pytest.raises(InferenceServerException, match=words):
                        ask("one" if name == "text" else 1, number(3), start=start)


# --- what is kept -------------------------------------------------------------------------------


def test_states_left_without_an_end_are_forgotten_when_idle_and_more_than_the_slots(parts):
    module = parts.ort_state
    one = SimpleNamespace(name="before", output="after")

    def kept(idle, count):
        states = module.States(
            [one],
            {"max_batch_size": 2, "sequence_batching": {"max_sequence_idle_microseconds": idle}},
        )
        batch = np.zeros((count, 1000))
        for n in range(count):
            request = SimpleNamespace(correlation_id=lambda n=n: n + 1, flags=lambda: 1)
            states.keep(request, {"after": batch[n : n + 1]})
        return states

    assert list(kept("1", 50)._kept) == [49, 50]
    patient = kept("60000000", 50)
    assert len(patient._kept) == 50  # as long as they may only be slow
    assert all(state["before"].base is None for _, state in patient._kept.values())
    feed = {}
    gone = SimpleNamespace(correlation_id=lambda: 77, flags=lambda: 0)
    with pytest.raises(module.StateError, match="state of sequence 77 is no longer known"):
        patient.resume(gone, feed)
