"""Which line of a server's log tells best why it ended."""

from __future__ import annotations

import json
import re
from enum import IntEnum

from micropie_benchlib.serve.logs import NO_REASON


class Telling(IntEnum):
    """How much a line of a server's log tells of the server's end."""

    CHATTER = 0
    CLOSING = 1  # that it ends, not why
    SPEECH = 2
    ERROR = 3
    CAUSE = 4  # the exception that a traceback ends with


HTTP_METHODS = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"
ERROR_LEVELS = "ERROR|CRITICAL|FATAL|EMERG|ALERT|CRIT"


# The first rule that a line matches holds. The lines are those of uvicorn, gunicorn, granian
# and hypercorn; of access logs in the common format and in those of Node.js and Go.
LOG_RULES = tuple(
    (telling, re.compile(pattern))
    for telling, pattern in (
        (Telling.ERROR, r".*\bMaximum request limit of \d+ exceeded"),
        (Telling.ERROR, r".*\bAutorestarting worker after current request"),
        (Telling.CHATTER, r"INFO: |(\[[-+:, \d]+\] )*\[(INFO|DEBUG)\]"),
        (Telling.CHATTER, r".*\b(Child|parent) process \[\d+\]"),
        (Telling.CHATTER, rf".*\b({HTTP_METHODS}) \"?/[^ \"]*\"?( HTTP/[\d.]+)?\"? \d{{3}}\b"),
        (Telling.CHATTER, rf".*\| +\d{{3}} \|.*\| +({HTTP_METHODS})\b"),
        (Telling.CHATTER, r"The above exception was|During handling of the above exception"),
        (Telling.CHATTER, r" *\+-[-+]*( \d+ -+)?$"),  # in an exception group
        (Telling.CLOSING, r".*\bApplication startup failed\b"),
        (Telling.CLOSING, r".*\b[Ll]ifespan startup failed$"),
        (Telling.CLOSING, r".*\b(Worker|App) failed to (boot|load)\b"),
        (Telling.CLOSING, r".*\bWorker \(pid:\d+\) (exited|was sent)\b"),
        (Telling.CLOSING, r".*\bShutting down: Master\b"),
        (Telling.CLOSING, r".*\bException in worker process\b"),
        (Telling.CLOSING, r".*\bUnexpected exit from worker-\d+"),
        (Telling.CLOSING, r"Process [\w-]+:$"),
        (Telling.ERROR, r"[\w.]*(Error|Exception|Exit)\b|\[Errno|Fatal Python error:"),
        (Telling.ERROR, r"panic: |fatal error: |thread '.*' panicked|Exception in thread"),
        (Telling.ERROR, rf".{{0,80}}?\b({ERROR_LEVELS})\b"),
        (Telling.ERROR, rf".{{0,80}}?(\blevel=|\[)({ERROR_LEVELS.lower()})\b"),
    )
)
TERMINAL_STYLE = re.compile(r"\x1b\[[\d;]*m")
TRACEBACK = "Traceback (most recent call last)"
FRAME = re.compile(r"File \"(.+)\", line (\d+)")
INDENTED = re.compile(r"[ +│╭╰]")  # as rich draws a traceback, too
NO_MARGIN = re.compile("")
GROUP_MARGIN = re.compile(r"^ *\| ?")  # of an exception group
GROUP_BORDER = re.compile(r" *\+-[-+]*(?: (\d+) -+)?$")  # before each of them, and at the end
EXCEPTION = re.compile(rf"(?!({ERROR_LEVELS}|DEBUG|INFO|WARNING)\b)[^\W\d][\w.<>]*(: |$)")
SYNTAX_ERROR = re.compile(r"(Syntax|Indentation|Tab)Error\b")
EFFECTS = re.compile(r"([\w.]+\.)?(KeyboardInterrupt|CancelledError|SystemExit|BrokenPipeError)\b")


def json_log_lines(line: str) -> list[str] | None:
    """Return what a line of a JSON log says, its traceback last; None for another line."""
    try:
        fields = json.loads(line)
    except ValueError:
        return None
    if not isinstance(fields, dict):
        return None
    level, message = "", ""
    lines: list[str] = []
    for name, value in fields.items():
        if not isinstance(value, str):
            continue
        if TRACEBACK in value:
            lines += value.splitlines()
        elif name in ("level", "levelname", "severity"):
            level = f"{value.upper()}: "
        elif name in ("message", "msg", "event"):
            message = value.partition("\n")[0]
    return [level + message, *lines]


def log_lines(log: str) -> list[str]:
    """Return the lines of a log without styles, those of JSON spelt out; none is blank."""
    lines: list[str] = []
    for line in TERMINAL_STYLE.sub("", log).splitlines():
        said = json_log_lines(line) if line.startswith("{") else None
        lines += [line] if said is None else said
    return [line for line in lines if line.strip()]


class TracebackReader:
    """Finds the exceptions in the lines of a log, which are taken in one by one."""

    def __init__(self) -> None:
        self._margin: re.Pattern[str] | None = None  # of a traceback; None outside of one
        self._place = ""
        self._is_further = False  # in the second exception of a group, or a later one

    def take(self, line: str) -> str | None:
        """Return the exception that a traceback ends with in this line; None if it does not."""
        before, found, _ = line.partition(TRACEBACK)
        if found:
            # A logger may begin each line with the same words and another time.
            self._margin = re.compile(re.sub(r"\d", r"\\d", re.escape(before)))
            return self._exception(before.strip())
        border = GROUP_BORDER.match(line)
        if border:
            self._margin = NO_MARGIN if border[1] else None
            self._is_further = bool(border[1]) and int(border[1]) > 1
        if self._margin is None:
            return None
        text = GROUP_MARGIN.sub("", self._margin.sub("", line, count=1), count=1)
        frame = FRAME.search(text)
        if frame:
            self._place = f" ({frame[1]}, line {frame[2]})"
        if self._is_further or INDENTED.match(text):
            return None
        exception = self._exception(text)
        if exception:
            self._margin = None
        return exception

    def _exception(self, text: str) -> str | None:
        """Return the text if it names an exception, an error of syntax with its place."""
        if not EXCEPTION.match(text):
            return None
        if SYNTAX_ERROR.match(text) and ", line " not in text:
            return text + self._place
        return text


def tell(line: str) -> Telling:
    """Return how much a line of a log tells by itself."""
    for telling, pattern in LOG_RULES:
        if pattern.match(line):
            return telling
    return Telling.SPEECH


def last_words(log: str) -> str:
    """Return the line of a server's log that tells best why it ended.

    That is the last exception of a traceback that is not the effect of another one's end;
    else the last line of those that tell most (Telling).
    """
    reader = TracebackReader()
    best, best_telling = NO_REASON, Telling.CLOSING
    for line in log_lines(log):
        exception = reader.take(line)
        text = exception or line.strip()
        telling = tell(text)
        if exception:
            telling = Telling.ERROR if EFFECTS.match(exception) else Telling.CAUSE
        if telling >= best_telling:
            best, best_telling = text, telling
    return best[:300]
