"""From options to a plan: rounds, paired or not, seed."""

from __future__ import annotations

import random

from micropie_benchlib.cli.load_options import Preset, TimingOptions
from micropie_benchlib.cli.loads import check_paths
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.core.choices import Decisive
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Places, Plan
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.system.processes import all_cores


def make_plan(
    targets: tuple[Target, ...],
    *,
    loads: tuple[Load, ...],
    server: ServerSettings,
    timing: TimingOptions,
    preset: Preset,
    variables: tuple[str, ...] = (),
    strict: bool = False,
    places: Places = Places(),
    rate_share: float | None = None,
    p99_limit_s: float | None = None,
) -> Plan:
    """Return the plan. Raises UsageError for paired trials that cannot be had, and unknown paths.

    Paired trials are the default where they are possible, with two rounds or more and no port.
    """
    rounds = timing.rounds or preset.rounds
    precision = timing.wished_precision
    if precision and rounds < 2:
        raise UsageError("--precision needs a first stage of at least 2 rounds (--rounds)")
    are_ours = all(target.is_launched for target in targets)
    has_cores = len(all_cores()) > 1 or not places.are_here
    pairing_is_possible = len(targets) > 1 and has_cores and are_ours
    paired = timing.paired
    if paired and not pairing_is_possible:
        raise UsageError(
            "--paired needs two targets that it starts, at least 2 cores, "
            "and a system with CPU affinity (Linux)"
        )
    if paired and server.port:
        raise UsageError("--paired runs two servers at once: leave out --port, or use --no-paired")
    if paired is None:
        paired = pairing_is_possible and rounds > 1 and not server.port
        if pairing_is_possible and rounds > 1 and server.port:
            say("warning: two servers cannot share --port: single trials have wider intervals")
    seed = timing.seed
    if seed is None:
        seed = random.SystemRandom().randrange(2**32)
    plan = Plan(
        targets=targets,
        loads=loads,
        rounds=rounds,
        seed=seed,
        server=server,
        paired=paired,
        warm_up_s=timing.warm_up_s,
        metric=timing.metric,
        precision=precision,
        most_s=timing.most_s,
        variables=variables,
        strict=strict,
        places=places,
        rate_share=rate_share,
        p99_limit_s=p99_limit_s,
    )
    if plan.is_at_a_rate and plan.metric is Decisive.THROUGHPUT:
        raise UsageError("--metric throughput: at a --rate it is given; use cpu or p99")
    check_paths(plan)
    return plan
