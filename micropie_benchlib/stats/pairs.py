"""Figures of target and reference, paired within each round."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from micropie_benchlib.core.choices import Limit
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.stats.deciding import FAIR_SHARE


class Pair(NamedTuple):
    """The measurements of one round that a comparison holds against each other."""

    reference: Measurement
    target: Measurement

    @property
    def is_valid(self) -> bool:
        """Whether both count."""
        return self.reference.valid and self.target.valid

    @property
    def is_saturated(self) -> bool:
        """Whether the load generator was the limit of either."""
        limits = (self.reference.limited_by, self.target.limited_by)
        return Limit.LOAD_GENERATOR in limits

    @property
    def has_fair_shares(self) -> bool:
        """Whether both servers got the same CPU time, as far as it is known."""
        if not self.reference.use or not self.target.use:
            return True
        reference_s = self.reference.use.server_cpu_s
        target_s = self.target.use.server_cpu_s or 1
        return abs(reference_s / target_s - 1) < FAIR_SHARE


def pair_by_round(
    measurements: Iterable[Measurement], *, reference: str, target: str
) -> list[Pair]:
    """Return the pairs of a round's measurements; a paired trial's with its own partner alone."""
    references: dict[int, Measurement] = {}
    targets: dict[int, Measurement] = {}
    for measurement in measurements:
        own = (measurement.target, measurement.partner)
        if own in ((reference, None), (reference, target)):
            references[measurement.round] = measurement
        elif own in ((target, None), (target, reference)):
            targets[measurement.round] = measurement
    return [Pair(references[number], targets[number]) for number in targets if number in references]


def ratios_by_round(pairs: Iterable[Pair], metric: Metric) -> dict[int, float]:
    """Return the target's value over the reference's, of each round where both are known."""
    ratios = {}
    for pair in pairs:
        reference_value, target_value = metric.read(pair.reference), metric.read(pair.target)
        if pair.is_valid and reference_value and target_value:
            ratios[pair.target.round] = target_value / reference_value
    return ratios


ONE_ROUND = "one round gives no interval"
