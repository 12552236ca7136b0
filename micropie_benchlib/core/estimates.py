"""Intervals, comparisons and ranks, as the results have them; stats/ works them out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from micropie_benchlib.core import values
from micropie_benchlib.core.choices import Method, Verdict
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric


class Interval(NamedTuple):
    low: float
    high: float

    def contains(self, ratio: float) -> bool:
        return self.low <= ratio <= self.high

    def overlaps(self, other: Interval) -> bool:
        return self.low <= other.high and other.low <= self.high

    @property
    def log_half_width(self) -> float:
        return math.log(self.high / self.low) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A ratio, and its confidence interval."""

    ratio: values.Ratio
    low: values.Ratio
    high: values.Ratio
    confidence: values.Confidence

    @property
    def interval(self) -> Interval:
        return Interval(self.low, self.high)

    def inverse(self) -> Estimate:
        return Estimate(
            ratio=1 / self.ratio, low=1 / self.high, high=1 / self.low, confidence=self.confidence
        )

    @property
    def half_width(self) -> float:
        """Half the width of the interval as a share of the ratio."""
        return math.expm1(self.interval.log_half_width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A metric of a target over the reference's, by the rounds valid for both.

    The estimate is the geometric mean of the rounds' ratios; None if there is none, for
    the `reason`, as of one round. Its interval has `degrees` of freedom: one less than its
    rounds, or than those of the first stage (stein_rounds()).
    """

    load: LoadId
    method: Method
    metric: Metric
    reference: values.Name
    target: values.Name
    rounds: values.Ordinal
    estimate: Estimate | None
    verdict: Verdict
    reason: str | None = None
    degrees: values.Positive | None = None

    @property
    def interval(self) -> Interval | None:
        return self.estimate.interval if self.estimate else None

    @property
    def speed(self) -> Estimate | None:
        if self.estimate is None or self.metric.higher_is_faster:
            return self.estimate
        return self.estimate.inverse()

    @property
    def cost(self) -> Estimate | None:
        """What the target needs for the same work as a ratio to the reference: 1 / speed."""
        return self.speed.inverse() if self.speed else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """A target's rank, from `first` to `last`: it is not significantly different from these."""

    target: values.Name
    first: values.Positive
    last: values.Positive

    @property
    def title(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """The order of more than two targets under one load, by one metric, the fastest first.

    All that it says holds together with that confidence.
    """

    load: LoadId
    method: Method
    metric: Metric
    reference: values.Name
    confidence: values.Confidence
    ranks: tuple[Rank, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """Latencies of a target under a load, of all valid trials of one method together.

    As pairs of percent and seconds, ascending. The method is that of the verdict on latency.
    """

    target: values.Name
    load: LoadId
    method: Method = Method.SINGLE
    percentiles: tuple[tuple[values.Percent, values.Seconds], ...]
