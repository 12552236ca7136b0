"""The gate's decision in words."""

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateLine:
    """The gate's outcome in a sentence, of one target under one load; of none in a first run."""

    outcome: GateOutcome
    text: str
    target: str = ""


def gate_lines(results: Results, decision: GateDecision) -> list[GateLine]:
    new_baseline = decision.gate.new_baseline
    if new_baseline:
        finding = NEW_BASELINE[decision.outcome].format(file=new_baseline)
        text = f"gate {decision.outcome}: {finding}"
        return [GateLine(outcome=decision.outcome, text=text)]
    lines = []
    for change in decision.changes:
        lines.append(gate_line(results, decision, change))
    for target, load in decision.unknown:
        outcome = GateOutcome.NOT_MEASURED
        where = f"{results.label(target)} at {load.sentence}"
        text = f"gate {outcome}: {where} has no interval to decide by."
        lines.append(GateLine(outcome=outcome, text=text, target=target))
    return lines


def gate_line(results: Results, decision: GateDecision, change: Change) -> GateLine:
    comparison, speed, outcome = change.comparison, change.speed, decision.outcome_of(change)
    target, reference = results.label(comparison.target), results.label(comparison.reference)
    compared_with = reference
    if decision.gate.baseline:
        compared_with = f"in the baseline, each against {reference}"
    finding = FINDINGS[outcome].format(margin=f"{100 * decision.gate.margin:.4g}%")
    text = (
        f"gate {outcome}: {target} at {comparison.load.sentence} is "
        f"{speed.ratio:.3f}x as fast as {compared_with} "
        f"({100 * speed.confidence:.4g}% interval {speed.low:.3f} to {speed.high:.3f}, "
        f"{comparison.metric.measure}): {finding}."
    )
    return GateLine(outcome=outcome, text=text, target=comparison.target)
