"""The wrk side of a trial on this machine."""

import contextlib
import dataclasses
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.requests import PAIRED_TIMEOUT_S, Workload, header_value
from micropie_benchlib.core.secrets import NO_SECRETS, Secrets
from micropie_benchlib.load.machine import NO_LINK, Link, LinkMeter
from micropie_benchlib.load.readings import LoadReading
from micropie_benchlib.load.wrk_program import wrk_error
from micropie_benchlib.serve.addresses import split_url
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.system.children import POLL_S, Child, await_any
from micropie_benchlib.system.machine import MachineMeter, wall_clock_lead_s
from micropie_benchlib.system.processes import core_count, is_stopped
from micropie_benchlib.system.schedstat import read_account
from micropie_benchlib.system.sockets import connection_silences_s, opened_connections
from micropie_benchlib.wrk.command import wrk_argv, wrk_request, wrk_script
from micropie_benchlib.wrk.exact import parse_exact

READ_S = 0.05  # for a wrk to read the responses that wait for it: some 10 us each
OVERRUN_S = 15.0  # a wrk that has not ended this long after its time hangs
ROOM_BYTES = 2**20  # more than wrk writes


def live_process(child: Child) -> psutil.Process | None:
    with contextlib.suppress(psutil.NoSuchProcess):
        return None if child.exit else psutil.Process(child.pid)
    return None


def check_room(file: IO[bytes]) -> None:
    """Raise OSError if no more can be written to the file: wrk itself does not say so."""
    left = ROOM_BYTES
    while left:
        left -= os.write(file.fileno(), bytes(left))


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """Where one wrk sends its load: the URL without secrets, and the path with them."""

    url: str
    path: str = "/"
    host_header: str = ""


def goals_of(
    servers: Sequence[RunningServer], load: Load, secrets: Secrets = NO_SECRETS
) -> list[Goal]:
    """Raises BenchError if the load must not go there."""
    goals = []
    for server in servers:
        *origin, rest = server.load_url(load.workload.path).split("/", 3)
        path = f"/{rest}"
        shown = secrets.hide_whole_words(path).removeprefix("/")
        url = "/".join([*origin, shown])
        goals.append(Goal(url=url, path=path, host_header=server.host_header))
    return goals


def overrun() -> BenchError:
    return BenchError(f"wrk ran more than {OVERRUN_S:.0f} s too long")


class WrkGroup:
    """One wrk for each goal; on entering they wait at their gates, on leaving they end."""

    def __init__(
        self,
        wrk: str,
        goals: Sequence[Goal],
        load: Load,
        *,
        work_dir: Path,
        cores: Sequence[int] = (),
        link: Link = NO_LINK,
    ) -> None:
        self._wrk, self._goals, self._load, self._link = wrk, goals, load, link
        self._work_dir, self._cores = work_dir, cores
        self._stack = contextlib.ExitStack()
        self._children: list[Child] = []
        self._outputs: list[IO[bytes]] = []
        self._script = work_dir / "done.lua"
        self._moments = work_dir / "moments"
        self._silences_s: list[tuple[float, ...]] = [()] * len(goals)
        self._delay_s = 0.0
        self._span_s: float | None = None

    def __enter__(self) -> Self:
        self._script.write_text(wrk_script(self._load))
        if self._load.rate_per_s:
            self._moments.write_bytes(self._load.arrival_times().tobytes())
        with self._stack:  # what fails here undoes what was done
            self._start_children()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start_children(self) -> None:
        for number, goal in enumerate(self._goals):
            request = self._work_dir / f"request-{number}"
            request.write_bytes(wrk_request(self._workload(goal)))
            environment = self._environment(request)
            output = tempfile.TemporaryFile(dir=self._work_dir)  # noqa: SIM115
            self._outputs.append(self._stack.enter_context(output))
            argv = self._argv(goal)
            child = Child(argv, output=output, env=environment, cores=self._cores, gated=True)
            self._children.append(child)
            self._stack.callback(child.stop)

    def _argv(self, goal: Goal) -> list[str]:
        load = self._load
        timeout_s = load.workload.timeout_s
        if len(self._goals) > 1 and not load.rate_per_s:
            timeout_s = max(PAIRED_TIMEOUT_S, timeout_s)
        return wrk_argv(self._wrk, load, goal.url, str(self._script), timeout_s=timeout_s)

    def _workload(self, goal: Goal) -> Workload:
        headers = self._load.workload.headers
        if goal.host_header and header_value(headers, "Host") is None:
            headers = (*headers, ("Host", goal.host_header))
        return dataclasses.replace(self._load.workload, path=goal.path, headers=headers)

    def _environment(self, request: Path) -> dict[str, str]:
        load = self._load
        environment = os.environ | {"MICROPIE_BENCH_REQUEST": str(request)}
        if load.rate_per_s:
            environment["MICROPIE_BENCH_WINDOW"] = str(load.duration_s)
            environment["MICROPIE_BENCH_MOMENTS"] = str(self._moments)
            environment["MICROPIE_BENCH_CONNECTIONS"] = str(load.connections)
        return environment

    def open_gates(self) -> None:
        self._meter = MachineMeter()
        self._link_meter = LinkMeter(self._link)
        self._clock_lead_before_s = wall_clock_lead_s()
        self._opened_before = opened_connections()
        self._start = time.monotonic()
        for child in self._children:
            child.open_gate()

    def _have_all_ended(self) -> bool:
        return all(child.exit for child in self._children)

    def wait(self, seconds: float) -> bool:
        if not self._have_all_ended():
            await_any(self._children, seconds)
        return self._have_all_ended()

    def _signal(self, number: signal.Signals) -> None:
        for child in self._children:
            child.send_signal(number)

    def suspend(self) -> None:
        """Stop the wrks where they are (SIGSTOP) until they are interrupted."""
        self._require_unstopped()
        self._signal(signal.SIGSTOP)
        self._span_s = time.monotonic() - self._start
        for child, output in zip(self._children, self._outputs, strict=True):
            if child.exit:
                self._report(child, output)  # says why, if it failed
                raise BenchError("a wrk of the paired trial ended too early")

    def _require_unstopped(self) -> None:
        for child in self._children:
            process = live_process(child)
            if process and is_stopped(process):
                raise BenchError("wrk was stopped (SIGSTOP)")

    def look(self) -> None:
        if self._span_s is None:
            self._require_unstopped()
        self._silences_s = []
        self._delay_s = 0.0
        for child, goal in zip(self._children, self._goals, strict=True):
            process = live_process(child)
            _, _, port = split_url(goal.url)
            silences = connection_silences_s(process, port) if process else []
            self._silences_s.append(tuple(silences))
            if process:
                threads = read_account([process]).threads
                self._delay_s += sum(times.delay_s for times in threads.values())

    def interrupt(self) -> None:
        """Have the wrks report and end; those suspended first read the responses that wait."""
        if self._span_s is not None:
            self._signal(signal.SIGCONT)
            time.sleep(READ_S)
        deadline = time.monotonic() + OVERRUN_S
        while not self._have_all_ended() and time.monotonic() < deadline:
            self._signal(signal.SIGINT)
            self.wait(POLL_S)
        if not self._have_all_ended():
            raise overrun()

    def reading(self) -> LoadReading:
        """Raises BenchError if a wrk failed."""
        runs, reports = [], []
        for child, output in zip(self._children, self._outputs, strict=True):
            run, report = self._report(child, output)
            runs.append(run)
            reports.append(report)
        cpu_s = sum(child.exit.cpu_s for child in self._children if child.exit)
        opened = opened_connections()
        if opened is not None and self._opened_before is not None:
            opened -= self._opened_before
        return LoadReading(
            runs=tuple(runs),
            reports=tuple(reports),
            silences_s=tuple(self._silences_s),
            cpu_s=cpu_s,
            delay_s=self._delay_s,
            cores=len(self._cores) or core_count(),
            clock_step_s=wall_clock_lead_s() - self._clock_lead_before_s,
            connections_opened=opened if len(self._goals) == 1 else None,
            disturbances=self._meter.disturbances(cpu_s),
            full_link=self._link_meter.full(),
        )

    def _report(self, child: Child, output: IO[bytes]) -> tuple[WrkResult, str]:
        output.seek(0)
        text = output.read().decode(errors="replace")
        if child.exit and child.exit.code:
            raise BenchError(f"wrk ended with status {child.exit.code}: {wrk_error(text)}")
        try:
            return parse_exact(text, connections=self._load.connections, span_s=self._span_s)
        except BenchError:
            check_room(output)  # it may have been cut
            raise
