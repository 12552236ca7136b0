"""Ratios and intervals in words."""

from micropie_benchlib.core.estimates import Estimate


def format_ratio(ratio: float, decimals: int) -> str:
    return f"{ratio:.{decimals}f}" if ratio >= 0.1 else f"{ratio:.2g}"


def speed_decimals(speed: Estimate) -> int:
    """Return 2, or 3 where two would hide the interval, or show an end near 1 as 1."""
    is_near_1 = any(abs(end - 1) < 0.005 for end in speed.interval)
    is_narrow = speed.high / speed.low < 1.01
    return 3 if is_near_1 or is_narrow else 2


def format_speed(speed: Estimate) -> str:
    return f"{format_ratio(speed.ratio, speed_decimals(speed))}x"


def format_range(speed: Estimate) -> str:
    decimals = speed_decimals(speed)
    low, high = (format_ratio(end, decimals) for end in speed.interval)
    return f"{low} to {high}"


def speed_in_words(speed: Estimate, measure: str = "") -> str:
    """Return the speed with its interval; neither where that is wider than a factor of two."""
    if speed.half_width > 1:
        return f"too noisy {measure}".rstrip()
    return f"{format_speed(speed)} {measure}".rstrip() + f" ({format_range(speed)})"
