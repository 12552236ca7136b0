"""CPU per request of servers that limp (targets/limping.py), next to their own clocks."""

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from conftest import TARGETS, InProcess

from micropie_benchlib.core.warnings import Kind

LOAD = ("-c", "20", "-w", "1", "-t", "1", "-r", "2", "-d", "1s", "--export-json", "-")
OWN = {Kind.POLLS, Kind.RESTLESS_PART, Kind.IDLE_USE, Kind.PUT_OFF, Kind.STILL_WORKING}
OWN |= {Kind.UNSEEN_WORK, Kind.BACKLOG, Kind.BUSY_PARTNER}


def limping(name: str, mode: str) -> str:
    return f"{name}=cmd:{sys.executable} {TARGETS / 'limping.py'} {{port}} {mode}"


def nightly(mode: str) -> Any:
    return pytest.param(mode, marks=pytest.mark.nightly)


@dataclass(frozen=True)
class Told:
    """What was told of a limping server beside one that does not: CPU per request in seconds.

    `own_s` is the least and the most of that by its own clock, one for each launch.
    """

    data: dict[str, Any]
    own_s: tuple[float, float]

    def trials(self, target: str, method: str) -> list[dict[str, Any]]:
        found = self.data["measurements"]
        return [m for m in found if (m["target"], m["method"]) == (target, method)]

    @property
    def paired_s(self) -> list[float]:
        costs_s = []
        for trial in self.trials("b", "paired"):
            assert trial["valid"], trial["invalid"]
            costs_s.append(trial["use"]["server_cpu_s"] / trial["wrk"]["requests"])
        return costs_s

    def kinds(self, target: str, method: str) -> list[set[str]]:
        kinds = []
        for trial in self.trials(target, method):
            found = {warning["kind"] for warning in [*trial["warnings"], *trial["invalid"]]}
            kinds.append(found & OWN)
        return kinds

    def is_near(self, told_s: float) -> bool:
        """Return whether a figure is that of the server's own clock.

        That is without waiting for events and other calls of the kernel, and caches are
        colder where two servers share a core.
        """
        least_s, most_s = self.own_s
        return 0.8 * least_s < told_s < 1.6 * most_s + 5e-6


@pytest.fixture
def told(request: pytest.FixtureRequest, patient: InProcess, tmp_path: Path) -> Told:
    log = tmp_path / "limping.log"
    patch = pytest.MonkeyPatch()
    patch.setenv("LIMPING_LOG", str(log))
    with patch.context():
        done = patient.run("compare", limping("a", "cost 1000"), limping("b", request.param), *LOAD)
    patch.undo()
    own_s = []
    for line in log.read_text().splitlines():
        own = json.loads(line)
        if own["mode"] == request.param.split()[0] and own["requests"]:
            own_s.append(own["on_requests_s"] / own["requests"])
    return Told(data=json.loads(done.stdout), own_s=(min(own_s), max(own_s)))


@pytest.mark.parametrize(
    "told", [pytest.param("plain", marks=pytest.mark.nightly), "cost 3000"], indirect=True
)
def test_a_server_that_rests_while_idle_has_its_own_clocks_figure(told: Told) -> None:
    assert all(map(told.is_near, told.paired_s)), (told.paired_s, told.own_s)
    assert [*told.kinds("b", "paired"), *told.kinds("a", "single")] == [set()] * 3


@pytest.mark.parametrize("told", ["bgproc"], indirect=True)
def test_a_child_that_burns_a_core_is_nobodys_cost(told: Told) -> None:
    assert all(map(told.is_near, told.paired_s)), (told.paired_s, told.own_s)
    assert told.kinds("b", "paired") == [{Kind.RESTLESS_PART}] * 2
    assert told.kinds("a", "single") == [{Kind.BUSY_PARTNER}]
    assert not any(trial["valid"] for trial in told.trials("a", "single"))
    (verdict,) = (
        c
        for c in told.data["comparisons"]
        if c["metric"] == "server_cpu_per_request_s" and c["method"] == "paired"
    )
    assert verdict["rounds"] == 2, "the paired trials count"


@pytest.mark.parametrize("told", ["spin 1000"], indirect=True)
def test_a_server_that_polls_where_it_serves_has_an_upper_bound(told: Told) -> None:
    for told_s, kinds in zip(told.paired_s, told.kinds("b", "paired"), strict=True):
        assert told_s > 0.8 * told.own_s[0]
        assert kinds == {Kind.POLLS}
    # All of its drain of seconds was told before: ten times as much and more.
    assert min(told.paired_s) < 6 * told.own_s[1], (told.paired_s, told.own_s)


@pytest.mark.nightly
@pytest.mark.parametrize("told", ["ticks 3"], indirect=True)
def test_work_of_its_own_is_left_out_and_told(told: Told) -> None:
    for told_s, kinds in zip(told.paired_s, told.kinds("b", "paired"), strict=True):
        assert Kind.IDLE_USE in kinds
        assert told.is_near(told_s), (told_s, told.own_s)


@pytest.mark.parametrize(
    "told", ["deferred 0.3", pytest.param("deferred 1", marks=pytest.mark.nightly)], indirect=True
)
def test_work_that_was_put_off_is_charged(told: Told) -> None:
    for told_s, kinds in zip(told.paired_s, told.kinds("b", "paired"), strict=True):
        assert Kind.PUT_OFF in kinds
        assert told.is_near(told_s) or Kind.STILL_WORKING in kinds, (told_s, told.own_s)


@pytest.mark.parametrize("told", ["forks 20000"], indirect=True)
def test_orphans_that_end_within_a_trial_count(told: Told) -> None:
    begun_s = time.thread_time()
    for _ in range(20_000):
        pass
    turns_s = time.thread_time() - begun_s
    for told_s in told.paired_s:
        assert told_s > told.own_s[0] + turns_s / 2, "a server alone is a fraction of that"
