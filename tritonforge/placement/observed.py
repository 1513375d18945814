"""Where a session of a real ONNX Runtime places the nodes of a model, and whether it was foretold.

The session is opened in a child process, since a provider may end the process that loads it, and
since runtimes before 1.24 tell it in their log alone. Its list of providers is only asked whether
the chosen one loaded at all: it says nothing of nodes.
"""

import json
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge import process
from tritonforge.errors import GraphError, SpecError, ToolchainError
from tritonforge.graph import running
from tritonforge.placement.matching import CHAINS, PROVIDERS
from tritonforge.release import Release
from tritonforge.spec import Accelerator

_ACCELERATORS = {name: accelerator for accelerator, name in PROVIDERS.items()}
_PACKAGES: Mapping[Accelerator, str] = {
    "cpu": "onnxruntime",
    "cuda": "onnxruntime-gpu",
    "tensorrt": "onnxruntime-gpu",
    "openvino": "onnxruntime-openvino",
}
_SECONDS = 1800.0  # TensorRT may build engines meanwhile
# Basic optimizations alone: those beyond fuse nodes and take their names. The fallback is barred,
# by which Python would open a session on the CPU where the chosen provider fails.
_SESSION = """
import json, sys
import onnxruntime as ort

path, answer, *wanted = sys.argv[1:]

class Session(ort.InferenceSession):
    _enable_fallback = property(lambda self: False, lambda self, value: None)

def opened(providers):
    options = ort.SessionOptions()
    options.log_severity_level = 2 if tells else 0
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if tells:
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    return Session(path, options, providers=providers)

tells = hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")
found = {"available": ort.get_available_providers(), "fault": None, "refusal": None, "nodes": None}
if wanted[0] in found["available"]:
    try:
        session = opened(wanted)
        found["loaded"] = session.get_providers()
        if tells:
            found["nodes"] = [
                (node.name, node.op_type, node.domain, part.ep_name)
                for part in session.get_provider_graph_assignment_info()
                for node in part.get_nodes()
            ]
    except Exception as error:
        found["fault"] = str(error)
        try:
            opened(wanted[-1:])
        except Exception as error:
            found["refusal"] = str(error)
with open(answer, "w") as file:
    json.dump(found, file)
"""
_LOGGED = re.compile(r"VerifyEachNodeIsAssignedToAnEp\] (.*)")
_ALL = re.compile(r"All nodes placed on \[(\w+)\]")
_SOME = re.compile(r"Node\(s\) placed on \[(\w+)\]")
_NODE = re.compile(r"(\S+) \((.*)\)$")
_COPYING = ("MemcpyFromHost", "MemcpyToHost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """An ONNX Runtime that can be asked: its version, and the command that starts its Python."""

    version: str
    python: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A node in a session; what runtimes put in themselves has no name, and a log no domain."""

    name: str
    op: str
    domain: str | None
    provider: Accelerator


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a session did with a model.

    `refusal` says why it does not load it. `told_by` is `assignment`, what a session says of its
    nodes, or `log`. A log that finds all nodes on one provider names none of them: that is `alone`.
    """

    runtime: str
    told_by: str
    refusal: str | None
    nodes: tuple[Seen, ...]
    alone: Accelerator | None


def at_hand(target: Release | None = None) -> Runtime:
    """Return the installed ONNX Runtime; with a target that one's, from its environment or here.

    Raises `ToolchainError` where the target's is not at hand.
    """
    here = running.runtime()
    if target is None or target.onnxruntime == here:
        return Runtime(version=here, python=(sys.executable, "-P"))
    from tritonforge import toolchain  # with all that gets one, which foretelling does without

    tools = toolchain.installed(target)
    if tools is not None and tools.onnxruntime == target.onnxruntime:
        return Runtime(version=tools.onnxruntime, python=(str(tools.root / "bin/python"), "-I"))
    raise ToolchainError(
        f"ONNX Runtime {target.onnxruntime} of {target.tag} is not at hand to be observed",
        hint=f"leave --target out to ask the installed {here}, or get it:"
        f" tritonforge toolchain install --target {target.tag}",
    )


def observe(path: Path, accelerator: Accelerator, runtime: Runtime) -> Observation:
    """Open a session with the chosen provider first, and tell where its nodes are.

    Nothing is run. Raises `SpecError` where the runtime is built without that provider,
    `ToolchainError` where it does not load.
    """
    wanted = [PROVIDERS[each] for each in CHAINS[accelerator]]
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        argv = [*runtime.python, "-c", _SESSION, str(path.absolute()), str(answer), *wanted]
        ended = process.run(argv, timeout=_SECONDS, quiet=True)
        if not answer.exists():
            raise GraphError(
                f"ONNX Runtime {runtime.version} ended before it opened {path.name}: {ended.tail}"
            )
        found = json.loads(answer.read_text("utf-8"))
    if found["refusal"] is None:
        _has_loaded(found, accelerator, runtime, ended.output)
    nodes, alone = _assigned(found), None
    if found["refusal"] is None and found["nodes"] is None:
        nodes, alone = _from_log(ended.output)
        if not nodes and alone is None:
            raise ToolchainError(f"ONNX Runtime {runtime.version} does not say where nodes are")
    return Observation(
        runtime=runtime.version,
        told_by="log" if found["nodes"] is None else "assignment",
        refusal=found["refusal"],
        nodes=nodes,
        alone=alone,
    )


def _has_loaded(found: Any, accelerator: Accelerator, runtime: Runtime, log: str) -> None:
    """Raise an error unless the chosen provider takes part in the session."""
    name = PROVIDERS[accelerator]
    if name not in found["available"]:
        known = [each for each in found["available"] if each in _ACCELERATORS]
        raise SpecError(
            f"ONNX Runtime {runtime.version} has no {name}, only {', '.join(known)}",
            hint=f"install {_PACKAGES[accelerator]} beside tritonforge in place of onnxruntime, or"
            f" choose --accelerator {_ACCELERATORS[known[0]]}",
        )
    if found["fault"] is not None or name not in found["loaded"]:
        complaints = [line for line in log.splitlines() if "[E:onnxruntime" in line]
        why = found["fault"] or next(iter(complaints), "it does not say why")
        raise ToolchainError(
            f"{name} of ONNX Runtime {runtime.version} does not load: {why.strip()[:400]}",
            hint="without it the session would run on the CPU alone; its libraries and its device"
            " must be there",
        )


def _assigned(found: Any) -> tuple[Seen, ...]:
    """Read what a session says of its nodes."""
    return tuple(
        Seen(name=name, op=op, domain=domain or "ai.onnx", provider=_ACCELERATORS[provider])
        for name, op, domain, provider in found["nodes"] or ()
        if op not in _COPYING
    )


def _from_log(text: str) -> tuple[tuple[Seen, ...], Accelerator | None]:
    """Read the log's list of placements; the provider alone where all nodes are on one."""
    nodes: list[Seen] = []
    provider: Accelerator | None = None
    for line in (match[1].strip() for match in _LOGGED.finditer(text)):
        if (whole := _ALL.match(line)) is not None:
            return (), _ACCELERATORS[whole[1]]
        if (some := _SOME.match(line)) is not None:
            provider = _ACCELERATORS[some[1]]
        elif provider is not None and (node := _NODE.match(line)) is not None:
            nodes.append(Seen(name=node[2], op=node[1], domain=None, provider=provider))
    return tuple(node for node in nodes if node.op not in _COPYING), None
