"""How many rounds a precision needs."""

from __future__ import annotations

import math

from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.student import stein_rounds
from micropie_benchlib.stats.verdicts import (
    decisive_comparisons,
    degrees_of,
    in_all_rounds,
    log_stdev,
)


def rounds_for_precision(results: Results, precision: float) -> int | None:
    """Return how many rounds give all verdicts an interval of that half-width, as a share.

    None if no verdict has an interval.
    """
    needed = []
    for comparison in decisive_comparisons(results):
        stdev, estimate = log_stdev(comparison), comparison.estimate
        if stdev is not None and estimate:
            rounds = stein_rounds(
                stdev,
                degrees_of(comparison),
                wished=math.log1p(precision),
                confidence=estimate.confidence,
            )
            needed.append(in_all_rounds(results, comparison, rounds))
    return max(needed, default=None)


def widest_interval(results: Results) -> float | None:
    """Return the largest half-width of the verdicts' intervals, as a share; None without one."""
    estimates = [comparison.estimate for comparison in decisive_comparisons(results)]
    halves = [estimate.half_width for estimate in estimates if estimate]
    return max(filter(None, halves), default=None)
