"""The machines of a comparison, and what this one does as one of them."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.secrets import NO_SECRETS, Secrets
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.load.cpu_accounts import Habits
from micropie_benchlib.load.generators import Goal, WrkGroup, goals_of
from micropie_benchlib.load.machine import NO_LINK, Link
from micropie_benchlib.load.servers import CpuMeter, ServerGroup
from micropie_benchlib.load.sides import Host, Servers, Sides
from micropie_benchlib.load.trial import at_once
from micropie_benchlib.serve.commits import with_code
from micropie_benchlib.serve.environments import with_environments
from micropie_benchlib.serve.kinds import NeededFiles, launched_targets, needed_files
from micropie_benchlib.serve.launched import run_prepare, start_server
from micropie_benchlib.serve.logs import trim
from micropie_benchlib.serve.packages import fetch
from micropie_benchlib.serve.probe import Probe
from micropie_benchlib.serve.servers import LocalServer, RunningServer
from micropie_benchlib.system.checks import Finding, examine
from micropie_benchlib.system.children import Tick
from micropie_benchlib.system.processes import all_cores, search_file

SCHEDULES_APART = 1_000_003  # between the seeds of two machines


class ThisHost:
    """This machine. It makes load with `wrk`, if at all; `link` is its own to others."""

    def __init__(self, wrk: str, work_dir: Path, *, link: Link = NO_LINK) -> None:
        self._wrk, self._work_dir, self._link = wrk, work_dir, link
        self._logs = [work_dir / "server-0.log", work_dir / "server-1.log"]
        self._next_log = itertools.cycle(self._logs)
        self._needed = NeededFiles([])
        self._started: dict[str, LocalServer] = {}  # the first of each target
        self._habits: dict[str, Habits] = {}  # by target
        self._meters: list[CpuMeter] = []  # of the servers that run

    def examine(self, *, workers: int, threads: int, connections: int) -> list[Finding]:
        """A count is 0 for what runs elsewhere."""
        return examine(workers=workers, threads=threads, connections=connections)

    def fetch(
        self, targets: Sequence[Target], announce: Callable[[str], None]
    ) -> tuple[Target, ...]:
        placed = [with_code(target, self._work_dir, announce) for target in targets]
        placed = [*with_environments(placed, announce)]
        return tuple(fetch(target, announce) for target in placed)

    def need(self, targets: Sequence[Target]) -> None:
        launched = launched_targets(targets)
        self._needed = needed_files(launched, self._wrk, self._work_dir)

    def check_needed(self) -> None:
        self._needed.check()
        for server in self._started.values():
            server.code.check()

    def prepare(self, target: Target, *, timeout_s: float) -> None:
        run_prepare(target, timeout_s=timeout_s)

    def start(self, target: Target, settings: ServerSettings) -> LocalServer:
        server = start_server(target, settings, log=next(self._next_log))
        self._started.setdefault(target.name, server)
        self._meter_of(server)
        return server

    def _meter_of(self, server: LocalServer) -> CpuMeter:
        for meter in self._meters:
            if meter.server is server:
                return meter
        habits = self._habits.setdefault(server.target.name, Habits())
        meter = CpuMeter(server, habits)
        self._meters = [*self._meters[-1:], meter]  # no more than two servers run at once
        return meter

    def trim_logs(self) -> None:
        for log in self._logs:
            trim(log)

    def reach(self, server: RunningServer, workload: Workload) -> tuple[Response, ...]:
        url = server.url(workload.path)
        return Probe(url, workload, address=server.address).ask()

    def server_side(self, servers: Servers, *, halves: bool) -> ServerGroup:
        meters = []
        for server in servers:
            if isinstance(server, LocalServer):
                meters.append(self._meter_of(server))
        others = []
        for meter in self._meters:
            if meter.is_running and meter not in meters:
                others.append(meter)
        cores = core_halves()[0] if halves else []
        return ServerGroup(meters, others=others, cores=cores, link=self._link)

    def load_side(self, goals: Sequence[Goal], load: Load, *, halves: bool) -> WrkGroup:
        return WrkGroup(
            self._wrk,
            goals,
            load,
            work_dir=self._work_dir,
            cores=core_halves()[1] if halves else [],
            link=self._link,
        )


def core_halves() -> tuple[list[int], list[int]]:
    """Of servers and loads. No physical core is in both, unless there is just one."""
    by_physical_core: dict[str, list[int]] = {}
    for core in all_cores():
        topology = f"/sys/devices/system/cpu/cpu{core}/topology"
        siblings = search_file(f"{topology}/thread_siblings_list", r"^(.+)$")
        by_physical_core.setdefault(siblings or str(core), []).append(core)
    groups = list(by_physical_core.values())
    if len(groups) == 1:
        groups = [[core] for core in groups[0]]
    half = len(groups) // 2
    servers = itertools.chain(*groups[:half])
    loads = itertools.chain(*groups[half:])
    return list(servers), list(loads)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """What runs servers, and what makes load; `here` may be one of them."""

    here: ThisHost
    server: Host
    loads: tuple[Host, ...]
    secrets: Secrets = NO_SECRETS

    @property
    def are_one(self) -> bool:
        return self.loads == (self.server,)

    def host_of(self, target: Target) -> Host:
        return self.server if target.is_launched else self.here

    def fetch(
        self, targets: Sequence[Target], announce: Callable[[str], None]
    ) -> tuple[Target, ...]:
        fetched = self.server.fetch(launched_targets(targets), announce)
        by_name = {target.name: target for target in (*targets, *fetched)}
        return tuple(by_name.values())

    def need(self, targets: Sequence[Target]) -> None:
        self.here.need([])
        self.server.need(launched_targets(targets))

    def start(self, target: Target, settings: ServerSettings) -> RunningServer:
        self.here.check_needed()
        return self.host_of(target).start(target, settings)

    def ask(self, server: RunningServer, workload: Workload, *, tick: Tick) -> tuple[Response, ...]:
        """The server's own machine asks first, which proves that it is the right one."""
        responses = server.ask(workload, tick=tick)
        if self.are_one:
            return responses
        calls = [functools.partial(load.reach, server, workload) for load in self.loads]
        return at_once(calls)[0]

    def sides(self, servers: Servers, load: Load) -> Sides:
        halves = self.are_one and len(servers) > 1
        server_host = self.host_of(servers[0].target)
        server_side = server_host.server_side(servers, halves=halves)
        goals = goals_of(servers, load, self.secrets)
        load_sides = []
        shares = share_out(load, len(self.loads))
        for host, share in zip(self.loads, shares, strict=True):
            load_sides.append(host.load_side(goals, share, halves=halves))
        return Sides(servers=server_side, loads=load_sides, are_one_machine=self.are_one)


def all_here(wrk: str, work_dir: Path, secrets: Secrets = NO_SECRETS) -> Hosts:
    here = ThisHost(wrk, work_dir)
    return Hosts(here=here, server=here, loads=(here,), secrets=secrets)


def share_out(load: Load, machines: int) -> list[Load]:
    """As even as threads of wrk can be; at a rate each has its own schedule."""
    if machines == 1:
        return [load]
    threads = 1 if load.rate_per_s else load.wrk_threads
    per_thread = load.connections // threads
    shares = []
    for machine in range(machines):
        own_per_thread = per_thread // machines
        if machine < per_thread % machines:
            own_per_thread += 1
        connections = own_per_thread * threads
        share = dataclasses.replace(load, connections=connections)
        if load.rate_per_s:
            rate_per_s = load.rate_per_s * connections / load.connections
            seed = load.schedule_seed + machine * SCHEDULES_APART
            share = dataclasses.replace(share, rate_per_s=rate_per_s, schedule_seed=seed)
        shares.append(share)
    return shares
