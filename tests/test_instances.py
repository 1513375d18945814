"""Which instances have died: real processes by the name of the stub, this one their server."""

import os
import shutil
import signal
import subprocess
from threading import Timer

import pytest

from tritonforge.instances import Watch


@pytest.fixture
def instance(tmp_path):
    """Return a function that starts an instance; a shell that runs `ended` and waits."""
    shell = shutil.copy("/bin/sh", tmp_path / "triton_python_backend_stub")
    started = []

    def start(name, ended="read -r line"):
        arguments = ["-c", ended, *(str(number) for number in range(5)), name]
        started.append(subprocess.Popen([shell, *arguments], stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for each in started:
        with each:
            each.kill()


def zombie(child):
    """Wait until a process has died, and leave it to lie."""
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)


def test_a_death_is_told_once(instance):
    killed, failed = instance("a_0_0"), instance("b_0_0", "read -r line; exit 3")
    ended, running = instance("c_0_0", "read -r line; exit 0"), instance("d_0_0")
    watch = Watch(os.getpid())
    assert watch.died() == ()
    killed.send_signal(signal.SIGKILL)
    for child in (failed, ended):
        child.stdin.close()
    for child in (killed, failed, ended):
        zombie(child)
    assert sorted(watch.died()) == [
        "the instance 'a_0_0' has died: killed by SIGKILL (out of memory?)",
        "the instance 'b_0_0' has died: exit code 3",
    ]
    assert watch.died() == ()
    running.send_signal(signal.SIGSEGV)
    zombie(running)
    assert watch.died() == ("the instance 'd_0_0' has died: killed by SIGSEGV",)


def test_what_the_server_itself_kills_has_not_died(instance):
    """It waits for it right after: so it does with the process that has completed a config."""
    child = instance("model")
    watch = Watch(os.getpid())
    child.kill()
    zombie(child)
    reaping = Timer(0.05, child.wait)
    reaping.start()
    assert watch.died() == ()
    reaping.join()


def test_one_that_died_before_the_first_look_is_told(instance):
    child = instance("a_0_0")
    child.kill()
    zombie(child)
    assert Watch(os.getpid()).died() == (
        "an instance has died: killed by SIGKILL (out of memory?)",
    )


def test_a_server_elsewhere_has_no_processes():
    assert Watch(None).died() == ()
