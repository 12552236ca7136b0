"""The whole report in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.about import (
    about_table,
    machine_tables,
    report_title,
    server_commands,
)
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown_text import (
    markdown_block,
    markdown_code,
    markdown_lines,
    markdown_text,
)
from micropie_benchlib.report.tables import result_tables, work_tables


def wrk_reports(results: Results) -> list[str]:
    """Return wrk's own reports, each target's under its name as the gist has them."""
    texts = []
    for name in results.names:
        reports = ""
        for trial in results.measurements:
            if (trial.target, trial.method) == (name, Method.SINGLE):
                reports += trial.report
        if reports:
            texts.append(f"{results.label(name)}\n\n{reports}")
    return texts


def to_markdown(report: Report) -> str:
    """Return all that was found, to be pasted."""
    results, conclusion = report.results, report.conclusion
    parts = [f"# {markdown_text(report_title(results))}"]
    if conclusion.heading:
        parts.append(markdown_text(f"{conclusion.heading}."))
    verdict_lines = []
    for line in conclusion.verdict_lines:
        load, verdict = line.comparison.load, line.comparison.verdict
        sentence = markdown_text(line.sentence)
        verdict_lines.append(f"- **{markdown_text(load.sentence)}: {verdict}.** {sentence}.")
    if verdict_lines:
        parts.append("\n".join(verdict_lines))
    parts += map(markdown_text, [*conclusion.gate, *conclusion.sentences])
    warnings = [*conclusion.warnings, *conclusion.run_warnings]
    parts += markdown_section("Warnings", [f"- {markdown_text(line)}" for line in warnings])
    tables = [*result_tables(results), *conclusion.tables, *work_tables(results)]
    for table in (*tables, *machine_tables(results), about_table(results)):
        parts += markdown_section(markdown_text(table.title), markdown_lines(table))
    commands = []
    for label, command in server_commands(results).items():
        commands.append(f"- {markdown_text(label)}: {markdown_code(command)}")
    parts += markdown_section("Server commands", commands)
    reports = "\n\n".join(map(markdown_block, wrk_reports(results)))
    parts += markdown_section("wrk's own reports", [reports] if reports else [])
    return "\n\n".join(parts) + "\n"


def markdown_section(title: str, lines: Sequence[str]) -> list[str]:
    """Return heading and lines as paragraphs; none if there are no lines."""
    return [f"### {title}", "\n".join(lines)] if lines else []
