"""The errors that a user can act on, and pydantic's told in one line."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from micropie_benchlib.core.warnings import BenchWarning


class BenchError(Exception):
    """A failure that the user can act on: its message says what failed and what to do."""

    exit_code = 1


class CannotGoOnError(Exception):
    """What each launch needs was lost or changed, so that no more launches are made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
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
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@functools.cache
def adapter(kind: Any) -> Any:
    """Return pydantic's reader and writer of that type; both are slow to import and to make."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def read_json(kind: Any, text: str, *, whole: str) -> Any:
    """Raises ValueError, as first_complaint() says it."""
    from pydantic import ValidationError

    try:
        return adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise ValueError(first_complaint(error.errors(), whole=whole)) from None


WANTED = {
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "dataclass_type": "a table",
    "dict_type": "a table",
    "mapping_type": "a table",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "float_type": "a number",
    "greater_than_equal": "{ge:,.0f} or more",
    "less_than_equal": "{le:,.0f} or less",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "a text",
}  # by pydantic's name of an error
MAX_SHOWN = 60  # characters of a wrong value


def problem_in(error: Mapping[str, Any], *, shows_value: bool) -> str:
    """Return what is wrong with a value, such as `must be a text, not 1`."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"]).rstrip(".")
    if kind not in WANTED:
        return str(error["msg"])
    shown = repr(error["input"])
    # Whole or not at all: a part of a secret would not be known.
    but = f", not {shown}" if shows_value and len(shown) <= MAX_SHOWN else ""
    return f"must be {WANTED[kind].format(**context)}{but}"


def first_complaint(errors: Sequence[Mapping[str, Any]], *, whole: str) -> str:
    """Return what pydantic found wrong first, in one line; `whole` is what the text should be."""
    first = errors[0]
    steps = []
    for step in map(str, first["loc"]):
        is_plain = step.isprintable() and len(step) <= 60
        steps.append(step if is_plain else short_repr(step))
    if not steps:
        return f"not {whole}: {first['msg']}"
    value, problem = short_repr(first["input"]), problem_in(first, shows_value=False)
    return f"{'.'.join(steps)} contains an impossible value, {value}: {problem}"
