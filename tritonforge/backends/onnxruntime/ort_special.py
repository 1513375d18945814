"""Execute requests of models with state or ragged batches: apart, so that others pay nothing."""

from dataclasses import dataclass

import numpy as np
import ort_options
import ort_tensors
import triton_python_backend_utils as pb_utils
from ort_state import StateError


@dataclass
class _Task:
    """A request on its way to an answer."""

    request: object
    wanted: set
    feed: dict
    answer: object = None


class Executor:
    """The whole of `execute` for one instance."""

    def __init__(self, read, run, outputs, scalars, batches, states):
        """Take what the model knows.

        `read(request)` gives a feed, `run(names, feed)` runs one; `outputs` are the config's,
        `scalars` the dims under which those travel that are scalars in the file, `batches` the
        `ort_ragged.Batches`, `states` the `ort_state.States` or None.
        """
        self._read, self._run, self._batches, self._states = read, run, batches, states
        self._scalars = scalars
        self._kept = set(states.outputs if states else ())
        self._outputs = list(dict.fromkeys([*outputs, *self._kept]))

    def execute(self, requests):
        """Answer each request; those that may run together do."""
        tasks = [self._task(request) for request in requests]
        ready = [task for task in tasks if task.answer is None]
        for group in self._batches.alike([task.feed for task in ready]):
            self._answer([ready[position] for position in group])
        return [task.answer for task in tasks]

    def _task(self, request):
        """Read a request; one that cannot be read is answered at once."""
        task = _Task(request, set(request.requested_output_names()), {})
        try:
            task.feed = self._read(request)
            if self._states:
                self._states.resume(request, task.feed)
        except UnicodeDecodeError as error:
            self._fail(task, f"a BYTES input is not valid UTF-8: {error}")
        except StateError as error:
            self._fail(task, str(error))
        return task

    def _answer(self, tasks):
        """Run a group; where that fails run each by itself, so that one fails alone."""
        names = [
            name
            for name in self._outputs
            if name in self._kept or any(name in task.wanted for task in tasks)
        ]
        try:
            results = self._results(names, [task.feed for task in tasks])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no base for its errors
            if len(tasks) == 1:
                self._fail(tasks[0], ort_options.words(error))
                return
            for task in tasks:
                self._answer([task])
            return
        for task, result in zip(tasks, results, strict=True):
            if self._states:
                self._states.keep(task.request, result)
            task.answer = pb_utils.InferenceResponse(
                [ort_tensors.tensor_of(n, result[n]) for n in names if n in task.wanted]
            )

    def _results(self, names, feeds):
        """Run feeds of one group at once and give each its own part."""
        if not names:  # a group of requests that the core made up to fill slots
            return [{} for _ in feeds]
        arrays = self._run(names, self._batches.merge(feeds))
        parts = []
        for name, array in zip(names, arrays, strict=True):
            if name in self._scalars:
                array = np.asarray(array).reshape(self._scalars[name])  # noqa: PLW2901 - the same
            parts.append(self._batches.split(name, array, feeds))
        return [dict(zip(names, mine, strict=True)) for mine in zip(*parts, strict=True)]

    def _fail(self, task, message):
        """Answer a request with an error; its sequence goes on with the state that it had."""
        if self._states:
            self._states.keep(task.request, None)
        task.answer = pb_utils.InferenceResponse(error=pb_utils.TritonError(message))
