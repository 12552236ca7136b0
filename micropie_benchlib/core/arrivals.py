"""When requests at a rate are due."""

from __future__ import annotations

import array
import math
import random

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.text import format_rate, pluralize


def request_count(load: Load) -> int:
    """Return how many requests are due in a trial at the load's rate."""
    return round((load.rate_per_s or 0) * load.duration_s)


MIN_REQUESTS = 20  # of a trial at a rate
MAX_REQUESTS = 2_000_000  # likewise: each takes memory, here and in wrk
LONGEST_REST_S = 2.0  # of a connection; gunicorn closes one after that, uvicorn after 5 s


def rate_complaint(load: Load) -> str | None:
    """Return why a trial at the load's rate would tell nothing, if it would not."""
    rate_per_s, count = load.rate_per_s, request_count(load)
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
            f"{rate} let each of {load.connections} connections rest for "
            f"{load.connections / rate_per_s:.1f} s, and servers close such: "
            f"use -c {most_connections} or fewer"
        )
    return None


def due_moments(load: Load) -> array.array[float]:
    """Return when the requests of a load at a rate are due, in seconds from its start, ascending.

    So many independent uniform moments are a Poisson process, given its count: requests of
    users who know nothing of one another. The seed gives the same ones again.
    """
    draw = random.Random(load.schedule_seed)  # noqa: S311  # nothing secret
    return array.array(
        "d", sorted(draw.random() * load.duration_s for _ in range(request_count(load)))
    )
