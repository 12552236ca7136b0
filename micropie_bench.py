#!/usr/bin/env python3
"""Compare MicroPie with FastAPI, or any two HTTP servers, under identical load.

Each section uses only those above it: 1 domain model, 2 wrk output, 3 schedule, 4 statistics, 5 rendering,
6 processes, 7 experiment, 8 command line. Sections 1 to 5 are pure; 6 alone starts processes, 8 alone prints.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import json
import math
import os
import platform
import random
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, NoReturn

import h11
import psutil
import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from typer.exceptions import TyperException

__version__ = "0.1.0"

SCHEMA = "micropie-bench/1"
ROOT = Path(__file__).resolve().parent  # where apps.py lies too

# --- 1. domain model ----------------------------------------------------------------------------------------------


class BenchError(Exception):
    """A failure that the user can act on; its message is one line that says what failed and what to do."""

    exit_code = 1


class UsageError(BenchError):
    """A wrong argument or option."""

    exit_code = 2


class Loop(StrEnum):
    AUTO = "auto"
    ASYNCIO = "asyncio"
    UVLOOP = "uvloop"


class Http(StrEnum):
    AUTO = "auto"
    H11 = "h11"
    HTTPTOOLS = "httptools"


class Method(StrEnum):
    """How a trial was made: one target alone, or two at the same moment."""

    SOLO = "solo"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is measured. `label` is for people, `name` for files; `app` is uvicorn's `module:attribute`."""

    name: str
    label: str
    spec: str
    app: str
    app_dir: Path
    packages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltIn:
    """An app in apps.py: its label, and the distributions whose versions decide its speed."""

    label: str
    packages: tuple[str, ...]
    about: str


BUILT_INS = {
    "micropie": BuiltIn(label="MicroPie", packages=("micropie",), about="the gist's MicroPie app"),
    "fastapi": BuiltIn(label="FastAPI", packages=("fastapi", "starlette", "pydantic"), about="the gist's FastAPI app"),
    "starlette": BuiltIn(label="Starlette", packages=("starlette",), about="the same routes in Starlette"),
    "asgi": BuiltIn(label="ASGI", packages=(), about="a bare ASGI callable: the floor that uvicorn itself costs"),
}
SERVER_PACKAGES = ("uvicorn", "uvloop", "httptools", "h11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How each target is served. `port` None: a free one is chosen for each launch."""

    host: str = "127.0.0.1"
    port: int | None = None
    workers: int = 4
    access_log: bool = True
    loop: Loop = Loop.AUTO
    http: Http = Http.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk is told to do; the duration is in whole seconds, as wrk takes no others."""

    connections: int
    threads: int
    duration_s: int
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole comparison, as asked for; the first target is the reference."""

    targets: tuple[Target, ...]
    loads: tuple[Load, ...]
    rounds: int
    seed: int
    server: Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One fresh start of a target's server, and the loads that it gets, in order. Rounds count from 1."""

    round: int
    target: Target
    loads: tuple[Load, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to one request. `size` counts every byte on the wire, head included, as wrk counts."""

    status: int
    size: int
    headers: tuple[tuple[str, str], ...]
    body_sha256: str

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


Histogram = tuple[tuple[int, int], ...]  # (latency in microseconds, count), ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """wrk's latencies, corrected by it for coordinated omission; None where a text report does not tell."""

    mean_s: float
    stdev_s: float
    max_s: float
    p50_s: float | None = None
    p75_s: float | None = None
    p90_s: float | None = None
    p99_s: float | None = None
    p99_9_s: float | None = None
    histogram: Histogram = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """wrk's counts: sockets that failed to connect, read or write, statuses above 399, answers that came too late."""

    connect: int = 0
    read: int = 0
    write: int = 0
    status: int = 0
    timeout: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrkResult:
    """What one wrk run reports; the duration is the one that wrk measured itself."""

    duration_s: float
    requests: int
    bytes: int
    requests_per_s: float
    bytes_per_s: float
    latency: Latency
    errors: Errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one trial yielded; void, with no claim on the statistics, if it has an `invalid_reason`."""

    round: int
    order: int
    method: Method
    target: str
    connections: int
    threads: int
    wrk: WrkResult | None
    report: str = ""
    invalid_reason: str | None = None

    @property
    def valid(self) -> bool:
        return self.invalid_reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What was found out about a target when it was launched."""

    name: str
    spec: str
    versions: Mapping[str, str]
    server_command: str
    response: Response | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that a results file holds: the facts of a run and its measurements, in the order made."""

    created: str
    command: str
    seed: int | None
    settings: Mapping[str, Any]
    environment: Mapping[str, Any]
    targets: tuple[TargetFacts, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    warnings: tuple[str, ...] = ()


# --- 2. wrk output ------------------------------------------------------------------------------------------------

EXACT_MARK = "micropie-bench-exact:"

# Defines `done` alone, so that wrk's request path stays as it is without a script. wrk's own way to the histogram,
# latency(i), searches from the minimum at each call: seconds for the 20,000 buckets of one run. So it is read where it
# lies (stats.h: count, limit, min, max, data[]) if what lies there agrees with what wrk says of it.
WRK_SCRIPT = (
    """
local function number(value) return value == value and string.format("%.17g", value) or "0" end

local function direct(latency, buckets)
    local stats = require("ffi").cast("uint64_t **", latency)[0]
    local min, max = tonumber(stats[2]), tonumber(stats[3])
    assert(min == latency.min and max == latency.max)
    for value = min, max do
        local count = tonumber(stats[4 + value])
        if count > 0 then buckets[#buckets + 1] = string.format("[%.0f,%.0f]", value, count) end
    end
    assert(#buckets == #latency)
end

local function by_index(latency, buckets)
    for i = 1, #latency do buckets[i] = string.format("[%.0f,%.0f]", latency(i)) end
end

function done(summary, latency, requests)
    local e, buckets = summary.errors, {}
    if not pcall(direct, latency, buckets) then
        buckets = {}
        by_index(latency, buckets)
    end
    io.write("\\nMARK{",
        '"duration_us":', number(summary.duration), ',"requests":', number(summary.requests),
        ',"bytes":', number(summary.bytes),
        ',"errors":{"connect":', number(e.connect), ',"read":', number(e.read), ',"write":', number(e.write),
        ',"status":', number(e.status), ',"timeout":', number(e.timeout), '}',
        ',"mean_us":', number(latency.mean), ',"stdev_us":', number(latency.stdev),
        ',"max_us":', number(latency.max), ',"histogram":[', table.concat(buckets, ","), ']}\\n')
end
"""
).replace("MARK", EXACT_MARK)


def parse_duration(text: str) -> int:
    """Return wrk's duration (`5s`, `1m`, `1h`; a bare number is seconds) in seconds, above 0.

    Raises UsageError for all else: wrk reads whole numbers only (units.c, scan_time).
    """
    match = re.fullmatch(r"(\d+)([smh]?)", text.strip())
    if not match or int(match[1]) == 0:
        raise UsageError(f"duration {text!r}: wrk takes whole seconds, minutes or hours above 0, such as 5s or 1m")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def wrk_argv(wrk: str, load: Load, url: str, script: str) -> list[str]:
    """Return wrk's command line for the load; `script` is the path of WRK_SCRIPT."""
    counts = [f"-t{load.threads}", f"-c{load.connections}", f"-d{load.duration_s}s"]
    return [wrk, *counts, "--latency", "-s", script, url]


def histogram_percentile(histogram: Histogram, percent: float) -> float:
    """Return the latency in seconds below or at which that percent of the histogram lies.

    The rank is wrk's own (stats.c, stats_percentile): round(percent / 100 * count + 0.5). 0 for no samples.
    """
    rank = math.floor(percent / 100 * sum(count for _, count in histogram) + 0.5 + 0.5)
    seen = 0
    for value_us, count in histogram:
        seen += count
        if seen >= rank:
            return value_us / 1e6
    return histogram[-1][0] / 1e6 if histogram else 0.0


def parse_exact(output: str) -> tuple[WrkResult, str]:
    """Return what WRK_SCRIPT reported, to the last digit, and the text report before it.

    Raises BenchError if wrk printed no such line, as after a SIGTERM or with a broken script.
    """
    report, mark, line = output.partition(f"\n{EXACT_MARK}")
    if not mark:
        last = output.strip().splitlines()[-1:] or ["nothing"]
        raise BenchError(f"wrk gave no result; its last words: {last[0]}")
    data = json.loads(line)
    duration_s = data["duration_us"] / 1e6
    histogram: Histogram = tuple((value, count) for value, count in data["histogram"])
    percentile = functools.partial(histogram_percentile, histogram)
    latency = Latency(
        mean_s=data["mean_us"] / 1e6,
        stdev_s=data["stdev_us"] / 1e6,
        max_s=data["max_us"] / 1e6,
        p50_s=percentile(50),
        p75_s=percentile(75),
        p90_s=percentile(90),
        p99_s=percentile(99),
        p99_9_s=percentile(99.9),
        histogram=histogram,
    )
    result = WrkResult(
        duration_s=duration_s,
        requests=int(data["requests"]),
        bytes=int(data["bytes"]),
        requests_per_s=data["requests"] / duration_s,
        bytes_per_s=data["bytes"] / duration_s,
        latency=latency,
        errors=Errors(**{kind: int(count) for kind, count in data["errors"].items()}),
    )
    return result, report.rstrip() + "\n"


_TIME = r"(-?[\d.]+(?:us|ms|s|m|h))"
_BYTES = r"([\d.]+(?:[KMGT]?B)?)"
_COUNT = r"([\d.]+[kMG]?)"
_SHARE = r"(-?nan|[\d.]+)%"
_REPORT_LINES = {
    "running": re.compile(r"Running (\d+(?:s|m|h)) test @ (\S+)"),
    "load": re.compile(r"(\d+) threads and (\d+) connections"),
    "header": re.compile(r"Thread Stats\s+Avg\s+Stdev\s+Max\s+\+/- Stdev"),
    "latency": re.compile(rf"Latency\s+{_TIME}\s+{_TIME}\s+{_TIME}\s+{_SHARE}"),
    "req_sec": re.compile(rf"Req/Sec\s+{_COUNT}\s+{_COUNT}\s+{_COUNT}\s+{_SHARE}"),
    "distribution": re.compile(r"Latency Distribution"),
    "percentile": re.compile(rf"(50|75|90|99)%\s+{_TIME}"),
    "total": re.compile(rf"(\d+) requests in {_TIME}, {_BYTES} read"),
    "socket": re.compile(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)"),
    "status": re.compile(r"Non-2xx or 3xx responses: (\d+)"),
    "throughput": re.compile(r"Requests/sec:\s+([\d.]+)"),
    "transfer": re.compile(rf"Transfer/sec:\s+{_BYTES}"),
}
_REQUIRED = ("running", "load", "latency", "req_sec", "total", "throughput", "transfer")
_WRK_FAILURES = re.compile(r"(unable to (resolve|connect|create|record)|unknown option|invalid |unsupported)")


def _seconds(text: str) -> float:
    """Return wrk's printed time in seconds. `1000.00m` is a cut-off `1000.00ms`: wrk prints no 1000 minutes."""
    number, unit = re.fullmatch(r"(-?[\d.]+)([a-z]+)", text).groups()  # type: ignore[union-attr]  # _TIME matched
    unit = "ms" if text == "1000.00m" else unit
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}[unit]


def _bytes(text: str) -> float:
    """Return wrk's printed size in bytes; its units step by 1024 (units.c)."""
    number, unit = re.fullmatch(r"([\d.]+)([KMGT]?)B?", text).groups()  # type: ignore[union-attr]  # _BYTES matched
    return float(number) * {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}[unit]


def _measurement(
    target: str, order: int, found: Mapping[str, re.Match[str]], percentiles: Mapping[str, Any]
) -> Measurement:
    """Return one report's figures, as printed."""
    mean, stdev, maximum = (_seconds(found["latency"][i]) for i in (1, 2, 3))
    sockets = [int(n) for n in found["socket"].groups()] if "socket" in found else [0, 0, 0, 0]
    errors = Errors(
        connect=sockets[0],
        read=sockets[1],
        write=sockets[2],
        timeout=sockets[3],
        status=int(found["status"][1]) if "status" in found else 0,
    )
    wrk = WrkResult(
        duration_s=_seconds(found["total"][2]),
        requests=int(found["total"][1]),
        bytes=round(_bytes(found["total"][3])),
        requests_per_s=float(found["throughput"][1]),
        bytes_per_s=_bytes(found["transfer"][1]),
        latency=Latency(mean_s=mean, stdev_s=stdev, max_s=maximum, **percentiles),
        errors=errors,
    )
    return Measurement(
        round=1,
        order=order,
        method=Method.SOLO,
        target=target,
        threads=int(found["load"][1]),
        connections=int(found["load"][2]),
        wrk=wrk,
        invalid_reason=void_reason(wrk, connections=int(found["load"][2])),
    )


def void_reason(wrk: WrkResult, *, connections: int) -> str | None:
    """Return why these figures may not count as a measurement of the server; None if they may."""
    errors = wrk.errors
    sockets = {"connect": errors.connect, "read": errors.read, "write": errors.write, "timeout": errors.timeout}
    reasons = []
    if any(sockets.values()):
        reasons.append("socket errors: " + ", ".join(f"{kind} {count}" for kind, count in sockets.items() if count))
    if errors.status:
        reasons.append(f"{errors.status} of {wrk.requests} responses had a status above 399")
    if wrk.requests < connections:
        reasons.append(f"{wrk.requests} requests are fewer than the {connections} connections")
    return "; ".join(reasons) or None


def parse_reports(text: str) -> list[Measurement]:
    """Return the figures of every wrk report in the text, in order, named by the last heading before each.

    A heading is a line that is no part of a report; Markdown marks around it and code fences are ignored.
    Raises BenchError, with the line, for a report that is cut short or has a line that wrk does not print.
    """
    reports: list[Measurement] = []
    heading = first = ""
    found: dict[str, re.Match[str]] = {}
    percentiles: dict[str, float] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith(("```", "~~~", "$ ")):
            continue
        first = first or f"line {number}: {line[:100]!r}"
        matches = ((kind, pattern.fullmatch(line)) for kind, pattern in _REPORT_LINES.items())
        kind, match = next(((kind, match) for kind, match in matches if match), ("", None))
        if _WRK_FAILURES.match(line) or (found and not match) or (match and not found and kind != "running"):
            raise BenchError(f"not understood as a wrk report, line {number}: {line[:100]!r}")
        if found and kind == "running":
            raise BenchError(f"a wrk report ends before its Transfer/sec line, at line {number}: {line[:100]!r}")
        if not match:
            heading = line.strip("#*_`: ")
            continue
        found[kind] = match
        if kind == "percentile":
            percentiles[f"p{match[1]}_s"] = _seconds(match[2])
        if kind == "transfer":
            missing = [name for name in _REQUIRED if name not in found]
            if missing:
                raise BenchError(f"the wrk report that ends in line {number} has no line for: {', '.join(missing)}")
            reports.append(_measurement(heading or found["running"][2], len(reports) + 1, found, percentiles))
            found, percentiles = {}, {}
    if found:
        raise BenchError(f"the last wrk report has no Transfer/sec line; it began: {found['running'][0]!r}")
    if not reports:
        raise BenchError(f"no wrk report found; {first or 'the text is empty'}")
    return reports


# --- 3. schedule --------------------------------------------------------------------------------------------------


def schedule(plan: Plan) -> list[Launch]:
    """Return rounds x targets launches, targets and loads in random order within each round (seeded).

    So drift hits all alike. A single round keeps the order given, as the gist did.
    """
    if plan.rounds == 1:
        return [Launch(round=1, target=target, loads=plan.loads) for target in plan.targets]
    shuffled = random.Random(plan.seed)  # noqa: S311  # nothing secret
    return [
        Launch(round=number, target=target, loads=tuple(shuffled.sample(plan.loads, len(plan.loads))))
        for number in range(1, plan.rounds + 1)
        for target in shuffled.sample(plan.targets, len(plan.targets))
    ]


# --- 4. statistics ------------------------------------------------------------------------------------------------


def pool(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all samples together: percentiles of several runs come from this, never from a mean."""
    counts: dict[int, int] = {}
    for histogram in histograms:
        for value_us, count in histogram:
            counts[value_us] = counts.get(value_us, 0) + count
    return tuple(sorted(counts.items()))


# --- 5. rendering -------------------------------------------------------------------------------------------------

GIST_COLUMNS = (
    "Framework",
    "Avg Latency",
    "Max Latency",
    "Requests/Sec",
    "Data Transferred (MB)",
    "Transfer Rate (KB/s)",
)


def format_latency(seconds: float) -> str:
    """Return the time as wrk prints it: two decimals, each unit from 0.85 of it on, seconds from 1 s (units.c)."""
    if seconds >= 1:
        return f"{seconds:.2f}s" if seconds < 0.85 * 60 else f"{seconds / 60:.2f}m"
    return f"{seconds * 1e3:.2f}ms" if seconds >= 0.85e-3 else f"{seconds * 1e6:.2f}us"


def void_notes(measurements: Sequence[Measurement], labels: Mapping[str, str]) -> list[str]:
    """Return a line for each void measurement, with its reason."""
    return [
        f"{labels.get(m.target, m.target)}, {m.connections} connections, round {m.round}: void, {m.invalid_reason}"
        for m in measurements
        if not m.valid
    ]


def gist_row(measurements: Sequence[Measurement]) -> list[str]:
    """Return the gist's columns after the name, over the valid ones of a target's measurements under one load.

    Means are weighted by requests, the maximum is the largest, data is the sum, throughput the mean of rounds.
    """
    runs = [m.wrk for m in measurements if m.valid and m.wrk]
    if not runs:
        return ["void"] * (len(GIST_COLUMNS) - 1)
    requests = sum(run.requests for run in runs)
    return [
        format_latency(sum(run.latency.mean_s * run.requests for run in runs) / requests),
        format_latency(max(run.latency.max_s for run in runs)),
        f"{sum(run.requests_per_s for run in runs) / len(runs):.2f}",
        f"{sum(run.bytes for run in runs) / 1024**2:.2f}",
        f"{sum(run.bytes_per_s for run in runs) / len(runs) / 1024:.2f}",
    ]


def gist_tables(measurements: Sequence[Measurement], labels: Mapping[str, str], *, markdown: bool) -> list[Table]:
    """Return one table per connection count, ascending, rows in the order of `labels` (name to what is shown)."""
    tables = []
    for connections in sorted({m.connections for m in measurements}):
        table = Table(
            title=f"{connections} Connections",
            title_justify="left",
            title_style="bold",
            box=box.MARKDOWN if markdown else box.SIMPLE_HEAD,
        )
        for column in GIST_COLUMNS:
            table.add_column(column, justify="left" if column == "Framework" else "right")
        for name, label in labels.items():
            mine = [m for m in measurements if m.target == name and m.connections == connections]
            if mine:
                table.add_row(label, *gist_row(mine))
        tables.append(table)
    return tables


def describe_response(response: Response) -> str:
    """Return the answer in words: bytes on the wire, content type, chunked or not."""
    content_type = response.header("content-type").partition(";")[0] or "no content type"
    chunked = ", chunked" if response.header("transfer-encoding") == "chunked" else ""
    return f"{response.size} bytes of {content_type}{chunked}"


def conclude(plan: Plan, results: Results) -> list[str]:
    """Return the conclusion as sentences: throughput against the reference, then how the responses differ."""
    sentences = []
    reference = plan.targets[0]
    for target in plan.targets[1:]:
        ratios = []
        for load in plan.loads:
            theirs, mine = (
                [
                    m.wrk.requests_per_s
                    for m in results.measurements
                    if m.valid and m.wrk and m.target == name and m.connections == load.connections
                ]
                for name in (reference.name, target.name)
            )
            if theirs and mine:
                ratio = (sum(mine) / len(mine)) / (sum(theirs) / len(theirs))
                ratios.append(f"{ratio:.3f}x at {load.connections} connections")
        if ratios:
            sentences.append(
                f"{target.label} served {' and '.join(ratios)} the requests per second of {reference.label}; "
                "one round shows no uncertainty, and a server differs from itself by 5 to 20% between launches."
            )
    labels = {target.name: target.label for target in plan.targets}
    answers = {labels[facts.name]: describe_response(facts.response) for facts in results.targets if facts.response}
    if len(set(answers.values())) > 1:
        told = ", ".join(f"{label} answers {answer}" for label, answer in answers.items())
        sentences.append(f"The responses differ: {told}.")
    return sentences


def to_json(results: Results) -> str:
    """Return the results file's text: schema micropie-bench/1, SI units, histograms left out."""
    data: dict[str, Any] = {"schema": SCHEMA, "version": __version__, **dataclasses.asdict(results)}
    for facts in data["targets"]:
        if facts["response"]:
            facts["response"]["bytes"] = facts["response"].pop("size")
    for measurement, source in zip(data["measurements"], results.measurements, strict=True):
        measurement |= measurement.pop("wrk") or dict.fromkeys(f.name for f in dataclasses.fields(WrkResult))
        if measurement["latency"]:
            del measurement["latency"]["histogram"]
        measurement["valid"] = source.valid
    return json.dumps(data, indent=2) + "\n"


# --- 6. processes -------------------------------------------------------------------------------------------------

START_DEADLINE_S = 60.0
STOP_GRACE_S = 2.0
WARM_UP_S = 0.3
OVERRUN_S = 15.0  # a wrk that has not ended this long after its time hangs
POLL_S = 0.1
TICK_S = 0.5
WRK_HELP = (
    "Debian/Ubuntu: apt-get install wrk; Fedora: dnf install wrk; macOS: brew install wrk; "
    "or name one with --wrk PATH or MICROPIE_BENCH_WRK"
)

Tick = Callable[[], None]


def guard() -> None:
    """Run a command, and end its whole process tree when standard input closes, which the death of its owner does.

    Runs by itself in a bare interpreter (`python -c`), so all that it needs is imported here. As a child subreaper
    (Linux, prctl(2)) it inherits whatever its descendants leave behind. It writes JSON lines to the status pipe:
    {"pid"}, then {"exit", "cpu_s"} of the command; exit is negative for a signal, as in subprocess.
    """
    import contextlib
    import ctypes
    import json
    import os
    import select
    import signal
    import sys
    import time

    spec = json.loads(sys.argv[1])
    owner = 0  # standard input: closed when the owner wants an end, or has died

    def tell(**message: float | str) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(spec["status"], json.dumps(message).encode() + b"\n")

    def descendants() -> list[int]:
        if sys.platform != "linux":
            return []
        children: dict[int, list[int]] = {}
        for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208  # no pathlib in the guard
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as stat:
                children.setdefault(int(stat.read().rpartition(")")[2].split()[1]), []).append(int(name))
        found = list(children.get(os.getpid(), []))
        for pid in found:  # grows while it is walked
            found += children.get(pid, [])
        return found

    os.set_inheritable(spec["status"], False)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    wake_r, wake_w = os.pipe()
    os.set_blocking(wake_w, False)
    signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    if spec["cores"]:
        os.sched_setaffinity(0, spec["cores"])
    if spec["gated"] and not os.read(owner, 1):
        return
    try:
        pid = os.posix_spawnp(
            spec["argv"][0],
            spec["argv"],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setpgroup=0,
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD],
        )
    except OSError as error:
        tell(error=f"{spec['argv'][0]}: {error.strerror}")
        return
    tell(pid=pid)
    watched, deadline, running = [owner, wake_r], None, True
    while running and (deadline is None or time.monotonic() < deadline):
        ready = select.select(watched, [], [], None if deadline is None else max(0, deadline - time.monotonic()))[0]
        if wake_r in ready:
            os.read(wake_r, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.wait4(-1, os.WNOHANG))[0]:
                if ended[0] == pid:
                    running = False
                    usage = ended[2]
                    tell(exit=os.waitstatus_to_exitcode(ended[1]), cpu_s=usage.ru_utime + usage.ru_stime)
        if owner in ready and not os.read(owner, 1) and running:
            watched, deadline = [wake_r], time.monotonic() + spec["grace_s"]
            for member in descendants() or [pid]:  # its workers too: uvicorn looks for signals twice a second only
                with contextlib.suppress(ProcessLookupError):
                    os.kill(member, signal.SIGTERM)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            for descendant in descendants():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(descendant, signal.SIGKILL)
            os.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a command ended: its code (negative for a signal) and the CPU time it took."""

    code: int
    cpu_s: float


class Child:
    """A command that runs under a guard: its process tree is gone after stop(), and soon after this process dies."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes] | None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        status_r, status_w = os.pipe()
        spec = {"argv": list(argv), "status": status_w, "grace_s": STOP_GRACE_S, "gated": False, "cores": []}
        source = inspect.getsource(guard) + "guard()\n"
        self.exit: Exit | None = None
        self._status = os.fdopen(status_r)
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "from __future__ import annotations\n" + source, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output and subprocess.STDOUT,
            pass_fds=(status_w,),
            start_new_session=True,
            cwd=cwd,
            env=env,
        )
        os.close(status_w)
        started = json.loads(self._status.readline() or '{"error": "the process guard died"}')
        if "error" in started:
            self.stop()
            raise BenchError(f"cannot run {started['error']}")
        self.pid: int = started["pid"]

    def wait(self, timeout_s: float, *, others: Sequence[Child] = ()) -> bool:
        """Return whether this command has ended, after at most that time, or sooner if another of them ends."""
        pending = [child for child in (self, *others) if child.exit is None]
        for child in pending:
            if select.select([c._status for c in pending], [], [], timeout_s)[0] and child._readable():
                told = json.loads(child._status.readline() or '{"exit": -9, "cpu_s": 0}')
                child.exit = Exit(code=told["exit"], cpu_s=told["cpu_s"])
            timeout_s = 0
        return self.exit is not None

    def _readable(self) -> bool:
        return bool(select.select([self._status], [], [], 0)[0])

    def processes(self) -> list[psutil.Process]:
        """Return the live processes of the command's tree."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._guard.pid).children(recursive=True)
        return []

    def stop(self) -> None:
        """End the whole tree: SIGTERM, then SIGKILL to all that is left. Interrupted, the guard still does it."""
        with contextlib.suppress(BrokenPipeError):
            self._guard.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        self._guard.wait()
        self._status.close()


def _listening_sockets(port: int) -> set[str]:
    """Return the sockets that listen on the port, as /proc names them in fd links (Linux, proc(5))."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in lines:
                if f":{port:04X} " in line:
                    fields = line.split()
                    if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":  # TCP_LISTEN
                        found.add(f"socket:[{fields[9]}]")
    return found


def _held_sockets(pid: int, sockets: set[str], *, awaited: bool) -> set[str]:
    """Return which of the sockets the process holds; with `awaited`, those that an epoll of it waits on.

    Only the latter accepts: uvicorn's parent holds its socket too, and a worker does before it imports the app.
    """
    links = {}
    with contextlib.suppress(OSError):
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                links[fd.name] = str(fd.readlink())
        if awaited:
            polls = [fd for fd, link in links.items() if link == "anon_inode:[eventpoll]"]
            infos = "".join(Path(f"/proc/{pid}/fdinfo/{fd}").read_text() for fd in polls)
            links = {fd: links[fd] for fd in re.findall(r"^tfd:\s*(\d+)", infos, re.MULTILINE) if fd in links}
    return sockets & set(links.values())


def _listener(port: int) -> str:
    """Return who listens on the port, as far as this user may know."""
    with contextlib.suppress(psutil.AccessDenied):  # macOS tells only root
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:  # type: ignore[union-attr]
                return f"process {found.pid}"
    return "another process"


def free_port(host: str, wanted: int | None) -> int:
    """Return the wanted port, or one chosen by the system, after a bind that proves it free.

    Raises BenchError where something listens there already: a server found there must never be measured.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does: TIME_WAIT is no obstacle
        try:
            probe.bind((host, wanted or 0))
            probe.listen()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE and wanted
            by = f" ({_listener(wanted)} listens there)" if taken and wanted else ""
            where = f"port {wanted} on {host}" if wanted else f"an address on {host}"
            hint = "; stop what holds it, or choose another --port" if taken else ""
            raise BenchError(f"{where} cannot be used: {error.strerror}{by}{hint}") from None
        port: int = probe.getsockname()[1]
    return port


def probe(host: str, port: int, path: str) -> Response:
    """Return the answer to one GET, counted in bytes on the wire. Raises BenchError if there is none."""
    client = h11.Connection(h11.CLIENT)
    request = h11.Request(method="GET", target=path, headers=[("Host", f"{host}:{port}")])
    size, body, head = 0, hashlib.sha256(), None
    try:
        with socket.create_connection((host, port), timeout=10) as connection:
            connection.sendall((client.send(request) or b"") + (client.send(h11.EndOfMessage()) or b""))
            while not isinstance(event := client.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
                if event is h11.NEED_DATA:
                    data = connection.recv(65536)
                    size += len(data)
                    client.receive_data(data)
                elif isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    body.update(event.data)
    except (OSError, h11.RemoteProtocolError) as error:
        raise BenchError(f"no HTTP answer to GET {path}: {error}") from None
    if head is None:
        raise BenchError(f"no HTTP answer to GET {path}: the connection was closed")
    headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
    return Response(status=head.status_code, size=size, headers=headers, body_sha256=body.hexdigest())


def server_argv(target: Target, server: Server, port: int) -> list[str]:
    """Return the gist's command, `uvicorn app:app --workers 4`, for this target, by this interpreter."""
    options = ["--host", server.host, "--port", str(port), "--workers", str(server.workers)]
    options += ["--loop", server.loop, "--http", server.http, "--app-dir", str(target.app_dir)]
    options += [] if server.access_log else ["--no-access-log"]
    return [sys.executable, "-m", "uvicorn", target.app, *options]


def server_env() -> dict[str, str]:
    """Return this environment without the variables that would change uvicorn's settings unseen."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("UVICORN_") and name not in ("WEB_CONCURRENCY", "FORWARDED_ALLOW_IPS")
    }


def last_words(log: str) -> str:
    """Return the line of a server's log that tells best why it ended: the last error, else the last line."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"([\w.]+(Error|Exception|Exit)\b|ERROR\b|\[Errno)", line)]
    return ([*lines, *errors] or ["it logged nothing"])[-1][:300]


class RunningServer:
    """A launched target: all its workers serve once the constructor returns. Use as a context manager."""

    def __init__(self, target: Target, server: Server, *, log: Path | None, cwd: Path, tick: Tick) -> None:
        self.target, self.settings = target, server
        self._log = log.open("w+b") if log else None
        try:
            self.port = free_port(server.host, server.port)
            self.argv = server_argv(target, server, self.port)
            own_cwd = None if target.app_dir == Path.cwd() else cwd  # keeps the user's modules from the built-ins
            self.child = Child(self.argv, output=self._log, env=server_env(), cwd=own_cwd)
            try:
                self.workers = self._await_workers(tick)
            except BaseException:
                self.child.stop()
                raise
        except BaseException:
            self._close_log()
            raise

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()
        self._close_log()

    def _close_log(self) -> None:
        if self._log:
            self._log.close()

    def log_text(self) -> str:
        """Return the last 64 KiB of what the server wrote."""
        if not self._log:
            return ""
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 65536))
        return self._log.read().decode(errors="replace")

    def _await_workers(self, tick: Tick) -> set[psutil.Process]:
        """Return the processes that accept connections on the port, once there are as many as workers."""
        deadline = time.monotonic() + START_DEADLINE_S
        sockets: set[str] = set()
        seen: set[psutil.Process] = set()
        serving: set[psutil.Process] = set()
        while not self.child.wait(POLL_S):
            tick()
            now = set(self.child.processes())
            if seen - now and self.settings.workers > 1:  # uvicorn would replace the worker for ever
                break
            seen = now
            sockets = sockets or _listening_sockets(self.port)
            serving |= {p for p in now - serving if _held_sockets(p.pid, sockets, awaited=True)}
            if len(serving) >= self.settings.workers or (sys.platform != "linux" and self._says_ready()):
                self._check_port()
                return serving
            if time.monotonic() > deadline:
                raise BenchError(
                    f"{self.target.name}: {len(serving)} of {self.settings.workers} workers serve after "
                    f"{START_DEADLINE_S:.0f} s; its last words: {last_words(self.log_text())}"
                )
        raise BenchError(f"{self.target.name} died while starting: {last_words(self.log_text())}")

    def _check_port(self) -> None:
        """Raise BenchError if any process outside this server's tree listens on its port too."""
        sockets = _listening_sockets(self.port)
        own = (_held_sockets(process.pid, sockets, awaited=False) for process in self.child.processes())
        if sockets - set().union(*own):
            raise BenchError(f"a process outside {self.target.name} listens on port {self.port} too: stop it")

    def _says_ready(self) -> bool:
        """Return whether uvicorn's log reports all workers started: all there is to go by without Linux's /proc."""
        return self.log_text().count("Application startup complete") >= self.settings.workers

    def lost_workers(self) -> str | None:
        """Return what is amiss with the server since it was ready; None if it is the same processes that serve."""
        if self.child.exit:
            return f"the server died: {last_words(self.log_text())}"
        lost = [process.pid for process in self.workers if not process.is_running()]
        return f"worker {', '.join(map(str, lost))} died" if lost else None


def find_wrk(wanted: str | None) -> str:
    """Return the path of wrk: the one asked for, else the one on PATH, else the one beside this interpreter.

    Raises BenchError with how to get it.
    """
    scripts = sysconfig.get_path("scripts")
    found = shutil.which(wanted) if wanted else shutil.which("wrk") or shutil.which("wrk", path=scripts)
    if not found:
        raise BenchError(f"wrk not found{f' at {wanted}' if wanted else ' on PATH'}. {WRK_HELP}")
    return str(Path(found).absolute())


def wrk_version(wrk: str) -> str:
    """Return the version that wrk prints of itself, such as `debian/4.1.0-3+b2`. Raises BenchError if it is no wrk."""
    try:
        out = subprocess.run([wrk, "-v"], capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{wrk} does not run: {error}. {WRK_HELP}") from None
    match = re.match(r"wrk (\S+) \[", out)
    if not match:
        raise BenchError(f"{wrk} is not wrk: `wrk -v` should begin with its name and version. {WRK_HELP}")
    return match[1]


def run_wrk(
    wrk: str, load: Load, server: RunningServer, *, work_dir: Path, tick: Tick, cut_s: float | None = None
) -> tuple[WrkResult, str]:
    """Return what wrk measured, and its report; after `cut_s` seconds it is told to stop early (SIGINT).

    Raises BenchError if wrk fails, hangs, or the server dies meanwhile.
    """
    script = work_dir / "done.lua"
    script.write_text(WRK_SCRIPT)
    url = f"http://{server.settings.host}:{server.port}{load.path}"
    with tempfile.TemporaryFile(dir=work_dir) as output:
        child = Child(wrk_argv(wrk, load, url, str(script)), output=output)
        try:
            start = time.monotonic()
            end = start + load.duration_s + OVERRUN_S
            while not child.wait(min(TICK_S, cut_s or TICK_S), others=[server.child]):
                if server.child.exit:
                    raise BenchError(f"the server died: {last_words(server.log_text())}")
                if cut_s and time.monotonic() - start >= cut_s:
                    os.kill(child.pid, signal.SIGINT)
                    cut_s = None
                if time.monotonic() > end:
                    raise BenchError(f"wrk did not end within {OVERRUN_S:.0f} s of its time")
                tick()
        finally:
            child.stop()
        output.seek(0)
        result, report = parse_exact(output.read().decode(errors="replace"))
    if child.exit and child.exit.code:
        raise BenchError(f"wrk ended with status {child.exit.code}")
    return result, report


def package_versions(names: Sequence[str]) -> dict[str, str]:
    """Return the installed version of each distribution that is there."""
    versions = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _first_match(path: str, pattern: str) -> str | None:
    """Return the pattern's first group in the file; None where either is missing."""
    with contextlib.suppress(OSError):
        match = re.search(pattern, Path(path).read_text(errors="replace"), re.MULTILINE)
        return match[1].strip() if match else None
    return None


def environment(wrk: str) -> dict[str, Any]:
    """Return what the results depend on: interpreter, machine, wrk and packages."""
    packages = {package for built_in in BUILT_INS.values() for package in built_in.packages}
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "kernel": platform.release(),
        "cpu_model": _first_match("/proc/cpuinfo", r"^model name\s*: (.*)$") or platform.processor() or None,
        "cpu_count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _first_match("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "(.*)"),
        "wrk": wrk,
        "wrk_version": wrk_version(wrk),
        "packages": package_versions([*SERVER_PACKAGES, *sorted(packages)]),
    }


# --- 7. experiment ------------------------------------------------------------------------------------------------

LAUNCH_ESTIMATE_S = 3.0

Trial = Callable[[RunningServer, Load], tuple[WrkResult, str]]
Note = Callable[[str, float], None]  # what runs now, and the seconds it should take


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What an experiment does to the world, injected so that tests can provoke faults."""

    start: Callable[[Target], RunningServer]
    warm_up: Callable[[RunningServer, Load], object]
    trial: Trial
    save: Callable[[Results], None]
    note: Note


def planned_s(plan: Plan) -> float:
    """Return about how long the whole plan takes, in seconds."""
    trials_s = sum(load.duration_s for load in plan.loads)
    return plan.rounds * len(plan.targets) * (LAUNCH_ESTIMATE_S + trials_s)


def facts_of(server: RunningServer, response: Response | None) -> TargetFacts:
    """Return what is recorded about a target."""
    target = server.target
    return TargetFacts(
        name=target.name,
        spec=target.spec,
        versions=package_versions([*target.packages, *SERVER_PACKAGES]),
        server_command=shlex.join(server.argv),
        response=response,
    )


def measure_trial(server: RunningServer, load: Load, trial: Trial) -> tuple[WrkResult | None, str, str | None]:
    """Return what wrk measured, its report, and why the measurement is void (None if it is valid)."""
    try:
        wrk, report = trial(server, load)
    except BenchError as error:
        return None, "", str(error)
    server.child.wait(0)
    return wrk, report, server.lost_workers() or void_reason(wrk, connections=load.connections)


def measure_launch(launch: Launch, actions: Actions) -> Iterator[TargetFacts | Measurement]:
    """Yield the target's facts once its server is up, then one measurement for each load, in order.

    A server that does not start, or answers other than 2xx, makes them all void with that reason.
    """
    target = launch.target
    blank = functools.partial(Measurement, round=launch.round, method=Method.SOLO, target=target.name, order=0)
    done = 0
    try:
        actions.note(f"{target.label}: starting (round {launch.round})", LAUNCH_ESTIMATE_S)
        with actions.start(target) as server:
            response = probe(server.settings.host, server.port, launch.loads[0].path)
            yield facts_of(server, response)
            if not 200 <= response.status <= 299:
                raise BenchError(f"{target.name} answers {response.status} to GET {launch.loads[0].path}")
            actions.warm_up(server, launch.loads[0])
            for load in launch.loads:
                actions.note(f"{target.label}: {load.connections} connections (round {launch.round})", load.duration_s)
                wrk, report, reason = measure_trial(server, load, actions.trial)
                done += 1
                yield blank(
                    connections=load.connections, threads=load.threads, wrk=wrk, report=report, invalid_reason=reason
                )
    except BenchError as error:
        for load in launch.loads[done:]:
            yield blank(connections=load.connections, threads=load.threads, wrk=None, invalid_reason=str(error))


def run_experiment(plan: Plan, results: Results, actions: Actions) -> Results:
    """Return the results with all of the plan's measurements, saved after each launch where that can be done.

    Interrupted, it raises KeyboardInterrupt with the results so far as its argument: whole rounds, or in
    the first round what there is.
    """
    try:
        for launch in schedule(plan):
            for found in measure_launch(launch, actions):
                if isinstance(found, Measurement):
                    numbered = dataclasses.replace(found, order=len(results.measurements) + 1)
                    results = dataclasses.replace(results, measurements=(*results.measurements, numbered))
                elif found.name not in [facts.name for facts in results.targets]:
                    results = dataclasses.replace(results, targets=(*results.targets, found))
            with contextlib.suppress(BenchError):  # told when the last save fails: the measuring goes on
                actions.save(results)
    except KeyboardInterrupt:
        per_round = len(plan.targets) * len(plan.loads)
        whole = len(results.measurements) // per_round * per_round
        results = dataclasses.replace(results, measurements=results.measurements[: whole or None])
        raise KeyboardInterrupt(results) from None
    return results


# --- 8. command line ----------------------------------------------------------------------------------------------

app = typer.Typer(
    help=(__doc__ or "").splitlines()[0],
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def console(stream: IO[str]) -> Console:
    """Return a console on the stream: as wide as the terminal, or as wide as need be where there is none."""
    width = None if stream.isatty() else 10_000
    return Console(file=stream, width=width, highlight=False, markup=False, soft_wrap=True)


stdout, stderr = console(sys.stdout), console(sys.stderr)

WorkersOption = Annotated[int, typer.Option("-w", "--workers", min=1, help="Worker processes of the server.")]
AccessLogOption = Annotated[bool, typer.Option(help="uvicorn's access log; the gist had it on.")]
LoopOption = Annotated[Loop, typer.Option(help="uvicorn's event loop; auto is uvloop if installed.")]
HttpOption = Annotated[Http, typer.Option(help="uvicorn's HTTP parser; auto is httptools if installed.")]
JsonOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write the results as JSON ('-': stdout).")]


def parse_target(text: str) -> Target:
    """Return the target that `[NAME=]SPEC` names. Raises UsageError if it is none."""
    named = re.fullmatch(r"([\w.@-]+)=(.+)", text)
    name, spec = named.groups() if named else (text, text)
    if built_in := BUILT_INS.get(spec):
        label = name if named else built_in.label
        packages = built_in.packages
        return Target(name=name, label=label, spec=spec, app=f"apps:{spec}", app_dir=ROOT, packages=packages)
    if re.fullmatch(r"[\w.]+:[\w.]+", spec):
        return Target(name=name, label=name, spec=spec, app=spec, app_dir=Path.cwd())
    raise UsageError(
        f"unknown target {spec!r}: use {', '.join(BUILT_INS)}, or module:attribute for an ASGI app in this directory"
    )


def parse_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets, fastapi and micropie if none is given. Raises UsageError for a name used twice."""
    targets = tuple(map(parse_target, texts or ("fastapi", "micropie")))
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two targets are named {name!r}: name them apart, as in a={name} b={name}")
    return targets


def parse_loads(connections: str, *, threads: int, duration_s: int, path: str) -> tuple[Load, ...]:
    """Return a load for each of the comma-separated connection counts. Raises UsageError."""
    counts = [part.strip() for part in connections.split(",")]
    if not all(re.fullmatch(r"\d{1,6}", part) and int(part) > 0 for part in counts) or len(set(counts)) < len(counts):
        raise UsageError(f"--connections {connections!r}: use different whole numbers above 0, such as 100,200")
    if short := [part for part in counts if int(part) < threads]:
        raise UsageError(f"--connections {short[0]} is below --threads {threads}: wrk needs one for each thread")
    if not re.fullmatch(r"/[!-~]*", path):
        raise UsageError(f"--path {path!r}: a path begins with / and has no spaces")
    return tuple(Load(connections=int(n), threads=threads, duration_s=duration_s, path=path) for n in counts)


class Exporter:
    """Writes a text to a file whole or not at all; '-' is standard output."""

    def __init__(self, option: str, destination: str) -> None:
        """Raises UsageError at once if the file cannot be written: no result may be lost to a typing error."""
        self.to_stdout = destination == "-"
        self._path = Path("/dev/stdout" if self.to_stdout else destination).resolve()
        self._whole = not self._path.exists() or self._path.is_file()  # else a device or pipe: nothing to replace
        if self.to_stdout:
            return
        try:
            if self._whole:
                tempfile.TemporaryFile(dir=self._path.parent).close()
            if self._path.exists():
                self._path.open("a").close()
        except OSError as error:
            raise UsageError(f"{option} {destination}: {error.strerror}") from None

    def write(self, text: str) -> None:
        """Write the file in one step. Raises BenchError."""
        if self.to_stdout:
            sys.stdout.write(text)
            return
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}.part") if self._whole else self._path
        try:
            try:
                part.write_text(text)
                if self._whole:
                    part.replace(self._path)
            finally:
                if self._whole:
                    part.unlink(missing_ok=True)
        except OSError as error:
            raise BenchError(f"not written: {self._path}: {error.strerror}") from None


class ProgressReport:
    """Tells on standard error what runs now: with the time left on a terminal, as plain lines elsewhere."""

    def __init__(self, total_s: float) -> None:
        columns = [TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]} left")]
        self._progress = Progress(*columns, console=stderr, auto_refresh=False, transient=True)
        self._task = self._progress.add_task("", total=total_s, left="")
        self._total_s, self._before_s, self._step_s = total_s, 0.0, 0.0
        self._step_start = self._refreshed = time.monotonic()
        if stderr.is_terminal:
            self._progress.start()

    def note(self, text: str, seconds: float) -> None:
        """Begin a step that should take this long."""
        self._before_s += self._step_s
        self._step_s, self._step_start, self._refreshed = seconds, time.monotonic(), 0.0
        self._progress.update(self._task, description=text)
        if stderr.is_terminal:
            self.tick()
        else:
            stderr.print(text)

    def tick(self) -> None:
        """Redraw, at most twice a second: drawing takes CPU time from what is measured."""
        now = time.monotonic()
        if stderr.is_terminal and now - self._refreshed >= TICK_S:
            self._refreshed = now
            done_s = self._before_s + min(self._step_s, now - self._step_start)
            left = datetime.timedelta(seconds=round(self._total_s - done_s))
            self._progress.update(self._task, completed=done_s, left=str(left), refresh=True)

    def close(self) -> None:
        if stderr.is_terminal:
            self._progress.stop()


def show(renderables: Sequence[Table | str], *, console: Console) -> None:
    """Print tables and lines, each table set off by blank lines."""
    for renderable in renderables:
        if isinstance(renderable, str) or console.is_terminal:
            console.print(renderable)
            continue
        with console.capture() as capture:  # a pipe gets Markdown at its full width, without padding
            console.print(renderable)
        lines = [line.rstrip() for line in capture.get().splitlines()]
        title = [f"{lines.pop(0)}\n"] if renderable.title else []
        console.print("\n".join(["", *title, *filter(None, lines), ""]))


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = debug
    if version:
        stdout.print(f"micropie_bench {__version__}")
    elif context.invoked_subcommand is None:
        raise UsageError("no command given: try --help")


@app.command()
def serve(
    target: Annotated[str, typer.Argument(help="A built-in target, or module:attribute.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    workers: WorkersOption = 4,
    access_log: AccessLogOption = True,
    loop: LoopOption = Loop.AUTO,
    http: HttpOption = Http.AUTO,
) -> int:
    """Run one target in the foreground, as the gist did; Ctrl-C ends it."""
    server = Server(host=host, port=port, workers=workers, access_log=access_log, loop=loop, http=http)
    with tempfile.TemporaryDirectory(prefix="micropie_bench-") as work_dir:
        try:
            running = RunningServer(parse_target(target), server, log=None, cwd=Path(work_dir), tick=lambda: None)
            with running:
                while not running.child.wait(3600):
                    pass
        except KeyboardInterrupt:
            return 0
    status = running.child.exit.code if running.child.exit else "unknown"
    raise BenchError(f"{target}: the server ended by itself, with status {status}")


def new_results(**facts: Any) -> Results:
    """Return results without measurements, of this moment and this command."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Results(created=created, command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]), **facts)


@app.command()
def compare(
    targets: Annotated[list[str] | None, typer.Argument(help="[NAME=]SPEC; the first is the reference.")] = None,
    connections: Annotated[str | None, typer.Option("-c", "--connections", help="Counts to run. [100,200]")] = None,
    threads: Annotated[int, typer.Option("-t", "--threads", min=1, help="wrk's threads.")] = 4,
    duration: Annotated[str | None, typer.Option("-d", "--duration", help="Of each trial. [5s]")] = None,
    rounds: Annotated[int | None, typer.Option("-r", "--rounds", min=1, help="Launches of each target. [1]")] = None,
    workers: WorkersOption = 4,
    path: Annotated[str, typer.Option(help="The path to request.")] = "/",
    seed: Annotated[int | None, typer.Option(help="Of the random order; chosen and recorded if not given.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="1 round of 1 s at 100 connections.")] = False,
    gist: Annotated[bool, typer.Option("--gist", help="The gist's own: 1 round of 30 s.")] = False,
    access_log: AccessLogOption = True,
    loop: LoopOption = Loop.AUTO,
    http: HttpOption = Http.AUTO,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The servers' port. [a free one]")] = None,
    wrk: Annotated[
        str | None, typer.Option(envvar="MICROPIE_BENCH_WRK", metavar="PATH", help="The wrk to use.")
    ] = None,
    export_json: JsonOption = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print wrk's own reports too.")] = False,
) -> int:
    """Measure targets under the same load, and print the gist's tables."""
    if quick and gist:
        raise UsageError("--quick and --gist exclude each other")
    duration_s = parse_duration(duration or ("1s" if quick else "30s" if gist else "5s"))
    counts = connections or ("100" if quick else "100,200")
    plan = Plan(
        targets=parse_targets(targets or []),
        loads=parse_loads(counts, threads=threads, duration_s=duration_s, path=path),
        rounds=rounds or 1,
        seed=random.SystemRandom().randrange(2**32) if seed is None else seed,
        server=Server(port=port, workers=workers, access_log=access_log, loop=loop, http=http),
    )
    exporter = Exporter("--export-json", export_json) if export_json else None
    wrk_path = find_wrk(wrk)
    results = new_results(
        seed=plan.seed,
        settings=dataclasses.asdict(plan.server)
        | {"connections": [load.connections for load in plan.loads], "threads": threads, "duration_s": duration_s}
        | {"path": path, "rounds": plan.rounds, "warm_up_s": WARM_UP_S},
        environment=environment(wrk_path),
    )
    if port:
        free_port(plan.server.host, port)
    interrupted = False
    progress = ProgressReport(planned_s(plan))
    with tempfile.TemporaryDirectory(prefix="micropie_bench-") as name:
        try:
            results = run_experiment(plan, results, actions_for(plan, wrk_path, Path(name), progress, exporter))
        except KeyboardInterrupt as stop:
            interrupted = True
            results = stop.args[0] if stop.args else results
        finally:
            progress.close()
    console = stderr if exporter and exporter.to_stdout else stdout
    labels = {target.name: target.label for target in plan.targets}
    if verbose:
        show(verbose_reports(results, labels), console=console)
    show(gist_tables(results.measurements, labels, markdown=not console.is_terminal), console=console)
    show([*void_notes(results.measurements, labels), *conclude(plan, results)], console=console)
    if exporter:
        exporter.write(to_json(results))
    if interrupted:
        return 130
    return 0 if all(m.valid for m in results.measurements) else 1


def verbose_reports(results: Results, labels: Mapping[str, str]) -> list[str]:
    """Return wrk's own reports, target by target, under their names as the gist has them."""
    return [
        f"{label}\n\n" + "".join(m.report for m in results.measurements if m.target == name)
        for name, label in labels.items()
    ]


def actions_for(plan: Plan, wrk: str, work_dir: Path, progress: ProgressReport, exporter: Exporter | None) -> Actions:
    """Return the real actions: uvicorn, wrk, the export file and the progress report."""
    trial = functools.partial(run_wrk, wrk, work_dir=work_dir, tick=progress.tick)
    return Actions(
        start=lambda target: RunningServer(
            target, plan.server, log=work_dir / "server.log", cwd=work_dir, tick=progress.tick
        ),
        warm_up=lambda server, load: trial(dataclasses.replace(load, duration_s=60), server, cut_s=WARM_UP_S),
        trial=lambda server, load: trial(load, server),
        save=lambda results: exporter.write(to_json(results)) if exporter and not exporter.to_stdout else None,
        note=progress.note,
    )


@app.command()
def parse(
    file: Annotated[str, typer.Argument(help="A file with wrk's reports; '-' is standard input.")] = "-",
    export_json: JsonOption = None,
) -> int:
    """Print the gist's tables from wrk's own text; a line before a report names its framework."""
    exporter = Exporter("--export-json", export_json) if export_json else None
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read {file}: {error}") from None
    measurements = parse_reports(text)
    labels = {m.target: m.target for m in measurements}
    console = stderr if exporter and exporter.to_stdout else stdout
    show(gist_tables(measurements, labels, markdown=not console.is_terminal), console=console)
    show(void_notes(measurements, labels), console=console)
    if exporter:
        exporter.write(to_json(new_results(seed=None, settings={}, environment={}, measurements=tuple(measurements))))
    return 0 if all(m.valid for m in measurements) else 1


@app.command(name="targets")
def list_targets() -> int:
    """List what can be measured here, with versions."""
    table = Table(box=None if stdout.is_terminal else box.MARKDOWN)
    for column in ("Target", "What it is", "Versions"):
        table.add_column(column)
    for name, built_in in BUILT_INS.items():
        versions = package_versions([*built_in.packages])
        missing = [package for package in built_in.packages if package not in versions]
        told = ", ".join(f"{package} {version}" for package, version in versions.items())
        table.add_row(name, built_in.about, f"not installed: {', '.join(missing)}" if missing else told)
    table.add_row("module:attribute", "an ASGI app found from this directory", "")
    servers = ", ".join(f"{package} {version}" for package, version in package_versions(SERVER_PACKAGES).items())
    show([table, f"\nServed by {servers}; Python {platform.python_version()}."], console=stdout)
    return 0


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status; an error is one line on standard error."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return app(args=list(argv), prog_name="micropie_bench", standalone_mode=False) or 0
    except (BenchError, TyperException) as error:
        if "--debug" in argv:
            raise
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        stderr.print(f"micropie_bench: {' '.join(message.split())}")
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's last flush is quiet
        return 1


def entry_point() -> NoReturn:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry_point()
