"""Servers and wrk as real processes: readiness, ports, faults, and nothing left behind."""

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import InProcess, Start, Tool, await_that, program, run_load

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.load.hosts import all_here
from micropie_benchlib.load.trial import apply_load
from micropie_benchlib.serve.addresses import OWN_PORTS, free_port
from micropie_benchlib.system.children import Child, Exit
from micropie_benchlib.system.processes import accepts, listener_pids, listens


def nightly(*values: object) -> Any:
    """Return a case that differs little from one that each run of the tests has."""
    return pytest.param(*values, marks=pytest.mark.nightly)


FAST = ("-r", "1", "-d", "1s", "-c", "20", "-t", "2", "-w", "1", "--warm-up", "0s")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("stop", [signal.SIGINT, nightly(signal.SIGTERM)])
def test_the_pyz_serves_with_four_workers_until_told_to_stop(
    tool: Tool, pyz: Path, unpacked: Path, stop: signal.Signals
) -> None:
    port = free_port("127.0.0.1", None)
    tool.program = pyz
    cache = str(unpacked.parent)
    process = tool.start("serve", "micropie", "--port", str(port), XDG_CACHE_HOME=cache)
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


@pytest.mark.parametrize("stop", [signal.SIGTERM, nightly(signal.SIGKILL), nightly(signal.SIGINT)])
def test_a_compare_that_is_stopped_while_servers_start_leaves_nothing_running(
    tool: Tool, stop: signal.Signals
) -> None:
    args = ("-r", "1", "-d", "300s", "-w", "2", "--warm-up", "0s")
    process = tool.start("compare", "asgi", "starlette", *args, TMPDIR=str(tool.marks))
    is_worker = re.compile(r".* from multiproc").match
    tool.await_running(lambda running: any(map(is_worker, running)), seconds=60)
    process.send_signal(stop)
    tool.await_running(lambda running: not running, seconds=30)
    _, err = process.communicate()
    assert process.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
    assert "Traceback" not in err


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
    monkeypatch.setattr("micropie_benchlib.system.processes.listener_pids", lambda _port: [])
    monkeypatch.setattr(sys, "platform", "darwin")
    with start("faulty:staggered"):
        assert len(list(tmp_path.glob("ready-*"))) == 4


def test_a_server_that_never_serves_is_given_up(start: Start, tmp_path: Path) -> None:
    with pytest.raises(
        BenchError, match=r"only 0 of 1 workers are ready after \d+ s \(--start-timeout\)$"
    ):
        start("faulty:never_starts", workers=1, start_timeout_s=1)
    assert not psutil.Process().children()


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
    assert re.fullmatch(said, lines[-1])
    assert f"    {fault}" in lines[:-1], "the end of its log"
    assert done.stdout == ""


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
    assert sorted(line.split()[1] for line in reasons) == ["bad:", "broken:app"]
    assert "micropie_bench: bad: GET / returned 500: hi" in lines


def test_a_worker_that_dies_invalidates_its_trial(in_process: InProcess) -> None:
    done = in_process.run("compare", "faulty:dies_under_load", *FAST, "-w", "2")
    assert done.returncode == 1
    assert re.search(r"1 worker of \S+ died", done.stdout)


def test_a_wrk_that_hangs_is_given_up(
    start: Start, tmp_path: Path, short_grace: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("micropie_benchlib.load.trial.TICK_S", 0.1)
    for module in ("generators", "trial"):
        monkeypatch.setattr(f"micropie_benchlib.load.{module}.OVERRUN_S", 1.0)
    for module in ("generators", "servers"):  # as if it hung of itself
        monkeypatch.setattr(f"micropie_benchlib.load.{module}.is_stopped", lambda _: False)
    load = Load(connections=4, threads=2, duration_s=1)

    def stop_wrk() -> None:
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "wrk":
                    process.suspend()

    with (
        start("faulty:good", workers=1) as server,
        pytest.raises(BenchError, match="wrk ran more than 1 s too long"),
    ):
        run_load([server], load, work_dir=tmp_path, tick=stop_wrk)
    assert not psutil.Process().children()


def test_a_wrk_of_a_paired_that_fails_says_why(start: Start, tmp_path: Path) -> None:
    said = "unable to connect to 127.0.0.1:1 Connection refused"
    wrk = program(tmp_path / "wrk", f"echo '{said}'\nexit 1")
    load = Load(connections=4, threads=2, duration_s=1)
    with start("a=faulty:good", workers=1) as a, start("b=faulty:good", workers=1) as b:
        sides = all_here(wrk, tmp_path).sides([a, b], load)
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


@pytest.mark.slow
def test_a_guard_that_is_interrupted_while_it_starts_is_an_interruption(
    monkeypatch: pytest.MonkeyPatch,
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
        await_that(lambda: has_come_to_the_guard(child), "the daemon did not come to the guard")
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
        await_that(lambda: output_file.read_text().count("up") == 2)
        tree = child.processes()
        child.stop()
    assert len(tree) == 2
    assert not [process for process in tree if process.is_running()]


@pytest.mark.slow
def test_a_command_that_cannot_start_is_one_error(tmp_path: Path) -> None:
    with (
        (tmp_path / "out").open("w+b") as output,
        pytest.raises(BenchError, match="cannot run no-such-command: No such file"),
    ):
        Child(["no-such-command"], output=output)


def test_neither_settings_in_the_environment_nor_modules_in_the_directory_change_a_server(
    tool: Tool, tmp_path: Path
) -> None:
    for name in ("apps", "fastapi", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('wrong module')")
    done = tool.run("compare", "fastapi", *FAST, cwd=tmp_path, UVICORN_LIMIT_MAX_REQUESTS="1")
    assert done.returncode == 0, done.stdout


def test_a_chosen_port_is_free_again() -> None:
    port = free_port("127.0.0.1", None)
    assert port in OWN_PORTS
    assert free_port("127.0.0.1", port) == port


def test_how_a_command_ended_is_told() -> None:
    said = [Exit(code=code, cpu_s=0.0, survivors=0).sentence for code in (3, -11, -99)]
    assert said == [" with status 3", " with status -11 (SIGSEGV)", " with status -99"]


def test_a_worker_more_than_there_should_be_is_told(start: Start) -> None:
    """uvicorn's supervisor starts one at a SIGTTIN."""
    with start("asgi", workers=2) as server:
        assert server.lost_workers() is None
        os.kill(server.child.pid, signal.SIGTTIN)
        told = await_that(server.lost_workers)
    assert told == "1 more worker than expected"
