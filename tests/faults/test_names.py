"""A URL's host is looked up once: what is allowed is what is asked."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import answering, run_load

from micropie_benchlib.cli.plans import resolve_hosts
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.targets import ServerSettings, UrlTarget
from micropie_benchlib.serve.servers import UrlServer

LOAD = Load(connections=1, threads=1, duration_s=1)
look_up = socket.getaddrinfo


class Names:
    """What names resolve to; a name that is not here is looked up in the system."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[str]] = {}
        self.asked: list[str] = []

    def getaddrinfo(self, host: str, *args: Any, **kwargs: Any) -> list[Any]:
        self.asked.append(host)
        found = []
        for address in self.addresses.get(host, [host]):
            found += look_up(address, *args, **kwargs)
        return found


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


@pytest.fixture
def server() -> Iterator[tuple[int, list[bytes]]]:
    requests: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            requests.append(request)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")

    with answering(answer) as port:
        yield port, requests


def planned(url: str, *, allow_remote: bool = False) -> UrlTarget:
    plan = Plan(
        targets=(UrlTarget(name="u", label="U", spec=url, url=url),),
        loads=(LOAD,),
        rounds=1,
        seed=1,
        server=ServerSettings(),
        paired=False,
    )
    (target,) = resolve_hosts(plan, allow_remote=allow_remote).targets
    assert isinstance(target, UrlTarget)
    return target


@pytest.mark.slow
def test_a_name_that_changes_after_it_was_allowed_changes_nothing(
    names: Names, server: tuple[int, list[bytes]], tmp_path: Path
) -> None:
    port, requests = server
    names.addresses["app.example"] = ["127.0.0.1"]
    target = planned(f"http://app.example:{port}/x")
    names.addresses["app.example"] = ["192.0.2.1"]
    names.asked.clear()
    with UrlServer(target) as running:
        asked = len(running.ask(Workload()))
        (seen,) = run_load([running], LOAD, work_dir=tmp_path)
    assert "app.example" not in names.asked
    unread = len(requests) - asked - seen.wrk.requests  # their answers were under way at the end
    assert 0 <= unread <= LOAD.connections
    assert target.url == f"http://app.example:{port}/x"
    hosts = {line for text in requests for line in text.split(b"\r\n") if b"ost:" in line}
    assert hosts == {f"Host: app.example:{port}".encode()}


@pytest.mark.slow
def test_of_several_addresses_the_one_that_answers_is_asked(
    names: Names, server: tuple[int, list[bytes]]
) -> None:
    port, _ = server
    names.addresses["app.example"] = ["::1", "127.0.0.1"]
    running = UrlServer(planned(f"http://app.example:{port}/"))
    assert running.ask(Workload())[0].status == 200
    assert running.load_url("/") == f"http://127.0.0.1:{port}/"


def test_an_address_needs_no_header_of_its_own(names: Names) -> None:
    running = UrlServer(planned("http://127.0.0.1:1/x"))
    assert running.load_url("/") == "http://127.0.0.1:1/x"
    assert running.host_header == ""


def test_a_name_that_is_in_the_scheme_too_is_replaced_in_its_place(names: Names) -> None:
    names.addresses["p"] = ["127.0.0.1"]
    assert UrlServer(planned("http://p/x")).load_url("/") == "http://127.0.0.1:80/x"


@pytest.mark.parametrize("now", [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"]])
def test_with_https_a_name_that_has_changed_gets_no_load(names: Names, now: list[str]) -> None:
    """wrk looks it up by itself, for it tells the server the name (SNI)."""
    names.addresses["app.example"] = ["127.0.0.1"]
    running = UrlServer(planned("https://app.example:1/"))
    assert running.load_url("/") == "https://app.example:1/"
    names.addresses["app.example"] = now
    with pytest.raises(BenchError, match=r"^app\.example has another address than before"):
        running.load_url("/")


@pytest.mark.parametrize("addresses", [["192.0.2.1"], ["127.0.0.1", "192.0.2.1"]])
def test_a_name_of_another_machine_is_refused(names: Names, addresses: list[str]) -> None:
    names.addresses["app.example"] = addresses
    with pytest.raises(UsageError, match=r"^http://app\.example/ is not this machine"):
        planned("http://app.example/")
    assert planned("http://app.example/", allow_remote=True).addresses == tuple(addresses)


def test_an_unknown_name_is_told() -> None:
    with pytest.raises(UsageError, match=r"the host nowhere\.invalid is not known"):
        planned("http://nowhere.invalid/", allow_remote=True)
