"""The tables of bench.toml as types."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from micropie_benchlib.cli.requests import (
    parse_headers,
    parse_method,
    parse_path,
    read_body,
    with_content_type,
)
from micropie_benchlib.cli.text import parse_seconds
from micropie_benchlib.cli.variables import Variables
from micropie_benchlib.core.choices import AsgiServer, Http, Loop
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.requests import WORKLOADS, Workload
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.values import FinalStatus, Positive, Scheme
from micropie_benchlib.serve.asgi import ASGI_SERVERS

TABLE_CONFIG: Mapping[str, Any] = {"extra": "forbid", "coerce_numbers_to_str": True}
MAX_SHOWN = 60  # characters of a wrong value
SPEC_KEYS = ("app", "command", "url")
TARGET_NAME = r"[\w.@-]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTable:
    """A target as a table has it; None for what is as for all targets."""

    __pydantic_config__: ClassVar = TABLE_CONFIG

    app: str | None = None
    command: str | None = None
    url: str | None = None
    directory: str | None = None
    python: str | None = None
    env: Mapping[str, str] | None = None
    prepare: str | None = None
    arguments: tuple[str, ...] | None = None
    scheme: Scheme | None = None
    server: AsgiServer | None = None
    workers: Positive | None = None
    access_log: bool | None = None
    loop: Loop | None = None
    http: Http | None = None
    proxy_headers: bool | None = None
    host: str | None = None
    start_timeout: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What it sets, by key."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: value for key, value in values.items() if value is not None}

    @property
    def spec(self) -> str:
        """The target as on the command line."""
        return f"cmd:{self.command}" if self.command else self.app or self.url or ""

    def server_settings(self, common: ServerSettings) -> ServerSettings | None:
        """Return how it is served; None if that is as all are. Raises UsageError."""
        given = self.given
        changes = {key: given[key] for key in SERVER_KEYS if key in given}
        if not changes:
            return None
        if "server" in changes:
            changes["asgi"] = changes.pop("server")
        if "start_timeout" in changes:
            text = changes.pop("start_timeout")
            changes["start_timeout_s"] = parse_seconds("start_timeout", text)
        settings = dataclasses.replace(common, **changes)
        if not ASGI_SERVERS[settings.asgi].has_uvicorn_options:  # what all have is not for it
            settings = dataclasses.replace(
                settings, http=self.http or Http.AUTO, proxy_headers=self.proxy_headers is not False
            )
        ASGI_SERVERS[settings.asgi].check_options(settings)
        return settings


SERVER_KEYS = (
    *("server", "workers", "access_log", "loop", "http", "proxy_headers", "host"),
    "start_timeout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTable:
    """A workload as a table of bench.toml has it."""

    __pydantic_config__: ClassVar = TABLE_CONFIG

    method: str | None = None
    path: str = "/"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: str | None = None
    body_file: str | None = None
    expect_status: FinalStatus | None = None

    def workload(self, name: str, *, directory: Path) -> Workload:
        """Return the workload of that name. Raises UsageError."""
        if name in WORKLOADS:
            raise UsageError("choose another name: a built-in workload has it")
        if self.body is not None and self.body_file is not None:
            raise UsageError("use either body or body_file")
        body = (self.body or "").encode()
        if self.body_file is not None:
            body = read_body(f"@{directory / self.body_file}")
        headers = parse_headers(f"{key}: {value}" for key, value in self.headers.items())
        return Workload(
            name=name,
            method=parse_method(self.method, default="POST" if body else "GET"),
            path=parse_path(self.path),
            headers=with_content_type(headers, body),
            body=body,
            expect_status=self.expect_status,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFile:
    """What bench.toml says. Its paths are as seen from where this tool was started.

    `targets` has what each sets, by name, and `settings` what --set does. `options` are
    defaults of the command line's options; `variables` are the values that were taken from
    the environment.
    """

    directory: Path = Path()
    targets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    workloads: tuple[Workload, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    variables: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """Return the text without the values that were taken from the environment."""
        return Variables(self.variables).hide(text)


NO_FILE = BenchFile()


def check_spec(table: Mapping[str, Any], place: str) -> None:
    """Raise UsageError unless the table says in one way what the target is."""
    if sum(key in table for key in SPEC_KEYS) != 1:
        raise UsageError(f"{place}: a target needs one of app, command and url")
