"""The results file: written for others to read; its facts are read again."""

import json
from collections.abc import Iterable
from typing import Any

from micropie_benchlib.core.errors import BenchError, adapter, read_json, short_repr
from micropie_benchlib.core.estimates import Ranking
from micropie_benchlib.core.results import SCHEMA, Results
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.report.warnings import text_of
from micropie_benchlib.stats.comparisons import with_derived
from micropie_benchlib.stats.ranking import rankings_of

# By the names of their types.
FIELDS_NOT_SAVED = {"Latency": {"histogram"}, "Response": {"excerpt", "took_s"}}
FIELDS_DERIVED = {
    "BenchWarning": {"text": {"type": "string"}},
    "Measurement": {"valid": {"type": "boolean"}},
}
HISTOGRAMS = {"latency": {"histogram": True}, "latency_uncorrected": {"histogram": True}}
NOT_SAVED = {
    "measurements": {"__all__": {"wrk": HISTOGRAMS}},
    "targets": {"__all__": {"responses": {"__all__": {"excerpt", "took_s"}}}},
}


def results_data(results: Results) -> dict[str, Any]:
    """Return the results as a results file has them: with validity, texts of warnings, rankings."""
    data: dict[str, Any] = adapter(Results).dump_python(results, mode="json", exclude=NOT_SAVED)
    dumps = data["measurements"]
    for measurement, dumped in zip(results.measurements, dumps, strict=True):
        dumped["valid"] = measurement.valid
        add_texts(measurement.invalid, dumped["invalid"])
        add_texts(measurement.warnings, dumped["warnings"])
    dumps = data["capacities"]
    for capacity, dumped in zip(results.capacities, dumps, strict=True):
        add_texts(capacity.reasons, dumped["reasons"])
    add_texts(results.warnings, data["warnings"])
    rankings = rankings_of(results)
    data["rankings"] = adapter(list[Ranking]).dump_python(rankings, mode="json")
    return data


def add_texts(warnings: Iterable[BenchWarning], dumped: Iterable[dict[str, Any]]) -> None:
    for warning, data in zip(warnings, dumped, strict=True):
        data["text"] = text_of(warning)


def to_json(results: Results) -> str:
    return json_text(results_data(results))


def json_text(data: object) -> str:
    text = json.dumps(data, indent=2, ensure_ascii=False)
    is_safe = text.replace("\n", "").isprintable()
    if not is_safe:  # in ASCII it steers no terminal
        text = json.dumps(data, indent=2)
    return text + "\n"


def from_json(text: str) -> Results:
    """Return the results in such a text, without histograms.

    What follows from the measurements is worked out again, and unknown fields are left out: a
    later version may have written them. Raises BenchError.
    """
    try:
        data = json.loads(text)
    except RecursionError:
        raise BenchError("not a results file: it is nested too deeply") from None
    except ValueError as error:
        raise BenchError(f"not a results file, or an incomplete one: {error}") from None
    if not isinstance(data, dict):
        raise BenchError("not a results file: it is not a JSON object")
    schema = data.get("schema")
    if schema != SCHEMA:
        raise BenchError(
            f"not a results file of this version: its schema is {short_repr(schema)}, "
            f"not {SCHEMA!r}; measure again, or use the version that wrote it"
        )
    data.pop("comparisons", None)
    try:
        # As JSON again: strict validation takes tuples and enums from JSON alone.
        whole = "a results file, or an incomplete one"
        results: Results = read_json(Results, json.dumps(data), whole=whole)
    except ValueError as error:
        raise BenchError(str(error)) from None
    return with_derived(results)


def schema_text() -> str:
    """What is not required may be absent in an older file: it is then not known."""
    from pydantic.json_schema import GenerateJsonSchema

    class Untitled(GenerateJsonSchema):
        def field_title_should_be_set(self, _schema: object) -> bool:
            return False

    schema = adapter(Results).json_schema(schema_generator=Untitled)
    rankings = adapter(list[Ranking]).json_schema(schema_generator=Untitled)
    schema["$defs"] |= rankings.pop("$defs")
    schema["properties"]["rankings"] = rankings
    schema["required"].append("schema")
    # It changes with each release.
    del schema["properties"]["version"]["default"]
    types = schema["$defs"]
    for name, fields in FIELDS_NOT_SAVED.items():
        for field in fields:
            del types[name]["properties"][field]
    for name, derived_fields in FIELDS_DERIVED.items():
        types[name]["properties"] |= derived_fields
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"
