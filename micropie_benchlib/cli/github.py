"""GitHub Actions: the step's summary, outputs, and annotations."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence

from micropie_benchlib.cli.terminal import console_on, say, show_lines
from micropie_benchlib.report.gate import GateLine
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.stats.gate import GateDecision, GateOutcome, worst

LEVELS: Mapping[GateOutcome, str] = {
    GateOutcome.PASSED: "notice",
    GateOutcome.INCONCLUSIVE: "warning",
    GateOutcome.NOT_MEASURED: "error",
    GateOutcome.FAILED: "error",
}


def tell_github(
    report: Report, decision: GateDecision | None, gate_lines: Sequence[GateLine]
) -> None:
    """Add to the step's summary and outputs in GitHub Actions, and annotate each target."""
    append_to("GITHUB_STEP_SUMMARY", lambda: to_markdown(report))
    append_to("GITHUB_OUTPUT", lambda: outputs_of(report, decision))
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for target in dict.fromkeys(line.target for line in gate_lines):
        lines = [line for line in gate_lines if line.target == target]
        level = LEVELS[worst(line.outcome for line in lines)]
        escaped = "%0A".join(line.text.replace("%", "%25") for line in lines)
        with contextlib.suppress(OSError):  # in one line, however wide the terminal is
            show_lines([f"::{level} title=micropie_bench::{escaped}"], console_on(sys.stderr))


def append_to(variable: str, render: Callable[[], str]) -> None:
    """Append to the file that the environment variable names, if it does."""
    name = os.environ.get(variable)
    if not name:
        return
    try:
        with open(name, "a", encoding="utf-8") as file:
            file.write(render())
    except OSError as error:
        say(f"warning: {variable} not written: {error.strerror}")


def outputs_of(report: Report, decision: GateDecision | None) -> str:
    """Return the gate's outcome and its worst change, or the first verdict, as step outputs."""
    verdict, speeds = "", []
    if decision:
        verdict = decision.outcome.value
        slowest = min(decision.changes, key=lambda change: change.speed.high, default=None)
        if slowest:
            speeds = [slowest.speed.ratio, slowest.speed.low, slowest.speed.high]
    elif report.conclusion.verdict_lines:
        comparison = report.conclusion.verdict_lines[0].comparison
        verdict, speed = comparison.verdict.value, comparison.speed
        if speed and speed.interval:
            speeds = [speed.ratio, speed.interval.low, speed.interval.high]
    outputs = [f"verdict={verdict}\n"]
    for name, value in zip(("ratio", "low", "high"), speeds, strict=False):
        outputs.append(f"{name}={value:.4g}\n")
    return "".join(outputs)
