"""The rounds of a plan, from the first launch to the comparisons."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence

from micropie_benchlib.core.errors import BenchError, CannotGoOnError, Reason, UnmeasurableError
from micropie_benchlib.core.measurements import Capacity, Measurement
from micropie_benchlib.core.plan import Launch, Plan
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.run.actions import Actions, SecondStage
from micropie_benchlib.run.facts import with_facts
from micropie_benchlib.run.launch import LaunchRun
from micropie_benchlib.run.preflight import (
    Preflight,
    prepare_rates,
    require_equal_work,
    try_launches,
)
from micropie_benchlib.run.schedule import launches_to_check, schedule
from micropie_benchlib.stats.comparisons import with_derived
from micropie_benchlib.stats.verdicts import rounds_for_precision, widest_interval
from micropie_benchlib.system.children import TRIAL_ERRORS


def measure_launch(
    launch: Launch,
    actions: Actions,
    *,
    unmeasurable: Sequence[Reason] | None = None,
    p99_limit_s: float | None = None,
) -> Iterator[TargetFacts | Measurement | Capacity]:
    """Yield each target's facts once its server is up, then the measurements, in order.

    The first launch raises UnmeasurableError if a target cannot be measured at all; it is given
    what was found of others.
    """
    run = LaunchRun(launch, actions)
    with contextlib.ExitStack() as stack:
        run.start(stack)
        for target in launch.targets:
            yield run.ask_each_workload(target)
        if unmeasurable is not None:
            reasons = [*unmeasurable, *run.unmeasurable()]
            if reasons:
                raise UnmeasurableError(reasons)
        run.warm_up()
        for trial in launch.trials:
            if p99_limit_s:
                yield from run.search(trial, p99_limit_s)
            else:
                yield from run.measure(trial)


def with_outcome(
    results: Results, outcome: TargetFacts | Measurement | Capacity, names: Sequence[str]
) -> Results:
    if isinstance(outcome, TargetFacts):
        return with_facts(results, outcome, names)
    if isinstance(outcome, Capacity):
        return dataclasses.replace(results, capacities=(*results.capacities, outcome))
    return dataclasses.replace(results, measurements=(*results.measurements, outcome))


def of_whole_rounds(results: Results, current_round: int) -> Results:
    if current_round == 1:
        return results
    whole = [each for each in results.measurements if each.round < current_round]
    capacities = [each for each in results.capacities if each.round < current_round]
    return dataclasses.replace(results, measurements=tuple(whole), capacities=tuple(capacities))


def with_second_stage(
    plan: Plan, results: Results, actions: Actions, elapsed_s: float
) -> tuple[Plan, Results]:
    """The rounds are as many as the plan's time allows, if the first stage took `elapsed_s`."""
    wanted, widest = plan.precision, widest_interval(results)
    needed = rounds_for_precision(results, wanted) if wanted else None
    if not wanted or not widest or not needed:
        return plan, results
    round_s = elapsed_s / plan.rounds
    rounds = max(plan.rounds, min(needed, int(plan.most_s / round_s)))
    stage = SecondStage(
        first_rounds=plan.rounds,
        reached=widest,
        wanted=wanted,
        needed=needed,
        seconds=(rounds - plan.rounds) * round_s,
    )
    plan = dataclasses.replace(plan, rounds=rounds)
    actions.extend(plan, stage)
    if results.settings:
        settings = dataclasses.replace(results.settings, rounds=rounds)
        results = dataclasses.replace(results, settings=settings)
    return plan, results


def run_experiment(plan: Plan, results: Results, actions: Actions) -> Results:
    """Return the results with the plan's measurements, but for targets that are too slow for it."""
    try:
        return run_rounds(plan, results, actions)
    except UnmeasurableError as error:
        warnings = tuple(reason.warnings[0] for reason in error.reasons)
        slow = {warning.words.get("target") for warning in warnings}
        targets = [target for target in plan.targets if target.name not in slow]
        are_all_slow = all(warning.kind is Kind.TOO_SLOW for warning in warnings)
        if not are_all_slow or targets[:1] != [plan.targets[0]] or len(targets) < 2:
            raise
    plan = dataclasses.replace(plan, targets=tuple(targets))
    results = dataclasses.replace(results, warnings=(*results.warnings, *warnings))
    actions.drop(plan, warnings)
    return run_rounds(plan, results, actions)


def run_rounds(plan: Plan, results: Results, actions: Actions) -> Results:
    """Return the results with the plan's measurements; they tell if it ended early.

    After an interruption, or a failure between trials, they are those of whole rounds; in the
    first round what there is.
    """
    current_round = 1
    first_rounds = plan.rounds
    start = time.monotonic()
    try:
        preflight = Preflight()
        if plan.is_at_a_rate:
            plan, results = prepare_rates(plan, results, actions)
            start = time.monotonic()  # of the rounds alone
        else:
            to_check = launches_to_check(schedule(plan), strict=plan.strict)
            preflight = try_launches(to_check, actions)
        for facts in preflight.facts:
            results = with_facts(results, facts, plan.names)
        if plan.strict and not preflight.unmeasurable:
            require_equal_work(results)
        launches = schedule(plan)
        first_launch = launches[0]
        while launches:
            launch = launches.pop(0)
            current_round = launch.round
            found = preflight.unmeasurable if launch is first_launch else None
            limit_s = plan.p99_limit_s if plan.seeks_capacity else None
            for outcome in measure_launch(launch, actions, unmeasurable=found, p99_limit_s=limit_s):
                results = with_outcome(results, outcome, plan.names)
            results = with_derived(results)
            with contextlib.suppress(BenchError):  # the last save says so if it fails
                actions.save(results)
            if not launches and plan.precision and plan.rounds == first_rounds:
                plan, results = with_second_stage(plan, results, actions, time.monotonic() - start)
                for launch in schedule(plan):
                    if launch.round > first_rounds:
                        launches.append(launch)
    except KeyboardInterrupt:
        kind, words = Kind.INTERRUPTED, {}
    except (CannotGoOnError, *TRIAL_ERRORS) as error:
        if not results.measurements and not isinstance(error, CannotGoOnError):
            raise
        kind, words = Kind.ENDED, {"error": str(error)}
    else:
        return results
    early_end = BenchWarning.of(kind, round=current_round, rounds=plan.rounds, **words)
    results = dataclasses.replace(
        of_whole_rounds(results, current_round), warnings=(*results.warnings, early_end)
    )
    return with_derived(results)
