"""Counts, rates, latencies and yes or no, in words."""

from __future__ import annotations


def pluralize(count: int, noun: str) -> str:
    """Return the count with the noun, such as `1 connection` or `2 connections`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_rate(rate_per_s: float) -> str:
    """Return the rate in words, such as `5,000 requests/s`; below 100 with its decimals."""
    rate = f"{rate_per_s:,.0f}" if rate_per_s >= 100 else f"{rate_per_s:.4g}"
    return f"{rate} requests/s"


def format_latency(seconds: float) -> str:
    """Return the time as wrk prints it (units.c).

    Two decimals; each unit from 0.85 of it on, but seconds from 1 s.
    """
    if seconds >= 0.85 * 60:
        return f"{seconds / 60:.2f}m"
    if seconds >= 1:
        return f"{seconds:.2f}s"
    if seconds >= 0.85e-3:
        return f"{seconds * 1e3:.2f}ms"
    return f"{seconds * 1e6:.2f}us"


UNKNOWN = "unknown"  # in place of what is not known
USELESS_NOISE = 9.0  # half an interval's width, as a share


def format_noise(half_width: float) -> str:
    """Return half the width of a speed's interval in words."""
    if half_width < 1:
        return f"±{half_width:.0%}"
    if half_width < USELESS_NOISE:
        return f"within a factor of {1 + half_width:.2g}"
    return "with no useful precision"


def format_precision(half_width: float) -> str:
    """Return half the width of an interval with the digits that a wish for it has."""
    return f"±{100 * half_width:.2g}%" if half_width < 1 else format_noise(half_width)


def show_value(value: object) -> str:
    """Return a setting's value for people."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(show_value, value))
    return str(value)
