"""Whether a trial measured the server: connections, lateness, clocks."""

from __future__ import annotations

from collections.abc import Sequence

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.text import format_latency
from micropie_benchlib.stats.compare import has_few_answers
from micropie_benchlib.wrk.report_notes import MAX_BUSY, MIN_BUSY


def little_reason(wrk: WrkResult, load: Load) -> str | None:
    """Return why more connections were busy than were open, by 15%: that is impossible.

    By Little's law the busy ones are throughput x mean latency as measured.
    """
    busy = busy_connections(wrk)
    if busy is None or busy <= MAX_BUSY * load.open_connections:
        return None
    return (
        f"by Little's law {busy:.0f} connections were busy, and only {load.open_connections} open: "
        "answers came that nobody had asked for (an interim one, such as 103, counts as one), "
        "or the clock was set"
    )


def little_note(wrk: WrkResult, load: Load) -> str | None:
    """Return a note if fewer connections were busy than open, by 15%."""
    busy = busy_connections(wrk)
    if busy is None or busy >= MIN_BUSY * load.open_connections:
        return None
    if has_few_answers(wrk, load.open_connections):
        count = wrk.requests / load.open_connections
        return (
            f"each connection had {count:.1f} answers in this trial, and one that was cut off does "
            f"not count: requests/s are up to {1 / count:.0%} too low"
        )
    return (
        f"by Little's law {busy:.0f} of {load.open_connections} connections were busy: "
        "wrk was kept waiting for the CPU or for new connections, or the last answers were late"
    )


def busy_connections(wrk: WrkResult) -> float | None:
    """Return how many connections waited for an answer, on average; None if not known."""
    if wrk.latency_uncorrected is None:
        return None
    return wrk.requests_per_s * wrk.latency_uncorrected.mean_s


def reuse_reason(wrk: WrkResult, opened: int | None) -> str | None:
    """Return that connections were used again, if by 10% fewer were opened than requests made."""
    if opened is None or opened >= 0.9 * wrk.requests:
        return None
    return (
        f"{wrk.requests} requests went over {opened} connections: "
        "the server kept some open that it was asked to close (--no-keep-alive)"
    )


LONGEST_SILENCE_S = 1.0  # of a connection whose server still answers
CLOCK_TOLERANCE_S = 0.01  # beyond the 0.1% by which a clock may be slewed


def silence_reason(silences_s: Sequence[float], wrk: WrkResult, load: Load) -> str | None:
    """Return how many connections had gone without an answer when the trial ended.

    wrk counts no error where an answer never comes. `silences_s` has for each connection
    the time since it last received anything. Silent is one for which that is over twice
    the longest latency, and over 1 s or half the trial.
    """
    latency = wrk.latency_uncorrected or wrk.latency
    longest_answer_s = latency.max_s if latency else 0.0
    least_s = min(LONGEST_SILENCE_S, load.duration_s / 2)
    silent = [age for age in silences_s if age > max(least_s, 2 * longest_answer_s)]
    if not silent:
        return None
    return (
        f"{len(silent)} of {load.open_connections} connections had no answer "
        f"for the last {min(silent):.1f} s or longer: the server stopped answering them"
    )


LATE_SHARE = 0.25  # of a p99 latency


def generator_is_late(wrk: WrkResult, within_s: float) -> bool:
    """Return whether wrk itself was so late that it matters within that latency."""
    return wrk.pace is not None and wrk.pace.late_p99_s > LATE_SHARE * within_s


def lateness_note(wrk: WrkResult) -> str | None:
    """Return a note if wrk itself made a good part of the p99 latency."""
    p99_s = wrk.latency.p99_s if wrk.latency else None
    if wrk.pace is None or p99_s is None or not generator_is_late(wrk, p99_s):
        return None
    return (
        f"wrk itself sent {format_latency(wrk.pace.late_p99_s)} too late (p99), which is over a "
        f"quarter of the p99 latency of {format_latency(p99_s)}, and in it"
    )


def clock_reason(step_s: float, duration_s: float) -> str | None:
    """Return that the clock that wrk goes by was set in a trial, if it was.

    `step_s` is how much further it went than the monotonic clock.
    """
    if abs(step_s) <= CLOCK_TOLERANCE_S + 0.001 * duration_s:
        return None
    return f"the machine's clock was set by {step_s:+.2f} s meanwhile, and wrk goes by it"
