"""The tables of bench.toml as types."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

from micropie_benchlib.cli.requests import MAX_CONFIG_BYTES, make_workload, read_body, read_whole
from micropie_benchlib.cli.text import Reads, beside_file, parse_seconds, program, words
from micropie_benchlib.core.choices import AsgiServer, Http, Loop
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.requests import WORKLOADS, Workload
from micropie_benchlib.core.secrets import Secrets
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.values import FinalStatus, Positive, Scheme, Seconds
from micropie_benchlib.serve.asgi import ASGI_SERVERS

TABLE_CONFIG: Mapping[str, Any] = {"extra": "forbid", "coerce_numbers_to_str": True}
SPEC_KEYS = ("app", "command", "url")
AT_COMMIT = "@git:"


def variable_name(value: Any, _: Path) -> Any:
    if not re.fullmatch(r"[A-Za-z_]\w*", value):
        raise ValueError("a variable's name has letters, digits and _")
    return value


def seconds(value: Any, _: Path) -> Any:
    return parse_seconds("", value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTable:
    """A target's table. None is a key that is absent: what all targets have applies."""

    __pydantic_config__: ClassVar = TABLE_CONFIG

    app: str | None = None
    command: str | None = None
    url: str | None = None
    directory: Annotated[str | None, Reads(beside_file)] = None
    git: str | None = None
    env_file: Annotated[str | None, Reads(beside_file)] = None
    python: Annotated[str | None, Reads(program)] = None
    env: Mapping[Annotated[str, Reads(variable_name)], str] | None = None
    prepare: str | None = None
    arguments: Annotated[tuple[str, ...] | None, Reads(words)] = None
    scheme: Scheme | None = None
    server: AsgiServer | None = None
    workers: Positive | None = None
    access_log: bool | None = None
    loop: Loop | None = None
    http: Http | None = None
    proxy_headers: bool | None = None
    host: str | None = None
    start_timeout: Annotated[Seconds | None, Reads(seconds)] = None

    @property
    def given(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: value for key, value in values.items() if value is not None}

    def changed_by(self, other: TargetTable) -> TargetTable:
        """Return this table with what the other sets, which may make it another target."""
        changes = other.given
        if any(key in changes for key in SPEC_KEYS):
            changes = {**dict.fromkeys(SPEC_KEYS), **changes}
        if self.env and other.env:
            changes["env"] = {**self.env, **other.env}
        return dataclasses.replace(self, **changes)

    @property
    def variables(self) -> dict[str, str]:
        """Those of `env_file`, changed by `env`. Raises UsageError."""
        return {**read_env_file(self.env_file), **(self.env or {})}

    @property
    def spec(self) -> str:
        if self.command:
            return f"cmd:{self.command}"
        if self.app and self.git:
            return f"{self.app}{AT_COMMIT}{self.git}"
        return self.app or self.url or ""

    def server_settings(self, common: ServerSettings) -> ServerSettings | None:
        changes = {
            SERVER_SETTINGS[key]: value
            for key, value in self.given.items()
            if key in SERVER_SETTINGS
        }
        if not changes:
            return None
        settings = dataclasses.replace(common, **changes)
        if not ASGI_SERVERS[settings.asgi].has_uvicorn_options:  # what all have is not for it
            settings = dataclasses.replace(
                settings, http=self.http or Http.AUTO, proxy_headers=self.proxy_headers is not False
            )
        ASGI_SERVERS[settings.asgi].check_options(settings)
        return settings


VARIABLE = re.compile(
    r"""
    \s* (?:export\s+)? (?P<name>[A-Za-z_]\w*) \s* = \s*
    (?: '(?P<raw>[^']*)' | "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<plain>[^\s'"](?:.*?\S)??)? )
    \s* (?:(?<=\s)\#.*)?
    """,
    re.VERBOSE,
)


def read_env_file(file: str | None) -> dict[str, str]:
    """Return the variables in the file, one a line. Raises UsageError."""
    if file is None:
        return {}
    content = read_whole(file, option="env_file", most_bytes=MAX_CONFIG_BYTES)
    found = {}
    for number, line in enumerate(content.decode(errors="surrogateescape").splitlines(), 1):
        match = VARIABLE.fullmatch(line)
        if match:
            quoted = re.sub(r"\\([\\\"$])", r"\1", match["quoted"] or "")
            found[match["name"]] = match["raw"] or quoted or match["plain"] or ""
        elif line.strip() and not line.lstrip().startswith("#"):
            raise UsageError(f"env_file {file!r}: line {number} is not KEY=VALUE")
    return found


SERVER_SETTINGS = {
    "server": "asgi",
    "workers": "workers",
    "access_log": "access_log",
    "loop": "loop",
    "http": "http",
    "proxy_headers": "proxy_headers",
    "host": "host",
    "start_timeout": "start_timeout_s",
}  # the fields of ServerSettings by the keys of a table


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTable:
    __pydantic_config__: ClassVar = TABLE_CONFIG

    method: str | None = None
    path: str = "/"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: str | None = None
    body_file: Annotated[str | None, Reads(beside_file)] = None
    expect_status: FinalStatus | None = None

    def workload(self, name: str) -> Workload:
        if name in WORKLOADS:
            raise UsageError("choose another name: a built-in workload has this one")
        if self.body is not None and self.body_file is not None:
            raise UsageError("use either body or body_file")
        body = (self.body or "").encode()
        if self.body_file is not None:
            body = read_body(f"@{self.body_file}")
        headers = [f"{key}: {value}" for key, value in self.headers.items()]
        workload = make_workload(
            name=name, method=self.method, path=self.path, headers=headers, body=body
        )
        return dataclasses.replace(workload, expect_status=self.expect_status)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFile:
    """What bench.toml says, with its paths as seen from where this tool was started.

    `settings` has what --set says of targets. `variables` are values from the environment.
    """

    directory: Path = Path()
    targets: Mapping[str, TargetTable] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, TargetTable] = dataclasses.field(default_factory=dict)
    workloads: tuple[Workload, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    variables: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        return without_variables(text, self.variables)


def without_variables(text: str, values: Iterable[str]) -> str:
    return Secrets.of((), (), values).hide_whole_words(text)


NO_FILE = BenchFile()
