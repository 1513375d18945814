import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from onnx import TensorProto

from tritonforge import client, process, release, server, toolchain
from tritonforge.errors import ServerError, ToolchainError
from tritonforge.progress import silent
from tritonforge.toolchain import environment, home, layout, machine, pins
from tritonforge.toolchain.survey import survey

FIND = """
from tritonforge import toolchain
print(toolchain.own(progress=lambda what, done=None: print("...", what)).root)
"""

MINORS = tuple(each.python for each in pins.choices())
EVERY = pins.every()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Move the user's cache, but not pip's, to the test's folder."""
    pip = process.run([sys.executable, "-m", "pip", "cache", "dir"], timeout=60, quiet=True).tail
    monkeypatch.setenv("PIP_CACHE_DIR", pip)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "tritonforge" / "toolchain"


def finder():
    """Start a process that wants the toolchain."""
    return subprocess.Popen(
        [sys.executable, "-c", FIND], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finished(child):
    """Return what a process printed; it must have succeeded."""
    output, _ = child.communicate(timeout=300)
    assert child.returncode == 0, output
    return output


def program(folder: Path, name: str, script: str) -> None:
    """Write a stand-in executable."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_it_survives_a_kill_and_two_at_once_and_repairs_and_removes(cache):
    killed = finder()
    while killed.poll() is None and not list(cache.glob(".*.partial/lib")):
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert list(cache.glob(".*.partial"))
    assert toolchain.installed() is None

    answers = [finished(child) for child in (finder(), finder())]
    roots = {answer.splitlines()[-1] for answer in answers}
    assert len(roots) == 1
    assert sum("making a Python" in answer for answer in answers) == 1
    assert sum("waiting for another" in answer for answer in answers) == 1
    assert not list(cache.glob(".*.partial"))
    found = toolchain.installed()
    assert found is not None
    assert str(found.root) in roots
    assert (found.triton, found.release, found.onnxruntime) == ("2.51.0", "24.10", "1.19.2")

    assert toolchain.remove() == cache
    assert toolchain.remove() is None


def test_the_programs_run(embedded):
    shown = process.run(
        [str(embedded.perf_analyzer), "--version"], timeout=30, environment=embedded.environment
    )
    assert (shown.returncode, f"Version {embedded.analyzer}" in shown.output) == (0, True)
    python = str(embedded.root / "bin" / "python3")
    code = "import numpy; print(numpy.__version__)"
    shown = process.run([python, "-c", code], timeout=30, environment=embedded.environment)
    assert shown.tail.startswith("1.")


def test_the_users_python_settings_do_not_reach_the_server(embedded, monkeypatch, tmp_path):
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    python = str(embedded.root / "bin" / "python3")
    ended = process.run(
        [python, "-c", "import numpy"], timeout=30, environment=embedded.environment
    )
    assert ended.returncode == 0, ended.output


def test_a_failed_download_is_told_in_pips_words(cache, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    with pytest.raises(ToolchainError, match="pip says: No matching distribution found") as caught:
        toolchain.install()
    assert "PIP_INDEX_URL" in caught.value.hint
    assert not [path for path in cache.iterdir() if path.name != ".lock"]


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ToolchainError, match="cannot write to") as caught:
        toolchain.find()
    assert "TRITONFORGE_TOOLCHAIN" in caught.value.hint


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"system": "Darwin", "architecture": "arm64"}, "Linux x86_64 only; this is Darwin arm64"),
        ({"architecture": "aarch64"}, "this is Linux aarch64"),
        ({"libc": "glibc 2.31"}, "glibc 2.35 or newer; this system has glibc 2.31"),
        ({"libc": ""}, "glibc 2.35 or newer; this system has another"),
    ],
)
def test_an_unsupported_machine(facts, words):
    with pytest.raises(ToolchainError, match=words) as caught:
        machine.check(
            **{"system": "Linux", "architecture": "x86_64", "libc": "glibc 2.36", **facts}
        )
    assert "docker" in caught.value.hint


def test_another_python_is_taken_where_this_one_will_not_do(tmp_path, monkeypatch):
    this = machine.interpreter(MINORS)
    program(tmp_path, "python3.12", "echo pyenv: python3.12: command not found; exit 127")
    program(tmp_path, "python3.11", f'exec {this.program} "$@"')
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    if this.minor == "3.11":
        found = machine.interpreter(("3.11", "3.12"))
        assert (found.program, found.minor) == (tmp_path / "python3.11", "3.11")
        assert found.library.name == "libpython3.11.so.1.0"
    shutil.rmtree(tmp_path)
    with pytest.raises(ToolchainError, match="cannot run /nowhere/python") as caught:
        machine.interpreter(("3.11", "3.12"))
    assert "docker" in caught.value.hint
    near = this.minor if this.minor in {"3.11", "3.12"} else "3.12"
    assert f"apt install python{near}-venv libpython{near};" in caught.value.hint


@pytest.mark.parametrize(("files", "of_use"), [("true", True), ("false", False)])
def test_the_library_of_the_wheel_does_where_modules_are_files(tmp_path, files, of_use):
    answer = f'{{"cpython": true, "minor": "3.13", "files": {files}, "places": ["/nowhere"]}}'
    program(tmp_path, "python3.13", f"echo '{answer}'")
    found = machine._probe(tmp_path / "python3.13", ("3.13",))
    if of_use:
        assert (found.minor, found.library) == ("3.13", None)
    else:
        assert found.endswith("has no libpython3.13.so.1.0")


def test_a_python_without_a_shared_library_is_no_use(tmp_path, monkeypatch):
    answer = '{"cpython": true, "minor": "3.12", "files": true, "places": ["/nowhere"]}'
    program(tmp_path, "python3.12", f"echo '{answer}'")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python3.12"))
    with pytest.raises(ToolchainError, match=r"python3.12 has no libpython3\.12\.so\.1\.0"):
        machine.interpreter(MINORS)


def test_the_python_that_strings_cannot_pass_is_the_last_choice():
    assert machine.preferred(("3.9", "3.13", "3.10")) == ("3.10", "3.9", "3.13")
    first, *_, last = pins.choices()
    assert (first.onnxruntime, last.python, last.onnxruntime) == ("1.19.2", "3.13", "1.20.1")
    assert last.name == pins.choices("1.20.1")[-1].name


def test_the_stand_in_serves_too(tmp_path):
    program = shutil.which("python3.13")
    found = machine._probe(Path(program), ("3.13",)) if program else "no python3.13 on PATH"
    if isinstance(found, str):
        pytest.skip(found)
    root = tmp_path / "made"
    wheels = pins.choices()[-1]
    environment.make(root, wheels, found, progress=silent)
    made = layout.read(root, wheels)
    assert made.libpython == found.library
    tiny.double(tmp_path / "models")
    tiny.place(
        tmp_path / "models",
        "text",
        tiny.config(4, "x STRING 2", "y STRING 2"),
        [("Identity", ["x"], ["y"], {})],
        [("x", TensorProto.STRING, ["n", 2])],
        [("y", TensorProto.STRING, ["n", 2])],
    )
    with (
        pytest.raises(ServerError, match="BYTES tensors cannot pass"),
        server.serving(tmp_path / "models", made),
    ):
        pass
    shutil.rmtree(tmp_path / "models" / "text")
    array = np.arange(8, dtype=np.float32).reshape(2, 4)
    with (
        server.serving(tmp_path / "models", made) as endpoint,
        client.remote(endpoint, "double") as run,
    ):
        np.testing.assert_array_equal(run({"x": array})["y"], array * 2)


@pytest.mark.parametrize("wheels", [pytest.param(each, id=each.name) for each in EVERY])
def test_every_environment_is_pinned_whole(wheels):
    versions = dict(line.split()[0].split("==") for line in wheels.lines)
    cuda = {name for name in versions if name.startswith("nvidia-") and name.endswith("-cu12")}
    runtime = "onnxruntime-gpu" if wheels.gpu else "onnxruntime"
    assert set(versions) - cuda == {"nvidia-pytriton", "tritonclient", runtime, "numpy"}
    assert len(cuda) == (7 if wheels.gpu else 0)
    assert versions["numpy"].startswith("1.") == (wheels.python != "3.13")
    assert versions[runtime] == wheels.onnxruntime
    assert home._ENVIRONMENT.fullmatch(wheels.name)
    for line in wheels.lines:
        assert re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", line)


@pytest.fixture
def gpu(tmp_path, monkeypatch):
    """Show a GPU: the folder in which the driver has one for each."""
    (tmp_path / "gpus" / "0000:3b:00.0").mkdir(parents=True)
    monkeypatch.setattr(machine, "GPUS", tmp_path / "gpus")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_where_a_gpu_is_seen_the_wheels_are_those_for_it(gpu, monkeypatch):
    del gpu
    wheels = pins.choices()
    assert [each.python for each in wheels] == ["3.12", "3.11", "3.10"]
    assert all(each.gpu and "-gpu-python" in each.name for each in wheels)
    for hidden in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
        assert machine.no_gpu() == "CUDA_VISIBLE_DEVICES hides every GPU"
        assert not any(each.gpu for each in pins.choices())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr(machine, "GPUS", Path("/nowhere"))
    assert machine.no_gpu() == "no NVIDIA driver shows a GPU"
    assert not any(each.gpu for each in pins.choices())


def test_an_onnx_runtime_without_wheels_for_a_gpu_stays_on_the_cpu(gpu):
    del gpu
    wheels = pins.choices("1.21.0")
    assert wheels
    assert not any(each.gpu for each in wheels)
    assert survey(release.find("25.03")).device == "CPU"
    said = "no onnxruntime-gpu 1.21.0 is pinned; a config for a GPU is rehearsed"
    assert survey(release.find("25.03")).device_why == said
    assert (survey().device, survey().device_why) == ("GPU", "an NVIDIA driver shows one")


def test_only_an_environment_for_a_gpu_lets_the_server_see_it(embedded, gpu, tmp_path):
    del gpu
    assert not embedded.sees_gpu
    assert embedded.environment["CUDA_VISIBLE_DEVICES"] == ""
    wheels = next(each for each in pins.choices() if each.gpu)
    interpreter = machine.Interpreter(program=Path("python"), minor=wheels.python, library=None)
    made = layout.describe(tmp_path / "made", wheels, interpreter)
    (made.packages / "nvidia" / "cudnn" / "lib").mkdir(parents=True)
    assert made.sees_gpu
    assert "CUDA_VISIBLE_DEVICES" not in made.environment
    first = made.environment["LD_LIBRARY_PATH"].split(":")[0]
    assert first == str(made.packages / "nvidia" / "cudnn" / "lib")


@pytest.mark.parametrize(
    ("glibc", "version"),
    [((2, 35), "2.51.0"), ((2, 37), "2.51.0"), ((2, 38), "2.60.0"), ((2, 41), "2.60.0")],
)
def test_the_newest_perf_analyzer_for_a_glibc(glibc, version):
    (wheels, *_) = pins.choices(glibc=glibc)
    assert wheels.perf_analyzer == version
    assert any(line.startswith(f"tritonclient=={version} ") for line in wheels.lines)
