"""From the reports of a text to measurements: what is pooled, and what each is called."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.wrk.documents import FoundReport, TextLine, find_reports, text_lines
from micropie_benchlib.wrk.errors import invalid_reason
from micropie_benchlib.wrk.report_notes import report_notes
from micropie_benchlib.wrk.titles import Namer


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """Reports that are the rounds of one target under one load."""

    name: str
    reports: tuple[FoundReport, ...]

    @property
    def first(self) -> FoundReport:
        """The first of the reports."""
        return self.reports[0]

    def takes(self, report: FoundReport, *, name: str) -> bool:
        """Return whether the report that follows is another round of this row."""
        first = self.first
        return (
            bool(name)
            and name == self.name
            and (report.url, report.duration) == (first.url, first.duration)
            and (report.threads, report.connections) == (first.threads, first.connections)
        )


def report_rows(lines: Sequence[TextLine], reports: Sequence[FoundReport]) -> list[ReportRow]:
    """Return the rows of a text, in its order.

    Reports are pooled that have one name, URL and load, where nothing but blank lines, fences
    and rules stands between them; a rule ends a label, and leaves the name of the heading.
    """
    namer = Namer()
    rows: list[ReportRow] = []
    end, prefix_above = 0, None  # of the report before
    for report in reports:
        gap = namer.read_gap(lines[end : report.first.number - 1], (report.prefix, prefix_above))
        end, prefix_above = report.last.number, report.prefix
        if gap.is_silent and rows and rows[-1].takes(report, name=gap.name):
            rows[-1] = dataclasses.replace(rows[-1], reports=(*rows[-1].reports, report))
        else:
            rows.append(ReportRow(name=gap.name, reports=(report,)))
    return rows


def are_loads_of_one(rows: Sequence[ReportRow]) -> bool:
    """Return whether the rows can be one target under several loads."""
    urls = {row.first.url for row in rows}
    loads = {row.first.connections for row in rows}
    return len(urls) == 1 and len(loads) == len(rows)


def row_names(rows: Sequence[ReportRow]) -> list[str]:
    """Return a name for each row. Rows share one only as one target under several loads."""
    rows_by_name: dict[str, list[ReportRow]] = {}
    for row in rows:
        rows_by_name.setdefault(row.name, []).append(row)
    names = []
    for number, row in enumerate(rows, start=1):
        place = f"(line {row.first.first.number})"
        if not row.name:
            names.append(f"report {number} {place}")
        elif are_loads_of_one(rows_by_name[row.name]):
            names.append(row.name)
        else:
            names.append(f"{row.name} {place}")
    return names


def parsed_measurement(report: FoundReport, *, name: str, number: int) -> Measurement:
    """Return the measurement of a report, the round of that number."""
    wrk, connections = report.wrk, report.connections
    notes: tuple[str, ...] = ()
    reason = None
    if wrk.requests:
        notes = report_notes(wrk, connections=connections, asked=report.duration)
    else:
        reason = invalid_reason(wrk, connections=connections)
    return Measurement(
        round=number,
        method=Method.SINGLE,
        target=name,
        load=LoadId(workload=DEFAULT_WORKLOAD, connections=connections),
        threads=report.threads,
        wrk=wrk,
        notes=notes,
        invalid_reason=reason,
    )


def parse_reports(text: str) -> list[Measurement]:
    """Return the figures of every wrk report in the text, in order.

    Raises BenchError, with the line, for a report that is cut short or has a line that
    wrk does not print, and for a line of wrk's outside of reports.
    """
    lines = text_lines(text)
    reports = find_reports(lines)
    if not reports:
        places = [line.place for line in lines if line.text]
        raise BenchError(f"no wrk report found; {places[0] if places else 'the text is empty'}")
    rows = report_rows(lines, reports)
    measurements = []
    for row, name in zip(rows, row_names(rows), strict=True):
        for number, report in enumerate(row.reports, start=1):
            measurements.append(parsed_measurement(report, name=name, number=number))
    return measurements
