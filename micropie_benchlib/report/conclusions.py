"""What a report says above its tables, for one run and for several side by side."""

from __future__ import annotations

from collections.abc import Mapping

from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN
from micropie_benchlib.report.about import describe_environment
from micropie_benchlib.report.headings import heading_of
from micropie_benchlib.report.layout import Conclusion, VerdictLine
from micropie_benchlib.report.merging import short_names, suffixed_by_file
from micropie_benchlib.report.verdict_lines import verdict_lines_of
from micropie_benchlib.report.warnings import lines_of, text_of, warning_lines
from micropie_benchlib.stats.warnings import findings_of


def conclude(results: Results) -> Conclusion:
    """Return the verdict for each load and target, and what should be known."""
    return Conclusion(
        heading=heading_of(results),
        verdict_lines=tuple(verdict_lines_of(results)),
        sentences=tuple(lines_of(results, findings_of(results))),
        warnings=tuple(warning_lines(results)),
        run_warnings=tuple(map(text_of, results.warnings)),
    )


def conclude_side_by_side(files: Mapping[str, Results]) -> Conclusion:
    """Return each file's conclusions, and in what the places differ."""
    verdict_lines: list[VerdictLine] = []
    sentences: list[str] = []
    warnings: list[str] = []
    run_warnings: list[str] = []
    for part in suffixed_by_file(files):
        conclusion = conclude(part)
        verdict_lines += conclusion.verdict_lines
        sentences += conclusion.sentences
        warnings += conclusion.warnings
        run_warnings += conclusion.run_warnings
    names = short_names(files)
    described = {file: describe_environment(part) for file, part in files.items()}
    facts: set[str] = set()
    for known in described.values():
        facts.update(known)
    for fact in sorted(facts):
        values = {names[file]: described[file].get(fact, UNKNOWN) for file in files}
        if len(set(values.values())) > 1:
            listed = "; ".join(f"{name}: {value}" for name, value in values.items())
            run_warnings.append(f"They differ in {fact}: {listed}.")
    return Conclusion(
        heading=f"{' and '.join(names.values())}, side by side",
        verdict_lines=tuple(verdict_lines),
        sentences=tuple(sentences),
        warnings=tuple(warnings),
        run_warnings=tuple(run_warnings),
    )
