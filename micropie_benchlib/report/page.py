"""The page: a report in HTML with charts, in one file."""

from __future__ import annotations

import html
import string
from collections.abc import Iterable, Sequence

from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.report.about import about_table, report_title, server_commands
from micropie_benchlib.report.charts import (
    capacity_charts,
    latency_charts,
    speed_charts,
    sweep_charts,
)
from micropie_benchlib.report.equal_work import work_tables
from micropie_benchlib.report.headings import machine_tables
from micropie_benchlib.report.layout import Answer, Report, Table
from micropie_benchlib.report.printing import printable_lines
from micropie_benchlib.report.tables import load_tables
from micropie_benchlib.stats.verdicts import decisive_comparisons


def html_table(table: Table, *, sortable: bool = True) -> str:
    """Return a table of HTML, in a box that scrolls where the screen is narrow.

    The titles of a sortable table are buttons; the first cell of a row is its head.
    """
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
        for cell, align in zip(cells, classes[1:], strict=True):
            row += f"<td{align}>{html.escape(cell)}</td>"
        lines.append(f"<tr>{row}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def html_list(heading: str, items: Iterable[str]) -> list[str]:
    lines = [f"<li>{html.escape(item)}</li>" for item in items]
    if not lines:
        return []
    return [f"<h2>{html.escape(heading)}</h2>", "<ul>", *lines, "</ul>"]


def html_charts(figures: Sequence[str]) -> list[str]:
    return ['<div class="charts">', *figures, "</div>"] if figures else []


def html_answers(answers: Iterable[Answer]) -> list[str]:
    items = []
    for answer in answers:
        load, verdict = html.escape(answer.comparison.load.sentence), answer.comparison.verdict
        shown_verdict = f'<strong class="{verdict}">{verdict}</strong>'
        items.append(f"<li>{load}: {shown_verdict}. {html.escape(answer.sentence)}.</li>")
    return ['<ul class="answers">', *items, "</ul>"] if items else []


GLOSSARY = {
    "Speed": "how many times as fast as the reference a target is; above 1 is faster, "
    "whatever was measured.",
    "Per CPU second": "by the servers' CPU time per request. It decides if there were paired "
    "trials and the servers were busy, because neighbours disturb it least.",
    "Requests/s here": "the plain throughput, of each target alone.",
    "Round": "a fresh start of each server, with every trial made on it.",
    "Single and paired trial": "a trial of one target alone, or of two at the same moment, so that "
    "whatever disturbs one disturbs the other.",
    "Interval": "contains the true speed in 95 of 100 such runs; with several targets, all "
    "intervals at once. Faster and slower: it excludes 1. Same: it contains 1 and stays within "
    "5% of it. Inconclusive: neither, or only one round.",
    "p50 to p99.9": "latency that 50 to 99.9% of the requests did not exceed.",
    "Invalid": "a trial that did not measure the server. It is shown with its reason, and counts "
    "for nothing.",
}


def html_glossary() -> list[str]:
    lines = ['<details class="glossary"><summary>What the words mean</summary>', "<dl>"]
    for term, meaning in GLOSSARY.items():
        lines.append(f"<dt>{html.escape(term)}</dt><dd>{html.escape(meaning)}</dd>")
    return [*lines, "</dl></details>"]


def html_command(command_line: str) -> list[str]:
    shown = html.escape(command_line)
    return [
        "<h2>To repeat the run</h2>",
        '<div class="command"><button type="button" class="copy">Copy</button>',
        f'<pre tabindex="0"><code>{shown}</code></pre></div>',
    ]


def to_html(report: Report) -> str:
    """Return one page that needs nothing else.

    The answer and its chart, what to know of it, charts and tables of each load, how to
    repeat it, settings and environment.
    """
    results, conclusion = report.results, report.conclusion
    body = []
    if conclusion.heading:
        body.append(f'<p class="heading">{html.escape(conclusion.heading)}</p>')
    body += html_answers(conclusion.answers)
    for sentence in [*conclusion.gate, *conclusion.sentences]:
        body.append(f"<p>{html.escape(sentence)}</p>")
    compared = [answer.comparison for answer in conclusion.answers]
    figures = speed_charts(results, compared or decisive_comparisons(results))
    body += html_charts([*figures, *sweep_charts(results), *capacity_charts(results)])
    body += html_list("Warnings", [*conclusion.warnings, *conclusion.run_warnings])
    body += html_glossary()
    for load in results.reported_loads:
        body.append(f"<h2>{html.escape(load.title)}</h2>")
        body += html_charts(latency_charts(results, load))
        body += map(html_table, load_tables(results, load))
    body += map(html_table, [*conclusion.tables, *work_tables(results)])
    body += html_command(results.command)
    commands = [f"{label}: {command}" for label, command in server_commands(results).items()]
    body += html_list("Server commands", commands)
    for table in (*machine_tables(results), about_table(results)):
        body.append(html_table(table, sortable=False))
    page = string.Template(packaged_text(__package__, "page.html")).substitute(
        title=html.escape(report_title(results)),
        style=packaged_text(__package__, "page.css"),
        body="\n".join(body),
        script=packaged_text(__package__, "page.js"),
    )
    return printable_lines(page)
