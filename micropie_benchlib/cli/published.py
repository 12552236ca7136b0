"""The targets and loads of a published table."""

from __future__ import annotations

import dataclasses

from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.targets import parse_targets
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.published import PublishedTable, label_of, published_tables
from micropie_benchlib.core.requests import WORKLOADS
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings, Target


def find_published(day: str) -> PublishedTable:
    """Return the published table of that day. Raises UsageError if there is none."""
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
