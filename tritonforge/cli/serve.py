"""`tritonforge serve`: the real server on this machine until it is told to stop."""

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from tritonforge.cli import options, output

if TYPE_CHECKING:
    from tritonforge.endpoint import Endpoint
    from tritonforge.release import Release
    from tritonforge.repository import Repository

_PORT = click.IntRange(0, 65535)
_TERMINATED = 143  # how the group reports SIGTERM: 128 + 15
_LOOK_SECONDS = 1.0  # each look reads the state of every process of the machine


@click.command()
@click.argument("arguments", metavar="[MODEL]... [-- TRITONSERVER_OPTIONS]", nargs=-1)
@options.model_repository
@options.served_by
@click.option("--http-port", type=_PORT, default=8000, show_default=True, help="0: a free one.")
@click.option("--grpc-port", type=_PORT, default=8001, show_default=True, help="0: a free one.")
@click.option("--metrics-port", type=_PORT, default=8002, show_default=True, help="0: a free one.")
@click.option("-v", "--verbose", is_flag=True, help="Show on stderr what the server says.")
def command(
    arguments: tuple[str, ...],
    model_repository: "Repository",
    target: "Release | None",
    http_port: int,
    grpc_port: int,
    metrics_port: int,
    *,
    verbose: bool,
) -> None:
    """Serve the models of the repository, or those named, on this machine.

    Prints the URLs once every model has loaded and runs until ^C or SIGTERM, which is success.
    It listens on loopback only. Where no GPU is seen a config that asks for one is rehearsed on the
    CPU from a copy. What follows -- goes to tritonserver as it is, but not what would open it to a
    network.
    """
    from tritonforge.serving import serving

    models, extra = options.split(arguments)
    output.left_out(model_repository, models)
    with ExitStack() as stack:
        with output.progress() as progress:
            serve = serving(
                model_repository.path,
                models=models,
                target=target,
                http_port=http_port or None,
                grpc_port=grpc_port or None,
                metrics_port=metrics_port or None,
                arguments=extra,
                cached=True,
                show=_on_stderr if verbose else None,
                rehearsed=_on_stderr,
                noted=_on_stderr,
                progress=progress,
            )
            endpoint = stack.enter_context(serve)
        _wait(endpoint)


def _wait(endpoint: "Endpoint") -> None:
    """Print the URLs; return on ^C and SIGTERM, or when the server has gone."""
    from tritonforge.health import alive
    from tritonforge.instances import Watch

    try:
        watch = Watch(endpoint.pid)
        click.echo(f"http://{endpoint.http}")
        click.echo(f"grpc://{endpoint.grpc}")
        click.echo(f"http://{endpoint.metrics}/metrics")
        runtime = f", ONNX Runtime {endpoint.onnxruntime}" if endpoint.onnxruntime else ""
        _on_stderr(f"Triton {endpoint.triton}{runtime}")
        if endpoint.rehearsal:
            _on_stderr("rehearsal: cpu (the difference is above)")
        while alive(endpoint):
            for said in watch.died():
                _on_stderr(f"{said}; its requests are refused until its model is loaded anew")
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return
    except SystemExit as error:
        if error.code != _TERMINATED:
            raise


def _on_stderr(line: str) -> None:
    """Say something above a progress bar, which stands in for stderr; click would pass it by."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
