"""Models of any signature, with configs that fit, or nearly do."""

import random

import onnxfiles as of
from google.protobuf import text_format
from repertoire import MODEL, said
from specimens import Case, Specimen

from tritonforge.pbtxt import ModelConfig

Dice = random.Random
_TYPES = "FP32 FP32 FP32 INT64 INT64 INT32 FP16 FP64 BOOL STRING UINT8 INT8"
_SIZES = (1, 2, 3, 4, 5, "n", "m")


def case(name: str, dice: Dice) -> Case:
    """Make a model of its own signature, its config, and a difference of the two now and then."""
    batches = dice.random() < 0.6
    inputs, outputs = (
        [_tensor(kind, number, batches, dice) for number in range(dice.choice((1, 1, 2, 3)))]
        for kind in "xy"
    )
    batch = dice.choice((1, 4, 8)) if batches and dice.random() < 0.8 else 0
    model = of.anything(*("; ".join(map(_of_file, each)) for each in (inputs, outputs)))
    config = said(batch, *_entries(inputs, outputs, batch, dice))
    message = text_format.Parse(config, ModelConfig())
    message.name = name
    changes = [_bent(message, dice)] if dice.random() < 0.6 else []
    specimen = Specimen(config=message, files={MODEL: model})
    return Case(name=name, main=name, models={name: specimen}, base="fitted", changes=changes)


def _tensor(kind: str, number: int, batches: bool, dice: Dice) -> tuple[str, str, list[int | str]]:
    """Draw a tensor: its name, type and sizes."""
    sizes = [dice.choice(_SIZES) for _ in range(dice.choice((0, 1, 1, 2, 2, 3)))]
    batched = batches and dice.random() < 0.95
    return f"{kind}{number}", dice.choice(_TYPES.split(" ")), (["b"] if batched else []) + sizes


def _of_file(tensor: tuple[str, str, list[int | str]]) -> str:
    name, dtype, sizes = tensor
    return f"{name} {dtype} {','.join(map(str, sizes)) or '-'}"


def _entries(inputs, outputs, batch: int, dice: Dice) -> tuple[str, str]:
    """Describe tensors for a config that fits: inputs may be narrowed, outputs left out."""
    if len(outputs) > 1 and dice.random() < 0.2:
        outputs = outputs[1:]
    given = [_entry(each, batch, dice, narrows=True) for each in inputs]
    return "; ".join(given), "; ".join(_entry(each, batch, dice) for each in outputs)


def _entry(tensor, batch: int, dice: Dice, *, narrows: bool = False) -> str:
    name, dtype, sizes = tensor
    dims = [-1 if isinstance(size, str) else size for size in sizes[bool(batch) :]]
    if narrows and dice.random() < 0.3:
        dims = [dice.choice((2, 3)) if size == -1 else size for size in dims]
    more = ""
    if not dims and (batch or dice.random() < 0.3):
        dims, more = [1], "reshape { }" if batch or dice.random() < 0.1 else ""
    elif not dims:
        dims = [1]
    elif dice.random() < 0.15:
        more = f"reshape {{ shape: [ {', '.join(map(str, dims))} ] }}"
        dims = [1, *dims] if dice.random() < 0.5 else [*dims, 1]
    return f"{name} {dtype} {','.join(map(str, dims))} {more}"


def _bent(message: ModelConfig, dice: Dice) -> str:
    """Make the config differ from the file, or nearly so."""
    kind = dice.choice(("input", "input", "output", "output", "batch"))
    if kind == "batch":
        message.max_batch_size = 0 if message.max_batch_size else 4
        return f"max_batch_size = {message.max_batch_size}"
    entries = getattr(message, kind)
    number = dice.randrange(len(entries))
    if dice.random() < 0.1:
        del entries[number]
        return f"{kind}[{number}] gone"
    entry, way = entries[number], dice.choice(WAYS)
    way(entry, dice)
    return f"{kind}[{number}] {way.__name__[1:]} {text_format.MessageToString(entry).split()}"


def _dims(entry, dice: Dice) -> None:
    entry.dims[dice.randrange(len(entry.dims))] = dice.choice((-1, 1, 2, 3, 4))


def _more(entry, dice: Dice) -> None:
    entry.dims.insert(dice.randint(0, len(entry.dims)), dice.choice((-1, 1, 2)))


def _less(entry, dice: Dice) -> None:
    del entry.dims[dice.randrange(len(entry.dims))]


def _type(entry, dice: Dice) -> None:
    entry.data_type = dice.randrange(15)


def _name(entry, dice: Dice) -> None:
    entry.name = dice.choice(("x0", "x1", "y0", "y1", "X0", "z"))


def _reshape(entry, dice: Dice) -> None:
    entry.reshape.shape[:] = [dice.choice((-1, 1, 2, 3)) for _ in range(dice.randint(0, 3))]


def _flag(entry, dice: Dice) -> None:
    name = dice.choice(("optional", "allow_ragged_batch", "is_shape_tensor"))
    if name in entry.DESCRIPTOR.fields_by_name:
        setattr(entry, name, True)


WAYS = (_dims, _dims, _dims, _more, _less, _type, _name, _reshape, _flag)
