"""Where throughput stops growing with connections."""

from __future__ import annotations

import statistics

from micropie_benchlib.core.results import Results


def knee(results: Results, name: str, workload: str) -> int | None:
    """Return the fewest connections with 95% of a target's most throughput.

    None for less than three connection counts.
    """
    means = {}
    for load in results.loads:
        throughputs = results.throughputs(name, load)
        if load.workload == workload and throughputs and not load.rate_per_s:
            means[load.connections] = statistics.fmean(throughputs)
    if len(means) < 3:
        return None
    enough = 0.95 * max(means.values())
    return min(count for count, mean in means.items() if mean >= enough)
