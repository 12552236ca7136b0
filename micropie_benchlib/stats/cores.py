"""Whether the load generator was the limit, and how the cores were shared."""

from __future__ import annotations

from dataclasses import dataclass

from micropie_benchlib.core.choices import Limit
from micropie_benchlib.core.warnings import BenchWarning, Kind

FULL_SHARE = 0.9  # of cores that have no idle time
BUSY_SHARE = 0.75  # of cores that have little


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreUse:
    """CPU seconds per second of a trial, and the cores that they could be spent on.

    `server_cpu` is None where the server is somebody else's. `server_cores` counts no more
    than the threads that worked. `shared_cores` counts the cores that load generator and
    server share; 0 if each has its own. The delays are seconds per second in which threads
    could have run and others had the cores; `busiest` is the share of the time in which one of the
    server's ran or could have run, at most.
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

        - The load generator, if it used 90% of its cores and the server did not.
        - The server's CPU, if it used 90% of the cores that its threads could use.
        - Where the two used 90% of the cores that they share, whichever used more of those
          it could use.
        - Neither, if the server mostly slept: its threads ran, or could have run, in less than
          75% of the time, and so did each; on shared cores, together with wrk's, since two
          processes that wait for one another leave some.
        - The server's CPU otherwise.

        So neighbours never are the limit: they do not make anybody sleep.
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
        """That the trial does not show the server, if the load generator was the limit."""
        if self.limited_by is not Limit.LOAD_GENERATOR:
            return None
        load = {"load_cpu": self.load_cpu, "load_cores": self.load_cores}
        if self.server_cpu is None:
            return BenchWarning.of(Kind.SATURATED_FOREIGN, **load)
        return BenchWarning.of(
            Kind.SATURATED, **load, server_cpu=self.server_cpu, server_cores=self.server_cores
        )
