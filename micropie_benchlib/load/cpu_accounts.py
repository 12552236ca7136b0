"""Whose CPU time it is: that of the requests, apart from what a server uses while it is idle.

The CPU time of the requests is what a server used from the start of the load until it was at
rest, less its idle use in that time. What never rests (a loop that polls, a process that burns
a core) is left out, unless that leaves next to nothing: then the server polls where it serves,
and all that it used during the load is an upper bound.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from micropie_benchlib.system.schedstat import Account, ThreadId, Times

STEP_S = 0.02
TRACE_S = 0.001  # of CPU time in a step, beyond idle use, that is still rest
TRACE_CORES = TRACE_S / STEP_S
BUSY_CORES = 0.5  # of a thread that is likely to be runnable at any moment, while idle
RESTLESS_SHARE = 0.9  # of the time that a thread runs or could run
POLLING_SHARE = 0.1  # of its CPU time is what a polling server has left without its polling
MATERIAL_SHARE = 0.05  # of the CPU time of a load matters,
MATERIAL_S = 0.02  # of work that was put off, if that is more
NEGLIGIBLE_SHARE = 0.01
OWN_RHYTHM = 3  # rests of like length, between work that no load has caused
IDLE_S = 0.5  # in which idle use is measured after a warm-up: uvicorn's period,
FIRST_IDLE_S = 2.0  # in the first launch of a target, to see whether it puts off work,
LONG_IDLE_S = 1.0  # and of a server that uses more than a trace
LIKE_BEFORE = 1.25  # times the idle use of earlier launches may be that of another
FIRST_REST_S = 0.5  # after the first trial of a target
RESTLESS_S = 5.0  # at most, until a server is at rest after a load
NO_TIMES = Times(0.0, 0.0)


def total(threads: Iterable[Times]) -> Times:
    cpu_s = delay_s = 0.0
    for times in threads:
        cpu_s += times.cpu_s
        delay_s += times.delay_s
    return Times(cpu_s, delay_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a server used in some seconds; `ended_s` is the CPU time of what has ended in them."""

    seconds: float
    threads: Mapping[ThreadId, Times]
    ended_s: float
    runnable: frozenset[ThreadId] = frozenset()  # at the end

    @property
    def cpu_s(self) -> float:
        return self.ended_s + total(self.threads.values()).cpu_s


def spent_between(before: Account, after: Account) -> Spent:
    """A process that has ended has left all of its CPU time to the one that waited for it."""
    threads = {}
    for thread, times in after.threads.items():
        earlier = before.threads.get(thread, NO_TIMES)
        cpu_s = max(0.0, times.cpu_s - earlier.cpu_s)
        threads[thread] = Times(cpu_s, max(0.0, times.delay_s - earlier.delay_s))
    total_s = 0.0
    for process, cpu_s in after.processes.items():
        total_s += cpu_s - before.processes.get(process, 0.0)
    inherited_s = 0.0
    for process, cpu_s in after.reaped.items():
        inherited_s += cpu_s - before.reaped.get(process, 0.0)
    for process, cpu_s in before.processes.items():
        if process not in after.processes:
            inherited_s -= cpu_s + before.reaped.get(process, 0.0)
    total_s += max(0.0, inherited_s)
    ended_s = total_s - total(threads.values()).cpu_s
    return Spent(
        seconds=after.at_s - before.at_s,
        threads=threads,
        ended_s=max(0.0, ended_s),
        runnable=after.runnable,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleThread:
    """A thread's CPU time while its server is idle: in each second, and the most in a step."""

    cores: float = 0.0
    burst_s: float = 0.0
    is_restless: bool = False

    def allowance_s(self, seconds: float) -> float:
        return max(self.cores * seconds, self.burst_s)

    def times(self, share: float) -> IdleThread:
        return dataclasses.replace(self, cores=share * self.cores, burst_s=share * self.burst_s)


NO_USE = IdleThread()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleUse:
    """What a server uses while it is idle; `ended` is of what comes and goes."""

    threads: Mapping[ThreadId, IdleThread] = field(default_factory=dict)
    ended: IdleThread = NO_USE
    seconds: float = 0.0

    @property
    def cores(self) -> float:
        return self.ended.cores + sum(thread.cores for thread in self.threads.values())

    @property
    def burst_s(self) -> float:
        """The most CPU time in a step, if all threads have theirs in one."""
        return self.ended.burst_s + sum(thread.burst_s for thread in self.threads.values())

    def is_busy(self, thread: ThreadId) -> bool:
        own = self.threads.get(thread, NO_USE)
        return own.is_restless or own.cores >= BUSY_CORES

    def at_most(self, cores: float) -> IdleUse:
        share = min(1.0, cores / self.cores) if self.cores else 1.0
        threads = {}
        for thread, own in self.threads.items():
            threads[thread] = own.times(share)
        return dataclasses.replace(self, threads=threads, ended=self.ended.times(share))

    def excess_s(self, step: Spent) -> float:
        excess_s = max(0.0, step.ended_s - self.ended.allowance_s(step.seconds))
        for thread, times in step.threads.items():
            idle = self.threads.get(thread, NO_USE)
            if not idle.is_restless:
                excess_s += max(0.0, times.cpu_s - idle.allowance_s(step.seconds))
        return excess_s

    @property
    def restless_cores(self) -> float:
        return sum(thread.cores for thread in self.threads.values() if thread.is_restless)


def length_s(steps: Iterable[Spent]) -> float:
    return sum(step.seconds for step in steps)


def idle_use(steps: Sequence[Spent]) -> IdleUse:
    seconds = length_s(steps)
    threads = {}
    for thread in steps[-1].threads:
        used = [step.threads.get(thread, NO_TIMES) for step in steps]
        cpu_s, delay_s = total(used)
        # A hypervisor that takes the core away is in neither: then only its state tells.
        booked_share = (cpu_s + delay_s) / seconds
        runnable_share = sum(thread in step.runnable for step in steps) / len(steps)
        is_restless = max(booked_share, runnable_share) >= RESTLESS_SHARE
        threads[thread] = IdleThread(
            cores=cpu_s / seconds,
            burst_s=max(times.cpu_s for times in used),
            is_restless=is_restless and booked_share >= BUSY_CORES,
        )
    ended = IdleThread(
        cores=sum(step.ended_s for step in steps) / seconds,
        burst_s=max(step.ended_s for step in steps),
    )
    return IdleUse(threads=threads, ended=ended, seconds=seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """CPU time by its cause: requests, idle use of threads that also work, what never rests."""

    requests_s: float
    idle_s: float
    restless_s: float

    @property
    def polls(self) -> bool:
        """Whether next to nothing is left without what never rests: then that serves."""
        total_s = self.requests_s + self.idle_s + self.restless_s
        return self.restless_s > 0 and self.requests_s < POLLING_SHARE * total_s

    @property
    def upper_s(self) -> float:
        own_s = self.idle_s + self.restless_s if self.polls else 0.0
        return self.requests_s + own_s


def charge_of(spent: Spent, idle: IdleUse) -> Charge:
    idle_s = min(spent.ended_s, idle.ended.cores * spent.seconds)
    restless_s = 0.0
    for thread, times in spent.threads.items():
        own = idle.threads.get(thread, NO_USE)
        if own.is_restless:
            restless_s += times.cpu_s
        else:
            idle_s += min(times.cpu_s, own.cores * spent.seconds)
    requests_s = spent.cpu_s - idle_s - restless_s
    return Charge(requests_s=requests_s, idle_s=idle_s, restless_s=restless_s)


def unexplained_s(late_cpu_s: float, *, load_cpu_s: float, requests: int, under_way: int) -> float:
    """Return the CPU time after a load that the requests under way at its end do not explain."""
    if not requests:
        return 0.0
    return max(0.0, late_cpu_s - under_way * load_cpu_s / requests)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What threads that work for requests did under load: those that rest while idle, if any.

    `threads` counts those with a tenth of the busiest's CPU time or more; `busiest_s` is how
    long one of them ran or could have run, at most.
    """

    seconds: float
    cpu_s: float
    delay_s: float
    threads: int
    busiest_s: float


def work_in(spent: Spent, idle: IdleUse) -> Work:
    is_polling = charge_of(spent, idle).polls
    counted = []
    for thread, times in spent.threads.items():
        if is_polling or not idle.threads.get(thread, NO_USE).is_restless:
            counted.append(times)
    most_s = max((times.cpu_s for times in counted), default=0.0)
    busy = [times for times in counted if times.cpu_s and times.cpu_s >= 0.1 * most_s]
    cpu_s, delay_s = total(counted)
    return Work(
        seconds=spent.seconds,
        cpu_s=spent.ended_s + cpu_s,
        delay_s=delay_s,
        threads=len(busy),
        busiest_s=max((sum(times) for times in counted), default=0.0),
    )


@dataclass(slots=True)
class Habits:
    """What was learned of a target's servers while they were idle, from launch to launch.

    `cores_seen` are those of each launch, `burst_s` is the most in a step. `gap_s` is how long
    they rested after a load before they went on with work that they had put off; 0 if they did
    not, None if not known.
    """

    cores_seen: list[float] = field(default_factory=list)
    burst_s: float = 0.0
    gap_s: float | None = None

    def take_idle(self, idle: IdleUse) -> IdleUse:
        """Return it without what remained of a load, which may be most of a short time.

        Launches differ by chance, so the limit follows from their median: the least would
        make all later ones too low.
        """
        if idle.seconds < LONG_IDLE_S and self.cores_seen:
            idle = idle.at_most(LIKE_BEFORE * self.cores)
        self.cores_seen.append(idle.cores)
        self.burst_s = max(self.burst_s, idle.burst_s)
        return idle

    @property
    def cores(self) -> float:
        return statistics.median(self.cores_seen) if self.cores_seen else 0.0

    @property
    def is_busy(self) -> bool:
        return self.burst_s >= BUSY_CORES * STEP_S

    def take_gap(self, gap_s: float) -> None:
        self.gap_s = max(self.gap_s or 0.0, gap_s)

    @property
    def rest_s(self) -> float:
        """How long a server must be at rest after a trial before it counts as done."""
        if self.gap_s is None:
            return FIRST_REST_S
        return min(RESTLESS_S, 1.5 * self.gap_s + STEP_S) if self.gap_s else STEP_S

    @property
    def idle_s(self) -> float:
        if self.gap_s is None:
            return FIRST_IDLE_S
        is_traceable = self.cores > TRACE_CORES
        return max(LONG_IDLE_S if is_traceable else IDLE_S, self.rest_s)

    def excess_s(self, step: Spent) -> float:
        """Return the CPU time in a step that earlier launches' idle use does not explain."""
        usual_s = max(self.cores * step.seconds, self.burst_s)
        return max(0.0, step.cpu_s - LIKE_BEFORE * usual_s)


class RestWatch:
    """Tells from one account after the other when a server is at rest after a load.

    That is once it has used no more than a trace beyond `excess_s` in a step, and in `rest_s`
    nothing that matters beside the load's `load_cpu_s`.
    """

    def __init__(
        self,
        start: Account,
        excess_s: Callable[[Spent], float],
        *,
        rest_s: float,
        load_cpu_s: float,
        deadline_s: float = RESTLESS_S,
    ) -> None:
        self.start = self.account = start
        self.rest_s = rest_s
        self._deadline_s = deadline_s
        self.steps: list[Spent] = []
        self._excess_s = excess_s
        self._excesses: list[float] = []
        self._load_cpu_s = load_cpu_s
        self._waits: list[bool] = []

    def take(self, account: Account, *, is_waiting: bool = False) -> None:
        """What a thread that waits for a core is to do is not known yet: that is no rest."""
        step = spent_between(self.account, account)
        self.account = account
        self.steps.append(step)
        excess_s = self._excess_s(step)
        trace_s = TRACE_S * max(1.0, step.seconds / STEP_S)
        self._excesses.append(excess_s if excess_s >= trace_s else 0.0)
        self._waits.append(is_waiting)

    @property
    def seconds(self) -> float:
        return length_s(self.steps)

    @property
    def is_at_rest(self) -> bool:
        if self.seconds < self.rest_s or self._excesses[-1]:
            return False
        count = len(self._last_steps(self.rest_s))
        least_s = max(TRACE_S, NEGLIGIBLE_SHARE * self._load_cpu_s)
        return sum(self._excesses[-count:]) < least_s

    @property
    def is_over(self) -> bool:
        return self.seconds > self._deadline_s or (self.is_at_rest and not self._waits[-1])

    def _last_steps(self, seconds: float) -> list[Spent]:
        count, counted_s = 0, 0.0
        for step in reversed(self.steps):
            if counted_s >= seconds:
                break
            count += 1
            counted_s += step.seconds
        return self.steps[-count:]

    @property
    def gap_s(self) -> float:
        """How long it rested before it did work that it had put off; 0 if it did not."""
        return length_s(self._rest_before_late_work())

    @property
    def idle_steps(self) -> list[Spent]:
        if self.is_at_rest:
            return self._last_steps(self.rest_s)
        return self._rest_before_late_work() or self._last_steps(LONG_IDLE_S)

    def _rest_before_late_work(self) -> list[Spent]:
        """Return the steps of the longest rest before work that matters; none if there is none.

        A server that rests again and again as long, or worked as much before that for longer
        than it rested, has work of its own, and put off nothing.
        """
        rests = self._rests()
        if not rests:
            return []
        longest = max(rests, key=len)
        late_s = sum(self._excesses[longest.stop :])
        earlier_s = sum(self._excesses[: longest.start])
        alike = [rest for rest in rests if 2 * len(rest) >= len(longest)]
        later_share = late_s / (len(self.steps) - longest.stop)
        worked_before = longest.start > len(longest) and earlier_s / longest.start > later_share / 2
        is_material = late_s > max(MATERIAL_S, MATERIAL_SHARE * self._load_cpu_s)
        if not is_material or worked_before or len(alike) >= OWN_RHYTHM:
            return []
        return self.steps[longest.start : longest.stop]

    def _rests(self) -> list[range]:
        """Steps in which a thread only waited for a core are none, and end none."""
        rests = []
        quiet: list[int] = []
        for number, excess_s in enumerate(self._excesses):
            if excess_s and quiet:
                rests.append(range(quiet[0], quiet[-1] + 1))
                quiet = []
            elif not excess_s and not self._waits[number]:
                quiet.append(number)
        return rests
