"""A row of CSV for each measurement."""

import csv
import dataclasses
import functools
import io
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.printing import printable
from micropie_benchlib.report.results_file import results_data

NOT_IN_CSV = ("report", "histogram")
hints_of = functools.cache(get_type_hints)


def cells_of(kind: Any, data: Mapping[str, Any] | None, prefix: str = "") -> dict[str, Any]:
    """Return the fields of a dataclass by name, inner ones joined by an underscore."""
    cells: dict[str, Any] = {}
    for name, hint in hints_of(kind).items():
        if name in NOT_IN_CSV:
            continue
        value = data[name] if data else None
        inner = [part for part in (hint, *get_args(hint)) if dataclasses.is_dataclass(part)]
        if inner and get_origin(hint) is not tuple:
            cells |= cells_of(inner[0], value, f"{prefix}{name}_")
        else:
            cells[prefix + name] = value
    return cells


def csv_cell(value: object) -> object:
    """Return the value; a text in one line, and so that no spreadsheet reads a formula."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def to_csv(report: Report) -> str:
    text = io.StringIO()
    columns = [*cells_of(Measurement, None), "valid"]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for measurement in results_data(report.results)["measurements"]:
        row = {**cells_of(Measurement, measurement), "valid": measurement["valid"]}
        for name in ("warnings", "invalid"):
            row[name] = "; ".join(warning["text"] for warning in measurement[name])
        writer.writerow({name: csv_cell(value) for name, value in row.items()})
    return text.getvalue()
