"""The target's own ONNX Runtime, where it is at hand: whether it loads a file.

The gate runs on the ONNX Runtime that is installed beside tritonforge, usually a newer one, which
has kernels that the target's may lack.
"""

import signal
from pathlib import Path

from tritonforge import process, toolchain
from tritonforge.errors import GraphError
from tritonforge.release import Release

_SECONDS = 600.0
_NO_KERNEL = "Could not find an implementation"
_LOAD = """
import sys, onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level = 4
if sys.argv[2:]:
    options.add_session_config_entry("session.disable_prepacking", "1")
try:
    ort.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
except Exception as error:
    sys.exit(str(error))
"""


def loads(path: Path, target: Release, *, unpacked: bool = False) -> str | None:
    """Load a file in the target's own ONNX Runtime, where an environment with it is installed.

    Weights that are left `unpacked` stay where they are mapped, which takes no memory of its own.
    Returns the version, None where it is not at hand. Raises `GraphError` where it refuses the
    file, such as for a kernel that it lacks.
    """
    tools = toolchain.installed(target)
    if tools is None or tools.onnxruntime != target.onnxruntime:
        return None
    python = str(tools.root / "bin" / "python")
    argv = [python, "-I", "-c", _LOAD, str(path), *(["unpacked"] if unpacked else [])]
    ended = process.run(argv, timeout=_SECONDS, quiet=True)
    if ended.returncode < 0:
        raise GraphError(
            f"ONNX Runtime {target.onnxruntime} of release {target.tag} crashes on the file"
            f" ({signal.Signals(-ended.returncode).name}), and so would the server",
            hint="try another --exporter, --opset or --target",
        )
    if ended.returncode != 0:
        lines = ended.output.strip().splitlines()
        said = (lines[0] if lines else ended.tail).replace(str(path), path.name)
        hint = "mend what it names, or choose a newer --target"
        if _NO_KERNEL in said:
            hint = "cast to a dtype that has a kernel (FLOAT), or try another --opset or --target"
        raise GraphError(
            f"ONNX Runtime {target.onnxruntime} of release {target.tag} refuses the file on the"
            f" CPU: {said}",
            hint=hint,
        )
    return tools.onnxruntime
