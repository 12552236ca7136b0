"""What on this machine would spoil a measurement, a function for each check."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from micropie_benchlib.core.text import pluralize
from micropie_benchlib.system.control_groups import own_cpu_groups
from micropie_benchlib.system.machine import MAX_STOLEN, machine_times
from micropie_benchlib.system.processes import core_count, cpu_time_s, search_file

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
    """What the checks go by: what is to run here, and a short sample of the machine.

    `busy_processes` has the other processes that are busy, in words. `stolen_share` is
    the share of the machine that the hypervisor took.
    """

    cores: int
    workers: int
    threads: int
    connections: int
    busy_processes: tuple[str, ...]
    stolen_share: float


def cpu_governor() -> str | None:
    return search_file(f"{CPU_FILES}/cpu0/cpufreq/scaling_governor", "(.+)")


def check_governor(_: Circumstances) -> Finding:
    governor = cpu_governor()
    return Finding(
        check="CPU governor",
        state=state_of(governor != "performance" if governor else None),
        found=governor or UNAVAILABLE,
        why="the clock follows the load, and the order of trials shows in the figures",
        remedy="cpupower frequency-set -g performance",
    )


def check_turbo(_: Circumstances) -> Finding:
    no_turbo = search_file(f"{CPU_FILES}/intel_pstate/no_turbo", "(.)")
    boost = search_file(f"{CPU_FILES}/cpufreq/boost", "(.)")
    is_on = None
    if no_turbo or boost:
        is_on = no_turbo == "0" or boost == "1"
    return Finding(
        check="turbo",
        state=state_of(is_on),
        found={None: UNAVAILABLE, True: "on", False: "off"}[is_on],
        why="the clock falls as the chip warms",
        remedy=f"echo 0 >{CPU_FILES}/cpufreq/boost, or 1 >{CPU_FILES}/intel_pstate/no_turbo",
    )


def check_load_average(circumstances: Circumstances) -> Finding:
    load_average = None
    with contextlib.suppress(OSError):
        load_average = os.getloadavg()[0]
    is_high = None
    if load_average is not None:
        is_high = load_average > 0.25 * circumstances.cores
    return Finding(
        check="load average",
        state=state_of(is_high),
        found=UNAVAILABLE if load_average is None else f"{load_average:.2f}",
        why="others use the cores",
        remedy="wait until it is idle",
    )


def check_other_processes(circumstances: Circumstances) -> Finding:
    busy = circumstances.busy_processes
    return Finding(
        check="other processes",
        state=state_of(bool(busy)),
        found=", ".join(busy[:3]) or "none busy",
        why="they take CPU time",
        remedy="stop them",
    )


def check_quota(_: Circumstances) -> Finding:
    groups = own_cpu_groups()
    quotas = groups.quotas()
    if quotas:
        is_limited, found = True, f"{min(quotas):.3g} cores"
    elif groups.are_all:
        is_limited, found = False, "none"
    elif groups.directories:
        is_limited, found = None, "none here; a container does not show those around it"
    else:
        is_limited, found = None, UNAVAILABLE
    return Finding(
        check="CPU quota",
        state=state_of(is_limited),
        found=found,
        why="the kernel stops the group when it is used up",
        remedy="lift it",
    )


def check_cores(circumstances: Circumstances) -> Finding:
    wanted = circumstances.workers + circumstances.threads
    users = []
    if circumstances.workers:
        users.append(pluralize(circumstances.workers, "worker"))
    if circumstances.threads:
        users.append(pluralize(circumstances.threads, "wrk thread"))
    return Finding(
        check="cores",
        state=state_of(circumstances.cores < wanted),
        found=f"{circumstances.cores} for {' and '.join(users)}",
        why="they wait for each other",
        remedy="prefer the speed per CPU second to requests/s, or use -w and -t that fit",
    )


def check_open_files(circumstances: Circumstances) -> Finding:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    is_unlimited = limit == resource.RLIM_INFINITY
    is_enough = is_unlimited or limit >= circumstances.connections + 64
    return Finding(
        check="open files",
        state=state_of(not is_enough),
        found="unlimited" if is_unlimited else str(limit),
        why="each connection takes one",
        remedy=f"ulimit -n {circumstances.connections + 1024}",
    )


def check_ephemeral_ports(circumstances: Circumstances) -> Finding:
    ports = search_file("/proc/sys/net/ipv4/ip_local_port_range", "(.+)")
    count = None
    if ports:
        first, last = map(int, ports.split())
        count = last - first + 1
    return Finding(
        check="ephemeral ports",
        state=state_of(None if count is None else count <= 2 * circumstances.connections),
        found=UNAVAILABLE if count is None else str(count),
        why="each connection takes one, for a minute after its end too",
        remedy="sysctl net.ipv4.ip_local_port_range='30000 65535'",  # above OWN_PORTS
    )


def is_on_battery() -> bool | None:
    if not hasattr(psutil, "sensors_battery"):
        return None
    try:
        battery = psutil.sensors_battery()
    except OSError:  # there is no /sys
        return None
    if battery is None:
        # psutil says so of a machine without one, and of one that does not tell.
        return None if sys.platform == "linux" and not POWER_SUPPLIES.is_dir() else False
    return None if battery.power_plugged is None else not battery.power_plugged


def check_power(_: Circumstances) -> Finding:
    on_battery = is_on_battery()
    return Finding(
        check="power",
        state=state_of(on_battery),
        found={None: UNAVAILABLE, True: "on battery", False: "mains, or no battery"}[on_battery],
        why="the machine slows down to save it",
        remedy="plug it in",
    )


def is_virtual_machine() -> bool | None:
    flags = search_file("/proc/cpuinfo", r"^flags\s*:(.*)$")  # of x86 alone
    return "hypervisor" in flags.split() if flags else None


def check_virtual_machine(circumstances: Circumstances) -> Finding:
    is_virtual = is_virtual_machine()
    stolen = circumstances.stolen_share
    if stolen > MAX_STOLEN:
        is_virtual = True  # who else would take it?
    share = f"yes, {stolen:.0%} of its time stolen"
    return Finding(
        check="virtual machine",
        state=state_of(None if is_virtual is None else stolen > MAX_STOLEN),
        found={None: UNAVAILABLE, True: share, False: "no"}[is_virtual],
        why="its neighbours take CPU time unseen",
        remedy="prefer the paired result",
    )


# What warns here is also said by `compare`, and recorded.
CHECKS: Sequence[Callable[[Circumstances], Finding]] = (
    check_governor,
    check_turbo,
    check_load_average,
    check_other_processes,
    check_quota,
    check_cores,
    check_open_files,
    check_ephemeral_ports,
    check_power,
    check_virtual_machine,
)


def examine(workers: int, threads: int, connections: int) -> list[Finding]:
    """Return what here could spoil a measurement with these settings; it takes 0.2 s.

    Without workers or without threads of wrk here, those are on another machine.
    """
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
    return [check(circumstances) for check in CHECKS]


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
                name = f"{process.name()} (pid {process.pid})"
                busy.append(f"{name} {shares[process]:.0%}")
    return busy
