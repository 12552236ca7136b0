"""What the tests share: the tool as it is started, that it leaves nothing running, results."""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from hypothesis import settings

import micropie_bench as mb
from micropie_benchlib.cli.commands import command_line
from micropie_benchlib.cli.exports import Exports
from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.choices import Limit, Method
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.loads import Load, LoadId
from micropie_benchlib.core.measurements import Errors, Latency, Measurement, ServerUse, WrkResult
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD, Response
from micropie_benchlib.core.results import (
    Environment,
    Results,
    Settings,
    TargetFacts,
    WorkloadFacts,
)
from micropie_benchlib.core.targets import ServerSettings, UrlTarget
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load import cpu_accounts
from micropie_benchlib.load.hosts import all_here
from micropie_benchlib.load.readings import Observation, TrialCores
from micropie_benchlib.load.trial import apply_load, load_of_wrk
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.layout import Report
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.stats.comparisons import with_derived
from micropie_benchlib.system.children import Child
from micropie_benchlib.wrk.exact import EXACT_MARK

ROOT = Path(__file__).parent.parent
TARGETS = Path(__file__).parent / "targets"
MARK = "MICROPIE_BENCH_TEST_RUN"

# What is tried of all that could be given to a test; --hypothesis-profile chooses.
settings.register_profile("short", max_examples=30, deadline=None, database=None, derandomize=True)
settings.register_profile("nightly", settings.get_profile("short"), max_examples=500)


T = TypeVar("T")


def await_that(condition: Callable[[], T], what: object = "it did not come") -> T:
    """Return what is true by then; the deadline is for a machine that others keep busy."""
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, what
        time.sleep(0.02)
    return found


def program(path: Path, text: str) -> str:
    """Write a shell script that can be executed."""
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(text)}\n")
    path.chmod(0o755)
    return str(path)


class Marked:
    """What starts processes that all carry a mark in their environment."""

    mark: str

    def running(self) -> list[str]:
        """Return the command lines of the live processes that carry the mark."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                is_marked = process.environ().get(MARK) == self.mark
                if is_marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline()))
        return found

    def await_running(self, condition: Callable[[list[str]], bool], *, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition(running := self.running()):
            assert time.monotonic() < deadline, running
            time.sleep(0.05)


@dataclass
class Tool(Marked):
    """Starts the tool in a directory with faulty apps.

    Each process that it starts carries the mark of this test.
    """

    marks: Path
    program: Path = ROOT / "micropie_bench.py"
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *args: str, cwd: Path = TARGETS, **env: str) -> subprocess.Popen[str]:
        inherited = {k: v for k, v in os.environ.items() if k != "FORCE_COLOR"}
        process = subprocess.Popen(
            [sys.executable, str(self.program), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env={**inherited, "FAULTY_MARKS": str(self.marks), MARK: self.mark, **env},
        )
        self.started.append(process)
        return process

    def run(
        self, *args: str, cwd: Path = TARGETS, timeout: float = 100, **env: str
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(*args, cwd=cwd, **env)
        out, err = process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(args, process.returncode, out, err)


@pytest.fixture
def tool(tmp_path: Path) -> Iterator[Tool]:
    tool = Tool(marks=tmp_path)
    yield tool
    for process in tool.started:
        process.kill()
        process.communicate()
    tool.await_running(lambda running: not running, seconds=30)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "home"
    directory.mkdir()
    monkeypatch.setenv("HOME", str(directory))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return directory


# The modules that hold what the tests set, each by its own import.
WITH_BUNDLED = (
    "cli.targets",
    "core.paths",
    "load.machine",
    "load.wrk_program",
    "remote.machines",
    "serve.kinds",
    "serve.packages",
)
WITH_CORES = ("cli.plans", "load.hosts", "load.servers", "system.processes")


def set_bundled(monkeypatch: pytest.MonkeyPatch, bundled: bool) -> None:
    """Let the tool be started from the .pyz, or from a checkout."""
    for module in WITH_BUNDLED:
        monkeypatch.setattr(f"micropie_benchlib.{module}.BUNDLED", bundled)


def set_cores(monkeypatch: pytest.MonkeyPatch, cores: list[int]) -> None:
    """Let the machine have these cores."""
    for module in WITH_CORES:
        monkeypatch.setattr(f"micropie_benchlib.{module}.all_cores", lambda: cores)


def run_command(*args: str) -> None:
    commands = command_line(mb.top)
    assert not commands(args=list(args), prog_name="micropie_bench", standalone_mode=False)


@dataclass
class Asked:
    """What commands, run in this process, would have measured; the last one's is its plan."""

    plans: list[Plan] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        return self.plans[-1]

    def plan_of(self, *args: str) -> Plan:
        run_command(*args)
        return self.plan

    def refusal(self, *args: str) -> str:
        """Return what is wrong with a command that would have measured nothing."""
        with pytest.raises(UsageError) as refused:
            run_command(*args)
        assert not self.plans
        return str(refused.value)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Return what is filled in by a command that would measure, which it does not."""
    asked = Asked()

    def note(plan: Plan, _exports: Exports, **options: Any) -> int:
        asked.plans.append(plan)
        asked.options = options
        return 0

    monkeypatch.setattr("micropie_benchlib.cli.session.run_and_report", note)
    set_cores(monkeypatch, [0, 1])
    monkeypatch.delenv("MICROPIE_BENCH_WRK", raising=False)
    return asked


Typed = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Return what runs a command in this process, and all that main() does, as if typed.

    Its standard streams are no terminal. It is for commands that measure nothing.
    """
    monkeypatch.chdir(TARGETS)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr("sys.argv", ["micropie_bench.py"])  # by this name shells complete it
    monkeypatch.setattr("micropie_bench.handle_signals", lambda: None)

    def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            try:
                status = mb.main(args)
            except SystemExit as end:  # so completion ends
                status = int(end.code or 0)
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(args, status, out, err)

    return run


@contextlib.contextmanager
def answering(answer: Callable[[socket.socket], None], host: str = "127.0.0.1") -> Iterator[int]:
    """Yield the port of a server that answers each connection so, in a thread of its own."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    threads: list[threading.Thread] = []

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(20)
            answer(connection)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()

    with socket.create_server((host, 0), family=family) as listener:
        threads.append(threading.Thread(target=accept))
        threads[0].start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return the files of a certificate for localhost and of its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    make += ["-subj", "/CN=localhost", "-keyout", str(key), "-out", str(certificate)]
    try:
        subprocess.run(make, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl here")
    return certificate, key


PYZ = ROOT / "micropie_bench.pyz"


@contextlib.contextmanager
def only_build() -> Iterator[None]:
    """Let no other worker of pytest build meanwhile."""
    with Path(tempfile.gettempdir(), f"micropie_bench-build-{os.getuid()}.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the real .pyz, built once for all workers of pytest."""
    base = tmp_path_factory.getbasetemp()
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    built = (base.parent if is_worker else base) / "pyz-is-built"
    with only_build():
        if not built.exists():
            subprocess.run([str(ROOT / "build_pyz.sh")], check=True, stdout=subprocess.DEVNULL)
            built.touch()
    return PYZ


Start = Callable[..., LaunchedServer]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Return what launches a target, the faulty apps among them."""
    monkeypatch.chdir(TARGETS)
    monkeypatch.setenv("FAULTY_MARKS", str(tmp_path))

    def start(
        spec: str, *, workers: int = 4, start_timeout_s: float = 60, **changes: Any
    ) -> LaunchedServer:
        target = replace(parse_target(spec), **changes)
        assert not isinstance(target, UrlTarget)
        log = tmp_path / f"log-{spec.partition('=')[0]}"
        settings = ServerSettings(workers=workers, start_timeout_s=start_timeout_s)
        running = LaunchedServer(target, settings, log=log)
        try:
            running.await_workers()
        except BenchError:
            running.__exit__()
            raise
        return running

    return start


def run_load(
    servers: Sequence[LocalServer],
    load: Load,
    *,
    work_dir: Path,
    tick: Callable[[], None] = lambda: None,
) -> list[Observation]:
    """Return what is seen of the servers under load from this machine by the wrk on PATH."""
    is_paired = len(servers) > 1
    own = load_of_wrk(load, is_paired=is_paired)
    sides = all_here("wrk", work_dir).sides(servers, own)
    return apply_load(sides, load, is_paired=is_paired, tick=tick)


def pytest_configure(config: pytest.Config) -> None:
    """Let signals reach what the tests start, also under nohup or behind a shell's `&`.

    There they are ignored, which children inherit.
    """
    settings.load_profile(config.getoption("--hypothesis-profile") or "short")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the tests as compiled, in pytest's cache, where PYTHONDONTWRITEBYTECODE is set, too.

    They take longer to compile than to run.
    """
    before = sys.dont_write_bytecode, sys.pycache_prefix
    if session.config.cache:
        sys.pycache_prefix = str(session.config.cache.mkdir("bytecode"))
        sys.dont_write_bytecode = False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode, sys.pycache_prefix = before


SLOW_FIXTURES = {"tool", "start", "pyz", "browser", "in_process"}  # they start processes


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes, so that `-m "not slow"` is the pure ones.

    So are all nightly ones.
    """
    for item in items:
        starts = SLOW_FIXTURES & set(getattr(item, "fixturenames", ()))
        if starts or item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.slow)


# Results as a run would have them.


def cores_of(servers: int) -> TrialCores:
    """Return the cores of a trial of so many servers on a machine that has four."""
    if servers > 1:
        return TrialCores(servers=2, loads=(2,), are_shared=False)
    return TrialCores(servers=4, loads=(4,), are_shared=True)


HUNDRED = LoadId(workload=DEFAULT_WORKLOAD, connections=100)
NAMES = ("base", "more")
SECONDS = 60  # of a trial: many answers on each connection
LABELS = {"base": "Base", "more": "More"}
RATES = ((100.0, 90.0), (102.0, 91.0), (99.0, 90.0), (101.0, 91.5))


def failed(error: str) -> tuple[BenchWarning, ...]:
    return (BenchWarning.of(Kind.FAILED, error=error),)


def kinds_of(warnings: Sequence[Mapping[str, Any]]) -> list[str]:
    return [warning["kind"] for warning in warnings]


def with_wrk(measurement: Measurement, **changes: Any) -> Measurement:
    """Return the measurement with these changes of what wrk told."""
    assert measurement.wrk
    return replace(measurement, wrk=replace(measurement.wrk, **changes))


def wrk_of(rate: float, *, seconds: float = SECONDS, **changes: Any) -> WrkResult:
    """Return what wrk tells of that many requests/s."""
    wrk = with_wrk(measured("any", 1, rate, seconds=seconds), **changes).wrk
    assert wrk
    return wrk


def measured(
    target: str,
    number: int,
    rate: float,
    *,
    cpu_s: float = 1.0,
    partner: str | None = None,
    invalid: str | None = None,
    load: LoadId = HUNDRED,
    limited_by: Limit | None = Limit.SERVER_CPU,
    seconds: float = SECONDS,
) -> Measurement:
    """Return a measurement of that many requests/s, which used that CPU time each second."""
    histogram = ((1000, 90), (2000, 9), (30_000, 1))
    latency = Latency(
        mean_s=0.01, stdev_s=0.01, max_s=max(0.03, 1 / rate), p99_s=1 / rate, histogram=histogram
    )
    wrk = WrkResult(
        duration_s=seconds,
        requests=round(seconds * rate),
        bytes=144 * round(seconds * rate),
        requests_per_s=rate,
        bytes_per_s=144 * rate,
        latency=latency,
        latency_uncorrected=latency,
        errors=Errors(),
        load_cpu_s=0.5 * seconds,
    )
    return Measurement(
        round=number,
        method=Method.PAIRED if partner else Method.SINGLE,
        target=target,
        partner=partner,
        load=load,
        threads=4,
        wrk=wrk,
        use=ServerUse(
            server_cpu_s=seconds * cpu_s,
            server_rss_bytes=2**20,
            worker_balance=0.5,
            idle_cores=0.001,
        ),
        limited_by=limited_by,
        invalid=failed(invalid) if invalid else (),
    )


ENVIRONMENT = Environment(
    python="3.11.7",
    executable="/usr/bin/python3",
    bundle=None,
    implementation="CPython",
    platform="Linux",
    kernel="6.1.0",
    cpu_model=None,
    cpu_count=2,
    governor=None,
    wrk="/usr/bin/wrk",
    wrk_version="4.1.0",
    packages={"uvicorn": "0.34.0"},
)


SETTINGS = Settings(
    server=ServerSettings(port=8000),
    workloads=(
        WorkloadFacts(
            name=DEFAULT_WORKLOAD,
            method="GET",
            path="/",
            headers=(("Accept", "*/*"),),
            body_sha256="0" * 64,
        ),
    ),
    connections=(100,),
    threads=4,
    duration_s=SECONDS,
    rounds=4,
    paired=False,
    warm_up_s=0.3,
)


def facts_of(name: str, label: str, **changes: Any) -> TargetFacts:
    """Return what is known of a target that answers 144 bytes of text."""
    response = Response(
        status=200,
        bytes=144,
        headers=(("content-type", "text/plain"),),
        body_sha256="0" * 64,
        body_bytes=13,
        http_version="1.1",
    )
    facts = TargetFacts(
        name=name,
        label=label,
        spec="asgi",
        versions={},
        server_command="serve",
        responses={DEFAULT_WORKLOAD: response},
    )
    return replace(facts, **changes)


def results_of(
    measurements: Sequence[Measurement], *, labels: Mapping[str, str] = LABELS, **changes: Any
) -> Results:
    """Return results with these measurements, and what follows from them."""
    targets = tuple(facts_of(name, label) for name, label in labels.items())
    results = Results(
        created="2026-11-26T00:00:00+00:00",
        command="micropie_bench compare",
        seed=1,
        targets=targets,
        measurements=tuple(measurements),
    )
    results = with_derived(results)
    return replace(results, **changes)


EXPORTS = ("json", "markdown", "csv", "html", "github-comment", "github-benchmark")


def export_options(directory: Path) -> list[str]:
    """Return the options that have all that can be exported written there, as out.KIND."""
    return [f"--export-{kind}={directory / f'out.{kind}'}" for kind in EXPORTS]


def report_of(results: Results, *, details: bool = True) -> Report:
    return Report(results=results, conclusion=conclude(results), details=details)


def run_of(
    rates: Sequence[Sequence[float]],
    *,
    partners: bool = False,
    cpu_s: tuple[float, float] = (1.0, 1.0),
    first_round: int = 1,
    **changes: Any,
) -> list[Measurement]:
    """Return rounds with these requests/s of `base` and `more`, alone or as paired trials."""
    measurements = []
    for number, of_round in enumerate(rates, start=first_round):
        for name, other, rate, cpu in zip(NAMES, reversed(NAMES), of_round, cpu_s, strict=True):
            partner = other if partners else None
            made = measured(name, number, rate, cpu_s=cpu, partner=partner, **changes)
            measurements.append(made)
    return measurements


def single_results(rates: Sequence[Sequence[float]] = RATES, **changes: Any) -> Results:
    """Return results of single rounds with these requests/s of `base` and `more`."""
    return results_of(run_of(rates), **changes)


Compared = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compared(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Compared:
    """Return what compares `base` and `more`, and has these results for measured."""
    for name in ("GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def compare(results: Results, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr("micropie_benchlib.cli.session.run_plan", lambda *_, **__: results)
        return typed("compare", "base=asgi", "more=asgi", "-c", "100", *args, **env)

    return compare


# Cheaper than a process for each test.


@dataclass
class InProcess(Marked):
    """Runs commands in this process, from the directory with faulty apps.

    What they start carries the mark of this test.
    """

    capture: pytest.CaptureFixture[str]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        self.capture.readouterr()  # what was said before
        status = mb.main(args)
        said = self.capture.readouterr()
        return subprocess.CompletedProcess(args, status, said.out, said.err)


@contextlib.contextmanager
def kept_signals() -> Iterator[None]:
    """Restore what signals do, which a command in this process changes."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


IMPATIENCE_S = {"FIRST_IDLE_S": 0.25, "IDLE_S": 0.25, "FIRST_REST_S": cpu_accounts.STEP_S}
PATIENCE_S = {name: getattr(cpu_accounts, name) for name in IMPATIENCE_S}


@pytest.fixture
def in_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[InProcess]:
    """Return what runs commands in this process, where that tells as much as one of their own.

    Work that is put off is watched for only in tests of that: see `patient`.
    """
    for name, seconds in IMPATIENCE_S.items():
        monkeypatch.setattr(cpu_accounts, name, seconds)
    in_process = InProcess(capture=capsys)
    monkeypatch.chdir(TARGETS)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("FAULTY_MARKS", str(tmp_path))
    monkeypatch.setenv(MARK, in_process.mark)
    with kept_signals():
        yield in_process
    in_process.await_running(lambda running: not running, seconds=30)


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is stopped (SIGSTOP), and so does not heed SIGTERM, be killed soon after that."""
    defaults = Child.__init__.__kwdefaults__
    assert defaults
    monkeypatch.setitem(defaults, "grace_s", 0.2)


@pytest.fixture(scope="session")
def unpacked(pyz: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the cache that the .pyz was unpacked into, once for all workers: to be copied."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    env = {**os.environ, "XDG_CACHE_HOME": str(shared / "unpacked")}
    with only_build():
        subprocess.run([sys.executable, str(pyz), "-V"], env=env, check=True, capture_output=True)
    return shared / "unpacked/micropie_bench"


EXACT: dict[str, Any] = {
    "duration_us": 1_000_000,
    "requests": 10,
    "bytes": 1440,
    "cpu_s": 0.1,
    "errors": {"connect": 0, "read": 0, "write": 0, "status": 0, "timeout": 0},
    "mean_us": 150.5,
    "stdev_us": 50.5,
    "max_us": 200,
    "histogram": [[100, 5], [200, 5]],
}  # as done.lua reports


def exact_line(**changes: Any) -> str:
    """Return what wrk prints with a script of ours, with other figures in it."""
    return f"report\n{EXACT_MARK}{json.dumps({**EXACT, **changes})}\n"


@pytest.fixture
def patient(in_process: InProcess, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    for name, seconds in PATIENCE_S.items():
        monkeypatch.setattr(cpu_accounts, name, seconds)
    return in_process
