"""What a build writes down of itself: the manifest of a version.

Between adapters and use cases: it gathers what the source, the export and the proof say.
"""

import platform
from datetime import UTC, datetime
from importlib import metadata

from tritonforge import __version__, sources, unchanged
from tritonforge.exported import Exported
from tritonforge.manifest import Manifest
from tritonforge.proving import Proof
from tritonforge.sources import Loaded
from tritonforge.spec import ModelSpec


def record(
    spec: ModelSpec,
    loaded: Loaded,
    exported: Exported,
    proof: Proof,
) -> Manifest:
    """Gather the manifest; its config is decided at the very end, its files when all are there."""
    return Manifest(
        source=spec.source,
        weights=spec.weights,
        weights_origin=loaded.weights,
        weights_sha256=loaded.weights_sha256,
        seed=spec.seed,
        sample_seed=spec.sample_seed,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        target=spec.target.tag,
        accelerator=spec.accelerator,
        exporter=exported.exporter,
        opset=exported.stamp.opset,
        ir=exported.stamp.ir,
        max_batch_size=proof.max_batch_size,
        reference="onnx" if loaded.path is not None else "torch",
        loaded_by=exported.loaded_by,
        config="",
        versions=_versions(loaded, spec),
        signature=proof.signature,
        domains=exported.domains,
        ranges=dict(spec.ranges),
        tolerance=spec.tolerance,
        gate=proof.report,
        input_specs=tuple(str(tensor) for tensor in spec.inputs),
        tools=sources.libraries(unchanged.TOOLS),
        preprocessing=loaded.preprocessing,
    )


def _versions(loaded: Loaded, spec: ModelSpec) -> dict[str, str]:
    """Return the version of everything that took part."""
    tools = ["numpy", "onnx", "onnxruntime"] + (["onnxscript"] if loaded.module else [])
    return {
        "tritonforge": __version__,
        "python": platform.python_version(),
        **{tool: metadata.version(tool) for tool in tools},
        # torch's own is of a class of torch's, which whoever is sent it would have to import.
        **{library: str(version) for library, version in loaded.versions.items()},
        **({"target triton": spec.target.triton} if spec.target.triton else {}),
        "target onnxruntime": spec.target.onnxruntime,
    }
