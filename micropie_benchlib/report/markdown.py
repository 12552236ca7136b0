"""The report in Markdown, to be pasted; with details the whole."""

from collections.abc import Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import format_rate
from micropie_benchlib.report.about import about_table, commit_of, machine_tables, report_title
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown_text import (
    markdown_block,
    markdown_code,
    markdown_lines,
    markdown_text,
)
from micropie_benchlib.report.tables import result_tables, work_tables


def wrk_reports(results: Results) -> list[str]:
    """Return wrk's own reports, under the target's name as in the gist, and the rate if any."""
    texts: dict[str, str] = {}
    for name in results.names:
        for trial in results.measurements:
            if (trial.target, trial.method) == (name, Method.SINGLE) and trial.report:
                rate_per_s = trial.load.rate_per_s
                at_a_rate = f" at {format_rate(rate_per_s)}" if rate_per_s else ""
                title = results.label(name) + at_a_rate
                texts[title] = texts.get(title, f"{title}\n\n") + trial.report
    return [*texts.values()]


MAX_WARNINGS = 5  # without details


def to_markdown(report: Report, *, has_tables: bool = True) -> str:
    results, conclusion, details = report.results, report.conclusion, report.details
    parts = [f"### {markdown_text(conclusion.heading or report_title(results))}"]
    parts += map(markdown_text, conclusion.sentences)
    verdict_lines = []
    for line in conclusion.verdict_lines:
        load, verdict = line.comparison.load, line.comparison.verdict
        sentence = markdown_text(line.sentence)
        verdict_lines.append(f"- **{markdown_text(load.sentence)}: {verdict}.** {sentence}.")
    if verdict_lines:
        parts.append("\n".join(verdict_lines))
    parts += map(markdown_text, conclusion.gate)
    tables = [*result_tables(results, details=details), *conclusion.tables]
    tables += work_tables(results, details=details)
    if details:
        tables += [*machine_tables(results), about_table(results)]
    for table in tables if has_tables else ():
        parts += markdown_section(markdown_text(table.title), markdown_lines(table))
    warnings = [*conclusion.warnings, *conclusion.run_warnings]
    if not details and len(warnings) > MAX_WARNINGS:
        warnings[MAX_WARNINGS:] = [f"{len(warnings) - MAX_WARNINGS} more (-v)"]
    parts += markdown_section("Warnings", [f"- {markdown_text(line)}" for line in warnings])
    if not details:
        return "\n\n".join([*parts, *conditions(results)]) + "\n"
    reports = "\n\n".join(map(markdown_block, wrk_reports(results)))
    parts += markdown_section("wrk's own reports", [reports] if reports else [])
    return "\n\n".join(parts) + "\n"


def conditions(results: Results) -> list[str]:
    facts = [results.created.replace("T", " ")]
    environment = results.environment
    if environment:
        versions = {"Python": environment.python, **environment.packages}
        facts += [environment.cpu_model or environment.platform, f"{environment.cpu_count} CPUs"]
        facts += [f"kernel {environment.kernel}", f"wrk {environment.wrk_version}"]
        facts += [f"{package} {version}" for package, version in versions.items()]
    for target in results.targets:
        if target.source:
            facts.append(f"{target.label} at commit {commit_of(target)}")
    return [f"{markdown_text(', '.join(facts))}: {markdown_code(results.command)}"]


def markdown_section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"#### {title}", "\n".join(lines)] if lines else []
