"""Rules of a config's text."""

from collections.abc import Iterator

from tritonforge import pbtxt
from tritonforge.errors import ConfigError
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("SYN101", "refused")
def readable(model: Model) -> Iterator[Found]:
    """The text of a config can be read.

    The server reads it with protobuf, and does not load a model of which it cannot.

    Source: triton-inference-server/core, `filesystem/api.cc` (ReadTextProto).
    Remedy: mend the text where it says so.
    """
    if model.text is None:
        return
    try:
        pbtxt.parse_known(model.text)
    except ConfigError as error:
        _, line, column, said = error.message.split(":", 3)
        yield Found(said=said.strip(), line=int(line), column=int(column))
