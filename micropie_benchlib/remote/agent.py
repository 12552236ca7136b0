"""The agent's end: what a controller has done on this machine."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn

from micropie_benchlib.core.errors import BenchError, CannotGoOnError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.paths import APPS, ROOT
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.results import Environment
from micropie_benchlib.core.targets import AsgiTarget, LaunchedTarget, ServerSettings
from micropie_benchlib.core.values import Pairs, Port
from micropie_benchlib.load.cores import duet_cores
from micropie_benchlib.load.failures import TRIAL_ERRORS, reason_of
from micropie_benchlib.load.generators import Goal, WrkGroup
from micropie_benchlib.load.links import NO_LINK, link_of
from micropie_benchlib.load.machine import describe_machine
from micropie_benchlib.load.servers import ServerGroup
from micropie_benchlib.load.wrk_program import find_wrk
from micropie_benchlib.serve.files import NeededFiles, needed_files
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.logs import trim
from micropie_benchlib.serve.packages import fetch
from micropie_benchlib.serve.probe import NotReachedError, Probe
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.serve.start import run_prepare
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.cache import trusted_cache
from micropie_benchlib.system.checks import Finding, examine
from micropie_benchlib.system.processes import require_proc, search_file
from micropie_benchlib.system.temporary import remove_at_end, temporary_directory

HEARTBEAT_S = 0.5
AGENT_SILENCE_S = 2.5  # an agent that has not heard from its director for so long ends
DIRECTOR_SILENCE_S = 10.0  # a director gives up an agent that was silent for so long
BOOT_ID = "/proc/sys/kernel/random/boot_id"
BEAT = "beat"
FAREWELL = b""  # instead of a call


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What an agent tells of its machine.

    `boot_id` is the same only on the same machine (Linux); `address` is the one by which
    the director reached it, and `director` the one that the director came from.
    """

    environment: Environment
    boot_id: str | None
    address: str
    director: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedServer:
    """What a director knows of a server that an agent started."""

    number: int
    argv: tuple[str, ...]
    env: Pairs
    port: Port


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A server's answer to one request, if it was asked, and what is odd about it."""

    response: Response | None
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of a method of Agent. Its number tells which answer is its own."""

    number: int
    method: str
    words: Sequence[Any]
    options: Mapping[str, Any]


class Agent:
    """What a director has done on this machine: each public method is one of its calls.

    At most one trial runs at a time, so there is one group of servers, and one of wrks.
    """

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._logs = [work_dir / "server-0.log", work_dir / "server-1.log"]
        self._next_log = itertools.cycle(self._logs)
        self._servers: dict[int, LocalServer] = {}
        self._numbers = itertools.count()
        self._needed = NeededFiles([])
        self._wrk = ""
        self._groups: dict[str, ServerGroup | WrkGroup] = {}
        self._link = NO_LINK

    def describe(self, wrk: str | None, *, makes_load: bool) -> AgentFacts:
        """Return the facts. Raises BenchError if there is no wrk, and load is to be made."""
        require_proc()
        lock_machine()
        self._wrk = find_wrk(wrk) if makes_load else ""
        words = os.environ.get("SSH_CONNECTION", "").split()
        director, _, address, _ = words if len(words) == 4 else [""] * 4
        self._link = link_of(address)
        return AgentFacts(
            environment=describe_machine(self._wrk),
            boot_id=search_file(BOOT_ID, "(.+)"),
            address=address,
            director=director,
        )

    def ping(self) -> None:
        """Answer."""

    def examine(self, workers: int, threads: int, connections: int) -> list[Finding]:
        """Return what here could spoil a measurement."""
        return examine(workers=workers, threads=threads, connections=connections)

    def fetch(self, target: AsgiTarget) -> str:
        """Return the directory of the target's packages, fetched if need be; "" for none."""
        return str(fetch(target, lambda _: None).package_dir or "")

    def need(self, targets: Sequence[LaunchedTarget]) -> None:
        """Take in what each launch of these targets needs on the disk."""
        self._needed = needed_files(map(placed_here, targets), self._wrk, self._work_dir)

    def prepare(self, target: LaunchedTarget, timeout_s: float) -> None:
        """Let a shell do what comes before each launch of the target."""
        run_prepare(placed_here(target), timeout_s=timeout_s)

    def start(self, target: LaunchedTarget, settings: ServerSettings) -> StartedServer:
        """Start a server of the target."""
        self._needed.check()
        server = LaunchedServer(placed_here(target), settings, log=next(self._next_log))
        number = next(self._numbers)
        self._servers[number] = server
        started = server.target
        return StartedServer(
            number=number, argv=tuple(server.argv), env=started.env, port=server.port
        )

    def versions(self, number: int) -> PackageVersions:
        """Return the versions that decide the server's speed."""
        return self._servers[number].versions()

    def await_workers(self, number: int) -> Answered:
        """Return once the server is ready."""
        server = self._servers[number]
        server.await_workers()
        return Answered(response=None, remarks=server.remarks)

    def ask(self, number: int, workload: Workload) -> Answered:
        """Return the server's answer to one request from its own machine."""
        server = self._servers[number]
        response = server.ask(workload)
        return Answered(response=response, remarks=server.remarks)

    def reach(self, url: str, workload: Workload, address: str) -> Response:
        """Return the answer to one request from this machine to a server elsewhere."""
        return Probe(url, workload, address=address).ask()

    def lost_workers(self, number: int) -> str | None:
        """Return what is amiss with the server since it was ready."""
        return self._servers[number].lost_workers()

    def complaint(self, number: int) -> str:
        """Return the line of the server's log that tells best what went wrong."""
        return self._servers[number].complaint()

    def stop(self, number: int) -> None:
        """End the server's whole process tree."""
        self._servers.pop(number).__exit__()

    def enter_servers(self, numbers: Sequence[int], *, halves: bool) -> None:
        """Begin a trial of these servers, on one half of the cores if so wished."""
        cores = duet_cores().servers if halves else ()
        servers = [self._servers[number] for number in numbers]
        self._groups["servers"] = ServerGroup(servers, cores=cores, link=self._link).__enter__()

    def enter_load(self, goals: Sequence[Goal], load: Load, *, halves: bool) -> None:
        """Have a wrk wait for each goal, on the other half of the cores if so wished."""
        cores = duet_cores().loads if halves else ()
        group = WrkGroup(
            self._wrk,
            goals,
            load,
            work_dir=self._work_dir,
            cores=cores,
            link=self._link,
            is_apart=True,
        )
        self._groups["load"] = group.__enter__()

    def leave(self, side: str) -> None:
        """End that side of a trial, `servers` or `load`, if it was begun."""
        if side in self._groups:
            self._groups.pop(side).__exit__()

    def of_side(self, side: str, method: str, options: Mapping[str, Any]) -> Any:
        """Return what that method of ServerSide or LoadSide gives."""
        for log in self._logs:
            trim(log)
        return getattr(self._groups[side], method)(**options)


def placed_here(target: LaunchedTarget) -> LaunchedTarget:
    """Return the target with the apps and packages of this machine, if it is a built-in.

    Those of a fetched one lie here already.
    """
    if not target.is_built_in or target.requirements:
        return target
    package_dir = ROOT if target.package_dir else None
    return dataclasses.replace(target, directory=APPS, package_dir=package_dir)


_locks: list[IO[str]] = []  # held until this process ends


def lock_machine() -> None:
    """Raise BenchError if another director has an agent of this user on this machine."""
    cache = trusted_cache()
    if not cache:
        return
    lock = (Path(cache) / "agent.lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise BenchError("another run of this tool measures there: wait for its end") from None
    _locks.append(lock)


def serve_controller(channel: Any, private: str) -> None:
    """Do what the controller calls for, and end this process as soon as it cannot be heard.

    The directory `private`, if there is one, goes with this process.
    """
    import pickle
    import queue
    import threading

    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    heard_at = time.monotonic()

    def hear(message: Any) -> None:
        nonlocal heard_at
        heard_at = time.monotonic()
        if message is None:  # the connection has ended
            end_process()
        if message != BEAT:
            calls.put(message)

    def watch() -> None:
        while time.monotonic() - heard_at < AGENT_SILENCE_S:
            time.sleep(HEARTBEAT_S / 2)
        end_process()

    if private:
        remove_at_end(private)
    channel.setcallback(hear, endmarker=None)
    threading.Thread(target=watch, daemon=True).start()
    threading.Thread(target=send_beats, args=[channel], daemon=True).start()
    with temporary_directory() as work_dir:
        agent = Agent(work_dir)
        while message := calls.get():
            call = pickle.loads(message)  # noqa: S301  # the director's own
            channel.send((call.number, *reply_to(agent, call)))
    end_process()


def send_beats(channel: Any) -> None:
    """Let the other end know that somebody is here, until the connection ends."""
    with contextlib.suppress(OSError):
        while True:
            channel.send(BEAT)
            time.sleep(HEARTBEAT_S)


def end_process() -> NoReturn:
    """End this process at once: its guards end the servers and wrks, its keeper the files."""
    os._exit(1)


def reply_to(agent: Agent, call: Call) -> tuple[str, str]:
    """Return what the call gives as JSON, or why it failed: the kind of error, and its words."""
    from pydantic_core import to_json as as_json

    try:
        given = getattr(agent, call.method)(*call.words, **call.options)
        return "gives", as_json(given).decode()
    except NotReachedError as error:
        return "not reached", str(error)
    except CannotGoOnError as error:
        return "cannot go on", str(error)
    except TRIAL_ERRORS as error:
        return "fails", reason_of(error)
    except Exception as error:  # the director is to hear of it, whatever it is
        return "cannot go on", f"a fault of this tool: {type(error).__name__}: {error}"
