"""The command line: reading this file is reading the table of contents."""

from tritonforge.cli import (
    build,
    check,
    config,
    init,
    inspect,
    parity,
    perf,
    place,
    serve,
    spec,
    targets,
    toolchain,
)
from tritonforge.cli.group import Forge

main = Forge(
    name="tritonforge",
    help="Take a model to a proven deployment on NVIDIA Triton Inference Server.",
)
main.section(
    "Foresee",
    targets=targets.command,
    inspect=inspect.command,
    place=place.command,
    check=check.command,
)
main.section(
    "Make",
    init=init.command,
    build=build.command,
    spec=spec.command,
    config=config.command,
)
main.section("Prove", parity=parity.command, perf=perf.command)
main.section("Serve", serve=serve.command, toolchain=toolchain.command)
