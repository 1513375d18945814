"""Several models in one call: side by side, in order, and what becomes of those that fail."""

import errno
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from multiprocessing import Pipe
from pathlib import Path

import pytest
import sides
import tiny
from click.testing import CliRunner

from tritonforge import memory, release
from tritonforge.cli import main
from tritonforge.graph import running
from tritonforge.jobs import Job, job, needs
from tritonforge.repository import Repository
from tritonforge.spec import ModelSpec

SIDES = str(Path(sides.__file__))
PROGRAM = [sys.executable, "-m", "tritonforge", "build"]
GIB = 1 << 30


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture
def doubles(tmp_path):
    """Save three tiny models and name their files."""
    return [tiny.save(tmp_path / f"{name}.onnx", *tiny.DOUBLE) for name in ("one", "two", "three")]


def sources(*names):
    """Name factories of the file beside this one."""
    return [f"{SIDES}:{name}" for name in names]


def stages(folder):
    """Find what builds have not finished."""
    return list(folder.rglob("*.partial"))


@pytest.mark.parametrize("count", [1, 2])
def test_they_are_told_in_the_order_of_the_arguments_and_summed_up(run, doubles, count):
    run("build", doubles[2])
    told = run("build", *doubles, "-j", count)
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    told_of = [line.split()[0] for line in lines if re.match(r"\w+ 1: ", line)]
    assert told_of == ["one", "two", "three"]
    end = next(number for number, line in enumerate(lines) if line.startswith("3 models"))
    title, columns, *rows = [line for line in lines[end:] if line.strip() and "──" not in line]
    assert re.fullmatch(r"3 models in \d+\.\d s: 2 proven, 1 unchanged", title.strip())
    assert columns.split() == ["model", "version", "seconds", "what"]
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [
        ("one", "proven"),
        ("two", "proven"),
        ("three", "unchanged"),
    ]


def test_those_that_fail_cost_the_others_nothing(run):
    names = ("raises", "killed", "small", "differs", "leaves", "other", "decides")
    told = run("build", *sources(*names), "-j", 2, "--format", "json")
    assert told.exit_code == 2, told.output
    answer = json.loads(told.stdout)
    assert [each["published"] for each in answer["builds"]] == [
        False,
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    assert answer["summary"] == {"proven": 2, "unchanged": 0, "no": 1, "failed": 4}
    raises, killed, _, differs, leaves, _, decides = answer["builds"]
    assert "ValueError: no weights today" in raises["error"]
    assert "was killed by SIGKILL (out of memory?)" in killed["error"]
    assert "-j" in killed["hint"]
    assert differs["gate"]["passed"] is False
    assert "ended with exit code 7" in leaves["error"]
    assert "decides by the values of a tensor at sides.py:" in decides["error"]
    assert "torch.where" in decides["hint"]
    assert f"Error: {SIDES}:killed: the process that built it was killed" in told.stderr
    assert "Traceback" not in told.output
    assert Repository(Path("model_repository")).models() == ("sides_other", "sides_small")


def test_the_summary_gives_the_first_sentence_of_an_error(run, doubles):
    told = run("build", doubles[0], *sources("raises"), "-j", 2)
    assert told.exit_code == 2
    (row,) = [line for line in told.stdout.splitlines() if line.strip().startswith("sides_raises")]
    assert row.rstrip().endswith("ValueError: no weights today")


def test_a_verdict_alone_is_exit_1(run, doubles):
    told = run("build", *sources("differs"), doubles[0], "-j", 2)
    assert told.exit_code == 1, told.output
    assert f"{SIDES}:differs: the gate failed" in told.stdout
    assert "1 proven, 1 no" in told.stdout


def test_one_that_is_killed_with_its_stage_open_leaves_none(run, tmp_path):
    told = run("build", *sources("dies", "small"), "-j", 2)
    assert told.exit_code == 2
    assert stages(tmp_path) == []
    assert Path("model_repository/sides_small/1/model.onnx").is_file()


def test_they_share_the_cores(run, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run("build", *sources("threads", "small"), "-j", 2)
    cores = len(os.sched_getaffinity(0))
    assert int(Path("threads").read_text()) == max(1, cores // 2)


def test_what_is_heavy_is_imported_where_the_work_is_done(tmp_path):
    code = (
        "import sys; from tritonforge.cli import main;"
        "main(sys.argv[1:], standalone_mode=False);"
        "print([name for name in ('torch', 'onnxruntime') if name in sys.modules])"
    )
    words = ["build", *sources("small", "other"), "-j", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_a_process_that_cannot_answer_any_more_is_given_up(run):
    told = run("build", *sources("orphans", "shuts", "small", "other"), "-j", 2, "--format", "json")
    assert told.exit_code == 2, told.output
    builds = json.loads(told.stdout)["builds"]
    assert "was killed by SIGKILL" in builds[0]["error"]
    assert "the process that built it" in builds[1]["error"]
    assert [each["published"] for each in builds[2:]] == [True, True]
    assert stages(Path.cwd()) == []


@pytest.mark.parametrize(
    ("said", "threads"), [("3", 3), ("3,2", 3), ("", 0), ("all", 0), ("-1", 0)]
)
def test_onnx_runtime_takes_as_many_threads_as_torch_was_told(monkeypatch, said, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert running._threads() == threads


def test_what_the_users_code_prints_is_not_the_answer(run):
    told = run("build", *sources("chatty", "small"), "-j", 2, "--format", "json")
    assert json.loads(told.stdout)["summary"]["proven"] == 2
    assert "said by the factory" in told.stderr


def test_a_neighbour_takes_no_librarys_place(run, doubles):
    Path("json.py").write_text("raise SystemExit('not the json that was meant')\n")
    told = run("build", *doubles, "-j", 2)
    assert told.exit_code == 0, told.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["one.onnx", "two.onnx", "one.onnx"], "one.onnx is given twice"),
        (["one.onnx", "./one.onnx"], "one.onnx and ./one.onnx would both be the model 'one'"),
        (["resnet18", "timm:resnet18"], "would both be the model 'resnet18'"),
        (["one.onnx", "two.onnx", "--name", "x"], "--name is of one model"),
        (["one.onnx", "two.onnx", "-x", "3"], "--model-version is of one model"),
        (["one.onnx", "two.onnx", "--input", "x:FP32:batch,3"], "--input is of one model"),
        (["one.onnx", "two.onnx", "--weights", "x.pt"], "--weights FILE is of one model"),
        (["one.onnx", "two.onnx", "-j", "0"], "0 is not in the range x>=1"),
    ],
)
@pytest.mark.usefixtures("doubles")
def test_what_cannot_be_meant_is_refused_before_anything_is_built(run, words, said):
    told = run("build", *words)
    assert told.exit_code == 2
    assert said in told.stderr.replace("\n", " ")
    assert not Path("model_repository").exists()


@pytest.mark.usefixtures("doubles")
def test_flags_of_one_model_are_of_a_file_with_one(run):
    Path("tritonforge.toml").write_text('[models.x]\nsource = "one.onnx"\n')
    assert run("build", "-x", 4, "--format", "json").exit_code == 0
    assert Path("model_repository/x/4").is_dir()


@pytest.mark.usefixtures("doubles")
def test_a_file_is_built_side_by_side(run):
    text = '[models.a]\nsource = "one.onnx"\n[models.b]\nsource = "missing.onnx"\n'
    Path("tritonforge.toml").write_text(text + '[models.c]\nsource = "two.onnx"\n')
    told = run("build", "-j", 8)
    assert told.exit_code == 2
    assert "Error: b: tritonforge.toml:4: source: no file missing.onnx" in told.stderr
    assert Repository(Path("model_repository")).models() == ("a", "c")


# --- interrupts ---------------------------------------------------------------------------------


def alive(pid):
    """Say whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def begun(folder, name, seconds=60):
    """Wait until a model has told its process, with a stage open."""
    path, deadline = folder / f"{name}.pid", time.monotonic() + seconds
    while not (path.exists() and path.read_text() and stages(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return int(path.read_text())


@pytest.mark.parametrize("whole_group", [False, True])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_all_and_leaves_nothing(tmp_path, number, whole_group):
    with subprocess.Popen(
        [*PROGRAM, *sources("small", "stuck", "deaf"), "-j", "3"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as command:
        children = [begun(tmp_path, name) for name in ("stuck", "deaf")]
        (os.killpg if whole_group else os.kill)(command.pid, number)
        stdout, stderr = command.communicate(timeout=60)
    assert command.returncode == 128 + number
    assert "Traceback" not in stderr
    assert not any(map(alive, children))
    assert stages(tmp_path) == []
    if number is signal.SIGINT:
        assert stderr.splitlines()[-1] == "Interrupted."
    assert "sides_stuck" not in stdout


def test_a_process_puts_things_in_order_though_it_is_told_to_end_again(tmp_path):
    ours, theirs = Pipe()
    code = f"from tritonforge.jobs.worker import main; main({theirs.fileno()})"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        pass_fds=[theirs.fileno()],
    ) as worker:
        ours.send(sides.Slow())
        while not (tmp_path / "begun").exists():
            assert worker.poll() is None
            time.sleep(0.02)
        for _ in range(3):
            worker.terminate()
            time.sleep(0.1)
    assert (tmp_path / "in order").exists()


def test_what_had_ended_out_of_its_turn_is_told_when_interrupted(tmp_path):
    with subprocess.Popen(
        [*PROGRAM, *sources("stuck", "small", "other"), "-j", "2"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        begun(tmp_path, "stuck")
        deadline = time.monotonic() + 60
        while not (tmp_path / "model_repository/sides_other").exists():
            assert time.monotonic() < deadline  # whose process was told of `small` before
            time.sleep(0.02)
        command.send_signal(signal.SIGINT)
        stdout, _ = command.communicate(timeout=60)
    assert command.returncode == 130
    assert "model_repository/sides_small/1" in stdout


def test_children_die_with_a_killed_parent(tmp_path):
    with subprocess.Popen(
        [*PROGRAM, *sources("stuck", "small"), "-j", "2"], cwd=tmp_path
    ) as command:
        child = begun(tmp_path, "stuck")
        command.kill()
    deadline = time.monotonic() + 20
    while alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not alive(child)
    assert stages(tmp_path) == []


# --- what is seen -------------------------------------------------------------------------------


def watched(folder, *words, columns=80):
    """Run a build on a terminal; return its exit code and all that it wrote there."""
    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execv(PROGRAM[0], [*PROGRAM, *words])  # noqa: S606 - a terminal of its own
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    written = b""
    while True:
        try:
            piece = os.read(handle, 1 << 16)
        except OSError:  # how Linux tells that the other side has closed
            break
        written += piece
    os.close(handle)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), written.decode(errors="replace")


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_terminal_shows_one_view_of_all(tmp_path, count):
    code, shown = watched(tmp_path, *sources("small", "other", "raises"), "-j", count)
    assert code == 2
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert "0 of 3" in plain
    assert re.search("[1-3] of 3", plain)  # two may end within one refresh
    rows = [
        line for line in re.split(r"[\r\n]+", plain) if "sides_small" in line and "0:00" in line
    ]
    assert any("loading" in row or "starting" in row for row in rows)
    assert all(len(line) <= 80 for line in rows)
    assert "3 models in" in plain


# --- memory -------------------------------------------------------------------------------------


def wished(source, repository="model_repository", **more):
    """Make a job."""
    spec = ModelSpec(source=str(source), target=release.find(release.EMBEDDED), **more)
    return Job(spec=spec, repository=Repository(Path(repository)))


def test_a_build_is_expected_to_need_what_its_files_say(tmp_path):
    large = tmp_path / "large.onnx"
    with large.open("wb") as file:
        file.truncate(GIB)
    assert needs.of(wished(large)) > 6 * GIB
    beside = tmp_path / "beside.onnx"
    beside.touch()
    large.rename(tmp_path / "beside.onnx.data")
    assert needs.of(wished(beside)) > 6 * GIB
    large = tmp_path / "beside.onnx.data"
    small = tiny.save(tmp_path / "small.onnx", *tiny.DOUBLE)
    assert needs.of(wished(small)) < GIB
    assert needs.of(wished("resnet50", weights=str(large))) > 6 * GIB
    assert GIB < needs.of(wished("resnet50")) < 2 * GIB  # nobody knows yet
    assert GIB < needs.of(wished("no such thing")) < 2 * GIB


def test_a_build_is_expected_to_need_what_the_last_one_made(tmp_path):
    version = tmp_path / "made/resnet50/1"
    version.mkdir(parents=True)
    with (version / "model.onnx").open("wb") as file:
        file.truncate(GIB)
    assert needs.of(wished("resnet50", tmp_path / "made")) > 6 * GIB


def test_a_folder_of_hugging_faces_tells_its_size(tmp_path):
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(GIB)
    assert needs.of(wished(f"hf:{tmp_path}#fill-mask")) > 6 * GIB


def test_there_is_room_for_what_others_will_not_take():
    free, me = memory.available(), os.getpid()
    assert needs.leave_room(1 << 60, 0, {})  # one always may
    assert needs.leave_room(free // 4, 0, {me: 1})
    assert not needs.leave_room(2 * free, 0, {me: 1})
    assert not needs.leave_room(free // 4, 0, {me: 2 * free})
    assert needs.leave_room(2 * free, 2 * free, {me: 1})  # its process has it already


def test_a_job_waits_for_memory(run):
    """What no machine has room for twice is built one after the other."""
    for name in ("small", "threads"):
        large = Path(f"model_repository/sides_{name}/1/large")
        large.parent.mkdir(parents=True)
        with large.open("wb") as file:
            file.truncate(1 << 40)
    told = run("build", *sources("small", "threads"), "-j", 2)
    assert told.exit_code == 0, told.output
    first = Path("model_repository/sides_small/2/manifest.json")
    assert Path("threads").stat().st_mtime > first.stat().st_mtime


# --- one of them --------------------------------------------------------------------------------


def test_an_error_of_the_system_is_as_plain_as_it_can_be_sent():
    full = OSError(errno.ENOSPC, "No space left", Path("here"), None, "there")
    plain = job._plain(full)
    assert (plain.errno, plain.filename, plain.filename2) == (errno.ENOSPC, "here", "there")

    assert str(job._plain(OSError("cannot connect"))) == "cannot connect"
