import pytest

from tritonforge import endpoint
from tritonforge.endpoint import Endpoint
from tritonforge.errors import SpecError


def test_both_protocols():
    found = endpoint.parse(("http://host:1", "grpc://other:2"))
    assert found == Endpoint(http="host:1", grpc="other:2")
    assert found.protocols == ("http", "grpc")
    assert not found.rehearsal


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://host", {"http": "host:8000"}),
        ("grpc://host/", {"grpc": "host:8001"}),
        ("grpc://[::1]", {"grpc": "[::1]:8001"}),
        ("http://[::1]:5", {"http": "[::1]:5"}),
        ("http://host:0", {"http": "host:0"}),
    ],
)
def test_ports_and_hosts(url, address):
    assert endpoint.parse((url,)) == Endpoint(**address)


@pytest.mark.parametrize(
    "url", ["host:8000", "https://host", "http://", "http://host/v2", "", "grpc:"]
)
def test_what_is_no_url_of_a_server(url):
    with pytest.raises(SpecError, match="cannot use --url") as caught:
        endpoint.parse((url,))
    assert "http://HOST:8000" in caught.value.hint


def test_a_port_that_is_none():
    with pytest.raises(SpecError, match="cannot read the port"):
        endpoint.parse(("http://host:99999",))


def test_one_address_per_protocol():
    with pytest.raises(SpecError, match="names http twice"):
        endpoint.parse(("http://a", "http://b"))


def test_nothing_known():
    assert endpoint.parse(()).protocols == ()
