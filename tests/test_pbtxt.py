import math

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import CONFIGS, NASTY, SCALARS, TEXTS, one_path
from tritonclient.grpc import model_config_pb2

from tritonforge import pbtxt
from tritonforge.errors import ConfigError
from tritonforge.pbtxt import ModelConfig
from tritonforge.tensors import DType, Signature, TensorSpec

# --- every message that the proto can say -------------------------------------------------------


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
@given(CONFIGS | one_path())
def test_every_config_is_read_as_it_was_rendered(message):
    text = pbtxt.render(message)
    assert pbtxt.parse(text) == message
    assert f"max_batch_size: {message.max_batch_size}" in text.splitlines()


@given(TEXTS)
def test_text_in_the_middle_of_a_config_survives(text):
    message = ModelConfig(name=text, default_model_filename=text)
    message.input.add(name=text)
    message.output.add(name=text, label_filename=text)
    message.parameters[text].string_value = text
    message.metric_tags[text] = text
    assert pbtxt.parse(pbtxt.render(message)) == message


def test_not_a_number_survives():
    message = ModelConfig()
    message.sequence_batching.direct.minimum_slot_utilization = math.nan
    read = pbtxt.parse(pbtxt.render(message))
    assert math.isnan(read.sequence_batching.direct.minimum_slot_utilization)


@given(
    st.text()
    | st.lists(NASTY | st.sampled_from(["name:", "input", "{", "}", "1", "dims"])).map("".join)
)
def test_any_text_is_a_config_or_told(text):
    try:
        message = pbtxt.parse(text)
    except ConfigError:
        return
    assert pbtxt.parse(pbtxt.render(message)) == message


# --- golden text --------------------------------------------------------------------------------


def tensor(text):
    name, dtype, *dims = text.split()
    return TensorSpec(
        name=name, dtype=DType[dtype], dims=tuple(int(d) if d.isdigit() else d for d in dims)
    )


def signature(inputs, outputs):
    return Signature(inputs=tuple(map(tensor, inputs)), outputs=tuple(map(tensor, outputs)))


IMAGES = signature(["input FP32 batch 3 224 224"], ["output FP32 batch 1000"])
TOKENS = signature(
    ["ids INT64 batch seq", "mask BOOL batch seq"], ["pooled FP16 batch 6", "text BYTES batch seq"]
)
SCORE = signature(["x FP32 n 3"], ["score FP32 n"])
SCALARS_ONLY = signature(["x FP32"], ["y FP32"])

GOLDEN_IMAGES = """\
name: "resnet50"
backend: "onnxruntime"
max_batch_size: 16
input [
  {
    name: "input"
    data_type: TYPE_FP32
    dims: [ 3, 224, 224 ]
  }
]
output [
  {
    name: "output"
    data_type: TYPE_FP32
    dims: [ 1000 ]
    label_filename: "labels.txt"
  }
]
dynamic_batching {
}
instance_group {
  count: 1
}
version_policy {
  latest {
    num_versions: 1
  }
}
"""
GOLDEN_TOKENS = """\
name: "tokens"
backend: "onnxruntime"
max_batch_size: 0
input [
  {
    name: "ids"
    data_type: TYPE_INT64
    dims: [ -1, -1 ]
  },
  {
    name: "mask"
    data_type: TYPE_BOOL
    dims: [ -1, -1 ]
  }
]
output [
  {
    name: "pooled"
    data_type: TYPE_FP16
    dims: [ -1, 6 ]
  },
  {
    name: "text"
    data_type: TYPE_STRING
    dims: [ -1, -1 ]
  }
]
instance_group {
  count: 1
}
version_policy {
  latest {
    num_versions: 1
  }
}
"""
GOLDEN_SCORE = """\
name: "score"
backend: "onnxruntime"
max_batch_size: 1
input [
  {
    name: "x"
    data_type: TYPE_FP32
    dims: [ 3 ]
  }
]
output [
  {
    name: "score"
    data_type: TYPE_FP32
    dims: [ 1 ]
    reshape {
    }
  }
]
instance_group {
  count: 1
}
version_policy {
  latest {
    num_versions: 1
  }
}
"""


@pytest.mark.parametrize(
    ("name", "of", "options", "golden"),
    [
        (
            "resnet50",
            IMAGES,
            {"max_batch_size": 16, "labels": {"output": "labels.txt"}},
            GOLDEN_IMAGES,
        ),
        ("tokens", TOKENS, {"max_batch_size": 0}, GOLDEN_TOKENS),
        ("score", SCORE, {"max_batch_size": 1}, GOLDEN_SCORE),
    ],
)
def test_the_text_of_a_signature(name, of, options, golden):
    message = pbtxt.config(name, of, **options)
    assert pbtxt.render(message) == golden
    assert pbtxt.mismatch(message, of) is None


def test_what_people_read_comes_first_and_the_rest_after_it():
    message = pbtxt.parse('runtime: "x" parameters { key: "a" } platform: "onnxruntime_onnx"')
    assert pbtxt.render(message).splitlines() == [
        'name: ""',
        'platform: "onnxruntime_onnx"',
        "max_batch_size: 0",
        "parameters {",
        '  key: "a"',
        "  value {",
        "  }",
        "}",
        'runtime: "x"',
    ]


def test_a_scalar_is_one_element_where_nothing_batches():
    message = pbtxt.config("m", SCALARS_ONLY, max_batch_size=0)
    assert list(message.input[0].dims) == list(message.output[0].dims) == [1]
    assert not message.input[0].HasField("reshape")
    assert pbtxt.mismatch(message, SCALARS_ONLY) is None


def test_a_scalar_is_refused_where_the_target_takes_none():
    with pytest.raises(ConfigError, match="'x' has no dimensions") as caught:
        pbtxt.config("m", SCALARS_ONLY, max_batch_size=0, scalars=False)
    assert "--target 23.10" in caught.value.hint
    assert pbtxt.config("m", SCORE, max_batch_size=4, scalars=False).output[0].HasField("reshape")


def test_no_batching_is_switched_on_for_a_batch_of_one():
    assert not pbtxt.config("m", IMAGES, max_batch_size=1).HasField("dynamic_batching")
    assert pbtxt.config("m", IMAGES, max_batch_size=2).HasField("dynamic_batching")


def test_a_dimension_of_size_zero_is_refused():
    empty = signature(["x FP32 batch 0"], ["y FP32 batch 1"])
    with pytest.raises(ConfigError, match="'x' has a dimension of size 0"):
        pbtxt.config("m", empty, max_batch_size=4)


def test_the_template_is_found_in_a_checkout():
    assert (pbtxt.templates() / "config.pbtxt.j2").is_file()


# --- reading ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name: "m"\nmax_batch: 4\n', r'config\.pbtxt:2:1: .* no field named "max_batch"'),
        ('name: "m\n', r"config\.pbtxt:1:7: .*"),
        ("input [ { name: 1 } ]", r"config\.pbtxt:1:17: .*"),
        ("max_batch_size: 99999999999", r"config\.pbtxt:1:17: .*out of range"),
        ("input { data_type: TYPE_FP3 }", r"config\.pbtxt:1:20: .*TYPE_FP3"),
        ("input {", r"config\.pbtxt:1"),
        ('name: "\\xff"', r"config\.pbtxt:1:13: .*Couldn't parse string"),
        ("dynamic_batching { } sequence_batching { }", r"config\.pbtxt:1:.*scheduling_choice"),
    ],
)
def test_a_config_that_does_not_parse_is_told_with_line_and_column(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        pbtxt.parse(text)
    assert "mend the line" in caught.value.hint


def test_the_file_of_a_broken_config_is_named(tmp_path):
    with pytest.raises(ConfigError) as caught:
        pbtxt.parse("?", tmp_path / "m" / "config.pbtxt")
    assert str(caught.value).startswith(f"{tmp_path}/m/config.pbtxt:1:1: ")


def test_a_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "config.pbtxt"
    path.write_bytes(b"# caf\xe9")
    with pytest.raises(ConfigError, match=r"config\.pbtxt: 'utf-8' codec .* position 5") as caught:
        pbtxt.read(path)
    assert caught.value.hint == "save it as UTF-8"


def test_what_a_server_tells_is_read_as_far_as_it_is_known():
    told = {"max_batch_size": 4, "newer": [1], "input": [{"name": "x", "dims": ["-1", 3]}]}
    message = pbtxt.from_json(told)
    assert (message.max_batch_size, list(message.input[0].dims)) == (4, [-1, 3])
    with pytest.raises(ConfigError, match="what the server tells of a config is none"):
        pbtxt.from_json({"name": 5})


def test_comments_and_other_spellings_are_read():
    text = '# mine\nname: "a" "b"; max_batch_size: 0x10\ninput: < name: \'x\', dims: [1, -1] >'
    message = pbtxt.parse(text)
    assert (message.name, message.max_batch_size) == ("ab", 16)
    assert list(message.input[0].dims) == [1, -1]


# --- without a GPU ------------------------------------------------------------------------------

GPU = """
instance_group { name: "g" count: 2 kind: KIND_GPU gpus: [ 0, 1 ] profile: "p"
  secondary_devices { kind: KIND_NVDLA } }
optimization { cuda { graphs: true } execution_accelerators {
  gpu_execution_accelerator { name: "tensorrt" } } }
"""


def test_a_config_for_a_gpu_is_known_and_rehearsed_on_the_cpu():
    message = pbtxt.parse(GPU)
    assert pbtxt.needs_gpu(message)
    rehearsed = pbtxt.rehearse(message)
    assert rehearsed == pbtxt.parse('instance_group { name: "g" count: 2 kind: KIND_CPU }')
    assert not pbtxt.needs_gpu(rehearsed)
    assert message == pbtxt.parse(GPU)


def test_an_accelerator_alone_asks_for_a_gpu():
    text = "optimization { execution_accelerators { gpu_execution_accelerator { } } }"
    assert pbtxt.needs_gpu(pbtxt.parse(text))
    assert not pbtxt.needs_gpu(pbtxt.parse(text.replace("gpu_exec", "cpu_exec")))
    assert not pbtxt.needs_gpu(pbtxt.config("m", IMAGES, max_batch_size=4))


def test_a_rehearsal_drops_openvino_which_the_embedded_server_lacks():
    text = """optimization { priority: PRIORITY_MAX execution_accelerators {
      cpu_execution_accelerator { name: "openvino" } } }"""
    rehearsed = pbtxt.rehearse(pbtxt.parse(text))
    assert rehearsed == pbtxt.parse("optimization { priority: PRIORITY_MAX }")


def test_a_rehearsal_keeps_an_accelerator_that_no_server_knows():
    """It fails to load there as it will in production."""
    text = """optimization { execution_accelerators {
      cpu_execution_accelerator { name: "openvnio" } } }"""
    assert pbtxt.rehearse(pbtxt.parse(text)) == pbtxt.parse(text)


# --- does it fit --------------------------------------------------------------------------------


def edited(of, change, max_batch_size=8):
    message = pbtxt.config("m", of, max_batch_size=max_batch_size)
    change(message)
    return pbtxt.mismatch(message, of)


def test_why_a_config_does_not_fit():
    def says(change, of=IMAGES, **more):
        return edited(of, change, **more)

    assert says(lambda m: m.output[0].dims[:]) is None
    assert says(lambda m: m.input.pop()) == "input 'input' of the model is not listed"
    assert "'other'" in says(lambda m: setattr(m.input[0], "name", "other"))
    assert says(lambda m: setattr(m.input[0], "data_type", model_config_pb2.TYPE_FP16)) == (
        "'input' is TYPE_FP16 but the model has TYPE_FP32"
    )
    assert says(lambda m: m.output[0].dims.append(1)) == (
        "'output' has dims [1000, 1] but the model has [1000]"
    )
    assert "max_batch_size is 4" in says(
        lambda m: setattr(m, "max_batch_size", 4), SCALARS_ONLY, max_batch_size=0
    )


def test_an_input_may_be_narrowed_and_an_output_may_not():
    assert edited(TOKENS, lambda m: m.input[0].dims.__setitem__(0, 128)) is None
    assert edited(TOKENS, lambda m: m.output[1].dims.__setitem__(0, 128)) == (
        "'text' has dims [128] but the model has [-1]"
    )


def test_an_output_may_be_left_out():
    assert edited(TOKENS, lambda m: m.output.pop()) is None


def test_a_reshape_is_what_the_model_sees():
    def flat(message):
        message.input[0].dims[:] = [150528]
        message.input[0].reshape.shape.extend([3, 224, 224])

    assert edited(IMAGES, flat) is None


def test_a_score_without_its_reshape_does_not_fit():
    said = edited(SCORE, lambda m: m.output[0].ClearField("reshape"))
    assert said == "'score' has dims [1] but the model has []"


def test_the_generator_reaches_every_field():
    """The property above is worth as much as what it draws."""
    message = text_format.Parse(pbtxt.render(ModelConfig()), ModelConfig())
    assert message == ModelConfig()
    kinds = set()

    def walk(descriptor, seen):
        if descriptor.full_name in seen:
            return
        seen.add(descriptor.full_name)
        for field in descriptor.fields:
            kinds.add(field.type)
            if field.message_type:
                walk(field.message_type, seen)

    walk(ModelConfig.DESCRIPTOR, set())
    assert kinds - {F.TYPE_MESSAGE, F.TYPE_ENUM} <= set(SCALARS)
