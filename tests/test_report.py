"""The report's words, held against the numbers that they stand for, and its tables."""

from __future__ import annotations

import dataclasses
import itertools
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from conftest import HUNDRED, LABELS, NAMES, RATES, measured, results_of, solo_results

import micropie_bench as mb

REQUESTS, P99, CPU = mb.Metric.REQUESTS, mb.Metric.P99, mb.Metric.CPU
SOLO, DUET = mb.Method.SOLO, mb.Method.DUET


# One verdict.


def comparison_of(
    metric: mb.Metric,
    ratio: float,
    interval: tuple[float, float] | None,
    *,
    method: mb.Method = SOLO,
    load: mb.LoadId = HUNDRED,
    confidence: float = 0.95,
) -> mb.Comparison:
    """Return a comparison of `more` with `base`: of 6 rounds, or 1 without an interval."""
    low, high = interval or (None, None)
    estimate = mb.Estimate(ratio=ratio, low=low, high=high, confidence=confidence)
    return mb.Comparison(
        load=load,
        method=method,
        metric=metric,
        reference="base",
        target="more",
        rounds=6 if interval else 1,
        estimate=estimate,
        verdict=mb.judge(estimate, metric),
        reason=None if interval else "one valid round shows no uncertainty",
    )


def without_estimate(reason: str) -> mb.Comparison:
    return mb.Comparison(
        load=HUNDRED,
        method=SOLO,
        metric=REQUESTS,
        reference="base",
        target="more",
        rounds=0,
        estimate=None,
        verdict=mb.Verdict.INVALID,
        reason=reason,
    )


@pytest.mark.parametrize(
    ("comparison", "verdict", "sentence"),
    [
        pytest.param(
            comparison_of(REQUESTS, 1.25, (1.2, 1.3)),
            mb.Verdict.FASTER,
            "More is 1.250x Base at 100 connections by requests per second "
            "(95% CI 1.200 to 1.300, 6 solo rounds).",
            id="more requests are faster",
        ),
        pytest.param(
            comparison_of(REQUESTS, 0.8, (0.75, 0.85)),
            mb.Verdict.SLOWER,
            "More is 0.800x Base at 100 connections by requests per second "
            "(95% CI 0.750 to 0.850, 6 solo rounds).",
            id="fewer requests are slower",
        ),
        pytest.param(
            comparison_of(CPU, 0.8, (0.75, 0.9), method=DUET),
            mb.Verdict.FASTER,
            "More is 1.250x Base at 100 connections by server CPU per request "
            "(95% CI 1.111 to 1.333, 6 duet rounds).",
            id="less CPU time is faster",
        ),
        pytest.param(
            comparison_of(CPU, 1.25, (1.2, 1.3), method=DUET),
            mb.Verdict.SLOWER,
            "More is 0.800x Base at 100 connections by server CPU per request "
            "(95% CI 0.769 to 0.833, 6 duet rounds).",
            id="more CPU time is slower",
        ),
        pytest.param(
            comparison_of(P99, 0.5, (0.4, 0.625)),
            mb.Verdict.FASTER,
            "More is 2.000x Base at 100 connections by p99 latency "
            "(95% CI 1.600 to 2.500, 6 solo rounds).",
            id="less latency is faster",
        ),
        pytest.param(
            comparison_of(P99, 2, (1.6, 2.5)),
            mb.Verdict.SLOWER,
            "More is 0.500x Base at 100 connections by p99 latency "
            "(95% CI 0.400 to 0.625, 6 solo rounds).",
            id="more latency is slower",
        ),
        pytest.param(
            comparison_of(REQUESTS, 1.01, (0.98, 1.03)),
            mb.Verdict.NO_DIFFERENCE,
            "More and Base at 100 connections: no difference found in requests per second, "
            "within 3.0% either way (95% CI 0.980 to 1.030, 6 solo rounds).",
            id="no difference, by the further end above",
        ),
        pytest.param(
            comparison_of(REQUESTS, 0.98, (0.95, 1.01)),
            mb.Verdict.NO_DIFFERENCE,
            "More and Base at 100 connections: no difference found in requests per second, "
            "within 5.0% either way (95% CI 0.950 to 1.010, 6 solo rounds).",
            id="no difference, by the further end below",
        ),
        pytest.param(
            comparison_of(CPU, 1, (0.8, 1.25), method=DUET),
            mb.Verdict.NO_DIFFERENCE,
            "More and Base at 100 connections: no difference found in server CPU per request, "
            "within 25.0% either way (95% CI 0.800 to 1.250, 6 duet rounds).",
            id="no difference in CPU time",
        ),
        pytest.param(
            comparison_of(REQUESTS, 1.05, (1, 1.1)),
            mb.Verdict.NO_DIFFERENCE,
            "More and Base at 100 connections: no difference found in requests per second, "
            "within 10.0% either way (95% CI 1.000 to 1.100, 6 solo rounds).",
            id="an interval that ends at 1 holds it",
        ),
        pytest.param(
            comparison_of(REQUESTS, 1.1, None),
            mb.Verdict.UNDECIDED,
            "More is 1.100x Base at 100 connections by requests per second; "
            "one valid round shows no uncertainty, and launches differ by 5 to 20%.",
            id="one round",
        ),
        pytest.param(
            comparison_of(CPU, 0.8, None, method=DUET),
            mb.Verdict.UNDECIDED,
            "More is 1.250x Base at 100 connections by server CPU per request; "
            "one valid round shows no uncertainty, and launches differ by 5 to 20%.",
            id="one duet",
        ),
        pytest.param(
            without_estimate("no round is valid for both"),
            mb.Verdict.INVALID,
            "More at 100 connections: no verdict, no round is valid for both.",
            id="void",
        ),
        pytest.param(
            without_estimate(f"{mb.SATURATED}: this would compare load generators, not servers"),
            mb.Verdict.INVALID,
            "More at 100 connections: no verdict, load generator saturated: "
            "this would compare load generators, not servers.",
            id="saturated",
        ),
        pytest.param(
            comparison_of(REQUESTS, 1.25, (1.2, 1.3), confidence=1 - 0.05 / 2),
            mb.Verdict.FASTER,
            "More is 1.250x Base at 100 connections by requests per second "
            "(97.5% CI 1.200 to 1.300, 6 solo rounds).",
            id="one of two comparisons",
        ),
        pytest.param(
            comparison_of(REQUESTS, 1.25, (1.2, 1.3), confidence=1 - 0.05 / 3),
            mb.Verdict.FASTER,
            "More is 1.250x Base at 100 connections by requests per second "
            "(98.33% CI 1.200 to 1.300, 6 solo rounds).",
            id="one of three comparisons",
        ),
        pytest.param(
            comparison_of(
                REQUESTS, 1.25, (1.2, 1.3), load=mb.LoadId(workload="json", connections=1)
            ),
            mb.Verdict.FASTER,
            "More is 1.250x Base at 1 connection, json by requests per second "
            "(95% CI 1.200 to 1.300, 6 solo rounds).",
            id="another load",
        ),
    ],
)
def test_a_verdicts_words_say_what_its_numbers_do(
    comparison: mb.Comparison, verdict: mb.Verdict, sentence: str
) -> None:
    assert comparison.verdict is verdict
    assert mb.verdict_sentence(solo_results(), comparison) == sentence


# All verdicts of a run.


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The figures of a verdict, as its sentence has them."""

    target: str
    reference: str
    speed: float
    low: float
    high: float
    metric: str
    confidence: float
    rounds: int
    method: str


def figures_in(sentence: str) -> Figures:
    """Return the figures of a sentence that says faster or slower."""
    match = re.fullmatch(
        r"(.+) is ([\d.]+)x (.+) at 100 connections by (.+) "
        r"\(([\d.]+)% CI ([\d.]+) to ([\d.]+), (\d+) (solo|duet) rounds\)\.",
        sentence,
    )
    assert match, sentence
    return Figures(
        target=match[1],
        speed=float(match[2]),
        reference=match[3],
        metric=match[4],
        confidence=float(match[5]),
        low=float(match[6]),
        high=float(match[7]),
        rounds=int(match[8]),
        method=match[9],
    )


def run_of(
    rates: Sequence[tuple[float, float]],
    *,
    partners: bool = False,
    cpu_s: tuple[float, float] = (1.0, 1.0),
    void: str | None = None,
    limited_by: mb.Limit = mb.Limit.SERVER_CPU,
    first_round: int = 1,
) -> list[mb.Measurement]:
    """Return rounds with these requests/s of `base` and `more`, alone or as duets."""
    base, more = NAMES
    measurements = []
    for number, (base_rate, more_rate) in enumerate(rates, start=first_round):
        for name, partner, rate, cpu in (
            (base, more, base_rate, cpu_s[0]),
            (more, base, more_rate, cpu_s[1]),
        ):
            measurement = measured(
                name,
                number,
                rate,
                cpu_s=cpu,
                partner=partner if partners else None,
                void=void,
                limited_by=limited_by,
            )
            measurements.append(measurement)
    return measurements


FASTER = [(1000.0, 1190.0), (1010.0, 1230.0), (990.0, 1180.0), (1005.0, 1215.0)]
SLOWER = [(more, base) for base, more in FASTER]


@pytest.mark.parametrize("rates", [FASTER, SLOWER], ids=["faster", "slower"])
def test_the_speed_is_the_geometric_mean_of_the_rounds(rates: list[tuple[float, float]]) -> None:
    (sentence,) = mb.verdict_sentences(results_of(run_of(rates)))
    figures = figures_in(sentence)
    speed = statistics.geometric_mean([more / base for base, more in rates])
    assert figures.speed == pytest.approx(speed, abs=0.0005)
    assert figures.low < figures.speed < figures.high
    assert (figures.low > 1) == (speed > 1)
    assert (figures.target, figures.reference) == ("More", "Base")
    assert (figures.confidence, figures.rounds, figures.method) == (95, 4, "solo")


def test_duets_decide_by_cpu_time_even_against_the_throughput() -> None:
    """By throughput `more` is slower; but its requests take 0.8 of the CPU time."""
    alone = run_of(SLOWER)
    together = run_of([(1000, 1000 + number) for number in range(4)], partners=True, cpu_s=(1, 0.8))
    (sentence,) = mb.verdict_sentences(results_of([*alone, *together]))
    figures = figures_in(sentence)
    assert (figures.metric, figures.method) == ("server CPU per request", "duet")
    assert figures.speed == pytest.approx(1 / 0.8, rel=0.01)


def test_throughput_decides_where_the_duets_are_void() -> None:
    together = run_of(FASTER, partners=True, void="somebody stopped it")
    (sentence,) = mb.verdict_sentences(results_of([*run_of(SLOWER), *together]))
    figures = figures_in(sentence)
    assert (figures.metric, figures.method) == ("requests per second", "solo")
    assert figures.high < 1


@pytest.mark.parametrize(
    ("measurements", "sentence"),
    [
        pytest.param(
            run_of(FASTER, void="worker 7 died"),
            "More at 100 connections: no verdict, no round is valid for both.",
            id="all rounds are void",
        ),
        pytest.param(
            run_of(FASTER, void=mb.SATURATED, limited_by=mb.Limit.LOAD_GENERATOR),
            "More at 100 connections: no verdict, load generator saturated: "
            "this would compare load generators, not servers.",
            id="saturated",
        ),
        pytest.param(
            run_of([(100.0, 110.0)]),
            "More is 1.100x Base at 100 connections by requests per second; "
            "one valid round shows no uncertainty, and launches differ by 5 to 20%.",
            id="one round",
        ),
        pytest.param(
            [*run_of([(100.0, 110.0)]), *run_of(FASTER, void="gone", first_round=2)],
            "More is 1.100x Base at 100 connections by requests per second; "
            "one valid round shows no uncertainty, and launches differ by 5 to 20%.",
            id="one valid round",
        ),
        pytest.param(
            run_of([(100.0, 110.0), (110.0, 100.0)]),
            # Of ln 1.1 and -ln 1.1: t(95%, 1 degree) x ln 1.1 = 12.7062 x 0.0953102 = 1.21103,
            # and its exponential is 3.3569.
            "More and Base at 100 connections: no difference found in requests per second, "
            "within 235.7% either way (95% CI 0.298 to 3.357, 2 solo rounds).",
            id="two rounds that contradict each other",
        ),
    ],
)
def test_a_run_that_decides_nothing_says_why(
    measurements: list[mb.Measurement], sentence: str
) -> None:
    assert mb.verdict_sentences(results_of(measurements)) == [sentence]


def test_each_target_and_load_has_its_verdict_with_wider_intervals() -> None:
    rates = {"base": (1000, 1001, 1002), "more": (1200, 1201, 1203), "less": (800, 799, 802)}
    two_hundred = mb.LoadId(workload="hello", connections=200)
    measurements = []
    for load in (HUNDRED, two_hundred):
        for name, each in rates.items():
            measurements += [
                measured(name, number, rate, load=load) for number, rate in enumerate(each)
            ]
    labels = {**LABELS, "less": "Less"}
    sentences = mb.verdict_sentences(results_of(measurements, labels=labels))
    assert [re.sub(r"\.\d{3}x|\(97\.5% .*", "", sentence) for sentence in sentences] == [
        "More is 1 Base at 100 connections by requests per second ",
        "Less is 0 Base at 100 connections by requests per second ",
        "More is 1 Base at 200 connections by requests per second ",
        "Less is 0 Base at 200 connections by requests per second ",
    ]


def test_one_target_has_no_verdict() -> None:
    results = results_of([measured("base", 1, 100)], labels={"base": "Base"})
    assert mb.verdict_sentences(results) == []


# Notes.


def test_oddities_are_said_once_with_their_rounds_at_their_worst() -> None:
    measurements = []
    for number, share in ((1, 12), (3, 45)):
        note = f"other processes took {share}% of the machine"
        measurement = dataclasses.replace(measured("base", number, 100), notes=(note,))
        measurements.append(measurement)
    assert mb.measurement_notes(results_of(measurements)) == [
        "Round 1, 3 (Base): other processes took 45% of the machine"
    ]


def test_what_is_void_is_said_with_its_reason() -> None:
    results = results_of(run_of(FASTER[:1], void="worker 7 died", partners=True))
    assert mb.measurement_notes(results) == [
        "Base, 100 connections, round 1 (duet): void, worker 7 died",
        "More, 100 connections, round 1 (duet): void, worker 7 died",
    ]


# Tables.


def table_of(titles: Sequence[str], *rows: tuple[str, ...]) -> mb.Table:
    """Return a table whose first column is aligned to the left."""
    return mb.Table(title="T", columns=mb.columns_from(titles, left=titles[:1]), rows=rows)


def test_markdown_is_escaped_and_padded_to_what_is_seen() -> None:
    table = table_of(("Framework", "a|b"), ("日本|x", "1.50"), ("é", "100.00 ± 3.00"))
    assert mb.markdown_lines(table) == [
        r"| Framework |          a\|b |",
        r"|-----------|---------------|",
        r"| 日本\|x   |          1.50 |",
        r"| é         | 100.00 ± 3.00 |",
    ]


def shown_width(text: str) -> int:
    """Return how many columns of a terminal the text takes (Unicode, UAX #11)."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def cells_of(line: str) -> list[str]:
    """Return the cells of a line of a Markdown table."""
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_markdown_holds_every_cell_in_columns_of_even_width() -> None:
    labels = {"base": "ベース|基", "more": "M" * 50}
    results = results_of(solo_results().measurements, labels=labels)
    for table in mb.result_tables(results):
        titles, rule, *rows = mb.markdown_lines(table)
        assert cells_of(titles) == [column.title for column in table.columns]
        assert [tuple(cells_of(row)) for row in rows] == list(table.rows)
        assert {shown_width(line) for line in (titles, rule, *rows)} == {shown_width(titles)}


def on_terminal(table: mb.Table, width: int) -> list[str]:
    """Return the lines of the table as one sees them."""
    lines = mb.terminal_lines(table, width=width)
    return [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]


WIDTHS = (1, 40, *range(60, 110, 5), 200)


def test_no_figure_is_cut_at_any_width() -> None:
    labels = {"base": "Base", "more": "日本 more@0.32"}
    tables = mb.result_tables(results_of(run_of(RATES), labels=labels))
    assert len(tables) == 3, "the gist's, details, the comparison"
    for table, width in itertools.product(tables, WIDTHS):
        shown = Counter(" ".join(on_terminal(table, width)).split())
        for cells in table.rows:
            shown.subtract(" ".join(cells).split())
        missing = [word for word, count in shown.items() if count < 0]
        assert missing == [], width
        for column in table.columns:
            assert set(column.title.split()) <= set(shown) or column is table.columns[0], width


def test_a_cell_is_broken_at_spaces_alone_and_a_figure_only_where_there_is_no_room() -> None:
    table = mb.gist_table(solo_results(), HUNDRED)
    words = set(" ".join(itertools.chain(*table.rows)).split())
    words.update(" ".join(column.title for column in table.columns).split())
    for width in range(40, 120):
        lines = on_terminal(table, width)
        shown = " ".join(lines).split()
        assert {word for word in shown if "─" not in word} <= words
        assert max(map(len, lines)) <= width
    assert any(" ± " in line for line in on_terminal(table, 80))


def test_a_table_is_as_wide_as_the_terminal_at_most_where_that_can_be() -> None:
    for table in mb.result_tables(solo_results()):
        narrowest = max(map(shown_width, on_terminal(table, 1)))
        for width in WIDTHS:
            widest = max(map(shown_width, on_terminal(table, width)))
            assert widest <= max(width, narrowest)
