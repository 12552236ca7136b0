"""How the cores were used in a trial."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from micropie_benchlib.core.loads import Load
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.stats.cores import CoreUse


def longest_s(observations: Iterable[Observation]) -> float:
    """Return the duration of the longest wrk run, in seconds."""
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


def limit_reason(observations: Sequence[Observation], load: Load, cores: CoreUse) -> str | None:
    """Return why a trial did not measure its servers: wrk was stopped, or the limit."""
    duration_s = longest_s(observations)
    if not load.rate_per_s and not -0.05 <= duration_s - load.duration_s <= 1:
        return f"wrk ran for {duration_s:.2f} s instead of {load.duration_s} s: somebody stopped it"
    return observations[0].full_link or cores.saturation_reason
