"""The server side of a trial on this machine."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.measurements import ServerUse
from micropie_benchlib.load.machine import NO_LINK, Link, LinkMeter
from micropie_benchlib.load.readings import Ending, ServerReading
from micropie_benchlib.serve.logs import NO_REASON
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.system.children import await_any
from micropie_benchlib.system.machine import MachineMeter, core_times
from micropie_benchlib.system.processes import all_cores, core_count, is_stopped, thread_cpu_s

DRAIN_STEP_S = 0.02
DRAIN_DEADLINE_S = 2.0


def count_busy(before: Mapping[int, float], after: Mapping[int, float]) -> int | None:
    """Return how many threads worked: those with a tenth of the busiest's CPU time.

    Both have CPU seconds by thread. None if none worked.
    """
    spent_s = [cpu_s - before.get(thread, 0.0) for thread, cpu_s in after.items()]
    most_s = max(spent_s, default=0.0)
    if most_s <= 0:
        return None
    return sum(cpu_s >= 0.1 * most_s for cpu_s in spent_s)


def threads_cpu_s(processes: Iterable[psutil.Process]) -> dict[int, float]:
    times: dict[int, float] = {}
    for process in processes:
        times |= thread_cpu_s(process)
    return times


def drain(servers: Sequence[LocalServer]) -> None:
    """Return once the servers have responded to what they were sent.

    Then their CPU time stands still; servers that never rest are given DRAIN_DEADLINE_S.
    """
    deadline = time.monotonic() + DRAIN_DEADLINE_S
    last_s = math.inf
    while time.monotonic() < deadline:
        spent_s = 0.0
        for server in servers:
            spent_s += sum(server.cpu_s().values())
        if 0 <= spent_s - last_s < 0.001:
            return
        last_s = spent_s
        time.sleep(DRAIN_STEP_S)


class ServerGroup:
    """The servers of one trial, where they run: what is read of them, and done to them.

    A context manager: on entering they are kept on their cores, all of them if none are
    given; on leaving, what was suspended resumes.
    """

    def __init__(
        self, servers: Sequence[LocalServer], *, cores: Sequence[int] = (), link: Link = NO_LINK
    ) -> None:
        self._servers = servers
        self._link = link
        self._cores = list(cores) or all_cores()
        self._uses: list[ServerUse | None] = []
        self._endings: list[Ending] = [Ending()] * len(servers)
        self._are_suspended = False

    def __enter__(self) -> Self:
        for server in self._servers:
            server.pin(self._cores)
        return self

    def __exit__(self, *_: object) -> None:
        if self._are_suspended:
            self._on_each_process(psutil.Process.resume)
            drain(self._servers)

    def _on_each_process(self, action: Callable[[psutil.Process], None]) -> None:
        for server in self._servers:
            for process in server.processes():
                with contextlib.suppress(psutil.Error):
                    action(process)

    def begin(self) -> None:
        """Take the readings from which on everything counts."""
        self._meter = MachineMeter()
        self._link_meter = LinkMeter(self._link)
        self._core_times_before = core_times(self._cores)
        self._cpu_before_s = [server.cpu_s() for server in self._servers]
        self._threads_before = [threads_cpu_s(spent) for spent in self._cpu_before_s]

    def require_alive(self) -> None:
        """Raise BenchError if a server has ended."""
        children = [server.child for server in self._servers if server.child]
        await_any(children, 0)
        for server in self._servers:
            if server.child and server.child.exit:
                end = server.child.exit.sentence
                reason = server.complaint() or NO_REASON
                raise BenchError(f"{server.target.name} died{end}: {reason}")

    def look(self) -> None:
        """Take in what shows only under load. Raises BenchError for a stopped server."""
        busy_share = core_times(self._cores).busy_share(self._core_times_before)
        self._endings = []
        for server, cpu_before_s, threads_before in zip(
            self._servers, self._cpu_before_s, self._threads_before, strict=True
        ):
            if any(map(is_stopped, cpu_before_s)):
                raise BenchError(f"{server.target.name} was stopped (SIGSTOP)")
            busy_threads = count_busy(threads_before, threads_cpu_s(cpu_before_s))
            self._endings.append(Ending(busy_threads=busy_threads, busy_share=busy_share))

    def settle(self) -> None:
        """Let the servers respond to what they were sent, read their use, and suspend them."""
        drain(self._servers)
        self._read_uses()
        self._are_suspended = True
        self._on_each_process(psutil.Process.suspend)

    def _read_uses(self) -> None:
        for server, cpu_before_s in zip(self._servers, self._cpu_before_s, strict=True):
            self._uses.append(server.use_since(cpu_before_s))

    def reading(self, *, load_cpu_s: float) -> ServerReading:
        """Return what was seen. `load_cpu_s` is what load generators used of these cores."""
        self.require_alive()
        if not self._uses:
            self._read_uses()
        own_cpu_s = load_cpu_s
        for use in self._uses:
            # Of a foreign server it is not known: then nobody else is blamed.
            own_cpu_s += use.server_cpu_s if use else math.inf
        return ServerReading(
            uses=tuple(self._uses),
            endings=tuple(self._endings),
            disturbances=self._meter.disturbances(own_cpu_s),
            cores=len(self._cores) or core_count(),
            full_link=self._link_meter.full(),
        )
