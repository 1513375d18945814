"""The stand-in for Triton's ONNX Runtime backend: inside the real server, and its pure parts."""

import re

import backend
import numpy as np
import pytest
import tiny
from backend import counted, refused, together
from onnx import TensorProto as T

from tritonforge import client, server
from tritonforge.errors import ServerError


def test_it_imports_nothing_of_tritonforge():
    for path in backend.FOLDER.glob("*.py"):
        assert "import tritonforge" not in path.read_text()
        assert "from tritonforge" not in path.read_text()


def test_requests_are_executed_together_and_answered_apart(endpoint):
    before = client.statistics(endpoint, "waits")
    asks = [{"x": np.full((1 + n % 2, 4), n, np.float32)} for n in range(5)]
    for ask, answer in zip(asks, together(endpoint, "waits", asks), strict=True):
        np.testing.assert_array_equal(answer["y"], ask["x"] * 2)
    inferences, executions, largest = counted(endpoint, "waits", before)
    assert inferences == 7
    assert executions < 5
    assert largest > 2


def test_requests_of_other_shapes_are_kept_apart(endpoint):
    """Triton's core already does: only a state can be of another shape within one batch."""
    before = client.statistics(endpoint, "two")
    asks = [
        {"a": np.full((1, n), 5.0, np.float32), "b": np.ones((1, n), np.float32)} for n in (1, 3)
    ]
    asks += asks
    for ask, answer in zip(asks, together(endpoint, "two", asks), strict=True):
        np.testing.assert_array_equal(answer["sum"], ask["a"] + ask["b"])
        np.testing.assert_array_equal(answer["rest"], ask["a"] - ask["b"])
    inferences, executions, largest = counted(endpoint, "two", before)
    assert inferences == 4
    assert executions >= 2
    assert largest <= 2


def test_a_bad_request_fails_alone(endpoint):
    asks = [{"i": np.array([[n]])} for n in (3, 99, 4)]
    good, bad, also = together(endpoint, "gather", asks)
    assert (good["row"].item(), also["row"].item()) == (3.0, 4.0)
    assert isinstance(bad, ServerError)
    assert "onnx runtime error 2" in bad.message
    assert "99" in bad.message


def test_only_the_outputs_that_are_asked_for_come_back(endpoint):
    import tritonclient.http as triton

    connection = triton.InferenceServerClient(endpoint.http)
    tensors = [triton.InferInput(name, [1, 2], "FP32") for name in ("a", "b")]
    for tensor in tensors:
        tensor.set_data_from_numpy(np.ones((1, 2), np.float32))
    answer = connection.infer("two", tensors, outputs=[triton.InferRequestedOutput("rest")])
    connection.close()
    assert [output["name"] for output in answer.get_response()["outputs"]] == ["rest"]


def test_scalars_travel_as_one_value(endpoint):
    with client.remote(endpoint, "scalar", protocol="grpc") as run:
        np.testing.assert_array_equal(run({"x": np.array([2.5], np.float32)})["y"], [5.0])


def test_a_model_without_a_config_is_completed(endpoint):
    found = client.metadata(endpoint, "bare")
    assert [str(tensor) for tensor in found.outputs] == ["y:FP32:dim0,4"]
    with client.remote(endpoint, "bare") as run:
        np.testing.assert_array_equal(run({"x": np.ones((4, 4), np.float32)})["y"], 2)
        with pytest.raises(ServerError, match="batch-size must be <= 4"):
            run({"x": np.ones((5, 4), np.float32)})


WRONG = {
    "output_dtype": ("x FP32 4", "y FP64 4", "expects datatype TYPE_FP64 for output 'y'"),
    "input_name": ("z FP32 4", "y FP32 4", "unexpected inference input 'z', allowed inputs are: x"),
    "dims": ("x FP32 5", "y FP32 4", r"the model expects 2 dimensions \(shape \[-1,4\]\)"),
    "outputs_exactly": ("x FP32 4", "y FP32 -1", r"complete shape \[-1,-1\]"),
    "inputs": ("x FP32 4;w FP32 4", "y FP32 4", "configuration expects 2 inputs, model provides 1"),
    "mode": ("x FP32 4", "y FP32 4", "Expected values for execution_mode are 0 or 1 but got 7"),
    "text": ("x FP32 4", "y FP32 4", "failed to convert 'two' to integral number"),
}
PARAMETERS = {"mode": ("execution_mode", "7"), "text": ("intra_op_thread_count", "two")}


def test_configs_that_do_not_fit_are_refused_in_the_words_of_the_real_backend(embedded, tmp_path):
    for name, (inputs, outputs, _) in WRONG.items():
        key, value = PARAMETERS.get(name, ("unknown", "ignored"))
        more = f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}'
        tiny.place(tmp_path, name, tiny.config(4, inputs, outputs, more), *tiny.DOUBLE)
    tiny.double(tmp_path, "fine")
    tiny.double(tmp_path, "garbage")
    (tmp_path / "garbage" / "1" / "model.onnx").write_bytes(b"not a model")
    tiny.double(tmp_path, "missing")
    (tmp_path / "missing" / "1" / "model.onnx").rename(tmp_path / "missing" / "1" / "other.onnx")
    said = refused(tmp_path, embedded)
    reasons = {
        line.removeprefix("model ").partition(" ")[0].strip("'"): line for line in said.splitlines()
    }
    assert sorted(reasons) == sorted([*WRONG, "garbage", "missing"])
    for name, (_, _, words) in WRONG.items():
        assert re.search(words, reasons[name])
    assert "onnx runtime error 7" in reasons["garbage"]
    assert "unable to find" in reasons["missing"]


def test_a_file_of_another_name_with_its_weights_beside_it(embedded, tmp_path):
    import onnx

    folder = tiny.place(
        tmp_path,
        "outside",
        tiny.config(4, "x FP32 4", "y FP32 4", 'default_model_filename: "net.onnx"'),
        [("Add", ["x", "w"], ["y"], {})],
        [("x", T.FLOAT, ["n", 4])],
        [("y", T.FLOAT, ["n", 4])],
        initializers=[onnx.numpy_helper.from_array(np.ones((1, 4), np.float32), "w")],
    )
    model = onnx.load(folder / "1" / "model.onnx")
    (folder / "1" / "model.onnx").unlink()
    onnx.save(
        model,
        folder / "1" / "net.onnx",
        save_as_external_data=True,
        location="net.data",
        size_threshold=0,
    )
    with (
        server.serving(tmp_path, embedded) as endpoint,
        client.remote(endpoint, "outside") as run,
    ):
        np.testing.assert_array_equal(run({"x": np.ones((2, 4), np.float32)})["y"], 2)


@pytest.mark.parametrize(
    ("name", "lies"),
    [
        ("", "model.onnx"),
        ("net.onnx", "net.onnx"),
        ("nets/net.onnx", "nets/net.onnx"),
        ("/nets/net.onnx", "nets/net.onnx"),
        ("nets/", "nets/model.onnx"),
        ("./nets//net.onnx", "nets/net.onnx"),
        ("/", "model.onnx"),
    ],
)
def test_a_file_is_found_below_its_version_when_served_and_when_completed(
    parts, tmp_path, name, lies
):
    written = tiny.double(tmp_path) / "1" / "model.onnx"
    path = tmp_path / "double" / "2" / lies
    path.parent.mkdir(parents=True)
    written.rename(path)
    config = {"name": "double", "default_model_filename": name}
    assert parts.ort_options.model_file(tmp_path / "double" / "2", config) == path
    # the server puts the model's name behind the version as it stands
    said = f"{tmp_path}/double/2/{name or 'model.onnx'}"
    assert parts.ort_complete.session(config, said).get_inputs()[0].name == "x"


def test_a_file_that_is_absent_is_told_with_the_models_name(parts, tmp_path):
    with pytest.raises(parts.ort_options.ConfigError) as caught:
        parts.ort_options.model_file(tmp_path, {"name": "m", "default_model_filename": "a/b"})
    assert str(caught.value) == f"unable to find '{tmp_path}/a/b' for model instance 'm'"


def test_feeds_are_grouped_by_their_shape_without_the_batch(parts):
    feeds = [{"a": np.zeros(shape)} for shape in ((1, 2), (3, 2), (1, 5), (2, 2))]
    feeds.append({"b": np.zeros((1, 2))})
    assert parts.ort_batch.alike(dict(enumerate(feeds))) == [[0, 1, 3], [2], [4]]


def test_bytes_that_are_no_text_are_of_one_width_and_have_a_zero_each(parts):
    given = parts.ort_text.given
    for longest, width in ((b"\xff", 2), (b"\xff" * 7, 8), (b"\xff" * 8, 16)):
        array = given("x", np.array([[longest, b"", b"a"]], dtype=object))
        assert array.dtype == f"S{width}"
        assert array.tolist() == [[longest, b"", b"a"]]
    texts = ([b"\xff"], [b"\xff" * 9], [b"one"], [b"\xfe"])
    feeds = [{"x": given("x", np.array([each], dtype=object))} for each in texts]
    assert parts.ort_batch.alike(dict(enumerate(feeds))) == [[0, 3], [1], [2]]


def test_one_long_text_among_many_does_not_take_the_memory_of_many(parts):
    long = b"\xff" * (1 << 20)
    even = np.array([[long] * 70], dtype=object)
    assert parts.ort_text.given("x", even).shape == (1, 70)
    uneven = np.array([[long] + [b""] * 69], dtype=object)
    with pytest.raises(parts.ort_batch.RequestError, match="70 texts and one of 1048576 bytes"):
        parts.ort_text.given("x", uneven)


def test_merged_in_order_and_held_to_the_batch(parts):
    feeds = [{"a": np.full((rows, 2), rows)} for rows in (1, 3, 2)]
    merged = parts.ort_batch.merge(feeds)["a"]
    assert merged[:, 0].tolist() == [1, 3, 3, 3, 2, 2]
    total = sum(map(parts.ort_batch.rows, feeds))
    parts.ort_batch.check(["a"], [merged], total)
    for other in (merged[1:], np.float32(1)):
        with pytest.raises(parts.ort_batch.SplitError, match="does not follow the batch"):
            parts.ort_batch.check(["a"], [other], total)


@pytest.mark.parametrize(
    ("config", "level"),
    [
        ({}, "ORT_ENABLE_ALL"),
        ({"graph": {"level": 0}}, "ORT_ENABLE_ALL"),
        ({"graph": {"level": -1}}, "ORT_ENABLE_BASIC"),
        ({"graph": {"level": 1}}, "ORT_ENABLE_EXTENDED"),
        ({"graph": {"level": 2}}, "ORT_DISABLE_ALL"),
        ({"graph": {"level": 99}}, "ORT_ENABLE_ALL"),
    ],
)
def test_graph_levels_mean_what_the_real_backend_means(parts, config, level):
    options = parts.ort_options.session_options({"optimization": config})
    assert options.graph_optimization_level.name == level


def test_threads_modes_and_memory_come_from_the_parameters(parts):
    wanted = {
        "intra_op_thread_count": "3",
        "inter_op_thread_count": "2",
        "execution_mode": "1",
        "enable_mem_arena": "0",
        "enable_mem_pattern": "false",
    }
    config = {"parameters": {key: {"string_value": value} for key, value in wanted.items()}}
    options = parts.ort_options.session_options(config)
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (3, 2)
    assert options.execution_mode.name == "ORT_PARALLEL"
    assert (options.enable_cpu_mem_arena, options.enable_mem_pattern) == (False, False)
    assert parts.ort_options.session_options({}).intra_op_num_threads == 0


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), (" \t3", 3), ("+3", 3), ("-3", -3), ("3 threads", 3), ("1_0", 1), ("0x10", 0)],
)
def test_numbers_are_read_as_by_the_real_backend(parts, text, number):
    assert parts.ort_options.integer(text) == number


@pytest.mark.parametrize("text", ["", "two", "_1", "- 1", "\u0663", "99999999999", "-2147483649"])
def test_what_is_no_number_or_too_large_a_one_is_refused(parts, text):
    config = {"parameters": {"intra_op_thread_count": {"string_value": text}}}
    with pytest.raises(parts.ort_options.ConfigError) as caught:
        parts.ort_options.session_options(config)
    assert str(caught.value) == f"failed to convert '{text}' to integral number"


def test_switches_are_read_as_by_the_real_backend(parts):
    read = parts.ort_options.boolean
    assert [read(text) for text in ("true", "TRUE", "On", "1")] == [True] * 4
    assert [read(text) for text in ("false", "False", "off", "0")] == [False] * 4
    for text in ("", "yes", " true", "2"):
        config = {"parameters": {"enable_mem_arena": {"string_value": text}}}
        with pytest.raises(parts.ort_options.ConfigError) as caught:
            parts.ort_options.session_options(config)
        assert str(caught.value) == f"failed to convert '{text}' to boolean"
