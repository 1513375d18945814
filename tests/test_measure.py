"""The real perf_analyzer against the real server, on models that cost nothing to run."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny
import traces
from onnx import TensorProto, helper

from tritonforge import manifest, perf, process, samples, toolchain
from tritonforge.endpoint import Endpoint
from tritonforge.errors import RepositoryError, ServerError, SpecError
from tritonforge.gate import GateReport
from tritonforge.measure import Wish, measure
from tritonforge.measure.inputs import Draft, parse_shape, prepare
from tritonforge.perf import Load, records
from tritonforge.perf import plan as planning
from tritonforge.repository import Repository
from tritonforge.serving import serving
from tritonforge.spec import Domain, Range, Tolerance
from tritonforge.tensors import DType, Signature, TensorSpec

QUICK = Load(concurrencies=(1, 2), interval_ms=100)
IDS = TensorSpec(name="ids", dtype=DType.INT64, dims=("batch", "seq"))


def place(
    root: Path,
    name: str,
    nodes: list[onnx.NodeProto],
    *,
    dims: tuple[str, str],
    batch: int,
    dtype: str = "FP32",
    kind: str = "KIND_CPU",
    tables: Sequence[onnx.TensorProto] = (),
) -> None:
    number = DType.parse(dtype).onnx
    free = list(dims)
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("ids" if dtype == "INT64" else "x", number, free)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, free)],
        list(tables),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    (root / name / "1").mkdir(parents=True)
    onnx.save(model, root / name / "1" / "model.onnx")
    shape = "-1" if batch else "-1, -1"
    first = graph.input[0].name
    (root / name / "config.pbtxt").write_text(
        f'name: "{name}"\nbackend: "onnxruntime"\nmax_batch_size: {batch}\n'
        f'input {{ name: "{first}" data_type: TYPE_{dtype} dims: [{shape}] }}\n'
        f'output {{ name: "y" data_type: TYPE_FP32 dims: [{shape}] }}\n'
        f"instance_group {{ count: 1 kind: {kind} }}\n" + ("dynamic_batching {}\n" if batch else "")
    )


def known(repository: Repository) -> None:
    """Give the token model the manifest of a build."""
    made = manifest.Manifest(
        loaded_by=None,
        source="tests",
        weights="random",
        weights_origin="drawn from a seed",
        weights_sha256=None,
        seed=0,
        sample_seed=0,
        created="2026-01-01T00:00:00Z",
        target="24.10",
        exporter="torchscript",
        opset=17,
        ir=8,
        max_batch_size=4,
        reference="onnx",
        config=repository.config("tokens") or "",
        versions={},
        signature=Signature(inputs=(IDS,), outputs=()),
        domains={"ids": Domain(kind="integers", low=500, high=600)},
        ranges={"seq": Range(low=3, high=7)},
        tolerance=Tolerance(),
        gate=GateReport(samples=1, outputs=()),
    )
    manifest.write(made, repository.entry("tokens").version_dir)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    root = tmp_path_factory.mktemp("repository")
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    cast = [helper.make_node("Cast", ["ids"], ["y"], to=TensorProto.FLOAT)]
    place(root, "relu", relu, dims=("n", "m"), batch=4)
    place(root, "single", relu, dims=("n", "m"), batch=1)
    place(root, "whole", relu, dims=("n", "m"), batch=0)
    place(root, "tokens", cast, dims=("n", "m"), batch=4, dtype="INT64")
    gather = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    table = helper.make_tensor("table", TensorProto.FLOAT, [30], range(30))
    place(root, "lookup", gather, dims=("n", "m"), batch=4, dtype="INT64", tables=[table])
    found = Repository(root)
    known(found)
    return found


@pytest.fixture(scope="module")
def served(repository: Repository) -> Iterator[Endpoint]:
    with serving(repository.path) as endpoint:
        yield endpoint


def one(repository: Repository, model: str, wish: Wish, served: Endpoint) -> perf.PerfReport:
    (report,) = measure(repository, (model,), wish, endpoint=served, rehearsed=print)
    return report


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_every_level_is_measured_over_both_protocols(
    repository: Repository, served: Endpoint, protocol: str
) -> None:
    wish = Wish(load=QUICK, protocol=protocol)  # type: ignore[arg-type]
    report = one(repository, "relu", wish, served)
    assert report.failures == ()
    assert report.protocol == protocol
    assert report.version == 1
    assert [level.concurrency for level in report.levels] == [1, 2]
    for level in report.levels:
        assert level.throughput > 10
        assert list(level.percentiles) == [50, 90, 95, 99]
        assert sorted(level.percentiles.values()) == list(level.percentiles.values())
        assert len(level.windows) == 3
        assert level.window_ms == 100
        assert level.server is not None
        assert level.server.requests >= level.requests > 0
        assert level.server.inferences == level.server.requests
        assert 1 <= (level.server.executed_batch or 0) <= 2
        assert (level.server.queue_us or 0) > 0
        assert (level.server.compute_us or 0) >= (level.server.compute_infer_us or 0) > 0
    assert report.best in report.levels


def test_samples_of_a_batch_are_counted_one_by_one(
    repository: Repository, served: Endpoint
) -> None:
    load = replace(QUICK, concurrencies=(1,), batch_size=3, percentile=80)
    (level,) = one(repository, "relu", Wish(load=load), served).levels
    assert level.server is not None
    assert level.server.inferences == 3 * level.server.requests
    assert level.server.executed_batch == 3
    assert list(level.percentiles) == [50, 80, 90, 95, 99]


@pytest.mark.parametrize(("model", "rank"), [("relu", 1), ("single", 1), ("whole", 2)])
def test_whether_a_model_batches_is_learnt_from_the_server(
    repository: Repository, served: Endpoint, model: str, rank: int
) -> None:
    ready = prepare(repository, model, Draft(), endpoint=served, protocol="http")
    assert {sample["x"].ndim for sample in ready.samples} == {rank}
    assert len({sample["x"].tobytes() for sample in ready.samples}) == len(ready.samples) == 16
    assert ready.request_bytes == 2 * ready.samples[0]["x"].nbytes  # an output like the input


@pytest.mark.parametrize(("model", "shape"), [("relu", (5,)), ("whole", (5, 3))])
def test_shapes_leave_the_batch_out(
    repository: Repository, served: Endpoint, model: str, shape: tuple[int, ...]
) -> None:
    draft = Draft(shapes={"x": shape})
    ready = prepare(repository, model, draft, endpoint=served, protocol="http")
    assert {sample["x"].shape for sample in ready.samples} == {shape}
    wish = Wish(load=replace(QUICK, concurrencies=(1,)), shapes={"x": shape})
    assert one(repository, model, wish, served).failures == ()


def test_without_a_manifest_the_graph_tells_which_numbers_index_a_table(
    repository: Repository, served: Endpoint
) -> None:
    ready = prepare(repository, "lookup", Draft(), endpoint=served, protocol="http")
    drawn = np.concatenate([sample["ids"].ravel() for sample in ready.samples])
    assert drawn.min() >= 0
    assert 2 < drawn.max() < 30


def test_a_manifest_says_what_inputs_mean(repository: Repository, served: Endpoint) -> None:
    ready = prepare(repository, "tokens", Draft(seed=4), endpoint=served, protocol="grpc")
    (values,) = {sample["ids"].shape for sample in ready.samples}
    assert values == (samples.typical(["seq"], {"seq": Range(low=3, high=7)})["seq"],)
    assert all(((each["ids"] >= 500) & (each["ids"] < 600)).all() for each in ready.samples)
    again = prepare(repository, "tokens", Draft(seed=4), endpoint=served, protocol="grpc")
    assert all(
        np.array_equal(left["ids"], right["ids"])
        for left, right in zip(ready.samples, again.samples, strict=True)
    )


@pytest.mark.parametrize(
    ("model", "wish", "error", "words"),
    [
        ("relu", Wish(load=replace(QUICK, batch_size=5)), ServerError, "batch-size must be <= 4"),
        ("whole", Wish(load=replace(QUICK, batch_size=2)), SpecError, "does not batch"),
        ("relu", Wish(load=QUICK, shapes={"x": (1, 2, 3)}), SpecError, "does not fit"),
        ("relu", Wish(load=QUICK, shapes={"z": (1,)}), SpecError, "no input 'z'"),
        ("absent", Wish(load=QUICK), ServerError, "absent"),
        ("relu", Wish(load=QUICK, version=9), ServerError, "9"),
    ],
)
def test_what_cannot_be_asked_is_said_before_measuring(
    repository: Repository,
    served: Endpoint,
    model: str,
    wish: Wish,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        one(repository, model, wish, served)


def test_a_protocol_without_address_is_refused(repository: Repository, served: Endpoint) -> None:
    with pytest.raises(SpecError, match="grpc"):
        one(
            repository,
            "relu",
            Wish(load=QUICK, protocol="grpc"),
            replace(served, grpc=None),
        )


def test_what_perf_analyzer_refuses_fails_the_level_in_its_words(
    repository: Repository, served: Endpoint
) -> None:
    report = one(repository, "relu", Wish(load=replace(QUICK, extra=("--bogus",))), served)
    assert report.levels == ()
    assert "option '--bogus'" in report.failures[0].reason


def test_a_record_of_the_users_own_is_of_what_is_measured(
    repository: Repository, served: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for extra in (("--profile-export-file", "one.json"), ("--profile-export-file=other.json",)):
        load = replace(QUICK, concurrencies=(2,), extra=extra)
        report = one(repository, "relu", Wish(load=load), served)
        assert report.failures == ()
    for name in ("one.json", "other.json"):
        (record,) = json.loads((tmp_path / name).read_text())["experiments"]
        assert record["experiment"]["value"] == 2
    with pytest.raises(SpecError, match="holds one level"):
        replace(QUICK, extra=extra)


def test_a_server_at_a_url_tells_its_version(repository: Repository, served: Endpoint) -> None:
    foreign = replace(served, triton=None, onnxruntime=None)
    report = one(repository, "relu", Wish(load=replace(QUICK, concurrencies=(1,))), foreign)
    assert (report.triton, report.onnxruntime) == (toolchain.own().triton, None)


def test_the_file_that_the_config_names_tells_what_inputs_mean(tmp_path: Path) -> None:
    gather = [helper.make_node("Gather", ["table", "ids"], ["y"])]
    table = helper.make_tensor("table", TensorProto.FLOAT, [30], range(30))
    place(tmp_path, "named", gather, dims=("n", "m"), batch=4, dtype="INT64", tables=[table])
    (tmp_path / "named" / "1" / "model.onnx").rename(tmp_path / "named" / "1" / "net.onnx")
    with (tmp_path / "named" / "config.pbtxt").open("a") as config:
        config.write('default_model_filename: "net.onnx"\n')
    with serving(tmp_path) as endpoint:
        ready = prepare(Repository(tmp_path), "named", Draft(), endpoint=endpoint, protocol="http")
    drawn = np.concatenate([sample["ids"].ravel() for sample in ready.samples])
    assert drawn.min() >= 0
    assert 2 < drawn.max() < 30


def test_the_death_of_an_instance_is_the_reason(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, killed = planning.argv, list[int]()

    def spoilt(program, plan, concurrency, files, *, window_ms):  # type: ignore[no-untyped-def]
        if concurrency == 2 and not killed:
            (server,) = traces.processes(f"--http-port={plan.address.rpartition(':')[2]}").values()
            killed.append(traces.stub(server[1].removeprefix("--id="), "relu"))
            os.kill(killed[0], signal.SIGKILL)
        return written(program, plan, concurrency, files, window_ms=window_ms)

    monkeypatch.setattr(planning, "argv", spoilt)
    (report,) = measure(repository, ("relu",), Wish(load=QUICK), rehearsed=print)
    assert [level.concurrency for level in report.levels] == [1]
    (second,) = report.failures
    assert "is not healthy. (the instance 'relu_0_0' has died: killed by SIGKILL" in second.reason


def test_a_death_is_the_reason_of_what_comes_after_it_alone(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first level succeeds, perf_analyzer refuses the second, at the third the server dies."""
    written = planning.argv

    def spoilt(program, plan, concurrency, files, *, window_ms):  # type: ignore[no-untyped-def]
        argv = written(program, plan, concurrency, files, window_ms=window_ms)
        if concurrency == 3:
            _kill_servers(plan.address)
        return [*argv, "--bogus"] if concurrency == 2 else argv

    monkeypatch.setattr(planning, "argv", spoilt)
    wish = Wish(load=replace(QUICK, concurrencies=(1, 2, 3)))
    (report,) = measure(repository, ("relu",), wish, rehearsed=print)
    assert [level.concurrency for level in report.levels] == [1]
    second, third = report.failures
    assert "option '--bogus'" in second.reason
    assert "the server ended by itself (killed by SIGKILL)" in third.reason


def _kill_servers(address: str) -> None:
    """Kill the server that listens at an address."""
    flag = f"--http-port={address.rpartition(':')[2]}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if flag in (entry / "cmdline").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)


def test_what_was_never_asked_has_no_protocol(repository: Repository, served: Endpoint) -> None:
    wish = Wish(load=replace(QUICK, concurrencies=(1,)))
    absent, _ = measure(repository, ("absent", "relu"), wish, endpoint=served, rehearsed=print)
    assert absent.protocol is None


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_model_without_inputs_loses_no_other(tmp_path: Path, protocol: str) -> None:
    value = helper.make_tensor("value", TensorProto.FLOAT, [2], [1, 2])
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])
    graph = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=value)], "c", [], [output]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "constant" / "1").mkdir(parents=True)
    onnx.save(model, tmp_path / "constant" / "1" / "model.onnx")
    (tmp_path / "constant" / "config.pbtxt").write_text(
        'backend: "onnxruntime"\nmax_batch_size: 0\n'
        'output { name: "y" data_type: TYPE_FP32 dims: [2] }\n'
    )
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    place(tmp_path, "relu", relu, dims=("n", "m"), batch=4)
    wish = Wish(load=replace(QUICK, concurrencies=(1,)))
    with serving(tmp_path) as both:
        spoken = replace(both, http=None) if protocol == "grpc" else replace(both, grpc=None)
        constant, other = measure(Repository(tmp_path), (), wish, endpoint=spoken, rehearsed=print)
    assert "takes no inputs, perf_analyzer cannot drive it" in constant.failures[0].reason
    assert len(other.levels) == 1


def test_one_model_is_not_lost_to_another(repository: Repository, served: Endpoint) -> None:
    wish = Wish(load=replace(QUICK, concurrencies=(1,)))
    absent, relu = measure(repository, ("absent", "relu"), wish, endpoint=served, rehearsed=print)
    assert "absent" in absent.failures[0].reason
    assert len(relu.levels) == 1


def test_an_own_server_tells_its_versions_and_rehearses_a_gpu(tmp_path: Path) -> None:
    relu = [helper.make_node("Relu", ["x"], ["y"])]
    place(tmp_path, "gpu", relu, dims=("n", "m"), batch=4, kind="KIND_GPU")
    told: list[str] = []
    wish = Wish(load=replace(QUICK, concurrencies=(2,)))
    (report,) = measure(Repository(tmp_path), (), wish, rehearsed=told.append)
    tools = toolchain.own()
    assert (report.triton, report.onnxruntime) == (tools.triton, tools.onnxruntime)
    assert report.rehearsal
    assert "KIND_CPU" in told[0]
    assert report.levels
    with pytest.raises(RepositoryError):
        measure(Repository(tmp_path), ("gpus",), wish, rehearsed=print)


def test_the_report_equals_what_the_exported_record_gives(
    repository: Repository, served: Endpoint, tmp_path: Path
) -> None:
    ready = prepare(repository, "relu", Draft(), endpoint=served, protocol="http")
    plan = perf.PerfPlan(
        model="relu",
        version=1,
        address=served.http or "",
        protocol="http",
        request_bytes=ready.request_bytes,
        load=replace(
            QUICK,
            concurrencies=(2,),
            extra=("--profile-export-file", str(tmp_path / "record.json")),
        ),
    )
    tools = toolchain.own()
    files = planning.Files(tmp_path)
    planning.write_inputs(ready.samples, files.inputs)
    argv = planning.argv(tools.perf_analyzer, plan, 2, files, window_ms=300)
    finished = process.run(argv, timeout=60, environment=tools.environment)
    throughput, percentiles = records.row(files.csv)

    (record,) = json.loads((tmp_path / "record.json").read_text())["experiments"]
    bounds = record["window_boundaries"]
    ends = np.array([each["response_timestamps"][-1] for each in record["requests"]])
    starts = np.array([each["timestamp"] for each in record["requests"]])
    inside = (ends >= bounds[0]) & (ends <= bounds[-1])
    seconds = (bounds[-1] - bounds[0]) / 1e9
    assert len(bounds) == 4
    assert seconds >= 3 * 0.3  # windows are as long as they are: the machine may be busy
    assert records.requests(finished.output) == pytest.approx(inside.sum(), abs=2)
    assert throughput == pytest.approx(inside.sum() / seconds, rel=0.01)
    for percent, latency in percentiles.items():
        # In a thin tail the ways to interpolate differ by more than any tolerance says.
        near = (percent - 0.5, min(percent + 0.5, 100))
        low, high = np.percentile((ends - starts)[inside], near) / 1000
        assert 0.98 * low - 2 <= latency <= 1.02 * high + 2


@pytest.mark.parametrize(
    ("text", "shape"), [("x:3,224,224", ("x", (3, 224, 224))), ("a:b:5", ("a:b", (5,)))]
)
def test_shapes_are_read(text: str, shape: tuple[str, tuple[int, ...]]) -> None:
    assert parse_shape(text) == shape


@pytest.mark.parametrize("text", ["x", "x:", ":3", "x:a", "x:3,,4", "x:0", "x:-1"])
def test_a_shape_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="--shape"):
        parse_shape(text)


def sums(folder: Path, scheduler: str) -> None:
    """Place a model that sums what a sequence holds."""
    config = tiny.config(
        4,
        "x FP32 1",
        "y FP32 1",
        f"sequence_batching {{ {scheduler} state {{ "
        'input_name: "before" output_name: "after" data_type: TYPE_FP32 dims: 1 '
        'initial_state { name: "no" data_type: TYPE_FP32 dims: 1 zero_data: true } } }',
    )
    row = [TensorProto.FLOAT, ["n", 1]]
    nodes = [("Add", ["x", "before"], ["y"], {}), ("Identity", ["y"], ["after"], {})]
    tiny.place(
        folder,
        "sums",
        config,
        nodes,
        [("x", *row), ("before", *row)],
        [("y", *row), ("after", *row)],
    )


@pytest.mark.parametrize("scheduler", ["direct { }", "oldest { max_candidate_sequences: 8 }"])
def test_a_model_of_sequences_is_asked_in_sequences(tmp_path: Path, scheduler: str) -> None:
    """Under each of them a request that began none, or two rows at once, would be refused."""
    sums(tmp_path, scheduler)
    with serving(tmp_path) as endpoint:
        report = one(Repository(tmp_path), "sums", Wish(load=QUICK), endpoint)
        wish = Wish(load=replace(QUICK, batch_size=2))
        with pytest.raises(SpecError, match="served in sequences, one sample a request"):
            one(Repository(tmp_path), "sums", wish, endpoint)
    assert report.failures == ()
    assert [level.concurrency for level in report.levels] == [1, 2]


def test_a_sequence_that_the_server_forgets_is_told_how_it_is_kept(tmp_path: Path) -> None:
    sums(tmp_path, "direct { } max_sequence_idle_microseconds: 1")
    with serving(tmp_path) as endpoint:
        report = one(Repository(tmp_path), "sums", Wish(load=QUICK), endpoint)
    assert report.failures
    for failure in report.failures:
        assert "must specify the START flag" in failure.reason
        assert failure.reason.endswith(
            "(requests of a sequence lie further apart than max_sequence_idle_microseconds, after"
            " which the server forgets it: raise that in config.pbtxt)"
        )
