"""The workloads of the options, or of bench.toml."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from micropie_benchlib.cli.load_options import RequestOptions
from micropie_benchlib.cli.requests import (
    parse_headers,
    parse_method,
    parse_path,
    read_body,
    with_content_type,
)
from micropie_benchlib.cli.tables import NO_FILE, BenchFile
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.cli.text import did_you_mean
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.requests import (
    DEFAULT_WORKLOAD,
    NAMED_WORKLOADS,
    WRK_TIMEOUT_S,
    Workload,
)
from micropie_benchlib.core.secrets import without_url_secrets
from micropie_benchlib.core.units import parse_duration

LONGEST_TIMEOUT_S = 120  # wrk takes 8 MB of memory for each second of it


def parse_workloads(request: RequestOptions, file: BenchFile = NO_FILE) -> tuple[Workload, ...]:
    """Return the workloads by name, or those that the other options describe.

    Without either they are those of the file. Raises UsageError for a name or a value that
    wrk cannot send.
    """
    described = (request.path, request.method, request.header, request.body)
    is_described = any(option is not None for option in described)
    if request.workload and is_described:
        raise UsageError(
            "--workload names a whole request: leave out --path, --method, --header and --body"
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
            raise UsageError(f"--timeout {request.timeout!r}: at most {LONGEST_TIMEOUT_S}s")
    return tuple(
        dataclasses.replace(
            workload,
            expect_status=request.expect_status or workload.expect_status,
            keep_alive=request.keep_alive,
            timeout_s=timeout_s,
        )
        for workload in workloads
    )


def named_workloads(wanted: Sequence[str], file: BenchFile) -> list[Workload]:
    """Return the workloads of --workload. Raises UsageError."""
    known = {workload.name: workload for workload in (*NAMED_WORKLOADS, *file.workloads)}
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"--workload {name!r}{did_you_mean(name, known)}: use {', '.join(known)}"
            )
    return [workload for workload in known.values() if workload.name in wanted]


def described_workloads(request: RequestOptions, file: BenchFile) -> list[Workload]:
    """Return a workload for each --path; all have the other options. Raises UsageError."""
    body = read_body(request.body)
    method = parse_method(request.method, default="POST" if body else "GET")
    given = parse_headers(request.header or ())
    headers = with_content_type(given, body)
    if headers != given:
        say("the body is JSON: Content-Type: application/json is sent with it")
    workloads: dict[str, Workload] = {}
    for text in request.path or ("/",):
        path = parse_path(text)
        name = f"{method} {file.hide(without_url_secrets(path))}"
        if (method, path, headers, body) == ("GET", "/", (), b""):
            name = DEFAULT_WORKLOAD
        if name in workloads:
            raise UsageError(f"--path {without_url_secrets(path)!r} is given twice")
        workloads[name] = Workload(name=name, method=method, path=path, headers=headers, body=body)
    return list(workloads.values())
