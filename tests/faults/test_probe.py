"""The first request to a server: what is wrong with its address or answer, and what to do."""

import hashlib
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import InProcess, Start, answering

from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.targets import CommandTarget, ServerSettings, UrlTarget, host_and_port
from micropie_benchlib.serve.addresses import free_port
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.servers import UrlServer

pytestmark = pytest.mark.slow

Answer = Callable[[socket.socket], None]


def saying(data: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        while connection.recv(65536):
            connection.sendall(data)

    return answer


def saying_once(data: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return answer


def closing(connection: socket.socket) -> None:
    connection.recv(65536)


def resetting(connection: socket.socket) -> None:
    """Close the connection before the request is read."""
    linger = b"\x01\0\0\0\0\0\0\0"
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def ask(port: int, host: str = "127.0.0.1", scheme: str = "http") -> Response:
    url = f"{scheme}://{host_and_port(host, port)}/"
    return on_one_connection(url)[0]


def on_one_connection(url: str) -> tuple[Response, ...]:
    return UrlServer(UrlTarget(name="u", label="U", spec=url, url=url)).ask(Workload(timeout_s=1))


def complaint(port: int, host: str = "127.0.0.1", scheme: str = "http") -> str:
    with pytest.raises(BenchError) as caught:
        ask(port, host, scheme)
    return str(caught.value)


# What is wrong with the answer. What wrk 4.1 reads of these was tried.

HEAD = b"HTTP/1.1 200 OK\r\n"
HELLO = b"Content-Length: 5\r\n\r\nhello"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HEAD + HELLO, id="by the rules"),
        pytest.param(HEAD + CHUNKED + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n\r\n", id="chunked twice"),
        pytest.param(b"\r\n" + HEAD + HELLO, id="an empty line before it"),
        pytest.param((HEAD + HELLO).replace(b"\r\n", b"\n"), id="bare line feeds"),
    ],
)
def test_what_wrk_reads_is_read(data: bytes) -> None:
    with answering(saying(data)) as port:
        response = ask(port)
    assert (response.status, response.bytes, response.body_bytes) == (200, len(data), 5)
    assert response.body_sha256 == hashlib.sha256(b"hello").hexdigest()


def test_a_body_that_ends_with_its_connection_is_whole() -> None:
    with answering(saying_once(HEAD + b"\r\nhello")) as port:
        assert ask(port).body_bytes == 5


@pytest.mark.parametrize("status", [b"100 Continue", b"103 Early Hints"])
def test_an_interim_response_is_told(status: bytes) -> None:
    with answering(saying(b"HTTP/1.1 " + status + b"\r\n\r\n" + HEAD + HELLO)) as port:
        assert f"the server sends {status[:3].decode()} responses" in complaint(port)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(HEAD + b"X Bad: 1\r\n" + HELLO, "Invalid header token", id="a header"),
        pytest.param(
            HEAD + b"Content-Length: 6\r\n" + HELLO, "Duplicate Content-Length", id="two lengths"
        ),
        pytest.param(b"-ERR unknown command 'GET'\r\n", "Expected HTTP/", id="another protocol"),
    ],
)
def test_what_wrk_cannot_read_either_is_told_with_its_fault(data: bytes, fault: str) -> None:
    with answering(saying(data)) as port:
        said = complaint(port)
    assert said.startswith(f"no complete HTTP response to GET / from 127.0.0.1:{port}: {fault}")
    assert said.endswith("; wrk cannot read it either: fix the server or the address")


def test_an_answer_that_is_cut_is_told() -> None:
    with answering(saying_once(HEAD + b"Content-Length: 5\r\n\r\nhel")) as port:
        assert f"before 127.0.0.1:{port} closed the connection" in complaint(port)


@pytest.mark.parametrize("pause_s", [0.0, 0.3])
def test_a_response_without_end_is_given_up(
    pause_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stream(connection: socket.socket) -> None:
        connection.sendall(HEAD + CHUNKED + b"\r\n")
        while True:
            connection.sendall(b"1\r\nx\r\n")
            time.sleep(pause_s)

    monkeypatch.setattr("micropie_benchlib.serve.probe.PROBE_DEADLINE_S", 0.5)
    with answering(stream) as port:
        assert "no complete response to GET /: the response has not ended" in complaint(port)


# What is wrong with the address.


def test_a_server_that_has_the_port_already_is_never_measured(in_process: InProcess) -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        asked.append(connection.recv(65536))
        connection.sendall(HEAD + HELLO)

    with answering(answer) as port:
        done = in_process.run("compare", "-r", "1", "-d", "1s", "--port", str(port))
    assert (done.returncode, done.stdout, asked) == (1, "", [])
    assert done.stderr.count("\n") == 1
    assert f"port {port} on 127.0.0.1 cannot be used: Address already in use" in done.stderr


def test_an_address_where_nothing_listens_is_named() -> None:
    port = free_port("127.0.0.1", None)
    assert complaint(port) == (
        f"no complete response to GET /: nothing listens on 127.0.0.1:{port}: "
        "start the server or fix the address"
    )


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_a_server_on_the_other_loopback_address_is_found(host: str, other: str) -> None:
    with answering(saying(HEAD + HELLO), other) as port:
        assert f"but something does on {host_and_port(other, port)}: use that" in complaint(
            port, host
        )


# ssl leaves a socket open where the connection is reset before its handshake.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("answer", [closing, resetting])
def test_a_connection_that_is_closed_is_told_with_its_address(answer: Answer) -> None:
    with answering(answer) as port:
        assert complaint(port) == (
            f"no complete HTTP response to GET / before 127.0.0.1:{port} closed the connection: "
            "see its log"
        )


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


def over_tls(context: ssl.SSLContext) -> Answer:
    def answer(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            saying(HEAD + HELLO)(secure)

    return answer


def test_tls_on_a_plain_url_is_told(tls: ssl.SSLContext) -> None:
    with answering(over_tls(tls)) as port:
        place = f"127.0.0.1:{port}"
        assert complaint(port) == f"{place} speaks TLS: use https://{place}/"
        assert ask(port, scheme="https").status == 200


def test_an_alert_of_tls_is_told() -> None:
    with answering(saying(b"\x15\x03\x03\x00\x02\x02\x46")) as port:
        assert f"speaks TLS: use https://127.0.0.1:{port}/" in complaint(port)


def test_plain_http_on_a_url_of_tls_is_told() -> None:
    with answering(saying(HEAD + HELLO)) as port:
        said = complaint(port, scheme="https")
    assert "the TLS handshake failed (WRONG_VERSION_NUMBER)" in said
    assert f"if it speaks plain HTTP, use http://127.0.0.1:{port}/" in said


def test_an_unknown_host_is_told() -> None:
    assert "the host nowhere.invalid is unknown: check its name" in complaint(
        80, host="nowhere.invalid"
    )


# Servers that are launched.

LISTENER = """
import socket, sys, time
host, port = sys.argv[1], int(sys.argv[2])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
with socket.create_server((host, port), family=family):
    time.sleep(600)
"""


def test_a_command_that_listens_on_another_address_is_told(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "listener.py").write_text(LISTENER)
    monkeypatch.chdir(tmp_path)
    with start("l=cmd:{python} listener.py ::1 {port}") as running:
        expected = (
            rf"^l listens on \[::1\]:{running.port}: "
            r"it must listen on 127\.0\.0\.1 \(its \{host\}\)$"
        )
        with pytest.raises(BenchError, match=expected):
            running.ask(Workload())


def test_a_server_outside_the_commands_processes_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a container's is, that the command starts."""
    monkeypatch.setattr("micropie_benchlib.serve.launched.VAIN_WAIT_S", 0.5)
    target = parse_target("c=cmd:sh -c 'sleep 600; : {port}'")
    assert isinstance(target, CommandTarget)
    with LaunchedServer(target, ServerSettings(), log=tmp_path / "log") as running:
        argv = [sys.executable, "-c", LISTENER, "127.0.0.1", str(running.port)]
        outsider = subprocess.Popen(argv)
        try:
            with pytest.raises(
                BenchError,
                match=rf"c: something outside .* responds on port {running.port} \(in a container",
            ):
                running.await_workers()
        finally:
            outsider.kill()
            outsider.wait()
