"""Work that may end whoever does it: nothing of that comes to this process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tritonforge.check import sheltered
from tritonforge.check.sheltered import LostError, Shelter
from tritonforge.errors import GraphError

HERE = os.getpid()


def work(what, **more):
    """Do what is asked for: end this process unless it is the first, raise, or tell who did it."""
    if isinstance(what, signal.Signals) and os.getpid() != HERE:
        os.kill(os.getpid(), what)
    if what == "leave" and os.getpid() != HERE:
        os._exit(3)
    if what == "sleep":
        time.sleep(60)
    if what == "grow":
        held = b"x" * (4 * sheltered.MEMORY)
        time.sleep(60)
        return len(held)
    if what == "little" and os.getpid() != HERE:
        raise MemoryError
    if what == "damaged":
        raise GraphError("it is damaged", hint="mend it")
    if what == "unforeseen":
        raise KeyError(os.getpid())
    return os.getpid(), what, more


@pytest.fixture
def shelter():
    made = Shelter(work)
    yield made
    made.close()


def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_another_process_does_it_and_goes_on(shelter):
    first, *said = shelter(b"x" * 1_000_000, wide=True)
    assert first != HERE
    assert said == [b"x" * 1_000_000, {"wide": True}]
    assert shelter("more")[0] == first


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (signal.SIGSEGV, "was killed by SIGSEGV"),
        (signal.SIGABRT, "was killed by SIGABRT"),
        (signal.SIGKILL, "was killed by SIGKILL .out of memory"),
        ("leave", "ended with exit code 3"),
    ],
)
def test_an_end_is_told_and_the_next_is_worked_out(shelter, what, said, capfd):
    shelter("before")
    with pytest.raises(LostError, match=said):
        shelter(what)
    assert shelter("behind")[1] == "behind"
    assert not capfd.readouterr().err


def test_what_takes_too_long_is_given_up(shelter, monkeypatch):
    monkeypatch.setattr(sheltered, "SECONDS", 0.2)
    with pytest.raises(LostError, match="took more than 0 seconds"):
        shelter("sleep")
    assert shelter("behind")[1] == "behind"


def test_what_takes_too_much_memory_is_given_up(shelter, monkeypatch):
    monkeypatch.setattr(sheltered, "MEMORY", 1 << 28)
    with pytest.raises(LostError, match=r"took more than 0\.2 GiB of memory"):
        shelter("grow")
    assert shelter("behind")[1] == "behind"


def test_a_machine_with_too_little_memory_is_told(shelter):
    with pytest.raises(LostError, match="found too little memory"):
        shelter("little")
    assert shelter("behind")[1] == "behind"


def test_what_comes_to_nothing_takes_so_long_in_all(shelter, monkeypatch):
    monkeypatch.setattr(sheltered, "SECONDS", 0.2)
    monkeypatch.setattr(sheltered, "_LEFT", 0.01)
    shelter._left = 0.0
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(LostError, match="took more than"):
            shelter("sleep")
    assert time.monotonic() - began < 5


def test_a_copy_that_cannot_be_started_is_told(shelter, monkeypatch):
    def refused():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    with pytest.raises(LostError, match=r"could not be started .*Resource temporarily unavailable"):
        shelter("x")
    monkeypatch.undo()
    assert shelter("behind")[1] == "behind"


def test_what_is_foreseen_comes_as_it_was_raised(shelter):
    with pytest.raises(GraphError, match="it is damaged") as raised:
        shelter("damaged")
    assert raised.value.hint == "mend it"


def test_what_nobody_foresaw_is_raised_here_with_its_place(shelter):
    with pytest.raises(KeyError) as raised:
        shelter("unforeseen")
    assert raised.value.args == (HERE,)
    assert raised.traceback[-1].name == "work"


def test_no_process_is_left(shelter):
    before = children()
    shelter("x")
    assert len(children()) == len(before) + 1
    shelter.close()
    assert children() == before
    other = Shelter(work)
    other("x")
    del other
    assert children() == before


def test_it_ends_with_a_process_that_is_killed(tmp_path):
    """Whatever it is deep in by then, such as a loop of C++ that minds no line that is closed."""
    busy = tmp_path / "busy.py"
    busy.write_text(
        "import os, signal, time\n"
        "from tritonforge.check.sheltered import Shelter\n"
        "def work():\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(600)\n"
        "Shelter(work)()\n"
    )
    with subprocess.Popen([sys.executable, busy], stdout=subprocess.PIPE, text=True) as first:
        copy = int(first.stdout.readline())
        first.kill()
    until = time.monotonic() + 10
    while Path(f"/proc/{copy}").exists() and _state(copy) != "Z" and time.monotonic() < until:
        time.sleep(0.01)
    assert not Path(f"/proc/{copy}").exists() or _state(copy) == "Z"


def _state(pid):
    """Return what the kernel says that a process does; Z is dead, and not taken notice of."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
