"""Loads at a rate, and the capacity at a latency: without processes but for the slow ones."""

import itertools
import math
import random
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import (
    Asked,
    InProcess,
    Tool,
    exact_line,
    measured,
    report_of,
    results_of,
    run_of,
    with_wrk,
    wrk_of,
)
from results_schema import loaded
from test_experiment import HELLO, NOTHING_YET, Fault, World, observation_of, plan_of, unmeasurable

from micropie_benchlib.cli.progress import rates_text
from micropie_benchlib.cli.records import settings_of
from micropie_benchlib.cli.session import status_of
from micropie_benchlib.core.choices import Limit, Method, Verdict
from micropie_benchlib.core.errors import BenchError, CannotGoOnError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import ArrivalRate, Histogram, Latency, Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.hosts import share_out
from micropie_benchlib.load.merging import merge_runs
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.markdown import to_markdown
from micropie_benchlib.report.merging import merge, suffixed_by_file
from micropie_benchlib.report.page import to_html
from micropie_benchlib.report.results_file import from_json, to_json
from micropie_benchlib.report.tables import load_tables
from micropie_benchlib.report.verdict_lines import verdict_sentence
from micropie_benchlib.report.warnings import lines_of, text_of
from micropie_benchlib.run.experiment import run_experiment
from micropie_benchlib.run.schedule import schedule
from micropie_benchlib.stats.comparisons import with_derived
from micropie_benchlib.stats.search import Outcome, Tally, rate_not_kept, tally_of
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.stats.warnings import few_for_p99, waiting
from micropie_benchlib.wrk.exact import parse_exact
from micropie_benchlib.wrk.histogram import latency_from_histogram

AT_1000 = replace(HELLO, rate_per_s=1000.0)


def test_requests_are_due_at_uniform_moments_of_the_trial() -> None:
    load = replace(AT_1000, duration_s=10, schedule_seed=7)
    moments = list(load.arrival_times())
    assert len(moments) == 10_000
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < 10
    # Kolmogorov and Smirnov: the distance is under 1.63 / sqrt(n) in 99% of draws.
    distance = max(abs(moment / 10 - k / 10_000) for k, moment in enumerate(moments))
    assert distance < 1.63 / 100
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert statistics.stdev(gaps) == pytest.approx(statistics.mean(gaps), rel=0.05)  # exponential


def test_a_seed_gives_the_same_moments_and_another_one_others() -> None:
    again = replace(AT_1000)
    other = replace(AT_1000, schedule_seed=1)
    assert AT_1000.arrival_times() == again.arrival_times() != other.arrival_times()


def test_all_targets_get_the_moments_of_the_round() -> None:
    plan = plan_of(loads=(AT_1000,), paired=True)
    seeds: dict[int, set[int]] = {}
    for launch in schedule(plan):
        for trial in launch.trials:
            seeds.setdefault(launch.round, set()).add(trial.load.schedule_seed)
    assert [len(of_round) for of_round in seeds.values()] == [1, 1, 1]
    assert len(set.union(*seeds.values())) == 3


@pytest.mark.parametrize(("connections", "machines"), [(100, 3), (7, 7), (10, 1)])
def test_machines_share_a_rate_as_they_share_connections(connections: int, machines: int) -> None:
    load = replace(AT_1000, connections=connections, rate_per_s=861.0)
    shares = share_out(load, machines)
    assert sum(share.connections for share in shares) == connections
    assert sum(share.rate_per_s or 0 for share in shares) == pytest.approx(861)
    per_connection = {round((share.rate_per_s or 0) / share.connections, 6) for share in shares}
    assert len(per_connection) == 1
    assert len({share.schedule_seed for share in shares}) == machines


# What wrk's script tells.


PACE: dict[str, Any] = {
    "offered": 4,
    "window_us": 2_000_000,
    "in_window": 3,
    "third_p50_us": [1000, 1000, 1000],
    "from_scheduled": [[1000, 3], [2000, 1]],
    "from_sent": [[90, 4]],
    "late": [[5, 3]],
}


def test_latency_at_a_rate_counts_from_when_a_request_was_due() -> None:
    wrk, report = parse_exact(exact_line(at_rate=PACE), connections=1)
    assert report == "report\n"
    assert wrk.latency
    assert wrk.latency_uncorrected
    assert wrk.latency.mean_s == pytest.approx(0.00125)
    assert wrk.latency.max_s == 0.002
    assert wrk.latency_uncorrected.mean_s == pytest.approx(90e-6)
    assert (wrk.requests, wrk.requests_per_s, wrk.duration_s) == (4, 2.0, 2.0)
    late = {"late_p50_s": 5e-6, "late_p99_s": 5e-6, "late_max_s": 5e-6}
    rate = ArrivalRate(offered=4, offered_per_s=2.0, answered_per_s=1.5, **late)
    assert wrk.arrival_rate == rate


@pytest.mark.parametrize(
    ("thirds_us", "behind_s"),
    [
        ([1000, 1000, 1000], 0),
        ([100_000, 300_000, 500_000], 0.6),  # steady growth: 0.4 s between the middles of thirds
        ([133_000, 200_000, 267_000], 0.201),  # 10% too many for 100 ms on each connection
        ([500_000, 300_000, 100_000], 0),
        ([1000, 1000, 500_000], 0),  # one stall near the end
        ([1000, 500_000, 400_000], 0),
        ([1000, 6000, 10_000], 0),  # under 1% of the trial
        ([100_000, 140_000, 190_000], 0),  # not twice the first third's
    ],
)
def test_a_server_falls_behind_where_latencies_grow_steadily(
    thirds_us: list[int], behind_s: float
) -> None:
    wrk, _ = parse_exact(exact_line(at_rate={**PACE, "third_p50_us": thirds_us}), connections=1)
    assert wrk.duration_s == pytest.approx(2 + behind_s)
    reason = rate_not_kept(wrk, replace(HELLO, duration_s=2, rate_per_s=2.0))
    assert bool(reason) == bool(behind_s)
    assert wrk.contradiction is None


def test_requests_without_an_answer_invalid() -> None:
    wrk, _ = parse_exact(exact_line(at_rate={**PACE, "offered": 6}), connections=1)
    load = replace(HELLO, duration_s=2, rate_per_s=3.0)
    unanswered = BenchWarning.of(Kind.UNANSWERED, count=2, offered=6, timeout_s=2)
    assert rate_not_kept(wrk, load) == unanswered


@pytest.mark.parametrize("change", [{"window_us": -1}, {"third_p50_us": [1, 2]}, {"more": 1}])
def test_figures_that_the_script_cannot_have_given_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(BenchError, match="unexpected line from"):
        parse_exact(exact_line(at_rate={**PACE, **change}), connections=1)


def test_of_several_wrks_rates_are_summed_and_the_latest_counts() -> None:
    one, _ = parse_exact(exact_line(at_rate=PACE), connections=1)
    other, _ = parse_exact(exact_line(at_rate={**PACE, "late": [[70, 1]]}), connections=1)
    merged = merge_runs([one, other])
    late = {"late_p50_s": 70e-6, "late_p99_s": 70e-6, "late_max_s": 70e-6}
    rate = ArrivalRate(offered=8, offered_per_s=4.0, answered_per_s=3.0, **late)
    assert merged.arrival_rate == rate
    assert (merged.requests, merged.requests_per_s) == (8, 4.0)


def test_one_connection_is_enough_at_a_rate(asked: Asked) -> None:
    plan = asked.plan_of("compare", "--rate", "200", "-c", "1,30", "--load-on", "elsewhere")
    assert [load.wrk_threads for load in plan.loads] == [1, 30]
    assert [load.open_connections for load in plan.loads] == [1, 30]
    assert plan.loads[1].id.sentence == "30 connections at 200 requests/s"
    assert plan.rate_share is None
    assert plan.is_at_a_rate


def test_a_share_is_not_known_before_the_start(asked: Asked) -> None:
    plan = asked.plan_of("compare", "--rate", "70%")
    assert plan.rate_share == 0.7
    assert plan.is_at_a_rate
    assert {load.rate_per_s for load in plan.loads} == {None}


# In a fake world: servers that queue, each with a capacity of its own.


def queue_p99_s(rate_per_s: float, capacity_per_s: float) -> float:
    return 0.005 / (1 - rate_per_s / capacity_per_s)


@dataclass
class Queues(World):
    most_per_s: dict[str, float] = field(default_factory=dict)
    offered: list[tuple[str, float]] = field(default_factory=list)
    bad_luck: list[int] = field(default_factory=list)  # the trials that have it
    saturated_above_per_s: float = math.inf
    first_per_s: float | None = None  # what trials without a rate answer
    late_s: float = 0.0
    late_max_s: float = 0.0
    fastest_s: float | None = None  # of responses, however few are under way

    def histogram(self, requests: int, p99_s: float) -> Histogram:
        slow = math.ceil(requests / 20)
        return ((1000, requests - slow), (round(p99_s * 1e6), slow))

    def observed(self, name: str, load: Load) -> Observation:
        most_per_s = self.most_per_s[name]
        rate_per_s = load.rate_per_s or most_per_s
        answered_per_s = min(rate_per_s, most_per_s)
        if not load.rate_per_s and self.first_per_s:
            answered_per_s = self.first_per_s
        self.offered.append((name, rate_per_s))
        fastest_us = round((self.fastest_s or 0.0) * 1e6)
        sent = latency_from_histogram(((fastest_us, 1),)) if self.fastest_s else None
        load_cpu_s = load.duration_s * (4.0 if rate_per_s > self.saturated_above_per_s else 0.1)
        wrk = wrk_of(
            answered_per_s, seconds=load.duration_s, latency_uncorrected=sent, load_cpu_s=load_cpu_s
        )
        if load.rate_per_s:
            is_kept = rate_per_s < most_per_s and len(self.offered) not in self.bad_luck
            p99_s = queue_p99_s(rate_per_s, most_per_s) if is_kept else 1.0
            requests = load.request_count
            latency = latency_from_histogram(self.histogram(requests, p99_s))
            arrival_rate = ArrivalRate(
                offered=requests,
                offered_per_s=rate_per_s,
                answered_per_s=answered_per_s,
                late_p99_s=self.late_s,
                late_max_s=self.late_max_s,
            )
            counts: dict[str, Any] = {"requests": requests, "bytes": 144 * requests}
            wrk = replace(wrk, latency=latency, arrival_rate=arrival_rate, **counts)
        return observation_of(measured(name, 1, answered_per_s, seconds=load.duration_s), wrk)


def capacity_plan(**changes: Any) -> Plan:
    return plan_of(**{"p99_limit_s": 0.05, **changes})


def queues(base: float, more: float, **changes: Any) -> Queues:
    return Queues(most_per_s={"base": base, "more": more}, **changes)


def run(world: World, plan: Plan) -> Results:
    results = replace(NOTHING_YET, settings=settings_of(plan))
    return run_experiment(plan, results, world.actions)


def test_a_capacity_is_the_highest_rate_that_keeps_the_limit() -> None:
    world = queues(1000.0, 2000.0)
    results = run(world, capacity_plan())
    # 5 ms / (1 - rate / most) is 50 ms at 90% of the most.
    for capacity in results.capacities:
        most = world.most_per_s[capacity.target]
        assert capacity.rate_per_s == pytest.approx(0.9 * most, rel=0.01)
    assert len(results.capacities) == 6
    (comparison,) = decisive_comparisons(results)
    assert comparison.metric is Metric.CAPACITY
    assert comparison.speed
    assert comparison.speed.ratio == pytest.approx(2)
    assert comparison.verdict is Verdict.FASTER
    assert status_of(results) == 0
    assert results.reported_loads == [HELLO.id]
    (line,) = conclude(results).verdict_lines
    assert line.sentence == "More is 2.000x as fast as Base by capacity (2.000 to 2.000)"
    again = from_json(to_json(results))
    loaded(to_json(results))
    assert again.capacities == results.capacities
    assert again.comparisons == results.comparisons
    page = to_html(report_of(again))
    assert "p99 latency by rate, 100 connections" in page
    assert "the line is the limit of 50.00ms" in page
    assert page.count('<g class="reference">') == 2, "at a speed of 1, and at the limit"
    assert "capacity with p99 up to 50.00ms" in to_markdown(report_of(again))


def test_a_capacity_of_some_launches_does_not_hide_those_in_which_no_rate_kept_the_limit() -> None:
    results = run(queues(1000.0, 2000.0), capacity_plan())
    first, *others = results.capacities
    missed = BenchWarning.of(Kind.LIMIT_MISSED, share=0.02, requests=600, rate_per_s=300.0)
    first = replace(first, rate_per_s=None, reasons=(missed,))
    results = with_derived(replace(results, capacities=(first, *others)))
    told = conclude(results).sentences
    label = results.label(first.target)
    part = f"{label} keeps a p99 of 50.00ms at no rate in 1 of 3 launches; in the others it answers"
    assert any(sentence.startswith(part) for sentence in told), told


def test_capacities_of_two_files_stand_side_by_side() -> None:
    one = run(queues(1000.0, 2000.0), capacity_plan())
    other = run(queues(900.0, 2100.0), capacity_plan(rounds=2))
    both = merge(suffixed_by_file({"one.json": one, "other.json": other}))
    assert both.reported_loads == [HELLO.id]
    (table, _, *_) = load_tables(both, HELLO.id)
    assert [(name, launches) for name, _, launches in table.rows] == [
        *(("Base [one]", "3"), ("More [one]", "3"), ("Base [other]", "2"), ("More [other]", "2"))
    ]


@pytest.mark.parametrize(
    "luck",
    [
        pytest.param({"bad_luck": [2]}, id="a rate missed once is tried again"),
        pytest.param({"first_per_s": 500.0}, id="the first trial has too few responses"),
    ],
)
def test_a_capacity_is_found_in_spite_of_bad_luck(luck: dict[str, Any]) -> None:
    world = queues(1000.0, 1000.0, **luck)
    for capacity in run(world, capacity_plan(rounds=1)).capacities:
        assert capacity.rate_per_s == pytest.approx(900, rel=0.01)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), CannotGoOnError("code changed")])
def test_an_interruption_in_the_first_round_keeps_the_bounds_of_a_capacity(
    error: BaseException,
) -> None:
    world = queues(1000.0, 1000.0)
    world.faults = [Fault(error, "load", after=4)]
    results = run(world, capacity_plan())
    (capacity,) = results.capacities
    (reached,) = capacity.reasons
    # 5 ms / (1 - rate / most) is 50 ms at 900/s: 500 and 707 were kept, then 841.
    told = text_of(reached)
    assert told == "interrupted when the capacity was known to be 841 to 1,000 requests/s"
    assert len(results.measurements) == 4
    assert results.early_end
    assert any(told in line for line in conclude(results).warnings)
    world = queues(1000.0, 1000.0)
    world.faults = [Fault(error, "load", round=2)]
    assert {capacity.round for capacity in run(world, capacity_plan()).capacities} == {1}


def test_a_capacity_is_not_known_where_wrk_is_the_limit() -> None:
    world = queues(500.0, 1100.0, saturated_above_per_s=600)
    results = run(world, capacity_plan(rounds=2))
    by_name = {capacity.target: capacity for capacity in results.capacities}
    assert by_name["base"].rate_per_s
    assert by_name["more"].rate_per_s is None
    kinds = [warning.kind for warning in by_name["more"].reasons]
    assert kinds == [Kind.SATURATED]
    assert status_of(results) == 1
    (line,) = conclude(results).verdict_lines  # not by requests/s of the first trials
    assert line.comparison.verdict is Verdict.INCONCLUSIVE
    assert "load generator saturated" in line.sentence


@pytest.mark.parametrize(
    ("over", "requests", "outcome"),
    [
        (0, 300, Outcome.INCONCLUSIVE),  # 0 to 1.22%, by scipy.stats.binomtest
        (0, 400, Outcome.KEPT),  # 0 to 0.92%
        (5, 1000, Outcome.INCONCLUSIVE),  # 0.16 to 1.16%
        (3, 1000, Outcome.KEPT),  # 0.06 to 0.87%
        (16, 1000, Outcome.INCONCLUSIVE),  # 0.92 to 2.58%
        (18, 1000, Outcome.MISSED),  # 1.07 to 2.83%
        (1000, 1000, Outcome.MISSED),
        (0, 0, Outcome.INCONCLUSIVE),
    ],
)
def test_a_rate_is_kept_or_missed_only_with_confidence(
    over: int, requests: int, outcome: Outcome
) -> None:
    assert Tally(over=over, requests=requests).outcome is outcome


@dataclass
class SlowForSome(Queues):
    """Servers that take 60 ms for a share of the requests, at any rate."""

    share: float = 0.015
    draw: random.Random = field(default_factory=random.Random)

    def histogram(self, requests: int, p99_s: float) -> Histogram:
        slow = sum(self.draw.random() < self.share for _ in range(requests))
        return ((1000, requests - slow), (60_000, slow)) if slow else ((1000, requests),)


@pytest.mark.parametrize("most_per_s", [300.0, 3000.0])
def test_no_capacity_is_told_by_luck(most_per_s: float) -> None:
    world = SlowForSome(most_per_s={"base": most_per_s, "more": most_per_s}, draw=random.Random(1))
    results = run(world, capacity_plan(rounds=5))
    kinds = []
    for capacity in results.capacities:
        (reason,) = capacity.reasons
        assert capacity.rate_per_s is None
        assert reason.figures["share"] == pytest.approx(0.015, rel=0.7)
        kinds.append(reason.kind)
    assert len(kinds) == 10
    assert set(kinds) <= {Kind.LIMIT_MISSED, Kind.LIMIT_INCONCLUSIVE}
    assert most_per_s < 1000 or kinds.count(Kind.LIMIT_MISSED) >= 8


def test_a_share_below_the_limit_at_any_rate_does_not_hide_the_capacity() -> None:
    most = {"base": 4000.0, "more": 4000.0}
    world = SlowForSome(most_per_s=most, share=0.003, draw=random.Random(1))
    for capacity in run(world, capacity_plan(rounds=1)).capacities:
        assert capacity.rate_per_s
        assert capacity.rate_per_s > 3000


def test_one_disturbed_trial_of_a_rate_is_set_aside() -> None:
    def trial(over: int) -> Measurement:
        rate = ArrivalRate(offered=1000, offered_per_s=1000, answered_per_s=1000)
        made = with_wrk(measured("base", 1, 1000, load=AT_1000.id), arrival_rate=rate)
        return replace(made, over_limit=over)

    assert tally_of([trial(500)]) == Tally(over=500, requests=1000)
    assert tally_of([trial(500), trial(3)]) == Tally(over=3, requests=1000)
    assert tally_of([trial(20), trial(8)]) == Tally(over=28, requests=2000)
    assert tally_of([trial(500), trial(400)]).outcome is Outcome.MISSED


def test_a_limit_that_no_rate_keeps_is_told() -> None:
    world = queues(2000.0, 1000.0)
    results = run(world, capacity_plan(rounds=1, p99_limit_s=0.001))
    for capacity in results.capacities:
        (missed,) = capacity.reasons
        assert missed.kind is Kind.LIMIT_MISSED
        assert missed.figures["rate_per_s"] == world.most_per_s[capacity.target] / 8
        assert missed.figures["share"] == pytest.approx(0.05, abs=0.01)
    none = "More keeps a p99 of 1.00ms at no rate."
    assert none in conclude(results).sentences


def test_a_limit_that_wrk_itself_misses_tells_nothing_of_the_server() -> None:
    world = queues(1000.0, 1000.0, late_s=0.02)
    results = run(world, capacity_plan(rounds=1))
    assert {capacity.rate_per_s for capacity in results.capacities} == {None}
    for capacity in results.capacities:
        _, late = capacity.reasons
        assert late == BenchWarning.of(Kind.LATE_FOR_LIMIT, late_p99_s=0.02)


def test_a_share_is_that_of_the_slowest_target() -> None:
    world = queues(1234.0, 2000.0)
    results = run(world, plan_of(rate_share=0.7))
    ((plan, stage),) = world.extensions
    assert stage is None
    assert rates_text(plan) == (
        "70% of what the slowest target can handle: 100 connections at 864 requests/s"
    )
    assert {measurement.load.rate_per_s for measurement in results.measurements} == {864.0}
    assert {comparison.metric for comparison in results.comparisons} == {
        *(Metric.CPU, Metric.P50, Metric.P99, Metric.P99_9)
    }


def test_a_rate_that_a_target_does_not_keep_ends_the_run_before_it_begins() -> None:
    world = queues(500.0, 2000.0)
    (reason,) = unmeasurable(world, plan_of(loads=(AT_1000,)))
    not_kept, not_sustained = reason.warnings
    assert not_kept.kind is Kind.RATE_NOT_KEPT
    assert not_sustained.kind is Kind.NOT_SUSTAINED
    assert not_sustained.figures["answered_per_s"] == pytest.approx(500, rel=0.01)


def test_a_rate_that_the_connections_do_not_allow_is_told_with_how_many_would() -> None:
    """A response takes 0.4 s, however few are under way: 100 connections allow 250 a second."""
    world = queues(250.0, 2000.0, fastest_s=0.4)
    (reason,) = unmeasurable(world, plan_of(loads=(AT_1000,)))
    advice = reason.warnings[0]
    assert advice.kind is Kind.TOO_FEW_CONNECTIONS
    assert advice.figures == {"fastest_s": 0.4, "most_per_s": 250, "enough": 500}


def test_a_wrk_that_was_suspended_at_a_rate_did_not_measure_its_server() -> None:
    world = queues(2000.0, 2000.0, late_max_s=4.97)
    for measurement in run(world, plan_of(loads=(AT_1000,))).measurements:
        assert measurement.invalid == (BenchWarning.of(Kind.SUSPENDED, late_s=4.97),)


def test_a_rate_that_wrk_cannot_make_is_told_with_the_remedy() -> None:
    world = queues(5000.0, 5000.0, saturated_above_per_s=900)
    for reason in unmeasurable(world, plan_of(loads=(AT_1000,))):
        assert [warning.kind for warning in reason.warnings] == [Kind.CANNOT_OFFER]


RATE = [(1000.0, 1000.0)]
IDLE: dict[str, Any] = {"load": AT_1000.id, "limited_by": Limit.NEITHER}


def test_at_a_rate_cpu_decides_though_nothing_was_busy_and_p99_stands_beside() -> None:
    measurements = []
    for number, partners in itertools.product((1, 2, 3), (False, True)):
        cpu_s = (1 + number / 1000, (1 + number / 1000) / 2)
        measurements += run_of(RATE, partners=partners, cpu_s=cpu_s, first_round=number, **IDLE)
    results = results_of(measurements)
    (decisive,) = decisive_comparisons(results)
    assert (decisive.method, decisive.metric) == (Method.PAIRED, Metric.CPU)
    sentence = verdict_sentence(results, decisive)
    assert sentence == (
        "More is 2.000x as fast as Base per CPU second (2.000 to 2.000); "
        "p99 of trials here 1.00ms against 1.00ms, 1.000x (1.000 to 1.000)"
    )


def test_at_a_rate_tables_and_verdict_lines_have_the_p99_of_the_same_trials() -> None:
    """The reference is the same beside each target, and its single trials are others."""
    load = AT_1000.id
    measurements = []
    for number, name in itertools.product((1, 2, 3), ("more", "less")):
        for target, partner in ((name, "base"), ("base", name), (name, None), ("base", None)):
            made = measured(target, number, 1000, load=load, partner=partner)
            latency_us = 40_000 + 10 * number + (1 if name == "more" else 0)
            histogram = ((latency_us if partner else 1000, 1000),)
            measurements.append(with_wrk(made, latency=latency_from_histogram(histogram)))
    labels = {"base": "Base", "more": "More", "less": "Less"}
    results = results_of(measurements, labels=labels)
    tables = {table.title: table for table in load_tables(results, load)}
    title = "100 Connections at 1,000 requests/s, paired trials"
    p99s = {row[0]: row[3] for row in tables[f"{title}, details of all requests"].rows}
    longest = {row[0]: row[2] for row in tables[title].rows}
    assert p99s == longest == {"Base": "40.03ms", "More": "40.03ms", "Less": "40.03ms"}
    for line in conclude(results).verdict_lines:
        assert "p99 of trials here 40.02ms against 40.02ms" in line.sentence


def test_at_a_rate_p99_decides_between_servers_that_wait() -> None:
    measurements = []
    for number, partners in itertools.product((1, 2, 3), (False, True)):
        latency = Latency(
            mean_s=0.01, stdev_s=0.01, max_s=0.03, p50_s=0.005, p99_s=0.01 + number / 1e4
        )
        cpu_s = (0.1, 0.1)
        for made in run_of(RATE, partners=partners, cpu_s=cpu_s, first_round=number, **IDLE):
            measurements.append(with_wrk(made, latency=latency, latency_uncorrected=latency))
    results = results_of(measurements)
    (decisive,) = decisive_comparisons(results)
    assert (decisive.method, decisive.metric) == (Method.PAIRED, Metric.P99)
    (told,) = lines_of(results, waiting(results))
    assert told.startswith("Base and More: mostly waited, ")


def test_few_requests_make_no_p99() -> None:
    measurement = measured("base", 1, 40, load=replace(AT_1000.id, rate_per_s=40.0))
    plan = plan_of(loads=(replace(HELLO, rate_per_s=40.0),))
    results = replace(NOTHING_YET, measurements=(measurement,), settings=settings_of(plan))
    (sighting,) = few_for_p99(results)
    assert sighting.warning.figures == {"count": 40, "enough": 1000, "enough_s": 25}


@pytest.mark.parametrize(("connections", "threads"), [(100, 4), (10, 2), (7, 1), (9, 3), (1, 1)])
def test_as_many_connections_are_open_without_a_rate_as_at_one(
    connections: int, threads: int, asked: Asked
) -> None:
    (load,) = asked.plan_of("capacity", "-c", str(connections)).loads
    assert (load.threads, load.open_connections) == (threads, connections)


# The real thing.

STEADY = "steady=cmd:{python} single.py {port}"  # one request at a time, in SERVICE_S each


def run_until_kept(in_process: InProcess, *args: str) -> subprocess.CompletedProcess[str]:
    """Return the run, or the second or third: a busy machine may not keep a rate."""
    for _ in range(3):
        done = in_process.run(*args)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def latency_of(file: Path, method: str = "single") -> list[dict[str, Any]]:
    measurements = loaded(file.read_text())["measurements"]
    return [m for m in measurements if m["method"] == method]


def test_both_targets_are_measured_at_a_rate(in_process: InProcess, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    words = (
        "compare micropie asgi --rate 60 -c 100 -r 1 --paired -d 1s -w 1 --timeout 20s --warm-up 0s"
    )
    exports = ("--export-json", str(out), "--export-html", str(tmp_path / "x"))
    done = run_until_kept(in_process, *words.split(), *exports)
    results = loaded(out.read_text())
    for measurement in results["measurements"]:
        wrk = measurement["wrk"]
        assert wrk["requests"] == wrk["arrival_rate"]["offered"] == 60
        assert wrk["arrival_rate"]["offered_per_s"] == 60
        assert 0 < wrk["arrival_rate"]["answered_per_s"] <= 60
    assert {c["metric"] for c in results["comparisons"] if c["method"] == "paired"} == {
        *("latency_p50_s", "latency_p99_s", "latency_p99_9_s", "server_cpu_per_request_s")
    }
    assert "100 Connections at 60 requests/s" in done.stdout


def sojourns(moments: Sequence[float], service_s: float) -> list[float]:
    """Return how long each spends in a queue of one server, ascending.

    D. V. Lindley, "The theory of queues with a single server", 1952.
    """
    free, found = 0.0, []
    for due in moments:
        free = max(free, due) + service_s
        found.append(free - due)
    return sorted(found)


def test_a_queue_shows_in_the_latency_from_when_requests_were_due(
    in_process: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One connection to a server that takes 20 ms or more, at half of what it can."""
    monkeypatch.setenv("SERVICE_S", "0.02")
    out = tmp_path / "out.json"
    words = "--rate 25 -c 1 -r 1 -d 4s -w 1 --seed 5 --timeout 20s --warm-up 0s"
    steady = ("compare", STEADY, *words.split())
    done = run_until_kept(in_process, *steady, "--export-json", str(out))
    assert "1 Connection at 25 requests/s" in done.stdout
    ((measurement,), load) = (latency_of(out), replace(HELLO, rate_per_s=25.0))
    moments = replace(load, duration_s=4, schedule_seed=6).arrival_times()
    from_scheduled = measurement["wrk"]["latency"]
    from_sent = measurement["wrk"]["latency_uncorrected"]
    least, most = sojourns(moments, 0.02), sojourns(moments, from_sent["max_s"])
    assert from_scheduled["mean_s"] > 0.99 * statistics.mean(least) > 0.025
    assert from_scheduled["p99_s"] > 0.99 * least[-5]
    assert from_scheduled["mean_s"] < statistics.mean(most) + 0.05
    assert 0.02 <= from_sent["p50_s"] <= from_scheduled["p50_s"]


def test_a_stall_shows_at_a_rate_and_not_as_fast_as_it_goes(
    in_process: InProcess, tmp_path: Path
) -> None:
    out = tmp_path / "out.json"
    words = "compare single:stalling -c 1 -r 1 -w 1 --timeout 20s --warm-up 0s"
    run_until_kept(
        in_process, *(*words.split(), "--rate", "300", "-d", "2s", "--export-json", str(out))
    )
    (at_a_rate,) = latency_of(out)
    assert at_a_rate["wrk"]["latency"]["p99_9_s"] > 0.9
    assert at_a_rate["wrk"]["latency"]["p90_s"] > 0.1  # 300 of 600 were due meanwhile
    run_until_kept(in_process, *(*words.split(), "-t", "1", "-d", "3s", "--export-json", str(out)))
    (closed,) = latency_of(out)
    assert closed["wrk"]["requests"] > 1000  # so that one is less than 0.1% of them
    assert closed["wrk"]["latency_uncorrected"]["p99_9_s"] < 0.9
    assert closed["wrk"]["latency_uncorrected"]["max_s"] > 0.9


@pytest.mark.parametrize(
    "names", [("one",), pytest.param(("one", "two"), marks=pytest.mark.nightly)]
)
def test_a_capacity_is_found(names: tuple[str, ...], tool: Tool, tmp_path: Path) -> None:
    out, page = tmp_path / "out.json", tmp_path / "out.html"
    words = "--p99-limit 100ms -c 10 -r 1 -d 2s -w 1 --warm-up 0s --export-json"
    targets = [STEADY.replace("steady", name) for name in names]
    for _ in range(3):  # a busy machine may not let it be found
        done = tool.run(
            *("capacity", *targets, *words.split(), str(out), "--export-html", str(page)),
            SERVICE_S="0.002",
        )
        results = from_json(out.read_text())
        known = [each for each in results.capacities if each.rate_per_s]
        if known:
            break
    assert "about 7 rates by bisection" in done.stderr
    assert f"launches: {len(names)}, about" in done.stderr
    assert known
    assert done.returncode == (0 if len(known) == len(names) else 1), done.stdout + done.stderr
    for capacity in known:
        assert capacity.rate_per_s
        assert capacity.rate_per_s < 600  # one at a time, 2 ms each, and 5% late by 100 ms
        shares = {}
        for trial in results.measurements:
            rate_per_s = trial.load.rate_per_s
            if trial.target == capacity.target and rate_per_s and trial.over_limit is not None:
                shares[rate_per_s] = trial.over_limit / (2 * rate_per_s)  # the last trial's
        kept = max(rate_per_s for rate_per_s, share in shares.items() if share < 0.01)
        assert kept <= capacity.rate_per_s <= 1.02 * kept
    assert "capacity with p99 up to 100.00ms" in done.stdout
    assert "p99 latency by rate" in page.read_text()
