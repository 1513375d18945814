"""Bytes of tiny ONNX files of every kind, good ones and such as a server does not load."""

from onnx import TensorProto as T
from onnx import helper
from onnx.helper import make_node as node

OPSET, IR = 17, 8
ROW = ([("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])])
_WHOLE = "UINT8 INT8 UINT16 INT16 INT32 INT64 UINT32 UINT64 BOOL STRING"
KINDS = {
    "FP32": T.FLOAT,
    "FP16": T.FLOAT16,
    "FP64": T.DOUBLE,
    "BF16": T.BFLOAT16,
    **{name: getattr(T, name) for name in _WHOLE.split(" ")},
}


def tensors(text):
    """Read `x FP32 n,4; z INT64 -` into values of a graph: no dims are a scalar's, `?` no shape."""
    found = []
    for each in filter(None, map(str.strip, text.split(";"))):
        name, kind, dims = each.split()
        read = [int(d) if d.isdigit() else d for d in dims.split(",") if d != "-"]
        found.append((name, KINDS[kind], None if dims == "?" else read))
    return found


def file(nodes, inputs, outputs, initializers=(), functions=(), opset=OPSET, ir=IR, domains=()):
    """Write a model; its inputs and outputs are `(name, type, dims)` or text of `tensors`."""
    inputs, outputs = (tensors(t) if isinstance(t, str) else t for t in (inputs, outputs))
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [_value(each) for each in inputs],
        [_value(each) for each in outputs],
        initializer=list(initializers),
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*each) for each in domains)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))
    return made.SerializeToString()


def _value(each):
    return helper.make_tensor_value_info(*each) if isinstance(each, tuple) else each


def identity(inputs, outputs=None, **more):
    """Write a model that hands each input on, by default under its name with `_out` behind."""
    given = tensors(inputs)
    wanted = tensors(outputs) if outputs else [(f"{n}_out", k, d) for n, k, d in given]
    pairs = zip(given, wanted, strict=True)
    return file([node("Identity", [i[0]], [o[0]]) for i, o in pairs], given, wanted, **more)


def double(dims="n,4", kind="FP32", **more):
    """Write a model that adds `x` to itself."""
    return file([node("Add", ["x", "x"], ["y"])], f"x {kind} {dims}", f"y {kind} {dims}", **more)


def anything(inputs, outputs):
    """Write a model of any signature: of its outputs nothing can be known beforehand."""
    inputs, outputs = tensors(inputs), tensors(outputs)
    nodes = [
        node("RandomUniform", [], ["_random"], shape=[1]),
        node("NonZero", ["_random"], ["_places"]),
        node("Flatten", ["_places"], ["_row"], axis=0),
        node("Squeeze", ["_row", "_first"], ["_sizes"]),
    ]
    kinds = {kind: f"_of_{kind}" for _, kind, _ in outputs}
    nodes += [node("Expand", [kinds[kind], "_sizes"], [name]) for name, kind, _ in outputs]
    constants = [_one(name, kind) for kind, name in kinds.items()]
    return file(
        nodes, inputs, outputs, [*constants, helper.make_tensor("_first", T.INT64, [1], [0])]
    )


def _one(name, kind):
    """Make a scalar of a type."""
    return helper.make_tensor(name, kind, [], [b"" if kind == T.STRING else 1])


def two():
    """Write a model of two inputs and two outputs of a dynamic length."""
    return file(
        [node("Add", ["a", "b"], ["sum"]), node("Sub", ["a", "b"], ["rest"])],
        "a FP32 n,l; b FP32 n,l",
        "sum FP32 n,l; rest FP32 n,l",
    )


def optional(dims="4"):
    """Write a model whose initializer `w` a request may override."""
    weight = helper.make_tensor("w", T.FLOAT, [4], [1.0, 2, 3, 4])
    ports = f"x FP32 {dims}; w FP32 4", f"y FP32 {dims}"
    return file([node("Mul", ["x", "w"], ["y"])], *ports, initializers=[weight])


def sequence(kinds, batched=True, corrid="UINT64"):
    """Write a model with control inputs: `start INT32; end BOOL`; corrid is the id's type."""
    lead = "n," if batched else ""
    text = "x FP32 {0}4; " + "; ".join(f"{each} {{0}}1" for each in filter(None, kinds.split(";")))
    if corrid:
        text += f"; id {corrid} {{0}}1"
    given = tensors(text.format(lead))
    casts = [node("Cast", [name], [f"{name}_f"], to=T.FLOAT) for name, kind, _ in given[1:]]
    adds = [
        node("Add", [f"s{number}", f"{name}_f"], [f"s{number + 1}"])
        for number, (name, _, _) in enumerate(given[1:])
    ]
    first = node("Identity", ["x"], ["s0"])
    last = node("Identity", [f"s{len(adds)}"], ["y"])
    return file([first, *casts, *adds, last], given, f"y FP32 {lead}4")


def stateful(dims="n,4", kind="FP32"):
    """Write a model that adds its input to a state."""
    return file(
        [node("Add", ["x", "s_in"], ["y"]), node("Identity", ["y"], ["s_out"])],
        f"x {kind} {dims}; s_in {kind} {dims}",
        f"y {kind} {dims}; s_out {kind} {dims}",
    )


def ragged(kind="FP32"):
    """Write a model that takes inputs end to end and how many there are of each request."""
    return file(
        [
            node("Identity", ["x"], ["y"]),
            node("Identity", ["count"], ["c"]),
        ],
        f"x FP32 n; count {kind} m",
        f"y FP32 n; c {kind} m",
    )


def branching():
    """Write a model with `If` and `Loop`."""
    then = helper.make_graph(
        [node("Neg", ["x"], ["t"])], "then", [], [helper.make_tensor_value_info("t", T.FLOAT, None)]
    )
    other = helper.make_graph(
        [node("Abs", ["x"], ["e"])], "else", [], [helper.make_tensor_value_info("e", T.FLOAT, None)]
    )
    body = helper.make_graph(
        [node("Identity", ["go"], ["go_on"]), node("Add", ["v", "v"], ["v_next"])],
        "body",
        [
            helper.make_tensor_value_info("i", T.INT64, []),
            helper.make_tensor_value_info("go", T.BOOL, []),
            helper.make_tensor_value_info("v", T.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", T.BOOL, []),
            helper.make_tensor_value_info("v_next", T.FLOAT, None),
        ],
    )
    constants = [
        helper.make_tensor("zero", T.FLOAT, [], [0.0]),
        helper.make_tensor("three", T.INT64, [], [3]),
        helper.make_tensor("yes", T.BOOL, [], [True]),
    ]
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["positive"]),
        node("If", ["positive"], ["chosen"], then_branch=then, else_branch=other),
        node("Loop", ["three", "yes", "chosen"], ["y"], body=body),
    ]
    return file(nodes, *ROW, initializers=constants)


def function():
    """Write a model that calls a function of its own."""
    twice = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", OPSET)],
    )
    call = node("Twice", ["x"], ["y"], domain="own")
    return file([call], *ROW, functions=[twice], domains=[("own", 1)])


def sequence_output():
    """Write a model whose output is a sequence of tensors."""
    split = node("SplitToSequence", ["x"], ["y"], axis=0)
    info = helper.make_tensor_sequence_value_info("y", T.FLOAT, None)
    return file([split], ROW[0], [info])


def optional_output():
    """Write a model whose output is an optional tensor."""
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(T.FLOAT, ["n", 4]))
    info = helper.make_value_info("y", kind)
    return file([node("Optional", ["x"], ["y"])], ROW[0], [info])


def zipmap():
    """Write a model whose output is a sequence of maps, as converters of classifiers do."""
    names = node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3])
    kind = helper.make_sequence_type_proto(
        helper.make_map_type_proto(T.INT64, helper.make_tensor_type_proto(T.FLOAT, []))
    )
    return file([names], ROW[0], [helper.make_value_info("y", kind)], domains=[("ai.onnx.ml", 3)])


def external(location="weights.bin", length=16, offset=0):
    """Write a model whose weight lies in another file."""
    weight = T(name="w", data_type=T.FLOAT, dims=[4], data_location=T.EXTERNAL)
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        weight.external_data.add(key=key, value=str(value))
    return file([node("Add", ["x", "w"], ["y"])], *ROW, initializers=[weight])


def duplicate():
    """Write a model two of whose nodes give one name."""
    return file([node("Neg", ["x"], ["y"]), node("Abs", ["x"], ["y"])], *ROW)


def kernelless():
    """Write a model of an operator for whose type ONNX Runtime has no kernel on the CPU."""
    weight = helper.make_tensor("w", T.FLOAT16, [1, 1, 1], [1.0])
    return file(
        [node("Conv", ["x", "w"], ["y"])], "x FP16 n,1,4", "y FP16 n,1,4", initializers=[weight]
    )


# What does not load, or nearly does not: by name.
ODD = {
    "old_opset": lambda: double(opset=7, ir=3),
    "ancient_opset": lambda: double(opset=1, ir=3),
    "opset_6": lambda: double(opset=6, ir=3),
    "newest_opset": lambda: double(opset=21, ir=10),
    "new_opset": lambda: double(opset=22, ir=10),
    "future_opset": lambda: double(opset=99, ir=10),
    "new_ir": lambda: double(ir=11),
    "zero_ir": lambda: double(ir=0),
    "no_opset": lambda: file([node("Add", ["x", "x"], ["y"])], *ROW, opset=0),
    "unknown_operator": lambda: file([node("Twofold", ["x"], ["y"])], *ROW),
    "unknown_domain": lambda: file(
        [node("Twice", ["x"], ["y"], domain="mine")], *ROW, domains=[("mine", 1)]
    ),
    "unimported_domain": lambda: file([node("Twice", ["x"], ["y"], domain="mine")], *ROW),
    "contrib": lambda: file(
        [node("Gelu", ["x"], ["y"], domain="com.microsoft")], *ROW, domains=[("com.microsoft", 1)]
    ),
    "contrib_unimported": lambda: file([node("Gelu", ["x"], ["y"], domain="com.microsoft")], *ROW),
    "operator_too_new": lambda: file([node("Gelu", ["x"], ["y"])], *ROW),
    "operator_in_time": lambda: file([node("Gelu", ["x"], ["y"])], *ROW, opset=20, ir=9),
    "attribute": lambda: file([node("Relu", ["x"], ["y"], alpha=1.0)], *ROW),
    "few_inputs": lambda: file([node("Add", ["x"], ["y"])], *ROW),
    "many_inputs": lambda: file([node("Relu", ["x", "x"], ["y"])], *ROW),
    "missing_input": lambda: file([node("Add", ["x", "nowhere"], ["y"])], *ROW),
    "missing_output": lambda: file([node("Relu", ["x"], ["z"])], *ROW),
    "no_nodes": lambda: file([], ROW[0], [("x", T.FLOAT, ["n", 4])]),
    "type_mismatch": lambda: file([node("Relu", ["x"], ["y"])], "x FP32 n,4", "y INT64 n,4"),
    "shape_mismatch": lambda: file([node("Relu", ["x"], ["y"])], "x FP32 n,4", "y FP32 n,5"),
    "duplicate": duplicate,
    "kernelless": kernelless,
    "bf16": lambda: identity("x BF16 n,4", "y BF16 n,4"),
    "bf16_add": lambda: double(kind="BF16"),
    "half": lambda: double(kind="FP16"),
    "function": function,
    "branching": branching,
    "sequence_output": sequence_output,
    "optional_output": optional_output,
    "zipmap": zipmap,
    "zero_dim": lambda: double("n,0"),
    "no_shape": lambda: identity("x FP32 ?", "y FP32 ?"),
    "unnamed_dims": lambda: double("n,m"),
    "fixed_batch": lambda: double("1,4"),
    "unused_input": lambda: file(
        [node("Relu", ["x"], ["y"])], "x FP32 n,4; z FP32 n,4", "y FP32 n,4"
    ),
    "external": external,
    "external_absent": lambda: external("absent.bin"),
    "external_short": lambda: external(length=16, offset=8),
    "external_absolute": lambda: external("/etc/passwd"),
    "external_escapes": lambda: external("../../weights.bin"),
    "external_self": lambda: external("model.onnx"),
    "empty": lambda: b"",
    "noise": lambda: b"\x00\xff" * 40,
    "text": lambda: b"this is no model\n",
    "truncated": lambda: double()[:-9],
    "cut_short": lambda: double()[:20],
    "doubled": lambda: double() * 2,
}
