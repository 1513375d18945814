"""Whether a release loads a model, and which execution provider each of its nodes lands on."""

from tritonforge.placement.compared import Compared, compared
from tritonforge.placement.inlining import expanded
from tritonforge.placement.known import is_in, is_known, nearest
from tritonforge.placement.matching import CHAINS, PROVIDERS, Reason
from tritonforge.placement.observed import Observation, at_hand, observe
from tritonforge.placement.placing import (
    Placement,
    as_placed,
    installed,
    model_of,
    place,
    place_model,
    prepared,
    written_out,
)
from tritonforge.placement.predicted import Placed, Prediction, predict
from tritonforge.placement.supposed import supposed
from tritonforge.placement.tensorrt import Certainty, certainty, newest_opset, parses
from tritonforge.placement.verdict import Read, lacking, read, refusal

__all__ = [
    "CHAINS",
    "PROVIDERS",
    "Certainty",
    "Compared",
    "Observation",
    "Placed",
    "Placement",
    "Prediction",
    "Read",
    "Reason",
    "as_placed",
    "at_hand",
    "certainty",
    "compared",
    "expanded",
    "installed",
    "is_in",
    "is_known",
    "lacking",
    "model_of",
    "nearest",
    "newest_opset",
    "observe",
    "parses",
    "place",
    "place_model",
    "predict",
    "prepared",
    "read",
    "refusal",
    "supposed",
    "written_out",
]
