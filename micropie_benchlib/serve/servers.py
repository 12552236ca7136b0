"""The interface of a server that trials are made on, and of one on this machine."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Self

import psutil

from micropie_benchlib.core.measurements import ServerUse
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.serve.versions import PackageVersions, versions_of
from micropie_benchlib.system.children import Child, Tick


class RunningServer(abc.ABC):
    """A server that trials are made on; as a context manager it ends what was launched.

    `settings` is how it is served, if this tool decides that. `remarks` are what is odd about
    it, and does not invalidate. `child` is what runs it, if that is of this process.
    """

    target: Target
    argv: Sequence[str] = ()
    settings: ServerSettings | None = None
    remarks: tuple[str, ...] = ()
    host_header: str = ""  # what wrk must send as Host; empty where that is its URL's
    address: str = ""  # where requests go instead of the URL's host; empty if they do not
    child: Child | None = None

    def __enter__(self) -> Self:
        return self

    @abc.abstractmethod
    def __exit__(self, *_: object) -> None:
        """End it, if it was launched."""

    @abc.abstractmethod
    def url(self, path: str) -> str:
        """Return the whole URL of the path."""

    def load_url(self, path: str) -> str:
        """Return the URL that wrk is given. Raises BenchError if load must not go there."""
        return self.url(path)

    @abc.abstractmethod
    def versions(self) -> PackageVersions:
        """Return the versions of what decides its speed, where it runs."""

    @abc.abstractmethod
    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        """Return once it is ready. Raises BenchError if it is not in time."""

    @abc.abstractmethod
    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> Response:
        """Return its answer to one request. Raises BenchError if there is none in time."""

    @abc.abstractmethod
    def lost_workers(self) -> str | None:
        """Return what is amiss since it was ready; None if nothing is."""

    @abc.abstractmethod
    def complaint(self) -> str:
        """Return the line of its log that tells best what went wrong."""

    @abc.abstractmethod
    def log_excerpt(self) -> list[str]:
        """Return the end of its log, and the exceptions before that."""


class LocalServer(RunningServer):
    """A server that can be looked into from here, if anybody can."""

    def versions(self) -> PackageVersions:
        """Return the versions of what decides its speed."""
        return versions_of(self.target)

    @abc.abstractmethod
    def processes(self) -> list[psutil.Process]:
        """Return the live processes of its tree, as far as they are known."""

    @abc.abstractmethod
    def cpu_s(self) -> dict[psutil.Process, float]:
        """Return the CPU time of each of its processes so far, in seconds."""

    @abc.abstractmethod
    def use_since(self, before: Mapping[psutil.Process, float]) -> ServerUse | None:
        """Return what it used since that cpu_s(); None if that is not known."""

    @abc.abstractmethod
    def pin(self, cores: Sequence[int]) -> None:
        """Keep all its threads on these cores."""
