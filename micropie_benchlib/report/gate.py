"""The gate's decision in words."""

from __future__ import annotations

from collections.abc import Mapping

from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.changes import Change
from micropie_benchlib.stats.gate import GateDecision, GateOutcome

FINDINGS: Mapping[GateOutcome, str] = {
    GateOutcome.PASSED: "no significant slowdown over {margin}",
    GateOutcome.FAILED: "significantly slower by more than {margin}",
    GateOutcome.INCONCLUSIVE: "no significant slowdown over {margin}, but the interval allows "
    "one: add rounds",
}
NEW_BASELINE: Mapping[GateOutcome, str] = {
    GateOutcome.PASSED: "there was no baseline; from now on it is {file}.",
    GateOutcome.NOT_MEASURED: "{file} is not written: a baseline needs all rounds, all valid.",
}


def gate_lines(results: Results, decision: GateDecision) -> list[tuple[GateOutcome, str]]:
    """Return the gate's outcome for each target and load, with its reason."""
    new_baseline = decision.gate.new_baseline
    if new_baseline:
        finding = NEW_BASELINE[decision.outcome].format(file=new_baseline)
        return [(decision.outcome, f"gate {decision.outcome}: {finding}")]
    lines = []
    for change in decision.changes:
        lines.append((decision.outcome_of(change), gate_line(results, decision, change)))
    for target, load in decision.unknown:
        outcome = GateOutcome.NOT_MEASURED
        where = f"{results.label(target)} at {load.sentence}"
        lines.append((outcome, f"gate {outcome}: {where} has no interval to decide by."))
    return lines


def gate_line(results: Results, decision: GateDecision, change: Change) -> str:
    """Return the gate's decision on one target under one load."""
    comparison, outcome = change.comparison, decision.outcome_of(change)
    target, reference = results.label(comparison.target), results.label(comparison.reference)
    compared_with = reference
    if decision.gate.baseline:
        compared_with = f"in the baseline, each against {reference}"
    finding = FINDINGS[outcome].format(margin=f"{100 * decision.gate.margin:.4g}%")
    return (
        f"gate {outcome}: {target} at {comparison.load.sentence} is "
        f"{1 / change.slowdown:.3f}x as fast as {compared_with} "
        f"({100 * change.confidence:.4g}% interval {1 / change.high:.3f} to {1 / change.low:.3f}, "
        f"{comparison.metric.measure}): {finding}."
    )
