"""Another machine as a Host: what ThisHost does here, its agent is asked to do there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Self

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.targets import ServerSettings, Target, name_place
from micropie_benchlib.load.generators import Goal, goals_of
from micropie_benchlib.load.hosts import Servers
from micropie_benchlib.load.readings import LoadReading, ServerReading
from micropie_benchlib.remote import messages
from micropie_benchlib.remote.machines import OtherMachine
from micropie_benchlib.remote.messages import Step, Take
from micropie_benchlib.serve.packages import with_packages
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.checks import Finding
from micropie_benchlib.system.children import Tick


class RemoteServer(RunningServer):
    """A server that an agent starts on its machine."""

    settings: ServerSettings

    def __init__(self, machine: OtherMachine, target: Target, settings: ServerSettings) -> None:
        self.machine = machine
        self.settings = settings
        started = machine.ask(messages.Start(target=target, settings=settings))
        self.number = started.number
        self.argv = started.argv
        self.target = dataclasses.replace(target, env=started.env)
        self._port = started.port

    def __exit__(self, *_: object) -> None:
        self.machine.ask_quietly(messages.Stop(number=self.number))

    def url(self, path: str) -> str:
        return f"{self.target.scheme}://{name_place(self.settings.host, self._port)}{path}"

    def versions(self) -> PackageVersions:
        return self.machine.ask(messages.Versions(number=self.number))

    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        assert deadline_s is None  # noqa: S101  # only `serve` has one, which is here
        self.remarks = self.machine.ask(messages.AwaitWorkers(number=self.number), tick=tick)

    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> Response:
        """Return its answer to a request from its own machine. Raises BenchError."""
        request = messages.Ask(number=self.number, workload=workload)
        answered = self.machine.ask(request, tick=tick)
        self.remarks = answered.remarks
        return answered.response

    def lost_workers(self) -> str | None:
        return self.machine.ask(messages.LostWorkers(number=self.number))

    def complaint(self) -> str:
        return self.machine.ask(messages.Complaint(number=self.number))

    def log_excerpt(self) -> list[str]:
        """Return the end of its log, and the exceptions before that."""
        return self.machine.ask(messages.LogExcerpt(number=self.number))


class RemoteServerGroup:
    """A ServerSide on another machine, which does there what ServerGroup does here."""

    def __init__(
        self, machine: OtherMachine, servers: Sequence[RemoteServer], *, halves: bool
    ) -> None:
        self._ask = machine.ask
        self._ask_quietly = machine.ask_quietly
        self._numbers = tuple(server.number for server in servers)
        self._halves = halves

    def __enter__(self) -> Self:
        self._ask(messages.EnterServers(numbers=self._numbers, halves=self._halves))
        return self

    def __exit__(self, *_: object) -> None:
        self._ask_quietly(Take(step=Step.LEAVE_SERVERS))

    def begin(self) -> None:
        self._ask(Take(step=Step.BEGIN))

    def require_alive(self) -> None:
        self._ask(Take(step=Step.REQUIRE_ALIVE))

    def look(self) -> None:
        self._ask(Take(step=Step.LOOK_AT_SERVERS))

    def settle(self) -> None:
        self._ask(Take(step=Step.SETTLE))

    def reading(self, *, load_cpu_s: float) -> ServerReading:
        return self._ask(messages.ReadServers(load_cpu_s=load_cpu_s))


class RemoteWrkGroup:
    """A LoadSide on another machine, which does there what WrkGroup does here."""

    def __init__(
        self, machine: OtherMachine, goals: Sequence[Goal], load: Load, *, halves: bool
    ) -> None:
        self._ask = machine.ask
        self._ask_quietly = machine.ask_quietly
        self._enter = messages.EnterLoad(goals=tuple(goals), load=load, halves=halves)

    def __enter__(self) -> Self:
        self._ask(self._enter)
        return self

    def __exit__(self, *_: object) -> None:
        self._ask_quietly(Take(step=Step.LEAVE_LOAD))

    def open_gates(self) -> None:
        self._ask(Take(step=Step.OPEN_GATES))

    def wait(self, seconds: float) -> bool:
        return self._ask(messages.Wait(seconds=seconds))

    def suspend(self) -> None:
        self._ask(Take(step=Step.SUSPEND))

    def look(self) -> None:
        self._ask(Take(step=Step.LOOK_AT_LOAD))

    def interrupt(self) -> None:
        self._ask(Take(step=Step.INTERRUPT))

    def reading(self) -> LoadReading:
        return self._ask(messages.ReadLoad())


class RemoteHost:
    """Another machine, as a Host: see there."""

    def __init__(self, machine: OtherMachine) -> None:
        self._machine = machine

    def examine(self, *, workers: int, threads: int, connections: int) -> list[Finding]:
        """Return what ThisHost does, with the machine's name in each."""
        request = messages.Examine(workers=workers, threads=threads, connections=connections)
        findings = []
        for finding in self._machine.ask(request):
            check = f"{self._machine.host}: {finding.check}"
            findings.append(dataclasses.replace(finding, check=check))
        return findings

    def fetch(self, target: Target, announce: Callable[[str], None]) -> Target:
        if not target.requirements:
            return target
        announce(f"{target.spec}: having its packages on {self._machine.host}")
        directory = self._machine.ask_by_name(messages.Fetch(target=target))
        return with_packages(target, directory) if directory else target

    def need(self, targets: Sequence[Target]) -> None:
        self._machine.ask_by_name(messages.Need(targets=tuple(targets)))

    def prepare(self, target: Target, *, timeout_s: float) -> None:
        self._machine.ask(messages.Prepare(target=target, timeout_s=timeout_s))

    def start(self, target: Target, settings: ServerSettings) -> RemoteServer:
        return RemoteServer(self._machine, target, settings)

    def reach(self, server: RunningServer, workload: Workload) -> Response:
        """Return the answer. Raises BenchError, with the machine's name."""
        url = server.url(workload.path)
        request = messages.Reach(url=url, workload=workload, address=server.address)
        try:
            return self._machine.ask(request)
        except BenchError as error:
            raise type(error)(f"from {self._machine.host}: {error}") from None

    def server_side(self, servers: Servers, *, halves: bool) -> RemoteServerGroup:
        own = [server for server in servers if isinstance(server, RemoteServer)]
        return RemoteServerGroup(self._machine, own, halves=halves)

    def load_side(self, servers: Servers, load: Load, *, halves: bool) -> RemoteWrkGroup:
        return RemoteWrkGroup(self._machine, goals_of(servers, load), load, halves=halves)
