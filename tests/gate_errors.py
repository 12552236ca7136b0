"""Benchmark, not a test: how often the gate errs, where the truth is known.

python tests/gate_errors.py record DIR [ROUNDS]
    on a repository made for it, with the app of tests/targets/gated.py: so many rounds (90) of
    equal commits, and of one that needs 5% more CPU per request by the app's own clock; in the
    default form and in the short one. It takes 70 minutes, on a machine left alone, and writes
    four results files, and what the clock said.
python tests/gate_errors.py draw FILE...
    10,000 gates of rounds drawn from each file, with the number of rounds of its form: how many
    fail, pass, or are inconclusive? A file of unequal commits is also drawn from with its CPU
    per request scaled to 0, 3 and 10% more.
python tests/gate_errors.py whole [RUNS [OPTION...]]
    so many whole gates (3) of each kind, with the options (such as --short): which exit status?
"""

import dataclasses
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from evidence import ROOT, TARGETS, accounted

from micropie_benchlib.cli.gate import read_results
from micropie_benchlib.cli.options import DEFAULTS, SHORT, Preset
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.comparisons import with_derived
from micropie_benchlib.stats.gate import Gate, GateDecision, GateOutcome

DRAWS = 10_000
SLOWER = 0.05  # CPU per request of the slower commit
FORMS: Mapping[str, tuple[str, ...]] = {"default": (), "short": ("--short",)}
# Margins by the share of CPU per request that is added; None is as recorded.
MARGINS = {None: (0.01, 0.05), 0.0: (0.05,), 0.03: (0.05,), 0.1: (0.05,)}


# Drawing.


def preset_of(results: Results) -> Preset:
    """Return the form that was recorded."""
    seconds = f"{results.settings.duration_s}s" if results.settings else ""
    return SHORT if seconds == SHORT.duration else DEFAULTS


def drawn(results: Results, rounds: int, source: random.Random) -> Results:
    """Return so many of the rounds, as if they had been the run; some more than once.

    One with single trials is drawn for each that would have some.
    """
    by_round: dict[int, list[Measurement]] = {}
    for trial in results.measurements:
        by_round.setdefault(trial.round, []).append(trial)
    trials = []
    for number in range(1, rounds + 1):
        alike = [each for each in by_round if each % 2 == number % 2]
        for trial in by_round[source.choice(alike)]:
            trials.append(dataclasses.replace(trial, round=number))
    return with_derived(dataclasses.replace(results, measurements=tuple(trials)))


def recorded_ratios(results: Results) -> dict[LoadId, float]:
    """Return the CPU per request over the reference's, by which the gate decides."""
    changes = Gate(margin=0).decide(results).changes
    return {change.comparison.load: 1 / change.speed.ratio for change in changes}


def scaled(results: Results, more: float) -> Results:
    """Return the results with that share more CPU per request, on average over the record.

    The same CPU time then answers fewer requests, as of servers that CPU limits.
    """
    ratios = recorded_ratios(results)
    trials = []
    for trial in results.measurements:
        wrk = trial.wrk
        if trial.target != results.names[0] and wrk and trial.load in ratios:
            factor = ratios[trial.load] / (1 + more)
            wrk = dataclasses.replace(
                wrk,
                requests=round(factor * wrk.requests),
                requests_per_s=factor * wrk.requests_per_s,
            )
        trials.append(dataclasses.replace(trial, wrk=wrk))
    return with_derived(dataclasses.replace(results, measurements=tuple(trials)))


def decisions(
    results: Results, margins: Sequence[float], *, rounds: int, draws: int
) -> Iterator[list[GateDecision]]:
    """Yield what the gate decides of each draw, for each margin."""
    source = random.Random(1)
    for _ in range(draws):
        run = drawn(results, rounds, source)
        yield [Gate(margin=margin).decide(run) for margin in margins]


def rates_of(outcomes: Sequence[GateOutcome]) -> dict[GateOutcome, float]:
    counted = Counter(outcomes)
    return {outcome: counted[outcome] / len(outcomes) for outcome in GateOutcome}


def tell(what: str, decided: Sequence[GateDecision]) -> None:
    print(f"    {what}, margin {decided[0].gate.margin:.0%}:", end="")
    for outcome, rate in rates_of([decision.outcome for decision in decided]).items():
        print(f" {outcome} {rate:.2%}", end=",")
    halves = []
    for decision in decided:
        halves += [change.speed.half_width for change in decision.changes]
    low, *_, high = statistics.quantiles(halves, n=20)
    print(f" half-widths {low:.2%} to {high:.2%} (90%)", flush=True)


def draw(*files: str) -> None:
    for file in files:
        results = read_results(file)
        rounds = preset_of(results).rounds
        print(f"{file}: {DRAWS} gates of {rounds} rounds")
        for load, ratio in recorded_ratios(results).items():
            print(f"    recorded: {ratio - 1:+.2%} CPU per request at {load.sentence}")
        for more, margins in MARGINS.items():
            what, source = "as recorded", results
            if more is not None:
                what, source = f"scaled to {more:+.0%}", scaled(results, more)
            if more is None or "slower" in Path(file).name:
                made = decisions(source, margins, rounds=rounds, draws=DRAWS)
                for decided in zip(*made, strict=True):
                    tell(what, decided)


# Measuring.


def git(directory: Path, *words: str) -> None:
    names = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *names, *words], cwd=directory, check=True)


def commit(repository: Path, tag: str, loops: int) -> None:
    """Commit the app with so many loops, on top of what is there; another text makes another."""
    text = (TARGETS / "gated.py").read_text()
    (repository / "app.py").write_text(text.replace("LOOPS = 0\n", f"LOOPS = {loops}\n"))
    (repository / "notes.txt").write_text(tag)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", tag)
    git(repository, "tag", tag)


def compare(repository: Path, tag: str, *options: str) -> tuple[int, str]:
    """Return the exit status of the comparison with `base`, and what the apps' clocks said."""
    command = [sys.executable, str(ROOT / "micropie_bench.py"), "compare", "app:app"]
    with tempfile.NamedTemporaryFile() as log:
        env = {**os.environ, "BURN_LOG": log.name}
        done = subprocess.run(
            [*command, "--git", f"base..{tag}", *options],
            cwd=repository,
            env=env,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode, Path(log.name).read_text()


def make_repository(repository: Path, shares: Sequence[float]) -> None:
    """Make commits `base` and `equal`, and one that needs each share more, named after it."""
    git(repository, "init", "-q")
    commit(repository, "base", 0)
    commit(repository, "equal", 0)
    commit(repository, "calibration", 1000)
    _, log = compare(repository, "calibration", "-r", "4", "-d", "2s")
    by_1000 = accounted(log)["paired"] - 1
    for share in shares:
        loops = round(1000 * share / by_1000)
        print(f"{loops} loops for {share:+.0%}", flush=True)
        commit(repository, f"slower-{share:.0%}".rstrip("%"), loops)


def record(directory: str, rounds: str = "90") -> None:
    out = Path(directory).absolute()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name)
        make_repository(repository, [SLOWER])
        for form, options in FORMS.items():
            for tag in ("equal", "slower-5"):
                begun = time.monotonic()
                file = out / f"{tag}-{form}.json"
                words = (*options, "-r", rounds, "--export-json", str(file))
                status, log = compare(repository, tag, *words)
                line = f"{file.name}: {time.monotonic() - begun:.0f} s, exit {status}"
                if tag != "equal":
                    for method, ratio in accounted(log).items():
                        line += f", {method} {ratio - 1:+.2%} by the app's clock"
                print(line, flush=True)
                with (out / "clock.txt").open("a") as file_of_lines:
                    file_of_lines.write(f"{line}\n")


def whole(runs: str = "3", *options: str) -> None:
    kinds = (
        ("equal", "1%"),
        ("slower-5", "1%"),
        ("equal", "5%"),
        ("slower-3", "5%"),
        ("slower-10", "5%"),
    )
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name)
        make_repository(repository, [0.03, SLOWER, 0.1])
        for _ in range(int(runs)):
            for tag, margin in kinds:
                gated = ("--fail-if-slower", margin, *options)
                status, _ = compare(repository, tag, *gated)
                print(f"{tag}, margin {margin}: exit {status}", flush=True)


if __name__ == "__main__":
    modes: Mapping[str, Callable[..., None]] = {"record": record, "draw": draw, "whole": whole}
    if len(sys.argv) < 2 or sys.argv[1] not in modes:
        sys.exit(__doc__)
    modes[sys.argv[1]](*sys.argv[2:])
