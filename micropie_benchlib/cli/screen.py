"""The report on a terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from micropie_benchlib.cli.exports import Exports
from micropie_benchlib.cli.terminal import (
    show_lines,
    show_table,
    show_text,
    table_of_texts,
    wrapped,
)
from micropie_benchlib.core.choices import Verdict
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.report.about import machine_tables
from micropie_benchlib.report.drawing import draw_ratios, draw_speeds
from micropie_benchlib.report.layout import Conclusion, Report
from micropie_benchlib.report.markdown import wrk_reports
from micropie_benchlib.report.printing import printable_lines
from micropie_benchlib.report.tables import result_tables, work_tables
from micropie_benchlib.report.terminal import INDENT
from micropie_benchlib.system.checks import Finding, State

if TYPE_CHECKING:
    from rich.console import Console


VERDICT_STYLES = {
    Verdict.FASTER: "bold green",
    Verdict.SLOWER: "bold red",
    Verdict.SAME: "bold cyan",
    Verdict.INCONCLUSIVE: "bold yellow",
}
MAX_WARNING_LINES = 7  # that are shown without -v


def show_verdicts(conclusion: Conclusion, console: Console) -> None:
    from rich.text import Text

    if conclusion.verdict_lines:
        console.print()
    room = max(len(verdict) for verdict in Verdict)
    for line in conclusion.verdict_lines:
        load, verdict = line.comparison.load, line.comparison.verdict
        lines = wrapped(
            f"{load.sentence}: {line.sentence}",
            console,
            first=f"{INDENT}{verdict:<{room}}  ",
            indent=f"{INDENT}{'':<{room}}  ",
        )
        text = Text(printable_lines("\n".join(lines)))
        start = len(INDENT)
        text.stylize(VERDICT_STYLES[verdict], start, start + len(verdict))
        console.print(text)


def show_report(report: Report, console: Console, *, was_run: bool) -> None:
    """What was said before a run is not said again."""
    results, conclusion, verbose = report.results, report.conclusion, report.details
    tables = [*result_tables(results, details=verbose), *conclusion.tables]
    tables += work_tables(results, details=verbose)
    if verbose:
        tables += machine_tables(results)
    for table in tables:
        show_table(table, console)
    warnings = [*conclusion.warnings, *([] if was_run else conclusion.run_warnings)]
    show_warnings(warnings, console, verbose=verbose)
    if verbose:
        show_lines(["", *wrk_reports(results)], console)
    if conclusion.heading:
        console.print()
        show_text(console, conclusion.heading)
    if console.is_terminal and not console.is_dumb_terminal:
        compared = [line.comparison for line in conclusion.verdict_lines]
        width = min(100, console.width)
        show_lines(draw_speeds(results, compared, width=width), console)
        show_lines(draw_ratios(dict(conclusion.chart), width=width), console)
    for sentence in conclusion.sentences:
        show_text(console, sentence)
    show_verdicts(conclusion, console)
    for line in conclusion.gate:  # last, where a job's log is looked at first
        show_text(console, line)


def show_warnings(warnings: Sequence[str], console: Console, *, verbose: bool) -> None:
    if not warnings:
        return
    console.print("\nWarnings", style="bold")
    room = math.inf if verbose else MAX_WARNING_LINES
    for number, warning in enumerate(warnings):
        lines = wrapped(warning, console, first="  - ", indent="    ")
        room -= len(lines)
        if room < 0:
            show_lines([f"  - {len(warnings) - number} more (-v)"], console)
            break
        show_lines(lines, console)


def show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Print what each check found, the remedies of what warns, and how many do."""
    rows = []
    warnings = []
    counts: Counter[State] = Counter()
    for finding in findings:
        rows.append((finding.check, finding.state.value, finding.found))
        counts[finding.state] += 1
        if finding.warns:
            warnings.append(f"{finding.check}: {finding.why}; {finding.remedy}")
    show_table(table_of_texts(("Check", "State", "Found"), rows), console)
    show_warnings(warnings, console, verbose=True)
    console.print()
    show_text(console, ", ".join(f"{counts[state]} {state}" for state in State))


def finish(report: Report, exports: Exports, *, was_run: bool = False) -> BenchError | None:
    """Write the exports and print the report; return what was not written, if anything."""
    failure = None
    try:
        exports.write(report)
    except BenchError as error:
        failure = error
    show_report(report, exports.console, was_run=was_run)
    return failure
