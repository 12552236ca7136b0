"""Student's t distribution, and the mean, ratio and number of rounds by it."""

import bisect
import functools
import math
import statistics
from collections.abc import Iterable, Sequence

from micropie_benchlib.core.estimates import Estimate

WIDEST_LOG = 100.0  # half an interval; a wider one says no more, and overflows


@functools.cache  # a report asks for few, often
def student_t(confidence: float, degrees: int) -> float:
    """Return t such that Student's t lies within -t to t with that probability.

    That is the finite series for whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and
    26.7.4, with theta = atan(t / sqrt(degrees))), solved for theta by bisection.
    """
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        if _student_probability(middle, degrees) < confidence:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees) * math.tan(low)


def _student_probability(theta: float, degrees: int) -> float:
    is_odd = degrees % 2 == 1
    term = total = math.cos(theta) if is_odd else 1.0
    for k in range(3 if is_odd else 2, degrees - 1, 2):
        term *= (k - 1) / k * math.cos(theta) ** 2
        total += term
    if not is_odd:
        return math.sin(theta) * total
    if degrees == 1:
        return 2 / math.pi * theta
    return 2 / math.pi * (theta + math.sin(theta) * total)


def mean_and_half_width(samples: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half its 95% interval, which is 0 for a single value."""
    mean, count = statistics.fmean(samples), len(samples)
    if count == 1:
        return mean, 0.0
    error = statistics.stdev(samples) / math.sqrt(count)
    return mean, student_t(0.95, count - 1) * error


def is_wide(mean: float, half_width: float) -> bool:
    return 2 * half_width > mean


def degrees_of_freedom(rounds: Iterable[int], first_rounds: int | None) -> int | None:
    """Of the rounds, or those of the first stage if more came after it."""
    every = list(rounds)
    last = first_rounds or math.inf
    first = [number for number in every if number <= last]
    deciding = first if len(first) > 1 else every
    return len(deciding) - 1 if len(deciding) > 1 else None


def estimate_ratio(
    ratios: Iterable[float], *, confidence: float, degrees: int | None = None
) -> Estimate | None:
    """Return the mean of the rounds' ratios, with its interval; None of fewer than two.

    The interval is Student's t on the logarithms. The launch is the unit of
    replication: the requests of one run are not independent samples. The spread
    is that of the first ratios, one more than the `degrees` of freedom, if these
    are given (stein_rounds()).
    """
    logs = [math.log(ratio) for ratio in ratios]
    if len(logs) < 2:
        return None
    mean = statistics.fmean(logs)
    degrees = degrees or len(logs) - 1
    error = statistics.stdev(logs[: degrees + 1]) / math.sqrt(len(logs))
    return estimate_of_logs(mean, error, degrees=degrees, confidence=confidence)


def estimate_of_logs(mean: float, error: float, *, degrees: int, confidence: float) -> Estimate:
    """Return the ratio whose logarithm has that mean and standard error."""
    half = min(WIDEST_LOG, student_t(confidence, degrees) * error)
    return Estimate(
        ratio=math.exp(mean),
        low=math.exp(mean - half),
        high=math.exp(mean + half),
        confidence=confidence,
    )


def rounds_needed(stdev: float, target: float, confidence: float = 0.95) -> int | None:
    """Return the rounds for that half-width, both on the log scale; None above 1,000."""

    def is_narrow_enough(rounds: int) -> bool:
        return student_t(confidence, rounds - 1) * stdev / math.sqrt(rounds) <= target

    candidates = range(2, 1001)
    index = bisect.bisect_left(candidates, True, key=is_narrow_enough)
    return candidates[index] if index < len(candidates) else None


def stein_rounds(stdev: float, degrees: int, *, target: float, confidence: float) -> int:
    """Return the rounds in all for that half-width, both on the log scale.

    These are Stein's two stages (C. Stein, "A two-sample test for a linear
    hypothesis whose power is independent of the variance", 1945): the first
    stage's spread s decides on N >= (t s / d)^2, and the interval is mean +- t s
    / sqrt(N), with t of the first stage. The mean of the N does not depend on s,
    so that the interval keeps its confidence.
    """
    t = student_t(confidence, degrees)
    return math.ceil((t * stdev / target) ** 2)


def binomial_at_most(successes: int, trials: int, chance: float) -> float:
    """Return the probability of no more successes, of independent trials."""
    if successes >= trials or chance >= 1:
        return float(successes >= trials)
    total = 0.0
    all_ways = math.lgamma(trials + 1)
    for count in range(successes + 1):
        failures = trials - count
        log_ways = all_ways - math.lgamma(count + 1) - math.lgamma(failures + 1)
        log_chance = count * math.log(chance) + failures * math.log1p(-chance)
        total += math.exp(log_ways + log_chance)
    return min(1.0, total)


def binomial_at_least(successes: int, trials: int, chance: float) -> float:
    return 1 - binomial_at_most(successes - 1, trials, chance)
