"""From the reports of a text to measurements: what is pooled, and what each is called."""

from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.wrk.reports import FoundReport, TextLine, find_reports, text_lines
from micropie_benchlib.wrk.titles import Namer
from micropie_benchlib.wrk.warnings import error_warnings, report_warnings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    name: str
    reports: list[FoundReport]

    @property
    def first(self) -> FoundReport:
        return self.reports[0]


def report_rows(lines: Sequence[TextLine], reports: Sequence[FoundReport]) -> list[ReportRow]:
    """Pool those of one name, URL and load.

    Nothing but blank lines, fences and rules may stand between them; a rule ends a label, and
    leaves the name of the heading.
    """
    namer = Namer()
    rows: list[ReportRow] = []
    end, prefix_above = 0, None  # of the report before
    for report in reports:
        gap = namer.read_gap(lines[end : report.first - 1], (report.prefix, prefix_above))
        end, prefix_above = report.last, report.prefix
        row = rows[-1] if rows else None
        is_alike = row is not None and (row.name, row.first.kind) == (gap.name, report.kind)
        if row and gap.name and gap.is_silent and is_alike:
            row.reports.append(report)
        else:
            rows.append(ReportRow(name=gap.name, reports=[report]))
    return rows


def row_names(rows: Sequence[ReportRow]) -> list[str]:
    """Rows share a name only as one target under several loads."""
    names = []
    for number, row in enumerate(rows, start=1):
        alike = [other.first for other in rows if other.name == row.name]
        urls = {report.url for report in alike}
        connections = {report.connections for report in alike}
        location = f"(line {row.first.first})"
        if not row.name:
            names.append(f"report {number} {location}")
        elif len(urls) == 1 and len(connections) == len(alike):
            names.append(row.name)
        else:
            names.append(f"{row.name} {location}")
    return names


def parsed_measurement(report: FoundReport, *, name: str, number: int) -> Measurement:
    wrk, connections = report.wrk, report.connections
    warnings: list[BenchWarning] = []
    invalid: list[BenchWarning] = []
    if wrk.requests:
        warnings = report_warnings(wrk, connections=connections, asked=report.duration)
    else:
        invalid = error_warnings(wrk, connections=connections)
    return Measurement(
        round=number,
        method=Method.SINGLE,
        target=name,
        load=LoadId(workload=DEFAULT_WORKLOAD, connections=connections),
        threads=report.threads,
        wrk=wrk,
        warnings=tuple(warnings),
        invalid=tuple(invalid),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedText:
    measurements: tuple[Measurement, ...]
    warnings: tuple[BenchWarning, ...]


def parse_reports(text: str) -> ParsedText:
    lines = text_lines(text)
    reports, unread = find_reports(lines)
    if not reports and not unread:
        raise BenchError(why_nothing_is_found(text, lines))
    rows = report_rows(lines, reports)
    measurements = []
    for row, name in zip(rows, row_names(rows), strict=True):
        for number, report in enumerate(row.reports, start=1):
            measurements.append(parsed_measurement(report, name=name, number=number))
    return ParsedText(measurements=tuple(measurements), warnings=tuple(unread))


def why_nothing_is_found(text: str, lines: Sequence[TextLine]) -> str:
    if text.lstrip("\ufeff \r\n\t").startswith(("{", "[")):
        if '"micropie-bench/' in text:
            return "this is a results file, not wrk's text: use report"
        return "this is JSON; parse reads wrk's text"
    locations = [line.location for line in lines if line.text]
    return f"no wrk report found; {locations[0] if locations else 'the text is empty'}"
