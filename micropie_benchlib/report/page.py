"""The page: a report in HTML with charts, in one file."""

import html
import string
from collections.abc import Iterable, Sequence

from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.about import about_table, machine_tables, report_title
from micropie_benchlib.report.charts import (
    bisection_charts,
    capacity_charts,
    latency_charts,
    speed_charts,
    sweep_charts,
)
from micropie_benchlib.report.layout import Report, Table
from micropie_benchlib.report.printing import printable_lines
from micropie_benchlib.report.tables import load_tables, work_tables
from micropie_benchlib.stats.verdicts import decisive_comparisons


def html_table(table: Table, *, sortable: bool = True) -> str:
    """Titles of a sortable table are buttons; on a narrow screen each cell has its own."""
    title = html.escape(table.title)
    css_class = "sortable" if sortable else "facts"
    classes = ["" if is_text else ' class="number"' for is_text in table.are_texts]
    head = ""
    for heading, align in zip(table.titles, classes, strict=True):
        shown = html.escape(heading)
        if sortable:
            shown = f'<button type="button">{shown}</button>'
        head += f'<th scope="col"{align}>{shown}</th>'
    lines = [
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">',
        f'<table class="{css_class}"><caption>{title}</caption>',
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
    ]
    for first, *cells in table.rows:
        row = f'<th scope="row">{html.escape(first)}</th>'
        for heading, cell, align in zip(table.titles[1:], cells, classes[1:], strict=True):
            row += f'<td{align} data-title="{html.escape(heading)}">{html.escape(cell)}</td>'
        lines.append(f"<tr>{row}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def html_list(heading: str, items: Iterable[str]) -> list[str]:
    lines = [f"<li>{html.escape(item)}</li>" for item in items]
    if not lines:
        return []
    return [f"<h2>{html.escape(heading)}</h2>", "<ul>", *lines, "</ul>"]


def html_charts(figures: Sequence[str]) -> list[str]:
    return ['<div class="charts">', *figures, "</div>"] if figures else []


def to_html(report: Report) -> str:
    page = string.Template(packaged_text(__package__, "page.html")).substitute(
        title=html.escape(report_title(report.results)),
        style=packaged_text(__package__, "page.css"),
        summary="\n".join(html_summary(report)),
        details="\n".join(html_details(report)),
        command=html.escape(report.results.command),
        environment="\n".join(html_environment(report.results)),
        script=packaged_text(__package__, "page.js"),
    )
    return printable_lines(page)


def html_summary(report: Report) -> list[str]:
    results, conclusion = report.results, report.conclusion
    lines = []
    if conclusion.heading:
        lines.append(f'<p class="heading">{html.escape(conclusion.heading)}</p>')
    for sentence in conclusion.sentences:
        lines.append(f"<p>{html.escape(sentence)}</p>")
    lines.append('<ul class="verdicts">')
    for line in conclusion.verdict_lines:
        load = html.escape(line.comparison.load.sentence)
        verdict = line.comparison.verdict
        shown_verdict = f'<strong class="{verdict}">{verdict}</strong>'
        lines.append(f"<li>{load}: {shown_verdict}. {html.escape(line.sentence)}.</li>")
    lines.append("</ul>")
    for sentence in conclusion.gate:
        lines.append(f"<p>{html.escape(sentence)}</p>")
    compared = [line.comparison for line in conclusion.verdict_lines]
    if results.bisection:
        figures = bisection_charts(results.bisection)
    else:
        figures = speed_charts(results, compared or decisive_comparisons(results))
    lines += html_charts([*figures, *sweep_charts(results), *capacity_charts(results)])
    return lines + html_list("Warnings", [*conclusion.warnings, *conclusion.run_warnings])


def html_details(report: Report) -> list[str]:
    results = report.results
    lines = []
    for load in results.reported_loads:
        lines.append(f"<h2>{html.escape(load.title)}</h2>")
        lines += html_charts(latency_charts(results, load))
        lines += map(html_table, load_tables(results, load))
    lines += map(html_table, [*report.conclusion.tables, *work_tables(results)])
    return lines


def html_environment(results: Results) -> list[str]:
    lines = []
    for table in (*machine_tables(results), about_table(results)):
        lines.append(html_table(table, sortable=False))
    return lines
