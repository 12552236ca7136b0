"""A plan carried out: its machines connected, its rounds measured, its results told."""

import contextlib
import dataclasses
from collections.abc import Callable

from micropie_benchlib.cli.actions import actions_for, import_all
from micropie_benchlib.cli.exports import Exports
from micropie_benchlib.cli.github import tell_github
from micropie_benchlib.cli.machines import connect_hosts, examine_hosts
from micropie_benchlib.cli.progress import ProgressReport
from micropie_benchlib.cli.records import new_results, settings_of
from micropie_benchlib.cli.screen import finish
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.core.choices import Inconclusive
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.gate import GateLine, gate_lines
from micropie_benchlib.report.layout import Conclusion, Report
from micropie_benchlib.report.warnings import lines_of, text_of
from micropie_benchlib.run.experiment import run_experiment
from micropie_benchlib.stats.gate import Gate, GateDecision, GateOutcome, is_whole
from micropie_benchlib.stats.warnings import Sighting, kept_limits
from micropie_benchlib.system.processes import require_proc
from micropie_benchlib.system.temporary import temporary_directory


def run_plan(
    plan: Plan,
    *,
    wrk: str | None,
    save: Callable[[Results], None],
    verbose: bool,
    warn: Callable[[str], None] = say,
) -> Results:
    require_proc()
    import_all()
    with temporary_directory() as work_dir, contextlib.ExitStack() as stack:
        connected = connect_hosts(plan, wrk, work_dir, stack)
        plan, hosts = connected.plan, connected.hosts
        plan = dataclasses.replace(plan, targets=hosts.fetch(plan.targets, say))
        warnings = [*connected.warnings]
        for warning in warnings:
            warn(f"warning: {text_of(warning)}")
        found = []
        for finding in examine_hosts(plan, hosts):
            if finding.warns:
                data = {"check": finding.check, "found": finding.found, "remedy": finding.remedy}
                warnings.append(BenchWarning.of(Kind.MACHINE, **data))
                found.append(f"{finding.check}: {finding.found}")
        if found:
            warn(f"warning: {'; '.join(found)} (remedies: doctor)")
        results = new_results(
            seed=plan.seed,
            settings=settings_of(plan),
            environment=connected.environment,
            warnings=tuple(warnings),
            machines=connected.machines,
            secrets=plan.secrets,
        )
        with contextlib.closing(ProgressReport(plan, verbose=verbose)) as progress:
            actions = actions_for(plan, hosts, progress, save)
            return run_experiment(plan, results, actions)


LIMIT_OUTCOMES = {
    Kind.P99_MET: GateOutcome.PASSED,
    Kind.P99_MISSED: GateOutcome.FAILED,
    Kind.P99_INCONCLUSIVE: GateOutcome.INCONCLUSIVE,
}


def limits(results: Results, decision: GateDecision | None) -> list[Sighting]:
    """Return what is found of the p99's limit; a gate lets the reference be as it is."""
    return list(kept_limits(results, results.names[1:] if decision else None))


def limit_lines(
    results: Results, decision: GateDecision, inconclusive: Inconclusive
) -> list[GateLine]:
    """Return a line for each limit that decides on the exit status, whatever the gate says."""
    failing = {GateOutcome.FAILED}
    if inconclusive is Inconclusive.FAIL:
        failing.add(GateOutcome.INCONCLUSIVE)
    lines = []
    for finding in limits(results, decision):
        outcome = LIMIT_OUTCOMES[finding.warning.kind]
        if outcome in failing:
            (text,) = lines_of(results, [finding])
            lines.append(GateLine(outcome=outcome, text=text))
    return lines


def status_of(
    results: Results,
    decision: GateDecision | None = None,
    inconclusive: Inconclusive = Inconclusive.PASS,
) -> int:
    """1: something was not measured. 3: the gate failed, or a limit of the p99 was missed."""
    if results.early_end:
        return 130 if results.early_end.kind is Kind.INTERRUPTED else 1
    outcomes = {LIMIT_OUTCOMES[finding.warning.kind] for finding in limits(results, decision)}
    if decision:
        outcomes.add(decision.outcome)
    if GateOutcome.FAILED in outcomes:
        return 3
    if GateOutcome.NOT_MEASURED in outcomes or not is_whole(results):
        return 1
    is_unclear = GateOutcome.INCONCLUSIVE in outcomes
    return 4 if is_unclear and inconclusive is Inconclusive.FAIL else 0


def run_and_report(
    plan: Plan,
    exports: Exports,
    *,
    wrk: str | None,
    concluding: Callable[[Results], Conclusion] = conclude,
    verbose: bool,
    gate: Gate | None = None,
    inconclusive: Inconclusive = Inconclusive.PASS,
) -> int:
    """Raises BenchError at the end if an export was not written."""
    results = run_plan(plan, wrk=wrk, save=exports.save, verbose=verbose)
    early_end = results.early_end
    if early_end and not results.measurements:
        say(f"{text_of(early_end)}: nothing was measured, and no file was written or changed")
        return status_of(results)
    conclusion = concluding(results)
    decision, told = None, []
    if gate:
        decision = gate.decide(results)
        told = gate_lines(results, decision) + limit_lines(results, decision, inconclusive)
        changes = map(text_of, gate.changes_since_baseline(results))
        conclusion = dataclasses.replace(
            conclusion,
            gate=tuple(line.text for line in told),
            warnings=(*changes, *conclusion.warnings),
        )
    report = Report(results=results, conclusion=conclusion, details=verbose)
    failure = finish(report, exports, was_run=True)
    tell_github(report, decision, told)
    if early_end:
        kept = "the rounds before" if early_end.figures["round"] > 1 else "what was measured"
        say(f"{text_of(early_end)}: the results cover only {kept}")
    if failure:
        raise failure
    return status_of(results, decision, inconclusive)
