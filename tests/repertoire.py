"""What repositories are made of: configs of every kind that can be said, with files that fit."""

import struct
from collections.abc import Callable, Mapping

import onnxfiles as of

CPU = "instance_group { count: 1 kind: KIND_CPU }"
MODEL = "1/model.onnx"
Files = Mapping[str, bytes]
Described = Mapping[str, tuple[str | None, Files]]  # a config and what lies beside it, by model


def _io(kind: str, text: str) -> str:
    """Write inputs or outputs: `x FP32 4; z INT64 -1,2 more…`."""
    lines = []
    for each in filter(None, map(str.strip, text.split(";"))):
        name, dtype, dims, *more = each.split(None, 3)
        lines.append(
            f'{kind} {{ name: "{name}" data_type: TYPE_{dtype} dims: [ {dims} ] {"".join(more)} }}'
        )
    return "\n".join(lines)


def said(batch: int, inputs: str, outputs: str, more: str = "", group: str = CPU) -> str:
    """Write a config of the ONNX Runtime backend."""
    io = f"{_io('input', inputs)}\n{_io('output', outputs)}"
    return f'backend: "onnxruntime"\nmax_batch_size: {batch}\n{io}\n{group}\n{more}'


def one(config: str | None, model: bytes, **more: bytes) -> Described:
    """Describe a repository of one model; `more` are files beside it, `__` is a slash."""
    beside = {key.replace("__", "/"): value for key, value in more.items()}
    return {"m": (config, {MODEL: model, **beside})}


def row(more: str = "", batch: int = 8, group: str = CPU) -> str:
    """Write a config of rows of four."""
    return said(batch, "x FP32 4", "y FP32 4", more, group)


_QUEUES = """dynamic_batching {
  preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 100
  priority_levels: 3 default_priority_level: 2
  default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 5000
    allow_timeout_override: true max_queue_size: 16 }
  priority_queue_policy { key: 1 value { timeout_action: REJECT max_queue_size: 4 } }
  priority_queue_policy { key: 3 value { timeout_action: DELAY } }
}"""
_ORDERED = """dynamic_batching { preserve_ordering: true
  default_queue_policy { timeout_action: REJECT max_queue_size: 5 } }"""
_CONTROLS = """control_input { name: "start" control { kind: CONTROL_SEQUENCE_START
    int32_false_true: [ 0, 1 ] } }
  control_input { name: "end" control { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0, 1 ] } }
  control_input { name: "ready" control { kind: CONTROL_SEQUENCE_READY
    bool_false_true: [ false, true ] } }
  control_input { name: "id" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } }"""
_DIRECT = f"""sequence_batching {{ direct {{ max_queue_delay_microseconds: 100
  minimum_slot_utilization: 0.5 }} max_sequence_idle_microseconds: 5000000 {_CONTROLS} }}"""
_OLDEST = f"""sequence_batching {{ oldest {{ max_candidate_sequences: 4
  preferred_batch_size: [ 2, 4 ] max_queue_delay_microseconds: 50 }} {_CONTROLS} }}"""
_STATE = """sequence_batching { state { input_name: "s_in" output_name: "s_out"
  data_type: TYPE_FP32 dims: [ 4 ] %s } %s }"""
_ZERO = 'initial_state { name: "zero" data_type: TYPE_FP32 dims: [ 4 ] zero_data: true }'
_FILE = 'initial_state { name: "zero" data_type: TYPE_FP32 dims: [ 4 ] data_file: "start" }'
_RAGGED = """batch_input { kind: BATCH_ELEMENT_COUNT target_name: "count" data_type: TYPE_FP32
  source_input: "x" }
batch_output { target_name: "y" kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: "x" }
dynamic_batching { }"""
_WARM = """model_warmup { name: "zeros" batch_size: 1 inputs { key: "x" value {
  data_type: TYPE_FP32 dims: [ 4 ] zero_data: true } } }
model_warmup { name: "random" batch_size: 4 count: 2 inputs { key: "x" value {
  data_type: TYPE_FP32 dims: [ 4 ] random_data: true } } }
model_warmup { name: "file" batch_size: 1 inputs { key: "x" value {
  data_type: TYPE_FP32 dims: [ 4 ] input_data_file: "row" } } }"""
_TUNED = """optimization { graph { level: 1 } priority: PRIORITY_MAX
  cuda { graphs: true busy_wait_events: true output_copy_stream: true
    graph_spec { batch_size: 4 input { key: "x" value { dim: [ 4 ] } }
      graph_lower_bound { batch_size: 1 input { key: "x" value { dim: [ 4 ] } } } } }
  input_pinned_memory { enable: false } output_pinned_memory { enable: true }
  gather_kernel_buffer_threshold: 4 eager_batching: true }"""
_PARAMETERS = "\n".join(
    f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
    for key, value in {
        "intra_op_thread_count": "1",
        "inter_op_thread_count": "1",
        "execution_mode": "0",
        "enable_mem_arena": "1",
        "enable_mem_pattern": "true",
        "memory.enable_memory_arena_shrinkage": "cpu:0",
        "cudnn_conv_algo_search": "1",
        "arena_extend_strategy": "0",
        "gpu_mem_limit": "1000000",
        "mine": "anything",
    }.items()
)
_ACCELERATED = """optimization { execution_accelerators {
  gpu_execution_accelerator { name: "tensorrt"
    parameters { key: "precision_mode" value: "FP16" }
    parameters { key: "max_workspace_size_bytes" value: "1073741824" } }
  gpu_execution_accelerator { name: "cuda" parameters { key: "cudnn_conv_use_max_workspace"
    value: "1" } } } }"""
_RATED = """instance_group { count: 1 kind: KIND_CPU name: "limited" rate_limiter {
  resources { name: "R1" count: 2 } resources { name: "R2" global: true count: 1 }
  priority: 2 } }"""
_METRICS = """model_metrics { metric_control { metric_identifier { family: "nv_first_response" }
  histogram_options { buckets: [ 1, 2, 4 ] } } }"""
_ALL = "FP16 FP32 FP64 UINT8 INT8 UINT16 INT16 INT32 INT64 UINT32 UINT64 BOOL STRING"


def _typed(form: str) -> str:
    """Write an entry of each type."""
    return "; ".join(form.format(name=name) for name in _ALL.split(" "))


def _all_types() -> bytes:
    return of.identity(_typed("i_{name} {name} n,2"), _typed("o_{name} {name} n,2"))


_PARTLY = _io("input", "x FP32 4")
_ONNX = 'backend: "onnxruntime"'
_RESHAPED = said(8, "x FP32 2,2 reshape { shape: [ 4 ] }", "y FP32 2,2 reshape { shape: [ 4 ] }")
_FLAT = said(8, "x FP32 1 reshape { }", "y FP32 1 reshape { }")
_CHANGED = said(0, "x FP32 1,4 reshape { shape: [ 4 ] }", "y FP32 4,1 reshape { shape: [ 4 ] }")
_WIDE = "a FP32 -1; b FP32 -1"
_VERSIONS = dict.fromkeys(["1/model.onnx", "2/model.onnx", "5/model.onnx"], of.double())
_CONTROLLED = "start INT32; end FP32; ready BOOL"

BASES: Mapping[str, Callable[[], Described]] = {
    "row": lambda: one(row("dynamic_batching { }"), of.double()),
    "plain": lambda: one(row(), of.double()),
    "fixed": lambda: one(said(0, "x FP32 2,3", "y FP32 2,3"), of.double("2,3")),
    "unbatched": lambda: one(said(0, "x FP32 -1,4", "y FP32 -1,4"), of.double()),
    "dynamic": lambda: one(said(0, "x FP32 -1,-1", "y FP32 -1,-1"), of.double("h,w")),
    "types": lambda: one(
        said(4, _typed("i_{name} {name} 2"), _typed("o_{name} {name} 2")), _all_types()
    ),
    "strings": lambda: one(
        said(4, "s STRING -1", "s_out STRING -1", "dynamic_batching { }"),
        of.identity("s STRING n,l"),
    ),
    "scalar": lambda: one(said(0, "x FP32 1", "y FP32 1"), of.double("-")),
    "two": lambda: one(
        said(8, _WIDE, "sum FP32 -1; rest FP32 -1", "dynamic_batching { }"), of.two()
    ),
    "subset": lambda: one(said(8, _WIDE, "rest FP32 -1"), of.two()),
    "narrowed": lambda: one(said(8, "a FP32 3; b FP32 3", "sum FP32 -1"), of.two()),
    "reshaped": lambda: one(_RESHAPED, of.double()),
    "flat": lambda: one(_FLAT, of.double("n")),
    "changed": lambda: one(_CHANGED, of.double("4")),
    "optional": lambda: one(
        said(0, "x FP32 4; w FP32 4 optional: true", "y FP32 4"), of.optional()
    ),
    "weighted": lambda: one(said(8, "x FP32 4", "y FP32 4"), of.optional("n,4")),
    "queues": lambda: one(row(_QUEUES), of.double()),
    "ordered": lambda: one(row(_ORDERED), of.double()),
    "direct": lambda: one(row(_DIRECT), of.sequence(_CONTROLLED)),
    "direct_alone": lambda: one(row(_DIRECT, 0), of.sequence(_CONTROLLED, batched=False)),
    "oldest": lambda: one(row(_OLDEST), of.sequence(_CONTROLLED)),
    "state": lambda: one(row(_STATE % ("", "")), of.stateful()),
    "state_zero": lambda: one(row(_STATE % (_ZERO, "oldest { }")), of.stateful()),
    "state_file": lambda: one(
        row(_STATE % (_FILE, "direct { }")), of.stateful(), initial_state__start=bytes(16)
    ),
    "ragged": lambda: one(
        said(8, "x FP32 -1 allow_ragged_batch: true", "y FP32 -1", _RAGGED), of.ragged()
    ),
    "warm": lambda: one(row(_WARM), of.double(), warmup__row=struct.pack("4f", 1, 2, 3, 4)),
    "versions_all": lambda: {"m": (row("version_policy { all { } }"), _VERSIONS)},
    "versions_latest": lambda: {
        "m": (row("version_policy { latest { num_versions: 2 } }"), _VERSIONS)
    },
    "versions_specific": lambda: {
        "m": (row("version_policy { specific { versions: [ 1, 5 ] } }"), _VERSIONS)
    },
    "cached": lambda: one(row("response_cache { enable: true }"), of.double()),
    "parameters": lambda: one(row(_PARAMETERS), of.double()),
    "accelerated": lambda: one(row(_ACCELERATED), of.double()),
    "gpu": lambda: one(row("", group="instance_group { kind: KIND_GPU gpus: [ 0 ] }"), of.double()),
    "groups": lambda: one(
        row("", group=f'{CPU}\ninstance_group {{ name: "other" count: 1 kind: KIND_CPU }}'),
        of.double(),
    ),
    "rated": lambda: one(row("", group=_RATED), of.double()),
    "labels": lambda: one(
        said(8, "x FP32 4", 'y FP32 4 label_filename: "labels.txt"'),
        of.double(),
        **{"labels.txt": b"a\nb\nc\nd\n"},
    ),
    "filed": lambda: {
        "m": (row('default_model_filename: "net.onnx"'), {"1/net.onnx": of.double()})
    },
    "tuned": lambda: one(row(_TUNED), of.double()),
    "coupled": lambda: one(row("model_transaction_policy { decoupled: false }"), of.double()),
    "metrics": lambda: one(row(_METRICS), of.double()),
    "tagged": lambda: one(
        row('metric_tags { key: "team" value: "a" }\ncc_model_filenames { key: "7.5" value: "m" }'),
        of.double(),
    ),
    "none": lambda: one(None, of.double()),
    "none_fixed": lambda: one(None, of.double("2,3")),
    "none_scalar": lambda: one(None, of.double("-")),
    "none_flat": lambda: one(None, of.double("n")),
    "backend_alone": lambda: one(f"{_ONNX}\n{CPU}", of.two()),
    "inputs_alone": lambda: one(f"{_ONNX}\n{CPU}\nmax_batch_size: 8\n{_PARTLY}", of.double()),
    "batch_alone": lambda: one(f"{_ONNX}\n{CPU}\nmax_batch_size: 8", of.double()),
    "batch_in_vain": lambda: one(f"{_ONNX}\n{CPU}\nmax_batch_size: 8", of.double("2,3")),
    "platform": lambda: one(row().replace(_ONNX, 'platform: "onnxruntime_onnx"'), of.double()),
    "loop": lambda: one(row(), of.branching()),
    "outside": lambda: {"m": (row(), {MODEL: of.external(), "1/weights.bin": bytes(16)})},
}

_STEP = 'step {{ model_name: "{}" model_version: -1 {} {} }}'


def _map(kind: str, pairs: str) -> str:
    """Write the entries of a map: `x=raw z=other`."""
    return " ".join(
        f'{kind} {{ key: "{pair.partition("=")[0]}" value: "{pair.partition("=")[2]}" }}'
        for pair in pairs.split()
    )


def ensemble(batch: int, inputs: str, outputs: str, *steps: tuple[str, str, str]) -> str:
    """Write the config of an ensemble; a step is its model and its two maps."""
    written = "\n".join(
        _STEP.format(model, _map("input_map", given), _map("output_map", got))
        for model, given, got in steps
    )
    io = f"{_io('input', inputs)}\n{_io('output', outputs)}"
    scheduled = f"ensemble_scheduling {{\n{written}\n}}"
    return f'platform: "ensemble"\nmax_batch_size: {batch}\n{io}\n{scheduled}'


def parts(*names: str) -> dict[str, tuple[str | None, Files]]:
    """Return models for the steps of ensembles, by name."""
    known = {
        "a": (row("dynamic_batching { }"), of.double()),
        "b": (row(), of.double()),
        "small": (row("", 4), of.double()),
        "lone": (said(0, "x FP32 -1,4", "y FP32 -1,4"), of.double()),
        "wide": (said(8, _WIDE, "sum FP32 -1; rest FP32 -1"), of.two()),
        "ints": (said(8, "x INT64 4", "y INT64 4"), of.double(kind="INT64")),
        "cast": (
            said(8, "x FP32 4", "y INT64 4"),
            of.file([of.node("Cast", ["x"], ["y"], to=7)], "x FP32 n,4", "y INT64 n,4"),
        ),
        "free": (said(8, "x FP32 -1", "y FP32 -1"), of.double("n,l")),
        "five": (said(8, "x FP32 5", "y FP32 5"), of.double("n,5")),
        "bare": (None, of.double()),
        "chosen": (said(0, "x FP32 4; w FP32 4 optional: true", "y FP32 4"), of.optional()),
        "shaped": (_RESHAPED, of.double()),
        "flat": (_FLAT, of.double("n")),
        "scalar": (said(0, "x FP32 1", "y FP32 1"), of.double("-")),
        "streams": (row("model_transaction_policy { decoupled: true }"), of.double()),
        "follows": (row(_DIRECT), of.sequence(_CONTROLLED)),
        "text": (said(8, "x STRING 4", "y STRING 4"), of.identity("x STRING n,4", "y STRING n,4")),
        "fixed": (said(0, "x FP32 2,4", "y FP32 2,4"), of.double("2,4")),
    }
    return {name: (known[name][0], {MODEL: known[name][1]}) for name in names}


_RAW, _DONE = "raw FP32 4", "done FP32 4"
_A, _B = ("a", "x=raw", "y=t"), ("b", "x=t", "y=done")

ENSEMBLES: Mapping[str, Callable[[], Described]] = {
    "chain": lambda: {"m": (ensemble(8, _RAW, _DONE, _A, _B), {"1/": b""}), **parts("a", "b")},
    "chain_small": lambda: {
        "m": (ensemble(4, _RAW, _DONE, _A, ("small", "x=t", "y=done")), {"1/": b""}),
        **parts("a", "small"),
    },
    "chain_casts": lambda: {
        "m": (
            ensemble(8, _RAW, "done INT64 4", ("cast", "x=raw", "y=t"), ("ints", "x=t", "y=done")),
            {"1/": b""},
        ),
        **parts("cast", "ints"),
    },
    "fans": lambda: {
        "m": (
            ensemble(
                4,
                _RAW,
                "done FP32 -1; t FP32 4",
                _A,
                ("b", "x=raw", "y=u"),
                ("wide", "a=t b=u", "sum=done"),
            ),
            {"1/": b""},
        ),
        **parts("a", "b", "wide"),
    },
    "free": lambda: {
        "m": (
            ensemble(8, "raw FP32 -1", "done FP32 4", ("free", "x=raw", "y=t"), _B),
            {"1/": b""},
        ),
        **parts("free", "b"),
    },
    "lone": lambda: {
        "m": (
            ensemble(0, "raw FP32 -1,4", "done FP32 -1,4", ("lone", "x=raw", "y=done")),
            {"1/": b""},
        ),
        **parts("lone"),
    },
    "lone_to_batch": lambda: {
        "m": (
            ensemble(0, "raw FP32 -1,4", "done FP32 -1,4", ("a", "x=raw", "y=done")),
            {"1/": b""},
        ),
        **parts("a"),
    },
    "nested": lambda: {
        "m": (
            ensemble(8, _RAW, _DONE, ("inner", "raw=raw", "done=t"), _B),
            {"1/": b""},
        ),
        "inner": (ensemble(8, _RAW, _DONE, ("a", "x=raw", "y=done")), {"1/": b""}),
        **parts("a", "b"),
    },
    "typed_wrong": lambda: {
        "m": (ensemble(8, _RAW, _DONE, _A, ("ints", "x=t", "y=done")), {"1/": b""}),
        **parts("a", "ints"),
    },
    "shaped_wrong": lambda: {
        "m": (ensemble(8, _RAW, "done FP32 5", _A, ("five", "x=t", "y=done")), {"1/": b""}),
        **parts("a", "five"),
    },
    "circle": lambda: {
        "m": (ensemble(8, _RAW, _DONE, ("inner", "raw=raw", "done=done")), {"1/": b""}),
        "inner": (ensemble(8, _RAW, _DONE, ("m", "raw=raw", "done=done")), {"1/": b""}),
    },
}


def _wired(batch: int, inputs: str, outputs: str, *steps: tuple[str, str, str]) -> Described:
    """Describe an ensemble and the models of its steps."""
    config = ensemble(batch, inputs, outputs, *steps)
    return {"m": (config, {"1/": b""}), **parts(*(model for model, _, _ in steps))}


_AB = ("a", "x=raw", "y=t")
WIRED: Mapping[str, Callable[[], Described]] = {
    "optional": lambda: _wired(0, _RAW, _DONE, ("chosen", "x=raw", "y=done")),
    "optional_given": lambda: _wired(
        0, "raw FP32 4; extra FP32 4", _DONE, ("chosen", "x=raw w=extra", "y=done")
    ),
    "twice": lambda: _wired(8, _RAW, _DONE, _AB, ("a", "x=t", "y=done")),
    "part": lambda: _wired(
        8, "raw FP32 4; other FP32 4", _DONE, ("wide", "a=raw b=other", "rest=done")
    ),
    "unordered": lambda: _wired(8, _RAW, _DONE, _B, _AB),
    "too_large": lambda: _wired(8, _RAW, _DONE, ("small", "x=raw", "y=done")),
    "completed": lambda: _wired(4, _RAW, _DONE, ("bare", "x=raw", "y=done")),
    "completed_large": lambda: _wired(8, _RAW, _DONE, ("bare", "x=raw", "y=done")),
    "shaped": lambda: _wired(8, "raw FP32 2,2", "done FP32 2,2", ("shaped", "x=raw", "y=done")),
    "shaped_flat": lambda: _wired(8, "raw FP32 4", "done FP32 4", ("shaped", "x=raw", "y=done")),
    "flat": lambda: _wired(8, "raw FP32 1", "done FP32 1", ("flat", "x=raw", "y=done")),
    "scalar": lambda: _wired(0, "raw FP32 1", "done FP32 1", ("scalar", "x=raw", "y=done")),
    "loosely": lambda: _wired(8, "raw FP32 -1", "done FP32 -1", _AB, _B),
    "streams": lambda: _wired(8, _RAW, _DONE, ("streams", "x=raw", "y=t"), _B),
    "streams_apart": lambda: _wired(
        8, _RAW, "done FP32 -1", ("streams", "x=raw", "y=t"), _AB_OTHER, _JOIN
    ),
    "follows": lambda: _wired(8, _RAW, _DONE, ("follows", "x=raw", "y=done")),
    "text": lambda: _wired(8, "raw STRING 4", "done STRING 4", ("text", "x=raw", "y=done")),
    "lone_in_batch": lambda: _wired(8, _RAW, _DONE, ("lone", "x=raw", "y=done")),
    "fixed": lambda: _wired(0, "raw FP32 2,4", "done FP32 2,4", ("fixed", "x=raw", "y=done")),
    "fixed_to_batch": lambda: _wired(
        0, "raw FP32 2,4", "done FP32 -1,4", ("fixed", "x=raw", "y=t"), _B
    ),
    "straight": lambda: _wired(8, _RAW, "done FP32 4; raw FP32 4", _AB, _B),
    "unread": lambda: _wired(
        8, _RAW, _DONE, ("wide", "a=raw b=raw", "sum=t rest=u"), ("free", "x=t", "y=done")
    ),
}
_AB_OTHER = ("a", "x=raw", "y=u")
_JOIN = ("wide", "a=t b=u", "sum=done")


def _odd(name: str) -> Described:
    """Describe a model of a file of `onnxfiles.ODD`, with a config of rows."""
    return one(row(), of.ODD[name](), **{"1__weights.bin": bytes(16)})


def _bare(name: str) -> Described:
    """Describe the same without a config."""
    return one(None, of.ODD[name](), **{"1__weights.bin": bytes(16)})


REPOSITORIES = {
    **BASES,
    **{f"ensemble_{name}": made for name, made in ENSEMBLES.items()},
    **{f"wired_{name}": made for name, made in WIRED.items()},
    **{f"odd_{name}": (lambda name=name: _odd(name)) for name in of.ODD},
    **{f"bare_{name}": (lambda name=name: _bare(name)) for name in of.ODD},
}
