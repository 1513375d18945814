"""Where a ready server listens: one value, ours or not."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from tritonforge.errors import SpecError

_PORTS = {"http": 8000, "grpc": 8001}


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """The addresses of one server as `host:port`; None where it is not known.

    `rehearsal` is true where a GPU config is served on CPU from a changed copy. `triton` and
    `onnxruntime` are versions and `pid` is the process, known of a server of our own.
    """

    http: str | None = None
    grpc: str | None = None
    metrics: str | None = None
    rehearsal: bool = False
    triton: str | None = None
    onnxruntime: str | None = None
    pid: int | None = None

    @property
    def protocols(self) -> tuple[str, ...]:
        """Name the inference protocols that can be spoken here."""
        return tuple(name for name in ("http", "grpc") if getattr(self, name) is not None)


def parse(urls: tuple[str, ...]) -> Endpoint:
    """Read `--url` values such as `http://host:8000` and `grpc://host:8001` into one endpoint.

    A missing port is Triton's default. Raises `SpecError` for another scheme, for a path and for
    two addresses of one protocol.
    """
    found: dict[str, str] = {}
    for url in urls:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise SpecError(f"cannot read the port of --url {url!r}: {error}") from error
        if parts.scheme not in _PORTS or not parts.hostname or parts.path.strip("/"):
            raise SpecError(
                f"cannot use --url {url!r}",
                hint="write http://HOST:8000 or grpc://HOST:8001",
            )
        if parts.scheme in found:
            raise SpecError(f"--url names {parts.scheme} twice: {found[parts.scheme]} and {url}")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        found[parts.scheme] = f"{host}:{port if port is not None else _PORTS[parts.scheme]}"
    return Endpoint(http=found.get("http"), grpc=found.get("grpc"))
