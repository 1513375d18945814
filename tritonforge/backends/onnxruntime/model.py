"""Serve `backend: "onnxruntime"` with ONNX Runtime's Python package, as the C++ backend would.

Triton takes this file for the backend of that name where it finds no C++ library
(core `backend_model.cc`); it runs in one process per instance, in the pinned environment, and
knows nothing of tritonforge.
"""

import json
from functools import partial
from pathlib import Path

import numpy as np
import ort_batch
import ort_complete
import ort_match
import ort_options
import ort_ragged
import ort_sequence
import ort_special
import ort_state
import ort_tensors
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
        folder = Path(ort_complete.model_path()).parent
        try:
            path = ort_options.model_file(folder, config, config["name"])
            session = ort_options.session(path, ort_options.session_options(config))
            inputs = ort_match.tensors(session.get_inputs())
            outputs = ort_match.tensors(session.get_outputs())
            ort_complete.complete(auto_complete_model_config, inputs, outputs)
        except ort_options.ConfigError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        return auto_complete_model_config

    def initialize(self, args):
        """Open the session; refuse a config that does not fit the file."""
        config = json.loads(args["model_config"])
        try:
            self._open(config, args)
        except ort_options.ConfigError as error:
            raise pb_utils.TritonModelException(str(error)) from error
        if ort_tensors.BY_DLPACK and (
            self.strings or "TYPE_STRING" in {entry["data_type"] for entry in config["output"]}
        ):
            raise pb_utils.TritonModelException(ort_tensors.NO_STRINGS)

    def _open(self, config, args):
        """Open the session and note what every request needs."""
        ort_options.check_accelerators(config)
        folder = Path(args["model_repository"], args["model_version"])
        path = ort_options.model_file(folder, config, args["model_instance_name"])
        self.session = ort_options.session(path, ort_options.session_options(config))
        inputs = ort_match.tensors(self.session.get_inputs())
        optional = ort_match.tensors(self.session.get_overridable_initializers())
        outputs = ort_match.tensors(self.session.get_outputs())
        _check(config, inputs, optional, outputs)
        added = ort_sequence.added(config)
        known = {**inputs, **optional}
        self.batching = int(config.get("max_batch_size", 0)) > 0
        self.inputs = [
            *(entry["name"] for entry in config["input"]),
            *(each.name for each in added),
        ]
        self.strings = {name for name in self.inputs if known[name].type == "TYPE_STRING"}
        self.scalar_inputs = {name for name in self.inputs if not known[name].dims}
        self.outputs = [entry["name"] for entry in config["output"]]
        self.scalar_outputs = {
            entry["name"]: ort_match.shape_of(entry)
            for entry in config["output"]
            if not outputs[entry["name"]].dims
        }
        run_options = ort_options.run_options(config)
        self.run = (
            partial(self.session.run, run_options=run_options) if run_options else self.session.run
        )
        batches, states = ort_ragged.Batches(config), ort_sequence.states(config)
        if states or batches.special:  # a way of their own, so that all others pay nothing
            self.execute = ort_special.Executor(
                read=self._feed,
                run=self.run,
                outputs=self.outputs,
                scalars=self.scalar_outputs,
                batches=batches,
                states=ort_state.States(states, config) if states else None,
            ).execute
        elif not (added or self.scalar_inputs):
            ort_warmup.check(config, args["model_repository"], self.run)

    def execute(self, requests):
        """Answer each request; those that may run together do."""
        responses = [None] * len(requests)
        feeds = {}
        for position, request in enumerate(requests):
            try:
                feeds[position] = self._feed(request)
            except UnicodeDecodeError as error:
                responses[position] = _failure(f"a BYTES input is not valid UTF-8: {error}")
        positions = list(feeds)
        groups = ort_batch.alike(list(feeds.values())) if self.batching else []
        for group in groups or [[index] for index in range(len(positions))]:
            members = [positions[index] for index in group]
            answers = self._answer([requests[m] for m in members], [feeds[m] for m in members])
            for member, answer in zip(members, answers, strict=True):
                responses[member] = answer
        return responses

    def _feed(self, request):
        """Return a request's inputs as ONNX Runtime wants them; without copies except for text."""
        feed = {}
        for name in self.inputs:
            tensor = pb_utils.get_input_tensor_by_name(request, name)
            if tensor is None:  # an optional input that was left out
                continue
            array = ort_tensors.array_of(tensor)
            if name in self.strings:
                texts = [each.decode() for each in array.reshape(-1)]
                array = np.array(texts, dtype=object).reshape(array.shape)
            feed[name] = array.reshape(()) if name in self.scalar_inputs else array
        return feed

    def _answer(self, requests, feeds):
        """Run a group of requests; where that fails run each by itself, so that one fails alone."""
        wanted = [set(request.requested_output_names()) for request in requests]
        names = [name for name in self.outputs if any(name in each for each in wanted)]
        try:
            if len(feeds) == 1:
                results = [self._run(names, feeds[0])]
            else:
                results = self._run_merged(names, feeds)
        except Exception as error:  # noqa: BLE001 - ONNX Runtime has no base for its errors
            if len(feeds) == 1:
                return [_failure(ort_options.words(error))]
            each = zip(requests, feeds, strict=True)
            return [self._answer([request], [feed])[0] for request, feed in each]
        return [
            pb_utils.InferenceResponse(
                [ort_tensors.tensor_of(name, result[name]) for name in names if name in mine]
            )
            for result, mine in zip(results, wanted, strict=True)
        ]

    def _run(self, names, feed):
        """Run one feed as it is."""
        results = dict(zip(names, self.run(names, feed), strict=True))
        if self.batching:
            for name, array in results.items():
                ort_batch.split(name, array, ort_batch.sizes([feed]))
        for name, shape in self.scalar_outputs.items():
            if name in results:
                results[name] = np.asarray(results[name]).reshape(shape)
        return results

    def _run_merged(self, names, feeds):
        """Run several feeds at once and give each its own part."""
        counts = ort_batch.sizes(feeds)
        arrays = self.run(names, ort_batch.merge(feeds))
        parts = [
            ort_batch.split(name, array, counts) for name, array in zip(names, arrays, strict=True)
        ]
        return [dict(zip(names, mine, strict=True)) for mine in zip(*parts, strict=True)]

    def finalize(self):
        """Let go of the session."""
        self.session = self.run = None


def _check(config, inputs, optional, outputs):
    """Raise ConfigError where the config cannot serve a file with these tensors."""
    ort_sequence.check_controls(config, inputs)
    ort_match.check(
        config,
        inputs,
        optional,
        outputs,
        added=len(ort_sequence.added(config)) + len(ort_ragged.batch_inputs(config)),
        scattered=ort_ragged.scattered(config),
    )
    ort_sequence.check_states(config, inputs, outputs)
    ort_ragged.check(config, inputs)


def _failure(message):
    """Answer one request with an error."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(message))
