"""Benchmark, not a test: are the verdicts true? It takes from minutes to an hour, on a machine left alone.

python tests/honesty.py aa [RUNS]             `compare a=fastapi b=fastapi -r 5 -d 1s -c 50`, 30 times: how many
                                              verdicts are not "no difference", half-widths, coverage of 1.0
python tests/honesty.py power PERCENT [RUNS]  default `compare` of a bare ASGI app with itself plus that much CPU
                                              time per request, 5 times: is it found, is the interval true?
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
HEADLINE = ("duet", "server_cpu_per_request_s")


def compare(*args: str, **env: str) -> dict[str, Any]:
    """Return the results of one run; void measurements (exit 1) are part of them."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args, "--export-json", out.name]
        where = ROOT / "tests" / "targets"
        subprocess.run(command, cwd=where, env={**os.environ, **env}, capture_output=True, check=False)
        data: dict[str, Any] = json.loads(Path(out.name).read_text())
    return data


def half(c: dict[str, Any]) -> float:
    return math.expm1(math.log(c["ci_high"] / c["ci_low"]) / 2)


def show(comparisons: list[dict[str, Any]]) -> None:
    told = [
        f"{c['method']} {c['metric']} c{c['connections']} {c['ratio']:.4f} ±{half(c):.2%}"
        for c in comparisons
        if c["ci_low"]
    ]
    print("; ".join(told), flush=True)


def summarise(found: list[tuple[dict[str, Any], float | None]]) -> None:
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
        made += compare("a=fastapi", "b=fastapi", "-r", "5", "-d", "1s", "-c", "50")["comparisons"]
        print(number + 1, end=" ")
        show(made[-5:])
    summarise([(c, 1.0) for c in made])


def accounting(log: str) -> dict[str, float]:
    """Return what `more` burns for a request beyond what the accounting itself costs, which is what `base` accounts."""
    sums = {}
    for name in ("base", "more"):
        lines = [line.split()[1:] for line in log.splitlines() if line.startswith(name)]
        sums[name] = [sum(map(float, column)) for column in zip(*lines, strict=True)]
    each_s = {name: {"solo": n[1] / n[0], "duet": n[3] / n[2]} for name, n in sums.items()}
    return {method: each_s["more"][method] - each_s["base"][method] for method in ("solo", "duet")}


def loops_for(percent: float) -> int:
    """Return how many loops add that share to the base app's CPU per request in duets, by a short run of 1,000."""
    with tempfile.NamedTemporaryFile() as log:
        short = ("base=burner:base", "more=burner:more", "-r", "2", "-d", "3s", "-c", "100")
        found = compare(*short, BURN_LOG=log.name, BURN_LOOPS="1000")["measurements"]
        burnt_s = accounting(Path(log.name).read_text())["duet"]
    base = [m for m in found if (m["method"], m["target"]) == ("duet", "base")]
    per_request_s: float = statistics.mean(m["server_cpu_s"] / m["requests"] for m in base)
    return round(1000 * per_request_s * percent / 100 / burnt_s)


def power(percent: float, runs: int) -> None:
    loops = loops_for(percent)
    print(f"{loops} loops for about +{percent}%", flush=True)
    made: list[tuple[dict[str, Any], float | None]] = []
    for number in range(runs):
        with tempfile.NamedTemporaryFile() as log:
            data = compare("base=burner:base", "more=burner:more", BURN_LOG=log.name, BURN_LOOPS=str(loops))
            burnt_s = accounting(Path(log.name).read_text())
        for c in data["comparisons"]:
            truth = None
            if c["metric"] == HEADLINE[1]:
                same = [m for m in data["measurements"] if m["valid"] and m["target"] == "more"]
                same = [m for m in same if (m["method"], m["connections"]) == (c["method"], c["connections"])]
                cpu_s = statistics.mean(m["server_cpu_s"] / m["requests"] for m in same)
                truth = cpu_s / (cpu_s - burnt_s[c["method"]])
            made.append((c, truth))
            if (c["method"], c["metric"]) == HEADLINE and truth and c["ci_low"]:
                interval = f"{c['ci_low']:.4f} to {c['ci_high']:.4f}"
                print(
                    number + 1,
                    f"c{c['connections']}: {c['verdict']}, {interval}, by its own accounting {truth:.4f};",
                    end=" ",
                )
        show(data["comparisons"])
    summarise(made)


if __name__ == "__main__":
    numbers = [float(argument) for argument in sys.argv[2:]]
    if sys.argv[1] == "aa":
        aa(int(numbers[0]) if numbers else 30)
    else:
        power(numbers[0], int(numbers[1]) if len(numbers) > 1 else 5)
