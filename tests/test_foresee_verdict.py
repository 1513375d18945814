"""The verdict is what real wheels say: of the installed ONNX Runtime, and of the server's own."""

import sys
from importlib.metadata import version
from pathlib import Path

import foreseen
import pytest

from tritonforge.release import RUNTIME, find

_STEP = 16  # of ONNX's node models
_RIGHT = 0.99


@pytest.fixture(scope="module")
def stamped(tmp_path_factory):
    """Write a share of ONNX's node models at every opset."""
    return foreseen.node_models(tmp_path_factory.mktemp("models") / "models.bin", step=_STEP)


@pytest.fixture(params=["installed", "embedded"])
def wheel(request):
    """Return an ONNX Runtime and the Python that has it."""
    if request.param == "installed":
        return version("onnxruntime"), Path(sys.executable)
    toolchain = request.getfixturevalue("embedded")
    return toolchain.onnxruntime, toolchain.root / "bin" / "python"


def test_node_models_at_every_opset_load_or_are_refused_as_foretold(stamped, wheel, tmp_path):
    runtime, python = wheel
    release = find(f"{RUNTIME}{runtime}")
    numbers = foreseen.wanted(stamped, release)

    said = foreseen.asked(python, [], stamped, numbers, tmp_path)
    (score,) = foreseen.scores(stamped, {release: said})

    loaded, refused = score.shares
    assert min(len(score.loaded), len(score.refused)) > 300
    assert not score.false_loads, score.wrong[:10]
    assert min(loaded, refused) >= _RIGHT, score.wrong[:10]
    assert any(stamped[number].opset > release.opset for number in numbers)
    assert any(stamped[number].ir > release.ir for number in numbers)


def test_what_kills_the_asked_process_is_told_and_the_next_model_is_asked(stamped, tmp_path):
    text = """#!/bin/sh
grep -q '\\[\\[0,' "$3" && { echo '[0, null]'; exit 139; }
echo '[1, null]'; echo '[1, ""]'
"""
    python = tmp_path / "python"
    python.write_text(text)
    python.chmod(0o755)

    said = foreseen.asked(python, [], stamped, [0, 1], tmp_path)

    assert said == {0: foreseen.CRASHED, 1: ""}
