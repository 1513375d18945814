"""Tensors of Triton's Python backend as arrays and back, under numpy 1 and 2.

The stub of release 24.10 was compiled against numpy 1 and reads numpy's own structures: under
numpy 2 its `as_numpy` gives empty arrays and its `Tensor(name, array)` empty tensors. DLPack is a
protocol of its own and works under both, but it knows no strings.
"""

import numpy as np
import triton_python_backend_utils as pb_utils

BY_DLPACK = int(np.__version__.partition(".")[0]) >= 2
NO_STRINGS = (
    "BYTES tensors cannot pass this server's Python backend under Python 3.13; install Python 3.12 "
    "and run `tritonforge toolchain remove`"
)


def array_of(tensor):
    """Return a tensor's values, without a copy."""
    return np.from_dlpack(tensor) if BY_DLPACK else tensor.as_numpy()


def tensor_of(name, array):
    """Return values as a tensor."""
    if not BY_DLPACK:
        return pb_utils.Tensor(name, array)
    return pb_utils.Tensor.from_dlpack(name, np.ascontiguousarray(array))
