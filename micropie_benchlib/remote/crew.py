"""Which machines take part, and what each does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import is_one_place
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.load.generators import WrkGroup, goals_of
from micropie_benchlib.load.links import NO_LINK, Link
from micropie_benchlib.load.servers import ServerGroup
from micropie_benchlib.load.sides import LoadSide, ServerSide, Sides
from micropie_benchlib.load.trial import at_once, local_sides
from micropie_benchlib.remote.machines import OtherMachine
from micropie_benchlib.remote.sides import (
    RemoteServer,
    RemoteServerGroup,
    RemoteWrkGroup,
    share_out,
)
from micropie_benchlib.serve.kinds import launched_targets
from micropie_benchlib.serve.packages import fetch, with_packages
from micropie_benchlib.serve.probe import Probe
from micropie_benchlib.serve.servers import LocalServer, RunningServer
from micropie_benchlib.serve.start import run_prepare, start_server
from micropie_benchlib.system.children import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Which machines take part: what serves, and what makes load. None and () are this one.

    `own_link` is that of this machine to the others.
    """

    server: OtherMachine | None = None
    loads: tuple[OtherMachine, ...] = ()
    own_link: Link = NO_LINK

    @property
    def is_one_machine(self) -> bool:
        """Whether servers and load are on one machine."""
        return is_one_place(self.server, self.loads)

    @property
    def roles(self) -> list[tuple[OtherMachine | None, bool, bool]]:
        """Each machine that takes part, whether it serves, and whether it makes load."""
        if self.is_one_machine:
            return [(self.server, True, True)]
        loads = self.loads or (None,)
        return [(self.server, True, False), *((load, False, True) for load in loads)]

    def fetch(self, target: Target, announce: Callable[[str], None]) -> Target:
        """Return the target with its packages, where it is served."""
        if not self.server or not target.requirements:
            return fetch(target, announce)
        announce(f"{target.spec}: having its packages on {self.server.host}")
        directory = Path(self.server.ask_for(str, "fetch", target))
        return with_packages(target, directory)

    def prepare(self, target: Target, *, timeout_s: float) -> None:
        """Let a shell do what comes before each launch of the target."""
        if self.server and target.is_launched:
            self.server.call(None, "prepare", target, timeout_s)
        else:
            run_prepare(target, timeout_s=timeout_s)

    def start(self, target: Target, settings: ServerSettings, *, log: Path) -> RunningServer:
        """Return the target's server. Raises BenchError if it cannot be started."""
        if self.server and target.is_launched:
            (launched,) = launched_targets([target])
            return RemoteServer(self.server, launched, settings)
        return start_server(target, settings, log=log)

    def ask(self, server: RunningServer, workload: Workload, *, tick: Tick) -> Response:
        """Return the answer to a request from where the load comes from. Raises BenchError.

        The server's own machine asks first, which proves that it is the right one.
        """
        response = server.ask(workload, tick=tick)
        if self.is_one_machine:
            return response
        url = server.url(workload.path)
        address = server.address
        if not self.loads:
            return Probe(url, workload, address=address, watch=tick).ask()
        responses = at_once(
            [functools.partial(reach_from, load, url, workload, address) for load in self.loads]
        )
        return responses[0]

    def sides(
        self, wrk: str, servers: Sequence[RunningServer], load: Load, work_dir: Path
    ) -> Sides:
        """Return both sides of a trial, each where it belongs."""
        local = [server for server in servers if isinstance(server, LocalServer)]
        remote = [server for server in servers if isinstance(server, RemoteServer)]
        if not remote and not self.loads:
            return local_sides(wrk, local, load, work_dir=work_dir)
        halves = self.is_one_machine and len(servers) > 1
        goals = goals_of(servers, load)
        served: ServerSide
        if remote:
            served = RemoteServerGroup(remote, halves=halves)
        else:
            served = ServerGroup(local, link=self.own_link)
        loads: list[LoadSide] = []
        for machine, share in zip(self.loads, share_out(load, len(self.loads)), strict=True):
            loads.append(RemoteWrkGroup(machine, goals, share, halves=halves))
        if not loads:
            group = WrkGroup(wrk, goals, load, work_dir=work_dir, link=self.own_link, is_apart=True)
            loads.append(group)
        return Sides(servers=served, loads=loads, are_one_machine=self.is_one_machine)


def reach_from(machine: OtherMachine, url: str, workload: Workload, address: str) -> Response:
    """Return the answer to a request from that machine. Raises BenchError, with its name."""
    try:
        response: Response = machine.call(Response, "reach", url, workload, address)
    except BenchError as error:
        raise type(error)(f"from {machine.host}: {error}") from None
    return response
