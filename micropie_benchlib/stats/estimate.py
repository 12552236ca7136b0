"""The estimate of a ratio from those of the rounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable

from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.stats.student import student_t

WIDEST_LOG = 100.0  # half an interval; a wider one says no more, and overflows


def estimate_ratio(
    ratios: Iterable[float], *, confidence: float, degrees: int | None = None
) -> Estimate:
    """Return the mean of the rounds' ratios; its interval needs two of them or more.

    The sample is the log of a round's ratio, and the interval is Student's t. The launch is
    the unit of replication: the requests of one run are not independent samples. The spread
    is that of the first ratios, one more than the `degrees` of freedom, if these are given
    (stein_rounds()).
    """
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    low = high = None
    if len(logs) > 1:
        degrees = degrees or len(logs) - 1
        error = statistics.stdev(logs[: degrees + 1]) / math.sqrt(len(logs))
        half = min(WIDEST_LOG, student_t(confidence, degrees) * error)
        low, high = math.exp(mean - half), math.exp(mean + half)
    return Estimate(ratio=math.exp(mean), low=low, high=high, confidence=confidence)
