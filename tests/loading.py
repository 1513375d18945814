"""Sources as `build` loads them, and the errors of those that it cannot load."""

import pytest

from tritonforge import release, sources
from tritonforge.errors import SourceError
from tritonforge.spec import ModelSpec


def spec(source, **more):
    return ModelSpec(source=str(source), target=release.find("24.10"), **more)


def load(source, **more):
    return sources.load(spec(source, **more))


def refusal(source, **more):
    with pytest.raises(SourceError) as caught:
        load(source, **more)
    return caught.value
