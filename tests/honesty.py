"""Benchmark, not a test: are the verdicts true? It takes from minutes to an hour, on a machine left alone.

python tests/honesty.py aa [RUNS]             `compare a=fastapi b=fastapi -r 5 -d 1s -c 50`, 30 times: how many
                                              verdicts are not "no difference", half-widths, coverage of 1.0
python tests/honesty.py power PERCENT [RUNS]  `compare` of a bare ASGI app with itself plus about that much CPU time per
                                              request, at 100 and at 200 connections, 5 times each: is it found,
                                              and does the interval hold what the app itself accounts for?
python tests/honesty.py gate [RUNS]           `compare --baseline --fail-if-slower 5%`, 5 times each with MicroPie as it
                                              was and slowed down by about 10%: which of them fail?
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
HEADLINE = ("duet", "server_cpu_per_request_s")


def run(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these variables, where the targets' modules are."""
    command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args]
    where = ROOT / "tests" / "targets"
    return subprocess.run(command, cwd=where, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def comparisons_in(file: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(Path(file).read_text())["comparisons"]
    return found


def compare(*args: str, **env: str) -> list[dict[str, Any]]:
    """Return the comparisons of one run; void measurements (exit 1) are part of them."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        run(*args, "--export-json", out.name, **env)
        return comparisons_in(out.name)


def half(c: dict[str, Any]) -> float:
    return math.expm1(math.log(c["ci_high"] / c["ci_low"]) / 2)


def show(comparisons: list[dict[str, Any]]) -> None:
    told = [
        f"{c['method']} {c['metric']} c{c['connections']} {c['ratio']:.4f} ±{half(c):.2%}"
        for c in comparisons
        if c["ci_low"]
    ]
    print("; ".join(told), flush=True)


def summarise(found: Sequence[tuple[dict[str, Any], float | None]]) -> None:
    """Print verdicts, half-widths and, where the truth is known, coverage, for each method and metric."""
    for key in sorted({(c["method"], c["metric"]) for c, _ in found}):
        these = [(c, truth) for c, truth in found if (c["method"], c["metric"]) == key]
        known = [(c, truth) for c, truth in these if c["ci_low"]]
        widths = [half(c) for c, _ in known] or [math.nan]
        other = sum(c["verdict"] != "no_difference" for c, _ in known)
        covered = [c["ci_low"] <= truth <= c["ci_high"] for c, truth in known if truth]
        print("*" if key == HEADLINE else " ", *key, end=": ")
        print(
            f"{other} of {len(known)} verdicts other than no difference; half-width mean {statistics.mean(widths):.2%},"
        )
        print(f"    median {statistics.median(widths):.2%}, {min(widths):.2%} to {max(widths):.2%};", end=" ")
        print(f"{sum(covered)} of {len(covered)} cover the truth; {len(these) - len(known)} without interval")


def aa(runs: int) -> None:
    made = []
    for number in range(runs):
        made += compare("a=fastapi", "b=fastapi", "-r", "5", "-d", "1s", "-c", "50")
        print(number + 1, end=" ")
        show(made[-5:])
    summarise([(c, 1.0) for c in made])


def accounted(log: str) -> dict[str, float]:
    """Return, for solo trials and duets, the CPU per request of `more` over that of its blocks without the loops."""
    ratios = {}
    for method in ("solo", "duet"):
        lines = [line.split()[2:] for line in log.splitlines() if line.startswith(f"more {method}")]
        requests, cpu_s, burning_requests, burning_cpu_s = (sum(map(float, each)) for each in zip(*lines, strict=True))
        ratios[method] = (cpu_s + burning_cpu_s) / (requests + burning_requests) / (cpu_s / requests)
    return ratios


def power(percent: float, runs: int) -> None:
    pair = ("base=burner:base", "more=burner:more")
    with tempfile.NamedTemporaryFile() as log:
        compare(*pair, "-r", "3", "-d", "3s", "-c", "100", BURN_LOG=log.name, BURN_LOOPS="1000")
        loops = round(1000 * percent / 100 / (accounted(Path(log.name).read_text())["duet"] - 1))
    print(f"{loops} loops in every second block for about +{percent}%", flush=True)
    made: list[tuple[dict[str, Any], float | None]] = []
    for number, connections in itertools.product(range(runs), ("100", "200")):  # apart: an app cannot tell them apart
        with tempfile.NamedTemporaryFile() as log:
            comparisons = compare(*pair, "-c", connections, BURN_LOG=log.name, BURN_LOOPS=str(loops))
            truths = accounted(Path(log.name).read_text())
        print(number + 1, "accounted:", ", ".join(f"{method} {truth:.4f}" for method, truth in truths.items()))
        show(comparisons)
        made += [(c, truths[c["method"]] if c["metric"] == HEADLINE[1] else None) for c in comparisons]
    summarise(made)


def gate(runs: int) -> None:
    slowed = "micropie=slowed:app"
    short = compare("micropie", "slowed=slowed:app", "-r", "3", "-d", "3s", "-c", "100", BURN_LOOPS="1000")
    [by_1000] = [c["ratio"] for c in short if (c["method"], c["metric"]) == HEADLINE]
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
                print("\n".join(line for line in done.stdout.splitlines() if line.startswith("gate")))
                show(comparisons_in(new))


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[2:]]
    if sys.argv[1] == "power":
        power(numbers[0], int(numbers[1]) if len(numbers) > 1 else 5)
    else:
        {"aa": aa, "gate": gate}[sys.argv[1]](int(numbers[0]) if numbers else 30 if sys.argv[1] == "aa" else 5)
