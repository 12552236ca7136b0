"""Starts a target of any kind, and runs its `prepare` first."""

from __future__ import annotations

import os
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.targets import ServerSettings, Target, UrlTarget
from micropie_benchlib.serve.kinds import server_environment
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.logs import NO_REASON, last_error
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.serve.urls import UrlServer
from micropie_benchlib.system.children import run_guarded


def run_prepare(target: Target, *, timeout_s: float) -> None:
    """Let a shell do what comes before each launch of the target. Raises BenchError."""
    if isinstance(target, UrlTarget) or not target.prepare:
        return
    environment = server_environment(target, os.environ)
    try:
        done = run_guarded(
            ["/bin/sh", "-c", target.prepare],
            timeout_s=timeout_s,
            env=environment,
            cwd=target.directory,
        )
    except BenchError as error:
        raise BenchError(f"{target.name}: its prepare: {error} (start_timeout)") from None
    if done.status:
        reason = last_error(done.errors or done.output) or NO_REASON
        raise BenchError(f"{target.name}: its prepare ended with status {done.status}: {reason}")


def start_server(target: Target, settings: ServerSettings, *, log: Path | None) -> LocalServer:
    """Return the target's server, started if it is not somebody else's.

    Raises BenchError if it cannot be started.
    """
    if isinstance(target, UrlTarget):
        return UrlServer(target)
    return LaunchedServer(target, settings, log=log)
