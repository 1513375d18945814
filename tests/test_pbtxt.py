import math

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.grpc import model_config_pb2

from tritonforge import pbtxt
from tritonforge.errors import ConfigError
from tritonforge.pbtxt import ModelConfig
from tritonforge.tensors import DType, Signature, TensorSpec

# --- every message that the proto can say -------------------------------------------------------

WHOLE = {
    F.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    F.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    F.TYPE_UINT32: st.integers(0, 2**32 - 1),
    F.TYPE_UINT64: st.integers(0, 2**64 - 1),
}
# What breaks text: quotes, escapes, comments, brackets, and everything that some reader takes for
# the end of a line.
NASTY = st.sampled_from(["\r\n", "{{ x }}", "{% if %}", "日本"]) | st.sampled_from(
    list("\"'\\\n\r\t\0#}ü\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff")
)
TEXTS = st.lists(NASTY | st.text(max_size=4), max_size=4).map("".join)
SCALARS = {
    **WHOLE,
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_FLOAT: st.floats(width=32, allow_nan=False),  # NaN is not equal to itself
    F.TYPE_DOUBLE: st.floats(allow_nan=False),
    F.TYPE_STRING: TEXTS,
    F.TYPE_BYTES: st.binary(max_size=6),
}


def values(field, depth):
    """Draw a value of a field, whatever its kind."""
    if field.type == F.TYPE_MESSAGE:
        return messages(field.message_type, depth - 1)
    if field.type == F.TYPE_ENUM:
        known = sorted(field.enum_type.values_by_number)
        # Proto3 keeps numbers that a newer schema names.
        return st.sampled_from(known) | st.integers(max(known) + 1, 2**31 - 1)
    return SCALARS[field.type]


def is_map(field):
    return field.type == F.TYPE_MESSAGE and field.message_type.GetOptions().map_entry


def fields_of(descriptor, depth):
    """List the fields that may be set: at the bottom of the depth no more messages."""
    return [each for each in descriptor.fields if depth > 0 or each.type != F.TYPE_MESSAGE]


@st.composite
def messages(draw, descriptor, depth=5):
    """Draw plain data in the form of a message: a few of its fields, at most one of each oneof."""
    chosen = (
        draw(
            st.lists(
                st.sampled_from(fields_of(descriptor, depth)),
                max_size=3,
                unique_by=lambda f: f.containing_oneof.name if f.containing_oneof else f.name,
            )
        )
        if fields_of(descriptor, depth)
        else []
    )
    return {field.name: (field, draw(content(field, depth))) for field in chosen}


def content(field, depth):
    """Draw all that one field holds."""
    if is_map(field):
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        return st.dictionaries(SCALARS[key.type], values(value, depth - 1), max_size=2)
    if field.is_repeated:
        return st.lists(values(field, depth), max_size=3)
    return values(field, depth)


def fill(message, data):
    """Put drawn data into a message."""
    for name, (field, value) in data.items():
        target = getattr(message, name)
        if is_map(field):
            of_messages = field.message_type.fields_by_name["value"].type == F.TYPE_MESSAGE
            for key, item in value.items():
                if of_messages:
                    fill(target[key], item)
                else:
                    target[key] = item
        elif field.is_repeated and field.type == F.TYPE_MESSAGE:
            for item in value:
                fill(target.add(), item)
        elif field.is_repeated:
            target.extend(value)
        elif field.type == F.TYPE_MESSAGE:
            target.SetInParent()
            fill(target, value)
        else:
            setattr(message, name, value)
    return message


CONFIGS = messages(ModelConfig.DESCRIPTOR).map(lambda data: fill(ModelConfig(), data))


@st.composite
def one_path(draw):
    """Set one field that lies somewhere deep, so that every one comes up."""
    root = message = ModelConfig()
    descriptor = ModelConfig.DESCRIPTOR
    while True:
        field = draw(st.sampled_from(list(descriptor.fields)))
        if field.type != F.TYPE_MESSAGE:
            return fill(message, {field.name: (field, draw(content(field, 1)))}) and root
        descriptor, target = field.message_type, getattr(message, field.name)
        if is_map(field):
            key, value = (descriptor.fields_by_name[name] for name in ("key", "value"))
            index = draw(SCALARS[key.type])
            if value.type != F.TYPE_MESSAGE:
                target[index] = draw(SCALARS[value.type])
                return root
            message, descriptor = target[index], value.message_type
        elif field.is_repeated:
            message = target.add()
        else:
            target.SetInParent()
            message = target
        if not descriptor.fields:
            return root


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
