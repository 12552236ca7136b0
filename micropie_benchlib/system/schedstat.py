"""CPU accounts of processes; the run delay tells waiting for a core from sleeping."""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import psutil

from micropie_benchlib.system.processes import cpu_time_s

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ThreadId = tuple[int, int]  # of the process, and of the thread
ProcessId = tuple[int, float]  # and when it began, since ids come again


class Times(NamedTuple):
    """Seconds of a thread: on a CPU, and runnable without one."""

    cpu_s: float
    delay_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The CPU time of some processes since they began, in seconds, at one moment.

    `processes` has that of all their threads, ended ones too; `reaped` that of children which
    they have waited for, in steps of 10 ms. Without schedstat `threads` has one for each
    process, and no delays.
    """

    at_s: float
    threads: Mapping[ThreadId, Times]
    processes: Mapping[ProcessId, float]
    reaped: Mapping[ProcessId, float]
    runnable: frozenset[ThreadId] = frozenset()  # running, or waiting for a core


def read_account(processes: Iterable[psutil.Process], reaper: int | None = None) -> Account:
    """`reaper` inherits what the processes leave, but is none of them."""
    at_s = time.monotonic()
    threads: dict[ThreadId, Times] = {}
    spent: dict[ProcessId, float] = {}
    reaped: dict[ProcessId, float] = {}
    for process in processes:
        with contextlib.suppress(OSError, psutil.Error):
            key = process.pid, process.create_time()
            reaped[key] = children_cpu_s(process.pid)
            threads |= thread_times(process)
            spent[key] = cpu_time_s(process)
    if reaper is not None:
        with contextlib.suppress(OSError, psutil.Error):
            reaped[reaper, 0.0] = children_cpu_s(reaper)
    runnable = frozenset(filter(is_runnable, threads))
    return Account(at_s=at_s, threads=threads, processes=spent, reaped=reaped, runnable=runnable)


def children_cpu_s(pid: int) -> float:
    """Return the CPU time of the children that a process has waited for, and of theirs."""
    if sys.platform != "linux":
        times = psutil.Process(pid).cpu_times()
        user_s = getattr(times, "children_user", 0.0)
        return float(user_s + getattr(times, "children_system", 0.0))
    fields = stat_fields(f"/proc/{pid}/stat")
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_S


def stat_fields(path: str) -> list[bytes]:
    """Return the fields of a stat file from the third on, the state (proc_pid_stat(5))."""
    with open(path, "rb") as file:  # read 50 times a second
        return file.read().rpartition(b")")[2].split()


def thread_times(process: psutil.Process) -> dict[ThreadId, Times]:
    pid = process.pid
    directory = f"/proc/{pid}/task"
    if not os.path.exists(f"/proc/{pid}/schedstat"):  # noqa: PTH110  # likewise
        return {(pid, pid): Times(cpu_time_s(process), 0.0)}
    times = {}
    for thread in os.listdir(directory):  # noqa: PTH208  # likewise
        with (
            contextlib.suppress(OSError),
            open(f"{directory}/{thread}/schedstat", "rb") as file,  # likewise
        ):
            cpu_ns, delay_ns, _ = file.read().split()
            times[pid, int(thread)] = Times(int(cpu_ns) / 1e9, int(delay_ns) / 1e9)
    return times


def is_runnable(thread: ThreadId) -> bool:
    """Its delay is booked only once it runs again."""
    pid, number = thread
    with contextlib.suppress(OSError):
        return stat_fields(f"/proc/{pid}/task/{number}/stat")[0] == b"R"
    return False
