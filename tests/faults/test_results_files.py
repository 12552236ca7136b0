"""Files, texts and wrks that nobody foresaw: no wrong number, no traceback, nothing lost."""

import contextlib
import csv
import io
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    ENVIRONMENT,
    EXACT,
    EXPORTS,
    RATES,
    SECONDS,
    SETTINGS,
    Compared,
    Tool,
    Typed,
    export_options,
    failed,
    measured,
    report_of,
    results_of,
    run_of,
    single_results,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results_schema import VALIDATOR, loaded
from rich.console import Console

import micropie_bench as mb
from micropie_benchlib.cli.exports import Exporter
from micropie_benchlib.cli.gate import read_results
from micropie_benchlib.cli.records import new_results
from micropie_benchlib.cli.screen import show_report
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.measurements import WrkResult
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.wrk_program import find_wrk
from micropie_benchlib.report.csv_rows import csv_cell, to_csv
from micropie_benchlib.report.drawing import draw_speeds
from micropie_benchlib.report.github import to_github_benchmark
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.report.markdown_text import markdown_code, markdown_text
from micropie_benchlib.report.page import to_html
from micropie_benchlib.report.results_file import from_json, to_json
from micropie_benchlib.wrk.exact import EXACT_MARK, parse_exact
from micropie_benchlib.wrk.rows import parse_reports

PAIRED = run_of([(100.0, 90.0)], partners=True)
RUN = results_of([*run_of(RATES), *PAIRED], settings=SETTINGS, environment=ENVIRONMENT)
SAVED = to_json(RUN)
RENDERERS = (to_markdown, to_csv, to_html, to_github_benchmark)
Place = tuple[str | int, ...]
FIRST = ("measurements", 0)
WRK = (*FIRST, "wrk")
USE = (*FIRST, "use")
TARGET = ("targets", 0)
RESPONSE = (*TARGET, "responses", "hello")
COMPARISON = ("comparisons", 0)
PERCENTILE = ("distributions", 0, "percentiles", 0)
DIED = [{"kind": "failed", "figures": {}, "words": {"error": "died"}}]


def shown(results: Results, *, width: int = 80) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=True, markup=False, highlight=False
    )
    show_report(report_of(results), console, was_run=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def edited(changes: Mapping[Place, object]) -> dict[str, Any]:
    """Return what SAVED holds, with another value, or one more, at each of these places."""
    data: dict[str, Any] = json.loads(SAVED)
    for where, value in changes.items():
        inner: Any = data
        for step in where[:-1]:
            inner = inner[step]
        inner[where[-1]] = value
    return data


def text_with(changes: Mapping[Place, object]) -> str:
    return json.dumps(edited(changes))


def without(where: Place) -> dict[str, Any]:
    data = edited({where: None})
    inner: Any = data
    for step in where[:-1]:
        inner = inner[step]
    del inner[where[-1]]
    return data


def complaint_about(text: str) -> str:
    """Return what is told of a text that is no results file: one line, safe on a terminal."""
    with pytest.raises(BenchError) as raised:
        from_json(text)
    complaint = str(raised.value)
    assert complaint.isprintable()
    assert len(complaint) < 1000
    return complaint


# --- values that contradict one another -------------------------------------------------

MEAN = "latency contains .*: .*the mean or the deviation is above the maximum"
PERCENTILES = "latency contains .*: .*a percentile is above"
PARTNER = "measurements.0 contains .*: .*a paired trial has a partner, and a single trial none"


@pytest.mark.parametrize(
    ("where", "value", "complaint"),
    [
        pytest.param((*WRK, "latency", "mean_s"), 0.5, MEAN, id="a mean above the maximum"),
        pytest.param((*WRK, "latency", "stdev_s"), 0.5, MEAN, id="a deviation above the maximum"),
        pytest.param((*WRK, "latency", "p99_s"), 0.5, PERCENTILES, id="a p99 above the maximum"),
        pytest.param((*WRK, "latency", "p50_s"), 0.02, PERCENTILES, id="a median above the p99"),
        pytest.param((*FIRST, "partner"), "more", PARTNER, id="a single trial of two"),
        pytest.param((*FIRST, "method"), "paired", PARTNER, id="a paired trial of one"),
        pytest.param(
            ("measurements", 8, "partner"),
            "base",
            "measurements.8 contains .*: .*a target cannot be its own partner",
            id="a paired trial with itself",
        ),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_in_one_line(
    where: Place, value: object, complaint: str
) -> None:
    assert from_json(SAVED)
    assert re.search(complaint, complaint_about(text_with({where: value})))


def test_what_a_file_says_of_its_figures_is_worked_out_again() -> None:
    """So no verdict, interval or rank of a file can be another than its figures give."""
    lies = edited(
        {
            (*COMPARISON, "verdict"): "faster",
            (*COMPARISON, "estimate", "ratio"): 2.0,
            (*COMPARISON, "rounds"): 50,
            ("rankings",): [],
            (*FIRST, "valid"): False,
        }
    )
    assert from_json(json.dumps(lies)) == from_json(SAVED)


def test_the_figures_of_wrks_text_agree_as_it_rounds_them() -> None:
    for file in (Path(__file__).parent.parent / "data").glob("*.txt"):
        with contextlib.suppress(BenchError):
            results = new_results(measurements=parse_reports(file.read_text()).measurements)
            assert to_json(from_json(to_json(results))) == to_json(results)


def test_a_report_of_somebody_elses_that_contradicts_itself_is_shown_with_a_note() -> None:
    text = (Path(__file__).parent.parent / "data/gist.txt").read_text()
    wrong = text.replace("Requests/sec:   2031.28", "Requests/sec:   9031.28")
    assert wrong != text
    first, *others = [measurement.warnings for measurement in parse_reports(wrong).measurements]
    assert first == (BenchWarning.of(Kind.CONTRADICTION, unit="requests"),)
    assert not any(others)


@pytest.mark.parametrize("depth", [3, 100, 249, 900, 3000, 100_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_is_told_in_one_line(depth: int, brackets: str) -> None:
    opening = brackets[0] if brackets == "[]" else '{"a":'
    value = opening * depth + "1" + brackets[1] * depth
    for name in ("targets", "measurements", "settings"):
        data = SAVED.rstrip().removesuffix("}") + f', "{name}": {value}}}'
        assert complaint_about(data)


# --- what no run wrote -------------------------------------------------------------------


INCOMPLETE = "not a results file, or an incomplete one: "
SCHEMA = ("schema",)
NO_RESULTS = {
    "nothing": ("", INCOMPLETE),
    "cut short": (SAVED[:1000], INCOMPLETE),
    "a list": ("[]", "not a results file: it is not a JSON object"),
    "no schema": ("{}", "its schema is None, not 'micropie-bench/3'"),
    "the schema before": (
        text_with({SCHEMA: "micropie-bench/2"}),
        "not 'micropie-bench/3'; measure again, or use the version that wrote it",
    ),
    "an escape sequence": (text_with({SCHEMA: "\x1b[31m"}), r"its schema is '\x1b[31m', not"),
    "a long schema": (text_with({SCHEMA: "s" * 10_000}), "its schema is 'sss"),
    "half a character": (text_with({("command",): "\ud800"}), INCOMPLETE),
    "a name with an escape sequence": (
        text_with({(*TARGET, "versions"): {"a\x1b[31m\n": 1}}),
        r"targets.0.versions.'a\x1b[31m\n' contains an impossible value, 1: ",
    ),
}


@pytest.mark.parametrize(("text", "complaint"), NO_RESULTS.values(), ids=NO_RESULTS)
def test_what_is_no_results_file_is_told_in_one_line(text: str, complaint: str) -> None:
    assert complaint in complaint_about(text)


def test_what_is_not_a_text_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(SAVED, encoding="utf-16")
    with pytest.raises(BenchError, match=r"^cannot read '.*/r.json': it is not text$"):
        read_results(str(tmp_path / "r.json"))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000])
def test_no_rate_is_read_that_is_not_a_number(number: str) -> None:
    rate = '"requests_per_s": 100.0'
    assert rate in SAVED
    assert complaint_about(SAVED.replace(rate, f'"requests_per_s": {number}', 1))


WRONG = [
    pytest.param((*WRK, "requests_per_s"), -1.0, id="a negative rate"),
    pytest.param((*WRK, "requests_per_s"), 1.001e15, id="an enormous rate"),
    pytest.param((*WRK, "duration_s"), 1.001e9, id="a duration of decades"),
    pytest.param((*WRK, "requests"), 0.5, id="half a request"),
    pytest.param((*WRK, "bytes"), 10**18 + 1, id="an enormous count"),
    pytest.param((*WRK, "latency", "p99_s"), -1e6, id="a negative latency"),
    pytest.param((*PERCENTILE, 0), 101, id="a percentile of 101%"),
    pytest.param((*USE, "worker_balance"), 1.5, id="a balance above 1"),
    pytest.param((*FIRST, "round"), 100_001, id="an endless run"),
    pytest.param((*FIRST, "load", "connections"), 10**400, id="connections beyond all numbers"),
    pytest.param((*RESPONSE, "status"), 1000, id="a status above 999"),
    pytest.param(("settings", "server", "port"), 65536, id="port 65536"),
    pytest.param(("settings", "rounds"), 0, id="no rounds asked for"),
    pytest.param(("settings", "rounds"), True, id="a truth value for a number"),
    pytest.param(("environment", "cpu_count"), "2", id="a text for a count"),
]


@pytest.mark.parametrize(("where", "value"), WRONG)
def test_a_file_that_no_run_wrote_is_refused_by_reader_and_schema(
    where: Place, value: object
) -> None:
    data = edited({where: value})
    place = re.escape(".".join(map(str, where)))  # or one within
    complaint = complaint_about(json.dumps(data))
    assert re.match(rf"{place}(\.\w+)? contains an impossible value, ", complaint)
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize("name", ["", "a\x1b[31m", "a\nb"])
@pytest.mark.parametrize(
    "where",
    [(*TARGET, "name"), (*TARGET, "label"), (*FIRST, "target"), (*FIRST, "load", "workload")],
)
def test_a_name_that_cannot_be_shown_is_refused(where: Place, name: str) -> None:
    place = ".".join(map(str, where))
    told = complaint_about(text_with({where: name}))
    assert told.startswith(f"{place} contains an impossible value, ")


@pytest.mark.parametrize(
    "where",
    [("created",), ("settings", "rounds"), (*TARGET, "label"), (*WRK, "latency", "max_s")],
    ids=lambda where: ".".join(map(str, where)),
)
def test_a_file_with_a_gap_is_refused_by_reader_and_schema(where: Place) -> None:
    data = without(where)
    complaint = complaint_about(json.dumps(data))
    assert complaint.startswith(f"{'.'.join(map(str, where))} contains an impossible value, ")
    assert complaint.endswith("Field required")
    assert not VALIDATOR.is_valid(data)


@pytest.mark.parametrize(
    "where",
    [
        ("seed",),
        ("settings",),
        ("environment",),
        ("environment", "governor"),
        (*WRK, "latency"),
        (*WRK, "latency", "p99_s"),
        USE,
        (*USE, "worker_balance"),
        (*FIRST, "limited_by"),
    ],
    ids=lambda where: ".".join(map(str, where)),
)
def test_what_an_older_file_lacks_is_not_known(where: Place) -> None:
    lacking, unknown = json.dumps(without(where)), text_with({where: None})
    assert loaded(lacking)
    assert from_json(lacking) == from_json(unknown)


def test_a_warning_of_a_later_version_is_read() -> None:
    later = edited({(*FIRST, "warnings"): [{"kind": "of 2030", "figures": {"new": 1.5}}]})
    (warning,) = from_json(json.dumps(later)).measurements[0].warnings
    assert warning == BenchWarning.of(Kind.UNKNOWN, new=1.5)


def test_what_a_newer_file_has_beyond_is_left_out() -> None:
    places = ((), ("settings", "server"), ("environment",), TARGET, RESPONSE, FIRST, WRK, USE)
    newer = text_with({(*place, "surprise"): 1 for place in places})
    assert loaded(newer)
    assert from_json(newer) == from_json(SAVED)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {
                (*WRK, "requests_per_s"): 1e15,
                (*WRK, "requests"): SECONDS * 10**15,
                (*WRK, "latency_uncorrected"): None,
            },
            id="the highest rate",
        ),
        pytest.param(
            {(*WRK, "duration_s"): 1e9, (*WRK, "requests_per_s"): 0, (*WRK, "bytes_per_s"): 0},
            id="the longest time, with a rate that is rounded to 0",
        ),
        pytest.param({(*FIRST, "round"): 100_000}, id="the last round"),
        pytest.param({(*FIRST, "load", "connections"): 999_999}, id="999999 connections"),
        pytest.param({("measurements",): []}, id="no measurements"),
        pytest.param({("distributions", 0, "percentiles"): []}, id="no percentiles"),
        pytest.param({("distributions", 0, "percentiles"): [[100, 0]]}, id="a maximum of 0"),
        pytest.param({("distributions",): []}, id="no distributions"),
        pytest.param({(*TARGET, "responses"): {}}, id="no responses"),
        pytest.param({("targets",): []}, id="no targets"),
    ],
)
def test_whatever_is_read_can_be_reported(changes: Mapping[Place, object]) -> None:
    text = text_with(changes)
    assert loaded(text)
    results = from_json(text)
    assert facts_in(to_json(results)) == facts_in(text)
    report = report_of(results)
    for render in RENDERERS:
        assert render(report)
    draw_speeds(results, results.comparisons, width=60)


def facts_in(text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(text)
    del data["comparisons"], data["rankings"]
    return data


def test_a_trial_that_counts_without_requests_is_refused() -> None:
    nothing = edited({(*WRK, "requests"): 0, (*WRK, "requests_per_s"): 0})
    told = complaint_about(json.dumps(nothing))
    assert told.startswith("measurements.0 contains an impossible value, ")
    assert told.endswith("a trial without requests cannot be valid")
    nothing["measurements"][0] |= {"valid": False, "invalid": DIED}
    assert from_json(json.dumps(nothing)).measurements[0].wrk


def test_values_that_nobody_measured_are_told_in_one_line(typed: Typed, tmp_path: Path) -> None:
    file, page = tmp_path / "edited.json", tmp_path / "page.html"
    file.write_text(text_with({(*WRK, "requests_per_s"): -1.0}))
    done = typed("report", str(file), "--export-html", str(page))
    assert (done.returncode, done.stdout, page.exists()) == (1, "", False)
    (line,) = done.stderr.splitlines()
    assert line.startswith(
        f"micropie_bench: '{file}': "
        "measurements.0.wrk.requests_per_s contains an impossible value, -1.0: "
    )


# --- any file ---------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [
        *("", "a", "base", "\x1b]52;c;aGk=\x07", "\u202egnp", "|", "```", "<script>", "=1+1"),
        *("a\nb", "single", "paired", "slower", "hello", "9" * 400, "\ud800"),
    ]
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, -1, 2**63, 10**18, 1e-320, 1e100, 1e308, -0.0, 0.5, 100_000]),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def containers_in(data: Any) -> Iterator[Any]:
    inner = data.values() if isinstance(data, dict) else data
    if isinstance(data, dict | list) and data:
        yield data
        for value in inner:
            yield from containers_in(value)


def mutate(data: Any, draw: st.DataObject) -> None:
    container = draw.draw(st.sampled_from(list(containers_in(data))))
    keys = list(container) if isinstance(container, dict) else list(range(len(container)))
    key = draw.draw(st.sampled_from(keys))
    value = container[key]
    change = draw.draw(st.sampled_from(["replace", "scale", "drop", "add", "swap"]))
    if change == "scale" and type(value) in (int, float):
        container[key] = value * draw.draw(st.sampled_from([-1, 0, 2, 1e3, 1e-3, 1.004]))
    elif change == "drop":
        del container[key]
    elif change == "add" and isinstance(container, dict):
        container[draw.draw(TEXTS)] = draw.draw(VALUES)
    elif change == "swap":
        other = draw.draw(st.sampled_from(keys))
        container[key], container[other] = container[other], value
    else:
        container[key] = draw.draw(VALUES)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_any_change_of_a_file_is_refused_in_one_line_or_rendered(draw: st.DataObject) -> None:
    data = json.loads(SAVED)
    for _ in range(draw.draw(st.integers(1, 3))):
        mutate(data, draw)
    try:
        results = from_json(json.dumps(data))
    except BenchError as error:
        assert str(error).isprintable()  # noqa: PT017  # either is right
        return
    for render in RENDERERS:
        text = render(report_of(results))
        assert all(line.isprintable() for line in text.split("\n"))
    assert to_json(from_json(to_json(results))) == to_json(results)
    assert_safe(shown(results))


@given(st.one_of(VALUES.map(json.dumps), st.text(max_size=40), st.binary().map(repr)))
def test_any_text_is_a_results_file_or_refused_in_one_line(text: str) -> None:
    assert complaint_about(text)


# --- wrk's own line ---------------------------------------------------------------------


def exact_of(line: str) -> WrkResult:
    wrk, report = parse_exact(f"Running\n{EXACT_MARK}{line}\n", connections=2)
    assert report == "Running\n"
    return wrk


WRONG_LINES = [
    *("", "x", "[]", "{}", "null", "1", "[" * 100_000, json.dumps([EXACT])),
    *(json.dumps({k: v for k, v in EXACT.items() if k != name}) for name in EXACT),
    *(
        json.dumps({**EXACT, name: value})
        for name in EXACT
        for value in (None, -1, "a", True, [[1]], [[2, 1], [1, 1]], {"a": 1}, 1e400, 10**400)
    ),
    *(json.dumps({**EXACT, name: float("nan")}) for name in EXACT),
    json.dumps({**EXACT, "duration_us": 0}),
    json.dumps({**EXACT, "requests": 1.5}),
    json.dumps({**EXACT, "errors": EXACT["errors"] | {"read": -1}}),
    json.dumps({**EXACT, "mean_us": 300}),
    json.dumps({**EXACT, "max_us": 150}),
    json.dumps({**EXACT, "histogram": []}),
    json.dumps({**EXACT, "histogram": [[100, -1]]}),
    json.dumps(EXACT) + "}",
]


@pytest.mark.parametrize("line", WRONG_LINES, ids=map(str, range(len(WRONG_LINES))))
def test_a_line_that_is_not_wrks_own_is_told_as_such(line: str) -> None:
    assert exact_of(json.dumps(EXACT)).requests_per_s == 10
    with pytest.raises(BenchError) as raised:
        exact_of(line)
    assert str(raised.value).startswith("unexpected line from wrk's script: ")
    assert str(raised.value).isprintable()


@given(st.data())
def test_any_change_of_wrks_line_is_refused_or_gives_figures_that_can_be_saved(
    draw: st.DataObject,
) -> None:
    data = json.loads(json.dumps(EXACT))
    mutate(data, draw)
    try:
        wrk = exact_of(json.dumps(data))
    except BenchError:
        return
    measurement = replace(
        measured("base", 1, 100), wrk=wrk, invalid=failed("it does not matter here")
    )
    results = results_of([measurement])
    assert from_json(to_json(results)).measurements[0].wrk


# --- texts from outside -----------------------------------------------------------------

NASTY = (
    "\x1b]52;c;aGFja2Vk\x07 \x1b[2J \x9b31m \u202egnp.exe\u2066 a\rb\n"
    "```\n<script>alert(1)</script> | [x](javascript:1) \u2028# *b*"
)


def nasty_results() -> Results:
    """Return results with such a text wherever a file may have one."""
    invalid = replace(
        RUN.measurements[0], invalid=failed(NASTY), warnings=failed(NASTY), report=NASTY
    )
    targets = []
    for facts in RUN.targets:
        response = replace(
            facts.responses["hello"], headers=(("content-type", NASTY + facts.name),)
        )
        changed = replace(
            facts,
            server_command=NASTY,
            versions={"uvicorn": NASTY + facts.name},
            responses={"hello": response},
        )
        targets.append(changed)
    measurements = (invalid, *RUN.measurements[1:])
    results = results_of(measurements, command=NASTY, created=NASTY, warnings=failed(NASTY))
    comparisons = tuple(replace(comparison, reason=NASTY) for comparison in results.comparisons)
    return replace(results, targets=tuple(targets), comparisons=comparisons)


STYLES = re.compile(r"\x1b\[[\d;]*m")  # rich's own: nothing but colours


def assert_safe(text: str) -> None:
    """Fail if the text holds anything but printable lines and colours."""
    for line in STYLES.sub("", text).split("\n"):
        assert line.isprintable(), ascii(line)


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_text_steers_the_terminal(width: int) -> None:
    text = shown(nasty_results(), width=width)
    assert_safe(text)
    assert not re.search(r"\x1b\[31m", text)
    assert r"\x1b]52;c;aGFja2Vk\x07" in text, "it is shown, not dropped"


def test_no_text_of_an_error_steers_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    mb.print_error(BenchError(f"its last error line: {NASTY}"))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()


def test_no_text_steers_what_reads_an_export() -> None:
    for render in (*RENDERERS, lambda report: to_json(report.results)):
        assert_safe(render(report_of(nasty_results())))


def test_what_json_escapes_is_the_same_when_read() -> None:
    results = nasty_results()
    assert json.loads(to_json(results))["command"] == NASTY
    assert from_json(to_json(results)).warnings == failed(NASTY)


def blocks_of(markdown: str) -> tuple[str, str]:
    outside: list[str] = []
    inside: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        match = re.match("`{3,}", line)
        closes = line.strip("`") == "" and match and len(match[0]) >= len(fence)
        if match and (closes or not fence):
            fence = "" if fence else match[0]
        else:
            (inside if fence else outside).append(line)
    assert not fence, "a block of code is not closed"
    return re.sub(r"(?<!\\)(`+)(?!`).*?(?<!`)\1(?!`)", "", "\n".join(outside)), "\n".join(inside)


def test_no_text_is_markdown_but_in_code() -> None:
    outside, inside = blocks_of(to_markdown(report_of(nasty_results())))
    assert "<script>" in inside
    assert not re.search(r"(?<!\\)[<`]", outside)
    assert "](" not in outside
    assert not re.search(r"(?<![\\*])\*b\*", outside)
    headings = [line for line in outside.split("\n") if line.startswith("#")]
    assert all(line.startswith(("### ", "#### ")) for line in headings)


def test_pipes_shift_no_column_of_markdown() -> None:
    labels = {"base": "a|b\\|c", "more": "`|`"}
    results = results_of(single_results().measurements, labels=labels, command="a | b `c`")
    lines = to_markdown(report_of(results)).split("\n")
    rows = [line for line in lines if line.startswith("|")]
    columns = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows}
    assert columns == {3, 8, 9}, "two, seven and eight cells"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a `b`", "`` a `b` ``"),
        ("`", "`` ` ``"),
        ("a\nb", r"`a\nb`"),
        ("micropie_bench compare -c 10 'a|b'", "`micropie_bench compare -c 10 'a|b'`"),
    ],
)
def test_code_in_markdown_is_what_it_was(text: str, shown: str) -> None:
    assert markdown_code(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("requests_per_s of app:app", "requests_per_s of app:app"),
        ("__init__", r"\_\_init\_\_"),
        ("# no heading", r"\# no heading"),
        ("- no list", r"\- no list"),
        ("12. no list", r"12\. no list"),
        ("1.52x as fast", "1.52x as fast"),
        ("-5%", "-5%"),
        ("a &amp; b", r"a \&amp; b"),
        ("More [here.json]", "More [here.json]"),
    ],
)
def test_a_text_in_markdown_is_what_it_was(text: str, shown: str) -> None:
    assert markdown_text(text) == shown


@pytest.mark.parametrize("first", ["=", "+", "-", "@"])
def test_no_text_is_a_formula_of_a_spreadsheet(first: str) -> None:
    name = f"{first}HYPERLINK(1)"
    invalid = replace(measured(name, 1, 100), invalid=failed(f"{first}1"), warnings=failed("\t=1"))
    results = results_of([invalid], labels={name: name})
    (row,) = csv.DictReader(io.StringIO(to_csv(report_of(results))))
    assert row["target"] == f"'{name}"
    assert row["invalid"] == f"'{first}1"
    assert row["warnings"] == r"\t=1"


def test_a_number_is_no_formula() -> None:
    assert csv_cell(-1.5) == -1.5
    assert csv_cell("1.5") == "1.5"


# --- files that are replaced ------------------------------------------------------------


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    file, link = tmp_path / "real/results.json", tmp_path / "link.json"
    file.write_text("old")
    link.symlink_to(file)
    Exporter("--export-json", str(link)).write("new")
    assert link.is_symlink()
    assert file.read_text() == "new"


def test_a_file_whose_replacement_fails_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "results.json"
    file.write_text("old")
    exporter = Exporter("--export-json", str(file))

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    told = r"^not written: .*: No space left on device; the existing file is an older one$"
    with pytest.raises(BenchError, match=told):
        exporter.write("new")
    assert [each.read_text() for each in tmp_path.iterdir()] == ["old"]


# --- what is told before, and after -----------------------------------------------------


def test_a_bad_baseline_is_told_before_anything_is_started(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(text_with({(*WRK, "requests"): -1}))
    done = typed("compare", "--fail-if-slower", "5%", "--baseline", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "requests contains an impossible" in line


def test_an_interruption_before_the_first_measurement_leaves_all_files_as_they_are(
    tmp_path: Path, compared: Compared
) -> None:
    end = BenchWarning.of(Kind.INTERRUPTED, round=1, rounds=6)
    nothing = results_of([], settings=SETTINGS, warnings=(end,))
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        for kind in EXPORTS if name == "old" else ():
            (tmp_path / f"old/out.{kind}").write_text(SAVED)
        options = export_options(tmp_path / name)
        done = compared(nothing, *options, GITHUB_STEP_SUMMARY=f"{tmp_path}/summary.md")
        assert (done.returncode, done.stdout) == (130, "")
        told = "interrupted in round 1 of 6: nothing was measured, and no file was written or chan"
        twins, line = done.stderr.splitlines()
        assert twins == "warning: base and more are one target: all differences are noise"
        assert line.startswith(told)
    left = [each.read_text() for each in tmp_path.rglob("*.*")]
    assert left == [SAVED] * len(EXPORTS)


def test_a_wrk_that_cannot_be_executed_is_told_as_such(tmp_path: Path) -> None:
    wrk = tmp_path / "wrk"
    wrk.write_text("#!/bin/sh\n")
    with pytest.raises(BenchError, match=f"^{wrk} is not executable"):
        find_wrk(str(wrk))
    with pytest.raises(BenchError, match=f"^{tmp_path} is not executable"):
        find_wrk(str(tmp_path))
    with pytest.raises(BenchError, match=f"^wrk not found at {tmp_path}/no"):
        find_wrk(str(tmp_path / "no"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip("only root can mount one")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_run_on_a_full_disk_says_that_it_is_full(tool: Tool, small_disk: Path) -> None:
    done = tool.run(
        "compare", "asgi", "-r", "1", "-d", "1s", "-c", "8", "-w", "1", TMPDIR=str(small_disk)
    )
    assert done.returncode == 1
    assert f"invalid: No space left on device in {small_disk}: make room there" in done.stdout
