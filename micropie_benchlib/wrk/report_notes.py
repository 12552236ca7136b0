"""What somebody else's report tells less of, or tells with a doubt."""

from __future__ import annotations

from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.text import parse_duration, pluralize

MIN_BUSY, MAX_BUSY = 0.85, 1.15  # connections for each open one; beyond it something is odd


# What the errors of somebody else's report mean for its figures.
ERROR_MEANINGS = {
    "connect": ("failed connection", "the load was less than the report says"),
    "read": ("read error", "the server closed or reset connections"),
    "write": ("write error", "the server closed connections before it had read the request"),
    "timeout": ("timeout", "answers later than wrk waited are missing from the latency"),
}


def report_notes(wrk: WrkResult, *, connections: int, asked: str) -> tuple[str, ...]:
    """Return what should be known before the figures of a text report are quoted.

    They do not invalidate it: how it was measured, and what was expected there, is not known. It
    was `asked` to run for so long, as 30s.
    """
    notes = []
    for kind, (noun, meaning) in ERROR_MEANINGS.items():
        count = getattr(wrk.errors, kind)
        if count:
            notes.append(f"{pluralize(count, noun)}: {meaning}")
    if wrk.errors.status:
        notes.append(f"{wrk.errors.status} of {wrk.requests} responses had a status above 399")
    if wrk.requests < connections:
        notes.append(f"{wrk.requests} requests are fewer than the {connections} connections")
    if wrk.requests and wrk.latency is None:
        notes.append("the latency is not known: wrk timed no request, and printed nan% beside 0")
    if wrk.contradiction:
        notes.append(f"its figures contradict one another: {wrk.contradiction}")
    asked_s = parse_duration(asked)
    rounded_s = 30 if asked.endswith("m") else 0  # wrk prints 2m of 90s (units.c)
    least_s, most_s = asked_s - rounded_s, asked_s + rounded_s
    if not 0.95 * least_s <= wrk.duration_s <= 1.05 * most_s + 1:
        notes.append(f"it ran for {wrk.duration_s:.4g} s of the {asked_s} s that were asked for")
    if notes or wrk.latency is None:
        return tuple(notes)
    busy = wrk.requests_per_s * wrk.latency.mean_s
    if busy > MAX_BUSY * connections:
        notes.append(
            f"by Little's law {busy:.0f} of {connections} connections were busy: the mean latency "
            "is too high for that many requests, as wrk's correction of latencies can make it"
        )
    if busy < MIN_BUSY * connections:
        notes.append(
            f"by Little's law {busy:.0f} of {connections} connections were busy: wrk was kept "
            "waiting for the CPU or for new connections, or answers were cut off at the end"
        )
    return tuple(notes)
