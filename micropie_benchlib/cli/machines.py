"""Connects to the machines of a plan, records them, and examines them for doctor and each run."""

import contextlib
import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from micropie_benchlib.cli.terminal import say
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.plan import MachineNames, Plan
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.results import Environment, Machine, Role
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.core.text import format_latency
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.hosts import Hosts, ThisHost, all_here
from micropie_benchlib.load.machine import describe_machine, link_of
from micropie_benchlib.load.sides import Host
from micropie_benchlib.load.trial import at_once
from micropie_benchlib.load.wrk_program import examine_wrk, find_wrk
from micropie_benchlib.remote.agent import Agent, AgentFacts
from micropie_benchlib.remote.machines import OtherMachine, RemoteHost
from micropie_benchlib.remote.ssh import Ssh
from micropie_benchlib.report.warnings import text_of
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, free_port
from micropie_benchlib.system.checks import Finding, State, state_of
from micropie_benchlib.system.children import TRIAL_ERRORS
from micropie_benchlib.system.processes import boot_id
from micropie_benchlib.system.temporary import temporary_directory


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The machines of a plan, which has the address of its servers in it."""

    plan: Plan
    hosts: Hosts
    environment: Environment
    machines: tuple[Machine, ...] = ()
    warnings: tuple[BenchWarning, ...] = ()


def connect_hosts(
    plan: Plan, wrk: str | None, work_dir: Path, stack: contextlib.ExitStack
) -> Connected:
    """Raises BenchError if a machine cannot be reached or cannot do its part."""
    names = plan.machine_names
    wrk_path = "" if names.loads else find_wrk(wrk)
    here = describe_machine(wrk_path)
    here = dataclasses.replace(here, wrk=plan.secrets.hide_whole_words(here.wrk))
    if names.are_here:
        if plan.server.port:
            free_port(plan.server.host, plan.server.port)
        hosts = all_here(wrk_path, work_dir, plan.secrets)
        return Connected(plan=plan, hosts=hosts, environment=here)
    connected = connect_all(names, work_dir, stack)
    facts = {}
    for host, machine in connected.items():
        with machine.named():
            describe = machine.there("agent", Agent.describe)
            facts[host] = describe(wrk, makes_load=host in names.loads)
    (first_facts, *_) = facts.values()
    this_host = ThisHost(wrk_path, work_dir, link=link_of(first_facts.controller))
    by_name: dict[str, Host] = {host: RemoteHost(machine) for host, machine in connected.items()}
    hosts = Hosts(
        here=this_host,
        server=by_name.get(names.server, this_host),
        loads=tuple(by_name[host] for host in names.loads) or (this_host,),
        secrets=plan.secrets,
    )
    plan = with_address(plan, first_facts.address if names.server else first_facts.controller)
    server_name = names.server or "this machine"
    load_names = " and ".join(names.loads) or "this machine"
    say(f"servers listen on {plan.server.host} of {server_name}; load comes from {load_names}")
    machines = record_machines(plan, here, connected, facts)
    serving = next(each.environment for each in machines if each.role is not Role.LOAD)
    loading = next(each.environment for each in machines if each.role is not Role.SERVER)
    return Connected(
        plan=plan,
        hosts=hosts,
        environment=dataclasses.replace(serving, wrk=loading.wrk, wrk_version=loading.wrk_version),
        machines=tuple(machines),
        warnings=tuple(same_machine_warnings(machines, facts)),
    )


def record_machines(
    plan: Plan,
    here: Environment,
    connected: Mapping[str, OtherMachine],
    facts: Mapping[str, AgentFacts],
) -> list[Machine]:
    """`here` is this machine, if it takes part."""
    names = plan.machine_names
    machines = []
    if not names.server:
        server = Machine(role=Role.SERVER, host="", environment=here, address=plan.server.host)
        machines.append(server)
    for host, machine in connected.items():
        role = Role.SERVER if host == names.server else Role.LOAD
        machines.append(
            Machine(
                role=Role.BOTH if names.are_one else role,
                host=host,
                environment=facts[host].environment,
                address=facts[host].address,
                round_trip_s=machine.round_trip_s(),
            )
        )
    if not names.loads:
        machines.append(Machine(role=Role.LOAD, host="", environment=here))
    return machines


def connect_all(
    names: MachineNames, work_dir: Path, stack: contextlib.ExitStack
) -> dict[str, OtherMachine]:
    """The server's comes first; they are connected until the stack ends."""
    ssh = Ssh(directory=work_dir, config=names.ssh_config)
    hosts = list(dict.fromkeys(filter(None, [names.server, *names.loads])))

    def connect(host: str) -> OtherMachine:
        return stack.enter_context(OtherMachine(host, ssh, announce=say))

    machines = at_once([functools.partial(connect, host) for host in hosts])
    return dict(zip(hosts, machines, strict=True))


def with_address(plan: Plan, address: str) -> Plan:
    """Return the plan with servers that listen on the address, but for those with their own."""

    def placed(settings: ServerSettings) -> ServerSettings:
        if plan.machine_names.are_one or not are_loopback(addresses_of(settings.host)):
            return settings
        if not address:
            raise BenchError("ssh does not report the servers' address: give it with --host")
        return dataclasses.replace(settings, host=address)

    targets: list[Target] = []
    for target in plan.targets:
        own = placed(target.server) if target.server else None
        targets.append(dataclasses.replace(target, server=own))
    return dataclasses.replace(plan, targets=tuple(targets), server=placed(plan.server))


def same_machine_warnings(
    machines: Iterable[Machine], facts: Mapping[str, AgentFacts]
) -> Iterator[BenchWarning]:
    """Yield which of the machines are one, so that what runs there shares its cores."""
    by_id: dict[str, list[str]] = {}
    for machine in machines:
        host_id = facts[machine.host].boot_id if machine.host else boot_id()
        if host_id:
            by_id.setdefault(host_id, []).append(machine.host or "this machine")
    for hosts in by_id.values():
        if len(hosts) > 1:
            yield BenchWarning.of(Kind.ONE_MACHINE, hosts=" and ".join(hosts))


def examine_hosts(plan: Plan, hosts: Hosts) -> list[Finding]:
    workers = max(plan.server_of(target).workers for target in plan.targets)
    connections = max(load.connections for load in plan.loads)
    if plan.is_at_a_rate or plan.seeks_capacity:
        connections *= 2  # the thread of each has an open file, too
    findings: list[Finding] = []
    for host in dict.fromkeys([hosts.server, *hosts.loads]):
        findings += host.examine(
            workers=workers if host is hosts.server else 0,
            threads=plan.threads if host in hosts.loads else 0,
            connections=connections,
        )
    return findings


def examine_machines(plan: Plan, wrk: str | None) -> list[Finding]:
    with temporary_directory() as work_dir, contextlib.ExitStack() as stack:
        if plan.machine_names.are_here:
            return [examine_wrk(wrk), *examine_hosts(plan, all_here("", work_dir))]
        connected = connect_hosts(plan, wrk, work_dir, stack)
        findings: list[Finding] = []
        for warning in connected.warnings:
            findings.append(
                Finding(
                    check="one machine",
                    state=State.WARNING,
                    found=text_of(warning),
                    why="servers and load share the cores",
                    remedy="use separate machines",
                )
            )
        for machine in connected.machines:
            findings += examine_connection(machine)
        findings += examine_hosts(connected.plan, connected.hosts)
        return [*findings, examine_reach(connected)]


def examine_connection(machine: Machine) -> Iterator[Finding]:
    name = machine.host or "here"
    environment = machine.environment
    found = f"Python {environment.python}, {environment.executable}"
    if environment.wrk:
        found += f"; wrk {environment.wrk_version}, {environment.wrk}"
    yield Finding(
        check=f"{name}: programs", state=State.OK, found=found, why="used there", remedy=""
    )
    if machine.round_trip_s is not None:
        yield Finding(
            check=f"{name}: round trip",
            state=state_of(machine.round_trip_s > LONG_ROUND_TRIP_S),
            found=format_latency(machine.round_trip_s),
            why="each reading of CPU time includes that much more than the trial",
            remedy="use a longer --duration, or a nearer machine",
        )


LONG_ROUND_TRIP_S = 0.02  # 1% of the default trial


def examine_reach(connected: Connected) -> Finding:
    """Return whether a server answers where the load would come from."""
    (target,) = connected.plan.targets
    state, found = State.OK, ""
    try:
        with connected.hosts.start(target, connected.plan.server_of(target)) as server:
            server.await_workers()
            found = f"{server.url('/')} answers"
            connected.hosts.ask(server, Workload(), tick=lambda: None)
    except TRIAL_ERRORS as error:
        state, found = State.WARNING, str(error)
    return Finding(
        check="server from load",
        state=state,
        found=found,
        why="load connects directly to a free port",
        remedy="open the firewall, or set the address with --host or the port with --port",
    )
