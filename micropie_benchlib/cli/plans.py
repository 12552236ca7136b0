"""From options, or a published table, to a plan; and what may be sent to other machines."""

import dataclasses
import random
from collections.abc import Sequence

from micropie_benchlib.cli.options import Preset, RemoteOptions, ServingOptions, TimingOptions
from micropie_benchlib.cli.targets import parse_targets
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.choices import Decisive
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.published import PublishedTable, label_of, published_tables
from micropie_benchlib.core.requests import BUILT_IN_PATHS, WORKLOADS
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings, Target
from micropie_benchlib.core.text import format_rate
from micropie_benchlib.run.schedule import SEARCH_TRIALS, preflight_s
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, split_url
from micropie_benchlib.serve.kinds import with_addresses
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
    machines: RemoteOptions = RemoteOptions(),
    rate_share: float | None = None,
    p99_limit_s: float | None = None,
) -> Plan:
    """Paired trials are the default where they are possible, with two rounds or more."""
    machine_names = machines.machine_names(targets, loads)
    rounds = timing.rounds or preset.rounds
    precision = timing.precision_share
    if precision and rounds < 2:
        raise UsageError(
            "needs a first stage of at least 2 rounds (--rounds)", option="--precision"
        )
    are_ours = all(target.is_launched for target in targets)
    has_cores = len(all_cores()) > 1 or not machine_names.are_here
    pairing_is_possible = len(targets) > 1 and has_cores and are_ours
    paired = timing.paired
    if paired and not pairing_is_possible:
        raise UsageError(
            "needs two targets that this tool starts, at least 2 cores, "
            "and a system with CPU affinity (Linux)",
            option="--paired",
        )
    if paired and server.port:
        raise UsageError(
            "runs two servers at once: leave out --port, or use --no-paired", option="--paired"
        )
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
        machine_names=machine_names,
        rate_share=rate_share,
        p99_limit_s=p99_limit_s,
    )
    if plan.is_at_a_rate and plan.metric is Decisive.THROUGHPUT:
        raise UsageError("throughput: a --rate fixes it; use cpu or p99", option="--metric")
    check_paths(plan)
    return resolve_hosts(plan, allow_remote=machines.allow_remote)


def check_paths(plan: Plan) -> None:
    """Some frameworks would answer another path with a page of their own."""
    built_ins = [target for target in plan.targets if target.is_built_in]
    for load in plan.loads:
        path = load.workload.path.partition("?")[0]
        if built_ins and path not in BUILT_IN_PATHS:
            raise UsageError(
                f"{path!r}: {built_ins[0].name} is a built-in without this path; "
                f"it has {', '.join(BUILT_IN_PATHS)}",
                option="--path",
            )


def resolve_hosts(plan: Plan, *, allow_remote: bool) -> Plan:
    """Each name is looked up here and not again, so that what is allowed is what is asked."""
    targets: list[Target] = []
    for target in plan.targets:
        addresses: Sequence[str] = ()
        for url in target.urls:
            host = split_url(url)[1]
            addresses = addresses_of(host)
            if are_loopback(addresses):
                continue
            amount = described_amount(plan)
            if not allow_remote:
                raise UsageError(
                    f"{url} is not this machine, and would get {amount}: "
                    "if that server is yours, add --allow-remote"
                )
            if not addresses:
                raise UsageError(f"{url}: the host {host} is not known: check its name")
            say(f"warning: sending {host} {amount}")
        targets.append(with_addresses(target, addresses))
    return dataclasses.replace(plan, targets=tuple(targets))


def described_amount(plan: Plan) -> str:
    seconds: float = plan.rounds * sum(load.duration_s for load in plan.loads)
    if plan.precision:
        seconds = max(seconds, plan.most_s)
    connections = max(load.connections for load in plan.loads)
    pace = "without pause"
    if plan.seeks_capacity:
        seconds *= SEARCH_TRIALS
    if plan.is_at_a_rate:
        rates = [load.rate_per_s for load in plan.loads if load.rate_per_s]
        pace = f"at {format_rate(max(rates))}" if rates else "at a rate that is not yet known"
        seconds += preflight_s(plan)
    return f"requests {pace} on up to {connections} connections, for {seconds:.0f} s in all"


# The plan of a published table.


def find_published(day: str) -> PublishedTable:
    if day not in published_tables():
        raise UsageError(
            f"no table was published on {day!r}{did_you_mean(day, published_tables())}: "
            f"use {', '.join(published_tables())} (reproduce --list)"
        )
    return published_tables()[day]


def published_targets(published: PublishedTable, server: ServerSettings) -> tuple[Target, ...]:
    texts = [f"{label_of(name)}={name}@{published.day}" for name in published.names]
    targets: list[Target] = []
    for name, target in zip(
        published.names, parse_targets(texts, ServingOptions(), server=server), strict=True
    ):
        assert isinstance(target, AsgiTarget)  # noqa: S101  # as all built-ins
        package, *others = target.requirements
        requirements = (*published.requirements.get(name, (package,)), *others)
        targets.append(
            dataclasses.replace(
                target,
                app=f"apps:{published.apps.get(name, name)}",
                as_of=published.as_of or published.day,
                requirements=requirements,
            )
        )
    return tuple(targets)


def published_loads(published: PublishedTable, duration_s: int) -> tuple[Load, ...]:
    loads = []
    for row in published.rows:
        loads.append(
            Load(
                connections=row.connections,
                threads=published.threads,
                duration_s=duration_s,
                workload=WORKLOADS[row.workload],
            )
        )
    return tuple(loads)
