"""Directories that do not outlive this process.

The .pyz carries this file for its launcher, too, so it imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

CLEANUP = str(Path(__file__).parent.parent / "programs" / "cleanup.py")


def start_bare(program: str, argument: str) -> subprocess.Popen[bytes]:
    """Start a program of ours in a bare interpreter, told by a pipe when this process ends."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", program, argument],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def remove_at_end(directory: str, program: str = CLEANUP) -> Callable[[], None]:
    """Return a function that removes the directory at once, as cleanup.py does at the end."""
    child = start_bare(program, directory)

    def remove() -> None:
        shutil.rmtree(directory, ignore_errors=True)
        assert child.stdin is not None  # noqa: S101  # it is a pipe
        with contextlib.suppress(OSError):  # somebody killed it
            os.write(child.stdin.fileno(), b".")
        child.stdin.close()
        child.send_signal(signal.SIGCONT)  # somebody may have stopped it
        child.wait()

    return remove


@contextlib.contextmanager
def temporary_directory() -> Iterator[Path]:
    directory = tempfile.mkdtemp(prefix="micropie_bench-")
    remove = remove_at_end(directory)
    try:
        yield Path(directory)
    finally:
        remove()
