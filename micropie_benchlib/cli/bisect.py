"""A search among versions: each pair a plan that is carried out, and the report of it all."""

import dataclasses
import datetime
import math
from collections.abc import Sequence

from micropie_benchlib.cli.exports import Exports
from micropie_benchlib.cli.github import tell_github
from micropie_benchlib.cli.records import new_results
from micropie_benchlib.cli.screen import finish
from micropie_benchlib.cli.session import run_plan, status_of
from micropie_benchlib.cli.terminal import say
from micropie_benchlib.core.bisection import Side, Step, Visit
from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.errors import BenchError, CannotGoOnError, UnmeasurableError
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.targets import Target
from micropie_benchlib.core.text import pluralize
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.figures import format_range, format_speed
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.verdict_lines import first_failure
from micropie_benchlib.report.warnings import text_of, texts_of
from micropie_benchlib.run.bisect import END_FACTOR, AddRounds, StepSearch, with_more_rounds
from micropie_benchlib.run.schedule import planned_s
from micropie_benchlib.stats.deciding import comparison_beside
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.system.children import TRIAL_ERRORS


class StoppedError(Exception):
    """A comparison was interrupted, or could not go on."""

    def __init__(self, warning: BenchWarning) -> None:
        super().__init__(warning.kind)
        self.warning = warning


class Comparisons:
    """Compares two versions as the plan compares the ends, by one metric.

    The results of the ends, and the last ones, are remembered.
    """

    def __init__(
        self, versions: Sequence[Target], plan: Plan, *, wrk: str | None, verbose: bool
    ) -> None:
        self._versions, self._plan = versions, plan
        self._wrk, self._verbose = wrk, verbose
        self._kind: tuple[Method, Metric] | None = None
        self.ends: Results | None = None
        self.last: Results | None = None

    def compare(self, older: int, newer: int) -> AddRounds:
        before, after = self._versions[older], self._versions[newer]
        plan = dataclasses.replace(self._plan, targets=(before, after))
        made: Results | None = None

        def add_rounds(rounds: int) -> Comparison:
            nonlocal made
            part = dataclasses.replace(plan, rounds=rounds)
            takes = datetime.timedelta(seconds=round(planned_s(part)))
            more = " more" if made else ""
            say(
                f"{after.label} against {before.label}: "
                f"{pluralize(rounds, f'{more} round'.strip())}, about {takes}"
            )
            results = self._measure(part)
            made = with_more_rounds(made, results) if made else results
            self.last = made
            if plan.targets == self._plan.targets:
                self.ends = made
            return self._comparison_in(made)

        return add_rounds

    def _comparison_in(self, results: Results) -> Comparison:
        """Raises BenchError if it has no interval."""
        comparison = decisive_comparisons(results)[0]
        if not comparison.estimate:
            raise BenchError(f"{comparison.reason}{first_failure(results, comparison)}")
        kind = self._kind = self._kind or (comparison.method, comparison.metric)
        return comparison_beside(results.comparisons, comparison, *kind) or comparison

    def _measure(self, plan: Plan) -> Results:
        """Raises BenchError if this cannot be measured, and StoppedError."""
        try:
            results = run_plan(
                plan,
                wrk=self._wrk,
                save=lambda _results: None,
                verbose=self._verbose,
                warn=say if self.ends is None else lambda _text: None,
            )
        except BenchError as error:
            if not self.ends:
                raise
            text = str(error)
            if isinstance(error, UnmeasurableError):
                text = texts_of(error.reasons[0].warnings)
            raise BenchError(plan.secrets.hide_whole_words(text)) from error
        if results.early_end:
            raise StoppedError(results.early_end)
        return results


def tell_visit(visit: Visit) -> None:
    if visit.side is Side.SKIPPED:
        say(f"{visit.version}: skipped, {visit.reason}")
    elif visit.cost:
        cost = f"{format_speed(visit.cost)} ({format_range(visit.cost)})"
        say(f"{visit.version}: {cost}, {visit.side}")


def run_bisect(
    versions: Sequence[Target],
    plan: Plan,
    exports: Exports,
    *,
    slower_than: float | None,
    wrk: str | None,
    verbose: bool,
) -> int:
    """Search the versions, print and export what was found, and return the exit status.

    Whatever ends the search early, what was found before is told.
    """
    comparisons = Comparisons(versions, plan, wrk=wrk, verbose=verbose)
    search = StepSearch(
        [version.label for version in versions],
        comparisons.compare,
        rounds=plan.rounds,
        slower_than=slower_than,
        tell=tell_visit,
    )
    steps = math.ceil(math.log2(len(versions) - 1))
    takes = datetime.timedelta(seconds=round((2 * END_FACTOR + steps) * planned_s(plan)))
    say(
        f"{pluralize(len(versions), 'version')}, {versions[0].label} to {versions[-1].label}: "
        f"about {pluralize(steps + 2, 'comparison')}, {takes} or more"
    )
    early_end = None
    try:
        search.run()
    except StoppedError as end:
        early_end = end.warning
    except KeyboardInterrupt:  # between two comparisons
        early_end = BenchWarning.of(Kind.INTERRUPTED, round=1, rounds=plan.rounds)
    except (CannotGoOnError, *TRIAL_ERRORS) as error:
        if not search.found.visits:
            raise
        early_end = BenchWarning.of(Kind.ENDED, round=1, rounds=plan.rounds, error=str(error))
    found = search.found
    results = comparisons.last if found.change else comparisons.ends
    ends = [early_end] if early_end else []
    if not results or not found.visits:
        say(f"{texts_of(ends)}: nothing was found, and no file was written or changed")
        return status_of(new_results(warnings=tuple(ends)))
    results = dataclasses.replace(results, bisection=found, warnings=(*results.warnings, *ends))
    report = Report(results=results, conclusion=conclude(results), details=verbose)
    failure = finish(report, exports, was_run=True)
    tell_github(report, None, [])
    if early_end:
        say(f"{text_of(early_end)}: the search is not finished")
    if failure:
        raise failure
    if early_end:
        return status_of(results)
    return 3 if found.step is Step.FOUND else 0
