"""Benchmark, not a test: what the tool costs, in time and to the server that it measures.

python tests/overhead.py wall [RUNS]    wall time of `compare -r 1 -d 5s` over the sum of its wrk durations
python tests/overhead.py cost [PAIRS]   throughput of fastapi through the tool over that of the same uvicorn and
                                        wrk commands by hand, alternated, with a 95% interval (t, log ratios)
python tests/overhead.py start [PAIRS]  wall time of `--version` and `--help` from micropie_bench.pyz, which
                                        build_pyz.sh has made, over the plain script's, likewise; and of first starts
"""

from __future__ import annotations

import json
import math
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from scipy.stats import t

ROOT = Path(__file__).parent.parent
LOAD = ["-t4", "-c100"]


def through_the_tool(*args: str) -> dict[str, list[dict[str, float]]]:
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args, "--export-json", out.name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        data: dict[str, list[dict[str, float]]] = json.loads(Path(out.name).read_text())
    return data


def by_hand(seconds: int) -> float:
    """Return the Requests/sec of wrk against `uvicorn apps:fastapi --workers 4`, its log in a file.

    The server has a session of its own, as from a second terminal: Linux shares out CPU time by session (autogroup).
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    uvicorn = [sys.executable, "-m", "uvicorn", "apps:fastapi", "--workers", "4", "--port", str(port)]
    with tempfile.NamedTemporaryFile() as log:
        server = subprocess.Popen(uvicorn, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            while Path(log.name).read_text().count("startup complete") < 4:
                time.sleep(0.05)
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
            wrk = ["wrk", *LOAD, "--latency", f"http://127.0.0.1:{port}/"]
            subprocess.run([*wrk, "-d1s"], check=True, capture_output=True)
            report = subprocess.run([*wrk, f"-d{seconds}s"], check=True, capture_output=True, text=True).stdout
        finally:
            server.terminate()
            server.wait()
    match = re.search(r"Requests/sec: +([\d.]+)", report)
    assert match
    return float(match[1])


def wall(runs: int) -> None:
    ratios = []
    for _ in range(runs):
        start = time.monotonic()
        data = through_the_tool("-r", "1", "-d", "5s")
        ratios.append((time.monotonic() - start) / sum(m["duration_s"] for m in data["measurements"]))
        print(f"wall time / wrk durations: {ratios[-1]:.3f}", flush=True)
    print(f"mean {statistics.mean(ratios):.3f}, {min(ratios):.3f} to {max(ratios):.3f} in {runs} runs")


def interval(logs: list[float]) -> str:
    """Return the ratio with its 95% interval, from the logs of ratios of pairs."""
    half = t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.mean(logs)
    ends = f"{math.exp(mean - half):.3f} to {math.exp(mean + half):.3f}"
    return f"{math.exp(mean):.3f} (95% {ends}, {len(logs)} pairs)"


def start(pairs: int) -> None:
    def seconds(script: str, option: str, home: str) -> float:
        begin = time.monotonic()
        command = [sys.executable, str(ROOT / script), option]
        subprocess.run(command, env={**os.environ, "HOME": home}, check=True, stdout=subprocess.DEVNULL)
        return time.monotonic() - begin

    firsts = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as home:
            firsts.append(seconds("micropie_bench.pyz", "--version", home))
            for script in ("micropie_bench.pyz", "micropie_bench.py"):  # the files are in the page cache by now
                seconds(script, "--help", home)
            if len(firsts) < 3:
                continue
            for option in ("--version", "--help"):
                found = [[seconds(f"micropie_bench.{x}", option, home) for x in ("pyz", "py")] for _ in range(pairs)]
                medians = " and ".join(f"{statistics.median(column) * 1e3:.0f}" for column in zip(*found, strict=True))
                logs = [math.log(packed / plain) for packed, plain in found]
                print(f"{option}: .pyz / plain script {interval(logs)}; medians {medians} ms")
    print(f"first starts: {min(firsts):.1f} to {max(firsts):.1f} s, of {len(firsts)}")


def cost(pairs: int) -> None:
    logs = []
    for number in range(pairs):
        order = [True, False] if number % 2 else [False, True]
        figures: dict[bool, float] = {}
        for tool in order:
            if tool:
                (solo,) = through_the_tool("fastapi", "-d", "5s", "-c", "100", "-r", "1")["measurements"]
                figures[tool] = solo["requests_per_s"]
            else:
                figures[tool] = by_hand(5)
        logs.append(math.log(figures[True] / figures[False]))
        print(f"tool {figures[True]:.0f}/s, by hand {figures[False]:.0f}/s, ratio {math.exp(logs[-1]):.3f}", flush=True)
    print(f"ratio {interval(logs)}")


if __name__ == "__main__":
    what = {"wall": wall, "cost": cost, "start": start}[sys.argv[1]]
    what(int(sys.argv[2]) if len(sys.argv) > 2 else 3 if what is wall else 10)
