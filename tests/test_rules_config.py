"""What rules find of a config alone, against the real server where it can be had."""

import json
import re
from importlib.resources import files

import backend
import pytest
import tiny
from hypothesis import given
from test_pbtxt import CONFIGS

from tritonforge import knobs, pbtxt, rules, server
from tritonforge.pbtxt import ModelConfig
from tritonforge.pbtxt.editing import paths
from tritonforge.release import find, images
from tritonforge.tensors import DType, Signature, TensorSpec

TAGS = [each.tag for each in images() if each.release]
SHRUNK = "memory.enable_memory_arena_shrinkage"
ON_GPU = "instance_group { kind: KIND_GPU }"
TENSORRT = "optimization.execution_accelerators.gpu_execution_accelerator[tensorrt].parameters."
CUDA = "optimization.execution_accelerators.gpu_execution_accelerator[cuda].parameters."
OPENVINO = "optimization.execution_accelerators.cpu_execution_accelerator[openvino].parameters."


def parameters(**given):
    """Write parameters of an accelerator."""
    return "".join(
        f'parameters {{ key: "{key}" value: "{text}" }}\n' for key, text in given.items()
    )


def accelerated(name, kind="gpu", **given):
    """Write a config of an accelerator, on a GPU."""
    entry = f'{kind}_execution_accelerator {{ name: "{name}" {parameters(**given)} }}'
    return f"{ON_GPU} optimization {{ execution_accelerators {{ {entry} }} }}"


def parameter(key, text):
    """Write a parameter of the model."""
    return f'parameters {{ key: "{key}" value {{ string_value: "{text}" }} }}'


def whole(more, *, batch=8, inputs="x FP32 4", outputs="y FP32 4"):
    """Write a config of the model that doubles rows of four."""
    if not re.search("(dynamic|sequence)_batching|ensemble", more) and batch > 1:
        more += " dynamic_batching { }"
    text = tiny.config(batch, inputs, outputs, more)
    group = "instance_group { count: 1 kind: KIND_CPU }\n"
    return text.replace(group, "", 1) if "instance_group" in more else text


def broken(message, tag="24.10"):
    """Return each rule that a config breaks, and what is found."""
    config = rules.Config(message=message, release=find(tag))
    return [*rules.broken(rules.OF_CONFIGS, config)]


def said(text, tag="24.10"):
    """Return the sentences of what is found."""
    return [each.said for _, each in broken(pbtxt.parse(text), tag)]


def found(text, tag="24.10"):
    """Return place and severity of what is found."""
    told = broken(pbtxt.parse(text), tag)
    return {(each.at, rule.severity) for rule, each in told if rule.severity != "advice"}


def errors(text, tag):
    """Return the paths of what a release refuses."""
    return {path for path, severity in found(text, tag) if severity == "refused"}


# --- keys, fields and values of a release --------------------------------------------------------

A_VALUE = {
    "switch": "1",
    "integer": "1",
    "size": "1048576",
    "address": "0",
    "text": "x:1",
    "choice": "FP32",
}
EVERY_KEY = {name: A_VALUE[key.kind] for name, key in knobs.known("tensorrt").items()} | {
    f"trt_profile_{bound}_shapes": "x:2x4" for bound in ("min", "opt", "max")
}


@pytest.mark.parametrize(
    "tag", ["22.12", "23.10", "24.03", "24.04", "24.10", "25.06", "26.05", "26.06", TAGS[-1]]
)
def test_exactly_the_keys_of_tensorrt_that_are_newer_are_refused(tag):
    newer = {
        f"{TENSORRT}{name}"
        for name, key in knobs.known("tensorrt").items()
        if key.since and key.since > tag
    }
    assert errors(whole(accelerated("tensorrt", **EVERY_KEY)), tag) == newer
    assert bool(newer) == (tag < "24.04")


@pytest.mark.parametrize("tag", ["22.12", "24.06", "24.08", "26.08", "ort:1.18.0"])
def test_exactly_the_options_of_cuda_that_are_newer_are_refused(tag):
    given = {name: A_VALUE[key.kind] for name, key in knobs.known("cuda").items()}
    refused = errors(whole(accelerated("cuda", **given)), tag)
    if tag == "22.12":
        assert refused == {CUDA.removesuffix(".parameters.")}
    else:
        minor = find(tag).minor
        assert refused == {
            f"{CUDA}{name}"
            for name, key in knobs.known("cuda").items()
            if key.since and tuple(map(int, key.since.split("."))) > minor
        }


METRICS = (
    'model_metrics { metric_control { metric_identifier { family: "f" }'
    " histogram_options { buckets: 1 } } }"
)


@pytest.mark.parametrize(
    ("more", "path", "since"),
    [
        (METRICS, "model_metrics", "24.11"),
        ('runtime: "libtriton_onnxruntime.so"', "runtime", "24.01"),
        ("response_cache { enable: true }", "response_cache", "21.10"),
        (
            "sequence_batching { iterative_sequence: true }",
            "sequence_batching.iterative_sequence",
            "23.11",
        ),
        (
            'model_warmup { name: "w" batch_size: 0 count: 2 }',
            "model_warmup[w].count",
            "22.07",
        ),
    ],
)
def test_a_field_is_refused_before_the_triton_that_brought_it(more, path, since):
    before = TAGS[TAGS.index(since) - 1]
    assert path in errors(whole(more), before)
    assert path not in errors(whole(more), since)
    assert not errors(whole(more), "ort:1.19.2")
    assert any(before in each and since in each for each in said(whole(more), before))


def test_a_value_of_an_enum_is_refused_before_the_triton_that_brought_it():
    text = whole("", inputs="x BF16 4", outputs="y BF16 4")
    assert errors(text, "22.04") >= {"input[x].data_type", "output[y].data_type"}
    assert errors(text, "26.02") == {"input[x].data_type", "output[y].data_type"}
    assert errors(text, "26.03") == set()


def test_inside_of_an_unknown_field_nothing_more_is_told():
    assert errors(whole(METRICS), "24.10") == {"model_metrics"}


PRECISION = f"{TENSORRT}precision_mode"


@pytest.mark.parametrize(
    ("mode", "tag", "severity"),
    [
        ("FP16", "21.06", None),
        ("INT8", "21.08", "refused"),
        ("INT8", "21.09", None),
        ("BF16", "26.01", "refused"),
        ("BF16", "26.02", None),
        ("FP16", "26.05", None),
        ("FP16", "26.06", "wrong"),
        ("FP32", "26.06", None),
        ("FP16", "ort:1.24.4", None),
        ("fp16", "24.10", "refused"),
    ],
)
def test_precision_by_release(mode, tag, severity):
    text = whole(accelerated("tensorrt", precision_mode=mode))
    assert found(text, tag) == ({(PRECISION, severity)} if severity else set())


def test_graph_level_2_before_24_01_is_as_none():
    text = whole("optimization { graph { level: 2 } }")
    assert found(text, "23.12") == {("optimization.graph.level", "wrong")}
    assert found(text, "24.01") == set()


@pytest.mark.parametrize(
    ("key", "text", "tag", "right"),
    [
        ("trt_dla_enable", "on", "24.10", False),  # the backend reads it, ONNX Runtime does not
        ("trt_engine_cache_enable", "on", "24.01", True),  # read by the backend alone
        ("trt_engine_cache_enable", "True", "24.10", True),
        ("trt_dla_enable", "yes", "24.10", False),
        ("trt_auxiliary_streams", "0x", "24.10", False),
        ("trt_auxiliary_streams", "-1", "24.10", True),
        ("trt_auxiliary_streams", "3000000000", "24.10", False),
        ("max_workspace_size_bytes", "3000000000", "24.10", True),
        ("max_workspace_size_bytes", "-1", "24.10", False),
        ("max_workspace_size_bytes", "4G", "24.10", False),
    ],
)
def test_values_are_read_as_the_backend_and_onnx_runtime_read_them(key, text, tag, right):
    faults = found(whole(accelerated("tensorrt", **{key: text})), tag)
    assert faults == (set() if right else {(f"{TENSORRT}{key}", "refused")})


def profile(least, best, most):
    return whole(
        accelerated(
            "tensorrt",
            trt_profile_min_shapes=least,
            trt_profile_opt_shapes=best,
            trt_profile_max_shapes=most,
        )
    )


@pytest.mark.parametrize(
    ("bounds", "key", "severity"),
    [
        (("x:1x4", "x:4x4", "x:8x4"), None, None),
        (("x:1x4,x:8x4", "x:4x4,x:8x4", "x:8x4,x:16x4"), None, None),  # two profiles
        (("a:0:1x4,x:1x4", "a:0:1x4,x:1x4", "a:0:1x4,x:8x4"), None, None),  # a name with a colon
        (("x:1x4", "x:4x4", ""), "min", "wrong"),
        (("x:1,4", "x:4x4", "x:8x4"), "min", "wrong"),
        (("x:1x4", "x", "x:8x4"), "opt", "wrong"),
        (("x:1x4", "z:4x4", "x:8x4"), "opt", "wrong"),
        (("x:1x4", "x:9x4", "x:8x4"), "max", "refused"),
        (("x:2x4", "x:1x4", "x:8x4"), "opt", "refused"),
        (("x:4", "x:4", "x:4"), "min", "refused"),  # without the batch
    ],
)
def test_profiles_are_whole_agree_and_rise(bounds, key, severity):
    expected = {(f"{TENSORRT}trt_profile_{key}_shapes", severity)} if key else set()
    assert found(profile(*bounds)) == expected


@pytest.mark.parametrize(
    ("more", "path", "severity"),
    [
        (accelerated("tensorrt", trt_fp16_enable="1"), f"{TENSORRT}trt_fp16_enable", "refused"),
        (accelerated("cuda", no_such="1"), f"{CUDA}no_such", "refused"),
        (accelerated("cuda", use_tf32="off"), f"{CUDA}use_tf32", "refused"),
        (accelerated("cuda", sdpa_kernel="flash"), f"{CUDA}sdpa_kernel", "refused"),
        (accelerated("cuda", user_compute_stream="mine"), f"{CUDA}user_compute_stream", "refused"),
        (accelerated("cuda", gpu_mem_limit="1"), f"{CUDA}gpu_mem_limit", "wrong"),
        (accelerated("cuda", device_id="1"), f"{CUDA}device_id", "wrong"),
        (accelerated("openvino", "cpu", device="GPU"), f"{OPENVINO}device", "wrong"),
        (
            accelerated("openvino"),
            "optimization.execution_accelerators.gpu_execution_accelerator[openvino]",
            "refused",
        ),
        (
            accelerated("tensorrt", no_such="1").replace("KIND_GPU", "KIND_CPU"),
            "optimization.execution_accelerators.gpu_execution_accelerator[tensorrt]",
            "wrong",
        ),
        (parameter("intra_op_thread_cnt", "2"), "parameters.intra_op_thread_cnt", "wrong"),
        (
            ON_GPU + parameter("cudnn_conv_algo_search", "3"),
            "parameters.cudnn_conv_algo_search",
            "refused",
        ),
        (ON_GPU + parameter("gpu_mem_limit", "much"), "parameters.gpu_mem_limit", "refused"),
        (parameter(SHRUNK, "cpu:0;gpu:0"), f"parameters[{SHRUNK}]", "wrong"),
        (parameter(SHRUNK, "CPU:0"), f"parameters[{SHRUNK}]", "wrong"),
        (
            parameter(SHRUNK, "cpu:0") + parameter("enable_mem_arena", "0"),
            f"parameters[{SHRUNK}]",
            "wrong",
        ),
        (
            parameter("session.use_device_allocator_for_initializers", "1"),
            "parameters[session.use_device_allocator_for_initializers]",
            "wrong",
        ),
        ("optimization { cuda { graphs: true } }", "optimization.cuda", "wrong"),
        ("optimization { eager_batching: true }", "optimization.eager_batching", "wrong"),
        ("optimization { priority: PRIORITY_MAX }", "optimization.priority", "wrong"),
        ("optimization { graph { level: 3 } }", "optimization.graph.level", "wrong"),
        (
            'instance_group { name: "a" secondary_devices { kind: KIND_NVDLA } }',
            "instance_group[a].secondary_devices",
            "wrong",
        ),
        (
            "model_transaction_policy { decoupled: true }",
            "model_transaction_policy.decoupled",
            "wrong",
        ),
        (
            "dynamic_batching { default_priority_level: 1 }",
            "dynamic_batching.default_priority_level",
            "wrong",
        ),
    ],
)
def test_what_is_refused_or_passed_over_of_an_onnx_model(more, path, severity):
    assert found(whole(more)) == {(path, severity)}


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("intra_op_thread_count", "2 threads", "2"),
        ("intra_op_thread_count", "1.5", "1"),
        ("intra_op_thread_count", "1e1", "1"),
        ("intra_op_thread_count", " 2 ", None),
        ("intra_op_thread_count", "4 # four", "4"),
        ("intra_op_thread_count", "4.0", None),
        ("intra_op_thread_count", "4", None),
        ("execution_mode", "1, say", "1"),
        ("enable_mem_arena", "1", None),
    ],
)
def test_a_number_with_more_behind_it_is_read_in_part(name, text, number):
    told = said(whole(ON_GPU + parameter(name, text)))
    sentence = f"{text!r} is read as {number}, without what is behind it"
    assert told == ([] if number is None else [sentence])


@pytest.mark.parametrize(
    ("name", "text", "before"),
    [
        ("gpu_mem_limit", "2GB", "wrong"),
        ("gpu_mem_limit", "1e9", "wrong"),
        ("gpu_mem_limit", " 2048 ", None),
        ("gpu_mem_limit", "", "refused"),
        ("do_copy_in_default_stream", "on", None),
        ("do_copy_in_default_stream", "TRUE", None),
        ("do_copy_in_default_stream", "yes", "refused"),
    ],
)
def test_options_of_cuda_are_handed_on_as_text_since_the_accelerator_cuda(name, text, before):
    text = whole(ON_GPU + parameter(name, text))
    assert found(text, "24.10") == {(f"parameters.{name}", "refused")}
    assert found(text, "24.05") == ({(f"parameters.{name}", before)} if before else set())


def test_optional_inputs_are_taken_since_23_04():
    text = whole("", batch=0).replace('name: "x"', 'name: "x" optional: true')
    assert found(text, "23.04") == set()
    assert found(text, "23.03") == {("input[x].optional", "refused")}


def test_what_is_read_for_instances_on_a_gpu_is_misread_for_them_alone():
    assert found(whole(parameter("gpu_mem_limit", "2GB")), "24.05") == set()


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("cpu", True),
        ("cpu:", True),
        ("cpu:00;", True),
        ("cpu:0:of what", True),
        ("cpu:0;cpu:0", True),
        ("gpu:12", True),
        ("", True),
        ("cpu:1", False),
        ("cpu::0", False),
        ("cpu:0;;", False),
        (";", False),
        (":0", False),
        ("cpu: 0", False),
        ("gpu:99999", False),
    ],
)
def test_arenas_are_read_as_onnx_runtime_reads_them(text, reads):
    path = f"parameters[{SHRUNK}]"
    assert found(whole(ON_GPU + parameter(SHRUNK, text))) == (set() if reads else {(path, "wrong")})


@pytest.mark.parametrize(("text", "moves"), [("2147483648", 2), ("2GB", 0), ("1.5", 0), ("", 0)])
def test_a_cuda_option_is_moved_to_where_it_is_read_whole(text, moves):
    more = accelerated("cuda", gpu_mem_limit=text)
    (each,) = [each for rule, each in broken(pbtxt.parse(whole(more))) if rule.code == "CUD201"]
    assert len(each.changes) == moves


def test_parameters_of_cuda_are_read_for_instances_on_a_gpu():
    assert found(whole(parameter("gpu_mem_limit", "much"))) == set()
    assert found(whole(parameter("cudnn_conv_algo_search", "3"))) == set()


def test_the_arena_of_a_gpu_is_shrunk_where_an_instance_may_be_on_one():
    for more in ("instance_group { count: 1 }", ON_GPU):
        assert found(whole(parameter(SHRUNK, "cpu:0;gpu:0") + more)) == set()
    assert found(whole(parameter(SHRUNK, "cpu:0"))) == set()


@pytest.mark.parametrize(("batch", "faults"), [(1, {("dynamic_batching", "wrong")}), (2, set())])
def test_without_a_batch_nothing_batches(batch, faults):
    more = "dynamic_batching { max_queue_delay_microseconds: 100 }"
    assert found(whole(more, batch=batch)) == faults
    assert found(f'name: "m" backend: "onnxruntime" {more}') == set()  # the server completes it


@pytest.mark.parametrize(
    ("backend", "is_told"), [("python", True), ("tensorrtllm", False), ("vllm", False)]
)
def test_requests_that_a_backend_batches_itself_want_no_batches_of_the_server(backend, is_told):
    text = tiny.config(8, "x FP32 4", "y FP32 4", "").replace("onnxruntime", backend)
    assert (("max_batch_size", "wrong") in found(text)) == is_told


def test_near_misses_are_named():
    text = whole(
        accelerated("tensorrt", trt_engine_cache_enabled="1") + parameter("intra_op_threads", "1")
    )
    assert any("did you mean 'trt_engine_cache_enable'?" in each for each in said(text))
    assert any("did you mean 'intra_op_thread_count'?" in each for each in said(text))


def test_a_library_for_batching_may_read_any_parameter():
    more = parameter("MAX_VOLUME", "1") + parameter("TRITON_BATCH_STRATEGY_PATH", "/lib.so")
    assert found(whole(more)) == set()


def test_an_option_of_the_provider_is_called_as_the_backend_calls_it():
    (told,) = [
        each for each in said(whole(accelerated("tensorrt", trt_fp16_enable="1"))) if "fp16" in each
    ]
    assert told.endswith("a parameter trt_fp16_enable; it is precision_mode with the value FP16")


def test_of_another_backend_only_what_holds_for_all_is_told():
    more = parameter("EXECUTION_ENV_PATH", "x") + "optimization { cuda { graphs: true } }"
    text = whole(more).replace('"onnxruntime"', '"python"')
    assert found(text) == set()
    assert errors(text + METRICS, "24.10") == {"model_metrics"}


# --- rules of the server, each tried on the real one ---------------------------------------------

NO_BATCH = {"batch": 0, "inputs": "x FP32 -1,4", "outputs": "y FP32 -1,4"}


def warm(*names, dtype="FP32", dims="dims: 4", data="zero_data: true", batch=1):
    value = f"value {{ data_type: TYPE_{dtype} {dims} {data} }}"
    entries = "".join(f'inputs {{ key: "{name}" {value} }} ' for name in names or "x")
    return f'model_warmup {{ name: "w" batch_size: {batch} {entries} }}'


def controls(*entries):
    return (
        "sequence_batching { " + " ".join(f"control_input {{ {each} }}" for each in entries) + " }"
    )


STEP = (
    'step { model_name: "m" model_version: -1 input_map { key: "x" value: "x" }'
    ' output_map { key: "y" value: "y" } }'
)
START = "control { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] }"
CONTROL = "sequence_batching.control_input[s].control[0]"
DELAYED = "{ timeout_action: DELAY default_timeout_microseconds: 9 }"
GROUP = "instance_group { kind: KIND_CPU"
BATCHING = "dynamic_batching"
LEVELS = "priority_levels: 1 default_priority_level: 1"
COUNTED = 'batch_input { kind: BATCH_ELEMENT_COUNT target_name: "c"'
REFUSED = {
    "too_large": (
        f"{BATCHING} {{ preferred_batch_size: 9 }}",
        f"{BATCHING}.preferred_batch_size[0]",
    ),
    "too_small": (
        f"{BATCHING} {{ preferred_batch_size: 0 }}",
        f"{BATCHING}.preferred_batch_size[0]",
    ),
    "default_level": (f"{BATCHING} {{ priority_levels: 2 }}", f"{BATCHING}.default_priority_level"),
    "level": (
        f"{BATCHING} {{ {LEVELS} priority_queue_policy {{ key: 3 value {{ }} }} }}",
        f'{BATCHING}.priority_queue_policy["3"]',
    ),
    "ordered_levels": (
        f"{BATCHING} {{ priority_levels: 2 default_priority_level: 1 preserve_ordering: true }}",
        f"{BATCHING}.priority_levels",
    ),
    "ordered_delay": (
        f"{BATCHING} {{ preserve_ordering: true default_queue_policy {DELAYED} }}",
        f"{BATCHING}.default_queue_policy.timeout_action",
    ),
    "cached": ("response_cache { enable: true } sequence_batching { }", "response_cache.enable"),
    "oldest": (
        "sequence_batching { oldest { preferred_batch_size: 9 } }",
        "sequence_batching.oldest.preferred_batch_size[0]",
    ),
    "slots": (
        "sequence_batching { direct { minimum_slot_utilization: 1.5 } }",
        "sequence_batching.direct.minimum_slot_utilization",
    ),
    "nameless": (controls(START), "sequence_batching.control_input[0]"),
    "kind_twice": (
        controls(f'name: "s" {START}', f'name: "t" {START}'),
        "sequence_batching.control_input[t].control[0]",
    ),
    "tensor_twice": (
        controls(f'name: "s" {START}', 'name: "s"'),
        "sequence_batching.control_input[1]",
    ),
    "no_pair": (controls('name: "s" control { kind: CONTROL_SEQUENCE_END }'), CONTROL),
    "two_pairs": (
        controls('name: "s" control { fp32_false_true: [ 0, 1 ] int32_false_true: [ 0, 1 ] }'),
        CONTROL,
    ),
    "one_value": (
        controls('name: "s" control { bool_false_true: [ true ] }'),
        f"{CONTROL}.bool_false_true",
    ),
    "correlated": (
        controls('name: "s" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_FP32 }'),
        f"{CONTROL}.data_type",
    ),
    "gpus": (f"{GROUP} gpus: 0 }}", "instance_group[0].gpus"),
    "profile": (f'{GROUP} profile: "0" }}', "instance_group[0].profile"),
    "ensemble": (f"ensemble_scheduling {{ {STEP} }}", "ensemble_scheduling"),
    "platform": ('platform: "tensorrt_plan"', "platform"),
    "unknown_field": (METRICS, "model_metrics"),
    "batch_type": (
        f'{COUNTED} source_input: "x" data_type: TYPE_INT64 }}',
        "batch_input[0].data_type",
    ),
    "batch_source": (
        f'{COUNTED} source_input: "X" data_type: TYPE_INT32 }}',
        "batch_input[0].source_input[0]",
    ),
    "scattered": (
        'batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "z" source_input: "x" }',
        "batch_output[0].target_name[0]",
    ),
    "warm_unknown": (warm("x", "q"), "model_warmup[w].inputs.q"),
    "warm_missing": ('model_warmup { name: "w" batch_size: 1 }', "model_warmup[w].inputs"),
    "warm_dims": (warm(dims="dims: -1"), "model_warmup[w].inputs.x.dims"),
    "warm_other_dims": (warm(dims="dims: 5"), "model_warmup[w].inputs.x.dims"),
    "warm_type": (warm(dtype="INT32"), "model_warmup[w].inputs.x.data_type"),
    "warm_no_data": (warm(data=""), "model_warmup[w].inputs.x"),
    "warm_too_many": (warm(batch=9), "model_warmup[w].batch_size"),
    "mode": (parameter("execution_mode", "7"), "parameters.execution_mode"),
    "threads": (parameter("intra_op_thread_count", "two"), "parameters.intra_op_thread_count"),
    "arena": (parameter("enable_mem_arena", "yes"), "parameters.enable_mem_arena"),
}
TENSORS = {
    "shape_tensor": ("dims: 4 is_shape_tensor: true", 8, "input[x].is_shape_tensor"),
    "not_linear": ("dims: 4 is_non_linear_format_io: true", 8, "input[x].is_non_linear_format_io"),
    "laid_out": ("dims: 4 format: FORMAT_NHWC", 8, "input[x].format"),
    "no_dims": ("", 8, "input[x].dims"),
    "zero": ("dims: 0", 8, "input[x].dims[0]"),
    "reshaped": ("dims: 4 reshape { shape: [ 3 ] }", 8, "input[x].reshape"),
    "reshaped_dynamic": ("dims: [ -1, 4 ] reshape { shape: [ 2, -1 ] }", 8, "input[x].reshape"),
    "reshaped_zero": ("dims: 4 reshape { shape: [ 0 ] }", 8, "input[x].reshape.shape[0]"),
    "to_nothing": ("dims: 1 reshape { }", 0, "input[x].reshape"),
    "optional": ("dims: 4 optional: true", 8, "input[x].optional"),
}


def tensor_text(dims, batch):
    """Write a config whose input is as said."""
    text = whole("", batch=batch)
    return text.replace("TYPE_FP32 dims: [ 4 ] }", f"TYPE_FP32 {dims} }}", 1)


FOLDED = tensor_text("dims: [ 2, 2 ] reshape { shape: 4 }", 8)
REFUSED_TEXTS = {
    **{name: (whole(more), path) for name, (more, path) in REFUSED.items()},
    **{name: (tensor_text(dims, batch), path) for name, (dims, batch, path) in TENSORS.items()},
    "no_batch": (
        whole(f"{BATCHING} {{ preferred_batch_size: 1 }}", **NO_BATCH),
        f"{BATCHING}.preferred_batch_size[0]",
    ),
    "negative": (whole("", batch=-1), "max_batch_size"),
    "warm_as_reshaped": (FOLDED + warm(), "model_warmup[w].inputs.x.dims"),
}
# Where something else of the model could be refused too.
REASONS = {
    "cached": "Response Cache does not currently support",
    "oldest": "preferred batch size must be <= max batch size",
    "slots": "minimum slot utilization",
    "nameless": "control tensor must have a name",
    "kind_twice": "specifies multiple CONTROL_SEQUENCE_START",
    "tensor_twice": "is specified for multiple control kinds",
    "no_pair": "must specify either",
    "two_pairs": "more than one from",
    "one_value": "must have exactly 2 entries",
    "correlated": "unexpected data type for control",
    "gpus": "kind KIND_CPU but specifies one or more GPUs",
    "profile": "only supported for TensorRT models",
    "ensemble": "whose platform is not ensemble",
    "unknown_field": 'has no field named "model_metrics"',
    "batch_type": "must be TYPE_INT32 or TYPE_FP32",
    "batch_source": "unknown source input name",
    "scattered": "unknown target output name",
    "warm_dims": "all variable-size dimensions are specified",
    "warm_no_data": "to have input_data_type set",
    "warm_too_many": "batch size 9",
    "reshaped_dynamic": "has different size for dims and reshape",
}
TAKEN = {
    "levels": f"{BATCHING} {{ {LEVELS} preferred_batch_size: 8 }}",
    "one_level": f"{BATCHING} {{ {LEVELS} preserve_ordering: true }}",
    "ordered": f"{BATCHING} {{ preserve_ordering: true default_queue_policy {{"
    " timeout_action: DELAY } }",
    "sequences": "sequence_batching { direct { minimum_slot_utilization: 0.0 } }",
    "warmed": warm(),
    "warmed_full": warm(batch=8),
    "not_warmed": warm(batch=0, dims="dims: 5"),
    "unread": parameter("anything", "7") + "optimization { priority: PRIORITY_MAX }",
    "switches": parameter("enable_mem_arena", "off") + parameter("execution_mode", "1"),
    "model_kind": "instance_group { kind: KIND_MODEL }",
    "unordered": f"{BATCHING} {{ default_priority_level: 1 }}",
    "level": "optimization { graph { level: 3 } }",
}


@pytest.mark.parametrize("name", REFUSED_TEXTS)
def test_each_rule_is_told_at_its_place(name):
    text, path = REFUSED_TEXTS[name]
    assert errors(text, "24.10") == {path}


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_server_takes_has_no_errors(name):
    assert errors(whole(TAKEN[name]), "24.10") == set()


def test_a_warm_up_has_the_dims_of_requests_where_they_are_reshaped():
    assert errors(FOLDED + warm(dims="dims: [ 2, 2 ]"), "24.10") == set()


def test_the_real_server_agrees(embedded, tmp_path):
    for name, (text, _) in REFUSED_TEXTS.items():
        tiny.place(tmp_path / "refused", name, text, *tiny.DOUBLE)
    for name, more in TAKEN.items():
        tiny.place(tmp_path / "taken", name, whole(more), *tiny.DOUBLE)
    folded = FOLDED + warm(dims="dims: [ 2, 2 ]")
    tiny.place(tmp_path / "taken", "folded", folded, *tiny.DOUBLE)
    said = backend.refused(tmp_path / "refused", embedded)
    reasons = {
        line.removeprefix("model ").partition(" ")[0].strip("'"): line
        for line in said.splitlines()
        if line.startswith("model ")
    }
    assert sorted(reasons) == sorted(REFUSED_TEXTS)
    for name, words in REASONS.items():
        assert words in reasons[name]
    with server.serving(tmp_path / "taken", embedded):
        pass


# --- any config ----------------------------------------------------------------------------------


@given(CONFIGS)
def test_any_config_is_judged_and_what_is_told_lies_within_it(message):
    before = message.SerializeToString(deterministic=True)
    for tag in ("21.06", "24.10", "ort:1.19.2"):
        for _, each in broken(message, tag):
            first, *_ = paths.parse(each.at)
            assert first.text in ModelConfig.DESCRIPTOR.fields_by_name
            assert each.said
    assert message.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("accelerator", ["cpu", "openvino", "cuda", "tensorrt"])
def test_what_is_composed_suits_every_release(accelerator):
    specs = [TensorSpec(name=name, dtype=DType.FP32, dims=("n", 4)) for name in "xy"]
    signature = Signature(inputs=(specs[0],), outputs=(specs[1],))
    for tag in [*TAGS, "ort:1.19.2"]:
        message = pbtxt.config("double", signature, max_batch_size=8)
        pbtxt.accelerate(message, accelerator, {}, {})
        told = [rule.code for rule, _ in broken(message, tag)]
        assert told == (["WRM301"] if accelerator == "tensorrt" else [])  # a build adds samples


def test_the_table_of_fields_has_those_of_the_schema_at_hand():
    rows = json.loads(files("tritonforge").joinpath("data/config_fields.json").read_text("utf-8"))
    left, seen = [ModelConfig.DESCRIPTOR], set()
    while left:
        each = left.pop()
        if each.full_name in seen:
            continue
        seen.add(each.full_name)
        left += [field.message_type for field in each.fields if field.message_type]
        if not each.GetOptions().map_entry:
            known = rows["fields"].get(each.full_name, {})
            assert {field.name for field in each.fields} <= set(known), each.full_name
    assert len(seen) > 30


def test_what_runs_on_the_cpu_alone_builds_no_engines():
    on_gpu = accelerated("tensorrt")
    on_cpu = on_gpu.replace("KIND_GPU", "KIND_CPU")
    codes = [
        {rule.code for rule, _ in broken(pbtxt.parse(whole(each)))} for each in (on_gpu, on_cpu)
    ]
    assert codes == [{"WRM301"}, {"ACC201"}]


def test_numbers_of_any_length_are_read():
    nines = "9" * 5000
    shapes = {f"trt_profile_{bound}_shapes": f"x:{nines}x4" for bound in ("min", "opt", "max")}
    told = broken(
        pbtxt.parse(whole(accelerated("tensorrt", max_workspace_size_bytes=nines, **shapes)))
    )
    assert {rule.code for rule, _ in told} == {"PRO201", "TRT103", "WRM301"}
    told = broken(pbtxt.parse(whole(parameter("intra_op_thread_count", f"-{nines}"))))
    assert [rule.code for rule, _ in told] == ["PRM101"]
