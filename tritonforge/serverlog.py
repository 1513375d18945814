"""What `tritonserver` says: its log lines, and the sentence in them that matters."""

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

Show = Callable[[str], None]

_LINE = re.compile(r'^(?P<level>[IWEF])\d{4} [\d:.]+ \d+ [\w.]+:\d+\] "?(?P<said>.*?)"?$')
# what every start prints on a machine without a GPU
_NOISE = re.compile(r"NVML|DCGM|CudaDriverHelper|pinned system memory|CUDA memory pool")
_BACKTRACE = re.compile(r"^\s*\d+# ")
_CATEGORY = re.compile(
    r"^((\S*/tritonserver|Internal|Invalid argument|Unavailable|Unsupported|Unknown|Not found"
    r"|TritonModelException)( error)?: )+"
)
_FRAMES = re.compile(r"\s*\n\s*At:\n.*", re.DOTALL)
# models that never came so far as to have a state: `model_repository_manager.cc`
_UNLOADED = re.compile(
    r"(?:Poll failed for model directory|failed to load model) '(?P<model>[^']*)': (?P<why>.*)"
)
_UNREADABLE = re.compile(r"^\[libprotobuf ERROR .*ModelConfig: (?P<where>\d+:\d+: .*)$")
_INCOMPLETE = "failed to load all models"
_DRAINED = "All models are stopped, unloading models"
_LAST_WORDS = "terminate called"  # the C++ runtime's, which what ends the program follows
_KEPT_LINES = 5
_KEPT_WIDTH = 300
_KEPT_LOGS = 10


def sentence(said: str) -> str:
    """Shorten an error of the server to what it is about: no category, no Python frames."""
    return _CATEGORY.sub("", _FRAMES.sub("", said)).strip()


def reason(log: str) -> str:
    """Return why a server ended: its errors, else the last lines that are not its own chatter."""
    lines = [line for line in _unused(log) if line.strip() and not _NOISE.search(line)]
    matches = [_LINE.match(line) for line in lines]
    errors = [match["said"] for match in matches if match and match["level"] in "EF"]
    others = [line for line, match in zip(lines, matches, strict=True) if _speaks(line, match)]
    last = [index for index, line in enumerate(others) if line.startswith(_LAST_WORDS)]
    if last:  # errors before it are those of models that it lived on without
        errors, others = [], others[last[0] :]
    return _joined(errors or others) or "it said nothing"


def _unused(log: str) -> Iterator[str]:
    """Leave out the help that a wrong option makes it print: it is indented, but for its titles."""
    helping = False
    for line in log.splitlines():
        helping = helping or line.startswith("Usage: ")
        if not (helping and (line.startswith((" ", "\t", "Usage: ")) or line.endswith(":"))):
            yield line


def is_incomplete(log: str) -> bool:
    """Say whether a started server lacks a model; with a broken config it says it is ready."""
    return any(match["said"].endswith(_INCOMPLETE) for match in _matches(log.splitlines()))


def unloaded(log: str) -> dict[str, str]:
    """Return why each model that has no state in the server's index did not load."""
    found, where = {}, ""
    for line in log.splitlines():
        if broken := _UNREADABLE.match(line):  # the line that names the model comes next
            where = f" at {broken['where']}"
        for match in _matches([line]):
            if refused := _UNLOADED.match(match["said"]):
                found[refused["model"]] = sentence(refused["why"]) + where
                where = ""
    return found


def is_drained(log: Path) -> bool:
    """Say whether a server that was told to end has answered its last request.

    What follows, letting go of the models, takes seconds and changes nothing outside the process.
    """
    return _DRAINED in log.read_text(encoding="utf-8", errors="replace")


def _matches(lines: Iterable[str]) -> list[re.Match[str]]:
    """Return the log lines among lines."""
    return [match for match in map(_LINE.match, lines) if match is not None]


def _speaks(line: str, match: re.Match[str] | None) -> bool:
    """Say whether a line is neither a log line nor part of a table or a backtrace."""
    return match is None and not line.startswith(("|", "+")) and not _BACKTRACE.match(line)


def _joined(lines: Iterable[str]) -> str:
    """Join the last lines, each once."""
    kept = list(dict.fromkeys(map(sentence, lines)))[-_KEPT_LINES:]
    return "; ".join(f"{each[:_KEPT_WIDTH]} …" if each[_KEPT_WIDTH:] else each for each in kept)


@contextmanager
def followed(log: Path, show: Show) -> Iterator[None]:
    """Hand each line of a growing log to `show` while the block runs."""
    done = Event()

    def follow() -> None:
        with log.open(encoding="utf-8", errors="replace") as lines:
            last = False
            while not last:
                last = done.wait(0.1)  # once more after the end
                for line in lines:
                    show(line.rstrip())

    thread = Thread(target=follow, name="server log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def keep(log: Path) -> Path:
    """Copy a log to where it outlives the server; of this user's older ones a few stay."""
    kept = Path(tempfile.gettempdir()).glob("tritonserver-*.log")
    ages: dict[Path, float] = {}
    for path in kept:
        with suppress(OSError):  # another start was faster
            status = path.lstat()
            if status.st_uid == os.getuid():
                ages[path] = status.st_mtime
    for path in sorted(ages, key=ages.__getitem__, reverse=True)[_KEPT_LOGS - 1 :]:
        with suppress(OSError):
            path.unlink()
    handle, name = tempfile.mkstemp(prefix="tritonserver-", suffix=".log")
    os.close(handle)
    return Path(shutil.copyfile(log, name))
