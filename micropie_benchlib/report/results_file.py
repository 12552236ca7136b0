"""The results file: written for others to read; its facts are read again."""

from __future__ import annotations

import functools
import json
from typing import Any, NoReturn

from micropie_benchlib.core.errors import BenchError, first_complaint, short_repr
from micropie_benchlib.core.estimates import Ranking
from micropie_benchlib.core.results import SCHEMA, Results
from micropie_benchlib.stats.comparisons import derived
from micropie_benchlib.stats.ranking import rankings_of

DERIVED = ("comparisons", "rankings")  # from the measurements; written for others to read
EXCLUDE_HISTOGRAM = {"histogram": True}
NOT_SAVED = {
    "measurements": {
        "__all__": {"wrk": {"latency": EXCLUDE_HISTOGRAM, "latency_uncorrected": EXCLUDE_HISTOGRAM}}
    },
    "targets": {"__all__": {"responses": {"__all__": {"excerpt": True}}}},
}


@functools.cache
def results_adapter() -> Any:
    """Return what reads and writes Results; pydantic is slow to import."""
    from pydantic import TypeAdapter

    return TypeAdapter(Results)


def results_data(results: Results) -> dict[str, Any]:
    """Return the results as a results file has them, in JSON's own types.

    Each measurement also says whether it is valid, and there are the rankings.
    """
    from pydantic import TypeAdapter

    data: dict[str, Any] = results_adapter().dump_python(results, mode="json", exclude=NOT_SAVED)
    for measurement in data["measurements"]:
        measurement["valid"] = measurement["invalid_reason"] is None
    data["rankings"] = TypeAdapter(list[Ranking]).dump_python(rankings_of(results), mode="json")
    return data


def to_json(results: Results) -> str:
    """Return the results file's text: schema micropie-bench/3, SI units."""
    return json_text(results_data(results))


def json_text(data: object) -> str:
    """Return the data as JSON that a terminal can show."""
    lines = json.dumps(data, indent=2, ensure_ascii=False).split("\n")
    return "\n".join(map(json_line, lines)) + "\n"


def json_line(line: str) -> str:
    """Return the line of JSON; what cannot be shown is escaped."""
    return line if line.isprintable() else "".join(map(json_character, line))


def json_character(character: str) -> str:
    """Return the character as it stands within a string of JSON."""
    if character.isprintable():
        return character
    return json.dumps(character).strip('"')


def from_json(text: str) -> Results:
    """Return the results in such a text, without histograms.

    What follows from the measurements is worked out again, whatever the file says of it.
    Raises BenchError, with the place, if it has another schema, or a value that cannot have
    been measured.
    """
    from pydantic import ValidationError

    data = _json_object(text)
    schema = data.get("schema")
    if schema != SCHEMA:
        raise BenchError(
            f"not a results file of this version: its schema is {short_repr(schema)}, "
            f"not {SCHEMA!r}; measure again, or use the version that wrote it"
        )
    for name in DERIVED:
        data.pop(name, None)
    for measurement in _dicts_in(data.get("measurements")):
        measurement.pop("valid", None)  # it follows from invalid_reason
    try:
        # As JSON again: strict validation takes tuples and enums from JSON alone.
        results: Results = results_adapter().validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        complaint = first_complaint(error.errors(), whole="a results file, or not a whole one")
        raise BenchError(complaint) from None
    return derived(results)


def _json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in the text. Raises BenchError if there is none."""

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is not a number")

    try:
        data = json.loads(text, parse_constant=refuse)
    except RecursionError:
        raise BenchError("not a results file: it is nested too deeply") from None
    except ValueError as error:
        raise BenchError(f"not a results file, or not a whole one: {error}") from None
    if not isinstance(data, dict):
        raise BenchError("not a results file: it does not hold an object")
    return data


def _dicts_in(items: object) -> list[dict[str, Any]]:
    """Return those of the items that are dicts."""
    if not isinstance(items, list):
        return []
    return [item for item in items if isinstance(item, dict)]
