"""Trials that did not measure what was asked for: with real servers and the real wrk."""

import contextlib
import io
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import TARGETS, InProcess, Start, await_that, kept_signals, kinds_of, run_load

import micropie_bench as mb
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Launch, Plan
from micropie_benchlib.core.requests import Workload
from micropie_benchlib.core.warnings import Kind
from micropie_benchlib.report.warnings import text_of
from micropie_benchlib.run.schedule import schedule
from micropie_benchlib.stats.validity import clock_set, silent_connections

MODES = (
    *("plain", "later_hints", "shrinks", "redirects", "varies"),
    *("falls_silent", "ignores_some", "http10", "twice", "another"),
)
MORE_MODES = ("doubles", "counts", "dies")


def odd(mode: str) -> str:
    return f"{mode}=cmd:{sys.executable} {TARGETS / 'odd.py'} {{port}} {mode}"


def in_one_launch(plan: Plan) -> list[Launch]:
    """Return a launch of all targets at once, each of which is measured alone."""
    trials = [trial for launch in schedule(plan) for trial in launch.trials]
    return [Launch(round=1, targets=plan.targets, trials=tuple(trials))]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return runs_of(MODES, tmp_path_factory.mktemp("runs") / "out.json")


@pytest.fixture(scope="module")
def more_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return runs_of(MORE_MODES, tmp_path_factory.mktemp("more_runs") / "out.json")


def runs_of(modes: Sequence[str], out: Path) -> dict[str, Any]:
    """Return one measurement of each mode, what was said of all, and the exit status."""
    options = ("--quick", "-r", "1", "--warm-up", "0s", "--export-json", str(out), "-v")
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as said,
        contextlib.redirect_stderr(said),
        kept_signals(),
    ):
        patch.setattr("micropie_benchlib.run.experiment.schedule", in_one_launch)
        patch.setattr("micropie_benchlib.serve.launched.SETTLE_STEP_S", 0.1)
        patch.setattr("micropie_benchlib.serve.probe.PROBE_DEADLINE_S", 3.0)  # `dies` is asked, too
        status = mb.main(["compare", *map(odd, modes), *options])
    assert not psutil.Process().children()
    data = json.loads(out.read_text())
    by_target = {measurement["target"]: measurement for measurement in data["measurements"]}
    return {**by_target, "said": said.getvalue(), "status": status}


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["plain", "varies", "http10", "another"])
def test_answers_that_are_what_was_asked_for_count(runs: dict[str, Any], mode: str) -> None:
    assert runs[mode]["invalid"] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        ("later_hints", Kind.EXTRA_RESPONSES),
        ("twice", Kind.EXTRA_RESPONSES),
        ("shrinks", Kind.SIZE_CHANGED),
        ("redirects", Kind.FAILED_AFTER_LOAD),
        ("falls_silent", Kind.SILENT_CONNECTIONS),
        ("ignores_some", Kind.SILENT_CONNECTIONS),
    ],
)
def test_answers_that_are_not_what_was_asked_for_are_invalid(
    runs: dict[str, Any], mode: str, kind: Kind
) -> None:
    assert kind in kinds_of(runs[mode]["invalid"])
    assert runs["status"] == 1


def silent_in(run: dict[str, Any]) -> float:
    (count,) = (each["figures"]["silent"] for each in run["invalid"] if "silent" in each["figures"])
    return float(count)


@pytest.mark.nightly
def test_more_answers_that_are_not_what_was_asked_for_are_invalid(
    more_runs: dict[str, Any],
) -> None:
    assert more_runs["counts"]["invalid"] == []
    assert Kind.SIZE_CHANGED in kinds_of(more_runs["doubles"]["invalid"])
    assert silent_in(more_runs["dies"]) == 100
    assert more_runs["status"] == 1


def test_a_server_that_dies_when_it_is_asked_is_told(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "micropie_benchlib.serve.launched.DYING_S", 30.0
    )  # its news is heard before
    with start(odd("dies_at_second_connection"), workers=1) as server:
        assert server.ask(Workload())[0].status == 200
        reason = "died with status 1 during a probe request: ValueError: no database$"
        with pytest.raises(BenchError, match=reason):
            server.ask(Workload())


def test_interim_answers_and_later_ones_of_a_connection_are_refused(in_process: InProcess) -> None:
    modes = ("hints", "empties", "pretends", "not_modified")
    done = in_process.run("compare", *map(odd, modes), "--quick")
    assert (done.returncode, done.stdout) == (1, "")
    for reason in (
        "sends 103 responses, which wrk counts as responses",
        "another body from response 3 of a connection on (0 bytes, '') than at",
        "another body from response 2 of a connection on (200 bytes, 'sorry",
        "returned 304 as response 2 of a connection",
    ):
        assert reason in done.stderr


@pytest.mark.slow
def test_another_body_of_the_same_size_is_noted(runs: dict[str, Any]) -> None:
    changed = [mode for mode in MODES if Kind.BODY_AFTER_LOAD in kinds_of(runs[mode]["warnings"])]
    assert changed == ["another"]


TWO_ROUNDS = ("-r", "2", "-d", "1s", "-t", "2", "--warm-up", "0s", "--export-json", "-")


def test_no_verdict_goes_by_paired_trials_of_a_server_whose_single_trials_are_invalid(
    in_process: InProcess,
) -> None:
    done = in_process.run("compare", odd("plain"), odd("twice"), "-c", "20", *TWO_ROUNDS)
    assert done.returncode == 1
    assert (
        "inconclusive  20 connections: twice against plain: no round is valid for both targets"
        in done.stderr
    )


@pytest.mark.slow
def test_silent_connections_are_counted(runs: dict[str, Any]) -> None:
    assert 7 <= silent_in(runs["ignores_some"]) <= 9  # the probes took numbers, too
    assert silent_in(runs["falls_silent"]) == 100


@pytest.mark.slow
def test_a_server_that_reconnects_is_told_by_the_connections_that_were_opened(
    runs: dict[str, Any],
) -> None:
    run = runs["http10"]
    assert run["connections_opened"] >= 0.9 * run["wrk"]["requests"]
    assert runs["plain"]["connections_opened"] < 0.1 * runs["plain"]["wrk"]["requests"]
    assert "http10: reconnects every request, " in runs["said"]
    assert "plain: reconnects" not in runs["said"]


def load_of(duration_s: int = 2) -> Load:
    return Load(connections=20, threads=2, duration_s=duration_s)


def test_a_paired_in_which_a_server_stops_answering_is_invalid(
    start: Start, tmp_path: Path
) -> None:
    with start(odd("plain")) as plain, start(odd("falls_silent")) as silent:
        seen = run_load([plain, silent], load_of(), work_dir=tmp_path)
    first, second = [
        silent_connections(each.ending.silences_s, each.wrk, load_of()) for each in seen
    ]
    assert first is None
    assert second
    assert (second.figures["silent"], second.figures["open"]) == (20, 20)


@pytest.mark.parametrize("victim", ["wrk", "server"])
def test_a_paired_of_which_somebody_stopped_a_process_is_invalid(
    start: Start, tmp_path: Path, short_grace: None, victim: str
) -> None:
    servers = [start(odd("plain").replace("plain=", f"{name}=")) for name in ("a", "b")]

    def stop_it() -> None:
        port = servers[1].port
        wrks = await_that(lambda: [p for p in psutil.process_iter() if is_wrk(p, port)])
        process = wrks[0] if victim == "wrk" else psutil.Process(servers[1].child.pid)
        process.send_signal(signal.SIGSTOP)

    thread = threading.Thread(target=stop_it)
    thread.start()
    try:
        with pytest.raises(BenchError, match=r"(wrk|b) was stopped \(SIGSTOP\)"):
            run_load(servers, load_of(), work_dir=tmp_path)
    finally:
        thread.join()
        for server in servers:
            server.__exit__()


def is_wrk(process: psutil.Process, port: int) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return bool(command) and command[0] == "wrk" and command[-1].endswith(f":{port}/")


def test_a_clock_that_is_set_in_a_trial_is_seen(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads = iter([100.0, 100.5])
    monkeypatch.setattr("micropie_benchlib.load.generators.wall_clock_lead_s", lambda: next(leads))
    with start(odd("plain")) as server:
        (seen,) = run_load([server], load_of(1), work_dir=tmp_path)
    warning = clock_set(seen.clock_step_s, 1)
    assert warning
    assert (
        text_of(warning)
        == "the machine's clock was changed by +0.50 s during the trial, and wrk uses it"
    )


def test_one_busy_thread_is_what_a_server_of_one_process_can_use(
    start: Start, tmp_path: Path
) -> None:
    with start(odd("plain")) as server:
        (seen,) = run_load([server], load_of(1), work_dir=tmp_path)
    assert seen.ending.work
    assert seen.ending.work.threads == 1


ACK_OPTIONS = ("-w", "2", "--loop", "asyncio", "--http", "h11")


def test_servers_that_wait_for_delayed_acks_are_not_judged_by_their_cpu(
    in_process: InProcess,
) -> None:
    done = in_process.run("compare", "asgi", "b=asgi", "-c", "8", *TWO_ROUNDS, *ACK_OPTIONS)
    data = json.loads(done.stdout)
    limits = {m["limited_by"] for m in data["measurements"] if m["method"] == "single"}
    assert limits == {"neither"}
    assert "per CPU second (" not in done.stderr
    assert "as with delayed ACKs (is TCP_NODELAY set?)" in done.stderr
