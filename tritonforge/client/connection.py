"""A connection to a Triton server: one client of tritonclient, and its errors as ours."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from tritonforge.endpoint import Endpoint
from tritonforge.errors import RefusedError, ServerError

ANSWER_SECONDS = 60.0
_CONNECT_SECONDS = 10.0
_CUT = re.compile(r"connect|socket|GOAWAY|transport", re.IGNORECASE)  # gRPC's words, not Triton's
_SAYS = {  # what an answer of Triton's has at least
    "get_model_metadata": "name",
    "get_inference_statistics": "model_stats",
    "get_server_metadata": "name",
}
_NO_REQUEST_ID = "[request id: <id_unknown>] "  # we send none


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
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
def opened(
    endpoint: Endpoint, protocol: str, timeout: float = ANSWER_SECONDS
) -> Iterator[Connection]:
    """Open a client for one protocol of an endpoint."""
    address = getattr(endpoint, protocol)
    if address is None:
        raise ServerError(
            f"no {protocol} address is known for this server", hint=f"add --url {protocol}://…"
        )
    limits = {}
    if protocol == "http":
        limits = {"connection_timeout": min(_CONNECT_SECONDS, timeout), "network_timeout": timeout}
    client = module_of(protocol).InferenceServerClient(address, **limits)
    try:
        yield Connection(client=client, protocol=protocol, address=address, timeout=timeout)
    finally:
        client.close()


def module_of(protocol: str) -> Any:
    """Import one protocol of tritonclient, which takes a while."""
    if protocol == "http":
        import tritonclient.http as module
    else:
        import tritonclient.grpc as module
    return module
