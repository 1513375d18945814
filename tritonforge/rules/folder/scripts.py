"""Rules of a model.py, which the Python backend runs."""

from collections.abc import Iterator

from tritonforge.repository import reading
from tritonforge.rules.backends import PYTHON
from tritonforge.rules.places import keyed
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

_ENVIRONMENT = "EXECUTION_ENV_PATH"
_HERE = "$$TRITON_MODEL_DIRECTORY/"  # how it begins in the model's folder


@rule("PYM101", "refused")
def python_reads_it(model: Model) -> Iterator[Found]:
    """A model.py is text that Python can read.

    The backend imports it where the model is loaded. Nothing is said where the model brings a
    Python of its own, or the release has a newer one than this program runs in.

    Source: triton-inference-server/python_backend, `pb_stub.cc` (Stub::Initialize); tried on
    Triton 2.51.
    Remedy: mend the text, as `python -m py_compile model.py` asks for.
    """
    message = model.message
    if message is not None and _ENVIRONMENT in message.parameters:
        return
    for file in model.files.values():
        script = file.script
        if script is not None and script.broken is not None and _is_told(script.python, model):
            yield Found(said=f"Python cannot read it: {script.broken}", file=file.path)


@rule("PYM102", "refused")
def the_class_is_there(model: Model) -> Iterator[Found]:
    """A model.py has a class called TritonPythonModel.

    The backend makes the model of it, and looks for none of another name. It may be written,
    assigned or imported there.

    Source: triton-inference-server/python_backend, `pb_stub.cc` (Stub::Initialize); tried on
    Triton 2.51.
    Remedy: call the class TritonPythonModel, in these very letters.
    """
    for file in model.files.values():
        if file.script is not None and not file.script.may_have_class:
            yield Found(said="it has no class TritonPythonModel", file=file.path)


@rule("PYM103", "refused")
def the_environment_is_there(model: Model) -> Iterator[Found]:
    """What EXECUTION_ENV_PATH names in the model's folder lies there.

    The Python backend unpacks it, or takes the folder as it is, where the model is loaded. A path
    to elsewhere leads to the server's disk, and is not judged.

    Source: triton-inference-server/python_backend, `python_be.cc` (ModelState), `pb_env.cc`
    (ExtractIfNotExtracted); tried on Triton 2.51.
    Remedy: put what `conda-pack` made there, or take the parameter out.
    """
    message = model.message
    if message is None or model.backend != PYTHON or _ENVIRONMENT not in message.parameters:
        return
    value = message.parameters[_ENVIRONMENT].string_value
    path = value.removeprefix(_HERE)
    if path == value or ".." in path.split("/") or "\0" in path:
        return
    if reading.is_missing(model.path / path.lstrip("/")):
        yield Found(
            said=f"there is no {path!r} in the model's folder", at=keyed("parameters", _ENVIRONMENT)
        )


@rule("PYM201", "wrong")
def the_class_runs_requests(model: Model) -> Iterator[Found]:
    """The class TritonPythonModel has a method execute.

    The backend loads a model without one, and fails each of its requests.

    Source: triton-inference-server/python_backend, `pb_stub.cc` (Stub::ProcessRequests); tried on
    Triton 2.51.
    Remedy: write `def execute(self, requests)`, which returns a response for each request.
    """
    for file in model.files.values():
        if file.script is not None and file.script.runs_nothing:
            yield Found(said="its TritonPythonModel has no method execute", file=file.path)


def _is_told(python: tuple[int, int], model: Model) -> bool:
    """Say whether a release's Python knows no more than the one that was asked."""
    theirs = (model.release.python or "").split(".")
    found = tuple(int(each) for each in theirs[:2] if each.isdecimal())
    return len(found) > 1 and found <= python
