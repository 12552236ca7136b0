"""How speeds changed since a baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from micropie_benchlib.core.choices import Decisive, Method
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.stats.deciding import deciding_metrics
from micropie_benchlib.stats.estimate import WIDEST_LOG
from micropie_benchlib.stats.student import student_t
from micropie_benchlib.stats.verdicts import degrees_of, log_standard_error


class ComparisonKey(NamedTuple):
    """What must be alike in two comparisons to hold them against each other."""

    target: str
    reference: str
    load: LoadId
    method: Method
    metric: Metric


def comparison_key(comparison: Comparison) -> ComparisonKey:
    """Return what the comparison must have in common with another."""
    return ComparisonKey(
        comparison.target,
        comparison.reference,
        comparison.load,
        comparison.method,
        comparison.metric,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSlowdown:
    """A slowdown's logarithm, its standard error and degrees of freedom."""

    comparison: Comparison
    log: float
    error: float
    degrees: int
    confidence: float


def log_slowdowns(comparisons: Iterable[Comparison]) -> dict[ComparisonKey, LogSlowdown]:
    """Return the slowdowns of the comparisons that have an interval."""
    slowdowns = {}
    for comparison in comparisons:
        key = comparison_key(comparison)
        speed, error = comparison.speed, log_standard_error(comparison)
        if not speed or error is None:
            continue
        slowdowns[key] = LogSlowdown(
            comparison=comparison,
            log=-math.log(speed.ratio),
            error=error,
            degrees=degrees_of(comparison),
            confidence=speed.confidence,
        )
    return slowdowns


def difference(now: LogSlowdown, before: LogSlowdown) -> LogSlowdown:
    """Return the slowdown now over the one before.

    The interval is Welch's: the two variances add, the degrees of freedom are by Welch
    and Satterthwaite (B. L. Welch, "The generalization of Student's problem when several
    different population variances are involved", 1947), rounded down.
    """
    variance = now.error**2 + before.error**2
    spread = now.error**4 / now.degrees + before.error**4 / before.degrees
    degrees = math.floor(variance**2 / spread) if spread else 1
    return LogSlowdown(
        comparison=now.comparison,
        log=now.log - before.log,
        error=math.sqrt(variance),
        degrees=max(1, min(degrees, 1000)),
        confidence=now.confidence,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """By how much a target is slower than what it is compared with.

    `slowdown` is a ratio, 1 is no change; low and high are the ends of its interval.
    """

    comparison: Comparison
    slowdown: float
    low: float
    high: float
    confidence: float


def changes_between(
    comparisons: Iterable[Comparison],
    baseline: Iterable[Comparison] | None,
    *,
    chosen: Decisive | None = None,
) -> list[Change]:
    """Return how much slower each target is, by the metric of the verdict.

    Without a baseline that is than the reference. With one it is the ratio to the
    reference now over the ratio then, so that a difference between machines cancels.
    """
    slowdowns = log_slowdowns(comparisons)
    if baseline is not None:
        earlier = log_slowdowns(baseline)
        slowdowns = {
            key: difference(slowdown, earlier[key])
            for key, slowdown in slowdowns.items()
            if key in earlier
        }
    kinds_of: dict[tuple[str, LoadId], dict[tuple[Method, Metric], LogSlowdown]] = {}
    for key, slowdown in slowdowns.items():
        kinds_of.setdefault((key.target, key.load), {})[key.method, key.metric] = slowdown
    changes = []
    for (_, load), kinds in kinds_of.items():
        deciding = [kind for kind in deciding_metrics(load, chosen) if kind in kinds]
        if deciding:
            changes.append(change_of(kinds[deciding[0]]))
    return changes


def change_of(slowdown: LogSlowdown) -> Change:
    """Return the slowdown as a ratio with its interval."""
    half = min(WIDEST_LOG, student_t(slowdown.confidence, slowdown.degrees) * slowdown.error)
    return Change(
        comparison=slowdown.comparison,
        slowdown=math.exp(slowdown.log),
        low=math.exp(slowdown.log - half),
        high=math.exp(slowdown.log + half),
        confidence=slowdown.confidence,
    )
