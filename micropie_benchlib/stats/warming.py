"""Whether servers still warmed up in the first trials of their launches."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind

RISK = 0.0005
SWEEPS = 10
MIN_SLOWER = 1.1  # as a ratio; what is nearer to 1 hardly moves a figure

Key = TypeVar("Key")
Slowness = dict[int, list[float]]  # logarithms, by a trial's position in its launch


def with_positions(results: Results) -> Iterator[tuple[int, Measurement]]:
    """Yield each measurement with how many trials its launch had before."""
    is_paired = any(trial.partner for trial in results.measurements)
    names: set[str | None] = set()
    number = position = 0
    other_half: Measurement | None = None
    for trial in results.measurements:
        of_trial = {trial.target, trial.partner} - {None}
        names = names | of_trial
        if trial.round != number or len(names) > 1 + is_paired:
            names = of_trial
            number = trial.round
            position = -1
            other_half = None
        here = (trial.target, trial.load)
        if other_half and (other_half.partner, other_half.load) == here:
            other_half = None
        else:
            position += 1
            other_half = trial if trial.partner else None
        yield position, trial


def slowness_by_position(results: Results, name: str, metric: Metric) -> Slowness:
    """Loads and positions, in random order, are told apart by sweeps over both."""
    samples: list[tuple[tuple[LoadId, Method], int, float]] = []
    power = -1 if metric.higher_is_faster else 1
    for position, trial in with_positions(results):
        if not trial.valid or trial.target != name:
            continue
        if metric is not Metric.CPU and trial.method is not Method.SINGLE:
            continue
        figure = metric.read(trial)
        if figure:
            samples.append(((trial.load, trial.method), position, power * math.log(figure)))
    by_position: Slowness = {}
    for _ in range(SWEEPS):
        mean_by_position = means_of(by_position)
        by_kind: dict[tuple[LoadId, Method], list[float]] = {}
        for kind, position, log in samples:
            even = log - mean_by_position.get(position, 0.0)
            by_kind.setdefault(kind, []).append(even)
        mean_by_kind = means_of(by_kind)
        by_position = {}
        for kind, position, log in samples:
            by_position.setdefault(position, []).append(log - mean_by_kind[kind])
    return by_position


def means_of(groups: Mapping[Key, list[float]]) -> dict[Key, float]:
    return {key: statistics.fmean(group) for key, group in groups.items()}


def cold_trials(slowness: Slowness) -> int:
    means = [mean for _, mean in sorted(means_of(slowness).items())]
    count = 0
    while means and means[count] > min(means) + math.log(MIN_SLOWER):
        count += 1
    return count


def are_higher(values: Sequence[float], others: Sequence[float]) -> bool:
    above = 0
    for value in values:
        above += sum(value > other for other in others)
    pairs = len(values) * len(others)
    stdev = math.sqrt(pairs * (len(values) + len(others) + 1) / 12)
    limit = statistics.NormalDist().inv_cdf(1 - RISK)
    return (above - pairs / 2 - 0.5) / stdev > limit


def warming(results: Results, name: str) -> BenchWarning | None:
    """By the rank test of Mann and Whitney (1947), and by 10% or more on average."""
    if not results.settings or results.seeks_capacity:
        return None
    for metric in (Metric.CPU, Metric.REQUESTS):
        slowness = slowness_by_position(results, name, metric)
        count = cold_trials(slowness)
        cold: list[float] = []
        warm: list[float] = []
        for position, logs in slowness.items():
            (cold if position < count else warm).extend(logs)
        if not cold or not warm:
            continue
        difference = statistics.fmean(cold) - statistics.fmean(warm)
        if difference > math.log(MIN_SLOWER) and are_higher(cold, warm):
            enough_s = results.settings.warm_up_s + count * results.settings.duration_s
            figures = {"slower": math.exp(difference), "enough_s": enough_s}
            return BenchWarning.of(Kind.WARMING_UP, measure=metric.measure, **figures)
    return None
