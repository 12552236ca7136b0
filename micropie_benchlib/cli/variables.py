"""Variables of the environment in texts of bench.toml and --set."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from typing import Any

from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.secrets import Secrets

VARIABLE = re.compile(r"\$(\$?)\{(\w+)\}")
VARIABLE_NAME = r"[A-Za-z_]\w*"


class Variables:
    """Fills in what texts take from the environment, and knows the values that it took."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = list(values)

    def fill(self, value: Any, place: str) -> Any:
        """Return the value with each ${VARIABLE} in its texts replaced.

        $${VARIABLE} is the text itself. Raises UsageError for a variable that is not set,
        and for what no program can be given.
        """
        if isinstance(value, dict):
            return {key: self.fill(each, f"{place}.{key}") for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, place) for each in value]
        if not isinstance(value, str):
            return value
        if "\0" in value:
            raise UsageError(f"{place}: leave out the character NUL")
        return VARIABLE.sub(functools.partial(self._value, place), value)

    def _value(self, place: str, match: re.Match[str]) -> str:
        escape, name = match.groups()
        if escape:
            return match[0][1:]
        if name not in os.environ:
            raise UsageError(
                f"{place}: the environment has no {name}: set it, or write $${{{name}}} "
                "for the text itself"
            )
        self.values.append(os.environ[name])
        return os.environ[name]

    def hide(self, text: str) -> str:
        """Return the text without those values."""
        return Secrets.of((), (), self.values).hide_whole_words(text)
