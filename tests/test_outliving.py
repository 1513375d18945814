"""A command that a model's file ends: this process is left to say so."""

import os
import signal
import subprocess
import sys

import pytest
from test_hostile import FILES, SOUND
from test_process import alive, until

PROGRAM = (sys.executable, "-m", "tritonforge")
SLOW = """
import os, time
from pathlib import Path
from tritonforge.cli import main, options

def wait(*_):
    Path("copy").write_text(str(os.getpid()))
    time.sleep(600)

options.model_file = wait
main()
"""


def run(*words):
    return subprocess.run(
        [*PROGRAM, *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def slow(tmp_path):
    """Start a command that takes long, in a process group of its own, and know its copy."""
    command, told = [sys.executable, "-c", SLOW, "inspect", "model"], tmp_path / "copy"
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as started:
        assert until(lambda: told.is_file() and told.read_text(), 30)
        yield started, int(told.read_text())
        started.kill()


@pytest.mark.parametrize("command", ["inspect", "place"])
@pytest.mark.parametrize(
    ("kind", "how"),
    [("a layer along no axis", "SIGSEGV"), ("more parts than it says", "SIGABRT")],
)
def test_a_file_that_ends_its_reader_is_told(tmp_path, command, kind, how):
    (tmp_path / "model.onnx").write_bytes(FILES[kind])
    ended = run(command, str(tmp_path / "model.onnx"))
    assert ended.returncode == 2
    assert f"Error: the process that read the model was killed by {how}\nHint: " in ended.stderr


def test_answers_and_codes_are_those_of_the_copy(tmp_path):
    (tmp_path / "model.onnx").write_bytes(SOUND)
    ended = run("inspect", str(tmp_path / "model.onnx"), "--format", "json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count('"path"') == 1
    ended = run("place", str(tmp_path / "none.onnx"))
    assert ended.returncode == 2
    assert ended.stderr.count("Error: no file") == 1


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGINT, 130, "Interrupted.\n"),
        (signal.SIGTERM, 143, ""),
        (signal.SIGHUP, 129, ""),
    ],
)
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_an_interrupt_reaches_the_copy_once(slow, number, code, said, send):
    started, copy = slow
    assert copy != started.pid
    send(started.pid, number)
    assert started.wait(30) == code
    assert started.stderr.read() == said
    assert not alive(copy)


def test_a_copy_ends_with_a_killed_process(slow):
    started, copy = slow
    started.kill()
    assert until(lambda: not alive(copy))


def test_a_process_with_threads_is_not_copied():
    code = (
        "import threading, time; from tritonforge.cli.outliving import outlive;"
        "threading.Thread(target=time.sleep, args=(1,)).start(); import os; first = os.getpid();"
        "outlive(); assert os.getpid() == first"
    )
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)
