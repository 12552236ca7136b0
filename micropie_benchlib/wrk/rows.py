"""From the reports of a text to measurements: what is pooled, and what each is called."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.text import pluralize
from micropie_benchlib.wrk.documents import FoundReport, TextLine, find_reports, text_lines
from micropie_benchlib.wrk.errors import void_reason
from micropie_benchlib.wrk.report_notes import report_notes
from micropie_benchlib.wrk.titles import GENERIC_TITLES, WRK_COMMAND, Heading, Outline


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """Reports that are the rounds of one target under one load.

    `titles` are the headings above them, the outermost first; `section` is the line of the
    last of these.
    """

    titles: tuple[str, ...]
    section: int
    reports: tuple[FoundReport, ...]

    @property
    def first(self) -> FoundReport:
        """The first of the reports."""
        return self.reports[0]

    def takes(self, report: FoundReport, *, section: int) -> bool:
        """Return whether the report that follows is another round of this row."""
        mine, other = (
            (each.url, each.duration, each.threads, each.connections)
            for each in (self.first, report)
        )
        return bool(self.titles) and section == self.section and mine == other


def telling_titles(path: Sequence[Heading]) -> tuple[str, ...]:
    """Return the titles without those that only say that results follow, if others remain."""
    titles = tuple(heading.text for heading in path)
    telling = tuple(title for title in titles if title.casefold() not in GENERIC_TITLES)
    return telling or titles


def report_rows(lines: Sequence[TextLine], reports: Sequence[FoundReport]) -> list[ReportRow]:
    """Return the rows of a text, in its order.

    Reports are pooled that follow each other under one heading with one URL and one load.
    Nothing may stand between them but wrk's own command, the same as before.
    """
    outline = Outline()
    rows: list[ReportRow] = []
    command: list[str] = []
    end, prefix_above = 0, None  # of the report before
    for report in reports:
        gap = lines[end : report.first.number - 1]
        said = outline.read_gap(gap, (report.prefix, prefix_above))
        end, prefix_above = report.last.number, report.prefix
        section = outline.path[-1].number if outline.path else 0
        follows = rows and (not said or said == command)
        if follows and rows[-1].takes(report, section=section):
            pooled = (*rows[-1].reports, report)
            rows[-1] = dataclasses.replace(rows[-1], reports=pooled)
        else:
            titles = telling_titles(outline.path)
            rows.append(ReportRow(titles=titles, section=section, reports=(report,)))
        if said:
            command = [text for text in said[-1:] if WRK_COMMAND.search(text)]
    return rows


def _under(name: str, row: ReportRow, generation: int) -> str:
    """Return the name under the heading so many levels above."""
    parents = row.titles[:-1][::-1]
    return f"{parents[generation]}: {name}" if generation < len(parents) else name


def _at_line(name: str, row: ReportRow) -> str:
    """Return the name with the line in which the row's first report begins."""
    return f"{name} (line {row.first.first.number})"


# What tells rows of one name apart, tried in this order.
NAME_DETAILS: Sequence[Callable[[str, ReportRow], str]] = (
    functools.partial(_under, generation=0),
    functools.partial(_under, generation=1),
    functools.partial(_under, generation=2),
    lambda name, row: f"{name}, {row.first.url}",
    lambda name, row: f"{name}, {pluralize(row.first.threads, 'thread')}",
    lambda name, row: f"{name}, {row.first.duration}",
    lambda name, row: f"{name} (line {row.section})",
)


def first_name(row: ReportRow) -> str:
    """Return the row's heading; without one, its URL and place."""
    return row.titles[-1] if row.titles else _at_line(row.first.url, row)


def confusable_rows(names: Sequence[str], rows: Sequence[ReportRow]) -> list[list[int]]:
    """Return the positions of rows of one name that are not one target's several loads."""
    positions_by_name: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        positions_by_name.setdefault(name, []).append(position)
    confusable = []
    for positions in positions_by_name.values():
        reports = [rows[position].first for position in positions]
        urls = {report.url for report in reports}
        loads = {report.connections for report in reports}
        if len(urls) > 1 or len(loads) < len(reports):
            confusable.append(positions)
    return confusable


def row_names(rows: Sequence[ReportRow]) -> list[str]:
    """Return a name for each row. Rows share one only as one target under several loads."""
    names = [first_name(row) for row in rows]
    for add_detail in NAME_DETAILS:
        for positions in confusable_rows(names, rows):
            detailed = [add_detail(names[position], rows[position]) for position in positions]
            if len(set(detailed)) > 1:
                for position, name in zip(positions, detailed, strict=True):
                    names[position] = name
    while confusable := confusable_rows(names, rows):  # a line tells any two rows apart
        for position in itertools.chain(*confusable):
            names[position] = _at_line(names[position], rows[position])
    return ["".join(filter(str.isprintable, name)).replace("|", "/") for name in names]


def parsed_measurement(report: FoundReport, *, name: str, number: int) -> Measurement:
    """Return the measurement of a report, the round of that number."""
    wrk, connections = report.wrk, report.connections
    notes: tuple[str, ...] = ()
    reason = None
    if wrk.requests:
        notes = report_notes(wrk, connections=connections, asked=report.duration)
    else:
        reason = void_reason(wrk, connections=connections)
    return Measurement(
        round=number,
        method=Method.SOLO,
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
