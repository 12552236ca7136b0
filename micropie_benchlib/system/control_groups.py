"""The control groups of processes, and their quotas."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from micropie_benchlib.system.processes import search_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuGroups:
    """The control groups of a process, its own first; `are_all` is false in a container."""

    directories: tuple[Path, ...]
    are_all: bool

    @property
    def throttled(self) -> int:
        return sum(periods_of(directory).throttled for directory in self.directories)

    def quotas(self) -> list[float]:
        found = [cpu_quota(directory) for directory in self.directories]
        return [quota for quota in found if quota is not None]


class Periods(NamedTuple):
    """The periods of a control group's quota: those in which it was used up, and all."""

    throttled: int
    all: int

    def since(self, before: Periods) -> Periods:
        return Periods(self.throttled - before.throttled, self.all - before.all)


NO_PERIODS = Periods(0, 0)


def periods_of(directory: Path) -> Periods:
    throttled = search_file(f"{directory}/cpu.stat", r"^nr_throttled (\d+)")
    periods = search_file(f"{directory}/cpu.stat", r"^nr_periods (\d+)")
    return Periods(int(throttled or 0), int(periods or 0))


NO_GROUPS = CpuGroups(directories=(), are_all=False)


def cpu_quota(directory: Path) -> float | None:
    quota_us = search_file(f"{directory}/cpu.max", r"^(\d+) \d+")
    period_us = search_file(f"{directory}/cpu.max", r"^\d+ (\d+)")
    if not quota_us:
        quota_us = search_file(f"{directory}/cpu.cfs_quota_us", r"^(\d+)")  # -1: none
        period_us = search_file(f"{directory}/cpu.cfs_period_us", r"^(\d+)")
    return int(quota_us) / int(period_us) if quota_us and period_us else None


def find_cpu_groups(memberships: str, mounts: str) -> CpuGroups:
    """From /proc/self/cgroup and mountinfo, of version 1 or 2: see cgroups(7), proc(5)."""
    groups: dict[str, str] = {}  # by controller, empty for version 2
    for line in memberships.splitlines():
        _, controllers, group = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), group))
    controller = "cpu" if "cpu" in groups else ""
    kind = "cgroup" if controller else "cgroup2"
    for line in mounts.splitlines():
        place, _, file_system = line.partition(" - ")
        _, _, _, root, mount_point, *_ = place.split()
        mounted_kind, _, options = file_system.split(" ", 2)
        if mounted_kind == kind and (kind == "cgroup2" or controller in options.split(",")):
            return groups_in(Path(mount_point), root, groups.get(controller, "/"))
    return NO_GROUPS


def groups_in(mount_point: Path, root: str, group: str) -> CpuGroups:
    path = Path(group)
    if not path.is_relative_to(root) or ".." in path.parts:
        return NO_GROUPS  # it lies outside of what this container shows
    inner = path.relative_to(root)
    own = mount_point / inner
    directories = [own, *own.parents]
    around = directories[: len(inner.parts) + 1]
    # The outermost group of all has the one file, in version 1, and lacks the other, in 2.
    is_version_1 = (mount_point / "cgroup.clone_children").exists()
    is_outermost = not (mount_point / "cgroup.type").exists()
    if is_version_1:
        is_outermost = (mount_point / "release_agent").exists()
    return CpuGroups(directories=tuple(around), are_all=root == "/" and is_outermost)


def cpu_groups(pid: int | str = "self") -> CpuGroups:
    try:
        memberships = Path(f"/proc/{pid}/cgroup").read_text()
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
        return find_cpu_groups(memberships, mounts)
    except (OSError, ValueError):
        return NO_GROUPS
