"""Levels, plans and records of perf_analyzer; a stand-in program fails where it must."""

import base64
import itertools
import json
import os
import stat
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonforge import perf
from tritonforge.errors import PerfError, SpecError
from tritonforge.perf import plan as planning
from tritonforge.perf import records
from tritonforge.process import Finished

IDLE = perf.Counters(
    requests=0,
    inferences=0,
    executions=0,
    queue_ns=0,
    compute_input_ns=0,
    compute_infer_ns=0,
    compute_output_ns=0,
)
SAMPLES = ({"x": np.array([1.5, -2.0], np.float32)},)
CSV = (
    "Concurrency,Inferences/Second,Client Send,Server Queue,"
    "p50 latency,p90 latency,p95 latency,p99 latency\n4,{rate},10,20,1000,2000,3000,4000\n"
)
STEADY = """
  Pass [1] throughput: 100.5 infer/sec. Avg latency: 1000 usec (std 10 usec).
  Pass [2] throughput: 1.01e+02 infer/sec. Avg latency: 1010 usec (std 10 usec).
  Pass [3] throughput: 99 infer/sec. Avg latency: 990 usec (std 10 usec).
  Client:
    Request count: 303
  Server:
    Successful request count: 404
"""


def plan(**changes: object) -> perf.PerfPlan:
    load = perf.Load(concurrencies=(1, 2))
    whole = perf.PerfPlan(
        model="m",
        version=3,
        address="localhost:8000",
        protocol="http",
        request_bytes=8,
        load=replace(load, **{key: changes.pop(key) for key in set(changes) - {"request_bytes"}}),
    )
    return replace(whole, **changes)


def stand_in(folder: Path, body: str) -> perf.Tool:
    """Make a program named perf_analyzer that runs `body`, in which `report RATE` reports."""
    program = folder / "perf_analyzer"
    (folder / "csv").write_text(CSV.format(rate="RATE"))
    program.write_text(
        "#!/bin/bash\n"
        'while [ $# -gt 0 ]; do case "$1" in\n'
        "  -f) csv=$2;; --concurrency-range) level=$2;; --measurement-interval) window=$2;;\n"
        "  --request-count) warm=$2;;\n"
        "esac; shift; done\n"
        f'report() {{ sed "s/RATE/$1/" {folder}/csv > $csv; }}\n{body}'
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return perf.Tool(program=program, environment={})


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("8", (8,)),
        ("1,4,16", (1, 4, 16)),
        ("16,4,4", (16, 4)),
        ("1..4", (1, 2, 3, 4)),
        ("1..16:5", (1, 6, 11, 16)),
        ("1..15:5", (1, 6, 11)),
        ("1..16*2", (1, 2, 4, 8, 16)),
        ("3..40*3", (3, 9, 27)),
        ("1..3, 8..16*2", (1, 2, 3, 8, 16)),
    ],
)
def test_levels(text: str, levels: tuple[int, ...]) -> None:
    assert perf.levels(text) == levels


@pytest.mark.parametrize(
    "text",
    ["", "0", "4..1", "1..16*1", "1..16:0", "a", "1-16", "1..", "1,,2", "-1", "1..5000", "1..4000"],
)
def test_levels_that_make_no_sense_say_what_would(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        perf.levels(text)
    assert "concurrency" in caught.value.message


@given(st.integers(1, 900), st.integers(0, 900), st.integers(1, 50))
def test_a_step_stays_within_its_ends(low: int, more: int, step: int) -> None:
    found = perf.levels(f"{low}..{low + more}:{step}")
    assert found == tuple(range(low, low + more + 1, step))
    assert found[0] == low


@given(st.integers(1, 4096), st.integers(1, 4096), st.integers(2, 9))
def test_a_factor_multiplies_up_to_the_end(one: int, other: int, factor: int) -> None:
    low, high = sorted((one, other))
    found = perf.levels(f"{low}..{high}*{factor}")
    assert found[0] == low
    assert all(after == factor * before for before, after in pairwise(found))
    assert found[-1] <= high < found[-1] * factor


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused_as_a_spec_error(text: str) -> None:
    try:
        assert min(perf.levels(text)) >= 1
    except SpecError:
        return


def test_the_command_line_names_the_level_and_never_its_stability(tmp_path: Path) -> None:
    whole = plan(percentile=95, batch_size=4, extra=("-H", "a: b"))
    argv = planning.argv(Path("pa"), whole, 7, planning.Files(tmp_path), window_ms=100)
    pairs = dict(pairwise(argv))
    assert argv[:3] == ["pa", "-m", "m"]
    assert pairs["-x"] == "3"
    assert pairs["-b"] == "4"
    assert pairs["--concurrency-range"] == "7"
    assert pairs["--measurement-interval"] == "100"
    assert pairs["--max-trials"] == "3"
    assert float(pairs["--stability-percentage"]) >= 1e9
    assert pairs["--percentile"] == "95"
    assert argv[-2:] == ["-H", "a: b"]


def test_the_warm_up_reaches_every_worker_twice(tmp_path: Path) -> None:
    argv = planning.warm_up_argv(Path("pa"), plan(), 16, planning.Files(tmp_path))
    assert argv[argv.index("--request-count") + 1] == "32"


@pytest.mark.parametrize(
    "wrong",
    [
        {"concurrencies": ()},
        {"concurrencies": (0,)},
        {"batch_size": 0},
        {"interval_ms": 0},
        {"stability": 0.0},
        {"percentile": 100},
    ],
)
def test_a_load_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        plan(**wrong)


def test_a_window_lets_every_worker_finish_twice() -> None:
    assert planning.window(plan(), request_rate=20, latency_us=800_000) == 2000
    assert planning.window(plan(), request_rate=1, latency_us=16_000_000) == 32_000
    assert planning.window(plan(interval_ms=300), request_rate=1, latency_us=16e6) == 300


@given(st.floats(0.1, 1e6), st.integers(1, 10**8), st.floats(1, 1e8))
def test_a_window_never_holds_more_than_its_memory(rate: float, size: int, latency: float) -> None:
    window_ms = planning.window(plan(request_bytes=size), request_rate=rate, latency_us=latency)
    held = window_ms * planning.STRETCH / 1000 * rate * size
    assert held <= 512 << 20 or window_ms == 10


def test_inputs_are_exact_bytes_with_their_shape(tmp_path: Path) -> None:
    arrays = {
        "half": np.array([[0.1, -2.5]], np.float16),
        "turned": np.arange(6, dtype=np.int64).reshape(2, 3).T,
        "flag": np.array([True, False]),
        "text": np.array([b"\x00\xff", "é\n"], dtype=object),
    }
    planning.write_inputs([arrays], tmp_path / "in.json")
    (step,) = json.loads((tmp_path / "in.json").read_text())["data"]
    raw = {name: base64.b64decode(entry["b64"]) for name, entry in step.items()}
    assert raw["half"] == arrays["half"].tobytes()
    assert raw["turned"] == arrays["turned"].tobytes("C")
    assert raw["flag"] == b"\x01\x00"
    assert raw["text"] == b"\x02\0\0\0\x00\xff\x03\0\0\0\xc3\xa9\n"
    assert step["turned"]["shape"] == [3, 2]


def test_windows_and_requests_are_read_from_what_it_prints() -> None:
    found = records.windows(STEADY.replace("Avg latency: 990", "p95 latency: 990"))
    assert [window.throughput for window in found] == [100.5, 101, 99]
    assert [window.latency_us for window in found] == [1000, 1010, 990]
    assert records.requests(STEADY) == 303


def settled(rates: list[float], latencies: list[int], batch: float | None = None) -> bool:
    pairs = zip(rates, latencies, strict=True)
    windows = tuple(perf.Window(throughput=rate, latency_us=latency) for rate, latency in pairs)
    return records.settled(windows, stability=10, window_ms=2500, executed_batch=batch)


def test_stability_is_perf_analyzers_rule_but_for_cut_batches() -> None:
    assert settled([100, 105, 109], [1000, 1000, 1000])
    assert not settled([100, 105, 112], [1000, 1000, 1000])
    assert not settled([100, 100, 100], [1000, 1050, 1150])
    assert settled([16, 21, 21], [800, 805, 810], batch=8)
    assert not settled([0, 1, 1], [800, 805, 810], batch=8)
    assert not settled([], [])


@pytest.mark.parametrize(
    ("output", "code", "words"),
    [
        ("Failed to maintain load.\nThread [0] had error: thirteen\n", 99, "thirteen"),
        ("*** Settings ***\nerror: Failed to init: no\n", 99, "Failed to init: no"),
        ("perf_analyzer: unrecognized option '--bogus'\nUsage: x\n", 99, "unrecognized option"),
        ("Successfully read data\ncan not specify batch size > 1\n", 99, "can not specify batch"),
        ("", 99, "exit code 99"),
        ("", -9, "out of memory?"),
        ("", -6, "signal 6"),
    ],
)
def test_a_failure_is_told_in_its_own_words(output: str, code: int, words: str) -> None:
    assert words in records.reason(Finished(argv=(), returncode=code, output=output))


@pytest.mark.parametrize("text", ["", "Concurrency\n4\n", CSV.format(rate="many")])
def test_a_report_that_says_nothing_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(PerfError):
        records.row(tmp_path / "r.csv")


def test_counters_are_averages_of_their_difference() -> None:
    after = replace(
        IDLE,
        requests=10,
        inferences=40,
        executions=4,
        queue_ns=50_000,
        compute_input_ns=10_000,
        compute_infer_ns=20_000,
        compute_output_ns=30_000,
    )
    counted = replace(after, requests=20) - replace(IDLE, requests=10)
    assert counted.executed_batch == 10
    assert counted.queue_us == 5
    assert counted.compute_us == 6
    assert counted.compute_infer_us == 2
    assert IDLE.executed_batch is None
    assert IDLE.queue_us is None
    with pytest.raises(PerfError, match="anew"):
        _ = IDLE - after


def level(concurrency: int, throughput: float, *, stable: bool = True) -> perf.Level:
    return perf.Level(
        concurrency=concurrency,
        throughput=throughput,
        requests=1,
        percentiles={50: 1},
        windows=(),
        window_ms=1,
        stable=stable,
        server=None,
    )


def report(*levels: perf.Level) -> perf.PerfReport:
    return perf.PerfReport(
        model="m", version=1, protocol="http", batch_size=1, levels=levels, failures=()
    )


def test_the_best_level_is_the_least_concurrency_near_the_highest_throughput() -> None:
    assert report(level(1, 50), level(4, 97), level(8, 100)).best == level(4, 97)
    wild = level(16, 900, stable=False)
    assert report(level(1, 50), wild).best == level(1, 50)
    assert report(wild).best == wild
    assert report().best is None


def test_each_level_is_a_run_and_a_failed_one_loses_no_other(tmp_path: Path) -> None:
    body = (
        "if [ $level = 2 ]; then echo 'error: no luck' >&2; exit 99; fi\n"
        f"cat <<'EOS'\n{STEADY}\nEOS\nreport 100.2\n"
    )
    seen: list[tuple[str, float | None]] = []
    counts = (replace(IDLE, inferences=n, executions=n, requests=n) for n in itertools.count(5, 3))
    found, failed = perf.run(
        plan(concurrencies=(1, 2, 3)),
        stand_in(tmp_path, body),
        samples=SAMPLES,
        statistics=lambda: next(counts),
        progress=lambda what, done=None: seen.append((what, done)),
    )
    assert [one.concurrency for one in found] == [1, 3]
    assert failed == (perf.Failure(concurrency=2, reason="no luck"),)
    assert found[0].throughput == 100.2
    assert found[0].percentiles == {50: 1000, 90: 2000, 95: 3000, 99: 4000}
    assert found[0].server == replace(IDLE, inferences=3, executions=3, requests=3)
    assert found[0].stable
    assert any("concurrency 3 (3 of 3)" in what and "left" in what for what, _ in seen)


def test_a_window_without_an_answer_is_doubled(tmp_path: Path) -> None:
    body = (
        "if [ -z $warm ] && [ $window -lt 400 ]; then\n"
        "  echo 'No valid requests recorded within time interval. Please use' >&2; exit 3\n"
        f"fi\ncat <<'EOS'\n{STEADY}\nEOS\nreport 100\n"
    )
    (found,), failed = perf.run(
        plan(concurrencies=(1,), interval_ms=100),
        stand_in(tmp_path, body),
        samples=SAMPLES,
        statistics=lambda: None,
    )
    assert found.window_ms == 400
    assert found.server is None
    assert failed == ()


def test_a_warm_up_that_never_ends_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritonforge.perf._END_SECONDS", 0.6)
    tries = tmp_path / "tries"
    tries.touch()

    def run(tool: perf.Tool) -> tuple[perf.Failure, ...]:
        return perf.run(
            plan(concurrencies=(1,)),
            tool,
            samples=SAMPLES,
            # a server that answers the eight requests of a warm-up the moment it starts
            statistics=lambda: replace(IDLE, requests=8 * len(tries.read_text())),
        )[1]

    started = time.monotonic()
    body = (
        f"if [ ! -z $warm ]; then echo >> {tries}\n"
        f"  if [ $(wc -l < {tries}) = 1 ]; then exec sleep 60; fi; fi\n"
        f"cat <<'EOS'\n{STEADY}\nEOS\nreport 100\n"
    )
    assert run(stand_in(tmp_path, body)) == ()
    assert tries.read_text() == "\n\n"
    (failure,) = run(stand_in(tmp_path, f"echo >> {tries}; exec sleep 60\n"))
    assert "did not end, though the server has answered" in failure.reason
    assert time.monotonic() - started < 30


def test_a_warm_up_beside_the_requests_of_others_is_given_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tritonforge.perf._END_SECONDS", 0.6)
    answered = itertools.count()
    found, failed = perf.run(
        plan(concurrencies=(1,)),
        stand_in(tmp_path, f"[ -z $warm ] || sleep 2\ncat <<'EOS'\n{STEADY}\nEOS\nreport 100\n"),
        samples=SAMPLES,
        statistics=lambda: replace(IDLE, requests=8 * next(answered)),
    )
    assert len(found) == 1
    assert failed == ()


def test_a_program_that_cannot_start_fails_every_level(tmp_path: Path) -> None:
    tool = perf.Tool(program=tmp_path / "missing", environment={})
    found, failed = perf.run(plan(), tool, samples=SAMPLES, statistics=lambda: None)
    assert found == ()
    assert len(failed) == 2
    assert "cannot run" in failed[0].reason


def test_an_interrupt_keeps_the_levels_that_are_done(tmp_path: Path) -> None:
    def interrupt(what: str, done: float | None = None) -> None:
        del done
        if "(2 of 3)" in what:
            raise KeyboardInterrupt

    found, failed = perf.run(
        plan(concurrencies=(1, 2, 3)),
        stand_in(tmp_path, f"cat <<'EOS'\n{STEADY}\nEOS\nreport 100\n"),
        samples=SAMPLES,
        statistics=lambda: None,
        progress=interrupt,
    )
    assert [one.concurrency for one in found] == [1]
    assert failed == perf.interrupted((2, 3))


def test_an_interrupt_leaves_neither_child_nor_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    tool = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60\n")

    def interrupt(what: str, done: float | None = None) -> None:
        del what, done
        if (tmp_path / "pid").exists():
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        perf.run(plan(), tool, samples=SAMPLES, statistics=lambda: None, progress=interrupt)
    assert time.monotonic() - started < 5
    assert list((tmp_path / "tmp").iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
