import socket
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import traces

from tritonforge import client
from tritonforge.endpoint import Endpoint
from tritonforge.errors import RefusedError, ServerError
from tritonforge.tensors import DType

ROWS = np.arange(8, dtype=np.float32).reshape(2, 4)
both = pytest.mark.parametrize("protocol", ["http", "grpc"])


@both
def test_a_model_is_a_function_of_arrays(endpoint, protocol):
    with client.remote(endpoint, "double", protocol=protocol) as run:
        np.testing.assert_array_equal(run({"x": ROWS})["y"], ROWS + ROWS)


@both
def test_every_dtype_goes_there_and_back(endpoint, protocol):
    arrays = {}
    for dtype in DType:
        name = dtype.config.removeprefix("TYPE_")
        array = np.array([[0, 1], [1, 1]]).astype(dtype.numpy)
        if dtype is DType.BYTES:
            array = np.array([["", "grün"], ["a\0b", "x" * 300]], dtype=object)
        arrays[name] = array
    with client.remote(endpoint, "types", protocol=protocol) as run:
        answer = run({f"in_{name}": array for name, array in arrays.items()})
    for name, array in arrays.items():
        got = answer[f"out_{name}"]
        if name == "STRING":
            got = np.array([each.decode() for each in got.reshape(-1)], object).reshape(2, 2)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)


@both
def test_a_transposed_array_is_taken(endpoint, protocol):
    with client.remote(endpoint, "double", protocol=protocol) as run:
        turned = np.asfortranarray(ROWS)
        np.testing.assert_array_equal(run({"x": turned})["y"], ROWS + ROWS)


@both
def test_a_refusal_is_told_in_the_servers_words(endpoint, protocol):
    with client.remote(endpoint, "double", protocol=protocol) as run:
        with pytest.raises(RefusedError, match=r"data-type is 'FP64', but model 'double' expects"):
            run({"x": ROWS.astype(np.float64)})
        np.testing.assert_array_equal(run({"x": ROWS})["y"], ROWS + ROWS)
    with (
        pytest.raises(ServerError, match="unknown model: 'absent'") as caught,
        client.remote(endpoint, "absent", protocol=protocol),
    ):
        pass
    assert not isinstance(caught.value, RefusedError)  # no request has been made
    with (
        pytest.raises(ServerError, match=r"version 7|'double'"),
        client.remote(endpoint, "double", version=7, protocol=protocol),
    ):
        pass


@pytest.mark.parametrize("address", [{"http": "127.0.0.1:1"}, {"grpc": "127.0.0.1:1"}])
def test_nobody_there(address):
    with pytest.raises(ServerError, match="cannot reach a server at") as caught:
        client.identity(Endpoint(**address))
    assert caught.value.hint


@both
def test_an_answer_that_never_comes(protocol):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        silent = Endpoint(**{protocol: f"127.0.0.1:{deaf.getsockname()[1]}"})
        with (
            pytest.raises(ServerError, match="did not answer within 1 s"),
            client.remote(silent, "double", protocol=protocol, timeout=1),
        ):
            pass


def test_a_protocol_without_an_address():
    with (
        pytest.raises(ServerError, match="no grpc address"),
        client.remote(Endpoint(http="127.0.0.1:1"), "double", protocol="grpc"),
    ):
        pass


@both
def test_metadata_and_identity(endpoint, embedded, protocol):
    one = Endpoint(**{protocol: getattr(endpoint, protocol)})
    found = client.metadata(one, "double")
    assert (found.name, found.versions) == ("double", ("1",))
    assert [str(tensor) for tensor in found.inputs] == ["x:FP32:dim0,4"]
    assert client.identity(one).name.startswith("tritonforge-")
    assert client.identity(one).version == embedded.triton


@both
def test_statistics_count_what_was_asked(endpoint, protocol):
    one = Endpoint(**{protocol: getattr(endpoint, protocol)})
    before = client.statistics(one, "scalar")
    with client.remote(one, "scalar", protocol=protocol) as run:
        for number in range(3):
            run({"x": np.array([number], np.float32)})
    # Triton counts what it has answered a moment after the answer.
    traces.until(lambda: client.statistics(one, "scalar").requests - before.requests == 3)
    after = client.statistics(one, "scalar", version=1)
    assert after.inferences - before.inferences == 3
    assert after.executions - before.executions == 3
    assert after.requests - before.requests == 3
    assert after.failures == before.failures
    assert after.compute_infer_ns > before.compute_infer_ns
    assert after.queue_ns > before.queue_ns
    assert after.batches[0].size == 1


def test_threads_have_connections_of_their_own(endpoint):
    def ask(number: int) -> bool:
        rows = ROWS + number
        with client.remote(endpoint, "double", protocol=("http", "grpc")[number % 2]) as run:
            return all((run({"x": rows})["y"] == rows + rows).all() for _ in range(20))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(16)))


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[]", b"null", b"\xff\xfe\x00", b""])
def test_what_is_not_triton_is_told(body):
    class Other(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Other) as other:
        Thread(target=other.serve_forever, daemon=True).start()
        endpoint = Endpoint(http=f"127.0.0.1:{other.server_address[1]}")
        asks = (client.metadata, client.statistics, client.config)
        for ask in (*asks, lambda where, _: client.identity(where)):
            with pytest.raises(ServerError, match="is not Triton") as caught:
                ask(endpoint, "m")
            assert caught.value.hint == "is that Triton's http port?"
        other.shutdown()


def test_outputs_come_in_the_order_of_the_config(endpoint):
    from tritonclient import http

    with http.InferenceServerClient(endpoint.http) as asked:
        described = asked.get_model_metadata("types")
        names = [each["name"] for each in described["outputs"]]
        inputs = []
        for each in described["inputs"]:
            dtype = DType.parse(each["datatype"])
            array = np.zeros((1, 2)).astype(dtype.numpy)
            inputs.append(http.InferInput(each["name"], [1, 2], each["datatype"]))
            inputs[-1].set_data_from_numpy(array)
        for _ in range(3):
            answer = asked.infer("types", inputs).get_response()
            assert [each["name"] for each in answer["outputs"]] == names
