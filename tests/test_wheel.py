"""The wheel: it carries its templates and data, and builds a model from wherever it lies."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nets
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    words = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*pip, *words], check=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made


def test_it_holds_what_it_needs_and_no_more(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for wanted in (
        "tritonforge/_templates/config.pbtxt.j2",
        "tritonforge/data/releases.json",
        "tritonforge/backends/onnxruntime/model.py",
    ):
        assert wanted in names
    assert any(name.startswith("tritonforge/data/toolchain/") for name in names)
    assert all(name.startswith(("tritonforge/", "tritonforge-")) for name in names)
    assert wheel.stat().st_size < 1_500_000


def test_it_builds_a_model(wheel, tmp_path):
    unpacked = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(unpacked)
    code = (
        "import sys, tritonforge; assert sys.argv.pop(1) in tritonforge.__file__;"
        "from tritonforge.cli import main; main()"
    )
    command = ["build", f"{nets.__file__}:mlp", "--format", "json"]
    subprocess.run(
        [sys.executable, "-c", code, str(unpacked), *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(unpacked)},
        check=True,
        timeout=120,
    )
    assert (tmp_path / "model_repository" / "nets_mlp" / "1" / "model.onnx").is_file()
