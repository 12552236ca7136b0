"""URLs of other machines: what load they would get, and whether that is allowed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from micropie_benchlib.cli.terminal import say
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.targets import Target
from micropie_benchlib.core.text import format_rate
from micropie_benchlib.run.estimates import SEARCH_TRIALS, rehearsal_s
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, split_url
from micropie_benchlib.serve.kinds import with_addresses


def resolve_hosts(plan: Plan, *, allow_remote: bool) -> Plan:
    """Return the plan with the addresses of its URLs, and say what goes to other machines.

    Each name is looked up here and not again, so that what is allowed is what is asked.
    Raises UsageError for another machine where that is not allowed.
    """
    seconds: float = plan.rounds * sum(load.duration_s for load in plan.loads)
    if plan.precision:
        seconds = max(seconds, plan.most_s)
    connections = max(load.connections for load in plan.loads)
    pace = "without pause"
    if plan.p99_limit_s:
        seconds *= SEARCH_TRIALS
    if plan.is_at_a_rate:
        rates = [load.rate_per_s for load in plan.loads if load.rate_per_s]
        pace = f"at {format_rate(max(rates))}" if rates else "at a rate that is yet to be found"
        seconds += rehearsal_s(plan)
    amount = f"requests {pace} on up to {connections} connections, for {seconds:.0f} s in all"
    targets: list[Target] = []
    for target in plan.targets:
        addresses: list[str] = []
        for url in target.urls:
            addresses = addresses_of(split_url(url)[1])
            if not are_loopback(addresses):
                check_remote(url, addresses, amount, allowed=allow_remote)
        targets.append(with_addresses(target, addresses))
    return dataclasses.replace(plan, targets=tuple(targets))


def check_remote(url: str, addresses: Sequence[str], amount: str, *, allowed: bool) -> None:
    """Say what is sent to another machine. Raises UsageError if that is not allowed."""
    host = split_url(url)[1]
    if not allowed:
        raise UsageError(
            f"{url}: not this machine. This sends it {amount}: "
            "only do that to a server of your own, with --allow-remote"
        )
    if not addresses:
        raise UsageError(f"{url}: the host {host} is not known: check its name")
    say(f"warning: sending {host} {amount}")
