"""Threads of a model's instances, held against the cores of a server."""

import pytest
import tiny

from tritonforge.check import check
from tritonforge.repository import Repository

GROUP = "instance_group { count: %d kind: %s }"
THREADS = 'parameters { key: "intra_op_thread_count" value { string_value: "%s" } }'


def place(repository, group, more):
    folder = tiny.double(repository, more=f"dynamic_batching {{ }} {more}")
    config = folder / "config.pbtxt"
    plain = GROUP % (1, "KIND_CPU")
    text = config.read_text("utf-8")
    assert plain in text
    config.write_text(text.replace(plain, group), "utf-8")


def found(repository, group, more, cores):
    place(repository, group, more)
    report = check(Repository(repository), cores=cores)
    return [each.rule.code for each in report.findings if each.rule.code.startswith("THR")]


@pytest.mark.parametrize(
    ("group", "more", "cores", "codes"),
    [
        (GROUP % (2, "KIND_CPU"), THREADS % 4, 8, []),
        (GROUP % (3, "KIND_CPU"), THREADS % 4, 8, ["THR301"]),
        (GROUP % (3, "KIND_CPU"), THREADS % 4, None, []),
        (GROUP % (2, "KIND_CPU"), "", None, ["THR302"]),
        (GROUP % (2, "KIND_CPU"), THREADS % 0, None, ["THR302"]),
        (GROUP % (1, "KIND_CPU"), "", 2, []),
        ("instance_group { kind: KIND_CPU }", "", None, ["THR302"]),  # the server makes two
        (GROUP % (-1, "KIND_CPU"), "", None, ["THR302"]),
        (GROUP % (2, "KIND_CPU"), THREADS % ("9" * 5000), 8, ["THR302"]),
        (GROUP % (4, "KIND_GPU"), "", 2, []),
    ],
)
def test_threads_are_held_against_the_cores(tmp_path, group, more, cores, codes):
    assert found(tmp_path, group, more, cores) == codes


@pytest.mark.parametrize(
    ("count", "threads", "cores", "said"),
    [
        (3, 4, 8, "3 instances of 4 threads each are 12 on 8 cores"),
        (1, 2, 1, "1 instance of 2 threads on 1 core"),
        (2, 1, 1, "2 instances of 1 thread each are 2 on 1 core"),
    ],
)
def test_what_there_is_one_of_is_told_as_one(tmp_path, count, threads, cores, said):
    place(tmp_path, GROUP % (count, "KIND_CPU"), THREADS % threads)
    report = check(Repository(tmp_path), cores=cores, codes={"THR301"})
    assert [each.found.said for each in report.findings] == [said]
