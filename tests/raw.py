"""Requests that no client library would send, and the door through which they go."""

import http.client
import json
import socket
import struct

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

ROW = np.arange(1, 5, dtype=np.float32)
ROW_BYTES = ROW.tobytes()
HUGE = 2**62
SECONDS = 30.0  # so long a test waits for an answer before it fails
NESTED = 1_000_000  # lists within lists


def x(**changed):
    """Describe the input of `tiny.double` for JSON; None takes a key away."""
    entry = {"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4], **changed}
    return {key: value for key, value in entry.items() if value is not None}


def binary(size=16, **changed):
    """Describe the input of `tiny.double` whose values follow the JSON."""
    return x(data=None, parameters={"binary_data_size": size}, **changed)


def document(*inputs, **more):
    """Write a request body of JSON alone."""
    return json.dumps({"inputs": inputs, **more}).encode(), {}


def parts(entry, data, length=None):
    """Write a request body of JSON and values; `length` is what it says of its JSON."""
    head = json.dumps({"inputs": [entry]}).encode()
    said = len(head) if length is None else length
    return head + data, {"Inference-Header-Content-Length": str(said)}


def texts(*values):
    """Write texts as Triton does: the length before each."""
    return b"".join(struct.pack("<I", len(value)) + value for value in values)


def connect(address):
    """Open a TCP connection."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def post(endpoint, model, body, headers):
    """Send a body to a model; return the status and the answer's bytes."""
    connection = http.client.HTTPConnection(endpoint.http, timeout=SECONDS)
    try:
        connection.request("POST", f"/v2/models/{model}/infer", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def whole(model, body, headers):
    """Return the bytes of a whole HTTP request, for a socket."""
    lines = [
        f"POST /v2/models/{model}/infer HTTP/1.1",
        "Host: here",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{key}: {value}" for key, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def vanish(connection):
    """Close a connection as a killed client's kernel would: at once, with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def request(model="double", *inputs, raw=(), contents=None, outputs=()):
    """Write a gRPC request; an input is `(name, dtype, shape)`, contents are `(field, values)`."""
    made = pb.ModelInferRequest(model_name=model)
    for name, dtype, shape in inputs or [("x", "FP32", [1, 4])]:
        tensor = made.inputs.add(name=name, datatype=dtype, shape=shape)
        if contents is not None:
            getattr(tensor.contents, contents[0]).extend(contents[1])
    made.raw_input_contents.extend(raw)
    for name in outputs:
        made.outputs.add(name=name)
    return made


def channel(endpoint):
    """Open a gRPC channel."""
    return grpc.insecure_channel(endpoint.grpc)


def call(opened, message):
    """Send a message, or bytes in its place; raises `grpc.RpcError`."""
    if not isinstance(message, bytes):
        return service_pb2_grpc.GRPCInferenceServiceStub(opened).ModelInfer(
            message, timeout=SECONDS
        )
    return opened.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
        message, timeout=SECONDS
    )


def asked(opened, model, tensor):
    """Send a request of one `(name, dtype, shape, bytes)`; return the call, not its answer."""
    *described, data = tensor
    stub = service_pb2_grpc.GRPCInferenceServiceStub(opened)
    return stub.ModelInfer.future(request(model, tuple(described), raw=[data]), timeout=SECONDS)


# By name: model, body and headers, and what the answer says.
HTTP = {
    "no_json": ("double", (b"{nope", {}), "failed to parse the request JSON"),
    "nothing": ("double", (b"", {}), "input byte size mismatch"),
    "a_list": ("double", (b"[]", {}), "Unable to parse 'inputs'"),
    "open_lists": ("double", (b"[" * 50_000, {}), "failed to parse the request JSON"),
    "no_utf8": ("double", (b'{"inputs": "\xff\xfe"}', {}), "Unable to parse 'inputs'"),
    "inputs_of_text": ("double", (b'{"inputs": "x"}', {}), "non-array as array"),
    "no_inputs": ("double", document(), r"missing required input\(s\) \['x'\]"),
    "input_of_number": ("double", document(3), "But no field is set"),
    "no_name": ("double", document(x(name=None)), "Unable to parse 'name'"),
    "no_shape": ("double", document(x(shape=None)), "Unable to parse 'shape'"),
    "no_data": ("double", document(x(data=None)), "But no field is set"),
    "shape_of_text": ("double", document(x(shape="1,4")), "Unable to parse 'shape'"),
    "shape_of_floats": ("double", document(x(shape=[1.5, 4])), "Unable to parse 'shape'"),
    "negative": ("double", document(x(shape=[-1, 4])), "Unable to parse 'shape'"),
    "beyond_64_bits": ("double", document(x(shape=[2**64, 4])), "Unable to parse 'shape'"),
    "huge": ("double", document(x(shape=[HUGE, 4])), "input byte size mismatch"),
    "product_wraps": ("free", parts(binary(shape=[1, HUGE]), ROW_BYTES), "Expected 0, got 16"),
    "larger_than_memory": ("free", parts(binary(shape=[1, 2**40]), ROW_BYTES), "size mismatch"),
    "batch_of_none": ("double", document(x(shape=[0, 4], data=[])), "Expected 16, got 0"),
    "no_dims": ("double", document(x(shape=[])), "has no shape but model requires batch"),
    "few_dims": ("double", document(x(shape=[4])), r"Expected \[-1,4\], got \[4\]"),
    "a_thousand_dims": (
        "double",
        document(x(shape=[1] * 1000, data=[1])),
        r"Expected \[-1,4\], got \[1,1",
    ),
    "other_dims": ("double", document(x(shape=[1, 5], data=[0] * 5)), r"got \[1,5\]"),
    "large_batch": ("double", document(x(shape=[9, 4], data=[0] * 36)), "must be <= 8"),
    "few_values": ("double", document(x(data=[1, 2])), "Shape does not match true shape"),
    "many_values": ("double", document(x(data=[1] * 9)), "Shape does not match true shape"),
    "values_of_text": ("double", document(x(data=["a"] * 4)), "non-number as double"),
    "no_number": ("double", document(x(data=[None] * 4)), "non-number as double"),
    "number_too_big": (
        "gather",
        document(x(name="i", datatype="INT64", shape=[1, 1], data=[2**70])),
        "non-signed-integer",
    ),
    "other_dtype": ("double", document(x(datatype="FP64")), "'FP64', but model 'double' expects"),
    "no_dtype": ("double", document(x(datatype="float")), "invalid datatype for input x"),
    "unknown_input": ("double", document(x(name="z")), "unexpected inference input 'z'"),
    "one_more": ("double", document(x(), x(name="z")), "expected 1 inputs but got 2"),
    "thousands_more": (
        "double",
        document(x(), *(x(name=f"z{n}") for n in range(5000))),
        "expected 1 inputs but got 5001",
    ),
    "twice": ("double", document(x(), x()), "input 'x' already exists"),
    "one_of_two": ("two", document(x(name="a")), r"missing required input\(s\) \['b'\]"),
    "batches_differ": (
        "two",
        document(x(name="a"), x(name="b", shape=[2, 2])),
        "batch size does not",
    ),
    "lengths_differ": (
        "two",
        document(x(name="a"), x(name="b", shape=[1, 3], data=[0] * 3)),
        "onnx runtime error",
    ),
    "unknown_output": ("double", document(x(), outputs=[{"name": "z"}]), "inference output 'z'"),
    "unknown_model": ("nope", document(x()), "unknown model: 'nope'"),
    "unknown_region": (
        "double",
        document(
            x(data=None, parameters={"shared_memory_region": "no", "shared_memory_byte_size": 16})
        ),
        "shared memory region: 'no'",
    ),
    "header_too_long": ("double", parts(binary(), ROW_BYTES, 99_999), "inference header size"),
    "header_negative": ("double", parts(binary(), ROW_BYTES, -5), "inference header size"),
    "header_of_text": ("double", parts(binary(), ROW_BYTES, "abc"), "size mismatch"),
    "header_too_short": ("double", parts(binary(), ROW_BYTES, 10), "failed to parse the request"),
    "values_cut": ("double", parts(binary(), ROW_BYTES[:8]), "expecting 8 additional bytes"),
    "values_over": ("double", parts(binary(), ROW_BYTES * 2), "unexpected additional input data"),
    "size_unlike_shape": ("double", parts(binary(20), ROW_BYTES + b"1234"), "Expected 16, got 20"),
    "size_negative": ("double", parts(binary(-16), ROW_BYTES), "'binary_data_size'"),
    "size_huge": ("double", parts(binary(HUGE), ROW_BYTES), "additional bytes"),
    "no_gzip": ("double", (b"no gzip", {"Content-Encoding": "gzip"}), "size mismatch"),
    "no_encoding": ("double", (b"x", {"Content-Encoding": "zstd"}), "Unsupported compression"),
    "out_of_range": (
        "gather",
        document(x(name="i", datatype="INT64", shape=[1, 1], data=[99])),
        "onnx runtime error 2: .*idx=99",
    ),
}


def _text(shape, data):
    return request("strings", ("s", "BYTES", shape), raw=[data])


def _free(shape, data=ROW_BYTES):
    return request("free", ("x", "FP32", shape), raw=[data])


# By name: the message and what the answer says.
GRPC = {
    "empty": (pb.ModelInferRequest(), "unknown model: ''"),
    "garbage": (b"\xff" * 64, "Unable to parse request"),
    "cut": (request(raw=[ROW_BYTES]).SerializeToString()[:-5], "Unable to parse request"),
    "raw_short": (request(raw=[ROW_BYTES[:8]]), "Expected 16, got 8"),
    "raw_long": (request(raw=[ROW_BYTES * 2]), "Expected 16, got 32"),
    "raw_empty": (request(raw=[b""]), "Expected 16, got 0"),
    "no_values": (request(), "unable to find data for input tensor 'x'"),
    "both": (
        request(raw=[ROW_BYTES], contents=("fp32_contents", ROW)),
        "must not be specified when",
    ),
    "few_values": (request(contents=("fp32_contents", ROW[:2])), "Expected 16, got 8"),
    "many_values": (request(contents=("fp32_contents", [0] * 9)), "Expected 16, got 36"),
    "other_contents": (request(contents=("int64_contents", [1] * 4)), "of type 'INT64'"),
    "batch_negative": (request("double", ("x", "FP32", [-1, 4]), raw=[ROW_BYTES]), "size mismatch"),
    "negative": (_free([1, -1]), "All input dimensions should be specified"),
    "all_negative": (_free([-1, -4]), "size mismatch"),
    "huge": (request("double", ("x", "FP32", [HUGE, 4]), raw=[ROW_BYTES]), "onnx runtime error 2"),
    "product_wraps": (_free([1, HUGE]), "Expected 0, got 16"),
    "larger_than_memory": (_free([1, 2**40]), "size mismatch"),
    "no_dims": (request("double", ("x", "FP32", []), raw=[ROW_BYTES]), "has no shape"),
    "large_batch": (request("double", ("x", "FP32", [9, 4]), raw=[ROW_BYTES * 9]), "must be <= 8"),
    "other_dtype": (request("double", ("x", "INT64", [1, 4]), raw=[ROW_BYTES * 2]), "'INT64', but"),
    "unknown_input": (request("double", ("z", "FP32", [1, 4]), raw=[ROW_BYTES]), "input 'z'"),
    "twice": (
        request("double", *[("x", "FP32", [1, 4])] * 2, raw=[ROW_BYTES] * 2),
        "already exists",
    ),
    "thousands_more": (
        request(
            "double", *[(f"z{n}", "FP32", [1, 4]) for n in range(5000)], raw=[ROW_BYTES] * 5000
        ),
        "unexpected inference input 'z|metadata size",
    ),
    "one_of_two": (
        request("two", ("a", "FP32", [1, 4]), raw=[ROW_BYTES]),
        "missing required input",
    ),
    "unknown_output": (request(raw=[ROW_BYTES], outputs=["z"]), "inference output 'z'"),
    "text_longer_than_said": (_text([1, 1], b"\xff\xff\xff\xffabc"), "expecting string of length"),
    "text_cut": (_text([1, 2], texts(b"a") + b"\1\0"), "incomplete string length indicator"),
    "few_texts": (_text([1, 2], texts(b"a")), "expected 2 string elements .* got 1"),
    "many_texts": (_text([1, 2], texts(b"a", b"b", b"c")), "string elements 3"),
    "no_utf8": (_text([1, 1], texts(b"\xff")), "BYTES output 't' is not valid UTF-8"),
    "texts_huge": (_text([1, HUGE], texts(b"a")), f"expected {HUGE} string elements"),
    "out_of_range": (
        request("gather", ("i", "INT64", [1, 1]), raw=[struct.pack("<q", 99)]),
        "onnx runtime error 2: .*idx=99",
    ),
}
