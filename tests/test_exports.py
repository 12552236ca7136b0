"""What becomes of results: files, reports of saved ones, the gate, GitHub."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    ENVIRONMENT,
    EXPORTS,
    HUNDRED,
    NAMES,
    RATES,
    SETTINGS,
    Asked,
    Compared,
    Tool,
    Typed,
    export_options,
    facts_of,
    failed,
    measured,
    report_of,
    results_of,
    single_results,
)
from results_schema import SCHEMA_FILE, VALIDATOR, loaded

from micropie_benchlib.cli.exports import Exports
from micropie_benchlib.cli.gate import read_results
from micropie_benchlib.cli.github import tell_github
from micropie_benchlib.cli.records import new_results
from micropie_benchlib.cli.session import status_of
from micropie_benchlib.core.choices import Decisive, Inconclusive
from micropie_benchlib.core.estimates import Comparison, Estimate
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.csv_rows import to_csv
from micropie_benchlib.report.drawing import MIN_DRAWING, draw_speeds
from micropie_benchlib.report.gate import GateLine, gate_lines
from micropie_benchlib.report.github import COMMENT_MARK, to_github_benchmark
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.report.page import to_html
from micropie_benchlib.report.results_file import from_json, schema_text, to_json
from micropie_benchlib.report.tables import work_tables
from micropie_benchlib.report.verdict_lines import verdict_lines_of
from micropie_benchlib.stats.changes import changes_between
from micropie_benchlib.stats.comparisons import with_derived
from micropie_benchlib.stats.equal_work import changed_responses
from micropie_benchlib.stats.gate import Gate, GateOutcome
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.wrk.rows import parse_reports

GIST = Path(__file__).parent / "data" / "gist.txt"

RUN = single_results(settings=SETTINGS, environment=ENVIRONMENT)
SAVED = to_json(single_results(RATES[:2], settings=SETTINGS, environment=ENVIRONMENT))
Place = tuple[str | int, ...]


def invalid_of(measurement: Measurement) -> Measurement:
    """Return the measurement as it is if its server died."""
    return replace(measurement, wrk=None, use=None, invalid=failed("died"))


# Results files.


def test_reports_of_a_saved_run_are_those_of_the_run() -> None:
    whole = replace(RUN, warnings=failed("w"))
    again = from_json(to_json(whole))
    for render in (to_markdown, to_csv, to_html, to_github_benchmark):
        assert render(report_of(again)) == render(report_of(whole))
    words = " ".join(to_markdown(report_of(again)).split())
    assert "| More | 1.00ms | 2.00ms | 30.00ms | 30.00ms |" in words


@pytest.mark.parametrize(
    "results",
    [
        pytest.param(RUN, id="several rounds"),
        pytest.param(single_results(RATES[:1]), id="one round"),
        pytest.param(results_of([invalid_of(m) for m in RUN.measurements]), id="invalid trials"),
        pytest.param(
            new_results(measurements=tuple(parse_reports(GIST.read_text()).measurements)),
            id="wrk's own text",
        ),
    ],
)
def test_what_is_written_is_as_the_schema_says_and_can_be_read(results: Results) -> None:
    data = loaded(to_json(results))
    assert [m["valid"] for m in data["measurements"]] == [m.valid for m in results.measurements]
    assert to_json(from_json(to_json(results))) == to_json(results)


def test_the_schema_is_that_of_the_types() -> None:
    VALIDATOR.check_schema(VALIDATOR.schema)
    command = (
        "python -c 'from micropie_benchlib.report.results_file import schema_text as s; "
        f'print(s(), end="")\' > {SCHEMA_FILE}'
    )
    assert schema_text() == SCHEMA_FILE.read_text(), f"renew it: {command}"


@pytest.mark.parametrize(
    ("command", "text"), [("report", to_json(RUN)), ("parse", GIST.read_text())]
)
def test_what_is_read_is_not_overwritten(
    command: str, text: str, typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "input"
    file.write_text(text)
    done = typed(command, "input", "--export-html", str(file))
    assert (done.returncode, file.read_text()) == (2, text)
    assert "'input' is an input: export to another file" in done.stderr


# Other formats.

LATENCY = ["mean_s", "stdev_s", "max_s", "p50_s", "p75_s", "p90_s", "p99_s", "p99_9_s"]
CSV_COLUMNS = [
    *["round", "method", "target", "load_workload", "load_connections"],
    *["load_rate_per_s", "threads", "partner"],
    *["wrk_duration_s", "wrk_requests", "wrk_bytes", "wrk_requests_per_s", "wrk_bytes_per_s"],
    *(f"wrk_latency_{name}" for name in LATENCY),
    *(f"wrk_errors_{name}" for name in ("connect", "read", "write", "status", "timeout")),
    *(f"wrk_latency_uncorrected_{name}" for name in LATENCY),
    *[
        "wrk_load_cpu_s",
        "wrk_arrival_rate_offered",
        "wrk_arrival_rate_offered_per_s",
        "wrk_arrival_rate_answered_per_s",
    ],
    *["wrk_arrival_rate_late_p50_s", "wrk_arrival_rate_late_p99_s"],
    "wrk_arrival_rate_late_max_s",
    *["use_server_cpu_s", "use_server_rss_bytes", "use_worker_balance"],
    "use_idle_cores",
    *["limited_by", "connections_opened", "over_limit", "warnings", "invalid", "valid"],
]


def test_csv_has_a_row_for_each_measurement() -> None:
    invalid = replace(invalid_of(RUN.measurements[0]), warnings=(*failed("a"), *failed("b")))
    whole = replace(RUN, measurements=(invalid, *RUN.measurements))
    reader = csv.DictReader(io.StringIO(to_csv(report_of(whole))))
    rows = list(reader)
    assert reader.fieldnames == CSV_COLUMNS
    assert len(rows) == 1 + 8
    first, second, *_ = rows
    assert (first["valid"], first["invalid"], first["warnings"]) == ("False", "died", "a; b")
    assert first["wrk_requests_per_s"] == ""
    assert (second["load_workload"], second["load_connections"]) == ("hello", "100")
    assert second["wrk_requests_per_s"] == "100.0"
    assert second["wrk_latency_p99_s"] == "0.01"
    assert second["wrk_errors_timeout"] == "0"
    assert (second["use_server_cpu_s"], second["valid"]) == ("60.0", "True")
    for row in rows:
        assert None not in row  # no cell beyond the columns
        assert None not in row.values()  # nor a column without a cell


def test_markdown_is_whole() -> None:
    text = to_markdown(report_of(replace(RUN, warnings=failed("load average: 9"))))
    for part in (
        "### More against Base: ",
        "- **100 connections: slower.** More is 0.90x as fast as Base in requests/s (",
        "#### Warnings\n\n- load average: 9",
        "#### 100 Connections, against Base\n\n| Framework",
        "| python",
        "| server of Base ",
        "| `serve` ",
    ):
        assert part in text


def test_github_benchmark_is_bigger_is_better() -> None:
    first, _, speed = json.loads(to_github_benchmark(report_of(RUN)))
    assert (first["name"], first["unit"]) == ("Base, 100 connections", "requests/s")
    assert first["value"] == 100.5
    assert first["range"].startswith("± 2.0")
    assert (speed["name"], speed["value"]) == ("Speed of More, 100 connections", 0.9018)
    assert speed["extra"].startswith("slower: More is 0.90x as fast as Base in requests/s (")


def test_the_drawing_shows_the_answers_with_their_intervals_against_1() -> None:
    verdict_line, *_ = verdict_lines_of(RUN)
    speed = verdict_line.comparison.speed
    assert speed
    assert speed.interval
    labels, line = draw_speeds(RUN, [verdict_line.comparison], width=80)
    axis = line.removeprefix("  More, 100 connections  ")
    assert line.startswith("  More, 100 connections  ")
    assert len(line) <= 80
    ends = (axis.index("─"), axis.rindex("─"))
    scale = (axis.index("◆") - axis.index("|")) / math.log(speed.ratio)
    for position, ratio in zip(ends, speed.interval, strict=True):
        expected = axis.index("|") + scale * math.log(ratio)
        assert position == pytest.approx(expected, abs=1.5)
    assert labels.index("1") in (line.index("|"), line.index("|") - 1)
    assert draw_speeds(RUN, (), width=80) == []


@pytest.mark.parametrize("width", [1, 19, 20, 40, 60, 80, 200])
def test_the_drawing_is_no_wider_than_the_terminal(width: int) -> None:
    """It is left out where the terminal is too narrow for one."""
    targets = [replace(each, label="M" * 30) for each in RUN.targets]
    results = replace(RUN, targets=tuple(targets))
    lines = draw_speeds(results, decisive_comparisons(results), width=width)
    assert all(len(line) <= max(width, 50) for line in lines)
    assert any("◆" in line for line in lines) == (width >= MIN_DRAWING)


# The gate.


def decision_on(
    results: Results, *, margin: float, baseline: Results | None = None
) -> tuple[bool, list[str]]:
    """Return whether the gate fails, and what it says."""
    decision = Gate(margin=margin, baseline=baseline).decide(results)
    lines = [line.text for line in gate_lines(results, decision)]
    return decision.outcome is GateOutcome.FAILED, lines


def test_a_change_against_a_baseline_is_welchs() -> None:
    """The interval is scipy.stats.ttest_ind(before, now, equal_var=False)'s, of the logarithms."""
    now = (102.58, 102.90, 100.13, 98.47, 97.82, 100.06)
    before = (104.68, 98.67, 100.79, 100.29, 101.67, 97.20, 99.17, 98.50, 97.85)
    expected_low, expected_high = -0.029469726, 0.020212725

    def compared(rates: Sequence[float]) -> tuple[Comparison, ...]:
        return single_results([(100.0, rate) for rate in rates]).comparisons

    (change,) = changes_between(compared(now), compared(before))
    slowdown = change.speed.inverse()
    assert slowdown.ratio == pytest.approx(
        statistics.geometric_mean(before) / statistics.geometric_mean(now)
    )
    assert math.log(slowdown.low) == pytest.approx(expected_low, abs=0.001), (
        "whole degrees of freedom are a little wider"
    )
    assert math.log(slowdown.low) <= expected_low
    assert math.log(slowdown.high) >= expected_high


@pytest.mark.parametrize(
    ("rates", "margin", "fails"),
    [
        pytest.param(RATES, 0.05, True, id="slower"),
        pytest.param(RATES, 0.15, False, id="slower by less than the margin"),
        pytest.param(
            ((100.0, 60.0), (100.0, 110.0)), 0.05, False, id="slower by 23%, without confidence"
        ),
        pytest.param(((100.0, 110.0), (100.0, 111.0)), 0.0, False, id="faster"),
    ],
)
def test_the_gate_goes_by_intervals_alone(
    rates: Sequence[Sequence[float]], margin: float, fails: bool
) -> None:
    failed, (line,) = decision_on(single_results(rates), margin=margin)
    assert failed == fails
    assert re.match(r"gate \w+: More at 100 connections is ", line)


def test_the_gate_compares_with_the_baselines_ratio_not_its_speed() -> None:
    twice = single_results([(2 * base, 2 * more) for base, more in RATES])
    fails, lines = decision_on(RUN, margin=0.05, baseline=twice)
    assert not fails, "a machine of half the speed is no slower target"
    assert "as fast as in the baseline, each against Base (" in lines[0]
    slower = single_results([(base, 0.85 * more) for base, more in RATES])
    assert decision_on(slower, margin=0.05, baseline=RUN)[0]


def test_the_widest_intervals_decide_nothing() -> None:
    (comparison, *_) = RUN.comparisons
    widest = Estimate(ratio=1.0, low=1e-100, high=1e100, confidence=0.5)
    baseline = replace(
        RUN, comparisons=(replace(comparison, rounds=2, degrees=1, estimate=widest),)
    )
    fails, (line,) = decision_on(RUN, margin=0.05, baseline=baseline)
    assert not fails
    assert "but the interval allows one: add rounds." in line


def test_two_rounds_that_have_nothing_in_common_can_be_read_again() -> None:
    """With many targets the interval of two rounds is wider than any number."""
    others = [f"other {number}" for number in range(20)]
    measurements = []
    for number, rate in ((1, 10.0), (2, 1e5)):
        measurements.append(measured("base", number, 10.0))
        measurements += [measured(name, number, rate) for name in others]
    results = results_of(measurements, labels={name: name for name in ("base", *others)})
    widest = max(
        comparison.interval.high for comparison in results.comparisons if comparison.interval
    )
    assert widest > 1e40
    assert from_json(to_json(results)).comparisons == results.comparisons


def test_a_target_that_the_gate_cannot_compare_is_not_measured() -> None:
    """Be it at one load of several: the others' intervals say nothing of that."""
    decision = Gate(margin=0.05, baseline=single_results(RATES[:1])).decide(RUN)
    assert decision.outcome is GateOutcome.NOT_MEASURED
    (line,) = gate_lines(RUN, decision)
    assert line.outcome is GateOutcome.NOT_MEASURED
    assert line.text == "gate not measured: More at 100 connections has no interval to decide by."
    at_200 = []
    for each in RUN.measurements[:2]:
        load = replace(each.load, connections=200)
        at_200.append(replace(each, load=load))
    both = results_of([*RUN.measurements, *at_200])
    decision = Gate(margin=0.15).decide(both)
    assert [decision.outcome_of(change) for change in decision.changes] == [GateOutcome.PASSED]
    assert [load.connections for _, load in decision.unknown] == [200]
    assert decision.outcome is GateOutcome.NOT_MEASURED


@pytest.mark.parametrize(
    ("chosen", "metric", "measure"),
    [
        (None, Metric.REQUESTS, "in requests/s"),
        (Decisive.CPU, Metric.CPU, "per CPU second"),
        (Decisive.THROUGHPUT, Metric.REQUESTS, "in requests/s"),
        (Decisive.P99, Metric.P99, "in p99 latency"),
    ],
)
def test_verdict_and_gate_go_by_the_metric_that_is_chosen(
    chosen: Decisive | None, metric: Metric, measure: str
) -> None:
    assert RUN.settings
    settings = replace(RUN.settings, metric=chosen)
    results = replace(RUN, settings=settings)
    (verdict_line,) = verdict_lines_of(results)
    assert f" {measure}" in verdict_line.sentence
    decision = Gate(margin=0.05, baseline=RUN).decide(results)
    assert [change.comparison.metric for change in decision.changes] == [metric]
    assert from_json(to_json(results)).settings == settings


def gate_line_of(done: subprocess.CompletedProcess[str]) -> str:
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("gate "))
    return line


@pytest.mark.parametrize(
    ("words", "factor", "status", "outcome", "speed"),
    [
        ("5%", None, 3, "failed", "0.902x"),
        ("15%", None, 0, "passed", "0.902x"),
        ("5%", 2.0, 3, "failed", "0.500x"),
        ("0%", 1.0, 0, "inconclusive", "1.000x"),
        ("0% --inconclusive fail", 1.0, 4, "inconclusive", "1.000x"),
        ("15% --inconclusive fail", None, 0, "passed", "0.902x"),
    ],
)
def test_the_gate_decides_the_exit_status(
    words: str,
    factor: float | None,
    status: int,
    outcome: str,
    speed: str,
    tmp_path: Path,
    compared: Compared,
) -> None:
    """Without a factor there is no baseline; with one, `more` was as many times as fast there.

    Whatever it decides, the results are written.
    """
    file = tmp_path / "new.json"
    options = ["--fail-if-slower", *words.split(), "--export-json", str(file)]
    if factor is not None:
        baseline = single_results([(base, factor * more) for base, more in RATES])
        (tmp_path / "baseline.json").write_text(to_json(baseline))
        options += ["--baseline", str(tmp_path / "baseline.json")]
    done = compared(RUN, *options, GITHUB_ACTIONS="true")
    assert done.returncode == status
    assert len(read_results(str(file)).measurements) == len(RUN.measurements)
    line = gate_line_of(done)
    assert line.startswith(f"gate {outcome}: More at 100 connections is {speed}")
    assert ("in the baseline, each against Base" in line) == (factor is not None)
    kind = {"failed": "error", "inconclusive": "warning", "passed": "notice"}[outcome]
    annotation = line.replace("%", "%25")
    assert f"::{kind} title=micropie_bench::{annotation}" in done.stderr.splitlines()


def test_a_gate_fails_whatever_else_was_not_measured_but_not_a_run_that_ended_early() -> None:
    trial, *others = RUN.measurements
    invalid = replace(trial, invalid=failed("died"))
    in_part = with_derived(replace(RUN, measurements=(invalid, *others)))
    outcomes = {}
    for margin, status in ((0.05, 3), (0.15, 1), (0.11, 1)):
        decision = Gate(margin=margin).decide(in_part)
        outcomes[decision.outcome] = status_of(in_part, decision, Inconclusive.FAIL)
        assert outcomes[decision.outcome] == status
    assert len(outcomes) == 3
    for kind, status in ((Kind.INTERRUPTED, 130), (Kind.ENDED, 1)):
        end = BenchWarning.of(kind, round=4, rounds=6)
        ended = replace(RUN, warnings=(end,))
        assert status_of(ended, Gate(margin=0.05).decide(ended)) == status


def test_a_baseline_that_is_optional_is_written_by_the_first_run(
    tmp_path: Path, compared: Compared
) -> None:
    results = single_results()
    file = tmp_path / "main.json"
    words = ("--fail-if-slower", "5%", "--baseline", str(file), "--baseline-optional")
    done = compared(results, *words)
    assert done.returncode == 0, "though it is slower"
    line = f"gate passed: there was no baseline; from now on it is {file}."
    assert gate_line_of(done) == line
    written = file.read_text()
    assert from_json(written).comparisons == results.comparisons
    done = compared(results, *words)
    assert done.returncode == 0
    assert "More at 100 connections is 1.000x as fast as in the bas" in gate_line_of(done)
    assert file.read_text() == written, "of the first run"


@pytest.mark.parametrize("is_interrupted", [False, True])
def test_a_run_in_part_is_no_baseline(
    is_interrupted: bool, tmp_path: Path, compared: Compared
) -> None:
    trial, *others = RUN.measurements
    end = BenchWarning.of(Kind.INTERRUPTED, round=4, rounds=6)
    results = replace(RUN, measurements=(replace(trial, invalid=failed("died")), *others))
    if is_interrupted:
        results = replace(RUN, warnings=(end,))
    file = tmp_path / "main.json"
    words = ("--fail-if-slower", "5%", "--baseline", str(file), "--baseline-optional")
    done = compared(results, *words)
    assert done.returncode == (130 if is_interrupted else 1)
    told = f"gate not measured: {file} is not written: a baseline needs all "
    assert gate_line_of(done).startswith(told)
    assert not file.exists()


def responding(**changes: Any) -> TargetFacts:
    """Return a target whose response, 13 bytes of text by default, has these changes."""
    facts = facts_of("more", "More")
    (response,) = facts.responses.values()
    return replace(facts, responses={"hello": replace(response, **changes)})


JSON_TYPE = (("Content-Type", "application/json"),)


RESPONSES = {
    "the same": ({}, {}, {}),
    "another status": ({}, {"status": 206}, {"status": "206"}),
    "another type": ({}, {"headers": JSON_TYPE}, {"content type": "application/json"}),
    "no type": ({}, {"headers": ()}, {"content type": "none"}),
    "an error, with status 200": ({}, {"body_bytes": 18}, {"body bytes": "18"}),
    "an empty body": ({}, {"body_bytes": 0}, {"body bytes": "0"}),
    "of equal size": ({}, {"body_sha256": "1" * 64}, {"body hash": "11111111"}),
    "a longer head": ({}, {"bytes": 200, "http_version": "1.0"}, {}),
    "a body that varied before": ({"body_varies_by": 0}, {"body_sha256": "1" * 64}, {}),
    "a body that varies now": ({}, {"body_varies_by": 0, "body_sha256": "1" * 64}, {}),
    "fixed": ({"body_varies_by": 0}, {"body_bytes": 14}, {"body bytes": "14"}),
    "a size that varies": ({"body_varies_by": 2}, {"body_bytes": 17}, {}),
    "by more than it varies": (
        {"body_varies_by": 1},
        {"body_varies_by": 1, "body_bytes": 18},
        {"body bytes": "18"},
    ),
}


@pytest.mark.parametrize(("before", "now", "expected"), RESPONSES.values(), ids=RESPONSES)
def test_responses_are_compared_with_the_baselines_as_far_as_they_do_not_vary(
    before: dict[str, Any], now: dict[str, Any], expected: dict[str, str]
) -> None:
    changes = changed_responses(responding(**before), responding(**now))
    assert {change.words["what"]: change.words["now"] for change in changes} == expected
    written = results_of([], targets=(responding(**before),))
    (read,) = from_json(to_json(written)).targets
    assert changed_responses(read, responding(**now)) == changes


def test_an_accepted_change_is_a_warning(tmp_path: Path, compared: Compared) -> None:
    file = tmp_path / "main.json"
    file.write_text(to_json(single_results()))
    changed = replace(RUN, targets=(RUN.targets[0], responding(status=201)))
    words = ("--fail-if-slower", "5%", "--baseline", str(file), "--accept-changed-response")
    done = compared(changed, *words)
    assert done.returncode == 0
    assert "  - More, hello: status 201, in the baseline 200\n" in done.stdout


@pytest.mark.parametrize(
    ("cpu_model", "cpu_count", "is_told"),
    [("Xeon", 2, False), ("EPYC", 2, True), ("Xeon", 4, True)],
)
def test_a_baseline_from_another_machine_is_compared_with_a_warning(
    cpu_model: str, cpu_count: int, is_told: bool, tmp_path: Path, compared: Compared
) -> None:
    here = replace(ENVIRONMENT, cpu_model="Xeon")
    there = replace(ENVIRONMENT, cpu_model=cpu_model, cpu_count=cpu_count)
    file = tmp_path / "main.json"
    file.write_text(to_json(single_results(environment=there)))
    words = ("--fail-if-slower", "5%", "--baseline", str(file))
    done = compared(replace(RUN, environment=here), *words)
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    machines = f"{cpu_model}, {cpu_count} CPUs, kernel 6.1.0; here Xeon, 2 CPUs, kernel 6.1.0"
    assert (f"the baseline is from another machine ({machines})" in told) == is_told
    assert "gate passed" in told or "gate inconclusive" in told


@pytest.mark.parametrize("accepts", [False, True])
def test_targets_are_to_respond_as_in_the_baseline(
    tmp_path: Path, asked: Asked, *, accepts: bool
) -> None:
    file = tmp_path / "main.json"
    baseline = single_results()
    file.write_text(to_json(baseline))
    words = ["compare", "base=asgi", "more=asgi", "-c", "100", "--baseline", str(file)]
    options = ["--accept-changed-response"] if accepts else []
    plan = asked.plan_of(*words, "--fail-if-slower", "5%", *options)
    assert plan.baseline == (() if accepts else baseline.targets)


def test_each_target_has_one_annotation_in_a_line_where_a_terminal_is_feigned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = f"gate failed: {'a long sentence ' * 20}"
    failed_line = GateLine(outcome=GateOutcome.FAILED, text=text, target="more")
    passed = GateLine(outcome=GateOutcome.PASSED, text="gate passed: 95%", target="more")
    other = GateLine(outcome=GateOutcome.PASSED, text="gate passed", target="other")
    tell_github(report_of(single_results()), None, [passed, failed_line, other])
    _, err = capsys.readouterr()
    assert err == (
        f"::error title=micropie_bench::gate passed: 95%25%0A{text}\n"
        "::notice title=micropie_bench::gate passed\n"
    )


@pytest.mark.parametrize(
    ("margin", "verdict"), [(None, "slower"), ("5%", "failed"), ("15%", "passed")]
)
def test_a_step_has_the_comparison_that_decides_as_outputs(
    margin: str | None, verdict: str, tmp_path: Path, compared: Compared
) -> None:
    """The gate's line has 0.902x (0.890 to 0.914). Without a gate, slower is no failure."""
    file = tmp_path / "outputs"
    file.write_text("before=1\n")
    options = ["--fail-if-slower", margin] if margin else []
    done = compared(RUN, *options, GITHUB_OUTPUT=str(file))
    assert ("gate" in done.stdout) == (margin is not None)
    before, outcome, *figures = file.read_text().splitlines()
    assert (before, outcome) == ("before=1", f"verdict={verdict}")
    names, values = zip(*(figure.split("=") for figure in figures), strict=True)
    assert names == ("ratio", "low", "high")
    assert list(map(float, values)) == pytest.approx([0.902, 0.890, 0.914], abs=0.001)
    assert compared(RUN, GITHUB_OUTPUT=str(tmp_path)).returncode == 0, "a directory"


class GoneReader(io.TextIOWrapper):
    """A standard output whose reader has gone."""

    def flush(self) -> None:
        raise BrokenPipeError


def test_a_reader_that_is_gone_loses_no_other_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.html"
    exports = Exports({"--export-json": "-", "--export-html": str(page)})
    monkeypatch.setattr(sys, "stdout", GoneReader(io.BytesIO()))
    with pytest.raises(BrokenPipeError):
        exports.write(report_of(RUN))
    assert page.read_text().startswith("<!DOCTYPE html>")


# Conclusions.


def test_knee_is_where_throughput_stops_growing() -> None:
    measurements = [
        measured("base", 1, rate, load=replace(HUNDRED, connections=connections))
        for connections, rate in ((1, 30.0), (10, 80.0), (50, 99.0), (100, 100.0), (200, 90.0))
    ]
    whole = replace(RUN, measurements=tuple(measurements), comparisons=())
    (told,) = conclude(whole).sentences
    assert told.startswith("Base, 50 connections: throughput grows up to here")
    fewer = replace(whole, measurements=whole.measurements[:2])
    assert conclude(fewer).sentences == ()


def test_what_serves_the_targets_is_told_where_it_differs() -> None:
    base, more = RUN.targets
    mixed = (
        replace(base, served_as={"server": "uvicorn 1", "event loop": "uvloop 2"}),
        replace(more, served_as={"server": "uvicorn 1", "event loop": "asyncio"}),
    )
    results = from_json(to_json(replace(RUN, targets=mixed)))
    (table,) = work_tables(results)
    rows = {name: cells for name, *cells in table.rows}
    assert rows["server"] == ["uvicorn 1", "uvicorn 1", "equal"]
    assert rows["event loop"] == ["uvloop 2", "asyncio", "differs"]
    (warning,) = conclude(results).warnings
    assert "The targets differ in event loop" in warning


def test_saved_runs_side_by_side(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    elsewhere = replace(ENVIRONMENT, python="3.14.0", packages={})
    there = replace(RUN, environment=elsewhere)
    other = replace(RUN, settings=replace(SETTINGS, threads=1))
    for name, results in (("here", RUN), ("there", there), ("other", other)):
        (tmp_path / f"{name}.json").write_text(to_json(results))
    done = typed("report", "here.json", "there.json", "--export-csv", "-")
    assert done.returncode == 0
    assert {row["target"] for row in csv.DictReader(io.StringIO(done.stdout))} == {
        f"{name} [{file}]" for name in NAMES for file in ("here", "there")
    }
    assert "| More [there]" in done.stderr
    assert [line for line in done.stderr.splitlines() if "They differ" in line] == [
        "  - They differ in python: here: 3.11.7; there: 3.14.0.",
        "  - They differ in uvicorn: here: 0.34.0; there: unknown.",
    ]
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/here.json").write_text(to_json(there))
    done = typed("report", "here.json", "sub/here.json", "-v")
    assert "| More [sub/here.json]" in done.stdout
    assert "100 Connections, against Base [here.json]\n" in done.stdout
    assert "100 Connections, against Base [sub/here.json]\n" in done.stdout
    done = typed("report", "here.json", "other.json")
    assert (done.returncode, "differ in threads" in done.stderr) == (2, True)


# A real run.


def test_all_exports_of_one_run_and_github(tool: Tool, typed: Typed, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in EXPORTS}
    words = ("asgi", "micropie", "-r", "2", "-d", "1s", "-c", "8", "-t", "2", "-w", "1")
    gate = ("--no-paired", "--fail-if-slower", "900%")
    summary = tmp_path / "summary.md"
    env: dict[str, Any] = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    done = tool.run("compare", *words, *gate, *export_options(tmp_path), **env)
    assert done.returncode == 0, done.stderr
    assert summary.read_text() == files["markdown"].read_text()
    assert "\n| MicroPie " in files["markdown"].read_text()
    mark, _, comment = files["github-comment"].read_text().partition("\n")
    assert (mark, comment) == (COMMENT_MARK, files["markdown"].read_text())
    assert len(files["csv"].read_text().splitlines()) == 5
    entries = json.loads(files["github-benchmark"].read_text())
    units = ["requests/s", "requests/s", "times the reference's"]
    assert [entry["unit"] for entry in entries] == units
    data = loaded(files["json"].read_text())
    assert data["comparisons"]
    (throughput,) = (c for c in data["comparisons"] if c["metric"] == "requests_per_s")
    speed = throughput["estimate"]["ratio"]
    gate_line = gate_line_of(done)
    assert f": MicroPie at 8 connections is {speed:.3f}x as fast as ASGI (95% " in gate_line
    assert not gate_line.startswith("gate failed")
    assert f" title=micropie_bench::{gate_line.replace('%', '%25')}" in done.stderr
    assert files["html"].read_text().count("<figure>") == 2
    again = typed("report", str(files["json"]), "--export-html", str(tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_text().count("<figure>") == 2
    shown = [line for line in done.stdout.splitlines() if not line.startswith("gate ")]
    said = {f"  - {warning['text']}" for warning in data["warnings"]}  # before the run, on stderr
    assert shown == [line for line in again.stdout.splitlines() if line not in said]
    assert done.stdout.splitlines()[-1] == gate_line, "where a log is looked at first"


def test_a_real_target_must_respond_as_in_the_baseline_that_a_first_run_wrote(
    tool: Tool, tmp_path: Path
) -> None:
    file = tmp_path / "main.json"
    server = f"mine=cmd:sh -c 'exec {sys.executable} odd.py {{port}} $MODE'"
    words = ["compare", "asgi", server, "-r", "2", "-d", "1s", "-c", "8", "-t", "1", "-w", "1"]
    words += ["--fail-if-slower", "900%", "--baseline", str(file), "--baseline-optional"]
    words += ["--no-paired", "--warm-up", "0s"]
    for _ in range(3):  # a busy machine may make a trial invalid
        if not file.exists():
            done = tool.run(*words, MODE="plain")
    assert "gate passed: there was no baseline; " in done.stdout, done.stdout + done.stderr

    done = tool.run(*words, MODE="fallen")
    assert (done.returncode, done.stdout) == (1, "")
    *_, excerpt, line = done.stderr.splitlines()
    assert line == (
        "micropie_bench: mine, hello: body bytes 18, in the baseline 200; "
        "if that is right, use --accept-changed-response"
    )
    assert excerpt == "    error: no database"

    done = tool.run(*words, MODE="plain")
    assert "as fast as in the baseline" in " ".join(done.stdout.split())
