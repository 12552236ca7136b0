"""The table of settings and machine, and the commands of the servers."""

from __future__ import annotations

import dataclasses

from micropie_benchlib.core.results import Results, Settings
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.text import show_value
from micropie_benchlib.report.layout import Code, Table


def report_title(results: Results) -> str:
    """Return the heading of a report."""
    *others, last = results.labels or [""]
    labels = f"{', '.join(others)} and {last}" if others else last
    return f"{labels}, measured by micropie_bench {results.version}"


def describe_settings(settings: Settings | None) -> dict[str, str]:
    """Return the settings by name, for people."""
    if settings is None:
        return {}
    values = {
        field.name: getattr(settings.server, field.name)
        for field in dataclasses.fields(ServerSettings)
    }
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
    """Return the facts of the machine and its software by name, for people."""
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


def about_table(results: Results) -> Table:
    """Return how the results came about: when, by which command, how, where."""
    facts = {"made": results.created, "command": Code(results.command)}
    facts["seed"] = show_value(results.seed)
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


def server_commands(results: Results) -> dict[str, str]:
    """Return the command of each server that was started, by its target's label."""
    return {facts.label: facts.server_command for facts in results.targets if facts.server_command}
