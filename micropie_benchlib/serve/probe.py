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
    return f"{complaint}: start the server or fix the address"


class Reading:
    """A response as llhttp reads it, the successor of the parser that wrk has.

    `fault` is what is wrong with it; empty if nothing is.
    """

    def __init__(self) -> None:
        import httptools  # slow to import

        self._refusals = (httptools.HttpParserError, httptools.HttpParserUpgrade)
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # as wrk
        self._has_head = False
        self._excerpt = b""
        self._body = hashlib.sha256()
        self._body_bytes = 0
        self.headers: list[tuple[str, str]] = []
        self.is_whole = False
        self.interim_status = 0  # of a response that only announces another (1xx)
        self.fault = ""

    def receive(self, data: bytes) -> None:
        """Take in what has come; nothing is the end of the connection."""
        if not data:
            ends_with_connection = not {"content-length", "transfer-encoding"} & {
                name for name, _ in self.headers
            }
            self.is_whole = self.is_whole or (self._has_head and ends_with_connection)
            return
        try:
            self._parser.feed_data(data)
        except self._refusals as error:
            self.fault = str(error)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a header."""
        if not self._has_head:  # else it comes after the body
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """Note that the head has ended."""
        self._has_head = True
        status = self._parser.get_status_code()
        if status < 200:
            self.interim_status = status

    def on_body(self, data: bytes) -> None:
        """Take in a part of the body."""
        self._body.update(data)
        self._body_bytes += len(data)
        self._excerpt = (self._excerpt + data)[:EXCERPT_BYTES]

    def on_message_complete(self) -> None:
        """Note that all of it is there."""
        self.is_whole = True

    def response(self, size: int) -> Response:
        """Return the response, which has that many bytes on the wire."""
        return Response(
            status=self._parser.get_status_code(),
            bytes=size,
            headers=tuple(self.headers),
            body_sha256=self._body.hexdigest(),
            body_bytes=self._body_bytes,
            http_version=self._parser.get_http_version(),
            excerpt=excerpt_of(self._excerpt),
        )


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

    Bytes of TLS are not among them.
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
        self._scheme, self._host, self._port = split_url(url)
        self.address = address or self._host
        _, _, self._authority, path = url.split("/", 3)
        self._path = f"/{path}"
        self._workload = workload
        self._limit_s = probe_limit_s(workload) if deadline_s is None else deadline_s
        self._deadline = time.monotonic() + self._limit_s
        self._watch = watch
        self._tries_tls = tries_tls
        self._size = 0
        self._start = b""  # of the answer, as far as it tells whether that is HTTP
        self._reading = Reading()
        self.name = f"{workload.method} {self._path}"

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
                while not self._reading.is_whole and not self._reading.fault:
                    if not self._receive(connection):
                        break
        except OSError as error:
            raise self._failure(error) from None
        if not self._reading.is_whole:
            raise self._closed()
        return self._reading.response(self._size)

    def _failure(self, error: OSError) -> BenchError:
        """Return why there is no whole answer, and what to do."""
        start = f"no whole answer to {self.name}: "
        if isinstance(error, ConnectionRefusedError):
            return NotReachedError(start + refusal(self.address, self._port))
        if isinstance(error, ConnectionError):
            return self._closed()
        if isinstance(error, socket.gaierror):
            return BenchError(f"{start}the host {self._host} is not known: check its name")
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
        if self._reading.fault:
            return BenchError(
                f"no whole HTTP answer to {self.name}: {self._reading.fault}; "
                "wrk cannot read it either: fix the server"
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
                "fix the address, or see whether a firewall is in the way"
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
        lines = [f"{workload.method} {self._path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + workload.body

    def _check_start(self) -> None:
        """Raise BenchError if the answer does not begin as HTTP does, or only announces one."""
        if self._reading.interim_status:
            raise BenchError(
                f"{self.name} is answered with {self._reading.interim_status} before the answer "
                "itself, and wrk counts both as answers: have the server send no interim answers"
            )
        start = self._start
        if len(start) < HTTP_START_BYTES or start.startswith(b"HTTP/") or self._is_tls():
            return
        text = start.decode("latin-1")
        raise BenchError(
            f"no whole HTTP answer to {self.name}: it begins with {text!r}: "
            f"have an HTTP server listen on {self._place}, or fix the address"
        )

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
        self._reading.receive(data)
        self._check_start()
        return data
