"""What the system tells of processes, their CPU time, memory and sockets."""

import contextlib
import os
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from micropie_benchlib.core.errors import BenchError


def require_proc() -> None:
    if sys.platform != "linux":
        return
    if not Path("/proc/self/stat").exists():
        raise BenchError("/proc is empty, and servers are observed there: mount -t proc proc /proc")
    if not search_file("/proc/stat", r"^cpu +(\d+)"):
        raise BenchError("cannot read /proc/stat, which has the machine's CPU times")


def boot_id() -> str | None:
    """Return what only this machine has, until it starts anew; None if it is not Linux."""
    return search_file("/proc/sys/kernel/random/boot_id", "(.+)")


def all_cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return []


def core_count() -> int:
    return len(all_cores()) or os.cpu_count() or 1


def cpu_time_s(process: psutil.Process) -> float:
    """On Linux to the nanosecond: clock_getcpuclockid(3), ~pid << 3 | CPUCLOCK_SCHED."""
    try:
        if sys.platform == "linux":
            return time.clock_gettime((~process.pid << 3) | 2)
        times = process.cpu_times()
        return float(times.user + times.system)
    except (OSError, psutil.Error):
        return 0.0


def is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def peak_memory_bytes(process: psutil.Process) -> int:
    """Return the peak resident set (VmHWM; elsewhere than on Linux the present one); 0 if gone."""
    peak_kb = search_file(f"/proc/{process.pid}/status", r"^VmHWM:\s*(\d+) kB")
    if peak_kb:
        return int(peak_kb) * 1024
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def search_file(path: str, pattern: str) -> str | None:
    """Return the pattern's first group in the file; None where either is missing."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        return None
    match = re.search(pattern, text, re.MULTILINE)
    return match[1].strip() if match else None


# Variables that change the speed of a program, and of one more than of another.
SPEED_VARIABLES = re.compile(
    r"PYTHON(TRACEMALLOC|DEVMODE|MALLOC|PROFILEIMPORTTIME|ASYNCIODEBUG|OPTIMIZE|VERBOSE|DEBUG"
    r"|PERF|GIL|JIT|_GIL|_JIT)|MALLOC_|LD_PRELOAD$|LD_AUDIT$|GLIBC_TUNABLES$"
)


class Listener(NamedTuple):
    descriptor: int
    address: str
    port: int


def listeners(process: psutil.Process) -> list[Listener]:
    try:
        sockets = process.net_connections("tcp")
    except (OSError, RuntimeError, psutil.Error):  # RuntimeError: a cut line of /proc
        return []
    found = []
    for each in sockets:
        if each.status == psutil.CONN_LISTEN:
            found.append(Listener(each.fd, str(each.laddr.ip), each.laddr.port))
    return found


def listens(process: psutil.Process, port: int) -> bool:
    return any(each.port == port for each in listeners(process))


def descriptor_links(process: psutil.Process) -> dict[int, str]:
    """Return what each descriptor is, such as `socket:[123]` (Linux)."""
    links = {}
    with contextlib.suppress(OSError):  # the process has ended
        for path in Path(f"/proc/{process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # it has just been closed
                links[int(path.name)] = str(path.readlink())
    return links


def epoll_descriptors(process: psutil.Process, links: Mapping[int, str]) -> set[int]:
    """Return the descriptors that an epoll of the process waits on (Linux, proc(5))."""
    awaited: set[int] = set()
    for fd, link in links.items():
        if link != "anon_inode:[eventpoll]":
            continue
        with contextlib.suppress(OSError):
            info = Path(f"/proc/{process.pid}/fdinfo/{fd}").read_text()
            descriptors = re.findall(r"^tfd:\s*(\d+)", info, re.MULTILINE)
            awaited.update(map(int, descriptors))
    return awaited


def accepts(process: psutil.Process, port: int) -> bool:
    """uvicorn's parent holds the socket too, and a worker does before it imports the app."""
    on_port = [each.descriptor for each in listeners(process) if each.port == port]
    if not on_port:
        return False
    links = descriptor_links(process)
    awaited = {links.get(descriptor) for descriptor in epoll_descriptors(process, links)}
    return any(links.get(descriptor) in awaited for descriptor in on_port)


def listener_pids(port: int) -> list[int | None]:
    """Return who listens on the port, None for whom this user may not know; empty on macOS."""
    try:
        connections = psutil.net_connections("tcp")
    except (OSError, RuntimeError, psutil.Error):
        return []
    pids = []
    for each in connections:
        address: Any = each.laddr
        if each.status == psutil.CONN_LISTEN and address.port == port:
            pids.append(each.pid)
    return pids


def is_stopped(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() == psutil.STATUS_STOPPED)
    return False
