"""Talk to a Triton server over HTTP or gRPC, which are one code path here.

tritonclient's two modules have the same classes with the same methods; what differs is kept in
`_open` and `_call`. A connection belongs to the thread that opened it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Literal

import numpy as np

from tritonforge.endpoint import Endpoint
from tritonforge.errors import RefusedError, ServerError
from tritonforge.tensors import Arrays, DType, Run, TensorSpec

Protocol = Literal["http", "grpc"]

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
PATIENCE_SECONDS = 600.0  # a first answer may have to wait for an engine to be built
_CUT = re.compile(r"connect|socket|GOAWAY|transport", re.IGNORECASE)  # gRPC's words, not Triton's
_SAYS = {  # what an answer of Triton's has at least
    "get_model_metadata": "name",
    "get_inference_statistics": "model_stats",
    "get_server_metadata": "name",
}
_NO_REQUEST_ID = "[request id: <id_unknown>] "  # we send none


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
    timeout: float = _ANSWER_SECONDS,
) -> Iterator[Run]:
    """Open a connection and yield the model as a `Run` that asks for all its outputs.

    BYTES arrays go in as `bytes` or `str` objects and come back as `bytes`. Without a version the
    server takes the newest. Raises `ServerError` with the server's words, `RefusedError` for a
    request, or when an answer takes longer than `timeout` seconds. A `Run` belongs to the thread
    that opened it.
    """
    module = _module(protocol)
    asked = _named(model, version)
    with _open(endpoint, protocol, timeout) as connection:
        described = connection.call("get_model_metadata", **asked)
        names = [output["name"] for output in described["outputs"]]

        def run(arrays: Arrays) -> Arrays:
            answer = connection.call(
                "infer",
                **asked,
                inputs=[_input(module, name, array) for name, array in arrays.items()],
                outputs=[module.InferRequestedOutput(name) for name in names],
            )
            return {name: answer.as_numpy(name) for name in names}

        yield run


def metadata(endpoint: Endpoint, model: str, *, version: int | None = None) -> Metadata:
    """Ask a server what a model takes and gives; raises `ServerError`.

    gRPC leaves an empty list out.
    """
    with _open(endpoint, endpoint.protocols[0]) as connection:
        said = connection.call("get_model_metadata", **_named(model, version))
    return Metadata(
        name=said["name"],
        versions=tuple(said.get("versions", ())),
        inputs=tuple(map(_tensor, said.get("inputs", ()))),
        outputs=tuple(map(_tensor, said.get("outputs", ()))),
    )


def statistics(endpoint: Endpoint, model: str, *, version: int | None = None) -> Statistics:
    """Ask a server what it has counted for a model; raises `ServerError`.

    Without a version the counts of the newest loaded one are returned.
    """
    with _open(endpoint, endpoint.protocols[0]) as connection:
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
    with _open(endpoint, endpoint.protocols[0]) as connection:
        said = connection.call("get_server_metadata")
    return Identity(name=said.get("name", ""), version=said.get("version", ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connection:
    """A client of one protocol, and where it leads."""

    client: Any
    protocol: str
    address: str
    timeout: float

    def call(self, name: str, **arguments: Any) -> Any:
        """Call a method; numbers come as the protocol writes them, errors as `ServerError`."""
        from tritonclient.utils import InferenceServerException

        if self.protocol == "grpc":
            arguments["client_timeout"] = self.timeout
            if name.startswith("get_"):
                arguments["as_json"] = True
        try:
            answer = getattr(self.client, name)(**arguments)
        except InferenceServerException as error:
            kind = RefusedError if name == "infer" else ServerError
            raise self._said(error.message() or str(error), error.status() or "", kind) from error
        except TimeoutError as error:
            raise self._late() from error
        except (OSError, HTTPException) as error:
            raise self._unreachable(getattr(error, "strerror", None) or str(error)) from error
        except ValueError as error:  # an answer that is no JSON, or no text
            raise self._foreign() from error
        key = _SAYS.get(name)
        if key is not None and not (isinstance(answer, Mapping) and key in answer):
            raise self._foreign()
        return answer

    def _foreign(self) -> ServerError:
        return ServerError(
            f"what answers at {self.protocol}://{self.address} is not Triton",
            hint=f"is that Triton's {self.protocol} port?",
        )

    def _said(self, words: str, status: str, kind: type[ServerError]) -> ServerError:
        """Translate what a client says; gRPC has a status for what HTTP raises by itself."""
        if "DEADLINE_EXCEEDED" in status or words == "Deadline Exceeded":
            return self._late()
        if "UNAVAILABLE" in status and _CUT.search(words):
            return self._unreachable(words)
        return kind(f"the server says: {words.removeprefix(_NO_REQUEST_ID)}")

    def _late(self) -> ServerError:
        return ServerError(
            f"the server at {self.address} did not answer within {self.timeout:.0f} s"
        )

    def _unreachable(self, why: str) -> ServerError:
        return ServerError(
            f"cannot reach a server at {self.protocol}://{self.address}: {why}",
            hint="is it running, and is the port right?",
        )


@contextmanager
def _open(
    endpoint: Endpoint, protocol: str, timeout: float = _ANSWER_SECONDS
) -> Iterator[_Connection]:
    """Open a client for one protocol of an endpoint."""
    address = getattr(endpoint, protocol)
    if address is None:
        raise ServerError(
            f"no {protocol} address is known for this server", hint=f"add --url {protocol}://…"
        )
    limits = {}
    if protocol == "http":
        limits = {"connection_timeout": min(_CONNECT_SECONDS, timeout), "network_timeout": timeout}
    client = _module(protocol).InferenceServerClient(address, **limits)
    try:
        yield _Connection(client=client, protocol=protocol, address=address, timeout=timeout)
    finally:
        client.close()


def _module(protocol: str) -> Any:
    """Import one protocol of tritonclient, which takes a while."""
    if protocol == "http":
        import tritonclient.http as module
    else:
        import tritonclient.grpc as module
    return module


def _named(model: str, version: int | None) -> dict[str, str]:
    """Name a version as the protocols do."""
    return {"model_name": model, "model_version": "" if version is None else str(version)}


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
