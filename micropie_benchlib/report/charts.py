"""The page's charts: speeds, throughput over connections, latency over rates and by percentile."""

import functools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence

from micropie_benchlib.core.bisection import Bisection
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import format_latency, pluralize
from micropie_benchlib.report import svg
from micropie_benchlib.report.bisection import cost_name, costs_by_version
from micropie_benchlib.report.figures import format_range, format_speed
from micropie_benchlib.report.tables import comparison_cells
from micropie_benchlib.stats.comparisons import speeds_by_round


def speed_charts(results: Results, comparisons: Iterable[Comparison]) -> list[str]:
    rows = []
    for comparison in comparisons:
        if comparison.speed is None:
            continue
        label = svg.shortened(results.label(comparison.target))
        rounds = []
        for number, speed in speeds_by_round(results, comparison).items():
            rounds.append(svg.TickMark(speed, f"round {number}: {speed:.3f}x"))
        _, _, ratio, interval, verdict = comparison_cells(comparison)
        row = svg.SpeedRow(
            name=f"{label}, {comparison.load.sentence}",
            look=results.names.index(comparison.target),
            speed=comparison.speed,
            text=f"{ratio} ({interval}), {comparison.metric.short_name}, {verdict}",
            rounds=tuple(rounds),
        )
        rows.append(row)
    about = (
        "How many times as fast as the reference (the line at 1); right is faster. Large "
        "dot: estimate; bar: its interval; small dots: rounds. Bars without an end mark run off "
        "the chart."
    )
    return [svg.speed_figure("Speed", about, rows)] if rows else []


def bisection_charts(bisection: Bisection) -> list[str]:
    rows = []
    for version, cost in costs_by_version(bisection).items():
        text = f"{format_speed(cost)} ({format_range(cost)})"
        rows.append(
            svg.SpeedRow(name=svg.shortened(version), look=0, speed=cost, text=text, rounds=())
        )
    about = (
        f"The {cost_name(bisection)} of each version as a ratio to {bisection.versions[0]} (the "
        "line at 1); right is slower. Dot: estimate; bar: its interval."
    )
    return [svg.speed_figure("Versions", about, rows)] if rows else []


def series_of(
    results: Results, points_of: Callable[[str], Iterable[svg.Point]]
) -> list[svg.Series]:
    series = []
    for look, name in enumerate(results.names):
        points = tuple(points_of(name))
        if points:
            label = svg.shortened(results.label(name))
            series.append(svg.Series(name=label, look=look, points=points))
    return series


def latency_charts(results: Results, load: LoadId) -> list[str]:
    return svg.series_figures(
        "Latency by percentile",
        "Latency of all single trials together; the axis expands the slowest requests.",
        series_of(results, functools.partial(percentile_points, results, load)),
        x_axis=svg.percentile_axis,
        y_axis=svg.latency_axis,
    )


def percentile_points(results: Results, load: LoadId, name: str) -> list[svg.Point]:
    """The maximum is left out: on the axis of percentiles, 100% is infinitely far away."""
    points = []
    for percent, latency_s in results.latencies(name, load).items():
        if percent < 100:
            text = f"{percent:g}% {format_latency(latency_s)}"
            points.append(svg.Point(percent, latency_s, text))
    return points


def sweep_charts(results: Results) -> list[str]:
    figures = []
    for workload in results.workloads:
        loads = []
        for load in results.reported_loads:
            if load.workload == workload and not load.rate_per_s:
                loads.append(load)
        if len(loads) >= 3:
            figures += sweep_chart(results, workload, loads)
    return figures


def sweep_chart(results: Results, workload: str, loads: Sequence[LoadId]) -> list[str]:
    title = "Throughput by connections"
    if workload != DEFAULT_WORKLOAD:
        title += f", {workload}"
    counts = sorted(load.connections for load in loads)
    x = svg.Axis(low=counts[0], high=counts[-1], ticks=svg.ticks_at(counts), scale=math.log)
    return svg.series_figures(
        title,
        "Mean requests per second of the single trials; the axis of connections is logarithmic.",
        series_of(results, functools.partial(throughput_points, results, loads)),
        x_axis=lambda _: x,
        y_axis=svg.round_axis,
    )


def throughput_points(results: Results, loads: Iterable[LoadId], name: str) -> list[svg.Point]:
    points = []
    for load in loads:
        throughputs = results.throughputs(name, load)
        if throughputs:
            mean = statistics.fmean(throughputs)
            text = f"{pluralize(load.connections, 'connection')}: {mean:.0f}"
            points.append(svg.Point(load.connections, mean, text))
    return points


def capacity_charts(results: Results) -> list[str]:
    figures: list[str] = []
    if not results.capacities:
        return figures
    limit_s = results.capacities[0].p99_limit_s
    for load in results.reported_loads:
        figures += svg.series_figures(
            f"p99 latency by rate, {load.sentence}",
            f"Each valid trial of the search; the line is the limit of {format_latency(limit_s)}.",
            series_of(results, functools.partial(step_points, results, load)),
            x_axis=svg.round_axis,
            y_axis=svg.latency_axis,
            limit=limit_s,
        )
    return figures


def step_points(results: Results, load: LoadId, name: str) -> list[svg.Point]:
    points = []
    for measurement in results.measurements:
        rate_per_s, p99_s = measurement.load.rate_per_s, measurement.latency_p99_s
        if measurement.target != name or not measurement.valid or not rate_per_s or p99_s is None:
            continue
        if measurement.load.without_rate == load:
            text = f"{rate_per_s:.0f}/s {format_latency(p99_s)}"
            points.append(svg.Point(rate_per_s, p99_s, text))
    return sorted(points)
