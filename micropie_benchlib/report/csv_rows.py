"""A row of CSV for each measurement."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.printing import printable
from micropie_benchlib.report.results_file import results_data

NOT_IN_CSV = ("report", "histogram")


def csv_columns(kind: Any, prefix: str = "") -> list[str]:
    """Return the names of a dataclass's fields, inner ones joined by an underscore."""
    columns = []
    for name, hint in get_type_hints(kind).items():
        inner = [part for part in (hint, *get_args(hint)) if dataclasses.is_dataclass(part)]
        if inner and get_origin(hint) is not tuple:
            columns += csv_columns(inner[0], f"{prefix}{name}_")
        elif name not in NOT_IN_CSV:
            columns.append(prefix + name)
    return columns


def flatten(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of nested dicts by their names, joined by an underscore."""
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{name}_")
        else:
            flat[prefix + name] = value
    return flat


def csv_cell(value: object) -> object:
    """Return the value; a text in one line, and so that no spreadsheet reads a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def to_csv(report: Report) -> str:
    """Return a row for each measurement, in the columns of csv_columns."""
    text = io.StringIO()
    columns = [*csv_columns(Measurement), "valid"]
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for measurement in results_data(report.results)["measurements"]:
        row = flatten(measurement)
        for name in ("warnings", "invalid"):
            row[name] = "; ".join(warning["text"] for warning in measurement[name])
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    return text.getvalue()
