"""What a served version is compared with: its golden sample, its file, or the model itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tritonforge import graph, manifest, release, samples, sources
from tritonforge.errors import ConfigError, RepositoryError, SourceError
from tritonforge.manifest import Manifest
from tritonforge.repository import Entry
from tritonforge.spec import ModelSpec, parse_input
from tritonforge.tensors import Arrays, Run, Signature

Reference = Literal["onnx", "torch", "golden"]
Pair = tuple[Arrays, Arrays]


@contextmanager
def compared_with(
    entry: Entry, known: Manifest | None, reference: Reference, path: Path
) -> Iterator[Run | None]:
    """Open what the server is compared with."""
    if reference == "golden":
        yield None
    elif reference == "onnx":
        with graph.session(path) as run:
            yield run
    else:
        yield _eager(entry, known)


def _eager(entry: Entry, known: Manifest | None) -> Run:
    """Make the torch model again from the manifest; another one is a `SourceError`."""
    if known is None or known.reference != "torch":
        raise SourceError(
            f"{entry.model} {entry.version} was not built from a torch model here",
            hint="compare with --reference onnx",
        )
    from tritonforge import export

    spec = ModelSpec(
        source=known.source,
        target=release.find(known.target),
        weights=known.weights,
        seed=known.seed,
        inputs=tuple(parse_input(text) for text in known.input_specs),
    )
    loaded = sources.load(spec)
    if loaded.weights_sha256 != known.weights_sha256 or loaded.module is None:
        raise SourceError(
            f"{known.source} gives other weights today than when {entry.model} {entry.version}"
            " was built",
            hint="build a new version, or compare with --reference onnx",
        )
    inputs = [tensor.name for tensor in loaded.inputs]
    outputs = [tensor.name for tensor in known.signature.outputs]
    run = export.eager(loaded.module, inputs, outputs)
    return lambda arrays: run(samples.completed(arrays, loaded.inputs, loaded.domains))


def golden_of(entry: Entry, signature: Signature) -> Pair:
    """Read the golden sample, without the outputs that the config does not list."""
    inputs, outputs = manifest.read_golden(entry.version_dir)
    kept = {each.name for each in signature.outputs}
    return inputs, {name: array for name, array in outputs.items() if name in kept}


def no_golden(entry: Entry, *, in_sequences: bool) -> RepositoryError | ConfigError:
    """Say why there is no golden sample to compare with."""
    hint = "compare with --reference onnx"
    if in_sequences:
        return ConfigError(
            f"{entry.model} {entry.version} is served in sequences, in which the golden sample has"
            " no place",
            hint=hint,
        )
    return RepositoryError(
        f"{entry.model} {entry.version} has no golden sample",
        hint=f"build it with tritonforge, or {hint}",
    )
