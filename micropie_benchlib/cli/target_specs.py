"""A target as asked for, made into one that can be served."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from micropie_benchlib.cli.tables import SERVER_KEYS, TargetTable
from micropie_benchlib.cli.target_syntax import (
    command_words,
    find_python,
    is_url,
    parse_day,
    unknown_target,
)
from micropie_benchlib.core.built_ins import BUILT_INS, BuiltIn
from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.paths import APPS, BUNDLED, ROOT
from micropie_benchlib.core.secrets import without_url_secrets
from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    ServerSettings,
    Target,
    UrlTarget,
)
from micropie_benchlib.serve.addresses import split_url
from micropie_benchlib.serve.asgi import ASGI_SERVERS
from micropie_benchlib.serve.versions import package_versions

DECIDED_ARGUMENT = re.compile(
    r"--(host|port|bind|uds|fd|workers|reload|app-dir|interface|loop|worker-class"
    r"|(no-)?access-log(file)?|(no-)?proxy-headers)(=|$)|-[bwk]"
)
KEYS_WITHOUT_MEANING: Mapping[str, tuple[str, ...]] = {
    "an ASGI app": (),
    "a built-in": ("scheme", "directory"),
    "a command": ("server", "arguments", "access_log", "loop", "http", "proxy_headers"),
    "a URL": tuple(field.name for field in dataclasses.fields(TargetTable) if field.name != "url"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A target as asked for, and what decides how it is served.

    `table` has what it sets itself, `server` what all do. `python` is one that all apps of
    the user's have.
    """

    name: str
    table: TargetTable
    directory: Path
    server: ServerSettings
    python: str | None

    @property
    def spec(self) -> str:
        """The target as on the command line."""
        return self.table.spec

    def target(self) -> Target:
        """Return the target that is meant. Raises UsageError if there is none."""
        if self.table.command is not None:
            return self._command_target(self.table.command)
        if self.table.url is not None:
            return self._url_target(self.table.url)
        built_in = self.spec.partition("@")[0]
        if built_in in BUILT_INS:
            return self._built_in_target(built_in)
        if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", self.spec) or ".py:" in self.spec:
            raise unknown_target(self.spec)
        return AsgiTarget(
            name=self.name,
            label=self.name,
            spec=self.spec,
            app=self.spec,
            directory=self._own_directory(),
            python=find_python(self.table.python or self.python),
            arguments=self._arguments(),
            scheme=self.table.scheme or "http",
            **self._common("an ASGI app"),
        )

    def _common(self, kind: str) -> dict[str, Any]:
        """Return what all targets that are started may set.

        Raises UsageError for what has no meaning for a target of that kind.
        """
        for key in KEYS_WITHOUT_MEANING[kind]:
            if key in self.table.given:
                raise UsageError(f"{self.name}.{key} has no meaning for {kind}: leave it out")
        return {
            "env": tuple((self.table.env or {}).items()),
            "prepare": self.table.prepare or "",
            "server": self.table.server_settings(self.server),
        }

    def _arguments(self) -> tuple[str, ...]:
        """Return what its server gets besides. Raises UsageError for what the tool decides."""
        arguments = self.table.arguments or ()
        for argument in arguments:
            if DECIDED_ARGUMENT.match(argument):
                raise UsageError(
                    f"{self.name}.arguments: leave out {argument}, which this tool decides; "
                    f"{', '.join(SERVER_KEYS)} are keys of their own"
                )
        return arguments

    def _own_directory(self) -> Path:
        """Return where it runs. Raises UsageError if there is no such directory."""
        directory = Path(self.table.directory or self.directory).absolute()
        if not directory.is_dir():
            raise UsageError(f"{self.name}.directory: there is no directory {str(directory)!r}")
        return directory

    def _url_target(self, url: str) -> UrlTarget:
        """Return a server that somebody else runs. Raises UsageError if it cannot be one."""
        if not is_url(url):
            raise UsageError(f"{url!r}: a URL begins with http:// or https://")
        self._common("a URL")
        split_url(url)
        return UrlTarget(name=self.name, label=self.name, spec=without_url_secrets(url), url=url)

    def _built_in_target(self, key: str) -> AsgiTarget:
        """Return a built-in; raise UsageError if it is neither here nor to be fetched."""
        built_in = BUILT_INS[key]
        version = self._release(key)
        if "PYTHONPATH" in (self.table.env or {}):
            raise UsageError(
                f"{self.name}.env.PYTHONPATH has no meaning for a built-in, which runs with "
                "what was installed for it: leave it out"
            )
        label = f"{built_in.label} {version}" if version else built_in.label
        python = find_python(self.table.python)
        target = AsgiTarget(
            name=self.name,
            label=label if self.name == self.spec else self.name,
            spec=self.spec,
            app=f"apps:{key}",
            directory=APPS,
            python=python,
            arguments=self._arguments(),
            packages=built_in.packages,
            package_dir=ROOT if BUNDLED and not version and not python else None,
            is_built_in=True,
            **self._common("a built-in"),
        )
        asgi = (target.server or self.server).asgi
        if parse_day(version):
            requirements = (*built_in.packages[:1], *ASGI_SERVERS[asgi].packages)
            return dataclasses.replace(target, requirements=requirements, as_of=version)
        if version:
            requirements = self._requirements(built_in, version, asgi)
            return dataclasses.replace(target, requirements=requirements)
        self._require_installed(target, asgi)
        return target

    def _release(self, key: str) -> str:
        """Return the version of a built-in that is asked for, or the day; empty if none is.

        Raises UsageError for what is neither.
        """
        if self.spec == key:
            return ""
        release = self.spec.removeprefix(f"{key}@")
        if not parse_day(release) and not re.fullmatch(r"\d[\w.!+]*", release):
            raise UsageError(
                f"unknown target {self.spec!r}: a version is like {key}@0.32, a day like "
                f"{key}@2025-06-03"
            )
        if self.table.python:
            raise UsageError(f"{self.name}.python: a fetched version runs on this tool's Python")
        return release

    def _require_installed(self, target: AsgiTarget, asgi: AsgiServer) -> None:
        """Raise UsageError if the built-in's framework, or its server, is not there."""
        for package in [*target.packages[:1], asgi]:
            if package_versions([package], python=target.python):
                continue
            if target.python:
                raise UsageError(
                    f"{self.name}: no {package} there: {target.python} -m pip install {package}"
                )
            release = f"{self.spec if package == asgi else package}@VERSION"
            raise UsageError(
                f"{package} is not installed here: install it, or use {release}, which fetches it"
            )

    def _requirements(self, built_in: BuiltIn, version: str, asgi: AsgiServer) -> tuple[str, ...]:
        """Return what pip fetches: the release, and the servers of the others."""
        if not built_in.packages:
            key = self.spec.partition("@")[0]
            raise UsageError(f"{self.spec!r}: {key} is part of this tool, and has no versions")
        uvicorn, chosen = ASGI_SERVERS[AsgiServer.UVICORN], ASGI_SERVERS[asgi]
        versions = package_versions([*uvicorn.packages, *chosen.packages])
        requirements = [f"{built_in.packages[0]}=={version}"]
        requirements += [f"{name}=={pinned}" for name, pinned in versions.items()]
        if asgi not in versions:
            requirements.append(asgi)
        return tuple(requirements)

    def _command_target(self, command_line: str) -> CommandTarget:
        """Return a server that a command starts. Raises UsageError if it cannot be one."""
        texts = [*command_words(command_line), *(self.table.env or {}).values()]
        if not any("{port}" in text for text in texts):
            raise UsageError(
                f"{self.spec!r}: a command needs {{port}} where its port goes, "
                "as in 'cmd:server --port {port}'"
            )
        if self.table.workers and not any("{workers}" in text for text in texts):
            raise UsageError(f"{self.name}.workers: the command has no {{workers}} to say it by")
        return CommandTarget(
            name=self.name,
            label=self.name,
            spec=self.spec,
            command=command_line,
            directory=self._own_directory(),
            python=find_python(self.table.python or self.python),
            scheme=self.table.scheme or "http",
            **self._common("a command"),
        )
