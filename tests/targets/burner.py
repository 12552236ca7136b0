"""Bare ASGI apps that differ by a known CPU time per request, for tests/honesty.py.

Each burns BURN_LOOPS (in the environment; `base` none) and accounts for what that took by its own thread's CPU clock,
for one request in 8, apart for solo trials and for duets, which it tells by the cores that it may use. At shutdown each
worker appends a line to BURN_LOG: app, requests sampled and seconds burnt in them in solo trials, the same in duets.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"17")]


def burner(name: str, loops: int) -> ASGIApp:
    requests = 0
    sampled, burnt_s = [0, 0], [0.0, 0.0]  # solo, duet
    cores = len(os.sched_getaffinity(0))

    def burn() -> None:  # one place for all: CPython specialises and places code by place
        for _ in range(loops):
            pass

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal requests
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            with Path(os.environ["BURN_LOG"]).open("a") as log:
                log.write(f"{name} {sampled[0]} {burnt_s[0]} {sampled[1]} {burnt_s[1]}\n")
            await send({"type": "lifespan.shutdown.complete"})
            return
        requests += 1
        if requests % 8:
            burn()
        else:
            start_s = time.thread_time()
            burn()
            spent_s = time.thread_time() - start_s
            duet = len(os.sched_getaffinity(0)) < cores
            burnt_s[duet] += spent_s
            sampled[duet] += 1
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"Hello ASGI World!"})

    return app


base = burner("base", 0)
more = burner("more", int(os.environ.get("BURN_LOOPS", "0")))
