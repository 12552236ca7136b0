"""All warnings of results: those recorded, and those that follow."""

import itertools
import math
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Interval
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import ROUNDING
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import USEFUL_ROUNDS
from micropie_benchlib.core.results import Results, Role, TargetFacts
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.stats import deciding
from micropie_benchlib.stats.compare import has_few_responses
from micropie_benchlib.stats.comparisons import speeds_by_round
from micropie_benchlib.stats.equal_work import BODY_HASH, WORKERS, differing_responses, work_of
from micropie_benchlib.stats.intervals import (
    estimate_ratio,
    is_wide,
    mean_and_half_width,
    rounds_needed,
)
from micropie_benchlib.stats.ranking import rankings_of
from micropie_benchlib.stats.steadiness import unsteadiness
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.stats.warming import warming

MANY_ROUNDS = 1000  # that would hardly decide


class Sighting(NamedTuple):
    warning: BenchWarning
    target: str | None = None
    load: LoadId | None = None
    round: int | None = None
    method: Method | None = None
    is_invalid: bool = False


def seen(
    kind: Kind, target: str | None = None, load: LoadId | None = None, /, **data: float | str
) -> Sighting:
    return Sighting(BenchWarning.of(kind, **data), target, load)


def findings_of(results: Results) -> Iterator[Sighting]:
    """Yield what the results show beside the verdicts, or instead of them.

    A knee is the load from which on a target's throughput stops growing: the fewest connections
    with 95% of its most, of three counts or more.
    """
    yield from known_capacities(results)
    yield from kept_limits(results)
    for workload, name in itertools.product(results.workloads, results.names):
        means = {}
        for load in results.loads:
            throughputs = results.throughputs(name, load)
            if load.workload == workload and throughputs and not load.rate_per_s:
                means[load] = statistics.fmean(throughputs)
        if len(means) >= 3:
            enough = 0.95 * max(means.values())
            knee = next(load for load, mean in means.items() if mean >= enough)
            yield seen(Kind.KNEE, name, knee)
    if results.settings and len(results.names) == 1:
        yield seen(Kind.ONE_TARGET)
    elif results.settings and results.settings.rounds == 1:
        yield seen(Kind.ONE_ROUND, rounds=USEFUL_ROUNDS)


def known_capacities(results: Results) -> Iterator[Sighting]:
    if not results.capacities:
        return
    limit_s = results.capacities[0].p99_limit_s
    for load, name in itertools.product(results.reported_loads, results.names):
        rates_per_s = list(results.capacities_of(name, load).values())
        missed = launches_that_missed(results, name, load)
        data = {"limit_s": limit_s}
        if rates_per_s:
            kind, figures = known_capacity(rates_per_s, missed)
            data |= figures
        elif missed:
            kind = Kind.CAPACITY_NONE
        else:
            continue
        yield seen(kind, None, load, target=results.label(name), **data)


def known_capacity(rates_per_s: Sequence[float], missed: int) -> tuple[Kind, dict[str, float]]:
    """Return what is told of the launches that kept the limit, beside those that missed it."""
    mean, half = mean_and_half_width(rates_per_s)
    figures = {"rate_per_s": mean}
    if missed:
        figures |= {"missed": missed, "launches": missed + len(rates_per_s)}
        return Kind.CAPACITY_IN_PART, figures
    if len(rates_per_s) == 1:
        return Kind.CAPACITY_OF_ONE, figures
    if is_wide(mean, half):
        return Kind.CAPACITY_SPREAD, figures
    figures |= {"interval_per_s_min": mean - half, "interval_per_s_max": mean + half}
    return Kind.CAPACITY, figures


def launches_that_missed(results: Results, name: str, load: LoadId) -> int:
    """Return in how many launches no rate kept the limit: the others alone would flatter."""
    missed = 0
    for each in results.capacities:
        if (each.target, each.load) == (name, load):
            missed += any(reason.kind is Kind.LIMIT_MISSED for reason in each.reasons)
    return missed


def kept_limits(results: Results, names: Sequence[str] | None = None) -> Iterator[Sighting]:
    """Yield whether the targets, all if none are named, keep the limit of a comparison's p99."""
    limit_s = results.settings.p99_limit_s if results.settings else None
    if not limit_s or results.seeks_capacity:
        return
    for load, name in itertools.product(results.reported_loads, names or results.names):
        p99s_s = results.p99s_s(name, load)
        p99 = estimate_ratio(p99s_s, confidence=0.95)
        if p99 is None:
            continue
        data = {"p99_s": p99.ratio, "interval_s_min": p99.low, "interval_s_max": p99.high}
        kind = Kind.P99_MET if p99.high < limit_s else Kind.P99_MISSED
        if p99.interval.contains(limit_s):
            kind = Kind.P99_INCONCLUSIVE
            data["rounds"] = rounds_for_limit(results, p99s_s, limit_s)
        yield seen(kind, None, load, target=results.label(name), limit_s=limit_s, **data)


def rounds_for_limit(results: Results, p99s_s: Sequence[float], limit_s: float) -> int:
    """Return how many rounds would decide, if means and spread stay."""
    logs = [math.log(p99_s) for p99_s in p99s_s]
    distance = abs(math.log(limit_s) - statistics.fmean(logs))
    trials = rounds_needed(statistics.stdev(logs), distance) if distance else None
    rounds = results.settings.rounds if results.settings else len(logs)
    return math.ceil((trials or MANY_ROUNDS) * rounds / len(logs))


def warnings_of(results: Results) -> list[Sighting]:
    return [
        *unfinished(results),
        *dependent_pairs(results),
        *warming_up(results),
        *unsteady(results),
        *overlapping_ranks(results),
        *few_for_p99(results),
        *trials_alone(results),
        *waiting(results),
        *unequal_work(results),
        *measured_warnings(results),
        *wide_spreads(results),
        *reconnecting(results),
        *imprecise(results),
        *shared_cores(results),
    ]


def measured_warnings(results: Results) -> Iterator[Sighting]:
    trials = []
    for trial in results.measurements:
        if not results.is_step(trial.load):
            trials.append(trial)
    for trial in trials:
        where = (trial.target, trial.load, trial.round, trial.method)
        for warning in trial.invalid:
            yield Sighting(warning, *where, is_invalid=True)
    for each in results.capacities:
        for warning in each.reasons:
            is_unknown = warning.kind is not Kind.LIMIT_MISSED
            yield Sighting(warning, each.target, each.load, each.round, is_invalid=is_unknown)
    for trial in trials:
        for warning in trial.warnings:
            yield Sighting(warning, trial.target, trial.load, trial.round, trial.method)


def unfinished(results: Results) -> Iterator[Sighting]:
    """Yield that rounds are missing, where the run could not say so itself."""
    if results.settings is None or results.early_end:
        return
    rounds = results.settings.rounds
    made = max((trial.round for trial in results.measurements), default=0)
    if made < rounds:
        yield seen(Kind.UNFINISHED, made=made, rounds=rounds)


def overlapping_ranks(results: Results) -> Iterator[Sighting]:
    for ranking in rankings_of(results):
        for rank in ranking.ranks:
            if rank.first != rank.last:
                yield seen(Kind.OVERLAPPING_RANKS)
                return


ENOUGH_FOR_P99 = 200  # requests of a trial: its p99 then has two above it


def few_for_p99(results: Results) -> Iterator[Sighting]:
    lowest_per_s = math.inf
    for load in results.reported_loads:
        lowest_per_s = min(lowest_per_s, load.rate_per_s or math.inf)
    for capacity in results.capacities:
        lowest_per_s = min(lowest_per_s, capacity.rate_per_s or math.inf)
    if lowest_per_s == math.inf or not results.settings:
        return
    count = round(lowest_per_s * results.settings.duration_s)
    if count < ENOUGH_FOR_P99:
        enough = 5 * ENOUGH_FOR_P99
        enough_s = math.ceil(enough / lowest_per_s)
        yield seen(Kind.FEW_FOR_P99, count=count, enough=enough, enough_s=enough_s)


# Delayed acknowledgements make a server without TCP_NODELAY respond after 40 ms (Linux,
# TCP_DELACK_MIN), whatever it has to do.
DELAYED_ACK_S = (0.038, 0.05)


def waits_for_acks(results: Results, name: str, load: LoadId) -> bool:
    latencies = results.latencies(name, load)
    known = [latencies[percent] for percent in (10, 50, 75) if percent in latencies]
    least_s, most_s = DELAYED_ACK_S
    return bool(known) and least_s <= min(known) and max(known) <= most_s


def waiting(results: Results) -> Iterator[Sighting]:
    if results.seeks_capacity:  # there CPU time decides nothing
        return
    for load, facts in itertools.product(results.reported_loads, results.targets):
        if deciding.waits(results, facts.name, load):
            kind = Kind.WAITED
            if waits_for_acks(results, facts.name, load):
                kind = Kind.DELAYED_ACKS
            yield seen(kind, facts.name, load)


def unequal_work(results: Results) -> Iterator[Sighting]:
    of_servers = []
    of_responses = []
    for fact in work_of(results):
        if fact.differs and fact.is_of_response:
            of_responses.append(fact)
        elif fact.differs:
            of_servers.append(fact.what)
    if of_servers:
        yield seen(Kind.UNEQUAL_WORK, facts=", ".join(of_servers))
    if WORKERS in of_servers and deciding.chosen_metric(results) is None:
        yield seen(Kind.UNEQUAL_WORKERS)
    if of_responses:
        apps = {facts.spec.partition("@")[0] for facts in results.targets}
        whats = {fact.what for fact in of_responses}
        kind = Kind.UNEQUAL_RESPONSES
        if apps <= set(BUILT_INS) and BODY_HASH in whats:
            kind = Kind.UNEQUAL_BUILT_INS
        yield seen(kind, responses=differing_responses(results, of_responses))


def wide_spreads(results: Results) -> Iterator[Sighting]:
    """Yield whose mean requests/s stand without an interval, since that is wider than they."""
    for load, name in itertools.product(results.reported_loads, results.names):
        throughputs = results.throughputs(name, load)
        if throughputs and is_wide(*mean_and_half_width(throughputs)):
            yield seen(Kind.WIDE_SPREAD, name, load)


MAX_FOR_ONE_CONNECTION = 20  # requests; with more, new connections cost little


def requests_per_connection(results: Results, facts: TargetFacts) -> float:
    """Return how many requests each new connection of a target's single trials served.

    Only beyond those that wrk opened at first. Other programs open connections too, so it is
    the most of any trial, of two or more. Otherwise it is what the responses say.
    """
    served = []
    for trial in results.measurements:
        wrk, opened = trial.wrk, trial.connections_opened
        if trial.target != facts.name or not trial.valid:
            continue
        if wrk is None or opened is None:
            continue
        others = opened - trial.load.connections
        # A server that closes has one for each request, also at a rate.
        if others <= 0 or (trial.load.rate_per_s and 2 * others <= wrk.requests):
            served.append(math.inf)
        # With few requests the few connections that others open would be many.
        elif trial.load.rate_per_s or not has_few_responses(wrk, trial.open_connections):
            served.append(wrk.requests / others)
    closes = any(response.says_close for response in facts.responses.values())
    if len(served) > 1 or (served and closes):
        return max(served)
    return 1.0 if closes else math.inf


def trials_alone(results: Results) -> Iterator[Sighting]:
    """Of a short run: the paired trials have a verdict, and the tables are of one trial each."""
    counts = set[int]().union(*map(results.reported_counts, results.reported_loads))
    are_paired = [each.method is Method.PAIRED for each in decisive_comparisons(results)]
    if any(are_paired) and counts - {0} == {1}:
        yield seen(Kind.ONE_TRIAL)


def reconnecting(results: Results) -> Iterator[Sighting]:
    for facts in results.targets:
        served = requests_per_connection(results, facts)
        if served <= MAX_FOR_ONE_CONNECTION:
            kind = Kind.RECONNECTS_COUNTED
            for response in facts.responses.values():
                if response.says_close or response.http_version != "1.1":
                    kind = Kind.RECONNECTS
            yield seen(kind, facts.name, requests=served)


def imprecise(results: Results) -> Iterator[Sighting]:
    wanted = results.settings.precision if results.settings else None
    for comparison in decisive_comparisons(results):
        half = comparison.estimate.half_width if comparison.estimate else None
        if wanted and half and half > wanted * (1 + ROUNDING):
            where = (comparison.target, comparison.load)
            yield seen(Kind.IMPRECISE, *where, half_width=half, wanted=wanted)


def dependent_pairs(results: Results) -> Iterator[Sighting]:
    for comparison in results.comparisons:
        is_of_pairs = (comparison.method, comparison.metric) == deciding.PAIRED_CPU
        single = deciding.comparison_beside(results.comparisons, comparison, *deciding.CPU)
        if is_of_pairs and deciding.are_dependent(results, comparison) and single:
            yield seen(
                Kind.DEPENDENT_PAIR,
                comparison.target,
                comparison.load,
                paired=comparison.speed.ratio if comparison.speed else 0.0,
                single=single.speed.ratio if single.speed else 0.0,
            )


def warming_up(results: Results) -> Iterator[Sighting]:
    for name in results.names:
        warning = warming(results, name)
        if warning:
            yield Sighting(warning, name)


def unsteady(results: Results) -> Iterator[Sighting]:
    """CPU per request in paired trials shows it best, whatever the verdict is based on."""
    for comparison in decisive_comparisons(results):
        paired = deciding.comparison_beside(results.comparisons, comparison, *deciding.PAIRED_CPU)
        for each in filter(None, (comparison, paired)):
            warning = None
            if each.estimate:
                warning = unsteadiness(speeds_by_round(results, each), each.metric)
            if warning:
                yield Sighting(warning, each.target, each.load)
                break


def load_share(results: Results) -> float | None:
    load_s = server_s = 0.0
    for measurement in results.measurements:
        wrk, use = measurement.wrk, measurement.use
        if not measurement.valid or measurement.method is not Method.SINGLE:
            continue
        if wrk and use and wrk.load_cpu_s is not None:
            load_s += wrk.load_cpu_s
            server_s += use.server_cpu_s
    return load_s / (load_s + server_s) if load_s and server_s else None


def shared_cores(results: Results) -> Iterator[Sighting]:
    """On shared cores a request costs the server's CPU time and wrk's."""
    share = load_share(results)
    if share is None:
        return
    are_apart = any(machine.role is Role.LOAD for machine in results.machines)
    for comparison in decisive_comparisons(results):
        if comparison.metric is not Metric.CPU:
            continue
        here = deciding.comparison_beside(results.comparisons, comparison, *deciding.REQUESTS)
        speed, plain = comparison.speed, here.speed if here else None
        if not speed or not plain:
            continue
        if speed.interval.overlaps(plain.interval):
            continue
        between = Interval(min(1, speed.ratio), max(1, speed.ratio))
        if between.contains(plain.ratio) and not are_apart:
            yield seen(Kind.SHARED_CORES, share=share)
        else:
            yield seen(Kind.DISAGREEMENT)
        return
