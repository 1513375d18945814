"""Whether a release loads a model, and which execution provider each of its nodes lands on."""

from tritonforge.placement.matching import Accelerator, Reason
from tritonforge.placement.placing import Placement, place, place_model
from tritonforge.placement.predicted import Placed, Prediction
from tritonforge.placement.verdict import read, refusal

__all__ = [
    "Accelerator",
    "Placed",
    "Placement",
    "Prediction",
    "Reason",
    "place",
    "place_model",
    "read",
    "refusal",
]
