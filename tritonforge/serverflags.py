"""Which options of `tritonserver` are not for a user of this server."""

from collections.abc import Sequence

from tritonforge.errors import ServerError

KINDS = ("http", "grpc", "metrics")  # of listeners

_OURS = (
    *("id", "model-repository", "model-store", "backend-directory", "exit-on-error"),
    *(f"{kind}-port" for kind in KINDS),
)
# What would open the server to the network, or close it to us.
_CLOSED = (
    *(f"{kind}-address" for kind in KINDS),
    *(f"allow-{kind}" for kind in (*KINDS, "sagemaker", "vertex-ai")),
    *("http-restricted-api", "grpc-restricted-protocol"),
)


def check(arguments: Sequence[str]) -> None:
    """Refuse options that contradict ours before anything is started; raises `ServerError`."""
    for argument in arguments:
        name = argument.partition("=")[0]
        if _means(name, _OURS):
            raise ServerError(
                f"{name} after -- would contradict what tritonforge passes itself",
                hint="use the option before --, or leave it out",
            )
        if _means(name, _CLOSED):
            raise ServerError(
                f"{name} after -- is not for this server: it speaks HTTP and gRPC on loopback only",
                hint="leave it out; to serve a network, use the container in docker/",
            )


def _means(argument: str, names: Sequence[str]) -> bool:
    """Say whether an argument is one of these options; a beginning will do (`getopt_long(3)`)."""
    said = argument.removeprefix("--")
    return len(said) > 1 and said != argument and any(name.startswith(said) for name in names)
