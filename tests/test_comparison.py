"""Comparisons from end to end: rounds, paired trials, and what invalidates them."""

import contextlib
import itertools
import json
import re
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import InProcess, Start, Tool, await_that, program, run_load
from results_schema import loaded

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import Errors
from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.warnings import Kind
from micropie_benchlib.load import servers as load_servers
from micropie_benchlib.load.cpu_accounts import RestWatch
from micropie_benchlib.load.hosts import core_halves
from micropie_benchlib.system.checks import Finding, examine
from micropie_benchlib.system.processes import all_cores
from micropie_benchlib.wrk.command import wrk_argv
from micropie_benchlib.wrk.exact import parse_exact

DONE_LUA = packaged_text("micropie_benchlib.wrk", "done.lua")
SHORT = ("-d", "1s", "-c", "20", "-t", "2", "-w", "1", "--warm-up", "0s")


def test_rounds_with_paired_trials_give_intervals_and_a_verdict(tool: Tool, tmp_path: Path) -> None:
    """fastapi against the bare callable: a difference that no noise hides."""
    out = tmp_path / "out.json"
    load = ("-d", "1s", "-c", "20", "-t", "2", "-w", "2", "--seed", "7")
    done = tool.run("compare", "fastapi", "asgi", "-r", "4", *load, "--export-json", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    data = loaded(out.read_text())
    assert (data["seed"], data["settings"]["rounds"], data["settings"]["paired"]) == (7, 4, True)
    assert [target["name"] for target in data["targets"]] == ["fastapi", "asgi"]
    made = [(m["round"], m["method"], m["target"]) for m in data["measurements"]]
    assert [number for number, _, _ in made] == [1] * 4 + [2] * 2 + [3] * 4 + [4] * 2
    names = ("asgi", "fastapi")
    expected = [*itertools.product((1, 2, 3, 4), ("paired",), names)]
    expected += itertools.product((1, 3), ("single",), names)
    assert sorted(made) == sorted(expected)
    for m in data["measurements"]:
        assert m["valid"], m["invalid"]
        wrk, use = m["wrk"], m["use"]
        assert 0 < use["server_cpu_s"] <= 2 * wrk["duration_s"] + 0.5
        assert wrk["load_cpu_s"] > 0
        assert use["server_rss_bytes"] > 20e6
        assert 0 < use["worker_balance"] <= 1
        assert wrk["latency_uncorrected"]["mean_s"] <= wrk["latency"]["mean_s"]
    by_metric = {(c["method"], c["metric"]): c for c in data["comparisons"]}
    verdict = by_metric["paired", "server_cpu_per_request_s"]
    assert (verdict["reference"], verdict["target"], verdict["rounds"]) == ("fastapi", "asgi", 4)
    assert verdict["verdict"] == "faster"
    estimate = verdict["estimate"]
    assert estimate["low"] < estimate["ratio"] < estimate["high"] < 1
    assert "\nASGI against FastAPI: uvicorn, 2 workers, 4 rounds of 1 s\n\n  " in done.stdout
    # Where others keep the machine busy, servers seem to wait, and CPU time decides nothing.
    if "neither" not in {m["limited_by"] for m in data["measurements"]}:
        assert re.search(
            r"^  faster        20 connections: ASGI is [\d.]+x as fast as FastAPI per CPU second "
            r"\([\d.]+ to [\d.]+\); requests/s here ([\d.]+x \(|too noisy)",
            done.stdout,
            re.MULTILINE,
        )
    row = r"\| FastAPI +\| +[\d.]+[mu]s \| +[\d.]+[mu]s \| +\d+( ± \d+)? \|"
    assert re.search(row, done.stdout)
    assert "details" not in done.stdout, "these are for -v"


def cores_of(processes: Iterable[psutil.Process]) -> set[int]:
    cores: set[int] = set()
    for process in processes:
        cores.update(process.cpu_affinity())
    return cores


def test_the_two_of_a_paired_run_at_one_moment_on_their_own_cores(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[set[int], set[int]]] = []
    cores = all_cores()
    if len(cores) < 2:
        pytest.skip("needs 2 cores")

    def look() -> None:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ends meanwhile
            wrks = [p for p in psutil.Process().children(recursive=True) if p.name() == "wrk"]
            if len(wrks) == 2:
                seen.append((cores_of(a.workers | b.workers), cores_of(wrks)))

    load = Load(connections=20, threads=2, duration_s=1)
    monkeypatch.setattr("micropie_benchlib.load.trial.TICK_S", 0.1)
    with start("asgi", workers=2) as a, start("b=asgi", workers=2) as b:
        begun = time.monotonic()
        paired = run_load([a, b], load, work_dir=tmp_path, tick=look)
        took_s = time.monotonic() - begun
        assert seen
        assert all(pinned == tuple(map(set, core_halves())) for pinned in seen)
        # wrk stops itself by its own clock, some tenths of a millisecond early at times.
        assert paired[0].wrk.duration_s == paired[1].wrk.duration_s
        assert 0.9 * load.duration_s < paired[0].wrk.duration_s < took_s
        assert all(x.wrk.requests > 100 and x.wrk.errors == Errors() for x in paired)
        (single,) = run_load([a], load, work_dir=tmp_path)
        assert set(next(iter(a.workers)).cpu_affinity()) == set(cores)
        assert single.wrk.requests > 100


def test_a_paired_counts_just_the_answers_whose_cpu_time_it_counts(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the CPU time is read, each access log has a line for each answer that wrk counts.

    And no other.
    """
    lines: list[list[int]] = []
    watch_all = load_servers.watch_all

    def count_after(meters: list[load_servers.CpuMeter], watches: list[RestWatch]) -> None:
        watch_all(meters, watches)
        servers = [meter.server for meter in meters]
        logs = [Path(str(server.log)).read_text() for server in servers]  # type: ignore[attr-defined]
        lines.append([log.count('"GET / HTTP/1.1" 200') for log in logs])

    monkeypatch.setattr("micropie_benchlib.load.servers.watch_all", count_after)
    load = Load(connections=40, threads=2, duration_s=1)
    with start("fastapi", workers=2) as a, start("b=asgi", workers=2) as b:
        seen = run_load([a, b], load, work_dir=tmp_path)
        assert [x.wrk.requests for x in seen] == lines[1]  # after that of idle use
        (single,) = run_load([b], load, work_dir=tmp_path)
        assert single.wrk.requests > 100, "the servers go on"


def wrks_that_handle_sigint(pid: int, argument: str) -> list[psutil.Process]:
    """Return the wrks below the process that have this argument and run by now (proc(5)).

    One that does not handle SIGINT yet has not begun.
    """
    running = []
    for process in psutil.Process(pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, OSError):
            status = Path(f"/proc/{process.pid}/status").read_text()
            handled = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
            handles_sigint = handled and int(handled[1], 16) >> (signal.SIGINT - 1) & 1
            if process.name() == "wrk" and argument in process.cmdline() and handles_sigint:
                running.append(process)
    return running


def test_a_wrk_that_somebody_stops_invalidates_its_trial_alone(tool: Tool, tmp_path: Path) -> None:
    """Of three trials the first two end at once; the third is left alone, or any if it is late."""
    out = tmp_path / "out.json"
    args = ("-r", "1", "-d", "3s", "-c", "20", "-t", "2", "-w", "1", "--warm-up", "0s")
    targets = ("asgi", "b=asgi", "c=asgi")
    process = tool.start("compare", *targets, *args, "--export-json", str(out))
    stopped: set[psutil.Process] = set()

    def next_ones() -> set[psutil.Process]:
        return set(wrks_that_handle_sigint(process.pid, "-d3s")) - stopped

    for how in (signal.SIGINT, signal.SIGKILL):
        victims = await_that(next_ones)
        for victim in victims:
            victim.send_signal(how)
        stopped |= victims
    assert process.wait(timeout=100) == 1
    made = loaded(out.read_text())["measurements"]
    first, second = [m["invalid"][0] for m in made if not m["valid"]]
    assert first["kind"] == Kind.OTHER_DURATION
    assert "wrk ended with status -9" in second["text"]
    assert len(made) == 3


def test_an_interruption_keeps_whole_rounds(tool: Tool, tmp_path: Path) -> None:
    """It comes in the second trial of the third round, or later where the machine is busy."""
    out = tmp_path / "out.json"
    args = ("-r", "9", "-d", "1s", "-c", "8,20", "-t", "2", "-w", "1", "--warm-up", "0s")
    process = tool.start("compare", "asgi", "-v", *args, "--export-json", str(out))
    assert process.stderr
    seen = 0
    for line in process.stderr:
        seen += "connections (round 3)" in line
        if seen == 2:
            break
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=100)
    assert process.returncode == 130
    data = loaded(out.read_text())
    warning = data["warnings"][-1]
    assert warning["kind"] == Kind.INTERRUPTED
    assert warning["text"] in stderr
    whole = int(warning["figures"]["round"]) - 1
    assert whole >= 2
    for connections in (8, 20):
        made = [m for m in data["measurements"] if m["load"]["connections"] == connections]
        assert [m["round"] for m in made] == list(range(1, whole + 1))
        rates = [m["wrk"]["requests_per_s"] for m in made]
        assert re.search(rf"\| +{statistics.mean(rates):.0f}( ± \d+)? \|", stdout)


def test_errors_of_one_of_a_paired_invalid_its_part_alone(in_process: InProcess) -> None:
    args = ("asgi", "bad=faulty:sometimes_503", "-r", "1", "--paired", *SHORT)
    done = in_process.run("compare", *args, "--export-json", "-")
    assert done.returncode == 1
    made = loaded(done.stdout)["measurements"]
    assert len(made) == 4
    invalid = [m for m in made if not m["valid"]]
    assert {(m["target"], m["method"]) for m in invalid} == {("bad", "single"), ("bad", "paired")}
    assert {m["invalid"][0]["kind"] for m in invalid} == {Kind.STATUS_ERRORS}


def test_a_saturated_load_generator_invalidates_and_says_so(
    in_process: InProcess, tmp_path: Path
) -> None:
    """wrk with one thread, made slow by a script that computes for each request.

    That uses all of wrk's time; on a busy machine it would get less, so it says so itself.
    """
    wrapper = program(
        tmp_path / "wrk",
        rf"""
        [ "$1" = -v ] && exec wrk -v
        for script; do case $previous in -s) break;; esac; previous=$script; done
        for url; do :; done
        cat "$script" - >{tmp_path}/slow.lua <<'LUA'
            function request()
                local x = 0
                for i = 1, 1000000 do x = x + i % 7 end
                return wrk.format("GET", "/")
            end

            local report = done
            function done(summary, latency, requests)
                os.clock = function() return summary.duration / 1e6 end
                report(summary, latency, requests)
            end
LUA
        exec wrk -t1 -c20 -d1s --latency -s {tmp_path}/slow.lua "$url"
        """,
    )
    args = ("-r", "2", *SHORT, "-t", "1", "--no-paired", "--wrk", wrapper)
    done = in_process.run("compare", "asgi", "b=starlette", *args, "--export-json", "-")
    assert done.returncode == 1
    data = loaded(done.stdout)
    kinds = {w["kind"] for m in data["measurements"] for w in m["invalid"]}
    assert Kind.SATURATED in kinds
    assert {c["verdict"] for c in data["comparisons"]} == {"inconclusive"}
    assert (
        "  inconclusive  20 connections: b against ASGI: "
        "load generator saturated: this would compare load generators, not servers\n"
    ) in done.stderr


def test_the_cpu_time_that_wrk_tells_is_what_the_system_counts(
    start: Start, tmp_path: Path
) -> None:
    """It uses so much at its start; what it uses later depends on what others leave it."""
    burn = "function setup() local x = 0; for i = 1, 100000000 do x = x + i % 7 end end\n"
    script = tmp_path / "done.lua"
    script.write_text(DONE_LUA + burn)
    load = Load(connections=20, threads=1, duration_s=1)
    with start("faulty:good", workers=1) as server:
        argv = wrk_argv("wrk", load, server.url("/"), str(script))
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    counted_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result, _ = parse_exact(done.stdout, connections=load.connections)
    assert counted_s > 0.1
    assert result.load_cpu_s == pytest.approx(counted_s, rel=0.1)


def test_doctor_reports_every_check(in_process: InProcess) -> None:
    done = in_process.run("doctor", "--json", "-w", "500")
    findings: list[dict[str, Any]] = json.loads(done.stdout)
    states = {finding["check"]: finding["state"] for finding in findings}
    assert list(states) == [
        *("wrk", "CPU governor", "turbo", "load average", "other processes", "CPU quota"),
        *("variables", "priority", "cores", "open files", "ephemeral ports", "power"),
        "virtual machine",
    ]
    assert states["cores"] == "warning"
    assert all(finding["why"] and finding["remedy"] for finding in findings)
    shown = in_process.run("doctor", "-w", "500").stdout
    assert "| cores           | warning | " in shown
    assert "  - cores: they wait for each other; " in shown
    assert re.search(r"\d+ ok, \d+ warning, \d+ unknown$", shown)


def examined() -> dict[str, Finding]:
    """Return what is found of this machine once another process is seen to be busy."""
    found = {each.check: each for each in examine(workers=1, threads=1, connections=90)}
    return found if found["other processes"].warns else {}


@pytest.mark.slow
def test_doctor_sees_a_busy_process_and_few_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            # Alone: of all busy processes, only the three that are most so are shown.
            monkeypatch.setattr(psutil, "process_iter", lambda: [psutil.Process(busy.pid)])
            monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
            found = await_that(examined, "it has not got enough of this machine")
        finally:
            busy.kill()
    assert re.fullmatch(r"python[\d.]* \d+%", found["other processes"].found)
    assert found["open files"].warns
    assert found["open files"].remedy == "ulimit -n 1114"
