"""Whether a trial measured the server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.core.errors import short_repr
from micropie_benchlib.core.estimates import Interval
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.requests import Response
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.compare import has_few_responses
from micropie_benchlib.wrk.warnings import MAX_BUSY, MIN_BUSY


def littles_law(wrk: WrkResult, load: Load) -> BenchWarning | None:
    """Busy connections are throughput x mean latency; more than open ones is impossible."""
    if wrk.latency_uncorrected is None:
        return None
    opened = load.open_connections
    busy = wrk.requests_per_s * wrk.latency_uncorrected.mean_s
    if busy > MAX_BUSY * opened:
        return BenchWarning.of(Kind.EXTRA_RESPONSES, busy=busy, open=opened)
    if busy >= MIN_BUSY * opened:
        return None
    if has_few_responses(wrk, opened):
        count = wrk.requests / opened
        return BenchWarning.of(Kind.CUT_OFF, per_connection=count, loss=1 / count)
    return BenchWarning.of(Kind.IDLE_CONNECTIONS, busy=busy, open=opened)


def kept_open(wrk: WrkResult, opened: int | None) -> BenchWarning | None:
    if opened is None or opened >= 0.9 * wrk.requests:
        return None
    return BenchWarning.of(Kind.KEPT_OPEN, requests=wrk.requests, opened=opened)


def too_slow(target: str, load: Load, responses: Sequence[Response]) -> BenchWarning | None:
    """Return that each response took longer than wrk waits for it, or than a trial."""
    took_s = min(response.took_s for response in responses)
    limits_s = {"--duration": load.duration_s, "--timeout": load.workload.timeout_s}
    exceeded = []
    for option, limit_s in limits_s.items():
        if took_s > limit_s:
            exceeded.append(option)
    if not exceeded:
        return None
    return BenchWarning.of(
        Kind.TOO_SLOW,
        target=target,
        request=load.workload.request_line,
        took_s=took_s,
        options=" and ".join(exceeded),
    )


MIN_CONNECTIONS = 4  # fewer begin with the same body by chance, where it varies


def changes_on_connection(
    target: str, load: Load, connections: Sequence[Sequence[Response]]
) -> BenchWarning | None:
    """Return that the body depends on how often a connection was used.

    All begin with the same one, and each has others alone from the same position on: else it
    varies by nature. Nearly all responses of a trial are later ones.
    """
    bodies = []
    for connection in connections:
        bodies.append([response.body_sha256 for response in connection])
    first = bodies[0][0]
    position = max(each.count(first) for each in bodies)
    later: list[Response] = []
    for connection in connections:
        later.extend(connection[position:])
    if len(connections) < MIN_CONNECTIONS or not later:
        return None
    for each in bodies:
        if set(each[:position]) != {first}:
            return None
    before = connections[0][0]
    return BenchWarning.of(
        Kind.CHANGES_ON_CONNECTION,
        target=target,
        request=load.workload.request_line,
        number=position + 1,
        first=short_repr(before.excerpt),
        first_bytes=before.body_bytes,
        later=short_repr(later[0].excerpt),
        bytes=later[0].body_bytes,
    )


LONGEST_SILENCE_S = 1.0  # of a connection whose server still responds
CLOCK_TOLERANCE_S = 0.01  # beyond the 0.1% by which a clock may be slewed


def silent_connections(
    silences_s: Sequence[float], wrk: WrkResult, load: Load
) -> BenchWarning | None:
    """Return how many connections had no response for long when the trial ended.

    wrk counts no error where a response never comes. Silent is one that received nothing for
    over twice the longest latency, and over 1 s or half the trial.
    """
    latency = wrk.latency_uncorrected or wrk.latency
    longest_s = latency.max_s if latency else 0.0
    least_s = min(LONGEST_SILENCE_S, load.duration_s / 2)
    limit_s = max(least_s, 2 * longest_s)
    silent = [age_s for age_s in silences_s if age_s > limit_s]
    if not silent:
        return None
    return BenchWarning.of(
        Kind.SILENT_CONNECTIONS,
        silent=len(silent),
        open=load.open_connections,
        silence_s=min(silent),
    )


LATE_SHARE = 0.25  # of a p99 latency


def generator_is_late(wrk: WrkResult, within_s: float) -> bool:
    return wrk.arrival_rate is not None and wrk.arrival_rate.late_p99_s > LATE_SHARE * within_s


def late_generator(wrk: WrkResult) -> BenchWarning | None:
    p99_s = wrk.latency.p99_s if wrk.latency else None
    if wrk.arrival_rate is None or p99_s is None or not generator_is_late(wrk, p99_s):
        return None
    return BenchWarning.of(Kind.LATE_GENERATOR, late_p99_s=wrk.arrival_rate.late_p99_s, p99_s=p99_s)


def clock_set(step_s: float, duration_s: float) -> BenchWarning | None:
    """`step_s` is how much further wrk's clock went than the monotonic one."""
    if abs(step_s) <= CLOCK_TOLERANCE_S + 0.001 * duration_s:
        return None
    return BenchWarning.of(Kind.CLOCK_SET, step_s=step_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseSizes:
    """Sizes of responses to single requests, in bytes on the wire.

    Where the body varies by nature, `least` and `most` differ, and others may be as far again
    beyond them, twice over. `body` is the smallest body.
    """

    least: int
    most: int
    body: int

    @classmethod
    def of(cls, responses: Sequence[Response]) -> ResponseSizes:
        sizes = [response.bytes for response in responses]
        bodies = [response.body_bytes for response in responses]
        return cls(least=min(sizes), most=max(sizes), body=min(bodies))

    @property
    def possible(self) -> Interval:
        spread = self.most - self.least
        return Interval(max(1, self.least - 2 * spread), self.most + 2 * spread)

    def change(self, wrk: WrkResult, load: Load) -> BenchWarning | None:
        """Return how the mean size under load differs from the checked ones.

        SIZE_CHANGED: it is off by 10%, or half of the bodies are missing. SIZE_DIFFERS: by 1%.
        wrk counts the bytes of responses that were under way at the end: one for each
        connection at most.
        """
        if not wrk.requests:
            return None
        mean = wrk.bytes / wrk.requests
        low = self.possible.low
        high = self.possible.high * (1 + load.open_connections / wrk.requests)
        kind = Kind.SIZE_CHANGED
        if max(0.9 * low, low - self.body / 2) <= mean <= 1.1 * high:
            kind = Kind.SIZE_DIFFERS
            if 0.99 * low <= mean <= 1.01 * high:
                return None
        return BenchWarning.of(
            kind, mean_bytes=mean, checked_bytes_min=self.least, checked_bytes_max=self.most
        )

    def is_like(self, response: Response) -> bool:
        return 0.9 * self.possible.low <= response.bytes <= 1.1 * self.possible.high
