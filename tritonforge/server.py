"""A real `tritonserver` as a child of ours: started on loopback, ready when handed out, ended.

However it ends nothing stays: the child and the processes of its Python backends die with us, even
by SIGKILL, and what it had in shared memory and in the temporary folder bears our mark, so that we
clear it, or the next start sweeps it.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tritonforge import health, leftovers, ports, process, serverflags, serverlog
from tritonforge.endpoint import Endpoint
from tritonforge.errors import ServerError
from tritonforge.progress import Progress, silent
from tritonforge.toolchain import Installation, Toolchain

_CPU_ONLY = ("--pinned-memory-pool-byte-size=0", "--allow-gpu-metrics=false")
_ATTEMPTS = 3  # a free port may be taken between finding it and the server's taking it
_METRICS_TAKEN = "failed to start Metrics service"
_EXIT_SECONDS = 5  # the server waits so long for requests in flight
_GRACE_SECONDS = 10.0
_LATE_SECONDS = 10.0  # most models have loaded by then
_SMALL_BYTES = 64 << 20  # docker's default size of /dev/shm


class UnloadedError(ServerError):
    """Models that did not load, named by `models` where the server tells which they are."""

    models: tuple[str, ...] = ()


class _PortTakenError(ServerError):
    """A port that was free a moment ago."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A started child, the name and ports that it was given and the file that it logs to."""

    child: process.Child
    name: str
    ports: Mapping[str, int]
    log: Path

    @property
    def address(self) -> str:
        return f"{ports.HOST}:{self.ports['http']}"

    @property
    def endpoint(self) -> Endpoint:
        http, grpc, metrics = (f"{ports.HOST}:{self.ports[kind]}" for kind in serverflags.KINDS)
        return Endpoint(http=http, grpc=grpc, metrics=metrics)


@contextmanager
def serving(
    repository: Path,
    toolchain: Toolchain | Installation,
    *,
    http_port: int | None = None,
    grpc_port: int | None = None,
    metrics_port: int | None = None,
    arguments: Sequence[str] = (),
    show: serverlog.Show | None = None,
    late: Callable[[], None] | None = None,
    progress: Progress = silent,
    timeout: float = 600.0,
) -> Iterator[Endpoint]:
    """Serve a repository while the block runs; every model has loaded when it begins.

    A port that is None is a free one; `arguments` go to the server as they are; `show` gets each
    line that it prints; `late` is called once where it takes long to be ready. Raises `ServerError`
    with the server's own reasons: for each model that does not load, when it is not ready within
    `timeout` seconds, and at the end of the block if the server died meanwhile. Call it from a
    thread that outlives the block.
    """
    wanted = {"http": http_port, "grpc": grpc_port, "metrics": metrics_port}
    serverflags.check(arguments, own=isinstance(toolchain, Toolchain))
    ports.check(wanted)
    leftovers.sweep()
    with ExitStack() as stack:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with ExitStack() as starting:
                    progress(f"starting {versions(toolchain)}")
                    chosen = ports.choose(wanted)
                    command = _started(repository, toolchain, chosen, arguments, show)
                    server = starting.enter_context(command)
                    _wait(server, timeout, late)
                    stack.push(starting.pop_all())
                break
            except _PortTakenError:
                if attempt == _ATTEMPTS or chosen == wanted:
                    raise
        try:
            yield replace(
                server.endpoint,
                triton=toolchain.triton,
                onnxruntime=toolchain.onnxruntime,
                pid=server.child.pid,
            )
        except ServerError as error:
            if _ended(server):  # what the caller met is the consequence
                raise _died(server) from error
            raise
        if _ended(server):
            raise _died(server)


@contextmanager
def _started(
    repository: Path,
    toolchain: Toolchain | Installation,
    listeners: Mapping[str, int],
    arguments: Sequence[str],
    show: serverlog.Show | None,
) -> Iterator[_Server]:
    """Run the server; clear its shared memory and its folder when it has ended."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix=leftovers.mark()))
        stack.callback(leftovers.clear, folder.name)
        backends = _backends(toolchain, folder)
        log = folder / "server.log"
        sink = stack.enter_context(log.open("wb"))
        if show is not None:
            stack.enter_context(serverlog.followed(log, show))
        command = _command(repository, toolchain, listeners, backends, folder.name)
        child = stack.enter_context(
            process.child(
                [*command, *arguments],
                log=sink,
                environment=toolchain.environment,
                grace=_GRACE_SECONDS,
                enough=partial(serverlog.is_drained, log),
                guarded=True,  # a stub may wait for a dead server for ever, and block its own watch
            )
        )
        yield _Server(child=child, name=folder.name, ports=listeners, log=log)


def versions(toolchain: Toolchain | Installation) -> str:
    """Name what runs: a target may bring another ONNX Runtime, never another Triton."""
    runtime = f", ONNX Runtime {toolchain.onnxruntime}" if toolchain.onnxruntime else ""
    return f"Triton {toolchain.triton}{runtime}"


def _backends(toolchain: Toolchain | Installation, folder: Path) -> Path:
    """Return the directory of backends; those of an environment are put together in `folder`."""
    if isinstance(toolchain, Installation):
        return toolchain.backends
    backends = folder / "backends"
    backends.mkdir()
    # a link to a file would lead out of the backend directory, which the server refuses
    (backends / "python").symlink_to(toolchain.python_backend)
    (backends / "onnxruntime").symlink_to(Path(__file__).parent / "backends" / "onnxruntime")
    return backends


def _command(
    repository: Path,
    toolchain: Toolchain | Installation,
    listeners: Mapping[str, int],
    backends: Path,
    name: str,
) -> list[str]:
    """Build the server's command line; a model that fails to load must not end the server."""
    flags = [
        flag
        for kind, port in listeners.items()
        for flag in (f"--{kind}-address={ports.HOST}", f"--{kind}-port={port}")
    ]
    return [
        str(toolchain.tritonserver),
        f"--id={name}",
        f"--model-repository={repository.absolute()}",
        f"--backend-directory={backends}",
        f"--cache-directory={toolchain.cache_directory}",
        *flags,
        "--exit-on-error=false",
        f"--exit-timeout-secs={_EXIT_SECONDS}",
        f"--backend-config=python,shm-region-prefix-name={name}-",
        "--backend-config=python,stub-timeout-seconds=600",  # 30 is short for large models
        *(() if toolchain.sees_gpu else _CPU_ONLY),
    ]


def _wait(server: _Server, timeout: float, late: Callable[[], None] | None) -> None:
    """Return when every model has loaded; raise `ServerError` when that will not happen."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < timeout:
        if process.wait(server.child, 0.05):
            raise _died(server, starting=True)
        if late is not None and waited >= _LATE_SECONDS:
            late()
            late = None
        # it listens when all models have been tried, so what it is now is final
        if health.name(server.address) != server.name:
            continue  # not yet, or another server was faster to take the port
        if not health.is_ready(server.address) or serverlog.is_incomplete(_text(server)):
            raise _unloaded(server)
        if _METRICS_TAKEN in _text(server):  # which the server takes lightly
            raise _PortTakenError(f"port {server.ports['metrics']} is in use on {ports.HOST}")
        if ports.is_held(server.ports["metrics"], server.child.pid):
            return
    raise UnloadedError(
        f"the server was not ready within {timeout:.0f} s",
        hint=f"its whole log: {serverlog.keep(server.log)}",
    )


def _unloaded(server: _Server) -> ServerError:
    """Tell each model that did not load, in the server's words."""
    log = _text(server)
    unread = serverlog.unloaded(log)
    states = [
        state
        for state in health.index(server.address)
        if state.get("state") == "UNAVAILABLE" and state.get("reason") not in {None, "unloaded"}
    ]
    reasons = {repr(model): why for model, why in unread.items()} | {
        f"{state['name']!r} version {state.get('version', -1)}": serverlog.sentence(state["reason"])
        for state in states
    }
    said = "\n".join(f"model {model} does not load: {why}" for model, why in reasons.items())
    error = UnloadedError(said or serverlog.reason(log), hint=_hint(server.log))
    error.models = tuple(dict.fromkeys([*unread, *(str(state["name"]) for state in states)]))
    return error


def _died(server: _Server, *, starting: bool = False) -> ServerError:
    """Tell why the server ended by itself; what kills it at the start is mostly a model."""
    said = serverlog.reason(_text(server))
    code = server.child.returncode
    kind = UnloadedError if starting and code < 0 else ServerError
    kind = _PortTakenError if "already in use" in said else kind
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return kind(f"the server ended by itself ({how}): {said}", hint=_hint(server.log))


def _ended(server: _Server) -> bool:
    """Say whether the server has ended; one that no longer listens, or is dying, is given time."""
    serves = health.alive(server.endpoint) and process.has_memory(server.child)
    return process.wait(server.child, 0 if serves else 5)


def _text(server: _Server) -> str:
    return server.log.read_text(encoding="utf-8", errors="replace")


def _hint(log: Path) -> str:
    """Say what usually helps, and where the whole log lies."""
    hint = f"the server's whole log: {serverlog.keep(log)}"
    with suppress(OSError):
        free = shutil.disk_usage(leftovers.SHARED_MEMORY).free
        if free < _SMALL_BYTES:
            hint = (
                f"{leftovers.SHARED_MEMORY} has only {free >> 20} MiB free, which the server's "
                f"Python backend needs: enlarge it (docker run --shm-size=1g); {hint}"
            )
    return hint
