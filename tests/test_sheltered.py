"""Work that may end whoever does it: nothing of that comes to this process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tritonforge import sheltered
from tritonforge.sheltered import LostError, Shelter

WITHIN = "TRITONFORGE_TEST_WITHIN"  # the process that is the first


def work(given):
    """Do what is asked for: end this process unless it is the first, raise, or tell who did it."""
    what, *more = given.decode().split()
    within = os.environ[WITHIN] != str(os.getpid())
    if what == "die" and within:
        os.kill(os.getpid(), signal.Signals[more[0]])
    if what == "leave" and within:
        os._exit(3)
    if what == "sleep":
        time.sleep(60)
    if what == "grow":
        held = b"x" * (1 << 30)
        time.sleep(60)
        return bytes(len(held))
    if what == "little" and within:
        raise MemoryError
    if what == "unforeseen":
        raise KeyError(os.getpid())
    return f"{os.getpid()} {len(given)}".encode()


@pytest.fixture
def shelter(monkeypatch):
    monkeypatch.setenv(WITHIN, str(os.getpid()))
    made = Shelter(work)
    yield made
    made.close()


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_another_process_does_it_and_goes_on(shelter):
    first, size = shelter(b"x" * 1_000_000).split()
    assert int(first) != os.getpid()
    assert int(size) == 1_000_000
    assert shelter(b"more").split()[0] == first


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (b"die SIGSEGV", "was killed by SIGSEGV"),
        (b"die SIGABRT", "was killed by SIGABRT"),
        (b"die SIGKILL", "was killed by SIGKILL .out of memory"),
        (b"leave", "ended with exit code 3"),
    ],
)
def test_an_end_is_told_and_the_next_is_worked_out(shelter, what, said, capfd):
    shelter(b"before")
    with pytest.raises(LostError, match=said):
        shelter(what)
    assert shelter(b"behind")
    assert not capfd.readouterr().err


def test_what_takes_too_long_is_given_up(shelter, monkeypatch):
    shelter(b"before")
    monkeypatch.setattr(sheltered, "SECONDS", 0.2)
    with pytest.raises(LostError, match="took more than 0 seconds"):
        shelter(b"sleep")
    assert shelter(b"behind")


def test_what_takes_too_much_memory_is_given_up(shelter, monkeypatch):
    shelter(b"before")
    monkeypatch.setattr(sheltered, "MEMORY", 1 << 28)
    with pytest.raises(LostError, match=r"took more than 0\.3 GiB of memory"):
        shelter(b"grow")
    assert shelter(b"behind")


def test_a_machine_with_too_little_memory_is_told(shelter):
    with pytest.raises(LostError, match="found too little memory"):
        shelter(b"little")
    assert shelter(b"behind")


def test_what_comes_to_nothing_takes_so_long_in_all(shelter, monkeypatch):
    monkeypatch.setattr(sheltered, "SECONDS", 0.2)
    monkeypatch.setattr(sheltered, "_LEFT", 0.01)
    shelter._left = 0.0
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(LostError, match="took more than"):
            shelter(b"sleep")
    assert time.monotonic() - began < 5


def test_a_process_that_cannot_be_started_is_told(shelter, monkeypatch):
    def refused(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    said = r"could not be started .*Resource temporarily unavailable"
    with monkeypatch.context() as patched:
        patched.setattr(subprocess, "Popen", refused)
        with pytest.raises(LostError, match=said):
            shelter(b"x")
    assert shelter(b"behind")


def test_what_begins_as_no_process_of_ours_is_told(shelter, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/true")
        with pytest.raises(LostError, match=r"could not be started .it ended with exit code 0"):
            shelter(b"x")
        patched.setattr(sys, "executable", "")
        with pytest.raises(LostError, match=r"could not be started .*where its own program is"):
            shelter(b"x")
    assert shelter(b"behind")


def test_what_never_begins_is_given_up(shelter, monkeypatch, tmp_path):
    idle = tmp_path / "idle"
    idle.write_text("#!/bin/sh\nexec sleep 60\n")
    idle.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(idle))
    monkeypatch.setattr(sheltered, "_BEGINS", 0.1)
    with pytest.raises(LostError, match="took more than 0 seconds"):
        shelter(b"x")


def test_what_nobody_foresaw_is_raised_here_with_its_place(shelter):
    with pytest.raises(KeyError) as raised:
        shelter(b"unforeseen")
    assert raised.value.args == (os.getpid(),)
    assert raised.traceback[-1].name == "work"


def test_no_process_is_left(shelter):
    before = children()
    shelter(b"x")
    assert len(children()) == len(before) + 1
    shelter.close()
    assert children() == before


@pytest.mark.parametrize("inherited", [signal.SIG_DFL, signal.SIG_IGN])
def test_it_ends_with_a_process_that_is_killed(tmp_path, inherited):
    """Whatever it is deep in by then, such as a loop of C++ that minds no line that is closed."""
    busy = tmp_path / "busy.py"
    busy.write_text(
        "import os, signal, time\n"
        "from pathlib import Path\n"
        "from tritonforge.sheltered import Shelter\n"
        "def work(given):\n"
        "    Path(given.decode()).write_text(str(os.getpid()))\n"
        "    time.sleep(600)\n"
        "def start(told):\n"
        f"    signal.signal(signal.SIGTERM, signal.{inherited.name})\n"
        "    Shelter(work)(told.encode())\n"
    )
    told = tmp_path / "told"
    code = f"import busy; busy.start({str(told)!r})"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as first:
        _wait(lambda: told.is_file() and told.read_text())
        first.kill()
    other = told.read_text()
    _wait(lambda: not Path(f"/proc/{other}").exists() or _state(other) == "Z")


def _wait(until):
    ends = time.monotonic() + 30
    while not until():
        assert time.monotonic() < ends
        time.sleep(0.01)


def _state(pid):
    """Return what the kernel says that a process does; Z is dead, and not taken notice of."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
