"""What was seen in a trial: how the cores were used, and what was wrong or odd."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Trial
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.stats.cores import CoreUse
from micropie_benchlib.stats.search import rate_not_kept
from micropie_benchlib.stats.validity import (
    ResponseSizes,
    clock_set,
    kept_open,
    late_generator,
    littles_law,
    silent_connections,
)
from micropie_benchlib.wrk.warnings import error_warnings


def longest_s(observations: Iterable[Observation]) -> float:
    return max(seen.wrk.duration_s for seen in observations)


def core_use(observations: Sequence[Observation], load: Load, workers: int | None) -> CoreUse:
    """Return how load generators and servers used the cores in one trial.

    The servers can use a core for each of their `workers`, or for each thread that worked.
    Of several load machines it is the one whose wrks used most of its cores.
    """
    count = len(observations)
    duration_s = longest_s(observations)
    cores = observations[0].cores
    server_cores = min(workers or busy_threads(observations) or cores.servers, cores.servers)
    server_uses_s = [seen.use.server_cpu_s for seen in observations if seen.use]
    are_all_known = len(server_uses_s) == count
    busiest = (0.0, 1)
    for machine, load_cores in enumerate(cores.loads):
        usable = min(count * load.wrk_threads, load_cores)
        spent_s = sum(seen.load_cpus_s[machine] for seen in observations)
        if spent_s / usable >= busiest[0] / busiest[1]:
            busiest = (spent_s, usable)
    load_cpu_s, usable_cores = busiest
    return CoreUse(
        load_cpu=load_cpu_s / duration_s,
        load_cores=usable_cores,
        server_cpu=sum(server_uses_s) / duration_s if are_all_known else None,
        server_cores=server_cores,
        shared_cores=cores.servers if cores.are_shared else 0,
        busy_share=observations[0].ending.busy_share,
    )


def busy_threads(observations: Iterable[Observation]) -> int | None:
    """Return how many threads of the servers worked; None if that is not known of each."""
    count = 0
    for seen in observations:
        if seen.ending.busy_threads is None:
            return None
        count += seen.ending.busy_threads
    return count


def wrong_load(
    observations: Sequence[Observation], load: Load, cores: CoreUse
) -> BenchWarning | None:
    """Return why a trial did not measure its servers: wrk was stopped, or the limit."""
    duration_s = longest_s(observations)
    if not load.rate_per_s and not -0.05 <= duration_s - load.duration_s <= 1:
        return BenchWarning.of(Kind.OTHER_DURATION, duration_s=duration_s, asked_s=load.duration_s)
    return observations[0].full_link or cores.saturation


MAY_COUNT = (
    *(Kind.SIZE_DIFFERS, Kind.BODY_AFTER_LOAD, Kind.IDLE_CONNECTIONS, Kind.CUT_OFF),
    *(Kind.LATE_GENERATOR, Kind.STOLEN, Kind.NEIGHBOURS, Kind.THROTTLED),
)  # a trial that has but these warnings


def warnings_in(trial: Trial, seen: Observation, sizes: ResponseSizes) -> Iterator[BenchWarning]:
    """Yield what was wrong, or odd, about a target in a trial."""
    wrk, load = seen.wrk, trial.load
    least = 1 if load.rate_per_s else load.connections
    yield from error_warnings(wrk, connections=least, expect_status=load.workload.expect_status)
    found = [
        clock_set(seen.clock_step_s, load.duration_s),
        sizes.change(wrk, load),
        late_generator(wrk),
    ]
    if load.rate_per_s:
        found.append(rate_not_kept(wrk, load))
    else:
        found.append(silent_connections(seen.ending.silences_s, wrk, load))
        if trial.method is Method.SINGLE:  # wrks of a paired trial are frozen
            found.append(littles_law(wrk, load))
    if not load.workload.keep_alive:
        found.append(kept_open(wrk, seen.connections_opened))
    yield from filter(None, found)
    yield from seen.disturbances
