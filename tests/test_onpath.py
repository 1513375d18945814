"""Programs on PATH: which are used, which are not and why; the real ones behind a stand-in."""

import os
import shlex
import stat
from pathlib import Path

import numpy as np
import pytest
import tiny

from tritonforge import client, release, toolchain
from tritonforge.measure import Wish, measure
from tritonforge.perf import Load
from tritonforge.repository import Repository
from tritonforge.serving import serving
from tritonforge.toolchain import machine, onpath
from tritonforge.toolchain.survey import survey

HELP = "echo 'Usage: tritonserver [options]'; echo '  --model-repository'; exit 1"


@pytest.fixture
def bin_directory(tmp_path, monkeypatch):
    """Put a folder of programs first on PATH, as a Triton installation lays them out."""
    folder = tmp_path / "triton" / "bin"
    folder.mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.delenv("TRITONFORGE_TOOLCHAIN", raising=False)
    return folder


def program(path: Path, script: str) -> Path:
    """Write a stand-in executable."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def installation(bin_directory: Path, script: str, triton: str = "2.51.0") -> Path:
    """Lay out a server with backends of its own; return its program."""
    root = bin_directory.parent
    (root / "backends" / "onnxruntime").mkdir(parents=True)
    (root / "backends" / "onnxruntime" / "libtriton_onnxruntime.so").touch()
    (root / "TRITON_VERSION").write_text(f"{triton}\n")
    return program(bin_directory / "tritonserver", script)


def test_a_perf_analyzer_on_path_is_used_where_it_runs_and_is_newer(embedded, bin_directory):
    newer = program(
        bin_directory / "perf_analyzer", "echo Perf Analyzer Version 2.99.0 \\(commit x\\)"
    )
    found = toolchain.perf_analyzer()
    assert (found.program, found.version, dict(found.environment)) == (newer, "2.99.0", {})
    assert survey().analyzer_why == f"on PATH, newer than the pinned {embedded.analyzer}"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo Perf Analyzer Version 2.51.0", "2.51.0 is not newer than the pinned 2."),
        ("echo perf_analyzer: GLIBC_2.99 not found >&2", "does not run: perf_analyzer: GLIBC_2.99"),
        ("exit 0", "does not run: it says nothing"),
        ("kill -SEGV $$", "does not run: it says nothing"),
    ],
)
def test_any_other_is_not_used_and_shown(embedded, bin_directory, script, words):
    other = program(bin_directory / "perf_analyzer", script)
    assert toolchain.perf_analyzer().program == embedded.perf_analyzer
    seen = survey()
    assert seen.analyzer_why.startswith("pinned wheel, the newest for glibc ")
    (refused,) = seen.refused
    assert refused.program == other
    assert words in refused.reason


def test_an_interpreter_that_is_not_there_makes_no_program(bin_directory):
    path = program(bin_directory / "perf_analyzer", "")
    path.write_text("#!/nowhere/python\n")
    refused = onpath.perf_analyzer("2.51.0")
    assert "does not run: cannot run" in refused.reason


def test_what_is_on_path_measures(embedded, bin_directory, tmp_path):
    libraries = shlex.quote(embedded.environment["LD_LIBRARY_PATH"])
    program(
        bin_directory / "perf_analyzer",
        '[ "$1" = --version ] && { echo Perf Analyzer Version 2.99.0; exit; }\n'
        f"echo asked >>{tmp_path / 'asked'}\n"
        f'LD_LIBRARY_PATH={libraries} exec {embedded.perf_analyzer} "$@"',
    )
    models = tmp_path / "models"
    tiny.double(models)
    load = Load(concurrencies=(1,), interval_ms=100)
    (report,) = measure(Repository(models), (), Wish(load=load), rehearsed=print)
    assert len(report.levels) == 1
    assert (tmp_path / "asked").read_text().count("asked") >= 2  # a warm-up, and the level


def test_a_server_on_path_serves_with_its_own_backends(embedded, bin_directory, tmp_path):
    backends = tmp_path / "real"
    backends.mkdir()
    (backends / "python").symlink_to(embedded.python_backend)
    ours = Path(toolchain.__file__).parents[1] / "backends" / "onnxruntime"
    (backends / "onnxruntime").symlink_to(ours)
    variables = " ".join(f"{key}={shlex.quote(v)}" for key, v in embedded.environment.items())
    root = bin_directory.parent
    installation(
        bin_directory,
        f'echo "$@" >>{tmp_path / "asked"}\n'  # the real server would load the empty library
        f'for each; do shift; [ "$each" = --backend-directory={root / "backends"} ] &&'
        f' each=--backend-directory={backends}; set -- "$@" "$each"; done\n'
        f'{variables} exec {embedded.tritonserver} "$@"',
    )
    models = tmp_path / "models"
    tiny.double(models)
    with serving(models) as endpoint, client.remote(endpoint, "double") as run:
        np.testing.assert_array_equal(run({"x": np.ones((1, 4), np.float32)})["y"], 2)
        assert (endpoint.triton, endpoint.onnxruntime) == ("2.51.0", "1.19.2")
    asked = (tmp_path / "asked").read_text()
    assert f"--backend-directory={root / 'backends'}" in asked
    assert f"--cache-directory={root / 'caches'}" in asked
    assert survey().server_why == "on PATH, with its own backends"


def test_a_server_on_path_is_used_where_it_has_the_targets_onnx_runtime(embedded, bin_directory):
    installation(bin_directory, HELP)
    found = toolchain.find(release.find("24.09"))
    assert isinstance(found, toolchain.Installation)
    assert (found.release, found.onnxruntime) == ("24.10", "1.19.2")
    (refused,) = survey(release.find("25.03")).refused
    assert refused.reason == "its ONNX Runtime is 1.19.2, wanted is 1.21.0"
    (bin_directory.parent / "TRITON_VERSION").write_text("9.9.9")
    assert toolchain.find().onnxruntime is None
    assert toolchain.find(release.find("24.10")) == embedded


def test_a_server_on_path_sees_the_gpus_that_are_not_hidden(bin_directory, tmp_path, monkeypatch):
    installation(bin_directory, HELP)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(machine, "GPUS", tmp_path / "gpus")
    assert not onpath.tritonserver().sees_gpu
    (tmp_path / "gpus" / "0000:3b:00.0").mkdir(parents=True)
    assert onpath.tritonserver().sees_gpu
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not onpath.tritonserver().sees_gpu


@pytest.mark.parametrize(
    ("absent", "words"),
    [
        ("backends/onnxruntime/libtriton_onnxruntime.so", "there is no"),
        ("TRITON_VERSION", "there is no"),
        (None, "does not run: libcuda.so.1: cannot open shared object file"),
    ],
)
def test_a_server_of_no_use_is_not_used_and_shown(embedded, bin_directory, absent, words):
    script = HELP if absent else "echo libcuda.so.1: cannot open shared object file >&2; exit 127"
    server = installation(bin_directory, script)
    if absent:
        (bin_directory.parent / absent).unlink()
    assert toolchain.find() == embedded
    (refused,) = survey().refused
    assert refused.program == server
    assert (f"{words} {bin_directory.parent / absent}" if absent else words) in refused.reason


def test_a_folder_that_is_named_refuses_both(embedded, bin_directory, monkeypatch):
    installation(bin_directory, HELP)
    program(bin_directory / "perf_analyzer", "echo Perf Analyzer Version 2.99.0")
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(embedded.root.parent))
    assert toolchain.find() == embedded
    assert toolchain.perf_analyzer().program == embedded.perf_analyzer
    assert {each.reason for each in survey().refused} == {"TRITONFORGE_TOOLCHAIN is set"}
