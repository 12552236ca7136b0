"""One request and its response, counted in bytes as wrk counts."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import time
from collections.abc import Callable

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Workload, header_value
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.targets import name_place
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, split_url
from micropie_benchlib.system.children import POLL_S

PROBE_DEADLINE_S = 10.0
HTTP_START_BYTES = 5
EXCERPT_BYTES = 200  # of a body, for those who read why it was refused
TLS_ALERT = b"\x15"  # RFC 8446, 5.1


class NotReachedError(BenchError):
    """A server that refused a connection, or closed it without a byte; it may yet start."""


class SpeaksTlsError(BenchError):
    """A server that wants TLS where plain HTTP was sent."""


def can_connect(host: str, port: int) -> bool:
    """Return whether something accepts a connection there."""
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), timeout=1).close()
        return True
    return False


def start_tls(connection: socket.socket, host: str) -> socket.socket:
    """Return the connection with TLS on it. Raises OSError where the handshake fails."""
    import ssl  # slow to import

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as wrk does
    return context.wrap_socket(connection, server_hostname=host)


def speaks_tls(host: str, port: int) -> bool:
    """Return whether a server there makes a TLS handshake."""
    with contextlib.suppress(OSError):
        connection = socket.create_connection((host, port), timeout=1)
        with connection, start_tls(connection, host):
            return True
    return False


def refusal(host: str, port: int) -> str:
    """Return what is wrong where a connection is refused, and what to do."""
    complaint = f"nothing listens on {name_place(host, port)}"
    is_here = are_loopback(addresses_of(host))
    for other in ("127.0.0.1", "::1"):
        if other != host and is_here and can_connect(other, port):
            place = name_place(other, port)
            return f"{complaint}, but something does on {place}: use that address"
    return f"{complaint}: start the server there, or mend the address"


class SecondReading:
    """An answer as llhttp reads it, the heir of the parser that wrk has.

    It reads some answers that h11 refuses, and refuses some that h11 reads.
    """

    def __init__(self) -> None:
        import httptools  # slow to import

        self._refusals = (httptools.HttpParserError, httptools.HttpParserUpgrade)
        self._parser = httptools.HttpResponseParser(self)
        self.headers: list[tuple[str, str]] = []
        self.body = hashlib.sha256()
        self.body_bytes = 0
        self.is_whole = False
        self.fault = ""

    @property
    def status(self) -> int:
        """The answer's status."""
        return int(self._parser.get_status_code())

    @property
    def http_version(self) -> str:
        """The answer's version of HTTP, as 1.1."""
        return str(self._parser.get_http_version())

    def receive(self, data: bytes) -> None:
        """Take in what has come; `fault` says what is wrong with it."""
        if self.fault or self.is_whole:
            return
        try:
            self._parser.feed_data(data)
        except self._refusals as error:
            self.fault = str(error)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        """Take in a part of the body."""
        self.body.update(data)
        self.body_bytes += len(data)

    def on_message_complete(self) -> None:
        """Note that all of it is there, unless it only announces another (1xx)."""
        self.is_whole = self.status >= 200
        if not self.is_whole:
            self.headers.clear()


def probe_limit_s(workload: Workload) -> float:
    """Return how long one answer may take, in seconds."""
    return max(PROBE_DEADLINE_S, workload.timeout_s)


def excerpt_of(body: bytes) -> str:
    """Return the beginning of a body in one line; empty if it is no text."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        if error.end < len(body):
            return ""
        text = body[: error.start].decode()  # a character is cut at the end
    line = " ".join(text.split())
    return line if line.isprintable() else ""


class Probe:
    """One request, made as a workload is, and its answer, counted in bytes.

    Bytes of TLS are not among them. `fault` is what is wrong with the answer, by the rules
    of HTTP; empty if nothing is. What h11 refuses is read by wrk's kind of parser instead.
    """

    def __init__(
        self,
        url: str,
        workload: Workload,
        *,
        deadline_s: float | None = None,
        watch: Callable[[], object] = lambda: None,
        tries_tls: bool = True,
        address: str = "",
    ) -> None:
        """Prepare it. It may take `deadline_s` in all (probe_limit_s()).

        Meanwhile `watch` is called every POLL_S; what it raises ends the probe. With
        `tries_tls` a server that closes the connection is asked whether it wants TLS. It goes
        to the address, if one is given, whatever the URL's host resolves to.
        """
        import h11  # slow to import

        self._h11 = h11
        self._client = h11.Connection(h11.CLIENT)
        self._scheme, self._host, self._port = split_url(url)
        self.address = address or self._host
        _, _, self._authority, path = url.split("/", 3)
        self._path = f"/{path}"
        self._workload = workload
        self._limit_s = probe_limit_s(workload) if deadline_s is None else deadline_s
        self._deadline = time.monotonic() + self._limit_s
        self._watch = watch
        self._tries_tls = tries_tls
        self._head: h11.Response | None = None
        self._size = 0
        self._start = b""  # of the answer, as far as it tells whether that is HTTP
        self._body = hashlib.sha256()
        self._body_bytes = 0
        self._excerpt = b""
        self._second = SecondReading()
        self.name = f"{workload.method} {self._path}"
        self.fault = ""

    @property
    def _place(self) -> str:
        """Where the server is."""
        return name_place(self.address, self._port)

    def ask(self) -> Response:
        """Return the answer. Raises BenchError if there is none."""
        try:
            with contextlib.ExitStack() as stack:
                connection = self._connect(stack)
                connection.sendall(self._request())
                try:
                    self._read(connection)
                except self._h11.RemoteProtocolError as error:
                    self.fault = str(error)
                    self._read_again(connection)
        except OSError as error:
            raise self._failure(error) from None
        if self.fault and self._second.is_whole:
            return self._second_response()
        if self.fault or self._head is None:
            raise self._closed()
        self.fault = self._second.fault
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in self._head.headers
        ]
        return Response(
            status=self._head.status_code,
            bytes=self._size,
            headers=tuple(headers),
            body_sha256=self._body.hexdigest(),
            body_bytes=self._body_bytes,
            http_version=self._head.http_version.decode("ascii"),
            excerpt=excerpt_of(self._excerpt),
        )

    def _second_response(self) -> Response:
        """Return the answer as it was read the second time."""
        return Response(
            status=self._second.status,
            bytes=self._size,
            headers=tuple(self._second.headers),
            body_sha256=self._second.body.hexdigest(),
            body_bytes=self._second.body_bytes,
            http_version=self._second.http_version,
        )

    def _failure(self, error: OSError) -> BenchError:
        """Return why there is no whole answer, and what to do."""
        start = f"no whole answer to {self.name}: "
        if isinstance(error, ConnectionRefusedError):
            return NotReachedError(start + refusal(self.address, self._port))
        if isinstance(error, ConnectionError):
            return self._closed()
        if isinstance(error, socket.gaierror):
            return BenchError(f"{start}the host {self._host} is not known: mend its name")
        if isinstance(error, TimeoutError):
            return BenchError(start + str(error))
        reason = error.strerror or str(error)
        return BenchError(f"{start}{self._place} cannot be reached: {reason}")

    def _is_tls(self) -> bool:
        """Return whether the server complained about plain HTTP, and speaks TLS."""
        if self._size:
            return self._start.startswith(TLS_ALERT)
        return self._tries_tls and speaks_tls(self.address, self._port)

    def _closed(self) -> BenchError:
        """Return what is wrong where the connection was closed, or the answer is not HTTP."""
        if self._scheme == "http" and self._is_tls():
            url = f"https://{self._authority}{self._path}"
            return SpeaksTlsError(f"{self._place} speaks TLS: use {url}")
        if self.fault and self._size:
            return BenchError(
                f"no whole HTTP answer to {self.name}: {self.fault}; "
                "wrk cannot read it either: mend the server"
            )
        complaint = (
            f"no whole HTTP answer to {self.name} before the connection was closed "
            f"by {self._place}: see its log"
        )
        return BenchError(complaint) if self._size else NotReachedError(complaint)

    def _connect(self, stack: contextlib.ExitStack) -> socket.socket:
        """Return a connection to the server, closed by the stack."""
        timeout_s = max(POLL_S, min(self._limit_s, PROBE_DEADLINE_S))
        try:
            place = (self.address, self._port)
            connection = socket.create_connection(place, timeout=timeout_s)
        except TimeoutError:
            raise TimeoutError(
                f"timed out: no connection to {self._place} within {timeout_s:.0f} s: "
                "mend the address, or see whether a firewall is in the way"
            ) from None
        stack.enter_context(connection)
        if self._scheme == "http":
            return connection
        try:
            return stack.enter_context(start_tls(connection, self._host))
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise OSError(
                f"the TLS handshake failed ({reason}): "
                f"if it speaks plain HTTP, use http://{self._authority}{self._path}"
            ) from None

    def _request(self) -> bytes:
        """Return the request as it goes over the wire."""
        workload = self._workload
        headers = list(workload.sent_headers)
        if header_value(workload.headers, "Host") is None:
            headers.insert(0, ("Host", self._authority))
        if workload.method != "GET" or workload.body:
            headers.append(("Content-Length", str(len(workload.body))))
        events = (
            self._h11.Request(method=workload.method, target=self._path, headers=headers),
            self._h11.Data(data=workload.body),
            self._h11.EndOfMessage(),
        )
        return b"".join(self._client.send(event) or b"" for event in events)

    def _read(self, connection: socket.socket) -> None:
        """Read up to the end of the answer, or of the connection."""
        while True:
            event = self._client.next_event()
            if isinstance(event, self._h11.EndOfMessage | self._h11.ConnectionClosed):
                return
            if event is self._h11.PAUSED:
                raise BenchError(f"the answer to {self.name} changes the protocol")
            if event is self._h11.NEED_DATA:
                self._client.receive_data(self._receive(connection))
                self._check_start()
            elif isinstance(event, self._h11.InformationalResponse):
                raise BenchError(
                    f"{self.name} is answered with {event.status_code} before the answer itself, "
                    "and wrk counts both as answers: have the server send no interim answers"
                )
            elif isinstance(event, self._h11.Response):
                self._head = event
            elif isinstance(event, self._h11.Data):
                self._body.update(event.data)
                self._body_bytes += len(event.data)
                self._excerpt = (self._excerpt + event.data)[:EXCERPT_BYTES]

    def _check_start(self) -> None:
        """Raise BenchError if the answer does not begin as HTTP does.

        h11 would wait for the end of the head.
        """
        start = self._start
        if len(start) < HTTP_START_BYTES or start.startswith(b"HTTP/") or self._is_tls():
            return
        text = start.decode("latin-1")
        raise BenchError(
            f"no whole HTTP answer to {self.name}: it begins with {text!r}: "
            f"have an HTTP server listen on {self._place}, or mend the address"
        )

    def _read_again(self, connection: socket.socket) -> None:
        """Read on to the end of an answer that h11 refuses, or of the connection."""
        while not self._second.is_whole and not self._second.fault:
            if not self._receive(connection):
                return

    def _receive(self, connection: socket.socket) -> bytes:
        """Return what has come. Raises TimeoutError at the deadline."""
        data = None
        while data is None:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                state = "the answer has not ended" if self._size else "timed out: no answer"
                raise TimeoutError(f"{state} after {self._limit_s:.0f} s")
            connection.settimeout(min(left_s, POLL_S))
            with contextlib.suppress(TimeoutError):
                data = connection.recv(65536)
            self._watch()
        self._start = (self._start + data.lstrip())[:HTTP_START_BYTES]
        self._size += len(data)
        self._second.receive(data)
        return data
