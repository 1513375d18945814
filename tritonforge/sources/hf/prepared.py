"""What transformers itself does to its models, and to torch, so that they can be exported."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


@contextmanager
def prepared(module: Any) -> Iterator[Mapping[Any, Any]]:
    """Put transformers' own rewrites in place of what cannot be exported, and take them out again.

    Yields the ONNX functions that it has for operators of its own; none before transformers 5.10,
    which had no exporters.
    """
    try:
        from transformers.exporters import exporter_dynamo, exporter_onnx
        from transformers.exporters.utils import apply_patches
    except ImportError:
        yield {}
        return
    with (
        apply_patches("onnx"),
        apply_patches("dynamo"),
        exporter_dynamo.reset_model_state(module),
    ):
        yield exporter_onnx._ONNX_TRANSLATION_TABLE  # noqa: SLF001 - it has no other name
