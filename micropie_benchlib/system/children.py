"""Commands that run under a guard, so that nothing of them is left behind."""

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import ROOT

STOP_GRACE_S = 2.0  # between SIGTERM and SIGKILL
GUARD_DEADLINE_S = 15.0  # a guard that does not answer for so long is ended, too
POLL_S = 0.1  # between two looks at a server that starts
TICK_S = 2.0  # between two redrawings of the progress bar, which disturb what is measured
Tick = Callable[[], None]  # gives the progress bar a chance to be redrawn
GUARD = ROOT / "micropie_benchlib" / "programs" / "guard.py"


TRIAL_ERRORS = (BenchError, OSError, psutil.Error)  # they invalidate a trial; others go on


LIMITS = {
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.EAGAIN: "raise the limit of processes (ulimit -u, or a container's pids)",
    errno.ENOMEM: "raise the limit of memory (ulimit -v, or a container's)",
}


def reason_of(error: Exception) -> str:
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
    if not isinstance(error, OSError):
        return str(error)
    if error.errno in LIMITS:
        return f"{error.strerror}: {LIMITS[error.errno]}"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        path = f": {error.filename}" if error.filename else ""
        return f"{error.strerror or error}{path}"
    directory = tempfile.gettempdir()
    return f"{error.strerror} in {directory}: make room there, or set TMPDIR to another directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    code: int  # negative for a signal
    cpu_s: float
    survivors: int  # of its descendants

    @property
    def sentence(self) -> str:
        with contextlib.suppress(ValueError):
            return f" with status {self.code} ({signal.Signals(-self.code).name})"
        return f" with status {self.code}"


class Child:
    """A command that runs under a guard: its tree is gone after stop(), or this process' death.

    `exit` is known once await_any() has heard of it, and so is the `pid` of a gated one.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        output: IO[bytes] | None,
        errors: IO[bytes] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        cores: Sequence[int] = (),
        gated: bool = False,
        grace_s: float = STOP_GRACE_S,
    ) -> None:
        """A gated one waits for open_gate(). `grace_s` is between SIGTERM and SIGKILL."""
        self.command = argv[0]
        self.pid = 0
        self.exit: Exit | None = None
        status_reader, status_writer = os.pipe()
        self._status = os.fdopen(status_reader)
        guard_argv = [
            *(sys.executable, "-I", "-S", str(GUARD)),
            str(status_writer),
            str(grace_s),
            ",".join(map(str, cores)) or "all",
            "gated" if gated else "open",
            *argv,
        ]
        try:
            self._guard = subprocess.Popen(
                guard_argv,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=errors or (output and subprocess.STDOUT),
                pass_fds=(status_writer,),
                start_new_session=True,
                cwd=cwd,
                env=env,
            )
        except BaseException:
            self._status.close()
            raise
        finally:
            os.close(status_writer)
        try:
            if not select.select([self], [], [], GUARD_DEADLINE_S)[0]:
                raise BenchError(
                    f"{self.command} was not started within {GUARD_DEADLINE_S:.0f} s: "
                    "its guard does not respond"
                )
            self.hear()
        except BaseException:
            self.stop()
            raise

    @property
    def guard_pid(self) -> int:
        return self._guard.pid

    @property
    def is_watched(self) -> bool:
        return not self._status.closed

    def fileno(self) -> int:
        return self._status.fileno()

    def hear(self) -> None:
        """The guard closes the pipe soon after the end: a second buffered line is heard of then."""
        line = self._status.readline()
        if not line:  # somebody killed the guard
            self.exit = Exit(code=-signal.SIGKILL, cpu_s=0.0, survivors=0)
            return
        message = json.loads(line)
        if "error" in message:
            error = OSError(message["error"], os.strerror(message["error"]))
            raise BenchError(f"cannot run {self.command}: {reason_of(error)}")
        self.pid = message.get("pid", self.pid)
        if "exit" in message:
            self.exit = Exit(
                code=message["exit"], cpu_s=message["cpu_s"], survivors=message["left"]
            )

    def open_gate(self) -> None:
        assert self._guard.stdin is not None  # noqa: S101  # it is a pipe
        os.write(self._guard.stdin.fileno(), b"g")

    def processes(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self._guard.pid).children(recursive=True)
        return []

    def send_signal(self, number: signal.Signals) -> None:
        if self.pid and not self.exit:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def stop(self) -> None:
        """End the whole tree, by the guard even where this is interrupted; again does nothing."""
        if self._status.closed:
            return
        assert self._guard.stdin is not None  # noqa: S101  # it is a pipe
        self._guard.stdin.close()
        self._guard.send_signal(signal.SIGCONT)  # somebody may have stopped the guard
        if not self._has_guard_ended():
            for process in self.processes():
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self._guard.kill()
        guard_status = self._guard.wait()
        if guard_status and self.pid:  # somebody killed the guard, or it failed
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)
        self._status.close()

    def _has_guard_ended(self) -> bool:
        deadline = time.monotonic() + GUARD_DEADLINE_S
        while True:
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([self], [], [], left_s)[0]:
                return False
            if not os.read(self.fileno(), 4096):
                return True


def await_any(children: Iterable[Child], timeout_s: float) -> None:
    running = [child for child in children if child.exit is None]
    for child in select.select(running, [], [], timeout_s)[0]:
        child.hear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    status: int
    output: str
    errors: str


def run_guarded(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Finished:
    """Return how the command ended, once nothing of its process tree is left. Raises BenchError."""
    deadline = time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        child = Child(argv, output=output, errors=errors, env=env, cwd=cwd)
        try:
            while not child.exit:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise BenchError(f"{argv[0]} did not end within {timeout_s:.0f} s")
                await_any([child], left_s)
        finally:
            child.stop()
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return Finished(status=child.exit.code, output=texts[0], errors=texts[1])
