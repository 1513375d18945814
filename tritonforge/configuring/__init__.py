"""From what was wished and proven to the config that is to stand, as the target takes it.

Between adapters and use cases: what the spec says lies over what follows from the file, and the
whole is held against the release before anything is published.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tritonforge import pbtxt
from tritonforge.configuring import labels, tensorrt, warming
from tritonforge.configuring.parallel import Parallel, parallel, row_flops
from tritonforge.errors import ConfigError, SpecError
from tritonforge.profiles import Profile
from tritonforge.proving import Proof
from tritonforge.repository import Stage
from tritonforge.spec import Domain, ModelSpec
from tritonforge.tensors import Signature, TensorSpec

__all__ = ["Configured", "check_early", "configure", "optional", "row_flops"]

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}\.onnx")
# What a release takes of these depends on no tensor.
_EARLY = ("instance_group", "model_metrics", "optimization", "parameters", "version_policy")
_WIDTH = 96  # of a comment in a config


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A config, the text of it, and what is to be told besides."""

    message: Any
    text: str
    notes: tuple[str, ...]


def configure(
    name: str,
    spec: ModelSpec,
    proof: Proof,
    classes: tuple[str, ...],
    drawn: Mapping[str, Domain],
    flops: int | None,
    stage: Stage,
    spare: tuple[TensorSpec, ...] = (),
) -> Configured:
    """Make the config of what was proven, and write the files that it names to the stage.

    `classes` name those of the first output as the source knows them, `drawn` are the domains of
    the inputs, `flops` are those of a row, `spare` the weights that a request may override. Raises
    `ConfigError` or `SpecError` where the target would refuse it.
    """
    signature, ragged = _with_spare(proof.signature, spec, spare), _ragged(spec)
    largest = spec.max_batch_size if ragged else proof.max_batch_size
    message = pbtxt.config(
        name,
        signature,
        max_batch_size=largest,
        labels=labels.write(stage, spec, classes, signature),
        scalars=spec.target.scalars,
        ragged=ragged,
    )
    made, told = _accelerate(message, name, spec, proof)
    chosen = parallel(flops, spec)
    on_cpu = spec.accelerator == "cpu" and (spec.cores is not None or spec.device == "cpu")
    pbtxt.instances(message, chosen.count, chosen.threads, on_cpu=on_cpu)
    pbtxt.hold(message, spec.states, signature, batched=largest > 0)
    pbtxt.lay(message, spec.config)
    reasons = {} if "instance_group" in spec.config else {"instance_group": chosen.reason}
    _share(message, spec, chosen)
    _check_file(message)
    pbtxt.check_tensors(message, signature)
    pbtxt.unlist(message)
    warming.warm(message, spec, signature, made, drawn, proof.golden[0], stage)
    text = pbtxt.render(message, _wrapped(reasons), spec.templates)
    final = pbtxt.parse(text, spec.templates or name) if spec.templates else message
    if ragged:
        told += ("that requests put end to end are told apart is not proven here: try it served",)
    return Configured(message=final, text=text, notes=(*told, *_check(final, spec, signature)))


def check_early(name: str, spec: ModelSpec) -> None:
    """Raise `ConfigError` or `SpecError` for what is wrong whatever the model is.

    So nobody waits for an export to learn of a misspelt option, or of labels that are not there.
    """
    for _, path in spec.labels:
        labels.read(path)
    if spec.templates is not None:
        pbtxt.check_templates(spec.templates)
    if spec.accelerator == "auto":
        return
    message = pbtxt.ModelConfig(
        name=name, backend="onnxruntime", max_batch_size=spec.max_batch_size
    )
    message.instance_group.add(count=1)
    options: Mapping[str, str] = {}
    if spec.accelerator == "tensorrt":
        options, _ = tensorrt.parameters(name, spec, ())
    elif spec.accelerator == "cuda":
        options = spec.cuda
    pbtxt.accelerate(message, spec.accelerator, options)
    said = {key: value for key, value in spec.config.items() if key in _EARLY}
    pbtxt.lay(message, said)
    _refuse(pbtxt.faults(message, spec.target), spec)


def _accelerate(
    message: Any, name: str, spec: ModelSpec, proof: Proof
) -> tuple[tuple[Profile, ...], tuple[str, ...]]:
    """Ask for the accelerator; return the optimization profiles, and notes."""
    made: tuple[Profile, ...] = ()
    options: Mapping[str, str] = spec.cuda if spec.accelerator == "cuda" else {}
    notes: tuple[str, ...] = ()
    if spec.accelerator == "tensorrt":
        made = tensorrt.profiles_of(spec, proof.signature, proof.max_batch_size)
        options, notes = tensorrt.parameters(name, spec, made)
    elif spec.precision != "fp32" and not spec.bake:
        said = (
            f"precision {spec.precision} is what TensorRT may compute in: {spec.accelerator}"
            " computes in what the file holds, and --bake writes that"
        )
        notes = (said,)
    pbtxt.accelerate(message, spec.accelerator, options)
    return made, notes


def _with_spare(signature: Signature, spec: ModelSpec, spare: tuple[TensorSpec, ...]) -> Signature:
    """Return the signature with those weights as inputs that the spec says are optional ones."""
    wanted = optional(spec)
    asked = tuple(each for each in spare if each.name in wanted)
    return replace(signature, inputs=(*signature.inputs, *asked))


def optional(spec: ModelSpec) -> frozenset[str]:
    """Name the inputs that a request may leave out."""
    said = spec.config.get("input", {})
    return frozenset(name for name, each in said.items() if each.get("optional"))


def _ragged(spec: ModelSpec) -> frozenset[str]:
    """Name the inputs whose requests are to be put end to end."""
    said = spec.config.get("input", {})
    return frozenset(name for name, each in said.items() if each.get("allow_ragged_batch"))


def _share(message: Any, spec: ModelSpec, chosen: Parallel) -> None:
    """Share the cores out again where the wish has another number of instances."""
    said = spec.config.get("parameters", {})
    total = sum(max(group.count, 1) for group in message.instance_group)
    if spec.cores is None or chosen.threads == 1 or total < 2 or pbtxt.THREADS in said:
        return
    message.parameters[pbtxt.THREADS].string_value = str(max(spec.cores // total, 1))


def _check_file(message: Any) -> None:
    """Raise `SpecError` for a name of the model's file that leads elsewhere."""
    name = message.default_model_filename
    if name and not _FILE.fullmatch(name):
        raise SpecError(
            f"default_model_filename {name!r} is no name of a file in the version's folder",
            hint="write one that ends in .onnx, without folders",
        )


def _wrapped(reasons: Mapping[str, str]) -> Mapping[str, str]:
    """Break the lines of comments."""
    return {field: textwrap.fill(text, _WIDTH) for field, text in reasons.items()}


def _check(message: Any, spec: ModelSpec, signature: Signature) -> tuple[str, ...]:
    """Return notes on what nobody would heed; raises `ConfigError` for what would not load."""
    misfit = pbtxt.mismatch(message, signature)
    if misfit is not None:
        raise ConfigError(
            f"the config does not fit the model: {misfit}", hint="mend the spec, or the template"
        )
    found = pbtxt.faults(message, spec.target)
    _refuse(found, spec)
    return tuple(f"{each.path}: {each.said}" for each in found)


def _refuse(found: Sequence[pbtxt.Fault], spec: ModelSpec) -> None:
    """Raise `ConfigError` where something of a config keeps the target from loading it."""
    errors = [each for each in found if each.severity == "error"]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise ConfigError(
            f"release {spec.target.tag} would refuse the config: {errors[0].path}:"
            f" {errors[0].said}{more}",
            hint="mend the spec, or choose another --target",
        )
