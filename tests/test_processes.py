"""Servers and wrk as real processes.

Readiness, ownership of the port, faults, and nothing left behind.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from conftest import run_load

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.load.hosts import all_here
from micropie_benchlib.load.trial import apply_load
from micropie_benchlib.serve.addresses import OWN_PORTS, free_port
from micropie_benchlib.serve.probe import Probe
from micropie_benchlib.system.children import GUARD, STOP_GRACE_S, Child, Exit
from micropie_benchlib.system.processes import accepts, all_cores, listener_pids, listens

if TYPE_CHECKING:
    from conftest import InProcess, Start, Tool


def nightly(*values: object) -> Any:
    """Return a case that differs little from one that each run of the tests has."""
    return pytest.param(*values, marks=pytest.mark.nightly)


FAST = ("-r", "1", "-d", "1s", "-c", "20", "-t", "2", "-w", "1", "--warm-up", "0s")


@pytest.fixture
def decoy() -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers on a port, and what it was asked."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        asked.append(connection.recv(1000))
                        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize("stop", [signal.SIGINT, nightly(signal.SIGTERM)])
def test_serve_runs_four_workers_until_told_to_stop(tool: Tool, stop: signal.Signals) -> None:
    port = free_port("127.0.0.1", None)
    process = tool.start("serve", "micropie", "--port", str(port))
    assert process.stderr
    lines: list[str] = []
    while sum("startup complete" in line for line in lines) < 4:
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/index?name=Ann", timeout=60).read()
    assert answer == b"Hello Ann"
    process.send_signal(stop)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert '"GET /index?name=Ann HTTP/1.1" 200 OK' in out
    tool.await_running(lambda running: not running, seconds=30)


@pytest.mark.parametrize(
    ("moment", "stop"),
    [
        ("measuring", signal.SIGKILL),
        ("measuring", signal.SIGINT),
        nightly("measuring", signal.SIGTERM),
        nightly("starting", signal.SIGKILL),
        ("starting", signal.SIGTERM),
        nightly("starting", signal.SIGINT),
    ],
)
def test_a_stopped_compare_leaves_nothing_running(
    tool: Tool, stop: signal.Signals, moment: str
) -> None:
    """The trial alone would take ten times as long as all has to be gone in."""
    args = ("-r", "1", "-d", "300s", "-c", "100", "-w", "2", "--warm-up", "0s")
    process = tool.start("compare", "asgi", "starlette", *args, TMPDIR=str(tool.marks))
    wanted = re.compile(r"\S*/wrk -t4 .* -d300s" if moment == "measuring" else r".* from multiproc")
    tool.await_running(lambda running: any(map(wanted.match, running)), seconds=60)
    process.send_signal(stop)
    tool.await_running(lambda running: not running, seconds=30)
    _, err = process.communicate()
    assert process.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_decoy_on_the_port_is_never_measured(
    in_process: InProcess, decoy: tuple[int, list[bytes]]
) -> None:
    port, asked = decoy
    done = in_process.run("compare", *FAST, "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in done.stderr
    assert asked == []


def test_another_listener_on_the_servers_port_is_found(start: Start) -> None:
    with start("asgi", workers=1) as server:
        server.check_port()
        with socket.socket() as other:  # a second address with the same port
            other.bind(("127.0.0.2", server.port))
            other.listen()
            with pytest.raises(BenchError, match=f"outside asgi listens on port {server.port} too"):
                server.check_port()


def test_a_socket_that_no_epoll_waits_on_accepts_nothing() -> None:
    this = psutil.Process()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert listener_pids(port) == [os.getpid()]
        assert listens(this, port)
        assert not accepts(this, port)
        with select.epoll() as poll:
            poll.register(listener)
            assert accepts(this, port)


def test_ready_means_that_every_worker_serves(start: Start, tmp_path: Path) -> None:
    with start("faulty:staggered") as server:
        ready = {int(mark.name.split("-")[1]) for mark in tmp_path.glob("ready-*")}
        assert len(server.workers) == 4
        assert ready == {process.pid for process in server.workers}


def test_ready_by_uvicorns_log_where_proc_does_not_tell(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micropie_benchlib.serve.addresses.listener_pids", lambda _port: [])
    monkeypatch.setattr("micropie_benchlib.serve.launched.listener_pids", lambda _port: [])
    monkeypatch.setattr(sys, "platform", "darwin")
    with start("faulty:staggered"):
        assert len(list(tmp_path.glob("ready-*"))) == 4


def test_a_server_that_never_serves_is_given_up(start: Start, tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"0 of 1 workers serve after \d+ s \(--start-timeout\)$"):
        start("faulty:never_starts", workers=1, start_timeout_s=1)
    assert not psutil.Process().children()


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_app_that_raises_on_import_is_reported_at_once(
    in_process: InProcess, workers: str
) -> None:
    begun = time.monotonic()
    done = in_process.run("compare", "broken:app", "-r", "1", "-d", "1s", "-w", workers)
    assert time.monotonic() - begun < ServerSettings().start_timeout_s / 2
    assert done.returncode == 1
    fault = "RuntimeError: the database is on fire"
    said = rf"micropie_bench: broken:app died while starting( with status 1)?: {fault}"
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    assert re.fullmatch(said, lines[0])
    assert f"    {fault}" in lines[1:], "the end of its log"
    assert done.stdout == ""


@pytest.mark.slow
def test_targets_that_cannot_be_measured_end_the_run_with_a_line_each(
    in_process: InProcess,
) -> None:
    begun = time.monotonic()
    targets = ("good=faulty:good", "bad=faulty:error_500", "broken:app")
    done = in_process.run("compare", *targets, "-d", "60s", "-w", "1")
    assert time.monotonic() - begun < 50, "one trial alone takes 60 s"
    assert (done.returncode, done.stdout) == (1, "")
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning")]
    reasons = [line for line in lines if not line.startswith("    ")]  # else of a log
    assert sorted(line.partition(":")[2].split()[0] for line in reasons) == ["bad", "broken:app"]
    assert "micropie_bench: bad: GET / returned 500: hi" in lines


def test_errors_and_a_worker_that_dies_invalid_their_trials(tool: Tool) -> None:
    targets = ("faulty:sometimes_503", "faulty:dies_under_load")
    done = tool.run("compare", *targets, *FAST, "-w", "2")
    assert done.returncode == 1
    assert re.search(r"invalid, \d+ of \d+ responses had a status above 399", done.stdout)
    assert re.search(r"invalid, worker \d+ died", done.stdout)


def test_a_wrk_that_hangs_is_given_up(
    start: Start, tmp_path: Path, short_grace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micropie_benchlib.load.trial.TICK_S", 0.1)
    monkeypatch.setattr("micropie_benchlib.load.generators.OVERRUN_S", 1.0)
    monkeypatch.setattr("micropie_benchlib.load.trial.OVERRUN_S", 1.0)
    monkeypatch.setattr(
        "micropie_benchlib.load.generators.is_stopped", lambda _: False
    )  # as if it hung of itself
    monkeypatch.setattr(
        "micropie_benchlib.load.servers.is_stopped", lambda _: False
    )  # as if it hung of itself
    load = Load(connections=4, threads=2, duration_s=1)

    def stop_wrk() -> None:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "wrk":
                    process.suspend()

    with (
        start("faulty:good", workers=1) as server,
        pytest.raises(BenchError, match="wrk did not end within 1 s of its time"),
    ):
        run_load([server], load, work_dir=tmp_path, tick=stop_wrk)
    assert not psutil.Process().children()


def test_a_wrk_of_a_paired_that_fails_says_why(start: Start, tmp_path: Path) -> None:
    wrk = tmp_path / "wrk"
    wrk.write_text(
        "#!/bin/sh\necho 'unable to connect to 127.0.0.1:1 Connection refused'\nexit 1\n"
    )
    wrk.chmod(0o755)
    load = Load(connections=4, threads=2, duration_s=1)
    with start("a=faulty:good", workers=1) as a, start("b=faulty:good", workers=1) as b:
        sides = all_here(str(wrk), tmp_path).sides([a, b], load)
        with pytest.raises(BenchError, match=r"^wrk ended with status 1: unable to connect"):
            apply_load(sides, load, is_paired=True, tick=lambda: None)


def test_a_server_that_dies_in_a_trial_ends_it_at_once(start: Start, tmp_path: Path) -> None:
    """The trial alone would take an hour."""
    load = Load(connections=4, threads=2, duration_s=3600)

    def kill() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # once it is gone
            psutil.Process(server.child.pid).kill()

    with (
        start("faulty:good", workers=1) as server,
        pytest.raises(BenchError, match="faulty:good died"),
    ):
        run_load([server], load, work_dir=tmp_path, tick=kill)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of its own for temporary files."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.mark.slow
@pytest.mark.parametrize(("gated", "gate"), [(False, "open"), (True, "gated")])
def test_what_the_guard_runs_is_readable_in_ps(gated: bool, gate: str, temporary: Path) -> None:
    command = ["sleep", "600"]
    with tempfile.TemporaryFile() as output:
        child = Child(command, output=output, cores=all_cores()[:1], gated=gated)
        listing = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(child.guard_pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        left = list(temporary.iterdir())
        child.stop()
    python, *options, program, status, grace_s, cores, guarding = listing.split(maxsplit=7)
    assert [python, *options] == [sys.executable, "-I", "-S"]
    assert program == str(GUARD)
    assert status.isdecimal()
    assert float(grace_s) == STOP_GRACE_S
    assert cores == (",".join(map(str, all_cores()[:1])) or "all")
    assert guarding == f"{gate} sleep 600\n", "no text of a program"
    assert left == []


@pytest.mark.slow
def test_a_guard_that_is_interrupted_while_it_starts_is_an_interruption(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C once the guard runs, and Popen() has not returned yet."""
    popen = subprocess.Popen

    def interrupted(*args: Any, **kwargs: Any) -> None:
        with popen(*args, **kwargs) as guard:
            guards.append(guard)
        raise KeyboardInterrupt

    guards: list[subprocess.Popen[bytes]] = []
    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Child(["sleep", "600"], output=None)
    assert [guard.poll() is None for guard in guards] == [False]
    assert list(temporary.iterdir()) == []


def has_come_to_the_guard(child: Child) -> bool:
    """Return whether a process other than the command is now the guard's own child."""
    for process in child.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.ppid() == child.guard_pid and process.pid != child.pid:
                return True
    return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has child subreapers")
def test_a_daemon_that_left_its_tree_is_ended_too(tmp_path: Path) -> None:
    fork = "os.fork() and os._exit(0)"
    daemon = f"import os, time; {fork}; os.setsid(); {fork}; time.sleep(600)"
    command = f"{sys.executable} -c '{daemon}' & echo up; trap '' TERM; while :; do sleep 600; done"
    with (tmp_path / "out").open("w+b") as output:
        child = Child(["sh", "-c", command], output=output, grace_s=0.2)
        deadline = time.monotonic() + 60
        while not has_come_to_the_guard(child):
            assert time.monotonic() < deadline, "the daemon did not come to the guard"
            time.sleep(0.02)
        tree = child.processes()
        child.stop()
    assert len(tree) >= 2, "the shell and the daemon"
    assert not [process for process in tree if process.is_running()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /proc")
def test_a_process_whose_name_is_no_text_keeps_no_guard_from_its_work(tmp_path: Path) -> None:
    named = (
        "import ctypes, time; ctypes.CDLL(None).prctl(15, b'half \\xc3'); print('up', flush=True)"
    )
    program = f"import os; os.fork() or os.setsid(); {named}; time.sleep(600)"
    argv = [sys.executable, "-c", program]
    output_file = tmp_path / "out"
    with output_file.open("w+b") as output:
        child = Child(argv, output=output)
        deadline = time.monotonic() + 60
        while output_file.read_text().count("up") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        tree = child.processes()
        child.stop()
    assert len(tree) == 2
    assert not [process for process in tree if process.is_running()]


@pytest.mark.slow
def test_a_command_that_cannot_start_is_one_error(tmp_path: Path) -> None:
    with (
        (tmp_path / "out").open("w+b") as output,
        pytest.raises(BenchError, match="no-such-command: No such file"),
    ):
        Child(["no-such-command"], output=output)


def test_neither_settings_in_the_environment_nor_modules_in_the_directory_change_a_server(
    tool: Tool, tmp_path: Path
) -> None:
    for name in ("apps", "fastapi", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('wrong module')")
    done = tool.run("compare", "fastapi", *FAST, cwd=tmp_path, UVICORN_LIMIT_MAX_REQUESTS="1")
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, pause_s: float) -> None:
    monkeypatch.setattr("micropie_benchlib.serve.probe.PROBE_DEADLINE_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def stream() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                while True:
                    connection.sendall(b"1\r\nx\r\n")
                    time.sleep(pause_s)

        thread = threading.Thread(target=stream)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        with pytest.raises(
            BenchError,
            match=r"no whole response to GET /: (the response has not ended|no response)",
        ):
            Probe(url, Workload(timeout_s=1)).ask()
        thread.join()


def test_a_chosen_port_is_free_again() -> None:
    port = free_port("127.0.0.1", None)
    assert port in OWN_PORTS
    assert free_port("127.0.0.1", port) == port


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (0, ""),
        (3, " with status 3"),
        (-11, " with status -11 (SIGSEGV)"),
        (-99, " with status -99"),
    ],
)
def test_how_a_command_ended_is_told(code: int, sentence: str) -> None:
    assert Exit(code=code, cpu_s=0.0, survivors=0).sentence == sentence


def test_a_worker_more_than_there_should_be_is_told(start: Start) -> None:
    """uvicorn's supervisor starts one at a SIGTTIN."""
    with start("asgi", workers=2) as server:
        assert server.lost_workers() is None
        os.kill(server.child.pid, signal.SIGTTIN)
        deadline = time.monotonic() + 60
        while not (told := server.lost_workers()):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert told == "1 worker more than expected began to serve"
