"""`tritonforge targets`: what runs in each NGC image, and what it takes."""

from typing import TYPE_CHECKING, Any

import click

from tritonforge.cli import options, output
from tritonforge.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tritonforge.release import Image, Release

_UNKNOWN = "unknown"
_COLUMNS = {  # as in the JSON: as in a table
    "tag": "Target",
    "triton": "Triton",
    "onnxruntime": "ONNX\nRuntime",
    "tensorrt": "TensorRT",
    "cuda": "CUDA",
    "opset": "Opset",
    "ir": "IR",
    "cuda_opset": "Opset\non CUDA",
}
_LIMITS = ("opset", "ir", "cuda_opset")
_PARTS = 3  # of a version in the table, which is to fit a terminal
_WHOLE = {  # of one alone
    "tag": "target",
    "triton": "Triton",
    "onnxruntime": "ONNX Runtime",
    "tensorrt": "TensorRT",
    "cuda": "CUDA",
    "python": "Python",
    "capability": "least compute capability of a GPU",
    "opset": "highest opset that loads",
    "ml_opset": "highest opset of ai.onnx.ml that loads",
    "ir": "highest IR version that loads",
    "cuda_opset": "highest opset at which CUDA keeps its kernels",
    "parser": "TensorRT whose parser is foretold",
    "parser_source": "that version is",
}


@click.command()
@click.argument("target", required=False)
@options.output_format
def command(target: str | None, output_format: str) -> None:
    """List the releases that a model can be built for, or tell one TARGET whole.

    A TARGET is an NGC tag such as 24.10, which means the image tritonserver:24.10-py3, or an ONNX
    Runtime such as ort:1.19.2.
    """
    from tritonforge import release

    if target == "all":
        raise SpecError(
            "TARGET is one release", hint="tritonforge targets, without a TARGET, lists all"
        )
    if target is None:
        _list(release.images(), output_format)
        return
    found = _one(target)
    if output_format == "json":
        output.as_json(found)
        return
    rows = [(words, _cell(found[key])) for key, words in _WHOLE.items()]
    if found["refused"] is not None:
        rows.append(("no target, since", found["refused"]))
    output.table(("what", "value"), rows, left=2)


def _list(images: "Iterable[Image]", output_format: str) -> None:
    """Print every tag, the oldest first."""
    rows = [_facts(each) for each in images]
    if output_format == "json":
        output.as_json({"targets": rows})
        return
    output.table([*_COLUMNS.values()], [_line(row) for row in rows])
    for row in rows:
        if row["refused"] is not None:
            click.echo(f"{row['tag']} can be no target: {row['refused']}.")


def _line(row: dict[str, Any]) -> list[str]:
    """Write a row short; one that can be no target has no limits, and is told below."""
    kept = [key for key in _COLUMNS if row["refused"] is None or key not in _LIMITS]
    return [_short(row[key]) if key in kept else "" for key in _COLUMNS]


def _short(value: Any) -> str:
    """Write a version by its first parts, without what a preview adds in words."""
    return ".".join(_cell(value).split(" ")[0].split(".")[:_PARTS])


def _one(target: str) -> dict[str, Any]:
    """Lay out a tag, also one that cannot be a target, or an ONNX Runtime."""
    from tritonforge import release

    if target.startswith(release.RUNTIME):
        return _of_release(release.find(target)) | {"refused": None}
    return _facts(release.image(target))


def _facts(image: "Image") -> dict[str, Any]:
    """Lay out a tag; what is unknown is None."""
    if image.release is not None:
        return _of_release(image.release) | {"refused": None}
    why = "its ONNX Runtime is unknown" if image.backend else "it lacks the ONNX Runtime backend"
    known = {key: getattr(image, key, None) for key in _WHOLE}
    return known | {"refused": why}


def _of_release(release: "Release") -> dict[str, Any]:
    """Lay out what can be a target."""
    return {key: getattr(release, key) for key in _WHOLE}


def _cell(value: Any) -> str:
    return _UNKNOWN if value is None else str(value)
