import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tritonforge import process
from tritonforge.errors import ForgeError

PYTHON = sys.executable
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
PARENT = """
import sys, time
from tritonforge import process
with open(sys.argv[1], "wb") as log, process.child(["sleep", "600"], log=log) as child:
    print(child.pid, flush=True)
    time.sleep(600)
"""


LEAVER = """
import sys, time
from tritonforge import process
with open(sys.argv[1], "wb") as log:
    with process.child(["sh", "-c", sys.argv[2]], log=log, grace=60, guarded=True) as child:
        while b"ready" not in open(sys.argv[1], "rb").read():
            time.sleep(0.02)
        print(child.pid, flush=True)
"""


def alive(pid):
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def until(condition, seconds=5):
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_what_a_child_prints_and_how_it_ends(capfd):
    ended = process.run(["sh", "-c", "echo one; echo two >&2; exit 3"], timeout=10)
    assert (ended.returncode, ended.output, ended.tail) == (3, "one\ntwo\n", "two")
    assert capfd.readouterr().err == "+ sh -c 'echo one; echo two >&2; exit 3'\n"


def test_a_silent_child_is_told_by_its_exit_code():
    assert process.run(["false"], timeout=10, quiet=True).tail == "exit code 1"


def test_the_echo_can_be_pasted_with_its_environment(capfd):
    process.run(["true"], timeout=10, environment={"A_B": "c d", "PATH": os.environ["PATH"]})
    assert capfd.readouterr().err == "+ A_B='c d' true\n"


def test_the_environment_is_added_to(monkeypatch):
    monkeypatch.setenv("KEPT", "kept")
    ended = process.run(
        ["sh", "-c", "echo $KEPT $ADDED"], timeout=10, environment={"ADDED": "added"}, quiet=True
    )
    assert ended.output == "kept added\n"


def test_a_log_is_kept_and_a_folder_entered(tmp_path):
    log = tmp_path / "log"
    ended = process.run(["pwd"], timeout=10, cwd=tmp_path, log=log, quiet=True)
    assert log.read_text() == ended.output == f"{tmp_path}\n"


def test_a_program_that_is_not_there():
    with pytest.raises(ForgeError, match="cannot run /nowhere/at-all: No such file"):
        process.run(["/nowhere/at-all"], timeout=10, quiet=True)


def test_a_child_that_takes_too_long_is_ended_with_all_its_own():
    with pytest.raises(ForgeError, match="sh did not end within 1 s"):
        process.run(["sh", "-c", "sleep 61.25 & sleep 61.25"], timeout=0.6, quiet=True)
    deadline = time.monotonic() + 10  # killed is not yet gone: the kernel takes a moment
    while alive := [each for each in Path("/proc").glob("[0-9]*") if b"61.25" in _command(each)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.01)


def _command(process):
    """Return a process's command line, empty where it has ended."""
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_what_watch_raises_ends_the_child(tmp_path):
    log = tmp_path / "log"

    def watch():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        process.run(["sh", "-c", "echo $$; sleep 60"], timeout=30, log=log, watch=watch, quiet=True)
    assert not log.read_text().strip() or not alive(int(log.read_text()))


def test_a_child_that_ignores_the_signal_is_killed(tmp_path):
    log = tmp_path / "log"
    with (
        log.open("wb") as sink,
        process.child(["sh", "-c", STUBBORN], log=sink, grace=0.3) as child,
    ):
        assert until(lambda: "ready" in log.read_text())
    assert child.returncode == -signal.SIGKILL


def test_a_child_is_not_waited_for_when_it_has_done_enough(tmp_path):
    log = tmp_path / "log"
    began = time.monotonic()
    with (
        log.open("wb") as sink,
        process.child(
            ["sh", "-c", STUBBORN], log=sink, grace=60, enough=lambda: "ready" in log.read_text()
        ),
    ):
        assert until(lambda: "ready" in log.read_text())
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_dies_with_its_parent(tmp_path, number):
    with subprocess.Popen(
        [PYTHON, "-c", PARENT, str(tmp_path / "log")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as parent:
        pid = int(parent.stdout.readline())
        assert alive(pid)
        os.kill(parent.pid, number)
        parent.wait()
        assert until(lambda: not alive(pid))


def test_a_guarded_child_dies_with_a_parent_that_is_killed_while_it_waits_for_the_end(tmp_path):
    with subprocess.Popen(
        [PYTHON, "-c", LEAVER, str(tmp_path / "log"), STUBBORN],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.3)  # the block has been left, and the child does not mind SIGTERM
        assert alive(pid)
        parent.kill()
        parent.wait()
        assert until(lambda: not alive(pid))


def test_a_child_that_has_died_has_no_memory(tmp_path):
    with (tmp_path / "log").open("wb") as log, process.child(["sleep", "600"], log=log) as child:
        assert process.has_memory(child)
        os.kill(child.pid, signal.SIGKILL)
        assert until(lambda: not process.has_memory(child))
        assert child.returncode is None  # it has not been waited for
    assert not process.has_memory(child)
