"""Which fields of `ModelConfig` a person can say of a model, and what they hold."""

from collections.abc import Iterator, Mapping

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tritonforge import knobs
from tritonforge.pbtxt.reading import ModelConfig

_OWN = "a build writes it itself"
_UNREAD = "the ONNX Runtime backend does not read it"


def _unread() -> Iterator[tuple[str, str]]:
    """Yield the fields that are read for models of other backends only, and who reads them."""
    for path, reader in knobs.unread().items():
        scope, name = path.split(".")
        descriptor = ModelConfig.DESCRIPTOR.fields_by_name[scope].message_type
        yield descriptor.fields_by_name[name].full_name, f"only {reader} reads it"


# What cannot be said, by the field's full name, and why not.
WITHHELD: Mapping[str, str] = {
    "inference.ModelConfig.name": "it is the name of the model's table",
    "inference.ModelConfig.platform": _OWN,
    "inference.ModelConfig.backend": _OWN,
    "inference.ModelConfig.runtime": _OWN,
    "inference.ModelConfig.max_batch_size": "it is a key of its own",
    "inference.ModelConfig.cc_model_filenames": "a build writes one file for every GPU",
    "inference.ModelConfig.ensemble_scheduling": "an ensemble runs no model of its own",
    "inference.ModelConfig.model_transaction_policy": "ONNX Runtime answers each request once",
    "inference.ModelInput.name": "it is the name of the input's table",
    "inference.ModelInput.data_type": "it is read from the file",
    "inference.ModelInput.format": _UNREAD,
    "inference.ModelInput.is_shape_tensor": _UNREAD,
    "inference.ModelInput.is_non_linear_format_io": _UNREAD,
    "inference.ModelOutput.name": "it is the name of the output's table",
    "inference.ModelOutput.data_type": "it is read from the file",
    "inference.ModelOutput.label_filename": "the key labels copies the file too",
    "inference.ModelOutput.is_shape_tensor": _UNREAD,
    "inference.ModelOutput.is_non_linear_format_io": _UNREAD,
    "inference.ModelOptimizationPolicy.execution_accelerators": "the keys accelerator, tensorrt and"
    " cuda say it",
    "inference.ModelSequenceBatching.iterative_sequence": _UNREAD,
    "inference.ModelInstanceGroup.profile": _UNREAD,
    "inference.ModelInstanceGroup.passive": _UNREAD,
    **dict(_unread()),
}
# The names of the fields of ModelConfig, offered or not, and those of a tensor that are offered.
FIELDS: tuple[str, ...] = tuple(field.name for field in ModelConfig.DESCRIPTOR.fields)


def offered(descriptor: Descriptor = ModelConfig.DESCRIPTOR) -> Iterator[FieldDescriptor]:
    """Yield the fields of a message that can be said, in the order of the proto."""
    for field in descriptor.fields:
        if field.full_name not in WITHHELD:
            yield field


def _offered_names(kind: str) -> tuple[str, ...]:
    tensor = ModelConfig.DESCRIPTOR.fields_by_name[kind].message_type
    return tuple(field.name for field in offered(tensor))


TENSOR_FIELDS: Mapping[str, tuple[str, ...]] = {
    f"{k}s": _offered_names(k) for k in ("input", "output")
}


def sole(descriptor: Descriptor) -> FieldDescriptor | None:
    """Return the one field of a message that has one; None where it has more or none."""
    fields = list(offered(descriptor))
    return fields[0] if len(fields) == 1 else None
