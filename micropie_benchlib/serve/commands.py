"""Servers that a command starts; what apps share with them: environment, readiness."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from micropie_benchlib.core.targets import CommandTarget, LaunchedTarget, ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """When a launched server counts as ready.

    `processes` must accept connections on its port. With `has_fixed_workers` there are
    always just so many, and one that goes missing has died. Otherwise processes may come
    and go, and the server is ready once they have come to rest. `log_line` is what its log
    says for each process that serves, for systems that do not tell who accepts; empty if it
    does not say so.
    """

    processes: int
    has_fixed_workers: bool
    log_line: str = ""


def server_environment(target: LaunchedTarget, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the target's server, and of what prepares it.

    The programs of its Python's virtual environment come first.
    """
    environment = dict(inherited)
    if target.python:
        paths = [str(Path(target.python).parent), environment.get("PATH", os.defpath)]
        environment["PATH"] = os.pathsep.join(paths)
    return environment | dict(target.env)


def filled(text: str, target: LaunchedTarget, settings: ServerSettings, port: int) -> str:
    """Return the text with {port}, {host}, {workers} and {python} filled in."""
    values = {
        "{port}": str(port),
        "{host}": settings.host,
        "{workers}": str(settings.workers),
        "{python}": target.python or sys.executable,
    }
    return re.sub(r"\{(port|host|workers|python)\}", lambda match: values[match[0]], text)


def command_argv(target: CommandTarget, settings: ServerSettings, port: int) -> list[str]:
    """Return the command's words, with {port} and the others filled in."""
    return [filled(word, target, settings, port) for word in shlex.split(target.command)]


def command_readiness(_settings: ServerSettings) -> Readiness:
    """Return when it is ready: when a process accepts and all have come to rest."""
    return Readiness(processes=1, has_fixed_workers=False)


PROGRAM_SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".php", ".pl", ".jar")


def command_files(target: CommandTarget) -> set[Path]:
    """Return the programs that the command's words name, in its directory.

    A file of data may change while it runs.
    """
    files = [target.directory / word for word in shlex.split(target.command)]
    return {file for file in files if file.suffix in PROGRAM_SUFFIXES and file.is_file()}


def no_advice(_words: str, _target: LaunchedTarget) -> str:
    """Return nothing: what a command says is its own affair."""
    return ""
