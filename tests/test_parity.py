"""Parity on the real server: what agrees passes, what does not is named."""

import json
import shutil
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread

import nets
import numpy as np
import onnx
import pytest
import tiny
from click.testing import CliRunner
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from tritonforge import manifest, pbtxt, release
from tritonforge.build import build
from tritonforge.cli import main
from tritonforge.endpoint import Endpoint
from tritonforge.errors import RepositoryError, ServerError, SourceError
from tritonforge.parity import Wish, configured, load, parity, subject
from tritonforge.repository import Repository
from tritonforge.serving import serving
from tritonforge.spec import ModelSpec, Range, Tolerance, parse_input

NETS = str(Path(nets.__file__))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Build one model of each kind."""
    place = Repository(tmp_path_factory.mktemp("parity") / "models")
    lengths = {"inputs": (parse_input("x:FP32:batch,seq,4"),), "ranges": (("seq", Range(high=9)),)}
    for factory, wishes in (("mlp", {}), ("score", {}), ("mixer", {}), ("lstm", lengths)):
        spec = ModelSpec(source=f"{NETS}:{factory}", target=release.find("24.10"), **wishes)
        build(spec, place)
    return place


@pytest.fixture
def copy(repository, tmp_path):
    """Return a repository with the perceptron alone, to be spoilt."""
    shutil.copytree(repository.path / "nets_mlp", tmp_path / "models" / "nets_mlp")
    return Repository(tmp_path / "models")


def compared(repository, *models, endpoint=None, **wishes):
    """Compare without listening to rehearsals."""
    return parity(repository, models, Wish(**wishes), endpoint=endpoint, rehearsed=lambda _: None)


def test_every_kind_agrees_over_both_protocols(repository):
    reports = compared(repository)
    assert [report.model for report in reports] == [
        "nets_lstm",
        "nets_mixer",
        "nets_mlp",
        "nets_score",
    ]
    for report in reports:
        assert report.error is None
        assert report.passed, report
        names = [(check.name, check.protocol) for check in report.checks]
        assert names == [("files", None)] + [
            (name, protocol)
            for protocol in ("http", "grpc")
            for name in ("golden", "sizes", "concurrent")
        ]
        assert (report.batching is None) == (report.model == "nets_mixer")
        if report.batching is not None:
            assert report.batching.merged
            assert report.batching.executions < report.batching.inferences


@pytest.mark.parametrize("reference", ["torch", "golden"])
def test_other_references(repository, reference):
    (report,) = compared(repository, "nets_mlp", reference=reference)
    assert report.passed
    assert {check.name for check in report.checks} == (
        {"files", "golden"} if reference == "golden" else {"files", "golden", "sizes", "concurrent"}
    )
    assert all(check.passed for check in report.checks)


def spoil(copy, scale=1.01, *, owned=False):
    """Change the weights of the served file; where it is `owned` the manifest knows of it."""
    path = copy.path / "nets_mlp" / "1" / "model.onnx"
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32 and array.ndim == 2:
            tensor.CopyFrom(numpy_helper.from_array(array * np.float32(scale), tensor.name))
    onnx.save(model, path)
    if owned:
        known = manifest.read(path.parent)
        manifest.write(replace(known, files=manifest.stamps(path.parent)), path.parent)


def test_other_weights_differ_from_the_golden_sample(copy):
    spoil(copy)
    (report,) = compared(copy, "nets_mlp")
    assert not report.passed
    golden = next(check for check in report.checks if check.name == "golden")
    (output,) = golden.report.outputs
    assert not output.passed
    assert output.needed_atol > 1e-4
    assert len(output.worst.index) == 2
    sizes = next(check for check in report.checks if check.name == "sizes")
    assert sizes.passed  # ONNX Runtime reads the same spoilt file
    (torch_report,) = compared(copy, "nets_mlp", reference="torch")
    assert not any(check.passed for check in torch_report.checks)
    files = report.checks[0]
    assert files.refused == "model.onnx is not the file that was built"


def test_a_tolerance_can_be_given(copy):
    spoil(copy, owned=True)
    (report,) = compared(copy, "nets_mlp", tolerance=Tolerance(atol=1.0))
    assert report.passed


def test_the_command_says_where_and_how_much(copy):
    spoil(copy)
    words = ["parity", "nets_mlp", "-r", str(copy.path)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 1
    said = (
        "NO parity by ONNX Runtime 1.19.2 against onnx: files: model.onnx is not the file that was"
        " built; golden over http"
    )
    assert f"nets_mlp 1: {said}: output 'output' differs" in result.stdout
    assert "it would take --atol" in result.stdout
    answer = json.loads(CliRunner().invoke(main, [*words, "--format", "json"]).stdout)
    (report,) = answer["reports"]
    assert report["passed"] is False
    assert report["rehearsal"] is None
    assert report["checks"][0]["name"] == "files"
    assert report["checks"][1]["report"]["outputs"][0]["worst"]["got"]


def test_against_a_running_server(repository):
    with serving(repository.path, models=["nets_mlp"]) as endpoint:
        (report,) = compared(repository, "nets_mlp", endpoint=endpoint)
        assert report.passed
        words = ["parity", "nets_mlp", "-r", str(repository.path)]
        urls = ["--url", f"http://{endpoint.http}", "--url", f"grpc://{endpoint.grpc}"]
        assert CliRunner().invoke(main, [*words, *urls]).exit_code == 0
        only = CliRunner().invoke(main, [*words, *urls[:2], "--format", "json"])
        checks = json.loads(only.stdout)["reports"][0]["checks"]
        assert {check["protocol"] for check in checks} == {None, "http"}
        with pytest.raises(ServerError, match="unknown model"):
            compared(repository, "nets_score", endpoint=endpoint)


@pytest.mark.parametrize("verb", ["parity", "perf"])
def test_the_onnx_runtime_of_a_server_at_a_url_is_not_ours_to_choose(verb):
    words = [verb, "--url", "http://localhost:8000", "--target", "24.10"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "--target chooses for a server of our own" in result.stderr


def test_no_server_at_the_url(repository):
    words = ["parity", "nets_mlp", "-r", str(repository.path), "--url", "http://127.0.0.1:9"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "cannot reach a server at http://127.0.0.1:9" in result.stderr


def test_an_older_version_is_served_alone(copy):
    spec = ModelSpec(source=f"{NETS}:mlp", target=release.find("24.10"), seed=5)
    assert build(spec, copy).version == 2
    for version in (1, 2):
        (report,) = compared(copy, "nets_mlp", version=version)
        assert report.version == version
        assert report.passed


def test_a_foreign_repository_is_compared_too(tmp_path):
    tiny.double(tmp_path)
    (report,) = compared(Repository(tmp_path), "double")
    assert report.passed
    assert {check.name for check in report.checks} == {"sizes", "concurrent"}
    with pytest.raises(RepositoryError, match="has no golden sample"):
        compared(Repository(tmp_path), "double", reference="golden")
    with pytest.raises(SourceError, match="was not built from a torch model here"):
        compared(Repository(tmp_path), "double", reference="torch")


def test_what_was_always_empty_is_not_said_to_agree(tmp_path):
    nodes = [
        ("Greater", ["x", "huge"], ["more"], {}),
        ("Compress", ["x", "more"], ["y"], {"axis": 0}),
        ("Add", ["x", "x"], ["z"], {}),
    ]
    floats = [("y", T.FLOAT, ["found"]), ("z", T.FLOAT, [4])]
    huge = helper.make_tensor("huge", T.FLOAT, [1], [1e9])
    config = tiny.config(0, "x FP32 4", "y FP32 -1;z FP32 4", "")
    inputs = [("x", T.FLOAT, [4])]
    tiny.place(tmp_path, "finds", config, nodes, inputs, floats, initializers=[huge])
    words = ["parity", "finds", "-r", str(tmp_path)]
    result = CliRunner().invoke(main, words)
    assert "; 'y' was empty in every sample: nothing compared" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    told = {(row[-5], row[-4]) for row in rows if row[:2] == ["finds", "1"]}
    assert told == {("y", "empty"), ("z", "pass")}
    answer = json.loads(CliRunner().invoke(main, [*words, "--format", "json"]).stdout)
    (report,) = answer["reports"]
    assert (report["passed"], report["uncompared"]) == (True, ["y"])


def test_one_broken_model_loses_no_other(copy):
    tiny.double(copy.path)
    (copy.path / "double" / "1" / "model.onnx").write_bytes(b"not a model")
    broken, whole = compared(copy)
    assert broken.error is not None
    assert not broken.passed
    assert whole.passed


def test_a_gpu_config_is_rehearsed_and_says_so(copy):
    path = copy.path / "nets_mlp" / "config.pbtxt"
    path.write_text(path.read_text().replace("count: 1", "count: 1 kind: KIND_GPU gpus: [ 0 ]"))
    before = path.read_text()
    differences = []
    (report,) = parity(copy, ("nets_mlp",), Wish(), rehearsed=differences.append)
    assert report.passed
    assert report.rehearsal
    assert "-  kind: KIND_GPU" in differences[0]
    assert path.read_text() == before


def test_another_source_today_is_refused(copy):
    folder = copy.path / "nets_mlp" / "1"
    record = manifest.read(folder)
    changed = (folder / "manifest.json").read_text().replace('"seed": 0', '"seed": 1')
    (folder / "manifest.json").write_text(changed)
    assert record.seed == 0
    with pytest.raises(SourceError, match="gives other weights today"):
        compared(copy, "nets_mlp", reference="torch")


def test_a_damaged_manifest_or_golden_sample_is_named(copy):
    folder = copy.path / "nets_mlp" / "1"
    (folder / "golden.npz").write_bytes(b"PK")
    with pytest.raises(RepositoryError, match=r"golden.npz cannot be read"):
        compared(copy, "nets_mlp")
    (folder / "manifest.json").write_text('{"format": 1}')
    with pytest.raises(RepositoryError, match=r"manifest.json is damaged"):
        compared(copy, "nets_mlp")


def test_outputs_that_the_config_does_not_list_are_not_asked_for(tmp_path):
    spec = ModelSpec(
        source=f"{NETS}:two_by_two",
        target=release.find("24.10"),
        inputs=tuple(map(parse_input, ("ids:INT64:batch,seq", "mask:INT64:batch,seq"))),
        ranges=(("seq", Range(low=1, high=8)),),
    )
    place = Repository(tmp_path / "models")
    build(spec, place)
    path = place.model_dir("nets_two_by_two") / "config.pbtxt"
    config = pbtxt.parse(path.read_text(), path)
    (hidden,) = [each for each in config.output if each.name == "hidden"]
    config.output.remove(hidden)
    path.write_text(pbtxt.render(config))
    for reference in ("onnx", "torch"):
        (report,) = compared(place, reference=reference)
        assert report.passed, report
        for check in report.checks[1:]:
            assert [output.name for output in check.report.outputs] == ["pooled"]


def test_each_part_of_the_tolerance_is_by_default_what_was_proven(tmp_path):
    spec = ModelSpec(
        source=f"{NETS}:mlp", target=release.find("24.10"), tolerance=Tolerance(atol=1.0)
    )
    place = Repository(tmp_path / "models")
    build(spec, place)
    spoil(place, owned=True)
    (report,) = compared(place)
    assert report.passed
    (report,) = compared(place, tolerance=Tolerance(rtol=0.0))
    assert {(o.atol, o.rtol) for c in report.checks[1:] for o in c.report.outputs} == {(1.0, 0.0)}
    (report,) = compared(place, tolerance=Tolerance(atol=1e-7, rtol=0.0))
    assert not report.passed


def test_a_request_that_the_server_refuses_is_a_verdict(copy):
    """A server may be stricter than what lies here: it has not read the config that allows 17."""
    with serving(copy.path) as endpoint:
        path = copy.path / "nets_mlp" / "config.pbtxt"
        allowed = path.read_text().replace("max_batch_size: 16", "max_batch_size: 17")
        assert "17" in allowed
        path.write_text(allowed)
        (report,) = compared(copy, "nets_mlp", endpoint=endpoint)
        words = ["parity", "nets_mlp", "-r", str(copy.path), "--url", f"http://{endpoint.http}"]
        result = CliRunner().invoke(main, words)
    assert not report.passed
    refused = {check.name for check in report.checks if check.refused}
    assert refused == {"sizes"}
    sizes = next(check for check in report.checks if check.refused)
    assert "batch-size must be <= 16" in sizes.refused
    assert "(asked with features [17, 8])" in sizes.refused
    assert all(check.passed for check in report.checks if check.name != "sizes")
    assert result.exit_code == 1
    assert "sizes over http: the server says: " in result.stdout


def test_requests_of_a_slow_model_are_fewer(repository):
    entry = repository.entry("nets_mlp")
    with subject.opened(entry, configured.stated(entry), "onnx", 0) as each:

        def slow(arrays):
            time.sleep(0.2)
            return each.reference(arrays)

        nowhere = Endpoint(http="", grpc="", metrics="")  # who has no sequences is not asked
        assert load._crowd(replace(each, reference=slow), nowhere, "http", 0) == (16, 1)


def test_an_unmerged_burst_fails_only_on_a_server_of_our_own(copy):
    """A model that executes one row at a time, while its config says that it may batch."""
    path = copy.path / "nets_mlp" / "config.pbtxt"
    alone = path.read_text().replace("max_batch_size: 16", "max_batch_size: 1")
    batching = path.read_text()
    path.write_text(alone)
    with serving(copy.path) as endpoint:
        path.write_text(batching)
        (report,) = compared(copy, "nets_mlp", endpoint=endpoint)
    assert not report.embedded
    assert report.batching is not None
    assert not report.batching.merged
    concurrent = [check for check in report.checks if check.name == "concurrent"]
    assert all(check.passed for check in concurrent)
    one_row = replace(report, checks=tuple(concurrent))
    assert one_row.passed
    assert not replace(one_row, embedded=True).passed


def test_a_response_cache_of_an_earlier_run_does_not_hide_batches(copy):
    path = copy.path / "nets_mlp" / "config.pbtxt"
    path.write_text(path.read_text() + "response_cache { enable: true }\n")
    arguments = ["--cache-config=local,size=16777216"]
    with serving(copy.path, arguments=arguments) as endpoint:
        words = ["parity", "-r", str(copy.path), "--url", f"http://{endpoint.http}"]
        for _ in range(2):
            result = CliRunner().invoke(main, [*words, "--format", "json"])
            (report,) = json.loads(result.stdout)["reports"]
            assert report["passed"], report
            assert report["batching"]["merged"]


def test_versions_are_told(repository, embedded):
    (own,) = compared(repository, "nets_mlp", reference="golden")
    assert (own.embedded, own.triton) == (True, embedded.triton)
    assert own.onnxruntime == embedded.onnxruntime
    with serving(repository.path, models=["nets_mlp"]) as endpoint:
        foreign = replace(endpoint, triton=None, onnxruntime=None)
        (other,) = compared(repository, "nets_mlp", reference="golden", endpoint=foreign)
    assert (other.embedded, other.triton, other.onnxruntime) == (False, embedded.triton, None)


@pytest.mark.slow
def test_a_first_answer_may_take_more_than_a_minute(copy):
    """A relay that holds the first request back, as a server that builds an engine does."""
    with serving(copy.path) as endpoint, socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        Thread(target=relay, args=(door, endpoint.http), daemon=True).start()
        late = Endpoint(http=f"127.0.0.1:{door.getsockname()[1]}")
        (report,) = compared(copy, "nets_mlp", reference="golden", endpoint=late)
    assert report.passed


def relay(door, address):
    """Hand on what comes over each connection; the first inference waits."""
    waited = Event()
    with suppress(OSError):
        while True:
            near, _ = door.accept()
            host, _, port = address.rpartition(":")
            far = socket.create_connection((host, int(port)))
            Thread(target=hand_on, args=(near, far, waited), daemon=True).start()
            Thread(target=hand_on, args=(far, near, waited), daemon=True).start()


def hand_on(source, sink, waited):
    """Copy one direction."""
    with source, suppress(OSError):
        while data := source.recv(1 << 16):
            if b"/infer" in data and not waited.is_set():
                waited.set()
                time.sleep(61)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
