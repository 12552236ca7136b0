"""Bare ASGI apps that differ by a known share of CPU time per request, for tests/evidence.py.

`more` burns BURN_LOOPS (in the environment) in every second block of its requests,
`base` nothing. Each worker reads its own CPU clock at the end of each block, so that the
same process, on the same cores at the same time, tells what a request costs it with the
loops and without: all of it, also what the loops do to the rest (colder caches, a load
generator that has fallen asleep and must be woken). A clock around the loop alone missed
20 to 25% of that (3 runs of 2,500 loops).

At shutdown each worker appends two lines to BURN_LOG, for single and for paired trials, which it
tells by the cores that it may use: app, single or paired trial, requests and CPU seconds of
blocks without the loops, the same of blocks with them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"17")]
BLOCK = 256


def burner(name: str, loops: int) -> ASGIApp:
    cores = len(os.sched_getaffinity(0))
    spent = {method: [[0, 0.0], [0, 0.0]] for method in ("single", "paired")}
    block = requests = 0
    start: tuple[str, float, float] | None = None

    def burn() -> None:
        for _ in range(loops):
            pass

    def next_block() -> None:
        nonlocal block, start
        now = (
            "paired" if len(os.sched_getaffinity(0)) < cores else "single",
            time.process_time(),
            time.monotonic(),
        )
        if start and start[0] == now[0] and now[2] - start[2] < 1:  # else it spans two trials
            tally = spent[now[0]][block % 2]
            tally[0] += BLOCK
            tally[1] += now[1] - start[1]
        block, start = block + 1, now

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal requests
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            with Path(os.environ["BURN_LOG"]).open("a") as log:
                for method, (without, with_) in spent.items():
                    log.write(f"{name} {method} {without[0]} {without[1]} {with_[0]} {with_[1]}\n")
            await send({"type": "lifespan.shutdown.complete"})
            return
        if requests % BLOCK == 0:
            next_block()
        requests += 1
        if block % 2:
            burn()
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        await send({"type": "http.response.body", "body": b"Hello ASGI World!"})

    return app


base = burner("base", 0)
more = burner("more", int(os.environ.get("BURN_LOOPS", "0")))
