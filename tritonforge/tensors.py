"""What a tensor is, in every dialect: numpy, ONNX, Triton's config and Triton's protocol.

`Run` is the one type behind every way to compute: eager torch, ONNX Runtime and a remote
Triton are three functions from named arrays to named arrays.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np

from tritonforge.errors import SpecError

Arrays = Mapping[str, np.ndarray]
Run = Callable[[Arrays], Arrays]
Dim = int | str


class DType(Enum):
    """An element type: its ONNX number (`TensorProto.DataType`) and its numpy dtype.

    The member's name is the name in Triton's inference protocol (`FP32`); `config` is the name in
    `config.pbtxt` (`TYPE_FP32`). They differ in one case: protocol BYTES is config TYPE_STRING.
    Source: triton-inference-server/core, `model_config_utils.cc`; onnx `onnx.proto`.
    """

    FP32 = (1, "float32")
    UINT8 = (2, "uint8")
    INT8 = (3, "int8")
    UINT16 = (4, "uint16")
    INT16 = (5, "int16")
    INT32 = (6, "int32")
    INT64 = (7, "int64")
    BYTES = (8, "object")
    BOOL = (9, "bool")
    FP16 = (10, "float16")
    FP64 = (11, "float64")
    UINT32 = (12, "uint32")
    UINT64 = (13, "uint64")

    @property
    def onnx(self) -> int:
        """Return the number in `onnx.TensorProto.DataType`."""
        return self.value[0]

    @property
    def numpy(self) -> np.dtype:
        """Return the numpy dtype; BYTES is an array of `bytes` or `str` objects."""
        return np.dtype(self.value[1])

    @property
    def config(self) -> str:
        """Return the name in `config.pbtxt`, such as `TYPE_FP32`."""
        return "TYPE_STRING" if self is DType.BYTES else f"TYPE_{self.name}"

    @property
    def element(self) -> str:
        """Return ONNX's own name, such as `float`; `tensor(float)` is a tensor of it."""
        known = {DType.FP32: "float", DType.FP64: "double", DType.BYTES: "string"}
        return known.get(self, str(self.value[1]))

    @property
    def is_float(self) -> bool:
        """Say whether values are compared with a tolerance."""
        return self in {DType.FP16, DType.FP32, DType.FP64}

    @classmethod
    def parse(cls, text: str) -> "DType":
        """Read `FP32`, `TYPE_FP32`, `float32` or `STRING`, in any case."""
        wanted = text.upper().removeprefix("TYPE_")
        for dtype in cls:
            if wanted in {dtype.name, dtype.config.removeprefix("TYPE_"), dtype.value[1].upper()}:
                return dtype
        names = ", ".join(dtype.name for dtype in cls)
        raise SpecError(f"unknown dtype {text!r}", hint=f"use one of {names}")

    @classmethod
    def from_onnx(cls, number: int) -> "DType | None":
        """Return the member for an ONNX element type, None where Triton has no such tensor."""
        return next((dtype for dtype in cls if dtype.onnx == number), None)

    @classmethod
    def from_numpy(cls, dtype: np.dtype) -> "DType":
        """Return the member for a numpy dtype; every kind of string is BYTES."""
        if dtype.kind in "OSU":
            return cls.BYTES
        return cls.parse(dtype.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """A tensor's name, dtype and full shape, batch included: a number is fixed, a name dynamic."""

    name: str
    dtype: DType
    dims: tuple[Dim, ...]

    @property
    def dynamic(self) -> tuple[str, ...]:
        """Name the dynamic dimensions in order, each once."""
        return tuple(dict.fromkeys(dim for dim in self.dims if isinstance(dim, str)))

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape in which each dynamic dimension has its size from `sizes`."""
        return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in self.dims)

    def __str__(self) -> str:
        return f"{self.name}:{self.dtype.name}:{','.join(map(str, self.dims))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What an `.onnx` file takes and gives; input names are unique, so are output names."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def batch(self) -> str | None:
        """Name the batch dimension, or None where the model cannot batch.

        Triton batches only along a first dimension that is dynamic in EVERY input and output
        (onnxruntime_backend, `onnxruntime_utils.cc`), and requests are concatenated, so it must be
        the same dimension in each input.
        """
        firsts = {tensor.dims[0] if tensor.dims else None for tensor in self.inputs}
        outputs_follow = all(
            tensor.dims and isinstance(tensor.dims[0], str) for tensor in self.outputs
        )
        if len(firsts) != 1 or not outputs_follow:
            return None
        first = firsts.pop()
        return first if isinstance(first, str) else None

    @property
    def dynamic(self) -> tuple[str, ...]:
        """Name every dynamic dimension of the inputs in order, the batch included."""
        return tuple(dict.fromkeys(dim for tensor in self.inputs for dim in tensor.dynamic))


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An input or output of a file: its type as ONNX Runtime writes it, such as `tensor(float)`.

    `dims` have a name for a dynamic dimension, an empty one where it has none; no dims are a scalar
    or a tensor of unknown rank: ONNX Runtime does not tell them apart. Of an output whose nodes
    give another shape than the file states, `dims` are what is left of both, and `otherwise` are
    the nodes' own, which ONNX Runtime tells once it has changed the graph.
    """

    name: str
    type: str
    dims: tuple[Dim, ...]
    otherwise: tuple[Dim, ...] | None = None

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the dims as Triton writes them: -1 is dynamic."""
        return tuple(-1 if isinstance(dim, str) else dim for dim in self.dims)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """What a file takes and gives, whatever it is; a request may give the `optional` weights."""

    inputs: tuple[Value, ...]
    optional: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @classmethod
    def of(cls, signature: Signature) -> "Interface":
        """Return that of a file of which the signature is known."""
        inputs, outputs = (
            tuple(
                Value(name=each.name, type=f"tensor({each.dtype.element})", dims=each.dims)
                for each in tensors
            )
            for tensors in (signature.inputs, signature.outputs)
        )
        return cls(inputs=inputs, optional=(), outputs=outputs)


def texts(array: np.ndarray) -> np.ndarray:
    """Return strings as Triton's protocol holds them, an object array of bytes; numbers as is."""
    if array.dtype.kind not in "OSU":
        return array
    plain = [item if isinstance(item, bytes) else str(item).encode() for item in array.flat]
    return np.array(plain, dtype=object).reshape(array.shape)
