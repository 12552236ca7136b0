"""The agent's end: has what the controller calls done on this machine, and ends with it."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import itertools
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NoReturn, get_type_hints

from micropie_benchlib.core.errors import BenchError, CannotGoOnError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.paths import APPS, ROOT
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import Environment
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.core.values import Pairs, Port
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.load.generators import Goal
from micropie_benchlib.load.hosts import ThisHost
from micropie_benchlib.load.machine import describe_machine, link_of
from micropie_benchlib.load.wrk_program import find_wrk
from micropie_benchlib.remote import messages
from micropie_benchlib.serve.addresses import split_url
from micropie_benchlib.serve.packages import with_packages
from micropie_benchlib.serve.probe import Probe
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.system.cache import trusted_cache
from micropie_benchlib.system.children import TRIAL_ERRORS, reason_of
from micropie_benchlib.system.processes import boot_id, require_proc
from micropie_benchlib.system.temporary import remove_at_end, start_bare, temporary_directory

WATCHDOG = ROOT / "micropie_benchlib" / "programs" / "watchdog.py"
AGENT_SILENCE_S = 2.5  # an agent that has not heard from its controller for so long ends


def serve_controller(channel: Any, private: str) -> None:
    """End this process, and `private` with it, as soon as the controller cannot be heard."""
    import queue
    import threading

    calls: queue.SimpleQueue[Any] = queue.SimpleQueue()
    heard_at = time.monotonic()

    def hear(message: Any) -> None:
        nonlocal heard_at
        heard_at = time.monotonic()
        if message is None:  # the connection has ended
            end_process()
        if message != messages.BEAT:
            calls.put(message)

    signs_of_life = start_watchdog()

    def watch() -> None:
        while time.monotonic() - heard_at < AGENT_SILENCE_S:
            with contextlib.suppress(OSError):  # somebody killed the watchdog
                os.write(signs_of_life.fileno(), b".")
            time.sleep(messages.HEARTBEAT_S / 2)
        end_process()

    if private:
        remove_at_end(private)
    channel.setcallback(hear, endmarker=None)
    threading.Thread(target=watch, daemon=True).start()
    threading.Thread(target=messages.send_beats, args=[channel], daemon=True).start()
    with temporary_directory() as work_dir:
        agent = Agent(work_dir)
        while (message := calls.get()) != messages.SHUTDOWN:
            part, method, arguments = message
            outcome, reply = reply_to(agent, part, method, arguments)
            channel.send((outcome.value, reply))
    end_process()


def start_watchdog() -> IO[bytes]:
    """Have this process killed once it falls silent; return what signs of life go to."""
    child = start_bare(str(WATCHDOG), str(1.5 * messages.CONTROLLER_SILENCE_S))
    assert child.stdin is not None  # noqa: S101  # it is a pipe
    return child.stdin


def end_process() -> NoReturn:
    """End at once: guards end the servers and wrks, the cleanup child removes the files."""
    os._exit(1)


def reply_to(
    agent: Agent, part: str, name: str, texts: Mapping[str, str]
) -> tuple[messages.Outcome, str]:
    try:
        method = getattr(agent.parts[part], name)
        kinds = get_type_hints(method)
        arguments = {}
        for argument, text in texts.items():
            arguments[argument] = messages.from_text(kinds[argument], text)
        return messages.Outcome.DONE, messages.to_text(method(**arguments))
    except CannotGoOnError as error:
        return messages.Outcome.CANNOT_GO_ON, str(error)
    except TRIAL_ERRORS as error:
        return messages.Outcome.FAILED, reason_of(error)
    except Exception as error:  # the controller is to hear of it, whatever it is
        return messages.Outcome.CANNOT_GO_ON, f"internal error: {type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """What an agent tells of its machine.

    `boot_id` is the same only on the same machine (Linux); `address` is the one by which the
    controller reached it, and `controller` the one that the controller came from.
    """

    environment: Environment
    boot_id: str | None
    address: str
    controller: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedServer:
    part: str
    argv: tuple[str, ...]
    env: Pairs
    port: Port


class Agent:
    """What a controller can call: an agent's own methods, and those of its other parts.

    These are this machine (a ThisHost), each server, and both sides of a trial: one runs at a
    time.
    """

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._host = ThisHost("", work_dir)
        self._servers: dict[str, LocalServer] = {}
        self._server_names = (f"server {number}" for number in itertools.count())
        self._lock: IO[str] | None = None  # held until this process ends
        self.parts: dict[str, object] = {"agent": self, "host": self._host}

    def ping(self) -> None: ...

    def describe(self, wrk: str | None, *, makes_load: bool) -> AgentFacts:
        require_proc()
        self._lock_machine()
        wrk_path = find_wrk(wrk) if makes_load else ""
        words = os.environ.get("SSH_CONNECTION", "").split()
        controller, _, address, _ = words if len(words) == 4 else [""] * 4
        self._host = ThisHost(wrk_path, self._work_dir, link=link_of(address))
        self.parts["host"] = self._host
        return AgentFacts(
            environment=describe_machine(wrk_path),
            boot_id=boot_id(),
            address=address,
            controller=controller,
        )

    def _lock_machine(self) -> None:
        """Raise BenchError if another controller has an agent of this user here."""
        cache = trusted_cache()
        if not cache:
            return
        self._lock = (Path(cache) / "agent.lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BenchError("another run of this tool is measuring there: wait for it") from None

    def fetch(self, targets: tuple[Target, ...]) -> tuple[Target, ...]:
        return self._host.fetch(targets, lambda _: None)

    def need(self, targets: tuple[Target, ...]) -> None:
        self._host.need([placed_here(target) for target in targets])

    def prepare(self, target: Target, *, timeout_s: float) -> None:
        self._host.prepare(placed_here(target), timeout_s=timeout_s)

    def start(self, target: Target, settings: ServerSettings) -> StartedServer:
        self._host.check_needed()
        server = self._host.start(placed_here(target), settings)
        part = next(self._server_names)
        self._servers[part] = server
        self.parts[part] = server
        _, _, port = split_url(server.url("/"))
        return StartedServer(part=part, argv=tuple(server.argv), env=server.target.env, port=port)

    def stop(self, part: str) -> None:
        del self.parts[part]
        self._servers.pop(part).__exit__()

    def await_workers(self, part: str) -> tuple[BenchWarning, ...]:
        server = self._servers[part]
        server.await_workers()
        return server.warnings

    def ask(
        self, part: str, workload: Workload
    ) -> tuple[tuple[Response, ...], tuple[BenchWarning, ...]]:
        server = self._servers[part]
        return server.ask(workload), server.warnings

    def reach(self, url: str, workload: Workload, address: str) -> tuple[Response, ...]:
        return Probe(url, workload, address=address).ask()

    def enter_servers(self, parts: tuple[str, ...], *, halves: bool) -> None:
        servers = [self._servers[part] for part in parts]
        self._server_side = self._host.server_side(servers, halves=halves)
        self.parts["servers"] = self._server_side.__enter__()

    def require_alive(self) -> None:
        """It comes often while a trial runs."""
        self._host.trim_logs()
        self._server_side.require_alive()

    def enter_load(self, goals: tuple[Goal, ...], load: Load, *, halves: bool) -> None:
        self.parts["load"] = self._host.load_side(goals, load, halves=halves).__enter__()


def placed_here(target: Target) -> Target:
    """A built-in has this machine's apps and packages; those of a fetched one lie here already."""
    if not target.is_built_in or target.requirements:
        return target
    package_dir = ROOT if target.package_dir else None
    return dataclasses.replace(with_packages(target, APPS), package_dir=package_dir)
