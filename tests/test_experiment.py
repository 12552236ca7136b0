"""The experiment in a fake world: interruptions, dead servers, failing saves; no process."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import pytest
from conftest import cores_of, failed, measured, wrk_of

from micropie_benchlib.cli.progress import stage_text
from micropie_benchlib.cli.records import settings_of
from micropie_benchlib.cli.targets import parse_target
from micropie_benchlib.core.choices import Decisive, Limit
from micropie_benchlib.core.errors import BenchError, Reason, UnmeasurableError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import Errors, Measurement, WrkResult
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import WORKLOADS, Response, Workload
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.targets import ServerSettings, Target, UrlTarget
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.load.cpu_accounts import Work
from micropie_benchlib.load.readings import Ending, Observation
from micropie_benchlib.report.results_file import from_json, to_json
from micropie_benchlib.report.warnings import texts_of
from micropie_benchlib.run.actions import Actions, SecondStage, Step
from micropie_benchlib.run.experiment import measure_launch, run_experiment
from micropie_benchlib.run.facts import facts_of
from micropie_benchlib.run.schedule import planned_s, schedule
from micropie_benchlib.serve.launched import LaunchedServer
from micropie_benchlib.serve.servers import RunningServer, UrlServer
from micropie_benchlib.stats.gate import is_whole
from micropie_benchlib.stats.verdicts import widest_interval
from micropie_benchlib.stats.warnings import imprecise
from micropie_benchlib.system.children import Tick

BASE = UrlTarget(name="base", label="Base", spec="http://b/", url="http://b/")
MORE = UrlTarget(name="more", label="More", spec="http://m/", url="http://m/")
LAST = UrlTarget(name="last", label="Last", spec="http://l/", url="http://l/")

HELLO = Load(connections=100, threads=4, duration_s=1)
LONGER = replace(HELLO, duration_s=5)
JSON = replace(HELLO, workload=WORKLOADS["json"])

A_WARNING = failed("a warning")
NOTHING_YET = Results(
    created="2026-11-26T00:00:00+00:00", command="micropie_bench compare", warnings=A_WARNING
)
OK = Response(
    status=200, bytes=144, headers=(), body_sha256="0" * 64, body_bytes=13, http_version="1.1"
)
REFUSED = replace(OK, status=404)
SLOW = replace(OK, took_s=2.5)
ACTIONS = ("announce", "start", "tick", "await", "ask", "warm_up", "load", "save", "exit")
TRIAL_ERRORS = (BenchError("broken"), OSError("broken"), psutil.NoSuchProcess(7, msg="broken"))


# Where single trials decide, each round has both kinds.
PAIRED_AND_SINGLE: dict[str, Any] = {"paired": True, "metric": Decisive.P99}
TWO_WORKLOADS: dict[str, Any] = {"loads": (HELLO, JSON)}


def plan_of(*targets: Target, **changes: Any) -> Plan:
    plan = Plan(
        targets=targets or (BASE, MORE),
        loads=(HELLO,),
        rounds=3,
        seed=1,
        server=ServerSettings(),
        paired=False,
    )
    return replace(plan, **changes)


def seen_of(*, server_cpu_s: float = 1.0, **changes: Any) -> Observation:
    measurement = measured("any", 1, 10_000.0, cpu_s=server_cpu_s, seconds=1)
    return observation_of(measurement, wrk_of(10_000.0, seconds=1, **changes))


def observation_of(measurement: Measurement, wrk: WrkResult) -> Observation:
    """Return what is seen of a server, with its use as measured, in a trial of it alone."""
    work = None
    if measurement.use:
        cpu_s = measurement.use.server_cpu_s
        work = Work(seconds=wrk.duration_s, cpu_s=cpu_s, delay_s=0.0, threads=0, busiest_s=0.0)
    return Observation(
        wrk=wrk,
        report="",
        use=measurement.use,
        disturbances=(),
        ending=Ending(work=work),
        load_cpus_s=(wrk.load_cpu_s or 0,),
        load_delays_s=(0.0,),
        cores=cores_of(1),
    )


# --- the fake world ---------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """A call of an action, or of a server's method, and on what."""

    action: str
    subject: str
    round: int


@dataclass
class Fault:
    """The error that the first call of an action raises.

    On any subject, in any round, where these are not given; and once so many
    measurements have been made.
    """

    error: BaseException
    action: str
    subject: str = ""
    round: int = 0
    after: int = 0

    def strikes(self, event: Event, *, made: int) -> bool:
        return (
            event.action == self.action
            and self.subject in ("", event.subject)
            and self.round in (0, event.round)
            and made >= self.after
        )


@dataclass
class World:
    """Actions on fake servers, which of them were called, and what goes wrong."""

    faults: list[Fault] = field(default_factory=list)
    responses: dict[str, Response] = field(default_factory=dict)  # by target and workload
    lost: dict[str, str] = field(default_factory=dict)  # reasons, by target and workload
    seen: dict[str, Observation] = field(default_factory=dict)  # by target
    rates: dict[str, Iterator[float]] = field(default_factory=dict)  # of trials, by target
    baseline: dict[str, TargetFacts] = field(default_factory=dict)
    workers: int | None = None  # of launched servers; None for those of somebody else

    round: int = 0
    workload: str = ""  # of the last trial
    events: list[Event] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    made: list[tuple[int, str]] = field(default_factory=list)  # rounds and targets of trials
    saved: list[Results] = field(default_factory=list)
    announced_s: list[float] = field(default_factory=list)
    extensions: list[tuple[Plan, SecondStage | None]] = field(default_factory=list)
    dropped: list[tuple[Plan, Sequence[BenchWarning]]] = field(default_factory=list)

    @property
    def actions(self) -> Actions:
        return Actions(
            prepare=lambda _target: None,
            extend=self.extend,
            drop=self.drop,
            start=self.start,
            ask=self.ask,
            warm_up=self.warm_up,
            load=self.load,
            save=self.save,
            tick=self.tick,
            announce=self.announce,
            baseline=self.baseline,
        )

    def happen(self, action: str, subject: str = "") -> None:
        """Record the call, and raise the error that it is to raise, if any."""
        event = Event(action, subject, self.round)
        self.events.append(event)
        for fault in self.faults:
            if fault.strikes(event, made=len(self.made)):
                self.faults.remove(fault)
                raise fault.error

    def subjects(self, action: str) -> list[str]:
        return [event.subject for event in self.events if event.action == action]

    def start(self, target: Target) -> RunningServer:
        self.happen("start", target.name)
        self.running.append(target.name)
        if self.workers:
            return FakeLaunchedServer(target, self, workers=self.workers)
        return FakeServer(target, self)

    def ask(self, server: RunningServer, workload: Workload) -> tuple[Response, ...]:
        asked = f"{server.target.name} {workload.name}"
        self.happen("ask", asked)
        assert server.target.name in self.running
        return (self.responses.get(asked, OK),)

    def warm_up(self, servers: Sequence[RunningServer], load: Load) -> None:
        names = sorted(server.target.name for server in servers)
        assert set(names) <= set(self.running)
        self.happen("warm_up", f"{'+'.join(names)} {load.workload.name}")

    def load(self, servers: Sequence[RunningServer], load: Load) -> list[Observation]:
        names = [server.target.name for server in servers]
        assert set(names) <= set(self.running)
        self.workload = load.workload.name
        self.happen("load", f"{'+'.join(sorted(names))} {load.workload.name}")
        self.made += [(self.round, name) for name in names]
        cores = cores_of(len(names))
        return [replace(self.observed(name, load), cores=cores) for name in names]

    def observed(self, name: str, _load: Load) -> Observation:
        if name in self.rates:
            return seen_of(requests_per_s=next(self.rates[name]))
        return self.seen.get(name, seen_of())

    def save(self, results: Results) -> None:
        self.happen("save")
        self.saved.append(results)

    def tick(self) -> None:
        self.happen("tick")

    def extend(self, plan: Plan, stage: SecondStage | None) -> None:
        self.extensions.append((plan, stage))

    def drop(self, plan: Plan, reasons: Sequence[BenchWarning]) -> None:
        self.dropped.append((plan, reasons))

    def announce(self, step: Step) -> None:
        self.round = step.round
        self.announced_s.append(step.seconds)
        load = step.load.sentence if step.load else "starting"
        self.happen("announce", f"{' and '.join(target.label for target in step.targets)}: {load}")


class FakeServer(UrlServer):
    argv = ("serve",)

    def __init__(self, target: Target, world: World) -> None:
        self.target = target
        self.world = world

    def __exit__(self, *_: object) -> None:
        self.world.running.remove(self.target.name)
        self.world.happen("exit", self.target.name)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:8000{path}"

    def await_workers(self, *, tick: Tick = lambda: None, **_: object) -> None:
        tick()
        self.world.happen("await", self.target.name)

    def lost_workers(self) -> str | None:
        return self.world.lost.get(f"{self.target.name} {self.world.workload}")

    def complaint(self) -> str:
        return "ValueError: the database is on fire"


class FakeLaunchedServer(FakeServer, LaunchedServer):
    """A server that is no process either, of which the tool decides the workers."""

    def __init__(self, target: Target, world: World, *, workers: int) -> None:
        self.target = target
        self.world = world
        self.settings = ServerSettings(workers=workers)


@pytest.fixture
def world() -> Iterator[World]:
    """Return a world; at the end each server that was started must have been ended.

    What was saved last must be a results file.
    """
    world = World()
    yield world
    for results in world.saved[-1:]:
        assert from_json(to_json(results)).comparisons == results.comparisons
    assert world.events != []
    assert world.faults == [], "these never struck"
    assert world.running == []


def run(world: World, plan: Plan) -> Results:
    results = run_experiment(plan, NOTHING_YET, world.actions)
    assert results.warnings == NOTHING_YET.warnings
    return results


def reasons(results: Results) -> dict[str, str]:
    """Return why measurements are invalid, by round, method, target and workload."""
    found = {}
    for m in results.measurements:
        if m.invalid:
            found[f"{m.round} {m.method.value} {m.target} {m.load.workload}"] = texts_of(m.invalid)
    return found


def unmeasurable(world: World, plan: Plan) -> list[Reason]:
    """Return why the plan cannot be carried out: nothing is measured or saved."""
    with pytest.raises(UnmeasurableError) as raised:
        run_experiment(plan, NOTHING_YET, world.actions)
    assert world.saved == []
    return list(raised.value.reasons)


def rounds_and_targets(results: Results) -> list[tuple[int, str]]:
    return [(m.round, m.target) for m in results.measurements]


# --- a run without faults -----------------------------------------------------------------


def test_each_target_is_measured_in_each_round_and_saved_after_each_launch(world: World) -> None:
    results = run(world, plan_of())
    assert rounds_and_targets(results) == world.made
    assert sorted(world.made) == [(n, name) for n in (1, 2, 3) for name in ("base", "more")]
    assert [len(saved.measurements) for saved in world.saved] == [1, 2, 3, 4, 5, 6]
    assert world.saved[-1] == results
    for saved in world.saved:
        assert from_json(to_json(saved)).comparisons == saved.comparisons
    assert {(c.target, c.reference, c.rounds) for c in results.comparisons} == {("more", "base", 3)}


NOISY = (100.0, 102.0, 98.0)  # its rates in turn


@pytest.mark.parametrize(
    ("most_s", "rates", "words"),
    [
        pytest.param(3600, NOISY, r"3 rounds gave ±5.1%; ±2% needs 19: 16 more, about ", id="more"),
        pytest.param(0, NOISY, r"±2% needs 19, and --max-time allows 3$", id="no time"),
        pytest.param(
            3600, (100.0, 100.5, 99.9), r"3 rounds gave ±0.8%; that is precise enough$", id="enough"
        ),
    ],
)
def test_a_precision_is_reached_by_more_rounds(
    most_s: float, rates: Sequence[float], words: str, world: World
) -> None:
    world.rates = {"more": itertools.cycle(rates)}
    plan = plan_of(precision=0.02, most_s=most_s)
    start = replace(NOTHING_YET, settings=settings_of(plan))
    results = run_experiment(plan, start, world.actions)
    world.saved.clear()  # rates that are not those of the requests are no results file
    assert results.early_end is None
    ((longer, stage),) = world.extensions
    assert stage
    assert re.search(words, stage_text(longer, stage))
    rounds = longer.rounds
    assert sorted(world.made) == [
        (number, name) for number in range(1, rounds + 1) for name in ("base", "more")
    ]
    assert results.settings
    assert (results.settings.rounds, results.settings.first_rounds) == (rounds, 3)
    (comparison,) = (c for c in results.comparisons if c.metric is Metric.REQUESTS)
    assert (comparison.rounds, comparison.degrees) == (rounds, 2)
    widest = widest_interval(results)
    assert widest
    assert (widest <= 0.02) == (most_s > 0)
    assert bool(list(imprecise(results))) == (most_s == 0)


def test_a_launch_is_over_before_the_next_one_begins(world: World) -> None:
    run(world, plan_of(rounds=1))
    calls = [f"{event.action} {event.subject}".strip() for event in world.events]
    begin = ["announce {0}: starting", "start {1}", "tick", "await {1}", "ask {1} hello"]
    trial = ["warm_up {1} hello", "announce {0}: 100 connections", "load {1} hello"]
    whole = [*begin, *trial, "ask {1} hello", "exit {1}", "save"]
    expected = [call.format("More", "more") for call in [*begin, "exit {1}"]]
    for name in ("base", "more"):
        expected += [call.format(name.title(), name) for call in whole]
    assert [call for call, _ in itertools.groupby(calls)] == expected


def test_both_targets_of_a_paired_start_before_either_is_awaited(world: World) -> None:
    run(world, plan_of(paired=True))
    starting = [event.action for event in world.events if event.action in ("start", "await")]
    assert starting == ["start", "start", "await", "await"] * 3


def test_a_paired_measures_each_target_alone_and_both_together(world: World) -> None:
    results = run(world, plan_of(**PAIRED_AND_SINGLE))
    made = sorted((m.round, m.method, m.target, m.partner) for m in results.measurements)
    expected: list[tuple[int, str, str, str | None]] = []
    for number in (1, 2, 3):
        expected += [(number, "paired", "base", "more"), (number, "paired", "more", "base")]
        expected += [(number, "single", "base", None), (number, "single", "more", None)]
    assert made == expected


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        # 3 rounds: two launches of 1.5 s, two trials of 1 s; before that one launch to check
        ({}, 1.5 + 3 * (2 * 1.5 + 2 * 1)),
        ({"paired": True}, 3 * (2 * 1.5 + 1) + 2),
        ({"loads": (HELLO, JSON)}, 1.5 + 3 * (2 * 1.5 + 4 * 1)),
        ({"targets": (BASE, MORE, LAST), "paired": True}, 3.0 + 3 * (4 * 1.5 + 2) + 3),
    ],
)
def test_the_seconds_noted_add_up_to_those_planned(
    world: World, changes: dict[str, Any], seconds: float
) -> None:
    plan = plan_of(**changes)
    run(world, plan)
    assert sum(world.announced_s) == planned_s(plan) == seconds


def test_of_several_workloads_the_notes_say_which_one_runs(world: World) -> None:
    run(world, plan_of(BASE, loads=(HELLO, JSON), rounds=1))
    assert world.subjects("announce") == [
        "Base: starting",
        "Base: 100 connections",
        "Base: 100 connections, json",
    ]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_facts_are_in_the_order_of_the_plan(world: World, seed: int, paired: bool) -> None:
    plan = plan_of(LAST, BASE, MORE, loads=(JSON, HELLO), seed=seed, paired=paired)
    results = run(world, plan)
    assert [facts.name for facts in results.targets] == ["last", "base", "more"]
    for facts in results.targets:
        assert list(facts.responses) == ["hello", "json"]
        assert facts.server_command == "serve"


# --- interruptions ----------------------------------------------------------------------


def interrupted(number: int) -> BenchWarning:
    return BenchWarning.of(Kind.INTERRUPTED, round=number, rounds=3)


@pytest.mark.parametrize(
    ("number", "after", "paired"),
    [
        pytest.param(2, 0, False, id="single"),
        pytest.param(2, 0, True, id="paired"),
        pytest.param(3, 5, False, id="in the last trial of a round"),
    ],
)
@pytest.mark.parametrize("action", ACTIONS)
def test_an_interruption_keeps_whole_rounds_and_says_so(
    world: World, action: str, number: int, after: int, paired: bool
) -> None:
    world.faults = [Fault(KeyboardInterrupt(), action, round=number, after=after)]
    results = run_experiment(plan_of(paired=paired), NOTHING_YET, world.actions)
    assert results.warnings == (*A_WARNING, interrupted(number))
    assert rounds_and_targets(results) == [made for made in world.made if made[0] < number]
    assert len(results.measurements) == (number - 1) * (4 if paired else 2)
    assert {comparison.rounds for comparison in results.comparisons} == {number - 1}
    assert [facts.name for facts in results.targets] == ["base", "more"]


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "ask"])
def test_an_interruption_in_the_first_round_keeps_what_there_is(
    world: World, action: str, after: int, paired: bool
) -> None:
    world.faults = [Fault(KeyboardInterrupt(), action, round=1, after=after)]
    plan = plan_of(BASE, MORE, LAST, paired=paired)
    results = run_experiment(plan, NOTHING_YET, world.actions)
    assert results.warnings == (*A_WARNING, interrupted(1))
    assert rounds_and_targets(results) == world.made
    assert len(world.made) >= after


@pytest.mark.parametrize("error", TRIAL_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("action", ["announce", "exit"])
def test_a_failure_between_trials_keeps_whole_rounds_and_says_so(
    world: World, action: str, error: Exception
) -> None:
    world.faults = [Fault(error, action, round=3)]
    results = run_experiment(plan_of(), NOTHING_YET, world.actions)
    ended = BenchWarning.of(Kind.ENDED, round=3, rounds=3, error=str(error))
    assert results.early_end == ended
    assert rounds_and_targets(results) == world.made[:4]


def test_an_interruption_before_a_trial_is_checked_drops_that_trial(world: World) -> None:
    world.faults = [Fault(KeyboardInterrupt(), "ask", round=1, after=2)]
    results = run_experiment(plan_of(), NOTHING_YET, world.actions)
    assert rounds_and_targets(results) == world.made[:1]
    assert len(world.made) == 2


# --- targets that fail --------------------------------------------------------------------


OF_PAIR = ["paired more hello", "paired base hello"]


@pytest.mark.parametrize("error", TRIAL_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    ("action", "subject", "changes", "trials"),
    [
        ("start", "more", TWO_WORKLOADS, ["single more hello", "single more json"]),
        ("await", "more", TWO_WORKLOADS, ["single more hello", "single more json"]),
        ("start", "more", PAIRED_AND_SINGLE, ["single more hello", *OF_PAIR]),
        ("await", "more", PAIRED_AND_SINGLE, ["single more hello", *OF_PAIR]),
        ("ask", "more json", TWO_WORKLOADS, ["single more json"]),
        ("warm_up", "more json", TWO_WORKLOADS, ["single more json"]),
        ("load", "more json", TWO_WORKLOADS, ["single more json"]),
        ("load", "base+more hello", PAIRED_AND_SINGLE, OF_PAIR),
    ],
)
def test_what_fails_invalidates_its_own_trials_alone(
    world: World,
    action: str,
    subject: str,
    changes: dict[str, Any],
    trials: list[str],
    error: Exception,
) -> None:
    world.faults = [Fault(error, action, subject=subject, round=2)]
    results = run(world, plan_of(**changes))
    told = {f"2 {trial}": str(error) for trial in trials}
    if subject == "more" and trials[1:] == OF_PAIR:  # it has no trial, and so no partner's either
        told["2 paired base hello"] = "its partner failed: more"
    assert reasons(results) == told
    assert len(results.measurements) == 12
    invalid = [m for m in results.measurements if not m.valid]
    assert {(m.wrk, m.use, m.limited_by) for m in invalid} == {(None, None, None)}


@pytest.mark.parametrize("number", [2, 3])
def test_facts_of_a_target_are_those_of_a_launch_that_served(world: World, number: int) -> None:
    world.faults = [Fault(BenchError("no such file"), "start", subject="more", round=number)]
    more = run(world, plan_of()).targets[1]
    assert more.responses == {"hello": OK}
    assert more.server_command == "serve"


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("action", ["start", "await", "ask"])
@pytest.mark.parametrize("subject", ["base", "more", "last"])
def test_what_cannot_be_measured_at_all_ends_the_run_before_anything_is(
    world: World, subject: str, action: str, *, paired: bool
) -> None:
    asked = f"{subject} hello" if action == "ask" else subject
    world.faults = [Fault(BenchError("no such file"), action, subject=asked, round=1)]
    (reason,) = unmeasurable(world, plan_of(BASE, MORE, LAST, paired=paired))
    assert reason.warnings == failed(f"{subject}: no such file")
    assert world.made == []


def test_each_target_that_cannot_be_measured_is_named_once(world: World) -> None:
    world.responses = {"base hello": REFUSED, "last hello": REFUSED, "more hello": OK}
    found = unmeasurable(world, plan_of(BASE, MORE, LAST, paired=True))
    texts = [texts_of(reason.warnings) for reason in found]
    assert sorted(text.split()[0] for text in texts) == ["base:", "last:"]


CHANGED = replace(OK, body_bytes=18, excerpt="error: no database")


AT_A_RATE: dict[str, Any] = {"loads": (replace(HELLO, rate_per_s=100.0),)}


@pytest.mark.parametrize("changes", [{}, {"paired": True}, {"strict": True}, AT_A_RATE], ids=str)
@pytest.mark.parametrize("subject", ["base", "more", "last"])
def test_a_target_that_responds_otherwise_than_in_the_baseline_is_not_measured(
    world: World, subject: str, changes: dict[str, Any]
) -> None:
    """Be it the reference: all others would have changed."""
    whole = plan_of(BASE, MORE, LAST, **changes)
    facts = [facts_of(each, None, {"hello": OK}) for each in whole.targets]
    world.baseline = {each.name: each for each in facts}
    world.responses = {f"{subject} hello": CHANGED}
    (reason,) = unmeasurable(world, whole)
    assert [warning.kind for warning in reason.warnings] == [
        Kind.RESPONSE_CHANGED,
        Kind.ACCEPT_CHANGES,
    ]
    assert reason.warnings[0].words == {
        "target": subject.title(),
        "request": "hello",
        "what": "body bytes",
        "now": "18",
        "before": "13",
    }
    assert reason.log == ("error: no database",)
    assert world.made == [] or changes is AT_A_RATE, "there the preflight makes trials"


def test_bodies_that_vary_from_launch_to_launch_are_recorded_as_such(world: World) -> None:
    """Such as of an app that responds with its process's number: 1 byte longer in round 3."""
    lengths = {1: 13, 2: 13, 3: 14}

    def ask_in_this_round(*_: object) -> tuple[Response, ...]:
        sha256 = f"{world.round:064}"
        return (replace(OK, body_bytes=lengths[world.round], body_sha256=sha256),)

    world.ask = ask_in_this_round  # type: ignore[assignment, method-assign]
    base, more = run(world, plan_of()).targets
    for facts in (base, more):
        response = facts.responses["hello"]
        assert (response.body_bytes, response.body_varies_by) == (13, 1)
    del world.ask
    base, more = run(world, plan_of()).targets
    assert base.responses["hello"].body_varies_by is None


def redirect(location: str) -> dict[str, Any]:
    return {"status": 307, "headers": (("location", location),)}


NO_PAGE = {"status": 404, "excerpt": "none"}
LACKS = {"status": 422, "excerpt": '{"detail": "item: field required"}'}


@pytest.mark.parametrize(
    ("changes", "expected", "told"),
    [
        (redirect("/items/?page=1"), None, "use --path '/items/?page=1', or --expect-status 307"),
        (redirect("http://127.0.0.1:8000/items/"), None, "use --path /items/, or --expect-status"),
        (redirect("https://127.0.0.1:8000/"), None, "use the target https://127.0.0.1:8000/, or "),
        (redirect("//login.example/"), None, "use the target http://login.example/, or --expect"),
        (NO_PAGE, 302, "returned 404, not 302 as expected: none"),
        (
            NO_PAGE,
            None,
            "returned 404 (use --path for one that it has, or --expect-status 404): no",
        ),
        (LACKS, None, 'returned 422: {"detail": "item: field required"}'),
    ],
)
def test_a_response_that_was_not_asked_for_is_told_with_what_to_ask_for_instead(
    world: World, changes: dict[str, Any], expected: int | None, told: str
) -> None:
    right = replace(OK, status=expected or 200)
    world.responses = {"base hello": right, "more hello": replace(OK, **changes)}
    load = replace(HELLO, workload=replace(HELLO.workload, expect_status=expected))
    (reason,) = unmeasurable(world, plan_of(loads=(load,)))
    text = texts_of(reason.warnings)
    assert text.startswith(f"more: GET / returned {changes['status']}")
    assert told in text


def test_a_target_that_answers_one_workload_is_measured_on_that(world: World) -> None:
    world.responses = {"more json": REFUSED}
    results = run(world, plan_of(loads=(HELLO, JSON), rounds=1))
    assert list(reasons(results)) == ["1 single more json"]


def test_a_worker_that_dies_in_a_trial_invalidates_what_was_seen_of_it(world: World) -> None:
    world.lost = {"more json": "worker 7 died"}
    results = run(world, plan_of(loads=(HELLO, JSON), paired=True, rounds=1))
    told = ["1 single more json", "1 paired more json"]
    assert reasons(results) == dict.fromkeys(told, "worker 7 died")
    assert all(m.wrk and m.use for m in results.measurements)


def test_one_reason_is_told_once(world: World) -> None:
    world.faults = [Fault(BenchError("more died"), "load", subject="more hello")]
    world.lost = {"more hello": "more died"}
    assert reasons(run(world, plan_of(rounds=1))) == {"1 single more hello": "more died"}


def json_of_more(reason: str) -> dict[str, str]:
    return {
        "1 single more json": reason,
        "1 paired more json": reason,
        "1 paired base json": "its partner failed: more",
    }


def test_of_two_that_are_warmed_up_together_the_one_that_fails_is_found(world: World) -> None:
    together = Fault(BenchError("one died"), "warm_up", subject="base+more json", round=1)
    alone = Fault(BenchError("more died"), "warm_up", subject="more json", round=1)
    world.faults = [together, alone]
    results = run(world, plan_of(loads=(HELLO, JSON), paired=True, rounds=1))
    assert reasons(results) == json_of_more("more died")
    first_failed = BenchWarning.of(Kind.WARM_UP_FAILED, error="one died")
    odd = {m.target for m in results.measurements if first_failed in m.warnings}
    assert odd == {"base", "more"}


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (500, ": its words; its last error line: ValueError: the database is on fire"),
        (404, " (use --path for one that it has, or --expect-status 404): its words"),
    ],
)
def test_a_workload_that_is_answered_otherwise_than_2xx_is_invalid_alone(
    world: World, status: int, told: str
) -> None:
    reason = f"more: GET /json returned {status}{told}"
    world.responses = {"more json": replace(OK, status=status, excerpt="its words")}
    results = run(world, plan_of(loads=(HELLO, JSON), paired=True, rounds=1))
    assert reasons(results) == json_of_more(reason)
    assert len(results.measurements) == 8
    assert set(world.subjects("warm_up")) == {"base+more hello", "base json"}
    assert {"more json", "base+more json"}.isdisjoint(world.subjects("load"))
    assert results.targets[1].responses["json"].status == status
    assert "excerpt" not in to_json(results)


# --- what a trial yields ------------------------------------------------------------------


def test_statuses_of_one_of_a_paired_leave_the_other_its_figures(world: World) -> None:
    world.seen = {"more": seen_of(errors=Errors(status=3))}
    results = run(world, plan_of(paired=True, rounds=1))
    reason = "3 of 10000 responses had a status above 399"
    assert reasons(results) == dict.fromkeys(["1 single more hello", "1 paired more hello"], reason)


@pytest.mark.parametrize(
    ("server_cpu_s", "load_cpu_s", "limit"),
    [(2.0, 1.6, Limit.SERVER_CPU), (1.6, 2.0, Limit.LOAD_GENERATOR)],
)
def test_what_limited_a_trial_is_recorded(
    world: World, server_cpu_s: float, load_cpu_s: float, limit: Limit
) -> None:
    world.seen = {"more": seen_of(server_cpu_s=server_cpu_s, load_cpu_s=load_cpu_s)}
    base, more = run(world, plan_of(rounds=1)).measurements
    assert (base.limited_by, more.limited_by) == (Limit.NEITHER, limit)
    is_saturated = Kind.SATURATED in [warning.kind for warning in more.invalid]
    assert is_saturated == (limit is Limit.LOAD_GENERATOR)


def test_what_limited_a_paired_goes_by_both_servers_and_their_half_of_the_cores(
    world: World,
) -> None:
    """Both halves are full; that wrk used more of its own does not take from the servers."""
    world.seen = {
        "base": seen_of(server_cpu_s=0.9, load_cpu_s=1.0),
        "more": seen_of(server_cpu_s=1.0, load_cpu_s=1.0),
    }
    results = run(world, plan_of(paired=True, rounds=1))
    limits = {(m.method.value, m.target): m.limited_by for m in results.measurements}
    assert limits == {
        ("single", "base"): Limit.NEITHER,
        ("single", "more"): Limit.NEITHER,
        ("paired", "base"): Limit.SERVER_CPU,
        ("paired", "more"): Limit.SERVER_CPU,
    }


@pytest.mark.parametrize(("workers", "limit"), [(1, Limit.SERVER_CPU), (2, Limit.NEITHER)])
def test_a_server_is_busy_when_its_workers_are_on_however_many_cores(
    world: World, workers: int, limit: Limit
) -> None:
    app = parse_target("faulty:good")
    world.workers = workers
    world.seen = {app.name: seen_of(server_cpu_s=0.9)}
    (measurement,) = run(world, plan_of(app, rounds=1)).measurements
    assert measurement.limited_by is limit


def test_what_is_odd_in_a_trial_is_noted_and_does_not_invalid(world: World) -> None:
    slow = seen_of(requests_per_s=100.0)  # of a mean latency of 10 ms
    throttled = BenchWarning.of(Kind.THROTTLED)
    disturbed = replace(slow, disturbances=(throttled,))
    world.seen = {"base": slow, "more": disturbed}
    results = run(world, plan_of(paired=True, rounds=1))
    idle = BenchWarning.of(Kind.IDLE_CONNECTIONS, busy=1, open=100)
    warnings = {(m.method.value, m.target): m.warnings for m in results.measurements}
    assert warnings == {
        ("single", "base"): (idle,),
        ("single", "more"): (idle, throttled),
        ("paired", "base"): (),  # there wrk is kept waiting
        ("paired", "more"): (throttled,),
    }
    assert reasons(results) == {}


# --- failures of other kinds ------------------------------------------------------------


def test_a_save_that_fails_does_not_end_the_measuring(world: World) -> None:
    world.faults = [Fault(BenchError("no space left"), "save", round=number) for number in (1, 2)]
    results = run(world, plan_of())
    assert len(results.measurements) == 6
    assert reasons(results) == {}
    assert world.subjects("save") == [""] * 6
    assert world.saved[-1] == results


@pytest.mark.parametrize("paired", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_fault_of_our_own_is_no_invalid_trial_and_leaves_no_server(
    world: World, action: str, paired: bool
) -> None:
    world.faults = [Fault(ZeroDivisionError(), action, round=2)]
    with pytest.raises(ZeroDivisionError):
        run_experiment(plan_of(paired=paired), NOTHING_YET, world.actions)


def test_a_launch_that_is_given_up_half_way_ends_its_servers(world: World) -> None:
    (launch, *_) = schedule(plan_of(paired=True))
    outcomes = measure_launch(launch, world.actions)
    facts = next(outcomes)
    assert isinstance(facts, TargetFacts)
    assert sorted(world.running) == ["base", "more"]
    outcomes.close()  # type: ignore[attr-defined]  # it is a generator


def test_a_target_slower_than_the_timeout_does_not_stop_the_others(world: World) -> None:
    world.responses = {"more hello": SLOW}
    plan = plan_of(BASE, MORE, LAST, rounds=2, loads=(LONGER,))
    world.seen = dict.fromkeys(("base", "last"), seen_of(duration_s=5))
    results = run_experiment(plan, NOTHING_YET, world.actions)
    ((plan, (warning,)),) = world.dropped
    assert plan.names == results.names == ["base", "last"]
    assert texts_of([warning]) == ("more: GET / takes 2.5 s: use a longer --timeout")
    assert results.warnings == (*A_WARNING, warning)
    assert not is_whole(results)
    assert all(measurement.valid for measurement in results.measurements)


@pytest.mark.parametrize(
    ("names", "slow"), [(["base", "more"], "more"), (["base", "more", "last"], "base")]
)
def test_where_a_slow_target_leaves_nothing_to_compare_the_run_ends(
    world: World, names: list[str], slow: str
) -> None:
    world.responses = {f"{slow} hello": SLOW}
    targets = [target for target in (BASE, MORE, LAST) if target.name in names]
    (reason,) = unmeasurable(world, plan_of(*targets))
    assert reason.warnings[0].kind is Kind.TOO_SLOW
    assert world.made == []


def test_an_answer_that_is_late_after_the_load_invalidates(world: World) -> None:
    """As of a server that stopped answering shortly before the end, which wrk does not tell."""
    late = replace(HELLO, workload=replace(HELLO.workload, timeout_s=1))
    ask = world.actions.ask

    def slow_ask(server: RunningServer, workload: Workload) -> tuple[Response, ...]:
        (response,) = ask(server, workload)
        is_loaded = "more" in [name for _, name in world.made]
        if is_loaded and server.target.name == "more":
            response = replace(response, took_s=1.1)
        return OK, response

    actions = replace(world.actions, ask=slow_ask)
    plan = plan_of(loads=(late,), rounds=1)
    results = run_experiment(plan, NOTHING_YET, actions)
    ((target, (warning,)),) = ((m.target, m.invalid) for m in results.measurements if m.invalid)
    assert (target, warning.kind) == ("more", Kind.LATE_AFTER_LOAD)
    assert warning.figures == {"took_s": pytest.approx(1.1), "timeout_s": 1}
