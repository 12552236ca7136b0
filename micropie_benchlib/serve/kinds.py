"""How each kind of target is launched."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    LaunchedTarget,
    ServerSettings,
    Target,
    UrlTarget,
)
from micropie_benchlib.serve.apps import app_argv, app_environment, app_files, app_readiness
from micropie_benchlib.serve.commands import (
    Readiness,
    command_argv,
    command_files,
    command_readiness,
    no_advice,
    server_environment,
)
from micropie_benchlib.serve.hints import advice_on


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetKind:
    """How targets of one kind are launched.

    `argv` and `environment` are those of the server on a port. `files` are what it reads its
    program from, `advice` what to do about its last words.
    """

    argv: Callable[[Any, ServerSettings, int], list[str]]
    environment: Callable[[Any, Mapping[str, str]], dict[str, str]]
    readiness: Callable[[ServerSettings], Readiness]
    files: Callable[[Any], set[Path]]
    advice: Callable[[str, Any], str]


TARGET_KINDS: Mapping[type[LaunchedTarget], TargetKind] = {
    AsgiTarget: TargetKind(
        argv=app_argv,
        environment=app_environment,
        readiness=app_readiness,
        files=app_files,
        advice=advice_on,
    ),
    CommandTarget: TargetKind(
        argv=command_argv,
        environment=server_environment,
        readiness=command_readiness,
        files=command_files,
        advice=no_advice,
    ),
}


def launched_targets(targets: Iterable[Target]) -> list[LaunchedTarget]:
    """Return those of the targets whose servers are started for them."""
    return [target for target in targets if not isinstance(target, UrlTarget)]


def with_addresses(target: Target, addresses: Sequence[str]) -> Target:
    """Return the target with the addresses of its URL, if it has one."""
    if isinstance(target, UrlTarget):
        return dataclasses.replace(target, addresses=tuple(addresses))
    return target
