"""Cases that the embedded server cannot decide, or decides otherwise than the one of a release."""

import copy
import re

from judging import Verdict
from specimens import Case
from tritonclient.grpc.model_config_pb2 import DataType, ModelConfig

from tritonforge.check import Finding

_BACKENDS = re.compile(r"unable to find (backend library for backend|Python backend based)")
_LIBRARY = "Failed to load library"
_TYPES = {*DataType.values()} - {DataType.TYPE_INVALID}
_RUNTIMES = {"model.py", "libtriton_onnxruntime.so"}


def rehearsed(case: Case) -> Case:
    """Return a case as it is served where no GPU is seen; the same where it asks for none."""
    if not any(_asks(each.config) for each in case.models.values()):
        return case
    changed = copy.deepcopy(case)
    for specimen in changed.models.values():
        if specimen.config is None:
            continue
        for group in specimen.config.instance_group:
            if _of_gpu(group):
                group.kind = group.KIND_CPU
                group.count = max(1, group.count)
                del group.gpus[:]
    return changed


def _asks(config: object) -> bool:
    return config is not None and any(map(_of_gpu, config.instance_group))


def _of_gpu(group: object) -> bool:
    """Say whether a group of instances asks for a GPU, or would where there is one."""
    return group.kind == group.KIND_GPU or (group.kind == group.KIND_AUTO and bool(group.gpus))


def of_gpu(finding: Finding) -> bool:
    """Say whether a finding is about a GPU, which a rehearsal does not ask for."""
    return "gpu" in finding.found.at or finding.rule.code[:3] in {"TRT", "CUD", "PRO", "ENG", "ACC"}


def reason(case: Case, verdict: Verdict) -> str:
    """Say why a case does not count, empty where it does."""
    if verdict.outcome == "hung":
        return "the embedded server did not answer for"
    if _BACKENDS.search(verdict.said):
        return "need another backend than the embedded server has"
    if _LIBRARY in verdict.said:
        return "name a library of operators, which is looked for on the server's machine"
    every = [each.config for each in case.models.values() if each.config is not None]
    return next(filter(None, map(_beyond, every)), "")


def _beyond(config: ModelConfig) -> str:
    """Say what of a config the embedded server decides otherwise, empty for nothing."""
    if config.model_repository_agents.agents:
        return "name an agent, which the embedded server lacks"
    if config.runtime in _RUNTIMES:
        return "name the backend's library, which is another in an image"
    if config.model_transaction_policy.decoupled and config.model_warmup:
        return "are decoupled and warmed up, which a backend in Python has its own words for"
    states = config.sequence_batching.state
    if any(not each.input_name or each.data_type not in _TYPES for each in states):
        return "have a state without a name or a type, with which a backend in Python dies"
    return ""
