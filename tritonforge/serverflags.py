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


_SETTINGS = "backend-config"
_BACKEND = "onnxruntime,"


def check(arguments: Sequence[str], *, own: bool) -> None:
    """Refuse options that contradict ours before anything is started; raises `ServerError`.

    With our `own` backend also settings for the one that it stands in for: Triton hands a Python
    backend none.
    """
    for index, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        following = arguments[index + 1] if index + 1 < len(arguments) else ""
        if own and _means(name, (_SETTINGS,)) and (value or following).startswith(_BACKEND):
            raise ServerError(
                f"--{_SETTINGS}={value or following} has no effect on the embedded server",
                hint="say it in the model's config.pbtxt (max_batch_size, parameters), or serve in"
                " the container",
            )
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
