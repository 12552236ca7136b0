"""The latency distributions that are recorded."""

from __future__ import annotations

import itertools

from micropie_benchlib.core.estimates import Distribution
from micropie_benchlib.core.metrics import valid_runs
from micropie_benchlib.core.results import Results
from micropie_benchlib.wrk.histogram import histogram_percentile, pool

# Of the charts and the results file; tables show 50, 90, 99 and 99.9.
PERCENTS = (
    *(0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0),
    *(99.5, 99.8, 99.9, 99.95, 99.99, 100.0),
)


def distribute(results: Results) -> tuple[Distribution, ...]:
    """Return the distribution of each target under each load that has histograms."""
    distributions = []
    for load, name in itertools.product(results.reported_loads, results.names):
        runs = valid_runs(results.single_trials(name, load))
        pooled = pool(run.latency.histogram for run in runs if run.latency)
        if not pooled:
            continue
        percentiles = [(percent, histogram_percentile(pooled, percent)) for percent in PERCENTS]
        distributions.append(Distribution(target=name, load=load, percentiles=tuple(percentiles)))
    return tuple(distributions)
