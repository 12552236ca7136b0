"""A server that this tool launches: readiness, workers, CPU time, end."""

import contextlib
import dataclasses
import functools
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from micropie_benchlib.core.built_ins import FRAMEWORK_PACKAGES, OTHER_PACKAGES
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import WorkerFacts
from micropie_benchlib.core.targets import (
    AsgiTarget,
    LaunchedTarget,
    ServerSettings,
    Target,
    UrlTarget,
    host_and_port,
)
from micropie_benchlib.core.text import pluralize
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.serve import kinds, logs
from micropie_benchlib.serve.addresses import addresses_of, free_port
from micropie_benchlib.serve.asgi import ASGI_SERVERS, SERVER_PACKAGES
from micropie_benchlib.serve.probe import (
    NotReachedError,
    Probe,
    SpeaksTlsError,
    can_connect,
    probe_limit_s,
)
from micropie_benchlib.serve.servers import LocalServer, UrlServer
from micropie_benchlib.serve.versions import PackageVersions, examine_python, package_versions
from micropie_benchlib.serve.workers import LoadedApp, Worker
from micropie_benchlib.system import children, processes

VAIN_WAIT_S = 15.0  # then it is looked whether a command's port is to be expected at all
SETTLE_S = 10.0  # at most, for the rest of a command's processes
SETTLE_STEP_S = 0.3
DYING_S = 0.2  # between the end of a connection and that of its server


class LaunchedServer(LocalServer):
    """A server that the constructor starts; it serves once await_workers() has returned.

    It runs in the target's directory, so that modules where the user stands do not get in the
    way of the built-ins.
    """

    child: children.Child
    settings: ServerSettings
    worker: Worker | None = None  # one of the app's, once it is ready

    def __init__(
        self, target: LaunchedTarget, settings: ServerSettings, *, log: Path | None
    ) -> None:
        self.settings = settings
        self.log = log
        self._kind = kinds.TARGET_KINDS[type(target)]
        self.readiness = self._kind.readiness(settings)
        self.workers: set[psutil.Process] = set()
        self._cores = processes.all_cores()
        self._has_answered = False
        self._start = time.monotonic()
        self.port = free_port(settings.host, settings.port)
        env = [
            (name, kinds.filled(value, target, settings, self.port)) for name, value in target.env
        ]
        self.target = dataclasses.replace(target, env=tuple(env))
        self.argv = argv = self._kind.argv(target, settings, self.port)
        environment = self._kind.environment(self.target, os.environ)
        self._loaded_app: LoadedApp | None = None
        if log and isinstance(self.target, AsgiTarget):
            self._loaded_app = LoadedApp(self.target, log.parent)
            argv = self._loaded_app.argv(settings, self.port)
            environment = self._loaded_app.environment(os.environ)
        with logs.new_log(log) if log else contextlib.nullcontext() as output:
            self.child = children.Child(
                argv,
                output=output,
                env=environment,
                cwd=target.directory,
                # A built-in that was measured has nothing to do at its end.
                grace_s=0 if target.is_built_in and log else children.STOP_GRACE_S,
            )

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def url(self, path: str) -> str:
        return f"{self.target.scheme}://{host_and_port(self.settings.host, self.port)}{path}"

    def processes(self) -> list[psutil.Process]:
        return self.child.processes()

    def log_text(self) -> str:
        return logs.read_tail(self.log) if self.log else ""

    def log_excerpt(self) -> list[str]:
        return logs.excerpt(self.log_text())

    def complaint(self) -> str:
        error = logs.last_error(self.log_text())
        if isinstance(self.target, AsgiTarget):
            error += logs.advice_on(error, self.target)
        return error

    def _reason(self) -> str:
        return self.complaint() or (logs.NO_REASON if self.log else "see the log above")

    def _with_last_error(self, text: str) -> str:
        error = self.complaint()
        return f"{text}; its last error line: {error}" if error else text

    def counted_workers(self) -> Iterable[psutil.Process]:
        return self.workers if self.readiness.has_fixed_workers else []

    def pin(self, cores: Sequence[int]) -> None:
        if not cores or cores == self._cores:
            return
        self._cores = list(cores)
        for process in self.processes():
            for task in Path(f"/proc/{process.pid}/task").glob("*"):
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(int(task.name), cores)

    def await_workers(
        self, *, tick: children.Tick = lambda: None, deadline_s: float | None = None
    ) -> None:
        """Raises BenchError if a process dies, another one has its port too, or at the deadline."""
        limit_s = self.settings.start_timeout_s if deadline_s is None else deadline_s
        start = time.monotonic()
        while not self.child.exit and not self._has_lost_a_worker():
            children.await_any([self.child], children.POLL_S)
            tick()
            if self._is_ready():
                if not self.readiness.has_fixed_workers:
                    self._settle(tick)
                if not self.child.exit:
                    self.check_port()
                    self._look_into_workers()
                    self._warn_of_lifespan()
                    return
            self._check_deadline(time.monotonic() - start, limit_s)
        raise BenchError(self._start_failure())

    def ask(
        self, workload: Workload, *, tick: children.Tick = lambda: None
    ) -> tuple[Response, ...]:
        """It may listen long before it can respond, as gunicorn does.

        So the first response has `start_timeout_s` from the start, and is asked for again where
        a connection is refused or closed.
        """
        limit_s = probe_limit_s(workload)
        if self._has_answered:
            return self._ask(workload, limit_s, tick)
        begun = time.monotonic()
        deadline = max(self._start + self.settings.start_timeout_s, begun + limit_s)
        is_first = True
        while True:
            try:
                left_s = deadline - time.monotonic()
                responses = self._ask(workload, left_s, tick, tries_tls=is_first)
                break
            except NotReachedError:
                is_first = False
                self._check_address()
                if time.monotonic() > deadline - children.POLL_S:
                    raise
                children.await_any([self.child], children.POLL_S)
                self._watch(tick)
        self._has_answered = True
        has_waited = time.monotonic() - begun > SETTLE_STEP_S
        if has_waited and not self.readiness.has_fixed_workers:
            self._settle(tick)  # others of its workers may still be loading
        return responses

    def _ask(
        self, workload: Workload, deadline_s: float, tick: children.Tick, *, tries_tls: bool = True
    ) -> tuple[Response, ...]:
        probe = Probe(
            self.url(workload.path),
            workload,
            deadline_s=deadline_s,
            watch=functools.partial(self._watch, tick),
            tries_tls=tries_tls,
        )
        try:
            return probe.ask()
        except SpeaksTlsError:
            raise BenchError(
                f"{self.target.name} speaks TLS on port {self.port}: "
                f"let it serve plain HTTP, or use --set {self.target.name}.scheme=https"
            ) from None
        except BenchError as error:
            if self._has_answered:
                children.await_any([self.child], DYING_S)
            end = self.child.exit
            if not end:
                raise type(error)(self._with_last_error(str(error))) from None
            if not self._has_answered:
                raise
            death = f"{self.target.name} died{end.sentence} during a probe request"
            raise BenchError(f"{death}: {self._reason()}") from None

    def _watch(self, tick: children.Tick) -> None:
        children.await_any([self.child], 0)
        tick()
        if self.child.exit:
            raise BenchError(self._start_failure())

    def _warn_of_lifespan(self) -> None:
        is_users = self.target.is_app and not self.target.is_built_in
        line = ASGI_SERVERS[self.settings.asgi].no_lifespan_line
        if is_users and line and line in self.log_text():
            self.warnings = (BenchWarning.of(Kind.LIFESPAN_FAILED),)

    def _look_into_workers(self) -> None:
        """Raises BenchError if the workers are made of other code."""
        files = kinds.mapped_programs(self.processes())
        if self._loaded_app:
            self.worker = self._loaded_app.worker()
        if self.worker:
            files |= set(self.worker.files)
        self.code = kinds.NeededFiles(path for path in files if path.is_file())

    def versions(self) -> PackageVersions:
        target = self.target
        if self.worker and isinstance(target, AsgiTarget):
            python = self.worker.facts.python if target.python else None
            return PackageVersions(packages=self.worker.versions(target), python=python)
        if not target.python:  # what a command runs is not known
            return super().versions()
        names = [*SERVER_PACKAGES, *FRAMEWORK_PACKAGES, *OTHER_PACKAGES]
        packages = package_versions(names, python=target.python)
        return PackageVersions(packages=packages, python=examine_python(target.python).python)

    def worker_facts(self) -> WorkerFacts | None:
        return self.worker.facts if self.worker else None

    def _is_ready(self) -> bool:
        wanted = self.readiness.processes
        if sys.platform == "linux":
            is_worker = processes.accepts if self.readiness.has_fixed_workers else processes.listens
            others = set(self.processes()) - self.workers
            self.workers |= {process for process in others if is_worker(process, self.port)}
            return len(self.workers) >= wanted
        if self.readiness.log_line:
            return self.log_text().count(self.readiness.log_line) >= wanted
        return can_connect(self.settings.host, self.port)

    def _settle(self, tick: children.Tick) -> None:
        """Return when a command's processes neither change nor work: others may be starting."""
        deadline = time.monotonic() + SETTLE_S
        last_count, last_cpu_s = -1, 0.0
        while time.monotonic() < deadline and not self.child.exit:
            live = self.processes()
            count, cpu_s = len(live), sum(map(processes.cpu_time_s, live))
            if count == last_count and cpu_s - last_cpu_s < 0.05 * SETTLE_STEP_S:
                break
            last_count, last_cpu_s = count, cpu_s
            children.await_any([self.child], SETTLE_STEP_S)
            tick()
        self.workers = {each for each in self.processes() if processes.listens(each, self.port)}

    def _check_deadline(self, waited_s: float, limit_s: float) -> None:
        in_vain = ""
        if self.readiness.has_fixed_workers:
            state = f"only {len(self.workers)} of {self.readiness.processes} workers are ready"
        else:
            state = f"nothing listens on port {self.port} (its {{port}})"
            if waited_s > VAIN_WAIT_S:
                in_vain = self._why_in_vain()
        if not in_vain and waited_s <= limit_s:
            return
        hint = in_vain or "--start-timeout"
        failure = f"{self.target.name}: {state} after {waited_s:.0f} s ({hint})"
        raise BenchError(self._with_last_error(failure))

    def _why_in_vain(self) -> str:
        """Return why waiting longer is in vain; empty if it may not be."""
        if not self.workers and can_connect(self.settings.host, self.port):
            raise BenchError(
                f"{self.target.name}: something outside the command's processes responds on "
                f"port {self.port} (in a container?): start it yourself and give its http:// URL"
            )
        ports: set[int] = set()
        for process in self.processes():
            ports.update(each.port for each in processes.listeners(process))
        others = sorted(ports - {self.port})
        if not others:
            ended = [each for each in self.processes() if not processes.is_alive(each)]
            has_failed = any(logs.exceptions_in(logs.log_lines(self.log_text())))
            return "processes of its own have ended" if ended and has_failed else ""
        return (
            f"it listens on port {', '.join(map(str, others))}: use {{port}} for it, "
            "or start it yourself and give its http:// URL"
        )

    def _check_address(self) -> None:
        addresses: set[str] = set()
        for process in self.processes():
            on_port = [each for each in processes.listeners(process) if each.port == self.port]
            addresses.update(each.address for each in on_port)
        hosts = addresses_of(self.settings.host)
        if not addresses or addresses & {*hosts, "0.0.0.0", "::"}:  # noqa: S104  # they are all
            return
        names = [host_and_port(address, self.port) for address in sorted(addresses)]
        raise BenchError(
            f"{self.target.name} listens on {', '.join(names)}: "
            f"it must listen on {self.settings.host} (its {{host}})"
        )

    def check_port(self) -> None:
        own = {process.pid for process in self.processes()}
        if set(processes.listener_pids(self.port)) - own:
            raise BenchError(
                f"a process outside {self.target.name} listens on port {self.port} too: stop it"
            )

    def _has_lost_a_worker(self) -> bool:
        return self._loaded_app is not None and self._loaded_app.has_lost_a_worker()

    def _start_failure(self) -> str:
        end = self.child.exit
        if end and end.survivors and not end.code and not self.readiness.has_fixed_workers:
            return (
                f"{self.target.name}: the command ended and left {end.survivors} processes "
                "behind (a daemon): it must stay in the foreground"
            )
        reason = self._reason()
        python = self.target.python
        if python and not examine_python(python).python:
            reason += f" ({python} does not run as a Python: use another --python)"
        if end and not end.code and not self._has_lost_a_worker():
            return f"{self.target.name}: it ended at once with exit status 0: {reason}"
        status = end.sentence if end else ""
        return f"{self.target.name} died while starting{status}: {reason}"

    def lost_workers(self) -> str | None:
        if self.child.exit:
            return f"{self.target.name} died{self.child.exit.sentence}: {self._reason()}"
        try:
            self.check_port()
        except BenchError as error:
            return str(error)
        lost = sum(not processes.is_alive(process) for process in self.workers)
        if lost:
            name, workers = self.target.name, pluralize(lost, "worker")
            return self._with_last_error(f"{workers} of {name} died")
        if sys.platform == "linux" and self.readiness.has_fixed_workers:
            others = set(self.processes()) - self.workers
            more = sum(processes.accepts(process, self.port) for process in others)
            if more:
                return f"{pluralize(more, 'more worker')} than expected"
        return self._log_fault()

    def _log_fault(self) -> str | None:
        """Return why its log cannot be written to, which takes time and loses its errors."""
        if not self.log:
            return None
        try:
            with self.log.open("ab", buffering=0) as log:
                log.write(b"\n")
        except OSError as error:
            return (
                f"its log cannot be written ({error.strerror}): make room in "
                f"{self.log.parent.parent}, raise ulimit -f, or use --no-access-log"
            )
        return None


def run_prepare(target: Target, *, timeout_s: float) -> None:
    if isinstance(target, UrlTarget) or not target.prepare:
        return
    environment = kinds.server_environment(target, os.environ)
    environment["MICROPIE_BENCH_PREPARE"] = target.prepare  # other users see no command's words
    try:
        done = children.run_guarded(
            ["/bin/sh", "-c", 'eval "$MICROPIE_BENCH_PREPARE"'],
            timeout_s=timeout_s,
            env=environment,
            cwd=target.directory,
        )
    except BenchError as error:
        raise BenchError(f"{target.name}: prepare failed: {error} (start_timeout)") from None
    if done.status:
        reason = logs.last_error(done.errors or done.output) or logs.NO_REASON
        raise BenchError(f"{target.name}: prepare ended with status {done.status}: {reason}")


def start_server(target: Target, settings: ServerSettings, *, log: Path | None) -> LocalServer:
    if isinstance(target, UrlTarget):
        return UrlServer(target)
    return LaunchedServer(target, settings, log=log)
