"""Texts with wrk's reports as people keep them: no figure is lost, none is invented."""

import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from conftest import Typed
from hypothesis import given
from hypothesis import strategies as st
from results_schema import loaded

from micropie_benchlib.cli.records import new_results
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.csv_rows import to_csv
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.results_file import from_json, to_json
from micropie_benchlib.report.tables import gist_table, result_tables
from micropie_benchlib.report.warnings import text_of
from micropie_benchlib.wrk.histogram import latency_from_histogram, latency_with_percentiles
from micropie_benchlib.wrk.reports import decode_text
from micropie_benchlib.wrk.rows import parse_reports

URL = "http://127.0.0.1:8000/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A report as wrk prints it; `extra` are the lines that it prints of errors."""

    url: str = URL
    seconds: int = 10
    threads: int = 2
    connections: int = 10
    latency: str = "1.45ms    7.30ms 667.25ms   99.09%"
    requests: str = "69967"
    duration: str = "10.00s"
    data: str = "2.60MB"
    rate: str = "6996.70"
    extra: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        return [
            f"Running {self.seconds}s test @ {self.url}",
            f"  {self.threads} threads and {self.connections} connections",
            "  Thread Stats   Avg      Stdev     Max   +/- Stdev",
            f"    Latency    {self.latency}",
            "    Req/Sec     1.81k    41.90     2.00k    68.01%",
            f"  {self.requests} requests in {self.duration}, {self.data} read",
            *self.extra,
            f"Requests/sec: {self.rate:>10}",
            "Transfer/sec:    266.24KB",
        ]

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


ALPHA = Printed(requests="138656", rate="13865.62", latency="721.00us 7.30ms 667.25ms 99.09%")
BETA = Printed(requests="2547491", rate="254749.13", latency="39.00us 7.30ms 667.25ms 99.09%")
NO_LATENCY = "0.00us    0.00us   0.00us    -nan%"
TWO_TIMEOUTS = "  Socket errors: connect 0, read 0, write 0, timeout 2"


def whole(text: str) -> tuple[Measurement, ...]:
    parsed = parse_reports(text)
    assert not parsed.warnings
    return parsed.measurements


def read(text: str) -> Results:
    return new_results(measurements=whole(text))


def rows(text: str) -> list[tuple[str, ...]]:
    results = read(text)
    found: list[tuple[str, ...]] = []
    for load in results.loads:
        found += gist_table(results, load).rows
    return found


# What is not known is not zero.


@pytest.mark.parametrize("share", ["nan%", "-nan%"])
def test_a_latency_that_wrk_did_not_time_is_unknown(share: str) -> None:
    printed = replace(ALPHA, latency=f"0.00us    0.00us   0.00us    {share}", requests="109876")
    results = read(printed.text)
    (measurement,) = results.measurements
    assert measurement.valid
    assert measurement.latency_p99_s is None
    assert rows(printed.text)[0][1:4] == ("unknown", "unknown", "13865.62")
    assert any("the latency is not known" in line for line in conclude(results).warnings)
    saved = loaded(to_json(results))
    assert saved["measurements"][0]["wrk"]["latency"] is None
    assert from_json(to_json(results)) == results
    assert to_csv(Report(results=results, conclusion=conclude(results)))


def test_rounds_that_tell_their_latency_give_that_of_the_row() -> None:
    untimed = replace(ALPHA, latency=NO_LATENCY)
    ((_, mean, longest, *_),) = rows(f"alpha\n{untimed.text}{ALPHA.text}")
    assert (mean, longest) == ("721.00us", "667.25ms")


def test_a_run_of_our_own_that_timed_nothing_has_no_latency() -> None:
    assert latency_from_histogram(()) is None
    assert latency_with_percentiles((), mean_s=0.0, stdev_s=0.0, max_s=0.0) is None


# Somebody else's errors are told, and invalid nothing.


def test_errors_of_a_report_mark_its_figures_and_are_told_of_its_own_row() -> None:
    late = replace(ALPHA, extra=(TWO_TIMEOUTS,))
    later = replace(BETA, extra=(TWO_TIMEOUTS.replace("2", "30"),))
    text = f"alpha\n{late.text}\nbeta\n{later.text}"
    assert [(row[0], row[3]) for row in rows(text)] == [
        ("alpha (2 errors)", "13865.62"),
        ("beta (30 errors)", "254749.13"),
    ]
    assert [line.partition(": slower")[0] for line in conclude(read(text)).warnings] == [
        "alpha: 2 timeouts",
        "beta: 30 timeouts",
    ]


SOCKET_ERRORS = "  Socket errors: connect {}, read {}, write {}, timeout 0"


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"extra": (SOCKET_ERRORS.format(1, 0, 0),)}, "1 failed connection: "),
        ({"extra": (SOCKET_ERRORS.format(0, 5, 0),)}, "5 read errors: "),
        ({"extra": (SOCKET_ERRORS.format(0, 0, 7),)}, "7 write errors: "),
        ({"extra": ("  Non-2xx or 3xx responses: 9",)}, "9 of 138656 responses had a status above"),
        ({"requests": "8", "rate": "0.80"}, "8 requests: fewer than the 10 connections"),
        (
            {"latency": "50.00ms 22.49ms 191.01ms 98.58%"},
            "by Little's law 693 of 10 connections were busy: the mean latency is too high",
        ),
        (
            {"latency": "0.36ms 0.20ms 1.00ms 98.58%"},
            "by Little's law 5 of 10 connections were busy: wrk waited",
        ),
    ],
)
def test_what_is_wrong_with_a_report_is_a_warning(changes: dict[str, object], warning: str) -> None:
    printed = replace(ALPHA, **changes)  # type: ignore[arg-type]
    (measurement,) = whole(printed.text)
    assert measurement.valid
    assert [text_of(each)[: len(warning)] for each in measurement.warnings] == [warning]


# Figures that cannot be.

MANY = "9" * 400


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"data": f"{MANY}MB"}, id="bytes"),
        pytest.param({"requests": "9" * 5000}, id="requests beyond what Python reads"),
        pytest.param({"latency": f"{MANY}s 1.00ms 1.00ms 99.00%"}, id="a latency"),
        pytest.param({"latency": f"1.00ms 1.00ms 1.00ms {MANY}%"}, id="a share"),
        pytest.param({"latency": "-1.00ms 1.00ms 1.00ms 99.00%"}, id="a latency below 0"),
        pytest.param({"threads": 0}, id="no thread"),
        pytest.param({"connections": MANY}, id="connections"),
        pytest.param({"seconds": MANY}, id="seconds"),
        pytest.param({"extra": (TWO_TIMEOUTS + MANY,)}, id="timeouts"),
    ],
)
def test_an_impossible_figure_is_refused_with_its_line(changes: dict[str, object]) -> None:
    printed = replace(ALPHA, **changes)  # type: ignore[arg-type]
    parsed = parse_reports(f"{printed.text}\n{BETA.text}")
    assert [m.requests_per_s for m in parsed.measurements] == [254749.13]
    assert {int(each.words["line"]) for each in parsed.warnings} <= {1, 2, 3, 4, 6, 7, 8}
    assert parsed.warnings


def test_the_greatest_figures_can_be_saved_and_read_again() -> None:
    greatest = Printed(
        threads=999_999,
        connections=999_999,
        latency="99999.99h 99999.99h 99999.99h 100.00%",
        requests="9" * 15,
        duration="99999.99h",
        data="99999.99TB",
        rate="9" * 14 + ".99",
        extra=(TWO_TIMEOUTS.replace("2", "9" * 15), "  Non-2xx or 3xx responses: " + "9" * 15),
    )
    results = read(greatest.text)
    assert from_json(to_json(results)) == results


# Names: what documents say above a report.


def named_rates(text: str) -> list[tuple[str, float | None]]:
    return [(m.target, m.requests_per_s) for m in whole(text)]


FENCED_ALPHA = f"```\n{ALPHA.text}```\n"
FENCED_BETA = f"```\n{BETA.text}```\n"
COMMAND = "wrk -t2 -c10 -d10s http://127.0.0.1:8000/"
OF_TWO_SERVERS = [
    pytest.param("alpha\n---\n\n{a}\nbeta\n---\n\n{b}", id="underlined by Markdown"),
    pytest.param("alpha\n=====\n{a}\nbeta\n=====\n{b}", id="underlined, no blank line"),
    pytest.param("-----\nalpha\n-----\n\n{a}\n----\nbeta\n----\n\n{b}", id="over- and underlined"),
    pytest.param("## alpha\n{a}\n## beta\n{b}", id="Markdown's marks"),
    pytest.param("##alpha##\n{a}\n##beta##\n{b}", id="marks without spaces"),
    pytest.param("**alpha**\n{a}\n**beta**\n{b}", id="bold lines"),
    pytest.param("__alpha:__\n{a}\n__beta__:\n{b}", id="bold lines with colons"),
    pytest.param("- alpha\n{a}\n- beta\n{b}", id="a list"),
    pytest.param("1. alpha\n{a}\n2. beta\n{b}", id="a numbered list"),
    pytest.param("=== alpha ===\n{a}\n=== beta ===\n{b}", id="framed lines"),
    pytest.param(f"alpha\n$ {COMMAND}\n{{a}}\nbeta\n$ {COMMAND}\n{{b}}", id="a prompt"),
    pytest.param(f"alpha\n{COMMAND}\n{{a}}\nbeta\n{COMMAND}\n{{b}}", id="a bare command"),
    pytest.param(
        f"# alpha\n\nann@box:~$ {COMMAND}\n\n{{a}}\n# beta\n\nann@box:~$ {COMMAND}\n\n{{b}}",
        id="a prompt with user and host",
    ),
    pytest.param("[alpha](http://a.example)\n\n{a}\n[beta](http://b.example)\n\n{b}", id="links"),
    pytest.param(
        "# alpha\n\nEach run was short. It was warm.\n\n{a}## beta\n{b}", id="prose below"
    ),
]


@pytest.mark.parametrize("template", OF_TWO_SERVERS)
@pytest.mark.parametrize("in_fences", [False, True])
def test_headings_name_the_reports(template: str, in_fences: bool) -> None:
    first, second = (FENCED_ALPHA, FENCED_BETA) if in_fences else (ALPHA.text, BETA.text)
    text = template.format(a=first, b=second)
    assert named_rates(text) == [("alpha", 13865.62), ("beta", 254749.13)]


UNNAMED = {
    "sentences": (
        f"Here is the performance of alpha.\n\n```\nann@box:~/wrk$  {COMMAND}\n{ALPHA.text}"
        f"```\n\nHere is the performance of beta.\n\n```\nann@box:~/wrk$  {COMMAND}\n"
        f"{BETA.text}```\n",
        ["report 1 (line 5)", "report 2 (line 19)"],
    ),
    "nothing": (ALPHA.text + BETA.text, ["report 1 (line 1)", "report 2 (line 9)"]),
    "a heading that says nothing, twice": (
        f"## Results\n{FENCED_ALPHA}\n## Results\n{FENCED_BETA}",
        ["Results (line 3)", "Results (line 15)"],
    ),
    "a name that comes back": (
        f"alpha\n{ALPHA.text}beta\n{BETA.text}alpha\n{ALPHA.text}",
        ["alpha (line 2)", "beta", "alpha (line 20)"],
    ),
    "a plain title holds no longer than its reports": (
        f"alpha\n{ALPHA.text}\nNow the other server, with more of everything.\n\n{BETA.text}",
        ["alpha", "report 2 (line 13)"],
    ),
    "labels below a heading, which a rule ends": (
        f"## alpha\n(one)\n{ALPHA.text}(two)\n{BETA.text}-----\n{BETA.text}",
        ["alpha: (one)", "alpha: (two)", "alpha"],
    ),
    "another fence before": (
        f"## Install\n```\npip install server\n```\n## alpha\n{FENCED_ALPHA}",
        ["alpha"],
    ),
    "comments in one fence": (
        f"```\n# alpha\n$ {COMMAND}\n{ALPHA.text}\n# beta\n$ {COMMAND}\n{BETA.text}```\n",
        ["alpha", "beta"],
    ),
    "a server's own words in the fence": (
        f"- alpha (2 workers)\n```\nlistening on {URL}\n  Ctrl+C stops it\n{ALPHA.text}```\n",
        ["report 1 (line 5)"],
    ),
    "a bar": (f"a|b\n{ALPHA.text}", ["a|b"]),
    "headings with a command in them": (
        f"### alpha (wrk -t2 -c10)\n{ALPHA.text}### beta (wrk -t2 -c10)\n{BETA.text}",
        ["alpha (wrk -t2 -c10)", "beta (wrk -t2 -c10)"],
    ),
}


@pytest.mark.parametrize(("text", "names"), UNNAMED.values(), ids=UNNAMED)
def test_what_has_no_name_is_named_apart(text: str, names: list[str]) -> None:
    assert [name for name, _ in named_rates(text)] == names


# Rounds: only what is surely alike is pooled.


def test_reports_that_follow_each_other_under_a_heading_are_rounds() -> None:
    text = f"## alpha\n```\n$ {COMMAND}\n{ALPHA.text}{ALPHA.text}```\n\n---\n{FENCED_ALPHA}"
    assert [(m.target, m.round) for m in whole(text)] == [("alpha", 1), ("alpha", 2), ("alpha", 3)]


@pytest.mark.parametrize(
    ("other", "names"),
    [
        ({"url": "http://127.0.0.1:8001/"}, ["alpha (line 2)", "alpha (line 10)"]),
        ({"threads": 4}, ["alpha (line 2)", "alpha (line 10)"]),
        ({"seconds": 30}, ["alpha (line 2)", "alpha (line 10)"]),
        ({"connections": 200}, ["alpha", "alpha"]),
    ],
)
def test_another_load_or_url_under_one_heading_is_a_row_of_its_own(
    other: dict[str, object], names: list[str]
) -> None:
    second = replace(ALPHA, **other)  # type: ignore[arg-type]
    text = f"alpha\n{ALPHA.text}{second.text}"
    assert [(m.target, m.round) for m in whole(text)] == [(name, 1) for name in names]
    assert len(rows(text)) == 2


def test_loads_of_a_target_in_several_places_share_its_name() -> None:
    more = replace(BETA, connections=200)
    text = f"# 10\n## alpha\n{ALPHA.text}# 200\n## alpha\n{more.text}"
    assert [name for name, _ in named_rates(text)] == ["alpha", "alpha"]


# Reports behind something, or in another encoding.


@pytest.mark.parametrize(
    "prefix",
    ["# ", "// ", "> ", "-- ", " * ", "wrk-1  | ", "[INFO] ", "2026-01-01T00:00:00.0000000Z "],
)
def test_reports_behind_a_prefix_are_read_beside_plain_ones(prefix: str) -> None:
    behind = "".join(f"{prefix}{line}\n" for line in ["alpha", *ALPHA.lines])
    text = f"{behind}{prefix.rstrip()}\nbeta\n{BETA.text}"
    assert named_rates(text) == [("alpha", 13865.62), ("beta", 254749.13)]


def test_the_time_of_a_log_differs_from_line_to_line() -> None:
    lines = []
    for second, line in enumerate(["alpha", *ALPHA.lines]):
        lines.append(f"job\trun\t2026-01-01T00:00:{second:02}.{second * 77}Z {line}\n")
    assert named_rates("".join(lines)) == [("alpha", 13865.62)]


def test_a_comment_and_a_report_of_one_name_are_two_rows() -> None:
    comment = "".join(f"# {line}\n" for line in ["alpha", *ALPHA.lines])
    text = f"{comment}alpha\n{ALPHA.text}"
    assert [name for name, _ in named_rates(text)] == ["alpha (line 2)", "alpha (line 11)"]


# What cannot be read is listed, and the rest is shown.


@pytest.mark.parametrize(
    "line",
    [
        "api | Running 10s test @ http://x/ and so on",
        "Requests/sec:   6996.70",
        "noise Requests/sec: 6996.70",
        "#   69967 requests in 10.00s, 2.60MB read",
        "Transfer/sec:      1.62MB",
        "  2 threads and 10 connections",
        "  Socket errors: connect 0, read 0, write 0, timeout 2",
        "    Latency    1.45ms    7.30ms 667.25ms   99.09%",
        "unable to connect to 127.0.0.1:8000 Connection refused",
    ],
)
@pytest.mark.parametrize("after", [False, True])
def test_a_line_of_wrks_outside_of_reports_is_listed(line: str, after: bool) -> None:
    text = f"{ALPHA.text}\n{line}\n" if after else f"{line}\n\n{ALPHA.text}"
    parsed = parse_reports(text)
    assert [each.words["line"] for each in parsed.warnings] == ["10" if after else "1"]
    assert [m.requests_per_s for m in parsed.measurements] == [13865.62]


def changed(old: str, new: str) -> str:
    assert old in ALPHA.text
    return ALPHA.text.replace(old, new)


WRK2_LINE = "  Thread calibration: mean lat.: 9747 usec, rate sampling interval: 21 msec\n"
OTHER_PREFIX = [f"a | {line}" for line in ALPHA.lines]
OTHER_PREFIX[3] = f"b | {ALPHA.lines[3]}"


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        (changed("138656 requests", "138,656 requests"), "line 9: '138,656 requests in"),
        (changed("  2 threads", "- 2 threads"), "line 5: '- 2 threads"),
        (changed("  Thread Stats", f"{WRK2_LINE}  Thread Stats"), "printed by wrk2"),
        (changed("Requests/sec", "```\nRequests/sec"), "line 10: '```'"),
        (changed("Latency ", "Letancy "), "line 7: 'Letancy"),
        ("\n".join(OTHER_PREFIX), "line 7: 'b | "),
        ("\n".join(ALPHA.lines[:-2]), "line 10: '# b"),
        ("\n".join(ALPHA.lines[:6] + ALPHA.lines[7:]), "it has no line for: throughput"),
    ],
)
def test_a_report_that_cannot_be_read_is_listed_beside_the_others(report: str, reason: str) -> None:
    parsed = parse_reports(f"# a\n\n\n{report}\n# beta\n{BETA.text}")
    assert [(m.target, m.requests_per_s) for m in parsed.measurements] == [("beta", 254749.13)]
    (unread,) = parsed.warnings
    assert unread.words["line"] == "4"
    assert reason in unread.words["reason"]


def test_parse_shows_what_it_can_read_and_says_what_not(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "reports.md"
    thousands = changed("138656 requests", "138,656 requests")
    file.write_text(f"# alpha\n{thousands}\n# beta\n{BETA.text}")
    done = typed("parse", str(file))
    assert done.returncode == 1
    assert "254749.13" in done.stdout
    assert "The wrk report at line 2 could not be read" in done.stdout
    file.write_text(thousands)
    done = typed("parse", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert "The wrk report at line 1 could not be read" in done.stderr


def test_reports_around_one_that_cannot_be_read_are_not_pooled() -> None:
    text = f"# alpha\n{ALPHA.text}{changed('138656 requests', '138,656 requests')}{ALPHA.text}"
    names = [m.target for m in parse_reports(text).measurements]
    assert names == ["alpha (line 2)", "alpha (line 18)"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("JSON; parse reads wrk's text", '{"summary": {"successRate": 1.0, "total": 10.0}}'),
        ("results file", '{"schema": "micropie-bench/3"}'),
    ],
)
def test_a_foreign_file_is_named_as_what_it_is(kind: str, text: str) -> None:
    with pytest.raises(BenchError, match=kind):
        parse_reports(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_of_other_systems_are_read(encoding: str, line_end: str) -> None:
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    data = f"{mark}alpha\n{ALPHA.text}".replace("\n", line_end).encode(encoding)
    assert named_rates(decode_text(data)) == [("alpha", 13865.62)]


def test_colours_and_progress_bars_are_passed_over() -> None:
    coloured = "".join(f"\x1b[1;32m{line}\x1b[0m\x1b[K\n" for line in ALPHA.lines)
    text = f"\x1b]0;a title\x07alpha\n 10%\r 50%\r100%\r\n{coloured}"
    assert [m.requests_per_s for m in whole(text)] == [13865.62]


# Surroundings that nobody thought of.

PREFIXES = ("", "# ", "// ", "> ", "wrk_1 | ", "[INFO] ", "2026-01-01T10:00:00.123Z ", "\t")
SURROUNDINGS = (
    *("", "", "```", "~~~", "---", "=====", "$ wrk -t2 http://h/", "ann@box:~$ ls", "# alpha"),
    *("## Raw Output", "alpha", "**beta**", "Here it is.", "1. one", "- two", "| a | b |", "<pre>"),
    *("</pre>", ".. code-block::", "Notes:", "alpha (line 3)", "\x1b[31mred\x1b[0m", "10%\r20%"),
)
SURROUNDING = st.sampled_from(SURROUNDINGS) | st.text(max_size=20)


@st.composite
def printed_reports(draw: st.DrawFn) -> Printed:
    return Printed(
        url=f"http://127.0.0.1:{draw(st.integers(8000, 8002))}/",
        threads=draw(st.integers(1, 2)),
        connections=draw(st.sampled_from([10, 200])),
        rate=f"{draw(st.integers(1, 10**9)) / 100:.2f}",
        latency=draw(st.sampled_from([Printed().latency, NO_LATENCY])),
        extra=draw(st.sampled_from([(), (TWO_TIMEOUTS,)])),
    )


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, list[Printed]]:
    reports = draw(st.lists(printed_reports(), min_size=1, max_size=4))
    lines: list[str] = []
    for report in reports:
        lines += draw(st.lists(SURROUNDING, max_size=4))
        prefix = draw(st.sampled_from(PREFIXES))
        lines += [prefix + line for line in report.lines]
    lines += draw(st.lists(SURROUNDING, max_size=2))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines), reports


@given(documents())
def test_no_report_is_lost_or_changed_whatever_stands_around(
    case: tuple[str, list[Printed]],
) -> None:
    text, reports = case
    parsed = parse_reports(text)
    measurements = parsed.measurements
    rates = [m.requests_per_s for m in measurements]
    printed = [float(report.rate) for report in reports]
    assert rates == printed if not parsed.warnings else Counter(rates) <= Counter(printed)
    assert len(rates) + len(parsed.warnings) >= len(printed)
    if parsed.warnings:
        return
    pooled: dict[tuple[str, LoadId], set[tuple[str, int]]] = {}
    for measurement, report in zip(measurements, reports, strict=True):
        row = (measurement.target, measurement.load)
        assert measurement.load.connections == report.connections
        pooled.setdefault(row, set()).add((report.url, report.threads))
    assert all(len(kinds) == 1 for kinds in pooled.values())
    results = new_results(measurements=measurements)
    assert from_json(to_json(results)) == results
    assert result_tables(results)


@given(st.integers(0, len(ALPHA.text)), st.integers(0, 40), st.text(max_size=10))
def test_a_damaged_report_is_never_passed_over(start: int, length: int, instead: str) -> None:
    damaged = ALPHA.text[:start] + instead + ALPHA.text[start + length :]
    parsed = parse_reports(f"{damaged}\n\nbeta\n{BETA.text}")
    assert parsed.measurements[-1].requests_per_s == 254749.13
    has_figure = re.search(r"Requests/sec:\s*\d", damaged)
    assert len(parsed.measurements) == 2 or parsed.warnings or not has_figure


@given(st.binary(max_size=200))
def test_a_report_below_any_bytes_is_read_or_refused_in_one_line(data: bytes) -> None:
    parsed = parse_reports(decode_text(data + b"\n" + ALPHA.text.encode()))
    assert all(each.words["reason"].isprintable() for each in parsed.warnings)
    rates = [m.requests_per_s for m in parsed.measurements]
    assert rates == [13865.62] or (parsed.warnings and not rates)
