"""Which launches and trials a plan consists of, in random order."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Sequence

from micropie_benchlib.core.plan import Launch, Plan, Trial
from micropie_benchlib.core.targets import Target


def schedule(plan: Plan) -> list[Launch]:
    """Return the launches of all rounds, in random order within each round (seeded).

    So drift hits all targets alike. A single round keeps the order given, as the gist
    did.
    """
    order = random.Random(plan.seed)  # noqa: S311  # nothing secret
    randomized = plan.rounds > 1
    launches = []
    for number in range(1, plan.rounds + 1):
        groups = launch_groups(plan)
        if randomized:
            order.shuffle(groups)
        for position, group in enumerate(groups):
            targets = tuple(order.sample(group, len(group))) if randomized else group
            alone = targets if plan.measures_alone(number) else ()
            if plan.paired and position > 0:  # the reference was, in the round's first launch
                alone = tuple(target for target in alone if target is not plan.targets[0])
            trials = launch_trials(plan, targets, alone=alone)
            if randomized:
                order.shuffle(trials)
            trials = [at_moments_of(trial, plan.seed + number) for trial in trials]
            launches.append(Launch(round=number, targets=targets, trials=tuple(trials)))
    return launches


def at_moments_of(trial: Trial, seed: int) -> Trial:
    """Return the trial with the seed of its requests' moments, should it get a rate.

    That is of the round, so that all targets get the same ones.
    """
    return dataclasses.replace(
        trial, load=dataclasses.replace(trial.load, schedule_seed=seed % 2**31)
    )


def launch_groups(plan: Plan) -> list[tuple[Target, ...]]:
    """Return which targets are launched together.

    Without paired trials that is each alone; with paired trials each beside the reference.
    """
    reference, *others = plan.targets
    if plan.paired:
        return [(reference, other) for other in others]
    return [(target,) for target in plan.targets]


def launch_trials(
    plan: Plan, targets: tuple[Target, ...], *, alone: Sequence[Target]
) -> list[Trial]:
    """Return the trials of one launch: of some targets alone, then of both at once."""
    groups = [(target,) for target in plan.targets if target in alone]
    paired_trials = [targets] if plan.paired else []
    trials = []
    for group, load in itertools.product([*groups, *paired_trials], plan.loads):
        trials.append(Trial(targets=group, load=load))
    return trials


def launches_to_check(launches: Sequence[Launch], *, strict: bool) -> list[Launch]:
    """Return the first round's launches that come after another one; all if it is strict.

    What cannot be measured is to be found before anything is. The first launch shows that
    by itself, but not whether its targets do the same work as the others.
    """
    return [launch for launch in launches[0 if strict else 1 :] if launch.round == 1]
