"""The search for the version that changed the speed, by comparisons with the oldest one."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

from micropie_benchlib.core.bisection import Bisection, Side, Step, Visit
from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.estimates import Comparison, Estimate
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.bisection import (
    next_version,
    side_of,
    side_of_neighbour,
    side_of_newest,
    threshold_of,
)
from micropie_benchlib.stats.comparisons import with_derived

END_FACTOR = 2  # rounds of what is told at the end, as a ratio to those of others
MAX_FACTOR = 8  # rounds after which a comparison stays inconclusive
MAX_INCONCLUSIVE = 3  # versions: there is no one step

AddRounds = Callable[[int], Comparison]  # returns what all rounds so far say
Compare = Callable[[int, int], AddRounds]  # of an older and a newer version, by number

STEPS = {
    Side.AFTER: Step.FOUND,
    Side.BEFORE: Step.UNCONFIRMED,
    Side.INCONCLUSIVE: Step.INCONCLUSIVE,
}  # by the side of a version, compared directly with the one before it


class StepSearch:
    """Searches versions, the oldest first, for the one that needs more than those before it.

    Or less, unless `slower_than` says how much slower it must be. A comparison has so many
    `rounds`; they are doubled while its interval does not decide. `tell` is called with each
    visit. What was `found` so far can be read at any time.
    """

    def __init__(
        self,
        versions: Sequence[str],
        compare: Compare,
        *,
        rounds: int,
        slower_than: float | None = None,
        tell: Callable[[Visit], None],
    ) -> None:
        self._compare, self._rounds, self._tell = compare, rounds, tell
        self._before, self._after = 0, len(versions) - 1
        self.found = Bisection(
            versions=tuple(versions),
            metric=Metric.CPU,
            visits=(),
            step=Step.UNFINISHED,
            older=versions[0],
            newer=versions[-1],
            slower_than=slower_than,
        )

    def run(self) -> None:
        """Raises BenchError if the ends, or the versions around the step, have no comparison."""
        newest = self._after
        slower_than = self.found.slower_than
        decide = functools.partial(side_of_newest, slower_than=slower_than)
        comparison, cost, side = self._decide(0, newest, decide, END_FACTOR * self._rounds)
        self.found = dataclasses.replace(self.found, metric=comparison.metric)
        self._visit(newest, side, comparison)
        if side is not Side.AFTER:
            step = Step.NONE if side is Side.BEFORE else Step.INCONCLUSIVE
            self.found = dataclasses.replace(self.found, step=step, change=cost)
            return
        threshold = threshold_of(cost, slower_than)
        self._narrow(threshold)
        if (self._before, self._after) != (0, newest):
            decide = functools.partial(side_of_neighbour, threshold=threshold)
            rounds = END_FACTOR * self._rounds
            _, cost, side = self._decide(self._before, self._after, decide, rounds)
        self.found = dataclasses.replace(self.found, step=STEPS[side], change=cost)

    def _narrow(self, threshold: float) -> None:
        """Halve the versions between, until none is left that decides."""
        decide = functools.partial(side_of, threshold=threshold)
        skipped: list[int] = []
        inconclusive = 0
        while inconclusive < MAX_INCONCLUSIVE:
            number = next_version(self._before, self._after, skipped)
            if number is None:
                return
            try:
                comparison, _, side = self._decide(0, number, decide, self._rounds)
            except BenchError as error:
                skipped.append(number)
                self._visit(number, Side.SKIPPED, reason=str(error))
                continue
            self._visit(number, side, comparison)
            if side is Side.INCONCLUSIVE:
                skipped.append(number)
                inconclusive += 1
            elif side is Side.AFTER:
                self._after = number
                self.found = dataclasses.replace(self.found, newer=self.found.versions[number])
            else:
                self._before = number
                self.found = dataclasses.replace(self.found, older=self.found.versions[number])

    def _decide(
        self, older: int, newer: int, decide: Callable[[Estimate], Side], rounds: int
    ) -> tuple[Comparison, Estimate, Side]:
        """Return the comparison, the newer version's cost, and what that decides.

        Raises BenchError if there is no interval.
        """
        add_rounds = self._compare(older, newer)
        made = 0
        while True:
            comparison = add_rounds(rounds - made)
            if comparison.cost is None:
                raise BenchError(comparison.reason or "")
            side = decide(comparison.cost)
            if side is not Side.INCONCLUSIVE or 2 * rounds > MAX_FACTOR * self._rounds:
                return comparison, comparison.cost, side
            made = rounds
            rounds *= 2

    def _visit(
        self, number: int, side: Side, comparison: Comparison | None = None, *, reason: str = ""
    ) -> None:
        visit = Visit(
            version=self.found.versions[number],
            side=side,
            cost=comparison.cost if comparison else None,
            rounds=comparison.rounds if comparison else 0,
            reason=reason,
        )
        visits = (*self.found.visits, visit)
        self.found = dataclasses.replace(self.found, visits=visits)
        self._tell(visit)


def with_more_rounds(results: Results, more: Results) -> Results:
    """Return the results of a plan with those of the same plan again, as later rounds."""
    if not results.settings or not more.settings:
        return more
    rounds = results.settings.rounds
    later = [dataclasses.replace(each, round=rounds + each.round) for each in more.measurements]
    settings = dataclasses.replace(results.settings, rounds=rounds + more.settings.rounds)
    measurements = (*results.measurements, *later)
    results = dataclasses.replace(results, settings=settings, measurements=measurements)
    return with_derived(results)
