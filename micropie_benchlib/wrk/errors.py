"""What wrk's counts of errors say of a trial."""

from __future__ import annotations

import dataclasses

from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.requests import FIRST_ERROR_STATUS

SOCKET_ERRORS = {
    "connect": "the server refused or dropped connections: "
    "fewer connections, or a larger backlog or ulimit -n",
    "read": "the server closed or reset connections: it crashed or limits keep-alive",
    "write": "the server closed connections before it had read the request",
    "timeout": "answers took longer than wrk waits: fewer connections, or a longer --timeout",
}


def expects_error(expected: int | None) -> bool:
    """Return whether the status that is expected is one that wrk counts as an error."""
    return expected is not None and expected >= FIRST_ERROR_STATUS


def with_unexpected_statuses(wrk: WrkResult, expected: int | None) -> WrkResult:
    """Return the figures with those statuses as errors that were not expected.

    wrk itself counts those above 399, and tells no more of them.
    """
    if not expects_error(expected):
        return wrk
    errors = dataclasses.replace(wrk.errors, status=wrk.requests - wrk.errors.status)
    return dataclasses.replace(wrk, errors=errors)


def invalid_reason(
    wrk: WrkResult, *, connections: int, expect_status: int | None = None
) -> str | None:
    """Return why these figures may not count; None if they may."""
    reasons = []
    for kind, explanation in SOCKET_ERRORS.items():
        count = getattr(wrk.errors, kind)
        if count:
            reasons.append(f"socket errors: {kind} {count} ({explanation})")
    if wrk.errors.status:
        wrong = "above 399"
        if expects_error(expect_status):
            wrong = f"below 400, not {expect_status}"
        reasons.append(f"{wrk.errors.status} of {wrk.requests} responses had a status {wrong}")
    if wrk.requests < connections:
        reasons.append(f"{wrk.requests} requests are fewer than the {connections} connections")
    return "; ".join(reasons) or None
