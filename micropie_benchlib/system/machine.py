"""The machine's CPU times, and what disturbed it."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psutil

from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.system.control_groups import cpu_groups

MAX_STOLEN = 0.05  # of the machine's time, by the hypervisor


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTimes:
    total_s: float = 0.0
    busy_s: float = 0.0  # at work for processes
    steal_s: float = 0.0  # by the hypervisor
    throttled: int = 0  # how often this control group's CPU quota stopped it

    def stolen_share(self, before: MachineTimes) -> float:
        return (self.steal_s - before.steal_s) / self._passed_s(before)

    def _passed_s(self, before: MachineTimes) -> float:
        return self.total_s - before.total_s or 1.0

    def disturbances(self, before: MachineTimes, *, own_cpu_s: float) -> list[BenchWarning]:
        stolen = self.stolen_share(before)
        others_s = self.busy_s - before.busy_s - own_cpu_s
        elsewhere = others_s / self._passed_s(before)
        warnings = []
        if stolen > MAX_STOLEN:
            warnings.append(BenchWarning.of(Kind.STOLEN, share=stolen))
        if elsewhere > 0.1:
            warnings.append(BenchWarning.of(Kind.NEIGHBOURS, share=elsewhere))
        if self.throttled > before.throttled:
            warnings.append(BenchWarning.of(Kind.THROTTLED))
        return warnings


TIME_KINDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")


def machine_times() -> MachineTimes:
    times = psutil.cpu_times()
    return MachineTimes(
        total_s=sum(getattr(times, kind, 0.0) for kind in TIME_KINDS),
        busy_s=times.user + getattr(times, "nice", 0.0) + times.system,
        steal_s=getattr(times, "steal", 0.0),
        throttled=cpu_groups().throttled,
    )


def wall_clock_lead_s() -> float:
    """Return how far the clock is ahead of the monotonic one: constant, unless it is set."""
    return time.time() - time.monotonic()


class MachineMeter:
    def __init__(self) -> None:
        self._before = machine_times()
        self._own_before_s = time.process_time()

    def disturbances(self, spent_s: float) -> tuple[BenchWarning, ...]:
        own_cpu_s = time.process_time() - self._own_before_s + spent_s
        return tuple(machine_times().disturbances(self._before, own_cpu_s=own_cpu_s))
