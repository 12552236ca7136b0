"""All that a reader should know before quoting the results."""

from __future__ import annotations

import itertools
import math
import re

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Interval, Rank
from micropie_benchlib.core.measurements import ROUNDING
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.results import Results, Role
from micropie_benchlib.core.text import format_precision, pluralize
from micropie_benchlib.report.answers import throughput_comparison
from micropie_benchlib.report.equal_work import equal_answers_sentences, work_sentences
from micropie_benchlib.report.notes import measurement_notes
from micropie_benchlib.report.waiting import waiting_sentences
from micropie_benchlib.stats.compare import has_few_answers
from micropie_benchlib.stats.knee import knee
from micropie_benchlib.stats.ranking import rankings_of
from micropie_benchlib.stats.verdicts import decisive_comparisons


def knee_sentences(results: Results) -> list[str]:
    """Return for each target from which connection count on throughput stops growing."""
    sentences = []
    for workload, name in itertools.product(results.workloads, results.names):
        count = knee(results, name, workload)
        if count is None:
            continue
        label = results.label(name)
        if workload != DEFAULT_WORKLOAD:
            label += f" on {workload}"
        sentences.append(
            f"{label}: throughput grows up to {pluralize(count, 'connection')} "
            "(95% of its most); beyond that, only latency grows."
        )
    return sentences


def requests_per_connection(results: Results, name: str) -> float | None:
    """Return how many requests each new connection of a target's single trials served.

    Only beyond those that wrk opened at first; infinite if there were no others. Other
    programs open connections too, so it is the most of any trial. None where it is not
    known.
    """
    served = []
    for measurement in results.measurements:
        if measurement.target != name or not measurement.valid or not measurement.wrk:
            continue
        if measurement.connections_opened is None:
            continue
        others = measurement.connections_opened - measurement.load.connections
        requests = measurement.wrk.requests
        if others <= 0:
            served.append(math.inf)
        elif measurement.load.rate_per_s:  # a server that closes has one for each request
            served.append(requests / others if 2 * others > requests else math.inf)
        # With few requests the few connections that others open would be many.
        elif not has_few_answers(measurement.wrk, measurement.open_connections):
            served.append(requests / others)
    return max(served, default=None)


MAX_FOR_ONE_CONNECTION = 20  # requests; with more, new connections cost little


def keep_alive_sentences(results: Results) -> list[str]:
    """Return which targets were not measured on connections that stay open.

    That goes by the connections that were opened, else by what the answers say.
    """
    labels_by_cost: dict[str, list[str]] = {}
    for facts in results.targets:
        served = requests_per_connection(results, facts.name)
        if served is None:
            closes = any(response.says_close for response in facts.responses.values())
            served = 1.0 if closes else math.inf
        if served > MAX_FOR_ONE_CONNECTION:
            continue
        cost = "each request"
        if served >= 1.5:
            cost = f"every {served:.0f} requests"
        responses = facts.responses.values()
        if all(each.http_version == "1.1" and not each.says_close for each in responses):
            cost += " by this machine's count (other programs' are in it)"
        labels_by_cost.setdefault(cost, []).append(facts.label)
    return [
        f"{' and '.join(labels)}: a new connection was opened for {cost}, which costs time, too."
        for cost, labels in labels_by_cost.items()
    ]


def load_share(results: Results) -> float | None:
    """Return wrk's share of the CPU time that it and the servers used in single trials."""
    load_s = server_s = 0.0
    for measurement in results.measurements:
        wrk, use = measurement.wrk, measurement.use
        if not measurement.valid or measurement.method is not Method.SINGLE:
            continue
        if wrk and use and wrk.load_cpu_s is not None:
            load_s += wrk.load_cpu_s
            server_s += use.server_cpu_s
    return load_s / (load_s + server_s) if load_s and server_s else None


def shared_core_sentences(results: Results) -> list[str]:
    """Return why requests/s differ otherwise than CPU per request, where they clearly do.

    On shared cores a request costs the server's CPU time and wrk's.
    """
    share = load_share(results)
    if share is None:
        return []
    are_apart = any(machine.role is Role.LOAD for machine in results.machines)
    for comparison in decisive_comparisons(results):
        if comparison.metric is not Metric.CPU:
            continue
        here = throughput_comparison(results, comparison)
        speed, plain = comparison.speed, here.speed if here else None
        if not speed or not plain or not speed.interval or not plain.interval:
            continue
        if speed.interval.overlaps(plain.interval):
            continue
        between = Interval(min(1, speed.ratio), max(1, speed.ratio))
        if between.contains(plain.ratio) and not are_apart:
            return [
                f"wrk took {share:.0%} of the CPU time that it shared with the servers, "
                "so requests/s differ less than CPU per request does."
            ]
        return [
            "requests/s and CPU per request disagree: "
            "something other than the servers' CPU may limit requests/s here."
        ]
    return []


def precision_sentences(results: Results) -> list[str]:
    """Return which verdicts are less precise than was asked for."""
    wished = results.settings.precision if results.settings else None
    sentences = []
    for comparison in decisive_comparisons(results):
        half = comparison.estimate.half_width if comparison.estimate else None
        if wished and half and half > wished * (1 + ROUNDING):
            sentences.append(
                f"{results.label(comparison.target)}, {comparison.load.sentence}: the interval is "
                f"{format_precision(half)}, not the {format_precision(wished)} of --precision; "
                "allow more time (--max-time)"
            )
    return sentences


def ranking_sentences(results: Results) -> list[str]:
    """Return how ranks are to be read, where there are some."""
    ranks: list[Rank] = []
    for ranking in rankings_of(results):
        ranks += ranking.ranks
    if all(rank.first == rank.last for rank in ranks):
        return []
    return [
        "Targets with overlapping ranks are not significantly different (95%, all pairs). "
        "Add rounds to separate them."
    ]


ENOUGH_FOR_P99 = 200  # requests of a trial: its p99 then has two above it


def few_for_p99_sentences(results: Results) -> list[str]:
    """Return that the p99 latency is that of one or two requests, where trials have so few."""
    rates = [load.rate_per_s for load in results.reported_loads if load.rate_per_s]
    rates += [capacity.rate_per_s for capacity in results.capacities if capacity.rate_per_s]
    if not rates or not results.settings:
        return []
    count = round(min(rates) * results.settings.duration_s)
    if count >= ENOUGH_FOR_P99:
        return []
    return [
        f"A trial has only {count} requests, so that its p99 is the latency of one or two of them: "
        f"-d {math.ceil(5 * ENOUGH_FOR_P99 / min(rates))}s has {5 * ENOUGH_FOR_P99:,}."
    ]


def unfinished_sentences(results: Results) -> list[str]:
    """Return that rounds are missing, where the run was cut short and could not say so."""
    is_told = any(re.search(r" in round \d+ of \d+", warning) for warning in results.warnings)
    if results.settings is None or is_told:
        return []
    made = max((measurement.round for measurement in results.measurements), default=0)
    if made >= results.settings.rounds:
        return []
    return [f"These are {made} of {results.settings.rounds} rounds: the run was cut short."]


def caveats_of(results: Results) -> list[str]:
    """Return what should be known before the results are quoted."""
    return [
        *unfinished_sentences(results),
        *ranking_sentences(results),
        *few_for_p99_sentences(results),
        *waiting_sentences(results),
        *measurement_notes(results),
        *work_sentences(results),
        *equal_answers_sentences(results),
        *keep_alive_sentences(results),
        *precision_sentences(results),
        *shared_core_sentences(results),
        *results.warnings,
    ]


def single_target_sentences(results: Results) -> list[str]:
    """Return that there is no answer, where one target was measured alone."""
    if results.settings is None or len(results.names) != 1:
        return []
    return ["Only one target was measured."]
