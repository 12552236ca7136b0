"""Results for a comment on GitHub, and for github-action-benchmark."""

import dataclasses
import itertools
from typing import Any

from micropie_benchlib.core.text import pluralize
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.report.results_file import json_text
from micropie_benchlib.stats.intervals import mean_and_half_width

COMMENT_MARK = "<!-- micropie_bench -->"  # its first line, not shown: action.yml looks for it
MAX_COMMENT_LINES = 29  # action.yml adds one


def to_github_comment(report: Report) -> str:
    """Return the short Markdown below a mark, without its tables where it would be long."""
    short = dataclasses.replace(report, details=False)
    text = to_markdown(short)
    if text.count("\n") >= MAX_COMMENT_LINES:
        text = to_markdown(short, has_tables=False)
    return f"{COMMENT_MARK}\n{text}"


def to_github_benchmark(report: Report) -> str:
    """Return customBiggerIsBetter of github-action-benchmark (its README, "Examples")."""
    results = report.results
    entries = []
    for load, name in itertools.product(results.reported_loads, results.names):
        if load.rate_per_s:  # throughput is given
            continue
        rates_per_s, what = results.throughputs(name, load), ""
        if results.seeks_capacity:
            rates_per_s, what = list(results.capacities_of(name, load).values()), ", capacity"
        if not rates_per_s:
            continue
        mean, half = mean_and_half_width(rates_per_s)
        entry: dict[str, Any] = {
            "name": f"{results.label(name)}, {load.sentence}{what}",
            "unit": "requests/s",
            "value": round(mean, 2),
        }
        if len(rates_per_s) > 1:
            entry["range"] = f"± {half:.2f}"
        entry["extra"] = f"{pluralize(len(rates_per_s), 'round')}; {results.command}"
        entries.append(entry)
    for line in report.conclusion.verdict_lines:
        comparison = line.comparison
        if comparison.speed:
            label = results.label(comparison.target)
            entry = {
                "name": f"Speed of {label}, {comparison.load.sentence}",
                "unit": "times the reference's",
                "value": round(comparison.speed.ratio, 4),
                "extra": f"{comparison.verdict}: {line.sentence}; {results.command}",
            }
            entries.append(entry)
    return json_text(entries)
