"""Inputs that a person has recorded, as the domains and sizes of a model's samples.

What a model makes of its inputs may not suit drawn numbers: a shape to reshape to, indices, boxes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from tritonforge.errors import SpecError
from tritonforge.spec import Domain, Range
from tritonforge.tensors import Arrays, DType, Signature, TensorSpec, texts


def recorded(
    paths: Sequence[Path], signature: Signature
) -> tuple[dict[str, Domain], dict[str, Range]]:
    """Read samples; return what each input that they hold is, and which sizes they have.

    A path is an `.npz` file whose names are the inputs', or a folder laid out as ONNX's own test
    data: `input_0.pb`, `input_1.pb`, in the order of the graph's inputs. Inputs that no sample
    holds are drawn. Raises `SpecError` for a file that cannot be read or does not fit.
    """
    read = [_read(path, signature.inputs) for path in paths]
    for path, sample in zip(paths, read, strict=True):
        _fits(path, sample, read[0], signature.inputs)
    domains = {
        name: Domain(kind="recorded", values=tuple(sample[name] for sample in read))
        for name in read[0]
    }
    sizes: dict[str, list[int]] = {}
    for tensor in signature.inputs:
        for sample in read if tensor.name in domains else ():
            for dim, size in zip(tensor.dims, sample[tensor.name].shape, strict=True):
                if isinstance(dim, str) and dim != signature.batch:
                    sizes.setdefault(dim, []).append(size)
    ranges = {dim: Range(low=max(min(seen), 1), high=max(*seen, 1)) for dim, seen in sizes.items()}
    return domains, ranges


def _read(path: Path, inputs: Sequence[TensorSpec]) -> Arrays:
    """Read one sample."""
    try:
        if path.is_dir():
            return _test_data(path, inputs)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return {name: texts(stored[name]) for name in stored.files}
    except SpecError:
        raise
    except Exception as error:  # zipfile, zlib, protobuf and numpy have an error each
        raise SpecError(
            f"cannot read the sample {path}: {error}",
            hint="give an .npz file (numpy.savez), or a folder with input_0.pb, input_1.pb …",
        ) from error


def _test_data(folder: Path, inputs: Sequence[TensorSpec]) -> Arrays:
    """Read the inputs of one of ONNX's test data sets."""
    files = [
        folder / f"input_{number}.pb" for number in range(len(list(folder.glob("input_*.pb"))))
    ]
    if not files or len(files) > len(inputs):
        raise SpecError(
            f"{folder} holds {len(files)} inputs (input_0.pb …), the model takes {len(inputs)}",
            hint="give a folder of ONNX test data for this model",
        )
    tensors = [onnx.load_tensor(file) for file in files]
    return {
        tensor.name: texts(numpy_helper.to_array(value))
        for tensor, value in zip(inputs, tensors, strict=False)
    }


def _fits(path: Path, sample: Arrays, first: Arrays, inputs: Sequence[TensorSpec]) -> None:
    """Raise `SpecError` where a sample is not one of this model, or holds other inputs."""
    known: Mapping[str, TensorSpec] = {tensor.name: tensor for tensor in inputs}
    if not sample or set(sample) != set(first):
        raise SpecError(
            f"the sample {path} holds {_names(sample)}, the first one {_names(first)}",
            hint="give every sample the same inputs",
        )
    for name, array in sample.items():
        tensor = known.get(name)
        if tensor is None:
            raise SpecError(
                f"the sample {path} holds {name!r}, which the model does not take",
                hint=f"it takes {_names(known)}",
            )
        fixed = len(array.shape) == len(tensor.dims) and all(
            isinstance(dim, str) or dim == size
            for dim, size in zip(tensor.dims, array.shape, strict=True)
        )
        dtype = DType.from_numpy(array.dtype)
        if dtype is not tensor.dtype or not fixed:
            raise SpecError(
                f"{name!r} of the sample {path} is {dtype.name} of shape {list(array.shape)},"
                f" the model takes {tensor}",
                hint="record it as the model takes it",
            )


def _names(named: Mapping[str, object]) -> str:
    return ", ".join(named) or "nothing"
