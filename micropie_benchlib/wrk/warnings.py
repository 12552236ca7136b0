"""What wrk's own figures say against a trial, or against somebody else's report."""

import dataclasses

from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.requests import FIRST_ERROR_STATUS
from micropie_benchlib.core.text import parse_duration
from micropie_benchlib.core.warnings import BenchWarning, Kind

MIN_BUSY, MAX_BUSY = 0.85, 1.15  # connections for each open one; beyond it something is odd


def expects_error(expected: int | None) -> bool:
    return expected is not None and expected >= FIRST_ERROR_STATUS


def with_unexpected_statuses(wrk: WrkResult, expected: int | None) -> WrkResult:
    """wrk itself counts statuses above 399, and tells no more of them."""
    if not expects_error(expected):
        return wrk
    errors = dataclasses.replace(wrk.errors, status=wrk.requests - wrk.errors.status)
    return dataclasses.replace(wrk, errors=errors)


def error_warnings(
    wrk: WrkResult, *, connections: int, expect_status: int | None = None
) -> list[BenchWarning]:
    kinds = {
        Kind.CONNECT_ERRORS: wrk.errors.connect,
        Kind.READ_ERRORS: wrk.errors.read,
        Kind.WRITE_ERRORS: wrk.errors.write,
        Kind.TIMEOUTS: wrk.errors.timeout,
    }
    warnings = [BenchWarning.of(kind, count=count) for kind, count in kinds.items() if count]
    counts = {"count": wrk.errors.status, "requests": wrk.requests}
    if wrk.errors.status and expects_error(expect_status):
        warnings.append(
            BenchWarning.of(Kind.SUCCESSES, **counts, expected_status=expect_status or 0)
        )
    elif wrk.errors.status:
        warnings.append(BenchWarning.of(Kind.STATUS_ERRORS, **counts))
    if wrk.requests < connections:
        warnings.append(
            BenchWarning.of(Kind.FEW_REQUESTS, requests=wrk.requests, connections=connections)
        )
    return warnings


def report_warnings(wrk: WrkResult, *, connections: int, asked: str) -> list[BenchWarning]:
    """They do not invalidate it: how it was measured, and what was expected there, is not known."""
    warnings = error_warnings(wrk, connections=connections)
    if wrk.requests and wrk.latency is None:
        warnings.append(BenchWarning.of(Kind.NO_LATENCY))
    if wrk.contradiction:
        warnings.append(BenchWarning.of(Kind.CONTRADICTION, unit=wrk.contradiction))
    asked_s = parse_duration(asked)
    rounded_s = 30 if asked.endswith("m") else 0  # wrk prints 2m of 90s (units.c)
    least_s, most_s = asked_s - rounded_s, asked_s + rounded_s
    if not 0.95 * least_s <= wrk.duration_s <= 1.05 * most_s + 1:
        warnings.append(
            BenchWarning.of(Kind.OTHER_DURATION, duration_s=wrk.duration_s, asked_s=asked_s)
        )
    if warnings or wrk.latency is None:
        return warnings
    busy = wrk.requests_per_s * wrk.latency.mean_s
    if busy > MAX_BUSY * connections:
        return [BenchWarning.of(Kind.CORRECTED_LATENCY, busy=busy, open=connections)]
    if busy < MIN_BUSY * connections:
        return [BenchWarning.of(Kind.IDLE_CONNECTIONS, busy=busy, open=connections)]
    return []
