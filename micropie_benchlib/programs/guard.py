"""The guard: runs a command, and ends its whole process tree when standard input closes.

    python -I -S guard.py STATUS_PIPE GRACE_S CORES GATE COMMAND...

It is a process of its own, in a bare interpreter, which starts in some 20 ms: whatever
happens to the tool, its servers and load generators end.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import sys
import time


def descendants() -> list[int]:
    if sys.platform != "linux":
        return []
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208  # the guard does without pathlib
        if not name.isdigit():
            continue
        # A process' name, which is in it, need not be text.
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stat:
            fields = stat.read().rpartition(b")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(name))
    found = list(children.get(os.getpid(), []))
    for pid in found:  # it grows while it is walked
        found += children.get(pid, [])
    return found


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def wakeup_pipe() -> int:
    """Return a pipe that can be read when a child ends or a signal comes.

    As a subreaper (prctl(2)) the guard inherits what its descendants leave behind.
    """
    if sys.platform == "linux":
        PR_SET_CHILD_SUBREAPER = 36  # noqa: N806  # the kernel's name
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake_reader, wake_writer = os.pipe()
    os.set_blocking(wake_writer, False)
    signal.set_wakeup_fd(wake_writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    return wake_reader


def reap(pid: int) -> dict[str, float] | None:
    """Return how the command ended, as main() tells it; None if it runs. Others are reaped."""
    try:
        while True:
            ended_pid, status, usage = os.wait4(-1, os.WNOHANG)
            if ended_pid == pid:
                return {
                    "exit": os.waitstatus_to_exitcode(status),
                    "cpu_s": usage.ru_utime + usage.ru_stime,
                    "left": len(descendants()),
                }
            if not ended_pid:
                return None
    except ChildProcessError:
        return None


def watch(pid: int, wake_reader: int, grace_s: float) -> dict[str, float] | None:
    """Return how the command ended; None if it runs `grace_s` after it was told to end.

    It is told so when the owner closes standard input, which the owner's death does, too.
    """
    owner = sys.stdin.fileno()
    watched, deadline = [owner, wake_reader], None
    end = None
    while not end and (deadline is None or time.monotonic() < deadline):
        timeout_s: float | None = None
        if deadline is not None:
            timeout_s = max(0.0, deadline - time.monotonic())
        ready = select.select(watched, [], [], timeout_s)[0]
        if wake_reader in ready:
            os.read(wake_reader, 4096)
        end = reap(pid)
        if owner in ready and not os.read(owner, 1) and not end:
            watched, deadline = [wake_reader], time.monotonic() + grace_s
            # The workers too: uvicorn's parent looks for signals twice a second only.
            left = descendants() or [pid]
            signal_all(left, signal.SIGTERM)
            signal_all(left, signal.SIGCONT)  # one that is stopped would not hear of it
    return end


def end_all(pid: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            signal_all(descendants(), signal.SIGKILL)
            os.wait()


def main() -> None:
    """Run the command. Write JSON lines to the status pipe: {"ready"} at the gate; {"pid"} or
    {"error": errno}; then {"exit", "cpu_s", "left"}: negative for a signal, living descendants.
    """
    status, grace_s, cores, gate, *command = sys.argv[1:]
    os.set_inheritable(int(status), False)

    def tell(**message: float | str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(int(status), json.dumps(message).encode() + b"\n")

    wake_reader = wakeup_pipe()
    if cores != "all":
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])
    if gate == "gated":
        tell(ready=1)
        if not os.read(sys.stdin.fileno(), 1):
            return
    defaults = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE)
    try:
        pid = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,
            setsigdef=[*defaults, signal.SIGCHLD],
        )
    except OSError as error:
        tell(error=error.errno or 0)
        return
    tell(pid=pid)
    end = watch(pid, wake_reader, float(grace_s))
    if end:
        tell(**end)
    end_all(pid)


if __name__ == "__main__":
    main()
