"""A search for the version that changed the speed: its table, chart and sentences."""

import dataclasses
from collections.abc import Mapping

from micropie_benchlib.core.bisection import Bisection, Side, Step, Visit
from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.text import pluralize
from micropie_benchlib.report.figures import format_range, format_speed
from micropie_benchlib.report.layout import Conclusion, Table

COSTS: Mapping[Metric, str] = {
    Metric.CPU: "CPU time",
    Metric.REQUESTS: "time per request",
    Metric.P99: "p99 latency",
}  # what a version needs, by the metric of the verdict


def with_bisection(conclusion: Conclusion, bisection: Bisection) -> Conclusion:
    """Return the conclusion on the last comparison as one on the search that it ended."""
    oldest, newest = bisection.versions[0], bisection.versions[-1]
    compared = len(bisection.visits) + 1
    heading = (
        f"{newest} against {oldest}, {cost_name(bisection)}: "
        f"{compared} of {pluralize(len(bisection.versions), 'version')} compared"
    )
    sentences = (*conclusion.sentences, *sentences_of(bisection))
    tables = conclusion.tables
    if len(bisection.visits) > 1:
        tables = (*tables, bisection_table(bisection))
    return dataclasses.replace(
        conclusion,
        heading=heading,
        verdict_lines=(),
        sentences=sentences,
        tables=tables,
        chart=tuple(costs_by_version(bisection).items()),
    )


def cost_name(bisection: Bisection) -> str:
    return COSTS.get(bisection.metric, bisection.metric.full_name)


def in_order(bisection: Bisection) -> list[Visit]:
    """Return the visits in the order of versions."""
    return sorted(bisection.visits, key=lambda visit: bisection.versions.index(visit.version))


def costs_by_version(bisection: Bisection) -> dict[str, Estimate]:
    costs = {}
    for visit in in_order(bisection):
        if visit.cost:
            costs[visit.version] = visit.cost
    return costs


def bisection_table(bisection: Bisection) -> Table:
    rows = [(bisection.versions[0], "1", "", "", "")]
    for visit in in_order(bisection):
        ratio = interval = rounds = ""
        if visit.cost:
            ratio, interval = format_speed(visit.cost), format_range(visit.cost)
            rounds = str(visit.rounds)
        rows.append((visit.version, ratio, interval, rounds, visit.side.value))
    return Table(
        title=f"Versions against {bisection.versions[0]}, {cost_name(bisection)}",
        titles=("Version", "Ratio", "Interval", "Rounds", "Step"),
        left=("Step",),
        rows=tuple(rows),
    )


def sentences_of(bisection: Bisection) -> list[str]:
    """Return what was skipped, then what was found; the answer comes last."""
    sentences = []
    for visit in in_order(bisection):
        if visit.side is Side.SKIPPED:
            sentences.append(f"{visit.version} was skipped: {visit.reason}.")
    oldest, newest = bisection.versions[0], bisection.versions[-1]
    older, newer = bisection.older, bisection.newer
    total = bisection.visits[0].cost
    whole = need(bisection, newest, total, oldest)
    direct = need(bisection, newer, bisection.change, older)
    are_ends = (older, newer) == (oldest, newest)
    if bisection.step is Step.UNFINISHED:
        return [*sentences, f"Unfinished: {whole}; the step is after {older}, up to {newer}."]
    if bisection.step is Step.NONE:
        share = bisection.slower_than
        size = f" over {100 * share:.4g}%" if share else ""
        return [*sentences, f"No step{size}: {whole}."]
    if bisection.step is Step.INCONCLUSIVE and are_ends:
        finding = f"No step was found, but the interval allows one: {whole}; add rounds (-r)."
        return [*sentences, finding]
    if bisection.step is not Step.FOUND:
        return [*sentences, f"No single step: {whole}; but where the search ended, {direct}."]
    if not are_ends:
        sentences.append(f"{whole}.")
    between = versions_between(bisection)
    if between:
        sentences.append(f"Which of the last {between + 1} versions did it, is not decided.")
    if total and bisection.change and not total.interval.overlaps(bisection.change.interval):
        sentences.append("Other versions changed it, too.")
    return [*sentences, f"{direct}."]


def need(bisection: Bisection, version: str, cost: Estimate | None, other: str) -> str:
    if cost is None:
        return f"{version} was not compared with {other}"
    ratio = f"{format_speed(cost)} ({format_range(cost)})"
    return f"{version} needs {ratio} of the {cost_name(bisection)} of {other}"


def versions_between(bisection: Bisection) -> int:
    """Return how many versions lie between those around the step."""
    versions = bisection.versions
    return versions.index(bisection.newer) - versions.index(bisection.older) - 1
