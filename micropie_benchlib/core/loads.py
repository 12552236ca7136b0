"""What wrk is told to do, and what tells loads apart."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from micropie_benchlib.core.requests import DEFAULT_WORKLOAD, WORKLOADS, Workload
from micropie_benchlib.core.text import format_rate, pluralize
from micropie_benchlib.core.values import Connections, Name, PositiveRate


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadId:
    """What tells the loads of a run apart."""

    workload: Name
    connections: Connections
    rate_per_s: PositiveRate | None = None

    @property
    def without_rate(self) -> LoadId:
        """The same load, but as fast as the server answers."""
        return dataclasses.replace(self, rate_per_s=None)

    @property
    def pace(self) -> str:
        """The connections in words, and the rate if there is one."""
        connections = pluralize(self.connections, "connection")
        if self.rate_per_s:
            return f"{connections} at {format_rate(self.rate_per_s)}"
        return connections

    @property
    def in_full(self) -> str:
        """All of the load in words."""
        return f"{self.pace}, {self.workload}"

    @property
    def sentence(self) -> str:
        """The load in words. The gist's own request goes without saying."""
        return self.pace if self.workload == DEFAULT_WORKLOAD else self.in_full

    @property
    def title(self) -> str:
        """The load as a heading, as in the gist."""
        return self.sentence.replace(" connection", " Connection", 1)


def open_connections(connections: int, *, threads: int) -> int:
    """Return how many connections wrk opens: each thread the whole part of its share.

    All of them where somebody else's report has fewer than threads.
    """
    return connections // threads * threads or connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk is told to do. It takes whole seconds only.

    Without a rate each connection asks again as soon as it has its answer. With one,
    requests are due at moments that are drawn before, by the `schedule_seed`.
    """

    connections: int
    threads: int
    duration_s: int
    workload: Workload = WORKLOADS[DEFAULT_WORKLOAD]
    rate_per_s: float | None = None
    schedule_seed: int = 0

    @property
    def id(self) -> LoadId:
        """What tells this load from others of the run."""
        return LoadId(
            workload=self.workload.name, connections=self.connections, rate_per_s=self.rate_per_s
        )

    @property
    def wrk_threads(self) -> int:
        """How many threads wrk is given; at a rate each connection has one of its own."""
        return self.connections if self.rate_per_s else min(self.threads, self.connections)

    @property
    def open_connections(self) -> int:
        """How many connections wrk opens."""
        return open_connections(self.connections, threads=self.wrk_threads)

    @property
    def without_rate(self) -> Load:
        """The same load, but as fast as the server answers."""
        return dataclasses.replace(self, rate_per_s=None)
