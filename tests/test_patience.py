"""What takes long is told where no terminal shows it, and nothing else."""

import io
import os
import re
import sys
import time
from contextlib import suppress

import pytest

from tritonforge.cli import output, view
from tritonforge.export.silence import quiet


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """Make what takes long short."""
    monkeypatch.setattr("tritonforge.cli.patience._LONG", 0.1)
    monkeypatch.setattr("tritonforge.cli.patience._LOOK", 0.01)


def steps(said):
    """Return the steps that are told, each once."""
    return {re.sub(r": \d+ s so far$", "", line) for line in said.splitlines()}


def test_a_step_that_lasts_is_told_ever_more_rarely(capfd):
    with output.progress() as progress:
        progress("proving", 0.0)
        for share in range(10):
            time.sleep(0.1)
            progress("proving", share / 10)
    said = capfd.readouterr().err
    assert steps(said) == {"proving"}
    assert 2 <= said.count("\n") <= 5  # at 0.1, 0.2, 0.4 and 0.8 seconds


def test_steps_that_are_short_are_not_told(capfd):
    with output.progress() as progress:
        for number in range(20):
            progress(f"sample {number}")
            time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_it_is_told_also_while_stderr_is_turned_away(capfd):
    with output.progress() as progress:
        progress("export\x1bing")
        with quiet():
            time.sleep(0.15)
    assert steps(capfd.readouterr().err) == {"export\\x1bing"}


def test_what_stands_in_for_stderr_is_told_too(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with output.progress() as progress:
        progress("reading")
        time.sleep(0.15)
    assert steps(sys.stderr.getvalue()) == {"reading"}


def test_where_nobody_reads_it_the_work_goes_on(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with suppress(OSError), os.fdopen(writer, "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        with output.progress() as progress:
            progress("reading")
            time.sleep(0.15)
        progress("done")


def test_of_several_each_is_told_until_it_ends(capfd):
    with view.opened(["a", "b"]) as seen:
        seen.progress(0)("loading")
        seen.progress(1)("loading")
        seen.end(0)
        time.sleep(0.15)
    assert steps(capfd.readouterr().err) == {"b: loading"}
