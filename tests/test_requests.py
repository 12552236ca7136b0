"""Requests and answers other than a plain GET and a 200 in time, on real servers by real wrk."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import TARGETS, InProcess, kinds_of, program

from micropie_benchlib.core.warnings import Kind

LOAD = ("-r", "1", "-d", "1s", "-c", "8", "-t", "2", "-w", "1", "--warm-up", "0s")
SHORT = (*LOAD, "--export-json", "-")


def compare(in_process: InProcess, *args: str) -> subprocess.CompletedProcess[str]:
    return in_process.run("compare", *SHORT, *args)


def valid_measurements(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    measurements: list[dict[str, Any]] = json.loads(done.stdout)["measurements"]
    return measurements


def test_an_expected_status_is_no_error_and_others_are(in_process: InProcess) -> None:
    targets = ("shop:app", "shop:sometimes_there")
    done = compare(in_process, *targets, "--path", "/gone", "--expect-status", "404")
    assert done.returncode == 1
    right, invalid = json.loads(done.stdout)["measurements"]
    assert right["valid"]
    assert right["wrk"]["errors"]["status"] == 0
    assert right["wrk"]["requests"] > 100
    assert Kind.SUCCESSES in kinds_of(invalid["invalid"])


def test_a_body_in_json_a_host_two_paths_and_another_address(in_process: InProcess) -> None:
    paths = ("--path", "/orders", "--path", "/tenant?c=d")
    request = (*paths, "--body", '{"item": 1}', "-H", "Host: shop.example")
    done = compare(in_process, "shop:app", *request, "--host", "::1")
    assert "Content-Type: application/json is sent with it" in done.stderr
    measurements = valid_measurements(done)
    workloads = {measurement["load"]["workload"] for measurement in measurements}
    assert workloads == {"POST /orders", "POST /tenant?c=d"}
    for workload in workloads:
        assert f"8 Connections, {workload}\n" in done.stderr
    assert "--host ::1" in json.loads(done.stdout)["targets"][0]["server_command"]
    assert min(measurement["wrk"]["requests"] for measurement in measurements) > 0


def test_slow_answers_are_measured_with_a_longer_timeout(in_process: InProcess) -> None:
    """Each takes longer than wrk itself waits, which is 2 s."""
    options = ("--path", "/slow-to-many", "--timeout", "5s", "-d", "3s")
    (measurement,) = valid_measurements(compare(in_process, "shop:app", *options))
    assert measurement["wrk"]["latency"]["p50_s"] > 2.1
    assert measurement["limited_by"] == "neither"


def test_answers_that_take_longer_than_a_trial_are_refused(in_process: InProcess) -> None:
    done = compare(in_process, "--path", "/slow", "shop:app", "--timeout", "10s")
    assert done.returncode == 1
    reason = r"GET /slow takes [1-9]\.\d s: use a longer --duration$"
    assert re.search(reason, done.stderr, re.MULTILINE)


def test_without_keep_alive_each_request_has_a_connection(in_process: InProcess) -> None:
    targets = ("shop:app", "asgi", "opened=cmd:{python} odd.py {port} says_close")
    done = compare(in_process, *targets, "--no-keep-alive")
    *closed, kept_open = json.loads(done.stdout)["measurements"]
    for measurement in closed:
        assert measurement["valid"]
        requests = measurement["wrk"]["requests"]
        assert requests > 100
        if sys.platform == "linux":
            assert measurement["connections_opened"] >= 0.9 * requests
    assert done.returncode == 1
    assert Kind.KEPT_OPEN in kinds_of(kept_open["invalid"])
    assert json.loads(done.stdout)["settings"]["workloads"][0]["keep_alive"] is False


def test_a_server_that_does_not_close_is_refused(in_process: InProcess) -> None:
    done = compare(in_process, "cmd:{python} odd.py {port} plain", "--no-keep-alive")
    assert done.returncode == 1
    assert "keeps its connection open when asked to close it" in done.stderr


WSGI = """
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"hi"]
"""


def test_an_app_that_cannot_be_served_so_is_told_what_it_takes(
    in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What serves WSGI, where modules are looked for, and what is to be installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    (tmp_path / "shop_wsgi.py").write_text(WSGI)
    monkeypatch.chdir(tmp_path)
    targets = ("shop_wsgi:app", "nosuch:app", "bare=shop:app")
    done = in_process.run("compare", *LOAD, *targets, "--set", f"bare.python={python}")
    assert done.returncode == 1
    assert "it seems to be a WSGI app: serve it as 'cmd:gunicorn -w {workers}" in done.stderr
    assert f"modules are looked for in {tmp_path} and in the packages of" in done.stderr
    assert f"install it: {python} -m pip install uvicorn" in done.stderr


def test_a_program_of_the_venv_is_found(in_process: InProcess, tmp_path: Path) -> None:
    """Though it is not on PATH."""
    venv = tmp_path / "venv" / "bin"
    venv.mkdir(parents=True)
    (venv / "python").symlink_to(sys.executable)
    program(venv / "my-server", f"exec {sys.executable} {TARGETS / 'odd.py'} $1 plain")
    python = str(venv / "python")
    valid_measurements(compare(in_process, "--python", python, "cmd:my-server {port}"))


def test_a_command_that_speaks_tls_is_measured(
    in_process: InProcess,
    certificate: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "shop.py").write_text((TARGETS / "shop.py").read_text())
    secure = "secure=cmd:{python} -m uvicorn --host {host} --port {port} shop:app"
    secure += " --ssl-keyfile key.pem --ssl-certfile certificate.pem"
    scheme = ("--set", "secure.scheme=https")
    monkeypatch.chdir(tmp_path)
    done = compare(in_process, secure, "plain=shop:app", *scheme)
    measurements = valid_measurements(done)
    assert all(measurement["wrk"]["requests"] > 0 for measurement in measurements)
    assert re.search(r"scheme +\| https +\| http +\| differs", done.stderr)
