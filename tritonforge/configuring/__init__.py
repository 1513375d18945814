"""From what was wished and proven to the config that is to stand, as the target takes it.

Between adapters and use cases: what the spec says lies over what follows from the file, and the
whole is held against the release before anything is published.
"""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tritonforge import pbtxt
from tritonforge.configuring import labels, tensorrt, warming
from tritonforge.configuring.checking import check, check_early
from tritonforge.configuring.parallel import Parallel, parallel
from tritonforge.profiles import Profile
from tritonforge.proving import Proof
from tritonforge.repository import Stage
from tritonforge.spec import Domain, ModelSpec
from tritonforge.tensors import Signature, TensorSpec

__all__ = ["Configured", "check_early", "configure", "optional"]

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
    wanted, ragged = optional(spec), _ragged(spec)
    spares = tuple(each for each in spare if each.name in wanted)
    signature = replace(proof.signature, inputs=(*proof.signature.inputs, *spares))
    message = pbtxt.config(
        name,
        signature,
        max_batch_size=spec.max_batch_size if ragged else proof.max_batch_size,
        labels=labels.write(stage, spec, classes, signature),
        scalars=spec.target.scalars,
        ragged=ragged,
    )
    made, told = _accelerate(message, name, spec, proof)
    chosen = parallel(flops, spec)
    _say(message, spec, chosen, signature)
    reasons = {
        "instance_group": None if "instance_group" in spec.config else chosen.reason,
        "model_warmup": warming.warm(
            message, spec, proof.signature, made, drawn, proof.golden[0], stage
        ),
    }
    text = pbtxt.render(message, _wrapped(reasons), spec.templates)
    if spec.templates is not None:
        message = pbtxt.parse(text, f"what {spec.templates} writes")
    if ragged:
        told += ("that requests put end to end are told apart is not proven here: try it served",)
    return Configured(
        message=message, text=text, notes=(*told, *check(message, name, spec, signature))
    )


def _accelerate(
    message: Any, name: str, spec: ModelSpec, proof: Proof
) -> tuple[tuple[Profile, ...], tuple[str, ...]]:
    """Ask for the accelerator; return the optimization profiles, and notes."""
    made: tuple[Profile, ...] = ()
    options: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    if spec.accelerator == "tensorrt":
        made = tensorrt.profiles_of(spec, proof.signature, proof.max_batch_size)
        options, notes = tensorrt.parameters(name, spec, made)
    elif spec.precision != "fp32" and not spec.bake:
        instead = ": --bake writes fp16" if spec.precision == "fp16" else ""
        said = (
            f"precision {spec.precision} is TensorRT's to choose, {spec.accelerator} computes in"
            f" what the file holds{instead}"
        )
        notes = (said,)
    pbtxt.accelerate(message, spec.accelerator, options, spec.cuda)
    return made, notes


def _say(message: Any, spec: ModelSpec, chosen: Parallel, signature: Signature) -> None:
    """Lay what the spec says of the config over what follows from the model."""
    on_cpu = spec.accelerator == "cpu" and (spec.cores is not None or spec.device == "cpu")
    pbtxt.instances(message, chosen.count, chosen.threads, on_cpu=on_cpu)
    said = dict(spec.config)
    if spec.states:  # requests of states belong to sequences, whatever the defaults of others are
        said.pop("dynamic_batching", None)
        pbtxt.hold(message, spec.states, signature, batched=message.max_batch_size > 0)
    pbtxt.lay(message, said)
    pbtxt.check_states(message, spec.states)
    _share(message, spec, chosen)
    pbtxt.check_tensors(message, signature)
    pbtxt.unlist(message)


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
    if spec.cores is None or chosen.threads in {None, 1} or total < 2 or pbtxt.THREADS in said:
        return
    message.parameters[pbtxt.THREADS].string_value = str(max(spec.cores // total, 1))


def _wrapped(reasons: Mapping[str, str | None]) -> Mapping[str, str]:
    """Break the lines of comments."""
    return {field: textwrap.fill(text, _WIDTH) for field, text in reasons.items() if text}
