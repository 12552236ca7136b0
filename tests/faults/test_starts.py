"""Servers that do not start as they should: each ends with the reason, and what to do."""

import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import Start, program

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.targets import AsgiTarget
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.logs import LOG_TAIL_BYTES, advice_on, excerpt, last_error

# Logs in the form of uvicorn 0.54, gunicorn 27.0, granian 2.8 and hypercorn 0.18.

TRACEBACK = """\
Traceback (most recent call last):
  File "/srv/app/main.py", line 5, in lifespan
    raise ConnectionError("database db:5432 refused the connection")
           ^^^^^^^^^^^^^^^
ConnectionError: database db:5432 refused the connection
"""
REFUSED = "ConnectionError: database db:5432 refused the connection"

UVICORN = f"""\
INFO:     Started server process [41]
INFO:     Waiting for application startup.
ERROR:    {TRACEBACK}
ERROR:    Application startup failed. Exiting.
INFO:     Waiting for child process [41]
ERROR:    Child process [41] failed to start, stopping the parent process.
INFO:     Stopping parent process [40]
"""
GUNICORN_TIME = "[2026-11-26 06:36:31 +0000]"
GUNICORN = f"""\
{GUNICORN_TIME} [40] [INFO] Listening at: http://127.0.0.1:18431 (40)
{GUNICORN_TIME} [41] [INFO] Booting worker with pid: 41
{GUNICORN_TIME} [41] [ERROR] Exception in worker process
{TRACEBACK}database db:5432 refused the connection
{GUNICORN_TIME} [41] [INFO] Worker exiting (pid: 41)
{GUNICORN_TIME} [40] [ERROR] Worker (pid:41) exited with code 3.
{GUNICORN_TIME} [40] [ERROR] Shutting down: Master
{GUNICORN_TIME} [40] [ERROR] Reason: Worker failed to boot.
"""
GUNICORN_LIFESPAN = f"""\
{GUNICORN_TIME} [41] [ERROR] ASGI lifespan startup failed: Lifespan startup failed: {TRACEBACK}

{GUNICORN_TIME} [40] [ERROR] Reason: Worker failed to boot.
"""
GUNICORN_NO_APP = f"""\
{GUNICORN_TIME} [41] [INFO] Booting worker with pid: 41
Failed to find attribute 'app' in 'main'.
{GUNICORN_TIME} [41] [INFO] Worker exiting (pid: 41)
{GUNICORN_TIME} [40] [ERROR] Worker (pid:41) exited with code 4.
{GUNICORN_TIME} [40] [ERROR] Reason: App failed to load.
"""
GRANIAN = f"""\
[INFO] Spawning worker-1 with PID: 41
[ERROR] {TRACEBACK}
[ERROR] ASGI lifespan startup failed
[ERROR] Unexpected exit from worker-1
[INFO] Shutting down granian
[INFO] Granian shutdown completed, see ya!
"""
HYPERCORN = f"""\
Process SpawnProcess-1:
Traceback (most recent call last):
  File "/site-packages/hypercorn/asyncio/lifespan.py", line 79, in wait_for_startup
    await asyncio.wait_for(self.startup.wait(), timeout=self.config.startup_timeout)
hypercorn.utils.LifespanFailureError: Lifespan failure in startup. '{TRACEBACK}'
"""


@pytest.mark.parametrize(
    "log",
    [UVICORN, GUNICORN, GUNICORN_LIFESPAN, GRANIAN, HYPERCORN],
    ids=["uvicorn", "gunicorn", "gunicorn's lifespan", "granian", "hypercorn"],
)
def test_a_servers_closing_lines_do_not_hide_the_exception(log: str) -> None:
    assert last_error(log) == REFUSED


def frames(*lines: str) -> str:
    head = "Traceback (most recent call last):"
    frame = '  File "/srv/app/main.py", line 5, in <module>\n    import settings'
    return "\n".join([head, frame, *lines, "ERROR:    stopping the parent process.", ""])


CHAINED = (
    frames("KeyError: 'a'")
    + "\nThe above exception was the direct cause of the following exception:\n\n"
    + frames("app.settings.Incomplete: set DATABASE_URL", "and then start again: soon")
)
GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "/srv/app/main.py", line 1, in <module>
  |     raise ExceptionGroup("unhandled errors in a TaskGroup", errors)
  | ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/srv/app/main.py", line 7, in open_pool
    |     raise ValueError("pool size 0")
    | ValueError: pool size 0
    +------------------------------------
bye
"""
RICH = """\
╭──── Traceback (most recent call last) ────╮
│ ❱ 5 raise OSError("no disk")              │
╰───────────────────────────────────────────╯
OSError: no disk
bye
"""
CONTAINER = """\
web-1  | Traceback (most recent call last):
web-1  |   File "/srv/app/main.py", line 5
web-1  | ValueError: no database
web-1  | bye
"""
GUNICORN_REASON = f"{GUNICORN_TIME} [40] [ERROR] Reason: Worker failed to boot."
NGINX = "2026/11/26 06:36:31 [emerg] 1#0: bind() to 0.0.0.0:80 failed"
SUPERVISED = """\
out of memory
INFO:     Waiting for child process [41]
2026-11-26 Stopping parent process [40]
ERROR:    Child process [42] failed to start, stopping the parent process.
"""
LOADING = 'ERROR:    Error loading ASGI app. Could not import module "app".'
ACCESS = 'INFO:     127.0.0.1:40814 - "GET / HTTP/1.1" 200 OK'


NO_APP = "Failed to find attribute 'app' in 'main'."
PSYCOPG = "sqlalchemy.exc.OperationalError: (psycopg2) refused"
OF_SYNTAX = ('  File "/srv/app/views.py", line 2', "    def f(:", "SyntaxError: invalid")
STOPPED = frames("ValueError: no database") + frames("KeyboardInterrupt") + "bye\n"
IN_COLOUR = frames("\x1b[1;35mValueError\x1b[0m: \x1b[35mno database\x1b[0m")
NO_MODULE = "Error: Cannot find module 'express'"
BEST_LINES = {
    "blank": (" \n\n\t\n", ""),
    "routine": (f"{ACCESS}\nINFO:     Shutting down\n", ""),
    "the last line": ("one\n   two  \n\n", "two"),
    "an error": ("KeyError: 'a'\nRuntimeError: b\nbye", "RuntimeError: b"),
    "errors begin their lines": ("no ValueError: here\nbye\n", "bye"),
    "an error in uvicorn's log": (f"{LOADING}\nbye\n", LOADING),
    "of Linux": ("[Errno 98] Address in use\nbye", "[Errno 98] Address in use"),
    "not of the server's own processes": (SUPERVISED, "out of memory"),
    "no more than one can read": ("x" * 1000, "x" * 300),
    "a chain's last": (CHAINED, "app.settings.Incomplete: set DATABASE_URL"),
    "the first of a group": (GROUP, "ValueError: pool size 0"),
    "as rich draws it": (RICH, "OSError: no disk"),
    "after a container's name": (CONTAINER, "ValueError: no database"),
    "without a message": (frames("MemoryError"), "MemoryError"),
    "a package's, of which the first line": (frames(PSYCOPG, "DETAIL"), PSYCOPG),
    "an error of syntax": (frames(*OF_SYNTAX), "SyntaxError: invalid"),
    "not that the others were stopped then": (STOPPED, "ValueError: no database"),
    "in colour": (IN_COLOUR, "ValueError: no database"),
    "what has no level": (GUNICORN_NO_APP, NO_APP),
    "a level in small letters": (f"{NGINX}\nbye\n", NGINX),
    "of Go": ("panic: no index\n\ngoroutine 1:\n", "panic: no index"),
    "of Node.js": (f"{NO_MODULE}\n    at Module._load\n\nNode.js v22.1.0\n", NO_MODULE),
    "where there is no other line": (GUNICORN_REASON, GUNICORN_REASON),
}


@pytest.mark.parametrize(("log", "expected"), BEST_LINES.values(), ids=BEST_LINES)
def test_the_line_of_a_log_that_says_best_why_it_ended(log: str, expected: str) -> None:
    assert last_error(log) == expected


def test_the_exceptions_before_the_end_of_a_log_stand_above_it_each_once() -> None:
    missing = "ModuleNotFoundError: No module named 'psycopg2'"
    settings = ("ValidationError: 2 validation errors for Settings", "url", "  missing", "key")
    log = frames(*settings) + frames(missing) + frames(missing)
    log += frames("gunicorn.errors.HaltServer: 3")
    end = [f"line {number}" for number in range(20)]
    shown = excerpt("\n".join([log, *end]))
    assert shown == [*settings, missing, "gunicorn.errors.HaltServer: 3", *end[-15:]]
    assert last_error(log) == missing


@pytest.mark.parametrize(
    "line",
    [
        ACCESS,
        '127.0.0.1 - - [26/Nov/2026:06:36:31 +0000] "GET /index HTTP/1.1" 200 5 "-" "wrk"',
        "[2026-11-26 06:36:31 +0000] [41] [INFO] 127.0.0.1:40814 GET / 1.1 200 5 123",
        '[GIN] 2026/11/26 - 06:36:31 | 200 |  12.5µs |  127.0.0.1 | GET      "/"',
    ],
)
def test_a_line_of_an_access_log_is_not_a_reason(line: str) -> None:
    assert last_error(f"out of memory\n{line}\n{line}\n") == "out of memory"


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("TypeError: app() missing 1 required positional argument: 'start_response'", "gunicorn"),
        ("TypeError: Flask.__call__() takes 3 positional arguments but 4 were given", "gunicorn"),
        ("TypeError: price() takes 1 positional argument but 2 were given", ""),
        ("OSError: [Errno 24] Too many open files", "ulimit -n"),
        ("MemoryError", "ulimit -v"),
        ("RuntimeError: can't start new thread", "ulimit -u"),
        ('ERROR: Error loading ASGI app. Could not import module "a".', "/own/apps"),
        ("ModuleNotFoundError: No module named 'db'", "/own/apps"),
        ("/v/bin/python: No module named granian", "/v/bin/python -m pip install granian"),
        ("/v/bin/python: No module named db", ""),
    ],
)
def test_known_last_errors_come_with_advice(error: str, advice: str) -> None:
    target = AsgiTarget(
        name="a",
        label="A",
        spec="a:app",
        app="a:app",
        directory=Path("/own/apps"),
        python="/v/bin/python",
    )
    assert advice in advice_on(error, target)
    assert bool(advice) == bool(advice_on(error, target))


def test_the_cut_first_line_of_a_long_log_is_not_told(tmp_path: Path, start: Start) -> None:
    with start("faulty:good", workers=1) as server:
        assert server.log
        line = b"ERROR: before the access log\n"
        chatter = b'127.0.0.1:40814 - "GET / HTTP/1.1" 200 OK\n'
        server.log.write_bytes(line + chatter * (LOG_TAIL_BYTES // len(chatter) + 1))
        assert server.complaint() == ""


LIFESPAN_FAILS = """
async def app(scope, receive, send):
    await receive()
    try:
        raise ConnectionError("database db:5432 refused the connection")
    except ConnectionError:
        import traceback
        await send({"type": "lifespan.startup.failed", "message": traceback.format_exc()})
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_the_exception_of_a_startup_hook_is_told(
    workers: int, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hook.py").write_text(LIFESPAN_FAILS)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match=f"hook:app died while starting.*: {REFUSED}$"):
        start("hook:app", workers=workers)


def test_a_server_that_ends_without_an_error_is_told_with_its_status(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "done.py").write_text("print('all done')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchError, match=r"^d: it ended at once with exit status 0: all done$"):
        start("d=cmd:{python} done.py {port}")


# Servers that listen before they can answer.

LATE = """
import signal, socket, sys, time
fault, port = sys.argv[1], int(sys.argv[2])
listener = socket.create_server(("127.0.0.1", port), backlog=100)
time.sleep(1.5)
if fault == "dies":
    sys.exit("ValueError: no database")
while fault == "silent":
    time.sleep(1)
answers = 0
while True:
    connection, _ = listener.accept()
    with connection:
        answers += 1
        data = connection.recv(65536)
        if fault == "closes" and answers < 4:
            continue
        while data:
            connection.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nhi")
            data = connection.recv(65536)
"""


@pytest.fixture
def late(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    (tmp_path / "late.py").write_text(LATE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("micropie_benchlib.serve.probe.PROBE_DEADLINE_S", 0.5)

    def start_late(fault: str, **changes: Any) -> LaunchedServer:
        return start(f"late=cmd:{{python}} late.py {fault} {{port}}", **changes)

    return start_late


SHORT = Workload(timeout_s=1)  # less than LATE takes to its first answer


@pytest.mark.parametrize("fault", ["none", "closes"])
def test_a_server_that_listens_before_it_can_answer_is_waited_for(fault: str, late: Start) -> None:
    with late(fault) as server:
        assert server.ask(SHORT)[0].status == 200


def test_a_server_that_dies_before_its_first_answer_is_told_at_once(late: Start) -> None:
    died = r"^late died while starting with status 1: ValueError: no database"
    with late("dies") as server, pytest.raises(BenchError, match=died):
        server.ask(SHORT)


def test_a_server_that_never_answers_is_given_up(late: Start) -> None:
    silent = r"^no complete response to GET /: no response after \d s$"
    with late("silent", start_timeout_s=3) as server, pytest.raises(BenchError, match=silent):
        server.ask(SHORT)


def test_an_app_whose_start_raises_is_measured_with_a_remark(start: Start) -> None:
    with start("faulty:good", workers=1) as server:
        assert server.warnings == (BenchWarning.of(Kind.LIFESPAN_FAILED),)
    with start("asgi", workers=1) as server:
        assert server.warnings == ()


def test_a_server_that_has_answered_once_is_given_less_time(late: Start) -> None:
    with late("none") as server:
        server.ask(SHORT)
        server.child.send_signal(signal.SIGSTOP)
        with pytest.raises(BenchError, match="no response after 1 s"):
            server.ask(SHORT)
        server.child.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exit 0", "^p: it ended at once with exit status 0: it printed no error "),
        ("echo version 3.99 is not installed; exit 1", "status 1: version 3.99 is not installed "),
    ],
    ids=["as /bin/true", "as a shim of a version that is not installed"],
)
def test_a_python_that_does_not_run_is_told(
    script: str, reason: str, start: Start, tmp_path: Path
) -> None:
    python = program(tmp_path / "python", script)
    advice = rf"\({python} does not run as a Python: use another --python\)$"
    with pytest.raises(BenchError, match=f"{reason}{advice}"):
        start("p=shop:app", python=python)
