"""The tables of results: the gist's, and those of details, ranks, rates and capacities."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from micropie_benchlib.core.estimates import Comparison, Distribution, Ranking
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement, WrkResult
from micropie_benchlib.core.metrics import valid_runs
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN, format_latency, pluralize
from micropie_benchlib.report.figures import format_speed, interval_cell
from micropie_benchlib.report.layout import Table, columns_from
from micropie_benchlib.stats.intervals import mean_and_half_width
from micropie_benchlib.stats.ranking import rankings_of
from micropie_benchlib.stats.search import outcome_of

GIST_TITLES = (
    "Framework",
    "Avg Latency",
    "Max Latency",
    "Requests/Sec",
    "Data Transferred (MB)",
    "Transfer Rate (KB/s)",
)
GIST_COLUMNS = columns_from(GIST_TITLES, left=["Framework"])
DETAIL_COLUMNS = columns_from(
    ("Framework", "p50", "p90", "p99", "p99.9", "CPU/Request (us)", "Peak Memory (MiB)", "Errors"),
    left=["Framework"],
)
CAPACITY_COLUMNS = columns_from(("Framework", "Requests/Sec", "Launches"), left=["Framework"])
STEP_COLUMNS = columns_from(
    ("Framework", "Round", "Offered/Sec", "p99", "Outcome", "Why"),
    left=["Framework", "Outcome", "Why"],
)
PACE_COLUMNS = columns_from(
    ("Framework", "Offered/Sec", "Answered/Sec", "wrk late, p50", "wrk late, p99"),
    left=["Framework"],
)
RANKING_COLUMNS = columns_from(
    ("Rank", "Framework", "Speed", "Interval"), left=["Rank", "Framework"]
)
COMPARISON_COLUMNS = columns_from(
    ("Framework", "Metric", "Rounds", "Method", "Speed", "Interval", "Verdict"),
    left=["Framework", "Metric", "Method", "Verdict"],
)


def latency_cells(runs: Iterable[WrkResult]) -> tuple[str, str]:
    """Return the mean latency over all requests, and the maximum, of runs that tell them."""
    requests, latency_sum_s, longest_s = 0, 0.0, 0.0
    for run in runs:
        if run.latency:
            requests += run.requests
            latency_sum_s += run.latency.mean_s * run.requests
            longest_s = max(longest_s, run.latency.max_s)
    if not requests:
        return UNKNOWN, UNKNOWN
    return format_latency(latency_sum_s / requests), format_latency(longest_s)


def format_mean(values: Sequence[float]) -> str:
    """Return the mean, with half its 95% interval if there are several values."""
    mean, half = mean_and_half_width(values)
    return f"{mean:.2f} ± {half:.2f}" if len(values) > 1 else f"{mean:.2f}"


def gist_row(measurements: Iterable[Measurement]) -> list[str]:
    """Return the gist's columns after the name, over the valid measurements.

    They are those of a target under one load. The mean latency is over all requests, the
    maximum the largest, data the sum; throughput and transfer rate are means over
    rounds, throughput with half its 95% interval.
    """
    runs = valid_runs(measurements)
    if not runs:
        return ["invalid"] * (len(GIST_COLUMNS) - 1)
    return [
        *latency_cells(runs),
        format_mean([run.requests_per_s for run in runs]),
        f"{sum(run.bytes for run in runs) / 1024**2:.2f}",
        f"{statistics.fmean(run.bytes_per_s for run in runs) / 1024:.2f}",
    ]


def detail_row(measurements: Sequence[Measurement], distribution: Distribution | None) -> list[str]:
    """Return the columns of details after the name, over a target under one load.

    Percentiles of all valid rounds' samples together, their mean CPU time and highest
    memory, and the errors of all rounds, invalid ones too.
    """
    valid = [m for m in measurements if m.valid and m.wrk]
    cpu_s = [m.cpu_per_request_s for m in valid if m.cpu_per_request_s]
    memory = [m.use.server_rss_bytes for m in valid if m.use]
    errors = sum(m.wrk.errors.total for m in measurements if m.wrk)
    by_percent = dict(distribution.percentiles) if distribution else {}
    latencies = []
    for percent in (50, 90, 99, 99.9):
        seconds = by_percent.get(percent)
        latencies.append("" if seconds is None else format_latency(seconds))
    return [
        *latencies,
        f"{statistics.fmean(cpu_s) * 1e6:.1f}" if cpu_s else "",
        f"{max(memory) / 1024**2:.1f}" if memory else "",
        str(errors),
    ]


class ComparisonCells(NamedTuple):
    """A comparison in words and figures."""

    rounds: str
    method: str
    speed: str
    interval: str
    verdict: str


def comparison_cells(comparison: Comparison) -> ComparisonCells:
    """Return rounds, method, speed, its interval, and the verdict with its reason."""
    ratio = interval = ""
    speed = comparison.speed
    if speed:
        ratio = f"{speed.ratio:.3f}x"
    if speed and speed.interval:
        interval = f"{speed.interval.low:.3f} to {speed.interval.high:.3f}"
    verdict: str = comparison.verdict
    if comparison.reason:
        verdict += f": {comparison.reason}"
    return ComparisonCells(str(comparison.rounds), comparison.method, ratio, interval, verdict)


def error_mark(measurements: Iterable[Measurement]) -> str:
    """Return the mark of figures that count in spite of errors, as those of a parsed text."""
    errors = sum(run.errors.total for run in valid_runs(measurements))
    return f" ({pluralize(errors, 'error')})" if errors else ""


def gist_table(results: Results, load: LoadId) -> Table:
    """Return the gist's table of one load. Absolute figures come from single trials."""
    rows = []
    for name in results.names:
        if any((m.target, m.load) == (name, load) for m in results.measurements):
            trials = results.single_trials(name, load)
            rows.append((results.label(name) + error_mark(trials), *gist_row(trials)))
    return Table(title=load.title, columns=GIST_COLUMNS, rows=tuple(rows))


def detail_table(results: Results, load: LoadId) -> Table:
    """Return percentiles, CPU, memory and errors of those targets that show any."""
    rows = []
    for name in results.names:
        *figures, errors = detail_row(
            results.single_trials(name, load), results.distribution(name, load)
        )
        if any(figures):
            rows.append((results.label(name), *figures, errors))
    return Table(title=f"{load.title}, details", columns=DETAIL_COLUMNS, rows=tuple(rows))


def capacity_table(results: Results, load: LoadId) -> Table:
    """Return the mean capacities of the launches, with half the 95% interval."""
    rows = []
    for name in results.names:
        capacities = list(results.capacities_of(name, load).values())
        shown = format_mean(capacities) if capacities else UNKNOWN
        rows.append((results.label(name), shown, str(len(capacities))))
    limit_s = results.capacities[0].p99_limit_s
    title = f"{load.title}, capacity at a p99 up to {format_latency(limit_s)}"
    return Table(title=title, columns=CAPACITY_COLUMNS, rows=tuple(rows))


def step_table(results: Results, load: LoadId) -> Table:
    """Return each rate that was tried for a capacity, with its p99 or why that is not known."""
    limit_s = results.capacities[0].p99_limit_s
    rows = []
    for measurement in results.measurements:
        rate_per_s = measurement.load.rate_per_s
        if not rate_per_s or measurement.load.without_rate != load:
            continue
        p99_s = measurement.latency_p99_s
        row = [results.label(measurement.target), str(measurement.round), f"{rate_per_s:.1f}"]
        row.append("" if p99_s is None else format_latency(p99_s))
        row.append(outcome_of(measurement, limit_s))
        row.append(measurement.invalid_reason or "")
        rows.append(tuple(row))
    title = f"{load.title}, rates that were tried"
    return Table(title=title, columns=STEP_COLUMNS, rows=tuple(rows))


def pace_table(results: Results, load: LoadId) -> Table:
    """Return how a rate was kept by each target alone, and by wrk: means of its valid trials."""
    rows = []
    for name in results.names:
        runs = valid_runs(results.single_trials(name, load))
        paces = [run.pace for run in runs if run.pace]
        if not paces:
            continue
        offered = statistics.fmean(pace.offered_per_s for pace in paces)
        row = [results.label(name), f"{offered:.2f}"]
        row.append(f"{statistics.fmean(pace.answered_per_s for pace in paces):.2f}")
        row.append(format_latency(statistics.fmean(pace.late_p50_s for pace in paces)))
        row.append(format_latency(statistics.fmean(pace.late_p99_s for pace in paces)))
        rows.append(tuple(row))
    return Table(title=f"{load.title}, kept", columns=PACE_COLUMNS, rows=tuple(rows))


def comparison_tables(results: Results, load: LoadId) -> list[Table]:
    """Return a table of speeds for each reference that rounds were compared with."""
    comparisons = [c for c in results.comparisons if c.load == load]
    references = dict.fromkeys(c.reference for c in comparisons if c.rounds > 1)
    tables = []
    for reference in references:
        rows = []
        for comparison in comparisons:
            if comparison.reference == reference:
                label = results.label(comparison.target)
                cells = comparison_cells(comparison)
                rows.append((label, comparison.metric.full_name, *cells))
        title = f"{load.title}, against {results.label(reference)}"
        tables.append(Table(title=title, columns=COMPARISON_COLUMNS, rows=tuple(rows)))
    return tables


def ranking_table(results: Results, ranking: Ranking) -> Table:
    """Return the order of more than two targets."""
    speeds = {}
    for comparison in results.comparisons:
        kind = (comparison.load, comparison.method, comparison.metric, comparison.reference)
        if kind == (ranking.load, ranking.method, ranking.metric, ranking.reference):
            speeds[comparison.target] = comparison.speed
    rows = []
    for rank in ranking.ranks:
        speed = speeds.get(rank.target)
        shown = format_speed(speed) if speed else "1"
        rows.append((rank.title, results.label(rank.target), shown, interval_cell(speed)))
    return Table(
        title=f"{ranking.load.title}, ranks by speed {ranking.metric.facts.measure}",
        columns=RANKING_COLUMNS,
        rows=tuple(rows),
    )


def load_tables(results: Results, load: LoadId, *, details: bool = True) -> list[Table]:
    """Return one load's tables: the gist's, and with details all that there is data for.

    More than two targets have an order, too, and a load at a rate its percentiles.
    """
    rankings = [ranking for ranking in rankings_of(results) if ranking.load == load]
    tables = [ranking_table(results, ranking) for ranking in rankings]
    tables += [capacity_table(results, load)] if results.capacities else []
    tables.append(gist_table(results, load))
    if details or load.rate_per_s:
        detailed = detail_table(results, load)
        tables += [detailed] if detailed.rows else []
    if details:
        tables += [pace_table(results, load)] if load.rate_per_s else []
        tables += [step_table(results, load)] if results.capacities else []
        tables += comparison_tables(results, load)
    return tables


def result_tables(results: Results, *, details: bool = True) -> list[Table]:
    """Return the tables of all loads."""
    tables = []
    for load in results.reported_loads:
        tables += load_tables(results, load, details=details)
    return tables
