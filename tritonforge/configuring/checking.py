"""Whether a config would be loaded: by the target, for this file, under this name."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tritonforge import pbtxt, rules
from tritonforge.configuring import labels, tensorrt
from tritonforge.errors import ConfigError, SpecError
from tritonforge.pbtxt.editing import paths
from tritonforge.rules import Config, Found, Rule
from tritonforge.spec import ModelSpec
from tritonforge.tensors import Signature

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}\.onnx")
# What a release takes of these depends on no tensor.
_EARLY = ("instance_group", "model_metrics", "optimization", "parameters", "version_policy")


def check_early(name: str, spec: ModelSpec) -> None:
    """Raise `ConfigError` or `SpecError` for what is wrong whatever the model is.

    So nobody waits for an export to learn of a misspelt option, or of labels that are not there.
    """
    for output, path in spec.labels:
        labels.read(output, path)
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
    pbtxt.accelerate(message, spec.accelerator, options, spec.cuda)
    said = {key: value for key, value in spec.config.items() if key in _EARLY}
    pbtxt.lay(message, said)
    _refuse(_broken(message, spec), spec)


def check(message: Any, name: str, spec: ModelSpec, signature: Signature) -> tuple[str, ...]:
    """Return notes on what nobody would heed; raises `ConfigError` for what would not load.

    A team's own template may have written anything.
    """
    for field, wanted in (("name", name), ("backend", "onnxruntime"), ("platform", "")):
        said = getattr(message, field)
        if said != wanted:
            raise ConfigError(
                f"the config has the {field} {said!r}, and this model's is {wanted!r}",
                hint="leave it as the message has it",
            )
    file = message.default_model_filename
    if file and not _FILE.fullmatch(file):
        raise SpecError(
            f"default_model_filename {file!r} is no name of a file in the version's folder",
            hint="write one that ends in .onnx, without folders",
            at=("default_model_filename",),
        )
    misfit = pbtxt.mismatch(message, signature)
    if misfit is not None:
        raise ConfigError(
            f"the config does not fit the model: {misfit}", hint="mend the spec, or the template"
        )
    found = _broken(message, spec)
    _refuse(found, spec)
    return tuple(f"{each.at}: {each.said}" for _, each in found)


def _broken(message: Any, spec: ModelSpec) -> tuple[tuple[Rule, Found], ...]:
    """Return what rules find of a config by itself, for the target."""
    config = Config(message=message, release=spec.target)
    return tuple(rules.broken(rules.OF_CONFIGS, config))


def _refuse(found: Sequence[tuple[Rule, Found]], spec: ModelSpec) -> None:
    """Raise `SpecError` where something of a config keeps the target from loading it."""
    refused = [each for rule, each in found if rule.severity == "refused"]
    if refused:
        more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        raise SpecError(
            f"release {spec.target.tag} would refuse the config: {refused[0].at}:"
            f" {refused[0].said}{more}",
            hint="mend the spec, or choose another --target",
            at=_key(refused[0].at),
        )


def _key(path: str) -> tuple[str, ...]:
    """Return the key of a spec that says a field, as far as its path tells."""
    if not path:
        return ()
    first, *others = (
        str(each.number) if isinstance(each, paths.Index) else each.text
        for each in paths.parse(path)
    )
    if first == "optimization" and "parameters" in others:  # the accelerator's
        return (others[others.index("parameters") - 1], others[-1])
    return (f"{first}s" if first in {"input", "output"} else first, *others)
