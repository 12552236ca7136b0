"""The rates of loads, found and tried before the first round."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from micropie_benchlib.core.arrivals import rate_complaint
from micropie_benchlib.core.choices import Limit, Method
from micropie_benchlib.core.errors import BenchError, HopelessError, Reason
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.plan import Launch, Plan, Trial
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.run.actions import Actions
from micropie_benchlib.run.estimates import REHEARSAL_S
from micropie_benchlib.run.facts import with_facts
from micropie_benchlib.run.launch import LaunchRun
from micropie_benchlib.run.schedule import launch_groups
from micropie_benchlib.stats.search import Outcome, outcome_of


class Rehearsal(NamedTuple):
    """What the launches before the first round showed: facts, hopeless cases, and trials."""

    facts: list[TargetFacts]
    hopeless: list[Reason]
    measurements: list[Measurement]


def rehearse(plan: Plan, actions: Actions) -> Rehearsal:
    """Launch what a round launches, and put each under the loads, as where it counts.

    That is in paired trials if there are some, since each server then has half the cores. What is
    invalid is tried a second time. If one is hopeless, the others are not measured.

    A load without a rate is then offered at the rate that was answered. Servers answer less
    where requests come at moments of their own: there are fewer at a time, and each wakes
    somebody up.
    """
    rehearsal = Rehearsal([], [], [])
    for group in launch_groups(plan):
        trials = []
        for load in plan.loads:
            short = dataclasses.replace(load, duration_s=min(load.duration_s, REHEARSAL_S))
            trials.append(Trial(targets=group, load=short))
        launch = Launch(round=1, targets=group, trials=tuple(trials))
        run = LaunchRun(launch, actions)
        with contextlib.ExitStack() as stack:
            run.start(stack)
            rehearsal.facts.extend(run.ask_each_workload(target) for target in group)
            rehearsal.hopeless.extend(run.hopeless())
            if rehearsal.hopeless:
                continue
            run.warm_up()
            for trial in trials:
                made = measure_twice(run, trial)
                if not trial.load.rate_per_s and all(each.valid for each in made):
                    made = list(run.measure(at_most_rate(trial, made)))
                rehearsal.measurements.extend(made)
    return rehearsal


def measure_twice(run: LaunchRun, trial: Trial) -> list[Measurement]:
    """Return the trial's measurements; if any is invalid, those of a second try."""
    made = list(run.measure(trial))
    if all(measurement.valid for measurement in made):
        return made
    return list(run.measure(trial))


def at_most_rate(trial: Trial, made: Sequence[Measurement]) -> Trial:
    """Return the trial at the rate that the slowest of these answered."""
    rate_per_s = min(measurement.requests_per_s or 0 for measurement in made)
    load = dataclasses.replace(trial.load, rate_per_s=rate_per_s)
    return dataclasses.replace(trial, load=load)


def with_rates(plan: Plan, share: float, rehearsal: Rehearsal) -> Plan:
    """Return the plan with each load's rate, that share of what the slowest target answered.

    Raises BenchError where that could not be measured.
    """
    loads = []
    for load in plan.loads:
        reached = [m for m in rehearsal.measurements if m.load.without_rate == load.id]
        throughputs = []
        for measurement in reached:
            is_known = outcome_of(measurement, math.inf) is not Outcome.UNKNOWN
            if not is_known or measurement.requests_per_s is None:
                raise BenchError(
                    f"--rate {share:.0%}: what {measurement.target} answers at "
                    f"{load.id.sentence} is not known: {measurement.invalid_reason}"
                )
            pace = measurement.wrk.pace if measurement.wrk else None
            answered_per_s = pace.answered_per_s if pace else math.inf
            throughputs.append(min(measurement.requests_per_s, answered_per_s))
        rated = dataclasses.replace(load, rate_per_s=rounded_rate(share * min(throughputs)))
        reason = rate_complaint(rated)
        if reason:
            raise BenchError(f"--rate {share:.0%}: {reason}")
        loads.append(rated)
    return dataclasses.replace(plan, loads=tuple(loads))


def rounded_rate(rate_per_s: float) -> float:
    """Return the rate with three digits."""
    return max(0.001, float(f"{rate_per_s:.3g}"))


def generator_reasons(rehearsal: Rehearsal) -> list[Reason]:
    """Return which rates wrk cannot make."""
    reasons = []
    for measurement in rehearsal.measurements:
        if measurement.limited_by is Limit.LOAD_GENERATOR:
            text = (
                f"wrk cannot offer {measurement.load.sentence} from these cores: "
                "use a lower --rate, or more cores, such as another machine's (--load-on)"
            )
            reasons.append(Reason(text=text))
    return reasons


def unkept_reasons(rehearsal: Rehearsal, results: Results) -> list[Reason]:
    """Return which targets do not keep a rate. What else is invalid is left to the rounds."""
    reasons = []
    for measurement in rehearsal.measurements:
        if outcome_of(measurement, math.inf) is Outcome.MISSED:
            text = (
                f"{results.label(measurement.target)}, {measurement.load.sentence}: "
                f"{measurement.invalid_reason}; use a lower --rate{or_alone(measurement)}"
            )
            reasons.append(Reason(text=text))
    return reasons


def or_alone(measurement: Measurement) -> str:
    """Return the other remedy for a paired trial that does not keep a rate."""
    if measurement.method is Method.SINGLE:
        return ""
    return ", or --no-paired, so that each server has all cores"


def prepare_rates(plan: Plan, results: Results, actions: Actions) -> tuple[Plan, Results]:
    """Return plan and results with the loads' rates, and what the targets answered.

    Raises HopelessError if a rate cannot be kept.
    """
    if plan.rate_share:
        rehearsal = rehearse(plan, actions)
        reasons = rehearsal.hopeless or generator_reasons(rehearsal)
        if reasons:
            raise HopelessError(reasons)
        plan = with_rates(plan, plan.rate_share, rehearsal)
        rates = "; ".join(load.id.sentence for load in plan.loads)
        actions.extend(plan, f"{plan.rate_share:.0%} of what the slowest target answers: {rates}")
    rehearsal = rehearse(plan, actions)
    for facts in rehearsal.facts:
        results = with_facts(results, facts, plan.names)
    reasons = rehearsal.hopeless or generator_reasons(rehearsal)
    reasons = reasons or unkept_reasons(rehearsal, results)
    if reasons:
        raise HopelessError(reasons)
    return plan, results
