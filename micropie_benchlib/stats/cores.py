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
    server share; 0 if each has its own. `busy_share` is the share of the servers' cores
    that was not idle, whoever used them; None if not known.
    """

    load_cpu: float
    load_cores: int
    server_cpu: float | None
    server_cores: int
    shared_cores: int
    busy_share: float | None = None

    @property
    def limited_by(self) -> Limit | None:
        """What limited the trial's throughput; None if that cannot be told.

        - The load generator, if it used 90% of its cores and the server did not.
        - The server's CPU, if it used 75% of the cores that its threads could use, or if 75%
          of its cores' time was used: two processes that wait for one another leave some.
        - Where 90% was used, whichever of the two used more of those cores it could use.
        - Neither, if there was more idle time: the server waited.
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
        used_share = self._used_share(self.server_cpu)
        if used_share >= FULL_SHARE and self.shared_cores and load_share > server_share:
            return Limit.LOAD_GENERATOR
        is_busy = max(server_share, used_share) >= BUSY_SHARE
        return Limit.SERVER_CPU if is_busy else Limit.NEITHER

    def _used_share(self, server_cpu: float) -> float:
        """Return the share of the server's cores that was used, if these two took part in it.

        Neighbours may fill the cores while a server sleeps.
        """
        cores = self.shared_cores or self.server_cores
        used = server_cpu + (self.load_cpu if self.shared_cores else 0)
        if self.busy_share is None:
            return used / cores
        return self.busy_share if used >= 0.25 * cores else 0.0

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
