"""GitHub Actions: the step's summary, and annotations."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Mapping

from micropie_benchlib.cli.terminal import console_on, say, show_lines
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.stats.gate import GateOutcome

LEVELS: Mapping[GateOutcome, str] = {
    GateOutcome.PASSED: "notice",
    GateOutcome.INCONCLUSIVE: "warning",
    GateOutcome.NOT_MEASURED: "error",
    GateOutcome.FAILED: "error",
}


def tell_github(report: Report, gate_lines: Iterable[tuple[GateOutcome, str]]) -> None:
    """Add to the step's summary in GitHub Actions, and annotate with the gate's lines."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(to_markdown(report))
        except OSError as error:
            say(f"warning: GITHUB_STEP_SUMMARY not written: {error.strerror}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for outcome, line in gate_lines:
            escaped = line.replace("%", "%25")
            with contextlib.suppress(OSError):  # in one line, however wide the terminal is
                show_lines(
                    [f"::{LEVELS[outcome]} title=micropie_bench::{escaped}"], console_on(sys.stderr)
                )
