"""Figures for the page: axes, series of points and rows of speeds, drawn as SVG."""

import html
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from micropie_benchlib.core.estimates import Estimate

# The units are those of an SVG: text is 14 units high, so that it is still readable where a
# phone shows 400 units on 300 pixels.
CHART_WIDTH = 400
PLOT_HEIGHT = 240
ROW_HEIGHT = 52  # of a speed: its name above it, its rounds below
TOP_MARGIN = 10
RIGHT_MARGIN = 32  # half of the last label
BOTTOM_MARGIN = 26  # the labels of the x axis
LEFT_MARGIN = 14
DIGIT_WIDTH = 9
END_MARK = 5  # of an interval, up and down
LOOKS = 6  # of series: in colour, dot and dashes; beyond them, lines get bolder


class TickMark(NamedTuple):
    value: float
    label: str


def ticks_at(values: Iterable[float], *, unit: str = "") -> tuple[TickMark, ...]:
    return tuple(TickMark(value, f"{value:.12g}{unit}") for value in values)


def percentile_scale(percent: float) -> float:
    """Return 0 for 0%, 1 for 90%, 2 for 99%, 3 for 99.9%, and so on without end."""
    return 2 - math.log10(100 - percent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Its equal distances are equal steps of `scale`."""

    low: float
    high: float
    ticks: tuple[TickMark, ...] = ()
    scale: Callable[[float], float] = float

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def position(self, value: float, length: float) -> float:
        """Return how far along an axis of that length the value lies; never beyond an end."""
        start = self.scale(self.low)
        span = self.scale(self.high) - start
        nearest = max(self.low, min(self.high, value))
        return length * (self.scale(nearest) - start) / span


def round_axis(highest: float, *, unit: str = "", unit_size: float = 1.0) -> Axis:
    """Its step is 1, 2 or 5 times a power of ten, and a sixth of the length or more."""
    units = max(highest / unit_size, 1e-9)
    power = 10.0 ** math.floor(math.log10(units / 6))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= units / 6)
    ticks = []
    for number in range(math.ceil(units / step) + 1):
        label = f"{number * step:.12g}{unit}"
        ticks.append(TickMark(number * step * unit_size, label))
    return Axis(low=0, high=ticks[-1].value, ticks=tuple(ticks))


def latency_axis(longest_s: float) -> Axis:
    for unit, size_s in (("s", 1), ("ms", 1e-3)):
        if longest_s >= size_s:
            return round_axis(longest_s, unit=unit, unit_size=size_s)
    return round_axis(longest_s, unit="us", unit_size=1e-6)


def percentile_axis(highest: float) -> Axis:
    percents = (0, 90, 99, 99.9, 99.99)
    return Axis(
        low=0,
        high=max(percents[-1], highest),
        ticks=ticks_at(percents, unit="%"),
        scale=percentile_scale,
    )


# Labels for axes of ratios, from fine to coarse.
RATIO_LABELS = (
    (0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03),
    (0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15),
    (0.5, 0.67, 0.8, 1.0, 1.25, 1.5, 2.0),
    (0.25, 0.5, 1.0, 2.0, 4.0),
    (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0),
)


def ratio_labels(reach: float) -> Sequence[float]:
    """Return the finest labels that cover most of an axis to that ratio: at last powers of ten."""
    for ratios in RATIO_LABELS:
        if reach <= ratios[-1] ** 1.75:
            return ratios
    decades = math.ceil(math.log10(reach) / 3)
    return [10.0 ** (decades * index) for index in range(-3, 4)]


def speed_axis(speeds: Iterable[Estimate], others: Iterable[float] = ()) -> Axis:
    """It holds all estimates, and what of their intervals and of others lies from 1/4 to 4."""
    ends = [0.95, 1.05, *others]
    lowest, highest = 0.25, 4.0
    for speed in speeds:
        ends += speed.interval
        lowest, highest = min(lowest, speed.ratio), max(highest, speed.ratio)
    low, high = max(min(ends), lowest), min(max(ends), highest)
    room_beyond = (high / low) ** 0.05  # for the last labels
    low, high = low / room_beyond, high * room_beyond
    ticks = ticks_at(ratio for ratio in ratio_labels(max(1 / low, high)) if low <= ratio <= high)
    return Axis(low=low, high=high, ticks=ticks, scale=math.log)


class Point(NamedTuple):
    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """`look` is their target's number, from 0."""

    name: str
    look: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRow:
    name: str
    look: int
    speed: Estimate
    text: str
    rounds: tuple[TickMark, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The rectangle that holds a chart's points; positions count from its top left."""

    left: float
    height: float

    @property
    def width(self) -> float:
        return CHART_WIDTH - self.left - RIGHT_MARGIN

    def svg(self, parts: Iterable[str]) -> str:
        chart_height = TOP_MARGIN + self.height + BOTTOM_MARGIN
        lines = [
            f'<svg viewBox="0 0 {CHART_WIDTH} {chart_height:.6g}">',
            f'<g transform="translate({self.left:.6g} {TOP_MARGIN})">',
            f'<rect class="background" width="{self.width:.6g}" height="{self.height:.6g}"/>',
            *parts,
            "</g></svg>",
        ]
        return "\n".join(lines)

    def vertical(self, x: float) -> str:
        return svg_path([(x, 0), (x, self.height)])

    def horizontal(self, y: float) -> str:
        return svg_path([(0, y), (self.width, y)])


def svg_path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.6g} {y:.6g}" for x, y in points)


def svg_text(x: float, y: float, text: str) -> str:
    return f'<text x="{x:.6g}" y="{y:.6g}">{html.escape(text)}</text>'


def svg_dot(x: float, y: float, text: str, *, radius: int = 4) -> str:
    return (
        f'<circle class="dot" cx="{x:.6g}" cy="{y:.6g}" r="{radius}">'
        f"<title>{html.escape(text)}</title></circle>"
    )


def svg_group(look: int, path: str, dots: Iterable[str]) -> str:
    line = f'<path class="line" d="{path}"/>' if path else ""
    classes = f"mark-{look % LOOKS} turn-{look // LOOKS}"
    return f'<g class="{classes}">{line}<g class="dots">{"".join(dots)}</g></g>'


def svg_reference(path: str) -> str:
    return f'<g class="reference"><path class="line" d="{path}"/></g>'


def svg_x_axis(axis: Axis, plot: Plot) -> str:
    """Labels that would touch another are left out."""
    parts = ['<g class="axis x">']
    free_from = -math.inf
    for tick in axis.ticks:
        x = axis.position(tick.value, plot.width)
        parts.append(f'<path d="{plot.vertical(x)}"/>')
        half = DIGIT_WIDTH * len(tick.label) / 2
        if x - half >= free_from:
            parts.append(svg_text(x, plot.height + 18, tick.label))
            free_from = x + half + DIGIT_WIDTH / 2
    return "".join([*parts, "</g>"])


def svg_y_axis(axis: Axis, plot: Plot) -> str:
    parts = ['<g class="axis y">']
    for tick in axis.ticks:
        y = plot.height - axis.position(tick.value, plot.height)
        parts.append(f'<path d="{plot.horizontal(y)}"/>')
        parts.append(svg_text(-8, y + 5, tick.label))
    return "".join([*parts, "</g>"])


def series_figures(
    title: str,
    about: str,
    series: Sequence[Series],
    *,
    x_axis: Callable[[float], Axis],
    y_axis: Callable[[float], Axis],
    limit: float | None = None,
) -> list[str]:
    """Lines with small dots; dots alone with a limit. Axes are given the highest values."""
    points = list(itertools.chain(*(one.points for one in series)))
    if not points:
        return []
    x = x_axis(max(points).x)
    y = y_axis(max(limit or 0.0, *(point.y for point in points)))
    longest_label = max(len(tick.label) for tick in y.ticks)
    plot = Plot(left=LEFT_MARGIN + DIGIT_WIDTH * longest_label, height=PLOT_HEIGHT)
    parts = [svg_x_axis(x, plot), svg_y_axis(y, plot)]
    if limit is not None:
        line = plot.horizontal(plot.height - y.position(limit, plot.height))
        parts.append(svg_reference(line))
    spoken = []
    for one in series:
        path = []
        dots = []
        texts = []
        for point in one.points:
            texts.append(point.text)
            dot_x = x.position(point.x, plot.width)
            dot_y = plot.height - y.position(point.y, plot.height)
            path.append((dot_x, dot_y))
            dots.append(svg_dot(dot_x, dot_y, point.text, radius=2 if limit is None else 4))
        parts.append(svg_group(one.look, svg_path(path) if limit is None else "", dots))
        spoken.append(f"{one.name}: {', '.join(texts)}")
    return [html_figure(title, about, plot.svg(parts), spoken=spoken, keys=html_keys(series))]


def speed_figure(title: str, about: str, rows: Sequence[SpeedRow]) -> str:
    every_round = []
    speeds = []
    for row in rows:
        speeds.append(row.speed)
        for tick in row.rounds:
            every_round.append(tick.value)
    axis = speed_axis(speeds, every_round)
    plot = Plot(left=LEFT_MARGIN, height=ROW_HEIGHT * len(rows))
    names = []
    drawings = []
    spoken = []
    for number, row in enumerate(rows):
        y = (number + 0.6) * ROW_HEIGHT
        names.append(f'<path d="{plot.horizontal(y)}"/>')
        names.append(svg_text(0, y - 14, row.name))
        drawings.append(svg_speed(row, y, axis=axis, plot=plot))
        spoken.append(f"{row.name}: {row.text}")
    parts = [
        svg_x_axis(axis, plot),
        svg_reference(plot.vertical(axis.position(1, plot.width))),
        f'<g class="axis y rows">{"".join(names)}</g>',
        *drawings,
    ]
    return html_figure(title, about, plot.svg(parts), spoken=spoken)


def svg_speed(row: SpeedRow, y: float, *, axis: Axis, plot: Plot) -> str:
    low, high = (axis.position(end, plot.width) for end in row.speed.interval)
    path = svg_path([(low, y), (high, y)])
    for end, x in zip(row.speed.interval, (low, high), strict=True):
        if axis.contains(end):
            path += svg_path([(x, y - END_MARK), (x, y + END_MARK)])
    dots = []
    for speed, text in row.rounds:
        if axis.contains(speed):
            dots.append(svg_dot(axis.position(speed, plot.width), y + 12, text, radius=2))
    dots.append(svg_dot(axis.position(row.speed.ratio, plot.width), y, row.text))
    return svg_group(row.look, path, dots)


def html_figure(
    title: str, about: str, drawing: str, *, spoken: Sequence[str], keys: str = ""
) -> str:
    """A screen reader reads in words what the drawing shows."""
    shown_title = html.escape(title)
    in_words = html.escape(". ".join([title, *spoken]))
    lines = [
        "<figure>",
        f"<figcaption><strong>{shown_title}</strong> {html.escape(about)}</figcaption>",
        f'<div class="scroll" tabindex="0" role="region" aria-label="{shown_title}">',
        f'<div role="img" aria-label="{in_words}">',
        drawing,
        "</div></div>",
        keys,
        "</figure>",
    ]
    return "\n".join(lines)


def html_keys(series: Iterable[Series]) -> str:
    items = []
    for one in series:
        sample = svg_group(one.look, "M0 6H32", ['<circle class="dot" cx="16" cy="6" r="4"/>'])
        drawing = f'<svg viewBox="0 0 32 12" aria-hidden="true">{sample}</svg>'
        items.append(f"<li>{drawing} {html.escape(one.name)}</li>")
    return f'<ul class="keys">{"".join(items)}</ul>'


def shortened(label: str) -> str:
    return label if len(label) <= 28 else f"{label[:27]}…"
