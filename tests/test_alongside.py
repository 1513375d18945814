"""Processes of ours alongside this one, whatever this one's surroundings."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tritonforge import alongside, process
from tritonforge.errors import ForgeError

MODULE = """
import os, sys
from multiprocessing.connection import Connection

def main(name, handle):
    with Connection(int(handle)) as line:
        line.send((name, os.fsencode(name), sys.path))
        line.recv()
"""
FIRST = """
import os, sys, tempfile
from pathlib import Path
from tritonforge import alongside
sys.path += [Path("x"), b"y"]
{before}
name = os.fsdecode({name!r})
with tempfile.TemporaryFile() as log, alongside.running("answering", name, log=log) as (_, line):
    Path("told").write_bytes(line.recv()[1])
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "answering.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return "answering"


def handles():
    return sorted(each.name for each in Path("/proc/self/fd").iterdir())


def test_it_finds_what_is_found_here_and_answers(module):
    with tempfile.TemporaryFile() as log, alongside.running(module, "a", log=log) as (child, line):
        name, _, path = line.recv()
        assert (name, path) == ("a", sys.path)
    assert child.returncode is not None
    assert line.closed


def test_nothing_is_left_where_it_cannot_be_started(module, monkeypatch):
    before = handles()
    for program in ("", None, "/nonexistent"):
        monkeypatch.setattr(sys, "executable", program)
        with tempfile.TemporaryFile() as log, pytest.raises(ForgeError):  # noqa: SIM117
            with alongside.running(module, "a", log=log):
                pass
    assert handles() == before


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize("closed", [(0,), (0, 1, 2)])
def test_a_line_is_there_also_where_standard_streams_are_closed(tmp_path, closed):
    before = f"for each in {closed}: os.close(each)"
    (tmp_path / "first.py").write_text(FIRST.format(before=before, name=b"a"))
    subprocess.run([sys.executable, "first.py"], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "told").read_bytes() == b"a"


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(("here", "there"), [(0, "1"), (1, "0")])
def test_names_of_files_are_read_as_here(tmp_path, here, there):
    """Whatever the environment would have a new process do, which has not heard of -X."""
    (tmp_path / "first.py").write_text(FIRST.format(before="", name=b"\xc3\xa9"))
    changed = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": there}
    command = [sys.executable, "-X", f"utf8={here}", "first.py"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | changed, timeout=60, check=True)
    assert (tmp_path / "told").read_bytes() == b"\xc3\xa9"


def test_what_others_do_after_a_fork_holds_nothing_up(module, tmp_path):
    """Libraries have locks of their own taken anew then, which a thread may hold for good."""
    before = "os.register_at_fork(after_in_child=lambda: __import__('time').sleep(600))"
    (tmp_path / "first.py").write_text(FIRST.format(before=before, name=b"a"))
    subprocess.run([sys.executable, "first.py"], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "told").read_bytes() == module[:1].encode()


def test_it_ends_by_its_line_and_is_waited_for(module):
    with tempfile.TemporaryFile() as log, alongside.running(module, "a", log=log) as (child, line):
        line.recv()
        line.close()
        assert process.wait(child, 10)
    assert not Path(f"/proc/{child.pid}").exists()
