"""What becomes of results: files, reports of saved ones, the gate, GitHub."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from results_schema import VALIDATOR, loaded
from scipy import stats

import micropie_bench as mb

if TYPE_CHECKING:
    from conftest import Tool

GIST = Path(__file__).parent / "data" / "gist.txt"
NAMES = ("base", "more")
LABELS = {"base": "Base", "more": "More"}


def solo(target: str, number: int, rate: float, *, connections: int = 100) -> mb.Measurement:
    (gist, *_) = mb.parse_reports(GIST.read_text())
    assert gist.wrk
    histogram = ((1000, 90), (2000, 9), (30_000, 1))
    latency = dataclasses.replace(gist.wrk.latency, histogram=histogram, p99_s=0.03)
    wrk = dataclasses.replace(gist.wrk, requests_per_s=rate, latency=latency, latency_uncorrected=latency)
    use = mb.ServerUse(server_cpu_s=1.5, server_rss_bytes=2**20, worker_balance=0.5)
    return dataclasses.replace(gist, target=target, round=number, wrk=wrk, use=use, connections=connections)


def results(rates: Sequence[Sequence[float]], **more: Any) -> mb.Results:
    """Return results of solo rounds with these rates of `base` and `more`."""
    made = [
        solo(name, n, rate) for n, pair in enumerate(rates, start=1) for name, rate in zip(NAMES, pair, strict=True)
    ]
    response = mb.Response(status=200, size=144, headers=(("content-type", "text/plain"),), body_sha256="0" * 64)
    facts = tuple(
        mb.TargetFacts(
            name=name, label=LABELS[name], spec=name, versions={}, server_command="serve", responses={"hello": response}
        )
        for name in NAMES
    )
    whole = mb.new_results(seed=1, settings={}, environment={}, targets=facts, **more)
    whole = dataclasses.replace(whole, measurements=tuple(made), distributions=mb.distribute(made))
    return mb.with_comparisons(whole, NAMES)


RATES = ((100.0, 90.0), (102.0, 91.0), (99.0, 90.0), (101.0, 91.5))
COMPARED = results(RATES).comparisons[0]


def test_saved_results_read_again_are_the_same() -> None:
    whole = results(RATES, warnings=("w",))
    text = mb.to_json(whole)
    again = mb.from_json(text)
    assert mb.to_json(again) == text
    tables = [mb.as_text(mb.result_tables(x, LABELS, markdown=True)) for x in (whole, again)]
    assert tables[0] == tables[1]
    assert "| More | 1.00ms | 2.00ms | 30.00ms | 30.00ms |" in " ".join(tables[0].split())


def test_an_unmeasured_trial_survives_the_file() -> None:
    whole = results(RATES)
    void = dataclasses.replace(whole.measurements[0], wrk=None, use=None, invalid_reason="died")
    again = mb.from_json(mb.to_json(dataclasses.replace(whole, measurements=(void,))))
    assert again.measurements == (void,)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "JSONDecodeError"),
        ('{"schema": "micropie-bench/1"', "JSONDecodeError"),
        ("[]", "its schema is None"),
        ("[" * 100_000, "RecursionError"),
        ('{"schema": "micropie-bench/0"}', "its schema is 'micropie-bench/0', not 'micropie-bench/1'"),
        ('{"schema": "micropie-bench/1"}', "KeyError 'targets'"),
        ('{"schema": "micropie-bench/1", "targets": [NaN]}', "NaN is no number"),
        ('{"schema": "micropie-bench/1", "targets": [], "measurements": [1]}', "TypeError"),
        ('{"schema": "micropie-bench/1", "targets": [], "measurements": []}', "created: Field required"),
    ],
)
def test_what_is_no_results_file_is_told_in_one_line(text: str, told: str, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(text)
    done = tool.run("report", str(tmp_path / "r.json"))
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("schema",), "micropie-bench/0"),
        (("measurements", 0, "latency", "p99_ms"), 30),
        (("measurements", 0, "requests"), None),
        (("comparisons", 0, "verdict"), "better"),
        (("targets", 0, "response", "body_sha256"), "0"),
    ],
)
def test_the_schema_refuses_what_is_not_in_it(where: tuple[str | int, ...], value: object) -> None:
    data = json.loads(mb.to_json(results(RATES)))
    assert loaded(json.dumps(data))
    inner: Any = data
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"environment": {"packages": None}}, "a value in it is none that was ever measured"),
        ({"comparisons": (dataclasses.replace(COMPARED, ratio=-1.0),)}, "a value in it is none that was ever measured"),
        ({"measurements": (dataclasses.replace(solo("a\x1b[31m", 1, 1.0)),)}, r"'a\x1b[31m' is no target's name"),
    ],
)
def test_values_that_nobody_measured_are_told_in_one_line(
    change: dict[str, Any], told: str, tool: Tool, tmp_path: Path
) -> None:
    file = tmp_path / "edited.json"
    file.write_text(mb.to_json(dataclasses.replace(results(RATES), **change)))
    done = tool.run("report", str(file), "--export-html", str(tmp_path / "page.html"))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert told in done.stderr


def test_report_keeps_what_it_reads(tool: Tool, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(mb.to_json(results(RATES)))
    before = file.read_text()
    done = tool.run("report", "results.json", "--export-html", str(file), cwd=tmp_path)
    assert (done.returncode, file.read_text()) == (2, before)
    assert "'results.json' is to be read: export to another file" in done.stderr


def test_parse_keeps_what_it_reads(tool: Tool, tmp_path: Path) -> None:
    file = tmp_path / "reports.txt"
    file.write_text(GIST.read_text())
    done = tool.run("parse", "reports.txt", "--export-markdown", str(file), cwd=tmp_path)
    assert (done.returncode, file.read_text()) == (2, GIST.read_text())
    assert "'reports.txt' is to be read: export to another file" in done.stderr


def test_csv_has_a_row_for_each_measurement() -> None:
    whole = results(RATES)
    void = dataclasses.replace(whole.measurements[0], wrk=None, use=None, invalid_reason="died", notes=("a", "b"))
    rows = list(
        csv.DictReader(io.StringIO(mb.to_csv(dataclasses.replace(whole, measurements=(void, *whole.measurements)))))
    )
    assert len(rows) == 1 + 8
    assert (rows[0]["valid"], rows[0]["invalid_reason"], rows[0]["notes"]) == ("False", "died", "a; b")
    assert rows[0]["requests_per_s"] == ""
    assert (rows[1]["requests_per_s"], rows[1]["latency_p99_s"], rows[1]["errors_timeout"]) == ("100.0", "0.03", "0")
    assert None not in rows[0]


def test_markdown_is_whole() -> None:
    whole = dataclasses.replace(results(RATES, warnings=("load average: 9",)), environment={"python": "3.11.7"})
    text = mb.to_markdown(whole, LABELS, mb.conclude(whole, LABELS))
    for part in (
        "# Base and More, measured by micropie_bench",
        "> More is 0.9",
        "### 100 Connections, against Base\n\n| Framework",
        "- load average: 9",
        "| python",
        "- Base: `serve`",
    ):
        assert part in text


def test_github_benchmark_is_bigger_is_better() -> None:
    first, _ = json.loads(mb.to_github_benchmark(results(RATES), LABELS))
    assert (first["name"], first["unit"], first["value"]) == ("Base, 100 connections", "requests/s", 100.5)
    assert first["range"].startswith("± 2.0")


def test_a_change_against_a_baseline_is_welchs() -> None:
    now, before = (
        [math.log(rng.gauss(1, 0.02)) for _ in range(n)] for rng, n in ((random.Random(1), 6), (random.Random(2), 9))
    )

    def compared(logs: list[float]) -> tuple[mb.Comparison, ...]:
        return results([(100.0, 100.0 * math.exp(log)) for log in logs]).comparisons

    (change,) = mb.slowdowns(compared(now), compared(before))
    told = stats.ttest_ind([-x for x in now], [-x for x in before], equal_var=False)
    assert change.slowdown == pytest.approx(math.exp(statistics.mean(before) - statistics.mean(now)))
    whole = told.confidence_interval()
    assert math.log(change.low) == pytest.approx(whole.low, abs=0.001), "whole degrees of freedom are a little wider"
    assert math.log(change.low) <= whole.low
    assert math.log(change.high) >= whole.high


@pytest.mark.parametrize(
    ("rates", "margin", "trips"),
    [
        (RATES, 0.05, True),
        (RATES, 0.15, False),
        (((100.0, 60.0), (100.0, 110.0)), 0.05, False),  # slower by 23% on average, but not with confidence
        (((100.0, 110.0), (100.0, 111.0)), 0.0, False),
    ],
)
def test_the_gate_trips_on_intervals_alone(rates: Sequence[Sequence[float]], margin: float, trips: bool) -> None:
    lines, tripped = mb.Gate(margin=margin, baseline=None).decide(results(rates), LABELS)
    assert tripped == trips
    (line,) = lines
    assert line.startswith(f"gate {'failed' if trips else 'passed'}: More at 100 connections takes ")


def test_the_gate_compares_with_the_baselines_ratio_not_its_speed() -> None:
    twice = results([(2 * a, 2 * b) for a, b in RATES])
    lines, trips = mb.Gate(margin=0.05, baseline=twice).decide(results(RATES), LABELS)
    assert not trips, "a machine of half the speed is no slower target"
    assert "against the baseline, each relative to Base" in lines[0]
    slower = results([(a, 0.85 * b) for a, b in RATES])
    assert mb.Gate(margin=0.05, baseline=results(RATES)).decide(slower, LABELS)[1]


def test_a_gate_with_nothing_to_decide_by_fails() -> None:
    lines, trips = mb.Gate(margin=0.05, baseline=results(RATES[:1])).decide(results(RATES), LABELS)
    assert trips
    assert "no interval to decide by" in lines[0]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--fail-if-slower", "5"), "use a share such as 5%"),
        (("--fail-if-slower", "5%", "-r", "1"), "at least 2 rounds"),
        (("--baseline", "x.json"), "--baseline needs --fail-if-slower"),
        (("--export-json", "-", "--export-csv", "-"), "cannot share standard output"),
        (("--export-json", "same", "--export-csv", "./same"), "two exports go to one file: "),
        (("--export-csv", "/nowhere/x.csv"), "--export-csv '/nowhere/x.csv': No such file or directory"),
    ],
)
def test_wrong_options_are_told_before_anything_is_measured(args: tuple[str, ...], told: str, tool: Tool) -> None:
    done = tool.run("compare", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_the_gate_goes_by_what_the_verdict_goes_by() -> None:
    whole = results(RATES)
    duet = [dataclasses.replace(c, method=mb.Method.DUET) for c in whole.comparisons if c.metric is mb.Metric.CPU]
    wide = [dataclasses.replace(c, ratio=1.2, ci_low=1.1, ci_high=1.3) for c in duet]
    (change,) = mb.slowdowns((*whole.comparisons, *wide), None)
    assert change.load.method is mb.Method.DUET
    assert change.slowdown == pytest.approx(1.2)


def test_a_baseline_of_something_else_is_told_before_anything_is_measured(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(mb.to_json(results(RATES)))
    done = tool.run("compare", "--fail-if-slower", "5%", "--baseline", str(tmp_path / "b.json"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "it has: more against base, 100 connections, hello" in done.stderr


def test_knee_is_where_throughput_stops_growing() -> None:
    made = [
        solo("base", 1, rate, connections=n)
        for n, rate in ((1, 30.0), (10, 80.0), (50, 99.0), (100, 100.0), (200, 90.0))
    ]
    assert mb.knee(made, "base", "hello") == 50
    assert mb.knee(made[:2], "base", "hello") is None
    whole = dataclasses.replace(results(RATES), measurements=tuple(made), comparisons=())
    assert "Base: throughput grows up to 50 connections" in mb.conclude(whole, LABELS)[0]


def test_saved_runs_side_by_side(tool: Tool, tmp_path: Path) -> None:
    here = results(RATES)
    there = dataclasses.replace(here, environment={"python": "4"})
    for name, whole in (
        ("here", here),
        ("there", there),
        ("other", dataclasses.replace(here, settings={"threads": 1})),
    ):
        (tmp_path / f"{name}.json").write_text(mb.to_json(whole))
    done = tool.run("report", "here.json", "there.json", "--export-csv", "-", cwd=tmp_path)
    assert done.returncode == 0
    assert {row["target"] for row in csv.DictReader(io.StringIO(done.stdout))} == {
        f"{name} [{file}]" for name in NAMES for file in ("here", "there")
    }
    assert "| More [there]" in done.stderr
    assert "They differ in python: here: None; there: 4." in done.stderr
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/here.json").write_text(mb.to_json(there))
    done = tool.run("report", "here.json", "sub/here.json", cwd=tmp_path)
    assert "| More [sub/here.json]" in done.stdout
    assert "100 Connections, against Base [here.json]\n" in done.stdout
    assert "100 Connections, against Base [sub/here.json]\n" in done.stdout
    done = tool.run("report", "here.json", "other.json", cwd=tmp_path)
    assert (done.returncode, "differ in threads" in done.stderr) == (2, True)


def test_all_exports_of_one_run_and_github(tool: Tool, tmp_path: Path) -> None:
    files = {kind: tmp_path / f"out.{kind}" for kind in ("json", "markdown", "csv", "html", "github-benchmark")}
    options = [word for kind, file in files.items() for word in (f"--export-{kind}", str(file))]
    short = ("-r", "2", "-d", "1s", "-c", "8", "-t", "2", "-w", "1", "--no-duet")
    summary = tmp_path / "summary.md"
    env: dict[str, Any] = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ACTIONS": "true"}
    done = tool.run("compare", "asgi", "micropie", *short, *options, "--fail-if-slower", "900%", **env)
    assert done.returncode == 0, done.stderr
    assert "::notice title=micropie_bench::gate passed: MicroPie at 8 connections takes +" in done.stderr
    assert summary.read_text() == files["markdown"].read_text()
    assert "```\nMicroPie\n\nRunning 1s test @" in files["markdown"].read_text()
    assert len(files["csv"].read_text().splitlines()) == 5
    assert [entry["unit"] for entry in json.loads(files["github-benchmark"].read_text())] == ["requests/s"] * 2
    assert loaded(files["json"].read_text())["comparisons"]
    assert files["html"].read_text().count("<figure>") == 4
    again = tool.run("report", str(files["json"]), "--export-html", str(tmp_path / "again.html"))
    assert (tmp_path / "again.html").read_text().count("<figure>") == 4
    shown, saved = (text.partition("gate ")[0].rstrip() for text in (done.stdout, again.stdout))
    assert shown == saved
    done = tool.run("compare", "asgi", "micropie", *short, "--fail-if-slower", "0%", "--baseline", str(files["json"]))
    assert "against" in done.stdout
    assert done.returncode == ("gate failed" in done.stdout)


def test_bars_are_in_proportion_and_show_their_intervals() -> None:
    lines = mb.bars(results(RATES), LABELS, width=60)
    base, more = (next(line for line in lines if line.startswith(label)) for label in LABELS.values())
    assert len(base) == 60
    assert more.count("█") / base.count("█") == pytest.approx(89.5 / 98.4, abs=0.03)
    assert 1 <= base.count("▒") <= 4
    assert mb.bars(mb.new_results(seed=1, settings={}, environment={}), LABELS, width=60) == []


def test_what_serves_the_targets_is_told_where_it_differs() -> None:
    whole = results(RATES, warnings=())
    base, more = whole.targets
    have = {"uvicorn": "1", "uvloop": "2"}
    mixed = (dataclasses.replace(base, versions=have), dataclasses.replace(more, versions={"uvicorn": "1"}))
    told = mb.conclude(dataclasses.replace(whole, targets=mixed), LABELS)
    assert "They are served by different versions of uvloop: Base 2, More none." in told
    assert not [line for line in told if "of uvicorn" in line]
