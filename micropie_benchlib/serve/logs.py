"""Log files of servers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

LOG_TAIL_BYTES = 2**20  # a second of an access log, and what came before it
LOG_LIMIT_BYTES = 16 * 2**20  # beyond it only the tail is kept
NO_REASON = "it gave no reason"


def new_log(path: Path) -> IO[bytes]:
    """Return a new file of that name; what is written to it is appended, as trim() needs."""
    path.unlink(missing_ok=True)
    return path.open("ab")


def trim(log: Path) -> None:
    """Cut a log beyond LOG_LIMIT_BYTES down to its tail, while its server appends to it.

    That takes about a millisecond.
    """
    with contextlib.suppress(OSError):  # such as that no server was started yet
        if log.stat().st_size <= LOG_LIMIT_BYTES:
            return
        with log.open("a+b", buffering=0) as file:
            file.seek(-LOG_TAIL_BYTES, os.SEEK_END)
            tail = file.read(LOG_TAIL_BYTES)
            file.truncate(0)
            file.write(tail)
