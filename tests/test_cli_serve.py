"""`serve` and `toolchain` as a person runs them: in a process of their own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
import traces
from tritonclient.http import InferenceServerClient

from tritonforge import client, endpoint

FREE = ["--http-port", "0", "--grpc-port", "0", "--metrics-port", "0"]


def command(*arguments):
    """Start `tritonforge` with arguments."""
    return subprocess.Popen(
        [sys.executable, "-m", "tritonforge", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_listen_to_interrupts,  # noqa: PLW1509 - it only sets a signal's handler
    )


def _listen_to_interrupts():
    """Undo what a shell, or nohup, does to what it starts in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def urls(child):
    """Return the three lines that say where a server listens."""
    lines = [child.stdout.readline().strip() for _ in range(3)]
    assert all(lines), child.stderr.read()
    return lines


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 0), (signal.SIGHUP, 129)]
)
def test_it_serves_until_it_is_told_to_stop_which_is_success(embedded, tmp_path, number, code):
    tiny.double(tmp_path)
    child = command("serve", "-r", tmp_path, *FREE, "--", "--log-verbose=0")
    http, grpc, metrics = urls(child)
    assert metrics.endswith("/metrics")
    rows = np.ones((1, 4), np.float32)
    for protocol in ("http", "grpc"):
        with client.remote(endpoint.parse((http, grpc)), "double", protocol=protocol) as run:
            np.testing.assert_array_equal(run({"x": rows})["y"], 2)
    child.send_signal(number)
    output, errors = child.communicate(timeout=30)
    assert child.returncode == code, errors
    assert output == ""
    assert errors.startswith("+ ")
    assert f"Triton {embedded.triton}, ONNX Runtime {embedded.onnxruntime}" in errors
    assert "--log-verbose=0" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("flag", ["", "--cache-config=local,size=1048576"])
def test_a_response_cache_is_there_where_a_config_asks_for_it(embedded, tmp_path, flag):
    del embedded
    tiny.double(tmp_path, "cached", "response_cache { enable: true }")
    tiny.double(tmp_path, "plain")
    child = command("serve", "-r", tmp_path, *FREE, *(["--", flag] if flag else []))
    http, *_ = urls(child)
    served = endpoint.parse((http,))
    with client.remote(served, "cached") as run:
        for _ in range(3):
            run({"x": np.ones((1, 4), np.float32)})
    with InferenceServerClient(http.removeprefix("http://")) as asked:

        def counted():
            found = asked.get_inference_statistics("cached")["model_stats"][0]["inference_stats"]
            return found["cache_hit"]["count"], found["cache_miss"]["count"]

        assert traces.until(lambda: counted() == (2, 1)), counted()
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert ("the response cache that cached asks for" in errors) is (not flag)
    assert errors.count("--cache-config=") == (1 if flag else 2)


def test_a_server_that_dies_is_an_error_with_its_reason(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    child = command("serve", "-r", tmp_path, "double/", *FREE, "--verbose")
    urls(child)
    for task in Path(f"/proc/{child.pid}/task").iterdir():
        for pid in (task / "children").read_text().split():
            os.kill(int(pid), signal.SIGSEGV)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 2
    assert "Started HTTPService" in errors
    assert "Error: the server ended by itself (killed by SIGSEGV)" in errors
    log = errors.strip().splitlines()[-1].removeprefix("Hint: the server's whole log: ")
    Path(log).unlink()


def test_an_instance_that_dies_is_told_while_the_others_serve_on(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path, "victim")
    tiny.double(tmp_path, "other")
    child = command("serve", "-r", tmp_path, *FREE)
    http, *_ = urls(child)
    os.kill(traces.stub(f"-{child.pid}-", "victim"), signal.SIGSEGV)
    said = next(line for line in child.stderr if "has died" in line)
    assert said.startswith("the instance 'victim_0_0' has died: killed by SIGSEGV; its requests")
    with client.remote(endpoint.parse((http,)), "other") as run:
        np.testing.assert_array_equal(run({"x": np.ones((1, 4), np.float32)})["y"], 2)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0
    assert "has died" not in errors  # told once, and not those that were ended in order


def test_what_has_no_version_is_left_out_and_told(embedded, tmp_path):
    del embedded
    tiny.double(tmp_path)
    (tmp_path / "later").mkdir()
    (tmp_path / "zero" / "0").mkdir(parents=True)
    child = command("serve", "-r", tmp_path, *FREE)
    http, *_ = urls(child)
    with client.remote(endpoint.parse((http,)), "double") as run:
        np.testing.assert_array_equal(run({"x": np.ones((1, 4), np.float32)})["y"], 2)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 0, errors
    assert errors.splitlines()[:2] == [
        "Left out, without a version: later",
        "Left out, tritonforge does not serve version 0 (rename the folder to 1): zero",
    ]


def test_a_model_that_is_not_there(tmp_path):
    tiny.double(tmp_path)
    child = command("serve", "-r", tmp_path, "doubel")
    output, errors = child.communicate(timeout=30)
    assert (child.returncode, output) == (2, "")
    assert "Hint: did you mean 'double'?" in errors


def test_the_toolchain_is_shown(embedded):
    child = command("toolchain", "show", "--format", "json")
    output, _ = child.communicate(timeout=30)
    facts = json.loads(output)
    assert facts["environment"] == str(embedded.root)
    assert (facts["triton"], facts["release"]) == ("2.51.0", "24.10")
    assert facts["size_mib"] > 100
    child = command("toolchain", "install")
    assert child.communicate(timeout=30)[0].strip() == str(embedded.root)
    child = command("toolchain", "show")
    output, _ = child.communicate(timeout=30)
    assert str(embedded.perf_analyzer) in output


def test_a_release_that_cannot_be_had_is_not_said_to_be_installable(embedded):
    del embedded
    output, errors = command("toolchain", "show", "--target", "24.03").communicate(timeout=30)
    assert "lacking" in output
    assert "ONNX Runtime 1.17.2 of release 24.03 has no public wheel" in errors
    assert "installs it" not in errors


def test_what_is_not_used_is_shown_with_the_reason(embedded, tmp_path, monkeypatch):
    program = tmp_path / "perf_analyzer"
    program.write_text("#!/bin/sh\necho GLIBC_2.99 not found\n")
    program.chmod(0o700)
    other = tmp_path / "environments" / "24.10-python3.11-0123456789ab"
    other.mkdir(parents=True)
    (other.parent / embedded.root.name).symlink_to(embedded.root)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("TRITONFORGE_TOOLCHAIN", str(other.parent))
    output, _ = command("toolchain", "show").communicate(timeout=30)
    assert "TRITONFORGE_TOOLCHAIN is set" in output
    assert f"{program}: TRITONFORGE_TOOLCHAIN is set" in output
    assert f"{other}: made from other pins" in output
    monkeypatch.delenv("TRITONFORGE_TOOLCHAIN")
    output, _ = command("toolchain", "show").communicate(timeout=30)
    assert f"{program}: it does not run: GLIBC_2.99 not found" in output
    assert str(embedded.perf_analyzer) in output


def test_the_other_environments_are_named_for_their_onnx_runtime(embedded):
    output, _ = command("toolchain", "install", "--target", "25.03").communicate(timeout=300)
    assert "-onnxruntime1.21.0-" in output
    child = command("toolchain", "show", "--target", "25.03", "--format", "json")
    facts = json.loads(child.communicate(timeout=30)[0])
    assert facts["environment"] == output.strip()
    assert (facts["triton"], facts["onnxruntime"]) == (embedded.triton, "1.21.0")
    assert facts["onnxruntime_why"] == "pinned wheel, that of release 25.03"
    assert (facts["device"], bool(facts["device_why"])) == ("CPU", True)
    assert {"path": str(embedded.root)} in facts["environments"]


def test_nothing_to_show_or_to_remove(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    child = command("toolchain", "show", "--format", "json")
    assert json.loads(child.communicate(timeout=30)[0]) == {
        "installed": False,
        "folder": str(tmp_path / "tritonforge" / "toolchain"),
        "folder_why": "the user's cache",
        "not_used": [],
        "device": "CPU",
        "device_why": "CUDA_VISIBLE_DEVICES hides every GPU; a config for a GPU is rehearsed",
        "environments": [],
    }
    child = command("toolchain", "remove")
    assert "nothing is installed" in child.communicate(timeout=30)[1]
    assert list(tmp_path.iterdir()) == []
