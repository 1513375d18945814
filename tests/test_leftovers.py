"""What killed servers leave is swept; what belongs to the living stays."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import tiny

from tritonforge import leftovers, perf, release
from tritonforge.build import build
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec

TMP = Path("/tmp")  # noqa: S108 - where Triton's Python backend puts them


@pytest.fixture
def environment():
    """Make a folder as a server's Python backend does."""
    made = Path(tempfile.mkdtemp(prefix="python_env_", dir=TMP))
    renamed = made.with_name(made.name[: len("python_env_") + 6])
    made.rename(renamed)
    yield renamed
    for path in (renamed / "numpy", renamed):
        if path.exists():
            path.rmdir()


@pytest.fixture
def server():
    """Run something that is called tritonserver."""
    code = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'tritonserver'); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        comm = Path(f"/proc/{child.pid}/comm")
        while comm.read_text().strip() != "tritonserver":
            time.sleep(0.01)
        yield child
        child.kill()


def other_servers():
    """Say whether a server of another test is alive, which may own any newer folder."""
    return bool(list(leftovers._servers()))


def test_a_folder_without_an_owner_goes(environment):
    leftovers.sweep()
    assert environment.exists() == other_servers()


def test_a_folder_that_a_live_server_may_own_stays(server, environment):
    time.sleep(1.1)  # the clock of processes has a second's grain here
    environment.touch()
    leftovers.sweep()
    assert environment.exists()
    server.kill()
    server.wait()
    leftovers.sweep()
    assert environment.exists() == other_servers()


def test_a_folder_with_something_in_it_stays(environment):
    (environment / "numpy").mkdir()
    leftovers.sweep()
    assert environment.exists()


def test_every_folder_that_work_is_done_in_bears_our_mark(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = set()

    def watch(what, done=None):
        del what, done
        seen.update(path.name for path in tmp_path.glob("tritonforge-*"))

    source = tiny.save(tmp_path / "double.onnx", *tiny.DOUBLE)
    spec = ModelSpec(source=str(source), target=release.find(release.EMBEDDED))
    build(spec, Repository(tmp_path / "models"), dry_run=True, progress=watch)
    plan = perf.PerfPlan(
        model="m",
        version=1,
        address="localhost:1",
        protocol="http",
        request_bytes=8,
        load=perf.Load(concurrencies=(1,)),
    )
    program = tmp_path / "perf_analyzer"
    program.write_text("#!/bin/sh\nsleep 1\n")  # long enough to be seen at work
    program.chmod(0o755)
    tool = perf.Tool(program=program, environment={})
    perf.run(plan, tool, samples=(), statistics=lambda: None, progress=watch)
    assert len(seen) == 2
    assert all(name.startswith(leftovers.mark()) for name in seen)


def test_marks_tell_whose_they_are():
    assert f"-{os.getpid()}-" in leftovers.mark()
