"""What was measured where, and with which settings."""

import dataclasses
from collections.abc import Sequence

from micropie_benchlib.core.results import Machine, Results, Role, Settings, TargetFacts
from micropie_benchlib.core.text import UNKNOWN, format_latency, pluralize, show_value
from micropie_benchlib.report.layout import Code, Table


def report_title(results: Results) -> str:
    *others, last = results.labels or [""]
    labels = f"{', '.join(others)} and {last}" if others else last
    return f"{labels}, measured by micropie_bench {results.version}"


def describe_settings(settings: Settings | None) -> dict[str, str]:
    if settings is None:
        return {}
    values: dict[str, object] = dataclasses.asdict(settings.server)
    values |= {
        "connections": settings.connections,
        "threads": settings.threads,
        "duration (s)": settings.duration_s,
        "rate (requests/s)": settings.rate_per_s,
        "rate (share of the slowest's maximum)": settings.rate_share,
        "p99 limit (s)": settings.p99_limit_s,
        "rounds": settings.rounds,
        "paired": settings.paired,
        "warm-up (s)": settings.warm_up_s,
    }
    return {name.replace("_", " "): show_value(value) for name, value in values.items()}


def describe_environment(results: Results) -> dict[str, str]:
    environment = results.environment
    if environment is None:
        return {}
    facts = {
        "python": environment.python,
        "implementation": environment.implementation,
        "platform": environment.platform,
        "kernel": environment.kernel,
        "cpu model": environment.cpu_model,
        "cpu count": environment.cpu_count,
        "governor": environment.governor,
        "wrk version": environment.wrk_version,
        **environment.packages,
    }
    return {name: show_value(value) for name, value in facts.items()}


def commit_of(facts: TargetFacts) -> str:
    if not facts.source:
        return ""
    changes = "" if facts.source.is_clean else " with changes"
    return f"{facts.source.commit[:10]}{changes}"


def about_table(results: Results) -> Table:
    facts = {"made": results.created, "command": Code(results.command)}
    facts["seed"] = show_value(results.seed)
    for target in results.targets:
        if target.server_command:
            facts[f"server of {target.label}"] = Code(target.server_command)
        if target.source:
            facts[f"commit of {target.label}"] = commit_of(target)
    facts |= describe_settings(results.settings)
    facts |= describe_environment(results)
    if results.environment:
        facts["wrk"] = results.environment.wrk
        facts["executable"] = results.environment.executable
        facts["bundle"] = show_value(results.environment.bundle)
    return Table(
        title="Settings and environment",
        titles=("What", "Value"),
        left=("Value",),
        rows=tuple(facts.items()),
    )


def heading_of(results: Results) -> str:
    settings = results.settings
    if settings is None or not results.labels:
        return ""
    reference, *others = results.labels
    heading = f"{', '.join(others)} against {reference}" if others else reference
    parts = []
    servers: list[str] = []
    counts = set()
    for facts in results.targets:
        if facts.server:
            servers.append(facts.server.asgi)
            counts.add(facts.server.workers)
    if servers:
        parts.append(" or ".join(dict.fromkeys(servers)))
        fewest, *more = sorted(counts)
        workers = " or ".join(map(str, [fewest, *more]))
        parts.append(f"{workers} workers" if more else pluralize(fewest, "worker"))
    rounds = max((measurement.round for measurement in results.measurements), default=0)
    trials = f"{settings.duration_s} s"
    if results.seeks_capacity and settings.p99_limit_s:
        trials = f"trials of {trials}"
        heading += f", capacity with p99 up to {format_latency(settings.p99_limit_s)}"
    parts.append(f"{pluralize(rounds, 'round')} of {trials}")
    if results.machines:
        parts.append(machines_sentence(results.machines))
    return f"{heading}: {', '.join(parts)}"


def machines_sentence(machines: Sequence[Machine]) -> str:
    hosts: dict[Role, list[str]] = {}
    for machine in machines:
        hosts.setdefault(machine.role, []).append(machine.host or "here")
    if Role.BOTH in hosts:
        return f"all on {hosts[Role.BOTH][0]}"
    (server,) = hosts[Role.SERVER]
    served = "served here" if server == "here" else f"served on {server}"
    return f"{served}, load from {' and '.join(hosts[Role.LOAD])}"


def machine_tables(results: Results) -> list[Table]:
    if not results.machines:
        return []
    titles = ("Machine", "Role", "Address", "CPU", "Cores", "Kernel", "Python", "wrk", "Round Trip")
    rows = []
    for machine in results.machines:
        environment = machine.environment
        trip_s = machine.round_trip_s
        row = (
            machine.host or "here",
            machine.role.value,
            machine.address or UNKNOWN,
            environment.cpu_model or UNKNOWN,
            str(environment.cpu_count),
            environment.kernel,
            environment.python,
            environment.wrk_version or "none",
            "none" if trip_s is None else format_latency(trip_s),
        )
        rows.append(row)
    return [Table(title="Machines", titles=titles, left=titles, rows=tuple(rows))]
