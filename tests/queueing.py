"""Benchmark, not a test: latencies at a rate against queueing theory, and A/A at a rate.

python tests/queueing.py theory [RUNS]
    a server of one request at a time, each in the same time (tests/targets/single.py), at 50
    and 80% of what it can: mean and p99 from when a request was due, over those of a queue
    with just these arrivals, and over those that an M/D/1 queue has in the long run, from
    which so many arrivals may well differ
python tests/queueing.py aa [RUNS]
    fastapi against itself at 50% of what it answers: verdicts, and half-widths
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from micropie_benchlib.core.loads import Load  # found by the line above
from micropie_benchlib.core.metrics import Metric  # found by the line above

ROOT = Path(__file__).parent.parent
TARGETS = Path(__file__).parent / "targets"
SERVICE_S = 0.005  # of sleep; what else it takes is measured
SECONDS = 60
CONNECTIONS = 20


def compare(*args: str, log: str = os.devnull) -> dict[str, Any]:
    """Return the results of a comparison."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args]
        subprocess.run(
            [*command, "--export-json", out.name],
            env={**os.environ, "SERVICE_S": str(SERVICE_S), "SERVICE_LOG": log},
            cwd=TARGETS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        results: dict[str, Any] = json.loads(Path(out.name).read_text())
    return results


def service_s_in(log: str) -> float:
    """Return how long the server was busy with one request, by its own log.

    That is from one end to the next, where another one waited: it began within 0.3 ms.
    """
    spans = [tuple(map(float, line.split())) for line in log.splitlines() if line.count(".") == 2]
    times = []
    for (_, ended), (began, next_ended) in itertools.pairwise(spans):
        if 0 <= began - ended < 0.0003:
            times.append(next_ended - ended)
    return statistics.fmean(times)


def sojourns(arrivals: Iterable[float], service_s: float) -> list[float]:
    """Return how long each spends in a queue of one server (Lindley's recursion), ascending."""
    free, found = 0.0, []
    for arrival in arrivals:
        free = max(free, arrival) + service_s
        found.append(free - arrival)
    return sorted(found)


def percentile(ascending: list[float], percent: float) -> float:
    return ascending[math.ceil(percent / 100 * len(ascending)) - 1]


def poisson(count: int, rate_per_s: float) -> Iterable[float]:
    """Yield moments of a Poisson process."""
    draw, now = random.Random(1), 0.0
    for _ in range(count):
        now += draw.expovariate(rate_per_s)
        yield now


def theory(runs: int) -> None:
    """Print measured latencies over the expected ones."""
    words = ["steady=cmd:{python} single.py {port}", "-c", str(CONNECTIONS), "-r", "1"]
    good: list[bool] = []
    for run in range(1, runs + 1):
        (busy,) = compare(*words, "-d", "5s")["measurements"]
        for share in (0.5, 0.8):
            rate_per_s = round(share * busy["wrk"]["requests_per_s"], 1)
            timing = ["--rate", str(rate_per_s), "-d", f"{SECONDS}s", "--seed", str(run)]
            with tempfile.NamedTemporaryFile("r") as log:
                (made,) = compare(*words, *timing, log=log.name)["measurements"]
                service_s = service_s_in(log.read())
            wrk = made["wrk"]
            load = Load(
                connections=CONNECTIONS, threads=4, duration_s=SECONDS, rate_per_s=rate_per_s
            )
            moments = dataclasses.replace(load, schedule_seed=run + 1).arrival_times()
            exact = sojourns(moments, service_s)
            # Pollaczek and Khinchine's mean; the percentile from 3 million arrivals.
            utilisation = rate_per_s * service_s
            mean_s = service_s * (1 + utilisation / (2 * (1 - utilisation)))
            p99_s = percentile(sojourns(poisson(3_000_000, rate_per_s), service_s), 99)
            mean, p99 = wrk["latency"]["mean_s"] / mean_s, wrk["latency"]["p99_s"] / p99_s
            same_mean = wrk["latency"]["mean_s"] / statistics.fmean(exact)
            same_p99 = wrk["latency"]["p99_s"] / percentile(exact, 99)
            good += [abs(same_mean - 1) <= 0.1, abs(same_p99 - 1) <= 0.1]
            print(
                f"{run} at {utilisation:.1%}: service {service_s * 1e3:.3f} ms, "
                f"{wrk['requests_per_s']:.2f} of {rate_per_s} requests/s; over these arrivals: "
                f"mean {same_mean:.3f}, p99 {same_p99:.3f}; over M/D/1: mean {mean:.3f}, "
                f"p99 {p99:.3f}; {made['invalid_reason'] or 'valid'}",
                flush=True,
            )
    print(f"{sum(good)} of {len(good)} within 10% of what these arrivals make")


def aa(runs: int) -> None:
    """Print the verdicts on a target against itself."""
    others = 0
    halves: list[float] = []
    for run in range(1, runs + 1):
        results = compare(
            *("one=fastapi", "two=fastapi", "--rate", "50%", "-c", "100", "-r", "6", "-d", "2s")
        )
        shown = []
        for each in results["comparisons"]:
            estimate = each["estimate"]
            if each["method"] != "paired" or not estimate or not estimate["low"]:
                continue
            half = math.log(estimate["high"] / estimate["low"]) / 2
            interval = f"{estimate['ratio']:.3f} ±{math.expm1(half):.1%}"
            shown.append(f"{each['metric']} {each['verdict']} {interval}")
            if each["metric"] == Metric.CPU:
                others += each["verdict"] not in ("same", "inconclusive")
                halves.append(math.expm1(half))
        rates = {each["load"]["rate_per_s"] for each in results["measurements"]}
        print(run, rates, "; ".join(shown), flush=True)
    print(f"{others} of {len(halves)} other than same or inconclusive, by CPU per request")
    median = statistics.median(halves)
    print(f"half-widths {min(halves):.2%} to {max(halves):.2%}, median {median:.2%}")


if __name__ == "__main__":
    what, *numbers = sys.argv[1:]
    actions = {"theory": (theory, 5), "aa": (aa, 10)}
    if what not in actions:
        sys.exit(__doc__)
    action, usual = actions[what]
    action(int(numbers[0]) if numbers else usual)
