"""ASGI apps with faults, for the tests to serve."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

requests = 0


async def answer(send: Send, status: int = 200) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-length", b"2")]}
    )
    await send({"type": "http.response.body", "body": b"hi"})


async def good(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await answer(send)


async def error_500(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    await answer(send, 500)


async def sometimes_503(scope: Scope, receive: Receive, send: Send) -> None:
    global requests
    if scope["type"] == "lifespan":
        raise NotImplementedError
    requests += 1
    await answer(send, 503 if requests % 500 == 0 else 200)


async def dies_under_load(scope: Scope, receive: Receive, send: Send) -> None:
    """The first worker that is asked for the 500th time, as none is before a load, exits."""
    global requests
    if scope["type"] == "lifespan":
        raise NotImplementedError
    requests += 1
    if requests == 500:
        with contextlib.suppress(FileExistsError):
            Path(os.environ["FAULTY_MARKS"], "died").touch(exist_ok=False)
            os._exit(9)
    await answer(send)


async def staggered(scope: Scope, receive: Receive, send: Send) -> None:
    """Each worker starts 0.25 s after the one before it, and leaves a mark when it is ready."""
    if scope["type"] != "lifespan":
        await answer(send)
        return
    await receive()
    marks = Path(os.environ["FAULTY_MARKS"])
    with (marks / "turn").open("a") as file:
        file.write("x")
        turn = file.tell()
    time.sleep(0.25 * turn)  # this worker alone, before it serves
    (marks / f"ready-{os.getpid()}").touch()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def never_starts(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(3600)
