"""What else the stand-in for Triton's ONNX Runtime backend serves: ragged batches, optional inputs,
warm-up, caching, custom operators; and what becomes of others when one fails."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import tiny
from backend import counted, refused, together
from onnx import TensorProto as T
from onnx import helper

from tritonforge import client, server
from tritonforge.errors import RefusedError

both = pytest.mark.parametrize("protocol", ["http", "grpc"])
WAITS = "dynamic_batching { max_queue_delay_microseconds: 300000 }"
ROW = np.ones((1, 4), np.float32)

BATCH_INPUTS = {
    "count": ("BATCH_ELEMENT_COUNT", "INT32", ["m"]),
    "ends": ("BATCH_ACCUMULATED_ELEMENT_COUNT", "INT32", ["m"]),
    "bounds": ("BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO", "FP32", ["m1"]),
    "widest": ("BATCH_MAX_ELEMENT_COUNT_AS_SHAPE", "INT32", ["w"]),
    "shape": ("BATCH_ITEM_SHAPE", "INT32", ["n", 1]),
    "flat": ("BATCH_ITEM_SHAPE_FLATTEN", "INT32", ["f"]),
}


def batch_input(name: str, kind: str, dtype: str) -> str:
    return (
        f'batch_input {{ kind: {kind} target_name: "{name}" data_type: TYPE_{dtype} '
        'source_input: "x" }'
    )


def ragged(repository: Path, name: str = "ragged", x: str | int = "all") -> None:
    """Place a model of one ragged input that sums each request by where it begins and ends."""
    extra = [batch_input(name, kind, dtype) for name, (kind, dtype, _) in BATCH_INPUTS.items()]
    scatter = (
        'batch_output { target_name: "doubled" kind: BATCH_SCATTER_WITH_INPUT_SHAPE '
        'source_input: "x" }'
    )
    text = tiny.config(
        8,
        "x FP32 -1",
        "sum FP32 1;doubled FP32 -1;most INT64 1;sizes INT32 1;edges INT32 1;shapes INT32 1",
        "\n".join([WAITS, scatter, *extra]),
    )
    text = text.replace("dims: [ -1 ] }", "dims: [ -1 ] allow_ragged_batch: true }", 1)
    outs = [("sum", T.FLOAT), ("most", T.INT64), ("sizes", T.INT32), ("edges", T.INT32)]
    tiny.place(
        repository,
        name,
        text,
        [
            ("CumSum", ["x", "axis"], ["running"], {}),
            ("Concat", ["zero", "running"], ["totals"], {"axis": 0}),
            ("Cast", ["bounds"], ["where"], {"to": T.INT64}),
            ("Slice", ["where", "one", "far"], ["till"], {}),
            ("Slice", ["where", "axes", "last"], ["from"], {}),
            ("Gather", ["totals", "till"], ["upper"], {}),
            ("Gather", ["totals", "from"], ["lower"], {}),
            ("Sub", ["upper", "lower"], ["each"], {}),
            ("Unsqueeze", ["each", "one"], ["sum"], {}),
            ("Add", ["x", "x"], ["doubled"], {}),
            ("Unsqueeze", ["count", "one"], ["sizes"], {}),
            ("Unsqueeze", ["ends", "one"], ["edges"], {}),
            ("Unsqueeze", ["flat", "one"], ["flattened"], {}),
            ("Sub", ["flattened", "shape"], ["nothing"], {}),
            ("Add", ["nothing", "shape"], ["shapes"], {}),
            ("Shape", ["widest"], ["width"], {}),
            ("Shape", ["shape"], ["column"], {}),
            ("Expand", ["width", "column"], ["most"], {}),
        ],
        [("x", T.FLOAT, [x])]
        + [
            (name, T.FLOAT if dtype == "FP32" else T.INT32, dims)
            for name, (_, dtype, dims) in BATCH_INPUTS.items()
        ],
        [("doubled", T.FLOAT, ["all2"]), ("shapes", T.INT32, ["n", 1])]
        + [(name, dtype, ["n", 1]) for name, dtype in outs],
        initializers=[
            helper.make_tensor("axis", T.INT64, [], [0]),
            helper.make_tensor("axes", T.INT64, [1], [0]),
            helper.make_tensor("one", T.INT64, [1], [1]),
            helper.make_tensor("last", T.INT64, [1], [-1]),
            helper.make_tensor("far", T.INT64, [1], [1000]),
            helper.make_tensor("zero", T.FLOAT, [1], [0.0]),
        ],
    )


def optional(repository: Path, name: str = "optional", batch: int = 0) -> None:
    """Place a model whose weight a request may override."""
    text = tiny.config(batch, "x FP32 4;w FP32 4", "y FP32 4", "")
    folder = tiny.place(
        repository,
        name,
        text.replace('name: "w"', 'name: "w" optional: true'),
        [("Mul", ["x", "w"], ["y"], {})],
        [("x", T.FLOAT, [4] if not batch else ["n", 4]), ("w", T.FLOAT, [4])],
        [("y", T.FLOAT, [4] if not batch else ["n", 4])],
        initializers=[helper.make_tensor("w", T.FLOAT, [4], [2.0] * 4)],
    )
    assert folder.is_dir()


def picks(repository: Path) -> None:
    """Place a model that gives back only the rows that begin with something positive."""
    tiny.place(
        repository,
        "picks",
        tiny.config(8, "x FP32 1", "y FP32 1", WAITS),
        [
            ("Greater", ["x", "zero"], ["positive"], {}),
            ("Squeeze", ["positive", "one"], ["which"], {}),
            ("Compress", ["x", "which"], ["y"], {"axis": 0}),
        ],
        [("x", T.FLOAT, ["n", 1])],
        [("y", T.FLOAT, ["m", 1])],
        initializers=[
            helper.make_tensor("zero", T.FLOAT, [1], [0.0]),
            helper.make_tensor("one", T.INT64, [1], [1]),
        ],
    )


def rows_alone(repository: Path) -> None:
    """Place two models, one of them ragged, that run one row and no batch of more."""
    shape = helper.make_tensor("shape", T.INT64, [2], [1, -1])
    nodes = [("Reshape", ["x", "shape"], ["flat"], {}), ("Add", ["x", "flat"], ["y"], {})]
    row = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, ["n", 4])]
    text = tiny.config(8, "x FP32 4", "y FP32 4", WAITS)
    tiny.place(repository, "rows_alone", text, nodes, *row, initializers=[shape])
    tiny.place(
        repository,
        "rows_alone_ragged",
        tiny.config(8, "x FP32 -1", "y FP32 4", WAITS).replace(
            "dims: [ -1 ] }", "dims: [ -1 ] allow_ragged_batch: true }"
        ),
        [
            ("ReduceMax", ["x"], ["most"], {"keepdims": 1}),
            ("Div", ["most", "most"], ["one"], {}),  # which ONNX Runtime cannot know beforehand
            ("Mul", ["one", "four"], ["length"], {}),
            ("Cast", ["length"], ["size"], {"to": T.INT64}),
            ("Expand", ["nothing", "size"], ["row"], {}),
            ("Add", ["x", "row"], ["sum"], {}),
            ("Reshape", ["sum", "rows"], ["y"], {}),
        ],
        [("x", T.FLOAT, ["all"])],
        [("y", T.FLOAT, ["n", 4])],
        initializers=[
            helper.make_tensor("four", T.FLOAT, [1], [4.0]),
            helper.make_tensor("nothing", T.FLOAT, [1], [0.0]),
            helper.make_tensor("rows", T.INT64, [2], [-1, 4]),
        ],
    )


def scaled(repository: Path, name: str = "scaled", scale: str = "dims: [ 1 ]") -> None:
    """Place a model of batches and of scalars: rows, and what to multiply them and their sum by."""
    text = tiny.config(8, "x FP32 4;scale FP32 1", "y FP32 4;sum FP32 1", WAITS)
    tiny.place(
        repository,
        name,
        text.replace("dims: [ 1 ]", scale),
        [
            ("Mul", ["x", "scale"], ["y"], {}),
            ("ReduceSum", ["y"], ["sum"], {"keepdims": 0}),
        ],
        [("x", T.FLOAT, ["n", 4]), ("scale", T.FLOAT, [])],
        [("y", T.FLOAT, ["n", 4]), ("sum", T.FLOAT, [])],
    )


def warm_up(dtype: str, dims: int, data: str) -> str:
    return (
        'model_warmup { name: "first" batch_size: 1 inputs { key: "x" value { '
        f"data_type: TYPE_{dtype} dims: [ {dims} ] {data} }} }} }}"
    )


def parameter(key: str, value: str) -> str:
    return f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'


SHRINK = "memory.enable_memory_arena_shrinkage"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Compile a library of custom operators that says when it is asked for them, if that can be."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    folder = tmp_path_factory.mktemp("library")
    source, made = folder / "ops.c", folder / "libops.so"
    source.write_text(
        "#include <stdio.h>\n"
        "void *RegisterCustomOps(void *options, void *api) {\n"
        '  fputs("the custom operators were asked for\\n", stderr);\n'
        "  return options && api ? 0 : options;\n}\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source], check=True)
    return made


@pytest.fixture(scope="module")
def said():
    return []


@pytest.fixture(scope="module")
def served(embedded, library, said, tmp_path_factory):
    """Serve a model of each kind."""
    repository = tmp_path_factory.mktemp("features")
    ragged(repository)
    optional(repository)
    picks(repository)
    rows_alone(repository)
    scaled(repository)
    scaled(repository, "scaled_by_reshape", "dims: [ 1 ] reshape { }")
    row = [("x", T.FLOAT, ["n", 4])], [("y", T.FLOAT, [])]
    nodes = [("ReduceSum", ["x"], ["y"], {"keepdims": 0})]
    tiny.place(repository, "sums", tiny.config(8, "x FP32 4", "y FP32 1", WAITS), nodes, *row)
    tiny.double(repository, "warm", warm_up("FP32", 4, "zero_data: true"))
    tiny.double(repository, "warm_with_zeros", warm_up("FP32", 4, "zero_data: false"))
    tiny.double(repository, "victim")
    cached = "response_cache { enable: true }"
    tiny.double(repository, "cached", f"{cached} {warm_up('FP32', 4, 'random_data: true')}")
    text = (
        [("Identity", ["x"], ["y"], {})],
        [("x", T.STRING, ["n", 1])],
        [("y", T.STRING, ["n", 1])],
    )
    tiny.place(repository, "says", tiny.config(8, "x STRING 1", "y STRING 1", WAITS), *text)
    terms = {"pool_strings": [b"one", b"\xff\xfe"], "ngram_counts": [0], "ngram_indexes": [0, 1]}
    lengths = {"min_gram_length": 1, "max_gram_length": 1, "max_skip_count": 0, "mode": "TF"}
    tiny.place(
        repository,
        "counts",
        tiny.config(8, "x STRING 2", "y FP32 2", WAITS),
        [("TfIdfVectorizer", ["x"], ["y"], {**terms, **lengths})],
        [("x", T.STRING, ["n", 2])],
        [("y", T.FLOAT, ["n", 2])],
    )
    tiny.double(repository, "shrinks", parameter(SHRINK, "cpu:0"))
    tiny.double(repository, "shrinks_nothing", parameter(SHRINK, "nonsense"))
    flat = [("Add", ["x", "x"], ["y"], {})], [("x", T.FLOAT, ["n"])], [("y", T.FLOAT, ["n"])]
    tiny.place(repository, "flat", None, *flat)
    tiny.place(repository, "partial", 'backend: "onnxruntime"\nmax_batch_size: 8\n', *tiny.DOUBLE)
    if library:
        tiny.double(
            repository, "custom", f'model_operations {{ op_library_filename: "{library}" }}'
        )
    folder = tiny.double(
        repository,
        "inside",
        'default_model_filename: "net" '
        'instance_group { count: 2 name: "pair" kind: KIND_CPU '
        'rate_limiter { resources { name: "R" count: 1 } priority: 2 } }',
    )
    (folder / "1" / "net").mkdir()
    (folder / "1" / "model.onnx").rename(folder / "1" / "net" / "model.onnx")
    for name, file in (("in_folder", "nets/net.onnx"), ("absolute", "/nets/net.onnx")):
        text = f'backend: "onnxruntime"\ndefault_model_filename: "{file}"\n'
        folder = tiny.place(repository, name, text, *tiny.DOUBLE) / "1"
        (folder / "nets").mkdir()
        (folder / "model.onnx").rename(folder / "nets" / "net.onnx")
    flags = ["--cache-config=local,size=1048576", "--rate-limit=execution_count"]
    with server.serving(repository, embedded, arguments=flags, show=said.append) as ready:
        yield ready


def test_ragged_requests_run_as_one_and_are_told_apart_by_batch_inputs(served):
    asks = [{"x": np.arange(1, n + 1, dtype=np.float32)[None] * n} for n in (1, 5, 3)]
    before = client.statistics(served, "ragged")
    answers = together(served, "ragged", asks)
    inferences, executions, _ = counted(served, "ragged", before)
    assert executions < inferences == 3
    assert max(answer["edges"].item() for answer in answers) > 5  # the end of one after another
    for ask, answer in zip(asks, answers, strict=True):
        np.testing.assert_array_equal(answer["sum"], ask["x"].sum(axis=1, keepdims=True))
        np.testing.assert_array_equal(answer["doubled"], ask["x"] * 2)
        assert answer["sizes"].item() == answer["shapes"].item() == ask["x"].size
        assert answer["most"].item() >= ask["x"].size
    assert {answer["most"].item() for answer in answers} <= {1, 3, 5}


@both
def test_a_ragged_request_alone(served, protocol):
    with client.remote(served, "ragged", protocol=protocol) as run:
        answer = run({"x": np.array([[1, 2, 4]], np.float32)})
    found = {name: array.tolist() for name, array in answer.items()}
    assert found.pop("doubled") == [[2.0, 4.0, 8.0]]
    assert found.pop("sum") == [[7.0]]
    assert found == {"most": [[3]], "sizes": [[3]], "edges": [[3]], "shapes": [[3]]}


@both
def test_an_optional_input_may_be_left_out(served, protocol):
    with client.remote(served, "optional", protocol=protocol) as run:
        x = np.ones(4, np.float32)
        np.testing.assert_array_equal(run({"x": x})["y"], 2)
        np.testing.assert_array_equal(run({"x": x, "w": x * 7})["y"], 7)
        np.testing.assert_array_equal(run({"x": x})["y"], 2)


def test_another_number_of_rows_than_came_in_is_an_error_for_that_request_alone(served):
    asks = [{"x": np.array([[value]], np.float32)} for value in (1, -1, 3)]
    one, none, three = together(served, "picks", asks)
    assert (one["y"].item(), three["y"].item()) == (1.0, 3.0)
    assert isinstance(none, RefusedError)
    assert "its first dimension does not follow the batch" in none.message


@pytest.mark.parametrize("model", ["rows_alone", "rows_alone_ragged"])
def test_a_batch_that_never_works_is_told_once(served, said, model):
    asks = [{"x": ROW * n} for n in range(1, 4)]
    twice = 2 if model == "rows_alone" else 1
    for _ in range(2):
        for ask, answer in zip(asks, together(served, model, asks), strict=True):
            np.testing.assert_array_equal(answer["y"], ask["x"] * twice)
    words = f"model '{model}': .* failed as one batch, and each succeeded alone.*running Add node"

    def told():
        return [line for line in said if re.search(words, line)]

    until = time.monotonic() + 10  # the log comes by a way of its own
    while not told() and time.monotonic() < until:
        time.sleep(0.05)
    assert len(told()) == 1


def test_a_bad_request_in_a_batch_is_no_reason_to_warn(served, said):
    together(served, "picks", [{"x": np.array([[value]], np.float32)} for value in (1, -1, 3)])
    assert not any("'picks': " in line and "one batch" in line for line in said)


@pytest.mark.parametrize("model", ["scaled", "scaled_by_reshape"])
def test_a_scalar_in_a_model_that_batches_goes_with_its_own_request(served, model):
    asks = [{"x": ROW, "scale": np.array([[by]], np.float32)} for by in (2, 3, 4)]
    two_rows = {"x": np.ones((2, 4), np.float32), "scale": np.array([[2], [2]], np.float32)}
    *answers, refused = together(served, model, [*asks, two_rows])
    for ask, answer in zip(asks, answers, strict=True):
        np.testing.assert_array_equal(answer["y"], ask["x"] * ask["scale"])
        assert answer["sum"].item() == 4 * ask["scale"].item()
    assert "input 'scale' is a scalar in the model file: one value a request, got 2" in str(refused)


def test_a_scalar_that_a_model_gives_is_the_answer_to_one_row(served):
    one, other, rows = together(
        served, "sums", [{"x": ROW}, {"x": ROW * 2}, {"x": np.ones((2, 4), np.float32)}]
    )
    assert (one["y"].tolist(), other["y"].tolist()) == ([4.0], [8.0])
    assert "output 'y' has shape [] for a batch of 2" in str(rows)


def test_text_that_is_not_utf_8_is_refused_alone(served):
    asks = [{"x": np.array([[text]], dtype=object)} for text in (b"one", b"\xff", b"two")]
    one, wrong, two = together(served, "says", asks)
    assert (one["y"].item(), two["y"].item()) == (b"one", b"two")
    assert "BYTES output 'y' is not valid UTF-8" in wrong.message
    with client.remote(served, "says") as run:
        with pytest.raises(RefusedError, match="output 'y' is not valid UTF-8"):
            run(asks[1])
        with pytest.raises(RefusedError, match="input 'x' has both zeros and bytes that are not"):
            run({"x": np.array([[b"\xff\0"]], dtype=object)})


def test_bytes_that_are_not_utf_8_reach_the_model_as_they_are(served):
    asks = [[b"one", b"\xfe"], [b"\xff\xfe", b"a"], [b"", b"one"], [b"\xff\xfe", b"b" * 9]]
    answers = together(served, "counts", [{"x": np.array([each], dtype=object)} for each in asks])
    assert [each["y"].tolist() for each in answers] == [[[1, 0]], [[0, 1]], [[1, 0]], [[0, 1]]]
    with client.remote(served, "counts") as run:
        alone = run({"x": np.array([[b"one", b"\xff\xfe"]], dtype=object)})
    assert alone["y"].tolist() == [[1, 1]]


def test_warmed_up_and_cached(served):
    import tritonclient.http as triton

    for model in ("warm", "warm_with_zeros"):  # naming the kind is enough, whatever its value
        with client.remote(served, model) as run:
            np.testing.assert_array_equal(run({"x": ROW})["y"], 2)
    with client.remote(served, "cached") as run:
        for value in (3, 3, 4, 3):
            np.testing.assert_array_equal(run({"x": ROW * value})["y"], 2 * value)
    connection = triton.InferenceServerClient(served.http)
    counted = connection.get_inference_statistics("cached")["model_stats"][0]["inference_stats"]
    connection.close()
    assert (counted["cache_hit"]["count"], counted["cache_miss"]["count"]) == (2, 2)


def test_a_vector_is_completed_as_a_batch_of_scalars_and_a_size_with_a_batcher(served):
    import tritonclient.http as triton

    connection = triton.InferenceServerClient(served.http)
    flat, partial = (connection.get_model_config(model) for model in ("flat", "partial"))
    connection.close()
    assert flat["max_batch_size"] == 4
    for tensor in (*flat["input"], *flat["output"]):
        assert (tensor["dims"], tensor["reshape"]) == ([1], {"shape": []})
    assert partial["max_batch_size"] == 8
    assert "dynamic_batching" in partial
    with client.remote(served, "flat") as run:
        np.testing.assert_array_equal(run({"x": ROW.T})["y"], ROW.T * 2)


@pytest.mark.parametrize("model", ["in_folder", "absolute"])
def test_a_config_that_names_a_file_in_a_folder_is_completed(served, model):
    assert [str(each) for each in client.metadata(served, model).inputs] == ["x:FP32:dim0,4"]
    with client.remote(served, model) as run:
        np.testing.assert_array_equal(run({"x": ROW})["y"], 2)


def test_run_options_reach_the_run(served):
    with client.remote(served, "shrinks") as run:
        np.testing.assert_array_equal(run({"x": ROW})["y"], 2)
    with (
        client.remote(served, "shrinks_nothing") as run,
        pytest.raises(RefusedError, match=r"onnx runtime error 2: .*nonsense"),
    ):
        run({"x": ROW})


def test_a_library_of_custom_operators_is_asked_for_them(served, library, said):
    if library is None:
        pytest.skip("no C compiler to build a library with")
    with client.remote(served, "custom") as run:
        np.testing.assert_array_equal(run({"x": ROW})["y"], 2)
    assert any("the custom operators were asked for" in line for line in said)


def test_a_file_in_a_folder_and_a_named_group_of_instances(served):
    with client.remote(served, "inside") as run:
        np.testing.assert_array_equal(run({"x": ROW})["y"], 2)


def test_a_killed_instance_is_told_and_the_others_serve_on(served):
    found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if _serves(path, "victim")]
    assert len(found) == 1
    os.kill(int(found[0].parent.name), signal.SIGKILL)
    for _ in range(2):  # it stays so
        with (
            client.remote(served, "victim") as run,
            pytest.raises(RefusedError, match="Stub process 'victim_0_0' is not healthy"),
        ):
            run({"x": ROW})
        with client.remote(served, "warm") as run:
            np.testing.assert_array_equal(run({"x": ROW})["y"], 2)


def _serves(path, model):
    try:
        arguments = path.read_bytes().split(b"\0")
    except OSError:  # it ended meanwhile
        return False
    return b"stub" in arguments[0] and any(f"/{model}/".encode() in each for each in arguments)


# --- what is refused ----------------------------------------------------------------------------

WRONG = {
    "no_library": "onnx runtime error 1: Failed to load library /nowhere/libops.so with error",
    "no_operators": "onnx runtime error 1: Failed to get symbol RegisterCustomOps with error",
    "optional_in_a_batch": "optional input 'w' is not supported for models that support batching",
    "ragged_of_two": r"input with shape \[-1\] for ragged input 'x', model provides \[7\]",
    "cold": "warmup setting expects 16 bytes, but the data provided from short ?only has 4 bytes",
    "unlit": "warmup setting expects input 'x' to have input_data_type set",
    "warm_text": "data-type is 'BYTES', but model 'warm_text' expects 'FP32'",
    "warm_bfloat": "data-type is 'BF16', but model 'warm_bfloat' expects 'FP32'",
    "too_hot": "failed to run warmup sample 'first': onnx runtime error 2: .*out of data bounds",
    "on_gpu": "instance group .* has kind KIND_GPU but",
    "scaled_by_two": r"scalar tensor 'scale', should only provide 1 .* provided: \[2\]",
    "bfloat": "unsupported datatype TYPE_BF16 for input 'x' for model 'bfloat'",
}


def test_more_configs_are_refused_in_the_words_of_the_real_backend(embedded, tmp_path):
    libraries = {"no_library": "/nowhere/libops.so", "no_operators": "libm.so.6"}
    for name, path in libraries.items():
        operations = f'model_operations {{ op_library_filename: "{path}" }}'
        tiny.double(tmp_path, name, operations)
    optional(tmp_path, "optional_in_a_batch", batch=4)
    ragged(tmp_path, "ragged_of_two", x=7)
    scaled(tmp_path, "scaled_by_two", "dims: [ 2 ]")
    folder = tiny.double(tmp_path, "cold", warm_up("FP32", 4, 'input_data_file: "short"'))
    (folder / "warmup").mkdir()
    (folder / "warmup" / "short").write_bytes(b"\0" * 4)
    samples = {"unlit": ("FP32", ""), "warm_text": ("STRING", "zero_data: true")}
    samples["warm_bfloat"] = ("BF16", "random_data: true")
    for name, (dtype, data) in samples.items():
        tiny.double(tmp_path, name, warm_up(dtype, 4, data))
    gather = tiny.config(8, "x INT64 1", "y FP32 1", warm_up("INT64", 1, 'input_data_file: "far"'))
    folder = tiny.place(
        tmp_path,
        "too_hot",
        gather,
        [("Gather", ["table", "x"], ["y"], {})],
        [("x", T.INT64, ["n", 1])],
        [("y", T.FLOAT, ["n", 1])],
        initializers=[helper.make_tensor("table", T.FLOAT, [2], [0.0, 1.0])],
    )
    (folder / "warmup").mkdir()
    (folder / "warmup" / "far").write_bytes(b"\x7f" * 8)
    folder = tiny.double(tmp_path, "on_gpu")
    text = (folder / "config.pbtxt").read_text()
    (folder / "config.pbtxt").write_text(text.replace("KIND_CPU", "KIND_GPU"))
    tiny.place(tmp_path, "bfloat", tiny.config(4, "x BF16 4", "y FP32 4"), *tiny.DOUBLE)
    said = refused(tmp_path, embedded)
    for name, words in WRONG.items():
        assert re.search(f"model '{name}'[^;]*{words}", said), said
