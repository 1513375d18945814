"""Whether a release loads a model, and which execution provider each of its nodes lands on."""

from tritonforge.placement.inlining import expanded
from tritonforge.placement.matching import Reason
from tritonforge.placement.placing import Placement, as_placed, place, place_model
from tritonforge.placement.predicted import Placed, Prediction
from tritonforge.placement.supposed import supposed
from tritonforge.placement.tensorrt import newest_opset, parses
from tritonforge.placement.verdict import Read, lacking, read, refusal

__all__ = [
    "Placed",
    "Placement",
    "Prediction",
    "Read",
    "Reason",
    "as_placed",
    "expanded",
    "lacking",
    "newest_opset",
    "parses",
    "place",
    "place_model",
    "read",
    "refusal",
    "supposed",
]
