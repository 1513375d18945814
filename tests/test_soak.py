"""An hour's traffic in minutes: good, wrong, cancelled and vanishing; what it leaves behind."""

import random
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path

import grpc
import pytest
import raw
import test_abuse
import traces

from tritonforge import health, server

REQUESTS = 200_000  # as many as an hour of 55 a second
WARM_UP = 30_000  # until the pools of memory have grown to what such traffic takes
THREADS = 6
SHARES = {"http": 70, "grpc": 15, "wrong_http": 8, "wrong_grpc": 4, "vanish": 2, "cancel": 1}
ANSWER = (raw.ROW * 2).tobytes()
MAY_GROW = 48 << 20  # bytes, of the server and of each instance after the warm-up


class Visitor:
    """A client with connections of its own that does this and that, and counts it."""

    def __init__(self, endpoint, seed, stack):
        self.endpoint, self.done = endpoint, Counter()
        self.dice = random.Random(seed)  # noqa: S311 - the same mix every time
        self.connection = HTTPConnection(endpoint.http, timeout=raw.SECONDS)
        stack.callback(self.connection.close)
        self.channel = stack.enter_context(raw.channel(endpoint))

    def visit(self, times):
        """Do so many things."""
        for kind in self.dice.choices(list(SHARES), SHARES.values(), k=times):
            getattr(self, kind)()
            self.done[kind] += 1

    def post(self, model, body, headers):
        """Send a body over the connection that stays open."""
        self.connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def http(self):
        model = self.dice.choice(["double", "other", "free"])
        status, said = self.post(model, *raw.document(raw.x()))
        assert status == 200, said
        assert b"[2.0,4.0,6.0,8.0]" in said

    def grpc(self):
        model = self.dice.choice(["double", "other", "free"])
        answer = raw.call(self.channel, raw.request(model, raw=[raw.ROW_BYTES]))
        assert answer.raw_output_contents[0] == ANSWER

    def wrong_http(self):
        model, request, _ = self.dice.choice(list(raw.HTTP.values()))
        status, said = self.post(model, *request)
        assert status >= 400, said

    def wrong_grpc(self):
        message, _ = self.dice.choice(list(raw.GRPC.values()))
        with pytest.raises(grpc.RpcError):
            raw.call(self.channel, message)

    def vanish(self):
        good = raw.whole("double", *raw.document(raw.x()))
        connection = raw.connect(self.dice.choice([self.endpoint.http, self.endpoint.grpc]))
        with suppress(OSError):
            connection.sendall(good[: self.dice.randrange(len(good) + 1)])
        raw.vanish(connection)

    def cancel(self):
        """Cancel what waits in a queue: Triton 2.51 may die where the answer is on its way."""
        asked = raw.asked(self.channel, "patient", test_abuse.INPUT)
        with pytest.raises(grpc.FutureTimeoutError):
            asked.result(timeout=0.02)
        asked.cancel()


def measured(name):
    """Return what a server holds: by process its handles and memory; regions and their bytes."""
    held = {}
    for pid, arguments in traces.processes(name).items():
        with suppress(OSError):  # it is not ours: it passes the name on, and has ended
            held[pid, Path(arguments[0]).name] = (traces.handles(pid), traces.resident(pid))
    return held, traces.regions(name)


@pytest.mark.slow
def test_nothing_grows_in_an_hours_traffic_and_nothing_is_left(
    embedded, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    test_abuse.place(tmp_path / "repository")
    with ExitStack() as stack:
        endpoint = stack.enter_context(server.serving(tmp_path / "repository", embedded))
        name = health.name(endpoint.http)
        with ExitStack() as clients:
            visitors = [Visitor(endpoint, seed, clients) for seed in range(THREADS)]
            pool = clients.enter_context(ThreadPoolExecutor(THREADS))
            list(pool.map(lambda each: each.visit(WARM_UP // THREADS), visitors))
            files = sorted(path.name for path in tmp_path.rglob("*"))
            before, regions = measured(name)
            list(pool.map(lambda each: each.visit(REQUESTS // THREADS), visitors))
            after, kept = measured(name)
        with capsys.disabled():
            sys.stderr.write(report(visitors, before, after, regions, kept))
        assert kept == regions
        assert sorted(path.name for path in tmp_path.rglob("*")) == files
        assert after.keys() == before.keys()
        for process, (handles, resident) in after.items():
            assert handles <= before[process][0] + 4  # a connection that is just being closed
            assert resident - before[process][1] < MAY_GROW
        test_abuse.serves(endpoint, "double", "other", "free")
    assert traces.until(lambda: not traces.processes(name))  # they have been killed
    assert not traces.regions(name)
    assert list(Path(tempfile.gettempdir()).iterdir()) == [tmp_path / "repository"]


def report(visitors, before, after, regions, kept):
    """Say what was done and what it cost."""
    lines = [str(dict(sum((each.done for each in visitors), Counter())))]
    for process, (handles, resident) in after.items():
        was = before[process]
        lines.append(f"{process}: {was[0]} -> {handles} handles, {was[1]} -> {resident} bytes")
    lines.append(f"shared memory: {sum(regions.values())} -> {sum(kept.values())} bytes")
    return "\n".join(["", *lines, ""])
