"""Rules of a config alone: each finds its case at its place, and nothing of what is right."""

import http.client
from contextlib import suppress

import pytest
import tiny
from onnx import TensorProto as T
from test_rules_config import accelerated, broken, parameter, profile, tensor_text, warm, whole

from tritonforge import pbtxt, rules, server
from tritonforge.errors import ServerError
from tritonforge.release import find
from tritonforge.rules import spelling

IO = (
    'input { name: "x" data_type: TYPE_FP32 dims: 4 }'
    ' output { name: "y" data_type: TYPE_FP32 dims: 4 }'
)
STATE = 'input_name: "a" output_name: "b" data_type: TYPE_FP32 dims: 4'
CPU = "instance_group { kind: KIND_CPU"
CONTROL = "control_input { name: 's' control { fp32_false_true: [ 0, 1 ] } }"
NEW_METRIC = "model_metrics { metric_control { metric_identifier { family: 'f' }"


def named(head, more="dynamic_batching { }"):
    """Write a config that names its backend, or none, in its own way."""
    return f"{head} max_batch_size: 8 {IO} {more}"


def begun(data="zero_data: true", *, name='name: "i"', dtype="FP32", dims="dims: 4", times=1):
    """Write a model with a state that begins as said."""
    each = f"initial_state {{ {name} data_type: TYPE_{dtype} {dims} {data} }}"
    return whole(f"sequence_batching {{ state {{ {STATE} {each * times} }} }}")


def step(model='model_name: "double"', version="model_version: -1", ins="x in", outs="y out"):
    """Write a step; maps are pairs of names between commas."""

    def maps(kind, pairs):
        for pair in filter(None, pairs.split(",")):
            key, value = pair.split()
            yield f'{kind} {{ key: "{key}" value: "{value}" }}'

    parts = (*maps("input_map", ins), *maps("output_map", outs))
    return f"step {{ {model} {version} {' '.join(parts)} }}"


def ensemble(*steps, more="", head='platform: "ensemble"', inputs="in", outputs="out"):
    """Write an ensemble of steps, by default of one."""
    io = "".join(
        f'{kind} {{ name: "{name}" data_type: TYPE_FP32 dims: 4 }}'
        for kind, names in (("input", inputs), ("output", outputs))
        for name in names.split()
    )
    scheduled = " ".join(steps or [step()])
    return f"{head} max_batch_size: 8 {io} ensemble_scheduling {{ {scheduled} }} {more}"


TENSORRT_KEY = "optimization.execution_accelerators.gpu_execution_accelerator[tensorrt].parameters."
TWICE = (
    "instance_group { kind: KIND_GPU } optimization { execution_accelerators {"
    ' gpu_execution_accelerator [ { name: "tensorrt" }, { name: "tensorrt" } ] } }'
)
LIMITED = f"{CPU} rate_limiter {{ resources [ {{ name: 'R' }}, {{ name: 'R' global: true }} ] }} }}"
SCATTER = "batch_output { kind: BATCH_SCATTER_WITH_INPUT_SHAPE source_input: 'x'"
OPEN = 'backend: "onnxruntime" '
# What the rules find, by code: the config, and the place.
FOUND = {
    "GEN102": (named('backend: "onnxruntime" platform: "onnx"'), "platform"),
    "GEN106": (named('platform: "onnx"'), "platform"),
    "GEN106 file": (named('default_model_filename: "net.onnx"'), "default_model_filename"),
    "GEN107": (named('backend: "PyTorch"'), "backend"),
    "GEN207": (named('backend: "onnxruntim"'), "backend"),
    "GEN207 python3": (named('backend: "python3"'), "backend"),
    "GEN107 alias": (named('backend: "onnx"'), "backend"),
    "GEN108": (whole('runtime: "libmine.so"'), "runtime"),
    "GEN108 python": (whole('runtime: "../onnxruntime/model.py"'), "runtime"),
    "GEN109": (
        whole('model_repository_agents { agents { name: "checksun" } }'),
        "model_repository_agents.agents[0].name",
    ),
    "GEN110": (whole("version_policy { latest { } }"), "version_policy.latest"),
    "GEN110 specific": (whole("version_policy { specific { } }"), "version_policy.specific"),
    "GEN111": (whole('metric_tags { key: "_a" value: "b" }'), "metric_tags._a"),
    "GEN111 colon": (whole('metric_tags { key: "a:b" value: "b" }'), "metric_tags[a:b]"),
    "GEN112": (
        whole('model_operations { op_library_filename: [ "l.so", "" ] }'),
        "model_operations.op_library_filename[1]",
    ),
    "GEN204": (
        whole("model_transaction_policy { decoupled: true }"),
        "model_transaction_policy.decoupled",
    ),
    "GEN205": (whole('default_model_filename: "../2/model.onnx"'), "default_model_filename"),
    "BAT204": (
        whole(
            "dynamic_batching { max_queue_delay_microseconds: 9 preserve_ordering: true }"
        ).replace("size: 8", "size: 1"),
        "dynamic_batching.max_queue_delay_microseconds",
    ),
    "BAT205": (named('backend: "onnxruntime"', ""), "max_batch_size"),
    "BAT302": (
        whole("dynamic_batching { max_queue_delay_microseconds: 1500000 }"),
        "dynamic_batching.max_queue_delay_microseconds",
    ),
    "GEN301": (whole("response_cache { enable: true }"), "response_cache.enable"),
    "BAT301": (
        whole("dynamic_batching { preferred_batch_size: [ 2, 4 ] }"),
        "dynamic_batching.preferred_batch_size",
    ),
    "SEQ110": (
        whole(parameter("TRITON_BATCH_STRATEGY_PATH", "/l.so") + "sequence_batching { }"),
        "parameters.TRITON_BATCH_STRATEGY_PATH",
    ),
    "SEQ202": (
        whole('sequence_batching { state { input_name: "a" data_type: TYPE_FP32 dims: 4 } }'),
        "sequence_batching.state[0].output_name",
    ),
    "SEQ112": (
        whole(f"sequence_batching {{ state {{ {STATE} }} state {{ {STATE} }} }}"),
        "sequence_batching.state[1].input_name",
    ),
    "SEQ113": (whole("sequence_batching { " + CONTROL.replace("'s'", "'x'") + " }"), "input[0]"),
    "SEQ203": (
        whole('sequence_batching { state { input_name: "a" output_name: "b" dims: 4 } }'),
        "sequence_batching.state[0].data_type",
    ),
    "SEQ115": (begun(times=2), "sequence_batching.state[0].initial_state[1]"),
    "SEQ116": (begun(dtype="INT32"), "sequence_batching.state[0].initial_state[0].data_type"),
    "SEQ117": (begun(name=""), "sequence_batching.state[0].initial_state[0].name"),
    "SEQ118": (begun(dims="dims: 5"), "sequence_batching.state[0].initial_state[0].dims"),
    "SEQ118 open": (begun(dims="dims: -1"), "sequence_batching.state[0].initial_state[0].dims"),
    "SEQ119": (begun(""), "sequence_batching.state[0].initial_state[0]"),
    "SEQ120": (
        whole(f"sequence_batching {{ {CONTROL.replace('fp32', 'kind: 9 fp32')} }}"),
        "sequence_batching.control_input[s].control[0].kind",
    ),
    "SEQ201": (
        whole("sequence_batching { oldest { max_queue_delay_microseconds: 9 } }", batch=1),
        "sequence_batching.oldest.max_queue_delay_microseconds",
    ),
    "INS103": (whole("instance_group { kind: 9 }"), "instance_group[0].kind"),
    "INS104": (
        whole("instance_group { kind: KIND_GPU gpus: [ 0, -1 ] }"),
        "instance_group[0].gpus[1]",
    ),
    "INS105": (
        named(
            'backend: "tensorrt"', 'dynamic_batching { } instance_group { profile: [ "0", "a" ] }'
        ),
        "instance_group[0].profile[1]",
    ),
    "INS201": (whole(LIMITED), "instance_group[0].rate_limiter.resources[1]"),
    "INS202": (whole(f"{CPU} count: -3 }}"), "instance_group[0].count"),
    "INS203": (whole(f"{CPU} passive: true }}"), "instance_group[0].passive"),
    "INS301": (whole(f"{CPU} rate_limiter {{ priority: 2 }} }}"), "instance_group[0].rate_limiter"),
    "TEN102 number": (whole("").replace("TYPE_FP32", "99", 1), "input[x].data_type"),
    "TEN103 alone": (
        'backend: "onnxruntime" input { name: "x" data_type: TYPE_FP32 }',
        "input[x].dims",
    ),
    "TEN112": (whole("", inputs="x FP32 4;x FP32 4"), "input[1]"),
    "TEN113": (
        named('backend: "tensorrt"').replace("dims: 4", "dims: 4 is_non_linear_format_io: true", 1),
        "input[x].is_non_linear_format_io",
    ),
    "TEN125": (whole(f"{SCATTER} target_name: [ 'y', 'y' ] }}"), "batch_output[0].target_name[1]"),
    "TEN126": (
        whole("batch_input { kind: 77 target_name: 'c' data_type: TYPE_INT32 source_input: 'x' }"),
        "batch_input[0].kind",
    ),
    "TEN127": (whole(f"{SCATTER} }}"), "batch_output[0].target_name"),
    "TEN128": (
        whole("batch_input { data_type: TYPE_INT32 source_input: 'x' }"),
        "batch_input[0].target_name",
    ),
    "MET101": (
        whole("model_metrics { metric_control { histogram_options { buckets: 1 } } }"),
        "model_metrics.metric_control[0].metric_identifier.family",
    ),
    "MET102": (
        whole(f"{NEW_METRIC} }} }}"),
        "model_metrics.metric_control[0].histogram_options.buckets",
    ),
    "MET103": (
        whole(f"{NEW_METRIC} histogram_options {{ buckets: [ 1, 3, 3 ] }} }} }}"),
        "model_metrics.metric_control[0].histogram_options.buckets[2]",
    ),
    "WRM101 open": (OPEN + warm(batch=5), "model_warmup[w].batch_size"),
    "WRM108": (whole(f"sequence_batching {{ state {{ {STATE} }} }}" + warm()), "model_warmup[w]"),
    "WRM109": (whole(f"sequence_batching {{ {CONTROL} }}" + warm()), "model_warmup[w].inputs"),
    "WRM110": (
        whole(f"sequence_batching {{ {CONTROL} }}" + warm("x", "s")),
        "model_warmup[w].inputs.s.dims",
    ),
    "WRM201": (whole(warm(batch=0)), "model_warmup[w].batch_size"),
    "WRM301": (
        whole(accelerated("tensorrt")),
        "optimization.execution_accelerators.gpu_execution_accelerator[tensorrt]",
    ),
    "ENS101": (ensemble(head=""), "ensemble_scheduling"),
    "ENS102": (ensemble(" "), "ensemble_scheduling"),
    "ENS103": (ensemble(head='platform: "ensemble" backend: "python"'), "backend"),
    "ENS103 file": (
        ensemble(more='default_model_filename: "model.onnx"'),
        "default_model_filename",
    ),
    "ENS104": (ensemble(more="instance_group { }"), "instance_group"),
    "ENS104 optimization": (ensemble(more="optimization { }"), "optimization"),
    "ENS105": (ensemble(more=warm("in")), "model_warmup"),
    "ENS106": (ensemble(step(model="")), "ensemble_scheduling.step[0].model_name"),
    "ENS107": (ensemble(step(), step(outs="")), "ensemble_scheduling.step[1].output_map"),
    "ENS108": (ensemble(step(), step()), "ensemble_scheduling.step[1].output_map.y"),
    "ENS109": (ensemble(step(version="")), "ensemble_scheduling.step[0].model_version"),
    "ENS109 below": (
        ensemble(step(version="model_version: -5")),
        "ensemble_scheduling.step[0].model_version",
    ),
    "ENS111": (ensemble(inputs="in more"), "input[1].name"),
    "ENS111 output": (ensemble(outputs="out more"), "output[1].name"),
    "ENS112": (ensemble(step(ins="x im")), "output[0].name"),
    "ENS112 circle": (ensemble(step(ins="x out")), "output[0].name"),
    "ENS113": (ensemble(step(), step(outs="y spare")), "ensemble_scheduling.step[1].output_map"),
    "ENS113 never": (
        ensemble(step(), step(ins="x a", outs="y b"), step(ins="x b", outs="y a")),
        "ensemble_scheduling.step[1].input_map",
    ),
    "ACC103": (
        whole(TWICE),
        "optimization.execution_accelerators.gpu_execution_accelerator[1]",
    ),
    "TRT202": (whole(accelerated("tensorrt", trt_dla_core="1")), f"{TENSORRT_KEY}trt_dla_core"),
    "TRT203": (
        whole(accelerated("tensorrt", int8_calibration_table_name="t", precision_mode="FP16")),
        f"{TENSORRT_KEY}int8_calibration_table_name",
    ),
    "TRT301": (
        whole(accelerated("tensorrt", trt_build_heuristics_enable="1")),
        f"{TENSORRT_KEY}trt_build_heuristics_enable",
    ),
    "PRO204": (profile("x:1x4", "x:4x4", "x:4x4"), f"{TENSORRT_KEY}trt_profile_max_shapes"),
    "PRO205": (profile("z:1x4", "z:4x4", "z:8x4"), f"{TENSORRT_KEY}trt_profile_min_shapes"),
}
# What is right, of which the rules find nothing but what `ALLOWED` names.
RIGHT = {
    "a backend of one's own": named('backend: "pytorch2"'),
    "metadata": whole(parameter("metadata", "{'stride': 32}")),
    "own_filled_in": 'backend: "dali" input { name: "x" } output { name: "y" }',
    "policy_of_no_level": whole("dynamic_batching { priority_queue_policy { } }"),
    "platform": named('platform: "onnxruntime_onnx"'),
    "file": named('default_model_filename: "model.onnx"'),
    "folder": whole('default_model_filename: "sub/model.onnx"'),
    "own": named('backend: "mine" platform: "any"'),
    "nothing": named(""),
    "pytorch": named('backend: "pytorch" platform: "pytorch_newer"'),
    "runtime": whole('runtime: "libtriton_onnxruntime.so"'),
    "runtime_within": whole('runtime: "../onnxruntime/libtriton_onnxruntime.so"'),
    "agent": whole('model_repository_agents { agents { name: "checksum" } }'),
    "policy": whole("version_policy { all { } }"),
    "policy_empty": whole("version_policy { }"),
    "policy_specific": whole("version_policy { specific { versions: [ 1, 3 ] } }"),
    "tags": whole('metric_tags { key: "1a_" value: "ä" } metric_tags { key: "" value: "b" }'),
    "preferred": whole("dynamic_batching { preferred_batch_size: 8 }"),
    "incomplete": 'backend: "onnxruntime" max_batch_size: 8',
    "sequences": whole("sequence_batching { oldest { max_queue_delay_microseconds: 9 } }"),
    "slots": whole("sequence_batching { direct { minimum_slot_utilization: nan } }"),
    "warm_open": OPEN + warm(batch=4),
    "elsewhere_warm_open": 'backend: "tensorrt"' + warm(batch=9),
    "state": begun(),
    "state_file": begun('data_file: "d"'),
    "state_open": begun().replace("dims: 4 initial", "dims: -1 initial"),
    "active": whole(f"{CPU} passive: true }} {CPU} }}"),
    "profile": named(
        'backend: "tensorrt"', 'dynamic_batching { } instance_group { profile: [ "0", "+1" ] }'
    ),
    "shape_tensor": named('backend: "tensorrt"').replace(
        "dims: 4", "dims: 4 is_shape_tensor: true"
    ),
    "scatters": whole(f"{SCATTER} target_name: 'y' }}" * 2),
    "number": tensor_text("dims: 4 format: 9", 8),
    "controls_warm": whole(
        f"sequence_batching {{ {CONTROL} }}"
        + warm("x", "s").replace("dims: 4", "dims: 1").replace("dims: 1", "dims: 4", 1)
    ),
    "tensorrt": whole(
        accelerated(
            "tensorrt",
            trt_timing_cache_enable="1",
            trt_timing_cache_path="/c",
            trt_dla_core="0",
            trt_dla_enable="true",
            precision_mode="INT8",
            int8_calibration_table_name="t",
        )
        + warm()
    ),
    "profiles": profile("x:1x4", "x:4x4", "x:8x4") + warm(),
    "ensemble": ensemble(),
    "ensemble_of_two": ensemble(step(outs="y mid"), step(ins="x mid")),
    "ensemble_in_place": ensemble(step(outs="y in"), outputs="in"),
    "ensemble_version": ensemble(step(version="model_version: 3")),
}


def codes(text):
    """Return code and place of what is found."""
    return {(rule.code, each.at) for rule, each in broken(pbtxt.parse(text), "25.12")}


@pytest.mark.parametrize("name", FOUND)
def test_a_rule_finds_its_case_at_its_place(name):
    text, at = FOUND[name]
    assert (name.split()[0], at) in codes(text)


@pytest.mark.parametrize("name", RIGHT)
def test_rules_find_nothing_of_what_is_right(name):
    assert codes(RIGHT[name]) == set()


def test_sizes_where_nothing_batches_are_told_once():
    text = named('backend: "onnxruntime"', "dynamic_batching { preferred_batch_size: [ 2 ] }")
    assert {code for code, _ in codes(text)} == {"BAT301"}
    assert {code for code, _ in codes(text.replace("size: 8", "size: 0"))} == {"BAT101"}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("graph_optimization_level", "; it is optimization.graph.level"),
        ("trt_engine_cache_enable", "; it is one of the accelerator tensorrt"),
        ("enable_cpu_mem_arena", "; did you mean 'enable_mem_arena'?"),
        ("zzz", "parameter zzz"),
    ],
)
def test_a_parameter_that_nothing_reads_is_shown_its_place(name, hint):
    ((rule, found),) = broken(pbtxt.parse(whole(parameter(name, "1"))))
    assert rule.code == "PRM201"
    assert found.said.endswith(hint)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("py", "python"),
        ("python3", "python"),
        ("triton_python", "python"),
        ("python_backend", "python"),
        ("onnxrt", "onnxruntime"),
        ("ONNX-Runtime", "onnxruntime"),
        ("onnxruntime_backend", "onnxruntime"),
        ("tensorrt_llm", "tensorrtllm"),
        ("open_vino", "openvino"),
        ("pythn", "python"),
        ("pytorch2", None),
        ("tensorflow2", None),  # GEN208 tells it of releases without
        ("triton", None),
        ("backend", None),
        ("mine", None),
        ("_", None),
    ],
)
def test_a_backend_is_known_by_what_is_written_for_it(name, meant):
    assert spelling.meant_by(name) == meant


@pytest.mark.parametrize(
    ("head", "tag", "at"),
    [
        ('backend: "tensorflow"', "25.02", None),
        ('backend: "tensorflow"', "25.03", "backend"),
        ('backend: "tensorflow2"', "25.03", "backend"),
        ('platform: "tensorflow_savedmodel"', "26.04", "platform"),
        ('backend: "tensorflow"', "ort:1.23.2", None),
        ('backend: "pytorch"', "26.04", None),
    ],
)
def test_a_backend_that_has_left_the_images_is_told(head, tag, at):
    told = [found for rule, found in broken(pbtxt.parse(named(head)), tag) if rule.code == "GEN208"]
    assert [each.at for each in told] == ([] if at is None else [at])
    assert all("25.02" in each.said for each in told)


def test_what_lies_in_the_first_folder_tells_the_backend():
    message = pbtxt.parse(named(""))

    def judge(*content):
        return rules.Config(message=message, release=find("24.10"), content=content)

    assert judge("model.onnx").is_onnx
    assert judge("model.onnx/").is_onnx
    assert judge("model.pt", "model.py").backend == "pytorch"
    assert judge("model.py").backend == "python"
    assert judge("model.pt2", "model.py").backend == "python"
    newer = rules.Config(message=message, release=find("26.03"), content=("model.pt2", "model.py"))
    assert newer.backend == "pytorch"
    assert judge("model.savedmodel").backend == ""
    assert not judge().is_onnx


@pytest.mark.parametrize(
    ("head", "tag", "backend"),
    [
        # Each of 24.10 as the embedded server has it.
        (
            'platform: "onnxruntime_onnx" default_model_filename: "model.savedmodel"',
            "24.10",
            "onnxruntime",
        ),
        (
            'platform: "onnxruntime_onnx" default_model_filename: "model.graphdef"',
            "24.10",
            "onnxruntime",
        ),
        ('platform: "onnxruntime_onnx" default_model_filename: "model.plan"', "24.10", "tensorrt"),
        ('platform: "onnxruntime_onnx" default_model_filename: "model.pt"', "24.10", "onnxruntime"),
        ('default_model_filename: "model.savedmodel"', "24.10", "tensorflow"),
        ('platform: "nonsense" default_model_filename: "model.savedmodel"', "24.10", ""),
        ('platform: "nonsense" default_model_filename: "model.onnx"', "24.10", "onnxruntime"),
        ('platform: "torch_aoti"', "24.10", ""),
        ('default_model_filename: "model.pt2"', "24.10", ""),
        ('platform: "torch_aoti"', "26.03", "pytorch"),
        ('default_model_filename: "model.pt2"', "26.03", "pytorch"),
    ],
)
def test_platform_and_file_tell_the_backend_in_the_servers_order(head, tag, backend):
    config = rules.Config(message=pbtxt.parse(head), release=find(tag), content=())
    assert config.backend == backend


# --- mending --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        (named('platform: "onnx"'), {"backend": "onnxruntime", "platform": ""}),
        (named('backend: "onnx"'), {"backend": "onnxruntime"}),
        (ensemble(head=""), {"platform": "ensemble"}),
        (ensemble(head='backend: "ensemble"'), {"platform": "ensemble", "backend": ""}),
        (ensemble(more="instance_group { count: 2 }"), {"instance_group": []}),
    ],
)
def test_what_is_plainly_meant_is_written_so(text, mended):
    changes = [each for rule, found in broken(pbtxt.parse(text)) for each in found.changes]
    for each in changes:
        text = (
            pbtxt.unset(text, each.path)
            if each.value is None
            else pbtxt.put(text, each.path, each.value)
        )
    message = pbtxt.parse(text)
    assert {name: getattr(message, name) for name in mended} == mended
    assert broken(message) == []


@pytest.mark.parametrize(
    ("text", "old", "new", "value"),
    [
        (
            whole(parameter("intra_op_thread_cuont", "2")),
            "parameters.intra_op_thread_cuont",
            "parameters.intra_op_thread_count",
            "2",
        ),
        (
            whole(parameter("intra_op_num_threads", "2")),  # as ONNX Runtime has it
            "parameters.intra_op_num_threads",
            "parameters.intra_op_thread_count",
            "2",
        ),
        (
            whole(accelerated("tensorrt", trt_engine_cache_enabel="1") + warm()),
            f"{TENSORRT_KEY}trt_engine_cache_enabel",
            f"{TENSORRT_KEY}trt_engine_cache_enable",
            "1",
        ),
        (
            whole(accelerated("cuda", cudnn_conv_algo_search="HEURISTIC")),
            f"{TENSORRT_KEY}cudnn_conv_algo_search".replace("tensorrt", "cuda"),
            "parameters.cudnn_conv_algo_search",
            "1",
        ),
    ],
)
def test_a_misspelt_or_misplaced_key_is_moved(text, old, new, value):
    changes = [each for _, found in broken(pbtxt.parse(text)) for each in found.changes]
    assert [each.path for each in changes] == [new, old]
    after = pbtxt.unset(pbtxt.put(text, changes[0].path, changes[0].value), changes[1].path)
    assert pbtxt.held(after, new) == value
    assert broken(pbtxt.parse(after)) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [("tensorrtt", "tensorrt"), ("TensorRT", "tensorrt"), ("CUDA", "cuda"), ("rocm", None)],
)
def test_an_accelerator_that_is_plainly_meant_is_named_so(name, meant):
    message = pbtxt.parse(whole(accelerated(name)))
    (found,) = [found for rule, found in broken(message) if rule.code == "ACC101"]
    path = f"optimization.execution_accelerators.gpu_execution_accelerator[{name}].name"
    made = [(each.path, each.value) for each in found.changes]
    assert made == ([(path, f'"{meant}"')] if meant else [])


def test_a_key_is_not_moved_where_the_right_one_stands():
    text = whole(parameter("intra_op_thread_cuont", "2") + parameter("intra_op_thread_count", "1"))
    assert [found.changes for _, found in broken(pbtxt.parse(text))] == [()]
    assert not any(found.changes for _, found in broken(pbtxt.parse(whole(parameter("zzz", "2")))))


# --- the real server ------------------------------------------------------------------------------

# Cases that need a GPU, another release, or a backend that the embedded server has not.
_ELSEWHERE = (
    *("GEN112", "INS104", "INS105", "TEN113", "MET", "ACC103", "PRO", "TRT", "WRM301"),
    *(
        "GEN205",
        "GEN207",
        "SEQ203",
        "a_backend",
        "own",
        "pytorch",
        "profile",
        "shape_tensor",
        "tensorrt",
        "agent",
        "runtime",
    ),
    *(
        "folder",
        "state_file",
        "ensemble_version",
        "number",
        "elsewhere",
        "state_open",
        "GEN108_python",
    ),
)
HOLD = (
    [("Add", ["x", "a"], ["y"], {}), ("Identity", ["y"], ["b"], {})],
    [("x", T.FLOAT, ["n", 4]), ("a", T.FLOAT, ["n", 4])],
    [("y", T.FLOAT, ["n", 4]), ("b", T.FLOAT, ["n", 4])],
)
STARTED = (
    [("Add", ["x", "s"], ["y"], {})],
    [("x", T.FLOAT, ["n", 4]), ("s", T.FLOAT, ["n", 1])],
    [("y", T.FLOAT, ["n", 4])],
)


def place(repository, name, text):
    """Write a model of the file that its config is of; an ensemble has a version without."""
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(text)
    if 'platform: "ensemble"' not in text:
        held = HOLD if 'input_name: "a"' in text else None
        started = STARTED if "name: 's'" in text else tiny.DOUBLE
        tiny.save(repository / name / "1" / "model.onnx", *(held or started))


def loaded(endpoint, name):
    """Ask a server for a model; say whether it has loaded it, None where it died of that."""
    connection = http.client.HTTPConnection(endpoint.http.removeprefix("http://"), timeout=60)
    try:
        connection.request("POST", f"/v2/repository/models/{name}/load", body=b"")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer.status == http.HTTPStatus.OK


def verdicts(repository, tools, names):
    """Return which models a server loads, started anew where one of them ends it."""
    left, found = [*names], {}
    while left:
        with (
            suppress(ServerError),
            server.serving(
                repository, tools, arguments=("--model-control-mode=explicit",)
            ) as ready,
        ):
            while left:
                name = left.pop(0)
                found[name] = loaded(ready, name)
                if found[name] is None:
                    break
    return found


@pytest.mark.slow
def test_the_real_server_agrees(embedded, tmp_path):
    """It refuses, or ends itself by, what is refused, and loads all else."""
    tiny.double(tmp_path)
    texts = {name: text for name, (text, _) in FOUND.items()} | RIGHT
    names = {name.replace(" ", "_"): text for name, text in texts.items()}
    names = {name: text for name, text in names.items() if not name.startswith(_ELSEWHERE)}
    for name, text in names.items():
        place(tmp_path, name, text)
    found = verdicts(tmp_path, embedded, names)
    refused = {
        name
        for name, text in names.items()
        if any(rule.severity == "refused" for rule, _ in broken(pbtxt.parse(text)))
    }
    assert sorted(name for name in found if not found[name]) == sorted(refused)
    assert len(refused) > 45
    assert len(found) - len(refused) > 25
