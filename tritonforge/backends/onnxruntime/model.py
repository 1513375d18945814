"""Serve `backend: "onnxruntime"` with ONNX Runtime's Python package, as the C++ backend would.

Triton takes this file for the backend of that name where it finds no C++ library
(core `backend_model.cc`); it runs in one process per instance, in the pinned environment, and
knows nothing of tritonforge.
"""

import gc
import json
from functools import partial
from pathlib import Path

import numpy as np
import ort_answer
import ort_batch
import ort_complete
import ort_match
import ort_open
import ort_options
import ort_ragged
import ort_sequence
import ort_special
import ort_state
import ort_tensors
import ort_text
import ort_warmup
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance of a model, as Triton's Python backend calls it."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config):
        """Complete an absent or partial config from the file."""
        config = auto_complete_model_config.as_dict()
        if not ort_complete.needed(config):
            return auto_complete_model_config
        try:
            session = ort_complete.session(config, ort_complete.model_path())
            inputs = ort_match.tensors(session.get_inputs())
            outputs = ort_match.tensors(session.get_outputs())
            ort_complete.complete(auto_complete_model_config, inputs, outputs)
        except ort_options.ConfigError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        return auto_complete_model_config

    def initialize(self, args):
        """Open the session; refuse a config that does not fit the file."""
        gc.freeze()  # what has been imported stays, and need not be looked at between requests
        config = json.loads(args["model_config"])
        try:
            inputs, outputs = self._open(config, args)
            self._learn(config, inputs, outputs)
            self._prepare(config, args)
        except ort_options.ConfigError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        if ort_tensors.BY_DLPACK and (
            self.strings or "TYPE_STRING" in {entry["data_type"] for entry in config["output"]}
        ):
            raise pb_utils.TritonModelException(ort_tensors.NO_STRINGS)

    def _open(self, config, args):
        """Open the session; return the file's tensors that requests may give and ask for."""
        folder = Path(args["model_repository"], args["model_version"])
        kind, device = args["model_instance_kind"], args["model_instance_device_id"]
        self.session = ort_open.load(config, folder, kind, device)
        inputs = ort_match.tensors(self.session.get_inputs())
        optional = ort_match.tensors(self.session.get_overridable_initializers())
        outputs = ort_match.tensors(self.session.get_outputs())
        _check(config, inputs, optional, outputs)
        return {**inputs, **optional}, outputs

    def _learn(self, config, inputs, outputs):
        """Note what every request needs."""
        self.inputs = [
            *(entry["name"] for entry in config["input"]),
            *(each.name for each in ort_sequence.added(config)),
        ]
        known = [inputs[name] for name in self.inputs if name in inputs]  # see `_check`
        self.strings = {each.name for each in known if each.type == "TYPE_STRING"}
        self.scalar_inputs = {each.name for each in known if not each.dims}
        # A scalar is its own request's, where the C++ backend takes the first's for a whole batch.
        self.merging = ort_match.batching(config) and not self.scalar_inputs
        self.scalar_outputs = {
            entry["name"]: ort_match.shape_of(entry) or (1,)
            for entry in config["output"]
            if not outputs[entry["name"]].dims
        }
        self.outputs = [entry["name"] for entry in config["output"]]
        options = ort_options.run_options(config)
        self.warn = ort_answer.warns_once(config["name"])
        run = partial(self.session.run, run_options=options) if options else self.session.run
        texts = [entry["name"] for entry in config["output"] if entry["data_type"] == "TYPE_STRING"]
        self.run = ort_text.naming(run, texts) if texts else run

    def _prepare(self, config, args):
        """Choose how requests are executed, and try the warm-up's."""
        batches, states = ort_ragged.Batches(config, self.merging), ort_sequence.states(config)
        if states or batches.special:  # a way of their own, so that all others pay nothing
            self.execute = ort_special.Executor(
                read=self._feed,
                run=self.run,
                outputs=self.outputs,
                scalars=self.scalar_outputs,
                batches=batches,
                states=ort_state.States(states, config) if states else None,
                warn=self.warn,
            ).execute
        elif not (ort_sequence.added(config) or self.scalar_inputs):
            ort_warmup.check(config, args["model_repository"], self.run)

    def execute(self, requests):
        """Answer each request; those that may run together do."""
        if len(requests) == 1 or not self.merging:
            return [self._alone(request) for request in requests]
        return ort_answer.all_of(requests, self._feed, ort_batch.alike, self._together)

    def _alone(self, request):
        """Answer a request that runs by itself: its inputs go in and its outputs out uncopied."""
        try:
            return self._answer(request, self._feed(request))
        except ort_batch.RequestError as error:
            return ort_answer.failure(error)

    def _feed(self, request):
        """Return a request's inputs as ONNX Runtime wants them; without copies except for text."""
        given = {tensor.name(): tensor for tensor in request.inputs()}
        feed = {}
        for name in self.inputs:
            if name not in given:  # an optional input that was left out
                continue
            array = ort_tensors.array_of(given[name])
            if name in self.strings:
                array = ort_text.given(name, array)
            if name in self.scalar_inputs:
                if array.size != 1:
                    raise ort_batch.RequestError(
                        f"input '{name}' is a scalar in the model file: one value a request, "
                        f"got {array.size}"
                    )
                array = array.reshape(())
            feed[name] = array
        return feed

    def _answer(self, request, feed):
        """Run one feed as it is."""
        wanted = request.requested_output_names()  # in no order of its own
        names = [name for name in self.outputs if name in wanted]
        if not names:  # a request that the core made up to fill a slot
            return ort_answer.response({})
        try:
            arrays = self.run(names, feed)
            if self.merging:
                ort_batch.check(names, arrays, ort_batch.rows(feed))
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no base for its errors
            return ort_answer.failure(error)
        answer = dict(zip(names, arrays, strict=True))
        for name, shape in self.scalar_outputs.items():
            if name in answer:
                answer[name] = np.asarray(answer[name]).reshape(shape)
        return ort_answer.response(answer)

    def _together(self, requests, feeds):
        """Answer a group of requests."""
        return ort_answer.group(requests, feeds, self._merged, self._answer, self.warn)

    def _merged(self, requests, feeds):
        """Answer a group of requests by one run."""
        wanted = [request.requested_output_names() for request in requests]
        every = set().union(*wanted)
        names = [name for name in self.outputs if name in every]
        counts = [ort_batch.rows(feed) for feed in feeds]
        arrays = self.run(names, ort_batch.merge(feeds))
        ort_batch.check(names, arrays, sum(counts))
        parts = zip(*(ort_batch.split(array, counts) for array in arrays), strict=True)
        return [
            ort_answer.response(
                {name: part for name, part in zip(names, each, strict=True) if name in mine}
            )
            for each, mine in zip(parts, wanted, strict=True)
        ]

    def finalize(self):
        """Let go of the session."""
        self.session = self.run = None


def _check(config, inputs, optional, outputs):
    """Raise ConfigError where the config cannot serve a file with these tensors.

    What is said of states, and of what a batch input fills in, is no more compared than by the C++
    backend: where the file lacks such a tensor every request fails.
    """
    ort_sequence.check_controls(config, inputs)
    ort_sequence.check_states(config)
    ort_match.check(
        config,
        inputs,
        optional,
        outputs,
        added=len(ort_sequence.added(config)) + len(ort_ragged.batch_inputs(config)),
        scattered=ort_ragged.scattered(config),
    )
