"""The report's words, held against the numbers that they stand for, and its tables."""

import itertools
import re
import statistics
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from conftest import (
    HUNDRED,
    LABELS,
    NAMES,
    RATES,
    SETTINGS,
    facts_of,
    measured,
    results_of,
    run_of,
    single_results,
)

from micropie_benchlib.core.choices import Limit, Method, Verdict
from micropie_benchlib.core.estimates import Comparison, Distribution, Estimate
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.layout import Table
from micropie_benchlib.report.markdown import wrk_reports
from micropie_benchlib.report.markdown_text import markdown_lines
from micropie_benchlib.report.tables import result_tables, work_tables
from micropie_benchlib.report.terminal import terminal_lines
from micropie_benchlib.report.verdict_lines import verdict_lines_of, verdict_sentence
from micropie_benchlib.report.warnings import lines_of, templates, text_of
from micropie_benchlib.stats.gate import Gate
from micropie_benchlib.stats.verdicts import judge
from micropie_benchlib.stats.warnings import (
    reconnecting,
    shared_cores,
    trials_alone,
    unfinished,
    waiting,
)

REQUESTS, P99, CPU = Metric.REQUESTS, Metric.P99, Metric.CPU
SINGLE, PAIRED = Method.SINGLE, Method.PAIRED


def comparison_of(
    metric: Metric,
    ratio: float,
    interval: tuple[float, float],
    *,
    method: Method = SINGLE,
    load: LoadId = HUNDRED,
    confidence: float = 0.95,
) -> Comparison:
    low, high = interval
    comparison = Comparison(
        load=load,
        method=method,
        metric=metric,
        reference="base",
        target="more",
        rounds=6,
        degrees=5,
        estimate=Estimate(ratio=ratio, low=low, high=high, confidence=confidence),
        verdict=Verdict.INCONCLUSIVE,
    )
    return replace(comparison, verdict=judge(comparison.speed))


PLAIN = comparison_of(REQUESTS, 1.2, (1.1, 1.3))  # the requests/s of the gist's table


HERE = "; requests/s here 1.20x (1.10 to 1.30)"
SENTENCES = {
    "more requests are faster": (
        comparison_of(REQUESTS, 1.25, (1.2, 1.3)),
        Verdict.FASTER,
        "1.25x as fast as Base in requests/s (1.20 to 1.30)",
    ),
    "less CPU time is faster": (
        comparison_of(CPU, 0.8, (0.75, 0.9), method=PAIRED),
        Verdict.FASTER,
        f"1.25x as fast as Base per CPU second (1.11 to 1.33){HERE}",
    ),
    "less latency is faster": (
        comparison_of(P99, 0.5, (0.4, 0.625)),
        Verdict.FASTER,
        f"2.00x as fast as Base in p99 latency (1.60 to 2.50){HERE}",
    ),
    "a narrow interval has a third decimal": (
        comparison_of(CPU, 1 / 1.004, (1 / 1.006, 1 / 1.002), method=PAIRED),
        Verdict.FASTER,
        f"1.004x as fast as Base per CPU second (1.002 to 1.006){HERE}",
    ),
    "the same, by the further end above": (
        comparison_of(REQUESTS, 1.01, (0.98, 1.03)),
        Verdict.SAME,
        "as fast as Base in requests/s, within 3.0%",
    ),
    "an interval that reaches beyond 5% is inconclusive": (
        comparison_of(REQUESTS, 0.98, (0.9499, 1.01)),
        Verdict.INCONCLUSIVE,
        # ln of the ends: half-width 3.1%. t(95%, 5) = 2.5706, so the standard deviation
        # is 0.02921; to lie within ln 1.05 of 1 the interval must be 0.02859 either way,
        # which takes 7 rounds (t(95%, 6) = 2.4469: 0.0270).
        "0.98x as fast as Base in requests/s, ±3%: too noisy; try -r 7",
    ),
    "an interval that ends at 1 holds it": (
        comparison_of(REQUESTS, 1.05, (1, 1.1025)),
        Verdict.INCONCLUSIVE,
        # ln 1.05 = 0.04879 either way by 6 rounds: the 7th leaves 1 out.
        "1.050x as fast as Base in requests/s, ±5%: too noisy; try -r 7",
    ),
    "too noisy in CPU time": (
        comparison_of(CPU, 1, (0.8, 1.25), method=PAIRED),
        Verdict.INCONCLUSIVE,
        # ln 1.25 = 0.2231 by 6 rounds: standard deviation 0.2126; ln 1.05 takes 76
        # (t(95%, 75) = 1.9921: 0.04859).
        f"1.00x as fast as Base per CPU second, ±25%: too noisy; try -r 76{HERE}",
    ),
    "an interval without bounds is not no difference": (
        comparison_of(REQUESTS, 1.312, (1e-7, 58_217_678.839)),
        Verdict.INCONCLUSIVE,
        "1.31x as fast as Base in requests/s: too noisy",
    ),
}


@pytest.mark.parametrize(("comparison", "verdict", "sentence"), SENTENCES.values(), ids=SENTENCES)
def test_a_verdicts_words_say_what_its_numbers_do(
    comparison: Comparison, verdict: Verdict, sentence: str
) -> None:
    assert comparison.verdict is verdict
    others = () if comparison.metric is REQUESTS else (PLAIN,)
    results = replace(single_results(), comparisons=(comparison, *others))
    assert verdict_sentence(results, comparison) == f"More is {sentence}"


# All verdicts of a run.


FASTER = [(1000.0, 1190.0), (1010.0, 1230.0), (990.0, 1180.0), (1005.0, 1215.0)]
SLOWER = [(more, base) for base, more in FASTER]


@pytest.mark.parametrize("rates", [FASTER, SLOWER], ids=["faster", "slower"])
def test_the_speed_is_the_geometric_mean_of_the_rounds(rates: list[tuple[float, float]]) -> None:
    (line,) = verdict_lines_of(results_of(run_of(rates)))
    speed = statistics.geometric_mean([more / base for base, more in rates])
    found = line.comparison.speed
    assert found
    assert found.interval
    assert found.ratio == pytest.approx(speed)
    assert found.interval.low < speed < found.interval.high
    assert line.comparison.verdict is (Verdict.FASTER if speed > 1 else Verdict.SLOWER)
    assert (line.comparison.target, line.comparison.load) == ("more", HUNDRED)
    assert found.confidence == 0.95


def test_paired_trials_decide_by_cpu_time_even_against_the_throughput() -> None:
    """By throughput `more` is slower; but its requests take 0.8 of the CPU time."""
    alone = run_of(SLOWER, cpu_s=(1.2, 0.8))
    together = run_of([(1000, 1000 + number) for number in range(4)], partners=True, cpu_s=(1, 0.8))
    (line,) = verdict_lines_of(results_of([*alone, *together]))
    assert line.comparison.speed
    assert line.comparison.verdict is Verdict.FASTER
    assert line.comparison.speed.ratio == pytest.approx(1 / 0.8, rel=0.01)
    assert re.fullmatch(
        r"More is 1\.25\dx as fast as Base per CPU second \(1\.\d{3} to 1\.\d{3}\); "
        r"requests/s here 0\.83x \(0\.8\d to 0\.8\d\)",
        line.sentence,
    )


def test_throughput_decides_where_the_paired_trials_are_invalid() -> None:
    together = run_of(FASTER, partners=True, invalid="somebody stopped it")
    (line,) = verdict_lines_of(results_of([*run_of(SLOWER), *together]))
    assert line.comparison.verdict is Verdict.SLOWER
    assert " as fast as Base in requests/s (" in line.sentence
    assert "here" not in line.sentence


def waiting_run(*who: str) -> Results:
    """Return rounds in which these targets waited; in the paired trials `more` used less CPU."""
    measurements = run_of(FASTER, partners=True, cpu_s=(1, 0.8))
    for measurement in run_of(SLOWER, cpu_s=(1.2, 0.7)):
        limit = Limit.NEITHER if measurement.target in who else Limit.SERVER_CPU
        measurements.append(replace(measurement, limited_by=limit))
    return results_of(measurements)


@pytest.mark.parametrize(
    ("who", "measure"),
    [((), "per CPU second"), (("more",), "in requests/s"), (("base", "more"), "in requests/s")],
)
def test_cpu_decides_only_between_servers_that_it_limits(
    who: tuple[str, ...], measure: str
) -> None:
    results = waiting_run(*who)
    assert bool(list(waiting(results))) == bool(who)
    (line,) = verdict_lines_of(results)
    assert f" as fast as Base {measure} (" in line.sentence
    assert line.comparison.verdict is (Verdict.SLOWER if who else Verdict.FASTER)
    decision = Gate(margin=0.05, baseline=None).decide(results)
    assert [change.comparison.metric.measure for change in decision.changes] == [measure]


def test_an_upper_bound_of_the_cpu_time_does_not_decide() -> None:
    results = waiting_run()
    polls = BenchWarning.of(Kind.POLLS, cores=1.0)
    trials = []
    for trial in results.measurements:
        is_polling = trial.target == "more"
        trials.append(replace(trial, warnings=(polls,)) if is_polling else trial)
    results = results_of(trials)
    (line,) = verdict_lines_of(results)
    assert " as fast as Base in requests/s (" in line.sentence


def acks_of(p50_s: float) -> Results:
    percentiles = ((10.0, 0.041), (50.0, p50_s), (75.0, 0.046), (99.0, 0.2))
    distributions = [
        Distribution(target=name, load=HUNDRED, percentiles=percentiles) for name in NAMES
    ]
    return replace(waiting_run("base", "more"), distributions=tuple(distributions))


@pytest.mark.parametrize(("p50_s", "kind"), [(0.044, Kind.DELAYED_ACKS), (0.2, Kind.WAITED)])
def test_what_a_server_waited_for_is_told_as_far_as_it_is_known(p50_s: float, kind: Kind) -> None:
    results = acks_of(p50_s)
    assert {sighting.warning.kind for sighting in waiting(results)} == {kind}
    (line,) = lines_of(results, waiting(results))
    assert line.startswith("Base and More: mostly waited, ")


def opened_run(
    *counts: int | None, requests: int = 60_000, rate_per_s: float | None = None, **response: Any
) -> Results:
    """Return rounds of 100 connections and 60 s that opened so many connections."""
    load = replace(HUNDRED, rate_per_s=rate_per_s)
    rounds = []
    for (number, opened), name in itertools.product(enumerate(counts, start=1), NAMES):
        run = measured(name, number, requests / 60, load=load)
        rounds.append(replace(run, connections_opened=opened))
    targets = []
    for name, label in LABELS.items():
        facts = facts_of(name, label)
        changed = replace(facts.responses["hello"], **response)
        targets.append(replace(facts, responses={"hello": changed}))
    return results_of(rounds, targets=tuple(targets))


def test_tables_of_one_trial_each_are_no_comparison() -> None:
    paired = run_of(FASTER, partners=True, cpu_s=(1, 0.8))
    once = [*run_of(SLOWER, cpu_s=(1, 0.8))[:2], *paired]
    twice = [*run_of(SLOWER, cpu_s=(1, 0.8))[:4], *paired]
    assert [each.warning.kind for each in trials_alone(results_of(once))] == [Kind.ONE_TRIAL]
    assert list(trials_alone(results_of(twice))) == []
    at_a_rate = [replace(each, load=replace(each.load, rate_per_s=500.0)) for each in once]
    assert list(trials_alone(results_of(at_a_rate))) == [], "there the tables are of paired ones"


def test_wrks_own_reports_stand_under_the_target_and_the_rate() -> None:
    measurements: list[Measurement] = []
    for rate_per_s, text in ((None, "fast\n"), (500.0, "slow 1\n"), (500.0, "slow 2\n")):
        load = replace(HUNDRED, rate_per_s=rate_per_s)
        measurement = measured("base", len(measurements) + 1, 100.0, load=load)
        measurements.append(replace(measurement, report=text))
    at_a_rate = "Base at 500 requests/s\n\nslow 1\nslow 2\n"
    assert wrk_reports(results_of(measurements)) == ["Base\n\nfast\n", at_a_rate]


OLD: dict[str, Any] = {"http_version": "1.0"}
CLOSE: dict[str, Any] = {"headers": (("connection", "close"),)}
KEEP: dict[str, Any] = {"headers": (("Connection", "keep-alive"),)}
COUNTED = "every 5 requests (machine-wide count),"
OPENED = {
    "those of wrk's start": (opened_run(100, 100), None),
    "one each": (opened_run(60_100, 60_100, **OLD), "every request,"),
    "one for five": (opened_run(12_100, **OLD), "every 5 requests,"),
    "one for five, though the responses keep theirs": (opened_run(12_100, 12_100), COUNTED),
    "one trial, in which others may have opened them": (opened_run(12_100), None),
    "1.0 that promises too much": (opened_run(12_100, 12_100, **OLD, **KEEP), "every 5 requests,"),
    "others opened some in one round": (opened_run(60_100, 101), None),
    "1.0 that was kept open": (opened_run(100, **OLD), None),
    "1.0, not counted": (opened_run(None, **OLD), "every request,"),
    "1.0 that promises to keep it": (opened_run(None, **OLD, **KEEP), None),
    "close": (opened_run(None, **CLOSE), "every request,"),
    "close, kept": (opened_run(100, **CLOSE), None),
    "close, by few responses": (opened_run(400, requests=300, **CLOSE), "every request,"),
    "close, kept at a rate": (opened_run(103, rate_per_s=1000.0, **CLOSE), None),
}


@pytest.mark.parametrize(("results", "cost"), OPENED.values(), ids=OPENED)
def test_new_connections_are_told_by_what_was_opened(results: Results, cost: str | None) -> None:
    wanted = [f"Base and More: reconnects {cost} which adds overhead"] if cost else []
    assert lines_of(results, reconnecting(results)) == wanted


@pytest.mark.parametrize(
    ("measurements", "sentence"),
    [
        pytest.param(
            run_of(FASTER, invalid="worker 7 died"),
            "More against Base: no round is valid for both targets (Base: worker 7 died)",
            id="all rounds are invalid",
        ),
        pytest.param(
            [*run_of([(100.0, 110.0)]), *run_of(FASTER, invalid="gone", first_round=2)],
            "More against Base: one round gives no interval (Base: gone)",
            id="one valid round",
        ),
        pytest.param(
            run_of([(100.0, 110.0), (110.0, 100.0)]),
            # Of ln 1.1 and -ln 1.1: t(95%, 1 degree) x ln 1.1 = 12.7062 x 0.0953102 = 1.21103,
            # and its exponential is 3.3569. Standard deviation 0.13479: to lie within ln 1.05
            # takes 32 rounds (t(95%, 31) = 2.0395: 0.0486).
            "More is 1.00x as fast as Base in requests/s, within a factor of 3.4: "
            "too noisy; try -r 32",
            id="two rounds that contradict each other",
        ),
    ],
)
def test_a_run_that_decides_nothing_says_why(
    measurements: list[Measurement], sentence: str
) -> None:
    (line,) = verdict_lines_of(results_of(measurements))
    assert (line.comparison.verdict, line.sentence) == (Verdict.INCONCLUSIVE, sentence)


def test_each_target_and_load_has_its_answer_with_wider_intervals() -> None:
    rates = {"base": (1000, 1001, 1002), "more": (1200, 1201, 1203), "less": (800, 799, 802)}
    two_hundred = LoadId(workload="hello", connections=200)
    measurements = []
    for load, name in itertools.product((HUNDRED, two_hundred), rates):
        for number, rate in enumerate(rates[name]):
            measurements.append(measured(name, number, rate, load=load))
    labels = {**LABELS, "less": "Less"}
    results = results_of(measurements, labels=labels)
    compared = [line.comparison for line in verdict_lines_of(results)]
    assert [(each.target, each.load, each.verdict) for each in compared] == [
        ("more", HUNDRED, Verdict.FASTER),
        ("less", HUNDRED, Verdict.SLOWER),
        ("more", two_hundred, Verdict.FASTER),
        ("less", two_hundred, Verdict.SLOWER),
    ]
    assert {each.speed.confidence for each in compared if each.speed} == {0.975}
    assert verdict_lines_of(results_of([measured("base", 1, 100)], labels={"base": "Base"})) == []


def test_why_throughput_and_cpu_time_differ_is_said_only_where_they_do() -> None:
    """On shared cores a request costs the server's CPU time and wrk's."""
    twice = run_of([(1000, 1000 + n) for n in range(4)], partners=True, cpu_s=(2, 1))
    alone = run_of(FASTER, cpu_s=(1.25, 0.75))
    (shared,) = shared_cores(results_of([*alone, *twice]))
    assert shared.warning.kind is Kind.SHARED_CORES
    assert shared.warning.figures == {"share": pytest.approx(1 / 3)}
    equal = run_of([(1000, 1000 + n) for n in range(4)], partners=True)
    (disagreement,) = shared_cores(results_of([*run_of(FASTER), *equal]))
    assert disagreement.warning.kind is Kind.DISAGREEMENT
    same = run_of([(1000, 1200 + n) for n in range(4)], partners=True, cpu_s=(1.2, 1.2))
    assert list(shared_cores(results_of([*run_of(FASTER), *same]))) == []


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({1: 0.85, 2: 0.37, 3: 0.5}, "3 of 3 rounds: other processes took 37 to 85%"),
        ({1: 0.12, 3: 0.12}, "2 of 3 rounds (1, 3): other processes took 12%"),
    ],
)
def test_warnings_of_one_kind_are_told_once_with_their_range(
    shares: Mapping[int, float], told: str
) -> None:
    measurements = []
    for number, name in itertools.product((1, 2, 3), NAMES):
        warnings: tuple[BenchWarning, ...] = ()
        if number in shares:
            warnings = (BenchWarning.of(Kind.NEIGHBOURS, share=shares[number]),)
        measurements.append(replace(measured(name, number, 100), warnings=warnings))
    line = f"Base and More, {told} of the machine"
    assert line in conclude(results_of(measurements)).warnings


@pytest.mark.parametrize(
    ("latencies_s", "text"),
    [
        ((0.00215, 4.98), "2.15ms to 4.98s"),
        ((0.002, 0.03), "2.00 to 30.00ms"),
        ((1, 90), "1.00s to 1.50m"),
    ],
)
def test_the_ends_of_a_range_have_one_unit_or_their_own(
    latencies_s: Sequence[float], text: str
) -> None:
    warnings = [BenchWarning.of(Kind.LATE_FOR_LIMIT, late_p99_s=each) for each in latencies_s]
    assert f"sent {text} too late" in text_of(*warnings)


def test_what_is_invalid_is_told_for_each_target_with_its_method() -> None:
    paired = run_of(FASTER[:1], invalid="worker 7 died", partners=True)
    results = results_of([*paired, *run_of(FASTER[:1])])
    assert list(conclude(results).warnings[:2]) == [
        "Base, paired trials: invalid: worker 7 died",
        "More, paired trials: invalid: worker 7 died",
    ]


# Tables.


def test_markdown_is_escaped_and_padded_to_what_is_seen() -> None:
    rows = (("日本|x", "1.50"), ("é", "100.00 ± 3.00"))
    table = Table(title="T", titles=("Framework", "a|b"), rows=rows)
    assert markdown_lines(table) == [
        r"| Framework |          a\|b |",
        r"|-----------|---------------|",
        r"| 日本\|x   |          1.50 |",
        r"| é         | 100.00 ± 3.00 |",
    ]


def shown_width(text: str) -> int:
    """Return how many columns of a terminal the text takes (Unicode, UAX #11)."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def on_terminal(table: Table, width: int) -> list[str]:
    lines = terminal_lines(table, width=width)
    return [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]


WIDTHS = (1, 40, *range(60, 110, 5), 200)


def test_no_word_is_cut_and_no_line_too_long_at_any_width() -> None:
    labels = {"base": "Base", "more": "日本 more@0.32"}
    tables = result_tables(results_of(run_of(RATES), labels=labels))
    assert len(tables) == 3, "the gist's, details, the comparison"
    for table, width in itertools.product(tables, WIDTHS):
        lines = on_terminal(table, width)
        shown = Counter(" ".join(lines).split())
        for cells in table.rows:
            shown.subtract(" ".join(cells).split())
        assert [word for word, count in shown.items() if count < 0] == [], width
        for title in table.titles[1:]:
            assert set(title.split()) <= set(shown), width
        narrowest = max(map(shown_width, on_terminal(table, 1)))
        assert max(map(shown_width, lines)) <= max(width, narrowest)
        assert width < 60 or max(map(shown_width, lines)) <= width
    assert any(" ± " in line for line in on_terminal(tables[0], 80)), "unbroken where there is room"


def test_only_what_differs_of_the_servers_is_shown_without_details() -> None:
    """Such as a command's own Python."""
    results = single_results()
    base, more = results.targets
    base = replace(base, served_as={"Python": "3.12.1"})
    results = replace(results, targets=(base, replace(more, python="3.13.0")))
    (brief,) = work_tables(results, details=False)
    assert brief.titles == ("What", "Base", "More", "State")
    assert brief.rows == (("Python", "3.12.1", "3.13.0", "differs"),)
    (whole,) = work_tables(results)
    assert brief.rows[0] in whole.rows
    assert len(whole.rows) > 5


def test_loads_keep_the_order_in_which_workloads_were_asked_for() -> None:
    (workload,) = SETTINGS.workloads
    asked = [replace(workload, name=name) for name in ("index", "a", "b")]
    settings = replace(SETTINGS, workloads=tuple(asked))
    loads = [LoadId(workload=name, connections=100) for name in ("b", "index", "a")]
    measurements = [measured("base", 1, 100.0, load=load) for load in loads]
    results = results_of(measurements, settings=settings)
    assert results.workloads == ["index", "a", "b"]


@pytest.mark.parametrize(
    ("rounds", "warnings", "is_told"),
    [
        (4, (), False),
        (6, (), True),
        (6, (BenchWarning.of(Kind.INTERRUPTED, round=5, rounds=6),), False),
    ],
)
def test_a_run_that_was_cut_short_is_not_shown_as_whole(
    rounds: int, warnings: tuple[BenchWarning, ...], is_told: bool
) -> None:
    settings = replace(SETTINGS, rounds=rounds)
    results = single_results(settings=settings, warnings=warnings)
    assert bool(list(unfinished(results))) == is_told
    assert list(unfinished(single_results())) == []


def test_each_kind_of_warning_has_its_sentence_even_without_its_data() -> None:
    assert set(templates()) == set(Kind)
    assert all("{" not in text_of(BenchWarning.of(kind)) for kind in Kind)
