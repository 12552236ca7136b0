"""What a controller can ask of an agent, and what the agent does for it.

A request's fields cross, and then its response, both as JSON that is checked, so that no
machine decides what runs on the other. How they cross is not the business of this module.
"""

from __future__ import annotations

import dataclasses
import fcntl
import functools
import itertools
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, ClassVar, Generic, TypeVar, assert_never, get_args

from micropie_benchlib.core.errors import BenchError, CannotGoOnError, first_complaint
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.paths import APPS, ROOT
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.results import Environment
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.core.values import Pairs, Port
from micropie_benchlib.load.generators import Goal, WrkGroup
from micropie_benchlib.load.hosts import ThisHost
from micropie_benchlib.load.links import link_of
from micropie_benchlib.load.machine import describe_machine
from micropie_benchlib.load.readings import LoadReading, ServerReading
from micropie_benchlib.load.servers import ServerGroup
from micropie_benchlib.load.wrk_program import find_wrk
from micropie_benchlib.serve.addresses import split_url
from micropie_benchlib.serve.packages import with_packages
from micropie_benchlib.serve.probe import Probe
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.cache import trusted_cache
from micropie_benchlib.system.checks import Finding
from micropie_benchlib.system.processes import boot_id, require_proc

R = TypeVar("R")


class Agent:
    """What an agent keeps between requests.

    At most one trial runs at a time, so there is one side of servers, and one of wrks.
    """

    server_side: ServerGroup
    load_side: WrkGroup

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = work_dir
        self.host = ThisHost("", work_dir)
        self.servers: dict[int, LocalServer] = {}
        self.numbers = itertools.count()


class Request(Generic[R]):
    """What an agent is asked, and responds to with an R."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, object]] = {
        "extra": "forbid",
        "strict": True,
        "val_json_bytes": "base64",
    }
    kinds: ClassVar[dict[str, type[Request[Any]]]] = {}
    response: ClassVar[Any]  # the R, for pydantic

    def __init_subclass__(cls) -> None:
        (base,) = cls.__orig_bases__  # type: ignore[attr-defined]  # of each generic's subclass
        (cls.response,) = get_args(base)
        cls.kinds[cls.__name__] = cls  # dataclass() makes a class with slots anew

    def do(self, agent: Agent) -> R:
        """Do it on the agent's machine."""
        raise NotImplementedError


def to_text(message: object) -> str:
    """Return a request or a response as JSON. Raises BenchError for what is no text."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(message, bytes_mode="base64").decode()
    except PydanticSerializationError as error:  # such as a path whose bytes are not UTF-8
        raise BenchError(f"cannot be sent to another machine: {error}") from None


def from_text(kind: Any, text: str, *, whole: str) -> Any:
    """Return what is in such a text. Raises CannotGoOnError if it is not of that kind."""
    from pydantic import ValidationError

    try:
        return _reader(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise CannotGoOnError(first_complaint(error.errors(), whole=whole)) from None


@functools.cache
def _reader(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


# The machine.


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What an agent tells of its machine.

    `boot_id` is the same only on the same machine (Linux); `address` is the one by which
    the controller reached it, and `controller` the one that the controller came from.
    """

    environment: Environment
    boot_id: str | None
    address: str
    controller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Describe(Request[AgentFacts]):
    """Raises BenchError if there is no wrk, and load is to be made."""

    wrk: str | None
    makes_load: bool

    def do(self, agent: Agent) -> AgentFacts:
        require_proc()
        lock_machine()
        wrk = find_wrk(self.wrk) if self.makes_load else ""
        words = os.environ.get("SSH_CONNECTION", "").split()
        controller, _, address, _ = words if len(words) == 4 else [""] * 4
        agent.host = ThisHost(wrk, agent.work_dir, link=link_of(address))
        return AgentFacts(
            environment=describe_machine(wrk),
            boot_id=boot_id(),
            address=address,
            controller=controller,
        )


_locks: list[IO[str]] = []  # held until this process ends


def lock_machine() -> None:
    """Raise BenchError if another controller has an agent of this user on this machine."""
    cache = trusted_cache()
    if not cache:
        return
    lock = (Path(cache) / "agent.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BenchError("another run of this tool measures there: wait for its end") from None
    _locks.append(lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Request[None]):
    def do(self, agent: Agent) -> None:
        """Respond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examine(Request[list[Finding]]):
    workers: int
    threads: int
    connections: int

    def do(self, agent: Agent) -> list[Finding]:
        return agent.host.examine(
            workers=self.workers, threads=self.threads, connections=self.connections
        )


# Targets and their servers.


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch(Request[Path | None]):
    """Responds with the directory of the target's packages, if it has one."""

    target: Target

    def do(self, agent: Agent) -> Path | None:
        return agent.host.fetch(self.target, lambda _: None).package_dir


@dataclass(frozen=True, slots=True, kw_only=True)
class Need(Request[None]):
    targets: tuple[Target, ...]

    def do(self, agent: Agent) -> None:
        agent.host.need([placed_here(target) for target in self.targets])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare(Request[None]):
    target: Target
    timeout_s: float

    def do(self, agent: Agent) -> None:
        agent.host.prepare(placed_here(self.target), timeout_s=self.timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedServer:
    """What a controller knows of a server that an agent started."""

    number: int
    argv: tuple[str, ...]
    env: Pairs
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Request[StartedServer]):
    target: Target
    settings: ServerSettings

    def do(self, agent: Agent) -> StartedServer:
        agent.host.check_needed()
        server = agent.host.start(placed_here(self.target), self.settings)
        number = next(agent.numbers)
        agent.servers[number] = server
        _, _, port = split_url(server.url("/"))
        return StartedServer(
            number=number, argv=tuple(server.argv), env=server.target.env, port=port
        )


def placed_here(target: Target) -> Target:
    """Return the target with the apps and packages of this machine, if it is a built-in.

    Those of a fetched one lie here already.
    """
    if not target.is_built_in or target.requirements:
        return target
    package_dir = ROOT if target.package_dir else None
    return dataclasses.replace(with_packages(target, APPS), package_dir=package_dir)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions(Request[PackageVersions]):
    number: int

    def do(self, agent: Agent) -> PackageVersions:
        return agent.servers[self.number].versions()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitWorkers(Request[tuple[str, ...]]):
    """Responds with what is odd about the server, once it is ready."""

    number: int

    def do(self, agent: Agent) -> tuple[str, ...]:
        server = agent.servers[self.number]
        server.await_workers()
        return server.remarks


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A server's answer to one request, and what is odd about the server."""

    response: Response
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask(Request[Answered]):
    """Responds with the answer to a request from the server's own machine."""

    number: int
    workload: Workload

    def do(self, agent: Agent) -> Answered:
        server = agent.servers[self.number]
        response = server.ask(self.workload)
        return Answered(response=response, remarks=server.remarks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach(Request[Response]):
    """Responds with the answer to a request from this machine to a server anywhere."""

    url: str
    workload: Workload
    address: str

    def do(self, agent: Agent) -> Response:  # noqa: ARG002  # any process there could
        return Probe(self.url, self.workload, address=self.address).ask()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostWorkers(Request[str | None]):
    number: int

    def do(self, agent: Agent) -> str | None:
        return agent.servers[self.number].lost_workers()


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint(Request[str]):
    number: int

    def do(self, agent: Agent) -> str:
        return agent.servers[self.number].complaint()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogExcerpt(Request[list[str]]):
    number: int

    def do(self, agent: Agent) -> list[str]:
        return agent.servers[self.number].log_excerpt()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop(Request[None]):
    number: int

    def do(self, agent: Agent) -> None:
        agent.servers.pop(self.number).__exit__()


# The two sides of a trial: see ServerSide and LoadSide.


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterServers(Request[None]):
    numbers: tuple[int, ...]
    halves: bool

    def do(self, agent: Agent) -> None:
        servers = [agent.servers[number] for number in self.numbers]
        agent.server_side = agent.host.server_side(servers, halves=self.halves)
        agent.server_side.__enter__()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadServers(Request[ServerReading]):
    load_cpu_s: float

    def do(self, agent: Agent) -> ServerReading:
        return agent.server_side.reading(load_cpu_s=self.load_cpu_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterLoad(Request[None]):
    goals: tuple[Goal, ...]
    load: Load
    halves: bool

    def do(self, agent: Agent) -> None:
        agent.load_side = agent.host.wrks(self.goals, self.load, halves=self.halves)
        agent.load_side.__enter__()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Request[bool]):
    seconds: float

    def do(self, agent: Agent) -> bool:
        return agent.load_side.wait(self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadLoad(Request[LoadReading]):
    def do(self, agent: Agent) -> LoadReading:
        return agent.load_side.reading()


class Step(StrEnum):
    """What one side of a trial does that needs no more words."""

    BEGIN = "begin"
    REQUIRE_ALIVE = "require alive"
    LOOK_AT_SERVERS = "look at servers"
    SETTLE = "settle"
    LEAVE_SERVERS = "leave servers"
    OPEN_GATES = "open gates"
    SUSPEND = "suspend"
    LOOK_AT_LOAD = "look at load"
    INTERRUPT = "interrupt"
    LEAVE_LOAD = "leave load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Take(Request[None]):
    step: Step

    def do(self, agent: Agent) -> None:
        match self.step:
            case Step.BEGIN:
                agent.server_side.begin()
            case Step.REQUIRE_ALIVE:  # comes every few seconds while a trial runs
                agent.host.trim_logs()
                agent.server_side.require_alive()
            case Step.LOOK_AT_SERVERS:
                agent.server_side.look()
            case Step.SETTLE:
                agent.server_side.settle()
            case Step.LEAVE_SERVERS:
                agent.server_side.__exit__()
            case Step.OPEN_GATES:
                agent.load_side.open_gates()
            case Step.SUSPEND:
                agent.load_side.suspend()
            case Step.LOOK_AT_LOAD:
                agent.load_side.look()
            case Step.INTERRUPT:
                agent.load_side.interrupt()
            case Step.LEAVE_LOAD:
                agent.load_side.__exit__()
            case _:
                assert_never(self.step)
