"""Targets as they were asked for. How they are started is the business of serve/."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from micropie_benchlib.core.choices import AsgiServer, Http, Loop
from micropie_benchlib.core.values import Name, Pairs, Port, Positive, Scheme, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """How targets are served, or one of them.

    Without a `port` a free one is chosen for each launch. A server may take
    `start_timeout_s` until it answers.
    """

    host: str = "127.0.0.1"
    port: Port | None = None
    workers: Positive = 4
    access_log: bool = True
    loop: Loop = Loop.AUTO
    http: Http = Http.AUTO
    proxy_headers: bool = True
    asgi: AsgiServer = AsgiServer.UVICORN
    start_timeout_s: Seconds = 60.0


def host_and_port(host: str, port: int) -> str:
    """Return the address as it stands in a URL, such as `[::1]:8000`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseTarget:
    """What every target has: a `name` for files and options, a `label` for tables.

    `spec` is what the user typed after `NAME=`. The others are empty where a kind of target
    has no such thing. `server` is how it is served, where that is not how all targets are;
    `env` is added to its environment, with placeholders as in commands. `python` is its
    interpreter; this one if empty. The versions of `packages` decide its speed. Where these
    are not simply the interpreter's own, `requirements` are fetched on first use, or
    `package_dir` already holds them. A built-in is one of apps.py.
    """

    name: Name
    label: str
    spec: str
    server: ServerSettings | None = None
    env: Pairs = ()
    python: str = ""
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    package_dir: Path | None = None
    is_built_in: bool = False

    is_launched: ClassVar[bool] = True  # its server is started for it
    is_app: ClassVar[bool] = False  # a server of AsgiServer runs it, as the settings say

    @property
    def urls(self) -> tuple[str, ...]:
        return ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts of the user's in which a secret may stand."""
        return (*self.urls, *(value for _, value in self.env))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The commit that a target's code is of, by its hash.

    `ref` is the commit as typed. Without one it is that of the working tree, which may have
    changes that are not committed.
    """

    commit: str
    ref: str = ""
    is_clean: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedTarget(BaseTarget):
    """A target whose server is started for it, in `directory`.

    `prepare` is what a shell does before each launch. It is asked by `scheme`.

    With a ref in its `source` the directory is that of the working tree until the commit's
    files are checked out. Then nothing may be imported from this `repository`. Modules are
    looked for in the `root` of its code and in src/ there before all others.
    """

    directory: Path
    prepare: str = ""
    scheme: Scheme = "http"
    source: Source | None = None
    root: Path | None = None
    repository: Path | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        return (*super(StartedTarget, self).texts, self.prepare)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiTarget(StartedTarget):
    """An ASGI app, `module:attribute`, that a server of AsgiServer runs.

    Its modules lie in `directory`. The server gets the `arguments` besides its own. Fetched
    requirements are those of a day, in ISO 8601, `as_of` it.
    """

    is_app: ClassVar[bool] = True

    app: str
    arguments: tuple[str, ...] = ()
    as_of: str = ""

    @property
    def top_module(self) -> str:
        """The name of its module, or of the package that this is in."""
        return self.app.partition(":")[0].partition(".")[0]

    @property
    def texts(self) -> tuple[str, ...]:
        return (*super(AsgiTarget, self).texts, shlex.join(self.arguments))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandTarget(StartedTarget):
    command: str

    @property
    def texts(self) -> tuple[str, ...]:
        return (*super(CommandTarget, self).texts, self.command)


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlTarget(BaseTarget):
    """A server that somebody else runs. It has no command, and is always ready.

    `addresses` are those of the URL's host, looked up once; empty until then.
    """

    is_launched: ClassVar[bool] = False

    url: str
    addresses: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        return (self.url,)

    @property
    def scheme(self) -> Scheme:
        return "https" if self.url.startswith("https:") else "http"


LaunchedTarget = AsgiTarget | CommandTarget  # each a StartedTarget
Target = AsgiTarget | CommandTarget | UrlTarget
