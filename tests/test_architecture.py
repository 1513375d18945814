"""Imports point down, each outside world has its doors, and `--help` stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "tritonforge"

# A module imports lower layers only. A package (`sources`, `perf`, …) is one member of its layer.
LAYERS = (
    {"errors", "figures", "formed", "progress"},
    {"memory", "tensors", "process", "release", "kernels", "presence", "stamp"},
    {"knobs", "spec", "explain", "ports", "leftovers", "instances", "serverflags", "serverlog"}
    | {"alongside", "plain"},
    {"samples", "profiles", "endpoint", "ranking", "sheltered"},
    {"gate", "toolchain", "health"},
    {"manifest", "batching"},
    {"sources", "export", "graph", "pbtxt", "repository"} | {"server", "client", "perf", "runtime"},
    # Adapters composed, for the use cases.
    {"costing", "placement"},
    {"opsets", "converting", "deciding", "facts"},
    {"exported"},
    {"exporting", "extras", "mirror", "proving", "served", "standing", "wishes"}
    | {"specfile", "unchanged"},
    {"rules"},
    {"check"},
    {"configuring", "finishing", "recording", "reference", "serving"},
    {"judging", "making"},
    {"beginning", "build", "parity", "measure"},
    {"jobs"},
    {"cli"},
)

# Who may import an outside world.
DOORS = {
    "click": {"cli"},
    "filelock": {"repository", "toolchain"},
    "google": {"pbtxt"},
    "huggingface_hub": {"sources"},
    "jinja2": {"pbtxt"},
    "multiprocessing": {"alongside", "jobs", "sheltered"},
    "onnx": {"graph", "placement"},
    "onnxruntime": {"graph"},
    "platformdirs": {"check", "toolchain"},
    "rich": {"cli"},
    "safetensors": {"sources"},
    "sentence_transformers": {"sources"},
    "subprocess": {"process"},
    "timm": {"sources"},
    "torch": {"sources", "export"},
    "torchvision": {"sources"},
    "transformers": {"sources"},
    "tritonclient": {"pbtxt", "client"},
}


def modules():
    """Yield each module's file and the member of a layer that it belongs to."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] not in {"backends", "__init__", "__main__"}:
            yield path, parts[0]


every_module = pytest.mark.parametrize(
    ("path", "member"), [pytest.param(*each, id="-".join(each[0].parts[-2:])) for each in modules()]
)


def imported(path):
    """Yield every dotted name that a file imports, wherever in it, types aside."""
    tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "tritonforge":
            yield from (f"tritonforge.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def layer(member):
    """Return the number of a member's layer."""
    return next(number for number, members in enumerate(LAYERS) if member in members)


def test_every_module_has_a_layer():
    known = set().union(*LAYERS)
    assert {member for _, member in modules()} <= known


@every_module
def test_imports_point_down(path, member):
    for name in imported(path):
        if not name.startswith("tritonforge."):
            continue
        other = name.split(".")[1]
        if other not in {member, "__version__"}:
            assert layer(other) < layer(member), f"{path.name} imports {name}"


@every_module
def test_each_outside_world_has_its_doors(path, member):
    for name in imported(path):
        doors = DOORS.get(name.split(".")[0])
        assert doors is None or member in doors, f"{path.name} imports {name}"


def test_the_backend_imports_nothing_of_ours():
    for path in (PACKAGE / "backends").rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("tritonforge")]


def imported_by(code, names):
    """Return those of some modules that a new Python has imported once it has run a line."""
    told = f"print(*[name for name in {names!r} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; {told}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.splitlines()[-1].split()


def test_help_imports_nothing_heavy():
    heavy = "torch onnx onnxruntime tritonclient numpy rich jinja2 dataclasses"
    code = "from tritonforge.cli import main; main(['--help'], standalone_mode=False)"
    assert not imported_by(code, [*heavy.split(), "tritonforge.cli.build"])


def test_what_reads_a_file_imports_no_more_than_that_needs():
    """It is started anew for each check of a file that none has known yet."""
    ours = ["tritonforge.rules", "tritonforge.check", "tritonforge.toolchain"]
    others = ["onnxruntime", "jinja2", "tritonclient", "filelock"]
    assert not imported_by("import tritonforge.facts, tritonforge.sheltered", [*ours, *others])


def test_modules_and_functions_fit_on_a_screen():
    for path, _ in modules():
        text = path.read_text("utf-8")
        assert text.count("\n") <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and path.parent.name != "cli":
                assert node.end_lineno - node.lineno < 60, f"{path.name}: {node.name}"
