"""What was measured where: the heading, and the machines."""

from __future__ import annotations

from collections.abc import Sequence

from micropie_benchlib.core.results import Machine, Results, Role
from micropie_benchlib.core.text import UNKNOWN, format_latency, pluralize
from micropie_benchlib.report.layout import Table


def heading_of(results: Results) -> str:
    """Return what was compared, and how; nothing for a text of wrk."""
    settings = results.settings
    if settings is None or not results.labels:
        return ""
    reference, *others = results.labels
    heading = f"{', '.join(others)} against {reference}" if others else reference
    parts = []
    servers = [facts.server for facts in results.targets if facts.server]
    if servers:
        parts.append(" or ".join(dict.fromkeys(server.asgi for server in servers)))
        fewest, *more = sorted({server.workers for server in servers})
        workers = " or ".join(map(str, [fewest, *more]))
        parts.append(f"{workers} workers" if more else pluralize(fewest, "worker"))
    rounds = max((measurement.round for measurement in results.measurements), default=0)
    trials = f"{settings.duration_s} s"
    if settings.p99_limit_s:
        trials = f"trials of {trials}"
        heading += f", capacity at a p99 up to {format_latency(settings.p99_limit_s)}"
    parts.append(f"{pluralize(rounds, 'round')} of {trials}")
    if results.machines:
        parts.append(machines_sentence(results.machines))
    return f"{heading}: {', '.join(parts)}"


def machines_sentence(machines: Sequence[Machine]) -> str:
    """Return where the servers ran, and where the load came from."""
    hosts: dict[Role, list[str]] = {}
    for machine in machines:
        hosts.setdefault(machine.role, []).append(machine.host or "here")
    if Role.BOTH in hosts:
        return f"all on {hosts[Role.BOTH][0]}"
    (server,) = hosts[Role.SERVER]
    served = "served here" if server == "here" else f"served on {server}"
    return f"{served}, load from {' and '.join(hosts[Role.LOAD])}"


def machine_tables(results: Results) -> list[Table]:
    """Return a table of the machines that took part; none if that was one."""
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
