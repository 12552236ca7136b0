"""wrk's text and exact figures, on reports captured from real runs (tests/data)."""

import re
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from conftest import Start, run_load

from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import Errors, Latency, WrkResult
from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.text import format_latency, parse_duration
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.generators import Goal, WrkGroup
from micropie_benchlib.report.tables import gist_row
from micropie_benchlib.wrk.command import wrk_argv
from micropie_benchlib.wrk.exact import parse_exact
from micropie_benchlib.wrk.rows import parse_reports
from micropie_benchlib.wrk.warnings import error_warnings

DONE_LUA = packaged_text("micropie_benchlib.wrk", "done.lua")
DATA = Path(__file__).parent / "data"
GIST = (DATA / "gist.txt").read_text()
GIST_LINES = GIST.splitlines()


def parse_one(text: str) -> WrkResult:
    (measurement,) = parse_reports(text).measurements
    assert measurement.wrk
    return measurement.wrk


def latency_of(wrk: WrkResult) -> Latency:
    assert wrk.latency
    return wrk.latency


@pytest.mark.parametrize(
    ("asked", "seconds", "ended_early"),
    [
        ("2m", 90, False),  # wrk rounds what it was asked for
        ("1m", 55, False),
        ("2m", 60, True),
        ("30s", 20, True),
    ],
)
def test_a_run_that_ended_early_is_told(asked: str, seconds: int, ended_early: bool) -> None:
    report = "\n".join(GIST_LINES[2:10]).replace("Running 30s", f"Running {asked}")
    report = re.sub(r"in [\d.]+m?s,", f"in {seconds}.00s,", report)
    (measurement,) = parse_reports(report).measurements
    assert measurement.wrk
    assert measurement.wrk.duration_s == pytest.approx(seconds)
    kinds = [warning.kind for warning in measurement.warnings]
    assert (Kind.OTHER_DURATION in kinds) == ended_early


def test_read_errors_and_byte_units() -> None:
    wrk = parse_one((DATA / "wrk_close.txt").read_text())
    assert wrk.errors == Errors(read=2166)
    latency = latency_of(wrk)
    found_s = (latency.mean_s, latency.max_s, latency.p99_s)
    assert found_s == pytest.approx((367.43e-6, 4.84e-3, 1.05e-3))
    assert wrk.bytes_per_s == pytest.approx(1.01 * 1024**2)


def test_seconds_and_bare_bytes() -> None:
    wrk = parse_one((DATA / "wrk_slow.txt").read_text())
    latency = latency_of(wrk)
    assert (latency.mean_s, latency.max_s, wrk.duration_s) == (1.00, 1.01, 4.01)
    assert (wrk.bytes, wrk.bytes_per_s) == (round(1.37 * 1024), 348.94)


@pytest.mark.parametrize(
    ("wrk", "warning"),
    [
        (parse_one((DATA / "wrk_late.txt").read_text()), BenchWarning.of(Kind.TIMEOUTS, count=10)),
        (
            parse_one((DATA / "wrk_503.txt").read_text()),
            BenchWarning.of(Kind.STATUS_ERRORS, count=7787, requests=155756),
        ),
    ],
)
def test_errors_invalidate_a_trial_of_our_own(wrk: WrkResult, warning: BenchWarning) -> None:
    assert error_warnings(wrk, connections=10) == [warning]


def test_no_request_at_all_is_invalid_not_zero_per_second() -> None:
    (measurement,) = parse_reports((DATA / "wrk_silent.txt").read_text()).measurements
    assert measurement.wrk
    assert measurement.wrk.requests == 0
    few = BenchWarning.of(Kind.FEW_REQUESTS, requests=0, connections=10)
    assert measurement.invalid == (few,)
    assert set(gist_row([measurement])) == {"invalid"}


def test_cut_off_1000_ms_is_no_thousand_minutes() -> None:
    report = (DATA / "wrk_slow.txt").read_text()
    wrk = parse_one(report.replace("Latency     1.00s ", "Latency  1000.00m"))
    assert latency_of(wrk).mean_s == 1.0


@pytest.mark.parametrize(
    ("text", "complaint"), [("", "the text is empty"), ("hello\nworld\n", "line 1: 'hello'")]
)
def test_text_without_a_report_is_refused_with_its_first_line(text: str, complaint: str) -> None:
    with pytest.raises(BenchError, match=complaint):
        parse_reports(text)


@pytest.mark.parametrize(("text", "seconds"), [("5", 5), ("5s", 5), ("1m", 60), ("2h", 7200)])
def test_durations_are_wrks(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "2.5s", "-1s", "5 s", "1d", "5ms"])
def test_durations_that_wrk_refuses_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.00us"),
        (849e-6, "849.00us"),
        (850e-6, "0.85ms"),
        (0.9995, "999.50ms"),
        (1.0, "1.00s"),
        (51.0, "0.85m"),
    ],
)
def test_latencies_print_as_wrk_prints_them(seconds: float, text: str) -> None:
    assert format_latency(seconds) == text


def test_exact_report_and_text_report_of_one_run_agree(start: Start, tmp_path: Path) -> None:
    load = Load(connections=20, threads=2, duration_s=1)
    with start("fastapi", workers=2) as running:
        (seen,) = run_load([running], load, work_dir=tmp_path)
    exact, report = seen.wrk, seen.report
    text = parse_one(report)
    assert text.requests == exact.requests
    assert text.errors == exact.errors
    assert text.requests_per_s == pytest.approx(exact.requests_per_s, abs=0.01)
    for field in ("mean_s", "stdev_s", "max_s", "p50_s", "p75_s", "p90_s", "p99_s"):
        assert getattr(text.latency, field) == pytest.approx(
            getattr(exact.latency, field), rel=0.01, abs=1e-8
        ), field
    assert text.bytes == pytest.approx(exact.bytes, rel=0.01)
    assert text.bytes_per_s == pytest.approx(exact.bytes_per_s, rel=0.01)
    assert exact.requests_per_s == exact.requests / exact.duration_s
    assert 0 <= exact.bytes - 144 * exact.requests <= 144 * load.connections, (
        "beyond the answers under way at the end"
    )


HOLD_AGAINST_EACH_OTHER = """
    local slow = {}
    by_index(latency, slow)
    local same = table.concat(slow, ",") == table.concat(buckets, ",")
    print("same", same, #slow, pcall(direct, latency, {}))
    """


def test_direct_read_of_the_histogram_equals_wrks_own_access(start: Start, tmp_path: Path) -> None:
    """Both ways within one `done`: a wrk whose struct differs must be noticed."""
    assert "io.write(" in DONE_LUA
    script = tmp_path / "both.lua"
    script.write_text(DONE_LUA.replace("io.write(", f"{HOLD_AGAINST_EACH_OTHER}io.write(", 1))
    load = Load(connections=10, threads=2, duration_s=1)
    with start("asgi", workers=1) as running:
        argv = wrk_argv("wrk", load, running.url("/"), str(script))
        out = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30).stdout
    exact, _ = parse_exact(out, connections=10)
    latency = latency_of(exact)
    assert f"same\ttrue\t{len(latency.histogram)}\ttrue\n" in out
    assert sum(count for _, count in latency.histogram) >= exact.requests
    assert latency.histogram[-1][0] == round(latency.max_s * 1e6)


BYTES = Workload(
    method="PUT",
    path="/x%20y?q=[1]&token=tok-1\\\"'",
    headers=(("X-Empty", ""), ("x-one", 'a "b": \\n: c'), ("X-Two", "%s $1")),
    body=b"\r\n\n\0--[[ ]]\xff",
)
REQUESTS = {
    "headers": Workload(path="/?a=b", headers=(("Accept", "*/*"), ("B", "2"), ("a-C", "3"))),
    "a host": Workload(headers=(("Host", "other.example"), ("X", "y"))),
    "a host in small letters": Workload(headers=(("host", "other.example"),)),
    "no body": Workload(method="POST"),
    "a body of a GET": Workload(body=b"x"),
    "no keep-alive": Workload(headers=(("A", "b"),), keep_alive=False),
    "all bytes": BYTES,
}


@pytest.mark.slow
@pytest.mark.parametrize("rate_per_s", [None, 50.0], ids=["fast", "at a rate"])
@pytest.mark.parametrize("workload", REQUESTS.values(), ids=REQUESTS)
def test_requests_are_those_of_wrks_own_options(
    workload: Workload, rate_per_s: float | None, tmp_path: Path
) -> None:
    """The oracle is wrk with -H and the path in its URL, which others of the machine can read."""
    load = Load(connections=1, threads=1, duration_s=1, workload=workload, rate_per_s=rate_per_s)
    body = tmp_path / "put"
    body.write_bytes(workload.body)
    oracle = tmp_path / "oracle.lua"
    oracle.write_text(f"wrk.method = {workload.method!r}\n")
    if workload.body or workload.method != "GET":
        with oracle.open("a") as file:
            file.write(f"wrk.body = io.open({str(body)!r}, 'rb'):read('*a')\n")
    options = [word for header in workload.sent_headers for word in ("-H", ": ".join(header))]

    def run_wrk(origin: str, received: Event) -> None:
        argv = ["wrk", "-t1", "-c1", "-d60s", *options, "-s", str(oracle), origin + workload.path]
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as process:
            received.wait(60)
            process.kill()

    def run_own(origin: str, received: Event) -> None:
        goal = Goal(url=f"{origin}/***", path=workload.path)
        with WrkGroup("wrk", [goal], load, work_dir=tmp_path) as wrks:
            wrks.open_gates()
            received.wait(60)

    by_wrk = first_request(run_wrk)
    assert by_wrk[0] == f"{workload.method} {workload.path} HTTP/1.1".encode()
    assert first_request(run_own) == by_wrk


def first_request(run: Callable[[str, Event], None]) -> tuple[bytes, list[bytes], bytes]:
    """Return the first line, the headers and the body of what is sent first to the origin.

    The port is shown as 0, and headers are sorted: wrk's order of them is another in each run.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(60)
        port = listener.getsockname()[1]
        received = Event()
        running = pool.submit(run, f"http://127.0.0.1:{port}", received)
        request = b""
        while not request:  # wrk's first connection only tries the port
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(60)
                request = connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        received.set()
        running.result()
    head, _, body = request.replace(f":{port}".encode(), b":0").partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return first, sorted(headers), body
