"""The controller's end: another machine, its connection, its agent, and what it does as a Host."""

import contextlib
import dataclasses
import hashlib
import inspect
import shlex
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_type_hints

from micropie_benchlib.core.errors import BenchError, CannotGoOnError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.paths import BUNDLED, ROOT
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import WorkerFacts
from micropie_benchlib.core.targets import ServerSettings, Target, host_and_port
from micropie_benchlib.load.generators import Goal, WrkGroup
from micropie_benchlib.load.hosts import ThisHost
from micropie_benchlib.load.servers import ServerGroup
from micropie_benchlib.load.sides import Servers
from micropie_benchlib.remote import messages
from micropie_benchlib.remote.agent import Agent
from micropie_benchlib.remote.ssh import SSH_OPTIONS, Ssh, find_remote_python, ssh_reason
from micropie_benchlib.serve.servers import LocalServer, RunningServer
from micropie_benchlib.serve.versions import PackageVersions
from micropie_benchlib.system.checks import Finding
from micropie_benchlib.system.children import POLL_S, TICK_S, Tick

COPY_DEADLINE_S = 600.0
ENDED = (BenchError, CannotGoOnError)  # what a lost connection has ended already raises these
P = ParamSpec("P")
R = TypeVar("R")


def remote_program() -> str:
    package = ROOT / "micropie_benchlib"
    files = (package / "system" / "cache.py", package / "programs" / "bootstrap.py")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def own_pyz() -> Path:
    main_file = getattr(sys.modules["__main__"], "__file__", "")
    pyz = Path(main_file).parent
    if not BUNDLED or not pyz.is_file():
        raise BenchError(
            "other machines need a copy of micropie_bench.pyz: run ./build_pyz.sh, and use that"
        )
    return pyz


class OtherMachine:
    """Another machine, by ssh's name for it; on leaving, its agent and all its processes end."""

    def __init__(self, host: str, ssh: Ssh, *, announce: Callable[[str], None]) -> None:
        import queue

        self.host = host
        self._ssh = ssh
        self._announce = announce
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._heard_at = time.monotonic()
        self._is_busy = False  # also if a call was not waited for: it gets no more
        self._is_cut = False
        self._log = Path(tempfile.mkdtemp(dir=ssh.directory)) / "ssh.log"
        content = own_pyz().read_bytes()
        self.python = find_remote_python(host, ssh)
        self._open(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_busy:
            with contextlib.suppress(OSError, CannotGoOnError):
                self._channel.send(messages.SHUTDOWN)
                self._reply(lambda: None)  # none comes before its end
        self._group.terminate(timeout=2.0)

    def _open(self, content: bytes) -> None:
        import execnet

        options = [*SSH_OPTIONS, "-E", str(self._log)]
        spec = f"ssh={' '.join(options)} {self.host}//python={shlex.quote(self.python)}"
        if self._ssh.config:
            spec += f"//ssh_config={self._ssh.config}"
        program = remote_program()
        self._group = execnet.Group()
        with contextlib.ExitStack() as stack:
            stack.callback(self._group.terminate, timeout=2.0)
            try:
                # Ctrl-C is for the controller alone, which then ends all in good order.
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                try:
                    gateway = self._group.makegateway(spec)
                finally:
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
                self._channel = gateway.remote_exec(program)
                self._bring_up(content)
            except (EOFError, OSError, execnet.HostNotFound):
                raise BenchError(f"{self.host}: {self._log_reason()}") from None
            stack.pop_all()

    def _bring_up(self, content: bytes) -> None:
        import threading

        self._channel.send(hashlib.sha256(content).hexdigest())
        word = ""
        while word != "ready":
            word, text = self._first_words()
            if word == "copy":
                size = f"{len(content) / 1e6:.0f} MB"
                self._announce(f"{self.host}: copying this tool there (once, {size})")
                self._channel.send(content)
            elif word == "note":
                self._announce(f"{self.host}: {' '.join(text.split())}")
            elif word == "failed":
                raise BenchError(f"{self.host}: {' '.join(text.split())}")
        self._channel.setcallback(self._hear, endmarker=None)
        threading.Thread(target=messages.send_beats, args=[self._channel], daemon=True).start()

    def _first_words(self) -> tuple[str, str]:
        try:
            word, text = self._channel.receive(timeout=COPY_DEADLINE_S)
        except (self._channel.RemoteError, self._channel.TimeoutError) as error:
            raise BenchError(f"{self.host}: {str(error).strip().splitlines()[-1]}") from None
        return str(word), str(text)

    def _log_reason(self) -> str:
        time.sleep(POLL_S)  # for ssh to write it
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
        return ssh_reason(lines) or "its agent ended"

    def _hear(self, message: Any) -> None:
        self._heard_at = time.monotonic()
        if message is None:
            self._is_cut = True
        if message != messages.BEAT:
            self._replies.put(message)

    def there(
        self, part: str, method: Callable[Concatenate[Any, P], R], *, tick: Tick = lambda: None
    ) -> Callable[P, R]:
        """Return what calls the method there; without a connection it raises CannotGoOnError."""

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            arguments = inspect.signature(method).bind(None, *args, **kwargs).arguments
            texts = {
                name: messages.to_text(value) for name, value in arguments.items() if name != "self"
            }
            text = self._done_there((part, method.__name__, texts), tick)
            try:
                returned: R = messages.from_text(get_type_hints(method)["return"], text)
            except CannotGoOnError as error:
                raise CannotGoOnError(f"{self.host}: {error}") from None
            return returned

        return call

    def _done_there(self, call: tuple[str, str, dict[str, str]], tick: Tick) -> str:
        if self._is_busy:
            raise self._lost()
        self._is_busy = True
        try:
            self._channel.send(call)
            outcome, text = self._reply(tick)
        except OSError:
            raise self._lost() from None
        self._is_busy = False
        if outcome is messages.Outcome.FAILED:
            raise BenchError(text)
        if outcome is messages.Outcome.CANNOT_GO_ON:
            raise CannotGoOnError(f"{self.host}: {text}")
        return text

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        try:
            yield
        except BenchError as error:
            raise BenchError(f"{self.host}: {error}") from None

    def _reply(self, tick: Tick) -> tuple[messages.Outcome, str]:
        import queue

        while True:
            try:
                reply = self._replies.get(timeout=TICK_S)
            except queue.Empty:
                tick()
                if time.monotonic() - self._heard_at > messages.CONTROLLER_SILENCE_S:
                    raise self._lost() from None
                continue
            if reply is None:
                raise self._lost()
            outcome, text = reply
            return messages.Outcome(outcome), text

    def _lost(self) -> CannotGoOnError:
        if not self._is_cut:
            return CannotGoOnError(f"{self.host} does not respond any more")
        return CannotGoOnError(f"the connection to {self.host} was lost: {self._log_reason()}")

    def round_trip_s(self) -> float:
        ping = self.there("agent", Agent.ping)
        times_s = []
        for _ in range(5):
            start = time.monotonic()
            ping()
            times_s.append(time.monotonic() - start)
        return statistics.median(times_s)


class RemoteServer(RunningServer):
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
        return f"{self.target.scheme}://{host_and_port(self.settings.host, self._port)}{path}"

    def versions(self) -> PackageVersions:
        return self._there(self.part, LocalServer.versions)()

    def worker_facts(self) -> WorkerFacts | None:
        return self._there(self.part, LocalServer.worker_facts)()

    def await_workers(self, *, tick: Tick = lambda: None, deadline_s: float | None = None) -> None:
        assert deadline_s is None  # noqa: S101  # only `serve` has one, which is here
        self.warnings = self._there("agent", Agent.await_workers, tick=tick)(self.part)

    def ask(self, workload: Workload, *, tick: Tick = lambda: None) -> tuple[Response, ...]:
        ask = self._there("agent", Agent.ask, tick=tick)
        responses, self.warnings = ask(self.part, workload)
        return responses

    def lost_workers(self) -> str | None:
        return self._there(self.part, LocalServer.lost_workers)()

    def complaint(self) -> str:
        return self._there(self.part, LocalServer.complaint)()

    def log_excerpt(self) -> list[str]:
        return self._there(self.part, LocalServer.log_excerpt)()


class RemoteServerGroup:
    def __init__(
        self, machine: OtherMachine, servers: Sequence[RemoteServer], *, halves: bool
    ) -> None:
        self._there = machine.there
        self._parts = tuple(server.part for server in servers)
        self._halves = halves
        self.await_idle = machine.there("servers", ServerGroup.await_idle)
        self.begin = machine.there("servers", ServerGroup.begin)
        self.require_alive = machine.there("agent", Agent.require_alive)
        self.look = machine.there("servers", ServerGroup.look)
        self.settle = machine.there("servers", ServerGroup.settle)
        self.await_rest = machine.there("servers", ServerGroup.await_rest)
        self.reading = machine.there("servers", ServerGroup.reading)

    def __enter__(self) -> Self:
        self._there("agent", Agent.enter_servers)(self._parts, halves=self._halves)
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(*ENDED):
            self._there("servers", ServerGroup.__exit__)()


class RemoteWrkGroup:
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
    def __init__(self, machine: OtherMachine) -> None:
        self._machine = machine

    def examine(self, *, workers: int, threads: int, connections: int) -> list[Finding]:
        examine = self._machine.there("host", ThisHost.examine)
        findings = []
        for finding in examine(workers=workers, threads=threads, connections=connections):
            check = f"{self._machine.host}: {finding.check}"
            findings.append(dataclasses.replace(finding, check=check))
        return findings

    def fetch(
        self, targets: Sequence[Target], announce: Callable[[str], None]
    ) -> tuple[Target, ...]:
        for target in targets:
            if target.requirements:
                announce(f"{target.spec}: preparing its packages on {self._machine.host}")
        with self._machine.named():
            return self._machine.there("agent", Agent.fetch)(tuple(targets))

    def need(self, targets: Sequence[Target]) -> None:
        with self._machine.named():
            self._machine.there("agent", Agent.need)(tuple(targets))

    def prepare(self, target: Target, *, timeout_s: float) -> None:
        self._machine.there("agent", Agent.prepare)(target, timeout_s=timeout_s)

    def start(self, target: Target, settings: ServerSettings) -> RemoteServer:
        return RemoteServer(self._machine, target, settings)

    def reach(self, server: RunningServer, workload: Workload) -> tuple[Response, ...]:
        url = server.url(workload.path)
        try:
            return self._machine.there("agent", Agent.reach)(url, workload, server.address)
        except BenchError as error:
            raise BenchError(f"from {self._machine.host}: {error}") from None

    def server_side(self, servers: Servers, *, halves: bool) -> RemoteServerGroup:
        own = [server for server in servers if isinstance(server, RemoteServer)]
        return RemoteServerGroup(self._machine, own, halves=halves)

    def load_side(self, goals: Sequence[Goal], load: Load, *, halves: bool) -> RemoteWrkGroup:
        return RemoteWrkGroup(self._machine, goals, load, halves=halves)
