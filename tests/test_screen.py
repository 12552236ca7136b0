"""What stays on the screen and what is pasted: order and length of the default report."""

import dataclasses
import io
import itertools
import re
from dataclasses import replace

import pytest
from conftest import (
    ENVIRONMENT,
    HUNDRED,
    SETTINGS,
    Asked,
    Compared,
    Typed,
    failed,
    measured,
    report_of,
    results_of,
    with_wrk,
)
from rich.console import Console

from micropie_benchlib.cli.plans import find_published
from micropie_benchlib.cli.screen import show_report
from micropie_benchlib.cli.session import limit_lines, status_of
from micropie_benchlib.core.choices import Inconclusive
from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Latency, Measurement
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.conclusions import calibration_conclusion, conclude
from micropie_benchlib.report.drawing import draw_ratios
from micropie_benchlib.report.github import to_github_comment
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.report.published import reproduction_conclusion
from micropie_benchlib.stats.gate import Gate

LOADS = (HUNDRED, replace(HUNDRED, connections=200))
LABELS = {"base": "FastAPI", "more": "MicroPie"}


def measured_pair(number: int, load: LoadId, *, is_paired: bool) -> list[Measurement]:
    drift = number % 5
    made = []
    for name, partner, rate_per_s, cpu_s in (
        ("base", "more", 11_000.0 + 400 * drift, 1.9),
        ("more", "base", 17_000.0 - 300 * drift, 1.8 + 0.01 * drift),
    ):
        other = partner if is_paired else None
        trial = measured(name, number, rate_per_s, cpu_s=cpu_s, partner=other, load=load)
        made.append(replace(trial, warnings=failed(f"neighbour {number} was busy")))
    return made


def default_run(*, rounds: int = 18) -> Results:
    """Return what the default run of two targets under two loads gives, with many warnings."""
    measurements = []
    for number, load in itertools.product(range(1, rounds + 1), LOADS):
        for is_paired in (False, True):
            measurements += measured_pair(number, load, is_paired=is_paired)
    results = results_of(measurements, labels=LABELS)
    more = results.targets[1]
    response = replace(
        more.responses["hello"],
        headers=(("content-type", "text/html; charset=utf-8"),),
        body_sha256="1" * 64,
    )
    targets = (
        replace(results.targets[0], spec="fastapi"),
        replace(more, spec="micropie", responses={"hello": response}),
    )
    settings = replace(SETTINGS, rounds=rounds, connections=(100, 200))
    return replace(results, targets=targets, settings=settings, environment=ENVIRONMENT)


def screen(report: Report, *, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    show_report(report, console, was_run=True)
    assert isinstance(console.file, io.StringIO)
    return re.sub(r"\x1b\[[\d;]*m", "", console.file.getvalue()).splitlines()


def brief(results: Results) -> Report:
    return report_of(results, details=False)


def position(lines: list[str], start: str) -> int:
    """Return the number of the only line that starts so."""
    (found,) = [number for number, line in enumerate(lines) if line.strip().startswith(start)]
    return found


def test_the_default_report_has_40_lines_and_ends_in_its_verdicts() -> None:
    lines = screen(brief(default_run()))
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    order = ("100 Connections", "200 Connections", "Warnings", "MicroPie against FastAPI")
    positions = [position(lines, start) for start in order]
    positions.append(position(lines, "MicroPie, 200 connections  "))  # the chart's last line
    positions.append(position(lines, "faster        100 connections: MicroPie is "))
    positions.append(position(lines, "faster        200 connections: MicroPie is "))
    assert positions == sorted(positions)
    assert len(lines) - positions[-1] <= 2, "nothing stands below the last verdict"
    assert len(lines) - positions[3] <= 24, "a small terminal shows all of the answer"


def test_warnings_that_are_left_out_are_counted() -> None:
    results = default_run()
    lines = screen(brief(results))
    start = position(lines, "Warnings")
    shown = 0
    for line in lines[start:]:
        shown += line.startswith("  - ") and not line.endswith("more (-v)")
    every = len(conclude(results).warnings)
    assert f"  - {every - shown} more (-v)" in lines
    assert shown < every


def test_equal_work_is_one_warning_and_its_table_is_a_detail() -> None:
    results = default_run()
    body_bytes = results.targets[0].responses["hello"].body_bytes
    text = " ".join(" ".join(screen(brief(results))).split())
    assert (
        f"Equal work? Responses differ: text of {body_bytes} bytes, HTML of {body_bytes} bytes; "
        "--workload json compares equal ones." in text
    )
    assert "content type" not in text
    detailed = " ".join(screen(report_of(results, details=True)))
    assert re.search(r"content type +text/plain +text/html", detailed)


def test_what_a_reader_would_not_expect_to_differ_has_a_table() -> None:
    """Versions of shared packages, as workers, decide the speed beside the code."""
    results = default_run()
    targets = []
    for number, facts in enumerate(results.targets):
        versions = {"starlette": f"1.{number}", facts.spec: "3"}
        targets.append(replace(facts, versions=versions))
    lines = screen(brief(replace(results, targets=tuple(targets))))
    position(lines, "Equal work?")
    assert re.search(r"\n +starlette +1\.0 +1\.1 +differs\n", "\n".join(lines))
    position(lines, "- Equal work? The targets differ in starlette.")


def test_one_round_has_tables_and_no_ratio_and_names_the_rounds_that_would_do() -> None:
    results = default_run(rounds=1)
    for details in (False, True):
        lines = screen(report_of(results, details=details))
        assert not re.search(r"\d\.\d+x", "\n".join(lines))
        assert lines[-1] == "One round gives no verdict: use -r 6."
        position(lines, "100 Connections" if not details else "100 Connections, details")
    assert "0x" not in to_markdown(report_of(results, details=True)).replace("200x", "")
    assert all(each.estimate is None for each in results.comparisons)


def test_a_calibration_ends_in_what_the_machine_can_tell(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = default_run()
    monkeypatch.setattr("micropie_benchlib.cli.session.run_plan", lambda *_, **__: results)
    lines = typed("calibrate", "asgi").stdout.splitlines()
    sentences = calibration_conclusion(results).sentences
    assert position(lines, "Differences are within noise up to:") > position(lines, "Warnings")
    assert len(sentences) == 1 + 4 * len(LOADS), "each metric at each load"
    assert lines[-1].endswith(sentences[-1][-20:])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_each_load_has_its_cpu_time_per_request(width: int) -> None:
    """The verdict's: of the paired trials, here 1.9 s for 11,000 to 12,600 requests."""
    lines = screen(brief(default_run()), width=width)
    assert max(map(len, lines)) <= width
    words = " ".join(" ".join(lines).split())
    assert "CPU per Request" in words or re.search(r"CPU per .*\bRequest\b", words)
    costs_us = [1.9e6 / (11_000 + 400 * (number % 5)) for number in range(1, 19)]
    assert words.count(f"{sum(costs_us) / 18:.1f}") == 2


@pytest.mark.parametrize(
    ("rates", "shown", "is_told"),
    [
        # 100.5 and t(95%, 1) x 1.5 = 19.06: the interval is 38 wide, and of use.
        ((99.0, 102.0), "100 ± 19", False),
        # 150 and t(95%, 1) x 50 = 635.
        ((100.0, 200.0), "150", True),
        ((123.456,), "123.46", False),
    ],
)
def test_a_figure_whose_interval_is_wider_stands_without_it(
    rates: tuple[float, ...], shown: str, is_told: bool
) -> None:
    measurements = [measured("base", number, rate) for number, rate in enumerate(rates)]
    results = results_of(measurements, labels={"base": "Base"})
    lines = screen(brief(results))
    (row,) = [line for line in lines if line.startswith("  Base ")]
    assert re.search(rf"ms +{re.escape(shown)}  ", row)
    warning = "Base: requests/s differ so much between rounds that no ± stands beside their mean"
    assert (warning in " ".join(" ".join(lines).split())) == is_told


def test_markdown_has_30_lines_and_the_conditions() -> None:
    results = default_run()
    text = to_markdown(brief(results))
    lines = text.splitlines()
    assert len(lines) <= 30
    assert lines[0].startswith("### MicroPie against FastAPI: ")
    assert lines[2].startswith("- **100 connections: faster.** MicroPie is ")
    for condition in ("2026-11-26", "Python 3.11.7", "kernel 6.1.0", "`micropie_bench compare`"):
        assert condition in lines[-1]
    whole = to_markdown(report_of(results, details=True))
    assert len(whole.splitlines()) > 60
    assert "more (-v)" not in whole


@pytest.mark.parametrize("gate_lines", [0, 1, 2])
def test_a_comment_has_its_mark_and_29_lines_whatever_the_gate_says(gate_lines: int) -> None:
    results = default_run()
    gate = ("gate passed: MicroPie is as fast",) * gate_lines
    conclusion = dataclasses.replace(conclude(results), gate=gate)
    report = Report(results=results, conclusion=conclusion, details=True)
    lines = to_github_comment(report).splitlines()
    assert lines[0].startswith("<!-- ")
    assert lines[1].startswith("### MicroPie against FastAPI: ")
    assert len(lines) < 30, "the action adds one"
    assert lines.count(gate[0] if gate else "") >= gate_lines
    assert "`micropie_bench compare`" in lines[-1]


def test_markdown_on_standard_output_stands_alone(compared: Compared) -> None:
    """It is piped into a comment; the tables for people go to standard error."""
    results = default_run()
    done = compared(results, "--export-markdown", "-")
    assert done.stdout == to_markdown(brief(results))
    assert "100 Connections" in done.stderr


def test_the_chart_marks_intervals_that_run_off_it() -> None:
    wide = Estimate(ratio=33.0, low=16.0, high=68.0, confidence=0.95)
    narrow = Estimate(ratio=1.2, low=1.1, high=1.3, confidence=0.95)
    _, first, second = draw_ratios({"wide": wide, "narrow": narrow}, width=80)
    assert (">" in first, "<" in first) == (True, False)
    assert ">" not in second


def test_a_target_without_a_result_is_ranked_last_with_the_reason() -> None:
    measurements = []
    for number in range(1, 5):
        for name, rate_per_s in (("a", 100.0), ("b", 150.0 + number), ("c", 200.0 + number)):
            measurements.append(measured(name, number, rate_per_s))
        measurements.append(measured("d", number, 300.0, invalid="worker 7 died"))
    results = results_of(measurements, labels={name: name.upper() for name in "abcd"})
    lines = screen(brief(results))
    start = position(lines, "100 Connections, ranks by speed")
    ranks = [" ".join(line.split()) for line in lines[start + 3 : start + 7]]
    assert [rank.split()[:2] for rank in ranks] == [
        ["1", "C"],
        ["2", "B"],
        ["3", "A"],
        ["none", "D"],
    ]
    assert ranks[-1] == "none D no round is valid for both targets"


@pytest.mark.parametrize(
    ("p99s_ms", "told", "status", "strict_status"),
    [
        # t(95%, 2) = 4.30: of 10, 11 and 12 ms it is 8.7 to 13.8.
        ((10, 11, 12), "limit met: the p99 of FastAPI's trials is 10.97ms (", 0, 0),
        ((30, 31, 32), "limit missed: the p99 of FastAPI's trials is 30.99ms (", 3, 3),
        ((15, 20, 25), "limit inconclusive: the p99 of FastAPI's trials is 19.57ms (", 0, 4),
    ],
)
def test_a_limit_at_a_rate_is_met_missed_or_inconclusive(
    p99s_ms: tuple[float, ...], told: str, status: int, strict_status: int
) -> None:
    load = replace(HUNDRED, rate_per_s=300.0)
    measurements = []
    for number, p99_ms in enumerate(p99s_ms, start=1):
        for name, p99_s in (("base", p99_ms / 1e3), ("more", 0.001)):
            trial = measured(name, number, 300.0, load=load, cpu_s=0.5)
            latency = Latency(mean_s=0.001, stdev_s=0.01, p99_s=p99_s, max_s=0.05)
            measurements.append(with_wrk(trial, latency=latency))
    settings = replace(SETTINGS, rounds=3, rate_per_s=300.0, p99_limit_s=0.02)
    results = results_of(measurements, labels=LABELS, settings=settings)
    lines = screen(brief(results))
    first = position(lines, told)
    assert first < position(lines, "limit met: the p99 of MicroPie's trials is 1.00ms (")
    assert all(position(lines, line.strip()) > first for line in lines if "per CPU second" in line)
    assert status_of(results) == status
    assert status_of(results, None, Inconclusive.FAIL) == strict_status
    decision = Gate(margin=0.05).decide(results)
    assert status_of(results, decision, Inconclusive.FAIL) == 0, "the reference may miss it"
    assert limit_lines(results, decision, Inconclusive.FAIL) == []
    ends = replace(results, targets=results.targets[::-1])  # now it is compared with the other
    decision = Gate(margin=0.05).decide(ends)
    lines = [line.text for line in limit_lines(ends, decision, Inconclusive.FAIL)]
    assert [line.startswith(told) for line in lines] == [True] * (strict_status > 0)


def test_a_limit_needs_a_rate_and_then_no_rate_is_searched(typed: Typed, asked: Asked) -> None:
    done = typed("compare", "--rate", "300", "--p99-limit", "20ms")
    assert (asked.plan.p99_limit_s, asked.plan.seeks_capacity) == (0.02, False)
    assert "warning" not in done.stderr
    done = typed("compare", "--p99-limit", "20ms")
    assert done.returncode == 2
    assert "needs a --rate" in done.stderr


def test_a_reproduction_ends_in_what_became_of_the_published_order() -> None:
    published = find_published("2025-01-29")
    measurements = []
    for number, load in itertools.product(range(1, 7), published.rows):
        for name, rate_per_s in (("FastAPI", 2000.0), ("MicroPie", 3000.0 + number)):
            measurements.append(measured(name, number, rate_per_s, load=load))
    results = results_of(measurements, labels={name: name for name in ("FastAPI", "MicroPie")})
    settings = replace(SETTINGS, rounds=6)
    results = replace(results, settings=settings)
    conclusion = reproduction_conclusion(results, published)
    lines = screen(Report(results=results, conclusion=conclusion))
    start = position(lines, "MicroPie against FastAPI")
    answer = " ".join(" ".join(lines[start:]).split())
    for count, margin in ((100, "1.103x"), (200, "1.116x")):
        told = f"{count} connections, MicroPie over FastAPI: published {margin}, here 1.502x in"
        assert told in answer
    assert answer.count(": confirmed") == 2
    assert len(lines) - start <= 24
