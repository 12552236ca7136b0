"""Servers of one request at a time: a queue as theory has it.

`python single.py PORT` takes SERVICE_S seconds (in the environment) for each request, and
writes when each began and ended to SERVICE_LOG. The app `stalling` answers at once, but the
200th request of a worker takes 1 s, in which it does nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

SERVICE_S = float(os.environ.get("SERVICE_S", "0.01"))
requests = itertools.count(1)
log = Path(os.environ.get("SERVICE_LOG", os.devnull)).open("a")  # noqa: SIM115


class Steady(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            began = time.monotonic()
            time.sleep(SERVICE_S)  # nothing else is done meanwhile
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
            log.write(f"{began:.6f} {time.monotonic():.6f}\n")


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Steady, "127.0.0.1", port)
    await server.serve_forever()


async def stalling(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    if next(requests) == 200:
        time.sleep(1)
    headers = [(b"content-length", b"5")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello"})


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
