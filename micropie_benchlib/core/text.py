"""Figures in words and wrk's units, and read back from them."""

import re

from micropie_benchlib.core.errors import UsageError


def pluralize(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def format_rate(rate_per_s: float) -> str:
    """Such as `5,000 requests/s`; below 100 with its decimals."""
    rate = f"{rate_per_s:,.0f}" if rate_per_s >= 100 else f"{rate_per_s:.4g}"
    return f"{rate} requests/s"


def format_latency(seconds: float) -> str:
    """As wrk prints it (units.c): each unit from 0.85 of it on, but seconds from 1 s."""
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
    if half_width < 1:
        return f"±{half_width:.0%}"
    if half_width < USELESS_NOISE:
        return f"within a factor of {1 + half_width:.2g}"
    return "no useful precision"


def format_precision(half_width: float) -> str:
    return f"±{100 * half_width:.2g}%" if half_width < 1 else format_noise(half_width)


def show_value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return ", ".join(map(show_value, value))
    return str(value)


SECONDS_IN = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
BYTES_IN = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def parse_duration(text: str, *, option: str = "--duration") -> int:
    """Return wrk's duration in seconds, above 0.

    Raises UsageError for all that is not a whole number of s, m or h, as wrk does (units.c,
    scan_time).
    """
    match = re.fullmatch(r"(\d{1,6})([smh]?)", text.strip())
    if not match or int(match[1]) == 0:
        raise UsageError(
            f"{text!r}: wrk takes whole seconds, minutes or hours above 0, such as 5s or 1m",
            option=option,
        )
    unit = match[2] or "s"
    return int(match[1]) * int(SECONDS_IN[unit])


def parse_time(text: str) -> float:
    """`1000.00m` is a cut-off `1000.00ms`: wrk prints no 1000 minutes."""
    if text == "1000.00m":
        return 1.0
    number = text.rstrip("umsh")
    unit = text.removeprefix(number)
    return float(number) * SECONDS_IN[unit]


def parse_bytes(text: str) -> float:
    """The units step by 1024 (units.c)."""
    number = text.rstrip("KMGTB")
    unit = text.removeprefix(number).removesuffix("B")
    return float(number) * BYTES_IN[unit]
