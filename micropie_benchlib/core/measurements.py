"""What one trial measured of one target."""

import itertools
from dataclasses import dataclass

from micropie_benchlib.core import values
from micropie_benchlib.core.choices import Limit, Method
from micropie_benchlib.core.loads import LoadId, open_connections
from micropie_benchlib.core.warnings import BenchWarning

ROUNDING = 0.01  # of figures that wrk prints with two decimals, as a share; 0.6% at most
Histogram = tuple[tuple[int, int], ...]  # (latency in microseconds, count), ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Latencies of one wrk run; None where a text report does not tell.

    The histogram is known while the run lasts, and is not saved.
    """

    mean_s: values.Seconds
    stdev_s: values.Seconds
    max_s: values.Seconds
    p50_s: values.Seconds | None = None
    p75_s: values.Seconds | None = None
    p90_s: values.Seconds | None = None
    p99_s: values.Seconds | None = None
    p99_9_s: values.Seconds | None = None
    histogram: Histogram = ()

    def __post_init__(self) -> None:
        """wrk rounds the figures of its text each by itself, hence the leeway."""
        most_s = self.max_s * (1 + ROUNDING)
        if self.mean_s > most_s or self.stdev_s > most_s:
            raise ValueError("the mean or the deviation is above the maximum")
        percentiles = (self.p50_s, self.p75_s, self.p90_s, self.p99_s, self.p99_9_s, self.max_s)
        known = [seconds for seconds in percentiles if seconds is not None]
        for lower, higher in itertools.pairwise(known):
            if lower > higher * (1 + ROUNDING):
                raise ValueError("a percentile is above a higher one, or above the maximum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """wrk's counts of what went wrong.

    Sockets that failed to connect, read or write; statuses above 399, or where such a one
    is expected those below 400; answers that came too late.
    """

    connect: values.Count = 0
    read: values.Count = 0
    write: values.Count = 0
    status: values.Count = 0
    timeout: values.Count = 0

    @property
    def total(self) -> int:
        sockets = self.connect + self.read + self.write
        return sockets + self.status + self.timeout


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalRate:
    """How a load at a rate was offered.

    `offered` requests were scheduled in the trial's time. `answered_per_s` are those answered
    in it, over that time; what is under way at its end is answered later, and counts in all else.
    wrk itself was `late` by that much with requests for which a connection was free.
    """

    offered: values.Count
    offered_per_s: values.Rate
    answered_per_s: values.Rate
    late_p50_s: values.Seconds = 0.0
    late_p99_s: values.Seconds = 0.0
    late_max_s: values.Seconds = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrkResult:
    """What one wrk run reports.

    `duration_s` is the time that wrk measured itself, `load_cpu_s` the CPU time that it
    used. `latency` has wrk's correction for coordinated omission in it;
    `latency_uncorrected` is as measured. A text report tells neither that nor the CPU
    time. Both are None where wrk timed no request, as when each came too late.

    A load at a rate has an `arrival_rate`. Its `latency` counts from the time at which a
    request was scheduled (G. Tene, "How NOT to Measure Latency", 2013), `latency_uncorrected` from
    when it was sent, and `duration_s` is until the server had caught up.
    """

    duration_s: values.Seconds
    requests: values.Count
    bytes: values.Count
    requests_per_s: values.Rate
    bytes_per_s: values.Rate
    latency: Latency | None = None
    errors: Errors
    latency_uncorrected: Latency | None = None
    load_cpu_s: values.Seconds | None = None
    arrival_rate: ArrivalRate | None = None

    @property
    def contradiction(self) -> str | None:
        rates = {
            "requests": (self.requests_per_s, self.requests),
            "bytes": (self.bytes_per_s, self.bytes),
        }
        for unit, (rate, count) in rates.items():
            # Both are rounded, and a rate has two decimals.
            leeway = 2 * ROUNDING * count + ROUNDING * self.duration_s
            if abs(rate * self.duration_s - count) > leeway:
                return unit
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUse:
    """What a server used in one trial.

    CPU time of its process tree; each process's peak resident memory, summed.
    `worker_balance` is the least CPU time of a worker over the most: 1 is a load shared
    evenly. `idle_cores` is the CPU time in each second that it used before the load, which is
    not in the other.
    """

    server_cpu_s: values.Seconds
    server_rss_bytes: values.Count
    worker_balance: values.Share | None = None
    idle_cores: values.Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one trial yielded of one target.

    An `invalid` one is shown with the reasons, but left out of the statistics. Nothing was
    observed where `wrk` is None; of somebody else's server `use` is not known.
    `partner` is the other target of a paired trial. `connections_opened` counts all that were
    opened on this machine meanwhile, of a single trial. It may have `warnings` and be valid.
    In a search for a capacity, so many requests were `over_limit`: they took longer.
    """

    round: values.Ordinal
    method: Method
    target: values.Name
    load: LoadId
    threads: values.Positive
    partner: values.Name | None = None
    wrk: WrkResult | None = None
    use: ServerUse | None = None
    limited_by: Limit | None = None
    connections_opened: values.Count | None = None
    over_limit: values.Count | None = None
    report: str = ""
    warnings: tuple[BenchWarning, ...] = ()
    invalid: tuple[BenchWarning, ...] = ()

    def __post_init__(self) -> None:
        if self.valid and not (self.wrk and self.wrk.requests):
            raise ValueError("a trial without requests cannot be valid")
        if (self.method is Method.PAIRED) != (self.partner is not None):
            raise ValueError("a paired trial has a partner, and a single trial none")
        if self.partner == self.target:
            raise ValueError("a target cannot be its own partner")

    @property
    def valid(self) -> bool:
        return not self.invalid

    @property
    def open_connections(self) -> int:
        return open_connections(self.load.connections, threads=self.threads)

    @property
    def requests_per_s(self) -> float | None:
        return self.wrk.requests_per_s if self.wrk else None

    @property
    def latency(self) -> Latency | None:
        return self.wrk.latency if self.wrk else None

    @property
    def latency_p50_s(self) -> float | None:
        return self.latency.p50_s if self.latency else None

    @property
    def latency_p99_s(self) -> float | None:
        return self.latency.p99_s if self.latency else None

    @property
    def latency_p99_9_s(self) -> float | None:
        return self.latency.p99_9_s if self.latency else None

    @property
    def server_cpu_per_request_s(self) -> float | None:
        if not self.use or not self.wrk or not self.wrk.requests:
            return None
        return self.use.server_cpu_s / self.wrk.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The highest rate at which a target kept the limit of its p99 latency, in one launch.

    It is the (geometric) mean of the highest rate that was tried and kept, and the lowest
    that was not. None where it is not known, for the `reasons`. The load is the one without
    a rate.
    """

    round: values.Ordinal
    target: values.Name
    load: LoadId
    p99_limit_s: values.Seconds
    rate_per_s: values.PositiveRate | None = None
    reasons: tuple[BenchWarning, ...] = ()
