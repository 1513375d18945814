"""What a person sees: help, exit codes, sentences instead of tracebacks, JSON."""

import errno
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import nets
import pytest
from click.testing import CliRunner

from tritonforge.cli import group, main

NETS = str(Path(nets.__file__))
PROGRAM = [sys.executable, "-m", "tritonforge"]


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def test_a_full_disk_is_where_a_copy_goes():
    """As `shutil.copyfile` tells it: first the file that it reads, then the one that it writes."""
    full = OSError(errno.ENOSPC, "No space left on device", "here/m.onnx", None, "there/m.onnx")
    assert group._os_sentence(full) == "there/m.onnx: No space left on device"


@pytest.mark.parametrize(
    "words", [["targets"], ["targets", "24.10", "--format", "json"], ["--help"], ["--version"]]
)
def test_an_answer_that_cannot_be_written_is_a_sentence(words):
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [*PROGRAM, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "Error: cannot write the answer: No space left on device",
        "Hint: free some space where it goes, or send it elsewhere",
    ]


@pytest.mark.parametrize(
    ("cause", "code", "words"),
    [(None, 2, "ImportError: no luck"), (KeyboardInterrupt(), 130, "Interrupted.")],
)
def test_what_nobody_has_foreseen_is_no_verdict(cause, code, words):
    """^C while a C extension is imported comes as an `ImportError`."""
    forge = group.Forge(name="forge")

    @forge.command()
    def fails():
        raise ImportError("no luck") from cause

    result = CliRunner().invoke(forge, ["fails"])
    assert result.exit_code == code
    assert result.stderr.splitlines()[-1] == words


@pytest.mark.parametrize("verb", ["serve", "parity", "perf", "build m.onnx"])
def test_a_repository_that_is_a_file_is_told(run, verb):
    Path("models").touch()
    result = run(*verb.split(), "-r", "models")
    assert result.exit_code == 2
    assert "models is a file (name the folder that holds the models)" in result.stderr


def test_help_reads_like_a_table_of_contents(run):
    lines = run("--help").output.splitlines()
    titles = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert titles == ["Options:", "Foresee:", "Make:", "Prove:", "Serve:"]
    assert run("--version").output.startswith("tritonforge, version 0")


def test_build_prints_the_path_and_the_gate(run):
    result = run("build", f"{NETS}:mlp")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "model_repository/nets_mlp/1"
    assert "torch against ONNX Runtime" in result.stdout
    assert "batches up to 16" in result.stdout


def test_build_as_json(run):
    result = run("build", f"{NETS}:mixer", "--format", "json", "--name", "mix")
    answer = json.loads(result.stdout)
    assert answer["model"] == "mix"
    assert answer["published"] is True
    assert answer["max_batch_size"] == 0
    assert "depends on the rest of its batch" in answer["unbatched"]
    assert answer["gate"]["passed"] is True
    assert answer["gate"]["outputs"][0]["name"] == "output"
    assert Path(answer["path"]).is_dir()


def test_a_dry_run_prints_the_config_and_the_plan(run):
    result = run("build", f"{NETS}:mlp", "--dry-run")
    assert result.stdout.startswith('name: "nets_mlp"')
    assert "would publish version 1" in result.stdout
    assert not Path("model_repository").exists()


def test_a_gate_that_fails_is_exit_1_with_its_numbers(run):
    result = run("build", f"{NETS}:restless", "--format", "json")
    assert result.exit_code == 1
    assert "Error: output 'output' differs at [" in result.stderr
    assert "Hint: " in result.stderr
    answer = json.loads(result.stdout)
    assert answer["published"] is False
    assert answer["gate"]["passed"] is False
    assert not list(Path("model_repository").glob("*/"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "resnet5", "--weights", "random"], "did you mean 'resnet"),
        (["build", "nothing here"], "cannot tell what kind of source"),
        (["build", "x.onnx"], "no file x.onnx"),
        (["build", f"{NETS}:mlp", "--target", "24.1"], "did you mean 24.01 or 24.10?"),
        (["build", f"{NETS}:mlp", "--target", "24.02"], "without the ONNX Runtime backend"),
        (["build", f"{NETS}:mlp", "--opset", "99"], "limits of release 24.10"),
        (["build", f"{NETS}:mlp", "--name", "../up"], "cannot name a model"),
        (["build", f"{NETS}:mlp", "--input", "x"], "write ids:INT64:batch,seq"),
        (["build", f"{NETS}:mlp", "--input", "x:FLOAT99:batch"], "unknown dtype"),
        (["build", f"{NETS}:mlp", "--range", "seq=9..1"], "is empty"),
        (["build", f"{NETS}:mlp", "--range", "seq=1..9"], "which the model does not have"),
        (["build", f"{NETS}:mlp", "--weights", "none.pt"], "no weights at none.pt"),
        (["parity"], "no models in model_repository"),
        (["parity", "resnet50"], "no model 'resnet50'"),
        (["parity", "--url", "ftp://x"], "write http://HOST:8000"),
        (["perf", "--concurrency", "0"], "concurrency"),
        (["serve"], "no models in model_repository"),
    ],
    ids=lambda value: (
        " ".join(Path(word).name for word in value) if isinstance(value, list) else ""
    ),
)
def test_what_cannot_be_done_is_exit_2_and_a_sentence(run, words, said):
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_interrupted_is_130_and_leaves_nothing(tmp_path):
    with subprocess.Popen(
        [*PROGRAM, "build", f"{NETS}:mlp"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    ) as child:
        deadline = time.monotonic() + 60
        while not list(tmp_path.rglob("*.partial")) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=60)
    assert child.returncode == 130
    assert stderr.strip().splitlines()[-1] == "Interrupted."
    assert list(tmp_path.rglob("*.partial")) == []


def test_terminated_leaves_nothing(tmp_path):
    with subprocess.Popen([*PROGRAM, "build", f"{NETS}:mlp"], cwd=tmp_path) as child:
        while not list(tmp_path.rglob("*.partial")):
            time.sleep(0.01)
        child.terminate()
        assert child.wait(60) == 143
    assert list(tmp_path.rglob("*.partial")) == []


def test_an_unwritable_place_is_a_sentence(run):
    Path("model_repository").write_text("a file")
    result = run("build", f"{NETS}:mlp")
    assert result.exit_code == 2
    assert "model_repository is a file" in result.stderr


def test_what_the_users_code_prints_is_not_the_answer(run):
    result = run("build", f"{NETS}:chatty", "--format", "json")
    assert json.loads(result.stdout)["published"] is True
    assert "loading my model" in result.stderr


@pytest.mark.parametrize("words", [["--update-config", "--keep-config"], ["--force"]])
def test_wishes_that_contradict(run, words):
    result = run("build", f"{NETS}:mlp", *words)
    assert result.exit_code == 2
    assert "contradict" in result.stderr or "name one" in result.stderr


def test_a_closed_stderr_keeps_no_answer_back(tmp_path):
    (tmp_path / "r" / "m" / "1").mkdir(parents=True)
    command = ["/bin/sh", "-c", '"$@" 2>&-', "sh", *PROGRAM, "check", "-r", str(tmp_path / "r")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "LAY107" in ended.stdout


@pytest.mark.parametrize("more", [[], ["--format", "json"], ["--format", "sarif"]])
def test_a_closed_stdout_is_no_fault(tmp_path, more):
    (tmp_path / "r" / "m").mkdir(parents=True)
    for code, asked in ((1, ["check", "-r", str(tmp_path / "r"), *more]), (0, ["targets"])):
        command = ["/bin/sh", "-c", '"$@" >&-', "sh", *PROGRAM, *asked]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (ended.returncode, ended.stderr) == (code, "")
