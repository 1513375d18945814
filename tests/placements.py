"""What tests of placement share: what a release makes of a model that is made in place."""

from tritonforge import release
from tritonforge.placement import place_model


def placed(model, target="24.10", accelerator="cuda"):
    """Foretell a model's placement."""
    return next(place_model(model, [release.find(target)], accelerator))


def reasons(model, target="24.10", accelerator="cuda"):
    """Return what runs each node by its operator, or why the chosen provider does not."""
    found = placed(model, target, accelerator)
    assert found.refusal is None
    return {node.op: node.reason.text if node.reason else node.provider for node in found.nodes}
