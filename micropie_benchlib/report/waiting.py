"""Of servers that mostly waited: the sentence that says so, and on what."""

from __future__ import annotations

import itertools

from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.deciding import waits

# Delayed acknowledgements make a server without TCP_NODELAY answer after 40 ms (Linux,
# TCP_DELACK_MIN), whatever it has to do.
DELAYED_ACK_S = (0.038, 0.05)


def waits_for_acks(results: Results, name: str, load: LoadId) -> bool:
    """Return whether the latencies are those of delayed acknowledgements."""
    distribution = results.distribution(name, load)
    if distribution is None:
        return False
    least_s, most_s = DELAYED_ACK_S
    by_percent = dict(distribution.percentiles)
    typical = [by_percent[percent] for percent in (10, 50, 75) if percent in by_percent]
    return bool(typical) and all(least_s <= seconds <= most_s for seconds in typical)


def waiting_cause(results: Results, name: str, load: LoadId) -> str:
    """Return what a waiting target waited for, as far as it can be told."""
    if waits_for_acks(results, name, load):
        return "Each answer took some 40 ms, as with delayed ACKs: is TCP_NODELAY set?"
    return "They waited, as for sleeps, locks or an upstream."


def waiting_sentences(results: Results) -> list[str]:
    """Return which targets waited for something other than the CPU, and for what."""
    if results.seeks_capacity:  # there CPU time decides nothing
        return []
    labels_by_cause: dict[tuple[LoadId, str], list[str]] = {}
    for load, facts in itertools.product(results.reported_loads, results.targets):
        if waits(results, facts.name, load):
            cause = waiting_cause(results, facts.name, load)
            labels_by_cause.setdefault((load, cause), []).append(facts.label)
    sentences = []
    for (load, cause), labels in labels_by_cause.items():
        sentences.append(
            f"{' and '.join(labels)} at {load.sentence}: neither server nor wrk was busy, "
            f"so CPU time says nothing about speed. {cause}"
        )
    return sentences
