"""Rules of the versions that a policy has served."""

from collections.abc import Iterator

from tritonforge.repository import reading
from tritonforge.rules.backends import ENSEMBLE
from tritonforge.rules.rule import Change, Found, rule
from tritonforge.rules.subjects import Model


@rule("LAY112", "refused")
def a_version_that_is_not_there_is_named_once(model: Model) -> Iterator[Found]:
    """A version that version_policy names twice is there.

    The server passes over a version that is not there, and takes down that it has seen it; at the
    second mention it takes it for one that is there, and fails to load it.

    Source: triton-inference-server/core, `model_lifecycle.cc` (VersionsToLoad).
    Remedy: add the version, or take its number out.
    """
    if model.config is None or not model.versions or model.backend == ENSEMBLE:  # has no file there
        return
    there = {reading.version_of(each.rstrip("/")) for each in model.entries if each.endswith("/")}
    seen: set[int] = set()
    for number, version in enumerate(model.config.message.version_policy.specific.versions):
        if version in seen and version not in there:
            path = f"version_policy.specific.versions[{number}]"
            yield Found(
                said=f"version {version} is named again and not there, and the server tries it",
                at=path,
                changes=(Change(path=path, value=None),),
            )
        seen.add(version)
