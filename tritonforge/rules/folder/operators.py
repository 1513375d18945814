"""Rules of a model's file: that it can be read, and that the release's ONNX Runtime runs it."""

from collections.abc import Iterator, Mapping

from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

_NAMED = 4  # operators in a sentence
_KNOWN = {"ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}
_OWN = {
    "com.microsoft",
    "com.microsoft.nchwc",
    "com.ms.internal.nhwc",
    "com.microsoft.experimental",
}


@rule("OPS101", "refused")
def readable(model: Model) -> Iterator[Found]:
    """The file of a model is whole, and an ONNX model where ONNX Runtime serves it.

    A pointer of Git LFS, a page of an error in place of a download and a file that was copied while
    it was written are no model, of no backend.

    Source: onnxruntime, `model.cc` (Model::Load).
    Remedy: run `git lfs pull`, or export or download the file again.
    """
    for file in model.files.values():
        folder = f"{file.path.partition('/')[0]}/"
        if file.fault is not None and not file.missing and folder not in model.closed:
            yield Found(said=file.fault, file=file.path)


@rule("OPS102", "refused")
def loaded_by_the_release(model: Model) -> Iterator[Found]:
    """The release's ONNX Runtime loads the file: its IR version, opsets, operators and types.

    It refuses an opset or IR version above those that it was made for, and an operator without a
    kernel for its types that stands for no others. A model for a GPU may use the kernels of CUDA,
    too.

    Source: onnxruntime, `model.cc` (Model::Model), `inference_session.cc` (Initialize) and
    `kernel_registry.cc`; `tritonforge place` tells node by node.
    Remedy: choose a newer --target, or export the model at an opset of this one.
    """
    for file in model.contents:
        if file.refusal is not None and not _foreign(model, file.domains):
            runtime = model.release.onnxruntime
            yield Found(said=f"ONNX Runtime {runtime} refuses it: {file.refusal}", file=file.path)


@rule("OPS103", "refused")
def libraries_of_own_operators(model: Model) -> Iterator[Found]:
    """Operators of other domains than ONNX's and ONNX Runtime's come with a library.

    The config names it as model_operations.op_library_filename.

    Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` (RegisterCustomOps).
    Remedy: name the library, or export the model without these operators.
    """
    for file in model.contents:
        strange = _strange(file.domains)
        if strange and file.refusal is not None and not _foreign(model, file.domains):
            said = f"its domain {strange[0]!r} is none of ONNX Runtime's, and no library is named"
            yield Found(said=said, file=file.path)


@rule("OPS301", "advice")
def loops_are_few(model: Model) -> Iterator[Found]:
    """A graph runs without loops.

    ONNX Runtime runs the body of a Loop or Scan step by step, allocates for each anew, and on a GPU
    waits for the condition of each.

    Source: onnxruntime, `core/providers/cpu/controlflow/loop.cc`, `scan_utils.cc`.
    Remedy: export the model with the loop unrolled, or run the steps in requests of a sequence.
    """
    for file in model.contents:
        if file.inner:
            yield Found(said=f"it has loops: {counted(file.inner)}", file=file.path)


@rule("OPS302", "advice")
def half_floats_have_kernels(model: Model) -> Iterator[Found]:
    """The CPU has kernels for the half floats that it is to compute.

    Where it has none, ONNX Runtime casts to floats and back around each such node, so that the
    model is slower than one of floats, and not smaller where it counts.

    Source: onnxruntime, `insert_cast_transformer.cc`.
    Remedy: serve it on a GPU, or export it as FP32.
    """
    for file in model.contents:
        if file.widened:
            said = f"the CPU computes half floats as floats: {counted(file.widened)}"
            yield Found(said=said, file=file.path)


def counted(ops: Mapping[str, int]) -> str:
    """Name the operators that occur most, and how often."""
    named = [f"{count} {op}" for op, count in list(ops.items())[:_NAMED]]
    return ", ".join(named) + (" …" if len(ops) > _NAMED else "")


def _foreign(model: Model, domains: tuple[str, ...]) -> bool:
    """Say whether a library brings operators, of which nothing is known."""
    named = model.config is not None and model.config.message.model_operations.op_library_filename
    return bool(named) and bool(_strange(domains))


def _strange(domains: tuple[str, ...]) -> list[str]:
    """Return the domains that ONNX Runtime does not know by itself."""
    return sorted(set(domains) - _KNOWN - _OWN)
