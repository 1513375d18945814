"""The command: what it prints, what it exits with, and what it leaves behind."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, checker, helper, save

from tritonforge import perf
from tritonforge.cli import measured
from tritonforge.cli import perf as cli
from tritonforge.cli.group import Forge
from tritonforge.errors import ForgeError

PROGRAM = (
    "from tritonforge.cli.group import Forge; from tritonforge.cli import perf\n"
    "main = Forge(name='tritonforge'); main.section('Prove', perf=perf.command); main()"
)
LEVEL = perf.Level(
    concurrency=1,
    throughput=20.5,
    requests=200,
    percentiles={50: 50_000, 90: 61_500, 95: 70_000, 99: 1_234_567},
    windows=(perf.Window(throughput=20.5, latency_us=51_000),),
    window_ms=2500,
    stable=True,
    server=perf.Counters(
        requests=10,
        inferences=20,
        executions=5,
        queue_ns=1_000_000,
        compute_input_ns=100_000,
        compute_infer_ns=400_000,
        compute_output_ns=100_000,
    ),
)
REPORT = perf.PerfReport(
    model="resnet50",
    version=2,
    protocol="grpc",
    batch_size=1,
    levels=(LEVEL, replace(LEVEL, concurrency=8, throughput=30.0, stable=False, server=None)),
    failures=(
        perf.Failure(concurrency=2, reason="no luck"),
        perf.Failure(concurrency=4, reason="no luck"),
    ),
    triton="2.51.0",
    onnxruntime="1.19.2",
    rehearsal=True,
)


def invoke(*arguments: str) -> Result:
    main = Forge(name="tritonforge")
    main.section("Prove", perf=cli.command)
    return CliRunner().invoke(main, ["perf", *arguments])


def place(root: Path) -> Path:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "relu",
        [value("x", TensorProto.FLOAT, ["n", 4])],
        [value("y", TensorProto.FLOAT, ["n", 4])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    (root / "relu" / "1").mkdir(parents=True)
    save(model, root / "relu" / "1" / "model.onnx")
    (root / "relu" / "config.pbtxt").write_text(
        'name: "relu"\nbackend: "onnxruntime"\nmax_batch_size: 4\n'
        'input { name: "x" data_type: TYPE_FP32 dims: 4 }\n'
        'output { name: "y" data_type: TYPE_FP32 dims: 4 }\n'
        "instance_group { count: 1 kind: KIND_CPU }\n"
    )
    return root


def test_the_table_names_all_levels_the_best_and_why_some_failed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured.as_tables([REPORT])
    shown = capsys.readouterr().out
    for words in (
        "resnet50 version 2 · grpc, batch size 1 · Triton 2.51.0 · ONNX Runtime 1.19.2",
        "rehearsal: cpu",
        "Best: concurrency 1, 20.5 infer/s, p99 1235 ms",
        "Unstable: ",
        "Failed: concurrency 2, 4: no luck",
    ):
        assert words in shown
    rows = [line.split() for line in shown.splitlines() if line.strip()[:1].isdigit()]
    assert rows[0] == ["1", "20.5", "50.0", "61.5", "70.0", "1235", "0.10", "0.06", "4.00"]
    assert [row[0] for row in rows] == ["1", "2", "4", "8"]
    assert rows[1][-1] == "failed"
    assert rows[3][-4:] == ["-", "-", "-", "unstable"]


def test_the_json_is_an_interface(capsys: pytest.CaptureFixture[str]) -> None:
    measured.as_json([REPORT])
    (report,) = json.loads(capsys.readouterr().out)["reports"]
    first, second = report.pop("levels")
    assert report == {
        "model": "resnet50",
        "version": 2,
        "protocol": "grpc",
        "batch_size": 1,
        "triton": "2.51.0",
        "onnxruntime": "1.19.2",
        "rehearsal": "cpu",
        "best": 1,
        "failures": [
            {"concurrency": 2, "reason": "no luck"},
            {"concurrency": 4, "reason": "no luck"},
        ],
    }
    assert first == {
        "concurrency": 1,
        "throughput": 20.5,
        "latency_us": {"p50": 50_000, "p90": 61_500, "p95": 70_000, "p99": 1_234_567},
        "queue_us": 100.0,
        "compute_us": 60.0,
        "compute_infer_us": 40.0,
        "executed_batch": 4.0,
        "requests": 200,
        "stable": True,
        "window_ms": 2500,
        "windows": [{"throughput": 20.5, "latency_us": 51_000}],
    }
    assert second["executed_batch"] is None
    assert second["stable"] is False


def test_a_csv_that_cannot_be_written_is_told_by_name() -> None:
    with pytest.raises(ForgeError, match="cannot write /dev/full: No space left on device"):
        measured.as_csv([REPORT], Path("/dev/full"))


def test_the_csv_has_a_row_for_every_level(tmp_path: Path) -> None:
    measured.as_csv([REPORT], tmp_path / "out.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8"))))
    assert [row["concurrency"] for row in rows] == ["1", "8", "2", "4"]
    assert rows[0]["p99_us"] == "1234567"
    assert rows[0]["executed_batch"] == "4.0"
    assert rows[2]["failure"] == "no luck"
    assert rows[2]["throughput"] == ""
    assert {row["rehearsal"] for row in rows} == {"cpu"}


def test_the_command_measures_a_repository_of_the_users(tmp_path: Path) -> None:
    place(tmp_path / "models")
    result = invoke(
        *("-r", str(tmp_path / "models"), "--concurrency", "2", "--measurement-interval", "100"),
        *("--format", "json", "--csv", str(tmp_path / "out.csv"), "-i", "grpc"),
    )
    assert result.exit_code == 0, result.output
    (report,) = json.loads(result.stdout)["reports"]
    assert report["model"] == "relu"
    assert report["triton"] == "2.51.0"
    assert report["failures"] == []
    assert (tmp_path / "out.csv").read_text().count("\n") == 2
    assert result.stderr.count("perf_analyzer -m relu") == 1  # the warm-up is not echoed


def test_a_failed_level_exits_2_after_the_report(tmp_path: Path) -> None:
    place(tmp_path / "models")
    result = invoke(
        *("relu", "-r", str(tmp_path / "models"), "--concurrency", "1"), *("--", "--bogus")
    )
    assert result.exit_code == 2
    # 2.51: unrecognized option; 2.60: Invalid long option
    assert re.search("Failed: concurrency 1: .* option '--bogus'", result.stdout)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--concurrency", "4..1"), "smaller number first"),
        (("--shape", "x"), "write x:3,224,224"),
        (("--csv", "/no/such/folder/out.csv"), "there is no folder"),
        (("--url", "ftp://host"), "cannot use --url"),
        (("--percentile", "100"), "100 is not in the range"),
        (("relux", "-r", "{models}"), "did you mean 'relu'"),
        (("-r", "/no/such/repository"), "no models in"),
        (("relu", "-r", "{models}", "--shape", "y:3"), "there is x"),
    ],
)
def test_wrong_use_is_a_sentence_and_exit_2(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    place(tmp_path / "models")
    result = invoke(*(each.format(models=tmp_path / "models") for each in arguments))
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_an_interrupt_ends_everything_and_exits_130(tmp_path: Path) -> None:
    place(tmp_path / "models")
    (tmp_path / "tmp").mkdir()
    arguments = ["perf", "relu", "-r", str(tmp_path / "models"), "--measurement-interval", "20000"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    ) as command:
        assert command.stderr is not None
        for line in command.stderr:
            if "--measurement-interval" in line:
                break
        time.sleep(0.5)
        assert _running(tmp_path)
        command.send_signal(signal.SIGINT)
        rest = command.stderr.read()
        assert command.wait(30) == 130
    assert "Interrupted." in rest
    assert "Traceback" not in rest
    assert not _running(tmp_path)
    assert list((tmp_path / "tmp").iterdir()) == []


def test_an_interrupt_reports_the_levels_that_are_done(tmp_path: Path) -> None:
    place(tmp_path / "models")
    arguments = ["perf", "-r", str(tmp_path / "models"), "--measurement-interval", "300"]
    levels = [*("--concurrency", "1..100"), "--format", "json", "--csv", str(tmp_path / "out.csv")]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments, *levels],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as command:
        assert command.stderr is not None
        for line in command.stderr:
            if "--concurrency-range 3 " in line:
                break
        time.sleep(0.3)
        command.send_signal(signal.SIGINT)
        answer, rest = command.communicate(timeout=30)
    assert command.returncode == 130
    assert "Interrupted." in rest
    (report,) = json.loads(answer)["reports"]
    assert [level["concurrency"] for level in report["levels"]] == [1, 2]
    assert {failure["reason"] for failure in report["failures"]} == {"interrupted"}
    assert (tmp_path / "out.csv").read_text().count("\n") == 101


def _running(folder: Path) -> list[str]:
    """Name the servers and load generators that work in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        program = line.split(" ", 1)[0].rsplit("/", 1)[-1]
        if program in {"tritonserver", "perf_analyzer"} and str(folder) in line:
            found.append(line)
    return found
