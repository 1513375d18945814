"""What Triton's core gives a model of sequences beside a request, given to the reference by us.

Control tensors tell a request's place in its sequence, implicit states are what the request before
has left. Source: triton-inference-server/core, `sequence_batch_scheduler.cc` and
`sequence_state.cc`; common, `model_config.proto` (ModelSequenceBatching).
"""

import itertools
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tritonforge import pbtxt
from tritonforge.client import Place
from tritonforge.errors import ConfigError
from tritonforge.tensors import Arrays, DType, Run

_FOLDER = "initial_state"  # beside the config
_IDS = 1 << 30  # others may have sequences at a server, and a control tensor 32 bits
_FLAGS = {"CONTROL_SEQUENCE_START": "start", "CONTROL_SEQUENCE_END": "end"}


def _ids() -> Iterator[int]:
    """Give correlation ids of our own."""
    return itertools.count(1 + secrets.randbelow(_IDS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An input that tells a request's place; `kind` as in the config.

    `values` are what stands for false and true, empty for the correlation id.
    """

    name: str
    kind: str
    dtype: DType
    values: tuple[float, ...]

    def value(self, place: Place) -> float:
        """Return what a request at this place is given; its slot is always ready."""
        if not self.values:
            return place.sequence
        flag = _FLAGS.get(self.kind)
        return self.values[1 if flag is None or getattr(place, flag) else 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """An input that takes what the output left at the request before, and what it takes first."""

    input: str
    output: str
    initial: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequences:
    """What a model's sequences are made of; `rows` is the batch dimension of one request."""

    rows: tuple[int, ...]
    controls: tuple[Control, ...]
    states: tuple[State, ...]
    ids: Iterator[int] = field(default_factory=_ids)

    @classmethod
    def of(cls, config: Any, model_dir: Path) -> "Sequences | None":
        """Read them from a config, None where it has none; raises `ConfigError`."""
        if not config.HasField("sequence_batching"):
            return None
        batching = config.sequence_batching
        rows = (1,) if config.max_batch_size > 0 else ()
        controls = tuple(
            _control(entry.name, control)
            for entry in batching.control_input
            for control in entry.control
        )
        starts = any(control.kind == "CONTROL_SEQUENCE_START" for control in controls)
        states = tuple(
            State(
                input=state.input_name,
                output=state.output_name,
                initial=_initial(state, rows, model_dir / _FOLDER, starts=starts),
            )
            for state in batching.state
        )
        return cls(rows=rows, controls=controls, states=states)

    @property
    def inputs(self) -> frozenset[str]:
        """Name the inputs of the file that no client sends."""
        return frozenset(
            [*(each.name for each in self.controls), *(each.input for each in self.states)]
        )

    def places(self, length: int) -> list[Place]:
        """Return the places of a new sequence."""
        sequence = next(self.ids)
        return [
            Place(sequence=sequence, start=turn == 0, end=turn == length - 1)
            for turn in range(length)
        ]

    def follow(self, run: Run, turns: Sequence[tuple[Arrays, Place | None]]) -> list[Arrays]:
        """Run one whole sequence: each request with its controls and the state before it."""
        states = {each.input: each.initial for each in self.states}
        answers = []
        for arrays, place in turns:
            assert place is not None  # noqa: S101 - all turns of a sequence have one
            controls = {
                each.name: np.full((*self.rows, 1), each.value(place), each.dtype.numpy)
                for each in self.controls
            }
            answer = run({**arrays, **controls, **states})
            states = {each.input: answer[each.output] for each in self.states}
            answers.append(answer)
        return answers


def _control(name: str, control: Any) -> Control:
    """Read a control tensor: its pair of values says its type too."""
    kind = type(control).Kind.Name(control.kind)
    for dtype in (DType.INT32, DType.FP32, DType.BOOL):
        pair = getattr(control, f"{dtype.name.lower()}_false_true")
        if len(pair):
            return Control(name=name, kind=kind, dtype=dtype, values=tuple(pair))
    return Control(name=name, kind=kind, dtype=pbtxt.dtype(control.data_type), values=())


def _initial(state: Any, rows: tuple[int, ...], folder: Path, *, starts: bool) -> np.ndarray:
    """Return what a state is at the start of a sequence.

    Without an `initial_state` that is whatever lay in the server's memory: a model that is told of
    the start does not look at it, of another one nothing can be foretold.
    """
    if not state.initial_state:
        if not starts:
            raise ConfigError(
                f"the state {state.input_name!r} has no initial_state and the model is not told"
                " where a sequence starts, so that what it gives is left to chance",
                hint="give it an initial_state in config.pbtxt, as with zero_data: true",
            )
        dims, stored = [max(size, 1) for size in state.dims], None
    else:
        first = state.initial_state[0]
        dims, stored = list(first.dims), first.data_file or None
    shape, dtype = (*rows, *dims), pbtxt.dtype(state.data_type)
    if stored is None:
        return np.full(shape, b"" if dtype is DType.BYTES else 0, dtype.numpy)
    try:
        return _values((folder / stored).read_bytes(), dtype).reshape(shape)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the initial state {folder / stored} cannot be read: {error}") from error


def _values(data: bytes, dtype: DType) -> np.ndarray:
    """Read values as Triton's protocol writes them: strings each behind its length."""
    if dtype is not DType.BYTES:
        return np.frombuffer(data, dtype.numpy)
    items = []
    while data:
        size = int.from_bytes(data[:4], "little")
        items.append(data[4 : 4 + size])
        data = data[4 + size :]
    return np.array(items, dtype=object)
