"""Statistics and the schedule, against published values, scipy, wrk and simulations."""

import itertools
import math
import random
import re
import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import NAMES, Start, measured, results_of, run_load, run_of, wrk_of
from test_experiment import HELLO, OK, observation_of, plan_of

from micropie_benchlib.cli.records import settings_of
from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.choices import Decisive, Limit, Method, Verdict
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import Load, LoadId
from micropie_benchlib.core.measurements import Histogram, Latency, Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Launch, Plan
from micropie_benchlib.core.requests import Response
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.readings import Observation, TrialCores
from micropie_benchlib.report.conclusions import calibration_conclusion
from micropie_benchlib.report.tables import gist_table
from micropie_benchlib.run.observed import core_use, wrong_load
from micropie_benchlib.run.schedule import schedule
from micropie_benchlib.stats import ranking as stats_ranking
from micropie_benchlib.stats.compare import compare_metric, has_few_responses, pair_by_round
from micropie_benchlib.stats.cores import CoreUse
from micropie_benchlib.stats.intervals import estimate_ratio, rounds_needed, stein_rounds, student_t
from micropie_benchlib.stats.ranking import PairwiseComparisons
from micropie_benchlib.stats.steadiness import unsteadiness
from micropie_benchlib.stats.validity import (
    ResponseSizes,
    changes_on_connection,
    clock_set,
    littles_law,
    silent_connections,
    too_slow,
)
from micropie_benchlib.stats.verdicts import decisive_comparisons, in_all_rounds, log_stdev
from micropie_benchlib.stats.warming import warming
from micropie_benchlib.stats.warnings import warnings_of
from micropie_benchlib.system.machine import MachineTimes
from micropie_benchlib.wrk.histogram import histogram_percentile, pool, uncorrect

NIGHTLY = pytest.mark.nightly  # as sharp as it was published, and some seconds long


def test_t_quantiles_are_those_of_tables_and_of_scipy() -> None:
    """Abramowitz and Stegun, table 26.10; then scipy.special.stdtrit."""
    printed = {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 120: 1.980}
    assert {degrees: round(student_t(0.95, degrees), 3) for degrees in printed} == printed
    scipys = {
        (0.5, 1): 1.0,
        (0.9, 2): 2.9199855804,
        (0.975, 5): 3.1633814497,
        (0.99, 11): 3.1058065155,
        (1 - 0.05 / 7, 29): 2.8944737135,
        (0.95, 500): 1.9647198375,
    }
    for (confidence, degrees), expected in scipys.items():
        assert student_t(confidence, degrees) == pytest.approx(expected, rel=1e-9)


def test_interval_of_log_ratios_is_students() -> None:
    ratios = [1.1, 1.13, 1.05, 1.13]
    logs = [math.log(ratio) for ratio in ratios]
    mean, error = statistics.mean(logs), statistics.stdev(logs) / math.sqrt(4)
    half = 3.182446305284 * error  # scipy.special.stdtrit(3, 0.975)
    estimate = estimate_ratio(ratios, confidence=0.95)
    assert estimate
    assert (estimate.ratio, estimate.low, estimate.high) == pytest.approx(
        (math.exp(mean), math.exp(mean - half), math.exp(mean + half))
    )
    assert estimate_ratio([1.1], confidence=0.95) is None


def normal(rng: random.Random) -> float:
    return rng.gauss(0, 0.02)


def heavy_tailed(rng: random.Random) -> float:
    """Return a value of Student's t with 4 degrees of freedom."""
    squares = sum(rng.gauss(0, 1) ** 2 for _ in range(4))
    return 0.02 * rng.gauss(0, 1) / math.sqrt(squares / 4)


@pytest.mark.parametrize(
    ("draw", "runs", "least", "most"),
    [
        pytest.param(normal, 500, 0.93, 0.97, id="normal"),
        pytest.param(heavy_tailed, 500, 0.91, 0.97, id="heavier tails"),
        pytest.param(normal, 10_000, 0.945, 0.955, id="normal, long", marks=NIGHTLY),
        pytest.param(heavy_tailed, 10_000, 0.925, 0.955, id="heavier tails, long", marks=NIGHTLY),
    ],
)
def test_two_stages_keep_the_confidence_and_reach_the_precision(
    draw: Callable[[random.Random], float], runs: int, least: float, most: float
) -> None:
    """The truth is a ratio of 1, and the wish 1%."""
    rng, first = random.Random(7), 6
    covered, target = 0, math.log1p(0.01)
    for _ in range(runs):
        logs = [draw(rng) for _ in range(first)]
        stdev = statistics.stdev(logs)
        rounds = stein_rounds(stdev, first - 1, target=target, confidence=0.95)
        logs += [draw(rng) for _ in range(rounds - first)]
        estimate = estimate_ratio(map(math.exp, logs), confidence=0.95, degrees=first - 1)
        assert estimate
        assert estimate.half_width <= 0.01 + 1e-9
        covered += estimate.interval.contains(1)
    assert least <= covered / runs <= most


def test_a_comparison_of_two_stages_goes_by_the_spread_of_the_first() -> None:
    reference = rounds_of("a", [1000] * 6)
    target = rounds_of("b", [1100, 1110, 1090, 1500, 500, 1000])
    pairs = pair_by_round([*reference, *target], reference="a", target="b")
    staged = compare_metric(pairs, Metric.REQUESTS, confidence=0.95, first_rounds=2)
    assert staged.interval
    logs = [math.log(rate / 1000) for rate in (1100, 1110, 1090, 1500, 500, 1000)]
    half = student_t(0.95, 2) * statistics.stdev(logs[:3]) / math.sqrt(6)
    assert (staged.rounds, staged.degrees) == (6, 2)
    assert staged.interval.log_half_width == pytest.approx(half)
    assert log_stdev(staged) == pytest.approx(statistics.stdev(logs[:3]))


def test_rounds_needed_reach_the_wished_half_width() -> None:
    rounds = rounds_needed(0.02, 0.005)
    assert rounds
    assert student_t(0.95, rounds - 1) * 0.02 / math.sqrt(rounds) <= 0.005
    assert student_t(0.95, rounds - 2) * 0.02 / math.sqrt(rounds - 1) > 0.005
    assert rounds_needed(10.0, 0.001) is None


def wrk_correct(histogram: Histogram, interval: int) -> Histogram:
    """wrk's stats_correct, step by step (stats.c)."""
    data = dict(histogram)
    for n in range(2 * interval, max(data) + 1):
        count, m = data.get(n, 0), n - interval
        while count and m > interval:
            data[m] = data.get(m, 0) + count
            m -= interval
    return tuple(sorted(data.items()))


@pytest.mark.parametrize("seed", range(5))
def test_wrks_correction_is_undone_exactly(seed: int) -> None:
    rng = random.Random(seed)
    values = [round(rng.lognormvariate(4, 1)) + 1 for _ in range(3000)]
    uncorrected = tuple(sorted(Counter(values).items()))
    corrected = wrk_correct(uncorrected, 60)
    assert sum(count for _, count in corrected) > 3000
    assert uncorrect(corrected, 60) == uncorrected
    assert uncorrect(uncorrected, 0) == uncorrected


def test_uncorrected_counts_of_a_real_run_are_its_requests(start: Start, tmp_path: Path) -> None:
    load = Load(connections=20, threads=2, duration_s=1)
    with start("asgi", workers=2) as server:
        (seen,) = run_load([server], load, work_dir=tmp_path)
    assert seen.wrk.latency
    assert seen.wrk.latency_uncorrected
    assert sum(count for _, count in seen.wrk.latency_uncorrected.histogram) == seen.wrk.requests
    assert sum(count for _, count in seen.wrk.latency.histogram) > seen.wrk.requests
    assert seen.wrk.latency_uncorrected.mean_s < seen.wrk.latency.mean_s
    assert littles_law(seen.wrk, load) is None


def test_percentiles_are_pooled_not_averaged() -> None:
    fast, slow = ((1000, 99), (2000, 1)), ((50_000, 100),)
    assert histogram_percentile(pool([fast, slow]), 75) == 0.05
    assert histogram_percentile(pool([fast, slow]), 25) == 0.001


LOADS = (HELLO, replace(HELLO, connections=200))


def plan(count: int, *, rounds: int, paired: bool, seed: int = 1) -> Plan:
    targets = [parse_target(f"t{number}=asgi") for number in range(count)]
    return plan_of(*targets, loads=LOADS, rounds=rounds, paired=paired, seed=seed)


def trials(launch: Launch) -> list[tuple[str, int]]:
    return [
        ("+".join(sorted(target.name for target in trial.targets)), trial.load.connections)
        for trial in launch.trials
    ]


@pytest.mark.parametrize(
    ("changes", "with_single"),
    [
        pytest.param({}, [1, 3, 5], id="each second round"),
        pytest.param({"rounds": 3}, [1], id="few rounds"),
        pytest.param({"paired": False}, [1, 2, 3, 4, 5], id="no paired trials"),
        pytest.param({"metric": Decisive.CPU}, [1, 3, 5], id="paired trials decide"),
        pytest.param({"metric": Decisive.P99}, [1, 2, 3, 4, 5], id="single trials decide"),
    ],
)
def test_where_paired_trials_decide_each_second_round_has_no_single_trials(
    changes: dict[str, Any], with_single: list[int]
) -> None:
    launches = schedule(replace(plan(3, rounds=5, paired=True), **changes))
    single = [
        (launch.round, trial.targets[0].name)
        for launch in launches
        for trial in launch.trials
        if len(trial.targets) == 1 and trial.load.connections == 100
    ]
    assert sorted(single) == [(number, f"t{each}") for number in with_single for each in range(3)]
    paired_trials = {
        launch.round for launch in launches for t in launch.trials if len(t.targets) == 2
    }
    assert len(paired_trials) == (0 if changes.get("paired") is False else changes.get("rounds", 5))


def test_rounds_in_all_are_more_than_those_of_single_trials() -> None:
    reference = rounds_of("a", [1000, 1000])
    target = rounds_of("b", [1010, 1000])
    measurements = [replace(m, round=2 * m.round + 1) for m in (*reference, *target)]
    comparison = compared(*measurements)
    results = Results(created="", command="", measurements=tuple(measurements))
    assert (comparison.rounds, in_all_rounds(results, comparison, 10)) == (2, 15)


def test_single_round_keeps_the_gists_order() -> None:
    launches = schedule(plan(2, rounds=1, paired=False))
    assert [trials(launch) for launch in launches] == [
        [("t0", 100), ("t0", 200)],
        [("t1", 100), ("t1", 200)],
    ]


@pytest.mark.parametrize(("count", "paired"), [(1, False), (2, False), (2, True), (4, True)])
def test_each_round_makes_each_trial_once_before_the_next(count: int, paired: bool) -> None:
    groups = [f"t{number}" for number in range(count)]
    if paired:
        groups += [f"t0+t{number}" for number in range(1, count)]
    expected = sorted(itertools.product(groups, (100, 200)))
    trials_by_round: dict[int, list[tuple[str, int]]] = {1: [], 2: [], 3: []}
    every_single = replace(plan(count, rounds=3, paired=paired), metric=Decisive.P99)
    launches = schedule(every_single)
    for launch in launches:
        trials_by_round[launch.round] += trials(launch)
        for trial in launch.trials:
            assert set(trial.targets) <= set(launch.targets)
    assert list(map(sorted, trials_by_round.values())) == [expected] * 3
    rounds = [launch.round for launch in launches]
    assert rounds == sorted(rounds), "an interruption keeps whole rounds"


@pytest.mark.parametrize("paired", [False, True])
def test_no_target_is_always_launched_first(paired: bool) -> None:
    """Else what changes over a round would look like a difference between targets."""
    first_by_round: dict[int, str] = {}
    for launch in schedule(plan(2, rounds=200, paired=paired)):
        first_by_round.setdefault(launch.round, launch.targets[0].name)
    counts = Counter(first_by_round.values())
    assert counts["t0"] + counts["t1"] == 200
    assert abs(counts["t0"] - 100) < 5 * math.sqrt(50), "5 standard deviations of a fair coin"


def test_the_seed_alone_decides_the_order() -> None:
    orders = set()
    for seed in (1, 1, 2):
        launches = schedule(plan(3, rounds=4, paired=True, seed=seed))
        orders.add(str([trials(launch) for launch in launches]))
    assert len(orders) == 2


# Verdicts.


def rounds_of(
    target: str, rates: Sequence[float], *, invalid_rounds: Sequence[int] = (), **changes: Any
) -> list[Measurement]:
    """Return one measurement of the target for each of these requests/s; rounds from 0."""
    measurements = []
    for number, rate in enumerate(rates):
        invalid = "gone" if number in invalid_rounds else None
        measurements.append(measured(target, number, rate, invalid=invalid, **changes))
    return measurements


REFERENCE_RATES = (1000, 1001, 1002, 1003)
FASTER_RATES = (1100, 1101, 1102, 1103)


def compared(*measurements: Measurement, metric: Metric = Metric.REQUESTS) -> Comparison:
    pairs = pair_by_round(measurements, reference="a", target="b")
    return compare_metric(pairs, metric, confidence=0.95)


def test_verdicts_follow_the_interval_and_the_metrics_direction() -> None:
    reference, faster = rounds_of("a", REFERENCE_RATES), rounds_of("b", FASTER_RATES)
    assert compared(*reference, *faster).verdict is Verdict.FASTER
    assert compared(*reference, *faster, metric=Metric.P99).verdict is Verdict.FASTER
    hungry = rounds_of("b", FASTER_RATES, cpu_s=1.5)
    assert compared(*reference, *hungry, metric=Metric.CPU).verdict is Verdict.SLOWER
    steady, noisy = rounds_of("a", [1000] * 4), rounds_of("b", [1100, 900, 1100, 900])
    assert compared(*steady, *noisy).verdict is Verdict.INCONCLUSIVE


def test_invalid_rounds_leave_the_comparison_with_their_partner() -> None:
    reference = rounds_of("a", [1000] * 4, invalid_rounds=[0])
    target = rounds_of("b", FASTER_RATES, invalid_rounds=[1])
    assert compared(*reference, *target).rounds == 2
    assert compared(*reference[:2], *target[:2]).verdict is Verdict.INCONCLUSIVE
    assert compared(*reference[:3], *target[:3]).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("saturated", ["a", "b"])
def test_a_saturated_load_generator_gives_no_verdict(saturated: str) -> None:
    measurements = []
    for name, rates in (("a", [1000] * 4), ("b", [1100] * 4)):
        limit = Limit.LOAD_GENERATOR if name == saturated else Limit.SERVER_CPU
        measurements += rounds_of(name, rates, limited_by=limit, invalid_rounds=range(4))
    assert compared(*measurements).verdict is Verdict.INCONCLUSIVE
    assert compared(*measurements).estimate is None
    assert "compare load generators" in str(compared(*measurements).reason)


@pytest.mark.parametrize(
    ("cpu_s", "verdict"), [(1.01, Verdict.FASTER), (1.2, Verdict.INCONCLUSIVE)]
)
def test_paired_throughput_counts_only_with_fair_shares(cpu_s: float, verdict: Verdict) -> None:
    reference = rounds_of("a", REFERENCE_RATES[:3], partner="b")
    target = rounds_of("b", FASTER_RATES[:3], partner="a", cpu_s=cpu_s)
    assert compared(*reference, *target).verdict is verdict
    assert compared(*reference, *target, metric=Metric.CPU).rounds == 3


def test_a_paired_is_paired_with_its_own_partner_alone() -> None:
    measurements = [
        *rounds_of("a", REFERENCE_RATES[:3], partner="b"),
        *rounds_of("a", [5000, 5001, 5002], partner="c"),
        *rounds_of("b", FASTER_RATES[:3], partner="a"),
    ]
    estimate = compared(*measurements).estimate
    assert estimate
    assert estimate.ratio == pytest.approx(1.1, abs=0.001)


SERVER, WRK, NEITHER = Limit.SERVER_CPU, Limit.LOAD_GENERATOR, Limit.NEITHER


def core_use_of(
    load_cpu: float, server_cpu: float | None, shared: int = 0, **changes: Any
) -> CoreUse:
    """Return the use of one core each; or of so many that both share."""
    cores = shared or 1
    use = CoreUse(
        load_cpu=load_cpu,
        load_cores=cores,
        server_cpu=server_cpu,
        server_cores=cores,
        shared_cores=shared,
    )
    return replace(use, **changes)


LIMITS = {
    "wrk's core is full, the server's is not": (core_use_of(0.95, 0.5), WRK),
    "both are full: the server is shown": (core_use_of(0.95, 0.95), SERVER),
    "the server's core is full": (core_use_of(0.5, 0.95), SERVER),
    "each has room on its core": (core_use_of(0.5, 0.5), NEITHER),
    "full begins at 90%": (core_use_of(0.9, 0.89), WRK),
    "89% is not full, but busy": (core_use_of(0.89, 0.89), SERVER),
    "74% is not busy": (core_use_of(0.89, 0.74), NEITHER),
    "a full machine, mostly the server's": (core_use_of(0.3, 1.6, 2), SERVER),
    "a full machine, mostly wrk's": (core_use_of(1.2, 0.7, 2), WRK),
    "a full machine in equal parts": (core_use_of(0.9, 0.9, 2), SERVER),
    "a shared machine with little room": (core_use_of(0.9, 0.8, 2), SERVER),
    "a shared machine with room": (core_use_of(0.8, 0.6, 2), NEITHER),
    "an idle machine": (core_use_of(0.0, 0.0, 2), NEITHER),
    "a full process on shared cores": (core_use_of(0.93, 0.93, 2, server_cores=1), SERVER),
    "neighbours keep the server from its core": (
        core_use_of(0.21, 0.25, 2, server_cores=1, server_delay=0.7),
        SERVER,
    ),
    "neighbours keep wrk from its cores, which is no limit of its own": (
        core_use_of(0.2, 0.2, 2, server_cores=1, load_delay=1.7),
        SERVER,
    ),
    "one of two workers has all the work": (core_use_of(0.1, 0.8, 2, busiest=0.78), SERVER),
    "neighbours beside a sleeper": (
        core_use_of(0.1, 0.1, 2, load_delay=0.1, server_delay=0.1),
        NEITHER,
    ),
    "a full wrk and somebody else's server": (core_use_of(1.9, None, 2), WRK),
    "somebody else's is not idle": (core_use_of(0.72, None, 2), None),
}


@pytest.mark.parametrize(("use", "limit"), LIMITS.values(), ids=LIMITS)
def test_what_limited_a_trial_follows_from_who_used_the_cores(
    use: CoreUse, limit: Limit | None
) -> None:
    assert use.limited_by is limit
    assert bool(use.saturation) == (limit is WRK)


EIGHT_CORES = TrialCores(servers=8, loads=(8,), are_shared=True)
HALVES = TrialCores(servers=3, loads=(5,), are_shared=False)


def observed(
    *,
    duration_s: float,
    load_cpu_s: float | None = 0.0,
    server_cpu_s: float | None = 0.0,
    cores: TrialCores = EIGHT_CORES,
) -> Observation:
    """Return what was seen of a server in a trial; None for what is not known."""
    made = measured("a", 1, 1000, cpu_s=server_cpu_s or 0.0, seconds=1)
    if server_cpu_s is None:
        made = replace(made, use=None)
    wrk = wrk_of(1000, duration_s=duration_s, load_cpu_s=load_cpu_s)
    return replace(observation_of(made, wrk), cores=cores)


SINGLE = [observed(duration_s=2, load_cpu_s=1, server_cpu_s=5)]
PAIRED = [
    observed(duration_s=2, load_cpu_s=1, server_cpu_s=5, cores=HALVES),
    observed(duration_s=2, load_cpu_s=2, server_cpu_s=3, cores=HALVES),
]
FOREIGN = [observed(duration_s=2, load_cpu_s=1, server_cpu_s=None)]


@pytest.mark.parametrize(
    ("observations", "threads", "workers", "expected"),
    [
        pytest.param(SINGLE, 2, 4, (0.5, 2, 2.5, 4, 8), id="one for each thread and worker"),
        pytest.param(SINGLE, 16, 16, (0.5, 8, 2.5, 8, 8), id="no more than there are"),
        pytest.param(SINGLE, 2, None, (0.5, 2, 2.5, 8, 8), id="all for a command"),
        pytest.param(PAIRED, 2, 4, (1.5, 4, 4.0, 3, 0), id="the halves for a pair"),
        pytest.param(FOREIGN, 2, None, (0.5, 2, None, 8, 8), id="somebody else's server"),
    ],
)
def test_a_trials_cpu_time_is_held_against_the_cores_that_it_could_use(
    observations: list[Observation],
    threads: int,
    workers: int | None,
    expected: tuple[float, int, float | None, int, int],
) -> None:
    load = Load(connections=20, threads=threads, duration_s=2)
    use = core_use(observations, load, workers)
    assert astuple(use)[:5] == expected


WITH_ROOM = core_use_of(0.1, 0.1)
SATURATED_USE = core_use_of(0.95, 0.5)


def ran_for(duration_s: float) -> BenchWarning:
    return BenchWarning.of(Kind.OTHER_DURATION, duration_s=duration_s, asked_s=5)


@pytest.mark.parametrize(
    ("durations_s", "use", "reason"),
    [
        pytest.param([4.96, 5.9], WITH_ROOM, None, id="a bit early and late"),
        pytest.param([4.9], WITH_ROOM, ran_for(4.9), id="stopped early"),
        pytest.param([5.0, 6.5], WITH_ROOM, ran_for(6.5), id="one of a pair was suspended"),
        pytest.param([5.0], SATURATED_USE, SATURATED_USE.saturation, id="saturated"),
        pytest.param([1.0], SATURATED_USE, ran_for(1.0), id="early: nothing of saturation"),
    ],
)
def test_a_trial_that_did_not_measure_its_servers_says_why(
    durations_s: list[float], use: CoreUse, reason: BenchWarning | None
) -> None:
    load = Load(connections=20, threads=2, duration_s=5)
    observations = [observed(duration_s=duration_s) for duration_s in durations_s]
    assert wrong_load(observations, load, use) == reason


def test_disturbances_are_named() -> None:
    before = MachineTimes()
    after = MachineTimes(total_s=10, busy_s=7, steal_s=1, throttled=3)
    assert after.disturbances(before, own_cpu_s=5) == [
        BenchWarning.of(Kind.STOLEN, share=0.1),
        BenchWarning.of(Kind.NEIGHBOURS, share=0.2),
        BenchWarning.of(Kind.THROTTLED),
    ]
    assert MachineTimes(total_s=10, busy_s=7).disturbances(before, own_cpu_s=6.5) == []


@pytest.mark.parametrize(
    ("workers", "metric"),
    [((4, 4), Metric.CPU), ((1, 4), Metric.REQUESTS), ((None, 4), Metric.CPU)],
    ids=["as many", "more", "not known"],
)
def test_cpu_time_does_not_decide_between_one_worker_and_four(
    workers: tuple[int | None, int], metric: Metric
) -> None:
    """Four may use more of it, and answer more."""
    alone = run_of([(101.0, 101.0), (102.0, 102.0), (103.0, 103.0)])
    together = run_of([(100.0, 100.0)] * 3, partners=True, cpu_s=(1.0, 1.1))
    results = results_of([*alone, *together])
    targets = []
    for facts, count in zip(results.targets, workers, strict=True):
        server = ServerSettings(workers=count) if count else None
        targets.append(replace(facts, server=server))
    (comparison,) = decisive_comparisons(replace(results, targets=tuple(targets)))
    assert comparison.metric is metric


def test_calibration_says_what_can_be_told_apart() -> None:
    reference = rounds_of("a", [1000] * 6)
    target = rounds_of("b", [1000, 1020, 980, 1010, 990, 1000])
    results = Results(created="", command="", comparisons=(compared(*reference, *target),))
    heading, line = calibration_conclusion(results).sentences
    assert heading == "Differences are within noise up to:"
    match = re.fullmatch(r"(1\.\d)% in requests/s, single trials, .*; for 1.0% use -r (\d+)", line)
    assert match
    assert (float(match[1]), int(match[2])) == (1.5, 11)


FIVE_SECONDS = Load(connections=100, threads=4, duration_s=5)


@pytest.mark.parametrize(
    ("silences_s", "max_s", "count"),
    [
        pytest.param([], 0.03, 0, id="not known"),
        pytest.param([0.01] * 100, 0.03, 0, id="all busy"),
        pytest.param([0.9] * 100, 0.03, 0, id="a pause that may end"),
        pytest.param([0.01] * 92 + [4.9] * 8, 0.03, 8, id="eight are silent"),
        pytest.param([1.5] * 100, 0.8, 0, id="answers take as long"),
        pytest.param([1.7] * 100, 0.8, 100, id="twice the longest"),
    ],
)
def test_silence_is_longer_than_any_answer_took(
    silences_s: list[float], max_s: float, count: int
) -> None:
    latency = Latency(mean_s=0.01, stdev_s=0.01, max_s=max_s)
    wrk = wrk_of(1000, latency_uncorrected=latency)
    reason = silent_connections(silences_s, wrk, FIVE_SECONDS)
    assert (reason.figures["silent"] if reason else 0) == count


def response_of(size: int, body: int = 100) -> Response:
    return replace(OK, bytes=size, body_bytes=body)


ALIKE = [response_of(200), response_of(200)]
SHORT = [response_of(200, 2)] * 2
VARIED = [response_of(200), response_of(240)]


@pytest.mark.parametrize(
    ("responses", "requests", "size", "kind"),
    [
        pytest.param(ALIKE, 10_000, 201.9, None, id="answers under way at the end"),
        pytest.param(ALIKE, 100, 390, None, id="one under way for each answer"),
        pytest.param(ALIKE, 10_000, 206, Kind.SIZE_DIFFERS, id="3% more"),
        pytest.param(ALIKE, 10_000, 196, Kind.SIZE_DIFFERS, id="2% less"),
        pytest.param(ALIKE, 10_000, 230, Kind.SIZE_CHANGED, id="15% more"),
        pytest.param(ALIKE, 10_000, 100, Kind.SIZE_CHANGED, id="half"),
        pytest.param(SHORT, 10_000, 198, Kind.SIZE_CHANGED, id="a lost short body"),
        pytest.param([response_of(200, 0)] * 2, 10_000, 200, None, id="no body at all"),
        pytest.param(VARIED, 10_000, 300, None, id="varies by nature"),
        pytest.param(VARIED, 10_000, 60, Kind.SIZE_CHANGED, id="varies, but not so far"),
    ],
)
def test_bytes_for_each_request_are_those_of_the_checked_answer(
    responses: list[Response], requests: int, size: float, kind: Kind | None
) -> None:
    wrk = wrk_of(1000, requests=requests, bytes=round(requests * size))
    change = ResponseSizes.of(responses).change(wrk, FIVE_SECONDS)
    assert (change.kind if change else None) is kind


def connections_of(*texts: str) -> list[list[Response]]:
    """Return responses on connections: a letter for the body of each."""
    connections = []
    for text in texts:
        bodies = [replace(response_of(200), body_sha256=letter) for letter in text]
        connections.append(bodies)
    return connections


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        pytest.param(("abbb", "abbb", "ab", "abbb"), 2, id="all but the first"),
        pytest.param(("aabb", "aabb", "aab", "aa"), 3, id="from the third on"),
        pytest.param(("abcd", "aefg", "ahij", "aklm"), 2, id="later ones that vary"),
        pytest.param(("aaaa", "aaaa", "aa", "aaaa"), None, id="one body"),
        pytest.param(("abcd", "efgh", "ijkl", "mnop"), None, id="a counter"),
        pytest.param(("aaab", "bbbb", "bbbb", "bbbb"), None, id="a clock"),
        pytest.param(("abab", "abba", "aabb", "abbb"), None, id="one of two by chance"),
        pytest.param(("ab", "ab"), None, id="too few connections"),
    ],
)
def test_a_body_that_changes_as_its_connection_is_used_is_found(
    texts: Sequence[str], number: int | None
) -> None:
    warning = changes_on_connection("a", FIVE_SECONDS, connections_of(*texts))
    assert (warning.figures["number"] if warning else None) == number


@pytest.mark.parametrize(
    ("took_s", "options"),
    [((0.1, 3.0), None), ((2.1, 3.0), "--timeout"), ((5.5, 6.0), "--duration and --timeout")],
)
def test_responses_that_are_all_too_slow_are_told_with_the_options(
    took_s: Sequence[float], options: str | None
) -> None:
    responses = [replace(response_of(200), took_s=each) for each in took_s]
    warning = too_slow("a", FIVE_SECONDS, responses)
    assert (warning.words["options"] if warning else None) == options


@pytest.mark.parametrize(
    ("step_s", "is_set"), [(0.0, False), (0.014, False), (0.5, True), (-0.5, True), (0.02, True)]
)
def test_a_clock_that_was_set_invalidates(step_s: float, is_set: bool) -> None:
    assert bool(clock_set(step_s, 5)) == is_set


@pytest.mark.parametrize(
    ("open_connections", "warning"),
    [
        (5, BenchWarning.of(Kind.EXTRA_RESPONSES, busy=10, open=5)),
        (9, None),
        (10, None),
        (100, BenchWarning.of(Kind.IDLE_CONNECTIONS, busy=10, open=100)),
        (12_000, BenchWarning.of(Kind.CUT_OFF, per_connection=5, loss=0.2)),
    ],
)
def test_littles_law_tells_extra_responses_and_lost_connections(
    open_connections: int, warning: BenchWarning | None
) -> None:
    load = Load(connections=open_connections, threads=1, duration_s=1)
    assert littles_law(wrk_of(1000), load) == warning, "1000/s x 10 ms: 10 connections"


def pairwise_of(speeds: dict[str, list[float]]) -> PairwiseComparisons:
    """Return the comparisons of targets that had these speeds beside the reference `base`."""
    by_round = {name: dict(enumerate(values, 1)) for name, values in speeds.items()}
    return PairwiseComparisons(
        load=LoadId(workload="hello", connections=100),
        method=Method.PAIRED,
        metric=Metric.CPU,
        reference="base",
        speeds={"base": dict.fromkeys(by_round[next(iter(by_round))], 1.0), **by_round},
        first_rounds=None,
    )


def ranks_of(pairwise: PairwiseComparisons) -> dict[str, str]:
    return {rank.target: rank.title for rank in pairwise.ranking().ranks}


def test_the_rounds_of_pairwise_comparisons_are_in_their_order() -> None:
    """The first ones decide on the spread, where there are two stages."""
    rounds = range(1, 36, 2)
    results = results_of([measured(*each, 100.0) for each in itertools.product(NAMES, rounds)])
    pairwise = stats_ranking.compare_pairwise(results, decisive_comparisons(results))
    assert pairwise
    assert [list(speeds) for speeds in pairwise.speeds.values()] == [list(rounds)] * 2


def test_targets_share_places_unless_all_pairs_at_once_tell_them_apart() -> None:
    pairwise = pairwise_of(
        {
            "fast": [2.0, 2.1, 1.9, 2.0, 2.05, 1.95],
            "fast too": [2.1, 2.0, 2.0, 1.95, 1.9, 2.1],
            "slow": [0.5, 0.51, 0.49, 0.5, 0.5, 0.52],
        }
    )
    assert ranks_of(pairwise) == {"fast too": "1 to 2", "fast": "1 to 2", "base": "3", "slow": "4"}


def test_places_go_by_rounds_in_which_both_met_the_reference() -> None:
    """What both have of a round's luck does not hide that one is faster."""
    luck = [1.0, 2.0, 0.5, 1.5, 0.7, 1.2]
    pairwise = pairwise_of(
        {"a": luck, "b": [1.1 * each * (1 + 0.001 * k) for k, each in enumerate(luck)]}
    )
    speed = pairwise.compare("b", "a")
    assert speed
    assert speed.ratio == pytest.approx(1.1, rel=0.01)
    assert speed.confidence == pytest.approx(1 - 0.05 / 3)
    assert pairwise.is_faster("b", "a")
    assert ranks_of(pairwise) == {"b": "1 to 2", "a": "2 to 3", "base": "1 to 3"}


def test_one_round_tells_no_places_apart() -> None:
    assert ranks_of(pairwise_of({"a": [3.0], "b": [9.0]})) == dict.fromkeys(
        ("b", "a", "base"), "1 to 3"
    )


@pytest.mark.parametrize(("runs", "most"), [(100, 0.1), pytest.param(500, 0.07, marks=NIGHTLY)])
def test_equal_targets_are_told_apart_in_some_1_of_20_at_most(runs: int, most: float) -> None:
    rng = random.Random(3)
    apart = 0
    for _ in range(runs):
        speeds = {name: [math.exp(normal(rng)) for _ in range(6)] for name in ("a", "b", "c")}
        apart += set(ranks_of(pairwise_of(speeds)).values()) != {"1 to 4"}
    assert apart / runs < most


def test_whole_answers_that_were_counted_are_no_rate_where_they_are_few() -> None:
    """Of 1.05 s and 0.95 s trials of 2 s see one answer and two, whatever the number of rounds."""
    rate, p99, cpu = results_of(run_of([(50, 100)] * 4, seconds=2)).comparisons
    assert p99.estimate
    assert rate.estimate is cpu.estimate is None
    assert "too few responses per connection (1) for a result: use -d 40s" in str(rate.reason)


@pytest.mark.parametrize(
    ("count", "stdev_s", "is_few"),
    [(19, 0.0001, True), (20, 0.0001, False), (9, 0.01, True), (10, 0.01, False), (2, 0.01, True)],
)
def test_twenty_answers_in_step_are_enough_or_ten_that_are_not(
    count: int, stdev_s: float, is_few: bool
) -> None:
    latency = Latency(mean_s=0.01, stdev_s=stdev_s, max_s=0.03)
    wrk = wrk_of(100 * count / 2, seconds=2, latency_uncorrected=latency)
    assert has_few_responses(wrk, 100) == is_few


def test_a_load_of_more_threads_than_connections_is_counted_too() -> None:
    few = LoadId(workload="hello", connections=3)
    assert wrk_of(100.0).requests / measured("base", 1, 100.0, load=few).open_connections == 2000


def kind_of(logs: Sequence[float]) -> Kind | None:
    speeds = {number: math.exp(log) for number, log in enumerate(logs, start=1)}
    warning = unsteadiness(speeds, Metric.CPU)
    return warning.kind if warning else None


@pytest.mark.parametrize(
    ("series", "kind"),
    [
        pytest.param(lambda k: -0.04 * k, Kind.TREND, id="each launch is 4% slower"),
        pytest.param(
            lambda k: 0.3 * (k % 3 == 0), Kind.TWO_MODES, id="each third launch is faster"
        ),
        pytest.param(lambda k: -0.5 * (k == 7), Kind.OUTLYING_LAUNCH, id="one launch is slow"),
        pytest.param(lambda k: 0.001 * k, None, id="next to nothing"),
    ],
)
def test_rounds_that_do_not_show_one_figure_are_told(
    series: Callable[[int], float], kind: Kind | None
) -> None:
    draw = random.Random(1)
    assert kind_of([series(k) + draw.gauss(0, 0.02) for k in range(1, 19)]) is kind
    assert kind_of([series(k) for k in range(1, 7)]) is None, "6 rounds show no order"
    assert kind_of([0.0] * 18) is None


@pytest.mark.parametrize("runs", [600, pytest.param(10_000, marks=NIGHTLY)])
def test_independent_rounds_seldom_look_unsteady(runs: int) -> None:
    draw = random.Random(1)
    told = Counter(kind_of([draw.gauss(0, 0.02) for _ in range(18)]) for _ in range(runs))
    assert runs - told[None] < 0.01 * runs


@pytest.mark.parametrize(
    ("single_cpu_s", "is_paired"), [(0.5, True), (0.6, True), (0.03, False), (20.0, False)]
)
def test_a_pair_that_shares_something_is_decided_by_single_trials(
    single_cpu_s: float, is_paired: bool
) -> None:
    """By CPU per request, in paired trials one needs half of what the other does."""
    measurements = []
    for number, partners in itertools.product(range(1, 7), (False, True)):
        mean_s = 0.5 if partners else single_cpu_s
        cpu_s = (1.0, mean_s * (1 + number / 100))
        measurements += run_of([(1000, 1000)], partners=partners, cpu_s=cpu_s, first_round=number)
    results = results_of(measurements)
    (decisive,) = decisive_comparisons(results)
    assert (decisive.method is Method.PAIRED) == is_paired
    _, more_row = gist_table(results, results.loads[0]).rows
    assert float(more_row[-1]) == pytest.approx(500 if is_paired else 1000 * single_cpu_s, rel=0.05)
    told = [each.warning for each in warnings_of(results)]
    told = [warning for warning in told if warning.kind is Kind.DEPENDENT_PAIR]
    assert len(told) == (0 if is_paired else 1)
    for warning in told:
        assert warning.figures["single"] == pytest.approx(1 / single_cpu_s, rel=0.05)
        assert warning.figures["paired"] == pytest.approx(2, rel=0.05)


def launched(plan: Plan, draw: random.Random, *, cold_trials: int) -> Results:
    """Return the results of a plan in which `more` is twice as slow for a launch's first trials."""
    measurements = []
    for launch in schedule(plan):
        for position, trial in enumerate(launch.trials):
            names = [target.name for target in trial.targets]
            for name, other in zip(names, [*names[1:], names[0]], strict=True):
                is_cold = name == "more" and position < cold_trials
                cpu_s = (2 if is_cold else 1) * trial.load.connections * draw.gauss(1, 0.05)
                partner = other if other != name else None
                load = trial.load.id
                made = measured(name, launch.round, 1000, cpu_s=cpu_s, load=load, partner=partner)
                measurements.append(made)
    return results_of(measurements, settings=settings_of(plan))


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("cold_trials", [0, 1, 2])
def test_servers_that_warm_up_for_longer_are_told_with_how_long(
    cold_trials: int, paired: bool
) -> None:
    plan = plan_of(loads=LOADS, rounds=18, paired=paired)
    results = launched(plan, random.Random(1), cold_trials=cold_trials)
    assert warming(results, "base") is None
    warning = warming(results, "more")
    if not cold_trials or (cold_trials == 2 and not paired):  # where all trials are cold
        assert warning is None
        return
    assert warning
    enough_s = plan.warm_up_s + cold_trials * HELLO.duration_s
    assert warning.figures == {"slower": pytest.approx(2, rel=0.05), "enough_s": enough_s}


@pytest.mark.parametrize("runs", [40, pytest.param(1000, marks=NIGHTLY)])
def test_warm_servers_seldom_look_cold(runs: int) -> None:
    draw = random.Random(1)
    told = 0
    for seed in range(runs):
        plan = plan_of(loads=LOADS, rounds=10, paired=True, seed=seed)
        results = launched(plan, draw, cold_trials=0)
        told += any(warming(results, name) for name in NAMES)
    assert told <= 0.01 * runs
