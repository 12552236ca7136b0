"""Times, shares and rates as typed, and guesses at what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable

from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.text import SECONDS_IN


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like it; nothing if none is."""
    import difflib

    matches = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def parse_seconds(option: str, text: str) -> float:
    """Return the seconds of a time such as 0.3s, 500ms or 2m. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", text.strip())
    if not match:
        raise UsageError(f"{text!r}: use a time such as 0.3s, 500ms or 2m", option=option)
    return float(match[1]) * SECONDS_IN[match[2] or "s"]


def parse_rate(text: str) -> float:
    """Return the requests/s that a text such as 5000 means. Raises UsageError."""
    match = re.fullmatch(r"\d{1,7}(\.\d{1,3})?", text.strip())
    if not match or not float(text):
        raise UsageError(
            f"{text!r}: use requests/s such as 5000, or a share such as 70%", option="--rate"
        )
    return float(text)


def parse_share(option: str, text: str) -> float:
    """Return the share that a text such as 5% means. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text.strip())
    if not match:
        raise UsageError(f"{text!r}: use a share such as 5%", option=option)
    return float(match[1]) / 100
