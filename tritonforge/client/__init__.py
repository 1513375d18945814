"""Talk to a Triton server over HTTP or gRPC, which are one code path here.

tritonclient's two modules have the same classes with the same methods; what differs is kept in
`connection`. A connection belongs to the thread that opened it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from typing import Protocol as Interface

import numpy as np

from tritonforge.client.connection import ANSWER_SECONDS, module_of, opened
from tritonforge.endpoint import Endpoint
from tritonforge.tensors import Arrays, DType, TensorSpec

Protocol = Literal["http", "grpc"]

PATIENCE_SECONDS = 600.0  # a first answer may have to wait for an engine to be built


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a server calls itself, and the version of Triton that it is."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a server says of a model: its versions, and its tensors with `-1` for a dynamic size."""

    name: str
    versions: tuple[str, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request stands in a sequence: its correlation id, and whether it begins or ends it.

    Ids below 2^31 fit every type that a control tensor may have.
    """

    sequence: int
    start: bool
    end: bool


class Asking(Interface):
    """A served model as a `Run`, whose requests may belong to a sequence."""

    def __call__(self, arrays: Arrays, place: Place | None = None) -> Arrays:
        """Ask for all outputs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchCount:
    """How often a batch of `size` was executed."""

    size: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a server has counted for one version of a model since it loaded.

    `inferences` counts samples, `requests` answered requests, `executions` runs of the model: with
    batching there are fewer executions than inferences. Times are sums over requests, in ns.
    """

    inferences: int
    executions: int
    requests: int
    failures: int
    queue_ns: int
    compute_input_ns: int
    compute_infer_ns: int
    compute_output_ns: int
    batches: tuple[BatchCount, ...]


@contextmanager
def remote(
    endpoint: Endpoint,
    model: str,
    *,
    version: int | None = None,
    protocol: Protocol = "http",
    timeout: float = ANSWER_SECONDS,
) -> Iterator[Asking]:
    """Open a connection and yield the model as a `Run` that asks for all its outputs.

    BYTES arrays go in as `bytes` or `str` objects and come back as `bytes`. Without a version the
    server takes the newest. Raises `ServerError` with the server's words, `RefusedError` for a
    request, or when an answer takes longer than `timeout` seconds. A `Run` belongs to the thread
    that opened it.
    """
    module = module_of(protocol)
    asked = _named(model, version)
    with opened(endpoint, protocol, timeout) as connection:
        described = connection.call("get_model_metadata", **asked)
        names = [output["name"] for output in described["outputs"]]

        def run(arrays: Arrays, place: Place | None = None) -> Arrays:
            answer = connection.call(
                "infer",
                **asked,
                **_flags(place),
                inputs=[_input(module, name, array) for name, array in arrays.items()],
                outputs=[module.InferRequestedOutput(name) for name in names],
            )
            return {name: answer.as_numpy(name) for name in names}

        yield run


def metadata(endpoint: Endpoint, model: str, *, version: int | None = None) -> Metadata:
    """Ask a server what a model takes and gives; raises `ServerError`.

    gRPC leaves an empty list out.
    """
    with opened(endpoint, endpoint.protocols[0]) as connection:
        said = connection.call("get_model_metadata", **_named(model, version))
    return Metadata(
        name=said["name"],
        versions=tuple(said.get("versions", ())),
        inputs=tuple(map(_tensor, said.get("inputs", ()))),
        outputs=tuple(map(_tensor, said.get("outputs", ()))),
    )


def config(endpoint: Endpoint, model: str, *, version: int | None = None) -> Mapping[str, Any]:
    """Ask a server for a model's config as it has completed it; raises `ServerError`.

    The protocols write it as JSON: enums by name, numbers of 64 bits as text or not.
    """
    with opened(endpoint, endpoint.protocols[0]) as connection:
        said: Mapping[str, Any] = connection.call("get_model_config", **_named(model, version))
    config: Mapping[str, Any] = said.get("config", said)  # gRPC wraps it
    return config


def statistics(endpoint: Endpoint, model: str, *, version: int | None = None) -> Statistics:
    """Ask a server what it has counted for a model; raises `ServerError`.

    Without a version the counts of the newest loaded one are returned.
    """
    with opened(endpoint, endpoint.protocols[0]) as connection:
        said = connection.call("get_inference_statistics", **_named(model, version))
    counted = max(said["model_stats"], key=lambda each: int(each["version"]))
    spent = counted.get("inference_stats", {})
    return Statistics(
        inferences=int(counted.get("inference_count", 0)),
        executions=int(counted.get("execution_count", 0)),
        requests=_of(spent, "success", "count"),
        failures=_of(spent, "fail", "count"),
        queue_ns=_of(spent, "queue", "ns"),
        compute_input_ns=_of(spent, "compute_input", "ns"),
        compute_infer_ns=_of(spent, "compute_infer", "ns"),
        compute_output_ns=_of(spent, "compute_output", "ns"),
        batches=tuple(
            BatchCount(size=int(each["batch_size"]), count=_of(each, "compute_infer", "count"))
            for each in counted.get("batch_stats", ())
        ),
    )


def identity(endpoint: Endpoint) -> Identity:
    """Ask a server what it is; raises `ServerError`."""
    with opened(endpoint, endpoint.protocols[0]) as connection:
        said = connection.call("get_server_metadata")
    return Identity(name=said.get("name", ""), version=said.get("version", ""))


def _named(model: str, version: int | None) -> dict[str, str]:
    """Name a version as the protocols do."""
    return {"model_name": model, "model_version": "" if version is None else str(version)}


def _flags(place: Place | None) -> dict[str, Any]:
    """Name a request's place in a sequence as the protocols do."""
    if place is None:
        return {}
    return {
        "sequence_id": place.sequence,
        "sequence_start": place.start,
        "sequence_end": place.end,
    }


def _input(module: Any, name: str, array: np.ndarray) -> Any:
    """Wrap an array for a request."""
    dtype = DType.from_numpy(array.dtype)
    values = array.astype(object) if dtype is DType.BYTES else np.ascontiguousarray(array)
    tensor = module.InferInput(name, list(array.shape), dtype.name)
    return tensor.set_data_from_numpy(values.reshape(array.shape))


def _tensor(said: Mapping[str, Any]) -> TensorSpec:
    """Read a tensor of the metadata; a dynamic dimension is named after its place."""
    sizes = [int(size) for size in said["shape"]]
    dims = tuple(f"dim{index}" if size < 0 else size for index, size in enumerate(sizes))
    return TensorSpec(name=said["name"], dtype=DType.parse(said["datatype"]), dims=dims)


def _of(said: Mapping[str, Any], kind: str, unit: str) -> int:
    """Read one number; gRPC leaves zeros out and writes large numbers as text."""
    return int(said.get(kind, {}).get(unit, 0))
