"""The chart of speeds on a terminal."""

from collections.abc import Iterable, Mapping

from micropie_benchlib.core.estimates import Comparison, Estimate
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.figures import format_speed
from micropie_benchlib.report.layout import cell_width
from micropie_benchlib.report.svg import Axis, speed_axis

MIN_DRAWING = 20  # columns
MIN_CELLS = 34  # of an axis beside the names; with less room it stands below each


def draw_speeds(results: Results, comparisons: Iterable[Comparison], *, width: int) -> list[str]:
    speeds: dict[str, Estimate] = {}
    for comparison in comparisons:
        name = f"{results.label(comparison.target)}, {comparison.load.sentence}"
        if comparison.speed:
            speeds[name] = comparison.speed
    return draw_ratios(speeds, width=width)


def draw_ratios(speeds: Mapping[str, Estimate], *, width: int) -> list[str]:
    if not speeds or width < MIN_DRAWING:
        return []
    room = max(map(cell_width, speeds))
    value_room = 2 + max(len(format_speed(speed)) for speed in speeds.values())
    is_narrow = width - room - value_room < MIN_CELLS
    margin = 2 if is_narrow else room + 4
    cells = min(72, width - value_room - margin)
    axis = speed_axis(speeds.values())
    lines = [" " * margin + line_of_labels(axis, cells)]
    for name, speed in speeds.items():
        drawing = f"{line_of_speed(axis, cells, speed):<{cells}}  {format_speed(speed)}"
        if is_narrow:
            lines += [f"  {name}", f"  {drawing}"]
        else:
            padding = " " * (room - cell_width(name))
            lines.append(f"  {name}{padding}  {drawing}")
    return lines


def cell_of(speed: float, axis: Axis, cells: int) -> int:
    return round(axis.position(speed, cells - 1))


def line_of_labels(axis: Axis, cells: int) -> str:
    """Return the axis's labels; those that would touch another are left out."""
    line = ""
    for ratio, label in axis.ticks:
        start = max(0, cell_of(ratio, axis, cells) - len(label) // 2)
        is_free = not line or start >= len(line) + 2
        if is_free and start + len(label) <= cells:
            line = line.ljust(start) + label
    return line


def line_of_speed(axis: Axis, cells: int, speed: Estimate) -> str:
    characters = [" "] * cells
    low, high = (cell_of(end, axis, cells) for end in speed.interval)
    characters[low : high + 1] = "─" * (high + 1 - low)
    if speed.low < axis.low:
        characters[low] = "<"  # it runs off the chart
    if speed.high > axis.high:
        characters[high] = ">"
    characters[cell_of(1, axis, cells)] = "|"
    characters[cell_of(speed.ratio, axis, cells)] = "◆"
    return "".join(characters).rstrip()
