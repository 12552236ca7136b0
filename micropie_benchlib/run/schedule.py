"""Which launches and trials a plan consists of, in random order, and how long they take."""

import dataclasses
import random
from collections.abc import Sequence

from micropie_benchlib.core.plan import Launch, Plan, Trial
from micropie_benchlib.core.targets import Target

LAUNCH_ESTIMATE_S = 1.5  # for one server of 4 workers, on 2 cores
PREFLIGHT_TRIAL_S = 2  # of a load at a rate, at most
SEARCH_STEPS = 7  # that a search for a capacity usually takes
SEARCH_TRIALS = 1 + 1.5 * SEARCH_STEPS  # if half of them are tried twice


def schedule(plan: Plan) -> list[Launch]:
    """The order within a round is random (seeded), so drift hits all targets alike."""
    order = random.Random(plan.seed)  # noqa: S311  # nothing secret
    randomized = plan.rounds > 1
    launches = []
    for number in range(1, plan.rounds + 1):
        groups = launch_groups(plan)
        if randomized:
            order.shuffle(groups)
        for position, group in enumerate(groups):
            targets = group
            if randomized:
                targets = tuple(order.sample(group, len(group)))
            trials = launch_trials(plan, number, targets, is_first=position == 0)
            if randomized:
                order.shuffle(trials)
            launches.append(Launch(round=number, targets=targets, trials=tuple(trials)))
    return launches


def launch_groups(plan: Plan) -> list[tuple[Target, ...]]:
    reference, *others = plan.targets
    if plan.paired:
        return [(reference, other) for other in others]
    return [(target,) for target in plan.targets]


def launch_trials(
    plan: Plan, number: int, targets: tuple[Target, ...], *, is_first: bool
) -> list[Trial]:
    """Only a round's first pair measures the reference alone; all get the same arrival times."""
    groups: list[tuple[Target, ...]] = []
    if plan.measures_alone(number):
        reference = plan.targets[0]
        for target in plan.targets:
            is_repeated = plan.paired and target is reference and not is_first
            if target in targets and not is_repeated:
                groups.append((target,))
    if plan.paired:
        groups.append(targets)
    seed = (plan.seed + number) % 2**31
    trials = []
    for group in groups:
        for load in plan.loads:
            seeded = dataclasses.replace(load, schedule_seed=seed)
            trials.append(Trial(targets=group, load=seeded))
    return trials


def launches_to_check(launches: Sequence[Launch], *, strict: bool) -> list[Launch]:
    """The first launch shows by itself what cannot be measured; the others are tried before."""
    first_round = [launch for launch in launches if launch.round == 1]
    return first_round if strict else first_round[1:]


def planned_s(plan: Plan) -> float:
    launches = schedule(plan)
    seconds = preflight_s(plan)
    before = launches_to_check(launches, strict=plan.strict or plan.is_at_a_rate)
    for launch in [*before, *launches]:
        seconds += start_estimate_s(launch)
    trials = SEARCH_TRIALS if plan.seeks_capacity else 1
    for launch in launches:
        for trial in launch.trials:
            seconds += trials * trial.load.duration_s
    return seconds


def start_estimate_s(launch: Launch) -> float:
    return LAUNCH_ESTIMATE_S * len(launch.targets)


def preflight_s(plan: Plan) -> float:
    if not plan.is_at_a_rate:
        return 0.0
    trial_s = sum(min(load.duration_s, PREFLIGHT_TRIAL_S) for load in plan.loads)
    trials = 3 if plan.rate_share else 1  # as fast as it goes, at that rate, and at the share
    return float(trials * trial_s * len(launch_groups(plan)))
