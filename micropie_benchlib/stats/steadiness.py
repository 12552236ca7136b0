"""Whether rounds have a trend, two modes or an outlier: each test errs in 1 of 1,000 series."""

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence

from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats.intervals import student_t

RISK = 0.001
OUTLIER_RISK = 1e-5  # less, since the noise of machines has heavier tails than a normal one
MIN_ROUNDS = 7  # with fewer no order is as unlikely as that
NORMAL_WITHIN = 1 - 2 / math.pi  # the share of a normal variance that its halves keep
WITHIN_FALLS = 1.1  # over the root of the rounds: 1 in 1,000 has less left (by simulation)


def unsteadiness(speeds: Mapping[int, float], metric: Metric) -> BenchWarning | None:
    """Return why more rounds would change the figure; the speeds are by round, in order."""
    measure = metric.measure
    if len(speeds) < MIN_ROUNDS:
        return None
    logs = list(map(math.log, speeds.values()))
    if has_trend(logs):
        third = len(logs) // 3
        first, last = mean_speed(logs[:third]), mean_speed(logs[-third:])
        return BenchWarning.of(Kind.TREND, measure=measure, first=first, last=last)
    lower, higher, within = halves(logs)
    if within < NORMAL_WITHIN - WITHIN_FALLS / math.sqrt(len(logs)):
        low, high = mean_speed(lower), mean_speed(higher)
        return BenchWarning.of(Kind.TWO_MODES, measure=measure, low=low, high=high)
    number = outlying(dict(zip(speeds, logs, strict=True)))
    if number is None:
        return None
    others = [math.log(speed) for each, speed in speeds.items() if each != number]
    figures = {"round": number, "speed": speeds[number], "others": mean_speed(others)}
    return BenchWarning.of(Kind.OUTLYING_LAUNCH, measure=measure, **figures)


def mean_speed(logs: Sequence[float]) -> float:
    return math.exp(statistics.fmean(logs))


def has_trend(values: Sequence[float]) -> bool:
    """Return whether values rise or fall with their order (H. B. Mann, 1945; M. Kendall)."""
    count = len(values)
    rising = 0
    for earlier, later in itertools.combinations(values, 2):
        rising += (later > earlier) - (later < earlier)
    stdev = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    z = (abs(rising) - 1) / stdev
    return z > statistics.NormalDist().inv_cdf(1 - RISK / 2)


def halves(values: Sequence[float]) -> tuple[list[float], list[float], float]:
    """Return the lower and the higher values, parted where the variance within them is least."""
    ordered = sorted(values)
    mean = statistics.fmean(ordered)
    total = sum((value - mean) ** 2 for value in ordered)
    best, between = 2, 0.0
    lower_sum = ordered[0] - mean
    for count in range(2, len(ordered) - 1):
        lower_sum += ordered[count - 1] - mean
        explained = lower_sum**2 * (1 / count + 1 / (len(ordered) - count))
        if explained > between:
            best, between = count, explained
    within = 1 - between / total if total else 1.0
    return ordered[:best], ordered[best:], within


def outlying(values: Mapping[int, float]) -> int | None:
    """Return the key of a value far from the others, if one is (F. E. Grubbs, 1950)."""
    count = len(values)
    mean, stdev = statistics.fmean(values.values()), statistics.stdev(values.values())
    farthest = max(values, key=lambda number: abs(values[number] - mean))
    t = student_t(1 - OUTLIER_RISK / count, count - 2)
    limit = (count - 1) / math.sqrt(count) * math.sqrt(t**2 / (count - 2 + t**2))
    return farthest if abs(values[farthest] - mean) > limit * stdev else None
