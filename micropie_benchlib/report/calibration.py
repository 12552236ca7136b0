"""What a target measured against itself says."""

from __future__ import annotations

import dataclasses
import math

from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.layout import Conclusion
from micropie_benchlib.stats.intervals import rounds_needed
from micropie_benchlib.stats.verdicts import in_all_rounds, log_stdev

RESOLUTION_STEPS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def calibration_conclusion(results: Results) -> Conclusion:
    """Return what a target against itself says of the machine."""
    sentences: list[str] = []
    for comparison in results.comparisons:
        sentences += calibration_sentences(results, comparison)
    return dataclasses.replace(conclude(results), verdict_lines=(), sentences=tuple(sentences))


def calibration_sentences(results: Results, comparison: Comparison) -> list[str]:
    """Return how small a difference the comparison's metric can tell from noise."""
    interval, stdev = comparison.interval, log_stdev(comparison)
    if not interval or not stdev:
        return []
    half = interval.log_half_width
    narrower = [step for step in RESOLUTION_STEPS if step < half] or [half / 2]
    rounds = rounds_needed(stdev, math.log1p(narrower[0]))
    advice = ""
    if rounds:
        in_all = in_all_rounds(results, comparison, rounds)
        advice = f"; for {narrower[0]:.1%} use -r {in_all}"
    what = f"{comparison.metric.full_name} ({comparison.method} trials, {comparison.load.sentence})"
    sentences = [f"{what}: differences under {math.expm1(half):.1%} are within noise{advice}."]
    if not interval.contains(1):
        sentences.append(f"{what}: the A/A difference is significant, as expected in 1 of 20 runs.")
    return sentences
