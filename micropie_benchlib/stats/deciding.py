"""Which metric the verdict is based on."""

from collections.abc import Iterable, Mapping, Sequence

from micropie_benchlib.core.choices import Decisive, Limit, Method
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import Kind

Kinds = Sequence[tuple[Method, Metric]]
CAPACITY = (Method.SINGLE, Metric.CAPACITY)
CPU = (Method.SINGLE, Metric.CPU)
PAIRED_CPU = (Method.PAIRED, Metric.CPU)
P99 = (Method.SINGLE, Metric.P99)
PAIRED_P99 = (Method.PAIRED, Metric.P99)
REQUESTS = (Method.SINGLE, Metric.REQUESTS)
# The verdict is based on the first of these that has an estimate.
CHOSEN_METRICS: Mapping[Decisive | None, Kinds] = {
    None: (CAPACITY, PAIRED_CPU, REQUESTS),
    Decisive.CPU: (PAIRED_CPU, CPU),
    Decisive.THROUGHPUT: (REQUESTS,),
    Decisive.P99: (P99,),
}
METRICS_AT_A_RATE: Mapping[Decisive | None, Kinds] = {
    Decisive.CPU: (PAIRED_CPU, CPU),
    Decisive.P99: (PAIRED_P99, P99),
}  # likewise; throughput is given
FAIR_SHARE = 0.05  # of the servers' CPU times in a paired trial
SATURATED = "load generator saturated"


def deciding_metrics(load: LoadId, chosen: Decisive | None) -> Kinds:
    if load.rate_per_s:
        return METRICS_AT_A_RATE.get(chosen, (PAIRED_CPU, CPU, PAIRED_P99, P99))
    return CHOSEN_METRICS[chosen]


def waits(results: Results, name: str, load: LoadId) -> bool:
    """Return whether a target mostly waited for something other than the CPU.

    Nothing was busy in most of its valid single trials. At a rate nothing need be busy: there a
    request must have taken several times as long as its CPU time, too.
    """
    trials = 0
    waiting = 0
    for trial in results.single_trials(name, load):
        if trial.valid and trial.limited_by:
            trials += 1
            was_idle = trial.limited_by is Limit.NEITHER
            waiting += was_idle and (not load.rate_per_s or took_long(trial))
    return 2 * waiting > trials


CPU_SHARE_OF_WAITING = 0.25  # at most, of the time that a request took


def took_long(measurement: Measurement) -> bool:
    latency = measurement.wrk.latency_uncorrected if measurement.wrk else None
    cpu_s = measurement.server_cpu_per_request_s
    if cpu_s is None or latency is None or latency.p50_s is None:
        return False
    return cpu_s < CPU_SHARE_OF_WAITING * latency.p50_s


def polls(results: Results, name: str, load: LoadId) -> bool:
    """Return whether a target polled in a valid trial: its CPU per request is an upper bound."""
    kinds: set[Kind] = set()
    for trial in results.measurements:
        if trial.valid and (trial.target, trial.load) == (name, load):
            kinds.update(warning.kind for warning in trial.warnings)
    return Kind.POLLS in kinds


def fails_alone(results: Results, name: str, load: LoadId) -> bool:
    """Return whether most single trials are invalid for its own sake: paired ones check less."""
    trials = results.single_trials(name, load)
    failed = 0
    for trial in trials:
        if trial.valid or trial.limited_by is Limit.LOAD_GENERATOR:
            continue
        kinds = [warning.kind for warning in trial.invalid]
        failed += Kind.BUSY_PARTNER not in kinds
    return 2 * failed > len(trials)


MAX_GAP = 1.2  # as a ratio; single and paired trials differ by less where targets share nothing


def comparison_beside(
    comparisons: Iterable[Comparison], comparison: Comparison, method: Method, metric: Metric
) -> Comparison | None:
    wanted = (comparison.target, comparison.reference, comparison.load, method, metric)
    for each in comparisons:
        if (each.target, each.reference, each.load, each.method, each.metric) == wanted:
            return each
    return None


def are_dependent(results: Results, comparison: Comparison) -> bool:
    """Return whether paired trials change what the two targets do, as by a cache they share."""
    paired = comparison_beside(results.comparisons, comparison, *PAIRED_CPU)
    single = comparison_beside(results.comparisons, comparison, *CPU)
    if not paired or not single or not paired.interval or not single.interval:
        return False
    low, high = paired.interval
    return max(low / single.interval.high, single.interval.low / high) > MAX_GAP


def chosen_metric(results: Results) -> Decisive | None:
    return results.settings.metric if results.settings else None


def may_decide(results: Results, comparison: Comparison, chosen: Decisive | None) -> bool:
    """Return whether a verdict may be based on the comparison.

    CPU per request says which server is faster only where CPU limits them, is known of both,
    and both may use as much of it: not between one worker and four.
    """
    load = comparison.load
    if results.seeks_capacity:
        return comparison.metric is Metric.CAPACITY
    if comparison.method is Method.PAIRED and are_dependent(results, comparison):
        return False
    if chosen:
        kind = (comparison.method, comparison.metric)
        return kind in deciding_metrics(load, chosen)
    if comparison.metric is not Metric.CPU:
        return True
    names = (comparison.reference, comparison.target)
    workers = set()
    for facts in results.targets:
        if facts.server and facts.name in names:
            workers.add(facts.server.workers)
    if len(workers) > 1:
        return False
    for name in names:
        if waits(results, name, load) or polls(results, name, load):
            return False
        if comparison.method is Method.PAIRED and fails_alone(results, name, load):
            return False
    return True


def may_decide_all(results: Results, chosen: Decisive | None) -> list[Comparison]:
    return [each for each in results.comparisons if may_decide(results, each, chosen)]
