"""Ratios and intervals in words."""

from __future__ import annotations

from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.text import USELESS_NOISE


def format_ratio(ratio: float, decimals: int) -> str:
    """Return the ratio with so many decimals, or two digits where it is small."""
    return f"{ratio:.{decimals}f}" if ratio >= 0.1 else f"{ratio:.2g}"


def speed_decimals(speed: Estimate) -> int:
    """Return 2, or 3 where two would hide the interval, or show an end near 1 as 1."""
    if speed.interval is None:
        return 2
    is_near_1 = any(abs(end - 1) < 0.005 for end in speed.interval)
    is_narrow = speed.interval.high / speed.interval.low < 1.01
    return 3 if is_near_1 or is_narrow else 2


def format_speed(speed: Estimate) -> str:
    return f"{format_ratio(speed.ratio, speed_decimals(speed))}x"


def format_range(speed: Estimate) -> str:
    if speed.interval is None:
        return ""
    decimals = speed_decimals(speed)
    low, high = (format_ratio(end, decimals) for end in speed.interval)
    return f"{low} to {high}"


def format_interval(speed: Estimate) -> str:
    return f" ({format_range(speed)})" if speed.interval else ""


def says_little(speed: Estimate) -> bool:
    """Return whether the interval says less than a factor of two."""
    return (speed.half_width or 0) > 1


def useful_interval(speed: Estimate) -> str:
    return "" if says_little(speed) else format_interval(speed)


def interval_cell(speed: Estimate | None) -> str:
    if speed is None or speed.half_width is None:
        return ""
    return "too wide" if speed.half_width >= USELESS_NOISE else format_range(speed)
