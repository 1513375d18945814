"""What a server says of itself over plain HTTP, before anything else can be asked."""

import http.client
import json
import socket
from collections.abc import Mapping
from typing import Any

from tritonforge.endpoint import Endpoint

_SECONDS = 10.0


def name(address: str) -> str | None:
    """Return the id of the server at `host:port`, None while no Triton answers."""
    try:
        said = json.loads(_ask(address, "GET", "/v2") or b"{}").get("name")
    except (ValueError, AttributeError):
        return None
    return said if isinstance(said, str) else None


def is_ready(address: str) -> bool:
    """Say whether the server calls itself ready."""
    return _ask(address, "GET", "/v2/health/ready") is not None


def index(address: str) -> list[Mapping[str, Any]]:
    """Return the state of each version of each model, as Triton's repository index has it."""
    states: list[Mapping[str, Any]] = json.loads(
        _ask(address, "POST", "/v2/repository/index") or "[]"
    )
    return states


def alive(endpoint: Endpoint) -> bool:
    """Say whether something still listens at an endpoint's HTTP address, however busy it is."""
    host, _, port = (endpoint.http or "").rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (ConnectionError, ValueError):
        return False
    except OSError:  # too busy to accept
        return True
    return True


def _ask(address: str, method: str, path: str) -> bytes | None:
    """Return the body of a 200 answer, None for any other outcome."""
    connection = http.client.HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return body if answer.status == http.HTTPStatus.OK else None
