"""Whether the load generator was the limit, and how the cores were shared."""

from dataclasses import dataclass

from micropie_benchlib.core.choices import Limit
from micropie_benchlib.core.warnings import BenchWarning, Kind

FULL_SHARE = 0.9  # of cores that have no idle time
BUSY_SHARE = 0.75  # of cores that have little


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreUse:
    """CPU seconds per second of a trial, and the cores that they could be spent on.

    `server_cpu` is None where the server is somebody else's, `shared_cores` 0 if each side has
    its own. The delays are of threads that could have run while others had the cores; `busiest`
    is the share of the time in which one of the server's ran or could have run, at most.
    """

    load_cpu: float
    load_cores: int
    server_cpu: float | None
    server_cores: int
    shared_cores: int
    load_delay: float = 0.0
    server_delay: float = 0.0
    busiest: float = 0.0

    @property
    def limited_by(self) -> Limit | None:
        """What limited the trial's throughput; None if that cannot be told.

        Neither, if the server mostly slept; on shared cores together with wrk, since two that
        wait for one another leave some. Neighbours never are the limit: they do not make
        anybody sleep.
        """
        load_is_full = self.load_cpu >= FULL_SHARE * self.load_cores
        if self.server_cpu is None:
            return Limit.LOAD_GENERATOR if load_is_full else None
        load_share = self.load_cpu / self.load_cores
        server_share = self.server_cpu / self.server_cores
        if server_share >= FULL_SHARE:
            return Limit.SERVER_CPU
        if load_is_full:
            return Limit.LOAD_GENERATOR
        used = self.server_cpu + self.load_cpu
        if self.shared_cores and used >= FULL_SHARE * self.shared_cores:
            return Limit.LOAD_GENERATOR if load_share > server_share else Limit.SERVER_CPU
        awake_share = min(1.0, (self.server_cpu + self.server_delay) / self.server_cores)
        if self.shared_cores:
            awake_share += min(1.0, (self.load_cpu + self.load_delay) / self.load_cores)
        is_awake = max(awake_share, self.busiest) >= BUSY_SHARE
        return Limit.SERVER_CPU if is_awake else Limit.NEITHER

    @property
    def saturation(self) -> BenchWarning | None:
        if self.limited_by is not Limit.LOAD_GENERATOR:
            return None
        load = {"load_cpu": self.load_cpu, "load_cores": self.load_cores}
        if self.server_cpu is None:
            return BenchWarning.of(Kind.SATURATED_FOREIGN, **load)
        return BenchWarning.of(
            Kind.SATURATED, **load, server_cpu=self.server_cpu, server_cores=self.server_cores
        )
