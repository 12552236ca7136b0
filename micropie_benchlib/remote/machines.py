"""The controller's end: another machine, its connection and its agent."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import itertools
import re
import shlex
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, get_type_hints

from micropie_benchlib.core.errors import BenchError, CannotGoOnError
from micropie_benchlib.core.paths import BUNDLED, ROOT, packaged_text
from micropie_benchlib.remote.agent import Agent
from micropie_benchlib.remote.messages import (
    BEAT,
    FAREWELL,
    Outcome,
    from_text,
    send_beats,
    to_text,
)
from micropie_benchlib.system.children import POLL_S, TICK_S, Tick, run_guarded

SSH_OPTIONS = (
    *("-T", "-x", "-oBatchMode=yes", "-oConnectTimeout=10", "-oClearAllForwardings=yes"),
    *("-oControlPath=none", "-oServerAliveInterval=1", "-oServerAliveCountMax=2"),
)
SSH_DEADLINE_S = 30.0
COPY_DEADLINE_S = 600.0
CONTROLLER_SILENCE_S = 10.0  # a controller gives up an agent that was silent for so long
ENDED = (BenchError, CannotGoOnError)  # what a lost connection has ended already raises these
PYTHON_TOO_OLD, NO_PYTHON = 3, 4  # exit statuses of find_python.sh
SSH_ADVICE = {
    "Host key verification failed": "connect once by hand, and check the key that it shows",
    "Permission denied": "have it accept a key of yours (ssh-copy-id): no password is asked for",
    "Could not resolve hostname": "check the name, or give it a HostName in ~/.ssh/config",
    "timed out": "is it up, and does its firewall let ssh in?",
    "Connection refused": "is sshd running there?",
}
P = ParamSpec("P")
R = TypeVar("R")


def remote_program() -> str:
    """Return the text that execnet runs on another machine."""
    package = ROOT / "micropie_benchlib"
    files = (package / "system" / "cache.py", package / "programs" / "bootstrap.py")
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ssh:
    """How other machines are reached: by the user's own configuration, or that of a file.

    What ssh has to say is kept in `directory`.
    """

    directory: Path
    config: str | None = None

    @property
    def argv(self) -> list[str]:
        """The command, up to the host."""
        return ["ssh", *(["-F", self.config] if self.config else []), *SSH_OPTIONS]


def ssh_reason(lines: Sequence[str]) -> str:
    """Return why ssh failed, by what it wrote, and what to do; nothing if it did not say."""
    told = [line.strip() for line in lines if line.strip()]
    for line in told:
        for words, advice in SSH_ADVICE.items():
            if words in line:
                return f"{line.rstrip('.')} ({advice})"
    return told[-1] if told else ""


def find_remote_python(host: str, ssh: Ssh) -> str:
    """Return the path of a Python on the host that can run this tool. Raises BenchError."""
    script = packaged_text(__package__, "find_python.sh")
    command = [*ssh.argv, host, f"sh -c {shlex.quote(script)}"]
    try:
        done = run_guarded(command, timeout_s=SSH_DEADLINE_S)
    except BenchError as error:
        raise BenchError(f"{host}: {error}") from None
    last_line = (done.output.strip().splitlines() or [""])[-1]
    wanted = "it needs 3.11 or newer"
    if done.status == PYTHON_TOO_OLD:
        raise BenchError(f"{host}: {last_line} is too old: {wanted}")
    if done.status == NO_PYTHON:
        raise BenchError(f"{host}: there is no python3 on the PATH of its ssh: {wanted}")
    if done.status or not last_line.startswith("/"):
        reason = ssh_reason(done.errors.splitlines()) or f"ssh ended with status {done.status}"
        raise BenchError(f"{host}: {reason}")
    return re.sub("/+", "/", last_line)  # of a PATH with / at an end; // has a meaning to execnet


def own_pyz() -> Path:
    """Return the path of the .pyz that this runs from. Raises BenchError if it does not."""
    main_file = getattr(sys.modules["__main__"], "__file__", "")
    pyz = Path(main_file).parent
    if not BUNDLED or not pyz.is_file():
        raise BenchError(
            "other machines get a copy of micropie_bench.pyz, and this does not run from one: "
            "./build_pyz.sh makes it"
        )
    return pyz


class OtherMachine:
    """Another machine, by the name that ssh has for it, with an agent on it.

    A context manager: on leaving, the agent and all that it started end.
    """

    def __init__(self, host: str, ssh: Ssh, *, announce: Callable[[str], None]) -> None:
        """Connect, and start the agent. Raises BenchError, in one line, if that fails."""
        import queue

        self.host = host
        self._ssh = ssh
        self._announce = announce
        self._replies: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._heard_at = time.monotonic()
        self._is_abandoned = False
        self._is_cut = False
        self._numbers = itertools.count()
        self._log = Path(tempfile.mkdtemp(dir=ssh.directory)) / "ssh.log"
        content = own_pyz().read_bytes()
        self.python = find_remote_python(host, ssh)
        self._open(content)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_abandoned:
            with contextlib.suppress(OSError, CannotGoOnError):
                self._channel.send(FAREWELL)
                self._reply_to(-1, lambda: None)  # none comes before its end
        self._group.terminate(timeout=2.0)

    def _open(self, content: bytes) -> None:
        """Open the connection, and have the program, the .pyz of that content, run there."""
        import execnet

        options = [*SSH_OPTIONS, "-E", str(self._log)]
        spec = f"ssh={' '.join(options)} {self.host}//python={shlex.quote(self.python)}"
        if self._ssh.config:
            spec += f"//ssh_config={self._ssh.config}"
        self._group = execnet.Group()
        # Ctrl-C is for the controller alone, which then ends all in good order.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            gateway = self._group.makegateway(spec)
        except (EOFError, OSError, execnet.HostNotFound):
            raise BenchError(f"{self.host}: {self._log_reason()}") from None
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        self._channel = gateway.remote_exec(remote_program())
        try:
            self._bring_up(content)
        except BaseException:
            self._group.terminate(timeout=2.0)
            raise

    def _bring_up(self, content: bytes) -> None:
        """Have the .pyz there, and its agent listen. Raises BenchError."""
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
        threading.Thread(target=send_beats, args=[self._channel], daemon=True).start()

    def _first_words(self) -> tuple[str, str]:
        """Return the next that the bootstrap sends. Raises BenchError."""
        try:
            word, text = self._channel.receive(timeout=COPY_DEADLINE_S)
        except (EOFError, OSError, self._channel.RemoteError, self._channel.TimeoutError) as error:
            reason = self._log_reason() if isinstance(error, EOFError) else str(error)
            raise BenchError(f"{self.host}: {reason.strip().splitlines()[-1]}") from None
        return str(word), str(text)

    def _log_reason(self, unless_told: str = "ssh did not say why") -> str:
        """Return what ssh wrote of the end of a connection, if it did."""
        time.sleep(POLL_S)  # for ssh to write it
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
            return ssh_reason(lines) or unless_told
        return unless_told

    def _hear(self, message: Any) -> None:
        self._heard_at = time.monotonic()
        if message is None:
            self._is_cut = True
        if message != BEAT:
            self._replies.put(message)

    def there(
        self, part: str, method: Callable[Concatenate[Any, P], R], *, tick: Tick = lambda: None
    ) -> Callable[P, R]:
        """Return what calls the method of that part of the agent, with arguments from here.

        It raises BenchError as the method does, and CannotGoOnError if the connection is lost.
        """

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            arguments = inspect.signature(method).bind(None, *args, **kwargs).arguments
            texts = {name: to_text(value) for name, value in arguments.items() if name != "self"}
            text = self._done_there((part, method.__name__, texts), tick)
            try:
                returned: R = from_text(get_type_hints(method)["return"], text)
            except CannotGoOnError as error:
                raise CannotGoOnError(f"{self.host}: {error}") from None
            return returned

        return call

    def _done_there(self, call: tuple[str, str, dict[str, str]], tick: Tick) -> str:
        """Return what the agent replies to the call, if it could do it."""
        if self._is_abandoned:
            raise CannotGoOnError(f"{self.host} is not asked any more")
        number = next(self._numbers)
        try:
            self._channel.send((number, *call))
            outcome, text = self._reply_to(number, tick)
        except OSError:
            raise self._lost() from None
        except KeyboardInterrupt:
            self._is_abandoned = True  # what it does may take long: it is ended at once
            raise
        if outcome is Outcome.FAILED:
            raise BenchError(text)
        if outcome is Outcome.CANNOT_GO_ON:
            raise CannotGoOnError(f"{self.host}: {text}")
        return text

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Have the machine's name in each BenchError."""
        try:
            yield
        except BenchError as error:
            raise BenchError(f"{self.host}: {error}") from None

    def _reply_to(self, number: int, tick: Tick) -> tuple[Outcome, str]:
        """Return what became of the call of that number. Raises CannotGoOnError."""
        import queue

        while True:
            try:
                reply = self._replies.get(timeout=TICK_S)
            except queue.Empty:
                tick()
                if time.monotonic() - self._heard_at > CONTROLLER_SILENCE_S:
                    raise self._lost() from None
                continue
            if reply is None:
                self._replies.put(None)  # for the next call
                raise self._lost()
            answered, outcome, text = reply
            if answered == number:  # an earlier one was not waited for
                return Outcome(outcome), text

    def _lost(self) -> CannotGoOnError:
        """Return that the connection is lost, and why."""
        if not self._is_cut:
            return CannotGoOnError(f"{self.host} does not answer any more")
        return CannotGoOnError(
            f"the connection to {self.host} was lost: {self._log_reason('its agent ended')}"
        )

    def round_trip_s(self) -> float:
        """Return how long a call and its reply take, in seconds: the median of five."""
        ping = self.there("agent", Agent.ping)
        times_s = []
        for _ in range(5):
            start = time.monotonic()
            ping()
            times_s.append(time.monotonic() - start)
        return statistics.median(times_s)
