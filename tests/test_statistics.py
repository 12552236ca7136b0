"""Statistics and the schedule: pure functions against published values, scipy, and simulations."""

from __future__ import annotations

import dataclasses
import math
import random
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scipy import stats

import micropie_bench as mb

if TYPE_CHECKING:
    from conftest import Start


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.975, 0.99, 1 - 0.05 / 7])
@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 5, 6, 7, 11, 29, 30, 99, 500])
def test_t_quantiles_agree_with_scipy(confidence: float, degrees: int) -> None:
    assert mb.student_t(confidence, degrees) == pytest.approx(stats.t.ppf(0.5 + confidence / 2, degrees), rel=1e-9)


def test_t_quantiles_of_the_printed_tables() -> None:
    """Abramowitz and Stegun, table 26.10."""
    printed = {1: 12.706, 2: 4.303, 5: 2.571, 10: 2.228, 120: 1.980}
    assert {degrees: round(mb.student_t(0.95, degrees), 3) for degrees in printed} == printed


def test_interval_of_log_ratios_agrees_with_scipy() -> None:
    theirs, mine = [100.0, 98.0, 103.0, 99.0], [110.0, 111.0, 108.0, 112.0]
    logs = [math.log(y / x) for x, y in zip(theirs, mine, strict=True)]
    low, high = stats.t.interval(0.95, 3, loc=statistics.mean(logs), scale=stats.sem(logs))
    assert mb.compare_samples(theirs, mine, confidence=0.95) == pytest.approx(
        (math.exp(statistics.mean(logs)), math.exp(low), math.exp(high))
    )


def test_one_round_has_no_interval() -> None:
    assert mb.compare_samples([100.0], [110.0], confidence=0.95) == pytest.approx((1.1,))


def test_intervals_of_equal_targets_cover_1_in_95_of_100() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(1000):
        a, b = ([math.exp(rng.gauss(0, 0.1)) for _ in range(6)] for _ in range(2))
        _, low, high = mb.compare_samples(a, b, confidence=0.95)
        covered += low <= 1 <= high
    assert 930 <= covered <= 970


def test_rounds_needed_reach_the_wished_half_width() -> None:
    rounds = mb.rounds_needed(0.02, 0.005)
    assert rounds
    assert mb.student_t(0.95, rounds - 1) * 0.02 / math.sqrt(rounds) <= 0.005
    assert mb.student_t(0.95, rounds - 2) * 0.02 / math.sqrt(rounds - 1) > 0.005
    assert mb.rounds_needed(10.0, 0.001) is None


def wrk_correct(histogram: mb.Histogram, interval: int) -> mb.Histogram:
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
    measured = tuple(sorted((value, values.count(value)) for value in set(values)))
    corrected = wrk_correct(measured, 60)
    assert sum(count for _, count in corrected) > 3000
    assert mb.uncorrect(corrected, 60) == measured


def test_nothing_is_undone_where_wrk_corrected_nothing() -> None:
    assert mb.uncorrect(((5, 1), (900, 2)), 0) == ((5, 1), (900, 2))


def test_uncorrected_counts_of_a_real_run_are_its_requests(start: Start, tmp_path: Path) -> None:
    load = mb.Load(connections=20, threads=2, duration_s=1)
    with start("asgi", workers=2) as server:
        (seen,) = mb.run_load("wrk", [server], load, work_dir=tmp_path, tick=lambda: None)
    assert seen.wrk.latency_uncorrected
    assert sum(count for _, count in seen.wrk.latency_uncorrected.histogram) == seen.wrk.requests
    assert sum(count for _, count in seen.wrk.latency.histogram) > seen.wrk.requests
    assert seen.wrk.latency_uncorrected.mean_s < seen.wrk.latency.mean_s
    assert mb.little_note(seen.wrk, load) is None


def test_percentiles_are_pooled_not_averaged() -> None:
    fast, slow = ((1000, 99), (2000, 1)), ((50_000, 100),)
    assert mb.histogram_percentile(mb.pool([fast, slow]), 75) == 0.05
    assert mb.histogram_percentile(mb.pool([fast, slow]), 25) == 0.001


def plan(count: int, *, rounds: int, duet: bool, seed: int = 1) -> mb.Plan:
    loads = tuple(mb.Load(connections=n, threads=1, duration_s=1) for n in (100, 200))
    targets = tuple(mb.parse_target(f"t{n}=asgi") for n in range(count))
    return mb.Plan(targets=targets, loads=loads, rounds=rounds, seed=seed, server=mb.Server(), duet=duet)


def trials(launch: mb.Launch) -> list[tuple[str, int]]:
    return [("+".join(sorted(t.name for t in trial.targets)), trial.load.connections) for trial in launch.trials]


def test_single_round_keeps_the_gists_order() -> None:
    launches = mb.schedule(plan(2, rounds=1, duet=False))
    assert [trials(launch) for launch in launches] == [[("t0", 100), ("t0", 200)], [("t1", 100), ("t1", 200)]]


@pytest.mark.parametrize(("count", "duet"), [(1, False), (2, False), (2, True), (4, True)])
def test_each_round_makes_each_trial_once(count: int, duet: bool) -> None:
    launches = mb.schedule(plan(count, rounds=3, duet=duet))
    for number in (1, 2, 3):
        made = sorted(t for launch in launches if launch.round == number for t in trials(launch))
        solo = [(f"t{n}", c) for n in range(count) for c in (100, 200)]
        pairs = [(f"t0+t{n}", c) for n in range(1, count) for c in (100, 200)] if duet else []
        assert made == sorted(solo + pairs)


def test_the_seed_alone_decides_the_order() -> None:
    orders = {str([trials(x) for x in mb.schedule(plan(3, rounds=4, duet=True, seed=seed))]) for seed in (1, 1, 2)}
    assert len(orders) == 2


def measured(
    target: str, number: int, rate: float, *, cpu_s: float = 1.0, partner: str | None = None, void: str | None = None
) -> mb.Measurement:
    latency = mb.Latency(mean_s=0.01, stdev_s=0.01, max_s=0.1, p99_s=1 / rate)
    wrk = mb.WrkResult(
        duration_s=1,
        requests=round(rate),
        bytes=1,
        requests_per_s=rate,
        bytes_per_s=1,
        latency=latency,
        errors=mb.Errors(),
    )
    return mb.Measurement(
        round=number,
        method=mb.Method.DUET if partner else mb.Method.SOLO,
        target=target,
        partner=partner,
        connections=100,
        threads=4,
        wrk=wrk,
        use=mb.ServerUse(server_cpu_s=cpu_s, server_rss_bytes=1, worker_balance=1),
        invalid_reason=void,
    )


def compared(*measurements: mb.Measurement, metric: mb.Metric = mb.Metric.REQUESTS) -> mb.Comparison:
    found = mb.compare_metric(measurements, metric=metric, reference="a", target="b", confidence=0.95)
    assert found
    return found


def test_verdicts_follow_the_interval_and_the_metrics_direction() -> None:
    made = [measured("a", n, 1000 + n) for n in range(4)] + [measured("b", n, 1100 + n) for n in range(4)]
    assert compared(*made).verdict is mb.Verdict.FASTER
    assert compared(*made, metric=mb.Metric.P99).verdict is mb.Verdict.FASTER
    slower = [
        measured(m.target, m.round, m.wrk.requests_per_s, cpu_s=1.5 if m.target == "b" else 1) for m in made if m.wrk
    ]
    assert compared(*slower, metric=mb.Metric.CPU).verdict is mb.Verdict.SLOWER
    noisy = [measured("a", n, 1000) for n in range(4)] + [measured("b", n, 1000 + (-1) ** n * 100) for n in range(4)]
    assert compared(*noisy).verdict is mb.Verdict.NO_DIFFERENCE


def test_void_rounds_leave_the_comparison_with_their_partner() -> None:
    made = [measured("a", n, 1000, void="gone" if n == 0 else None) for n in range(4)]
    made += [measured("b", n, 1100 + n, void="gone" if n == 1 else None) for n in range(4)]
    assert compared(*made).rounds == 2
    assert compared(*made[:2], *made[4:6]).verdict is mb.Verdict.INVALID
    assert compared(*made[:3], *made[4:7]).verdict is mb.Verdict.UNDECIDED


def test_a_saturated_load_generator_gives_no_verdict() -> None:
    made = [measured("a", n, 1000) for n in range(4)] + [measured("b", n, 1100, void=mb.SATURATED) for n in range(4)]
    assert compared(*made).verdict is mb.Verdict.INVALID
    assert "compare load generators" in str(compared(*made).reason)


def test_duet_throughput_counts_only_with_fair_shares() -> None:
    for share, verdict in ((1.01, mb.Verdict.FASTER), (1.2, mb.Verdict.INVALID)):
        made = [measured("a", n, 1000 + n, partner="b") for n in range(3)]
        made += [measured("b", n, 1100 + n, partner="a", cpu_s=share) for n in range(3)]
        assert compared(*made).verdict is verdict
        assert compared(*made, metric=mb.Metric.CPU).rounds == 3


def test_a_duet_is_paired_with_its_own_partner_alone() -> None:
    made = [measured("a", n, 1000 + n, partner="b") for n in range(3)]
    made += [measured("a", n, 5000 + n, partner="c") for n in range(3)]
    made += [measured("b", n, 1100 + n, partner="a") for n in range(3)]
    assert compared(*made).ratio == pytest.approx(1.1, abs=0.001)


def test_more_targets_widen_the_intervals() -> None:
    made = [measured(name, n, rate + n) for name, rate in (("a", 1000), ("b", 1100), ("c", 1200)) for n in range(4)]
    confidences = {c.confidence for c in mb.compare_all(made, ["a", "b", "c"])}
    assert confidences == {0.975}


@pytest.mark.parametrize(
    ("wrk", "server", "shared", "limited"),
    [(0.95, 0.5, 0, True), (0.95, 0.95, 0, False), (0.5, 0.5, 0, False), (0.3, 1.6, 2, False), (1.2, 0.7, 2, True)],
)
def test_saturation_is_wrk_full_and_the_server_not(wrk: float, server: float, shared: int, limited: bool) -> None:
    cores = 2 if shared else 1
    found = mb.saturation(load_cpu_s=wrk, load_cores=cores, server_cpu_s=server, server_cores=cores, shared=shared)
    assert bool(found) == limited


def test_littles_law_names_lost_connections() -> None:
    made = measured("a", 1, 1000).wrk
    assert made
    wrk = dataclasses.replace(made, latency_uncorrected=made.latency)  # 1000/s x 10 ms: 10 connections
    assert mb.little_note(wrk, mb.Load(connections=10, threads=1, duration_s=1)) is None
    note = mb.little_note(wrk, mb.Load(connections=100, threads=1, duration_s=1))
    assert note == "by Little's law 10 of 100 connections were busy: some were lost, or wrk was kept waiting"


def test_disturbances_are_named() -> None:
    before = mb.MachineTimes()
    after = mb.MachineTimes(total_s=10, busy_s=7, steal_s=1, throttled=3)
    assert after.since(before, own_cpu_s=5) == (
        "the hypervisor took 10% of the machine (steal)",
        "other processes took 20% of the machine",
        "the CPU quota throttled it",
    )
    assert mb.MachineTimes(total_s=10, busy_s=7).since(before, own_cpu_s=6.5) == ()


def test_calibration_says_what_can_be_told_apart() -> None:
    rates = [(1000, 1000), (1000, 1020), (1000, 980), (1000, 1010), (1000, 990), (1000, 1000)]
    made = [measured("a", n, a) for n, (a, _) in enumerate(rates)]
    made += [measured("b", n, b) for n, (_, b) in enumerate(rates)]
    results = mb.Results(created="", command="", seed=None, settings={}, environment={}, comparisons=(compared(*made),))
    (sentence,) = mb.calibration(results, {})
    told = re.fullmatch(r"requests per .* under (1\.\d)% cannot be told from noise; for 1.0% use -r (\d+)\.", sentence)
    assert told
    assert (float(told[1]), int(told[2])) == (1.5, 11)
