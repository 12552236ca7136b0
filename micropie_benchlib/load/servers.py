"""The server side of a trial on this machine."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.measurements import ServerUse
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load import cpu_accounts
from micropie_benchlib.load.machine import NO_LINK, Link, LinkMeter
from micropie_benchlib.load.readings import Ending, ServerReading
from micropie_benchlib.serve.logs import NO_REASON
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.system.children import await_any
from micropie_benchlib.system.control_groups import NO_PERIODS, Periods, cpu_groups, periods_of
from micropie_benchlib.system.machine import MachineMeter
from micropie_benchlib.system.processes import all_cores, core_count, is_stopped, peak_memory_bytes
from micropie_benchlib.system.schedstat import Account, read_account

DRAIN_S = 1.5  # at most: servers close connections that are idle for 2 s, or for 5
MAX_BUSY_PARTNER = 0.02  # of the cores, by a server that has no part in a trial


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLoad:
    """The account of a server at rest after its last load, and that load's CPU time."""

    rest: Account
    cpu_s: float


class CpuMeter:
    """The CPU accounts of one server, and what it uses while it is idle, once that is known."""

    def __init__(self, server: LocalServer, habits: cpu_accounts.Habits | None = None) -> None:
        self.server = server
        self.habits = habits or cpu_accounts.Habits()
        self.idle: cpu_accounts.IdleUse | None = None
        self.is_at_rest = True  # since the last load, as far as is known
        self.last: LastLoad | None = None

    @property
    def is_running(self) -> bool:
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

    def watch(
        self,
        start: Account,
        *,
        rest_s: float,
        load_cpu_s: float = 0.0,
        deadline_s: float = cpu_accounts.RESTLESS_S,
    ) -> cpu_accounts.RestWatch:
        excess_s = self.idle.excess_s if self.idle else self.habits.excess_s
        return cpu_accounts.RestWatch(
            start, excess_s, rest_s=rest_s, load_cpu_s=load_cpu_s, deadline_s=deadline_s
        )

    def is_waiting(self, account: Account) -> bool:
        """Return whether a thread that mostly sleeps while idle could run now."""
        if not self.idle:
            return not self.habits.is_busy and bool(account.runnable)
        return not all(map(self.idle.is_busy, account.runnable))

    def unseen_s(self, now: Account) -> float:
        """Return the CPU time since it was last at rest, if that is of work that it put off."""
        if not self.last or not self.idle:
            return 0.0
        spent = cpu_accounts.spent_between(self.last.rest, now)
        charge = cpu_accounts.charge_of(spent, self.idle)
        least_s = max(
            cpu_accounts.MATERIAL_S,
            cpu_accounts.MATERIAL_SHARE * self.last.cpu_s,
            charge.idle_s / 2,
        )
        if charge.requests_s < least_s:
            return 0.0
        self.habits.take_gap(spent.seconds)
        return charge.requests_s

    def learn(self, watch: cpu_accounts.RestWatch, *, is_after_load: bool) -> None:
        """A warm-up without work put off tells nothing yet: it may have too few requests."""
        self.idle = self.habits.take_idle(cpu_accounts.idle_use(watch.idle_steps))
        if is_after_load and watch.gap_s:
            self.habits.take_gap(watch.gap_s)
        self.is_at_rest = watch.is_at_rest or not watch.gap_s


def watch_all(meters: Sequence[CpuMeter], watches: Sequence[cpu_accounts.RestWatch]) -> None:
    while not all(watch.is_over for watch in watches):
        time.sleep(cpu_accounts.STEP_S)
        for meter, watch in zip(meters, watches, strict=True):
            account = meter.account()
            watch.take(account, is_waiting=meter.is_waiting(account))


class ServerGroup:
    """The servers of one trial, where they run: what is read of them, and done to them.

    A context manager: on entering they are kept on their cores; on leaving, what was suspended
    resumes. `others` are servers of this tool that have no part in the trial.
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
        self._ends: list[Account] = []
        self._endings: list[Ending] = [Ending()] * len(meters)
        self._uses: list[ServerUse | None] = []
        self._busy_partner: BenchWarning | None = None
        self._are_suspended = False

    def __enter__(self) -> Self:
        for server in self._servers:
            server.pin(self._cores)
        return self

    def __exit__(self, *_: object) -> None:
        self.resume()

    def _on_each_process(self, action: Callable[[psutil.Process], None]) -> None:
        for server in self._servers:
            for process in server.processes():
                with contextlib.suppress(psutil.Error):
                    action(process)

    def begin(self) -> None:
        self._meter = MachineMeter()
        self._link_meter = LinkMeter(self._link)
        self._others_before = [meter.account() for meter in self._others]
        self._quotas_before = [meter.quotas() for meter in self._meters]
        self._before = [meter.account() for meter in self._meters]
        self._unseen_s = []
        for meter, before in zip(self._meters, self._before, strict=True):
            self._unseen_s.append(meter.unseen_s(before))

    def require_alive(self) -> None:
        children = [server.child for server in self._servers if server.child]
        await_any(children, 0)
        for server in self._servers:
            if server.child and server.child.exit:
                end = server.child.exit.sentence
                reason = server.complaint() or NO_REASON
                raise BenchError(f"{server.target.name} died{end}: {reason}")

    def look(self) -> None:
        """Take in what shows only under load. Raises BenchError for a stopped server."""
        self._endings = []
        for meter, before, quotas_before in zip(
            self._meters, self._before, self._quotas_before, strict=True
        ):
            if any(map(is_stopped, meter.server.processes())):
                raise BenchError(f"{meter.server.target.name} was stopped (SIGSTOP)")
            spent = cpu_accounts.spent_between(before, meter.account())
            work = cpu_accounts.work_in(spent, meter.idle or cpu_accounts.IdleUse())
            passed = [NO_PERIODS]
            for directory, periods in meter.quotas().items():
                passed.append(periods.since(quotas_before.get(directory, NO_PERIODS)))
            throttled, all_periods = max(passed)
            self._endings.append(Ending(work=work, throttled=throttled, periods=all_periods))

    def await_idle(self) -> None:
        """Return once the servers are idle, with what they use then taken in if it is not known."""
        if all(meter.is_at_rest and meter.idle for meter in self._meters):
            return
        watches = []
        for position, meter in enumerate(self._meters):
            account = meter.account()
            load_cpu_s, rest_s = 0.0, cpu_accounts.STEP_S
            if self._before:
                load_cpu_s = cpu_accounts.spent_between(self._before[position], account).cpu_s
            if not meter.idle:
                rest_s = meter.habits.idle_s if self._before else cpu_accounts.IDLE_S
            watches.append(meter.watch(account, load_cpu_s=load_cpu_s, rest_s=rest_s))
        watch_all(self._meters, watches)
        for meter, watch in zip(self._meters, watches, strict=True):
            if not meter.idle:
                meter.learn(watch, is_after_load=bool(self._before))
            else:
                meter.is_at_rest = watch.is_at_rest

    def settle(self) -> None:
        watches = []
        for meter in self._meters:
            watch = meter.watch(meter.account(), rest_s=cpu_accounts.STEP_S, deadline_s=DRAIN_S)
            watches.append(watch)
        watch_all(self._meters, watches)
        self._ends = [watch.account for watch in watches]
        self._are_suspended = True
        self._on_each_process(psutil.Process.suspend)

    def resume(self) -> None:
        if self._are_suspended:
            self._are_suspended = False
            self._on_each_process(psutil.Process.resume)

    def await_rest(self) -> None:
        self._look_at_others()
        self.resume()
        watches = []
        for position, meter in enumerate(self._meters):
            now = meter.account()
            end = self._ends[position] if self._ends else now
            load_cpu_s = cpu_accounts.spent_between(self._before[position], end).cpu_s
            rest_s = meter.habits.rest_s
            watches.append(meter.watch(now, load_cpu_s=load_cpu_s, rest_s=rest_s))
        if not self._ends:
            self._ends = [watch.start for watch in watches]
        watch_all(self._meters, watches)
        for position, watch in enumerate(watches):
            self._take_in(position, watch)

    def _look_at_others(self) -> None:
        for other, before in zip(self._others, self._others_before, strict=True):
            spent = cpu_accounts.spent_between(before, other.account())
            cores = spent.cpu_s / spent.seconds
            if cores > MAX_BUSY_PARTNER * (len(self._cores) or core_count()):
                name = other.server.target.name
                self._busy_partner = BenchWarning.of(Kind.BUSY_PARTNER, name=name, cores=cores)

    def _take_in(self, position: int, watch: cpu_accounts.RestWatch) -> None:
        meter, before, end = self._meters[position], self._before[position], self._ends[position]
        idle = meter.idle or cpu_accounts.IdleUse()
        charge = cpu_accounts.charge_of(cpu_accounts.spent_between(before, end), idle)
        late = cpu_accounts.charge_of(cpu_accounts.spent_between(end, watch.account), idle)
        ending = dataclasses.replace(
            self._endings[position],
            idle_cpu_s=charge.idle_s,
            restless_cores=idle.restless_cores,
            late_cpu_s=0.0 if charge.polls else late.requests_s,
            polls=charge.polls,
            is_at_rest=watch.is_at_rest,
            had_backlog=not meter.is_at_rest,
            unseen_s=self._unseen_s[position],
        )
        self._endings[position] = ending
        self._uses.append(self._use(meter, charge.upper_s, before, end))
        meter.habits.take_gap(watch.gap_s)
        meter.is_at_rest = watch.is_at_rest
        meter.last = LastLoad(rest=watch.account, cpu_s=charge.upper_s)

    @staticmethod
    def _use(meter: CpuMeter, cpu_s: float, before: Account, after: Account) -> ServerUse | None:
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
        """`load_cpu_s` is what load generators used of these cores."""
        self.require_alive()
        own_cpu_s = load_cpu_s
        if not all(self._uses):
            own_cpu_s = math.inf  # of a foreign server it is not known: nobody else is blamed
        befores = [*self._before, *self._others_before]
        for meter, before in zip([*self._meters, *self._others], befores, strict=True):
            own_cpu_s += cpu_accounts.spent_between(before, meter.account()).cpu_s
        return ServerReading(
            uses=tuple(self._uses),
            endings=tuple(self._endings),
            busy_partner=self._busy_partner,
            disturbances=self._meter.disturbances(own_cpu_s),
            cores=len(self._cores) or core_count(),
            full_link=self._link_meter.full(),
        )
