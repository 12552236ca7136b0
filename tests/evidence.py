"""Benchmarks, not tests: the measurements behind docs/evidence.md.

Each takes minutes to an hour, on a machine left alone.

python tests/evidence.py aa [RUNS [OPTION...]]
    `compare a=fastapi b=fastapi` with the options (-r 5 -d 1s -c 50): verdicts, half-widths
    and how many intervals contain 1
python tests/evidence.py power PERCENT [RUNS [OPTION...]]
    a bare ASGI app with itself plus about that much CPU time per request, with the options (at
    100 and at 200 connections): is it found, and does the interval contain what the apps account
    for?
python tests/evidence.py ranks [RUNS]
    `compare fastapi a=micropie b=micropie -r 4 -d 1s -c 50`: how often do the two that are one
    app share a rank, and how often has fastapi the last one?
python tests/evidence.py gate [RUNS]
    `compare --baseline --fail-if-slower 5%` with MicroPie as it was and slowed down by about
    10%: which of them fail?
python tests/evidence.py theory [RUNS]
    a server of one request at a time (tests/targets/single.py), at 50 and 80% of what it can:
    mean and p99 over those of a queue with just these arrivals, and over those that an M/D/1
    queue has in the long run, from which so many arrivals may well differ
python tests/evidence.py machines [HOSTS]
    what one more round of one trial costs the controller, in bytes and time, with 1 and with
    that many load machines (tests/lab.py, as root), by micropie_bench.pyz
python tests/evidence.py start [RUNS]
    what first starts of micropie_bench.pyz take
"""

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
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lab import CONTROLLER, THIS_PYTHON, Lab, laboratory

ROOT = Path(__file__).resolve().parent.parent
PYZ = ROOT / "micropie_bench.pyz"
TARGETS = ROOT / "tests" / "targets"
HEADLINE = ("paired", "server_cpu_per_request_s")

Comparison = dict[str, Any]  # as a results file has it


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `compare` with these variables, where the targets' modules are."""
    command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args]
    return subprocess.run(
        command, cwd=TARGETS, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )


def compare(*args: str, **env: str) -> dict[str, Any]:
    """Return the results of one run; invalid measurements (exit 1) are part of them."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        run(*args, "--export-json", out.name, **env)
        return results_in(out.name)


def results_in(file: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(Path(file).read_text())
    return results


def kind_of(comparison: Comparison) -> tuple[str, str]:
    return comparison["method"], comparison["metric"]


def interval_of(comparison: Comparison) -> tuple[float, float] | None:
    """Return the ends of the interval; None if there is none."""
    estimate = comparison["estimate"]
    if not estimate or estimate["low"] is None:
        return None
    return estimate["low"], estimate["high"]


def half(interval: tuple[float, float]) -> float:
    low, high = interval
    return math.expm1(math.log(high / low) / 2)


def show(comparisons: Iterable[Comparison]) -> None:
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


def aa(runs: str = "30", *options: str) -> None:
    comparisons: list[Comparison] = []
    for number in range(int(runs)):
        chosen = options or ("-r", "5", "-d", "1s", "-c", "50")
        made = compare("a=fastapi", "b=fastapi", *chosen)["comparisons"]
        print(number + 1, end=" ")
        show(made)
        comparisons += made
    summarise([(comparison, 1.0) for comparison in comparisons])


def accounted_s(log: str, app: str, method: str) -> float:
    lines = [line.split()[2:] for line in log.splitlines() if line.startswith(f"{app} {method}")]
    sums = [sum(map(float, column)) for column in zip(*lines, strict=True)]
    requests, cpu_s, burning_requests, burning_cpu_s = sums
    return (cpu_s + burning_cpu_s) / (requests + burning_requests)


def accounted(log: str) -> dict[str, float]:
    """Return the CPU per request of `more` over that of `base`, by the method of the trials.

    Not over that of its own blocks without the loops: these come right behind blocks with
    loops, in which requests pile up, and cost 1.4% less than those of `base` (one run).
    """
    found = {}
    for method in ("single", "paired"):
        found[method] = accounted_s(log, "more", method) / accounted_s(log, "base", method)
    return found


def power(percent: str, runs: str = "5", *options: str) -> None:
    pair = ("base=burner:base", "more=burner:more")
    with tempfile.NamedTemporaryFile() as log:
        compare(*pair, "-r", "3", "-d", "3s", "-c", "100", BURN_LOG=log.name, BURN_LOOPS="1000")
        by_1000 = accounted(Path(log.name).read_text())["paired"]
    loops = round(1000 * float(percent) / 100 / (by_1000 - 1))
    print(f"{loops} loops in every second block for about +{percent}%", flush=True)
    comparisons: list[tuple[Comparison, float | None]] = []
    # Apart, because an app does not know which of the loads it has.
    loads = [options] if options else [("-c", "100"), ("-c", "200")]
    for number, load in itertools.product(range(int(runs)), loads):
        with tempfile.NamedTemporaryFile() as log:
            made = compare(*pair, *load, BURN_LOG=log.name, BURN_LOOPS=str(loops))
            truths = accounted(Path(log.name).read_text())
        described = ", ".join(f"{method} {truth:.4f}" for method, truth in truths.items())
        print(number + 1, "accounted:", described)
        show(made["comparisons"])
        for comparison in made["comparisons"]:
            method, metric = kind_of(comparison)
            truth = truths[method] if metric == HEADLINE[1] else None
            comparisons.append((comparison, truth))
    summarise(comparisons)


def ranks(runs: str = "20") -> None:
    shared = last = 0
    for number in range(1, int(runs) + 1):
        pair = ("a=micropie", "b=micropie")
        made = compare("fastapi", *pair, "-r", "4", "-d", "1s", "-c", "50")
        (ranking,) = made["rankings"]
        found = {each["target"]: (each["first"], each["last"]) for each in ranking["ranks"]}
        print(number, found, flush=True)
        shared += found["a"][0] <= found["b"][1] and found["b"][0] <= found["a"][1]
        last += found["fastapi"] == (3, 3)
    print(f"the same app shared a rank in {shared} of {runs}; fastapi was last in {last}")


def gate(runs: str = "5") -> None:
    slowed = "micropie=slowed:app"
    short = ("-r", "3", "-d", "3s", "-c", "100")
    made = compare("micropie", "slowed=slowed:app", *short, BURN_LOOPS="1000")["comparisons"]
    (by_1000,) = [each["estimate"]["ratio"] for each in made if kind_of(each) == HEADLINE]
    loops = round(1000 * 0.1 / (by_1000 - 1))
    print(f"{loops} loops for about +10%", flush=True)
    with tempfile.TemporaryDirectory() as name:
        baseline, new = f"{name}/baseline.json", f"{name}/new.json"
        run("fastapi", slowed, "--export-json", baseline, BURN_LOOPS="0")
        show(results_in(baseline)["comparisons"])
        gated = ("--baseline", baseline, "--fail-if-slower", "5%", "--export-json", new)
        for number in range(int(runs)):
            for burnt in (0, loops):
                done = run("fastapi", slowed, *gated, BURN_LOOPS=str(burnt))
                print(number + 1, f"{burnt} loops: exit {done.returncode}")
                show(results_in(new)["comparisons"])


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


def mean_and_p99(ascending: list[float]) -> tuple[float, float]:
    return statistics.fmean(ascending), ascending[math.ceil(0.99 * len(ascending)) - 1]


def theory(runs: str = "5") -> None:
    sys.path.insert(0, str(ROOT))
    from micropie_benchlib.core.loads import Load

    command = ("steady=cmd:{python} single.py {port}", "-c", "20", "-r", "1")
    for run_number, share in itertools.product(range(1, int(runs) + 1), (0.5, 0.8)):
        (busy,) = compare(*command, "-d", "5s", SERVICE_S="0.005")["measurements"]
        rate_per_s = round(share * busy["wrk"]["requests_per_s"], 1)
        timing = ("--rate", str(rate_per_s), "-d", "60s", "--seed", str(run_number))
        with tempfile.NamedTemporaryFile("r") as log:
            made = compare(*command, *timing, SERVICE_S="0.005", SERVICE_LOG=log.name)
            service_s = service_s_in(log.read())
        wrk = made["measurements"][0]["wrk"]
        load = Load(connections=20, threads=4, duration_s=60, rate_per_s=rate_per_s)
        arrival_times = dataclasses.replace(load, schedule_seed=run_number + 1).arrival_times()
        draw = random.Random(1)
        gaps = (draw.expovariate(rate_per_s) for _ in range(3_000_000))
        print(f"{run_number} at {rate_per_s * service_s:.1%}: {rate_per_s} requests/s", end="")
        for name, arrivals in (("these", arrival_times), ("M/D/1", itertools.accumulate(gaps))):
            mean_s, p99_s = mean_and_p99(sojourns(arrivals, service_s))
            latency = wrk["latency"]
            ratios = f"mean {latency['mean_s'] / mean_s:.3f}, p99 {latency['p99_s'] / p99_s:.3f}"
            print(f"; over {name}: {ratios}", end="")
        print(flush=True)


def moved_bytes(lab: Lab) -> int:
    total = 0
    for direction in ("rx", "tx"):
        counter = f"/sys/class/net/eth0/statistics/{direction}_bytes"
        command = [*lab.machines[CONTROLLER].command, "cat", counter]
        total += int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return total


def controlled(lab: Lab, loads: list[str], rounds: int) -> tuple[float, int]:
    command = [*lab.machines[CONTROLLER].command, str(THIS_PYTHON), str(PYZ), "compare", "asgi"]
    command += ["-c", "80", "-t", "1", "-d", "1s", "-r", str(rounds), "--server-on", "s"]
    command += ["--load-on", ",".join(loads), "--ssh-config", str(lab.ssh_config)]
    before, begin = moved_bytes(lab), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: many wrks on few cores may make a trial invalid
        sys.exit(done.stderr)
    return time.monotonic() - begin, moved_bytes(lab) - before


def machines(hosts: str = "8") -> None:
    names = [f"l{number}" for number in range(int(hosts))]
    with (
        tempfile.TemporaryDirectory() as directory,
        laboratory(["s", *names], Path(directory)) as lab,
    ):
        controlled(lab, names, 1)  # copies and unpacks
        for count in (1, len(names)):
            for _ in range(3):
                short_s, short_bytes = controlled(lab, names[:count], 1)
                long_s, long_bytes = controlled(lab, names[:count], 6)
                seconds, kilobytes = (long_s - short_s) / 5, (long_bytes - short_bytes) / 5e3
                print(f"{count} load machines: {seconds:.2f} s and {kilobytes:.0f} kB a round")


def start(runs: str = "10") -> None:
    times = []
    for _ in range(int(runs)):
        with tempfile.TemporaryDirectory() as home:
            begin = time.monotonic()
            command = [sys.executable, str(PYZ), "--version"]
            subprocess.run(command, env={**os.environ, "HOME": home}, check=True)
            times.append(time.monotonic() - begin)
    print(f"first starts: {min(times):.1f} to {max(times):.1f} s, of {len(times)}")


if __name__ == "__main__":
    studies = {each.__name__: each for each in (aa, power, ranks, gate, theory, machines, start)}
    if len(sys.argv) < 2 or sys.argv[1] not in studies:
        sys.exit(__doc__)
    studies[sys.argv[1]](*sys.argv[2:])
