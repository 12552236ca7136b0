"""The sides of a trial, and its servers, on another machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Self

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.targets import LaunchedTarget, ServerSettings, name_place
from micropie_benchlib.load.generators import Goal
from micropie_benchlib.load.readings import LoadReading, ServerReading
from micropie_benchlib.remote.agent import Answered, StartedServer
from micropie_benchlib.remote.machines import OtherMachine
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.children import Tick


class RemoteServer(RunningServer):
    """A server that an agent starts on its machine."""

    settings: ServerSettings

    def __init__(
        self, machine: OtherMachine, target: LaunchedTarget, settings: ServerSettings
    ) -> None:
        self.machine = machine
        self.settings = settings
        started: StartedServer = machine.call(StartedServer, "start", target, settings)
        self.number = started.number
        self.argv = started.argv
        self.target = dataclasses.replace(target, env=started.env)
        self._port = started.port

    def __exit__(self, *_: object) -> None:
        """End its whole process tree."""
        self.machine.quietly("stop", self.number)

    def url(self, path: str) -> str:
        """Return the whole URL of the path."""
        return f"{self.target.scheme}://{name_place(self.settings.host, self._port)}{path}"

    def versions(self) -> PackageVersions:
        """Return the versions of what decides its speed, where it runs."""
        versions: PackageVersions = self.machine.call(PackageVersions, "versions", self.number)
        return versions

    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        """Return once it is ready, which its settings limit. Raises BenchError."""
        assert deadline_s is None  # noqa: S101  # only `serve` has one, which is here
        answered = self.machine.call(Answered, "await_workers", self.number, tick=tick)
        self.remarks = answered.remarks

    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> Response:
        """Return its answer to a request from its own machine. Raises BenchError."""
        answered = self.machine.call(Answered, "ask", self.number, workload, tick=tick)
        self.remarks = answered.remarks
        response: Response = answered.response
        return response

    def lost_workers(self) -> str | None:
        """Return what is amiss since it was ready; None if nothing is."""
        lost: str | None = self.machine.call(str | None, "lost_workers", self.number)
        return lost

    def complaint(self) -> str:
        """Return the line of its log that tells best what went wrong."""
        return str(self.machine.call(str, "complaint", self.number))


class RemoteSide:
    """What both sides of a trial have in common on another machine.

    The methods of the two below do there what ServerGroup and WrkGroup do here.
    """

    def __init__(self, machine: OtherMachine, side: str) -> None:
        self._machine, self._side = machine, side

    def __exit__(self, *_: object) -> None:
        self._machine.quietly("leave", self._side)

    def _do(self, kind: Any, method: str, **options: Any) -> Any:
        return self._machine.call(kind, "of_side", self._side, method, options)

    def look(self) -> None:
        """Take in what shows only under load."""
        self._do(None, "look")


class RemoteServerGroup(RemoteSide):
    """A ServerSide on another machine."""

    def __init__(self, servers: Sequence[RemoteServer], *, halves: bool) -> None:
        super().__init__(servers[0].machine, "servers")
        self._numbers = [server.number for server in servers]
        self._halves = halves

    def __enter__(self) -> Self:
        self._machine.call(None, "enter_servers", self._numbers, halves=self._halves)
        return self

    def begin(self) -> None:
        """Take the readings from which on everything counts."""
        self._do(None, "begin")

    def require_alive(self) -> None:
        """Raise BenchError if a server has ended."""
        self._do(None, "require_alive")

    def settle(self) -> None:
        """Let the servers answer, read their use, and freeze them."""
        self._do(None, "settle")

    def reading(self, *, load_cpu_s: float) -> ServerReading:
        """Return what was seen."""
        reading: ServerReading = self._do(ServerReading, "reading", load_cpu_s=load_cpu_s)
        return reading


class RemoteWrkGroup(RemoteSide):
    """A LoadSide on another machine."""

    def __init__(
        self, machine: OtherMachine, goals: Sequence[Goal], load: Load, *, halves: bool
    ) -> None:
        super().__init__(machine, "load")
        self._goals, self._load, self._halves = goals, load, halves

    def __enter__(self) -> Self:
        self._machine.call(None, "enter_load", self._goals, self._load, halves=self._halves)
        return self

    def open_gates(self) -> None:
        """Let the wrks begin."""
        self._do(None, "open_gates")

    def wait(self, seconds: float) -> bool:
        """Return whether all have ended, after that time or at the news of one."""
        return bool(self._do(bool, "wait", seconds=seconds))

    def suspend(self) -> None:
        """Stop the wrks where they are."""
        self._do(None, "suspend")

    def interrupt(self) -> None:
        """Have the wrks that still run report and end."""
        self._do(None, "interrupt")

    def reading(self) -> LoadReading:
        """Return what the wrks reported."""
        reading: LoadReading = self._do(LoadReading, "reading")
        return reading


SCHEDULES_APART = 1_000_003  # between the seeds of two machines


def share_out(load: Load, machines: int) -> list[Load]:
    """Return the load's share for each machine: as even as threads of wrk can be.

    A rate is shared out like the connections, and each share has a schedule of its own.
    """
    threads = 1 if load.rate_per_s else load.wrk_threads
    per_thread = load.connections // threads
    shares = []
    for machine in range(machines):
        own = (per_thread // machines + (machine < per_thread % machines)) * threads
        share = dataclasses.replace(load, connections=own)
        if load.rate_per_s:
            share = dataclasses.replace(
                share,
                rate_per_s=load.rate_per_s * own / load.connections,
                schedule_seed=load.schedule_seed + machine * SCHEDULES_APART,
            )
        shares.append(share)
    return shares
