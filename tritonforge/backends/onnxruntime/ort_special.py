"""Execute requests of models with state or ragged batches: apart, so that others pay nothing."""

import numpy as np
import ort_answer
from ort_batch import RequestError


class Executor:
    """The whole of `execute` for one instance."""

    def __init__(self, read, run, outputs, scalars, batches, states, warn):
        """Take what the model knows.

        `read(request)` gives a feed, `run(names, feed)` runs one; `outputs` are the config's,
        `scalars` the dims under which those travel that are scalars in the file, `batches` the
        `ort_ragged.Batches`, `states` the `ort_state.States` or None, `warn` is for
        `ort_answer.group`.
        """
        self._read, self._run, self._batches, self._states = read, run, batches, states
        self._scalars, self._warn = scalars, warn
        self._kept = set(states.outputs if states else ())
        self._outputs = list(dict.fromkeys([*outputs, *self._kept]))

    def execute(self, requests):
        """Answer each request; those that may run together do."""
        return ort_answer.all_of(requests, self._feed, self._batches.alike, self._together)

    def _feed(self, request):
        """Read a request, and the state of its sequence with it."""
        try:
            feed = self._read(request)
            if self._states:
                self._states.resume(request, feed)
        except RequestError:
            self._keep(request, None)
            raise
        return feed

    def _together(self, requests, feeds):
        """Answer a group."""
        return ort_answer.group(requests, feeds, self._merged, self._alone, self._warn)

    def _alone(self, request, feed):
        """Answer a request by itself; where it fails its sequence keeps the state that it had."""
        try:
            return self._merged([request], [feed])[0]
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no base for its errors
            self._keep(request, None)
            return ort_answer.failure(error)

    def _merged(self, requests, feeds):
        """Answer a group by one run."""
        wanted = [set(request.requested_output_names()) for request in requests]
        asked = self._kept.union(*wanted)
        names = [name for name in self._outputs if name in asked]
        answers = []
        results = self._results(names, feeds)
        for request, mine, result in zip(requests, wanted, results, strict=True):
            self._keep(request, result)
            answers.append(ort_answer.response({n: result[n] for n in names if n in mine}))
        return answers

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

    def _keep(self, request, result):
        """Note the state that a request leaves, None where it failed."""
        if self._states:
            self._states.keep(request, result)
