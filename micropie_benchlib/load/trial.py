"""One trial: opens the gates, waits, stops both sides and reads what was seen, on any machines."""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import ServerUse, WrkResult
from micropie_benchlib.load.cpu_accounts import unexplained_s
from micropie_benchlib.load.generators import OVERRUN_S, overrun
from micropie_benchlib.load.merging import merge_runs, total_opened
from micropie_benchlib.load.readings import Ending, Observation, TrialCores
from micropie_benchlib.load.sides import LoadSide, Sides
from micropie_benchlib.system.children import TICK_S, Tick
from micropie_benchlib.wrk.command import READY_S
from micropie_benchlib.wrk.warnings import with_unexpected_statuses

ENDING_S = 0.5  # for a server that no longer listens to end
LOOK_S = 0.05  # before a wrk's time is up, while it still runs
ENDLESS_S = 60  # beyond its time, for a wrk that is to be stopped
Given = TypeVar("Given")


def at_once(actions: Sequence[Callable[[], Given]]) -> list[Given]:
    if len(actions) == 1:
        return [actions[0]()]
    import concurrent.futures

    with concurrent.futures.ThreadPoolExecutor(len(actions)) as threads:
        return list(threads.map(lambda action: action(), actions))


class LoadRun:
    """A load on servers, from its beginning to the reading of what was seen."""

    def __init__(self, sides: Sides, load: Load, *, tick: Tick) -> None:
        self._servers, self._loads = sides.servers, sides.loads
        self._are_one_machine = sides.are_one_machine
        self._load, self._tick = load, tick

    def begin(self) -> None:
        self._servers.begin()
        self._start = time.monotonic()
        self._on_each_machine(lambda load: load.open_gates())

    def _on_each_machine(self, action: Callable[[LoadSide], Given]) -> list[Given]:
        return at_once([functools.partial(action, load) for load in self._loads])

    def wait(self, seconds: float) -> bool:
        """Return whether all wrks have ended. Raises BenchError if a server dies meanwhile."""
        while True:
            left_s = self._start + seconds - time.monotonic()
            if left_s <= 0:
                return False
            step_s = min(TICK_S, left_s)
            waits = [functools.partial(load.wait, step_s) for load in self._loads]
            have_ended = all(at_once(waits))
            self._servers.require_alive()
            self._tick()
            if have_ended:
                return True

    def look(self) -> None:
        self._servers.look()
        self._on_each_machine(lambda load: load.look())

    def stop_at_one_moment(self) -> None:
        """Servers are suspended, too, while the wrks read the last responses and end."""
        self._on_each_machine(lambda load: load.suspend())
        self.look()
        self._servers.settle()
        self.interrupt()

    def interrupt(self) -> None:
        self._on_each_machine(lambda load: load.interrupt())

    def observations(self) -> list[Observation]:
        self._servers.require_alive()
        try:
            readings = self._on_each_machine(lambda load: load.reading())
        except BenchError:
            time.sleep(ENDING_S)  # a server that wrk could not reach may be about to end
            self._servers.require_alive()
            raise
        load_cpu_s = 0.0
        if self._are_one_machine:
            load_cpu_s = sum(reading.cpu_s for reading in readings)
        served = self._servers.reading(load_cpu_s=load_cpu_s)
        disturbances = list(served.disturbances)
        full_link = served.full_link
        for reading in readings:
            full_link = full_link or reading.full_link
            if not self._are_one_machine:
                disturbances += reading.disturbances
        expected = self._load.workload.expect_status
        cores = TrialCores(
            servers=served.cores,
            loads=tuple(reading.cores for reading in readings),
            are_shared=self._are_one_machine and len(served.uses) == 1,
        )
        observations = []
        for position, (use, ending) in enumerate(zip(served.uses, served.endings, strict=True)):
            runs: list[WrkResult] = []
            reports: list[str] = []
            silences: list[float] = []
            for reading in readings:
                runs.append(reading.runs[position])
                reports.append(reading.reports[position])
                silences.extend(reading.silences_s[position])
            merged = merge_runs(runs)
            ending = dataclasses.replace(ending, silences_s=tuple(silences))
            if use:
                use, ending = self._with_late_work(use, ending, merged)
            observations.append(
                Observation(
                    wrk=with_unexpected_statuses(merged, expected),
                    report="\n".join(reports),
                    use=use,
                    disturbances=tuple(disturbances),
                    ending=ending,
                    clock_step_s=max((r.clock_step_s for r in readings), key=abs),
                    connections_opened=total_opened(readings),
                    load_cpus_s=tuple(run.load_cpu_s or 0 for run in runs),
                    load_delays_s=tuple(reading.delay_s for reading in readings),
                    cores=cores,
                    busy_partner=served.busy_partner,
                    full_link=full_link,
                )
            )
        return observations

    def _with_late_work(
        self, use: ServerUse, ending: Ending, wrk: WrkResult
    ) -> tuple[ServerUse, Ending]:
        """Requests that were under way at the load's end do not count, and explain some."""
        put_off_s = unexplained_s(
            ending.late_cpu_s,
            load_cpu_s=use.server_cpu_s,
            requests=wrk.requests,
            under_way=self._load.open_connections,
        )
        use = dataclasses.replace(use, server_cpu_s=use.server_cpu_s + put_off_s)
        return use, dataclasses.replace(ending, put_off_s=put_off_s)


@contextlib.contextmanager
def load_run(sides: Sides, load: Load, *, tick: Tick) -> Iterator[LoadRun]:
    with contextlib.ExitStack() as stack:
        for side in sides.loads:  # their wrks wait at their gates
            stack.enter_context(side)
        stack.enter_context(sides.servers)
        yield LoadRun(sides, load, tick=tick)


def endless(load: Load, seconds: float) -> Load:
    """Return the load for a wrk that will be interrupted; at a rate, it as it is."""
    if load.rate_per_s:
        return load
    return dataclasses.replace(load, duration_s=math.ceil(seconds) + ENDLESS_S)


def load_of_wrk(load: Load, *, is_paired: bool) -> Load:
    return endless(load, load.duration_s) if is_paired else load


def apply_load(sides: Sides, load: Load, *, is_paired: bool, tick: Tick) -> list[Observation]:
    """Return what was seen of each server, under one wrk each, all at the same moment.

    wrk's threads look only ten times a second whether to stop, so that one of two would run on
    alone; 9% of a trial alone shifts CPU per request by some 4%. Hence both are stopped at one
    moment, and requests and CPU time are of the same work. At a rate both do the same requests
    by themselves.
    """
    with load_run(sides, load, tick=tick) as run:
        sides.servers.await_idle()
        run.begin()
        if is_paired and not load.rate_per_s:
            run.wait(load.duration_s)
            run.stop_at_one_moment()
        else:
            run.wait(load.duration_s - LOOK_S)
            run.look()
            answering_s = READY_S + load.workload.timeout_s if load.rate_per_s else 0
            if not run.wait(load.duration_s + answering_s + OVERRUN_S):
                raise overrun()
        sides.servers.await_rest()
        return run.observations()


def apply_warm_up(sides: Sides, load: Load, *, seconds: float, tick: Tick) -> None:
    with load_run(sides, load, tick=tick) as run:
        run.begin()
        run.wait(seconds)
        run.interrupt()
        sides.servers.await_idle()
