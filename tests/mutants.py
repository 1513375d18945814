"""Change a repository somewhere: a field of a config, as its schema allows, or what lies beside it.

Values are typical ones, those at a boundary and absurd ones; what would keep a server busy or take
its memory (millions of instances, of queues or of bytes to warm up with) is made small again.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import disorder
from google.protobuf.descriptor import FieldDescriptor as F
from google.protobuf.message import Message
from specimens import Case

Dice = random.Random
_WHOLE = {
    F.TYPE_INT32: (-(2**31), 2**31 - 1),
    F.TYPE_INT64: (-(2**63), 2**63 - 1),
    F.TYPE_UINT32: (0, 2**32 - 1),
    F.TYPE_UINT64: (0, 2**64 - 1),
}
_SMALL = (0, 1, 2, 3, 4, 5, 8, 16, -1, -2, 7, 100, 1000)
_TEXTS = ("", "x", "other", "a/b", "../x", "0", "1", "-1", "2", "true", "abc", "é", "with space")
_KEYS = (  # of parameters of a model
    "intra_op_thread_count inter_op_thread_count execution_mode enable_mem_arena"
    " enable_mem_pattern memory.enable_memory_arena_shrinkage cudnn_conv_algo_search"
    " arena_extend_strategy gpu_mem_limit do_copy_in_default_stream intra_op_threads"
    " session.use_device_allocator_for_initializers anything"
)
_VALUES = (
    "",
    "0",
    "1",
    "2",
    "-1",
    "3",
    "true",
    "false",
    "True",
    "on",
    "yes",
    "abc",
    " 1",
    "1x",
    "1.5",
    "99999999999",
    "99999999999999999999",
    "cpu:0",
    "gpu:0",
    "cpu:0;gpu:0",
    "cpu",
)
# Values of fields by name, beside those of their type.
_KNOWN: dict[str, Sequence[Any]] = {
    "platform": ("", "onnxruntime_onnx", "ensemble", "tensorrt_plan", "ONNX", "onnxruntime"),
    "backend": ("", "onnxruntime", "onnx", "openvino", "tensorrt", "ensemble", "Onnxruntime"),
    "default_model_filename": ("model.onnx", "other.onnx", "", "../1/model.onnx", "1/model.onnx"),
    "label_filename": ("labels.txt", "absent.txt", "../labels.txt", "/etc/hostname"),
    "max_batch_size": (-1, 0, 1, 2, 4, 8, 16, 64, 2**31 - 1, -(2**31)),
    "dims": (-1, -1, 0, 1, 2, 3, 4, 4, 5, 8, -2, 2**31, 2**62),
    "shape": (-1, 0, 1, 2, 3, 4, 4, 5, 8, -2, 2**62),
    "input_data_file": ("row", "absent", "../row", ""),
    "data_file": ("start", "absent", "../start", ""),
    "host_policy": ("cpu_0", "gpu_0", "numa", ""),
    "family": ("nv_inference_first_response_histogram_ms", "mine", ""),
    "num_versions": (0, 1, 2, 3, 100, 2**32 - 1),
    "versions": (0, 1, 2, 3, 5, -1, 7, 2**62),
    "model_version": (-1, 0, 1, 2, 3, -2, 5),
    "level": (-1, 0, 1, 2, 3, -2, 99),
    "preferred_batch_size": (-1, 0, 1, 2, 4, 8, 9, 16, 2**31 - 1),
}
# What the embedded server lacks, dies of or waits for: now and then is enough.
_RARE = {"model_repository_agents", "backend", "platform", "runtime", "batch_output"}
_NAMED = {"name", "target_name", "source_input", "input_name", "output_name", "key", "value"}


def is_map(field: Any) -> bool:
    """Say whether a field is a map."""
    return bool(field.type == F.TYPE_MESSAGE and field.message_type.GetOptions().map_entry)


def mutate(case: Case, dice: Dice) -> None:
    """Change a case in one place, now and then in two or three."""
    for _ in range(dice.choices((1, 2, 3), (7, 2, 1))[0]):
        configured = [name for name, each in case.models.items() if each.config is not None]
        if configured and dice.random() < 0.86:
            name = case.main if case.main in configured else configured[0]
            if dice.random() < 0.2:
                name = dice.choice(configured)
            config = case.models[name].config
            words = [*_words(config), *case.models]
            said = _field(config, dice, words)
            _tame(config)
        else:
            name = case.main if dice.random() < 0.8 else dice.choice(sorted(case.models))
            said = dice.choice(disorder.WAYS)(case.models[name], dice)
        if said:
            case.changes.append(f"{name}: {said}")


def _words(config: Any) -> list[str]:
    """Return the names in a config, by which its parts refer to each other."""
    names = [each.name for each in (*config.input, *config.output)]
    for step in config.ensemble_scheduling.step:
        maps = (step.input_map, step.output_map)
        names += [step.model_name, *(name for each in maps for name in sorted(each.values()))]
        names += [name for each in maps for name in sorted(each)]
    return [*filter(None, names), "nowhere"]


# --- fields -----------------------------------------------------------------------------------


def _field(message: Message, dice: Dice, words: Sequence[str]) -> str:
    """Change a field of a config: one of all that there are, or one that it has set."""
    if dice.random() < 0.45:
        places = list(_present(message, ""))
        if places:
            return _changed(*dice.choice(places), dice, words)
    path, where = "", message
    while True:
        field = dice.choice(where.DESCRIPTOR.fields)
        if field.name in _RARE and dice.random() < 0.9:
            continue
        if field.type != F.TYPE_MESSAGE or dice.random() < 0.3:
            return _changed(path, where, field, dice, words)
        path, where = _into(path, where, field, dice, words)
        if not where.DESCRIPTOR.fields:
            return f"{path} set"


def _into(
    path: str, message: Message, field: Any, dice: Dice, words: Sequence[str]
) -> tuple[str, Message]:
    """Go into a message of a field: one that is there, else a new one."""
    path = f"{path}.{field.name}".lstrip(".")
    held = getattr(message, field.name)
    if is_map(field):
        key, value = (field.message_type.fields_by_name[each] for each in ("key", "value"))
        if value.type != F.TYPE_MESSAGE:
            _changed("", message, field, dice, words)
            return path, _Leaf
        index = dice.choice(sorted(held)) if held else _scalar(key, dice, words)
        return f"{path}[{index}]", held[index]
    if field.is_repeated:
        if held and dice.random() < 0.8:
            index = dice.randrange(len(held))
            return f"{path}[{index}]", held[index]
        return f"{path}[{len(held)}]", _filled(held.add(), dice, words)
    held.SetInParent()
    return path, held


class _Leaf:
    """Stands for a place below which there is nothing."""

    class DESCRIPTOR:
        fields: tuple[Any, ...] = ()


def _present(message: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield every field that is set, those of messages within too."""
    for field in message.DESCRIPTOR.fields:
        if not _is_set(message, field):
            continue
        yield path, message, field
        deeper = f"{path}.{field.name}".lstrip(".")
        held = getattr(message, field.name)
        if is_map(field):
            if field.message_type.fields_by_name["value"].type == F.TYPE_MESSAGE:
                for key in sorted(held):
                    yield from _present(held[key], f"{deeper}[{key}]")
        elif field.type == F.TYPE_MESSAGE and field.is_repeated:
            for number, each in enumerate(held):
                yield from _present(each, f"{deeper}[{number}]")
        elif field.type == F.TYPE_MESSAGE:
            yield from _present(held, deeper)


def _is_set(message: Any, field: Any) -> bool:
    """Say whether a field holds something."""
    if field.type == F.TYPE_MESSAGE and not field.is_repeated:
        return bool(message.HasField(field.name))
    return bool(getattr(message, field.name))


def _changed(path: str, message: Any, field: Any, dice: Dice, words: Sequence[str]) -> str:
    """Change one field of a message; return what was done."""
    where = f"{path}.{field.name}".lstrip(".")
    if is_map(field):
        return f"{where} {_map(message, field, dice, words)}"
    if field.is_repeated:
        return f"{where} {_list(getattr(message, field.name), field, dice, words)}"
    if field.type == F.TYPE_MESSAGE:
        if message.HasField(field.name) and dice.random() < 0.6:
            message.ClearField(field.name)
            return f"{where} left out"
        message.ClearField(field.name)
        held = getattr(message, field.name)
        held.SetInParent()
        if dice.random() < 0.7:
            _filled(held, dice, words)
        return f"{where} set anew"
    if getattr(message, field.name) and dice.random() < 0.25:
        message.ClearField(field.name)
        return f"{where} left out"
    value = _scalar(field, dice, words)
    setattr(message, field.name, value)
    return f"{where} = {value!r}"


def _map(message: Any, field: Any, dice: Dice, words: Sequence[str]) -> str:
    """Change a map: an entry more, one less, one by another name or with another value."""
    held = getattr(message, field.name)
    key, value = (field.message_type.fields_by_name[each] for each in ("key", "value"))
    of_messages = value.type == F.TYPE_MESSAGE
    keys = sorted(held)
    what = dice.choice(("add", "remove", "rename", "value") if keys else ("add",))
    if what == "remove":
        gone = dice.choice(keys)
        del held[gone]
        return f"without {gone!r}"
    new = dice.choice(keys) if what == "value" else _key(field, key, dice, words)
    if of_messages:
        target = held[new]
        if what == "rename":
            old = dice.choice(keys)
            target.CopyFrom(held[old])
            if old != new:
                del held[old]
            return f"{old!r} is now {new!r}"
        _filled(target, dice, words)
        return f"{what} {new!r}"
    if what == "rename":
        old = dice.choice(keys)
        kept = held[old]
        del held[old]
        held[new] = kept
        return f"{old!r} is now {new!r}"
    held[new] = dice.choice(_VALUES) if field.name == "parameters" else _scalar(value, dice, words)
    return f"{new!r} = {held[new]!r}"


def _key(field: Any, key: Any, dice: Dice, words: Sequence[str]) -> Any:
    if field.name == "parameters" and dice.random() < 0.9:
        return dice.choice(_KEYS.split(" "))
    return _scalar(key, dice, words)


def _list(held: Any, field: Any, dice: Dice, words: Sequence[str]) -> str:
    """Change a list: an element more, one less, one twice, another order, nothing."""
    ways = ["add", "add"]
    if held:
        ways += ["remove", "twice", "change", "change", "change", "clear"]
    if len(held) > 1:
        ways.append("reverse")
    what = dice.choice(ways)
    if what == "add":
        return _added(held, field, dice, words)
    if what == "change":
        return _element(held, field, dice, words)
    if what == "twice":
        held.append(held[dice.randrange(len(held))])
    elif what == "remove":
        del held[dice.randrange(len(held))]
    else:
        kept = list(held)[::-1] if what == "reverse" else []
        del held[:]
        held.extend(kept)
    return what


def _added(held: Any, field: Any, dice: Dice, words: Sequence[str]) -> str:
    """Put one more into a list."""
    if field.type == F.TYPE_MESSAGE:
        _filled(held.add(), dice, words)
        return "one more"
    value = _scalar(field, dice, words)
    held.insert(dice.randint(0, len(held)), value)
    return f"with {value!r}"


def _element(held: Any, field: Any, dice: Dice, words: Sequence[str]) -> str:
    """Change one of a list."""
    number = dice.randrange(len(held))
    if field.type == F.TYPE_MESSAGE:
        inner = dice.choice(held[number].DESCRIPTOR.fields)
        return f"[{number}] {_changed('', held[number], inner, dice, words)}"
    value = _scalar(field, dice, words)
    held[number] = value
    return f"[{number}] = {value!r}"


def _filled(message: Any, dice: Dice, words: Sequence[str], depth: int = 3) -> Any:
    """Set some fields of a message."""
    for field in message.DESCRIPTOR.fields:
        if dice.random() > 0.55:
            continue
        if is_map(field):
            _map(message, field, dice, words)
        elif field.type == F.TYPE_MESSAGE:
            if depth == 0:
                continue
            held = getattr(message, field.name)
            if field.is_repeated:
                _filled(held.add(), dice, words, depth - 1)
            else:
                held.SetInParent()
                _filled(held, dice, words, depth - 1)
        elif field.is_repeated:
            values = [_scalar(field, dice, words) for _ in range(dice.randint(1, 2))]
            getattr(message, field.name).extend(values)
        else:
            setattr(message, field.name, _scalar(field, dice, words))
    return message


def _scalar(field: Any, dice: Dice, words: Sequence[str]) -> Any:
    """Draw a value: one that suits the field's name, a small one, one at the edge."""
    if field.name in _KNOWN and dice.random() < 0.9:
        return dice.choice(_KNOWN[field.name])
    if field.type in _WHOLE:
        least, most = _WHOLE[field.type]
        small = [each for each in _SMALL if each >= least]
        return dice.choice(small if dice.random() < 0.8 else (least, most, most - 1))
    if field.type == F.TYPE_ENUM:
        return dice.choice(sorted(field.enum_type.values_by_number))
    if field.type == F.TYPE_BOOL:
        return dice.random() < 0.6
    if field.type in {F.TYPE_FLOAT, F.TYPE_DOUBLE}:
        return dice.choice((0.0, 1.0, 0.5, -1.0, 2.0, 1e30, float("inf"), float("nan"), 1e-9))
    is_name = field.name in _NAMED and words and dice.random() < 0.75
    return dice.choice(words if is_name else _TEXTS)


def _tame(config: Any) -> None:
    """Make small what would take a server's time or memory."""
    for group in config.instance_group:
        group.count = min(group.count, 2)
    for sample in config.model_warmup:
        sample.count, sample.batch_size = min(sample.count, 2), min(sample.batch_size, 16)
        for each in sample.inputs.values():
            each.dims[:] = [min(size, 64) for size in each.dims]
    batching, sequences = config.dynamic_batching, config.sequence_batching
    if config.HasField("dynamic_batching"):
        batching.priority_levels = min(batching.priority_levels, 100)
    if config.HasField("sequence_batching"):
        config.max_batch_size = min(config.max_batch_size, 64)
        if sequences.HasField("oldest"):
            limited = min(sequences.oldest.max_candidate_sequences, 1024)
            sequences.oldest.max_candidate_sequences = limited
        for state in sequences.state:
            state.dims[:] = [min(size, 64) for size in state.dims]
            for initial in state.initial_state:
                initial.dims[:] = [min(size, 64) for size in initial.dims]
