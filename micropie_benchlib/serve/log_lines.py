"""Why a server ended, by its log: in one line, and as an excerpt for whoever reads on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from micropie_benchlib.serve.logs import NO_REASON

EXCERPT_LINES = 15
MAX_LINE = 300  # characters that are told of a line
TERMINAL_STYLE = re.compile(r"\x1b\[[\d;]*m")
TRACEBACK = "Traceback (most recent call last)"
EXCEPTION = re.compile(r"(?!(?:ERROR|CRITICAL|WARNING|INFO|DEBUG)\b)[^\W\d][\w.<>]*(?:: |$)")
# Exceptions that only say that another one ended the server.
EFFECTS = re.compile(
    r"(?:[\w.]+\.)?(?:KeyboardInterrupt|CancelledError|SystemExit|BrokenPipeError|HaltServer)\b"
)
ERROR = re.compile(
    r"\b(?:ERROR|CRITICAL|FATAL)\b|\[(?:error|crit|emerg)\]"
    r"|^[\w.]*(?:Error|Exception)\b|^panic: |\[Errno "
)
# What a server says of its own processes, and of requests.
SUPERVISION = re.compile(
    r"\b(?:[Cc]hild|[Pp]arent) process\b|\b[Ww]orker\b|\bstartup failed\b|\bShutting down\b"
    r"|\bException in worker|\bfailed to (?:boot|load)\b"
)
CHATTER = re.compile(
    r"\b(?:INFO|DEBUG)\b|\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) +\"?/"
    r"|\bexception occurred|\babove exception was\b"
)


def log_lines(log: str) -> list[str]:
    """Return the lines of a log that are not blank, without styles."""
    lines = [line.rstrip() for line in TERMINAL_STYLE.sub("", log).splitlines()]
    return [line for line in lines if line]


def exceptions_in(lines: Sequence[str]) -> Iterator[str]:
    """Yield the exceptions that tracebacks end with, each time with its message's first line."""
    prefix: str | None = None  # of the traceback's lines; None outside of one
    for line in lines:
        before, found, _ = line.partition(TRACEBACK)
        if found:
            prefix = before
            continue
        text = line if prefix is None else line.removeprefix(prefix)
        if prefix is not None and EXCEPTION.match(text):
            prefix = None
            yield text


def last_error(log: str) -> str:
    """Return the line of a log that tells best why its server ended.

    That is the last exception that is not the effect of another one, else the last error,
    else the last line that is not about a request, nor, if it can be, about its processes.
    """
    lines = log_lines(log)
    causes = [text for text in exceptions_in(lines) if not EFFECTS.match(text)]
    said = [line.strip() for line in lines if not SUPERVISION.search(line)]
    errors = [line for line in said if ERROR.search(line)]
    others = [line for line in said if not CHATTER.search(line)]
    rest = [line.strip() for line in lines if not CHATTER.search(line)]
    for found in (causes, errors, others, rest):
        if found:
            return found[-1][:MAX_LINE]
    return NO_REASON


def excerpt(log: str) -> list[str]:
    """Return the end of a log, below the exceptions that came before it, each once."""
    lines = log_lines(log)
    end = lines[-EXCERPT_LINES:]
    before = dict.fromkeys(text for text in exceptions_in(lines) if text not in end)
    return [line[:MAX_LINE] for line in [*before, *end]]
