"""What was probably meant by a name that is none."""

from collections.abc import Collection
from dataclasses import dataclass

_SURE = 0.8  # how near a lone near miss has to be to be taken for meant
_SURER = 0.9  # and one that another message has
_NEAR = 0.6
# What other libraries, and Triton's own HTTP interface, call what an enum names.
_OTHERS = {
    "CUDA": "GPU",
    "FLOAT": "FP32",
    "FLOAT16": "FP16",
    "HALF": "FP16",
    "FLOAT32": "FP32",
    "FLOAT64": "FP64",
    "DOUBLE": "FP64",
    "BFLOAT16": "BF16",
    "BYTE": "UINT8",
    "SHORT": "INT16",
    "INT": "INT32",
    "LONG": "INT64",
    "BYTES": "STRING",
    "STR": "STRING",
    "BOOLEAN": "BOOL",
}
# What other libraries call a field.
_OTHER_FIELDS = {"type": "data_type", "dtype": "data_type", "shape": "dims"}


@dataclass(frozen=True, slots=True)
class Guess:
    """A name that was probably meant, and whether nothing else can have been."""

    name: str
    is_sure: bool


def near(name: str, known: Collection[str], *, is_a_name: bool = False) -> Guess | None:
    """Guess which of some names was meant; one that `is_a_name` elsewhere was hardly misspelt."""
    from difflib import get_close_matches  # rarely needed

    folded = [each for each in known if each.lower() == name.lower().replace("-", "_")]
    if len(folded) == 1:
        return Guess(folded[0], is_sure=True)
    other = _OTHER_FIELDS.get(name.lower(), "")
    if other in known:
        return Guess(other, is_sure=True)
    close = get_close_matches(name, known, n=1, cutoff=_NEAR)
    if not close:
        return None
    cutoff = _SURER if is_a_name else _SURE
    return Guess(close[0], is_sure=len(get_close_matches(name, known, n=2, cutoff=cutoff)) == 1)


def value(name: str, known: Collection[str]) -> Guess | None:
    """Guess which value of an enum was meant, by the names of others too."""
    upper = name.upper()
    prefix, _, rest = upper.rpartition("_")
    wanted = {upper, _OTHERS.get(rest, rest)}
    meant = [
        each
        for each in known
        if each in wanted or (each.rpartition("_")[2] in wanted and each.startswith(prefix))
    ]
    return Guess(meant[0], is_sure=True) if len(meant) == 1 else near(upper, known)
