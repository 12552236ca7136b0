"""The search for the version that changed the speed: simulated, and on real versions."""

import dataclasses
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from conftest import HUNDRED, SETTINGS, Tool, Typed, measured, results_of

from micropie_benchlib.cli.versions import releases_of
from micropie_benchlib.core.bisection import Bisection, Side, Step
from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.errors import BenchError, UsageError
from micropie_benchlib.core.estimates import Comparison, Estimate
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.report.results_file import from_json
from micropie_benchlib.run.bisect import AddRounds, StepSearch
from micropie_benchlib.stats.bisection import next_version, side_of
from micropie_benchlib.stats.compare import comparison_of
from micropie_benchlib.system.children import Finished

NUMBERS = list(map(str, range(32)))
ROUNDS = 10
# The spread of a round's ratio, for half-widths of 2% and 4% in ROUNDS rounds: those of --short.
SPREADS = (0.028, 0.056)


class Simulation:
    """Versions of these costs, compared in rounds whose ratios are log-normal."""

    def __init__(self, costs: Sequence[float | None], spread: float, seed: int = 1) -> None:
        self._costs, self._spread = costs, spread
        self._random = random.Random(seed)
        self.rounds = 0  # of all comparisons

    def compare(self, older: int, newer: int) -> AddRounds:
        ratios: dict[int, float] = {}

        def add_rounds(rounds: int) -> Comparison:
            before, after = self._costs[older], self._costs[newer]
            if before is None or after is None:
                raise BenchError("cannot be installed")
            self.rounds += rounds
            for number in range(len(ratios), len(ratios) + rounds):
                ratios[number] = after / before * self._random.lognormvariate(0, self._spread)
            return comparison_of(
                ratios,
                load=HUNDRED,
                method=Method.PAIRED,
                metric=Metric.CPU,
                reference=str(older),
                target=str(newer),
                confidence=0.95,
            )

        return add_rounds

    def search(self, slower_than: float | None = None) -> Bisection:
        search = StepSearch(
            NUMBERS[: len(self._costs)],
            self.compare,
            rounds=ROUNDS,
            slower_than=slower_than,
            tell=lambda _visit: None,
        )
        search.run()
        return search.found


def estimate(low: float, high: float) -> Estimate:
    return Estimate(ratio=(low * high) ** 0.5, low=low, high=high, confidence=0.95)


def right_ones(step: float, spread: float, *, simulations: int) -> int:
    """Return how many searches of 32 versions find the two that a step lies between."""
    right = 0
    for seed in range(simulations):
        at = random.Random(seed).randrange(1, 32)
        costs = [1.0] * at + [1 + step] * (32 - at)
        found = Simulation(costs, spread, seed).search()
        neighbours = (found.older, found.newer)
        right += found.step is Step.FOUND and neighbours == (str(at - 1), str(at))
    return right


NIGHTLY = [pytest.mark.nightly, pytest.mark.timeout(600)]
SIMULATED = (
    pytest.param(SPREADS[1], 200),
    pytest.param(SPREADS[0], 2000, marks=NIGHTLY),
    pytest.param(SPREADS[1], 2000, marks=NIGHTLY),
)


@pytest.mark.parametrize(("spread", "simulations"), SIMULATED)
def test_a_step_of_8_percent_among_32_versions_is_found(spread: float, simulations: int) -> None:
    right = right_ones(0.08, spread, simulations=simulations)
    assert right >= 0.95 * simulations


def test_a_version_that_needs_less_is_found_as_well() -> None:
    assert right_ones(-0.08, SPREADS[0], simulations=20) == 20


@pytest.mark.parametrize(("spread", "simulations"), SIMULATED)
def test_without_a_step_none_is_found(spread: float, simulations: int) -> None:
    found = 0
    for seed in range(simulations):
        found += Simulation([1.0] * 32, spread, seed).search().step is Step.FOUND
    assert found <= 0.05 * simulations


def test_no_step_takes_one_comparison() -> None:
    simulation = Simulation([1.0] * 32, 0.01)
    found = simulation.search()
    assert (found.step, len(found.visits), simulation.rounds) == (Step.NONE, 1, 2 * ROUNDS)


@pytest.mark.parametrize(
    ("slower_than", "step"), [(0.05, Step.FOUND), (0.2, Step.NONE), (None, Step.FOUND)]
)
def test_a_step_counts_from_the_size_that_is_asked_for(
    slower_than: float | None, step: Step
) -> None:
    found = Simulation([1.0] * 5 + [1.1] * 5, 0.01).search(slower_than)
    assert found.step is step


def test_a_faster_version_is_not_slower_than_a_share() -> None:
    assert Simulation([1.0] * 5 + [0.8] * 5, 0.01).search(0.05).step is Step.NONE


def test_versions_that_cannot_be_measured_leave_a_range() -> None:
    costs: list[float | None] = [1.0] * 10 + [None] * 3 + [1.2] * 10
    found = Simulation(costs, 0.01).search()
    assert (found.step, found.older, found.newer) == (Step.FOUND, "9", "13")
    skipped = [visit for visit in found.visits if visit.side is Side.SKIPPED]
    assert sorted(visit.version for visit in skipped) == ["10", "11", "12"]
    assert {visit.reason for visit in skipped} == {"cannot be installed"}


def test_ends_that_cannot_be_measured_are_an_error() -> None:
    with pytest.raises(BenchError, match="cannot be installed"):
        Simulation([1.0, 1.0, None], 0.01).search()


def test_many_small_steps_are_not_called_one() -> None:
    costs = [1.005**number for number in range(32)]
    simulation = Simulation(costs, SPREADS[0])
    found = simulation.search()
    assert found.step in (Step.UNCONFIRMED, Step.INCONCLUSIVE, Step.FOUND)
    assert found.step is not Step.FOUND or int(found.newer) - int(found.older) > 1
    assert simulation.rounds < 4 * 8 * ROUNDS + 10 * ROUNDS


@pytest.mark.parametrize("seed", range(5))
def test_of_two_equal_steps_one_at_least_is_within_what_is_told(seed: int) -> None:
    costs = [1.0] * 10 + [1.05] * 12 + [1.1025] * 10
    found = Simulation(costs, SPREADS[1], seed).search()
    older, newer = int(found.older), int(found.newer)
    assert found.step is Step.FOUND
    assert older < 10 <= newer or older < 22 <= newer
    inconclusive = [visit for visit in found.visits if visit.side is Side.INCONCLUSIVE]
    assert newer - older == 1 or len(inconclusive) == 3


def test_two_versions_are_compared_once() -> None:
    simulation = Simulation([1.0, 1.2], 0.01)
    found = simulation.search()
    assert (found.step, found.older, found.newer) == (Step.FOUND, "0", "1")
    assert simulation.rounds == 2 * ROUNDS


def test_what_was_found_before_an_interruption_is_kept() -> None:
    simulation = Simulation([1.0] * 20 + [1.2] * 12, 0.01)
    compared = 0

    def compare(older: int, newer: int) -> AddRounds:
        nonlocal compared
        compared += 1
        if compared == 4:
            raise KeyboardInterrupt
        return simulation.compare(older, newer)

    search = StepSearch(NUMBERS, compare, rounds=ROUNDS, tell=lambda _visit: None)
    with pytest.raises(KeyboardInterrupt):
        search.run()
    assert search.found.step is Step.UNFINISHED
    assert [visit.version for visit in search.found.visits] == ["31", "16", "24"]
    assert (search.found.older, search.found.newer) == ("16", "24")


@pytest.mark.parametrize(
    ("low", "high", "threshold", "side"),
    [
        (1.05, 1.1, 1.04, Side.AFTER),
        (0.99, 1.03, 1.04, Side.BEFORE),
        (1.0, 1.1, 1.04, Side.INCONCLUSIVE),
        (0.9, 0.95, 0.96, Side.AFTER),
        (0.97, 1.1, 0.96, Side.BEFORE),
    ],
)
def test_an_interval_decides_where_the_threshold_is_outside_of_it(
    low: float, high: float, threshold: float, side: Side
) -> None:
    assert side_of(estimate(low, high), threshold) is side


@pytest.mark.parametrize(
    ("skipped", "number"),
    [((), 4), ((4,), 2), ((4, 2), 6), ((1, 2, 3, 4, 5, 6, 7), None), ((2, 3, 4, 5, 6), 1)],
)
def test_the_next_version_is_in_the_middle_of_the_longest_row(
    skipped: tuple[int, ...], number: int | None
) -> None:
    assert next_version(0, 8, skipped) == number


# Which versions there are.

INDEX = ("0.110.0", "0.111.0", "0.111.1", "0.112.0", "0.113.0")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the index have the releases of INDEX; before 2024 the first two."""

    def run_pip(words: Sequence[str], *, as_of: str = "", **_: object) -> Finished:
        assert words[:2] == ["index", "versions"]
        if words[2] != "fastapi":
            return Finished(status=1, output="", errors="WARNING: x\nERROR: No matching\n")
        known = INDEX[:2] if as_of and as_of < "2024" else INDEX
        return Finished(status=0, output=json.dumps({"versions": known[::-1]}), errors="")

    monkeypatch.setattr("micropie_benchlib.serve.packages.run_pip", run_pip)


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fastapi@0.111.0..0.112.0", INDEX[1:4]),
        ("fastapi@0.110..0.113", INDEX),
        ("fastapi@2023-01-01..2025-01-01", INDEX[1:]),
    ],
)
def test_the_releases_between_two_are_searched(text: str, found: Sequence[str]) -> None:
    versions = releases_of(text)
    assert versions == [f"fastapi@{each}" for each in found]


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("fastapi", "'fastapi': use NAME@A..B"),
        ("fastapi@0.110..", "use NAME@A..B"),
        ("fastapi@0.110..0.114.0", "fastapi 0.114.0 cannot be installed here"),
        ("fastapi@2023-01-01..2923-02-01", "2923-02-01 is in the future"),
        ("asgi@0.1..0.2", "'asgi' has no releases"),
        ("fastapo@0.1..0.2", "(did you mean fastapi?)"),
    ],
)
def test_releases_that_there_are_not_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(complaint)):
        releases_of(text)


@pytest.mark.usefixtures("index")
def test_an_index_that_does_not_answer_is_told_in_one_line() -> None:
    with pytest.raises(BenchError, match="cannot list the releases of sanic: No matching") as told:
        releases_of("sanic@1.0..2.0")
    assert "\n" not in str(told.value)


# The command, with measurements made up.

COSTS = {"0.110.0": 1.0, "0.111.0": 1.0, "0.111.1": 1.0, "0.112.0": 1.2, "0.113.0": 1.2}


def measure(plan: Plan, costs: Mapping[str, float]) -> Results:
    """Return what rounds of two releases would give, if they need that much CPU time."""
    noise = random.Random(plan.seed)
    labels = {target.name: target.label for target in plan.targets}
    measurements = []
    for number in range(1, plan.rounds + 1):
        for name, partner in ((plan.names[0], plan.names[1]), (plan.names[1], plan.names[0])):
            cpu_s = costs[name.partition("@")[2]] * noise.lognormvariate(0, 0.005)
            measurements.append(measured(name, number, 5000.0, cpu_s=cpu_s, partner=partner))
            measurements.append(measured(name, number, 5000.0, cpu_s=cpu_s))
    settings = dataclasses.replace(SETTINGS, rounds=plan.rounds, paired=True)
    return results_of(measurements, labels=labels, settings=settings)


Measuring = Callable[[Plan], Results]


@pytest.fixture
def measuring(index: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Measuring], None]:
    """Return what lets `bisect` get its results from a function."""

    def let(function: Measuring) -> None:
        monkeypatch.setattr(
            "micropie_benchlib.cli.bisect.run_plan", lambda plan, **_: function(plan)
        )

    return let


def test_the_release_that_did_it_is_the_last_thing_told(
    measuring: Callable[[Measuring], None], typed: Typed, tmp_path: Path
) -> None:
    measuring(lambda plan: measure(plan, COSTS))
    exports = {suffix: tmp_path / f"run.{suffix}" for suffix in ("json", "md", "html")}
    options = [
        f"--export-{kind}={exports[suffix]}"
        for kind, suffix in (("json", "json"), ("markdown", "md"), ("html", "html"))
    ]
    done = typed("bisect", "fastapi@0.110..0.113", *options)
    assert done.returncode == 3
    *_, whole, answer = done.stdout.splitlines()
    assert re.fullmatch(
        r"FastAPI 0\.113\.0 needs 1\.[12]\d+x \(.*\) of the CPU time of FastAPI 0\.110\.0\.", whole
    )
    sentence = r"FastAPI 0\.112\.0 needs 1\.[12]\d+x \(.*\) of the CPU time of FastAPI 0\.111\.1\."
    assert re.fullmatch(sentence, answer)
    rows = re.findall(r"^\| FastAPI (\S+) +\|.*\| (\S*) +\|$", done.stdout, re.MULTILINE)
    assert rows[-3:] == [("0.111.1", "before"), ("0.112.0", "after"), ("0.113.0", "after")]
    assert "5 versions, FastAPI 0.110.0 to FastAPI 0.113.0: about" in done.stderr
    assert answer in exports["md"].read_text()
    page = exports["html"].read_text()
    assert answer in page
    assert "<strong>Versions</strong>" in page
    read = from_json(exports["json"].read_text()).bisection
    assert read
    assert (read.step, read.older, read.newer) == (Step.FOUND, "FastAPI 0.111.1", "FastAPI 0.112.0")
    again = typed("report", str(exports["json"]))
    assert again.stdout.splitlines()[-1] == answer


def test_a_change_that_has_other_parts_is_told_as_such(
    measuring: Callable[[Measuring], None], typed: Typed
) -> None:
    measuring(lambda plan: measure(plan, {**COSTS, "0.113.0": 1.4}))
    *_, part, answer = typed("bisect", "fastapi@0.110..0.113").stdout.splitlines()
    assert part == "Other versions changed it, too."
    assert answer.startswith("FastAPI 0.112.0 needs 1.")


def test_no_step_is_said_and_no_failure(
    measuring: Callable[[Measuring], None], typed: Typed
) -> None:
    measuring(lambda plan: measure(plan, dict.fromkeys(COSTS, 1.0)))
    done = typed("bisect", "fastapi@0.110..0.113", "--slower-than", "5%")
    assert done.returncode == 0
    answer = done.stdout.splitlines()[-1]
    assert answer.startswith("No step over 5%: FastAPI 0.113.0 needs ")


def test_a_release_that_does_not_start_is_skipped_and_named(
    measuring: Callable[[Measuring], None], typed: Typed
) -> None:
    def failing(plan: Plan) -> Results:
        if "fastapi@0.111.1" in plan.names:
            raise BenchError("pip cannot fetch it")
        return measure(plan, COSTS)

    measuring(failing)
    done = typed("bisect", "fastapi@0.110..0.113")
    assert done.returncode == 3
    *_, skipped, _whole, which, answer = done.stdout.splitlines()
    assert skipped == "FastAPI 0.111.1 was skipped: pip cannot fetch it."
    assert which == "Which of the last 2 versions did it, is not decided."
    assert "of the CPU time of FastAPI 0.111.0." in answer


@pytest.mark.parametrize(("kind", "status"), [(Kind.INTERRUPTED, 130), (Kind.ENDED, 1)])
def test_what_ends_the_search_early_leaves_what_was_found(
    measuring: Callable[[Measuring], None], typed: Typed, kind: Kind, status: int
) -> None:
    made = []

    def ending(plan: Plan) -> Results:
        made.append(plan)
        results = measure(plan, COSTS)
        if len(made) < 3:
            return results
        early_end = BenchWarning.of(kind, round=3, rounds=10, error="app.py was changed")
        return dataclasses.replace(results, warnings=(early_end,))

    measuring(ending)
    done = typed("bisect", "fastapi@0.110..0.113")
    assert done.returncode == status
    answer = done.stdout.splitlines()[-1]
    assert answer.startswith("Unfinished: FastAPI 0.113.0 needs 1.")
    assert answer.endswith("the step is after FastAPI 0.111.1, up to FastAPI 0.113.0.")
    assert "in round 3 of 10" in done.stderr.splitlines()[-1]


def test_interrupted_at_once_it_writes_nothing(
    measuring: Callable[[Measuring], None], typed: Typed, tmp_path: Path
) -> None:
    def interrupted(_plan: Plan) -> Results:
        raise KeyboardInterrupt

    measuring(interrupted)
    file = tmp_path / "run.json"
    done = typed("bisect", "fastapi@0.110..0.113", f"--export-json={file}")
    assert (done.returncode, done.stdout) == (130, "")
    assert not file.exists()


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["-r", "1"], "--rounds 1 gives no interval"),
        (["-c", "10,20"], "bisect decides by one load"),
        (["--slower-than", "5"], "--slower-than '5': use a share such as 5%"),
    ],
)
def test_what_bisect_cannot_do_is_refused(
    options: Sequence[str], complaint: str, typed: Typed
) -> None:
    done = typed("bisect", "fastapi@0.110..0.113", *options)
    assert done.returncode == 2
    assert complaint in done.stderr


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_real_releases_of_fastapi_are_searched(tool: Tool, tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    args = ("bisect", "fastapi@0.112.0..0.115.0", f"--export-json={file}")
    done = tool.run(*args, timeout=1790)
    found = from_json(file.read_text()).bisection
    assert found, done.stderr
    assert done.returncode == (3 if found.step is Step.FOUND else 0)
    assert len(found.versions) == 10
    assert {visit.side for visit in found.visits} <= {Side.BEFORE, Side.AFTER, Side.INCONCLUSIVE}
    costs = [visit.cost for visit in found.visits]
    assert all(cost and cost.half_width < 0.1 for cost in costs)
    if found.step is Step.FOUND:
        assert found.change
        assert not found.change.interval.contains(1)
        assert found.newer in done.stdout.splitlines()[-1]
