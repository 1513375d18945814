"""From a spec and a proof to a config: accelerators, profiles, warm-up, labels, states."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from tritonforge import gate, pbtxt, release
from tritonforge.configuring import configure
from tritonforge.errors import ConfigError, SpecError
from tritonforge.proving import Proof
from tritonforge.repository import Stage
from tritonforge.spec import Domain, ModelSpec, Range
from tritonforge.tensors import DType, Signature, TensorSpec

TEXT = TensorSpec(name="text", dtype=DType.BYTES, dims=("batch",))


def tensor(name, *dims, dtype=DType.FP32):
    return TensorSpec(name=name, dtype=dtype, dims=("batch", *dims))


IDS = tensor("ids", "seq", dtype=DType.INT64)
ROWS = Signature(inputs=(tensor("x", 4),), outputs=(tensor("y", 3),))
TOKENS = Signature(inputs=(IDS, tensor("mask", "seq")), outputs=(tensor("y", "seq", 3),))
STEPS = Signature(
    inputs=(tensor("x", 4), tensor("h0", 2), tensor("start", 1)),
    outputs=(tensor("y", 4), tensor("h1", 2)),
)


@pytest.fixture
def stage(tmp_path):
    """Make an empty stage."""
    made = Stage(path=tmp_path / "stage")
    made.version_dir.mkdir(parents=True)
    return made


@pytest.fixture
def made(stage):
    """Configure a model of a signature."""

    def make(
        signature=ROWS, *, batch=16, golden=None, classes=(), drawn=None, flops=1000, **wishes
    ):
        said = {"source": "m.onnx", "target": release.find("24.10"), **wishes}
        proof = Proof(
            report=gate.GateReport(samples=1, outputs=()),
            signature=signature,
            max_batch_size=batch,
            unbatched=None,
            golden=(golden or {}, {}),
            steady=True,
            notes=(),
        )
        return configure("net", ModelSpec(**said), proof, classes, drawn or {}, flops, stage)

    return make


def parameters(message, name="tensorrt"):
    accelerators = message.optimization.execution_accelerators.gpu_execution_accelerator
    return {each.name: dict(each.parameters) for each in accelerators}[name]


# --- TensorRT -------------------------------------------------------------------------------------


def test_profiles_cover_every_dynamic_input_with_full_shapes(made):
    ranges = (("seq", Range(low=32, high=256, opt=128)),)
    told = parameters(made(TOKENS, accelerator="tensorrt", ranges=ranges).message)
    assert told["trt_profile_min_shapes"] == "ids:1x32,mask:1x32"
    assert told["trt_profile_opt_shapes"] == "ids:16x128,mask:16x128"
    assert told["trt_profile_max_shapes"] == "ids:16x256,mask:16x256"


def test_several_profiles_part_the_ranges(made):
    parts = {"seq": Range(high=64)}, {"seq": Range(low=65, high=512, opt=256)}
    ranges = (("seq", Range(high=512)),)
    told = parameters(made(TOKENS, accelerator="tensorrt", ranges=ranges, profiles=parts).message)
    assert told["trt_profile_max_shapes"] == "ids:16x64,mask:16x64,ids:16x512,mask:16x512"
    assert told["trt_profile_opt_shapes"] == "ids:16x64,mask:16x64,ids:16x256,mask:16x256"


def test_a_dimension_without_an_end_is_told(made):
    with pytest.raises(SpecError, match="'seq'") as caught:
        made(TOKENS, accelerator="tensorrt")
    assert "--range seq=1..512" in caught.value.hint


def test_engines_are_cached_by_model_under_an_absolute_path(made):
    told = parameters(made(accelerator="tensorrt").message)
    assert told["trt_engine_cache_enable"] == "1"
    assert told["trt_engine_cache_path"] == "/var/cache/tensorrt/net"
    assert told["trt_engine_cache_prefix"] == "net"
    assert told["trt_timing_cache_path"] == "/var/cache/tensorrt/net"


def test_an_older_target_gets_what_it_can_and_a_sentence(made):
    found = made(accelerator="tensorrt", target=release.find("24.03"), precision="fp16")
    assert set(parameters(found.message)) == {
        "precision_mode",
        "trt_engine_cache_enable",
        "trt_engine_cache_path",
    }
    assert any("24.03 takes no optimization profiles, 24.04 is" in each for each in found.notes)
    assert any("trt_engine_cache_prefix, trt_timing_cache" in each for each in found.notes)


@pytest.mark.parametrize(
    ("tag", "precision", "mode"),
    [
        ("22.12", "fp32", None),
        ("22.12", "int8", "INT8"),
        ("24.10", "fp16", "FP16"),
        ("26.05", "bf16", "BF16"),
        ("26.06", "fp16", None),
    ],
)
def test_the_precision_is_said_where_that_has_an_effect(made, tag, precision, mode):
    found = made(accelerator="tensorrt", target=release.find(tag), precision=precision)
    assert parameters(found.message).get("precision_mode") == mode


def test_a_precision_that_a_target_has_not_is_an_error(made):
    with pytest.raises(SpecError, match="BF16"):
        made(accelerator="tensorrt", precision="bf16")
    with pytest.raises(SpecError, match="writes no BF16"):
        made(accelerator="tensorrt", precision="bf16", target=release.find("26.06"))


def test_options_go_by_name_and_the_target_is_asked_for_them(made):
    level = {"trt_builder_optimization_level": "5"}
    assert parameters(made(accelerator="tensorrt", tensorrt=level).message).items() >= level.items()
    with pytest.raises(SpecError, match=r"release 24\.03 would refuse .*optimization_level"):
        made(accelerator="tensorrt", tensorrt=level, target=release.find("24.03"))
    with pytest.raises(SpecError, match="trt_builder_optimization_level"):
        made(accelerator="tensorrt", tensorrt={"trt_builder_optimization_level": "much"})


# --- CUDA, OpenVINO, CPU --------------------------------------------------------------------------


def test_what_the_backend_sets_anew_behind_cuda_is_a_parameter_of_the_model(made):
    options = {
        "cudnn_conv_algo_search": "HEURISTIC",
        "gpu_mem_limit": "1000000",
        "arena_extend_strategy": "kSameAsRequested",
        "do_copy_in_default_stream": "0",
        "use_tf32": "0",
    }
    message = made(accelerator="cuda", cuda=options).message
    assert parameters(message, "cuda") == {"use_tf32": "0"}
    assert {key: each.string_value for key, each in message.parameters.items()} == {
        "cudnn_conv_algo_search": "1",
        "gpu_mem_limit": "1000000",
        "arena_extend_strategy": "1",
        "do_copy_in_default_stream": "0",
    }


def test_cuda_without_options_is_an_instance_on_a_gpu(made):
    message = made(accelerator="cuda", target=release.find("22.12")).message
    assert not message.HasField("optimization")
    assert pbtxt.needs_gpu(message)
    with pytest.raises(SpecError, match="cuda"):
        made(accelerator="cuda", cuda={"use_tf32": "0"}, target=release.find("24.05"))


def test_openvino_is_asked_for_by_name_and_runs_on_the_cpu(made):
    message = made(accelerator="openvino", cores=8).message
    assert pbtxt.needs_openvino(message)
    assert [(each.count, each.kind) for each in message.instance_group] == [(1, 2)]
    assert not message.parameters


def test_what_tensorrt_leaves_to_cuda_runs_under_cudas_options(made):
    options = {"gpu_mem_limit": "1000000", "use_tf32": "0"}
    message = made(accelerator="tensorrt", cuda=options).message
    told = message.optimization.execution_accelerators.gpu_execution_accelerator
    assert [each.name for each in told] == ["tensorrt", "cuda"]
    assert message.parameters["gpu_mem_limit"].string_value == "1000000"


def test_threads_share_the_declared_cores(made):
    large = partial(made, flops=10**10, cores=8)
    message = large().message
    assert message.parameters["intra_op_thread_count"].string_value == "8"
    assert message.instance_group[0].kind == 2  # KIND_CPU
    message = large(config={"instance_group": {"count": 3}}).message
    assert message.parameters["intra_op_thread_count"].string_value == "2"
    said = {"instance_group": {"count": 3}, "parameters": {"intra_op_thread_count": 5}}
    message = large(config=said).message
    assert message.parameters["intra_op_thread_count"].string_value == "5"


def test_the_config_says_in_a_comment_why(made):
    text = made().text
    assert "# a row takes 1 kFLOPs: too little to share" in text
    assert "so each instance has one" in text
    assert made(cores=8).message.instance_group[0].count == 4
    assert pbtxt.parse(text) == made().message
    assert "# a row takes 10 GFLOPs: one instance with all cores" in made(flops=10**10).text
    assert "# what a row takes is not known: one instance" in made(flops=None).text
    assert "# one instance for each GPU" in made(accelerator="cuda").text
    assert "#" not in made(config={"instance_group": [{"count": 2}]}).text


# --- warm-up --------------------------------------------------------------------------------------


def test_every_batch_bucket_and_corner_is_warmed_up_on_a_gpu(made, stage):
    ranges = (("seq", Range(low=2, high=8, opt=4)),)
    wish = {"dynamic_batching": {"preferred_batch_size": [4]}}
    drawn = {"ids": Domain(kind="integers", low=5, high=9), "mask": Domain(kind="mask")}
    found = made(TOKENS, accelerator="tensorrt", ranges=ranges, config=wish, drawn=drawn)
    names = [(each.name, each.batch_size) for each in found.message.model_warmup]
    assert names == [(f"batch {size}, seq {seq}", size) for seq in (2, 8, 4) for size in (1, 4, 16)]
    last = found.message.model_warmup[-1].inputs["ids"]
    assert (list(last.dims), last.input_data_file) == ([4], "2-0-ids")
    values = np.fromfile(stage.path / "warmup" / "2-0-ids", "<i8")
    assert len(values) == 4
    assert ((values >= 5) & (values < 9)).all()
    assert "# run before the server is ready at the ends and the optimum of seq" in found.text


def test_a_cpu_is_not_warmed_up_unless_that_is_asked_for(made, stage):
    assert not made().message.model_warmup
    found = made(warmup="zero")
    assert [each.name for each in found.message.model_warmup] == ["batch 1", "batch 16"]
    assert found.message.model_warmup[0].inputs["x"].zero_data
    assert "# run before the server is ready, so that no request waits for kernels" in found.text
    assert not (stage.path / "warmup").exists()
    assert not made(accelerator="cuda", warmup="none").message.model_warmup


def test_the_golden_sample_is_laid_out_as_the_server_wants_it(made, stage):
    row = np.arange(4, dtype=np.float32)[None]
    found = made(warmup="golden", golden={"x": row})
    assert found.message.model_warmup[1].inputs["x"].input_data_file == "0-0-x"
    assert (stage.path / "warmup" / "0-0-x").read_bytes() == row.tobytes()


def test_texts_are_written_with_their_lengths(made, stage):
    texts = Signature(inputs=(tensor("t", 2, dtype=DType.BYTES),), outputs=ROWS.outputs)
    made(texts, warmup="golden", golden={"t": np.array([[b"ab", b""]], object)})
    assert (stage.path / "warmup" / "0-0-t").read_bytes() == b"\2\0\0\0ab\0\0\0\0"


def test_a_model_that_does_not_batch_is_warmed_up_with_whole_shapes(made):
    fixed = Signature(
        inputs=(TensorSpec(name="x", dtype=DType.FP32, dims=(3, 4)),),
        outputs=(TensorSpec(name="y", dtype=DType.FP32, dims=()),),
    )
    (sample,) = made(fixed, batch=0, warmup="zero").message.model_warmup
    assert (sample.name, sample.batch_size, list(sample.inputs["x"].dims)) == ("once", 1, [3, 4])


def test_no_sample_leaves_its_profile(made):
    parts = {"batch": Range(high=4), "seq": Range(low=33, high=64)}, {"seq": Range(high=32)}
    rest = ({"batch": Range(low=5, high=16), "seq": Range(low=33, high=64)},)
    found = made(
        TOKENS,
        accelerator="tensorrt",
        ranges=(("seq", Range(high=64)),),
        profiles=(*parts, *rest),
        warmup="zero",
    )
    plan = {(each.batch_size, each.inputs["ids"].dims[0]) for each in found.message.model_warmup}
    assert {size for size, seq in plan if seq == 33} == {1, 4, 5, 16}
    assert {size for size, seq in plan if seq == 32} == {1, 16}
    names = [each.name for each in found.message.model_warmup]
    assert len(set(names)) == len(names)


def test_files_of_inputs_with_names_alike_are_apart(made, stage):
    both = Signature(inputs=(tensor("x_", 1), tensor("x", 1)), outputs=ROWS.outputs)
    made(
        both,
        warmup="golden",
        golden={n: np.full((1, 1), v, np.float32) for n, v in (("x_", 1), ("x", 2))},
    )
    assert [np.fromfile(stage.path / "warmup" / f"0-{n}-x", "<f4")[0] for n in (0, 1)] == [1, 2]


def test_samples_that_a_person_wrote_stand_alone(made):
    wish = {
        "model_warmup": [
            {
                "name": "mine",
                "batch_size": 1,
                "inputs": {"x": {"data_type": "TYPE_FP32", "dims": [4], "zero_data": True}},
            }
        ]
    }
    found = made(accelerator="cuda", config=wish)
    assert [each.name for each in found.message.model_warmup] == ["mine"]


# --- labels ---------------------------------------------------------------------------------------


def test_classes_that_the_source_knows_are_written_where_they_fit(made, stage):
    assert made(classes=("cat", "dog")).message.output[0].label_filename == ""
    found = made(classes=("cat", "dog", "cow"))
    assert found.message.output[0].label_filename == "labels.txt"
    assert (stage.path / "labels.txt").read_text() == "cat\ndog\ncow\n"


def test_labels_of_ones_own_are_held_against_the_output(made, stage, tmp_path):
    path = tmp_path / "names"
    path.write_text("a\nb\nc\n")
    assert made(labels=(("y", path),)).message.output[0].label_filename == "labels.txt"
    assert (stage.path / "labels.txt").read_text() == "a\nb\nc\n"
    for name, text, said in (
        ("z", "a\nb\nc", "output 'z', which the model does not have"),
        ("y", "a\n", "names 1 class, and the output y:FP32:batch,3 has 3"),
        ("y", "", "names 0 classes"),
        ("y", b"\xff\n", "cannot be read"),
        ("y", None, "No such file"),
    ):
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(SpecError, match=said):
            made(labels=((name, path),))


# --- sequences ------------------------------------------------------------------------------------


def test_triton_keeps_the_states_of_a_recurrent_model(made):
    control = {
        "control_input": [
            {
                "name": "start",
                "control": [{"kind": "CONTROL_SEQUENCE_START", "fp32_false_true": [0, 1]}],
            }
        ]
    }
    found = made(STEPS, states=(("h0", "h1"),), config={"sequence_batching": control})
    message = found.message
    assert [each.name for each in message.input] == ["x"]
    assert [each.name for each in message.output] == ["y"]
    (state,) = message.sequence_batching.state
    assert (state.input_name, state.output_name, list(state.dims)) == ("h0", "h1", [2])
    assert state.initial_state[0].zero_data
    assert list(state.initial_state[0].dims) == [2]
    assert message.sequence_batching.HasField("direct")
    assert not message.HasField("dynamic_batching")


def test_no_sequence_is_warmed_up(made):
    control = {"sequence_batching": {"oldest": {"max_candidate_sequences": 2}}}
    assert not made(accelerator="cuda", config=control).message.model_warmup
    with pytest.raises(SpecError, match="belongs to no sequence"):
        made(warmup="zero", config=control)


def test_a_default_of_others_does_not_drop_a_state(made):
    wish = {"dynamic_batching": {"max_queue_delay_microseconds": 100}}
    message = made(STEPS, states=(("h0", "h1"),), config=wish).message
    assert len(message.sequence_batching.state) == 1
    for gone in (False, {"state": []}):
        with pytest.raises(SpecError, match="the state h0:h1 is asked for, and the rest"):
            made(STEPS, states=(("h0", "h1"),), config={"sequence_batching": gone})


def test_an_output_that_is_the_only_one_stays_listed(made):
    alone = Signature(inputs=STEPS.inputs[:2], outputs=STEPS.outputs[1:])
    message = made(alone, states=(("h0", "h1"),)).message
    assert [each.name for each in message.output] == ["h1"]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ((("h9", "h1"),), "names the input 'h9', which the model does not have: it has x, h0"),
        ((("h0", "h9"),), "names the output 'h9'"),
        ((("x", "h1"),), "cannot become the input x:FP32:batch,4: 2 is not 4"),
        ((("h0", "h1"), ("x", "h1")), "two states take the output 'h1'"),
    ],
)
def test_a_state_that_does_not_fit_is_told(made, states, said):
    with pytest.raises(SpecError, match=said):
        made(STEPS, states=states)


def test_a_state_that_grows_is_told(made):
    grows = Signature(inputs=(tensor("x", 4), tensor("h0", "n")), outputs=(tensor("h1", "n"),))
    with pytest.raises(SpecError, match="dynamic dimension"):
        made(grows, states=(("h0", "h1"),))


def test_a_control_tensor_that_the_model_has_not_is_told(made):
    control = [{"name": "go", "control": [{"kind": "CONTROL_SEQUENCE_READY"}]}]
    with pytest.raises(SpecError, match="'go' is to be filled in by Triton"):
        made(config={"sequence_batching": {"control_input": control}})


# --- what nobody would take -----------------------------------------------------------------------


def test_what_the_target_would_refuse_is_an_error_and_what_it_ignores_a_note(made):
    with pytest.raises(SpecError, match=r"24\.10 would refuse the config: dynamic_batching"):
        made(config={"dynamic_batching": {"preferred_batch_size": [64]}})
    with pytest.raises(SpecError, match="model_metrics"):
        made(config={"model_metrics": {"metric_control": []}})
    notes = made(config={"parameters": {"intra_op_thread_cuont": 3}}).notes
    assert any("intra_op_thread_cuont" in each for each in notes)


@pytest.mark.parametrize("name", ["../x.onnx", "/x.onnx", "a/b.onnx", "x", ".onnx", "..onnx"])
def test_a_name_of_the_file_that_leads_elsewhere_is_told(made, name):
    with pytest.raises(SpecError, match="no name of a file"):
        made(config={"default_model_filename": name})


# --- a team's own templates -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("name: {{ config.nam }}\n", r"config\.pbtxt\.j2:1: .*nam"),
        ("{% if %}", r"config\.pbtxt\.j2:1: Expected"),
        ("\n{{ ''.__class__.__mro__ }}", r"config\.pbtxt\.j2:2: .*unsafe"),
        ("{{ 1 / 0 }}", r"config\.pbtxt\.j2:1: ZeroDivisionError"),
        ("{% include 'other' %}", "other"),
        (f"{{% for _ in range(9999) %}}{'x' * 9999}{{% endfor %}}", "grows beyond 64 MiB"),
        ("name: 'net' max_batch_siz: 4", r"1:13.*max_batch_siz"),
        ("name: 'net' backend: 'onnxruntime' input { name: 'z' }", "does not fit the model"),
        (
            "name: 'victim' backend: 'onnxruntime'",
            "has the name 'victim', and this model's is 'net'",
        ),
        ("name: 'net' backend: 'python'", "has the backend 'python'"),
        ("{{ config | rest }} platform: 'x'", "has the platform 'x'"),
    ],
)
def test_a_template_that_fails_is_told_with_its_line(made, tmp_path, template, said):
    (tmp_path / "config.pbtxt.j2").write_text(template)
    with pytest.raises(ConfigError, match=said):
        made(templates=tmp_path)


@pytest.mark.parametrize("name", ["golden.npz", "../../x.onnx", ".."])
def test_a_template_cannot_lead_the_file_elsewhere(made, tmp_path, name):
    text = "{{ config | rest }} default_model_filename: '" + name + "'\n"
    (tmp_path / "config.pbtxt.j2").write_text(text)
    with pytest.raises(SpecError, match="no name of a file"):
        made(templates=tmp_path)


def test_a_template_of_ones_own_goes_before_ours(made, tmp_path):
    (tmp_path / "config.pbtxt.j2").write_text(
        "# Property of the vision team.\n{% include 'inner' %}\n"
        "parameters { key: 'enable_mem_arena' value { string_value: '0' } }\n"
    )
    (tmp_path / "inner").write_text("{{ config | rest }}")
    found = made(templates=tmp_path)
    assert found.text.startswith("# Property of the vision team.")
    assert found.message.parameters["enable_mem_arena"].string_value == "0"
    assert found.message.input == made().message.input
    assert replace(found, text="").message.name == "net"


def test_a_folder_without_templates_is_told(made, tmp_path):
    with pytest.raises(SpecError, match="no folder"):
        made(templates=tmp_path / "none")
    with pytest.raises(SpecError, match=r"holds no config\.pbtxt\.j2"):
        made(templates=tmp_path)


@pytest.mark.parametrize(
    ("wishes", "at"),
    [
        (
            {"accelerator": "tensorrt", "tensorrt": {"trt_dla_core": "x"}},
            ("tensorrt", "trt_dla_core"),
        ),
        ({"config": {"dynamic_batching": {"preferred_batch_size": [64]}}}, ("dynamic_batching",)),
    ],
)
def test_an_error_knows_the_key_that_it_is_about(made, wishes, at):
    with pytest.raises(SpecError) as caught:
        made(**wishes)
    assert caught.value.at[: len(at)] == at
