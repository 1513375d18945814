"""What a server of ours does with requests that are wrong, clients that vanish, and no memory."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from threading import Event

import grpc
import numpy as np
import pytest
import raw
import tiny
import traces
from onnx import TensorProto as T
from onnx import helper

from tritonforge import client, health, server
from tritonforge.errors import RefusedError, ServerError

WIDE = 2000  # inputs
INPUT = ("x", "FP32", [1, 4], raw.ROW_BYTES)
RELOADING = ("--model-control-mode=explicit", "--load-model=*")
IN_A_SMALL_MEMORY = 'mount -t tmpfs -o size=24m tmpfs /dev/shm && exec "$@"'


@pytest.fixture(scope="module")
def abused(embedded, tmp_path_factory):
    """Serve models that are fixed, of free length, of text and of very many inputs."""
    repository = tmp_path_factory.mktemp("abused")
    place(repository)
    wide = ";".join(f"i{n} FP32 1" for n in range(WIDE))
    tiny.place(
        repository,
        "wide",
        tiny.config(8, wide, "y FP32 1"),
        [("Sum", [f"i{n}" for n in range(WIDE)], ["y"], {})],
        [(f"i{n}", T.FLOAT, ["n", 1]) for n in range(WIDE)],
        [("y", T.FLOAT, ["n", 1])],
    )
    with server.serving(repository, embedded, arguments=RELOADING) as endpoint:
        yield endpoint


def place(repository):
    """Place the models that the tables in `raw` name, and some more."""
    tiny.double(repository)
    tiny.double(repository, "other")
    waits = "dynamic_batching { max_queue_delay_microseconds: 1000000 }"
    # what was cancelled, and its memory, stays in the queue until its batch leaves
    large = tiny.config(512, "x FP32 4", "y FP32 4", waits)  # a batch that is never full
    tiny.place(repository, "patient", large, *tiny.DOUBLE)
    waits = "dynamic_batching { max_queue_delay_microseconds: 100000 }"
    tiny.place(
        repository,
        "gather",
        tiny.config(8, "i INT64 1", "row FP32 1", waits),
        [("Gather", ["table", "i"], ["row"], {"axis": 0})],
        [("i", T.INT64, ["n", 1])],
        [("row", T.FLOAT, ["n", 1])],
        initializers=[helper.make_tensor("table", T.FLOAT, [10], list(range(10)))],
    )
    tiny.place(
        repository,
        "two",
        tiny.config(8, "a FP32 -1;b FP32 -1", "sum FP32 -1"),
        [("Add", ["a", "b"], ["sum"], {})],
        [("a", T.FLOAT, ["n", "length"]), ("b", T.FLOAT, ["n", "length"])],
        [("sum", T.FLOAT, ["n", "length"])],
    )
    free(repository, "free")
    free(repository, "wrapped")
    tiny.place(
        repository,
        "strings",
        tiny.config(8, "s STRING -1", "t STRING -1"),
        [("Identity", ["s"], ["t"], {})],
        [("s", T.STRING, ["n", "length"])],
        [("t", T.STRING, ["n", "length"])],
    )


def free(repository, name):
    """Place a model that doubles rows of any length."""
    tiny.place(
        repository,
        name,
        tiny.config(8, "x FP32 -1", "y FP32 -1"),
        [("Add", ["x", "x"], ["y"], {})],
        [("x", T.FLOAT, ["n", "length"])],
        [("y", T.FLOAT, ["n", "length"])],
    )


def serves(endpoint, *models):
    """Assert that models answer a good request over both protocols."""
    row = {"x": raw.ROW.reshape(1, 4)}
    for model in models:
        for protocol in endpoint.protocols:
            with client.remote(endpoint, model, protocol=protocol) as run:
                np.testing.assert_array_equal(run(row)["y"], row["x"] * 2)


# --- malformed requests -------------------------------------------------------------------------


@pytest.mark.parametrize("name", raw.HTTP)
def test_a_wrong_request_over_http_is_answered_and_the_next_is_served(abused, name):
    model, request, words = raw.HTTP[name]
    status, said = raw.post(abused, model, *request)
    assert status >= 400, said
    assert re.search(words, said.decode()), said
    assert raw.post(abused, "double", *raw.document(raw.x()))[0] == 200
    assert raw.post(abused, "other", *raw.document(raw.x()))[0] == 200


@pytest.mark.parametrize("name", raw.GRPC)
def test_a_wrong_request_over_grpc_is_answered_and_the_next_is_served(abused, name):
    message, words = raw.GRPC[name]
    with raw.channel(abused) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            raw.call(channel, message)
        assert re.search(words, caught.value.details()), caught.value.details()
        for model in ("double", "other"):
            answer = raw.call(channel, raw.request(model, raw=[raw.ROW_BYTES]))
            assert answer.raw_output_contents[0] == (raw.ROW * 2).tobytes()


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        ("grpc", b"\xde\xad\xbe\xef" * 1000),
        ("grpc", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"),
        ("grpc", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),  # TLS
        ("http", b"\xde\xad\xbe\xef" * 1000),
        ("http", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9)),  # gRPC
        ("http", b"POST /v2/models/double/infer HTTP/1.1\r\nContent-Length: -5\r\n\r\n{}"),
        (
            "http",
            b"POST /v2/models/double/infer HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n",
        ),
        ("http", b"GET /v2/models/" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n"),
    ],
)
def test_what_is_not_the_protocol_is_hung_up_on(abused, kind, sent):
    with raw.connect(getattr(abused, kind)) as connection, suppress(ConnectionResetError):
        connection.sendall(sent)
        while connection.recv(4096):  # to its end; the time-out of the socket would be raised
            pass
    serves(abused, "double")


def test_thousands_of_tensors_in_one_request(abused):
    arrays = {f"i{n}": np.ones((1, 1), np.float32) for n in range(WIDE)}
    with client.remote(abused, "wide", protocol="grpc") as run:
        assert run(arrays)["y"].item() == WIDE
        del arrays["i7"]
        with pytest.raises(RefusedError, match=r"expected 2000 inputs but got 1999|metadata size"):
            run(arrays)
    assert raw.post(abused, "wide", *raw.document(raw.x(name="i0")))[0] == 400
    serves(abused, "double")


def test_no_elements_are_a_value_too(abused):
    with client.remote(abused, "free") as run:
        assert run({"x": np.ones((2, 0), np.float32)})["y"].shape == (2, 0)


def test_only_the_bad_of_many_requests_at_once_fail(abused):
    def ask(index):
        with client.remote(abused, "gather", protocol="grpc" if index % 2 else "http") as run:
            try:
                return run({"i": np.array([[index]])})["row"].item()
            except ServerError as error:
                return error.message

    before = client.statistics(abused, "gather")
    indices = [*range(10), 10, 11, -11, 2**40]
    with ThreadPoolExecutor(len(indices)) as pool:
        answers = dict(zip(indices, pool.map(ask, indices), strict=True))
    for index, answer in answers.items():
        if index in range(10):
            assert answer == index
        else:
            assert re.search(f"onnx runtime error 2: .*idx={index} ", answer)
    after = client.statistics(abused, "gather")
    assert after.executions - before.executions < len(indices)


# What Triton 2.51 itself gets wrong is kept here, so that a newer release shows what it mends.


def test_a_shape_whose_bytes_wrap_around_costs_its_model_the_instance(abused):
    message = raw.request("wrapped", ("x", "FP32", [4, raw.HUGE]), raw=[b""])
    with raw.channel(abused) as channel:
        for wrong in (message, raw.request("wrapped", raw=[raw.ROW_BYTES])):
            with pytest.raises(grpc.RpcError, match="Stub process 'wrapped_0_0' is not healthy"):
                raw.call(channel, wrong)
    serves(abused, "double", "free")
    reload(abused, "wrapped")
    serves(abused, "wrapped")


def reload(endpoint, model):
    """Unload a model and load it anew."""
    connection = HTTPConnection(endpoint.http, timeout=raw.SECONDS)
    for action in ("unload", "load"):
        deadline = time.monotonic() + raw.SECONDS
        while True:
            connection.request("POST", f"/v2/repository/models/{model}/{action}")
            answer = connection.getresponse()
            said = answer.read()
            if answer.status == 200 or time.monotonic() > deadline:
                break
        assert answer.status == 200, said
    connection.close()


def test_lists_within_a_million_lists_end_the_server_which_is_told(embedded, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # where its log is kept
    tiny.double(tmp_path / "repository")
    deep = "[" * raw.NESTED + "]" * raw.NESTED
    body = f'{{"inputs": [{{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": {deep}}}]}}'
    names = []
    with (  # noqa: PT012 - the error is raised where the server is left
        pytest.raises(ServerError, match=r"the server ended by itself \(killed by SIGSEGV\)"),
        server.serving(tmp_path / "repository", embedded) as endpoint,
    ):
        names.append(health.name(endpoint.http))
        with pytest.raises(OSError, match=r"closed|reset"):
            raw.post(endpoint, "double", body.encode(), {})
    assert not traces.regions(names[0])
    assert traces.until(lambda: not traces.processes(names[0]))


# --- clients that vanish ------------------------------------------------------------------------


def test_clients_that_vanish_leave_no_trace(abused):
    good = raw.whole("double", *raw.document(raw.x()))
    moments = [b"", good[:20], good[:-5], good, good * 20]
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def vanish(number):
        kind = "grpc" if number % 4 == 0 else "http"
        connection = raw.connect(getattr(abused, kind))
        with suppress(OSError):
            connection.sendall(preface if kind == "grpc" else moments[number % len(moments)])
        raw.vanish(connection)

    name = health.name(abused.http)
    pid = next(pid for pid, line in traces.processes(name).items() if "stub" not in line[0])
    serves(abused, "double", "other")
    before, regions = traces.handles(pid), traces.regions(name)
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(vanish, range(400)))
    serves(abused, "double", "other")
    with raw.channel(abused) as channel:
        calls = [raw.asked(channel, "patient", INPUT) for _ in range(7)]
        assert traces.until(lambda: traces.pending(abused, "patient") == 7)
        for call in calls:
            call.cancel()
    assert all(call.cancelled() for call in calls)
    serves(abused, "double", "other")
    # gRPC gives up on the few that were reset within its handshake after two minutes only
    assert traces.until(lambda: traces.handles(pid) <= before + 5)
    assert traces.regions(name) == regions


def test_clients_that_keep_silent_do_not_keep_others_from_being_served(abused):
    with ExitStack() as stack:
        for number in range(300):
            connection = stack.enter_context(raw.connect(abused.http))
            if number % 2:
                connection.sendall(
                    b"POST /v2/models/double/infer HTTP/1.1\r\nContent-Length: 9\r\n"
                )
        serves(abused, "double", "other")


# --- an instance that is killed -----------------------------------------------------------------


def test_an_instance_killed_under_load_is_told_and_can_be_loaded_anew(
    embedded, tmp_path, monkeypatch
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    tiny.double(tmp_path / "repository", "victim")
    tiny.double(tmp_path / "repository", "other")
    stop = Event()

    def load(model, protocol):
        said = []
        with client.remote(endpoint, model, protocol=protocol) as run:
            while not stop.is_set():
                try:
                    said.append(float(run({"x": np.ones((1, 4), np.float32)})["y"][0, 0]))
                except ServerError as error:
                    said.append(error.message)
        return said

    with (
        server.serving(tmp_path / "repository", embedded, arguments=RELOADING) as endpoint,
        ThreadPoolExecutor(8) as pool,
    ):
        name = health.name(endpoint.http)
        victims = [pool.submit(load, "victim", kind) for kind in endpoint.protocols * 2]
        others = [pool.submit(load, "other", kind) for kind in endpoint.protocols * 2]
        try:
            traces.until(lambda: client.statistics(endpoint, "victim").requests > 50)
            os.kill(traces.stub(name, "victim"), signal.SIGKILL)
            traces.until(lambda: client.statistics(endpoint, "victim").failures > 4)
        finally:
            stop.set()
        for each in others:
            assert set(each.result()) == {2.0}
        for each in victims:
            good, *bad = dict.fromkeys(each.result())
            assert good == 2.0
            assert bad
            for words in bad:
                assert "Stub process 'victim_0_0' is not healthy" in words
        reload(endpoint, "victim")
        serves(endpoint, "victim", "other")
        os.kill(traces.stub(name, "victim"), signal.SIGKILL)  # so that it ends with one dead
    assert traces.until(lambda: not traces.processes(name))  # they have been killed
    assert not traces.regions(name)
    assert [path.name for path in tmp_path.iterdir()] == ["repository"]


# --- out of shared memory -----------------------------------------------------------------------

OUT_OF_MEMORY = """
import json, os, sys
from pathlib import Path
import numpy as np
import tiny
from tritonforge import client, server, toolchain
from tritonforge.errors import ServerError
said = []
with server.serving(Path(sys.argv[1]), toolchain.find()) as endpoint:
    for protocol in endpoint.protocols:
        with (
            client.remote(endpoint, "free", protocol=protocol) as run,
            client.remote(endpoint, "repeat", protocol=protocol) as repeat,
            client.remote(endpoint, "other", protocol=protocol) as other,
        ):
            asks = {
                "large request": (run, {"x": np.ones((1, 8 << 20), np.float32)}),
                "same model": (run, {"x": np.ones((1, 4), np.float32)}),
                "large answer": (repeat, {"times": np.array([8 << 20])}),
                "same model again": (repeat, {"times": np.array([2])}),
                "other": (other, {"x": np.ones((1, 4), np.float32)}),
            }
            for name, (ask, arrays) in asks.items():
                try:
                    said.append([name, list(ask(arrays)["y"].shape)])
                except ServerError as error:
                    said.append([name, error.message])
print(json.dumps([said, os.listdir("/dev/shm")]))
"""


@pytest.fixture
def apart():
    """Return a command that runs another with a small shared memory of its own."""
    for flags in ("-m", "-Urm"):
        command = ["unshare", flags, "sh", "-c", IN_A_SMALL_MEMORY, "sh"]
        with suppress(OSError):
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
    return pytest.skip("this system lets us mount no shared memory of our own")


def test_what_does_not_fit_shared_memory_is_refused_and_the_rest_is_served(apart, tmp_path):
    tiny.double(tmp_path, "other")
    free(tmp_path, "free")
    tiny.place(
        tmp_path,
        "repeat",
        tiny.config(0, "times INT64 1", "y FP32 -1", ""),
        [("Expand", ["one", "times"], ["y"], {})],
        [("times", T.INT64, [1])],
        [("y", T.FLOAT, ["n"])],
        initializers=[helper.make_tensor("one", T.FLOAT, [1], [1.0])],
    )
    ended = subprocess.run(
        [*apart, sys.executable, "-c", OUT_OF_MEMORY, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    said, left = json.loads(ended.stdout)
    assert not left
    assert len(said) == 10
    for name, answer in said:
        if name.startswith("large"):
            assert "Failed to increase the shared memory pool size" in answer
            assert "No space left on device" in answer
        else:
            assert answer in ([1, 4], [2])
