"""The page: a report in HTML with charts, in one file."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

from micropie_benchlib.core.estimates import Interval
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.about import about_table, report_title, server_commands
from micropie_benchlib.report.charts import (
    capacity_charts,
    interval_figure,
    load_charts,
    ratio_reach,
    sweep_charts,
)
from micropie_benchlib.report.equal_work import work_tables
from micropie_benchlib.report.headings import machine_tables
from micropie_benchlib.report.layout import Align, Answer, Column, Report, Table
from micropie_benchlib.report.printing import printable_lines
from micropie_benchlib.report.svg import IntervalRow, ratio_axis, shortened
from micropie_benchlib.report.tables import load_tables


def html_table(table: Table, *, sortable: bool = True) -> str:
    """Return a table of HTML, in a box that scrolls where the screen is narrow."""
    title = html.escape(table.title)
    css_class = "sortable" if sortable else "facts"
    rows = [html_row(table.columns, cells) for cells in table.rows]
    lines = [
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">',
        f'<table class="{css_class}"><caption>{title}</caption>',
        f"<thead>{html_head_row(table.columns, sortable=sortable)}</thead>",
        "<tbody>",
        *rows,
        "</tbody></table></div>",
    ]
    return "\n".join(lines)


def html_head_row(columns: Iterable[Column], *, sortable: bool) -> str:
    """Return the row of column titles; in a sortable table they are buttons."""
    parts = []
    for column in columns:
        title = html.escape(column.title)
        if sortable:
            title = f'<button type="button">{title}</button>'
        parts.append(f'<th scope="col"{html_alignment(column)}>{title}</th>')
    return f"<tr>{''.join(parts)}</tr>"


def html_row(columns: Iterable[Column], cells: Iterable[str]) -> str:
    """Return a table's row; its first cell is its head."""
    parts: list[str] = []
    for column, cell in zip(columns, cells, strict=True):
        text = html.escape(cell)
        if not parts:
            parts.append(f'<th scope="row">{text}</th>')
        else:
            parts.append(f"<td{html_alignment(column)}>{text}</td>")
    return f"<tr>{''.join(parts)}</tr>"


def html_alignment(column: Column) -> str:
    """Return the attribute of a column's cells that aligns them; none to the left."""
    return ' class="number"' if column.align is Align.RIGHT else ""


def html_list(heading: str, items: Iterable[str]) -> list[str]:
    """Return a heading with a list below; nothing if there are no items."""
    lines = [f"<li>{html.escape(item)}</li>" for item in items]
    if not lines:
        return []
    return [f"<h2>{html.escape(heading)}</h2>", "<ul>", *lines, "</ul>"]


def html_charts(figures: Sequence[str]) -> list[str]:
    """Return figures side by side, if there are any."""
    return ['<div class="charts">', *figures, "</div>"] if figures else []


def answer_chart(results: Results, answers: Iterable[Answer]) -> str | None:
    """Return the figure of the answers' speeds; None if there are none."""
    rows = []
    looks = {name: look for look, name in enumerate(results.names)}
    for answer in answers:
        speed = answer.speed
        if speed is None:
            continue
        low, high = speed.interval or Interval(speed.ratio, speed.ratio)
        rows.append(
            IntervalRow(
                name=f"{shortened(results.label(answer.target))}, {answer.load.sentence}",
                look=looks.get(answer.target, 0),
                low=low,
                value=speed.ratio,
                high=high,
                text=f"{answer.verdict}: {answer.sentence}",
            )
        )
    if not rows:
        return None
    return interval_figure(
        "Speed",
        "How many times as fast as the reference, the line at 1: to the right is faster. "
        "A dot, with its interval.",
        rows,
        axis=ratio_axis(ratio_reach(rows)),
        reference=1,
    )


def html_answers(answers: Iterable[Answer]) -> list[str]:
    """Return the list of answers, each with its verdict in its colour."""
    items = []
    for answer in answers:
        load, sentence = html.escape(answer.load.sentence), html.escape(answer.sentence)
        verdict = f'<strong class="{answer.verdict}">{answer.verdict}</strong>'
        items.append(f"<li>{load}: {verdict}. {sentence}.</li>")
    return ['<ul class="answers">', *items, "</ul>"] if items else []


GLOSSARY = {
    "Speed": "how many times as fast as the reference a target is; above 1 is faster, "
    "whatever was measured.",
    "Per CPU second": "by the CPU time that the servers needed for a request. It decides "
    "where duets were made and the servers were busy, as neighbours disturb it least.",
    "Requests/s here": "the plain throughput, of each target alone.",
    "Round": "a fresh start of each server, with every trial made on it.",
    "Solo and duet": "a trial of one target alone, or of two at the same moment, so that "
    "whatever disturbs one disturbs the other.",
    "Interval": "where the true speed lies, in 95 of 100 such runs; with several targets, "
    "all of them together. Faster and slower: it leaves 1 out. Same: all of it lies within 5% "
    "of 1. Undecided: neither, or there was one round.",
    "p50 to p99.9": "latency that 50 to 99.9% of the requests did not exceed.",
    "Void": "a trial that did not measure the server. It is shown with its reason, and counts "
    "for nothing.",
}


def html_glossary() -> list[str]:
    """Return what the page's terms mean."""
    lines = ['<details class="glossary"><summary>What the words mean</summary>', "<dl>"]
    for term, meaning in GLOSSARY.items():
        lines.append(f"<dt>{html.escape(term)}</dt><dd>{html.escape(meaning)}</dd>")
    return [*lines, "</dl></details>"]


def html_command(command_line: str) -> list[str]:
    """Return the command to repeat the run, with a button that copies it."""
    shown = html.escape(command_line)
    return [
        "<h2>To repeat it</h2>",
        '<div class="command"><button type="button" class="copy">Copy</button>',
        f'<pre tabindex="0"><code>{shown}</code></pre></div>',
    ]


def html_load(results: Results, load: LoadId, labels: Mapping[str, str]) -> list[str]:
    """Return a load's part of the page: charts, then tables."""
    heading = f"<h2>{html.escape(load.title)}</h2>"
    figures = load_charts(results, load, labels)
    tables = map(html_table, load_tables(results, load))
    return [heading, *html_charts(figures), *tables]


def to_html(report: Report) -> str:
    """Return one page that needs nothing else.

    The answer and its chart, what to know of it, charts and tables of each load, how to
    repeat it, settings and environment.
    """
    results, conclusion = report.results, report.conclusion
    labels = {name: shortened(results.label(name)) for name in results.names}
    body = []
    if conclusion.heading:
        body.append(f'<p class="heading">{html.escape(conclusion.heading)}</p>')
    body += html_answers(conclusion.answers)
    for sentence in [*conclusion.gate, *conclusion.sentences]:
        body.append(f"<p>{html.escape(sentence)}</p>")
    answer = answer_chart(results, conclusion.answers)
    figures = [*([answer] if answer else []), *sweep_charts(results, labels)]
    figures += capacity_charts(results, labels)
    body += html_charts(figures)
    body += html_list("Before you quote it", conclusion.caveats)
    body += html_glossary()
    for load in results.reported_loads:
        body += html_load(results, load, labels)
    body += map(html_table, [*conclusion.tables, *work_tables(results)])
    body += html_command(results.command)
    commands = [f"{label}: {command}" for label, command in server_commands(results).items()]
    body += html_list("Server commands", commands)
    for table in (*machine_tables(results), about_table(results)):
        body.append(html_table(table, sortable=False))
    return html_page(report_title(results), body)


def html_page(title: str, body: Iterable[str]) -> str:
    """Return the page with that title, as heading too, and that body."""
    shown_title = html.escape(title)
    lines = [
        PAGE_HEAD,
        f"<title>{shown_title}</title>",
        f"<style>{PAGE_STYLE}</style>",
        "</head>",
        "<body>",
        f"<h1>{shown_title}</h1>",
        *body,
        f"<script>{PAGE_SCRIPT}</script>",
        "</body>",
        "</html>\n",
    ]
    return printable_lines("\n".join(lines))


PAGE_HEAD = r"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline';
    script-src 'unsafe-inline'">
<link rel="icon" href="data:,">"""
PAGE_STYLE = r"""
/* Colours: those of the page, then one for each of six targets. */
:root {
  color-scheme: light dark;
  --page: #fff;
  --card: #f6f6f6;
  --text: #1a1a1a;
  --soft-text: #595959;
  --line: #d0d0d0;
  --faster: #00703c;
  --slower: #b3261e;
  --same: #0063a6;
  --undecided: #7d6000;
  --target-0: #0063a6;
  --target-1: #c04a00;
  --target-2: #007a59;
  --target-3: #a3338c;
  --target-4: #7d6000;
  --target-5: #4b4bc8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #151515;
    --card: #202020;
    --text: #ececec;
    --soft-text: #b0b0b0;
    --line: #444;
    --faster: #3ecf9f;
    --slower: #ff8a80;
    --same: #62b8f0;
    --undecided: #e6cf4c;
    --target-0: #62b8f0;
    --target-1: #f79646;
    --target-2: #3ecf9f;
    --target-3: #e58fd0;
    --target-4: #e6cf4c;
    --target-5: #a9a9ff;
  }
}

body {
  margin: 0 auto;
  padding: 1rem;
  max-width: 76rem;
  background: var(--page);
  color: var(--text);
  font: 16px/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere;
}
h1, h2 { line-height: 1.2; }
pre, .scroll { overflow-x: auto; }
pre { padding: .75rem; background: var(--card); }

/* The answer */
.heading { color: var(--soft-text); margin-bottom: 0; }
.answers { padding: 0; list-style: none; font-size: 1.125rem; }
.answers li { margin: .25rem 0; }
.answers .faster { color: var(--faster); }
.answers .slower { color: var(--slower); }
.answers .same { color: var(--same); }
.answers .undecided { color: var(--undecided); }
.glossary summary { cursor: pointer; }
.glossary dt { font-weight: bold; }
.glossary dd { margin: 0 0 .5rem; }
.command { position: relative; }
.command .copy { position: absolute; top: .5rem; right: .5rem; font: inherit; }
.command pre { padding-right: 5rem; white-space: pre-wrap; }

/* Tables */
table {
  border-collapse: collapse;
  margin: 1rem 0;
  font-size: .9375rem;
  font-variant-numeric: tabular-nums;
}
caption { padding: .25rem 0; text-align: left; font-weight: bold; }
th, td {
  padding: .3rem .6rem;
  border-bottom: 1px solid var(--line);
  text-align: left;
  font-weight: normal;
}
.sortable th, .sortable td, .facts th { white-space: nowrap; }
.sortable .number { text-align: right; }
th button { all: unset; cursor: pointer; font-weight: bold; }
th button:focus-visible, .scroll:focus-visible { outline: 2px solid var(--target-0); }
[aria-sort=ascending] button::after { content: " \25B2"; }
[aria-sort=descending] button::after { content: " \25BC"; }

/* Figures */
.charts {
  display: grid;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr));
  align-items: start;
  gap: 1rem;
}
figure { margin: 0; padding: .75rem; border-radius: .5rem; background: var(--card); }
figcaption { color: var(--soft-text); font-size: .875rem; }
figcaption strong { display: block; color: var(--text); font-size: 1rem; }
.keys {
  display: flex;
  flex-wrap: wrap;
  gap: 0 1rem;
  margin: 0;
  padding: 0;
  list-style: none;
}
.keys svg { display: inline-block; width: 2rem; height: .75rem; overflow: visible; }

/* Charts. Below a width of 300 px they scroll, so that their text stays readable. */
figure [role=img] { min-width: 300px; }
svg { display: block; width: 100%; max-width: 30rem; height: auto; }
svg .background { fill: var(--card); }
svg text { fill: var(--text); font-size: 14px; }
svg .axis path { fill: none; stroke: var(--line); stroke-width: .7; }
svg .axis.x text { text-anchor: middle; }
svg .axis.y text { text-anchor: end; }
svg .axis.rows text {
  text-anchor: start;
  paint-order: stroke;
  stroke: var(--card);
  stroke-width: 5px;
}

/* Series: each differs from the others by its dots and dashes, without colour too. */
.mark-0 { --target: var(--target-0); }
.mark-1 { --target: var(--target-1); }
.mark-2 { --target: var(--target-2); }
.mark-3 { --target: var(--target-3); }
.mark-4 { --target: var(--target-4); }
.mark-5 { --target: var(--target-5); }
svg .line { fill: none; stroke: var(--target); stroke-width: 2; }
svg .dot { fill: var(--target); stroke: var(--target); stroke-width: 2; }
svg .mark-1 .line { stroke-dasharray: 7 4; }
svg .mark-2 .line, svg .mark-3 .line { stroke-dasharray: 2 3; }
svg .mark-4 .line, svg .mark-5 .line { stroke-dasharray: 9 3 2 3; }
svg .mark-1 .dot, svg .mark-3 .dot, svg .mark-5 .dot { fill: var(--card); }
svg .mark-2 .dot, svg .mark-3 .dot { stroke-dasharray: 2.5 1.7; }
svg .mark-4 .dot, svg .mark-5 .dot { stroke-width: 4; }
svg .turn-1 .line { stroke-width: 4; opacity: .6; }
svg .turn-1 .dot { stroke-width: 7; stroke-opacity: .4; }
svg .reference .line { stroke: var(--text); stroke-width: 1; }
"""
PAGE_SCRIPT = r"""
// A click on a column's head sorts the table by it; a second click reverses the order.
const unitSizes = { us: 1e-6, ms: 1e-3, s: 1, m: 60, x: 1 };

function cellValue(row, column) {
  const text = row.cells[column].textContent;
  const match = text.match(/^(-?[0-9.]+)(us|ms|s|m|x)?( |$)/);
  if (!match) return text;
  const [, number, unit] = match;
  return parseFloat(number) * (unitSizes[unit] || 1);
}

// Numbers come before texts, whichever way the table is sorted.
function compareValues(a, b, ascending) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  if (a === b) return 0;
  return (a < b) === ascending ? -1 : 1;
}

function sortTable(table, head) {
  const heads = [...table.tHead.querySelectorAll("th")];
  const column = heads.indexOf(head);
  const ascending = head.getAttribute("aria-sort") !== "ascending";
  for (const other of heads) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  rows.sort((a, b) =>
    compareValues(cellValue(a, column), cellValue(b, column), ascending));
  body.append(...rows);
}

for (const button of document.querySelectorAll("button.copy")) {
  const command = button.parentElement.querySelector("code");
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command.textContent);
      button.textContent = "Copied";
    } catch {
      // A page from a file may not use the clipboard: select it instead.
      getSelection().selectAllChildren(command);
      button.textContent = "Selected";
    }
  });
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const head of table.tHead.querySelectorAll("th")) {
    head.firstChild.addEventListener("click", () => sortTable(table, head));
  }
}
"""
