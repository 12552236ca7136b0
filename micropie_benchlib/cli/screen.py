"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from micropie_benchlib.cli.exports import Exports
from micropie_benchlib.cli.terminal import show_lines, show_table, show_text, wrapped
from micropie_benchlib.core.choices import Verdict
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.report.drawing import draw_speeds
from micropie_benchlib.report.equal_work import work_tables
from micropie_benchlib.report.headings import machine_tables
from micropie_benchlib.report.layout import Conclusion, Report
from micropie_benchlib.report.markdown import wrk_reports
from micropie_benchlib.report.printing import printable_lines
from micropie_benchlib.report.tables import result_tables
from micropie_benchlib.report.terminal import INDENT

if TYPE_CHECKING:
    from rich.console import Console


VERDICT_STYLES = {
    Verdict.FASTER: "bold green",
    Verdict.SLOWER: "bold red",
    Verdict.SAME: "bold cyan",
    Verdict.INCONCLUSIVE: "bold yellow",
}
MAX_CAVEATS = 8  # that are shown without -v


def show_answers(conclusion: Conclusion, console: Console) -> None:
    from rich.text import Text

    if conclusion.heading:
        show_text(console, conclusion.heading)
        console.print()
    room = max(len(verdict) for verdict in Verdict)
    for answer in conclusion.answers:
        load, verdict = answer.comparison.load, answer.comparison.verdict
        lines = wrapped(
            f"{load.sentence}: {answer.sentence}",
            console,
            first=f"{INDENT}{verdict:<{room}}  ",
            indent=f"{INDENT}{'':<{room}}  ",
        )
        text = Text(printable_lines("\n".join(lines)))
        start = len(INDENT)
        text.stylize(VERDICT_STYLES[verdict], start, start + len(verdict))
        console.print(text)


def show_report(
    report: Report, console: Console, *, verbose: bool, said: Sequence[str] = ()
) -> None:
    """Print the answers, the tables, and what to know; with verbose all that there is.

    What was said before is not said again.
    """
    results, conclusion = report.results, report.conclusion
    show_answers(conclusion, console)
    for sentence in conclusion.sentences:
        show_text(console, sentence)
    if console.is_terminal and not console.is_dumb_terminal:
        compared = [answer.comparison for answer in conclusion.answers]
        drawing = draw_speeds(results, compared, width=min(100, console.width))
        show_lines(["", *drawing] if drawing else [], console)
    tables = [*result_tables(results, details=verbose), *conclusion.tables]
    tables += work_tables(results, details=verbose)
    if verbose:
        tables += machine_tables(results)
    for table in tables:
        show_table(table, console)
    caveats = [caveat for caveat in conclusion.caveats if caveat not in said]
    show_caveats(caveats, console, verbose=verbose)
    if verbose:
        show_lines(wrk_reports(results), console)
    for line in conclusion.gate:  # last, where a job's log is looked at first
        show_text(console, line)


def show_caveats(caveats: Sequence[str], console: Console, *, verbose: bool) -> None:
    if not caveats:
        return
    console.print("Warnings", style="bold")
    shown = list(caveats if verbose else caveats[:MAX_CAVEATS])
    if len(shown) < len(caveats):
        shown.append(f"{len(caveats) - len(shown)} more; -v prints them")
    for caveat in shown:
        show_text(console, caveat, first="  - ", indent="    ")


def finish(
    report: Report, exports: Exports, *, verbose: bool, said: Sequence[str] = ()
) -> BenchError | None:
    """Write the exports and print the report; return what was not written, if anything."""
    failure = None
    try:
        exports.write(report)
    except BenchError as error:
        failure = error
    show_report(report, exports.console, verbose=verbose, said=said)
    return failure
