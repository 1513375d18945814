"""Where the environments lie: named by the variable, shared read-only, filled without a network."""

import ctypes
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys

import pytest
import tiny

from tritonforge import process, release, toolchain
from tritonforge.errors import ToolchainError
from tritonforge.toolchain import home, layout, pins
from tritonforge.toolchain.survey import survey

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1
SERVE = """
import sys
from pathlib import Path
from tritonforge import toolchain
from tritonforge.serving import serving
with serving(Path(sys.argv[1])) as endpoint:
    print(endpoint.onnxruntime, toolchain.perf_analyzer().program)
"""


@pytest.fixture
def shared(embedded, tmp_path, monkeypatch):
    """Name a folder that holds a copy of the real environment."""
    folder = tmp_path / "shared"
    shutil.copytree(
        embedded.root, folder / embedded.root.name, symlinks=True, copy_function=_linked
    )
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(folder))
    return folder


def _linked(source, target):
    """Copy a file by a second name for it where both lie on one filesystem."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def bound(*argv):
    """Run a command that permissions bind, whoever runs the tests."""

    def drop():
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)

    return subprocess.run(
        [sys.executable, *map(str, argv)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=drop,
    )


@pytest.fixture
def read_only():
    """Return a function that takes the permission to write from a folder, for this test."""
    taken = []

    def take(folder):
        for each in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            if not each.is_symlink():
                taken.append(each)
                each.chmod(stat.S_IRUSR | stat.S_IXUSR)

    yield take
    for each in taken:
        each.chmod(stat.S_IRWXU)


def test_a_read_only_folder_that_is_named_serves(embedded, shared, read_only, tmp_path):
    tiny.double(tmp_path / "models")
    read_only(shared)
    ended = bound("-c", SERVE, tmp_path / "models")
    assert ended.returncode == 0, ended.stderr
    runtime, program = ended.stdout.split()
    assert runtime == embedded.onnxruntime
    assert program.startswith(str(shared))


def test_a_read_only_cache_serves(shared, read_only, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    (cache / "tritonforge").mkdir(parents=True)
    shared.rename(cache / "tritonforge" / "toolchain")
    monkeypatch.delenv("TRITONFORGE_TOOLCHAIN")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    tiny.double(tmp_path / "models")
    read_only(cache)
    ended = bound("-c", SERVE, tmp_path / "models")
    assert ended.returncode == 0, ended.stderr
    ended = bound("-m", "tritonforge", "toolchain", "show", "--format", "json")
    assert json.loads(ended.stdout)["not_used"] == []
    ended = bound("-m", "tritonforge", "toolchain", "install", "--target", "25.03")
    assert ended.returncode == 2
    assert (
        f"Error: cannot write to {cache}/tritonforge/toolchain: Permission denied" in ended.stderr
    )
    assert "Hint: set TRITONFORGE_TOOLCHAIN to a folder" in ended.stderr


def test_a_folder_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path / "file" / "below"))
    assert toolchain.installed() is None
    with pytest.raises(ToolchainError, match=r"cannot write to .*below: Not a directory"):
        toolchain.own()


def test_a_tilde_is_the_home_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", "~/tools")
    assert home.folder() == tmp_path / "tools"


def test_a_folder_of_wheels_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ToolchainError, match=r"--find-links .*none is not a folder"):
        toolchain.own(find_links=tmp_path / "none")


def test_one_environment_is_not_the_folder_of_environments(embedded, monkeypatch):
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(embedded.root))
    with pytest.raises(ToolchainError, match="names an environment") as caught:
        toolchain.find()
    assert caught.value.hint == f"set it to {embedded.root.parent}"


def test_what_a_killed_install_left_is_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path))
    (tmp_path / f".{'0' * 32}.partial").mkdir()
    assert toolchain.remove() == tmp_path
    assert toolchain.remove() is None
    assert [path.name for path in tmp_path.iterdir()] in ([], [".lock"])


def test_of_a_linked_environment_the_link_is_removed(embedded, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path))
    (tmp_path / embedded.root.name).symlink_to(embedded.root)
    assert toolchain.remove() == tmp_path
    assert not (tmp_path / embedded.root.name).exists()
    assert embedded.tritonserver.exists()


def test_what_is_not_ours_is_not_removed(shared):
    (shared / "photographs").mkdir()
    (shared / ".mine.partial").mkdir()
    (shared / f".{'0' * 32}.partial").mkdir()
    assert toolchain.remove() == shared
    assert sorted(path.name for path in shared.iterdir()) == [
        ".lock",
        ".mine.partial",
        "photographs",
    ]
    assert toolchain.remove() is None


def replaced(path, content):
    """Write a file anew: the old one has other names."""
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda made: replaced(made.tritonserver, b""), "tritonserver has 0 bytes, not"),
        (lambda made: replaced(made.perf_analyzer, b"ELF"), "perf_analyzer has 3 bytes, not"),
        (
            lambda made: (made.python_backend / "triton_python_backend_stub").unlink(),
            "stub has gone",
        ),
        (lambda made: shutil.rmtree(made.packages / "onnxruntime"), "onnxruntime/.* has gone"),
        (lambda made: shutil.rmtree(made.packages / "numpy"), "numpy/.* has gone"),
        (lambda made: shutil.rmtree(made.links), "links/.* has gone"),
        (lambda made: shutil.rmtree(made.root / "bin"), "its interpreter .* has gone"),
        (lambda made: (made.root / layout.FACTS).unlink(), "toolchain.json is missing or damaged"),
        (lambda made: replaced(made.root / layout.FACTS, b"[]"), "is missing or damaged"),
    ],
)
def test_damage_is_found(shared, damage, words):
    made = toolchain.installed()
    assert made.root.parent == shared
    damage(made)
    (wheels,) = (each for each in pins.choices() if each.name == made.root.name)
    fault = layout.read(made.root, wheels)
    assert isinstance(fault, str)
    assert re.search(words, fault), fault
    assert toolchain.installed() is None


def test_an_interpreter_that_has_gone_is_found(shared):
    made = toolchain.installed()
    assert made.root.parent == shared
    facts = json.loads((made.root / layout.FACTS).read_text())
    for key, gone in (("resolved", "/opt/python3.11/bin/python3.11"), ("libpython", "/gone.so")):
        replaced(made.root / layout.FACTS, json.dumps({**facts, key: gone}).encode())
        assert toolchain.installed() is None


def test_a_damaged_environment_is_made_anew_on_the_next_need(shared):
    made = toolchain.installed()
    replaced(made.tritonserver, b"")
    renewed = toolchain.own()  # by the interpreter that runs now, whichever made the other
    assert renewed.tritonserver == made.tritonserver
    assert renewed.tritonserver.stat().st_size > 0
    assert toolchain.installed() == renewed
    assert [path.name for path in shared.iterdir() if path.name != ".lock"] == [made.root.name]


def test_without_a_network_the_wheels_come_from_a_folder(tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path / "made"))
    with pytest.raises(ToolchainError, match=r"lacks nvidia-pytriton==0\.7\.0, numpy==") as caught:
        toolchain.install(find_links=wheels)
    argv = shlex.split(caught.value.hint.partition(": ")[2])
    ended = process.run([sys.executable, "-m", *argv], timeout=600)
    assert ended.returncode == 0, ended.output
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # where nobody listens
    assert toolchain.install(find_links=wheels).root.parent == tmp_path / "made"
    toolchain.remove()

    (numpy,) = wheels.glob("numpy-*.whl")
    numpy.write_bytes(numpy.read_bytes() + b"\0")
    with pytest.raises(ToolchainError, match="DO NOT MATCH THE HASHES"):
        toolchain.install(find_links=wheels)
    numpy.unlink()
    with pytest.raises(ToolchainError, match=r"lacks numpy==\S+ for Python 3"):
        toolchain.install(find_links=wheels)
    assert home.environments() == ()


def test_an_onnx_runtime_without_a_wheel_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(tmp_path))
    said = "ONNX Runtime 1.17.2 of release 24.03 has no public wheel"
    with pytest.raises(ToolchainError, match=said) as caught:
        toolchain.own(release.find("24.03"))
    assert "--target" in caught.value.hint
    assert survey(release.find("24.03")).lacking.startswith(said)
    assert survey().lacking is None
    monkeypatch.setenv("PATH", str(tmp_path))
    said = "no Python for ONNX Runtime 1.13.1 of release 22.12: .* wanted is 64-bit CPython 3.10"
    with pytest.raises(ToolchainError, match=said) as caught:
        toolchain.own(release.find("22.12"))
    assert "install Python 3.10 with its shared library" in caught.value.hint
