"""An HTTP server that answers oddly, `python odd.py PORT MODE`."""

import asyncio
import itertools
import random
import sys

BODY = b"hello" * 40


def answer(body: bytes = BODY, *, status: str = "200 OK", version: str = "1.1") -> bytes:
    head = f"HTTP/{version} {status}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


port, mode = int(sys.argv[1]), sys.argv[2]
connections = itertools.count()
requests = itertools.count()


class Odd(asyncio.Protocol):
    """One connection; each mode is a method that returns an answer, or None for none."""

    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.number = next(connections)
        self.answered = 0

    def data_received(self, data: bytes) -> None:
        for _ in range(data.count(b"\r\n\r\n")):
            text = getattr(self, mode)(next(requests))
            self.answered += 1
            if text is not None:
                self.transport.write(text)
            if mode == "http10":
                self.transport.close()

    @property
    def is_worn(self) -> bool:
        """Whether it has been used more often than a probe's connection is."""
        return self.answered > 20

    def plain(self, number: int) -> bytes:
        return answer()

    def fallen(self, number: int) -> bytes:
        return answer(b"error: no database")

    def says_close(self, number: int) -> bytes:
        """It never closes a connection, whatever its first answers say."""
        head, _, body = answer().partition(b"\r\n\r\n")
        close = b"\r\nConnection: close" if number < 40 else b""
        return head + close + b"\r\n\r\n" + body

    def hints(self, number: int) -> bytes:
        return b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>; rel=preload\r\n\r\n" + answer()

    def later_hints(self, number: int) -> bytes:
        """Interim answers later on a connection, as an idle probe sees none."""
        return self.hints(number) if self.is_worn else answer()

    def shrinks(self, number: int) -> bytes:
        return answer(b"") if self.is_worn else answer()

    def doubles(self, number: int) -> bytes:
        return answer(BODY * 5) if self.is_worn else answer()

    def twice(self, number: int) -> bytes:
        """Each answer comes twice, later on a connection."""
        return answer() * 2 if self.is_worn else answer()

    def another(self, number: int) -> bytes:
        """An error of the same size, after the first hundred answers."""
        return answer(b"sorry" * 40) if number > 100 else answer()

    def empties(self, number: int) -> bytes:
        return answer(b"") if self.answered > 1 else answer()

    def pretends(self, number: int) -> bytes:
        """Of the same size, and another thing, for all but the first of each connection."""
        return answer(b"sorry" * 40) if self.answered else answer()

    def not_modified(self, number: int) -> bytes:
        return b"HTTP/1.1 304 Not Modified\r\n\r\n" if self.answered else answer()

    def redirects(self, number: int) -> bytes:
        """To a login, for every connection, after the first hundred answers."""
        return answer(status="302 Found") if number > 100 else answer()

    def dies_at_second_connection(self, number: int) -> bytes:
        if self.number:
            sys.exit("ValueError: no database")
        return answer()

    def varies(self, number: int) -> bytes:
        return answer(BODY * random.randint(1, 20))

    def counts(self, number: int) -> bytes:
        return answer(BODY + str(number).encode())

    def dies(self, number: int) -> bytes | None:
        """It answers nothing after the first 400 requests."""
        return answer() if number < 400 else None

    def falls_silent(self, number: int) -> bytes | None:
        return None if self.is_worn else answer()

    def ignores_some(self, number: int) -> bytes | None:
        """Of a hundred connections, eight never get an answer."""
        return answer() if self.number % 100 < 92 else None

    def http10(self, number: int) -> bytes:
        return answer(version="1.0")


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Odd, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


asyncio.run(main())
