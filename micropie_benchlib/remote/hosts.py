"""Another machine as a Host: what ThisHost does here, its agent does there."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Self

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.targets import ServerSettings, Target, name_place
from micropie_benchlib.load.generators import Goal, WrkGroup, goals_of
from micropie_benchlib.load.hosts import Servers, ThisHost
from micropie_benchlib.load.servers import ServerGroup
from micropie_benchlib.remote.agent import Agent
from micropie_benchlib.remote.machines import ENDED, OtherMachine
from micropie_benchlib.serve.packages import with_packages
from micropie_benchlib.serve.servers import LocalServer, RunningServer
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.checks import Finding
from micropie_benchlib.system.children import Tick


class RemoteServer(RunningServer):
    """A server that an agent starts on its machine."""

    settings: ServerSettings

    def __init__(self, machine: OtherMachine, target: Target, settings: ServerSettings) -> None:
        self.settings = settings
        self._there = machine.there
        started = machine.there("agent", Agent.start)(target, settings)
        self.part = started.part
        self.argv = started.argv
        self.target = dataclasses.replace(target, env=started.env)
        self._port = started.port

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(*ENDED):
            self._there("agent", Agent.stop)(self.part)

    def url(self, path: str) -> str:
        return f"{self.target.scheme}://{name_place(self.settings.host, self._port)}{path}"

    def versions(self) -> PackageVersions:
        return self._there(self.part, LocalServer.versions)()

    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        assert deadline_s is None  # noqa: S101  # only `serve` has one, which is here
        self.remarks = self._there("agent", Agent.await_workers, tick=tick)(self.part)

    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> Response:
        """Return its response to a request from its own machine. Raises BenchError."""
        ask = self._there("agent", Agent.ask, tick=tick)
        response, self.remarks = ask(self.part, workload)
        return response

    def lost_workers(self) -> str | None:
        return self._there(self.part, LocalServer.lost_workers)()

    def complaint(self) -> str:
        return self._there(self.part, LocalServer.complaint)()

    def log_excerpt(self) -> list[str]:
        return self._there(self.part, LocalServer.log_excerpt)()


class RemoteServerGroup:
    """A ServerSide on another machine, which does there what ServerGroup does here."""

    def __init__(
        self, machine: OtherMachine, servers: Sequence[RemoteServer], *, halves: bool
    ) -> None:
        self._there = machine.there
        self._parts = tuple(server.part for server in servers)
        self._halves = halves
        self.begin = machine.there("servers", ServerGroup.begin)
        self.require_alive = machine.there("agent", Agent.require_alive)
        self.look = machine.there("servers", ServerGroup.look)
        self.settle = machine.there("servers", ServerGroup.settle)
        self.reading = machine.there("servers", ServerGroup.reading)

    def __enter__(self) -> Self:
        self._there("agent", Agent.enter_servers)(self._parts, halves=self._halves)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(*ENDED):
            self._there("servers", ServerGroup.__exit__)()


class RemoteWrkGroup:
    """A LoadSide on another machine, which does there what WrkGroup does here."""

    def __init__(
        self, machine: OtherMachine, goals: Sequence[Goal], load: Load, *, halves: bool
    ) -> None:
        self._there = machine.there
        self._goals, self._load, self._halves = tuple(goals), load, halves
        self.open_gates = machine.there("load", WrkGroup.open_gates)
        self.wait = machine.there("load", WrkGroup.wait)
        self.suspend = machine.there("load", WrkGroup.suspend)
        self.look = machine.there("load", WrkGroup.look)
        self.interrupt = machine.there("load", WrkGroup.interrupt)
        self.reading = machine.there("load", WrkGroup.reading)

    def __enter__(self) -> Self:
        enter = self._there("agent", Agent.enter_load)
        enter(self._goals, self._load, halves=self._halves)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(*ENDED):
            self._there("load", WrkGroup.__exit__)()


class RemoteHost:
    """Another machine, as a Host: see there."""

    def __init__(self, machine: OtherMachine) -> None:
        self._machine = machine

    def examine(self, *, workers: int, threads: int, connections: int) -> list[Finding]:
        """Return what ThisHost does, with the machine's name in each."""
        examine = self._machine.there("host", ThisHost.examine)
        findings = []
        for finding in examine(workers=workers, threads=threads, connections=connections):
            check = f"{self._machine.host}: {finding.check}"
            findings.append(dataclasses.replace(finding, check=check))
        return findings

    def fetch(self, target: Target, announce: Callable[[str], None]) -> Target:
        if not target.requirements:
            return target
        announce(f"{target.spec}: having its packages on {self._machine.host}")
        with self._machine.named():
            directory = self._machine.there("agent", Agent.fetch)(target)
        return with_packages(target, directory) if directory else target

    def need(self, targets: Sequence[Target]) -> None:
        with self._machine.named():
            self._machine.there("agent", Agent.need)(tuple(targets))

    def prepare(self, target: Target, *, timeout_s: float) -> None:
        self._machine.there("agent", Agent.prepare)(target, timeout_s=timeout_s)

    def start(self, target: Target, settings: ServerSettings) -> RemoteServer:
        return RemoteServer(self._machine, target, settings)

    def reach(self, server: RunningServer, workload: Workload) -> Response:
        """Return the response. Raises BenchError, with the machine's name."""
        url = server.url(workload.path)
        try:
            return self._machine.there("agent", Agent.reach)(url, workload, server.address)
        except BenchError as error:
            raise BenchError(f"from {self._machine.host}: {error}") from None

    def server_side(self, servers: Servers, *, halves: bool) -> RemoteServerGroup:
        own = [server for server in servers if isinstance(server, RemoteServer)]
        return RemoteServerGroup(self._machine, own, halves=halves)

    def load_side(self, servers: Servers, load: Load, *, halves: bool) -> RemoteWrkGroup:
        return RemoteWrkGroup(self._machine, goals_of(servers, load), load, halves=halves)
