"""Servers that trials are made on: their interface, and those that somebody else runs."""

import abc
from collections.abc import Iterable, Sequence
from typing import Self

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import WorkerFacts
from micropie_benchlib.core.targets import ServerSettings, Target, UrlTarget, host_and_port
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.serve.addresses import addresses_of, split_url
from micropie_benchlib.serve.kinds import NeededFiles
from micropie_benchlib.serve.probe import Probe, can_connect
from micropie_benchlib.serve.versions import NO_VERSIONS, PackageVersions
from micropie_benchlib.system.children import Child, Tick


class RunningServer(abc.ABC):
    """A server that trials are made on; as a context manager it ends what was launched.

    `settings` is how it is served, if this tool decides that. `child` is what runs it, if that
    is of this process.
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
    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> tuple[Response, ...]:
        """Return its responses on one connection. Raises BenchError if there is none in time."""

    def worker_facts(self) -> WorkerFacts | None:
        return None

    def lost_workers(self) -> str | None:
        """Return what is wrong since it was ready; None if nothing is, or that is not known."""
        return None

    def complaint(self) -> str:
        """Return the line of its log that says best what went wrong; empty if none does."""
        return ""

    def log_excerpt(self) -> list[str]:
        return []


class LocalServer(RunningServer):
    """One that may be looked into from here; `code` is the files of which it was made."""

    code = NeededFiles([])

    def versions(self) -> PackageVersions:
        return NO_VERSIONS

    def processes(self) -> list[psutil.Process]:
        return []

    def counted_workers(self) -> Iterable[psutil.Process]:
        return []

    @abc.abstractmethod
    def pin(self, cores: Sequence[int]) -> None: ...


class UrlServer(LocalServer):
    """Somebody else's server. All requests go to one address, since a name may change its own."""

    def __init__(self, target: UrlTarget) -> None:
        self.target = target
        self._url = target.url
        self.addresses = target.addresses
        self._scheme, self._host, self._port = split_url(target.url)
        self.address = self._first_reachable()
        if self._scheme == "http" and self.address != self._host:
            self.host_header = target.url.split("/")[2]

    def _first_reachable(self) -> str:
        *others, last = self.addresses or [self._host]
        for address in others:
            if can_connect(address, self._port):
                return address
        return last

    def __exit__(self, *_: object) -> None: ...

    def url(self, path: str) -> str:
        """Return the target's own URL for `/`; for any other path, that on its host."""
        root = "/".join(self._url.split("/")[:3])
        if path != "/":
            return root + path
        return self._url if self._url != root else f"{root}/"

    def load_url(self, path: str) -> str:
        """With https the name must stay, as wrk sends it (SNI): it is looked up again."""
        url = self.url(path)
        if self.host_header:
            place = host_and_port(self.address, self._port)
            return url.replace(f"//{self.host_header}", f"//{place}", 1)
        if not self.addresses:
            return url
        current = addresses_of(self._host)
        if not current or not set(current) <= set(self.addresses):
            raise BenchError(
                f"{self._host} has another address than before, "
                "which gets no requests: use the address in the URL"
            )
        return url

    def await_workers(
        self, *, tick: Tick = lambda: None, deadline_s: float | None = None
    ) -> None: ...

    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> tuple[Response, ...]:
        """No other connection is tried, for it should run already."""
        url = self.url(workload.path)
        return Probe(url, workload, watch=tick, address=self.address).ask()

    def pin(self, cores: Sequence[int]) -> None: ...
