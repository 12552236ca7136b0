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
            f"{option} {text!r}: wrk takes whole seconds, minutes or hours above 0, "
            "such as 5s or 1m"
        )
    unit = match[2] or "s"
    return int(match[1]) * int(SECONDS_IN[unit])
