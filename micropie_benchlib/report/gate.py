"""The gate's decision in words."""

from __future__ import annotations

from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.changes import Change
from micropie_benchlib.stats.gate import GateDecision


def gate_sentences(results: Results, decision: GateDecision) -> list[str]:
    """Return the gate's decision on each target and load, with its reason."""
    if not decision.changes:
        return [
            "gate failed: there is no interval to decide by "
            "for the same targets under the same load."
        ]
    return [gate_sentence(results, decision, change) for change in decision.changes]


def gate_sentence(results: Results, decision: GateDecision, change: Change) -> str:
    """Return the gate's decision on one target under one load."""
    comparison = change.comparison
    target, reference = results.label(comparison.target), results.label(comparison.reference)
    compared_with = reference
    if decision.has_baseline:
        compared_with = f"in the baseline, each against {reference}"
    speed = f"{1 / change.slowdown:.3f}x as fast as {compared_with}"
    evidence = (
        f"{100 * change.confidence:.4g}% interval {1 / change.high:.3f} to "
        f"{1 / change.low:.3f}, {comparison.metric.facts.measure}"
    )
    margin = f"{100 * decision.margin:.4g}%"
    outcome, finding = "passed", f"no significant slowdown over {margin}"
    if decision.is_slower(change):
        outcome, finding = "failed", f"significantly slower by more than {margin}"
    elif decision.may_be_slower(change):
        finding += ", but the interval allows one: add rounds"
    return (
        f"gate {outcome}: {target} at {comparison.load.sentence} is {speed} ({evidence}): "
        f"{finding}."
    )
