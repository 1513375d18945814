"""What the real server says of a case: it is asked to load it, and says why where it does not."""

import hashlib
import http.client
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Self

from specimens import Case, place

from tritonforge import server, serverlog, toolchain
from tritonforge.errors import ServerError
from tritonforge.toolchain import Toolchain

SECONDS = 25.0  # so long a load may take
_AT_ONCE = 3
_EXPLICIT = "--model-control-mode=explicit"
_LINES_SECONDS = 2.0  # so long a line may be on its way from the log
_SOME = 12  # cases that it is given at a time
_BROKEN = {"crashed", "hung"}
_RENEWED = 250  # cases after which a server is replaced, whatever it has gathered


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a server did with a case: `loaded`, `refused`, `crashed` or `hung`, and its words."""

    outcome: str
    said: str = ""


class Judge:
    """A server that is asked for one case after another, and replaced where it fails."""

    def __init__(self, tools: Toolchain, folder: Path) -> None:
        self._tools, self._root = tools, folder / "served"
        self._stack = ExitStack()
        self._lines = list[str]()
        self._address, self._pid = "", 0
        self._asked, self._broken = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        self._address, self._pid = "", 0
        with suppress(ServerError):  # it has died, which its last case tells
            self._stack.close()

    def _start(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        for left in self._root.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        self._lines.clear()
        serving = server.serving(self._root, self._tools, arguments=[_EXPLICIT], show=self._hear)
        endpoint = self._stack.enter_context(serving)
        self._address, self._pid = endpoint.http, endpoint.pid
        self._asked, self._broken = 0, False

    def _hear(self, line: str) -> None:
        """Keep a line; a server that says it dies now may take for ever to do so."""
        self._lines.append(line)
        if line.startswith("Signal ("):
            self._kill()

    def _kill(self) -> None:
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def ask(self, cases: Sequence[Case]) -> list[Verdict]:
        """Load and unload some cases, a few at a time; those that a server dies of again alone."""
        verdicts: dict[int, Verdict] = {}
        while left := [number for number in range(len(cases)) if number not in verdicts]:
            self._ready()
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                found = dict(zip(left, pool.map(self._once, [cases[n] for n in left]), strict=True))
            for number, verdict in found.items():
                if verdict is not None and verdict.outcome in _BROKEN:
                    self._ready()
                    found[number] = self._once(cases[number])
            verdicts |= {number: each for number, each in found.items() if each is not None}
        return [verdicts[number] for number in range(len(cases))]

    def _ready(self) -> None:
        """Have a server that lives and has not gathered much."""
        if not self._address or self._broken or self._asked >= _RENEWED:
            self._stop()
            self._start()

    def _once(self, case: Case) -> Verdict | None:
        """Load and unload a case; None where the server has died of another meanwhile."""
        if self._broken:
            return None
        self._asked += 1
        place(case, self._root)
        begun = len(self._lines)
        try:
            status, body = self._post(f"{case.main}/load", SECONDS)
            if status == http.client.OK:
                return Verdict(outcome="loaded")
            return Verdict(outcome="refused", said=self._reason(case, body, begun))
        except TimeoutError:
            self._broken = True
            said = f"no answer in {SECONDS:.0f} s: {self._last_words(begun)}"
            self._kill()
            return Verdict(outcome="hung", said=said)
        except (OSError, http.client.HTTPException) as error:
            self._broken = True
            said = f"{type(error).__name__}: {self._last_words(begun)}"
            return Verdict(outcome="crashed", said=said)
        finally:
            self._clear(case)

    def _last_words(self, begun: int) -> str:
        time.sleep(0.5)
        lines = [line for line in self._lines[begun:] if line.strip() and not line.startswith(" ")]
        return " | ".join(lines[-3:])[:400]

    def _clear(self, case: Case) -> None:
        """Unload what was loaded and take its files away."""
        for name in () if self._broken else case.models:
            with suppress(OSError, http.client.HTTPException):
                self._post(f"{name}/unload", 20.0)
        for name, specimen in case.models.items():
            shutil.rmtree(self._root / (specimen.folder or name), ignore_errors=True)

    def _post(self, what: str, seconds: float) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(self._address, timeout=seconds)
        try:
            connection.request("POST", f"/v2/repository/models/{what}", b"{}")
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _reason(self, case: Case, body: bytes, begun: int) -> str:
        """Return the server's words; those of a config that it could not read are in its log."""
        said = str(json.loads(body).get("error", ""))
        if "failed to poll" not in said:
            return serverlog.sentence(said)
        until = time.monotonic() + _LINES_SECONDS
        while time.monotonic() < until:
            found = serverlog.unloaded("\n".join(self._lines[begun:]))
            for name in (case.main, *case.models):
                if name in found:
                    return found[name]
            time.sleep(0.02)
        return serverlog.sentence(said)


def judged(every: Iterable[Case], kept: Path | None) -> Iterator[Verdict]:
    """Yield what the server says of each case, from those that it was asked before where it was."""
    known = _kept(kept)
    with tempfile.TemporaryDirectory() as folder, Judge(toolchain.own(), Path(folder)) as judge:
        for some in _batched(every, _SOME):
            new = {key_of(case): case for case in some if key_of(case) not in known}
            for key, verdict in zip(new, judge.ask(list(new.values())) if new else (), strict=True):
                known[key] = verdict
                if kept is not None:
                    with kept.open("a", encoding="utf-8") as sink:
                        sink.write(json.dumps({"key": key, **asdict(verdict)}) + "\n")
            yield from (known[key_of(case)] for case in some)


def _batched(every: Iterable[Case], size: int) -> Iterator[list[Case]]:
    """Yield cases by so many."""
    waiting = iter(every)
    while some := list(islice(waiting, size)):
        yield some


def _kept(path: Path | None) -> dict[str, Verdict]:
    """Read what a server has said before."""
    if path is None or not path.exists():
        return {}
    read = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    return {each.pop("key"): Verdict(**each) for each in read}


def key_of(case: Case) -> str:
    """Return what tells a case from another: all that is written of it, whatever its name."""
    digest = hashlib.sha256()
    for name, specimen in sorted(case.models.items()):
        text = specimen.written()
        parts = [name, specimen.folder or "", "-" if text is None else f"={text}"]
        for part in parts:
            written = part.replace(case.name, "@").encode("utf-8", "surrogateescape")
            digest.update(b"%d:%s" % (len(written), written))
        for path, content in sorted(specimen.files.items()):
            digest.update(b"%d:%s%d:" % (len(path), path.encode(), len(content)) + content)
    return digest.hexdigest()
