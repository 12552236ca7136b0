"""Benchmark, not a test: what makes one round's ratio differ from the next?

python tests/components.py [LAUNCHES] [TARGET TARGET]
    fastapi beside itself, or two other targets, in paired trials of 1, 2, 3 and 5 s at 100 and at
    200 connections, those of 1 and 2 s twice, in random order, in each of 30 launches: the
    standard deviation of the log ratio of CPU per request within a launch and between
    launches

It takes 20 minutes, on a machine left alone. The components are those of a nested design
with one factor (T. Kalibera, R. Jones, "Rigorous benchmarking in reasonable time", 2013).
"""

import math
import random
import statistics
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from micropie_benchlib.cli.actions import actions_for
from micropie_benchlib.cli.loads import make_loads
from micropie_benchlib.cli.options import ServingOptions
from micropie_benchlib.cli.progress import ProgressReport
from micropie_benchlib.cli.targets import parse_targets
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Launch, Plan, Trial
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.load.hosts import all_here
from micropie_benchlib.load.wrk_program import find_wrk
from micropie_benchlib.run.experiment import measure_launch
from micropie_benchlib.system.temporary import temporary_directory

DURATIONS_S = (1, 1, 2, 2, 3, 5)
CONNECTIONS = (100, 200)
Key = tuple[int, int]  # connections and duration


def trials_of_launch(plan: Plan, targets: tuple[Target, ...]) -> list[Trial]:
    """Return the paired trials of one launch, in random order."""
    trials = []
    for load in plan.loads:
        for duration_s in DURATIONS_S:
            timed = replace(load, duration_s=duration_s)
            trials.append(Trial(targets=targets, load=timed))
    return random.sample(trials, len(trials))


def ratios_of_launch(plan: Plan, number: int) -> dict[Key, list[float]]:
    """Launch both once, and return the log ratios of CPU per request of its paired trials."""
    targets = tuple(random.sample(plan.targets, 2))
    trials = trials_of_launch(plan, targets)
    launch = Launch(round=number, targets=targets, trials=tuple(trials))
    ratios: dict[Key, list[float]] = {}
    with temporary_directory() as work_dir:
        quiet = ProgressReport(plan, verbose=False)
        hosts = all_here(find_wrk(None), work_dir)
        actions = actions_for(plan, hosts, quiet, lambda _: None)
        made = [m for m in measure_launch(launch, actions) if isinstance(m, Measurement)]
    for trial, first, second in zip(trials, made[::2], made[1::2], strict=True):
        values = {m.target: Metric.CPU.read(m) for m in (first, second) if m.valid}
        a, b = (values.get(name) for name in plan.names)
        if a and b:
            key = (trial.load.connections, trial.load.duration_s)
            ratios.setdefault(key, []).append(math.log(b / a))
    return ratios


def components(pairs: list[list[float]]) -> tuple[float, float]:
    """Return the standard deviations within and between launches, from two ratios of each."""
    within = statistics.fmean((first - second) ** 2 / 2 for first, second in pairs)
    of_means = statistics.variance(statistics.fmean(pair) for pair in pairs)
    return math.sqrt(within), math.sqrt(max(0.0, of_means - within / 2))


def main(launches: int, texts: list[str]) -> None:
    targets = parse_targets(texts, ServingOptions())
    loads = make_loads(CONNECTIONS, threads=4, duration_s=1)
    plan = Plan(
        targets=targets, loads=loads, rounds=1, seed=0, server=ServerSettings(), paired=True
    )
    by_launch = []
    for number in range(1, launches + 1):
        by_launch.append(ratios_of_launch(plan, number))
        print(f"launch {number} of {launches}", file=sys.stderr, flush=True)
    for key in sorted({key for ratios in by_launch for key in ratios}):
        series = [ratios[key] for ratios in by_launch if key in ratios]
        firsts = [values[0] for values in series]
        connections, duration_s = key
        print(f"{connections} connections, {duration_s} s:", end=" ")
        print(f"one paired trial of a launch {statistics.stdev(firsts):.2%}", end="")
        pairs = [values for values in series if len(values) == 2]
        if len(pairs) > 2:
            within, between = components(pairs)
            print(f", within a launch {within:.2%}, between launches {between:.2%}", end="")
        print(f" ({len(series)} launches)")


if __name__ == "__main__":
    number, *names = sys.argv[1:] or ["30"]
    main(int(number), names or ["a=fastapi", "b=fastapi"])
