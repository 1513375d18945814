"""Names of models: what Triton takes, and what is plain in URLs, paths and metrics."""

import re

from tritonforge.errors import SpecError

# Triton refuses names with `/` and `..`; the rest keeps URLs, paths and metrics labels plain.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,199}")


def check_name(name: str) -> str:
    """Return `name` where it can name a model; raise `SpecError` where Triton or a path cannot."""
    if not _NAME.fullmatch(name) or ".." in name:
        raise SpecError(
            f"{name!r} cannot name a model",
            hint="use letters, digits, '_', '-', '+' and '.', a letter or digit first",
        )
    return name


def valid_name(text: str) -> str:
    """Turn any text into a valid model name: every run of other characters becomes one `_`."""
    name = re.sub(r"[^A-Za-z0-9_.+-]+|\.{2,}", "_", text).strip("_.+-")[:200]
    return check_name(name or "model")
