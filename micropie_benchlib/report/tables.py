"""The tables of results: the gist's, and those of details, ranks, rates and capacities."""

import statistics
from collections.abc import Iterable, Sequence

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Comparison, Ranking
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import valid_runs
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import UNKNOWN, USELESS_NOISE, format_latency, pluralize
from micropie_benchlib.report.figures import format_range, format_speed
from micropie_benchlib.report.layout import Table
from micropie_benchlib.report.warnings import texts_of
from micropie_benchlib.stats.equal_work import work_of
from micropie_benchlib.stats.intervals import is_wide, mean_and_half_width
from micropie_benchlib.stats.ranking import rankings_of
from micropie_benchlib.stats.search import outcome_of, tally_of
from micropie_benchlib.stats.verdicts import decisive_comparisons

GIST_TITLES = (
    *("Framework", "Avg Latency", "Max Latency", "Requests/Sec"),
    *("Data Transferred (MB)", "Transfer Rate (KB/s)"),
)
CPU_TITLE = "CPU per Request (us)"
MEASURED_TITLES = ("Peak Memory (MiB)", "CPU while idle (ms/s)", "Errors")
DETAIL_TITLES = ("Framework", "p50", "p90", "p99", "p99.9", *MEASURED_TITLES)
CAPACITY_TITLES = ("Framework", "Requests/Sec", "Launches")
RATE_TITLES = ("Framework", "Offered/Sec", "Answered/Sec", "wrk late, p50", "wrk late, p99")
RANKING_TITLES = ("Rank", "Framework", "Speed", "Interval")
COMPARISON_TITLES = ("Framework", "Metric", "Rounds", "Method", "Speed", "Interval", "Verdict")


def format_mean(values: Sequence[float]) -> str:
    """Return the mean, with half its 95% interval if there are several values and it is of use."""
    mean, half = mean_and_half_width(values)
    decimals = 2 if len(values) == 1 or mean < 100 else 0
    shown = f"{mean:.{decimals}f}"
    is_useful = len(values) > 1 and not is_wide(mean, half)
    return f"{shown} ± {half:.{decimals}f}" if is_useful else shown


def gist_row(measurements: Iterable[Measurement]) -> list[str]:
    """Return the gist's columns after the name, over the valid measurements.

    The mean latency is over all requests that were timed, the maximum the largest, data the
    sum; throughput and transfer rate are means over rounds.
    """
    runs = valid_runs(measurements)
    if not runs:
        return ["invalid"] * (len(GIST_TITLES) - 1)
    timed = 0
    latency_sum_s = 0.0
    longest_s = 0.0
    rates_per_s = []
    total_bytes = 0
    bytes_per_s = 0.0
    for run in runs:
        rates_per_s.append(run.requests_per_s)
        total_bytes += run.bytes
        bytes_per_s += run.bytes_per_s
        if run.latency:
            timed += run.requests
            latency_sum_s += run.latency.mean_s * run.requests
            longest_s = max(longest_s, run.latency.max_s)
    mean = longest = UNKNOWN
    if timed:
        mean = format_latency(latency_sum_s / timed)
        longest = format_latency(longest_s)
    return [
        mean,
        longest,
        format_mean(rates_per_s),
        f"{total_bytes / 1024**2:.2f}",
        f"{bytes_per_s / len(runs) / 1024:.2f}",
    ]


def gist_table(results: Results, load: LoadId) -> Table:
    """All but the CPU time comes from single trials, or at a rate from those of the verdict."""
    measured = {trial.target for trial in results.measurements if trial.load == load}
    rows = []
    cpu_cells = []
    methods = cpu_methods(results, load)
    for name in results.names:
        if name not in measured:
            continue
        trials = results.reported_trials(name, load)
        # Errors of valid trials, as those of a parsed text.
        errors = sum(run.errors.total for run in valid_runs(trials))
        label = results.label(name)
        if errors:
            label += f" ({pluralize(errors, 'error')})"
        rows.append((label, *gist_row(trials)))
        cpu_cells.append(cpu_cell(results, name, load, methods))
    titles: tuple[str, ...] = GIST_TITLES
    if any(cpu_cells):
        titles = (*titles, CPU_TITLE)
        rows = [(*row, cell) for row, cell in zip(rows, cpu_cells, strict=True)]
    return Table(title=title_of(results, load), titles=titles, rows=tuple(rows))


def title_of(results: Results, load: LoadId) -> str:
    if results.reported_method(load) is Method.PAIRED:
        return f"{load.title}, paired trials"
    are_rounds = results.settings is not None and results.settings.rounds > 1
    if are_rounds and results.reported_counts(load) == {1}:
        return f"{load.title}, one trial each"
    return load.title


def cpu_methods(results: Results, load: LoadId) -> list[Method]:
    """Return whose CPU time counts: the verdict's trials, or the others where these have none."""
    methods = []
    for comparison in decisive_comparisons(results):
        if comparison.load == load:
            methods.append(comparison.method)
    methods += [Method.PAIRED, Method.SINGLE]
    return list(dict.fromkeys(methods))


def cpu_cell(results: Results, name: str, load: LoadId, methods: Iterable[Method]) -> str:
    for method in methods:
        costs_s = []
        for trial in results.trials_of(name, load, method):
            cost_s = trial.server_cpu_per_request_s
            if trial.valid and cost_s:
                costs_s.append(cost_s)
        if costs_s:
            return f"{statistics.fmean(costs_s) * 1e6:.1f}"
    return ""


def detail_table(results: Results, load: LoadId) -> Table:
    """Percentiles are of all valid rounds together, errors of invalid ones, too."""
    rows = []
    for name in results.names:
        memory = []
        idle_cores = []
        errors = 0
        for trial in results.reported_trials(name, load):
            errors += trial.wrk.errors.total if trial.wrk else 0
            use = trial.use
            if trial.valid and use:
                memory.append(use.server_rss_bytes)
                if use.idle_cores is not None:
                    idle_cores.append(use.idle_cores)
        latencies = results.latencies(name, load)
        figures = []
        for percent in (50, 90, 99, 99.9):
            seconds = latencies.get(percent)
            figures.append("" if seconds is None else format_latency(seconds))
        figures.append(f"{max(memory) / 1024**2:.1f}" if memory else "")
        figures.append(f"{statistics.fmean(idle_cores) * 1000:.1f}" if idle_cores else "")
        if any(figures):
            rows.append((results.label(name), *figures, str(errors)))
    title = f"{title_of(results, load)}, details of all requests"
    return Table(title=title, titles=DETAIL_TITLES, rows=tuple(rows))


def capacity_table(results: Results, load: LoadId) -> Table:
    rows = []
    for name in results.names:
        capacities = list(results.capacities_of(name, load).values())
        shown = format_mean(capacities) if capacities else UNKNOWN
        rows.append((results.label(name), shown, str(len(capacities))))
    limit_s = results.capacities[0].p99_limit_s
    title = f"{load.title}, capacity with p99 up to {format_latency(limit_s)}"
    return Table(title=title, titles=CAPACITY_TITLES, rows=tuple(rows))


def step_table(results: Results, load: LoadId) -> Table:
    trials_by_step: dict[tuple[str, int, float], list[Measurement]] = {}
    for trial in results.measurements:
        rate_per_s = trial.load.rate_per_s
        if rate_per_s and trial.load.without_rate == load:
            step = (trial.target, trial.round, rate_per_s)
            trials_by_step.setdefault(step, []).append(trial)
    rows = []
    for (name, number, rate_per_s), trials in trials_by_step.items():
        row = [results.label(name), str(number)]
        row.append(f"{rate_per_s:.1f}")
        row.append(str(len(trials)))
        row.append(f"{tally_of(trials).share:.2%}")
        row.append(outcome_of(trials))
        row.append(texts_of(trials[-1].invalid))
        rows.append(tuple(row))
    limit = format_latency(results.capacities[0].p99_limit_s)
    titles = ("Framework", "Round", "Offered/Sec", "Trials", f"Over {limit}", "Outcome", "Why")
    title = f"{load.title}, rates tried"
    return Table(title=title, titles=titles, left=("Outcome", "Why"), rows=tuple(rows))


def rate_table(results: Results, load: LoadId) -> Table:
    rows = []
    for name in results.names:
        rates = []
        for run in valid_runs(results.reported_trials(name, load)):
            if run.arrival_rate:
                rates.append(run.arrival_rate)
        if not rates:
            continue
        row = [results.label(name)]
        row.append(f"{statistics.fmean(rate.offered_per_s for rate in rates):.2f}")
        row.append(f"{statistics.fmean(rate.answered_per_s for rate in rates):.2f}")
        row.append(format_latency(statistics.fmean(rate.late_p50_s for rate in rates)))
        row.append(format_latency(statistics.fmean(rate.late_p99_s for rate in rates)))
        rows.append(tuple(row))
    return Table(title=f"{title_of(results, load)}, kept", titles=RATE_TITLES, rows=tuple(rows))


def comparison_cells(comparison: Comparison) -> list[str]:
    ratio = interval = ""
    speed = comparison.speed
    if speed:
        ratio = f"{speed.ratio:.3f}x"
        interval = f"{speed.low:.3f} to {speed.high:.3f}"
    verdict: str = comparison.verdict
    if comparison.reason:
        verdict += f": {comparison.reason}"
    return [str(comparison.rounds), comparison.method, ratio, interval, verdict]


def comparison_tables(results: Results, load: LoadId) -> list[Table]:
    rows_by_reference: dict[str, list[tuple[str, ...]]] = {}
    references_with_rounds = set()
    for comparison in results.comparisons:
        if comparison.load != load:
            continue
        rows = rows_by_reference.setdefault(comparison.reference, [])
        label = results.label(comparison.target)
        cells = comparison_cells(comparison)
        rows.append((label, comparison.metric.full_name, *cells))
        if comparison.rounds > 1:
            references_with_rounds.add(comparison.reference)
    tables = []
    for reference, rows in rows_by_reference.items():
        if reference in references_with_rounds:
            title = f"{load.title}, against {results.label(reference)}"
            tables.append(
                Table(
                    title=title,
                    titles=COMPARISON_TITLES,
                    left=("Metric", "Method", "Verdict"),
                    rows=tuple(rows),
                )
            )
    return tables


def ranking_table(results: Results, ranking: Ranking) -> Table:
    """The last are those without a speed, and why."""
    kind = (ranking.load, ranking.method, ranking.metric, ranking.reference)
    speeds = {}
    without = []
    for each in results.comparisons:
        if (each.load, each.method, each.metric, each.reference) != kind:
            continue
        speeds[each.target] = each.speed
        if each.speed is None:
            label = results.label(each.target)
            without.append(("none", label, "", each.reason or UNKNOWN))
    rows = []
    for rank in ranking.ranks:
        speed = speeds.get(rank.target)
        cells = ["1", ""]  # of the reference
        if speed:
            is_useful = speed.half_width < USELESS_NOISE
            cells = [format_speed(speed), format_range(speed) if is_useful else "too wide"]
        rows.append((rank.title, results.label(rank.target), *cells))
    rows += without
    title = f"{ranking.load.title}, ranks by speed {ranking.metric.measure}"
    left = ("Framework", "Interval")
    return Table(title=title, titles=RANKING_TITLES, left=left, rows=tuple(rows))


def load_tables(results: Results, load: LoadId, *, details: bool = True) -> list[Table]:
    tables = []
    for ranking in rankings_of(results):
        if ranking.load == load:
            tables.append(ranking_table(results, ranking))
    if results.capacities:
        tables.append(capacity_table(results, load))
    tables.append(gist_table(results, load))
    if details or load.rate_per_s:
        detailed = detail_table(results, load)
        tables += [detailed] if detailed.rows else []
    if details and load.rate_per_s:
        tables.append(rate_table(results, load))
    if details and results.capacities:
        tables.append(step_table(results, load))
    if details:
        tables += comparison_tables(results, load)
    return tables


def result_tables(results: Results, *, details: bool = True) -> list[Table]:
    tables = []
    for load in results.reported_loads:
        tables += load_tables(results, load, details=details)
    return tables


def work_tables(results: Results, *, details: bool = True) -> list[Table]:
    """There is none if nothing differs; without details it leaves out equals and responses."""
    work = work_of(results)
    shown = [fact for fact in work if fact.differs and not fact.is_of_response]
    if details:
        shown = work if any(fact.differs for fact in work) else []
    if not shown:
        return []
    labels = [facts.label for facts in results.targets]
    titles = ("What", *labels, "State")
    rows = [(fact.name, *fact.values, fact.state) for fact in shown]
    return [Table(title="Equal work?", titles=titles, left=titles, rows=tuple(rows))]
