"""Answers, and the way to them: requests are read, grouped, and run as one or one by one."""

import triton_python_backend_utils as pb_utils
from ort_batch import RequestError
from ort_options import words
from ort_tensors import tensor_of


def response(arrays):
    """Answer one request with its outputs."""
    return pb_utils.InferenceResponse([tensor_of(name, array) for name, array in arrays.items()])


def failure(error):
    """Answer one request with an error: of the kind that it names, else an internal one."""
    kind = getattr(pb_utils.TritonError, getattr(error, "kind", "INTERNAL"))
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(words(error), kind))


def all_of(requests, read, alike, together):
    """Answer each request: those that `alike(feeds)` puts into a group by `together`.

    `read(request)` gives a feed; a request for which it raises `RequestError` is answered with it.
    """
    answers = [None] * len(requests)
    feeds = {}
    for position, request in enumerate(requests):
        try:
            feeds[position] = read(request)
        except RequestError as error:
            answers[position] = failure(error)
    for positions in alike(feeds):
        members = [requests[position] for position in positions]
        found = together(members, [feeds[position] for position in positions])
        for position, answer in zip(positions, found, strict=True):
            answers[position] = answer
    return answers


def group(requests, feeds, merged, alone, warn):
    """Answer a group by one run; where that fails each alone, so that a bad one fails alone.

    Where none is bad, it is the model that cannot run them as one, which `warn` is told.
    """
    if len(requests) == 1:
        return [alone(requests[0], feeds[0])]
    try:
        return merged(requests, feeds)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime has no base for its errors
        answers = [alone(*pair) for pair in zip(requests, feeds, strict=True)]
        if not any(answer.has_error() for answer in answers):
            warn(len(requests), error)
        return answers


def warns_once(model):
    """Return a function that puts the first batch that failed without a bad request into the log.

    It is a model that should not batch: here it works, at half the speed, and behind the C++
    backend, which runs nothing again, requests fail as soon as two arrive at once.
    """
    told = []

    def warn(count, error):
        if not told:
            told.append(error)
            pb_utils.Logger.log_warn(
                f"model '{model}': {count} requests failed as one batch, and each succeeded alone;"
                f" the C++ backend would have failed them: {words(error)}"
            )

    return warn
