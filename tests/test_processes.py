"""Servers and wrk as real processes: readiness, ownership of the port, faults, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

import micropie_bench as mb

if TYPE_CHECKING:
    from conftest import Start, Tool

FAST = ("-r", "1", "-d", "1s", "-c", "20", "-t", "2", "-w", "2")


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


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_four_workers_until_told_to_stop(tool: Tool, stop: signal.Signals) -> None:
    port = mb.free_port("127.0.0.1", None)
    process = tool.start("serve", "micropie", "--port", str(port))
    assert process.stderr
    lines: list[str] = []
    while sum("startup complete" in line for line in lines) < 4:
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    answer = urllib.request.urlopen(f"http://127.0.0.1:{port}/index?name=Ann", timeout=10).read()
    assert answer == b"Hello Ann"
    process.send_signal(stop)
    out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert '"GET /index?name=Ann HTTP/1.1" 200 OK' in out
    tool.await_running(lambda running: not running, seconds=5)


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["starting", "measuring"])
def test_a_stopped_compare_leaves_nothing_running(tool: Tool, stop: signal.Signals, moment: str) -> None:
    process = tool.start("compare", "asgi", "starlette", "-r", "1", "-d", "20s", "-c", "100")
    wanted = re.compile(r"/wrk -t4 .* -d20s" if moment == "measuring" else r"multiprocessing.spawn")
    tool.await_running(lambda running: any(wanted.search(line) for line in running), seconds=30)
    process.send_signal(stop)
    tool.await_running(lambda running: not running, seconds=5)
    _, err = process.communicate()
    assert process.returncode == (-signal.SIGKILL if stop == signal.SIGKILL else 130)
    assert "Traceback" not in err


def test_a_decoy_on_the_port_is_never_measured(tool: Tool, decoy: tuple[int, list[bytes]]) -> None:
    port, asked = decoy
    done = tool.run("compare", *FAST, "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in done.stderr
    assert asked == []


def test_another_listener_on_the_servers_port_is_found(start: Start) -> None:
    with start("asgi", workers=1) as server:
        server._check_port()
        with socket.socket() as other:  # a second address with the same port
            other.bind(("127.0.0.2", server.port))
            other.listen()
            with pytest.raises(mb.BenchError, match=f"outside asgi listens on port {server.port} too"):
                server._check_port()


def test_a_socket_that_no_epoll_waits_on_accepts_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sockets = mb._sockets_on(listener.getsockname()[1])
        assert len(sockets) == 1
        assert mb._held_sockets(os.getpid(), sockets, awaited=False) == sockets
        assert not mb._held_sockets(os.getpid(), sockets, awaited=True)
        with select.epoll() as poll:
            poll.register(listener)
            assert mb._held_sockets(os.getpid(), sockets, awaited=True) == sockets


def test_ready_means_that_every_worker_serves(start: Start, tmp_path: Path) -> None:
    with start("faulty:staggered") as server:
        ready = {int(mark.name.split("-")[1]) for mark in tmp_path.glob("ready-*")}
        assert len(server.workers) == 4
        assert ready == {process.pid for process in server.workers}


def test_ready_by_uvicorns_log_where_proc_does_not_tell(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mb, "_listening_sockets", dict)
    monkeypatch.setattr(sys, "platform", "darwin")
    with start("faulty:staggered"):
        assert len(list(tmp_path.glob("ready-*"))) == 4


def test_a_server_that_never_serves_is_given_up(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mb, "START_DEADLINE_S", 3.0)
    with pytest.raises(mb.BenchError, match=r"0 of 1 workers serve after 3 s; its last words: it gave no reason"):
        start("faulty:never_starts", workers=1)
    assert not psutil.Process().children()


@pytest.mark.parametrize("workers", ["1", "4"])
def test_an_app_that_raises_on_import_is_reported_at_once(tool: Tool, workers: str) -> None:
    begun = time.monotonic()
    done = tool.run("compare", "broken:app", "-r", "1", "-d", "1s", "-w", workers)
    assert time.monotonic() - begun < mb.START_DEADLINE_S / 2
    assert done.returncode == 1
    reason = r"void, broken:app died while starting( with status 1)?: RuntimeError: the database is on fire"
    assert re.search(reason, done.stdout)
    assert "Traceback" not in done.stdout + done.stderr


def test_one_bad_target_does_not_cost_the_other_its_result(tool: Tool) -> None:
    done = tool.run("compare", "bad=faulty:error_500", "good=faulty:good", *FAST)
    assert done.returncode == 1
    assert re.search(r"\| bad +\| +void \|", done.stdout)
    assert re.search(r"\| good +\| +[\d.]+[mu]s \|", done.stdout)
    assert "bad, 20 connections, round 1 (solo): void, bad answers 500 to GET /\n" in done.stdout


def test_some_answers_above_399_void(tool: Tool) -> None:
    done = tool.run("compare", "faulty:sometimes_503", *FAST)
    assert done.returncode == 1
    assert re.search(r"void, \d+ of \d+ responses had a status above 399", done.stdout)


def test_a_worker_that_dies_in_a_trial_voids_it(tool: Tool) -> None:
    done = tool.run("compare", "faulty:dies_under_load", "-r", "1", "-d", "2s", "-c", "20", "-t", "2", "-w", "2")
    assert done.returncode == 1
    assert re.search(r"void, worker \d+ died", done.stdout)


def test_a_wrk_that_hangs_is_given_up(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mb, "OVERRUN_S", -18.0)
    load = mb.Load(connections=4, threads=2, duration_s=20)

    def stop_wrk() -> None:
        for process in psutil.Process().children(recursive=True):
            if process.name() == "wrk":
                process.suspend()

    with (
        start("faulty:good", workers=1) as server,
        pytest.raises(mb.BenchError, match="wrk did not end within -18 s of its time"),
    ):
        mb.run_load("wrk", [server], load, work_dir=tmp_path, tick=stop_wrk)
    assert not psutil.Process().children()


def test_a_server_that_dies_in_a_trial_ends_it_at_once(start: Start, tmp_path: Path) -> None:
    load = mb.Load(connections=4, threads=2, duration_s=20)
    begun = time.monotonic()

    def kill() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # once it is gone
            psutil.Process(server.child.pid).kill()  # type: ignore[union-attr]

    with start("faulty:good", workers=1) as server, pytest.raises(mb.BenchError, match="faulty:good died"):
        mb.run_load("wrk", [server], load, work_dir=tmp_path, tick=kill)
    assert time.monotonic() - begun < 10


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has child subreapers")
def test_a_daemon_that_left_its_tree_is_ended_too(tmp_path: Path) -> None:
    daemon = "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(600)"
    command = f"{sys.executable} -c '{daemon}' & echo up; trap '' TERM; while :; do sleep 600; done"
    with (tmp_path / "out").open("w+b") as output:
        child = mb.Child(["sh", "-c", command], output=output)
        deadline = time.monotonic() + 10
        while not any(process.ppid() == child._guard.pid and process.pid != child.pid for process in child.processes()):
            assert time.monotonic() < deadline, "the daemon did not come to the guard"
            time.sleep(0.02)
        tree = child.processes()
        child.stop()
    assert len(tree) >= 2, "the shell and the daemon"
    assert not [process for process in tree if process.is_running()]


def test_a_command_that_cannot_start_is_one_error(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w+b") as output, pytest.raises(mb.BenchError, match="no-such-command: No such file"):
        mb.Child(["no-such-command"], output=output)


def test_settings_of_uvicorn_in_the_environment_do_not_count(tool: Tool) -> None:
    done = tool.run("compare", "asgi", *FAST, UVICORN_LIMIT_MAX_REQUESTS="1")
    assert done.returncode == 0, done.stdout


def test_modules_in_the_users_directory_do_not_replace_the_frameworks(tool: Tool, tmp_path: Path) -> None:
    for name in ("apps", "fastapi", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('wrong module')")
    done = tool.run("compare", "fastapi", *FAST, cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch, pause_s: float) -> None:
    monkeypatch.setattr(mb, "PROBE_DEADLINE_S", 0.5)
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
        with pytest.raises(mb.BenchError, match=r"no whole answer to GET /: (the answer has not ended|timed out)"):
            mb.probe(f"http://127.0.0.1:{listener.getsockname()[1]}/", mb.Workload())
        thread.join()


def test_a_chosen_port_is_free_again() -> None:
    port = mb.free_port("127.0.0.1", None)
    assert mb.free_port("127.0.0.1", port) == port
