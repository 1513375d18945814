"""Rules of a config's text, as the server's own reader takes it."""

from collections.abc import Iterator

from tritonforge.pbtxt.strict import Flaw, unfilled
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Model

_NAMES = ("name", "backend", "platform", "runtime", "default_model_filename")


def of(model: Model, kind: str) -> Iterator[Found]:
    """Yield what is wrong with a model's text in some way."""
    return (_found(each) for each in model.flaws if each.kind == kind)


def _found(flaw: Flaw) -> Found:
    """Say where a flaw stands, and where the server's log tells it if that is another line."""
    (line, column), said = flaw.place, flaw.said
    if flaw.told[0] != line:
        said += f" (the server's log tells it at {flaw.told[0]}:{flaw.told[1]})"
    changes = tuple(Change(path=path, value=value) for path, value in flaw.edits)
    begins = flaw.at[1] if flaw.at[0] == line else None
    return Found(said=said, line=line, column=column, begins=begins, changes=changes)


@rule("SYN101", "refused")
def readable(model: Model) -> Iterator[Found]:
    """The text of a config is text of protobuf.

    The server reads it with protobuf, and does not load a model of which it cannot: brackets have
    to close, values to be parted, strings to end on their line, and what is no ASCII may stand in
    strings and comments alone. Behind such a place nothing is known of a text.

    Source: triton-inference-server/core, `filesystem/api.cc` (ReadTextProto); protobuf,
    `text_format.cc` and `io/tokenizer.cc`.
    Remedy: mend the text where it says so; the mistake may be a line before.
    """
    told = {each.at for each in model.flaws if each.kind == "kind"}  # `(4)` is no whole number
    broken = (each for each in model.flaws if each.kind == "broken")
    yield from (_found(each) for each in broken if each.at not in told)


@rule("SYN102", "refused")
def values_of_their_kind(model: Model) -> Iterator[Found]:
    """A value is of its field's kind: a name, a whole number, a string in quotes, a message.

    The server's reader turns nothing into another kind: `"4"` and `4.0` are no whole numbers, and
    `yes` is not true.

    Source: protobuf, `text_format.cc` (ConsumeFieldValue).
    Remedy: write the value as its field wants it.
    """
    yield from of(model, "kind")


@rule("SYN103", "refused")
def numbers_in_range(model: Model) -> Iterator[Found]:
    """A number is within the bounds of its field.

    A whole number has 32 or 64 bits, with a sign or without; the server's reader refuses a larger
    one, and any minus where there is no sign.

    Source: protobuf, `text_format.cc` (ConsumeSignedInteger, ConsumeUnsignedInteger).
    Remedy: write a number within the bounds.
    """
    yield from of(model, "range")


@rule("SYN104", "refused")
def fields_once(model: Model) -> Iterator[Found]:
    """A field that takes one value is given once.

    The server's reader refuses the second, whatever it says, unless the first was the default.

    Source: protobuf, `text_format.cc` (ConsumeField).
    Remedy: delete one of the two.
    """
    yield from of(model, "twice")


@rule("SYN105", "refused")
def one_of_a_choice(model: Model) -> Iterator[Found]:
    """Of fields that exclude each other one is given.

    Such are dynamic batching, sequence batching and an ensemble; the policies of versions; the
    strategies of sequence batching; where the data of a warm-up come from.

    Source: protobuf, `text_format.cc` (ConsumeField); triton-inference-server/common,
    `model_config.proto` (oneof).
    Remedy: delete all but one.
    """
    yield from of(model, "choice")


@rule("SYN106", "refused")
def values_that_exist(model: Model) -> Iterator[Found]:
    """A name is one of the values of its field.

    They are written as in the schema, in capitals and with their prefix: `TYPE_FP32`, `KIND_GPU`.

    Source: protobuf, `text_format.cc` (ConsumeFieldValue).
    Remedy: write one of the values that it names.
    """
    yield from of(model, "value")


@rule("SYN107", "refused")
def filled_in(model: Model) -> Iterator[Found]:
    """A config is no template: what is to be filled in is filled in.

    Configs of TensorRT-LLM and others come as templates, with places such as ${max_batch_size}, of
    which protobuf makes nothing. In strings they may stay, as what they mean is the backend's
    matter; but what names the model, its backend or a file has to be a name that there is.

    Source: protobuf, `text_format.cc` (ConsumeFieldValue); triton-inference-server/core,
    `backend_model.cc` (ResolveBackendPaths).
    Remedy: fill the template in with the tool that comes with it, such as fill_template.py.
    """
    yield from of(model, "unfilled")
    for field in _NAMES if model.config is not None else ():
        value = str(getattr(model.message, field))
        place = unfilled(value)
        if place and not _is_there(model, field, value):
            said = f"{field} still says {place!r}: fill the template in"
            yield Found(said=said, at=field)


def _is_there(model: Model, field: str, value: str) -> bool:
    """Say whether a model, or a file in its folder, is really called so."""
    if field == "name":
        return value == model.name
    return any(value in names for names in model.inside.values())


@rule("SYN201", "wrong")
def strings_of_characters(model: Model) -> Iterator[Found]:
    """A string is UTF-8.

    The server takes another, but its backends and whoever asks for the config are told it without
    the bytes that are none.

    Source: protobuf, `wire_format_lite.cc` (VerifyUtf8String).
    Remedy: save the file as UTF-8, and write characters rather than bytes.
    """
    yield from of(model, "encoding")


@rule("SYN202", "wrong")
def keys_once(model: Model) -> Iterator[Found]:
    """A key stands once in a map, such as the parameters.

    The server takes the last in silence, so that what the first says is lost.

    Source: protobuf, `map_field.cc` (SyncMapWithRepeatedFieldNoLock).
    Remedy: delete all but one.
    """
    yield from of(model, "key")
