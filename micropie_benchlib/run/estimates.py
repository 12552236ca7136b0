"""How long a plan takes."""

from __future__ import annotations

from micropie_benchlib.core.plan import Launch, Plan
from micropie_benchlib.run.schedule import launch_groups, launches_to_check, schedule

LAUNCH_ESTIMATE_S = 3.0  # for one server


def start_estimate_s(launch: Launch) -> float:
    """Return about how long it takes until the launch's servers are ready, in seconds."""
    return LAUNCH_ESTIMATE_S * len(launch.targets)


def planned_s(plan: Plan) -> float:
    """Return about how long the whole plan takes, in seconds."""
    launches = schedule(plan)
    seconds = 0.0
    before = launches_to_check(launches, strict=plan.strict or plan.is_at_a_rate)
    for launch in [*before, *launches]:
        seconds += start_estimate_s(launch)
    trials = SEARCH_TRIALS if plan.p99_limit_s else 1
    for launch in launches:
        seconds += trials * sum(trial.load.duration_s for trial in launch.trials)
    return seconds + rehearsal_s(plan)


def rehearsal_s(plan: Plan) -> float:
    """Return how long loads at a rate are tried before the first round, in seconds."""
    if not plan.is_at_a_rate:
        return 0.0
    trial_s = sum(min(load.duration_s, REHEARSAL_S) for load in plan.loads)
    trials = 3 if plan.rate_share else 1  # as fast as it goes, at that rate, and at the share
    return float(trials * trial_s * len(launch_groups(plan)))


SEARCH_STEPS = 7  # that this usually takes
SEARCH_TRIALS = 1 + 1.5 * SEARCH_STEPS  # if half of them are tried twice
REHEARSAL_S = 2  # of a trial, at most
