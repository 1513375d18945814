import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import tiny

from tritonforge import client, health, leftovers, ports, server, serverlog
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ServerError

STAMP = "1121 00:07:44.716172 6623"
SERVE = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from tritonforge import server, toolchain
with server.serving(Path(sys.argv[1]), toolchain.own()) as endpoint:
    print(endpoint.http, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Return a repository of one tiny model; what is kept of logs goes to the test's folder."""
    kept = tmp_path / "tmp"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    place = tmp_path / "repository"
    tiny.double(place)
    return place


def marked(mark):
    """Return the shared memory and the processes that bear a mark."""
    memory = [path.name for path in leftovers.SHARED_MEMORY.glob(f"{mark}*")]
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has ended meanwhile
            continue
        if mark in line:
            lines.append(line)
    return memory, lines


def until(condition, seconds):
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def test_nothing_is_left_of_a_server(repository, embedded, capfd):
    seen = []
    with server.serving(repository, embedded, show=seen.append) as endpoint:
        memory, processes = marked(leftovers.mark())
        assert memory
        assert len(processes) >= 2
        addresses = {endpoint.http, endpoint.grpc, endpoint.metrics}
        assert len(addresses) == 3
        assert all(address.startswith("127.0.0.1:") for address in addresses)
        assert health.alive(endpoint)
    assert not health.alive(endpoint)
    assert not list(Path(tempfile.gettempdir()).iterdir())
    assert any("Started HTTPService" in line for line in seen)
    assert capfd.readouterr().err.startswith("+ ")


def test_it_listens_on_loopback_only(endpoint):
    wanted = {
        int(getattr(endpoint, kind).rpartition(":")[2]) for kind in ("http", "grpc", "metrics")
    }
    found = {}
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            address, port = line.split()[1].split(":")
            if line.split()[3] == "0A" and int(port, 16) in wanted:  # 0A: listening
                found[int(port, 16)] = address[-8:]  # gRPC maps the address into IPv6
    assert found == dict.fromkeys(wanted, "0100007F")


def test_a_failing_block_ends_the_server_too(repository, embedded):
    with pytest.raises(ZeroDivisionError), server.serving(repository, embedded) as endpoint:
        raise ZeroDivisionError
    assert not health.alive(endpoint)


def test_a_killed_owner_leaves_no_process_and_its_memory_is_swept(tmp_path):
    tiny.slow(tmp_path)
    owner = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    address = owner.stdout.readline().strip()
    mark = next(
        path.name[:-36]  # without the server's own UUID
        for path in leftovers.SHARED_MEMORY.glob(f"tritonforge-*-{owner.pid}-*")
    )
    asking = Thread(target=_ask_slowly, args=[address])
    asking.start()
    time.sleep(0.4)  # a process whose server dies while it answers waits for it for ever
    memory, processes = marked(mark)
    assert memory
    assert len(processes) >= 2
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    asking.join()
    assert until(lambda: not marked(mark)[1], 10)
    stale = leftovers.SHARED_MEMORY / f"{mark}region"  # as if the processes had had no time to
    stale.write_bytes(b"x")
    foreign = leftovers.SHARED_MEMORY / f"tritonforge-1-{owner.pid}-1-of-another-namespace"
    foreign.write_bytes(b"x")
    own = leftovers.SHARED_MEMORY / f"{leftovers.mark()}region"
    own.write_bytes(b"x")
    try:
        leftovers.sweep()
        assert not marked(mark)[0]
        assert foreign.exists()
        assert own.exists()
    finally:
        foreign.unlink()
        own.unlink()


def _ask_slowly(address):
    """Send a request that takes seconds, to a server that will be killed meanwhile."""
    with (
        pytest.raises(ServerError, match="cannot reach a server"),
        client.remote(Endpoint(http=address), "slow") as run,
    ):
        run({"x": np.ones((1, 4), np.float32)})


def test_a_busy_port_is_named_with_its_option(repository, embedded):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with (
            pytest.raises(ServerError, match=f"port {port} is in use") as caught,
            server.serving(repository, embedded, grpc_port=port),
        ):
            pass
    assert "--grpc-port" in caught.value.hint


def test_one_port_for_two_is_refused(repository, embedded):
    with (
        pytest.raises(ServerError, match="--http-port and --grpc-port are both 8123"),
        server.serving(repository, embedded, http_port=8123, grpc_port=8123),
    ):
        pass


def test_a_few_logs_of_failed_starts_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    log = tmp_path / "server.log"
    log.write_text("said")
    kept = [serverlog.keep(log) for _ in range(15)]
    assert len(list(tmp_path.glob("tritonserver-*.log"))) == 10
    assert kept[-1].read_text() == "said"


def test_a_wanted_port_is_taken(repository, embedded):
    port = ports.choose({"http": None})["http"]
    with server.serving(repository, embedded, http_port=port) as endpoint:
        assert endpoint.http == f"127.0.0.1:{port}"


def test_a_model_that_does_not_load_is_named_with_the_servers_reason(repository, embedded):
    (repository / "double" / "1" / "model.onnx").write_bytes(b"not a model")
    with (
        pytest.raises(ServerError, match=r"model 'double' version 1 does not load: onnx.*Protobuf"),
        server.serving(repository, embedded),
    ):
        pass


def test_a_config_that_does_not_parse_is_told(repository, embedded):
    (repository / "double" / "config.pbtxt").write_text("name: 'double'\nmax_batch_sise: 4\n")
    tiny.double(repository, "fine")
    with pytest.raises(ServerError) as caught, server.serving(repository, embedded):
        pass
    assert caught.value.message.startswith("model 'double' does not load: failed to read text")
    assert '2:15: Message type "inference.ModelConfig" has no field' in caught.value.message


def test_a_wrong_option_is_told_with_the_log(repository, embedded):
    with (
        pytest.raises(ServerError, match="unrecognized option '--nonsense'") as caught,
        server.serving(repository, embedded, arguments=["--nonsense"]),
    ):
        pass
    log = Path(caught.value.hint.rpartition(" ")[2])
    assert "--nonsense" in log.read_text()


def test_options_that_we_pass_ourselves_are_refused(repository, embedded):
    with (
        pytest.raises(ServerError, match="--http-port after -- would contradict"),
        server.serving(repository, embedded, arguments=["--http-port=1"]),
    ):
        pass


@pytest.mark.parametrize(
    "arguments",
    [
        ["--backend-config=onnxruntime,default-max-batch-size=8"],
        ["--log-verbose=1", "--backend-config", "onnxruntime,intra_op_thread_count=1"],
    ],
)
def test_settings_that_a_python_backend_is_not_given_are_refused(repository, embedded, arguments):
    with (
        pytest.raises(ServerError, match=r"onnxruntime,.* has no effect on the embedded server"),
        server.serving(repository, embedded, arguments=arguments),
    ):
        pass


@pytest.mark.parametrize(
    "argument",
    [
        "--http-address=0.0.0.0",
        "--grpc-addr=0.0.0.0",  # the server takes an option's beginning for it
        "--allow-http=false",
        "--allow-metrics=false",
        "--http-restricted-api=health:a=b",
    ],
)
def test_options_that_would_open_it_or_close_it_to_us_are_refused(repository, embedded, argument):
    with (
        pytest.raises(ServerError, match="on loopback only") as caught,
        server.serving(repository, embedded, arguments=[argument]),
    ):
        pass
    assert caught.value.hint


def test_a_server_that_dies_is_the_reason_whatever_the_block_met(repository, embedded):
    rows = {"x": np.ones((1, 4), np.float32)}
    with (  # noqa: PT012 - the error is raised where the server is left
        pytest.raises(ServerError, match="the server ended by itself"),
        server.serving(repository, embedded) as endpoint,
        client.remote(endpoint, "double") as run,
    ):
        run(rows)
        port = endpoint.http.rpartition(":")[2]
        for process in Path("/proc").glob("[0-9]*"):
            line = (process / "cmdline").read_bytes() if process.exists() else b""
            if f"--http-port={port}".encode() in line:
                os.kill(int(process.name), signal.SIGSEGV)
        until(lambda: not health.alive(endpoint), 10)
        run(rows)


def test_too_little_time(repository, embedded):
    before = marked(leftovers.mark())
    with (
        pytest.raises(ServerError, match="not ready within 0 s"),
        server.serving(repository, embedded, timeout=0.2),
    ):
        pass
    assert until(lambda: marked(leftovers.mark()) == before, 10)


USAGE = "Usage: tritonserver [options]\n  --help\n\tPrint usage\n\nServer:\n  --id\n\tName.\n\n"


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        (f'E{STAMP} server.cc:241] "CudaDriverHelper has not been initialized."', ""),
        ("Error: Failed to initialize NVML\n| a | table |\nbus error", "bus error"),
        ("Signal (11) received.\n 0# 0x00005 in tritonserver\n 1# main", "Signal (11) received."),
        (f"{USAGE}Bad option\nno such mode\n", "Bad option; no such mode"),
        (f"no such option\n{USAGE}", "no such option"),
        (f'E{STAMP} main.cc:241] "Unavailable: no socket"\nI{STAMP} a.cc:1] "bye"', "no socket"),
        (
            f"E{STAMP} a.cc:1] other\nterminate called after\n  what(): x",
            "terminate called after; what(): x",
        ),
        (f"E{STAMP} a.cc:1] {'long ' * 100}", f"{'long ' * 60} …"),
    ],
)
def test_the_reason_is_found_in_the_log(log, reason):
    assert serverlog.reason(log) == (reason or "it said nothing")


def test_an_error_loses_its_category_and_frames():
    said = "Internal: ValueError: no good\n\nAt:\n  /a/model.py(3): initialize\n"
    assert serverlog.sentence(said) == "ValueError: no good"


@pytest.mark.parametrize("kind", ["http", "grpc", "metrics"])
def test_a_port_that_another_takes_meanwhile_is_not_mistaken_for_ours(
    repository, embedded, endpoint, monkeypatch, kind
):
    choose, chosen = ports.choose, []

    def unlucky(wanted):
        found = choose(wanted)
        if not chosen:
            found[kind] = int(getattr(endpoint, kind).rpartition(":")[2])
        chosen.append(found)
        return found

    monkeypatch.setattr(ports, "choose", unlucky)
    with server.serving(repository, embedded) as other:
        assert len(chosen) == 2
        assert getattr(other, kind) != getattr(endpoint, kind)
        assert [model["name"] for model in health.index(other.http)] == ["double"]


def test_something_else_that_speaks_http_has_no_name():
    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Page) as page:
        Thread(target=page.handle_request).start()
        assert health.name(f"127.0.0.1:{page.server_port}") is None
