"""Benchmark, not a test: are the verdicts true?

It takes from minutes to an hour, on a machine left alone.

python tests/honesty.py aa [RUNS]
    `compare a=fastapi b=fastapi -r 5 -d 1s -c 50`, 30 times: how many verdicts are
    faster or slower, half-widths, coverage of 1.0
python tests/honesty.py power PERCENT [RUNS]
    `compare` of a bare ASGI app with itself plus about that much CPU time per request, at
    100 and at 200 connections, 5 times each: is it found, and does the interval hold what
    the apps themselves account for?
python tests/honesty.py ranks [RUNS]
    `compare fastapi a=micropie b=micropie -r 4 -d 1s -c 50`, 20 times: how often do the
    two that are one app share a place, and how often has fastapi the last one?
python tests/honesty.py gate [RUNS]
    `compare --baseline --fail-if-slower 5%`, 5 times each with MicroPie as it was and
    slowed down by about 10%: which of them fail?
"""

from __future__ import annotations

import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HEADLINE = ("paired", "server_cpu_per_request_s")

Comparison = dict[str, Any]  # as a results file has it


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these variables, where the targets' modules are."""
    command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args]
    where = ROOT / "tests" / "targets"
    return subprocess.run(
        command, cwd=where, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


def comparisons_in(file: str) -> list[Comparison]:
    """Return the comparisons of a results file."""
    comparisons: list[Comparison] = json.loads(Path(file).read_text())["comparisons"]
    return comparisons


def compare(*args: str, **env: str) -> list[Comparison]:
    """Return the comparisons of one run; invalid measurements (exit 1) are part of them."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        run(*args, "--export-json", out.name, **env)
        return comparisons_in(out.name)


def kind_of(comparison: Comparison) -> tuple[str, str]:
    """Return method and metric."""
    return comparison["method"], comparison["metric"]


def interval_of(comparison: Comparison) -> tuple[float, float] | None:
    """Return the ends of the interval; None if there is none."""
    estimate = comparison["estimate"]
    if not estimate or estimate["low"] is None:
        return None
    return estimate["low"], estimate["high"]


def half(interval: tuple[float, float]) -> float:
    """Return half the width of an interval of ratios."""
    low, high = interval
    return math.expm1(math.log(high / low) / 2)


def show(comparisons: list[Comparison]) -> None:
    """Print the ratios that have an interval."""
    parts = []
    for comparison in comparisons:
        interval = interval_of(comparison)
        if interval:
            kind = " ".join(kind_of(comparison))
            connections = comparison["load"]["connections"]
            ratio = comparison["estimate"]["ratio"]
            parts.append(f"{kind} c{connections} {ratio:.4f} ±{half(interval):.2%}")
    print("; ".join(parts), flush=True)


def summarise(comparisons: Sequence[tuple[Comparison, float | None]]) -> None:
    """Print verdicts, half-widths and, where the truth is known, coverage.

    Each for every method and metric.
    """
    for kind in sorted({kind_of(comparison) for comparison, _ in comparisons}):
        widths, covered = [], []
        other = without_interval = 0
        for comparison, truth in comparisons:
            if kind_of(comparison) != kind:
                continue
            interval = interval_of(comparison)
            if not interval:
                without_interval += 1
                continue
            widths.append(half(interval))
            other += comparison["verdict"] in ("faster", "slower")
            if truth:
                low, high = interval
                covered.append(low <= truth <= high)
        known = len(widths)
        widths = widths or [math.nan]
        print("*" if kind == HEADLINE else " ", *kind, end=": ")
        print(f"{other} of {known} verdicts faster or slower;", end=" ")
        print(f"half-width mean {statistics.mean(widths):.2%},")
        print(f"    median {statistics.median(widths):.2%},", end=" ")
        print(f"{min(widths):.2%} to {max(widths):.2%};", end=" ")
        print(f"{sum(covered)} of {len(covered)} cover the truth;", end=" ")
        print(f"{without_interval} without interval")


def aa(runs: int) -> None:
    """Compare a target with itself."""
    comparisons: list[Comparison] = []
    for number in range(runs):
        made = compare("a=fastapi", "b=fastapi", "-r", "5", "-d", "1s", "-c", "50")
        print(number + 1, end=" ")
        show(made)
        comparisons += made
    summarise([(comparison, 1.0) for comparison in comparisons])


def accounted_s(log: str, app: str, method: str) -> float:
    """Return the CPU time of a request of the app by its workers' own clocks."""
    lines = [line.split()[2:] for line in log.splitlines() if line.startswith(f"{app} {method}")]
    columns = zip(*lines, strict=True)
    requests, cpu_s, burning_requests, burning_cpu_s = (
        sum(map(float, column)) for column in columns
    )
    return (cpu_s + burning_cpu_s) / (requests + burning_requests)


def accounted(log: str) -> dict[str, float]:
    """Return the CPU per request of `more` over that of `base`, by the method of the trials.

    Not over that of its own blocks without the loops: these come right behind blocks with
    loops, in which requests pile up, and cost 1.4% less than those of `base` (one run).
    """
    methods = ("single", "paired")
    return {
        method: accounted_s(log, "more", method) / accounted_s(log, "base", method)
        for method in methods
    }


def power(percent: float, runs: int) -> None:
    """Compare a target with itself plus that much CPU time per request."""
    pair = ("base=burner:base", "more=burner:more")
    with tempfile.NamedTemporaryFile() as log:
        compare(*pair, "-r", "3", "-d", "3s", "-c", "100", BURN_LOG=log.name, BURN_LOOPS="1000")
        by_1000 = accounted(Path(log.name).read_text())["paired"]
    loops = round(1000 * percent / 100 / (by_1000 - 1))
    print(f"{loops} loops in every second block for about +{percent}%", flush=True)
    comparisons: list[tuple[Comparison, float | None]] = []
    # Apart, because an app cannot tell the loads apart.
    for number, connections in itertools.product(range(runs), ("100", "200")):
        with tempfile.NamedTemporaryFile() as log:
            made = compare(*pair, "-c", connections, BURN_LOG=log.name, BURN_LOOPS=str(loops))
            truths = accounted(Path(log.name).read_text())
        described = ", ".join(f"{method} {truth:.4f}" for method, truth in truths.items())
        print(number + 1, "accounted:", described)
        show(made)
        for comparison in made:
            method, metric = kind_of(comparison)
            truth = truths[method] if metric == HEADLINE[1] else None
            comparisons.append((comparison, truth))
    summarise(comparisons)


def ranks(runs: int) -> None:
    """Rank three targets of which two are the same app."""
    shared = told = 0
    for number in range(1, runs + 1):
        with tempfile.NamedTemporaryFile(suffix=".json") as out:
            pair = ("a=micropie", "b=micropie")
            short = ("-r", "4", "-d", "1s", "-c", "50")
            run("fastapi", *pair, *short, "--export-json", out.name)
            (ranking,) = json.loads(Path(out.name).read_text())["rankings"]
        found = {each["target"]: (each["first"], each["last"]) for each in ranking["ranks"]}
        print(number, found, flush=True)
        shared += found["a"][0] <= found["b"][1] and found["b"][0] <= found["a"][1]
        told += found["fastapi"] == (3, 3)
    print(f"the same app shared a place in {shared} of {runs}; fastapi was last in {told}")


def gate(runs: int) -> None:
    """Gate MicroPie, as it was and slowed down, by a baseline."""
    slowed = "micropie=slowed:app"
    short = ("-r", "3", "-d", "3s", "-c", "100")
    made = compare("micropie", "slowed=slowed:app", *short, BURN_LOOPS="1000")
    (by_1000,) = [each["estimate"]["ratio"] for each in made if kind_of(each) == HEADLINE]
    loops = round(1000 * 0.1 / (by_1000 - 1))
    print(f"{loops} loops for about +10%", flush=True)
    with tempfile.TemporaryDirectory() as name:
        baseline, new = f"{name}/baseline.json", f"{name}/new.json"
        run("fastapi", "micropie", "--export-json", baseline)
        show(comparisons_in(baseline))
        gated = ("--baseline", baseline, "--fail-if-slower", "5%", "--export-json", new)
        for number in range(runs):
            for target in ("micropie", slowed):
                done = run("fastapi", target, *gated, BURN_LOOPS=str(loops))
                print(number + 1, f"{target}: exit {done.returncode}")
                for line in done.stdout.splitlines():
                    if line.startswith("gate"):
                        print(line)
                show(comparisons_in(new))


if __name__ == "__main__":
    what = sys.argv[1]
    numbers = [float(argument) for argument in sys.argv[2:]]
    if what == "power":
        percent, *numbers = numbers
        power(percent, int(numbers[0]) if numbers else 5)
    elif what == "aa":
        aa(int(numbers[0]) if numbers else 30)
    elif what == "ranks":
        ranks(int(numbers[0]) if numbers else 20)
    elif what == "gate":
        gate(int(numbers[0]) if numbers else 5)
    else:
        sys.exit(__doc__)
