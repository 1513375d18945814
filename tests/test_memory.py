"""What memory is left, read from files as kernels write them."""

import os

import pytest

from tritonforge import memory

GIB = 1 << 30
MEMINFO = "MemTotal:       24684096 kB\nMemFree:        1 kB\nMemAvailable:   16777216 kB\n"


@pytest.fixture
def proc(tmp_path):
    """Make a /proc of a machine with 16 GiB left; control groups are written by the tests."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text(MEMINFO)
    return tmp_path / "proc"


def group(folder, **files):
    """Write the files of a control group."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(f"{text}\n")


def test_without_control_groups_the_machine_says(proc, tmp_path):
    assert memory.available(proc, tmp_path / "none") == 16 * GIB


def test_nobody_says(tmp_path):
    assert memory.available(tmp_path, tmp_path) is None


def test_a_group_of_version_2_allows_less_and_cached_files_are_given_back(proc, tmp_path):
    groups = tmp_path / "cgroup"
    (proc / "self/cgroup").write_text("0::/team/job\n")
    group(groups / "team/job", memory__max="max", memory__current=1)
    stat = f"anon 5\ninactive_file {GIB}"
    group(groups / "team", memory__max=4 * GIB, memory__current=2 * GIB, memory__stat=stat)
    assert memory.available(proc, groups) == 3 * GIB


def test_a_group_of_version_1(proc, tmp_path):
    groups = tmp_path / "cgroup"
    (proc / "self/cgroup").write_text("5:devices:/a\n4:cpu,memory:/job\n0::/\n")
    group(
        groups / "memory/job",
        memory__limit_in_bytes=2 * GIB,
        memory__usage_in_bytes=3 * GIB,
        memory__stat="total_inactive_file 0",
    )
    assert memory.available(proc, groups) == 0


def test_in_a_container_the_root_is_its_own_group(proc, tmp_path):
    groups = tmp_path / "cgroup"
    (proc / "self/cgroup").write_text("0::/host/path/that/is/not/here\n")
    group(groups, memory__max=2 * GIB, memory__current=GIB)
    assert memory.available(proc, groups) == GIB


def test_this_machine_and_this_process():
    free = memory.available()
    assert free is not None
    assert free > 0
    before = memory.held(os.getpid())
    taken = bytearray(os.urandom(64 << 20))
    assert memory.held(os.getpid()) - before > 32 << 20
    del taken
    assert memory.held(2**22 + 1) == 0
