"""`config.pbtxt`: from a signature to the protobuf message `ModelConfig`, to text, and back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_encoding, text_format
from google.protobuf.message import Message
from tritonclient.grpc import model_config_pb2

from tritonforge.errors import ConfigError
from tritonforge.spec import ON_GPU, Accelerator
from tritonforge.tensors import DType, Signature, TensorSpec

ModelConfig = model_config_pb2.ModelConfig


def config(
    name: str,
    signature: Signature,
    *,
    max_batch_size: int,
    labels: Mapping[str, str] | None = None,
    cores: int | None = None,
    scalars: bool = True,
    accelerator: Accelerator = "cpu",
) -> Any:
    """Make the `ModelConfig` of an ONNX Runtime model with this signature.

    `max_batch_size` 0 writes full shapes, above 0 shapes without the batch, as Triton demands.
    `labels` maps an output to its label file. `cores` gives one CPU instance that many threads;
    without it no thread count is written, since the machine that builds is not the one that serves.
    `scalars` says whether the target takes tensors without dimensions where nothing batches. An
    `accelerator` other than `cpu` is asked for by name; with `cpu` Triton decides.
    Raises `ConfigError` for a shape that Triton cannot express.
    """
    message = ModelConfig(name=name, backend="onnxruntime", max_batch_size=max_batch_size)
    batched = max_batch_size > 0
    bare = [each.name for each in (*signature.inputs, *signature.outputs) if not each.dims]
    if bare and not batched and not scalars:
        raise ConfigError(
            f"{bare[0]!r} has no dimensions, which the Triton of the target does not take",
            hint="choose --target 23.10 or newer, or give the tensor a dimension of size 1",
        )
    for tensor in signature.inputs:
        _describe(message.input.add(), tensor, batched=batched)
    for tensor in signature.outputs:
        output = message.output.add()
        _describe(output, tensor, batched=batched)
        output.label_filename = (labels or {}).get(tensor.name, "")
    if max_batch_size > 1:
        message.dynamic_batching.SetInParent()  # no delay: a batch is what has queued up meanwhile
    group = message.instance_group.add(count=1)
    if cores is not None:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        message.parameters["intra_op_thread_count"].string_value = str(cores)
    _accelerate(message, accelerator)
    message.version_policy.latest.num_versions = 1
    return message


def _accelerate(message: Any, accelerator: Accelerator) -> None:
    """Ask for the execution provider of an accelerator."""
    accelerators = message.optimization.execution_accelerators
    if accelerator == "openvino":
        accelerators.cpu_execution_accelerator.add(name="openvino")
    elif accelerator == "tensorrt":
        accelerators.gpu_execution_accelerator.add(name="tensorrt")
    if accelerator in ON_GPU:
        message.instance_group[0].kind = model_config_pb2.ModelInstanceGroup.KIND_GPU


def _describe(entry: Any, tensor: TensorSpec, *, batched: bool) -> None:
    """Fill one input or output of the config.

    Triton knows no tensor without dimensions: one value a sample is `dims: [ 1 ]` reshaped to
    nothing where the model batches, and `dims: [ 1 ]` alone where it does not (since 23.10).
    Source: core `model_config_utils.cc` ValidateIOShape, onnxruntime_backend `onnxruntime.cc`.
    """
    dims = tensor.dims[1:] if batched else tensor.dims
    if 0 in dims:
        raise ConfigError(
            f"{tensor.name!r} has a dimension of size 0, which Triton cannot express",
            hint="export the model with a shape whose dimensions are 1 or more",
        )
    entry.name = tensor.name
    entry.data_type = model_config_pb2.DataType.Value(tensor.dtype.config)
    entry.dims.extend([-1 if isinstance(dim, str) else dim for dim in dims] or [1])
    if batched and not dims:
        entry.reshape.SetInParent()


def render(message: Any) -> str:
    """Return the text of a config; `parse(render(c)) == c` for every `c`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - protobuf text, not HTML
        loader=FileSystemLoader(templates()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "quote": _quote,
        "enum": _enum,
        "only": _only,
        "rest": _rest,
        "indented": _indented,
    }
    return environment.get_template("config.pbtxt.j2").render(config=message)


def templates() -> Path:
    """Return the folder of templates: inside an installed wheel, else beside it in a checkout."""
    packaged = Path(__file__).parent / "_templates"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "templates"


def read(path: Path) -> Any:
    """Read the file of a config; raise `ConfigError` as `parse` does."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: {error}", hint="save it as UTF-8") from error
    return parse(text, path)


def parse(text: str, path: Path | str = "config.pbtxt") -> Any:
    """Read the text of a config; raise `ConfigError` with file, line and column."""
    message = ModelConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        where = f"{path}:{error.GetLine()}:{error.GetColumn()}" if error.GetLine() else str(path)
        said = str(error).removeprefix(f"{error.GetLine()}:{error.GetColumn()} : ")
        raise ConfigError(f"{where}: {said}", hint="mend the line, or delete the file") from error
    return message


def from_json(said: Mapping[str, Any]) -> Any:
    """Read a config as a server tells it; what a newer one has besides is left out.

    Raises `ConfigError` where it is none.
    """
    try:
        return json_format.ParseDict(said, ModelConfig(), ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ConfigError(f"what the server tells of a config is none: {error}") from error


def dtype(number: int) -> DType:
    """Return the dtype that a config holds as a number; raises `SpecError` for none of ours."""
    return DType.parse(model_config_pb2.DataType.Name(number))


def is_complete(message: Any) -> bool:
    """Say whether a server takes the config as it is: it adds to one that lacks its tensors.

    Source: onnxruntime_backend, `onnxruntime.cc` (AutoCompleteConfig).
    """
    return bool(message.input or message.batch_input) and bool(message.output)


def served(message: Any, versions: Sequence[int]) -> tuple[int, ...]:
    """Return those of a model's versions, ascending, that its policy has served."""
    policy = message.version_policy
    if policy.HasField("all"):
        return tuple(versions)
    if policy.HasField("specific"):
        return tuple(each for each in versions if each in policy.specific.versions)
    return tuple(versions[-(policy.latest.num_versions or 1) :])


def needs_gpu(message: Any) -> bool:
    """Say whether the config asks for a GPU by an instance kind or an accelerator."""
    kinds = {group.kind for group in message.instance_group}
    accelerators = message.optimization.execution_accelerators.gpu_execution_accelerator
    return model_config_pb2.ModelInstanceGroup.KIND_GPU in kinds or len(accelerators) > 0


def without_policy(message: Any) -> Any:
    """Return a copy that leaves it to Triton which versions are served: the newest."""
    copy = ModelConfig()
    copy.CopyFrom(message)
    copy.ClearField("version_policy")
    return copy


def needs_openvino(message: Any) -> bool:
    """Say whether the config asks for OpenVINO, which NVIDIA's images for x86 have.

    The embedded server has it not, with a GPU or without.
    """
    accelerators = message.optimization.execution_accelerators.cpu_execution_accelerator
    return any(each.name == "openvino" for each in accelerators)


def rehearse(message: Any) -> Any:
    """Return a copy for the embedded server: KIND_CPU, no accelerator and no CUDA settings."""
    copy = ModelConfig()
    copy.CopyFrom(message)
    for group in copy.instance_group:
        group.kind = model_config_pb2.ModelInstanceGroup.KIND_CPU
        del group.gpus[:]
        del group.secondary_devices[:]
        del group.profile[:]
    if copy.HasField("optimization"):
        copy.optimization.ClearField("cuda")
        accelerators = copy.optimization.execution_accelerators
        del accelerators.gpu_execution_accelerator[:]
        kept = [each for each in accelerators.cpu_execution_accelerator if each.name != "openvino"]
        del accelerators.cpu_execution_accelerator[:]
        accelerators.cpu_execution_accelerator.extend(kept)
        if not accelerators.cpu_execution_accelerator:
            copy.optimization.ClearField("execution_accelerators")
        if not copy.optimization.ListFields():
            copy.ClearField("optimization")
    return copy


def mismatch(message: Any, signature: Signature) -> str | None:
    """Say why the config cannot serve a file with this signature; None where it can.

    Names and dtypes must agree, every input be listed, and each shape fit (a config may narrow a
    dynamic input to a number; outputs agree exactly: onnxruntime_backend#165).
    """
    batched = message.max_batch_size > 0
    if batched and signature.batch is None:
        return f"max_batch_size is {message.max_batch_size} but the model cannot batch"
    for kind, entries, specs in (
        ("input", message.input, signature.inputs),
        ("output", message.output, signature.outputs),
    ):
        known = {spec.name: spec for spec in specs}
        for entry in entries:
            if entry.name not in known:
                return f"the model has no {kind} {entry.name!r}, only {', '.join(known)}"
            reason = _misfit(entry, known[entry.name], batched=batched, exact=kind == "output")
            if reason:
                return reason
    missing = {spec.name for spec in signature.inputs} - {entry.name for entry in message.input}
    return f"input {min(missing)!r} of the model is not listed" if missing else None


def _misfit(entry: Any, spec: TensorSpec, *, batched: bool, exact: bool) -> str | None:
    """Say why one listed tensor does not fit the model's."""
    wanted = model_config_pb2.DataType.Name(entry.data_type)
    if wanted != spec.dtype.config:
        return f"{entry.name!r} is {wanted} but the model has {spec.dtype.config}"
    dims = list(entry.reshape.shape if entry.HasField("reshape") else entry.dims)
    file_dims = spec.dims[1:] if batched else spec.dims
    model = [-1 if isinstance(dim, str) else dim for dim in file_dims]
    scalar = not batched and not model and dims == [1]
    fits = len(dims) == len(model) and all(
        want == have or (have == -1 and not exact) for want, have in zip(dims, model, strict=True)
    )
    if scalar or fits:
        return None
    return f"{entry.name!r} has dims {dims} but the model has {model}"


def _quote(text: str) -> str:
    """Write a protobuf string literal."""
    return f'"{text_encoding.CEscape(text, as_utf8=True)}"'


def _enum(message: Message, field: str) -> str:
    """Write an enum field by name, an unknown number as it is."""
    number = getattr(message, field)
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    name: str = values[number].name if number in values else str(number)
    return name


def _only(message: Message, *fields: str) -> str:
    """Print the named fields of a message."""
    others = {field.name for field, _ in message.ListFields()} - set(fields)
    return _rest(message, *others)


def _rest(message: Message, *fields: str) -> str:
    """Print all fields of a message but the named ones."""
    copy = type(message)()
    copy.CopyFrom(message)
    for field in fields:
        copy.ClearField(field)
    text: str = text_format.MessageToString(copy, as_utf8=True)
    return text.rstrip("\n")


def _indented(text: str, by: int) -> str:
    """Put each line on a line of its own, `by` spaces in; nothing for nothing.

    Only a newline ends a line: strings may hold what else `splitlines` would take for an end.
    """
    return "".join(f"\n{' ' * by}{line}" for line in text.split("\n") if line)
