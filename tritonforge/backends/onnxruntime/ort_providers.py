"""Which execution providers an instance gets, with the C++ backend's meanings and words.

Source: triton-inference-server/onnxruntime_backend, `onnxruntime.cc` LoadModel, release 24.10.
"""

from ort_options import ConfigError, boolean, integer, parameters, size

CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"

_PRECISIONS = {
    "FP32": {},
    "FP16": {"trt_fp16_enable": "1"},
    "INT8": {"trt_int8_enable": "1"},
}
_TENSORRT_BOOLEANS = (
    *("trt_dla_enable", "trt_engine_cache_enable", "trt_dump_subgraphs", "trt_sparsity_enable"),
    *("trt_force_sequential_engine_build", "trt_context_memory_sharing_enable"),
    *("trt_layer_norm_fp32_fallback", "trt_timing_cache_enable", "trt_force_timing_cache"),
    *("trt_detailed_build_log", "trt_build_heuristics_enable", "trt_cuda_graph_enable"),
    "trt_dump_ep_context_model",
)
_TENSORRT_INTEGERS = (
    *("trt_max_partition_iterations", "trt_min_subgraph_size", "trt_dla_core"),
    *("trt_builder_optimization_level", "trt_auxiliary_streams", "trt_ep_context_embed_mode"),
)
_TENSORRT_TEXTS = (
    *("trt_engine_cache_path", "trt_engine_cache_prefix", "trt_timing_cache_path"),
    *("trt_tactic_sources", "trt_extra_plugin_lib_paths", "trt_profile_min_shapes"),
    *("trt_profile_max_shapes", "trt_profile_opt_shapes", "trt_ep_context_file_path"),
)
# The key in the config: the option of ONNX Runtime, and what reads its value, as a check: the
# text is handed on as it is.
_TENSORRT = {
    "max_workspace_size_bytes": ("trt_max_workspace_size", size),
    "int8_calibration_table_name": ("trt_int8_calibration_table_name", str),
    "int8_use_native_calibration_table": ("trt_int8_use_native_calibration_table", boolean),
    **{key: (key, boolean) for key in _TENSORRT_BOOLEANS},
    **{key: (key, integer) for key in _TENSORRT_INTEGERS},
    **{key: (key, str) for key in _TENSORRT_TEXTS},
}
_CUDA_BOOLEANS = {"do_copy_in_default_stream", "use_ep_level_unified_stream"}
_SEARCHES = ("EXHAUSTIVE", "HEURISTIC", "DEFAULT")
_STRATEGIES = ("kNextPowerOfTwo", "kSameAsRequested")


def providers(config, kind, device):
    """Return the providers of an instance with their options, in the order of preference.

    `kind` and `device` are the instance's as Triton gives them, such as `GPU` and `0`.
    """
    accelerators = config.get("optimization", {}).get("execution_accelerators", {})
    found = []
    if kind == "GPU":
        asked = accelerators.get("gpu_execution_accelerator", [])
        found = _on_gpu(asked, device, parameters(config))
    for each in accelerators.get("cpu_execution_accelerator", []):  # whatever the instance's kind
        if each.get("name") != "openvino":
            raise ConfigError(f"unknown Execution Accelerator '{each.get('name')}' is requested")
        found.append((OPENVINO, {"device_type": "CPU"}))
    return [*found, (CPU, {})]


def _on_gpu(accelerators, device, deprecated):
    """Return what an instance on a GPU has before the CPU's."""
    found, cuda = [], {}
    for each in accelerators:
        name, given = each.get("name"), each.get("parameters", {})
        if name == "tensorrt":
            found.append((TENSORRT, _tensorrt(given)))
        elif name == "cuda":
            cuda |= _cuda(given)
        else:
            raise ConfigError(f"unknown Execution Accelerator '{name}' is requested")
    cuda |= {"device_id": str(device), **_deprecated(deprecated)}
    return [*found, (CUDA, cuda)]


def _tensorrt(given):
    """Return TensorRT's options; without a device, which 24.10 does not pass on either."""
    options = {}
    for key, value in given.items():
        if key == "precision_mode":
            if value not in _PRECISIONS:
                raise ConfigError(f"unsupported precision mode '{value}' is requested")
            options |= _PRECISIONS[value]
            continue
        if key not in _TENSORRT:
            raise ConfigError(
                f"unknown parameter '{key}' is provided for TensorRT Execution Accelerator"
            )
        name, read = _TENSORRT[key]
        read(value)
        if value:
            options[name] = value
    return options


def _cuda(given):
    """Return CUDA's options; ONNX Runtime itself refuses the names that it does not know."""
    for key in _CUDA_BOOLEANS & set(given):
        boolean(given[key])
    return {key: value for key, value in given.items() if value}


def _deprecated(given):
    """Return the options from the parameters of the model: absent ones reset the accelerator's."""
    return {
        "cudnn_conv_algo_search": _choice(given, "cudnn_conv_algo_search", _SEARCHES),
        "gpu_mem_limit": given.get("gpu_mem_limit", str(2**64 - 1)),
        "arena_extend_strategy": _choice(given, "arena_extend_strategy", _STRATEGIES),
        "do_copy_in_default_stream": given.get("do_copy_in_default_stream", "1"),
    }


def _choice(given, key, names):
    """Return the name for a number."""
    number = integer(given.get(key, "0"))
    if number not in range(len(names)):
        raise ConfigError(f"unsupported {key} value '{number}' is requested")
    return names[number]
