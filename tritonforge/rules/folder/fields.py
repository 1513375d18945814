"""Rules of the fields that a config's text names; `config/fields.py` has those of what is newer."""

from collections.abc import Iterator

from tritonforge.rules.folder import syntax
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("FLD103", "refused")
def fields_that_exist(model: Model) -> Iterator[Found]:
    """A field is one that its message has in some Triton.

    The server's reader passes over nothing: one name that it does not know, anywhere in a config,
    keeps the model from loading.

    Source: protobuf, `text_format.cc` (ConsumeField); triton-inference-server/common,
    `model_config.proto`.
    Remedy: write the name as in the schema, or put the field where it belongs.
    """
    yield from syntax.of(model, "unknown")
