"""The errors that a user can act on, and pydantic's told in one line."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from micropie_benchlib.core.warnings import BenchWarning


class BenchError(Exception):
    """A failure that the user can act on.

    Its message is one line that says what failed and what to do.
    """

    exit_code = 1


class CannotGoOnError(Exception):
    """What each launch needs was lost or changed, so that no more launches are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something cannot be measured, and what a server's log says of it."""

    warnings: tuple[BenchWarning, ...]
    log: tuple[str, ...] = ()


class UnmeasurableError(BenchError):
    """Targets that cannot be measured at all; each reason is a line of its own."""

    def __init__(self, reasons: Iterable[Reason]) -> None:
        distinct: list[Reason] = []
        for reason in reasons:
            if reason not in distinct:
                distinct.append(reason)
        self.reasons = tuple(distinct)
        super().__init__(", ".join(each.warnings[0].kind for each in distinct))


class UsageError(BenchError):
    """A wrong argument, or a wrong value of an option such as `--rounds`."""

    exit_code = 2

    def __init__(self, problem: str, *, option: str = "") -> None:
        super().__init__(f"{option} {problem}" if option else problem)
        self.problem = problem
        self.option = option


def short_repr(value: object) -> str:
    """Return the value as in Python's source, cut after 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@functools.cache
def adapter(kind: Any) -> Any:
    """Return pydantic's reader and writer of that type; both are slow to import and to make."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def read_json(kind: Any, text: str, *, whole: str) -> Any:
    """Return the value of that type in a text. Raises ValueError, as first_complaint() says it."""
    from pydantic import ValidationError

    try:
        return adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(first_complaint(error.errors(), whole=whole)) from None


def first_complaint(errors: Sequence[Mapping[str, Any]], *, whole: str) -> str:
    """Return what pydantic found wrong first, in one line, with its place.

    `whole` is what the text should be.
    """
    first = errors[0]
    steps = []
    for step in map(str, first["loc"]):
        is_plain = step.isprintable() and len(step) <= 60
        steps.append(step if is_plain else short_repr(step))
    if not steps:
        return f"not {whole}: {first['msg']}"
    value = short_repr(first["input"])
    return f"{'.'.join(steps)} contains an impossible value, {value}: {first['msg']}"
