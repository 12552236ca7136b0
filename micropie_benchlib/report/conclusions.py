"""What a report says above its tables: of one run, of several side by side, of a calibration."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from micropie_benchlib.core.estimates import Comparison, Interval
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN
from micropie_benchlib.report.about import describe_environment, heading_of
from micropie_benchlib.report.bisection import with_bisection
from micropie_benchlib.report.layout import Conclusion
from micropie_benchlib.report.merging import short_names, suffixed_by_file
from micropie_benchlib.report.verdict_lines import verdict_lines_of
from micropie_benchlib.report.warnings import lines_of, text_of
from micropie_benchlib.stats.intervals import rounds_needed
from micropie_benchlib.stats.verdicts import in_all_rounds, log_stdev
from micropie_benchlib.stats.warnings import findings_of, warnings_of

RESOLUTION_STEPS = (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def conclude(results: Results) -> Conclusion:
    sentences = []
    for finding in findings_of(results):
        sentences += lines_of(results, [finding])
    conclusion = Conclusion(
        heading=heading_of(results),
        verdict_lines=tuple(verdict_lines_of(results)),
        sentences=tuple(sentences),
        warnings=tuple(lines_of(results, warnings_of(results))),
        run_warnings=tuple(map(text_of, results.warnings)),
    )
    if results.bisection:
        return with_bisection(conclusion, results.bisection)
    return conclusion


def conclude_side_by_side(files: Mapping[str, Results]) -> Conclusion:
    fields: dict[str, list[Any]] = {}
    for part in suffixed_by_file(files):
        conclusion = conclude(part)
        for name in ("verdict_lines", "sentences", "warnings", "run_warnings"):
            fields.setdefault(name, []).extend(getattr(conclusion, name))
    names = short_names(files)
    described = {file: describe_environment(part) for file, part in files.items()}
    for fact in sorted(set[str]().union(*described.values())):
        values = {names[file]: described[file].get(fact, UNKNOWN) for file in files}
        if len(set(values.values())) > 1:
            listed = "; ".join(f"{name}: {value}" for name, value in values.items())
            fields["run_warnings"].append(f"They differ in {fact}: {listed}.")
    return Conclusion(
        heading=f"{' and '.join(names.values())}, side by side",
        **{name: tuple(each) for name, each in fields.items()},
    )


def calibration_conclusion(results: Results) -> Conclusion:
    sentences = ["Differences are within noise up to:"]
    for comparison in results.comparisons:
        stdev = log_stdev(comparison)
        if comparison.interval and stdev:
            sentences.append(noise_line(results, comparison, comparison.interval, stdev))
    return dataclasses.replace(conclude(results), verdict_lines=(), sentences=tuple(sentences))


def noise_line(results: Results, comparison: Comparison, interval: Interval, stdev: float) -> str:
    half = interval.log_half_width
    narrower = [step for step in RESOLUTION_STEPS if step < half] or [half / 2]
    rounds = rounds_needed(stdev, math.log1p(narrower[0]))
    line = f"{math.expm1(half):.1%} in {comparison.metric.short_name}, {comparison.method} trials"
    line += f", {comparison.load.sentence}"
    if rounds:
        in_all = in_all_rounds(results, comparison, rounds)
        line += f"; for {narrower[0]:.1%} use -r {in_all}"
    if not interval.contains(1):
        line += "; this A/A difference is significant, as in 1 of 20 runs"
    return line
