"""What was seen in a trial: how the cores were used, and what was wrong or odd."""

from collections.abc import Iterable, Iterator, Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Trial
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.cpu_accounts import MATERIAL_SHARE, RESTLESS_S
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.stats import validity
from micropie_benchlib.stats.cores import CoreUse
from micropie_benchlib.stats.search import rate_not_kept
from micropie_benchlib.wrk.warnings import error_warnings


def longest_s(observations: Iterable[Observation]) -> float:
    return max(seen.wrk.duration_s for seen in observations)


def core_use(observations: Sequence[Observation], load: Load, workers: int | None) -> CoreUse:
    count = len(observations)
    duration_s = longest_s(observations)
    cores = observations[0].cores
    work = [seen.ending.work for seen in observations if seen.use and seen.ending.work]
    threads = 0
    server_cpu = server_delay = busiest = 0.0
    for each in work:
        threads += each.threads
        server_cpu += each.cpu_s / each.seconds
        server_delay += each.delay_s / each.seconds
        busiest = max(busiest, each.busiest_s / each.seconds)
    server_cores = min(workers or threads or cores.servers, cores.servers)
    busiest_machine = (0.0, 1, 0.0)  # by the share of its cores that wrks used
    for machine, load_cores in enumerate(cores.loads):
        usable = min(count * load.wrk_threads, load_cores)
        spent_s = sum(seen.load_cpus_s[machine] for seen in observations)
        if spent_s / usable >= busiest_machine[0] / busiest_machine[1]:
            delay_s = observations[0].load_delays_s[machine]
            busiest_machine = (spent_s, usable, delay_s)
    load_cpu_s, usable_cores, load_delay_s = busiest_machine
    return CoreUse(
        load_cpu=load_cpu_s / duration_s,
        load_cores=usable_cores,
        load_delay=load_delay_s / duration_s,
        server_cpu=server_cpu if len(work) == count else None,
        server_cores=server_cores,
        busiest=busiest,
        server_delay=server_delay,
        shared_cores=cores.servers if cores.are_shared else 0,
    )


LONGEST_PAUSE_S = 1.0  # of wrk, which a busy machine does not make


def wrong_load(
    observations: Sequence[Observation], load: Load, cores: CoreUse
) -> BenchWarning | None:
    for seen in observations:
        rate = seen.wrk.arrival_rate
        if rate and rate.late_max_s > LONGEST_PAUSE_S:
            return BenchWarning.of(Kind.SUSPENDED, late_s=rate.late_max_s)
    duration_s = longest_s(observations)
    longer_s = duration_s - load.duration_s
    if not load.rate_per_s and not -0.05 <= longer_s <= LONGEST_PAUSE_S:
        return BenchWarning.of(Kind.OTHER_DURATION, duration_s=duration_s, asked_s=load.duration_s)
    first = observations[0]
    return first.busy_partner or first.full_link or cores.saturation


MAY_COUNT = (
    *(Kind.SIZE_DIFFERS, Kind.BODY_AFTER_LOAD, Kind.IDLE_CONNECTIONS, Kind.CUT_OFF),
    *(Kind.LATE_GENERATOR, Kind.STOLEN, Kind.NEIGHBOURS, Kind.THROTTLED),
    *(Kind.SERVER_THROTTLED, Kind.POLLS, Kind.RESTLESS_PART, Kind.IDLE_USE),
    *(Kind.PUT_OFF, Kind.STILL_WORKING, Kind.UNSEEN_WORK),
)  # a trial that has but these warnings


def warnings_in(
    trial: Trial, seen: Observation, sizes: validity.ResponseSizes
) -> Iterator[BenchWarning]:
    wrk, load = seen.wrk, trial.load
    least = 1 if load.rate_per_s else load.connections
    yield from error_warnings(wrk, connections=least, expect_status=load.workload.expect_status)
    found = [
        validity.clock_set(seen.clock_step_s, load.duration_s),
        sizes.change(wrk, load),
        validity.late_generator(wrk),
    ]
    if load.rate_per_s:
        found.append(rate_not_kept(wrk, load))
    else:
        found.append(validity.silent_connections(seen.ending.silences_s, wrk, load))
        if trial.method is Method.SINGLE:  # wrks of a paired trial are frozen
            found.append(validity.littles_law(wrk, load))
    if not load.workload.keep_alive:
        found.append(validity.kept_open(wrk, seen.connections_opened))
    yield from filter(None, found)
    yield from cpu_warnings(seen)
    yield from seen.disturbances


def cpu_warnings(seen: Observation) -> Iterator[BenchWarning]:
    use, ending = seen.use, seen.ending
    if ending.periods and ending.throttled:
        counts = {"throttled": ending.throttled, "periods": ending.periods}
        yield BenchWarning.of(Kind.SERVER_THROTTLED, **counts)
    if ending.had_backlog:
        yield BenchWarning.of(Kind.BACKLOG)
    if ending.unseen_s:
        yield BenchWarning.of(Kind.UNSEEN_WORK, cpu_s=ending.unseen_s)
    if use is None or not use.server_cpu_s:
        return
    if ending.polls:
        yield BenchWarning.of(Kind.POLLS, cores=use.idle_cores or 0.0)
    elif ending.restless_cores:
        yield BenchWarning.of(Kind.RESTLESS_PART, cores=ending.restless_cores)
    idle_share = ending.idle_cpu_s / use.server_cpu_s
    if idle_share > MATERIAL_SHARE and not ending.polls:
        cores = (use.idle_cores or 0.0) - ending.restless_cores
        yield BenchWarning.of(Kind.IDLE_USE, cores=cores, share=idle_share)
    put_off_share = ending.put_off_s / use.server_cpu_s
    if put_off_share > MATERIAL_SHARE:
        yield BenchWarning.of(Kind.PUT_OFF, share=put_off_share)
    if not ending.is_at_rest:
        yield BenchWarning.of(Kind.STILL_WORKING, seconds=RESTLESS_S)
