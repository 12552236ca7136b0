"""The server side of a trial on this machine."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.measurements import ServerUse
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.cpu_accounts import (
    IDLE_S,
    STEP_S,
    Habits,
    IdleUse,
    RestWatch,
    Work,
    charge_of,
    idle_use,
    spent_between,
    work_in,
)
from micropie_benchlib.load.machine import NO_LINK, Link, LinkMeter
from micropie_benchlib.load.readings import Ending, ServerReading
from micropie_benchlib.serve.logs import NO_REASON
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.system.children import await_any
from micropie_benchlib.system.control_groups import NO_PERIODS, Periods, cpu_groups, periods_of
from micropie_benchlib.system.machine import MachineMeter
from micropie_benchlib.system.processes import all_cores, core_count, is_stopped, peak_memory_bytes
from micropie_benchlib.system.schedstat import Account, is_runnable, read_account

MAX_BUSY_PARTNER = 0.02  # of the cores, by a server that has no part in a trial


class CpuMeter:
    """The CPU accounts of one server, and what it uses while it is idle, once that is known."""

    def __init__(self, server: LocalServer, habits: Habits | None = None) -> None:
        self.server = server
        self.habits = habits or Habits()
        self.idle: IdleUse | None = None
        self.is_at_rest = True  # since the last load, as far as is known

    @property
    def is_running(self) -> bool:
        """Whether the server was launched, and has not been ended."""
        child = self.server.child
        return child is not None and child.is_watched

    def quotas(self) -> dict[Path, Periods]:
        """Return the periods so far of the server's control groups that are not this tool's."""
        own = cpu_groups().directories
        periods = {}
        for process in self.server.processes():
            for directory in cpu_groups(process.pid).directories:
                if directory not in own:
                    periods[directory] = periods_of(directory)
        return periods

    def account(self) -> Account:
        child = self.server.child
        return read_account(self.server.processes(), child.guard_pid if child else None)

    def watch(self, start: Account, *, load_cpu_s: float, rest_s: float) -> RestWatch:
        """Return a watch for when it is at rest: as it is while idle, or was in other launches."""
        excess_s = self.idle.excess_s if self.idle else self.habits.excess_s
        return RestWatch(start, excess_s, rest_s=rest_s, load_cpu_s=load_cpu_s)

    def is_waiting(self, account: Account) -> bool:
        """Return whether a thread that mostly sleeps while idle could run now."""
        if not self.idle:
            return not self.habits.is_busy and any(map(is_runnable, account.threads))
        for thread in account.threads:
            if not self.idle.is_busy(thread) and is_runnable(thread):
                return True
        return False

    def learn(self, watch: RestWatch) -> None:
        """Take in what a watch after the warm-up has shown: the idle use, and habits."""
        self.idle = idle_use(watch.idle_steps)
        self.habits.burst_s = max(self.habits.burst_s, self.idle.burst_s)
        self.habits.gap_s = max(self.habits.gap_s or 0.0, watch.gap_s)
        self.is_at_rest = watch.is_at_rest or not watch.gap_s


def await_rest(meters: Sequence[CpuMeter], watches: Sequence[RestWatch]) -> None:
    """Return once all servers are at rest, or will not be in time."""
    while not all(watch.is_over for watch in watches):
        time.sleep(STEP_S)
        for meter, watch in zip(meters, watches, strict=True):
            account = meter.account()
            watch.take(account, is_waiting=meter.is_waiting(account))


class ServerGroup:
    """The servers of one trial, where they run: what is read of them, and done to them.

    A context manager: on entering they are kept on their cores, all of them if none are
    given; on leaving, what was suspended resumes. `others` are servers of this tool that
    run meanwhile and have no part in the trial.
    """

    def __init__(
        self,
        meters: Sequence[CpuMeter],
        *,
        others: Sequence[CpuMeter] = (),
        cores: Sequence[int] = (),
        link: Link = NO_LINK,
    ) -> None:
        self._meters = meters
        self._others = others
        self._servers = [meter.server for meter in meters]
        self._link = link
        self._cores = list(cores) or all_cores()
        self._before: list[Account] = []
        self._work: list[Work] = []
        self._periods: list[Periods] = []
        self._endings: list[Ending] = [Ending()] * len(meters)
        self._uses: list[ServerUse | None] = []
        self._busy_partner: BenchWarning | None = None
        self._are_suspended = False

    def __enter__(self) -> Self:
        for server in self._servers:
            server.pin(self._cores)
        return self

    def __exit__(self, *_: object) -> None:
        if self._are_suspended:
            self._on_each_process(psutil.Process.resume)
            self._await_rest(rest_s=STEP_S)

    def _on_each_process(self, action: Callable[[psutil.Process], None]) -> None:
        for server in self._servers:
            for process in server.processes():
                with contextlib.suppress(psutil.Error):
                    action(process)

    def begin(self) -> None:
        """Take the readings from which on everything counts."""
        self._meter = MachineMeter()
        self._link_meter = LinkMeter(self._link)
        self._others_before = [meter.account() for meter in self._others]
        self._quotas_before = [meter.quotas() for meter in self._meters]
        self._before = [meter.account() for meter in self._meters]

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
        self._work = []
        self._periods = []
        for meter, before, quotas_before in zip(
            self._meters, self._before, self._quotas_before, strict=True
        ):
            if any(map(is_stopped, meter.server.processes())):
                raise BenchError(f"{meter.server.target.name} was stopped (SIGSTOP)")
            spent = spent_between(before, meter.account())
            self._work.append(work_in(spent, meter.idle or IdleUse()))
            passed = [NO_PERIODS]
            for directory, periods in meter.quotas().items():
                passed.append(periods.since(quotas_before.get(directory, NO_PERIODS)))
            self._periods.append(max(passed))

    def await_idle(self) -> None:
        """Return once the servers are idle, with what they use then taken in if it is not known.

        Those that have been at rest since their last load, and are known, are not waited for.
        """
        if all(meter.is_at_rest and meter.idle for meter in self._meters):
            return
        watches = []
        for position, meter in enumerate(self._meters):
            account = meter.account()
            load_cpu_s, rest_s = 0.0, STEP_S
            if self._before:
                load_cpu_s = spent_between(self._before[position], account).cpu_s
            if not meter.idle:
                rest_s = meter.habits.idle_s if self._before else IDLE_S
            watches.append(meter.watch(account, load_cpu_s=load_cpu_s, rest_s=rest_s))
        await_rest(self._meters, watches)
        for meter, watch in zip(self._meters, watches, strict=True):
            if not meter.idle:
                meter.learn(watch)
            else:
                meter.is_at_rest = watch.is_at_rest

    def _await_rest(self, rest_s: float | None = None) -> list[RestWatch]:
        """Return the watches of all servers, once they are at rest or will not be in time.

        That is for `rest_s`, or for as long as each of them needs.
        """
        watches = []
        for meter, before in zip(self._meters, self._before, strict=True):
            account = meter.account()
            load_cpu_s = spent_between(before, account).cpu_s
            own_rest_s = meter.habits.rest_s if rest_s is None else rest_s
            watches.append(meter.watch(account, load_cpu_s=load_cpu_s, rest_s=own_rest_s))
        await_rest(self._meters, watches)
        return watches

    def settle(self, *, suspends: bool) -> None:
        """Let the servers come to rest after the load, read their use, and suspend them then."""
        for other, before in zip(self._others, self._others_before, strict=True):
            spent = spent_between(before, other.account())
            cores = spent.cpu_s / spent.seconds
            if cores > MAX_BUSY_PARTNER * (len(self._cores) or core_count()):
                name = other.server.target.name
                self._busy_partner = BenchWarning.of(Kind.BUSY_PARTNER, name=name, cores=cores)
        watches = self._await_rest()
        endings = []
        for meter, before, work, periods, watch in zip(
            self._meters, self._before, self._work, self._periods, watches, strict=True
        ):
            idle = meter.idle or IdleUse()
            charge = charge_of(spent_between(before, watch.start), idle)
            late = charge_of(spent_between(watch.start, watch.account), idle)
            meter.habits.gap_s = max(meter.habits.gap_s or 0.0, watch.gap_s)
            had_backlog = not meter.is_at_rest
            meter.is_at_rest = watch.is_at_rest
            endings.append(
                Ending(
                    work=work,
                    idle_cpu_s=charge.idle_s,
                    restless_cores=idle.restless_cores,
                    late_cpu_s=0.0 if charge.polls else late.requests_s,
                    polls=charge.polls,
                    throttled=periods.throttled,
                    periods=periods.all,
                    is_at_rest=watch.is_at_rest,
                    had_backlog=had_backlog,
                )
            )
            self._uses.append(self._use(meter, charge.upper_s, before, watch.account))
        self._endings = endings
        self._are_suspended = suspends
        if suspends:
            self._on_each_process(psutil.Process.suspend)

    @staticmethod
    def _use(meter: CpuMeter, cpu_s: float, before: Account, after: Account) -> ServerUse | None:
        """Return the use of a server that used that CPU time for requests under load."""
        server = meter.server
        if not server.child:
            return None
        shares = []
        for process in server.counted_workers():
            key = process.pid, process.create_time()
            shares.append(after.processes.get(key, 0.0) - before.processes.get(key, 0.0))
        most_s = max(shares, default=0.0)
        return ServerUse(
            server_cpu_s=cpu_s,
            server_rss_bytes=sum(map(peak_memory_bytes, server.processes())),
            worker_balance=max(0.0, min(shares)) / most_s if most_s > 0 else None,
            idle_cores=meter.idle.cores if meter.idle else None,
        )

    def reading(self, *, load_cpu_s: float) -> ServerReading:
        """Return what was seen. `load_cpu_s` is what load generators used of these cores."""
        self.require_alive()
        own_cpu_s = load_cpu_s
        if not all(self._uses):
            own_cpu_s = math.inf  # of a foreign server it is not known: nobody else is blamed
        befores = [*self._before, *self._others_before]
        for meter, before in zip([*self._meters, *self._others], befores, strict=True):
            own_cpu_s += spent_between(before, meter.account()).cpu_s
        return ServerReading(
            uses=tuple(self._uses),
            endings=tuple(self._endings),
            busy_partner=self._busy_partner,
            disturbances=self._meter.disturbances(own_cpu_s),
            cores=len(self._cores) or core_count(),
            full_link=self._link_meter.full(),
        )
