"""The keys of a model in `tritonforge.toml`: what each takes, says and overrides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from tritonforge import release
from tritonforge.spec import Accelerator, Device, Exporter, Precision, Tolerance, Warmup
from tritonforge.specfile.values import Schema, inputs, options, profiles, ranges

_TEXT: Schema = {"type": "string"}
_MOST = 2**31 - 1  # what Triton and ONNX hold such numbers in
_WHOLE: Schema = {"type": "integer", "minimum": 0, "maximum": _MOST}
_COUNT: Schema = {"type": "integer", "minimum": 1, "maximum": _MOST}
_SWITCH: Schema = {"type": "boolean"}
_AMOUNT: Schema = {"type": "number", "minimum": 0}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_SIZES: Schema = {"anyOf": [_TEXT, _COUNT]}
_SCALAR: Schema = {"anyOf": [_TEXT, {"type": "integer"}, _SWITCH]}
_DIMS: Schema = {"type": "array", "items": _SIZES}


def _named(values: Schema) -> Schema:
    """Describe a table of values by names of the user's."""
    return {"type": "object", "additionalProperties": values}


def _table(**values: Schema) -> Schema:
    """Describe a table of these keys."""
    return {"type": "object", "properties": values, "additionalProperties": False}


def _one_of(literal: Any) -> Schema:
    """Describe a choice."""
    return {"enum": list(get_args(literal))}


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key: what it says in a sentence, the JSON Schema of its value, and the flag above it.

    `field` is that of `ModelSpec`; `read` makes its value of one that fits the schema.
    """

    name: str
    says: str
    schema: Schema
    flag: str | None = None
    field: str
    read: Callable[[Any], Any]


def _as_is(value: Any) -> Any:
    return value


def _key(
    name: str,
    schema: Schema,
    says: str,
    *,
    flag: str | None = None,
    field: str | None = None,
    read: Callable[[Any], Any] = _as_is,
) -> Key:
    """Make a key."""
    return Key(name=name, says=says, schema=schema, flag=flag, field=field or name, read=read)


# What one input is said to be; the fields of ModelInput come beside these.
INPUT: Mapping[str, Schema] = {"dtype": _TEXT, "dims": _DIMS, "domain": _TEXT}

_KEYS = (
    _key("source", _TEXT, "What is exported; without it the model's own name."),
    _key("target", _TEXT, "The NGC release to build for.", flag="--target", read=release.find),
    _key(
        "accelerator",
        _one_of(Accelerator),
        "What the model is to run on; `auto` decides by `device` and placement.",
        flag="--accelerator",
    ),
    _key("device", _one_of(Device), "What the server will have.", flag="--device"),
    _key("cores", _COUNT, "CPU cores that the server will have.", flag="--cores"),
    _key(
        "precision",
        _one_of(Precision),
        "What TensorRT may compute in.",
        flag="--precision",
    ),
    _key("bake", _SWITCH, "Write the precision into the file.", flag="--bake"),
    _key(
        "keep_float",
        _TEXTS,
        "Nodes that stay in float where half floats are written.",
        flag="--keep-float",
        read=frozenset,
    ),
    _key(
        "tensorrt",
        _named(_SCALAR),
        "Options of TensorRT by name, such as `trt_builder_optimization_level`.",
        read=partial(options, "tensorrt"),
    ),
    _key(
        "cuda",
        _named(_SCALAR),
        "Options of CUDA by name, such as `gpu_mem_limit`.",
        read=partial(options, "cuda"),
    ),
    _key(
        "weights",
        _TEXT,
        "`default` (pretrained), `random`, or the path of a state dict.",
        flag="--weights",
    ),
    _key("seed", {"type": "integer"}, "Seed of random weights.", flag="--seed"),
    _key("max_batch_size", _WHOLE, "The largest batch; 0 for none.", flag="--max-batch-size"),
    _key(
        "inputs",
        _named(_table(**INPUT)),
        "By input: `dtype` and `dims` for the export, `domain`, and fields of `ModelInput`; `dims`"
        " beside `reshape` and no `dtype` are those that requests have.",
        flag="--input, --domain",
        read=inputs,
    ),
    _key("outputs", _named(_table()), "By output: fields of `ModelOutput`.", field=""),
    _key(
        "ranges",
        _named(_SIZES),
        "By dynamic dimension: its sizes, `1..512`, `32..512:32` or `1..512@128`.",
        flag="--range",
        read=ranges,
    ),
    _key(
        "profiles",
        {"type": "array", "items": _named(_SIZES)},
        "Several optimization profiles of TensorRT, each a table of ranges.",
        read=profiles,
    ),
    _key(
        "samples",
        _TEXTS,
        "Recorded inputs to prove with.",
        flag="--sample",
        read=lambda said: tuple(map(Path, said)),
    ),
    _key(
        "labels",
        _named(_TEXT),
        "By output: a file of class names, one a line.",
        flag="--label",
        read=lambda said: tuple((name, Path(path)) for name, path in said.items()),
    ),
    _key(
        "states",
        _named(_TEXT),
        "By input: the output that becomes it in the next request of a sequence.",
        flag="--state",
        read=lambda said: tuple(said.items()),
    ),
    _key(
        "warmup",
        _one_of(Warmup),
        "What the server runs before it is ready, for every batch bucket and profile corner.",
        flag="--warmup",
    ),
    _key(
        "opset", _COUNT, "The opset, instead of the one where it keeps its kernels.", flag="--opset"
    ),
    _key("exporter", _one_of(Exporter), "Which of torch's exporters.", flag="--exporter"),
    _key(
        "external_data",
        _SWITCH,
        "Weights in a file beside the model's; by itself where that would be over 2 GiB.",
        flag="--external-data",
    ),
    _key(
        "max_cpu_nodes",
        _WHOLE,
        "Fail where a GPU leaves more nodes than this to the CPU.",
        flag="--max-cpu-nodes",
    ),
    _key(
        "allow_cpu",
        _TEXTS,
        "Operators that `max_cpu_nodes` does not count.",
        flag="--allow-cpu",
        read=frozenset,
    ),
    _key(
        "tolerance",
        _table(atol=_AMOUNT, rtol=_AMOUNT),
        "`atol` and `rtol` of the gate.",
        flag="--atol, --rtol",
        read=lambda said: Tolerance(**said),
    ),
    _key(
        "templates",
        _TEXT,
        "A folder whose `config.pbtxt.j2` goes before ours.",
        flag="--templates",
        read=Path,
    ),
    _key("sample_seed", _WHOLE, "Seed of the sample inputs.", flag="--sample-seed"),
)
KEYS: Mapping[str, Key] = {key.name: key for key in _KEYS}

# Beside these, the defaults of a file say where its models go.
REPOSITORY = _key("repository", _TEXT, "The model repository, beside the file.", flag="-r")

# Keys whose values are paths, from the file's own folder on.
ROOTED = ("samples", "labels", "templates")
