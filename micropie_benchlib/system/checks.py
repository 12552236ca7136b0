"""What on this machine would spoil a measurement, a function for each check."""

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from micropie_benchlib.core.text import pluralize
from micropie_benchlib.system.control_groups import cpu_groups
from micropie_benchlib.system.machine import MAX_STOLEN, machine_times
from micropie_benchlib.system.processes import SPEED_VARIABLES, core_count, cpu_time_s, search_file

CPU_FILES = "/sys/devices/system/cpu"
POWER_SUPPLIES = Path("/sys/class/power_supply")
UNAVAILABLE = "unavailable"


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    check: str
    state: State
    found: str
    why: str
    remedy: str

    @property
    def warns(self) -> bool:
        return self.state is State.WARNING


def state_of(bad: bool | None) -> State:
    if bad is None:
        return State.UNKNOWN
    return State.WARNING if bad else State.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    cores: int
    workers: int
    threads: int
    connections: int
    busy_processes: tuple[str, ...]  # others, in words
    stolen_share: float  # of the machine, by the hypervisor


Look = Callable[[Circumstances], tuple[bool | None, str]]  # whether it is bad; what was found
Check = Callable[[Circumstances], Finding]
CHECKS: list[Check] = []  # what warns here is also said by `compare`, and recorded


def check(name: str, *, why: str, remedy: str) -> Callable[[Look], Check]:
    """The remedy may have the {limit} of open files in it."""

    def add(look: Look) -> Check:
        def examined(circumstances: Circumstances) -> Finding:
            bad, found = look(circumstances)
            return Finding(
                check=name,
                state=state_of(bad),
                found=found,
                why=why,
                remedy=remedy.format(limit=circumstances.connections + 1024),
            )

        CHECKS.append(examined)
        return examined

    return add


def cpu_governor() -> str | None:
    return search_file(f"{CPU_FILES}/cpu0/cpufreq/scaling_governor", "(.+)")


@check(
    "CPU governor",
    why="the clock speed follows the load, so the order of trials changes the figures",
    remedy="cpupower frequency-set -g performance",
)
def check_governor(_: Circumstances) -> tuple[bool | None, str]:
    governor = cpu_governor()
    if not governor:
        return None, UNAVAILABLE
    return governor != "performance", governor


@check(
    "turbo",
    why="the clock speed drops as the chip gets hot",
    remedy=f"echo 0 >{CPU_FILES}/cpufreq/boost, or 1 >{CPU_FILES}/intel_pstate/no_turbo",
)
def check_turbo(_: Circumstances) -> tuple[bool | None, str]:
    no_turbo = search_file(f"{CPU_FILES}/intel_pstate/no_turbo", "(.)")
    boost = search_file(f"{CPU_FILES}/cpufreq/boost", "(.)")
    if not no_turbo and not boost:
        return None, UNAVAILABLE
    is_on = no_turbo == "0" or boost == "1"
    return is_on, "on" if is_on else "off"


@check("load average", why="others use the cores", remedy="wait until it is idle")
def check_load_average(circumstances: Circumstances) -> tuple[bool | None, str]:
    try:
        load_average = os.getloadavg()[0]
    except OSError:
        return None, UNAVAILABLE
    return load_average > 0.25 * circumstances.cores, f"{load_average:.2f}"


@check("other processes", why="they take CPU time", remedy="stop them")
def check_other_processes(circumstances: Circumstances) -> tuple[bool | None, str]:
    busy = circumstances.busy_processes
    return bool(busy), ", ".join(busy[:3]) or "none busy"


@check("CPU quota", why="the kernel pauses all its processes when it is used up", remedy="lift it")
def check_quota(_: Circumstances) -> tuple[bool | None, str]:
    groups = cpu_groups()
    quotas = groups.quotas()
    if quotas:
        return True, f"{min(quotas):.3g} cores"
    if groups.are_all:
        return False, "none"
    if groups.directories:
        return None, "none visible; a container hides those of its host"
    return None, UNAVAILABLE


@check(
    "variables",
    why="servers inherit them, and they slow some more than others",
    remedy="unset them",
)
def check_variables(_: Circumstances) -> tuple[bool | None, str]:
    found = []
    for name, value in sorted(os.environ.items()):
        if value and SPEED_VARIABLES.match(name):
            found.append(f"{name}={value}")
    return bool(found), ", ".join(found) or "none"


@check(
    "priority", why="servers inherit it, and get less or more of the CPU", remedy="use the default"
)
def check_priority(_: Circumstances) -> tuple[bool | None, str]:
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    is_usual = not hasattr(os, "sched_getscheduler") or os.sched_getscheduler(0) == os.SCHED_OTHER
    scheduling = "" if is_usual else ", another scheduling class"
    return bool(nice or scheduling), f"nice {nice}{scheduling}"


@check(
    "cores",
    why="they wait for each other",
    remedy="prefer the speed per CPU second to requests/s, or use -w and -t that fit",
)
def check_cores(circumstances: Circumstances) -> tuple[bool | None, str]:
    workers, threads = circumstances.workers, circumstances.threads
    users = []
    if workers:
        users.append(pluralize(workers, "worker"))
    if threads:
        users.append(pluralize(threads, "wrk thread"))
    cores = circumstances.cores
    return cores < workers + threads, f"{cores} for {' and '.join(users)}"


@check("open files", why="each connection takes one", remedy="ulimit -n {limit}")
def check_open_files(circumstances: Circumstances) -> tuple[bool | None, str]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return False, "unlimited"
    return limit < circumstances.connections + 64, str(limit)


@check(
    "ephemeral ports",
    why="each connection takes one, also for a minute after it closes",
    remedy="sysctl net.ipv4.ip_local_port_range='30000 65535'",  # above OWN_PORTS
)
def check_ephemeral_ports(circumstances: Circumstances) -> tuple[bool | None, str]:
    ports = search_file("/proc/sys/net/ipv4/ip_local_port_range", "(.+)")
    if not ports:
        return None, UNAVAILABLE
    first, last = map(int, ports.split())
    count = last - first + 1
    return count <= 2 * circumstances.connections, str(count)


@check("power", why="the machine slows down to save it", remedy="plug it in")
def check_power(_: Circumstances) -> tuple[bool | None, str]:
    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError):  # on a system without it, or without /sys
        return None, UNAVAILABLE
    # psutil returns None for a machine without a battery, and for one that does not tell.
    if battery is None and (sys.platform != "linux" or POWER_SUPPLIES.is_dir()):
        return False, "no battery"
    if battery is None or battery.power_plugged is None:
        return None, UNAVAILABLE
    return (False, "mains") if battery.power_plugged else (True, "on battery")


@check(
    "virtual machine", why="its neighbours take CPU time unseen", remedy="prefer the paired result"
)
def check_virtual_machine(circumstances: Circumstances) -> tuple[bool | None, str]:
    stolen = circumstances.stolen_share
    is_disturbed = stolen > MAX_STOLEN
    flags = search_file("/proc/cpuinfo", r"^flags\s*:(.*)$")  # of x86 alone
    if is_disturbed or (flags and "hypervisor" in flags.split()):
        return is_disturbed, f"yes, {stolen:.0%} of its time stolen"
    return (False, "no") if flags else (None, UNAVAILABLE)


def examine(workers: int, threads: int, connections: int) -> list[Finding]:
    """It takes 0.2 s."""
    start = machine_times()
    busy_processes = sample_busy_processes(0.2)
    circumstances = Circumstances(
        cores=core_count(),
        workers=workers,
        threads=threads,
        connections=connections,
        busy_processes=tuple(busy_processes),
        stolen_share=machine_times().stolen_share(start),
    )
    return [check_machine(circumstances) for check_machine in CHECKS]


def sample_busy_processes(seconds: float) -> list[str]:
    before = {}
    for process in psutil.process_iter():
        if process.pid != os.getpid():
            before[process] = cpu_time_s(process)
    time.sleep(seconds)
    shares = {}
    for process, cpu_s in before.items():
        shares[process] = (cpu_time_s(process) - cpu_s) / seconds
    busy = []
    for process in sorted(shares, key=lambda each: -shares[each]):
        if shares[process] > 0.1:
            with contextlib.suppress(psutil.Error):
                busy.append(f"{process.name()} {shares[process]:.0%}")
    return busy
