"""What is found before the first round: targets that cannot be measured, unequal work, rates."""

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Sequence
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
from micropie_benchlib.stats.equal_work import FRAMING, HEAD, work_of
from micropie_benchlib.stats.search import over_limit


@dataclass(slots=True)
class Preflight:
    facts: list[TargetFacts] = field(default_factory=list)
    unmeasurable: list[Reason] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)


def try_launches(
    launches: Iterable[Launch], actions: Actions, *, under_load: bool = False
) -> Preflight:
    """If one is unmeasurable, no trials are made."""
    preflight = Preflight()
    for launch in launches:
        run = LaunchRun(launch, actions)
        with contextlib.ExitStack() as stack:
            run.start(stack)
            for target in launch.targets:
                preflight.facts.append(run.ask_each_workload(target))
            preflight.unmeasurable += run.unmeasurable()
            if under_load and not preflight.unmeasurable:
                run.warm_up()
                for trial in launch.trials:
                    preflight.measurements += try_load(run, trial)
    return preflight


def try_load(run: LaunchRun, trial: Trial) -> list[Measurement]:
    """Return the trial's measurements; if any is invalid, those of a second try.

    A load without a rate is then offered at the rate that was answered. Servers answer less
    where requests come at times of their own: there are fewer at a time, and each wakes
    somebody up.
    """
    made = list(run.measure(trial))
    if any(each.invalid for each in made):
        made = list(run.measure(trial))
    if trial.load.rate_per_s or any(each.invalid for each in made):
        return made
    rate_per_s = min(measurement.requests_per_s or 0 for measurement in made)
    rated = dataclasses.replace(trial.load, rate_per_s=rate_per_s)
    return list(run.measure(dataclasses.replace(trial, load=rated)))


def require_equal_work(results: Results) -> None:
    """How a framework frames the same body, and with which headers, is its own work."""
    labels = [facts.label for facts in results.targets]
    differing = []
    for fact in work_of(results):
        if fact.differs and fact.what not in (HEAD, FRAMING):
            values = [f"{label} {value}" for label, value in zip(labels, fact.values, strict=True)]
            differing.append(f"{fact.name} ({', '.join(values)})")
    if differing:
        raise BenchError(
            f"--strict: the targets do not do equal work: {'; '.join(differing)}. "
            "Nothing was measured"
        )


def try_rates(plan: Plan, actions: Actions) -> Preflight:
    """Put what a round launches under the loads: paired servers have half the cores."""
    launches = []
    for group in launch_groups(plan):
        trials = []
        for load in plan.loads:
            duration_s = min(load.duration_s, PREFLIGHT_TRIAL_S)
            short = dataclasses.replace(load, duration_s=duration_s)
            trials.append(Trial(targets=group, load=short))
        launches.append(Launch(round=1, targets=group, trials=tuple(trials)))
    preflight = try_launches(launches, actions, under_load=True)
    reasons = list(preflight.unmeasurable)
    for measurement in preflight.measurements:
        if measurement.limited_by is Limit.LOAD_GENERATOR:
            warning = BenchWarning.of(Kind.CANNOT_OFFER, load=measurement.load.sentence)
            reasons.append(Reason(warnings=(warning,)))
    if reasons:
        raise UnmeasurableError(reasons)
    return preflight


def with_rates(plan: Plan, share: float, measurements: Sequence[Measurement]) -> Plan:
    """Each load's rate is that share of what the slowest target answered."""
    loads = []
    for load in plan.loads:
        throughputs = []
        for measurement in measurements:
            if measurement.load.without_rate == load.id:
                throughputs.append(throughput_of(measurement, share))
        rate_per_s = max(0.001, float(f"{share * min(throughputs):.3g}"))
        rated = dataclasses.replace(load, rate_per_s=rate_per_s)
        problem = rate_problem(rated)
        if problem:
            raise BenchError(f"--rate {share:.0%}: {problem}")
        loads.append(rated)
    return dataclasses.replace(plan, loads=tuple(loads))


def throughput_of(measurement: Measurement, share: float) -> float:
    is_known = over_limit(measurement, math.inf) is not None
    if not is_known or measurement.requests_per_s is None:
        unknown = BenchWarning.of(
            Kind.THROUGHPUT_UNKNOWN,
            share=share,
            target=measurement.target,
            load=measurement.load.without_rate.sentence,
        )
        raise UnmeasurableError([Reason(warnings=(unknown, *measurement.invalid))])
    arrival_rate = measurement.wrk.arrival_rate if measurement.wrk else None
    if arrival_rate is None:
        return measurement.requests_per_s
    return min(measurement.requests_per_s, arrival_rate.answered_per_s)


BURSTS = 1.25  # as many connections as responses take on average are all busy in each burst


def rate_advice(measurement: Measurement, label: str) -> BenchWarning:
    """Return why a rate was not kept, by what a response takes where none waits for another."""
    load, wrk = measurement.load, measurement.wrk
    words = {"target": label, "load": load.sentence}
    latency = wrk.latency_uncorrected if wrk else None
    if latency and latency.histogram and load.rate_per_s:
        fastest_s = latency.histogram[0][0] / 1e6
        needed = load.rate_per_s * fastest_s
        if needed > load.connections:
            return BenchWarning.of(
                Kind.TOO_FEW_CONNECTIONS,
                **words,
                fastest_s=fastest_s,
                most_per_s=load.connections / fastest_s,
                enough=math.ceil(BURSTS * needed),
            )
    if measurement.method is Method.SINGLE:
        return BenchWarning.of(Kind.RATE_NOT_KEPT, **words)
    return BenchWarning.of(Kind.PAIRED_RATE_NOT_KEPT, **words)


def prepare_rates(plan: Plan, results: Results, actions: Actions) -> tuple[Plan, Results]:
    """Raises UnmeasurableError if a rate is not kept; other faults are left to the rounds."""
    if plan.rate_share:
        measurements = try_rates(plan, actions).measurements
        plan = with_rates(plan, plan.rate_share, measurements)
        actions.extend(plan, None)
    preflight = try_rates(plan, actions)
    for facts in preflight.facts:
        results = with_facts(results, facts, plan.names)
    reasons = []
    for measurement in preflight.measurements:
        if over_limit(measurement, math.inf):
            warning = rate_advice(measurement, results.label(measurement.target))
            reasons.append(Reason(warnings=(warning, *measurement.invalid)))
    if reasons:
        raise UnmeasurableError(reasons)
    return plan, results
