"""On which side of a step a version lies, and which version comes next.

A version's cost is what it needs as a ratio to another: CPU time per request, or the
verdict's other metric.
"""

import math
from collections.abc import Collection

from micropie_benchlib.core.bisection import Side
from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.stats.verdicts import SAME_WITHIN


def side_of_newest(cost: Estimate, slower_than: float | None) -> Side:
    """Return whether the newest version lies after a step: it differs from the oldest one.

    With a share it must be slower by more. There is no step where the interval leaves no room
    for one of that size; without a share, of SAME_WITHIN.
    """
    if slower_than is not None:
        return side_of(cost, 1 + slower_than)
    if not cost.interval.contains(1):
        return Side.AFTER
    is_near = cost.low > 1 / (1 + SAME_WITHIN) and cost.high < 1 + SAME_WITHIN
    return Side.BEFORE if is_near else Side.INCONCLUSIVE


def threshold_of(newest: Estimate, slower_than: float | None) -> float:
    """Return the cost that divides the versions before a step from those after it.

    Without a share it is half of the step, on the log scale: as far from either side.
    """
    return math.sqrt(newest.ratio) if slower_than is None else 1 + slower_than


def side_of(cost: Estimate, threshold: float) -> Side:
    """Return on which side of the step a version lies; costs rise at it if that is above 1."""
    if cost.interval.contains(threshold):
        return Side.INCONCLUSIVE
    is_above = cost.low > threshold
    return Side.AFTER if is_above == (threshold >= 1) else Side.BEFORE


def side_of_neighbour(cost: Estimate, threshold: float) -> Side:
    """Return whether a version and the one before it, compared directly, have a step between.

    Any difference in the step's direction is one.
    """
    is_different = cost.low > 1 if threshold >= 1 else cost.high < 1
    return Side.AFTER if is_different else side_of(cost, threshold)


def next_version(before: int, after: int, skipped: Collection[int]) -> int | None:
    """Return the middle of the longest row of versions between two, without those skipped."""
    longest: list[int] = []
    row: list[int] = []
    for number in range(before + 1, after):
        if number in skipped:
            row = []
            continue
        row.append(number)
        if len(row) > len(longest):
            longest = row
    return longest[len(longest) // 2] if longest else None
