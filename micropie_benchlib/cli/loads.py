"""From options to loads: connections, threads, durations, workloads, rates."""

import dataclasses
import itertools
import re
import sys
from collections.abc import Sequence

from micropie_benchlib.cli.options import (
    LoadOptions,
    Preset,
    RateOptions,
    RequestOptions,
    TrialOptions,
)
from micropie_benchlib.cli.requests import make_workload, read_body
from micropie_benchlib.cli.tables import NO_FILE, BenchFile
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load, rate_problem
from micropie_benchlib.core.requests import (
    DEFAULT_WORKLOAD,
    NAMED_WORKLOADS,
    WORKLOADS,
    WRK_TIMEOUT_S,
    Workload,
)
from micropie_benchlib.core.secrets import without_url_secrets
from micropie_benchlib.core.text import parse_duration

MAX_RATE_CONNECTIONS = 1000  # each has a thread of wrk
LONGEST_TIMEOUT_S = 120  # wrk takes 8 MB of memory for each second of it


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
    return tuple(
        checked_at_a_rate(dataclasses.replace(each, rate_per_s=rate.per_s)) for each in loads
    )


def parse_connections(text: str, *, threads: int) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    are_counts = all(re.fullmatch(r"[1-9]\d{0,5}", word) for word in words)
    if not are_counts or len(set(words)) < len(words):
        raise UsageError(
            f"{text!r}: use different whole numbers from 1 to 999999, such as 100,200",
            option="--connections",
        )
    counts = [int(word) for word in words]
    if min(counts) < threads:
        raise UsageError(
            f"{min(counts)} is below --threads {threads}: wrk needs one for each thread",
            option="--connections",
        )
    return counts


def make_loads(
    connections: Sequence[int],
    *,
    threads: int,
    duration_s: int,
    workloads: Sequence[Workload] = (WORKLOADS[DEFAULT_WORKLOAD],),
) -> tuple[Load, ...]:
    loads = []
    for workload, count in itertools.product(workloads, connections):
        loads.append(
            Load(connections=count, threads=threads, duration_s=duration_s, workload=workload)
        )
    return tuple(loads)


def checked_at_a_rate(load: Load) -> Load:
    """Raises UsageError where wrk cannot make the load at a rate, or it would tell nothing."""
    if sys.platform != "linux":
        raise UsageError("a rate needs Linux (clock_nanosleep)")
    if load.connections > MAX_RATE_CONNECTIONS:
        raise UsageError(
            f"{load.connections}: each is a wrk thread at a rate; "
            f"use {MAX_RATE_CONNECTIONS} or fewer",
            option="--connections",
        )
    if not load.workload.keep_alive:
        raise UsageError(
            "does not work at a rate: the time of a new connection would count as latency",
            option="--no-keep-alive",
        )
    reason = rate_problem(load)
    if reason:
        raise UsageError(reason, option="--rate")
    threads = load.threads
    while load.connections % threads:
        threads -= 1
    return dataclasses.replace(load, threads=threads)


# The workloads of the options, or of bench.toml.


def parse_workloads(request: RequestOptions, file: BenchFile = NO_FILE) -> tuple[Workload, ...]:
    """Return the workloads by name, or those that the other options describe, or the file's."""
    described = (request.path, request.method, request.header, request.body)
    is_described = any(option is not None for option in described)
    if request.workload and is_described:
        raise UsageError(
            "already describes the request: leave out --path, --method, --header and --body",
            option="--workload",
        )
    if request.workload:
        workloads = named_workloads(request.workload, file)
    elif is_described or not file.workloads:
        workloads = described_workloads(request, file)
    else:
        workloads = list(file.workloads)
    timeout_s = WRK_TIMEOUT_S
    if request.timeout is not None:
        timeout_s = parse_duration(request.timeout, option="--timeout")
        if timeout_s > LONGEST_TIMEOUT_S:
            raise UsageError(
                f"{request.timeout!r}: at most {LONGEST_TIMEOUT_S}s", option="--timeout"
            )
    finished = []
    for workload in workloads:
        finished.append(
            dataclasses.replace(
                workload,
                expect_status=request.expect_status or workload.expect_status,
                keep_alive=request.keep_alive,
                timeout_s=timeout_s,
            )
        )
    return tuple(finished)


def named_workloads(wanted: Sequence[str], file: BenchFile) -> list[Workload]:
    known = {workload.name: workload for workload in (*NAMED_WORKLOADS, *file.workloads)}
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"{name!r}{did_you_mean(name, known)}: use {', '.join(known)}", option="--workload"
            )
    return [workload for workload in known.values() if workload.name in wanted]


def described_workloads(request: RequestOptions, file: BenchFile) -> list[Workload]:
    body = read_body(request.body)
    headers = request.header or ()
    workloads: dict[str, Workload] = {}
    for path in request.path or ("/",):
        workload = make_workload(method=request.method, path=path, headers=headers, body=body)
        name = f"{workload.method} {file.hide(without_url_secrets(path))}"
        workload = dataclasses.replace(workload, name=name)
        if workload == Workload(name=name):
            workload = Workload()
        if workload.name in workloads:
            raise UsageError(f"{without_url_secrets(path)!r} is given twice", option="--path")
        workloads[workload.name] = workload
    if len(workload.headers) > len(headers):
        say("the body is JSON: Content-Type: application/json is sent with it")
    return list(workloads.values())
