"""Whose CPU time it is: the requests', a server's own while idle, or that of what ended."""

import itertools
from collections.abc import Iterable, Sequence
from unittest.mock import Mock

import pytest

from micropie_benchlib.load.cpu_accounts import (
    STEP_S,
    Habits,
    IdleUse,
    RestWatch,
    Spent,
    charge_of,
    idle_use,
    spent_between,
    unexplained_s,
    work_in,
)
from micropie_benchlib.load.servers import CpuMeter
from micropie_benchlib.serve.servers import LocalServer
from micropie_benchlib.system.schedstat import Account, Times

GUARD, MASTER, WORKER, CHILD = (1, 0.0), (2, 0.0), (3, 0.0), (4, 0.0)
MAIN, HELPER = (3, 3), (3, 5)


def account(
    at_s: float,
    processes: dict[tuple[int, float], float],
    *,
    reaped: dict[tuple[int, float], float] | None = None,
) -> Account:
    """Return the account of processes of one thread each."""
    threads = {(pid, pid): Times(cpu_s, 0.0) for (pid, _), cpu_s in processes.items()}
    return Account(at_s=at_s, threads=threads, processes=processes, reaped=reaped or {})


SPENT = {
    "what lives": (
        account(0, {WORKER: 5.0}, reaped={GUARD: 1.0}),
        account(1, {WORKER: 5.5}, reaped={GUARD: 1.0}),
        0.5,
    ),
    "an orphan that began and ended meanwhile: the guard has waited for it": (
        account(0, {WORKER: 5.0}, reaped={GUARD: 1.0}),
        account(1, {WORKER: 5.5}, reaped={GUARD: 1.25}),
        0.75,
    ),
    "children that ended, and children of a child": (
        account(0, {WORKER: 5.0}, reaped={WORKER: 3.0}),
        account(1, {WORKER: 5.5, CHILD: 0.25}, reaped={WORKER: 4.0, CHILD: 0.5}),
        2.25,
    ),
    "what ends leaves its earlier CPU time, too, which does not count": (
        account(0, {MASTER: 1.0, WORKER: 7.0}, reaped={MASTER: 0.0, WORKER: 2.0}),
        account(1, {MASTER: 1.0}, reaped={MASTER: 9.5}),
        0.5,
    ),
    "nobody waited for what ended: its last CPU time is lost, and no other": (
        account(0, {MASTER: 1.0, WORKER: 7.0}, reaped={MASTER: 0.0}),
        account(1, {MASTER: 1.5}, reaped={MASTER: 0.0}),
        0.5,
    ),
}


@pytest.mark.parametrize(("before", "after", "cpu_s"), SPENT.values(), ids=SPENT)
def test_each_second_of_cpu_time_counts_once(before: Account, after: Account, cpu_s: float) -> None:
    assert spent_between(before, after).cpu_s == pytest.approx(cpu_s)


def test_a_thread_that_ended_counts() -> None:
    before = Account(
        at_s=0,
        threads={MAIN: Times(1.0, 0.0), HELPER: Times(1.0, 0.0)},
        processes={WORKER: 2.0},
        reaped={},
    )
    after = Account(at_s=1, threads={MAIN: Times(1.5, 0.2)}, processes={WORKER: 2.75}, reaped={})
    spent = spent_between(before, after)
    assert spent.threads == {MAIN: Times(0.5, 0.2)}
    assert spent.ended_s == pytest.approx(0.25)


def spent(seconds: float, **cpu_s: float) -> Spent:
    """Return what threads used: main, helper; or what ended."""
    numbers = {"main": MAIN, "helper": HELPER}
    threads = {numbers[name]: Times(used, 0.0) for name, used in cpu_s.items() if name in numbers}
    return Spent(seconds=seconds, threads=threads, ended_s=cpu_s.get("ended", 0.0))


UNDER_LOAD = {
    "it rests while idle": ({"main": 0.0}, {"main": 1.8}, 1.8, False),
    "its own work goes on": ({"main": 0.15}, {"main": 1.8}, 1.5, False),
    "never less than nothing": ({"main": 0.15}, {"main": 0.1}, 0.0, False),
    "what never rests": ({"main": 0, "helper": 1}, {"main": 0.7, "helper": 1.9}, 0.7, False),
    "a loop that polls is displaced by work": ({"main": 1.0}, {"main": 1.9}, 1.9, True),
    "short jobs": ({"main": 0.0, "ended": 0.1}, {"main": 1.0, "ended": 0.5}, 1.3, False),
}


@pytest.mark.parametrize(
    ("idle", "load", "charged_s", "polls"), UNDER_LOAD.values(), ids=UNDER_LOAD
)
def test_the_cpu_time_of_requests_is_without_the_idle_use(
    idle: dict[str, float], load: dict[str, float], charged_s: float, polls: bool
) -> None:
    use = idle_use([spent(1, **idle)])
    charge = charge_of(spent(2, **load), use)
    assert charge.upper_s == pytest.approx(charged_s)
    assert charge.polls is polls


def restless_cores(*, ran_s: float, waited_s: float, is_runnable: bool = False) -> float:
    """Return how many cores are used without rest by a thread that does so in each second."""
    runnable = frozenset([MAIN]) if is_runnable else frozenset()
    threads = {MAIN: Times(ran_s, waited_s)}
    step = Spent(seconds=1, threads=threads, ended_s=0, runnable=runnable)
    return idle_use([step] * 10).restless_cores


def test_a_loop_that_gets_little_of_the_cores_never_rests_either() -> None:
    assert restless_cores(ran_s=0.2, waited_s=0.78) == pytest.approx(0.2)
    assert restless_cores(ran_s=0.2, waited_s=0.5) == 0, "a sleeper"
    taken = restless_cores(ran_s=0.6, waited_s=0.1, is_runnable=True)
    assert taken == pytest.approx(0.6), "the hypervisor takes the core"
    assert restless_cores(ran_s=0.1, waited_s=0.1, is_runnable=True) == 0, "woken with us"


def test_work_is_of_the_threads_that_rest_while_idle() -> None:
    idle = idle_use([spent(1, main=0.0, helper=1.0)])
    load = Spent(seconds=2, threads={MAIN: Times(0.4, 1.5), HELPER: Times(2.0, 0.0)}, ended_s=0)
    work = work_in(load, idle)
    assert (work.cpu_s, work.delay_s, work.threads, work.busiest_s) == (0.4, 1.5, 1, 1.9)


def test_requests_under_way_explain_some_work_after_a_load() -> None:
    # 1,000 requests took 2 s, so that 50 more take 0.1 s.
    assert unexplained_s(0.08, load_cpu_s=2, requests=1000, under_way=50) == 0
    assert unexplained_s(1.1, load_cpu_s=2, requests=1000, under_way=50) == pytest.approx(1.0)


def watched(
    cpu_s: Iterable[float],
    *,
    idle: IdleUse | None = None,
    rest_s: float = 0.02,
    waiting: Sequence[int] = (),
) -> tuple[RestWatch, int]:
    """Return a watch that has seen a thread use so much in each 20 ms, and how many it took."""
    idle = idle or IdleUse()
    total_s = 0.0
    watch = RestWatch(account(0, {WORKER: 0.0}), idle.excess_s, rest_s=rest_s, load_cpu_s=1.0)
    for number, used_s in enumerate(cpu_s, start=1):
        total_s += used_s
        now = account(1.005 * STEP_S * number, {WORKER: total_s})
        watch.take(now, is_waiting=number in waiting)
        if watch.is_over:
            break
    return watch, len(watch.steps)


def test_a_server_is_at_rest_once_it_uses_a_trace() -> None:
    watch, steps = watched([0.02, 0.02, 0.0005, 0.0])
    assert (watch.is_at_rest, steps, watch.gap_s) == (True, 3, 0)


def test_what_a_thread_that_waits_for_a_core_is_to_do_is_waited_for() -> None:
    watch, steps = watched([0.02, 0.0, 0.0, 0.02, 0.0], waiting=[2, 3])
    assert steps == 5
    assert watch.account.processes[WORKER] == pytest.approx(0.04)


def test_own_work_is_no_reason_to_wait() -> None:
    ticks = [0.003, 0.0, 0.0, 0.0, 0.0]
    idle = idle_use([spent(0.02, main=used_s) for used_s in ticks])
    idle = IdleUse(threads={(3, 3): idle.threads[MAIN]})
    watch, steps = watched(itertools.cycle(ticks), idle=idle, rest_s=0.5)
    assert (watch.is_at_rest, steps) == (True, 25)


def test_work_that_was_put_off_is_waited_for_and_its_delay_remembered() -> None:
    deferred = [0.0] * 15 + [0.02] * 40 + [0.0] * 30
    watch, _ = watched(deferred, rest_s=0.5)
    assert watch.is_at_rest
    assert watch.gap_s == pytest.approx(0.3, rel=0.01)
    assert watch.account.processes[WORKER] == pytest.approx(0.8)
    assert Habits(gap_s=watch.gap_s).rest_s > 0.3


def test_a_delay_is_told_in_spite_of_neighbours() -> None:
    watch, _ = watched([0.0] * 15 + [0.02] * 40 + [0.0] * 30, rest_s=0.5, waiting=[6, 7, 12])
    assert watch.gap_s == pytest.approx(0.3, rel=0.01)
    starved, _ = watched([0.0] * 15 + [0.02] + [0.0] * 1000, rest_s=0.5, waiting=range(1, 16))
    assert starved.gap_s == 0


def test_what_was_put_off_and_takes_longer_than_the_watch_is_no_idle_use() -> None:
    watch, _ = watched([0.0] * 15 + [0.02] * 1000, rest_s=0.5)
    assert not watch.is_at_rest
    assert watch.gap_s == pytest.approx(0.3, rel=0.01)
    assert idle_use(watch.idle_steps).cores == 0


def test_work_again_and_again_is_a_servers_own_and_not_put_off() -> None:
    watch, _ = watched(itertools.cycle([0.01, *[0.0] * 9]), rest_s=0.5)
    assert not watch.is_at_rest
    assert watch.gap_s == 0
    assert idle_use(watch.idle_steps).cores == pytest.approx(0.05, rel=0.2)


def test_little_work_after_a_load_is_not_waited_for() -> None:
    watch, _ = watched([0.0] * 10 + [0.004] + [0.0] * 30, rest_s=0.5)
    assert (watch.is_at_rest, watch.gap_s) == (True, 0)


def test_a_rest_amid_work_of_its_own_is_no_delay() -> None:
    ticks = [*[0.003] * 40, *[0.0] * 5, *[0.003] * 1000]  # it had no core for a while
    watch, _ = watched(ticks, rest_s=0.5)
    assert watch.gap_s == 0
    assert idle_use(watch.idle_steps).cores == pytest.approx(0.15, rel=0.02)


def test_what_remained_of_a_load_is_not_taken_for_idle_use() -> None:
    habits = Habits()
    usual = habits.take_idle(idle_use([spent(1, main=0.001)]))
    assert usual.cores == pytest.approx(0.001)
    later = habits.take_idle(idle_use([spent(0.25, main=0.002)]))
    assert later.cores == pytest.approx(0.00125)
    restless = habits.take_idle(idle_use([spent(1, main=0.2)]))
    assert restless.cores == pytest.approx(0.2), "more than a trace is what it is"


def test_a_disturbed_launch_does_not_make_later_ones_look_idle() -> None:
    """Seen in a default run: 0.005 cores in most launches, 0.35 in one whose warm-up lingered."""
    habits = Habits()
    habits.take_idle(idle_use([spent(1, main=0.005)]))
    steps = [spent(STEP_S, main=0.35 * STEP_S)] * 13
    assert habits.take_idle(idle_use(steps)).cores == pytest.approx(0.00625)
    assert habits.excess_s(steps[0]) > 0, "that is no rest"


def test_one_launch_with_little_idle_use_does_not_limit_all_later_ones() -> None:
    """Beside neighbours: 0.0038 cores in one launch of 0.0065 as a rule, then 0.0047 in all."""
    habits = Habits()
    for cores in (0.0065, 0.0066, 0.0038):
        habits.take_idle(idle_use([spent(0.5, main=0.5 * cores)]))
    usual = habits.take_idle(idle_use([spent(0.5, main=0.5 * 0.0066)]))
    assert usual.cores == pytest.approx(0.0066)


def test_a_long_step_is_no_room_for_what_lingers_of_a_load() -> None:
    """Beside neighbours: 10 ms of closing connections in a step of 100 ms were taken for idle."""
    habits = Habits()
    habits.take_idle(idle_use([spent(STEP_S, main=0.002), *[spent(STEP_S, main=0.0001)] * 99]))
    assert habits.excess_s(spent(0.1, main=0.002)) == 0
    assert habits.excess_s(spent(0.1, main=0.01)) > 0.005


def test_a_warm_up_of_few_requests_does_not_tell_that_nothing_is_put_off() -> None:
    meter = CpuMeter(Mock(spec=LocalServer))
    after_few, _ = watched([0.0] * 15 + [0.01] + [0.0] * 30, rest_s=0.5)
    meter.learn(after_few, is_after_load=True)
    assert meter.habits.gap_s is None, "the first trial is watched for long, too"
    after_many, _ = watched([0.0] * 15 + [0.02] * 40 + [0.0] * 30, rest_s=0.5)
    meter.learn(after_many, is_after_load=True)
    assert meter.habits.gap_s == pytest.approx(0.3, rel=0.01)
