"""Which metric the verdict is based on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from micropie_benchlib.core.choices import Decisive, Limit, Method
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results

# The verdict goes by the first of these that has an estimate.
CHOSEN_METRICS: Mapping[Decisive | None, Sequence[tuple[Method, Metric]]] = {
    None: (
        (Method.SINGLE, Metric.CAPACITY),
        (Method.PAIRED, Metric.CPU),
        (Method.SINGLE, Metric.REQUESTS),
    ),
    Decisive.CPU: ((Method.PAIRED, Metric.CPU), (Method.SINGLE, Metric.CPU)),
    Decisive.THROUGHPUT: ((Method.SINGLE, Metric.REQUESTS),),
    Decisive.P99: ((Method.SINGLE, Metric.P99),),
}
P99_AT_A_RATE = ((Method.PAIRED, Metric.P99), (Method.SINGLE, Metric.P99))
METRICS_AT_A_RATE: Mapping[Decisive | None, Sequence[tuple[Method, Metric]]] = {
    None: (*CHOSEN_METRICS[Decisive.CPU], *P99_AT_A_RATE),
    Decisive.CPU: CHOSEN_METRICS[Decisive.CPU],
    Decisive.P99: P99_AT_A_RATE,
}  # likewise; throughput is given
FAIR_SHARE = 0.05  # of the servers' CPU times in a paired trial
SATURATED = "load generator saturated"


def deciding_metrics(load: LoadId, chosen: Decisive | None) -> Sequence[tuple[Method, Metric]]:
    """Return what a verdict under the load goes by: the first of these that there is."""
    if load.rate_per_s:
        return METRICS_AT_A_RATE.get(chosen, METRICS_AT_A_RATE[None])
    return CHOSEN_METRICS[chosen]


def waits(results: Results, name: str, load: LoadId) -> bool:
    """Return whether a target mostly waited for something other than the CPU.

    That is, nothing was busy in most of its valid trials; alone, for in a paired trial two share
    the cores. At a rate nothing need be busy: there a request must have taken several times
    as long as its CPU time, too.
    """
    waiting = []
    for measurement in results.single_trials(name, load):
        if measurement.valid and measurement.limited_by:
            was_busy = measurement.limited_by is not Limit.NEITHER
            waiting.append(not was_busy and (not load.rate_per_s or took_long(measurement)))
    return 2 * sum(waiting) > len(waiting)


CPU_SHARE_OF_WAITING = 0.25  # at most, of the time that a request took


def took_long(measurement: Measurement) -> bool:
    """Return whether the median request, from when it was sent, took far more than CPU time."""
    latency = measurement.wrk.latency_uncorrected if measurement.wrk else None
    cpu_s = measurement.cpu_per_request_s
    if cpu_s is None or latency is None or latency.p50_s is None:
        return False
    return cpu_s < CPU_SHARE_OF_WAITING * latency.p50_s


def fails_alone(results: Results, name: str, load: LoadId) -> bool:
    """Return whether most of a target's single trials are invalid, and not for wrk's limits.

    Its paired trials then mean nothing: not all that is checked alone can be checked there.
    """
    trials = results.single_trials(name, load)
    invalid = [m for m in trials if not m.valid and m.limited_by is not Limit.LOAD_GENERATOR]
    return 2 * len(invalid) > len(trials)


def worker_counts(results: Results, names: Sequence[str]) -> set[int]:
    """Return the numbers of workers that the targets of those names have, if they are known."""
    counts = set()
    for facts in results.targets:
        if facts.name in names and facts.server:
            counts.add(facts.server.workers)
    return counts


def chosen_metric(results: Results) -> Decisive | None:
    """Return what the verdicts were asked to go by, if anything."""
    return results.settings.metric if results.settings else None


def may_decide(results: Results, comparison: Comparison, chosen: Decisive | None) -> bool:
    """Return whether a verdict may go by the comparison.

    CPU per request says which server is faster only where CPU limits them, and both may
    use as much of it: not between one worker and four. What the user chose decides in any
    case.
    """
    if results.seeks_capacity:
        return comparison.metric is Metric.CAPACITY
    if chosen:
        kind = (comparison.method, comparison.metric)
        return kind in deciding_metrics(comparison.load, chosen)
    if comparison.metric is not Metric.CPU:
        return True
    names = (comparison.reference, comparison.target)
    if len(worker_counts(results, names)) > 1:
        return False
    if any(waits(results, name, comparison.load) for name in names):
        return False
    is_paired = comparison.method is Method.PAIRED
    return not (is_paired and any(fails_alone(results, name, comparison.load) for name in names))


def may_decide_all(results: Results, chosen: Decisive | None) -> list[Comparison]:
    """Return the comparisons that a verdict may go by."""
    comparisons = results.comparisons
    return [comparison for comparison in comparisons if may_decide(results, comparison, chosen)]
