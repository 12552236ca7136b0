#!/usr/bin/env python3
"""Compare MicroPie with FastAPI, or any two HTTP servers, under identical load.

Each section uses only those above it: 1 domain model, 2 wrk output, 3 schedule, 4 statistics, 5 rendering,
6 processes, 7 experiment, 8 command line. Sections 1 to 5 are pure; 6 alone starts processes, 8 alone prints.
"""

from __future__ import annotations

import bisect
import contextlib
import csv
import dataclasses
import datetime
import errno
import fcntl
import functools
import hashlib
import html
import inspect
import io
import ipaddress
import itertools
import json
import math
import os
import platform
import random
import re
import resource
import select
import shlex
import shutil
import signal
import socket
import ssl
import stat
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated, Any, NamedTuple, NoReturn

import psutil
import typer
from rich import box
from rich.console import Console
from rich.table import Table
from typer.exceptions import TyperException

__version__ = "0.1.0"

SCHEMA = "micropie-bench/1"
ROOT = Path(__file__).resolve().parent
BUNDLE = ROOT / "bundle.json"
BUNDLED = BUNDLE.exists()  # if this runs from micropie_bench.pyz, unpacked
APPS = ROOT / "apps" if BUNDLED else ROOT  # where apps.py lies, with no package beside it

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
    """How a trial is made: one target alone, or two at the same moment."""

    SOLO = "solo"
    DUET = "duet"


class Metric(StrEnum):
    """What a comparison compares."""

    REQUESTS = "requests_per_s"
    P99 = "latency_p99_s"
    CPU = "server_cpu_per_request_s"


class Verdict(StrEnum):
    """What an interval says of a target against the reference; undecided: one round, which shows no uncertainty."""

    FASTER = "faster"
    SLOWER = "slower"
    NO_DIFFERENCE = "no_difference"
    UNDECIDED = "undecided"
    INVALID = "invalid"


class AsgiServer(StrEnum):
    UVICORN = "uvicorn"
    GRANIAN = "granian"
    HYPERCORN = "hypercorn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is measured. `label` is what is shown, `name` what files and options say.

    It is an ASGI `app` (`module:attribute`, found from `app_dir`), a `command`, or the `url` of a running server. A
    built-in has `packages`, the distributions whose versions decide its speed, and, where these are not simply the
    interpreter's own, `requirements` (fetched on first use) or the `package_dir` that holds them.
    """

    name: str
    label: str
    spec: str
    app: str = ""
    app_dir: Path = Path()
    command: str = ""
    url: str = ""
    python: str = ""  # that runs it; this one if empty
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    package_dir: Path | None = None


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
    **{
        label.lower(): BuiltIn(label=label, packages=(label.lower(),), about=f"the same routes in {label}")
        for label in ("BlackSheep", "Falcon", "Litestar", "Quart", "Sanic")
    },
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
    asgi: AsgiServer = AsgiServer.UVICORN


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The request that is repeated."""

    name: str = "hello"
    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


UPLOAD = json.dumps([{"id": i, "name": f"item {i}", "tags": ["a", "b"]} for i in range(222)], separators=(",", ":"))
JSON_TYPE = (("Content-Type", "application/json"),)
WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(),
        Workload(name="greet", path="/index?name=Ann"),
        Workload(name="json", path="/json"),
        Workload(name="delayed", path="/delayed"),
        Workload(name="compute", path="/compute"),
        Workload(name="upload", method="POST", path="/upload", headers=JSON_TYPE, body=UPLOAD.encode()),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk is told to do; the duration is in whole seconds, as wrk takes no others."""

    connections: int
    threads: int
    duration_s: int
    workload: Workload = Workload()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole comparison, as asked for; the first target is the reference."""

    targets: tuple[Target, ...]
    loads: tuple[Load, ...]
    rounds: int
    seed: int
    server: Server
    duet: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One load on one target, or on two at once."""

    targets: tuple[Target, ...]
    load: Load

    @property
    def method(self) -> Method:
        return Method.SOLO if len(self.targets) == 1 else Method.DUET


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A fresh start of one target's server, or of two, and the trials made on them, in order; rounds count from 1."""

    round: int
    targets: tuple[Target, ...]
    trials: tuple[Trial, ...]


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
    """What one wrk run reports; the duration is the one that wrk measured itself.

    `latency` has wrk's correction for coordinated omission in it, `latency_uncorrected` is as measured.
    """

    duration_s: float
    requests: int
    bytes: int
    requests_per_s: float
    bytes_per_s: float
    latency: Latency
    errors: Errors
    latency_uncorrected: Latency | None = None
    load_cpu_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerUse:
    """What a server used in one trial: CPU time of its process tree; each process's peak resident memory, summed.

    `worker_balance` is the least CPU time of a worker over the most: 1 is a load shared evenly.
    """

    server_cpu_s: float
    server_rss_bytes: int
    worker_balance: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one trial yielded of one target; void, with no claim on the statistics, if it has an `invalid_reason`.

    `partner` is the other target of a duet. `notes` are oddities that do not void.
    """

    round: int
    method: Method
    target: str
    connections: int
    threads: int
    wrk: WrkResult | None
    use: ServerUse | None = None
    partner: str | None = None
    report: str = ""
    notes: tuple[str, ...] = ()
    invalid_reason: str | None = None
    workload: str = "hello"

    @property
    def valid(self) -> bool:
        return self.invalid_reason is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A target's metric over the reference's: geometric mean of the rounds' ratios, and its confidence interval."""

    connections: int
    method: Method
    metric: Metric
    reference: str
    target: str
    ratio: float | None
    ci_low: float | None
    ci_high: float | None
    confidence: float
    rounds: int
    verdict: Verdict
    reason: str | None = None
    workload: str = "hello"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What was found out about a target when it was launched."""

    name: str
    spec: str
    versions: Mapping[str, str]
    server_command: str
    responses: Mapping[str, Response]  # by workload
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """The latencies of a target under one load, of all valid solo trials together, as (percent, seconds), ascending."""

    target: str
    workload: str
    connections: int
    percentiles: tuple[tuple[float, float], ...]


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
    comparisons: tuple[Comparison, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    warnings: tuple[str, ...] = ()


# --- 2. wrk output ------------------------------------------------------------------------------------------------

EXACT_MARK = "micropie-bench-exact:"

# Defines `done` alone, so that wrk's request path stays as it is without a script. wrk's own way to the histogram,
# latency(i), searches from the minimum at each call: seconds for the 20,000 buckets of one run. So it is read where it
# lies (stats.h: count, limit, min, max, data[]) if what lies there agrees with what wrk says of it.
# A request other than a GET is set once, when the script is read, and is as static as wrk's own.
WRK_SCRIPT = (
    """
wrk.method = os.getenv("MICROPIE_BENCH_METHOD") or wrk.method
local body = os.getenv("MICROPIE_BENCH_BODY")
if body then wrk.body = assert(io.open(body, "rb")):read("*a") end

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
    local e, buckets, cpu_s = summary.errors, {}, os.clock()
    if not pcall(direct, latency, buckets) then
        buckets = {}
        by_index(latency, buckets)
    end
    io.write("\\nMARK{",
        '"duration_us":', number(summary.duration), ',"requests":', number(summary.requests),
        ',"bytes":', number(summary.bytes), ',"cpu_s":', number(cpu_s),
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
    match = re.fullmatch(r"(\d{1,6})([smh]?)", text.strip())
    if not match or int(match[1]) == 0:
        raise UsageError(f"duration {text!r}: wrk takes whole seconds, minutes or hours above 0, such as 5s or 1m")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def wrk_argv(wrk: str, load: Load, url: str, script: str, *, timeout_s: int = 2) -> list[str]:
    """Return wrk's command line for the load; `script` is the path of WRK_SCRIPT. wrk's own timeout is 2 s."""
    counts = [f"-t{load.threads}", f"-c{load.connections}", f"-d{load.duration_s}s"]
    timeout = [] if timeout_s == 2 else ["--timeout", f"{timeout_s}s"]
    headers = [word for name, value in load.workload.headers for word in ("-H", f"{name}: {value}")]
    return [wrk, *counts, "--latency", *timeout, *headers, "-s", script, url]


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


def uncorrect(histogram: Histogram, interval_us: int) -> Histogram:
    """Return the histogram without what wrk added for coordinated omission, exactly.

    wrk's stats_correct (stats.c) walks up from 2 x interval and gives each latency n the samples n - interval,
    n - 2 x interval, ... while above the interval; what it added lies below n, so walking down undoes it.
    """
    counts = dict(histogram)
    for value_us, _ in reversed(histogram):
        if interval_us and value_us >= 2 * interval_us and (count := counts[value_us]):
            for added_us in range(value_us - interval_us, interval_us, -interval_us):
                if added_us not in counts:
                    raise BenchError("wrk's histogram is not as wrk 4.1 and 4.2 correct it: use one of these")
                counts[added_us] -= count
    return tuple((value_us, count) for value_us, count in counts.items() if count)


def _latency(histogram: Histogram, *, mean_s: float, stdev_s: float, max_s: float) -> Latency:
    names = {"p50_s": 50, "p75_s": 75, "p90_s": 90, "p99_s": 99, "p99_9_s": 99.9}
    quantiles = {name: histogram_percentile(histogram, percent) for name, percent in names.items()}
    return Latency(mean_s=mean_s, stdev_s=stdev_s, max_s=max_s, histogram=histogram, **quantiles)


def _as_measured(corrected: Histogram, interval_us: int) -> Latency:
    """Return the latencies with wrk's correction undone."""
    histogram = uncorrect(corrected, interval_us)
    total = sum(count for _, count in histogram) or 1
    mean_s = sum(value_us / 1e6 * count for value_us, count in histogram) / total
    squares = sum(count * (value_us / 1e6 - mean_s) ** 2 for value_us, count in histogram)
    max_s = histogram[-1][0] / 1e6 if histogram else 0.0
    return _latency(histogram, mean_s=mean_s, stdev_s=math.sqrt(squares / max(1, total - 1)), max_s=max_s)


def parse_exact(output: str, *, connections: int, span_s: float | None = None) -> tuple[WrkResult, str]:
    """Return what WRK_SCRIPT reported, to the last digit, and the text report before it.

    `connections` is wrk's -c, on which its latency correction depends (wrk.c). `span_s` is the time under load, where
    that is not all of wrk's own. Raises BenchError if wrk printed no such line, as after a SIGTERM.
    """
    report, mark, line = output.partition(f"\n{EXACT_MARK}")
    if not mark:
        last = output.strip().splitlines()[-1:] or ["nothing"]
        raise BenchError(f"wrk gave no result; its last words: {last[0]}")
    try:
        data = json.loads(line)
    except ValueError:
        raise BenchError(f"wrk's script gave no JSON: {line[:100]!r}") from None
    duration_s, requests = span_s or data["duration_us"] / 1e6, int(data["requests"])
    histogram: Histogram = tuple((value, count) for value, count in data["histogram"])
    interval_us = int(data["duration_us"]) // (requests // connections) if requests >= connections else 0
    result = WrkResult(
        duration_s=duration_s,
        requests=requests,
        bytes=int(data["bytes"]),
        requests_per_s=requests / duration_s,
        bytes_per_s=data["bytes"] / duration_s,
        latency=_latency(histogram, **{f"{name}_s": data[f"{name}_us"] / 1e6 for name in ("mean", "stdev", "max")}),
        errors=Errors(**{kind: int(count) for kind, count in data["errors"].items()}),
        latency_uncorrected=_as_measured(histogram, interval_us),
        load_cpu_s=data["cpu_s"],
    )
    return result, report.rstrip() + "\n"


_NUMBER = r"\d+(?:\.\d+)?"
_TIME = rf"(-?{_NUMBER}(?:us|ms|s|m|h))"
_BYTES = rf"({_NUMBER}(?:[KMGT]?B)?)"
_COUNT = rf"({_NUMBER}[kMG]?)"
_SHARE = rf"(-?nan|{_NUMBER})%"
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
    "throughput": re.compile(rf"Requests/sec:\s+({_NUMBER})"),
    "transfer": re.compile(rf"Transfer/sec:\s+{_BYTES}"),
}
_REQUIRED = ("running", "load", "latency", "req_sec", "total", "throughput", "transfer")
_WRK_FAILURES = re.compile(r"unable to (resolve|connect to|create thread|record) |number of connections must be ")


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
    target: str, number: int, found: Mapping[str, re.Match[str]], percentiles: Mapping[str, Any]
) -> Measurement:
    """Return one report's figures, as printed, as those of that round of the target."""
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
        round=number,
        method=Method.SOLO,
        target=target,
        threads=int(found["load"][1]),
        connections=int(found["load"][2]),
        wrk=wrk,
        invalid_reason=void_reason(wrk, connections=int(found["load"][2])),
    )


SOCKET_ERRORS = {
    "connect": "the server refused or dropped connections: fewer connections, or a larger backlog or ulimit -n",
    "read": "the server closed or reset connections: it crashed or limits keep-alive",
    "write": "the server closed connections before it had read the request",
    "timeout": "answers took over 2 s, wrk's limit: fewer connections, or a faster server",
}


def void_reason(wrk: WrkResult, *, connections: int) -> str | None:
    """Return why these figures may not count as a measurement of the server; None if they may."""
    counts = dataclasses.asdict(wrk.errors)
    reasons = [f"socket errors: {kind} {counts[kind]} ({why})" for kind, why in SOCKET_ERRORS.items() if counts[kind]]
    if wrk.errors.status:
        reasons.append(f"{wrk.errors.status} of {wrk.requests} responses had a status above 399")
    if wrk.requests < max(1, connections):
        reasons.append(f"{wrk.requests} requests are fewer than the {connections} connections")
    return "; ".join(reasons) or None


def parse_reports(text: str) -> list[Measurement]:
    """Return the figures of every wrk report in the text, in order, named by the last heading before each.

    A heading is a line that is no part of a report; Markdown marks around it and code fences are ignored. Reports of
    one name and connection count are its rounds; those before any heading are each named by their URL and place.
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
        if (
            _WRK_FAILURES.match(line)
            or (found and not match)
            or (match and not found and kind != "running")
            or (kind in found and kind not in ("percentile", "running"))
        ):
            raise BenchError(f"not understood as a wrk report, line {number}: {line[:100]!r}")
        if found and kind == "running":
            raise BenchError(f"a wrk report ends before its Transfer/sec line, at line {number}: {line[:100]!r}")
        if not match:
            heading = "".join(filter(str.isprintable, line)).strip("#*_`: ").replace("|", "/")
            continue
        found[kind] = match
        if kind == "percentile":
            percentiles[f"p{match[1]}_s"] = _seconds(match[2])
        if kind == "transfer":
            missing = [name for name in _REQUIRED if name not in found]
            if missing:
                raise BenchError(f"the wrk report that ends in line {number} has no line for: {', '.join(missing)}")
            name = heading or f"{found['running'][2]} ({len(reports) + 1})"
            before = [m for m in reports if (m.target, m.connections) == (name, int(found["load"][2]))]
            reports.append(_measurement(name, len(before) + 1, found, percentiles))
            found, percentiles = {}, {}
    if found:
        raise BenchError(f"the last wrk report has no Transfer/sec line; it began: {found['running'][0]!r}")
    if not reports:
        raise BenchError(f"no wrk report found; {first or 'the text is empty'}")
    return reports


# --- 3. schedule --------------------------------------------------------------------------------------------------


def schedule(plan: Plan) -> list[Launch]:
    """Return the launches of all rounds, in random order within each round (seeded), so that drift hits all alike.

    Without duets each target is launched alone. With duets each is launched beside the reference: trials of each
    alone (of the reference in the round's first launch only) and of both at once, in random order. A single round
    keeps the order given, as the gist did.
    """
    order = random.Random(plan.seed)  # noqa: S311  # nothing secret
    reference, *others = plan.targets
    launches = []
    for number in range(1, plan.rounds + 1):
        groups = [(reference, other) for other in others] if plan.duet else [(target,) for target in plan.targets]
        if plan.rounds > 1:
            order.shuffle(groups)
        for group in groups:
            alone = [(target,) for target in group if group is groups[0] or target is not reference or not plan.duet]
            together = tuple(order.sample(group, len(group)) if plan.rounds > 1 else group)
            sets = [*alone, *([together] if plan.duet else [])]
            trials = [Trial(targets=targets, load=load) for targets in sets for load in plan.loads]
            if plan.rounds > 1:
                order.shuffle(trials)
            launches.append(Launch(round=number, targets=together, trials=tuple(trials)))
    return launches


# --- 4. statistics ------------------------------------------------------------------------------------------------


def pool(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all samples together: percentiles of several runs come from this, never from a mean."""
    counts: dict[int, int] = {}
    for histogram in histograms:
        for value_us, count in histogram:
            counts[value_us] = counts.get(value_us, 0) + count
    return tuple(sorted(counts.items()))


def student_t(confidence: float, degrees: int) -> float:
    """Return t such that Student's t with these degrees of freedom lies within -t to t with that probability.

    The probability is the finite series for whole degrees (Abramowitz and Stegun, 26.7.3 and 26.7.4, with
    theta = atan(t / sqrt(degrees))), solved for theta by bisection.
    """

    def within(theta: float) -> float:
        odd = degrees % 2
        term = total = math.cos(theta) if odd else 1.0
        for k in range(3 if odd else 2, degrees - 1, 2):
            term *= (k - 1) / k * math.cos(theta) ** 2
            total += term
        if odd:
            return 2 / math.pi * (theta + (math.sin(theta) * total if degrees > 1 else 0))
        return math.sin(theta) * total

    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle) < confidence else (low, middle)
    return math.sqrt(degrees) * math.tan(low)


def half_width(samples: Sequence[float], confidence: float) -> float:
    """Return half the width of Student's t interval of the mean, in the samples' unit; at least two samples."""
    error = statistics.stdev(samples) / math.sqrt(len(samples))
    return student_t(confidence, len(samples) - 1) * error


def mean_and_half(rates: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half its 95% interval, which is 0 for a single value."""
    return statistics.fmean(rates), half_width(rates, 0.95) if len(rates) > 1 else 0.0


def rounds_needed(stdev: float, wished: float) -> int | None:
    """Return the rounds for a 95% half-width no more than wished, both on the log scale; None above 1,000."""
    rounds = range(2, 1001)
    found = bisect.bisect_left(rounds, True, key=lambda n: student_t(0.95, n - 1) * stdev / math.sqrt(n) <= wished)
    return rounds[found] if found < len(rounds) else None


def compare_samples(references: Sequence[float], targets: Sequence[float], *, confidence: float) -> tuple[float, ...]:
    """Return the ratio of target to reference, then its interval's ends where there are two pairs or more.

    Pairs are by round; the sample is the log of a round's ratio; the interval is Student's t. The launch is the unit
    of replication: the requests of one run are not independent samples.
    """
    logs = [math.log(mine / theirs) for theirs, mine in zip(references, targets, strict=True)]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return (math.exp(mean),)
    half = half_width(logs, confidence)
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def cpu_per_request(m: Measurement) -> float | None:
    """Return the server's CPU time for one request, in seconds."""
    return m.use.server_cpu_s / m.wrk.requests if m.use and m.wrk and m.wrk.requests else None


METRICS: dict[Metric, Callable[[Measurement], float | None]] = {
    Metric.REQUESTS: lambda m: m.wrk.requests_per_s if m.wrk else None,
    Metric.P99: lambda m: m.wrk.latency.p99_s if m.wrk else None,
    Metric.CPU: cpu_per_request,
}
VERDICT_METRICS = ((Method.DUET, Metric.CPU), (Method.SOLO, Metric.REQUESTS))  # the first that there is
FAIR_SHARE = 0.05  # of the servers' CPU times in a duet: else the throughputs show who got more of the cores
SATURATED = "load generator saturated"


def compare_metric(
    measurements: Sequence[Measurement], *, metric: Metric, reference: str, target: str, confidence: float
) -> Comparison | None:
    """Return the comparison of two targets by the measurements of one method and load; None if none was made."""
    mine = {m.round: m for m in measurements if m.target == target and m.partner in (None, reference)}
    theirs = {m.round: m for m in measurements if m.target == reference and m.partner in (None, target)}
    pairs = [(theirs[n], mine[n]) for n in mine if n in theirs]
    if not pairs:
        return None
    good = [(a, b) for a, b in pairs if a.valid and b.valid]
    values = [(x, y) for x, y in ((METRICS[metric](a), METRICS[metric](b)) for a, b in good) if x and y]
    blank = Comparison(
        connections=pairs[0][0].connections,
        workload=pairs[0][0].workload,
        method=pairs[0][0].method,
        metric=metric,
        reference=reference,
        target=target,
        ratio=None,
        ci_low=None,
        ci_high=None,
        confidence=confidence,
        rounds=len(values),
        verdict=Verdict.INVALID,
    )
    saturated = [pair for pair in pairs if any(SATURATED in (m.invalid_reason or "") for m in pair)]
    if 2 * len(saturated) >= len(pairs):
        return dataclasses.replace(blank, reason=f"{SATURATED}: this would compare load generators, not servers")
    if not values:
        return dataclasses.replace(blank, reason="not known of both" if good else "no round is valid for both")
    if blank.method is Method.DUET and metric is Metric.REQUESTS:
        shares = [a.use.server_cpu_s / (b.use.server_cpu_s or 1) for a, b in good if a.use and b.use]
        if not all(1 - FAIR_SHARE < share < 1 + FAIR_SHARE for share in shares):
            return dataclasses.replace(blank, reason="the servers' shares of the cores were unequal")
    ratio, *ends = compare_samples([x for x, _ in values], [y for _, y in values], confidence=confidence)
    if not ends:
        reason = "one valid round shows no uncertainty"
        return dataclasses.replace(blank, ratio=ratio, verdict=Verdict.UNDECIDED, reason=reason)
    low, high = ends
    verdict = Verdict.NO_DIFFERENCE
    if not low <= 1 <= high:
        verdict = Verdict.FASTER if (low > 1) == (metric is Metric.REQUESTS) else Verdict.SLOWER
    return dataclasses.replace(blank, ratio=ratio, ci_low=low, ci_high=high, verdict=verdict)


def load_key(of: Measurement | Comparison) -> tuple[str, int]:
    """Return what tells loads apart: workload and connections."""
    return of.workload, of.connections


def load_keys(measurements: Sequence[Measurement]) -> list[tuple[str, int]]:
    """Return the loads' keys: named workloads in their order, then others; connections ascending."""
    order = [*WORKLOADS, *(m.workload for m in measurements)]
    return sorted({load_key(m) for m in measurements}, key=lambda key: (order.index(key[0]), key[1]))


def solo_rates(measurements: Sequence[Measurement], name: str, key: tuple[str, int]) -> list[float]:
    """Return the throughputs of a target's valid solo trials under one load, in requests/s."""
    made = (m for m in measurements if (m.target, m.method, load_key(m)) == (name, Method.SOLO, key))
    return [m.wrk.requests_per_s for m in made if m.valid and m.wrk]


def compare_all(measurements: Sequence[Measurement], names: Sequence[str]) -> tuple[Comparison, ...]:
    """Return all comparisons against the first name, by load, target, method and metric.

    With k targets beside the reference the intervals are widened to 1 - 0.05 / k, so that all of them hold together
    with 95% confidence (Bonferroni).
    """
    reference, *others = names
    found = (
        compare_metric(
            [m for m in measurements if load_key(m) == key and m.method is method],
            metric=metric,
            reference=reference,
            target=target,
            confidence=1 - 0.05 / len(others),
        )
        for key in load_keys(measurements)
        for target in others
        for method in Method
        for metric in Metric
        if (method, metric) != (Method.DUET, Metric.P99)  # pinned to half the cores: no figure for anyone's use
    )
    return tuple(comparison for comparison in found if comparison)


PERCENTS = (*map(float, range(0, 80, 10)), 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99, 100.0)


def distribute(measurements: Sequence[Measurement]) -> tuple[Distribution, ...]:
    """Return the distribution of each target under each load that has histograms."""
    groups: dict[tuple[str, str, int], list[Histogram]] = {}
    for m in measurements:
        if m.valid and m.wrk and m.wrk.latency.histogram and m.method is Method.SOLO:
            groups.setdefault((m.target, *load_key(m)), []).append(m.wrk.latency.histogram)
    found = []
    for (target, workload, connections), histograms in groups.items():
        pooled = pool(histograms)
        percentiles = tuple((percent, histogram_percentile(pooled, percent)) for percent in PERCENTS)
        found.append(Distribution(target=target, workload=workload, connections=connections, percentiles=percentiles))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """By how much a target is slower than what it is compared with: a ratio, 1 is no change, and its 95% interval."""

    load: Comparison
    slowdown: float
    low: float
    high: float


def slowdowns(comparisons: Sequence[Comparison], baseline: Sequence[Comparison] | None) -> list[Change]:
    """Return how much slower each target is than the reference, by the metric of the verdict; or than in a baseline.

    Then it is the ratio of the two ratios to the reference, in which what differs between the machines cancels. Its
    interval is Welch's: the two variances add, the degrees of freedom by Welch and Satterthwaite (B. L. Welch, "The
    generalization of Student's problem when several different population variances are involved", 1947).
    """

    def told(all_of_them: Sequence[Comparison]) -> dict[tuple[object, ...], tuple[Comparison, float, float, int]]:
        """Return log slowdown, its standard error and degrees of freedom, by what must be alike to be compared."""
        found: dict[tuple[object, ...], tuple[Comparison, float, float, int]] = {}
        for c in all_of_them:
            if (c.method, c.metric) in VERDICT_METRICS and c.ratio and c.ci_low and c.ci_high:
                log = math.log(c.ratio) * (1 if c.metric is Metric.CPU else -1)
                error = math.log(c.ci_high / c.ci_low) / 2 / student_t(c.confidence, c.rounds - 1)
                found[c.target, c.reference, *load_key(c), c.method, c.metric] = (c, log, error, c.rounds - 1)
        return found

    now, before = told(comparisons), told(baseline) if baseline is not None else None
    changes: dict[tuple[object, ...], Change] = {}
    for key, (c, log, error, degrees) in sorted(now.items(), key=lambda item: VERDICT_METRICS.index(item[0][-2:])):
        if before is not None:
            if key not in before:
                continue
            _, log_before, error_before, degrees_before = before[key]
            log -= log_before
            variances = error**2, error_before**2
            error = math.sqrt(sum(variances)) or 1e-9
            degrees = math.floor(error**4 / (variances[0] ** 2 / degrees + variances[1] ** 2 / degrees_before or 1e-36))
        half = student_t(c.confidence, max(1, min(degrees, 1000))) * error
        change = Change(load=c, slowdown=math.exp(log), low=math.exp(log - half), high=math.exp(log + half))
        changes.setdefault((c.target, *load_key(c)), change)  # the first is the one that the verdict goes by
    return list(changes.values())


def knee(measurements: Sequence[Measurement], name: str, workload: str) -> int | None:
    """Return the fewest connections with 95% of a target's most throughput; None for less than three counts."""
    rates = {key: solo_rates(measurements, name, key) for key in load_keys(measurements) if key[0] == workload}
    means = {connections: statistics.fmean(found) for (_, connections), found in rates.items() if found}
    return next(n for n in means if means[n] >= 0.95 * max(means.values())) if len(means) > 2 else None


def little_note(wrk: WrkResult, load: Load) -> str | None:
    """Return a note if throughput x mean latency as measured misses the open connections by 15% (Little's law)."""
    opened = load.connections // load.threads * load.threads
    busy = wrk.requests_per_s * wrk.latency_uncorrected.mean_s if wrk.latency_uncorrected else opened
    if abs(busy / opened - 1) <= 0.15:
        return None
    return f"by Little's law {busy:.0f} of {opened} connections were busy: some were lost, or wrk was kept waiting"


def saturation(
    *, load_cpu_s: float, load_cores: int, server_cpu_s: float, server_cores: int, shared: int
) -> str | None:
    """Return a reason if the load generator, not the server, was the limit. CPU times are per second of the trial.

    It was if it used 90% of the cores that it may use and the server did not; or, where they share so many cores
    and leave none idle, if it used more than the server.
    """
    wrk_full, server_full = load_cpu_s >= 0.9 * load_cores, server_cpu_s >= 0.9 * server_cores
    if (wrk_full and not server_full) or (
        shared and load_cpu_s + server_cpu_s >= 0.9 * shared and load_cpu_s > server_cpu_s
    ):
        return (
            f"{SATURATED}: wrk used {load_cpu_s:.2f} of {load_cores} cores, the server {server_cpu_s:.2f} of "
            f"{server_cores}; more --threads or cores, or a slower target, shows the server"
        )
    return None


# --- 5. rendering -------------------------------------------------------------------------------------------------

WIDE = 10_000
COLUMNS = ("Framework", "Avg Latency", "Max Latency", "Requests/Sec", "Data Transferred (MB)", "Transfer Rate (KB/s)")
DETAIL_COLUMNS = ("Framework", "p50", "p90", "p99", "p99.9", "CPU/Request (us)", "Peak Memory (MiB)", "Errors")
COMPARISON_COLUMNS = ("Framework", "Metric", "Rounds", "Ratio", "Interval", "Verdict")
SHORT_METRICS = {Metric.REQUESTS: "requests/s", Metric.P99: "p99", Metric.CPU: "CPU/request"}
METRIC_NAMES = {Metric.REQUESTS: "requests per second", Metric.P99: "p99 latency", Metric.CPU: "server CPU per request"}


def format_latency(seconds: float) -> str:
    """Return the time as wrk prints it: two decimals, each unit from 0.85 of it on, seconds from 1 s (units.c)."""
    if seconds >= 1:
        return f"{seconds:.2f}s" if seconds < 0.85 * 60 else f"{seconds / 60:.2f}m"
    return f"{seconds * 1e3:.2f}ms" if seconds >= 0.85e-3 else f"{seconds * 1e6:.2f}us"


def describe_load(workload: str, connections: int) -> str:
    """Return the load in words; the gist's own request goes without saying."""
    plural = "" if connections == 1 else "s"
    return f"{connections} connection{plural}" + ("" if workload == "hello" else f", {workload}")


def load_title(key: tuple[str, int]) -> str:
    """Return a load's heading, as the gist has it."""
    return describe_load(*key).replace(" connection", " Connection", 1)


def measurement_notes(measurements: Sequence[Measurement], labels: Mapping[str, str]) -> list[str]:
    """Return a line for each void measurement, with its reason; then one for each oddity, at its worst, by rounds."""
    lines = [
        f"{labels.get(m.target, m.target)}, {describe_load(*load_key(m))}, round {m.round} ({m.method}): "
        f"void, {m.invalid_reason}"
        for m in measurements
        if not m.valid
    ]
    alike: dict[str, list[tuple[int, str, str]]] = {}
    for m in measurements:
        for note in m.notes:
            alike.setdefault(re.sub(r"\d+", "#", note), []).append((m.round, labels.get(m.target, m.target), note))
    for found in alike.values():
        rounds = ", ".join(map(str, sorted({number for number, _, _ in found})))
        worst = max((note for _, _, note in found), key=lambda note: (len(note), note))
        lines.append(f"Round {rounds} ({', '.join(sorted({label for _, label, _ in found}))}): {worst}")
    return lines


def gist_row(measurements: Sequence[Measurement]) -> list[str]:
    """Return the gist's columns after the name, over the valid ones of a target's measurements under one load.

    The mean latency is over all requests, the maximum the largest, data the sum; throughput and transfer rate are
    means over rounds, throughput with half its 95% interval.
    """
    runs = [m.wrk for m in measurements if m.valid and m.wrk]
    if not runs:
        return ["void"] * (len(COLUMNS) - 1)
    rates = [run.requests_per_s for run in runs]
    spread = f" ± {half_width(rates, 0.95):.2f}" if len(rates) > 1 else ""
    requests = sum(run.requests for run in runs)
    return [
        format_latency(sum(run.latency.mean_s * run.requests for run in runs) / requests),
        format_latency(max(run.latency.max_s for run in runs)),
        f"{statistics.fmean(rates):.2f}{spread}",
        f"{sum(run.bytes for run in runs) / 1024**2:.2f}",
        f"{statistics.fmean(run.bytes_per_s for run in runs) / 1024:.2f}",
    ]


def detail_row(measurements: Sequence[Measurement], distribution: Distribution | None) -> list[str]:
    """Return DETAIL_COLUMNS after the name: percentiles of all valid rounds' samples together, their mean CPU time and
    highest memory, and the errors of all rounds, void ones too.
    """
    valid = [m for m in measurements if m.valid and m.wrk]
    at = dict(distribution.percentiles) if distribution else {}
    cpu = [seconds for m in valid if (seconds := cpu_per_request(m))]
    memory = [m.use.server_rss_bytes for m in valid if m.use]
    errors = sum(sum(dataclasses.asdict(m.wrk.errors).values()) for m in measurements if m.wrk)
    return [
        *(format_latency(at[percent]) if at else "" for percent in (50, 90, 99, 99.9)),
        f"{statistics.fmean(cpu) * 1e6:.1f}" if cpu else "",
        f"{max(memory) / 1024**2:.1f}" if memory else "",
        str(errors),
    ]


def _table(title: str, columns: Sequence[str], *, markdown: bool) -> Table:
    style = box.MARKDOWN if markdown else box.SIMPLE_HEAD
    table = Table(title=title, title_justify="left", title_style="bold", box=style)
    for column in columns:
        table.add_column(column, justify="left" if column in ("Framework", "Metric", "Verdict") else "right")
    return table


def distribution_of(results: Results, name: str, key: tuple[str, int]) -> Distribution | None:
    """Return a target's latencies under a load, if they are known."""
    found = (d for d in results.distributions if (d.target, d.workload, d.connections) == (name, *key))
    return next(found, None)


def load_tables(results: Results, labels: Mapping[str, str], key: tuple[str, int], *, markdown: bool) -> list[Table]:
    """Return one load's tables: the gist's, the details, and the comparisons, where there is data for them.

    Rows are in the order of `labels` (name to what is shown).
    """
    title = load_title(key)
    gist = _table(title, COLUMNS, markdown=markdown)
    details = _table(f"{title}, details", DETAIL_COLUMNS, markdown=markdown)
    for name, label in labels.items():
        made = [m for m in results.measurements if m.target == name and load_key(m) == key]
        solo = [m for m in made if m.method is Method.SOLO]  # absolute figures come from these alone
        if made:
            gist.add_row(label, *gist_row(solo))
        if any(m.valid and m.use for m in solo):
            details.add_row(label, *detail_row(solo, distribution_of(results, name, key)))
    tables = [gist, details] if details.row_count else [gist]
    compared = [c for c in results.comparisons if load_key(c) == key]
    for reference in dict.fromkeys(c.reference for c in compared if c.rounds > 1):
        versus = _table(f"{title}, against {labels[reference]}", COMPARISON_COLUMNS, markdown=markdown)
        for c in compared:
            if c.reference == reference:
                versus.add_row(labels[c.target], METRIC_NAMES[c.metric], *comparison_cells(c))
        tables.append(versus)
    return tables


def result_tables(results: Results, labels: Mapping[str, str], *, markdown: bool) -> list[Table]:
    """Return the tables of all loads."""
    keys = load_keys(results.measurements)
    return [table for key in keys for table in load_tables(results, labels, key, markdown=markdown)]


def bars(results: Results, labels: Mapping[str, str], *, width: int) -> list[str]:
    """Return lines that draw each target's throughput and its interval, load by load, no wider than that."""
    lines: list[str] = []
    for key in load_keys(results.measurements):
        found = {}
        for name, label in labels.items():
            rates = solo_rates(results.measurements, name, key)
            if rates:
                mean, half = mean_and_half(rates)
                found[label] = (max(0.0, mean - half), mean + half)
        if len(found) > 1:
            room = max(map(len, found))
            cell = max(high for _, high in found.values()) / (width - room - 1)
            lines += ["", f"{load_title(key)}, Requests/Sec"]
            for label, (low, high) in found.items():
                solid = round(low / cell)
                lines.append(f"{label:<{room}} " + "█" * solid + "▒" * (round(high / cell) - solid))
    return [*lines, "", "▒ is the 95% interval of the mean."] if lines else []


def comparison_cells(c: Comparison) -> list[str]:
    """Return method and rounds, ratio, interval and verdict."""
    interval = f"{c.ci_low:.3f} to {c.ci_high:.3f}" if c.ci_low and c.ci_high else ""
    ratio = f"{c.ratio:.3f}x" if c.ratio else ""
    verdict = c.verdict.replace("_", " ") + (f": {c.reason}" if c.reason else "")
    return [f"{c.rounds} {c.method}", ratio, interval, verdict]


def headline(comparisons: Sequence[Comparison], labels: Mapping[str, str]) -> str | None:
    """Return the verdict on one target under one load: by the duets' server CPU per request if there are any.

    The inverse of CPU per request is the capacity of a server that CPU limits, so that 1.1x is faster either way.
    """
    c = next((c for key in VERDICT_METRICS for c in comparisons if (c.method, c.metric) == key and c.ratio), None)
    if c is None or c.ratio is None:
        return None
    ratio, low, high = c.ratio, c.ci_low, c.ci_high
    if c.metric is Metric.CPU:
        ratio = 1 / ratio
        low, high = (1 / high, 1 / low) if low and high else (None, None)
    target, reference, at = labels[c.target], labels[c.reference], f"at {describe_load(*load_key(c))}"
    by = METRIC_NAMES[c.metric]
    if not low or not high:
        return f"{target} is {ratio:.3f}x {reference} {at} by {by}; {c.reason}, and launches differ by 5 to 20%."
    told = f"{100 * c.confidence:.4g}% CI {low:.3f} to {high:.3f}, {c.rounds} {c.method} rounds"
    if c.verdict is Verdict.NO_DIFFERENCE:
        within = max(high - 1, 1 - low)
        return f"{target} and {reference} {at}: no difference found in {by}, within {within:.1%} either way ({told})."
    return f"{target} is {ratio:.3f}x {reference} {at} by {by} ({told})."


def describe_response(response: Response) -> str:
    """Return the answer in words: bytes on the wire, content type, chunked or not."""
    content_type = response.header("content-type").partition(";")[0] or "no content type"
    chunked = ", chunked" if response.header("transfer-encoding") == "chunked" else ""
    return f"{response.size} bytes of {content_type}{chunked}"


def calibration(results: Results, _labels: Mapping[str, str]) -> list[str]:
    """Return what a target against itself says of the machine, for each comparison with an interval."""
    sentences = []
    for c in results.comparisons:
        if not (c.ci_low and c.ci_high) or c.ci_low == c.ci_high:
            continue
        half = math.log(c.ci_high / c.ci_low) / 2
        stdev = half * math.sqrt(c.rounds) / student_t(c.confidence, c.rounds - 1)
        what = f"{METRIC_NAMES[c.metric]} ({c.method}, {describe_load(*load_key(c))})"
        wished = next(step for step in (0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, half / 2) if step < half)
        rounds = rounds_needed(stdev, math.log1p(wished))
        more = f"; for {wished:.1%} use -r {rounds}" if rounds else ""
        sentences.append(f"{what}: differences under {math.expm1(half):.1%} cannot be told from noise{more}.")
        if c.verdict in (Verdict.FASTER, Verdict.SLOWER):
            sentences.append(f"{what}: it differs from itself beyond the interval, as 1 in 20 should by chance.")
    return sentences


def conclude(results: Results, labels: Mapping[str, str]) -> list[str]:
    """Return the conclusion as sentences: a verdict for each load and target, then how the responses differ."""
    groups: dict[tuple[object, ...], list[Comparison]] = {}
    for c in results.comparisons:
        groups.setdefault((*load_key(c), c.target), []).append(c)
    sentences = []
    for group in groups.values():
        why = next((c.reason for c in group if c.reason), "no valid rounds")
        none = f"{labels[group[0].target]} at {describe_load(*load_key(group[0]))}: no verdict, {why}."
        sentences.append(headline(group, labels) or none)
    for workload in dict.fromkeys(workload for workload, _ in load_keys(results.measurements)):
        for name, label in labels.items():
            if found := knee(results.measurements, name, workload):
                on, many = "" if workload == "hello" else f" on {workload}", describe_load("hello", found)
                sentences.append(f"{label}{on}: throughput grows up to {many} (95% of its most); beyond, latency does.")
    answers: dict[str, dict[str, Response]] = {}
    for facts in results.targets:
        for workload, response in facts.responses.items():
            answers.setdefault(workload, {})[labels[facts.name]] = response
    for workload, given in answers.items():
        told = {label: describe_response(response) for label, response in given.items()}
        bodies = {response.body_sha256 for response in given.values()}
        to = "" if workload == "hello" else f" to {workload}"
        if len(set(told.values())) > 1:
            sentences.append(f"The responses{to} differ: {', '.join(f'{x} answers {y}' for x, y in told.items())}.")
        elif len(bodies) > 1:
            sentences.append(f"The responses{to} are of one kind and size, but their bodies differ.")
    asgi = results.settings.get("asgi", AsgiServer.UVICORN)
    for package in SERVER_PACKAGES if asgi == AsgiServer.UVICORN else (asgi, "uvloop"):
        versions = {labels[x.name]: x.versions.get(package, "none") for x in results.targets if x.versions}
        if len(set(versions.values())) > 1:
            told_of = ", ".join(f"{label} {version}" for label, version in versions.items())
            sentences.append(f"They are served by different versions of {package}: {told_of}.")
    if answers:
        everything = [(label, response) for given in answers.values() for label, response in given.items()]
        closing = dict.fromkeys(label for label, answer in everything if answer.header("connection").lower() == "close")
        but = f", but not by {', '.join(closing)}" if closing else ""
        sentences.append(f"Connections were kept alive between requests{but}.")
    return sentences


# "MicroPie vs FastAPI Benchmarks (with wrk)", a public gist of 2025-01-29, as published: on a StarLabs StarLite MkIV,
# `uvicorn app:app --workers 4` with the releases of that week. COLUMNS by target and connections.
PUBLISHED = {
    ("FastAPI", 100): ("49.15ms", "102.39ms", "2031.28", "8.39", "285.95"),
    ("MicroPie", 100): ("44.58ms", "101.74ms", "2239.68", "17.02", "580.29"),
    ("FastAPI", 200): ("91.97ms", "365.85ms", "2195.34", "9.06", "309.07"),
    ("MicroPie", 200): ("81.46ms", "142.96ms", "2450.02", "18.61", "634.76"),
}
PUBLISHED_BYTES = {"FastAPI": 144, "MicroPie": 265}  # of a response: Data Transferred over requests
PUBLISHED_STACK = {"FastAPI": "fastapi@0.115.7", "MicroPie": "micropie@0.9"}
PUBLISHED_PINS = ("uvicorn==0.34.0",)


def reproduction(results: Results, labels: Mapping[str, str], *, markdown: bool) -> list[Table | str]:
    """Return the published figures beside those of the results, load by load, and what the comparison says."""
    shown: list[Table | str] = []
    sentences = []
    reference, target = PUBLISHED_STACK
    for connections in sorted({count for _, count in PUBLISHED}):
        table = _table(f"{connections} Connections, published and measured here", COLUMNS, markdown=markdown)
        for name in PUBLISHED_STACK:
            made = [
                m for m in results.measurements if (m.target, m.method, m.connections) == (name, "solo", connections)
            ]
            table.add_row(f"{labels[name]}, published", *PUBLISHED[name, connections])
            table.add_row(f"{labels[name]}, measured", *gist_row(made))
        shown.append(table)
        ratio = float(PUBLISHED[target, connections][2]) / float(PUBLISHED[reference, connections][2])
        told = f"{target} over {reference} by requests per second at {connections} connections: published {ratio:.3f}"
        for c in results.comparisons:
            if (c.method, c.metric, c.connections) != (Method.SOLO, Metric.REQUESTS, connections):
                continue
            if c.ratio and c.ci_low and c.ci_high:
                where = "inside" if c.ci_low <= ratio <= c.ci_high else "outside"
                here = f"here {c.ratio:.3f} (95% CI {c.ci_low:.3f} to {c.ci_high:.3f}, {c.rounds} rounds)"
                sentences.append(f"{told}, {here}: the published ratio lies {where} the interval.")
            else:
                here = f"here {c.ratio:.3f}" if c.ratio else "here none"
                sentences.append(f"{told}, {here}; no interval: {c.reason}.")
    for facts in results.targets:
        for response in facts.responses.values():
            published = PUBLISHED_BYTES[facts.name]
            same = "as published: the same stack" if response.size == published else f"not {published}: another stack"
            sentences.append(f"{labels[facts.name]} answers {response.size} bytes, {same}.")
    return [*shown, *conclude(results, labels), *sentences]


def measurement_rows(results: Results) -> list[dict[str, Any]]:
    """Return the measurements as the results file has them, histograms left out."""

    def plain(latency: Latency | None) -> dict[str, Any] | None:
        return {f.name: getattr(latency, f.name) for f in dataclasses.fields(Latency)[:-1]} if latency else None

    rows = []
    for order, m in enumerate(results.measurements, start=1):
        own = {f.name: getattr(m, f.name) for f in dataclasses.fields(m) if f.name not in ("wrk", "use")}
        wrk = {f.name: getattr(m.wrk, f.name, None) for f in dataclasses.fields(WrkResult)}
        wrk |= {name: plain(wrk[name]) for name in ("latency", "latency_uncorrected")}
        wrk["errors"] = dataclasses.asdict(m.wrk.errors) if m.wrk else None
        use = {f.name: getattr(m.use, f.name, None) for f in dataclasses.fields(ServerUse)}
        rows.append({**own, **wrk, **use, "order": order, "valid": m.valid})
    return rows


def labels_of(results: Results) -> dict[str, str]:
    """Return what to show for each target, by name."""
    told = {facts.name: facts.label or facts.name for facts in results.targets}
    return told | {m.target: m.target for m in results.measurements if m.target not in told}


def to_json(results: Results) -> str:
    """Return the results file's text: schema micropie-bench/1, SI units."""
    bare = dataclasses.asdict(dataclasses.replace(results, measurements=()))
    data: dict[str, Any] = {"schema": SCHEMA, "version": __version__, **bare}
    for facts in data["targets"]:
        for response in facts["responses"].values():
            response["bytes"] = response.pop("size")
        facts["response"] = next(iter(facts["responses"].values()), None)
    data["measurements"] = measurement_rows(results)
    return json.dumps(data, indent=2) + "\n"


def from_json(text: str) -> Results:
    """Return the results that such a text holds, without histograms. Raises BenchError if it is none."""
    from pydantic import TypeAdapter, ValidationError

    def refuse(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number")

    try:
        data = json.loads(text, parse_constant=refuse)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            schema = data.get("schema") if isinstance(data, dict) else None
            raise BenchError(f"no results of this tool: its schema is {schema!r}, not {SCHEMA!r}")
        for facts in data["targets"]:
            for response in facts["responses"].values():
                response["size"] = response["bytes"]
        for m in data["measurements"]:
            m["wrk"] = {f.name: m.get(f.name) for f in dataclasses.fields(WrkResult)} if m["errors"] else None
            m["use"] = {f.name: m.get(f.name) for f in dataclasses.fields(ServerUse)}
            m["use"] = m["use"] if m["use"]["server_cpu_s"] is not None else None
        results = TypeAdapter(Results).validate_python(data)
        if odd := [x for x in labels_of(results).values() if not x.isprintable()]:
            raise BenchError(f"no results of this tool: {odd[0]!r} is no target's name")
        return results
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BenchError(f"no results of this tool: {where}: {first['msg']}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BenchError(f"no results of this tool, or not all of them: {type(error).__name__} {error}") from None


def to_csv(results: Results) -> str:
    """Return a row for each measurement, with the names of the results file, inner ones joined by an underscore."""
    rows = []
    for m in measurement_rows(results):
        row: dict[str, Any] = {}
        for name, value in m.items():
            inner = value if isinstance(value, dict) else None
            if inner is None and name in ("latency", "latency_uncorrected", "errors"):
                inner = {}
            row |= {f"{name}_{key}": each for key, each in inner.items()} if inner is not None else {name: value}
        row.pop("report")
        rows.append(row | {"notes": "; ".join(m["notes"])})
    text = io.StringIO()
    columns = list(dict.fromkeys(name for row in sorted(rows, key=len, reverse=True) for name in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def table_lines(table: Table, *, width: int, terminal: bool) -> tuple[str, list[str]]:
    """Return the table's title, empty if it has none, and its lines, without padding at their ends."""
    text = io.StringIO()
    Console(file=text, width=width, force_terminal=terminal, markup=False, emoji=False).print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    title = lines.pop(0) if table.title else ""
    return title, list(filter(None, lines))


def as_text(renderables: Sequence[Table | str]) -> str:
    """Return tables as Markdown, without padding at line ends, and lines, of which a paragraph is made."""
    parts = []
    for renderable in renderables:
        if isinstance(renderable, str):
            parts.append(renderable + "\n")
            continue
        title, lines = table_lines(renderable, width=WIDE, terminal=False)
        parts.append("\n".join([*([f"### {title}", ""] if title else []), *lines, ""]))
    return "\n".join(parts)


def about_table(results: Results, *, quote: str = "") -> Table:
    """Return how the results came about: when, by which command, under which settings, where."""
    known = dict(results.environment)
    packages = known.pop("packages", {})
    facts = {"made": results.created, "command": f"{quote}{results.command}{quote}", "seed": results.seed}
    facts |= {name: value for name, value in results.settings.items() if name != "workloads"} | known | packages
    about = _table("Settings and environment", ("What", "Value"), markdown=True)
    for column in about.columns:
        column.justify = "left"
    for name, value in facts.items():
        about.add_row(name.replace("_", " "), str(value))
    return about


def to_markdown(results: Results, labels: Mapping[str, str], closing: Sequence[Table | str]) -> str:
    """Return all that was found, to be pasted: conclusion, tables, caveats, settings, environment, wrk's reports."""
    commands = [
        f"- {labels[facts.name]}: `{facts.server_command}`" for facts in results.targets if facts.server_command
    ]
    caveats = [f"- {line}" for line in [*measurement_notes(results.measurements, labels), *results.warnings]]
    reports = verbose_reports(results, labels)
    sections: list[Table | str] = [
        f"# {' and '.join(labels.values())}, measured by micropie_bench {__version__}",
        *(f"> {line}" for line in closing if isinstance(line, str)),
        *result_tables(results, labels, markdown=True),
        *(table for table in closing if isinstance(table, Table)),
        *(["### Caveats", "\n".join(caveats)] if caveats else []),
        about_table(results, quote="`"),
        *(["### Server commands", "\n".join(commands)] if commands else []),
        *(["### wrk's own reports"] if any(m.report for m in results.measurements) else []),
        *(f"```\n{report.rstrip()}\n```" for report in reports if report.strip().count("\n")),
    ]
    return as_text(sections)


HTML_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --bg: #fff; --fg: #1a1a1a; --soft: #595959; --line: #d0d0d0; --card: #f6f6f6;
  --c0: #0063a6; --c1: #c04a00; --c2: #007a59; --c3: #a3338c; --c4: #7d6000; --c5: #4b4bc8; --c: var(--soft); }
@media (prefers-color-scheme: dark) { :root { --bg: #151515; --fg: #ececec; --soft: #b0b0b0; --line: #444;
  --card: #202020; --c0: #62b8f0; --c1: #f79646; --c2: #3ecf9f; --c3: #e58fd0; --c4: #e6cf4c; --c5: #a9a9ff; } }
body { margin: 0 auto; padding: 1rem; max-width: 76rem; background: var(--bg); color: var(--fg);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2 { line-height: 1.2; }
pre, .scroll { overflow-x: auto; }
pre { padding: .75rem; background: var(--card); }
.charts { display: grid; align-items: start; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; padding: .75rem; background: var(--card); border-radius: .5rem; }
figcaption { color: var(--soft); font-size: .875rem; }
figcaption strong { display: block; color: var(--fg); font-size: 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: .9375rem; }
caption { text-align: left; font-weight: bold; padding: .25rem 0; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: left; font-weight: normal; }
.sortable th, .sortable td, .facts th { white-space: nowrap; }
.sortable .number { text-align: right; }
th button { all: unset; cursor: pointer; font-weight: bold; }
th button:focus-visible, .scroll:focus-visible { outline: 2px solid var(--c0); }
[aria-sort=ascending] button::after { content: " \\25B2"; }
[aria-sort=descending] button::after { content: " \\25BC"; }
svg { display: block; width: 100%; height: auto; }
svg .background, svg .tooltip-box { fill: none; }
svg text { fill: var(--fg); font-size: 13px; }
svg .axis.x text { text-anchor: middle; }
svg .axis.y text { text-anchor: end; }
svg .axis path { fill: none; stroke: var(--line); stroke-width: .7; }
svg .line { fill: none; stroke-width: 2; }
svg .dot { stroke-width: 2; }
svg .turn-1 .line { stroke-width: 4; opacity: .6; }
svg .turn-1 .dot { stroke-width: 5; }
svg .reactive { stroke: var(--c); }
svg .dot { fill: var(--c); }
svg .mark-1 .dot, svg .mark-3 .dot, svg .mark-5 .dot { fill: var(--card); }
svg .mark-1 .line { stroke-dasharray: 7 4; }
svg .mark-2 .line, svg .mark-3 .line { stroke-dasharray: 2 3; }
svg .mark-4 .line, svg .mark-5 .line { stroke-dasharray: 9 3 2 3; }
svg .reference .line { stroke: var(--fg); stroke-width: 1; }
.mark-0 { --c: var(--c0); } .mark-1 { --c: var(--c1); } .mark-2 { --c: var(--c2); }
.mark-3 { --c: var(--c3); } .mark-4 { --c: var(--c4); } .mark-5 { --c: var(--c5); }
.keys { display: flex; flex-wrap: wrap; gap: 0 1rem; margin: 0; padding: 0; list-style: none; }
.keys svg { display: inline-block; width: 2rem; height: .75rem; }
</style>
"""
HTML_TAIL = """<script>
const units = { us: 1e-6, ms: 1e-3, s: 1, m: 60, x: 1 };
function value(row, column) {
  const text = row.cells[column].textContent;
  const found = text.match(/^(-?[0-9.]+)(us|ms|s|m|x)?( |$)/);
  return found ? parseFloat(found[1]) * (units[found[2]] || 1) : text;
}
function compare(a, b, up) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return (a < b ? -1 : a > b ? 1 : 0) * (up ? 1 : -1);
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = table.tHead.querySelectorAll("th");
  heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].sort((a, b) => compare(value(a, column), value(b, column), up));
    table.tBodies[0].append(...rows);
  }));
}
</script>
</body>
</html>
"""


MOST = math.log(4)  # the charts' axis of ratios ends there, either way


class Point(NamedTuple):
    """A point of a chart, what is told of it, and the radius of its dot."""

    x: float
    y: float
    told: str
    radius: float = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points of a chart that belong together; `mark` gives them the look of the target of that number, if of any."""

    name: str
    mark: int | None
    points: Sequence[Point]


def html_chart(title: str, about: str, series: Sequence[Series], *, joined: bool = True, **options: Any) -> str:
    """Return a figure of HTML: the series as lines or dots, with these options of a pygal chart.

    pygal lays it out. Its style sheets and scripts stay out: the page has one style sheet for light and dark, and each
    point tells of itself when pointed at. A screen reader is told of all points.
    """
    import pygal
    from pygal.style import Style

    width = max(480, 300 + 8 * max(len(tick["label"]) for tick in options.get("y_labels", [{"label": ""}])))
    bare = {"js": (), "css": (), "no_prefix": True, "disable_xml_declaration": True, "show_legend": False}
    size = {"width": width, "height": 280, "margin": 8, "margin_right": 24, "max_scale": 8, "truncate_label": -1}
    chart = pygal.XY(stroke=joined, style=Style(label_font_size=13), **{**bare, **size, **options})
    for each in series:
        points = [{"value": p[:2], "formatter": lambda _, t=p.told: t, "node": {"r": p.radius}} for p in each.points]
        chart.add(each.name, points)
    svg = chart.render(is_unicode=True)
    svg = re.sub(r'<(style|script)\b.*?</\1>|<!--.*?-->|<title>.*?</title>| id=""', "", svg, flags=re.DOTALL)
    svg = re.sub(r'<desc class="[xy] .*?</desc>', "", svg)
    svg = re.sub(r'<desc class="value">(.*?)</desc>', r"<title>\1</title>", svg, flags=re.DOTALL)
    looks = ["reference" if x.mark is None else f"mark-{x.mark % 6} turn-{x.mark // 6}" for x in series]
    svg = re.sub(r"serie-(\d+) color-\d+", lambda match: looks[int(match[1])], svg)
    words = [title] + [f"{x.name}: {', '.join(p.told for p in x.points if p.told)}" for x in series if x.name]
    mark = '<path class="line reactive" d="M0 6H32"/><circle class="dot reactive" cx="16" cy="6" r="4"/>'
    keys = [
        f'<li><svg viewBox="0 0 32 12" aria-hidden="true"><g class="{look}">{mark}</g></svg> {html.escape(x.name)}</li>'
        for look, x in zip(looks, series, strict=True)
        if "y_labels" not in options
    ]
    head = f"<figure><figcaption><strong>{html.escape(title)}</strong> {html.escape(about)}</figcaption>"
    drawn = (
        f'<div role="img" aria-label="{html.escape(". ".join(words))}" style="min-width: {0.62 * width:.0f}px">{svg}'
    )
    drawn = f'<div class="scroll" tabindex="0" role="region" aria-label="{html.escape(title)}">{drawn}</div></div>'
    return "\n".join([head, drawn, f'<ul class="keys">{"".join(keys)}</ul></figure>' if keys else "</figure>"])


def html_intervals(title: str, about: str, rows: Sequence[Series], *, at: float | None = None, **options: Any) -> str:
    """Return a figure with a row for each of the series: a value between the ends of its interval; a line at `at`."""
    top = len(rows) - 1
    placed = [dataclasses.replace(x, points=[p._replace(y=top - i) for p in x.points]) for i, x in enumerate(rows)]
    if at is not None:
        ends = [Point(at, y, "", radius=0) for y in (-0.5, top + 0.5)]
        placed.append(Series(name="", mark=None, points=ends))
    ticks = [{"label": row.name, "value": top - i} for i, row in enumerate(rows)]
    fixed: dict[str, Any] = {"y_labels": ticks, "range": (-0.5, top + 0.5), "height": 60 + 34 * len(rows)}
    return html_chart(title, about, placed, **fixed, **options)


def interval_points(low: float, value: float, high: float, told: str, *, within: tuple[float, float]) -> list[Point]:
    """Return the points of a row of html_intervals; an end that lies beyond the axis is cut off, and has no dot."""
    cut = [max(within[0], min(within[1], x)) for x in (low, value, high)]
    return [
        Point(cut[0], 0, "", radius=2 if cut[0] == low else 0),
        Point(cut[1], 0, told),
        Point(cut[2], 0, "", radius=2 if cut[2] == high else 0),
    ]


def ratio_ticks(reach: float) -> list[dict[str, Any]]:
    """Return labels for an axis of ratios that shows logarithms up to `reach`, either way."""
    sets = ((0.97, 0.98, 0.99, 1.01, 1.02, 1.03), (0.85, 0.9, 0.95, 1.05, 1.1, 1.15), (0.5, 0.67, 0.8, 1.25, 1.5, 2))
    chosen = next((each for each in sets if reach <= 1.5 * math.log(each[-1])), (0.25, 0.5, 2, 4))
    return [{"label": f"{x:g}", "value": math.log(x)} for x in sorted((1, *chosen)) if abs(math.log(x)) <= reach + 1e-9]


def load_charts(results: Results, labels: Mapping[str, str], key: tuple[str, int]) -> list[str]:
    """Return the figures of one load: throughputs, ratios, latency distributions, and every round."""
    throughput, latencies, rounds = [], [], []
    ratios: dict[str, list[Series]] = {}
    for mark, (name, label) in enumerate(labels.items()):
        if rates := solo_rates(results.measurements, name, key):
            mean, half = mean_and_half(rates)
            told = f"{mean:.0f} ± {half:.0f}" if half else f"{mean:.0f}"
            points = [Point(mean, 0, told)]
            if half:
                points = interval_points(mean - half, mean, mean + half, told, within=(0, math.inf))
            throughput.append(Series(name=label, mark=mark, points=points))
        made = [
            Point(order, m.wrk.requests_per_s, f"round {m.round}: {m.wrk.requests_per_s:.0f}")
            for order, m in enumerate(results.measurements, start=1)
            if m.target == name and load_key(m) == key and m.method is Method.SOLO and m.valid and m.wrk
        ]
        rounds += [Series(name=label, mark=mark, points=made)] if len(made) > 1 else []
        if distribution := distribution_of(results, name, key):
            points = [
                Point(-math.log10(1 - percent / 100), seconds, f"{percent:g}% {format_latency(seconds)}", radius=2)
                for percent, seconds in distribution.percentiles
                if percent < 100
            ]
            latencies.append(Series(name=label, mark=mark, points=points))
        for c in results.comparisons:
            if c.target == name and load_key(c) == key and c.ratio and c.ci_low and c.ci_high:
                _, ratio, interval, verdict = comparison_cells(c)
                ends = math.log(c.ci_low), math.log(c.ratio), math.log(c.ci_high)
                points = interval_points(*ends, f"{ratio} ({interval}), {verdict}", within=(-MOST, MOST))
                row = f"{label}, {SHORT_METRICS[c.metric]}, {c.method}"
                ratios.setdefault(labels[c.reference], []).append(Series(name=row, mark=mark, points=points))
    charts = []
    if throughput:
        several = any(len(row.points) > 1 for row in throughput)
        about = (
            "Mean of the solo trials, with its 95% interval." if several else "Of one solo trial, so with no interval."
        )
        widest = max(point.x for row in throughput for point in row.points)
        charts.append(html_intervals("Requests per second", about, throughput, xrange=(0, widest)))
    for reference, rows in ratios.items():
        reach = max(0.02, *(abs(point.x) for row in rows for point in row.points))
        options: dict[str, Any] = {"x_labels": ratio_ticks(reach), "xrange": (-reach, reach)}
        about = (
            f"The line at 1 is {reference}. Of latency and CPU time, less is faster. Ends without a dot lie beyond 4x."
        )
        charts.append(html_intervals(f"Ratio to {reference}", about, rows, at=0.0, **options))
    if latencies:
        about = "Latency of all solo trials together; the axis stretches towards the slowest requests."
        ticks = [{"label": f"{p:g}%", "value": -math.log10(1 - p / 100)} for p in (0, 90, 99, 99.9, 99.99)]
        options = {
            "x_labels": ticks,
            "value_formatter": lambda s: format_latency(s) if s else "0",
            "include_x_axis": True,
        }
        charts.append(html_chart("Latency by percentile", about, latencies, **options))
    if rounds:
        about = "Requests per second of each solo trial, in the order made."
        charts.append(html_chart("Every round", about, rounds, joined=False, show_x_labels=False))
    return charts


def sweep_charts(results: Results, labels: Mapping[str, str]) -> list[str]:
    """Return a figure of throughput over connections for each workload with more than two counts."""
    charts = []
    keys = load_keys(results.measurements)
    for workload in dict.fromkeys(workload for workload, _ in keys):
        counts = sorted(connections for each, connections in keys if each == workload)
        series = []
        for mark, (name, label) in enumerate(labels.items()):
            points = []
            for n in counts:
                if rates := solo_rates(results.measurements, name, (workload, n)):
                    mean = statistics.fmean(rates)
                    points.append(Point(math.log10(n), mean, f"{describe_load('hello', n)}: {mean:.0f}"))
            series += [Series(name=label, mark=mark, points=points)] if points else []
        if len(counts) > 2 and series:
            title = "Throughput over connections" + ("" if workload == "hello" else f", {workload}")
            about = "Mean requests per second of the solo trials; the axis of connections is logarithmic."
            ticks = [{"label": str(n), "value": math.log10(n)} for n in counts]
            charts.append(html_chart(title, about, series, x_labels=ticks, include_x_axis=True))
    return charts


def html_table(table: Table, *, sortable: bool = True) -> str:
    """Return a table of HTML, in a box that scrolls where the screen is narrow."""
    kinds = [' class="number"' if column.justify == "right" else "" for column in table.columns]
    heads = [html.escape(str(column.header)) for column in table.columns]
    if sortable:
        heads = [f'<button type="button">{head}</button>' for head in heads]
    title = html.escape(str(table.title))
    lines = [
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">',
        f'<table class="{"sortable" if sortable else "facts"}"><caption>{title}</caption>',
        "<thead><tr>",
        *(f'<th scope="col"{kind}>{head}</th>' for kind, head in zip(kinds, heads, strict=True)),
        "</tr></thead>\n<tbody>",
    ]
    for name, *cells in zip(*(column.cells for column in table.columns), strict=True):
        told = (f"<td{kind}>{html.escape(str(cell))}</td>" for kind, cell in zip(kinds[1:], cells, strict=True))
        lines.append(f'<tr><th scope="row">{html.escape(str(name))}</th>{"".join(told)}</tr>')
    return "\n".join([*lines, "</tbody></table></div>"])


def to_html(results: Results, labels: Mapping[str, str], closing: Sequence[Table | str]) -> str:
    """Return one page that needs nothing else: conclusion, charts, tables, caveats, how to repeat it, environment."""

    def listed(heading: str, lines: Sequence[str]) -> list[str]:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        return [f"<h2>{heading}</h2>", f"<ul>{items}</ul>"] if lines else []

    title = html.escape(f"{' and '.join(labels.values())}, measured by micropie_bench {__version__}")
    parts = [HTML_HEAD, f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>"]
    parts += listed("Conclusion", [line for line in closing if isinstance(line, str)])
    short = {name: label if len(label) <= 40 else f"{label[:39]}…" for name, label in labels.items()}
    for key in load_keys(results.measurements):
        charts, tables = load_charts(results, short, key), load_tables(results, labels, key, markdown=True)
        parts += [f"<h2>{html.escape(load_title(key))}</h2>", '<div class="charts">', *charts, "</div>"]
        parts += [html_table(table) for table in tables]
    if sweep := sweep_charts(results, short):
        parts += ["<h2>Sweep</h2>", '<div class="charts">', *sweep, "</div>"]
    parts += listed("Caveats", [*measurement_notes(results.measurements, labels), *results.warnings])
    parts += ["<h2>To repeat it</h2>", f'<pre tabindex="0"><code>{html.escape(results.command)}</code></pre>']
    commands = [f"{labels[facts.name]}: {facts.server_command}" for facts in results.targets if facts.server_command]
    parts += listed("Server commands", commands)
    return "\n".join([*parts, html_table(about_table(results), sortable=False), HTML_TAIL])


def verbose_reports(results: Results, labels: Mapping[str, str]) -> list[str]:
    """Return wrk's own reports, target by target, under their names as the gist has them."""
    return [
        f"{label}\n\n" + "".join(m.report for m in results.measurements if m.target == name and m.method is Method.SOLO)
        for name, label in labels.items()
    ]


def to_github_benchmark(results: Results, labels: Mapping[str, str]) -> str:
    """Return the means of throughput as customBiggerIsBetter of github-action-benchmark (its README, "Examples")."""
    entries = []
    for key in load_keys(results.measurements):
        for name, label in labels.items():
            rates = solo_rates(results.measurements, name, key)
            if rates:
                spread = {"range": f"± {half_width(rates, 0.95):.2f}"} if len(rates) > 1 else {}
                extra = f"{len(rates)} rounds; {results.command}"
                entry = {"name": f"{label}, {describe_load(*key)}", "unit": "requests/s"}
                entries.append({**entry, "value": round(statistics.fmean(rates), 2), **spread, "extra": extra})
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


# --- 6. processes -------------------------------------------------------------------------------------------------

START_DEADLINE_S = 60.0
ELSEWHERE_S = 15.0  # a command that listens on other ports alone for so long got its port wrong
SETTLE_S = 10.0  # at most, for the rest of a command's workers
PROBE_DEADLINE_S = 10.0
STOP_GRACE_S = 2.0
DRAIN_STEP_S = 0.02
READ_S = 0.05  # for a wrk to read the answers that wait for it: some 10 us each
WARM_UP_S = 0.3
OVERRUN_S = 15.0  # a wrk that has not ended this long after its time hangs
POLL_S = 0.1
TICK_S = 0.5
WRK_HELP = (
    "Debian/Ubuntu: apt-get install wrk; Fedora: dnf install wrk; macOS: brew install wrk; "
    "or name one with --wrk PATH or MICROPIE_BENCH_WRK"
)

NO_REASON = "it gave no reason"

Tick = Callable[[], None]


GUARD_IMPORTS = """from __future__ import annotations
import contextlib, json, os, select, signal, sys, time"""


def guard() -> None:
    """Run a command, and end its whole process tree when standard input closes, which the death of its owner does.

    Runs by itself in a bare interpreter (`python -c`), after GUARD_IMPORTS. As a child subreaper
    (Linux, prctl(2)) it inherits whatever its descendants leave behind. It writes JSON lines to the status pipe:
    {"pid"}, then {"exit", "cpu_s", "left"} of the command; exit is negative for a signal, as in subprocess, and left
    counts the descendants that live on.
    """
    import ctypes

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
    if spec["gated"]:
        tell(ready=1)
        if not os.read(owner, 1):
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
        tell(error=str(error.strerror))
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
                    usage, code = ended[2], os.waitstatus_to_exitcode(ended[1])
                    tell(exit=code, cpu_s=usage.ru_utime + usage.ru_stime, left=len(descendants()))
        if owner in ready and not os.read(owner, 1) and running:
            watched, deadline = [wake_r], time.monotonic() + spec["grace_s"]
            for member in descendants() or [pid]:  # its workers too: uvicorn looks for signals twice a second only
                with contextlib.suppress(OSError):
                    os.kill(member, signal.SIGTERM)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            for descendant in descendants():
                with contextlib.suppress(OSError):
                    os.kill(descendant, signal.SIGKILL)
            os.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a command ended: its code (negative for a signal), its CPU time, how many processes it had left behind."""

    code: int
    cpu_s: float
    left: int


class Child:
    """A command that runs under a guard: its process tree is gone after stop(), and soon after this process dies."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes] | None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        cores: Sequence[int] = (),
        gated: bool = False,
    ) -> None:
        """Start it, on the cores given if any; a gated one waits for open_gate(). Raises BenchError."""
        status_r, status_w = os.pipe()
        spec = {"argv": list(argv), "status": status_w, "grace_s": STOP_GRACE_S, "gated": gated, "cores": list(cores)}
        source = f"{GUARD_IMPORTS}\n{inspect.getsource(guard)}guard()\n"
        self.command, self.pid = argv[0], 0
        self.exit: Exit | None = None
        self._status = os.fdopen(status_r)
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", source, json.dumps(spec)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output and subprocess.STDOUT,
                pass_fds=(status_w,),
                start_new_session=True,
                cwd=cwd,
                env=env,
            )
        finally:
            os.close(status_w)
        self._hear()

    def _hear(self) -> None:
        """Take in one line from the guard: that it is ready, the command's pid, or its end."""
        told = json.loads(self._status.readline() or '{"exit": -9, "cpu_s": 0, "left": 0}')
        if "error" in told:
            self.stop()
            raise BenchError(f"cannot run {self.command}: {told['error']}")
        self.pid = told.get("pid", self.pid)
        if "exit" in told:
            self.exit = Exit(code=told["exit"], cpu_s=told["cpu_s"], left=told["left"])

    def open_gate(self) -> None:
        """Let a gated command run; its pid is known once await_any() has heard of it."""
        os.write(self._guard.stdin.fileno(), b"g")  # type: ignore[union-attr]  # it is a pipe

    def processes(self) -> list[psutil.Process]:
        """Return the live processes of the command's tree."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._guard.pid).children(recursive=True)
        return []

    def stop(self) -> None:
        """End the whole tree: SIGTERM, then SIGKILL to all that is left. Interrupted, the guard still does it."""
        self._guard.stdin.close()  # type: ignore[union-attr]  # it is a pipe
        if self._guard.wait() < 0 and self.pid:  # somebody killed the guard
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self._status.close()


def await_any(children: Sequence[Child], timeout_s: float) -> None:
    """Return when there is news of a child (its `exit`, or its `pid` after a gate), or after that time."""
    running = [child for child in children if child.exit is None]
    for ready in select.select([child._status for child in running], [], [], timeout_s)[0]:
        next(child for child in running if child._status is ready)._hear()


def all_cores() -> list[int]:
    """Return the cores that this process may use; none where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def cpu_time_s(process: psutil.Process) -> float:
    """Return the CPU time of a process so far, 0 if it is gone.

    On Linux from its CPU clock, to the nanosecond (clock_getcpuclockid(3): ~pid << 3 | CPUCLOCK_SCHED): the figures
    of /proc step by 10 ms.
    """
    try:
        if sys.platform == "linux":
            return time.clock_gettime((~process.pid << 3) | 2)
        times = process.cpu_times()
        return float(times.user + times.system)
    except (OSError, psutil.Error):
        return 0.0


def ended_children_cpu_s(process: psutil.Process) -> float:
    """Return the CPU time of those children of a process that have ended, to 10 ms."""
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return float(getattr(times, "children_user", 0) + getattr(times, "children_system", 0))
    return 0.0


def _lives(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def peak_memory_bytes(process: psutil.Process) -> int:
    """Return the peak resident set of a process (Linux, VmHWM), elsewhere the present one; 0 if it is gone."""
    peak = _first_match(f"/proc/{process.pid}/status", r"^VmHWM:\s*(\d+) kB")
    with contextlib.suppress(psutil.Error):
        return int(peak) * 1024 if peak else int(process.memory_info().rss)
    return 0


def _first_match(path: str, pattern: str) -> str | None:
    """Return the pattern's first group in the file; None where either is missing."""
    with contextlib.suppress(OSError):
        match = re.search(pattern, Path(path).read_text(errors="replace"), re.MULTILINE)
        return match[1].strip() if match else None
    return None


def _listening_sockets() -> dict[str, int]:
    """Return the ports that are listened on, by socket as /proc names it in fd links (Linux, proc(5))."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in lines:
                if " 0A " in line:  # TCP_LISTEN
                    fields = line.split()
                    if fields[3] == "0A":
                        found[f"socket:[{fields[9]}]"] = int(fields[1].rpartition(":")[2], 16)
    return found


def _sockets_on(port: int) -> set[str]:
    return {held for held, listening in _listening_sockets().items() if listening == port}


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
    return set()


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
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, wanted or 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise UsageError(f"host {host!r}: {getattr(error, 'strerror', None) or error}") from None
    with socket.socket(family, kind) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does: TIME_WAIT is no obstacle
        try:
            bound.bind(address)
            bound.listen()
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE and wanted
            by = f" ({_listener(wanted)} listens there)" if taken and wanted else ""
            hint = "; stop what holds it, or choose another --port" if taken else ""
            raise BenchError(f"port {wanted} on {host} cannot be used: {error.strerror}{by}{hint}") from None
        port: int = bound.getsockname()[1]
    return port


def split_url(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an http or https URL. Raises UsageError."""
    match = re.fullmatch(r"(https?)://(\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::([1-9]\d{0,4}))?(?:/[!\"$-~]*)?", url, re.ASCII)
    if not match or int(match[3] or 80) > 65535:
        raise UsageError(f"{url!r} is no URL of an HTTP server: use http://HOST:PORT/PATH")
    return match[1], match[2].strip("[]"), int(match[3] or {"http": 80, "https": 443}[match[1]])


def probe(url: str, workload: Workload) -> Response:
    """Return the answer to one request to the URL, made as the workload is, counted in bytes on the wire.

    Those of TLS are not among them. Raises BenchError if there is no answer.
    """
    import h11  # here, as elsewhere below: --help starts faster without

    scheme, host, port = split_url(url)
    client = h11.Connection(h11.CLIENT)
    _, _, authority, path = url.split("/", 3)
    headers = [("Host", authority), *workload.headers]
    headers += [("Content-Length", str(len(workload.body)))] if workload.method != "GET" or workload.body else []
    what = f"{workload.method} /{path}"
    size, body, head = 0, hashlib.sha256(), None
    deadline = time.monotonic() + PROBE_DEADLINE_S
    request = client.send(h11.Request(method=workload.method, target=f"/{path}", headers=headers)) or b""
    request += client.send(h11.Data(data=workload.body)) or b""
    request += client.send(h11.EndOfMessage()) or b""
    try:
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(socket.create_connection((host, port), timeout=PROBE_DEADLINE_S))
            if scheme == "https":
                tls = ssl.create_default_context()
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # as wrk does
                connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=host))
            connection.sendall(request)
            while not isinstance(event := client.next_event(), h11.EndOfMessage | h11.ConnectionClosed):
                if event is h11.PAUSED:
                    raise BenchError(f"the answer to {what} changes the protocol")
                if event is h11.NEED_DATA:
                    if (left_s := deadline - time.monotonic()) <= 0:
                        raise TimeoutError(f"the answer has not ended after {PROBE_DEADLINE_S:.0f} s")
                    connection.settimeout(left_s)
                    data = connection.recv(65536)
                    size += len(data)
                    client.receive_data(data)
                elif isinstance(event, h11.Response):
                    head = event
                elif isinstance(event, h11.Data):
                    body.update(event.data)
    except OSError as error:
        raise BenchError(f"no whole answer to {what}: {error}") from None
    except h11.RemoteProtocolError:
        head = None
    if head is None:
        raise BenchError(f"no whole HTTP answer to {what} before the connection was closed")
    answered = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in head.headers)
    return Response(status=head.status_code, size=size, headers=answered, body_sha256=body.hexdigest())


def user_cache() -> Path:
    """Return this user's directory for what is fetched. Raises BenchError if there is none that is theirs alone.

    As root with another's HOME, as under sudo, there is none.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "micropie_bench"  # noqa: PTH111
    try:
        above = next(directory for directory in cache.parents if directory.exists())
        trusted = cache.is_absolute() and above.stat().st_uid == os.geteuid()
        if trusted:
            cache.mkdir(mode=0o700, parents=True, exist_ok=True)
            told = cache.lstat()
            trusted = stat.S_ISDIR(told.st_mode) and told.st_uid == os.geteuid() and not told.st_mode & 0o022
    except OSError as error:
        raise BenchError(f"no cache at {cache}: {error.strerror}; set XDG_CACHE_HOME to a directory of yours") from None
    if not trusted:
        raise BenchError(f"{cache} is not yours alone to write: set XDG_CACHE_HOME to a directory of yours")
    return cache


def fetch(target: Target, note: Callable[[str], None]) -> Target:
    """Return the target with its `package_dir`: pip puts the requirements there, once for this Python and user.

    `note` is told if that has to be done. Raises BenchError if pip cannot have them.
    """
    if not target.requirements or target.package_dir:
        return target
    apps = (APPS / "apps.py").read_bytes()  # beside the packages, and nothing else with it
    wanted = json.dumps([target.requirements, sysconfig.get_config_var("SOABI"), hashlib.sha256(apps).hexdigest()])
    directory = user_cache() / f"{target.spec}-{hashlib.sha256(wanted.encode()).hexdigest()[:16]}"
    part = directory.with_name(f"{directory.name}.part")
    with (directory.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not directory.is_dir():
            note(f"{target.spec}: fetching {', '.join(target.requirements)} (once)")
            shutil.rmtree(part, ignore_errors=True)
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
            pip += ["--root-user-action=ignore", "--target", str(part), *target.requirements]
            env = os.environ | ({"PYTHONPATH": str(ROOT)} if BUNDLED else {})
            done = subprocess.run(pip, env=env, capture_output=True, stdin=subprocess.DEVNULL, text=True, check=False)
            if done.returncode:
                lines = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", sys.executable))]
                words = (lines or done.stderr.splitlines() or [NO_REASON])[-1].removeprefix("ERROR: ")
                raise BenchError(
                    f"{target.spec} is not in the cache, and pip cannot fetch it (is the index reachable?): {words}"
                )
            (part / "apps.py").write_bytes(apps)
            part.rename(directory)
    return dataclasses.replace(target, package_dir=directory, app_dir=directory)


def server_argv(target: Target, server: Server, port: int) -> list[str]:
    """Return the command that serves the target: its own, or the gist's `uvicorn app:app --workers 4` by its Python.

    One with a directory of packages runs without the interpreter's own site-packages (-S), so that all of it is from
    there.
    """
    executable = target.python or sys.executable
    if target.command:
        values = {"port": port, "host": server.host, "workers": server.workers, "python": executable}
        return [
            re.sub(r"\{(port|host|workers|python)\}", lambda match: str(values[match[1]]), word)
            for word in shlex.split(target.command)
        ]
    python = [executable, *(["-S"] if target.package_dir else []), "-m"]
    workers = ["--workers", str(server.workers)]
    if server.asgi is AsgiServer.UVICORN:
        options = ["--host", server.host, "--port", str(port), *workers]
        options += ["--loop", server.loop, "--http", server.http, "--app-dir", str(target.app_dir)]
        options += [] if server.access_log else ["--no-access-log"]
    elif server.asgi is AsgiServer.GRANIAN:
        options = ["--interface", "asgi", "--host", server.host, "--port", str(port), *workers]
        options += ["--loop", server.loop, "--access-log" if server.access_log else "--no-access-log"]
    else:
        host = f"[{server.host}]" if ":" in server.host else server.host
        options = ["--bind", f"{host}:{port}", *workers, *(["--access-logfile", "-"] if server.access_log else [])]
        options += ["--worker-class", "asyncio" if server.loop is Loop.AUTO else server.loop]
    app = target.app
    if server.asgi is AsgiServer.HYPERCORN and target.app_dir in (APPS, target.package_dir):
        app = re.sub(r":(\w+)$", r':__getattr__("\1")', app)  # it evaluates the attribute among those that are there
    return [*python, server.asgi, *options, app]


def server_env(target: Target) -> dict[str, str]:
    """Return this environment without what would change an ASGI server's settings unseen, and with the packages.

    From a .pyz these are also there for an app of the user's in this Python, before its own.
    """
    unseen = re.compile(r"(UVICORN|GRANIAN|HYPERCORN)_|(WEB_CONCURRENCY|FORWARDED_ALLOW_IPS)$")
    if target.command:
        return dict(os.environ)
    env = {name: value for name, value in os.environ.items() if not unseen.match(name)}
    if target.package_dir:
        env["PYTHONPATH"] = str(target.package_dir)
    elif BUNDLED and not target.python:
        env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH")]))
    return env


def last_words(log: str) -> str:
    """Return the line of a server's log that tells best why it ended: the last error, else the last line.

    Not uvicorn's lines on its own processes, nor its access log.
    """
    chatter = r"INFO: |.*(Child|parent) process \[\d+\]"
    lines = [line.strip() for line in log.splitlines() if line.strip() and not re.match(chatter, line)]
    errors = [line for line in lines if re.match(r"([\w.]+(Error|Exception|Exit)\b|ERROR\b|\[Errno)", line)]
    return ([*lines, *errors] or [NO_REASON])[-1][:300]


class RunningServer:
    """A launched target: started by the constructor, serving with all its workers once await_workers() has returned.

    One that somebody else runs, by its URL, has no `child`, and is never started, stopped, pinned or looked into.
    Use as a context manager, which stops it. Its output goes to the log, or where this process' goes. It runs in the
    app's directory, so that modules where the user stands do not get in the way of the built-ins.
    """

    def __init__(self, target: Target, server: Server, *, log: Path | None) -> None:
        """Raises BenchError if the port is taken, or it cannot be run at all."""
        self.target, self.settings, self._log, self._cores = target, server, log, all_cores()
        self.workers: set[psutil.Process] = set()
        self.child: Child | None = None
        self.argv: list[str] = []
        if target.url:
            return
        self.port = free_port(server.host, server.port)
        self.argv = server_argv(target, server, self.port)
        with log.open("wb") if log else contextlib.nullcontext() as output:
            self.child = Child(self.argv, output=output, env=server_env(target), cwd=target.app_dir)

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self.child:
            self.child.stop()

    def url(self, path: str) -> str:
        """Return the whole URL of the path; of the root, a URL target's own."""
        if self.target.url:
            root = "/".join(self.target.url.split("/")[:3])
            return root + (self.target.url.removeprefix(root) or "/" if path == "/" else path)
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"http://{host}:{self.port}{path}"

    def processes(self) -> list[psutil.Process]:
        """Return the live processes of the server's tree; none of a server that somebody else runs."""
        return self.child.processes() if self.child else []

    def log_text(self) -> str:
        """Return the last 64 KiB of what the server wrote."""
        if not self._log:
            return "see its log above"
        with self._log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 65536))
            return log.read().decode(errors="replace")

    def cpu_s(self) -> dict[psutil.Process, float]:
        """Return the CPU time of each process of the tree, in seconds; a command's may fork for each request."""
        ended = ended_children_cpu_s if self.target.command else lambda _: 0.0
        return {process: cpu_time_s(process) + ended(process) for process in self.processes()}

    def pin(self, cores: Sequence[int]) -> None:
        """Keep all threads of the server on these cores (Linux)."""
        if cores == self._cores or not cores:
            return
        self._cores = list(cores)
        for process in self.processes():
            for task in Path(f"/proc/{process.pid}/task").glob("*"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(task.name), cores)

    def use_since(self, before: Mapping[psutil.Process, float]) -> ServerUse | None:
        """Return what the server used since that cpu_s()."""
        if not self.child:
            return None
        spent = {process: cpu_s - before.get(process, 0.0) for process, cpu_s in self.cpu_s().items()}
        shares = [] if self.target.command else sorted(spent.get(worker, 0.0) for worker in self.workers)
        return ServerUse(
            server_cpu_s=sum(spent.values()),
            server_rss_bytes=sum(map(peak_memory_bytes, spent)),
            worker_balance=shares[0] / shares[-1] if shares and shares[-1] else None,
        )

    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        """Return once as many processes as workers accept connections on the port; of a command, once it is settled.

        Raises BenchError if the server or a worker dies, or at the deadline (START_DEADLINE_S).
        """
        deadline_s = START_DEADLINE_S if deadline_s is None else deadline_s
        start = time.monotonic()
        wanted = 1 if self.target.command else self.settings.workers
        own: set[psutil.Process] = set()
        if not self.child:
            return
        while not self.child.exit:
            await_any([self.child], POLL_S)
            tick()
            with contextlib.suppress(psutil.NoSuchProcess):
                now = set(psutil.Process(self.child.pid).children())
                if own - now and self.settings.workers > 1 and not self.target.command:  # uvicorn replaces it for ever
                    break
                own = now
            if sockets := _sockets_on(self.port):
                tree = set(self.processes()) - self.workers
                awaited = not self.target.command  # as Python's asyncio does; others may wait in other ways
                self.workers |= {process for process in tree if _held_sockets(process.pid, sockets, awaited=awaited)}
            if len(self.workers) >= wanted or (sys.platform != "linux" and self._says_ready()):
                if self.target.command:
                    self._settle(tick)
                if not self.child.exit:
                    self._check_port()
                    return
            waited_s = time.monotonic() - start
            elsewhere = self._ports_elsewhere() if self.target.command and waited_s > ELSEWHERE_S else ""
            if elsewhere or waited_s > deadline_s:
                what = f"{len(self.workers)} of {wanted} workers serve" if not self.target.command else "nothing serves"
                what += f" on port {self.port}, which is its {{port}}," if self.target.command else ""
                raise BenchError(
                    f"{self.target.name}: {what} after {waited_s:.0f} s{elsewhere}; "
                    f"its last words: {last_words(self.log_text())}"
                )
        ended = self.child.exit
        if self.target.command and ended and ended.left and not ended.code:
            raise BenchError(
                f"{self.target.name}: the command ended and left {ended.left} processes behind, a daemon: "
                "have it stay in the foreground"
            )
        status = f" with status {ended.code}" if ended else ""
        raise BenchError(f"{self.target.name} died while starting{status}: {last_words(self.log_text())}")

    def _settle(self, tick: Tick) -> None:
        """Return when a command's processes neither change nor work any more: others of its workers may be starting."""
        deadline, last = time.monotonic() + SETTLE_S, (-1.0, 0)
        while time.monotonic() < deadline and self.child and not self.child.exit:
            spent = self.cpu_s()
            now = (sum(spent.values()), len(spent))
            if now[1] == last[1] and now[0] - last[0] < 0.05 * POLL_S * 3:
                break
            last = now
            await_any([self.child], POLL_S * 3)
            tick()
        sockets = _sockets_on(self.port)
        self.workers = {process for process in self.processes() if _held_sockets(process.pid, sockets, awaited=False)}

    def _ports_elsewhere(self) -> str:
        """Return in words on which other ports the server's processes listen; nothing if on none."""
        listening = _listening_sockets()
        held = (_held_sockets(process.pid, set(listening), awaited=False) for process in self.processes())
        ports = sorted({listening[each] for each in set().union(*held)} - {self.port})
        return f" (it listens on port {', '.join(map(str, ports))})" if ports else ""

    def _check_port(self) -> None:
        """Raise BenchError if any process outside this server's tree listens on its port too."""
        sockets = _sockets_on(self.port)
        own = (_held_sockets(process.pid, sockets, awaited=False) for process in self.processes())
        if sockets - set().union(*own):
            raise BenchError(f"a process outside {self.target.name} listens on port {self.port} too: stop it")

    def _says_ready(self) -> bool:
        """Return whether uvicorn's log reports all workers started, or a command's port accepts: without /proc."""
        if self.target.command:
            with contextlib.suppress(OSError):
                socket.create_connection((self.settings.host, self.port), timeout=1).close()
                return True
        return self.log_text().count("Application startup complete") >= self.settings.workers

    def lost_workers(self) -> str | None:
        """Return what is amiss with the server since it was ready; None if it is the same processes that serve."""
        if self.child and self.child.exit:
            return f"{self.target.name} died: {last_words(self.log_text())}"
        lost = [process.pid for process in self.workers if not _lives(process)]
        return f"worker {', '.join(map(str, lost))} died" if lost else None


def find_wrk(wanted: str | None) -> str:
    """Return the path of wrk: the one asked for, else the one on PATH, else the one bundled or beside the interpreter.

    Raises BenchError with how to get it.
    """
    own = str(ROOT / "wrk") if BUNDLED else sysconfig.get_path("scripts")
    found = shutil.which(wanted) if wanted else shutil.which("wrk") or shutil.which("wrk", path=own)
    if not found:
        raise BenchError(f"wrk not found{f' at {wanted}' if wanted else ' on PATH'}. {WRK_HELP}")
    return str(Path(found).absolute())


def wrk_version(wrk: str) -> str:
    """Return the version that wrk prints of itself, such as `debian/4.1.0-3+b2`. Raises BenchError if it is no wrk."""
    try:
        out = subprocess.run([wrk, "-v"], capture_output=True, timeout=10, check=False, stdin=subprocess.DEVNULL).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{wrk} does not run: {error}. {WRK_HELP}") from None
    match = re.match(r"wrk (\S+) \[", out.decode(errors="replace"))
    if not match:
        raise BenchError(f"{wrk} is not wrk: `wrk -v` should begin with its name and version. {WRK_HELP}")
    return match[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTimes:
    """The machine's CPU time since its start, in seconds: in all, at work for processes, stolen by the hypervisor.

    `throttled` counts how often this control group's CPU quota stopped it. All 0 where there is no /proc.
    """

    total_s: float = 0.0
    busy_s: float = 0.0
    steal_s: float = 0.0
    throttled: int = 0

    def since(self, before: MachineTimes, *, own_cpu_s: float) -> tuple[str, ...]:
        """Return what disturbed the machine since then, other than these seconds of our own."""
        total_s = self.total_s - before.total_s or 1.0
        steal = (self.steal_s - before.steal_s) / total_s
        elsewhere = (self.busy_s - before.busy_s - own_cpu_s) / total_s
        told = {
            f"the hypervisor took {steal:.0%} of the machine (steal)": steal > 0.05,
            f"other processes took {elsewhere:.0%} of the machine": elsewhere > 0.1,
            "the CPU quota throttled it": self.throttled > before.throttled,
        }
        return tuple(note for note, applies in told.items() if applies)


def _cgroup_file(name: str) -> str:
    """Return the path of this process's file of that name in control group version 2."""
    return f"/sys/fs/cgroup{_first_match('/proc/self/cgroup', '^0::(.*)$') or '/'}/{name}"


def machine_times() -> MachineTimes:
    """Return the machine's times now (/proc/stat, proc(5): user, nice, system, idle, iowait, irq, softirq, steal)."""
    told = _first_match("/proc/stat", r"^cpu\s+(.*)$")
    if not told:
        return MachineTimes()
    user, nice, system, idle, iowait, irq, softirq, steal = (
        int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in told.split()[:8]
    )
    return MachineTimes(
        total_s=user + nice + system + idle + iowait + irq + softirq + steal,
        busy_s=user + nice + system,
        steal_s=steal,
        throttled=int(_first_match(_cgroup_file("cpu.stat"), r"^nr_throttled (\d+)") or 0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one server in one trial."""

    wrk: WrkResult
    report: str
    use: ServerUse | None
    disturbances: tuple[str, ...]


def duet_cores() -> tuple[list[int], list[int]]:
    """Return the cores of both servers in a duet, and those of both load generators; no physical core is in both."""

    def physical(core: int) -> tuple[int, int]:
        siblings = _first_match(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list", r"^(\d+)")
        return int(siblings or core), core

    cores = sorted(all_cores(), key=physical)
    return cores[: len(cores) // 2], cores[len(cores) // 2 :]


def _signal_all(children: Sequence[Child], number: signal.Signals) -> None:
    for child in children:
        if child.pid and not child.exit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)


def _drain(servers: Sequence[RunningServer]) -> None:
    """Return when the servers have answered what they had been sent: their CPU time stands still; at most 2 s."""
    deadline, last = time.monotonic() + 2, -1.0
    while time.monotonic() < deadline:
        spent = sum(sum(server.cpu_s().values()) for server in servers)
        if 0 <= spent - last < 0.001 and last >= 0:
            return
        last = spent
        time.sleep(DRAIN_STEP_S)


def _freeze(servers: Sequence[RunningServer], *, thaw: bool = False) -> None:
    for server in servers:
        for process in server.processes():
            with contextlib.suppress(psutil.Error):
                process.resume() if thaw else process.suspend()


def run_load(
    wrk: str, servers: Sequence[RunningServer], load: Load, *, work_dir: Path, tick: Tick, cut_s: float | None = None
) -> list[Observation]:
    """Return what was seen of each server, under one wrk each, all at the same moment.

    Two servers are pinned to one half of the cores, and both wrks to the other. wrk's threads look only ten times a
    second whether to stop, so that one of two would run on alone; 9% of a trial alone shifts CPU per request by some
    4%. Hence both wrks are frozen (SIGSTOP) at one moment; the servers answer what they have been sent, their CPU time
    is read, and they are frozen in turn, while the wrks go on for long enough to read those answers, and end. So
    requests and CPU time are of the same work.
    A warm-up is cut after `cut_s` seconds, and yields nothing. Raises BenchError if a wrk fails or hangs, or a server
    dies meanwhile.
    """
    script = work_dir / "done.lua"
    script.write_text(WRK_SCRIPT)
    told_by = ("MICROPIE_BENCH_METHOD", "MICROPIE_BENCH_BODY")
    env = {name: value for name, value in os.environ.items() if name not in told_by}
    if load.workload.method != "GET" or load.workload.body:
        body = work_dir / "body"
        body.write_bytes(load.workload.body)
        env |= dict(zip(told_by, (load.workload.method, str(body)), strict=True))
    duet = len(servers) > 1
    server_cores, load_cores = duet_cores() if duet else (all_cores(), [])
    told = dataclasses.replace(load, duration_s=load.duration_s + 60) if duet or cut_s else load
    with contextlib.ExitStack() as stack:
        outputs, children = [], []
        for server in servers:
            server.pin(server_cores)
            outputs.append(stack.enter_context(tempfile.TemporaryFile(dir=work_dir)))
            argv = wrk_argv(wrk, told, server.url(load.workload.path), str(script), timeout_s=10 if duet else 2)
            children.append(Child(argv, output=outputs[-1], env=env, cores=load_cores, gated=True))
            stack.callback(children[-1].stop)

        def wait_until(end: float) -> None:
            while not all(child.exit for child in children) and (left := end - time.monotonic()) > 0:
                await_any([*children, *(server.child for server in servers if server.child)], min(TICK_S, left))
                if dead := next((server for server in servers if server.child and server.child.exit), None):
                    raise BenchError(f"{dead.target.name} died: {last_words(dead.log_text())}")
                tick()

        machine, own_s, before = machine_times(), time.process_time(), [server.cpu_s() for server in servers]
        start = time.monotonic()
        for child in children:
            child.open_gate()
        deadline = start + load.duration_s + OVERRUN_S
        span_s = uses = None
        if duet:
            wait_until(start + load.duration_s)
            _signal_all(children, signal.SIGSTOP)
            span_s = time.monotonic() - start
            if any(child.exit for child in children):
                raise BenchError("a wrk of the duet ended before its time")
            _drain(servers)
            uses = [server.use_since(cpu_s) for server, cpu_s in zip(servers, before, strict=True)]
            stack.callback(_drain, servers)
            stack.callback(_freeze, servers, thaw=True)
            _freeze(servers)
            _signal_all(children, signal.SIGCONT)
            wait_until(time.monotonic() + READ_S)
        elif cut_s:
            wait_until(start + cut_s)
        else:
            wait_until(deadline)
        while not all(child.exit for child in children):
            if time.monotonic() > deadline:
                raise BenchError(f"wrk did not end within {OVERRUN_S:.0f} s of its time")
            _signal_all(children, signal.SIGINT)
            wait_until(time.monotonic() + POLL_S)
        if cut_s:
            return []
        uses = uses or [server.use_since(cpu_s) for server, cpu_s in zip(servers, before, strict=True)]
        own_s = time.process_time() - own_s + sum(child.exit.cpu_s for child in children if child.exit)
        disturbances = machine_times().since(
            machine, own_cpu_s=own_s + sum(use.server_cpu_s if use else math.inf for use in uses)
        )
        observations = []
        for child, output, use in zip(children, outputs, uses, strict=True):
            output.seek(0)
            text = output.read().decode(errors="replace")
            if child.exit and child.exit.code:
                raise BenchError(f"wrk ended with status {child.exit.code}: {(text.strip().splitlines() or [''])[-1]}")
            result, report = parse_exact(text, connections=load.connections, span_s=span_s)
            observations.append(Observation(wrk=result, report=report, use=use, disturbances=disturbances))
    return observations


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check of this machine found: state is ok, warning or unknown."""

    check: str
    state: str
    found: str
    why: str
    remedy: str

    @property
    def warns(self) -> bool:
        return self.state == "warning"


def _busiest(seconds: float) -> tuple[list[str], float]:
    """Return the other processes that use over 10% of a core within that time, and the share stolen meanwhile."""
    before = {process: cpu_time_s(process) for process in psutil.process_iter() if process.pid != os.getpid()}
    start = machine_times()
    time.sleep(seconds)  # a sample takes time
    after = machine_times()
    use = {process: (cpu_time_s(process) - cpu_s) / seconds for process, cpu_s in before.items()}
    busy = []
    for process, share in sorted(use.items(), key=lambda item: -item[1]):
        with contextlib.suppress(psutil.Error):
            busy += [f"{process.name()} (pid {process.pid}) {share:.0%}"] if share > 0.1 else []
    return busy, (after.steal_s - start.steal_s) / ((after.total_s - start.total_s) or 1.0)


def examine(*, workers: int, loads: Sequence[Load]) -> list[Finding]:
    """Return what on this machine could spoil a measurement with these settings; it takes 0.2 s."""
    cores, most, threads = len(all_cores()) or os.cpu_count() or 1, max(x.connections for x in loads), loads[0].threads
    cpu = "/sys/devices/system/cpu"
    governor = _first_match(f"{cpu}/cpu0/cpufreq/scaling_governor", "(.+)")
    no_turbo, boost = _first_match(f"{cpu}/intel_pstate/no_turbo", "(.)"), _first_match(f"{cpu}/cpufreq/boost", "(.)")
    turbo = no_turbo == "0" or boost == "1" if no_turbo or boost else None
    load1 = os.getloadavg()[0]
    busy, steal = _busiest(0.2)
    quota = _first_match(_cgroup_file("cpu.max"), r"^(\d+ \d+)")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    ports = _first_match("/proc/sys/net/ipv4/ip_local_port_range", "(.+)")
    first, last = map(int, ports.split()) if ports else (0, 0)
    battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    virtual = _first_match("/proc/cpuinfo", r"^flags\s*:.*\b(hypervisor)\b")

    def finding(check: str, bad: bool | None, found: object, why: str, remedy: str) -> Finding:
        state = "unknown" if bad is None else "warning" if bad else "ok"
        return Finding(check=check, state=state, found=str(found), why=why, remedy=remedy)

    return [
        finding(
            "CPU governor",
            governor != "performance" if governor else None,
            governor or "not told by this machine",
            "the clock follows the load, and the order of trials shows in the figures",
            "cpupower frequency-set -g performance",
        ),
        finding(
            "turbo",
            turbo,
            {None: "not told by this machine", True: "on", False: "off"}[turbo],
            "the clock falls as the chip warms",
            f"echo 0 >{cpu}/cpufreq/boost, or 1 >{cpu}/intel_pstate/no_turbo",
        ),
        finding("load average", load1 > 0.25 * cores, f"{load1:.2f}", "others use the cores", "wait until it is idle"),
        finding("other processes", bool(busy), ", ".join(busy[:3]) or "none busy", "they take CPU time", "stop them"),
        finding("CPU quota", bool(quota), quota or "none", "the kernel stops the group when it is used up", "lift it"),
        finding(
            "cores",
            cores < workers + threads,
            f"{cores} for {workers} workers and {threads} wrk threads",
            "they wait for each other",
            "believe the duets' CPU per request rather than throughput, or use -w and -t that fit",
        ),
        finding("open files", files < most + 64, files, "each connection takes one", f"ulimit -n {most + 1024}"),
        finding(
            "ephemeral ports",
            last - first < 2 * most if ports else None,
            last - first + 1 if ports else "not told by this machine",
            "each connection takes one, for a minute after its end too",
            "sysctl net.ipv4.ip_local_port_range='10000 65000'",
        ),
        finding(
            "power",
            battery.power_plugged is False if battery else False,
            "on battery" if battery and battery.power_plugged is False else "mains, or no battery",
            "the machine slows down to save it",
            "plug it in",
        ),
        finding(
            "virtual machine",
            steal > 0.05 if virtual else False,
            f"yes, {steal:.0%} of its time stolen" if virtual else "no",
            "its neighbours take CPU time unseen",
            "believe the duets; they share what is stolen",
        ),
    ]


def examine_wrk(wanted: str | None) -> Finding:
    """Return which wrk would be used, or that there is none."""
    try:
        path = find_wrk(wanted)
        found, state = f"{wrk_version(path)}, {path}", "ok"
    except BenchError as error:
        found, state = str(error).partition(". ")[0], "warning"
    return Finding(check="wrk", state=state, found=found, why="it makes the load", remedy=WRK_HELP)


@functools.cache  # a launch of another Python, at each launch of its server otherwise
def versions_in(python: str) -> Mapping[str, str]:
    """Return the versions of all distributions in another Python, by name in lower case; none if it does not tell."""
    code = "import importlib.metadata as m, json\n"
    code += "print(json.dumps({d.name.lower(): d.version for d in m.distributions()}))"
    with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
        out = subprocess.run([python, "-I", "-c", code], capture_output=True, timeout=20, check=False).stdout
        there: dict[str, str] = json.loads(out)
        return there
    return {}


def package_versions(names: Sequence[str], *, directory: Path | None = None, python: str = "") -> dict[str, str]:
    """Return the version of each distribution that is there: in the directory, or else in this or another Python."""
    if python:
        there = versions_in(python)
        return {name: there[name] for name in names if name in there}
    import importlib.metadata

    path = [str(directory)] if directory else sys.path
    found = {name: next(iter(importlib.metadata.distributions(name=name, path=path)), None) for name in names}
    return {name: distribution.version for name, distribution in found.items() if distribution}


def environment(wrk: str) -> dict[str, Any]:
    """Return what the results depend on: interpreter, machine, wrk and packages."""
    packages = {package for built_in in BUILT_INS.values() for package in built_in.packages}
    return {
        "python": platform.python_version(),
        "executable": sys.executable,
        "bundle": json.loads(BUNDLE.read_text())["build"] if BUNDLED else None,
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "kernel": platform.release(),
        "cpu_model": _first_match("/proc/cpuinfo", r"^model name\s*: (.*)$") or platform.processor() or None,
        "cpu_count": len(all_cores()) or os.cpu_count(),
        "governor": _first_match("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "(.*)"),
        "wrk": wrk,
        "wrk_version": wrk_version(wrk),
        "packages": package_versions([*SERVER_PACKAGES, *sorted(packages)]),
    }


# --- 7. experiment ------------------------------------------------------------------------------------------------

LAUNCH_ESTIMATE_S = 3.0
TRIAL_ERRORS = (BenchError, OSError, psutil.Error)  # they void a trial; the others go on
Failed = dict[tuple[str, str], str]  # reasons by target and workload, "" for all of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What an experiment does to the world, injected so that tests can provoke faults.

    `note` is told what runs now, and the seconds it should take.
    """

    start: Callable[[Target], RunningServer]
    warm_up: Callable[[RunningServer, Load], object]
    load: Callable[[Sequence[RunningServer], Load], list[Observation]]
    save: Callable[[Results], None]
    tick: Tick
    note: Callable[[str, float], None]


def planned_s(plan: Plan) -> float:
    """Return about how long the whole plan takes, in seconds."""
    launches = schedule(plan)
    trials_s = sum(trial.load.duration_s for launch in launches for trial in launch.trials)
    return trials_s + LAUNCH_ESTIMATE_S * sum(len(launch.targets) for launch in launches)


def facts_of(target: Target, server: RunningServer | None, responses: Mapping[str, Response]) -> TargetFacts:
    """Return what is recorded about a target; without server and responses if it did not start."""
    asked = [] if target.command or target.url else [*target.packages, *SERVER_PACKAGES, *list(AsgiServer)[1:]]
    versions = package_versions(asked, directory=target.package_dir, python=target.python)
    return TargetFacts(
        name=target.name,
        spec=target.spec,
        label=target.label,
        versions=versions,
        server_command=shlex.join(server.argv) if server else "",
        responses=responses,
    )


def limit_reason(observations: Sequence[Observation], load: Load, workers: int | None) -> str | None:
    """Return why a trial did not measure its servers: wrk was stopped, or was the limit.

    None for `workers`: that is the server's own affair.
    """
    duration_s = max(seen.wrk.duration_s for seen in observations)
    if not -0.05 <= duration_s - load.duration_s <= 1:
        return f"wrk ran for {duration_s:.2f} s instead of {load.duration_s} s: somebody stopped it"
    count, cores = len(observations), len(all_cores()) or os.cpu_count() or 1
    server_cores, load_cores = map(len, duet_cores()) if count > 1 else (cores, cores)
    return saturation(
        load_cpu_s=sum(seen.wrk.load_cpu_s or 0 for seen in observations) / duration_s,
        load_cores=min(count * load.threads, load_cores),
        server_cpu_s=sum(seen.use.server_cpu_s for seen in observations if seen.use) / duration_s,
        server_cores=min(count * workers, server_cores) if workers else server_cores,
        shared=cores if count == 1 else 0,
    )


def failure(failed: Failed, name: str, workload: Workload) -> str | None:
    """Return why a target cannot be measured under a workload."""
    return failed.get((name, "")) or failed.get((name, workload.name))


def measure_trial(
    trial: Trial, servers: Mapping[str, RunningServer], failed: Failed, actions: Actions, *, number: int
) -> Iterator[Measurement]:
    """Yield one measurement for each target of the trial, in round `number`.

    What voids one of a duet alone, such as its statuses, leaves the other its figures.
    """
    load, names = trial.load, [target.name for target in trial.targets]
    reason = next(filter(None, (failure(failed, name, load.workload) for name in names)), None)
    observations: list[Observation] = []
    if not reason:
        try:
            observations = actions.load([servers[name] for name in names], load)
            own = any(target.command or target.url for target in trial.targets)
            reason = limit_reason(observations, load, None if own else servers[names[0]].settings.workers)
        except TRIAL_ERRORS as error:
            reason = str(error)
    for i, name in enumerate(names):
        seen = observations[i] if observations else None
        amiss = [reason, None if (name, "") in failed else servers[name].lost_workers()]
        notes: list[str] = []
        if seen:
            amiss.append(void_reason(seen.wrk, connections=load.connections))
            little = little_note(seen.wrk, load) if trial.method is Method.SOLO else None  # not of frozen wrks
            notes += [*filter(None, [little]), *seen.disturbances]
        yield Measurement(
            round=number,
            method=trial.method,
            target=name,
            partner=names[1 - i] if len(names) > 1 else None,
            connections=load.connections,
            workload=load.workload.name,
            threads=load.threads,
            wrk=seen.wrk if seen else None,
            use=seen.use if seen else None,
            report=seen.report if seen else "",
            notes=tuple(notes),
            invalid_reason="; ".join(dict.fromkeys(filter(None, amiss))) or None,
        )


@contextlib.contextmanager
def blame(name: str, failed: Failed, workload: str = "") -> Iterator[None]:
    """Record the failure of what is done for a target."""
    try:
        yield
    except TRIAL_ERRORS as error:
        failed[name, workload] = str(error)


def measure_launch(launch: Launch, actions: Actions) -> Iterator[TargetFacts | Measurement]:
    """Yield each target's facts once its server is up, then the measurements of each trial, in order.

    A server that does not start voids the trials that it has a part in; so does one that answers other than 2xx, for
    that workload.
    """
    servers: dict[str, RunningServer] = {}
    failed: Failed = {}
    loads = {trial.load.workload.name: trial.load for trial in reversed(launch.trials)}
    with contextlib.ExitStack() as stack:
        names = " and ".join(target.label for target in launch.targets)
        actions.note(f"{names}: starting (round {launch.round})", LAUNCH_ESTIMATE_S * len(launch.targets))
        for target in launch.targets:  # both at once: of two that start in turn, the second has the better luck
            with blame(target.name, failed):
                servers[target.name] = stack.enter_context(actions.start(target))
        for name, server in servers.items():
            with blame(name, failed):
                server.await_workers(tick=actions.tick)
        for target in launch.targets:
            responses: dict[str, Response] = {}
            for load in loads.values() if (target.name, "") not in failed else ():
                server, workload = servers[target.name], load.workload
                with blame(target.name, failed, workload.name):
                    response = responses[workload.name] = probe(server.url(workload.path), workload)
                    if not 200 <= response.status <= 299:
                        words = last_words(server.log_text()) if response.status >= 500 else NO_REASON
                        why = "" if words == NO_REASON else f"; its last words: {words}"
                        what = f"{workload.method} /{server.url(workload.path).split('/', 3)[3]}"
                        raise BenchError(f"{target.name} answers {response.status} to {what}{why}")
            known = dict(sorted(responses.items(), key=lambda item: [*WORKLOADS, item[0]].index(item[0])))
            yield facts_of(target, servers.get(target.name), known)
            for load in loads.values():
                if not failure(failed, target.name, load.workload):
                    with blame(target.name, failed, load.workload.name):
                        actions.warm_up(servers[target.name], load)
        for trial in launch.trials:
            label = " and ".join(target.label for target in trial.targets)
            what = describe_load(trial.load.workload.name if len(loads) > 1 else "hello", trial.load.connections)
            actions.note(f"{label}: {what} (round {launch.round})", trial.load.duration_s)
            yield from measure_trial(trial, servers, failed, actions, number=launch.round)


def with_comparisons(results: Results, names: Sequence[str]) -> Results:
    return dataclasses.replace(results, comparisons=compare_all(results.measurements, names))


def run_experiment(plan: Plan, results: Results, actions: Actions) -> tuple[Results, bool]:
    """Return the results with all of the plan's measurements, saved after each launch where that can be done.

    And whether it was interrupted: then the results are those of whole rounds, in the first round what there is.
    """
    names, current = [target.name for target in plan.targets], 1
    try:
        for launch in schedule(plan):
            current = launch.round
            for found in measure_launch(launch, actions):
                if isinstance(found, Measurement):
                    results = dataclasses.replace(results, measurements=(*results.measurements, found))
                else:
                    known = {facts.name: facts for facts in results.targets}
                    if found.name not in known or len(found.responses) > len(known[found.name].responses):
                        known[found.name] = found
                    results = dataclasses.replace(results, targets=tuple(known[x] for x in names if x in known))
            results = with_comparisons(results, names)
            with contextlib.suppress(BenchError):  # told when the last save fails: the measuring goes on
                actions.save(results)
    except KeyboardInterrupt:
        whole = tuple(m for m in results.measurements if m.round < current or current == 1)
        warnings = (*results.warnings, f"interrupted in round {current} of {plan.rounds}")
        return with_comparisons(dataclasses.replace(results, measurements=whole, warnings=warnings), names), True
    return results, False


# --- 8. command line ----------------------------------------------------------------------------------------------

app = typer.Typer(
    help=(__doc__ or "micropie_bench").splitlines()[0],  # python -OO has no docstrings
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def console_on(stream: IO[str]) -> Console:
    """Return a console on the stream: as wide as the terminal, or as wide as need be where there is none."""
    terminal = stream.isatty()
    width = None if terminal else WIDE
    return Console(
        file=stream, width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False, soft_wrap=True
    )


for _name in ("stdin", "stdout", "stderr"):  # one that was closed is None
    if getattr(sys, _name) is None:
        setattr(sys, _name, open(os.devnull, "r+"))  # noqa: SIM115  # as long as the process
for _stream in (sys.stdout, sys.stderr):
    if isinstance(_stream, io.TextIOWrapper):
        _stream.reconfigure(errors="backslashreplace")
stdout, stderr = console_on(sys.stdout), console_on(sys.stderr)

WorkersOption = Annotated[int, typer.Option("-w", "--workers", min=1, help="Worker processes of the server.")]
AccessLogOption = Annotated[bool, typer.Option(help="The server's access log; the gist had it on.")]
LoopOption = Annotated[Loop, typer.Option(help="uvicorn's event loop; auto is uvloop if installed.")]
HttpOption = Annotated[Http, typer.Option(help="uvicorn's HTTP parser; auto is httptools if installed.")]
JsonOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write the results as JSON ('-': stdout).")]
MarkdownOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write all of it, to be pasted.")]
CsvOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write a row for each measurement.")]
HtmlOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write a page with charts.")]
GithubOption = Annotated[str | None, typer.Option(metavar="FILE", help="Write JSON for github-action-benchmark.")]
ConnectionsOption = Annotated[str | None, typer.Option("-c", "--connections", help="Counts to run. [100,200]")]
ThreadsOption = Annotated[int, typer.Option("-t", "--threads", min=1, help="wrk's threads.")]
DurationOption = Annotated[str | None, typer.Option("-d", "--duration", help="Of each trial. [5s]")]
RoundsOption = Annotated[int | None, typer.Option("-r", "--rounds", min=1, help="Launches of each target. [6]")]
PathOption = Annotated[str | None, typer.Option(help="The path to request. [/]")]
MethodOption = Annotated[str | None, typer.Option(help="The request's method. [GET]")]
HeaderOption = Annotated[list[str] | None, typer.Option("--header", metavar="'NAME: VALUE'", help="A header to send.")]
BodyOption = Annotated[str | None, typer.Option(metavar="FILE", help="What to send as the request's body.")]
WorkloadOption = Annotated[list[str] | None, typer.Option("--workload", help=f"{', '.join(WORKLOADS)}; repeatable.")]
ServerOption = Annotated[AsgiServer, typer.Option("--server", help="What serves ASGI apps.")]
PythonOption = Annotated[str | None, typer.Option(metavar="PATH", help="The Python that runs apps of your own.")]
RemoteOption = Annotated[bool, typer.Option("--allow-remote", help="Send load to other machines, too.")]
SeedOption = Annotated[int | None, typer.Option(help="Of the random order; chosen and recorded if not given.")]
DuetOption = Annotated[bool | None, typer.Option("--duet/--no-duet", help="Trials of two at once. [where possible]")]
PortOption = Annotated[int | None, typer.Option(min=1, max=65535, help="The servers' port. [free ones]")]
WrkOption = Annotated[str | None, typer.Option(envvar="MICROPIE_BENCH_WRK", metavar="PATH", help="The wrk to use.")]


def find_python(wanted: str | None) -> str:
    """Return the path of the Python asked for, empty if none is. Raises UsageError if it is not there."""
    if not wanted:
        return ""
    found = shutil.which(wanted)
    if not found:
        raise UsageError(f"--python {wanted!r}: no such program")
    return str(Path(found).absolute())


def built_in_target(name: str, named: str, version: str, *, asgi: AsgiServer, pins: Sequence[str]) -> Target:
    """Return a built-in target, at a version if one is given; `pins` are versions of server packages that differ.

    Raises UsageError if it is neither installed nor to be fetched.
    """
    built_in = BUILT_INS[named]
    target = Target(
        name=name,
        label=name if name != f"{named}@{version}".rstrip("@") else f"{built_in.label} {version}".strip(),
        spec=f"{named}@{version}" if version else named,
        app=f"apps:{named}",
        app_dir=APPS,
        packages=built_in.packages,
        package_dir=ROOT if BUNDLED and not version else None,
    )
    if version:
        if not built_in.packages:
            raise UsageError(f"{target.spec!r}: {named} is part of this tool, and has no versions")
        servers = package_versions(SERVER_PACKAGES) | dict(pin.split("==") for pin in pins)
        wanted = [f"{built_in.packages[0]}=={version}", *(f"{package}=={x}" for package, x in servers.items())]
        wanted += [asgi] if asgi is not AsgiServer.UVICORN else []
        return dataclasses.replace(target, requirements=tuple(wanted))
    for package in [*built_in.packages[:1], asgi]:
        if not package_versions([package]):
            at = f"{named}@VERSION" if package == asgi else f"{package}@VERSION"
            raise UsageError(f"{package} is not installed here: install it, or use {at}, which fetches it")
    return target


def parse_target(
    text: str, *, python: str | None = None, asgi: AsgiServer = AsgiServer.UVICORN, pins: Sequence[str] = ()
) -> Target:
    """Return the target that `[NAME=]SPEC` names. Raises UsageError if it is none."""
    named = re.fullmatch(r"([\w.@-]+)=(.+)", text)
    name, spec = named.groups() if named else (text, text)
    kind, _, rest = spec.partition(":")
    built_in, at, version = spec.partition("@")
    if built_in in BUILT_INS:
        if at and not re.fullmatch(r"\d[\w.!+]*", version):
            raise UsageError(f"unknown target {spec!r}: a version is like {built_in}@0.32")
        return built_in_target(name, built_in, version, asgi=asgi, pins=pins)
    if kind == "cmd":
        try:
            words = shlex.split(rest)
        except ValueError as error:
            raise UsageError(f"{spec!r}: {error}") from None
        if not words or not any("{port}" in word for word in words):
            raise UsageError(
                f"{spec!r}: a command needs {{port}} where its port goes, as in 'cmd:server --port {{port}}'"
            )
        if name == text:
            name = Path(words[0]).name.replace("{python}", "python")
        return Target(name=name, label=name, spec=spec, command=rest, app_dir=Path.cwd(), python=find_python(python))
    if kind in ("http", "https"):
        split_url(spec)
        return Target(name=name, label=name, spec=spec, url=spec)
    if re.fullmatch(r"[\w.]+:[\w.]+", spec):
        return Target(name=name, label=name, spec=spec, app=spec, app_dir=Path.cwd(), python=find_python(python))
    raise UsageError(
        f"unknown target {spec!r}: use {', '.join(BUILT_INS)}, one of these @VERSION, module:attribute for an ASGI app "
        "in this directory, cmd:COMMAND, or http://HOST:PORT/"
    )


def parse_targets(texts: Sequence[str], *, python: str | None, asgi: AsgiServer) -> tuple[Target, ...]:
    """Return the targets, fastapi and micropie if none is given. Raises UsageError for a name used twice."""
    targets = tuple(parse_target(text, python=python, asgi=asgi) for text in texts or ("fastapi", "micropie"))
    names = [target.name for target in targets]
    for name in names:
        if names.count(name) > 1:
            spec = next(target.spec for target in targets if target.name == name)
            raise UsageError(f"two targets are named {name!r}: name them apart, as in 'a={spec}' 'b={spec}'")
    return targets


def loopback(host: str) -> bool:
    """Return whether the host is this machine, as far as its name resolves to loopback addresses alone."""
    try:
        found = {str(address[4][0]) for address in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in found)


def check_remote(targets: Sequence[Target], loads: Sequence[Load], rounds: int, *, allowed: bool) -> None:
    """Say what is sent to other machines. Raises UsageError if that is not allowed."""
    for target in targets:
        host = split_url(target.url)[1] if target.url else "127.0.0.1"
        if not loopback(host):
            seconds, most = rounds * sum(load.duration_s for load in loads), max(load.connections for load in loads)
            sent = f"requests without pause on up to {most} connections, for {seconds} s in all"
            if not allowed:
                raise UsageError(
                    f"{target.url}: not this machine. This sends it {sent}: an attack, unless it is yours; "
                    "--allow-remote if it is"
                )
            say(f"warning: sending {host} {sent}")


def parse_workloads(
    names: Sequence[str] | None, *, path: str | None, method: str | None, headers: list[str] | None, body: str | None
) -> tuple[Workload, ...]:
    """Return the workloads by name, or the one that the other options describe. Raises UsageError."""
    if names:
        if path is not None or method is not None or headers or body is not None:
            raise UsageError("--workload names a whole request: leave out --path, --method, --header and --body")
        if unknown := [name for name in names if name not in WORKLOADS]:
            raise UsageError(f"--workload {unknown[0]!r}: use {', '.join(WORKLOADS)}")
        return tuple(workload for name, workload in WORKLOADS.items() if name in names)
    path = "/" if path is None else path
    if not re.fullmatch(r"/[!\"$-~]*", path):
        raise UsageError(f"--path {path!r}: a path begins with / and has no space, # or letter beyond ASCII")
    if method is not None and not re.fullmatch(r"(?!HEAD$|CONNECT$)[A-Z]{1,20}", method := method.upper()):
        raise UsageError(
            f"--method {method!r}: use one such as GET or POST; wrk cannot read the answers to HEAD, CONNECT"
        )
    pairs: list[tuple[str, str]] = []
    taken = {"host", "content-length", "connection", "transfer-encoding", "expect", "upgrade"}
    for header in headers or ():
        match = re.fullmatch(r"([!#$%&'*+.^_`|~\w-]+):[ \t]*([ -~]*)", header, re.ASCII)
        if not match or match[1].lower() in taken:
            raise UsageError(
                f"--header {header!r}: use 'Name: value', each name once, and none of {', '.join(sorted(taken))}"
            )
        taken.add(match[1].lower())
        pairs.append((match[1], match[2].strip()))
    try:
        content = Path(body).read_bytes() if body is not None else b""
    except OSError as error:
        raise UsageError(f"--body {body!r}: {error.strerror}") from None
    method = method or ("POST" if content else "GET")
    plain = (method, path, bool(pairs), bool(content)) == ("GET", "/", False, False)
    name = "hello" if plain else f"{method} {path}"
    return (Workload(name=name, method=method, path=path, headers=tuple(pairs), body=content),)


def parse_loads(
    connections: str, *, threads: int, duration_s: int, workloads: Sequence[Workload] = (Workload(),)
) -> tuple[Load, ...]:
    """Return each workload at each of the comma-separated connection counts. Raises UsageError."""
    counts = [part.strip() for part in connections.split(",")]
    if not all(re.fullmatch(r"\d{1,6}", part) and int(part) > 0 for part in counts) or len(set(counts)) < len(counts):
        raise UsageError(
            f"--connections {connections!r}: use different whole numbers from 1 to 999999, such as 100,200"
        )
    if short := [part for part in counts if int(part) < threads]:
        raise UsageError(f"--connections {short[0]} is below --threads {threads}: wrk needs one for each thread")
    each = functools.partial(Load, threads=threads, duration_s=duration_s)
    return tuple(each(connections=int(n), workload=workload) for workload in workloads for n in counts)


class Exporter:
    """Writes a text to a file whole or not at all; '-' is standard output."""

    def __init__(self, option: str, destination: str) -> None:
        """Raises UsageError at once if the file cannot be written: no result may be lost to a typing error."""
        self.to_stdout = destination in ("-", "/dev/stdout")
        self.path = Path(destination)
        try:
            self.whole = not self.path.exists() or self.path.is_file()  # else a device or pipe: nothing to replace
            if self.whole and not self.to_stdout:
                self.path = self.path.resolve()
                tempfile.TemporaryFile(dir=self.path.parent).close()
            if not self.to_stdout and (self.path.is_file() or self.path.is_dir()):
                self.path.open("a").close()
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            raise UsageError(f"{option} {destination!r}: {getattr(error, 'strerror', None) or error}") from None

    def write(self, text: str) -> None:
        """Write the file in one step. Raises BenchError."""
        if self.to_stdout:
            sys.stdout.flush()
            sys.stdout.buffer.write(text.encode(errors="backslashreplace"))  # in files and here alike: UTF-8
            sys.stdout.buffer.flush()
            return
        part = self.path.with_name(f".micropie_bench-{os.getpid()}.part") if self.whole else self.path
        try:
            try:
                part.write_text(text, encoding="utf-8", errors="backslashreplace")
                if self.whole:
                    part.replace(self.path)
            finally:
                if self.whole:
                    part.unlink(missing_ok=True)
        except OSError as error:
            raise BenchError(f"not written: {self.path}: {error.strerror}") from None


Render = Callable[[Results, Mapping[str, str], Sequence[Table | str]], str]
RENDERS: dict[str, Render] = {
    "--export-json": lambda results, _labels, _closing: to_json(results),
    "--export-markdown": to_markdown,
    "--export-csv": lambda results, _labels, _closing: to_csv(results),
    "--export-html": to_html,
    "--export-github-benchmark": lambda results, labels, _closing: to_github_benchmark(results, labels),
}


class Exports:
    """The files that results are written to, by option."""

    def __init__(self, *destinations: str | None, inputs: Sequence[str] = ()) -> None:
        """Take them in the order of RENDERS. Raises UsageError if one cannot be written, or is one of the inputs."""
        named = zip(RENDERS, destinations, strict=False)
        self._files = {option: Exporter(option, file) for option, file in named if file is not None}
        used = [option for option, file in self._files.items() if file.to_stdout]
        if len(used) > 1:
            raise UsageError(f"{' and '.join(used)} cannot share standard output")
        whole = [file.path for file in self._files.values() if file.whole and not file.to_stdout]
        if len(set(whole)) < len(whole):
            raise UsageError(f"two exports go to one file: {max(whole, key=whole.count)}")
        if read := [file for file in inputs if Path(file).resolve() in whole]:
            raise UsageError(f"{read[0]!r} is to be read: export to another file")
        self.console = stderr if used else stdout  # for the tables

    def save(self, results: Results) -> None:
        """Write what was measured so far as JSON, where that can be written anew."""
        file = self._files.get("--export-json")
        if file and file.whole and not file.to_stdout:
            file.write(to_json(results))

    def write(self, results: Results, labels: Mapping[str, str], closing: Sequence[Table | str]) -> None:
        """Write all of them. Raises BenchError for those that were not written, once all others are."""
        failures = []
        for option, file in self._files.items():
            try:
                file.write(RENDERS[option](results, labels, closing))
            except BenchError as error:
                failures.append(str(error))
        if failures:
            raise BenchError("; ".join(failures))


class ProgressReport:
    """Tells on standard error what runs now: with the time left on a terminal, as plain lines elsewhere."""

    def __init__(self, total_s: float) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

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
            say(text)

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


def say(text: str) -> None:
    """Print a line on standard error; a measurement does not fail for want of a reader."""
    with contextlib.suppress(OSError):
        stderr.print(text)


def show(renderables: Sequence[Table | str], *, console: Console) -> None:
    """Print tables and lines. A pipe gets Markdown without padding; on a terminal headers wrap, figures never."""
    for renderable in renderables:
        if isinstance(renderable, str):
            console.print(renderable)
            continue
        for column in renderable.columns:
            column.min_width = max(map(len, [*map(str, column.cells), *str(column.header).split()]))
        needed = sum((column.min_width or 0) + 2 for column in renderable.columns)
        width = console.width if console.is_terminal and needed <= console.width else WIDE
        title, lines = table_lines(renderable, width=width, terminal=console.is_terminal)
        print("\n".join(["", *([f"{title}\n"] if title else []), *lines, ""]), file=console.file)


@app.callback(invoke_without_command=True)
def top(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,  # noqa: ARG001  # main() reads them
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # noqa: ARG001
) -> None:
    if context.invoked_subcommand is None:
        raise UsageError("no command given: try --help")


@app.command()
def serve(
    target: Annotated[str, typer.Argument(help="A built-in target, one @VERSION, module:attribute or cmd:COMMAND.")],
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    workers: WorkersOption = 4,
    access_log: AccessLogOption = True,
    loop: LoopOption = Loop.AUTO,
    http: HttpOption = Http.AUTO,
    python: PythonOption = None,
) -> int:
    """Run one target in the foreground, as the gist did; Ctrl-C ends it."""
    server = Server(host=host, port=port, workers=workers, access_log=access_log, loop=loop, http=http)
    served = parse_target(target, python=python)
    if served.url:
        raise UsageError(f"{target}: somebody else serves that")
    served = fetch(served, say)
    try:
        with RunningServer(served, server, log=None) as running:
            running.await_workers(deadline_s=math.inf)
            while (child := running.child) and not child.exit:
                await_any([child], 3600)
            status = child.exit.code if child and child.exit else "unknown"
    except KeyboardInterrupt:
        return 0
    raise BenchError(f"{target}: the server ended by itself, with status {status}")


def new_results(**facts: Any) -> Results:
    """Return results without measurements, of this moment and this command."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return Results(created=created, command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]), **facts)


def make_plan(
    targets: tuple[Target, ...],
    *,
    loads: tuple[Load, ...],
    rounds: int,
    seed: int | None,
    duet: bool | None,
    server: Server,
) -> Plan:
    """Return the plan; duets by default where rounds can tell of them. Raises UsageError where they cannot be had."""
    if server.asgi is not AsgiServer.UVICORN and server.http is not Http.AUTO:
        raise UsageError(f"--http is uvicorn's: {server.asgi} has its own")
    possible = len(targets) > 1 and len(all_cores()) > 1 and not any(target.url for target in targets)
    if duet and not possible:
        raise UsageError(
            "--duet needs two targets that it starts, at least 2 cores, and a system with CPU affinity (Linux)"
        )
    if duet and server.port:
        raise UsageError("--duet runs two servers at once: leave out --port, or use --no-duet")
    chosen = possible and rounds > 1 and not server.port if duet is None else duet
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    return Plan(targets=targets, loads=loads, rounds=rounds, seed=seed, server=server, duet=chosen)


def run_plan(plan: Plan, *, wrk: str | None, save: Callable[[Results], None]) -> tuple[Results, bool]:
    """Return the results of the whole plan, and whether it was interrupted."""
    wrk_path = find_wrk(wrk)
    if plan.server.port:
        free_port(plan.server.host, plan.server.port)
    load = plan.loads[0]
    workloads = {each.workload.name: each.workload for each in plan.loads}.values()
    plan = dataclasses.replace(plan, targets=tuple(fetch(target, say) for target in plan.targets))
    results = new_results(
        seed=plan.seed,
        settings=dataclasses.asdict(plan.server)
        | {"connections": list(dict.fromkeys(x.connections for x in plan.loads)), "threads": load.threads}
        | {"workloads": [dataclasses.asdict(x) | {"body": hashlib.sha256(x.body).hexdigest()} for x in workloads]}
        | {"duration_s": load.duration_s, "rounds": plan.rounds, "duet": plan.duet, "warm_up_s": WARM_UP_S},
        environment=environment(wrk_path),
        warnings=tuple(
            f"{finding.check}: {finding.found}; {finding.remedy}"
            for finding in examine(workers=plan.server.workers, loads=plan.loads)
            if finding.warns
        ),
    )
    for warning in results.warnings:
        say(f"warning: {warning}")
    with (
        tempfile.TemporaryDirectory(prefix="micropie_bench-") as name,
        contextlib.closing(ProgressReport(planned_s(plan))) as progress,
    ):
        return run_experiment(plan, results, actions_for(plan, wrk_path, Path(name), progress, save))


def finish(
    results: Results,
    labels: Mapping[str, str],
    exports: Exports,
    *,
    closing: Sequence[Table | str],
    interrupted: bool = False,
    verbose: bool = False,
) -> int:
    """Print tables, notes and closing lines, write the exports, and return the exit status."""
    console = exports.console
    try:
        exports.write(results, labels, closing)
    finally:
        if verbose:
            show(verbose_reports(results, labels), console=console)
        show(result_tables(results, labels, markdown=not console.is_terminal), console=console)
        if console.is_terminal and not console.is_dumb_terminal and console.width >= 60:
            show(bars(results, labels, width=min(100, console.width)), console=console)
        show([*measurement_notes(results.measurements, labels), *closing], console=console)
    if interrupted:
        say(f"{results.warnings[-1]}: the results are those of the rounds before")
        return 130
    return 0 if all(m.valid for m in results.measurements) else 1


def run_and_report(
    plan: Plan,
    exports: Exports,
    *,
    wrk: str | None,
    closing: Callable[[Results, Mapping[str, str]], Sequence[Table | str]],
    verbose: bool = False,
    gate: Gate | None = None,
) -> int:
    """Carry the plan out, print and export its results with these closing lines, and return the exit status."""
    results, interrupted = run_plan(plan, wrk=wrk, save=exports.save)
    results = dataclasses.replace(results, distributions=distribute(results.measurements))
    labels = {target.name: target.label for target in plan.targets}
    decision, trips = gate.decide(results, labels) if gate else ([], False)
    lines = [*closing(results, labels), *decision]
    status = finish(results, labels, exports, closing=lines, interrupted=interrupted, verbose=verbose)
    tell_github(lambda: to_markdown(results, labels, lines), decision)
    return status or int(trips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """When a slower target fails the run: beyond the margin, against a baseline's results or the reference."""

    margin: float
    baseline: Results | None

    def decide(self, results: Results, labels: Mapping[str, str]) -> tuple[list[str], bool]:
        """Return the decision on each target and load, with its reason, and whether it trips.

        It trips if an interval lies beyond the margin as a whole, not on a point estimate; or if there is none.
        """
        changes = slowdowns(results.comparisons, self.baseline.comparisons if self.baseline else None)
        if not changes:
            return ["gate failed: there is no interval to decide by for the same targets under the same load."], True
        reference = labels[changes[0].load.reference]
        against = f"the baseline, each relative to {reference}" if self.baseline else reference
        told, trips = [], False
        for change in changes:
            c, slower = change.load, change.low > 1 + self.margin
            trips = trips or slower
            interval = f"{100 * c.confidence:.4g}% CI {change.low - 1:+.1%} to {change.high - 1:+.1%}"
            open_ = "" if slower or change.high <= 1 + self.margin else " It could be: more rounds would tell."
            told.append(
                f"gate {'failed' if slower else 'passed'}: {labels[c.target]} at {describe_load(*load_key(c))} takes "
                f"{change.slowdown - 1:+.1%} against {against} ({interval}; {METRIC_NAMES[c.metric]}, {c.method}): "
                f"{'' if slower else 'not '}slower by more than {100 * self.margin:.4g}% with confidence.{open_}"
            )
        return told, trips


def make_gate(fail_if_slower: str | None, baseline: str | None, plan: Plan) -> Gate | None:
    """Return the gate that is asked for, if any. Raises UsageError, BenchError."""
    if fail_if_slower is None:
        if baseline is not None:
            raise UsageError("--baseline needs --fail-if-slower, such as 5%")
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", fail_if_slower.strip())
    if not match:
        raise UsageError(f"--fail-if-slower {fail_if_slower!r}: use a share such as 5%")
    if plan.rounds < 2 or len(plan.targets) < 2:
        raise UsageError("--fail-if-slower needs at least 2 rounds and 2 targets: it decides by an interval")
    before = read_results(baseline) if baseline is not None else None
    if before:
        reference, *others = [target.name for target in plan.targets]
        wanted = {(x, reference, load.workload.name, load.connections) for x in others for load in plan.loads}
        there = {(c.target, c.reference, *load_key(c)) for c in before.comparisons if c.ci_low}
        if not wanted & there:
            told = "; ".join(f"{x} against {y}, {n} connections, {w}" for x, y, w, n in sorted(there)) or "none"
            raise UsageError(f"--baseline {baseline!r} has no interval for what is compared here; it has: {told}")
    return Gate(margin=float(match[1]) / 100, baseline=before)


def read_results(file: str) -> Results:
    """Return the results in a file. Raises BenchError."""
    try:
        return from_json(Path(file).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise BenchError(f"cannot read {file!r}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
    except BenchError as error:
        raise BenchError(f"{file!r}: {error}") from None


def tell_github(markdown: Callable[[], str], decision: Sequence[str]) -> None:
    """In GitHub Actions, add the Markdown to the step's summary, and the gate's findings as annotations."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(summary, "a") as file:
                file.write(markdown())
        except OSError as error:
            say(f"warning: GITHUB_STEP_SUMMARY not written: {error.strerror}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in decision:
            kind = "error" if line.startswith("gate failed") else "notice"
            say(f"::{kind} title=micropie_bench::" + line.replace("%", "%25"))


@app.command()
def compare(
    targets: Annotated[list[str] | None, typer.Argument(help="[NAME=]SPEC; the first is the reference.")] = None,
    connections: ConnectionsOption = None,
    threads: ThreadsOption = 4,
    duration: DurationOption = None,
    rounds: RoundsOption = None,
    workers: WorkersOption = 4,
    workload: WorkloadOption = None,
    path: PathOption = None,
    method: MethodOption = None,
    header: HeaderOption = None,
    body: BodyOption = None,
    seed: SeedOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="1 round of 1 s at 100 connections.")] = False,
    gist: Annotated[bool, typer.Option("--gist", help="The gist's own: 1 round of 30 s.")] = False,
    duet: DuetOption = None,
    access_log: AccessLogOption = True,
    loop: LoopOption = Loop.AUTO,
    http: HttpOption = Http.AUTO,
    server: ServerOption = AsgiServer.UVICORN,
    python: PythonOption = None,
    port: PortOption = None,
    wrk: WrkOption = None,
    allow_remote: RemoteOption = False,
    baseline: Annotated[str | None, typer.Option(metavar="RESULTS.json", help="What the gate compares with.")] = None,
    fail_if_slower: Annotated[str | None, typer.Option(metavar="SHARE", help="Exit 1 beyond it, such as 5%.")] = None,
    export_json: JsonOption = None,
    export_markdown: MarkdownOption = None,
    export_csv: CsvOption = None,
    export_html: HtmlOption = None,
    export_github_benchmark: GithubOption = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print wrk's own reports too.")] = False,
) -> int:
    """Measure targets under the same load, and print the gist's tables and a verdict."""
    if quick and gist:
        raise UsageError("--quick and --gist exclude each other")
    duration_s = parse_duration(duration if duration is not None else "1s" if quick else "30s" if gist else "5s")
    counts = connections if connections is not None else "100" if quick else "100,200"
    workloads = parse_workloads(workload, path=path, method=method, headers=header, body=body)
    plan = make_plan(
        parse_targets(targets or [], python=python, asgi=server),
        loads=parse_loads(counts, threads=threads, duration_s=duration_s, workloads=workloads),
        rounds=rounds or (1 if quick or gist else 6),
        seed=seed,
        duet=duet,
        server=Server(port=port, workers=workers, access_log=access_log, loop=loop, http=http, asgi=server),
    )
    check_remote(plan.targets, plan.loads, plan.rounds, allowed=allow_remote)
    exports = Exports(export_json, export_markdown, export_csv, export_html, export_github_benchmark)
    gate = make_gate(fail_if_slower, baseline, plan)
    return run_and_report(plan, exports, wrk=wrk, closing=conclude, verbose=verbose, gate=gate)


@app.command()
def calibrate(
    target: Annotated[str, typer.Argument(help="[NAME=]SPEC, measured against itself.")] = "fastapi",
    connections: Annotated[str, typer.Option("-c", "--connections", help="Counts to run.")] = "100,200",
    threads: ThreadsOption = 4,
    duration: Annotated[str, typer.Option("-d", "--duration", help="Of each trial.")] = "5s",
    rounds: RoundsOption = None,
    workers: WorkersOption = 4,
    workload: WorkloadOption = None,
    path: PathOption = None,
    seed: SeedOption = None,
    duet: DuetOption = None,
    access_log: AccessLogOption = True,
    loop: LoopOption = Loop.AUTO,
    http: HttpOption = Http.AUTO,
    server: ServerOption = AsgiServer.UVICORN,
    python: PythonOption = None,
    wrk: WrkOption = None,
    allow_remote: RemoteOption = False,
    export_json: JsonOption = None,
) -> int:
    """Measure a target against itself: how small a difference can this machine resolve?"""
    spec = parse_target(target, python=python, asgi=server)
    duration_s = parse_duration(duration)
    if rounds == 1:
        raise UsageError("--rounds 1 shows no uncertainty: calibrate needs at least 2")
    workloads = parse_workloads(workload, path=path, method=None, headers=None, body=None)
    plan = make_plan(
        tuple(dataclasses.replace(spec, name=name, label=f"{spec.label} ({name})") for name in ("a", "b")),
        loads=parse_loads(connections, threads=threads, duration_s=duration_s, workloads=workloads),
        rounds=rounds or 6,
        seed=seed,
        duet=duet,
        server=Server(workers=workers, access_log=access_log, loop=loop, http=http, asgi=server),
    )
    check_remote(plan.targets, plan.loads, plan.rounds, allowed=allow_remote)
    return run_and_report(plan, Exports(export_json), wrk=wrk, closing=calibration)


@app.command()
def reproduce(
    duration: Annotated[str, typer.Option("-d", "--duration", help="Of each trial.")] = "5s",
    rounds: RoundsOption = None,
    seed: SeedOption = None,
    quick: Annotated[bool, typer.Option("--quick", help="1 round of 1 s.")] = False,
    duet: DuetOption = None,
    wrk: WrkOption = None,
    export_json: JsonOption = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print wrk's own reports too.")] = False,
) -> int:
    """Measure the gist on its own stack, next to its published figures."""
    named = [f"{name}={spec}" for name, spec in PUBLISHED_STACK.items()]
    plan = make_plan(
        tuple(parse_target(text, pins=PUBLISHED_PINS) for text in named),
        loads=parse_loads("100,200", threads=4, duration_s=1 if quick else parse_duration(duration)),
        rounds=rounds or (1 if quick else 6),
        seed=seed,
        duet=duet,
        server=Server(),
    )
    closing = functools.partial(reproduction, markdown=not stdout.is_terminal)
    return run_and_report(plan, Exports(export_json), wrk=wrk, closing=closing, verbose=verbose)


@app.command()
def doctor(
    workers: WorkersOption = 4,
    connections: Annotated[str, typer.Option("-c", "--connections", help="Counts to run.")] = "100,200",
    threads: ThreadsOption = 4,
    wrk: WrkOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Say what on this machine would spoil a measurement, each with its remedy."""
    loads = parse_loads(connections, threads=threads, duration_s=5)
    findings = [examine_wrk(wrk), *examine(workers=workers, loads=loads)]
    if as_json:
        sys.stdout.write(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=2) + "\n")
        return 0
    table = _table("", ("Check", "State", "Found", "Why it matters, and the remedy"), markdown=not stdout.is_terminal)
    for column in table.columns:
        column.justify = "left"
    for finding in findings:
        advice = f"{finding.why}: {finding.remedy}" if finding.warns else finding.why
        table.add_row(finding.check, finding.state, finding.found, advice)
    show([table], console=stdout)
    return 0


def actions_for(
    plan: Plan, wrk: str, work_dir: Path, progress: ProgressReport, save: Callable[[Results], None]
) -> Actions:
    """Return the real actions: servers, wrk, the export file and the progress report."""
    run = functools.partial(run_load, wrk, work_dir=work_dir, tick=progress.tick)
    numbers = itertools.count()
    return Actions(
        start=lambda target: RunningServer(target, plan.server, log=work_dir / f"server-{next(numbers) % 2}.log"),
        warm_up=lambda server, load: run([server], load, cut_s=WARM_UP_S),
        load=run,
        save=save,
        tick=progress.tick,
        note=progress.note,
    )


@app.command()
def parse(
    file: Annotated[str, typer.Argument(help="A file with wrk's reports; '-' is standard input.")] = "-",
    export_json: JsonOption = None,
    export_markdown: MarkdownOption = None,
    export_csv: CsvOption = None,
    export_html: HtmlOption = None,
    export_github_benchmark: GithubOption = None,
) -> int:
    """Print the gist's tables from wrk's own text; a line before a report names its framework."""
    exports = Exports(export_json, export_markdown, export_csv, export_html, export_github_benchmark, inputs=[file])
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {file!r}: {error.strerror}") from None
    text = data.decode("utf-8-sig", errors="replace")
    measurements = parse_reports(text)
    results = new_results(seed=None, settings={}, environment={}, measurements=tuple(measurements))
    labels = labels_of(results)
    return finish(results, labels, exports, closing=conclude(results, labels))


SAME_LOAD = ("workloads", "threads", "duration_s", "workers", "access_log")


NAMED = ("targets", "measurements", "comparisons", "distributions")  # the parts of results that name targets


def marked(results: Results, mark: str) -> Results:
    """Return the results with that mark after each target's name and label."""

    def names(item: Any) -> Any:
        fields = ("name", "label", "target", "reference", "partner")
        return dataclasses.replace(item, **{x: getattr(item, x) + mark for x in fields if getattr(item, x, None)})

    parts: dict[str, Any] = {part: tuple(map(names, getattr(results, part))) for part in NAMED}
    return dataclasses.replace(results, **parts)


def side_by_side(files: Sequence[str]) -> tuple[Results, list[str]]:
    """Return the results of all files as one, and sentences: each one's conclusions, and what differs.

    Raises UsageError if they were not made under the same load.
    """
    read = {file: read_results(file) for file in dict.fromkeys(files)}
    first = next(iter(read.values()))
    for file, results in read.items():
        if other := [name for name in SAME_LOAD if results.settings.get(name) != first.settings.get(name)]:
            raise UsageError(f"{file!r} and {files[0]!r} differ in {', '.join(other)}: show them one by one")
    if len(read) == 1:
        return first, conclude(first, labels_of(first))
    stems = {file: Path(file).stem for file in read}
    short = stems if len(set(stems.values())) == len(stems) else {file: file for file in read}
    parts = [marked(results, f" [{short[file]}]") for file, results in read.items()]
    sentences = [sentence for part in parts for sentence in conclude(part, labels_of(part))]
    for name in sorted({name for part in parts for name in part.environment}):
        found = {short[file]: str(results.environment.get(name)) for file, results in read.items()}
        if name not in ("executable", "wrk", "bundle") and len(set(found.values())) > 1:
            told = "; ".join(f"{stem}: {value}" for stem, value in found.items())
            sentences.append(f"They differ in {name.replace('_', ' ')}: {told}.")
    whole: dict[str, Any] = {x: tuple(y for part in parts for y in getattr(part, x)) for x in (*NAMED, "warnings")}
    return dataclasses.replace(first, **whole), sentences


@app.command()
def report(
    files: Annotated[
        list[str], typer.Argument(metavar="RESULTS.json...", help="From --export-json; README: Results file.")
    ],
    export_json: JsonOption = None,
    export_markdown: MarkdownOption = None,
    export_csv: CsvOption = None,
    export_html: HtmlOption = None,
    export_github_benchmark: GithubOption = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Print wrk's own reports too.")] = False,
) -> int:
    """Show saved results again, in any format; several side by side."""
    exports = Exports(export_json, export_markdown, export_csv, export_html, export_github_benchmark, inputs=files)
    results, closing = side_by_side(files)
    try:
        finish(results, labels_of(results), exports, closing=closing, verbose=verbose)
    except (ArithmeticError, AttributeError, TypeError, ValueError) as error:
        raise BenchError(f"{', '.join(files)}: a value in it is none that was ever measured: {error}") from error
    return 0


@app.command(name="targets")
def list_targets(wrk: WrkOption = None) -> int:
    """List what can be measured here, with versions."""
    table = Table("Target", "What it is", "Versions", box=None if stdout.is_terminal else box.MARKDOWN)
    for name, built_in in BUILT_INS.items():
        versions = package_versions(built_in.packages)
        missing = [package for package in built_in.packages if package not in versions]
        told = ", ".join(f"{package} {version}" for package, version in versions.items())
        table.add_row(name, built_in.about, f"not here; {name}@VERSION is fetched" if missing else told)
    table.add_row("NAME@VERSION", "one of these at a version, fetched from the Python index", "")
    table.add_row("module:attribute", "an ASGI app found from this directory", "")
    table.add_row("cmd:COMMAND", "any server, with {port}, {host}, {workers} and {python} filled in", "")
    table.add_row("http://HOST:PORT/", "a server that runs already", "")
    servers = ", ".join(f"{package} {version}" for package, version in package_versions(SERVER_PACKAGES).items())
    served = f"\nServed by {servers}; Python {platform.python_version()} ({sys.executable})."
    show([table, served, f"Load by wrk {examine_wrk(wrk).found}."], console=stdout)
    return 0


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status; an error is one line on standard error."""
    leading = list(itertools.takewhile(lambda argument: argument.startswith("-"), argv))
    debug = "--debug" in leading
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        if "--version" in leading:  # typer would import pydantic for it
            stdout.print(f"micropie_bench {__version__}")
            return 0
        return app(args=list(argv), prog_name="micropie_bench", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (BenchError, TyperException, OSError) as error:
        if debug:
            traceback.print_exc()
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        if getattr(error, "errno", None) in (errno.EPIPE, errno.ENOSPC):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that Python's last flush is quiet
        if getattr(error, "errno", None) != errno.EPIPE:
            say(f"micropie_bench: {' '.join(message.split())}")
        return getattr(error, "exit_code", 1)


def entry_point() -> NoReturn:
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry_point()
