"""Servers that somebody else runs."""

from __future__ import annotations

from collections.abc import Sequence

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.targets import UrlTarget, name_place
from micropie_benchlib.serve.addresses import addresses_of, split_url
from micropie_benchlib.serve.probe import Probe, can_connect
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.system.children import Tick


class UrlServer(LocalServer):
    """A server that somebody else runs: never started, stopped, pinned or looked into.

    All requests go to the address that was looked up once: a name may mean another
    machine by then.
    """

    def __init__(self, target: UrlTarget) -> None:
        self.target = target
        self._url = target.url
        self.addresses = target.addresses
        self._scheme, self._host, self._port = split_url(target.url)
        self.address = self._first_reachable()
        if self._scheme == "http" and self.address != self._host:
            self.host_header = target.url.split("/")[2]

    def _first_reachable(self) -> str:
        """Return the first address that accepts a connection, else the last of all."""
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
        """Return the URL with the address in it, where that can be.

        With https wrk tells the server the URL's host (SNI), so that the name must stay
        there: it is looked up again just before. Raises BenchError if it has changed.
        """
        url = self.url(path)
        if self.host_header:
            place = name_place(self.address, self._port)
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

    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> Response:
        """Return its response; it is not asked twice, for it should run already."""
        url = self.url(workload.path)
        return Probe(url, workload, watch=tick, address=self.address).ask()

    def pin(self, cores: Sequence[int]) -> None: ...
