"""The interface of a server that trials are made on, and of one on this machine."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Self

import psutil

from micropie_benchlib.core.measurements import ServerUse
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.serve.versions import PackageVersions, versions_of
from micropie_benchlib.system.children import Child, Tick


class RunningServer(abc.ABC):
    """A server that trials are made on; as a context manager it ends what was launched.

    `settings` is how it is served, if this tool decides that. `warnings` are about it.
    `child` is what runs it, if that is of this process.
    """

    target: Target
    argv: Sequence[str] = ()
    settings: ServerSettings | None = None
    warnings: tuple[BenchWarning, ...] = ()
    host_header: str = ""  # what wrk must send as Host; empty where that is its URL's
    address: str = ""  # where requests go instead of the URL's host; empty if they do not
    child: Child | None = None

    def __enter__(self) -> Self:
        return self

    @abc.abstractmethod
    def __exit__(self, *_: object) -> None:
        """End it, if it was launched."""

    @abc.abstractmethod
    def url(self, path: str) -> str: ...

    def load_url(self, path: str) -> str:
        """Return the URL that wrk is given. Raises BenchError if load must not go there."""
        return self.url(path)

    @abc.abstractmethod
    def versions(self) -> PackageVersions: ...

    @abc.abstractmethod
    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        """Return once it is ready. Raises BenchError if it is not in time."""

    @abc.abstractmethod
    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> Response:
        """Return its response to one request. Raises BenchError if there is none in time."""

    def lost_workers(self) -> str | None:
        """Return what is wrong since it was ready; None if nothing is, or that is not known."""
        return None

    def complaint(self) -> str:
        """Return the line of its log that says best what went wrong; empty if none does."""
        return ""

    def log_excerpt(self) -> list[str]:
        return []


class LocalServer(RunningServer):
    """A server that may be looked into from here: not one that somebody else runs."""

    def versions(self) -> PackageVersions:
        return versions_of(self.target)

    def processes(self) -> list[psutil.Process]:
        return []

    def cpu_s(self) -> dict[psutil.Process, float]:
        """Return the CPU time of each of its processes so far, in seconds."""
        return {}

    def use_since(self, _before: Mapping[psutil.Process, float]) -> ServerUse | None:
        """Return what it used since that cpu_s(); None if that is not known."""
        return None

    @abc.abstractmethod
    def pin(self, cores: Sequence[int]) -> None: ...
