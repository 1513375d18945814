"""Threads of a model's instances, held against the cores of a server."""

import pytest
import tiny

from tritonforge.check import check
from tritonforge.repository import Repository

GROUP = "instance_group { count: %d kind: %s }"
THREADS = 'parameters { key: "intra_op_thread_count" value { string_value: "%s" } }'


def found(repository, group, more, cores):
    folder = tiny.double(repository, more=f"dynamic_batching {{ }} {more}")
    config = folder / "config.pbtxt"
    plain = GROUP % (1, "KIND_CPU")
    text = config.read_text("utf-8")
    assert plain in text
    config.write_text(text.replace(plain, group), "utf-8")
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
