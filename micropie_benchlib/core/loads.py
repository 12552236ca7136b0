"""What wrk is told to do, what tells loads apart, and when the requests at a rate are scheduled."""

from __future__ import annotations

import array
import dataclasses
import math
import random
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
        return dataclasses.replace(self, rate_per_s=None)

    @property
    def text(self) -> str:
        connections = pluralize(self.connections, "connection")
        if self.rate_per_s:
            return f"{connections} at {format_rate(self.rate_per_s)}"
        return connections

    @property
    def in_full(self) -> str:
        return f"{self.text}, {self.workload}"

    @property
    def sentence(self) -> str:
        """The load in words, without the name of the gist's own request."""
        return self.text if self.workload == DEFAULT_WORKLOAD else self.in_full

    @property
    def title(self) -> str:
        return self.sentence.replace(" connection", " Connection", 1)


def open_connections(connections: int, *, threads: int) -> int:
    """Each thread opens the whole part of its share; of fewer in a report, all are open."""
    return connections // threads * threads or connections


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk is told to do.

    It takes whole seconds only. Without a rate each connection asks again as soon as it has its
    answer. With one, requests are scheduled at times that are drawn before, by the
    `schedule_seed`.
    """

    connections: int
    threads: int
    duration_s: int
    workload: Workload = WORKLOADS[DEFAULT_WORKLOAD]
    rate_per_s: float | None = None
    schedule_seed: int = 0

    @property
    def id(self) -> LoadId:
        return LoadId(
            workload=self.workload.name, connections=self.connections, rate_per_s=self.rate_per_s
        )

    @property
    def wrk_threads(self) -> int:
        """At a rate each connection has a thread of its own."""
        return self.connections if self.rate_per_s else min(self.threads, self.connections)

    @property
    def open_connections(self) -> int:
        return open_connections(self.connections, threads=self.wrk_threads)

    @property
    def without_rate(self) -> Load:
        return dataclasses.replace(self, rate_per_s=None)

    @property
    def request_count(self) -> int:
        return round((self.rate_per_s or 0) * self.duration_s)

    def arrival_times(self) -> array.array[float]:
        """Return when the requests at a rate are scheduled, in seconds from the start, ascending.

        So many independent uniform times are a Poisson process, given its count: requests of
        users who know nothing of one another.
        """
        draw = random.Random(self.schedule_seed)  # noqa: S311  # nothing secret
        times = [draw.random() * self.duration_s for _ in range(self.request_count)]
        return array.array("d", sorted(times))


MIN_REQUESTS = 20  # of a trial at a rate
MAX_REQUESTS = 2_000_000  # likewise: each takes memory, here and in wrk
LONGEST_REST_S = 2.0  # of a connection; gunicorn closes one after that, uvicorn after 5 s


def lowest_rate_per_s(load: Load) -> float:
    """Return the lowest rate at which a trial of the load tells something (rate_problem)."""
    return max(MIN_REQUESTS / load.duration_s, load.connections / LONGEST_REST_S)


def rate_problem(load: Load) -> str | None:
    """Return why a trial at the load's rate would tell nothing."""
    rate_per_s, count = load.rate_per_s, load.request_count
    if rate_per_s is None:
        return None
    rate = format_rate(rate_per_s)
    if count < MIN_REQUESTS:
        return (
            f"{rate} are {pluralize(count, 'request')} in a trial of {load.duration_s} s: "
            f"use -d {math.ceil(MIN_REQUESTS / rate_per_s)}s or longer"
        )
    if count > MAX_REQUESTS:
        return f"{rate} are {count:,} requests in a trial of {load.duration_s} s: use a shorter -d"
    most_connections = math.floor(rate_per_s * LONGEST_REST_S)
    if load.connections > most_connections:
        return (
            f"{rate} leave each of {load.connections} connections idle for "
            f"{load.connections / rate_per_s:.1f} s, and servers close idle ones: "
            f"use -c {most_connections} or fewer"
        )
    return None
