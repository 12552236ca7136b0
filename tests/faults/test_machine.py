"""What the machine does not tell is unknown, not in order; a quota is found wherever it is."""

import errno
import os
import shlex
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import psutil
import pytest
from conftest import Tool

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.system.checks import (
    UNAVAILABLE,
    Circumstances,
    State,
    check_load_average,
    check_power,
    check_priority,
    check_quota,
    check_variables,
    check_virtual_machine,
)
from micropie_benchlib.system.children import reason_of
from micropie_benchlib.system.control_groups import (
    NO_GROUPS,
    CpuGroups,
    cpu_groups,
    find_cpu_groups,
)
from micropie_benchlib.system.processes import SPEED_VARIABLES, require_proc

IDLE = Circumstances(
    cores=4, workers=1, threads=1, connections=1, busy_processes=(), stolen_share=0.0
)


def write(directory: Path, **files: str) -> None:
    """Write files into the directory; `cpu_max` is the file cpu.max, and so on."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        for group in ("cpu", "cgroup"):
            name = name.replace(f"{group}_", f"{group}.", 1)
        (directory / name).write_text(f"{text}\n")


def version_2(mount_point: Path, membership: str, *, root: str = "/") -> CpuGroups:
    """Return the groups of a process, of a hierarchy of version 2 that is mounted there."""
    mounts = (
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        f"31 22 0:28 {root} {mount_point} rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    return find_cpu_groups(f"0::{membership}\n", mounts)


def version_1(mount_point: Path, membership: str, *, root: str = "/") -> CpuGroups:
    """Return the same of version 1, beside an empty one of version 2, as systemd has it."""
    memberships = f"5:cpuset:/other\n4:cpu,cpuacct:{membership}\n1:name=systemd:/x\n0::/x\n"
    mounts = (
        f"30 22 0:27 / {mount_point}/cpuset rw - cgroup cgroup rw,cpuset\n"
        f"31 22 0:28 {root} {mount_point} rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        f"32 22 0:29 / {mount_point}/unified rw - cgroup2 cgroup2 rw\n"
    )
    return find_cpu_groups(memberships, mounts)


def test_a_quota_of_version_2_is_found(tmp_path: Path) -> None:
    write(tmp_path / "app", cpu_max="150000 100000", cpu_stat="nr_periods 9\nnr_throttled 3")
    groups = version_2(tmp_path, "/app")
    assert groups.quotas() == [1.5]
    assert groups.throttled == 3
    assert groups.are_all


def test_a_quota_of_version_1_is_found(tmp_path: Path) -> None:
    write(tmp_path, release_agent="", cgroup_clone_children="0")
    quota = {"cpu_cfs_quota_us": "50000", "cpu_cfs_period_us": "100000"}
    write(tmp_path / "app", **quota, cpu_stat="nr_periods 9\nnr_throttled 4\nthrottled_time 1")
    groups = version_1(tmp_path, "/app")
    assert groups.quotas() == [0.5]
    assert groups.throttled == 4
    assert groups.are_all


def test_without_a_quota_there_is_none_in_either_version(tmp_path: Path) -> None:
    write(tmp_path / "1", release_agent="", cgroup_clone_children="0")
    write(tmp_path / "1/app", cpu_cfs_quota_us="-1", cpu_cfs_period_us="100000")
    write(tmp_path / "2/app", cpu_max="max 100000")
    for groups in (version_1(tmp_path / "1", "/app"), version_2(tmp_path / "2", "/app")):
        assert groups.quotas() == []
        assert groups.are_all


def test_a_quota_of_a_group_around_it_counts_too(tmp_path: Path) -> None:
    write(tmp_path / "pod", cpu_max="100000 100000", cpu_stat="nr_throttled 1")
    write(tmp_path / "pod/app", cpu_max="200000 100000", cpu_stat="nr_throttled 2")
    groups = version_2(tmp_path, "/pod/app")
    assert groups.directories == (tmp_path / "pod/app", tmp_path / "pod", tmp_path)
    assert groups.quotas() == [2.0, 1.0]
    assert groups.throttled == 3


def test_a_containers_own_group_is_where_its_hierarchy_is_mounted(tmp_path: Path) -> None:
    quota = {"cpu_cfs_quota_us": "50000", "cpu_cfs_period_us": "100000"}
    write(tmp_path, **quota, cgroup_clone_children="0")
    groups = version_1(tmp_path, "/docker/abc", root="/docker/abc")
    assert groups.directories == (tmp_path,)
    assert groups.quotas() == [0.5]
    assert not groups.are_all


def test_groups_around_a_container_are_not_known(tmp_path: Path) -> None:
    write(tmp_path, cgroup_type="domain", cpu_max="max 100000")
    groups = version_2(tmp_path, "/")
    assert groups.directories == (tmp_path,)
    assert not groups.are_all


def test_a_group_outside_of_what_a_container_shows_is_not_known(tmp_path: Path) -> None:
    assert version_2(tmp_path, "/../other") == NO_GROUPS
    assert version_1(tmp_path, "/user", root="/docker/abc") == NO_GROUPS


@pytest.mark.parametrize(
    ("directories", "are_all", "state", "found"),
    [
        pytest.param(["quota"], True, State.WARNING, "1.5 cores", id="a quota"),
        pytest.param(["none"], True, State.OK, "none", id="none"),
        pytest.param(["none"], False, State.UNKNOWN, "none visible; a container", id="hidden"),
        pytest.param([], False, State.UNKNOWN, UNAVAILABLE, id="nothing"),
    ],
)
def test_the_quota_is_ok_only_where_it_is_known(
    directories: list[str],
    are_all: bool,
    state: State,
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(tmp_path / "quota", cpu_max="150000 100000")
    paths = tuple(tmp_path / name for name in directories)
    groups = CpuGroups(directories=paths, are_all=are_all)
    monkeypatch.setattr("micropie_benchlib.system.checks.cpu_groups", lambda: groups)
    finding = check_quota(IDLE)
    assert finding.state is state
    assert finding.found.startswith(found)


@pytest.mark.parametrize(
    ("memberships", "mounts"),
    [("", ""), ("0::/\n", ""), ("4:cpu:/\n", "31 22 0:28 / /x rw - cgroup2 cgroup2 rw\n")],
)
def test_where_no_hierarchy_is_seen_nothing_is_known(memberships: str, mounts: str) -> None:
    assert find_cpu_groups(memberships, mounts) == NO_GROUPS


def test_this_machine_can_be_asked() -> None:
    groups = cpu_groups()
    assert groups.throttled >= 0
    assert all(quota > 0 for quota in groups.quotas())


@pytest.mark.parametrize(
    ("plugged", "state"), [(True, State.OK), (False, State.WARNING), (None, State.UNKNOWN)]
)
def test_power_is_ok_only_where_it_is_known(
    plugged: bool | None, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    battery = SimpleNamespace(power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert check_power(IDLE).state is state


@pytest.mark.parametrize(("shown", "state"), [(True, State.OK), (False, State.UNKNOWN)])
def test_no_battery_is_known_only_where_the_supplies_are_shown(
    shown: bool, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    supplies = tmp_path if shown else tmp_path / "none"
    monkeypatch.setattr("micropie_benchlib.system.checks.POWER_SUPPLIES", supplies)
    assert check_power(IDLE).state is state
    monkeypatch.delattr(psutil, "sensors_battery")
    assert check_power(IDLE).state is State.UNKNOWN


@pytest.mark.parametrize(
    ("flags", "state"), [("fpu hypervisor", State.OK), ("fpu", State.OK), (None, State.UNKNOWN)]
)
def test_a_virtual_machine_is_unknown_where_the_cpu_does_not_tell(
    flags: str | None, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micropie_benchlib.system.checks.search_file", lambda *_: flags)
    assert check_virtual_machine(IDLE).state is state


def test_what_a_machine_without_sys_and_proc_does_not_tell_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "getloadavg", Mock(side_effect=FileNotFoundError))
    monkeypatch.setattr(psutil, "sensors_battery", Mock(side_effect=FileNotFoundError))
    assert check_load_average(IDLE).state is State.UNKNOWN
    assert check_power(IDLE).state is State.UNKNOWN


def test_without_the_machines_times_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("micropie_benchlib.system.processes.search_file", lambda *_: None)
    with pytest.raises(BenchError, match="cannot read /proc/stat"):
        require_proc()


def test_variables_that_change_the_speed_of_servers_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in os.environ:
        if SPEED_VARIABLES.match(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONDEVMODE", "")  # as good as not set
    monkeypatch.setenv("LD_PRELOADED", "other")
    assert check_variables(IDLE).state is State.OK
    monkeypatch.setenv("PYTHONTRACEMALLOC", "1")
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    finding = check_variables(IDLE)
    assert (finding.state, finding.found) == (
        State.WARNING,
        "MALLOC_ARENA_MAX=2, PYTHONTRACEMALLOC=1",
    )


@pytest.mark.parametrize(
    ("nice", "scheduling", "found", "state"),
    [
        (0, os.SCHED_OTHER, "nice 0", State.OK),
        (5, os.SCHED_OTHER, "nice 5", State.WARNING),
        (0, os.SCHED_BATCH, "nice 0, another scheduling class", State.WARNING),
    ],
)
def test_a_priority_that_servers_inherit_is_told(
    nice: int, scheduling: int, found: str, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpriority", lambda *_: nice)
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: scheduling)
    finding = check_priority(IDLE)
    assert (finding.found, finding.state) == (found, state)


@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "ulimit -v"),
        (MemoryError(), "ulimit -v"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "make room there, or set TMPDIR to another directory",
        ),
    ],
)
def test_a_limit_that_is_reached_is_named(error: Exception, limit: str) -> None:
    assert limit in reason_of(error)


def test_few_open_files_end_the_run_in_a_line(tool: Tool) -> None:
    argv = [sys.executable, str(tool.program), "compare", "asgi", "--quick"]
    command = ["sh", "-c", f"ulimit -n 12; exec {shlex.join(argv)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (told,) = (line for line in done.stderr.splitlines() if line.startswith("micropie_bench: "))
    assert "Too many open files" in told
    assert "raise the limit of open files (ulimit -n)" in told
