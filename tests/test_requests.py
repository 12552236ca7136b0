"""Requests and answers other than a plain GET and a 200 in time, on real servers by real wrk."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from conftest import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Tool

SHORT = ("-r", "1", "-d", "1s", "-c", "8", "-t", "2", "-w", "1", "--export-json", "-")

# Keeps connections open whatever it was asked, after some answers that say it will not.
KEEPS_OPEN = """
import asyncio, sys

left = int(sys.argv[2])

async def serve(reader, writer):
    global left
    while await reader.readuntil(b"\\r\\n\\r\\n"):
        left -= 1
        close = b"Connection: close\\r\\n" if left >= 0 else b""
        writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n" + close + b"\\r\\nhi")
        await writer.drain()

async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()

asyncio.run(main())
"""


def compare(tool: Tool, *args: str) -> subprocess.CompletedProcess[str]:
    return tool.run("compare", *SHORT, *args)


def valid_measurements(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return the measurements of a run in which all are valid."""
    assert done.returncode == 0, done.stderr
    measurements: list[dict[str, Any]] = json.loads(done.stdout)["measurements"]
    return measurements


def test_an_expected_status_is_no_error(tool: Tool) -> None:
    for path, status in (("/gone", "404"), ("/moved", "302")):
        done = compare(tool, "shop:app", "--path", path, "--expect-status", status)
        (measurement,) = valid_measurements(done)
        assert measurement["wrk"]["errors"]["status"] == 0
        assert measurement["wrk"]["requests"] > 100


def test_a_status_other_than_expected_is_told_with_the_answer(tool: Tool) -> None:
    done = compare(tool, "shop:app", "--path", "/gone", "--expect-status", "302")
    assert done.returncode == 1
    assert "answers 404 to GET /gone, not 302 as expected: nothing here" in done.stderr


def test_some_answers_other_than_expected_void_a_trial(tool: Tool) -> None:
    done = compare(tool, "shop:sometimes_there", "--expect-status", "404")
    assert done.returncode == 1
    (measurement,) = json.loads(done.stdout)["measurements"]
    assert re.search(
        r"\d+ of \d+ responses had a status below 400, not 404", measurement["invalid_reason"]
    )


def test_the_answer_says_what_a_refused_request_lacks(tool: Tool) -> None:
    done = compare(tool, "shop:app", "--path", "/orders", "--body", '{"items": 1}')
    assert done.returncode == 1
    assert 'answers 422 to POST /orders: {"detail": "item: field required"}' in done.stderr
    assert "excerpt" not in done.stdout


def test_a_body_in_json_and_a_host_reach_the_server(tool: Tool) -> None:
    done = compare(tool, "shop:app", "--path", "/orders", "--body", '{"item": 1}')
    valid_measurements(done)
    assert "Content-Type: application/json is sent with it" in done.stderr
    done = compare(tool, "shop:app", "--path", "/tenant", "-H", "Host: shop.example")
    valid_measurements(done)


def test_slow_answers_are_measured_with_a_longer_timeout(tool: Tool) -> None:
    done = compare(tool, "shop:app", "--path", "/slow", "--timeout", "5s", "-d", "4s")
    (measurement,) = valid_measurements(done)
    assert measurement["wrk"]["latency"]["p50_s"] > 2.4
    assert measurement["limited_by"] == "neither"


def test_answers_that_take_longer_than_a_trial_are_refused(tool: Tool) -> None:
    done = compare(tool, "--path", "/slow", "shop:app", "--timeout", "10s")
    assert done.returncode == 1
    assert re.search(r"takes 2\.\d s to answer GET /slow, and a trial 1 s: use a", done.stderr)


def test_several_paths_have_a_table_each(tool: Tool) -> None:
    done = compare(tool, "shop:app", "--path", "/", "--path", "/a", "--path", "/b?c=d")
    measurements = valid_measurements(done)
    workloads = {measurement["load"]["workload"] for measurement in measurements}
    assert workloads == {"hello", "GET /a", "GET /b?c=d"}
    for title in ("8 Connections\n", "8 Connections, GET /a\n", "8 Connections, GET /b?c=d\n"):
        assert title in done.stderr


def test_without_keep_alive_each_request_has_a_connection(tool: Tool) -> None:
    done = compare(tool, "shop:app", "asgi", "--no-keep-alive")
    for measurement in valid_measurements(done):
        requests = measurement["wrk"]["requests"]
        assert requests > 100
        if sys.platform == "linux":
            assert measurement["connections_opened"] >= 0.9 * requests
    assert json.loads(done.stdout)["settings"]["workloads"][0]["keep_alive"] is False


@pytest.mark.parametrize(
    ("closing", "complaint"),
    [
        ("0", "keeps its connection open though asked to close it"),
        ("40", "the server kept some open that it was asked to close"),
    ],
)
def test_a_server_that_does_not_close_is_refused(
    closing: str, complaint: str, tool: Tool, tmp_path: Path
) -> None:
    (tmp_path / "open.py").write_text(KEEPS_OPEN)
    server = f"cmd:{{python}} open.py {{port}} {closing}"
    done = tool.run("compare", server, "--no-keep-alive", *SHORT, cwd=tmp_path)
    assert done.returncode == 1
    assert complaint in done.stderr


WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"hi"]
"""


def test_a_wsgi_app_is_told_what_serves_it(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "shop_wsgi.py").write_text(WSGI)
    done = tool.run("compare", *SHORT, "shop_wsgi:app", cwd=tmp_path)
    assert done.returncode == 1
    assert "it seems to be a WSGI app: serve it as 'cmd:gunicorn -w {workers}" in done.stderr


def test_a_module_that_is_not_found_is_told_with_where_it_was_looked_for(
    tool: Tool, tmp_path: Path
) -> None:
    done = tool.run("compare", *SHORT, "nosuch:app", cwd=tmp_path)
    assert done.returncode == 1
    assert f"modules are looked for in {tmp_path} and in the packages of" in done.stderr


def test_a_python_without_the_server_is_told_what_to_install(tool: Tool, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    done = tool.run("compare", *SHORT, "shop:app", "--python", python)
    assert done.returncode == 1
    assert f"install it: {python} -m pip install uvicorn" in done.stderr


def test_a_program_of_the_venv_is_found(tool: Tool, tmp_path: Path) -> None:
    """Though it is not on PATH."""
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    program = venv / "my-server"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -m http.server $1\n")
    program.chmod(0o755)
    python = str(venv / "python")
    valid_measurements(compare(tool, "--python", python, "cmd:my-server {port}"))


def test_a_server_on_another_address_of_this_machine_is_measured(tool: Tool) -> None:
    (measurement,) = valid_measurements(compare(tool, "--host", "::1", "shop:app"))
    assert measurement["wrk"]["requests"] > 0


def test_a_command_that_speaks_tls_is_measured(tool: Tool, tmp_path: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    make += ["-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "certificate.pem"]
    try:
        subprocess.run(make, check=True, capture_output=True, cwd=tmp_path)
    except FileNotFoundError:
        pytest.skip("no openssl here")
    (tmp_path / "shop.py").write_text((TARGETS / "shop.py").read_text())
    secure = "secure=cmd:{python} -m uvicorn --host {host} --port {port} shop:app"
    secure += " --ssl-keyfile key.pem --ssl-certfile certificate.pem"
    scheme = ("--set", "secure.scheme=https")
    done = tool.run("compare", *SHORT, secure, "plain=shop:app", *scheme, cwd=tmp_path)
    measurements = valid_measurements(done)
    assert all(measurement["wrk"]["requests"] > 0 for measurement in measurements)
    assert re.search(r"scheme +\| https +\| http +\| differs", done.stderr)
