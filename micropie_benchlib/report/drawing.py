"""The chart of speeds on a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from micropie_benchlib.core.estimates import Comparison, Estimate, Interval
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.figures import format_speed
from micropie_benchlib.report.layout import cell_width
from micropie_benchlib.report.svg import ratio_labels

MIN_DRAWING = 20  # columns
MIN_CELLS = 34  # of an axis beside the names; with less room it stands below each


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedAxis:
    """A logarithmic axis of speeds, `cells` characters wide."""

    reach: Interval
    cells: int

    def cell(self, speed: float) -> int:
        """Return in which character the speed lies, from 0; at an end if it is beyond."""
        low, high = math.log(self.reach.low), math.log(self.reach.high)
        share = (math.log(speed) - low) / (high - low)
        return round(max(0.0, min(1.0, share)) * (self.cells - 1))

    def labels(self) -> str:
        """Return the line of labels; those that would touch another are left out."""
        line = ""
        for ratio in ratio_labels(max(1 / self.reach.low, self.reach.high)):
            label = f"{ratio:g}"
            start = max(0, self.cell(ratio) - len(label) // 2)
            is_free = not line or start >= len(line) + 2
            if self.reach.contains(ratio) and is_free and start + len(label) <= self.cells:
                line = line.ljust(start) + label
        return line

    def draw(self, speed: Estimate) -> str:
        """Return the line of a speed and its interval; `|` stands at 1."""
        characters = [" "] * self.cells
        if speed.interval:
            low, high = map(self.cell, speed.interval)
            characters[low : high + 1] = "─" * (high + 1 - low)
        characters[self.cell(1)] = "|"
        characters[self.cell(speed.ratio)] = "◆"
        return "".join(characters).rstrip()


def speed_reach(speeds: Iterable[Estimate]) -> Interval:
    """Return from where to where an axis of these speeds goes: intervals end at 4 or 1/4."""
    ends = [0.95, 1.05]
    lowest, highest = 0.25, 4.0
    for speed in speeds:
        ends += speed.interval or [speed.ratio]
        lowest, highest = min(lowest, speed.ratio), max(highest, speed.ratio)
    low, high = max(min(ends), lowest), min(max(ends), highest)
    room_beyond = (high / low) ** 0.05  # for the last labels
    return Interval(low / room_beyond, high * room_beyond)


def draw_speeds(results: Results, comparisons: Iterable[Comparison], *, width: int) -> list[str]:
    """Return lines that draw speeds and their intervals, no wider than that."""
    speeds: dict[str, Estimate] = {}
    for comparison in comparisons:
        name = f"{results.label(comparison.target)}, {comparison.load.sentence}"
        if comparison.speed:
            speeds[name] = comparison.speed
    if not speeds or width < MIN_DRAWING:
        return []
    room = max(map(cell_width, speeds))
    value_room = 2 + max(len(format_speed(speed)) for speed in speeds.values())
    is_narrow = width - room - value_room < MIN_CELLS
    margin = 2 if is_narrow else room + 4
    cells = min(72, width - value_room - margin)
    axis = SpeedAxis(reach=speed_reach(speeds.values()), cells=cells)
    lines = [" " * margin + axis.labels()]
    for name, speed in speeds.items():
        drawing = f"{axis.draw(speed):<{cells}}  {format_speed(speed)}"
        if is_narrow:
            lines += [f"  {name}", f"  {drawing}"]
        else:
            padding = " " * (room - cell_width(name))
            lines.append(f"  {name}{padding}  {drawing}")
    return lines
