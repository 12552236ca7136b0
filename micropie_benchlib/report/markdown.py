"""The whole report in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.about import about_table, report_title, server_commands
from micropie_benchlib.report.equal_work import work_tables
from micropie_benchlib.report.headings import machine_tables
from micropie_benchlib.report.layout import Report, Table
from micropie_benchlib.report.markdown_text import (
    markdown_block,
    markdown_code,
    markdown_lines,
    markdown_text,
)
from micropie_benchlib.report.tables import result_tables


def wrk_reports(results: Results) -> list[str]:
    """Return wrk's own reports, each target's under its name as the gist has them."""
    texts = []
    for name in results.names:
        reports = [
            measurement.report
            for measurement in results.measurements
            if (measurement.target, measurement.method) == (name, Method.SINGLE)
        ]
        if any(reports):
            texts.append(f"{results.label(name)}\n\n{''.join(reports)}")
    return texts


def to_markdown(report: Report) -> str:
    """Return all that was found, to be pasted."""
    results, conclusion = report.results, report.conclusion
    parts = [f"# {markdown_text(report_title(results))}"]
    if conclusion.heading:
        parts.append(markdown_text(f"{conclusion.heading}."))
    answers = []
    for answer in conclusion.answers:
        load, verdict = answer.comparison.load, answer.comparison.verdict
        sentence = markdown_text(answer.sentence)
        answers.append(f"- **{markdown_text(load.sentence)}: {verdict}.** {sentence}.")
    if answers:
        parts.append("\n".join(answers))
    parts += map(markdown_text, [*conclusion.gate, *conclusion.sentences])
    caveats = [f"- {markdown_text(line)}" for line in conclusion.caveats]
    parts += _markdown_section("Warnings", caveats)
    for table in tables_of(report):
        parts += _markdown_section(markdown_text(table.title), markdown_lines(table))
    commands = []
    for label, command in server_commands(results).items():
        commands.append(f"- {markdown_text(label)}: {markdown_code(command)}")
    parts += _markdown_section("Server commands", commands)
    reports = "\n\n".join(map(markdown_block, wrk_reports(results)))
    parts += _markdown_section("wrk's own reports", [reports] if reports else [])
    return "\n\n".join(parts) + "\n"


def tables_of(report: Report) -> list[Table]:
    """Return all tables that a report in a file has."""
    results = report.results
    tables = [*result_tables(results), *report.conclusion.tables, *work_tables(results)]
    return [*tables, *machine_tables(results), about_table(results)]


def _markdown_section(title: str, lines: Sequence[str]) -> list[str]:
    """Return heading and lines as paragraphs; none if there are no lines."""
    return [f"### {title}", "\n".join(lines)] if lines else []
