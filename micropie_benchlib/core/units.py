"""The units that times and sizes are written in."""

from __future__ import annotations

import re

from micropie_benchlib.core.errors import UsageError

SECONDS_IN = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
BYTES_IN = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def parse_duration(text: str, *, option: str = "--duration") -> int:
    """Return wrk's duration in seconds, above 0.

    It is a whole number, of seconds or of the unit `s`, `m` or `h`. Raises UsageError
    for anything else, as wrk does (units.c, scan_time).
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
    """Return wrk's printed time in seconds.

    `1000.00m` is a cut-off `1000.00ms`: wrk prints no 1000 minutes.
    """
    if text == "1000.00m":
        return 1.0
    number = text.rstrip("umsh")
    unit = text.removeprefix(number)
    return float(number) * SECONDS_IN[unit]


def parse_bytes(text: str) -> float:
    """Return wrk's printed size in bytes; its units step by 1024 (units.c)."""
    number = text.rstrip("KMGTB")
    unit = text.removeprefix(number).removesuffix("B")
    return float(number) * BYTES_IN[unit]
