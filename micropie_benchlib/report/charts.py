"""The page's charts."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import format_latency, pluralize
from micropie_benchlib.report.svg import (
    DIGIT_WIDTH,
    LEFT_MARGIN,
    PLOT_HEIGHT,
    ROW_HEIGHT,
    Axis,
    IntervalRow,
    Plot,
    Point,
    Series,
    html_figure,
    html_keys,
    latency_axis,
    percentile_axis,
    ratio_axis,
    round_axis,
    row_middle,
    shortened,
    svg_interval,
    svg_row_names,
    svg_series,
    svg_x_axis,
    svg_y_axis,
    ticks_at,
)
from micropie_benchlib.report.tables import comparison_cells
from micropie_benchlib.stats.student import mean_and_half_width


def series_figure(
    title: str, about: str, series: Sequence[Series], *, x: Axis, y: Axis, joined: bool = True
) -> str:
    """Return a figure of the series, as lines with dots or as dots alone."""
    longest_label = max(len(tick.label) for tick in y.ticks)
    plot = Plot(left=LEFT_MARGIN + DIGIT_WIDTH * longest_label, height=PLOT_HEIGHT)
    parts = [svg_x_axis(x, plot), svg_y_axis(y, plot)]
    for one in series:
        drawing = svg_series(one, x=x, y=y, plot=plot, joined=joined)
        parts.append(drawing)
    return html_figure(title, about, plot.svg(parts), shown=series, keys=html_keys(series))


def interval_figure(
    title: str,
    about: str,
    rows: Sequence[IntervalRow],
    *,
    axis: Axis,
    reference: float | None = None,
) -> str:
    """Return a figure with a row for each interval, and a line at the reference."""
    plot = Plot(left=LEFT_MARGIN, height=ROW_HEIGHT * len(rows))
    parts = [svg_x_axis(axis, plot)]
    if reference is not None:
        line = plot.vertical(axis.position(reference, plot.width))
        parts.append(f'<g class="reference"><path class="line" d="{line}"/></g>')
    parts.append(svg_row_names(rows, plot))
    for number, row in enumerate(rows):
        middle = row_middle(number)
        parts.append(svg_interval(row, middle, axis=axis, plot=plot))
    return html_figure(title, about, plot.svg(parts), shown=rows)


def series_of(
    labels: Mapping[str, str], points_of: Callable[[str], tuple[Point, ...]]
) -> list[Series]:
    """Return a series for each target that has points."""
    series = []
    for look, (name, label) in enumerate(labels.items()):
        points = points_of(name)
        if points:
            series.append(Series(name=label, look=look, points=points))
    return series


def points_in(series: Iterable[Series]) -> list[Point]:
    """Return all points of the series."""
    points: list[Point] = []
    for one in series:
        points += one.points
    return points


def load_charts(results: Results, load: LoadId, labels: Mapping[str, str]) -> list[str]:
    """Return one load's figures: throughputs, speeds, latencies, and every round.

    `labels` has what is shown for each target's name; its order gives their looks.
    """
    figures = [*speed_charts(results, load, labels), latency_chart(results, load, labels)]
    if not load.rate_per_s:  # else throughput is given
        figures.insert(0, throughput_chart(results, load, labels))
        figures.append(rounds_chart(results, load, labels))
    return list(filter(None, figures))


def throughput_chart(results: Results, load: LoadId, labels: Mapping[str, str]) -> str | None:
    """Return the figure of throughputs and their intervals; None if there are none."""
    rows = []
    about = "Of one single trial, so with no interval."
    for look, (name, label) in enumerate(labels.items()):
        throughputs = results.throughputs(name, load)
        if not throughputs:
            continue
        if len(throughputs) > 1:
            about = "Mean of the single trials, with its 95% interval."
        mean, half = mean_and_half_width(throughputs)
        row = IntervalRow(
            name=label,
            look=look,
            low=max(0.0, mean - half),
            value=mean,
            high=mean + half,
            text=f"{mean:.0f} ± {half:.0f}" if half else f"{mean:.0f}",
        )
        rows.append(row)
    if not rows:
        return None
    axis = round_axis(0, max(row.high for row in rows))
    return interval_figure("Requests per second", about, rows, axis=axis)


def speed_charts(results: Results, load: LoadId, labels: Mapping[str, str]) -> list[str]:
    """Return a figure of speeds and their intervals for each reference."""
    rows_by_reference: dict[str, list[IntervalRow]] = {}
    for look, (name, label) in enumerate(labels.items()):
        for comparison in results.comparisons:
            if (comparison.target, comparison.load) != (name, load):
                continue
            row = speed_row(comparison, label, look)
            if row:
                rows = rows_by_reference.setdefault(comparison.reference, [])
                rows.append(row)
    figures = []
    for reference, rows in rows_by_reference.items():
        reference_label = shortened(results.label(reference))
        about = (
            f"How many times as fast as {reference_label}, the line at 1: to the right is "
            "faster, by any metric. Ends without a dot lie beyond the axis."
        )
        figure = interval_figure(
            f"Speed against {reference_label}, by each metric",
            about,
            rows,
            axis=ratio_axis(ratio_reach(rows)),
            reference=1,
        )
        figures.append(figure)
    return figures


def speed_row(comparison: Comparison, label: str, look: int) -> IntervalRow | None:
    """Return the row of a comparison; None if it has no interval."""
    speed = comparison.speed
    if not speed or not speed.interval:
        return None
    cells = comparison_cells(comparison)
    return IntervalRow(
        name=f"{label}, {comparison.metric.short_name}, {comparison.method}",
        look=look,
        low=speed.interval.low,
        value=speed.ratio,
        high=speed.interval.high,
        text=f"{cells.speed} ({cells.interval}), {cells.verdict}",
    )


def ratio_reach(rows: Iterable[IntervalRow]) -> float:
    """Return the ratio at which the axis of these rows ends.

    It lies a bit beyond all values, and beyond the ends of intervals up to 4.
    """
    furthest_value = furthest_end = 1.0
    for row in rows:
        furthest_value = max(furthest_value, row.value, 1 / row.value)
        furthest_end = max(furthest_end, row.high, 1 / row.low)
    return max(1.02, 1.01 * min(furthest_end, max(4, furthest_value)))


def latency_chart(results: Results, load: LoadId, labels: Mapping[str, str]) -> str | None:
    """Return the figure of latency percentiles; None if none are known."""
    series = series_of(labels, lambda name: percentile_points(results, name, load))
    if not series:
        return None
    percents, latencies_s, _ = zip(*points_in(series), strict=True)
    return series_figure(
        "Latency by percentile",
        "Latency of all single trials together; the axis stretches towards the slowest requests.",
        series,
        x=percentile_axis(max(percents)),
        y=latency_axis(max(latencies_s)),
    )


def percentile_points(results: Results, name: str, load: LoadId) -> tuple[Point, ...]:
    """Return a target's percentiles under a load as points, in percent and seconds.

    The maximum is left out: on the axis of percentiles, 100% is infinitely far away.
    """
    distribution = results.distribution(name, load)
    points = []
    for percent, latency_s in distribution.percentiles if distribution else ():
        if percent < 100:
            text = f"{percent:g}% {format_latency(latency_s)}"
            points.append(Point(percent, latency_s, text))
    return tuple(points)


def rounds_chart(results: Results, load: LoadId, labels: Mapping[str, str]) -> str | None:
    """Return the figure of each round's throughput; None for a single round."""
    series = series_of(labels, lambda name: throughput_points(results, name, load))
    repeated = [one for one in series if len(one.points) > 1]
    if not repeated:
        return None
    rounds, throughputs, _ = zip(*points_in(repeated), strict=True)
    return series_figure(
        "Every round",
        "Requests per second of the single trials, by round.",
        repeated,
        x=rounds_axis(round(max(rounds))),
        y=round_axis(0, max(throughputs)),
        joined=False,
    )


def throughput_points(results: Results, name: str, load: LoadId) -> tuple[Point, ...]:
    """Return a target's valid single trials under a load: round, requests/s."""
    points = []
    for trial in results.single_trials(name, load):
        if trial.valid and trial.wrk:
            throughput = trial.wrk.requests_per_s
            points.append(Point(trial.round, throughput, f"round {trial.round}: {throughput:.0f}"))
    return tuple(points)


def rounds_axis(last: int) -> Axis:
    """Return an axis of rounds, from 1; it has some ten labels at most."""
    step = max(1, math.ceil(last / 10))
    return Axis(low=0.5, high=last + 0.5, ticks=ticks_at(range(step, last + 1, step)))


def sweep_charts(results: Results, labels: Mapping[str, str]) -> list[str]:
    """Return a figure for each workload with more than two counts of connections."""
    figures = []
    for workload in results.workloads:
        figure = sweep_chart(results, workload, labels)
        if figure:
            figures.append(figure)
    return figures


def sweep_chart(results: Results, workload: str, labels: Mapping[str, str]) -> str | None:
    """Return the figure of throughput over connections; None for less than three."""
    loads = []
    for load in results.reported_loads:
        if load.workload == workload and not load.rate_per_s:
            loads.append(load)
    series = series_of(labels, lambda name: mean_throughput_points(results, name, loads))
    if len(loads) < 3 or not series:
        return None
    _, throughputs, _ = zip(*points_in(series), strict=True)
    title = "Throughput over connections"
    if workload != DEFAULT_WORKLOAD:
        title += f", {workload}"
    return series_figure(
        title,
        "Mean requests per second of the single trials; the axis of connections is logarithmic.",
        series,
        x=connections_axis(loads),
        y=round_axis(0, max(throughputs)),
    )


def capacity_charts(results: Results, labels: Mapping[str, str]) -> list[str]:
    """Return a figure of latency over rates for each load whose capacity was sought."""
    if not results.capacities:
        return []
    figures = []
    for load in results.reported_loads:
        series = series_of(labels, functools.partial(step_points, results, load=load))
        if not series:
            continue
        rates, latencies_s, _ = zip(*points_in(series), strict=True)
        figure = series_figure(
            f"p99 latency over the rate, {load.sentence}",
            "Each trial in search of the capacity that was sustained, of all launches.",
            series,
            x=round_axis(0, max(rates)),
            y=latency_axis(max(latencies_s)),
            joined=False,
        )
        figures.append(figure)
    return figures


def step_points(results: Results, name: str, load: LoadId) -> tuple[Point, ...]:
    """Return rates and p99 latencies of a target's valid trials in search of its capacity."""
    points = []
    for measurement in results.measurements:
        rate_per_s, p99_s = measurement.load.rate_per_s, measurement.latency_p99_s
        if measurement.target != name or not measurement.valid or not rate_per_s or p99_s is None:
            continue
        if measurement.load.without_rate == load:
            text = f"{rate_per_s:.0f}/s {format_latency(p99_s)}"
            points.append(Point(rate_per_s, p99_s, text))
    return tuple(sorted(points))


def connections_axis(loads: Iterable[LoadId]) -> Axis:
    """Return a logarithmic axis of connections with a tick for each load."""
    counts = sorted(load.connections for load in loads)
    return Axis(low=counts[0], high=counts[-1], ticks=ticks_at(counts), scale=math.log)


def mean_throughput_points(
    results: Results, name: str, loads: Iterable[LoadId]
) -> tuple[Point, ...]:
    """Return connections and mean requests/s of a target's loads with valid trials."""
    points = []
    for load in loads:
        throughputs = results.throughputs(name, load)
        if throughputs:
            mean = statistics.fmean(throughputs)
            text = f"{pluralize(load.connections, 'connection')}: {mean:.0f}"
            points.append(Point(load.connections, mean, text))
    return tuple(points)
