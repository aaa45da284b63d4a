from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgbatch.cores import usable_cores

MANY = 10**6


class Machine:
    """A root folder with the files of a kernel whose control groups are set up so and so."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> Machine:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def groups(self, groups: str) -> Machine:
        return self.write("proc/self/cgroup", groups)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    # A machine so large that only its quotas count.
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(MANY))
    return Machine(tmp_path)


def test_affinity_alone_counts_where_there_are_no_groups(machine: Machine) -> None:
    assert usable_cores(machine.root) == MANY


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("100000 100000", 1),
        ("10000 100000", 1),
        ("max 100000", MANY),
        ("", MANY),
        ("nonsense", MANY),
        ("100000 0", MANY),
    ],
)
def test_a_quota_of_version_2_is_rounded_up(machine: Machine, cpu_max: str, cores: int) -> None:
    machine.groups("0::/batch\n").write("sys/fs/cgroup/batch/cpu.max", cpu_max)
    assert usable_cores(machine.root) == cores


def test_a_group_s_quota_holds_for_the_groups_below_it(machine: Machine) -> None:
    machine.groups("0::/slice/service/scope\n")
    machine.write("sys/fs/cgroup/slice/cpu.max", "300000 100000")
    machine.write("sys/fs/cgroup/slice/service/cpu.max", "max 100000")
    machine.write("sys/fs/cgroup/slice/service/scope/cpu.max", "700000 100000")
    assert usable_cores(machine.root) == 3


def test_a_container_sees_its_own_group_as_the_root(machine: Machine) -> None:
    machine.groups("0::/\n").write("sys/fs/cgroup/cpu.max", "400000 100000")
    assert usable_cores(machine.root) == 4


def test_a_container_may_see_the_host_s_path_and_only_its_own_folder(machine: Machine) -> None:
    machine.groups("0::/docker/abc/inner\n")
    machine.write("sys/fs/cgroup/cpu.max", "250000 100000")
    assert usable_cores(machine.root) == 3


def test_a_path_outside_of_the_mount_reads_the_mount_itself(machine: Machine) -> None:
    machine.groups("0::/../elsewhere\n").write("sys/fs/cgroup/cpu.max", "500000 100000")
    assert usable_cores(machine.root) == 5


@pytest.mark.parametrize(
    ("quota", "period", "cores"),
    [("250000", "100000", 3), ("50000", "100000", 1), ("-1", "100000", MANY), ("", "", MANY)],
)
@pytest.mark.parametrize("folder", ["cpu,cpuacct/docker/abc", "cpu/docker/abc", "cpu"])
def test_a_quota_of_version_1_is_rounded_up(
    machine: Machine, folder: str, quota: str, period: str, cores: int
) -> None:
    groups = "5:memory:/elsewhere\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/init\n"
    machine.groups(groups)
    machine.write(f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us", quota)
    machine.write(f"sys/fs/cgroup/{folder}/cpu.cfs_period_us", period)
    assert usable_cores(machine.root) == cores


def test_both_versions_together_count_both(machine: Machine) -> None:
    machine.groups("4:cpu:/a\n0::/b\n")
    machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "600000")
    machine.write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000")
    machine.write("sys/fs/cgroup/b/cpu.max", "700000 100000")
    assert usable_cores(machine.root) == 6


def test_affinity_counts_where_it_is_the_smaller(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
    machine.groups("0::/\n").write("sys/fs/cgroup/cpu.max", "800000 100000")
    assert usable_cores(machine.root) == 3


def test_this_machine_has_as_many_as_it_lets_us_use() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))
