"""A FastAPI app that tests/gate_errors.py commits as it is, and with so many LOOPS in each request.

Each worker reads its thread's own CPU clock every BLOCK requests. At shutdown it appends to
BURN_LOG what burner.py does, for single and for paired trials, which it tells by the cores that
it may use: app, method, requests, CPU seconds, and two zeros.
"""

import contextlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import FastAPI

LOOPS = 0
BLOCK = 256
CORES = len(os.sched_getaffinity(0))

spent = {"single": [0, 0.0], "paired": [0, 0.0]}
requests = 0
begun = ("", 0.0, 0.0)


def next_block() -> None:
    global begun
    method = "paired" if len(os.sched_getaffinity(0)) < CORES else "single"
    before, begun = begun, (method, time.thread_time(), time.monotonic())
    if before[0] == method and begun[2] - before[2] < 1:  # else it spans two trials
        spent[method][0] += BLOCK
        spent[method][1] += begun[1] - before[1]


@contextlib.asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    yield
    name = "more" if LOOPS else "base"
    with Path(os.environ.get("BURN_LOG", os.devnull)).open("a") as log:
        for method, (count, cpu_s) in spent.items():
            log.write(f"{name} {method} {count} {cpu_s} 0 0\n")


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def home() -> dict[str, str]:
    global requests
    if requests % BLOCK == 0:
        next_block()
    requests += 1
    for _ in range(LOOPS):
        pass
    return {"Hello": "World"}
