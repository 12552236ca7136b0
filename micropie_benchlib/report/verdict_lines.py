"""What is said of each target's speed."""

import statistics

from micropie_benchlib.core import text
from micropie_benchlib.core.choices import Limit, Method, Verdict
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.figures import format_range, format_speed, speed_in_words
from micropie_benchlib.report.layout import VerdictLine
from micropie_benchlib.report.warnings import texts_of
from micropie_benchlib.stats.deciding import comparison_beside
from micropie_benchlib.stats.verdicts import decisive_comparisons, rounds_to_decide


def verdict_lines_of(results: Results) -> list[VerdictLine]:
    """A run of one round has none."""
    lines: list[VerdictLine] = []
    if results.settings and results.settings.rounds == 1:
        return lines
    for comparison in decisive_comparisons(results):
        sentence = verdict_sentence(results, comparison)
        lines.append(VerdictLine(comparison=comparison, sentence=sentence))
    return lines


def verdict_sentence(results: Results, comparison: Comparison) -> str:
    target = results.label(comparison.target)
    reference = results.label(comparison.reference)
    speed = comparison.speed
    if speed is None:
        failure = first_failure(results, comparison)
        return f"{target} against {reference}: {comparison.reason}{failure}"
    than_reference = f"as fast as {reference} {comparison.metric.measure}"
    sentence = f"{target} is {format_speed(speed)} {than_reference}"
    if comparison.verdict is Verdict.SAME:
        within = max(speed.high - 1, 1 - speed.low)
        sentence = f"{target} is {than_reference}, within {within:.1%}"
    elif comparison.verdict is not Verdict.INCONCLUSIVE:
        sentence += f" ({format_range(speed)})"
    else:
        if speed.half_width < text.USELESS_NOISE:
            sentence += f", {text.format_noise(speed.half_width)}"
        sentence += ": too noisy"
        rounds = rounds_to_decide(results, comparison)
        if rounds:
            sentence += f"; try -r {rounds}"
    beside = beside_remark(results, comparison)
    excluded = excluded_remark(results, comparison)
    return "; ".join(filter(None, [sentence, beside, excluded]))


def first_failure(results: Results, comparison: Comparison) -> str:
    pair = (comparison.target, comparison.reference)
    for capacity in results.capacities:
        is_meant = capacity.load == comparison.load and capacity.target in pair
        if is_meant and capacity.reasons:
            return f" ({results.label(capacity.target)}: {texts_of(capacity.reasons)})"
    for trial in results.measurements:
        if trial.load != comparison.load or trial.target not in pair:
            continue
        is_the_reason = trial.limited_by is Limit.LOAD_GENERATOR
        if trial.invalid and not is_the_reason:
            return f" ({results.label(trial.target)}: {texts_of(trial.invalid)})"
    return ""


def beside_remark(results: Results, comparison: Comparison) -> str:
    method, metric = Method.SINGLE, Metric.REQUESTS
    if comparison.load.rate_per_s:
        method, metric = comparison.method, Metric.P99
    beside = comparison_beside(results.comparisons, comparison, method, metric)
    if not beside or beside is comparison or not beside.speed:
        return ""
    ratio = speed_in_words(beside.speed)
    if metric is Metric.P99:
        return f"p99 of trials here {trials_p99s(results, beside)}, {ratio}"
    return f"{metric.short_name} here {ratio}"


def trials_p99s(results: Results, comparison: Comparison) -> str:
    """Return the trials' geometric means, the reference's over all its pairs.

    Tables have the p99 of all requests together.
    """
    shown = []
    for name in (comparison.target, comparison.reference):
        p99s_s = results.p99s_s(name, comparison.load)
        mean_s = statistics.geometric_mean(p99s_s)
        shown.append(text.format_latency(mean_s))
    return " against ".join(shown)


def excluded_remark(results: Results, comparison: Comparison) -> str:
    partner = comparison.reference if comparison.method is Method.PAIRED else None
    rounds = set()
    for trial in results.trials(comparison.load, comparison.method):
        if (trial.target, trial.partner) == (comparison.target, partner):
            rounds.add(trial.round)
    excluded = len(rounds) - comparison.rounds
    if excluded <= 0:
        return ""
    made = text.pluralize(len(rounds), "round")
    return f"{excluded} of {made} excluded"
