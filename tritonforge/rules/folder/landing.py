"""Rules of where the nodes of a model run."""

from collections.abc import Iterator

from tritonforge.rules.folder.operators import counted
from tritonforge.rules.rule import Found, rule
from tritonforge.rules.subjects import Model


@rule("PLC201", "wrong")
def a_gpu_runs_all(model: Model) -> Iterator[Found]:
    """The GPU runs all nodes of a model that is served on one, shapes aside.

    ONNX Runtime takes a newer operator than its CUDA provider has a kernel for, and leaves it to
    the CPU without a word: values then go back and forth. It is foretold of the nodes of the file,
    of which an optimization may take one away.

    Source: onnxruntime, `kernel_registry.cc`; `tritonforge place` tells node by node.
    Remedy: export the model at an opset that `tritonforge place` shows without such nodes.
    """
    for file in model.contents:
        if file.on_cpu:
            said = f"the GPU leaves nodes to the CPU: {counted(file.on_cpu)}"
            yield Found(said=said, file=file.path)
