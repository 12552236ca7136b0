"""shifting.py PORT MODE [ARG]: a server whose cost or latency is no one figure.

plain        answers at once
slow SHARE   60 ms later for that share of requests, at any rate
shared FILE  does little if another server has used the file in the last 50 ms
fills FILE   the same, and uses it
drift FILE   4% more work with each launch; FILE counts them
cold S       40 times the work for S seconds from its first request
"""

import asyncio
import random
import sys
import time
from pathlib import Path

port, mode = int(sys.argv[1]), sys.argv[2]
arg = sys.argv[3] if len(sys.argv) > 3 else "0"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
started_s: list[float] = []


def count_launch(file: Path) -> int:
    count = len(file.read_bytes()) if file.exists() else 0
    file.write_bytes(bytes(count + 1))
    return count


launch = count_launch(Path(arg)) if mode == "drift" else 0


def turns() -> int:
    if mode == "drift":
        return int(5000 * 1.04**launch)
    if mode == "cold":
        started_s.append(time.monotonic())
        del started_s[1:]
        return 20_000 if time.monotonic() - started_s[0] < float(arg) else 500
    if mode in ("shared", "fills"):
        file = Path(arg)
        if file.exists() and time.time() - file.stat().st_mtime < 0.05:
            return 500
        if mode == "fills":
            file.touch()
        return 20_000
    return 500


class Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        for _ in range(turns()):
            pass
        if mode == "slow" and random.random() < float(arg):
            asyncio.get_running_loop().call_later(0.06, self.transport.write, RESPONSE)
        else:
            self.transport.write(RESPONSE)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", port)
    await server.serve_forever()


asyncio.run(main())
