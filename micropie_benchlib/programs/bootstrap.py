"""What execnet runs on another machine: has the controller's .pyz there, and runs its agent.

It is sent as a text, below that of system/cache.py, to a bare interpreter. What it sends
before the agent itself speaks is a word and a text: "copy", "note", "failed" or "ready".
"""

import contextlib
import hashlib
import importlib
import io
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any


def main(channel: Any, trusted_cache: Callable[[], str | None]) -> None:
    """Have the .pyz of the digest that comes first, once for each, and run its agent."""
    digest = channel.receive()
    notes = io.StringIO()
    sys.stderr = notes
    directory = trusted_cache()
    private = "" if directory else tempfile.mkdtemp(prefix="micropie_bench-")
    path = os.path.join(directory or private, f"{digest[:16]}.pyz")  # noqa: PTH118
    try:
        if not is_whole(path, digest):
            channel.send(("copy", path))
            copy(channel.receive(), path)
        launcher = runpy.run_path(path, run_name="launcher")
        sys.path.insert(0, path)  # for what the launcher imports
        launcher["load"]()
    except (EOFError, OSError, SystemExit) as error:
        shutil.rmtree(private, ignore_errors=True)
        channel.send(("failed", notes.getvalue() or str(error)))
        return
    if notes.getvalue():
        channel.send(("note", notes.getvalue()))
    agent = importlib.import_module("micropie_benchlib.remote.agent")
    channel.send(("ready", sys.executable))
    agent.serve_controller(channel, private)


def copy(content: bytes, path: str) -> None:
    """Write the .pyz, whole or not at all. Raises OSError."""
    part = f"{path}-{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(content)
        os.replace(part, path)  # noqa: PTH105
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)  # noqa: PTH108
        raise


def is_whole(path: str, digest: str) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest() == digest
    return False


if __name__ == "__channelexec__":  # as execnet names it; both names are in the text before
    main(channel, trusted_cache)  # type: ignore[name-defined]  # noqa: F821
