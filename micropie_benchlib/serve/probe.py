"""Requests on one connection and their responses, counted in bytes as wrk counts."""

import contextlib
import hashlib
import socket
import time
from collections.abc import Callable, Sequence

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Response, Workload, header_value
from micropie_benchlib.core.targets import host_and_port
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, split_url
from micropie_benchlib.system.children import POLL_S

PROBE_DEADLINE_S = 10.0
MAX_IN_TURN = 10  # requests on one connection
IN_TURN_S = 0.1  # for these, but for the first two
SECOND_WITHIN_S = 1.0  # of the first: else each launch would wait for long
EXCERPT_BYTES = 200  # of a body, for those who read why it was refused
TLS_ALERT = b"\x15"  # RFC 8446, 5.1


class NotReachedError(BenchError):
    """A server that refused a connection, or closed it without a byte; it may yet start."""


class SpeaksTlsError(BenchError):
    """A server that wants TLS where plain HTTP was sent."""


def can_connect(host: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection((host, port), timeout=1).close()
        return True
    return False


def start_tls(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # slow to import

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as wrk does
    return context.wrap_socket(connection, server_hostname=host)


def speaks_tls(host: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        connection = socket.create_connection((host, port), timeout=1)
        with connection, start_tls(connection, host):
            return True
    return False


def refusal(host: str, port: int) -> str:
    failure = f"nothing listens on {host_and_port(host, port)}"
    is_here = are_loopback(addresses_of(host))
    for other in ("127.0.0.1", "::1"):
        if other != host and is_here and can_connect(other, port):
            address = host_and_port(other, port)
            return f"{failure}, but something does on {address}: use that address"
    return f"{failure}: start the server or fix the address"


class Reading:
    """A response as llhttp reads it, the successor of wrk's parser."""

    def __init__(self) -> None:
        import httptools  # slow to import

        self._faults = (httptools.HttpParserError, httptools.HttpParserUpgrade)
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # as wrk
        self._has_head = False
        self._excerpt = b""
        self._body = hashlib.sha256()
        self._body_bytes = 0
        self.bytes = 0  # on the wire
        self.headers: list[tuple[str, str]] = []
        self.is_whole = False
        self.interim_status = 0  # of a response that only announces another (1xx)
        self.fault = ""

    def receive(self, data: bytes) -> None:
        """Nothing is the end of the connection."""
        self.bytes += len(data)
        if not data:
            ends_otherwise = {"content-length", "transfer-encoding"} & dict(self.headers).keys()
            self.is_whole |= self._has_head and not ends_otherwise
            return
        try:
            self._parser.feed_data(data)
        except self._faults as error:
            self.fault = str(error)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else it comes after the body
            self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._has_head = True
        status = self._parser.get_status_code()
        if status < 200:
            self.interim_status = status

    def on_body(self, data: bytes) -> None:
        self._body.update(data)
        self._body_bytes += len(data)
        self._excerpt = (self._excerpt + data)[:EXCERPT_BYTES]

    def on_message_complete(self) -> None:
        self.is_whole = True

    def response(self, took_s: float) -> Response:
        return Response(
            status=self._parser.get_status_code(),
            bytes=self.bytes,
            headers=tuple(self.headers),
            body_sha256=self._body.hexdigest(),
            body_bytes=self._body_bytes,
            http_version=self._parser.get_http_version(),
            excerpt=excerpt_of(self._excerpt),
            took_s=took_s,
        )


def probe_limit_s(workload: Workload) -> float:
    return max(PROBE_DEADLINE_S, workload.timeout_s)


def excerpt_of(body: bytes) -> str:
    """Return the beginning of a body in one line; empty if it is not text."""
    text = body.decode(errors="replace").rstrip("\ufffd")  # a character that is cut
    line = " ".join(text.split())
    return line if line.isprintable() and "\ufffd" not in line else ""


class Probe:
    """Requests on one connection, made as a workload is; bytes of TLS are not counted."""

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
        """The first response may take `deadline_s`, others probe_limit_s().

        Meanwhile `watch` is called every POLL_S; what it raises ends the probe. With
        `tries_tls` a server that closes the connection is asked for TLS. An `address` replaces
        the host's.
        """
        self._scheme, self._host, self._port = split_url(url)
        self._address = address or self._host
        self._location = host_and_port(self._address, self._port)
        _, _, self._authority, path = url.split("/", 3)
        self._path = f"/{path}"
        self._workload = workload
        self._watch = watch
        self._tries_tls = tries_tls
        self._begin(f"{workload.method} {self._path}", deadline_s)

    def _begin(self, name: str, limit_s: float | None = None) -> None:
        self._name = name
        self._limit_s = probe_limit_s(self._workload) if limit_s is None else limit_s
        self._deadline = time.monotonic() + self._limit_s
        self._first_byte = b""
        self._reading = Reading()

    def ask(self) -> tuple[Response, ...]:
        """Return responses to requests in turn: later ones may be others than the first."""
        start = time.monotonic()
        try:
            with self._connect() as connection:
                responses = [self._ask_on(connection)]
                while self._may_go_on(responses, start):
                    try:
                        responses.append(self._ask_again_on(connection))
                    except NotReachedError:
                        break
        except OSError as error:
            raise self._failure(error) from None
        return tuple(responses)

    def _may_go_on(self, responses: Sequence[Response], start: float) -> bool:
        if not self._workload.keep_alive or responses[-1].says_close:
            return False
        limit_s = SECOND_WITHIN_S if len(responses) < 2 else IN_TURN_S
        return time.monotonic() - start < limit_s and len(responses) < MAX_IN_TURN

    def _ask_again_on(self, connection: socket.socket) -> Response:
        self._tries_tls = False
        self._begin(f"a later {self._workload.method} {self._path} on its connection")
        try:
            return self._ask_on(connection)
        except TimeoutError:
            raise
        except OSError:
            raise self._fault() from None

    def _ask_on(self, connection: socket.socket) -> Response:
        reading = self._reading
        start = time.monotonic()
        connection.sendall(self._request())
        is_open = True
        while is_open and not reading.is_whole and not reading.fault:
            is_open = self._receive(connection)
        if reading.interim_status:
            raise BenchError(
                f"{self._name}: the server sends {reading.interim_status} responses, "
                "which wrk counts as responses: disable them"
            )
        if not reading.is_whole:
            raise self._fault()
        return reading.response(time.monotonic() - start)

    def _failure(self, error: OSError) -> BenchError:
        start = f"no complete response to {self._name}: "
        if isinstance(error, ConnectionRefusedError):
            return NotReachedError(start + refusal(self._address, self._port))
        if isinstance(error, ConnectionError):
            return self._fault()
        if isinstance(error, socket.gaierror):
            return BenchError(f"{start}the host {self._host} is unknown: check its name")
        if isinstance(error, TimeoutError):
            return BenchError(start + str(error))
        reason = error.strerror or str(error)
        return BenchError(f"{start}{self._location} cannot be reached: {reason}")

    def _fault(self) -> BenchError:
        is_tls = self._first_byte == TLS_ALERT
        if not self._first_byte and self._tries_tls and self._scheme == "http":
            is_tls = speaks_tls(self._address, self._port)
        if is_tls:
            url = f"https://{self._authority}{self._path}"
            return SpeaksTlsError(f"{self._location} speaks TLS: use {url}")
        failure = f"no complete HTTP response to {self._name}"
        if self._reading.fault:
            return BenchError(
                f"{failure} from {self._location}: {self._reading.fault}; "
                "wrk cannot read it either: fix the server or the address"
            )
        failure += f" before {self._location} closed the connection: see its log"
        return BenchError(failure) if self._first_byte else NotReachedError(failure)

    def _connect(self) -> socket.socket:
        timeout_s = max(POLL_S, min(self._limit_s, PROBE_DEADLINE_S))
        try:
            address = (self._address, self._port)
            connection = socket.create_connection(address, timeout=timeout_s)
        except TimeoutError:
            raise TimeoutError(
                f"no connection to {self._location} within {timeout_s:.0f} s: "
                "fix the address, or check for a firewall"
            ) from None
        if self._scheme == "http":
            return connection
        try:
            return start_tls(connection, self._host)
        except OSError as error:
            connection.close()
            reason = getattr(error, "reason", None) or error
            raise OSError(
                f"the TLS handshake failed ({reason}): "
                f"if it speaks plain HTTP, use http://{self._authority}{self._path}"
            ) from None

    def _request(self) -> bytes:
        workload = self._workload
        headers = list(workload.sent_headers)
        if header_value(workload.headers, "Host") is None:
            headers.insert(0, ("Host", self._authority))
        if workload.method != "GET" or workload.body:
            headers.append(("Content-Length", str(len(workload.body))))
        lines = [f"{workload.method} {self._path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + workload.body

    def _receive(self, connection: socket.socket) -> bool:
        """Return whether this is not the end."""
        while True:
            left_s = self._deadline - time.monotonic()
            if left_s <= 0:
                state = "the response has not ended" if self._first_byte else "no response"
                raise TimeoutError(f"{state} after {self._limit_s:.0f} s")
            connection.settimeout(min(left_s, POLL_S))
            try:
                data = connection.recv(65536)
                break
            except TimeoutError:
                self._watch()
        self._watch()
        self._first_byte = self._first_byte or data[:1]
        self._reading.receive(data)
        return bool(data)
