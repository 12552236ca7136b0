"""Benchmark, not a test: what the tool costs, in time and to the server that it measures.

python tests/overhead.py wall [RUNS]
    wall time of `compare -r 1 -d 5s` over the sum of its wrk durations
python tests/overhead.py cost [PAIRS]
    throughput of fastapi through the tool over that of the same uvicorn and wrk commands
    by hand, alternated, with a 95% interval (t, log ratios)
python tests/overhead.py live [PAIRS]
    throughput of fastapi with the live view on a terminal over that without, likewise
python tests/overhead.py start [PAIRS]
    wall time of `--version` and `--help` from micropie_bench.pyz, which build_pyz.sh has
    made, over the plain script's, likewise; and of first starts
python tests/overhead.py machines [HOSTS]
    what one more trial costs the director, in bytes and time, with 1 and with 8 load
    machines (tests/lab.py, as root) by micropie_bench.pyz
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from lab import DIRECTOR, THIS_PYTHON, Lab, laboratory
from scipy.stats import t

ROOT = Path(__file__).parent.parent
LOAD = ["-t4", "-c100"]


def through_the_tool(*args: str, terminal: str = "") -> list[dict[str, float]]:
    """Return what wrk reported of each measurement of `compare`, by the results file.

    With a `terminal`, such as xterm or dumb, it runs on one of that type.
    """
    env = dict(os.environ)
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", *args]
        command += ["--export-json", out.name]
        if terminal:
            command = ["script", "-qec", shlex.join(command), "/dev/null"]
            env["TERM"] = terminal
        null = subprocess.DEVNULL
        subprocess.run(command, env=env, check=True, stdout=null, stderr=null)
        data = json.loads(Path(out.name).read_text())
    return [measurement["wrk"] for measurement in data["measurements"]]


def by_hand(seconds: int) -> float:
    """Return the Requests/sec of wrk against `uvicorn apps:fastapi --workers 4`.

    The server's log goes to a file. It has a session of its own, as from a second terminal:
    Linux shares out CPU time by session (autogroup).
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    uvicorn = [sys.executable, "-m", "uvicorn", "apps:fastapi"]
    uvicorn += ["--workers", "4", "--port", str(port)]
    with tempfile.NamedTemporaryFile() as log:
        server = subprocess.Popen(uvicorn, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)
        try:
            while Path(log.name).read_text().count("startup complete") < 4:
                time.sleep(0.05)
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10).close()
            wrk = ["wrk", *LOAD, "--latency", f"http://127.0.0.1:{port}/"]
            subprocess.run([*wrk, "-d1s"], check=True, capture_output=True)
            report = subprocess.run(
                [*wrk, f"-d{seconds}s"], check=True, capture_output=True, text=True
            ).stdout
        finally:
            server.terminate()
            server.wait()
    match = re.search(r"Requests/sec: +([\d.]+)", report)
    assert match
    return float(match[1])


def wall(runs: int) -> None:
    """Print what a whole run takes, over what its wrks take."""
    ratios = []
    for _ in range(runs):
        begin = time.monotonic()
        runs_of_wrk = through_the_tool("-r", "1", "-d", "5s")
        wall_s = time.monotonic() - begin
        ratios.append(wall_s / sum(wrk["duration_s"] for wrk in runs_of_wrk))
        print(f"wall time / wrk durations: {ratios[-1]:.3f}", flush=True)
    mean = statistics.mean(ratios)
    print(f"mean {mean:.3f}, {min(ratios):.3f} to {max(ratios):.3f} in {runs} runs")


def interval(logs: list[float]) -> str:
    """Return the ratio with its 95% interval, from the logs of ratios of pairs."""
    half = t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.mean(logs)
    ends = f"{math.exp(mean - half):.3f} to {math.exp(mean + half):.3f}"
    return f"{math.exp(mean):.3f} (95% {ends}, {len(logs)} pairs)"


def start_s(script: str, option: str, home: str) -> float:
    """Return the wall time of a start of the script, with that home directory."""
    command = [sys.executable, str(ROOT / script), option]
    env = {**os.environ, "HOME": home}
    begin = time.monotonic()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def compare_starts(option: str, home: str, pairs: int) -> None:
    """Print what a start of the .pyz takes over one of the script, both not their first."""
    packed, plain = [], []
    for _ in range(pairs):
        packed.append(start_s("micropie_bench.pyz", option, home))
        plain.append(start_s("micropie_bench.py", option, home))
    logs = [math.log(x / y) for x, y in zip(packed, plain, strict=True)]
    medians_ms = [f"{statistics.median(column) * 1e3:.0f}" for column in (packed, plain)]
    ratio = f"{option}: .pyz / plain script {interval(logs)}"
    print(f"{ratio}; medians {' and '.join(medians_ms)} ms")


def start(pairs: int) -> None:
    """Print what first and later starts of the .pyz take."""
    firsts = []
    for number in range(3):
        with tempfile.TemporaryDirectory() as home:
            firsts.append(start_s("micropie_bench.pyz", "--version", home))
            for script in ("micropie_bench.pyz", "micropie_bench.py"):
                start_s(script, "--help", home)  # its files are in the page cache by now
            if number < 2:
                continue
            for option in ("--version", "--help"):
                compare_starts(option, home, pairs)
    print(f"first starts: {min(firsts):.1f} to {max(firsts):.1f} s, of {len(firsts)}")


def cost(pairs: int) -> None:
    """Print the throughput through the tool over that by hand."""
    logs = []
    for number in range(pairs):
        order = [True, False] if number % 2 else [False, True]
        throughputs: dict[bool, float] = {}
        for with_tool in order:
            if with_tool:
                (wrk,) = through_the_tool("fastapi", "-d", "5s", "-c", "100", "-r", "1")
                throughputs[with_tool] = wrk["requests_per_s"]
            else:
                throughputs[with_tool] = by_hand(5)
        ratio = throughputs[True] / throughputs[False]
        logs.append(math.log(ratio))
        figures = f"tool {throughputs[True]:.0f}/s, by hand {throughputs[False]:.0f}/s"
        print(f"{figures}, ratio {ratio:.3f}", flush=True)
    print(f"ratio {interval(logs)}")


def live(pairs: int) -> None:
    """Print the throughput with the live view over that without: a dumb terminal has none."""
    logs = []
    for number in range(pairs):
        throughputs: dict[bool, float] = {}
        for on in [True, False] if number % 2 else [False, True]:
            args = ("fastapi", "-d", "5s", "-c", "100", "-r", "1")
            (wrk,) = through_the_tool(*args, terminal="xterm" if on else "dumb")
            throughputs[on] = wrk["requests_per_s"]
        ratio = throughputs[True] / throughputs[False]
        logs.append(math.log(ratio))
        figures = f"live view on {throughputs[True]:.0f}/s, off {throughputs[False]:.0f}/s"
        print(f"{figures}, ratio {ratio:.3f}", flush=True)
    print(f"ratio {interval(logs)}")


def moved_bytes(lab: Lab) -> int:
    """Return how much the director's machine has sent and received."""
    total = 0
    for direction in ("rx", "tx"):
        counter = f"/sys/class/net/eth0/statistics/{direction}_bytes"
        command = [*lab.machines[DIRECTOR].command, "cat", counter]
        total += int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return total


def directed(lab: Lab, loads: list[str], rounds: int) -> tuple[float, int]:
    """Return the time and the bytes that a comparison takes of so many rounds of 1 s."""
    command = [*lab.machines[DIRECTOR].command, str(THIS_PYTHON), str(ROOT / "micropie_bench.pyz")]
    command += ["compare", "asgi", "-c", "80", "-t", "1", "-d", "1s", "-r", str(rounds)]
    command += ["--server-on", "s", "--load-on", ",".join(loads)]
    command += ["--ssh-config", str(lab.ssh_config)]
    before, begin = moved_bytes(lab), time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: many wrks on few cores may invalid a trial
        sys.exit(done.stderr)
    return time.monotonic() - begin, moved_bytes(lab) - before


def machines(most: int) -> None:
    """Print what each further round, of one trial, costs the director."""
    names = [f"l{number}" for number in range(most)]
    with (
        tempfile.TemporaryDirectory() as directory,
        laboratory(["s", *names], Path(directory)) as lab,
    ):
        directed(lab, names, 1)  # copies and unpacks
        for count in (1, most):
            costs = []
            for _ in range(3):
                short_s, short_bytes = directed(lab, names[:count], 1)
                long_s, long_bytes = directed(lab, names[:count], 6)
                costs.append(((long_s - short_s) / 5, (long_bytes - short_bytes) / 5))
            times = [f"{seconds:.2f}" for seconds, _ in costs]
            sizes = [f"{size / 1e3:.0f}" for _, size in costs]
            print(f"{count} load machines: {', '.join(times)} s a round with a trial of 1 s,")
            print(f"    {', '.join(sizes)} kB through the director", flush=True)


if __name__ == "__main__":
    what = sys.argv[1]
    numbers = [int(argument) for argument in sys.argv[2:]]
    if what == "wall":
        wall(numbers[0] if numbers else 3)
    elif what == "cost":
        cost(numbers[0] if numbers else 10)
    elif what == "live":
        live(numbers[0] if numbers else 10)
    elif what == "start":
        start(numbers[0] if numbers else 10)
    elif what == "machines":
        machines(numbers[0] if numbers else 8)
    else:
        sys.exit(__doc__)
