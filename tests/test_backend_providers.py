"""The providers of an instance: as the C++ backend appends them, and never fewer in silence."""

import json
from pathlib import Path

import backend
import numpy as np
import pytest
import tiny

from tritonforge import client, process, server, toolchain
from tritonforge.errors import ServerError
from tritonforge.progress import silent
from tritonforge.serving import serving
from tritonforge.toolchain import environment, layout, machine, pins

CPU = ("CPUExecutionProvider", {})
DEFAULTS = {
    "device_id": "1",
    "cudnn_conv_algo_search": "EXHAUSTIVE",
    "gpu_mem_limit": "18446744073709551615",
    "arena_extend_strategy": "kNextPowerOfTwo",
    "do_copy_in_default_stream": "1",
}
ON_GPU = "instance_group { kind: KIND_GPU gpus: 0 }"


def config(*accelerators, **parameters):
    """Lay out a config as Triton's JSON; an accelerator is `(name, parameters)`."""
    listed = [{"name": name, "parameters": given} for name, given in accelerators]
    return {
        "optimization": {"execution_accelerators": {"gpu_execution_accelerator": listed}},
        "parameters": {key: {"string_value": text} for key, text in parameters.items()},
    }


def test_an_instance_on_the_cpu_has_no_other_provider(parts):
    wanted = config(("tensorrt", {}), ("nonsense", {}), cudnn_conv_algo_search="9")
    assert parts.ort_providers.providers(wanted, "CPU", "0") == [CPU]


def on_cpu(name):
    return {
        "optimization": {"execution_accelerators": {"cpu_execution_accelerator": [{"name": name}]}}
    }


@pytest.mark.parametrize("kind", ["CPU", "GPU"])
def test_an_accelerator_for_the_cpu_concerns_every_instance(parts, kind):
    names = [name for name, _ in parts.ort_providers.providers(on_cpu("openvino"), kind, "0")]
    assert names[-2:] == ["OpenVINOExecutionProvider", "CPUExecutionProvider"]
    with pytest.raises(parts.ort_options.ConfigError, match="unknown Execution Accelerator 'mkl'"):
        parts.ort_providers.providers(on_cpu("mkl"), kind, "0")


def test_openvino_is_known_and_not_there(parts, tmp_path):
    folder = tiny.double(tmp_path) / "1"
    with pytest.raises(parts.ort_options.ConfigError) as caught:
        parts.ort_open.load(on_cpu("openvino"), folder, "CPU", "0")
    assert str(caught.value) == (
        "OpenVINOExecutionProvider cannot be used: the embedded server comes without OpenVINO"
    )


def test_cuda_comes_after_tensorrt_whatever_is_asked_for(parts):
    given = {
        "precision_mode": "FP16",
        "max_workspace_size_bytes": "1073741824",
        "trt_engine_cache_enable": "true",
        "trt_builder_optimization_level": "5",
        "trt_profile_min_shapes": "x:1x4",
        "trt_engine_cache_path": "",
    }
    tensorrt = {
        "trt_fp16_enable": "1",
        "trt_max_workspace_size": "1073741824",
        "trt_engine_cache_enable": "true",
        "trt_builder_optimization_level": "5",
        "trt_profile_min_shapes": "x:1x4",
    }
    found = parts.ort_providers.providers(config(("tensorrt", given)), "GPU", "1")
    expected = ("TensorrtExecutionProvider", tensorrt)
    assert found == [expected, ("CUDAExecutionProvider", DEFAULTS), CPU]
    cuda = ("CUDAExecutionProvider", DEFAULTS)
    assert parts.ort_providers.providers({}, "GPU", "1") == [cuda, CPU]


def test_deprecated_parameters_win_over_the_accelerator_even_where_they_are_absent(parts):
    accelerator = ("cuda", {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"})
    wanted = config(accelerator, gpu_mem_limit="4096", arena_extend_strategy="1")
    (_, options), _ = parts.ort_providers.providers(wanted, "GPU", "1")
    changed = {
        "use_tf32": "0",
        "gpu_mem_limit": "4096",
        "arena_extend_strategy": "kSameAsRequested",
    }
    assert options == DEFAULTS | changed


@pytest.mark.parametrize(
    ("accelerators", "parameters", "words"),
    [
        ([("openvino", {})], {}, "unknown Execution Accelerator 'openvino' is requested"),
        (
            [("tensorrt", {"trt_fp16_enable": "1"})],
            {},
            "unknown parameter 'trt_fp16_enable' is provided for TensorRT Execution Accelerator",
        ),
        ([("tensorrt", {"precision_mode": "BF16"})], {}, "unsupported precision mode 'BF16' is"),
        (
            [("tensorrt", {"max_workspace_size_bytes": "a lot"})],
            {},
            "failed to convert 'a lot' to unsigned long long integral number",
        ),
        (
            [("tensorrt", {"trt_dla_core": "a"})],
            {},
            "failed to convert 'a' to integral number",
        ),
        ([("tensorrt", {"trt_dla_enable": "yes"})], {}, "failed to convert 'yes' to boolean"),
        (
            [("cuda", {"use_ep_level_unified_stream": "yes"})],
            {},
            "failed to convert 'yes' to boolean",
        ),
        (
            [],
            {"cudnn_conv_algo_search": "3"},
            "unsupported cudnn_conv_algo_search value '3' is requested",
        ),
        ([], {"cudnn_conv_algo_search": ""}, "failed to convert '' to integral number"),
        (
            [],
            {"arena_extend_strategy": "-1"},
            "unsupported arena_extend_strategy value '-1' is requested",
        ),
    ],
)
def test_what_the_real_backend_refuses_is_refused_in_its_words(
    parts, accelerators, parameters, words
):
    with pytest.raises(parts.ort_options.ConfigError, match=words):
        parts.ort_providers.providers(config(*accelerators, **parameters), "GPU", "0")


def test_an_onnx_runtime_without_the_provider_does_not_run_on_the_cpu_instead(parts, tmp_path):
    path = tiny.double(tmp_path) / "1" / "model.onnx"
    options = parts.ort_options.session_options({})
    wanted = parts.ort_providers.providers({}, "GPU", "0")
    with pytest.raises(parts.ort_options.ConfigError, match="CUDAExecutionProvider cannot be used"):
        parts.ort_open.session(path, options, wanted)
    assert parts.ort_open.session(path, options, [CPU]).get_providers() == [CPU[0]]


def test_it_never_goes_over_to_the_cpu_between_requests_either(parts, tmp_path):
    path = tiny.double(tmp_path) / "1" / "model.onnx"
    opened = parts.ort_open.session(path, parts.ort_options.session_options({}), [CPU])
    assert opened._enable_fallback is False  # on a failed run it would open the file anew


def test_a_config_is_completed_on_a_gpu_where_any_instance_is_for_one(parts, tmp_path):
    path = str(tiny.double(tmp_path) / "1" / "model.onnx")
    groups = [{"kind": "KIND_CPU"}, {"kind": "KIND_GPU"}]
    wanted = {"name": "double", "default_model_filename": "model.onnx"}
    complete = parts.ort_complete
    assert complete.session(wanted | {"instance_group": groups[:1]}, path).get_inputs()
    with pytest.raises(parts.ort_options.ConfigError, match="CUDAExecutionProvider cannot be used"):
        complete.session(wanted | {"instance_group": groups}, path)


# --- the environment for a GPU, on a machine that may have none ---------------------------------

OPENS = """
import json, sys
sys.path.insert(0, sys.argv[1])
import ort_open, ort_options, ort_providers
config = json.loads(sys.argv[3])
try:
    providers = ort_providers.providers(config, "GPU", "0")
    opened = ort_open.session(sys.argv[2], ort_options.session_options(config), providers)
    print(*opened.get_providers())
except ort_options.ConfigError as error:
    print("refused:", error)
"""


@pytest.mark.slow
def test_its_environment_never_runs_a_model_for_a_gpu_on_the_cpu(tmp_path):
    wheels = pins.choices(gpu=True)
    interpreter = machine.interpreter(tuple(each.python for each in wheels))
    chosen = next(each for each in wheels if each.python == interpreter.minor)
    environment.make(tmp_path / "made", chosen, interpreter, progress=silent)
    made = layout.read(tmp_path / "made", chosen)
    assert made.gpu

    tiny.double(tmp_path / "models")
    path = tmp_path / "models" / "double" / "1" / "model.onnx"
    python = str(made.root / "bin" / "python3")
    for wanted, words in (
        (config(), "refused: CUDAExecutionProvider cannot be used: "),
        (config(("tensorrt", {})), "refused: TensorrtExecutionProvider cannot be used: the embed"),
    ):
        argv = [python, "-c", OPENS, str(backend.FOLDER), str(path), json.dumps(wanted)]
        said = process.run(argv, timeout=120, environment=made.environment, quiet=True).output
        assert words in said

    rows = np.ones((2, 4), np.float32)
    with (
        server.serving(tmp_path / "models", made) as endpoint,
        client.remote(endpoint, "double") as run,
    ):
        np.testing.assert_array_equal(run({"x": rows})["y"], 2)
    text = path.parents[1] / "config.pbtxt"
    text.write_text(text.read_text().replace("KIND_CPU", "KIND_GPU"))
    with (
        pytest.raises(ServerError, match="has kind KIND_GPU but no GPUs are available"),
        server.serving(tmp_path / "models", made),
    ):
        pass


# --- with a GPU ---------------------------------------------------------------------------------


def placed(repository: Path, more: str = "") -> None:
    """Place a model for GPU 0."""
    folder = tiny.double(repository, more=more)
    text = (folder / "config.pbtxt").read_text()
    (folder / "config.pbtxt").write_text(
        text.replace("instance_group { count: 1 kind: KIND_CPU }", ON_GPU)
    )


@pytest.mark.gpu
def test_a_config_for_a_gpu_is_served_there_and_not_rehearsed(real_gpu, tmp_path):
    del real_gpu
    placed(tmp_path)
    told = []
    with serving(tmp_path, rehearsed=told.append) as endpoint:
        assert not endpoint.rehearsal
        with client.remote(endpoint, "double") as run:
            np.testing.assert_array_equal(run({"x": np.ones((2, 4), np.float32)})["y"], 2)
    assert told == []
    made = toolchain.own()
    argv = [str(made.root / "bin" / "python3"), "-c", OPENS, str(backend.FOLDER)]
    argv += [str(tmp_path / "double" / "1" / "model.onnx"), "{}"]
    said = process.run(argv, timeout=120, environment=made.environment, quiet=True).output
    assert "CUDAExecutionProvider CPUExecutionProvider" in said


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tensorrt", "the embedded server comes without TensorRT"),
        ("nonsense", "unknown Execution Accelerator 'nonsense' is requested"),
    ],
)
def test_an_accelerator_that_is_not_there_fails_the_load(real_gpu, tmp_path, name, words):
    del real_gpu
    accelerator = f'gpu_execution_accelerator {{ name: "{name}" }}'
    placed(tmp_path, f"optimization {{ execution_accelerators {{ {accelerator} }} }}")
    with pytest.raises(ServerError, match=words), serving(tmp_path):
        pass
