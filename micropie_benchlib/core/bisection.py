"""A search for the version that changed the speed, as the results have it; run/ makes it."""

from dataclasses import dataclass
from enum import StrEnum

from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.values import Name, Ordinal


class Side(StrEnum):
    """On which side of the step a version lies, as far as an interval decides."""

    BEFORE = "before"
    AFTER = "after"
    INCONCLUSIVE = "inconclusive"
    SKIPPED = "skipped"  # it could not be installed, started or measured


class Step(StrEnum):
    """What came of the search."""

    FOUND = "found"
    NONE = "none"
    INCONCLUSIVE = "inconclusive"
    UNCONFIRMED = "unconfirmed"  # the ends differ, the versions around the step do not
    UNFINISHED = "unfinished"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A version that was compared with the oldest one; its cost is a ratio to that."""

    version: Name
    side: Side
    cost: Estimate | None = None
    rounds: Ordinal = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """A search among `versions`, the oldest first; the first visit is the newest one's.

    The step is between `older` and `newer`, or between the ends if there is none. `change` is
    the cost of the newer as a ratio to the older, compared directly. With `slower_than`
    versions that are slower by less do not count.
    """

    versions: tuple[Name, ...]
    metric: Metric
    visits: tuple[Visit, ...]
    step: Step
    older: Name
    newer: Name
    change: Estimate | None = None
    slower_than: float | None = None
