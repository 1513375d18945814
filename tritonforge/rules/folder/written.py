"""Rules of what the text of a config says, and its message does not keep."""

from collections.abc import Iterator
from contextlib import suppress

from tritonforge.errors import ConfigError
from tritonforge.pbtxt.editing import tree
from tritonforge.pbtxt.editing.paths import told_apart
from tritonforge.pbtxt.editing.places import fields_of
from tritonforge.pbtxt.editing.tree import Message
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model

_GROUPS = "instance_group"


@rule("INS204", "wrong")
def no_count_of_zero(model: Model) -> Iterator[Found]:
    """The count of instances is not written as 0.

    The server cannot tell 0 from a count that is left out, and has instances all the same: one, of
    ONNX Runtime on the CPU two.

    Source: triton-inference-server/core, `model_config_utils.cc` (NormalizeInstanceGroup).
    Remedy: write how many instances there should be, or take the group out.
    """
    if model.message is None or all(each.count for each in model.message.instance_group):
        return
    written = _written(model.text or "")
    groups = told_apart(_GROUPS, model.message.instance_group)
    for (place, group), is_written in zip(groups, written, strict=False):
        if is_written and group.count == 0:
            yield Found(said="0 is taken for unset, and not for none", at=f"{place}.count")


def _written(text: str) -> tuple[bool, ...]:
    """Say of each group of instances whether the text gives it a count."""
    with suppress(ConfigError):
        fields = fields_of(tree.read(text), _GROUPS)
        values = [value for field in fields for value in field.values]
        return tuple(isinstance(each, Message) and _counts(each) for each in values)
    return ()


def _counts(group: Message) -> bool:
    return bool(fields_of(group, "count"))
