"""Servers' logs: the files, why a server ended by what it wrote, and what to do about that."""

import contextlib
import errno
import os
import re
import sys
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import IO

from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.targets import AsgiTarget
from micropie_benchlib.system.children import LIMITS

LOG_TAIL_BYTES = 2**20  # a second of an access log, and what came before it
LOG_LIMIT_BYTES = 16 * 2**20  # beyond it only the tail is kept
EXCERPT_LINES = 15
MAX_LINE = 300  # characters of a line that are shown
NO_REASON = "it printed no error"


def new_log(path: Path) -> IO[bytes]:
    """Return a new file of that name; what is written to it is appended, as trim() needs."""
    path.unlink(missing_ok=True)
    return path.open("ab")


def trim(log: Path) -> None:
    """Cut a log beyond LOG_LIMIT_BYTES to its tail, while its server appends, in some 1 ms."""
    with contextlib.suppress(OSError):  # such as that no server was started yet
        if log.stat().st_size <= LOG_LIMIT_BYTES:
            return
        with log.open("a+b", buffering=0) as file:
            file.seek(-LOG_TAIL_BYTES, os.SEEK_END)
            tail = file.read(LOG_TAIL_BYTES)
            file.truncate(0)
            file.write(tail)


def read_tail(log: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - LOG_TAIL_BYTES))
        if size > LOG_TAIL_BYTES:
            file.readline()  # the rest of a line that is cut
        return file.read().decode(errors="replace")


class Severity(IntEnum):
    ROUTINE = 0
    SUPERVISION = 1  # of the server's own processes: the effect of another fault
    PLAIN = 2
    ERROR = 3


# The first that is found in a line counts; one without any is plain.
SEVERITIES = (
    (
        Severity.ROUTINE,
        re.compile(
            r"\b(?:INFO|DEBUG)\b|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) +\"?/"
            r"|\bexception occurred|\babove exception was\b"
        ),
    ),
    (
        Severity.SUPERVISION,
        re.compile(
            r"\b(?:[Cc]hild|[Pp]arent) process\b|\b[Ww]orker\b|\bstartup failed\b"
            r"|\bShutting down\b|\bfailed to load\b"
        ),
    ),
    (
        Severity.ERROR,
        re.compile(
            r"\b(?:ERROR|CRITICAL|FATAL)\b|\[(?:error|crit|emerg)\]"
            r"|^[\w.]*(?:Error|Exception)\b|^panic: |\[Errno "
        ),
    ),
)
TERMINAL_STYLE = re.compile(r"\x1b\[[\d;]*m")
TRACEBACK = "Traceback (most recent call last)"
EXCEPTION = re.compile(r"(?!(?:ERROR|CRITICAL|WARNING|INFO|DEBUG)\b)[^\W\d][\w.<>]*(?:: |$)")
# Exceptions that only say that another one ended the server.
EFFECTS = re.compile(
    r"(?:[\w.]+\.)?(?:KeyboardInterrupt|CancelledError|SystemExit|BrokenPipeError|HaltServer)\b"
)


def log_lines(log: str) -> list[str]:
    lines = [line.rstrip() for line in TERMINAL_STYLE.sub("", log).splitlines()]
    return [line for line in lines if line]


def severity_of(line: str) -> Severity:
    for severity, pattern in SEVERITIES:
        if pattern.search(line):
            return severity
    return Severity.PLAIN


def exceptions_in(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the messages of exceptions that tracebacks end with, each by its lines."""
    prefix: str | None = None  # of the traceback's lines; None outside of one
    message: list[str] = []
    for line in [*lines, TRACEBACK]:  # as after the last line, so that its message ends, too
        before, found, _ = line.partition(TRACEBACK)
        if message and (found or severity_of(line) is not Severity.PLAIN):
            yield message[:EXCERPT_LINES]
            message = []
        text = line.removeprefix(prefix or "")
        if found:
            prefix = before
        elif prefix is not None and EXCEPTION.match(text):  # frames are indented
            prefix, message = None, [text]
        elif message:
            message.append(line)


def last_error(log: str) -> str:
    """Return the last of the most severe lines; empty if all are routine."""
    worst, found = Severity.SUPERVISION, ""
    lines = log_lines(log)
    for line in lines:
        text = line.strip()
        severity = severity_of(text)
        if severity >= worst:
            worst, found = severity, text
    for text, *_ in exceptions_in(lines):
        if not EFFECTS.match(text):
            found = text
    return found[:MAX_LINE]


def excerpt(log: str) -> list[str]:
    """Return the last lines of a log, below each different exception before them."""
    lines = log_lines(log)
    end = lines[-EXCERPT_LINES:]
    before = {message[0]: message for message in exceptions_in(lines)}
    shown = []
    for first, message in before.items():
        if first not in end:
            shown += message
    return [line[:MAX_LINE] for line in [*shown, *end]]


# What to do where an ASGI server's last error matches; {0} is the pattern's first group.
HINTS = (
    (
        r"TypeError: .*(required positional argument: 'start_response'"
        r"|takes 2 positional arguments but 3 were given|takes 3 .* but 4 were given)",
        "it seems to be a WSGI app: serve it as 'cmd:gunicorn -w {{workers}} -b {{host}}:{{port}} "
        "{app}', or wrap it with a2wsgi",
    ),
    (
        r".*(Could not import|module not found|ModuleNotFoundError: No module named)",
        "modules are looked for in {directory} and in the packages of {python}{other_python}",
    ),
    (r".*Too many open files", LIMITS[errno.EMFILE]),
    (r".*Resource temporarily unavailable|.*can't start new thread", LIMITS[errno.EAGAIN]),
    (r"MemoryError|.*Cannot allocate memory", LIMITS[errno.ENOMEM]),
    (
        rf".*No module named ({'|'.join(AsgiServer)})$",
        "install it: {python} -m pip install {0}, or use another --python",
    ),
)


def advice_on(error: str, target: AsgiTarget) -> str:
    """Return what to do about a server's last error, in brackets; empty if that is not known."""
    for pattern, advice in HINTS:
        match = re.match(pattern, error)
        if match:
            python = target.python or sys.executable
            beside = target.directory / ".venv" / "bin" / "python"
            is_unused = not target.python and not target.is_built_in and beside.exists()
            filled = advice.format(
                *match.groups(),
                app=target.app,
                directory=target.directory,
                python=python,
                other_python=f"; try --python {beside}" if is_unused else "",
            )
            return f" ({filled})"
    return ""
