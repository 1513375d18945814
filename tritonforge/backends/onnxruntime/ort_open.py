"""Open a session on the very providers that an instance is to have, or on none.

ONNX Runtime's Python package goes on without a provider that it cannot use, and ends the process
where CUDA's libraries are there but no driver is (microsoft/onnxruntime#24652). An instance would
then not be what its config says, so either fails the load.
"""

import contextlib
import ctypes
import io
import re

import onnxruntime as ort
from ort_options import ConfigError, model_file, session_options, words
from ort_providers import CUDA, OPENVINO, TENSORRT, providers

_FELL_BACK = re.compile(r"^EP Error (.*?) when using \[", re.DOTALL | re.MULTILINE)
_TENSORRT_LIBRARY = "libnvinfer.so.10"  # as `readelf -d` of the provider says


def load(config, folder, kind, device):
    """Open a version's file for an instance of a kind, such as `GPU`, on a device.

    The order is that of the C++ backend's LoadModel, so that of two mistakes it tells the same.
    """
    options = session_options(config)
    path = model_file(folder, config)
    return session(path, options, providers(config, kind, device))


def session(path, options, wanted):
    """Open the file; raise ConfigError where one of the wanted providers is not really there."""
    names = [name for name, _ in wanted]
    for name in names:
        _check(name)
    if CUDA in names:
        _check_device(int(dict(wanted)[CUDA]["device_id"]))
    printed = io.StringIO()  # where the package says what failed before it falls back
    try:
        with contextlib.redirect_stdout(printed):
            opened = ort.InferenceSession(str(path), options, providers=wanted)
    except Exception as error:  # ONNX Runtime has no common base for its errors
        raise ConfigError(words(error)) from error
    missing = [name for name in names if name not in opened.get_providers()]
    if missing:
        said = _FELL_BACK.search(printed.getvalue())
        why = words(said[1].strip()) if said else "its libraries cannot be loaded, see the log"
        raise ConfigError(f"{missing[0]} cannot be used: {why}")
    opened.disable_fallback()  # a provider that fails a run would be replaced by the CPU's
    return opened


def _check(name):
    """Raise ConfigError for a provider that cannot be had here, whatever the machine."""
    if name not in ort.get_available_providers():
        if name == OPENVINO:  # as in NVIDIA's images for x86: no mistake in the config
            raise ConfigError(f"{name} cannot be used: the embedded server comes without OpenVINO")
        raise ConfigError(f"{name} cannot be used: ONNX Runtime {ort.__version__} has none")
    if name == TENSORRT:
        try:
            ctypes.CDLL(_TENSORRT_LIBRARY)
        except OSError as error:
            raise ConfigError(
                f"{name} cannot be used: the embedded server comes without TensorRT ({error})"
            ) from error


def _check_device(device):
    """Raise ConfigError where the driver has no such GPU."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise ConfigError(f"{CUDA} cannot be used: there is no NVIDIA driver ({error})") from error
    count = ctypes.c_int()
    code = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if code or device >= count.value:
        raise ConfigError(
            f"{CUDA} cannot be used: the NVIDIA driver has no GPU {device} (CUDA error {code},"
            f" {count.value} GPUs)"
        )
