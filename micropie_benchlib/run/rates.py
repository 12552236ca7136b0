"""The rates of loads, found and tried before the first round."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from micropie_benchlib.core.choices import Limit, Method
from micropie_benchlib.core.errors import BenchError, Reason, UnmeasurableError
from micropie_benchlib.core.loads import rate_problem
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.plan import Launch, Plan, Trial
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.run.actions import Actions
from micropie_benchlib.run.facts import with_facts
from micropie_benchlib.run.launch import LaunchRun
from micropie_benchlib.run.schedule import PREFLIGHT_TRIAL_S, launch_groups
from micropie_benchlib.stats.search import Outcome, outcome_of


@dataclass(slots=True)
class Preflight:
    """What the launches before the first round showed."""

    facts: list[TargetFacts] = field(default_factory=list)
    unmeasurable: list[Reason] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)


def try_loads(plan: Plan, actions: Actions) -> Preflight:
    """Launch what a round launches, and put each under the loads, as where it counts.

    That is in paired trials if there are some, since each server then has half the cores.
    What is invalid is tried a second time. If one is unmeasurable, the others are not
    measured.

    A load without a rate is then offered at the rate that was answered. Servers answer less
    where requests come at moments of their own: there are fewer at a time, and each wakes
    somebody up.
    """
    preflight = Preflight()
    for group in launch_groups(plan):
        trials = []
        for load in plan.loads:
            duration_s = min(load.duration_s, PREFLIGHT_TRIAL_S)
            short = dataclasses.replace(load, duration_s=duration_s)
            trials.append(Trial(targets=group, load=short))
        run = LaunchRun(Launch(round=1, targets=group, trials=tuple(trials)), actions)
        with contextlib.ExitStack() as stack:
            run.start(stack)
            for target in group:
                preflight.facts.append(run.ask_each_workload(target))
            preflight.unmeasurable.extend(run.unmeasurable())
            if preflight.unmeasurable:
                continue
            run.warm_up()
            for trial in trials:
                made = list(run.measure(trial))
                if any(each.invalid for each in made):
                    made = list(run.measure(trial))
                if not trial.load.rate_per_s and not any(each.invalid for each in made):
                    made = list(run.measure(at_rate_answered(trial, made)))
                preflight.measurements.extend(made)
    return preflight


def at_rate_answered(trial: Trial, made: Sequence[Measurement]) -> Trial:
    """Return the trial at the rate that the slowest of these answered."""
    rate_per_s = min(measurement.requests_per_s or 0 for measurement in made)
    load = dataclasses.replace(trial.load, rate_per_s=rate_per_s)
    return dataclasses.replace(trial, load=load)


def with_rates(plan: Plan, share: float, measurements: Sequence[Measurement]) -> Plan:
    """Return the plan with each load's rate, that share of what the slowest target answered.

    Raises BenchError where that could not be measured.
    """
    loads = []
    for load in plan.loads:
        throughputs = []
        for measurement in measurements:
            if measurement.load.without_rate == load.id:
                throughputs.append(throughput_of(measurement, share))
        rate_per_s = max(0.001, float(f"{share * min(throughputs):.3g}"))
        rated = dataclasses.replace(load, rate_per_s=rate_per_s)
        reason = rate_problem(rated)
        if reason:
            raise BenchError(f"--rate {share:.0%}: {reason}")
        loads.append(rated)
    return dataclasses.replace(plan, loads=tuple(loads))


def throughput_of(measurement: Measurement, share: float) -> float:
    """Raises UnmeasurableError if it is not known."""
    is_known = outcome_of(measurement, math.inf) is not Outcome.UNKNOWN
    if not is_known or measurement.requests_per_s is None:
        unknown = BenchWarning.of(
            Kind.THROUGHPUT_UNKNOWN,
            share=share,
            target=measurement.target,
            load=measurement.load.without_rate.sentence,
        )
        raise UnmeasurableError([Reason(warnings=(unknown, *measurement.invalid))])
    pace = measurement.wrk.pace if measurement.wrk else None
    if pace is None:
        return measurement.requests_per_s
    return min(measurement.requests_per_s, pace.answered_per_s)


def generator_reasons(measurements: Sequence[Measurement]) -> list[Reason]:
    """Return which rates wrk cannot make."""
    reasons = []
    for measurement in measurements:
        if measurement.limited_by is Limit.LOAD_GENERATOR:
            warning = BenchWarning.of(Kind.CANNOT_OFFER, load=measurement.load.sentence)
            reasons.append(Reason(warnings=(warning,)))
    return reasons


def unkept_reasons(measurements: Sequence[Measurement], results: Results) -> list[Reason]:
    """Return which targets do not keep a rate. What else is invalid is left to the rounds."""
    reasons = []
    for measurement in measurements:
        if outcome_of(measurement, math.inf) is not Outcome.MISSED:
            continue
        is_single = measurement.method is Method.SINGLE
        warning = BenchWarning.of(
            Kind.RATE_NOT_KEPT if is_single else Kind.PAIRED_RATE_NOT_KEPT,
            target=results.label(measurement.target),
            load=measurement.load.sentence,
        )
        reasons.append(Reason(warnings=(warning, *measurement.invalid)))
    return reasons


def prepare_rates(plan: Plan, results: Results, actions: Actions) -> tuple[Plan, Results]:
    """Return plan and results with the loads' rates, and what the targets answered.

    Raises UnmeasurableError if a rate cannot be kept.
    """
    if plan.rate_share:
        preflight = try_loads(plan, actions)
        reasons = preflight.unmeasurable or generator_reasons(preflight.measurements)
        if reasons:
            raise UnmeasurableError(reasons)
        plan = with_rates(plan, plan.rate_share, preflight.measurements)
        actions.extend(plan, None)
    preflight = try_loads(plan, actions)
    for facts in preflight.facts:
        results = with_facts(results, facts, plan.names)
    reasons = preflight.unmeasurable or generator_reasons(preflight.measurements)
    reasons = reasons or unkept_reasons(preflight.measurements, results)
    if reasons:
        raise UnmeasurableError(reasons)
    return plan, results
