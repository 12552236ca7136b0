"""The targets and loads of a published table."""

from __future__ import annotations

import dataclasses

from micropie_benchlib.cli.loads import make_loads
from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.targets import parse_targets
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.published import Edition, editions, label_of
from micropie_benchlib.core.requests import WORKLOADS
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings, Target


def find_edition(day: str) -> Edition:
    """Return the published table of that day. Raises UsageError if there is none."""
    if day not in editions():
        raise UsageError(
            f"no table was published on {day!r}{did_you_mean(day, editions())}: "
            f"use {', '.join(editions())} (reproduce --list)"
        )
    return editions()[day]


def edition_targets(edition: Edition, server: ServerSettings) -> tuple[Target, ...]:
    """Return the frameworks of a published table, with the packages of its day."""
    texts = [f"{label_of(name)}={name}@{edition.day}" for name in edition.names]
    targets: list[Target] = []
    for name, target in zip(
        edition.names, parse_targets(texts, ServingOptions(), server=server), strict=True
    ):
        assert isinstance(target, AsgiTarget)  # noqa: S101  # as all built-ins
        package, *others = target.requirements
        requirements = (*edition.requirements.get(name, (package,)), *others)
        targets.append(
            dataclasses.replace(
                target,
                app=f"apps:{edition.apps.get(name, name)}",
                as_of=edition.as_of or edition.day,
                requirements=requirements,
            )
        )
    return tuple(targets)


def edition_loads(edition: Edition, duration_s: int) -> tuple[Load, ...]:
    """Return the loads of a published table, for so long."""
    loads: list[Load] = []
    for load in edition.rows:
        loads += make_loads(
            [load.connections],
            threads=edition.threads,
            duration_s=duration_s,
            workloads=[WORKLOADS[load.workload]],
        )
    return tuple(loads)
