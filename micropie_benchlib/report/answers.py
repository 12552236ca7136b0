"""The verdict lines."""

from __future__ import annotations

import itertools
import statistics

from micropie_benchlib.core.choices import Limit, Method, Verdict
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import USEFUL_ROUNDS
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN, format_latency, format_noise, pluralize
from micropie_benchlib.report.figures import format_interval, format_speed, says_little
from micropie_benchlib.report.layout import Answer
from micropie_benchlib.report.warnings import texts_of
from micropie_benchlib.stats.deciding import waits
from micropie_benchlib.stats.verdicts import (
    comparison_beside,
    decisive_comparisons,
    rounds_to_decide,
)


def comparison_shown_beside(results: Results, comparison: Comparison) -> Comparison | None:
    """Return what is told beside a verdict: plain requests/s, at a rate the p99 latency."""
    if comparison.load.rate_per_s:
        return comparison_beside(results, comparison, comparison.method, Metric.P99)
    return comparison_beside(results, comparison, Method.SINGLE, Metric.REQUESTS)


def first_failure(results: Results, comparison: Comparison) -> str:
    """Return why the first invalid trial of the two targets is invalid; nothing if none is."""
    pair = [(name, comparison.load) for name in (comparison.target, comparison.reference)]
    for capacity in results.capacities:
        if capacity.reasons and (capacity.target, capacity.load) in pair:
            return f" ({results.label(capacity.target)}: {texts_of(capacity.reasons)})"
    for measurement in results.measurements:
        is_saturated = measurement.limited_by is Limit.LOAD_GENERATOR  # it is the reason itself
        is_theirs = (measurement.target, measurement.load) in pair
        if is_theirs and measurement.invalid and not is_saturated:
            return f" ({results.label(measurement.target)}: {texts_of(measurement.invalid)})"
    return ""


def answer_sentence(results: Results, comparison: Comparison) -> str:
    """Return what a comparison says of its target's speed.

    The plain ratio of the table's requests/s stands beside one by another metric.
    """
    target, reference = results.label(comparison.target), results.label(comparison.reference)
    measure = comparison.metric.measure
    speed = comparison.speed
    if speed is None:
        return (
            f"{target} against {reference}: {comparison.reason}{first_failure(results, comparison)}"
        )
    ratio = f"{target} is {format_speed(speed)} as fast as {reference} {measure}"
    if comparison.verdict is Verdict.SAME and speed.interval:
        within = max(speed.interval.high - 1, 1 - speed.interval.low)
        sentence = f"{target} is as fast as {reference} {measure}, within {within:.1%}"
    elif comparison.verdict is not Verdict.INCONCLUSIVE:
        sentence = ratio + format_interval(speed)
    elif speed.half_width is None:
        sentence = f"{ratio}, but {comparison.reason}; use -r {USEFUL_ROUNDS}"
    else:
        sentence = f"{ratio}, {format_noise(speed.half_width)}: too noisy"
        rounds = rounds_to_decide(results, comparison)
        if rounds:
            sentence += f"; about {rounds} rounds needed (-r {rounds})"
    here = comparison_shown_beside(results, comparison)
    if here and here.speed:
        plain = f"{format_speed(here.speed)}{format_interval(here.speed)}"
        shown = "too noisy" if says_little(here.speed) else plain
        sentence += f"; {here.metric.short_name} here {typical_p99s(results, here)}{shown}"
    return sentence + waiting_remark(results, comparison) + lost_remark(results, comparison)


def typical_p99s(results: Results, comparison: Comparison) -> str:
    """Return the median p99 latencies of target and reference at a rate; nothing else."""
    if comparison.metric is not Metric.P99 or not comparison.load.rate_per_s:
        return ""
    shown = []
    for name, other in itertools.permutations((comparison.target, comparison.reference)):
        partner = other if comparison.method is Method.PAIRED else None
        latencies_s = []
        for trial in results.measurements:
            own = (trial.target, trial.partner, trial.load, trial.method)
            if own == (name, partner, comparison.load, comparison.method) and trial.valid:
                latencies_s.append(trial.latency_p99_s or 0.0)
        shown.append(format_latency(statistics.median(latencies_s)) if latencies_s else UNKNOWN)
    return f"{shown[0]} against {shown[1]}, "


def lost_remark(results: Results, comparison: Comparison) -> str:
    """Return how many rounds are excluded from the comparison, if any; nothing else."""
    partner = comparison.reference if comparison.method is Method.PAIRED else None
    trial = (comparison.target, comparison.load, comparison.method, partner)
    rounds = set()
    for each in results.measurements:
        if (each.target, each.load, each.method, each.partner) == trial:
            rounds.add(each.round)
    lost = len(rounds) - comparison.rounds
    return f"; {lost} of {pluralize(len(rounds), 'round')} excluded" if lost > 0 else ""


def waiting_remark(results: Results, comparison: Comparison) -> str:
    """Return that a target mostly waited, if so; nothing else."""
    if comparison.metric is Metric.CAPACITY:
        return ""
    names = (comparison.target, comparison.reference)
    waiting = [name for name in names if waits(results, name, comparison.load)]
    if not waiting:
        return ""
    who = "both" if len(waiting) == 2 else results.label(waiting[0])
    return f"; {who} mostly waited, not for CPU"


def answers_of(results: Results) -> list[Answer]:
    """Return the verdict for each load and target."""
    answers = []
    for comparison in decisive_comparisons(results):
        sentence = answer_sentence(results, comparison)
        answers.append(Answer(comparison=comparison, sentence=sentence))
    return answers
