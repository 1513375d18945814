"""What releases of ONNX Runtime load, foretold and asked of their wheels; where CUDA's nodes land.

`scripts/bench foresee` asks many wheels everything; the tests ask what is at hand a share.
"""

import json
import os
import subprocess
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto, helper

from tritonforge.placement import place_model, read, refusal
from tritonforge.release import LOWEST_OPSET, Release, find

IR = 8  # which all take; what a model computes does not depend on it
CRASHED = "the process died"
_LARGEST = 200_000  # bytes: a few node models hold large inputs
_NEWEST_OPSET, _NEWEST_IR = 27, 14  # one above what any takes
_OUTSIDE = 20  # above the limit all are refused alike: one in so many is asked

# Run by the Python of a wheel. It names each model before it opens it: the last one may kill it.
_ASK = """
import json, sys
sys.path[:0] = sys.argv[2:]
import onnxruntime as ort
options = ort.SessionOptions()
options.log_severity_level = 4
options.intra_op_num_threads = 1
options.add_session_config_entry("session.disable_prepacking", "1")
for number, path, place, length in json.load(open(sys.argv[1])):
    print(json.dumps([number, None]), flush=True)
    source = path
    if length:
        with open(path, "rb") as models:
            models.seek(place)
            source = models.read(length)
    try:
        ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        said = ""
    except Exception as error:
        said = str(error)[:300] or type(error).__name__
    print(json.dumps([number, said]), flush=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """A model as it is stamped: it lies in `path`, from `place` on where `length` is not 0."""

    name: str
    opset: int
    ir: int
    path: Path
    place: int = 0
    length: int = 0

    def load(self) -> ModelProto:
        """Read it, without weights of other files."""
        if not self.length:
            return onnx.load(self.path, load_external_data=False)
        with self.path.open("rb") as models:
            models.seek(self.place)
            return ModelProto.FromString(models.read(self.length))

    def __str__(self) -> str:
        return f"{self.name} at opset {self.opset}, IR {self.ir}"


def node_models(path: Path, *, step: int = 1) -> tuple[Stamped, ...]:
    """Write ONNX's node models to a file, every `step`-th, stamped with every opset."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its references divide by zero on purpose
        cases = sorted(collect_testcases(None), key=lambda case: case.name)[::step]
    found = []
    with path.open("wb") as models:
        for number, case in enumerate(cases):
            if case.model.ByteSize() > _LARGEST:
                continue
            for opset, ir, data in _stamps(case.model, higher=number % _OUTSIDE == 0):
                at = models.tell()
                models.write(data)
                named = {"name": case.name, "opset": opset, "ir": ir}
                found.append(Stamped(**named, path=path, place=at, length=len(data)))
    return tuple(found)


def _stamps(model: ModelProto, *, higher: bool) -> Iterator[tuple[int, int, bytes]]:
    """Yield a model at every opset; with `higher` also at every newer IR."""
    copy = ModelProto()
    copy.CopyFrom(model)
    (entry,) = [each for each in copy.opset_import if not each.domain] or [None]
    written = 0 if entry is None else entry.version
    opsets = (0,) if entry is None else sorted({*range(LOWEST_OPSET, _NEWEST_OPSET + 1), written})
    for opset in opsets:
        if entry is not None:
            entry.version = opset
        newer = range(IR + 1, _NEWEST_IR + 1) if higher and opset == written else ()
        for ir in (IR, *newer):
            copy.ir_version = ir
            yield opset, ir, copy.SerializeToString()


def wanted(stamped: Sequence[Stamped], release: Release) -> tuple[int, ...]:
    """Return which models a release is asked: all within its limits, and a few just outside."""
    return tuple(
        number
        for number, each in enumerate(stamped)
        if each.opset <= release.opset
        or (each.opset == release.opset + 1 and number % _OUTSIDE == 0)
    )


def asked(
    python: Path,
    folders: Sequence[Path],
    stamped: Sequence[Stamped],
    numbers: Sequence[int],
    scratch: Path,
) -> dict[int, str]:
    """Ask the ONNX Runtime of a Python what it says to models: nothing, or why it refuses them.

    `folders` are where that Python looks first. One that dies of a model is started anew after it.
    """
    found: dict[int, str] = {}
    left = list(numbers)
    scratch.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": ""}
    while left:
        rows = [
            [number, str(each.path), each.place, each.length]
            for number, each in ((number, stamped[number]) for number in left)
        ]
        (scratch / "wanted.json").write_text(json.dumps(rows), encoding="utf-8")
        ended = subprocess.run(
            [str(python), "-c", _ASK, str(scratch / "wanted.json"), *map(str, folders)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        # What dies may say so there, too.
        lines = [line for line in ended.stdout.splitlines() if line.startswith("[")]
        said = dict(json.loads(line) for line in lines)
        if not said or (ended.returncode == 0 and len(said) < len(left)):
            raise RuntimeError(ended.stderr)
        found |= {number: CRASHED if text is None else text for number, text in said.items()}
        left = [number for number in left if number not in said]
    return found


def survivable(
    said: Mapping[Release, Mapping[int, str]],
) -> dict[Release, dict[int, str]]:
    """Leave out models that killed any process: to try them would kill this one."""
    deadly = {
        number for answers in said.values() for number, text in answers.items() if text == CRASHED
    }
    return {
        release: {number: text for number, text in answers.items() if number not in deadly}
        for release, answers in said.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How right the verdict of a release is; `wrong` names the models."""

    release: Release
    loaded: list[bool] = field(default_factory=list)
    refused: list[bool] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def add(self, stamped: Stamped, verdict: str | None, said: str) -> None:
        """Count a model: `verdict` is what is foretold, `said` what the release says."""
        right = (verdict is None) == (not said)
        (self.refused if said else self.loaded).append(right)
        if not right:
            self.wrong.append(f"{stamped}: foretold {verdict or 'loads'}; it says {said or 'yes'}")

    @property
    def false_loads(self) -> int:
        """Return how many are said to load and are refused."""
        return self.refused.count(False)

    @property
    def shares(self) -> tuple[float, float]:
        """Return the right ones of those that load, and of those that are refused."""
        return _share(self.loaded), _share(self.refused)


def _share(right: Sequence[bool]) -> float:
    return sum(right) / len(right) if right else 1.0


def scores(
    stamped: Sequence[Stamped], said: Mapping[Release, Mapping[int, str]], *, tried: bool = False
) -> tuple[Score, ...]:
    """Hold what is foretold of models against what releases said; each model is read once.

    With `tried` the installed ONNX Runtime is asked first, as `place` does: it knows what values of
    attributes a kernel takes.
    """
    found = tuple(Score(release=release) for release in said)
    for number, each in enumerate(stamped):
        if not any(number in answers for answers in said.values()):
            continue
        model = each.load()
        given = read(model)
        placed = [*place_model(model, said, "cpu")] if tried else []
        for index, (score, answers) in enumerate(zip(found, said.values(), strict=True)):
            if number in answers:
                verdict = placed[index].refusal if tried else refusal(given, score.release)
                score.add(each, verdict, answers[number])
    return found


# --- where the nodes of CUDA's known cases land ---------------------------------------------------

_FLOAT, _INT = TensorProto.FLOAT, TensorProto.INT32


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One node at an opset, and the ONNX Runtimes whose CUDA provider takes it or leaves it.

    `inputs` are types and shapes, in which -1 is dynamic; None is an input that is not given.
    """

    op: str
    opset: int
    inputs: tuple[tuple[int, tuple[int, ...]] | None, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    cuda: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()

    def model(self) -> ModelProto:
        """Write it as a model."""
        names = [f"x{index}" if each else "" for index, each in enumerate(self.inputs)]
        node = helper.make_node(self.op, names, ["y"], name="it", **self.attributes)
        inputs = [
            helper.make_tensor_value_info(
                name,
                each[0],
                [f"d{axis}" if size < 0 else size for axis, size in enumerate(each[1])],
            )
            for name, each in zip(names, self.inputs, strict=True)
            if each
        ]
        graph = helper.make_graph([node], self.op, inputs, [onnx.ValueInfoProto(name="y")])
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR
        )

    def placed(self, runtime: str) -> str:
        """Foretell where it lands; what refuses it says why."""
        (found,) = place_model(self.model(), [find(f"ort:{runtime}")], "cuda")
        if found.refusal is not None:
            return f"refused: {found.refusal}"
        return next((node.provider for node in found.nodes if node.op == self.op), "gone")

    def __str__(self) -> str:
        said = "".join(f" {name}={value}" for name, value in self.attributes.items())
        since = onnx.defs.get_schema(self.op, self.opset, "").since_version
        types = {TensorProto.DataType.Name(each[0]).lower() for each in self.inputs if each}
        inputs = f" with {len(self.inputs)} inputs" if None in self.inputs else ""
        return f"{self.op}-{since} of {', '.join(sorted(types))}{inputs}{said}"


def _recurrent(op: str, gates: int, extra: int = 0, **attributes: Any) -> Case:
    """Return a recurrent layer of four units on three features, with `extra` peepholes."""
    weights = ((_FLOAT, (1, gates * 4, 3)), (_FLOAT, (1, gates * 4, 4)))
    peepholes = (None, None, None, None, (_FLOAT, (1, 12))) if extra else ()
    return Case(
        op=op,
        opset=14,
        inputs=((_FLOAT, (5, -1, 3)), *weights, *peepholes),
        attributes={"hidden_size": 4, **attributes},
    )


_ALL = ("1.15.1", "1.17.1", "1.19.2", "1.22.0", "1.24.4", "1.31.1")
_IMAGE = (_FLOAT, (-1, 3, 8, 8))
_SPREAD = (_IMAGE, (_FLOAT, (3, 2, 3, 3)))
_LAST = {"select_last_index": 1}
_NAMED = (
    # an open-ended kernel serves its own version alone
    Case(
        op="Conv",
        opset=22,
        inputs=(_IMAGE, (_FLOAT, (4, 3, 3, 3))),
        cpu=("1.21.1", "1.22.0", "1.23.2"),
        cuda=("1.24.4",),
    ),
    *(
        Case(
            op=op,
            opset=opset,
            inputs=inputs,
            attributes=said,
            cpu=("1.18.1", "1.20.2", "1.22.0") if opset == 21 else (),
            cuda=("1.24.4",) if opset == 21 else ("1.18.1", "1.20.2", "1.22.0", "1.24.4"),
        )
        for opset in (20, 21)
        for op, inputs, said in (
            ("Reshape", (_IMAGE, (TensorProto.INT64, (2,))), {}),
            ("Transpose", (_IMAGE,), {"perm": [0, 2, 3, 1]}),
            ("Cast", (_IMAGE,), {"to": TensorProto.FLOAT16}),
        )
    ),
    Case(op="Shape", opset=21, inputs=(_IMAGE,), cpu=("1.18.1", "1.20.2", "1.22.0")),
    Case(op="Shape", opset=20, inputs=(_IMAGE,), cuda=("1.18.1", "1.20.2", "1.22.0")),
    Case(
        op="ReduceMean",
        opset=18,
        inputs=(_IMAGE,),
        cpu=("1.14.1", "1.15.1", "1.16.3"),
        cuda=("1.17.1", "1.19.2"),
    ),
    *(
        Case(
            op="Resize",
            opset=opset,
            inputs=(_IMAGE, None, (_FLOAT, (4,))),
            attributes={"mode": "nearest"},
            cpu=cpu,
            cuda=cuda,
        )
        for opset, cpu, cuda in (
            (17, (), ("1.14.1", "1.17.1", "1.19.2")),
            (18, ("1.14.1", "1.16.3", "1.17.1"), ("1.18.1", "1.20.2")),
            (19, ("1.18.1", "1.20.2", "1.22.0", "1.24.4"), ("1.25.1", "1.31.1")),
        )
    ),
    # attributes that its kernels do not take
    _recurrent("LSTM", 4, extra=1),
    _recurrent("LSTM", 4, clip=1.0),
    _recurrent("LSTM", 4, input_forget=1),
    _recurrent("LSTM", 4, activations=["Relu", "Tanh", "Tanh"]),
    _recurrent("GRU", 3),
    _recurrent("GRU", 3, linear_before_reset=1, clip=1.0),
    _recurrent("RNN", 1, activations=["LeakyRelu"], activation_alpha=[0.1]),
    Case(op="ConvTranspose", opset=17, inputs=_SPREAD, attributes={"pads": [0, 0, 1, 1]}),
    Case(op="ConvTranspose", opset=17, inputs=_SPREAD, attributes={"auto_pad": "SAME_UPPER"}),
    Case(op="Cast", opset=17, inputs=(_IMAGE,), attributes={"to": TensorProto.STRING}),
    Case(op="ArgMax", opset=13, inputs=(_IMAGE,), attributes=_LAST),
    Case(op="ArgMin", opset=13, inputs=(_IMAGE,), attributes=_LAST),
    # types that none of its kernels takes
    Case(op="MatMul", opset=17, inputs=((_INT, (-1, 4)), (_INT, (4, 4)))),
    Case(op="Softmax", opset=17, inputs=((_FLOAT, (-1, 4)),), cuda=_ALL),
    # and those beside them, which it takes
    *(
        replace(case, cuda=_ALL)
        for case in (
            _recurrent("LSTM", 4),
            _recurrent("GRU", 3, linear_before_reset=1),
            _recurrent("RNN", 1),
            Case(op="ConvTranspose", opset=17, inputs=_SPREAD, attributes={"pads": [1, 1, 1, 1]}),
            Case(op="MatMul", opset=17, inputs=((_FLOAT, (-1, 4)), (_FLOAT, (4, 4)))),
        )
    ),
)
# Where no release is named all leave the node to the CPU.
CASES = tuple(case if case.cpu or case.cuda else replace(case, cpu=_ALL) for case in _NAMED)
