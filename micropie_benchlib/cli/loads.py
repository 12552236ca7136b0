"""From options to loads: connections, threads, durations, workloads, rates."""

from __future__ import annotations

import dataclasses
import itertools
import re
import sys
from collections.abc import Sequence

from micropie_benchlib.cli.load_options import (
    DEFAULTS,
    GIST,
    QUICK,
    SHORT,
    LoadOptions,
    Preset,
    RateOptions,
    RequestOptions,
    TrialOptions,
)
from micropie_benchlib.cli.tables import NO_FILE, BenchFile
from micropie_benchlib.cli.workloads import parse_workloads
from micropie_benchlib.core.arrivals import rate_complaint
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import BUILT_IN_PATHS, DEFAULT_WORKLOAD, WORKLOADS, Workload

MAX_RATE_CONNECTIONS = 1000  # each has a thread of wrk


def checked_at_rates(loads: Sequence[Load]) -> tuple[Load, ...]:
    """Return the loads, with as many connections at a rate as without.

    Raises UsageError where wrk cannot make such a load at a rate, or it would tell nothing.
    """
    if sys.platform != "linux":
        raise UsageError("requests at a rate need Linux: its clock_nanosleep")
    for load in loads:
        if load.connections > MAX_RATE_CONNECTIONS:
            raise UsageError(
                f"--connections {load.connections}: at a rate each is a thread of wrk; "
                f"use {MAX_RATE_CONNECTIONS} or fewer"
            )
        if not load.workload.keep_alive:
            raise UsageError(
                "--no-keep-alive: at a rate the time of a new connection would count as latency"
            )
        reason = rate_complaint(load)
        if reason:
            raise UsageError(f"--rate: {reason}")
    checked = []
    for load in loads:
        threads = fitting_threads(load.connections, threads=load.threads)
        checked.append(dataclasses.replace(load, threads=threads))
    return tuple(checked)


def parse_connections(text: str, *, threads: int) -> list[int]:
    """Return the comma-separated counts. Raises UsageError for what wrk does not take."""
    words = [word.strip() for word in text.split(",")]
    are_counts = all(re.fullmatch(r"[1-9]\d{0,5}", word) for word in words)
    if not are_counts or len(set(words)) < len(words):
        raise UsageError(
            f"--connections {text!r}: use different whole numbers from 1 to 999999, such as 100,200"
        )
    counts = [int(word) for word in words]
    if min(counts) < threads:
        raise UsageError(
            f"--connections {min(counts)} is below --threads {threads}: "
            "wrk needs one for each thread"
        )
    return counts


def fitting_threads(connections: int, *, threads: int) -> int:
    """Return the most threads up to these with which wrk opens all of the connections."""
    return max(count for count in range(1, threads + 1) if connections % count == 0)


def make_loads(
    connections: Sequence[int],
    *,
    threads: int,
    duration_s: int,
    workloads: Sequence[Workload] = (WORKLOADS[DEFAULT_WORKLOAD],),
) -> tuple[Load, ...]:
    """Return each workload at each of the connection counts."""
    loads = []
    for workload, count in itertools.product(workloads, connections):
        loads.append(
            Load(connections=count, threads=threads, duration_s=duration_s, workload=workload)
        )
    return tuple(loads)


def choose_preset(*, quick: bool = False, short: bool = False, gist: bool = False) -> Preset:
    """Return the values of what no other option sets. Raises UsageError for two presets."""
    if quick + short + gist > 1:
        raise UsageError("--quick, --short and --gist exclude each other")
    if quick:
        return QUICK
    if short:
        return SHORT
    return GIST if gist else DEFAULTS


def check_paths(plan: Plan) -> None:
    """Raise UsageError for a path that a built-in does not have.

    Some frameworks would answer it with a page of their own, and be measured on that.
    """
    built_ins = [target for target in plan.targets if target.is_built_in]
    for load in plan.loads:
        path = load.workload.path.partition("?")[0]
        if built_ins and path not in BUILT_IN_PATHS:
            raise UsageError(
                f"--path {path!r}: {built_ins[0].name} is built in, and has no such path; "
                f"it has {', '.join(BUILT_IN_PATHS)}"
            )


def planned_loads(
    load: LoadOptions,
    timing: TrialOptions,
    request: RequestOptions,
    preset: Preset,
    file: BenchFile = NO_FILE,
    *,
    rate: RateOptions = RateOptions(),
    seeks_capacity: bool = False,
) -> tuple[Load, ...]:
    """Return the loads asked for; the preset has what is not. Raises UsageError."""
    connections = preset.connections if load.connections is None else load.connections
    is_at_rates = seeks_capacity or rate.rate is not None
    loads = make_loads(
        parse_connections(connections, threads=1 if is_at_rates else load.threads),
        threads=load.threads,
        duration_s=timing.duration_s(preset),
        workloads=parse_workloads(request, file),
    )
    if not is_at_rates:
        return loads
    return checked_at_rates([dataclasses.replace(each, rate_per_s=rate.per_s) for each in loads])
