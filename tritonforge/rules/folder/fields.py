"""Rules of the fields that a config's text names."""

from collections.abc import Iterator

from tritonforge.rules.folder import syntax
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("FLD101", "refused")
def fields_that_exist(model: Model) -> Iterator[Found]:
    """A field is one that its message has.

    The server's reader passes over nothing: one name that it does not know, anywhere in a config,
    keeps the model from loading.

    Source: protobuf, `text_format.cc` (ConsumeField); triton-inference-server/common,
    `model_config.proto`.
    Remedy: write the name as in the schema, or put the field where it belongs.
    """
    yield from syntax.of(model, "unknown")


@rule("FLD102", "refused")
def fields_of_the_release(model: Model) -> Iterator[Found]:
    """A field, or a value that has a name, is one that the release's Triton has.

    The schema grows with Triton; an older one refuses a config that says what came later.

    Source: triton-inference-server/common, `model_config.proto` of each version, as the wheels of
    tritonclient hold it.
    Remedy: leave it out, or serve with a release that has it.
    """
    yield from syntax.of(model, "newer")
