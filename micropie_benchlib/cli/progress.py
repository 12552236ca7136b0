"""How much of the plan is done, on standard error."""

import contextlib
import datetime
import sys
import time
from collections.abc import Sequence

from micropie_benchlib.cli.terminal import console_on, say, show_text
from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.text import format_precision
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.report.figures import speed_in_words
from micropie_benchlib.report.printing import printable
from micropie_benchlib.report.warnings import text_of
from micropie_benchlib.run.actions import SecondStage, Step
from micropie_benchlib.run.schedule import launch_groups, planned_s
from micropie_benchlib.stats.deciding import comparison_beside
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.system.children import TICK_S


def stage_text(plan: Plan, stage: SecondStage) -> str:
    text = f"{stage.first_rounds} rounds gave {format_precision(stage.reached)}; "
    if stage.needed <= stage.first_rounds:
        return f"{text}that is precise enough"
    text += f"{format_precision(stage.wanted)} needs {stage.needed}"
    if plan.rounds < stage.needed:
        text += f", and --max-time allows {plan.rounds}"
    more = plan.rounds - stage.first_rounds
    if more:
        longer = datetime.timedelta(seconds=round(stage.seconds))
        text += f": {more} more, about {longer}"
    return text


def rates_text(plan: Plan) -> str:
    share = plan.rate_share or 0
    rates = "; ".join(load.id.sentence for load in plan.loads)
    return f"{share:.0%} of what the slowest target can handle: {rates}"


class ProgressReport:
    """Tells on standard error how much of the plan is done.

    On a terminal that is what runs now, a bar, and each target's speed so far; elsewhere one
    line for each finished round. A speed keeps the metric that it had first.
    """

    def __init__(self, plan: Plan, *, verbose: bool) -> None:
        from rich.live import Live

        console = console_on(sys.stderr)
        self._plan = plan
        self._verbose = verbose
        self._launches_done = 0
        self._total_s = planned_s(plan)
        self._text = ""
        self._round = 1
        self._speeds: list[str] = []
        self._kinds: dict[tuple[str, LoadId], tuple[Method, Metric]] = {}
        self._before_s = self._step_s = 0.0
        self._step_start = self._refreshed = time.monotonic()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._is_live = sys.stderr.isatty() and not console.is_dumb_terminal
        if self._is_live:
            self._live.start()

    def announce(self, step: Step) -> None:
        self._before_s += self._step_s
        self._step_s = step.seconds
        self._step_start = time.monotonic()
        self._refreshed = 0.0  # long ago: what begins is shown at once
        what = step.load.sentence if step.load else "starting"
        labels = " and ".join(target.label for target in step.targets)
        self._text = f"{labels}: {what}"
        self._round = step.round
        if self._verbose and not self._is_live:
            say(f"{self._text} (round {step.round})")
        self.tick()

    def extend(self, plan: Plan, stage: SecondStage | None) -> None:
        text = stage_text(plan, stage) if stage else rates_text(plan)
        self._change(plan, text)

    def drop(self, plan: Plan, reasons: Sequence[BenchWarning]) -> None:
        for reason in reasons:
            self._change(plan, f"warning: {text_of(reason)}; the others are measured")

    def _change(self, plan: Plan, text: str) -> None:
        self._plan = plan
        self._total_s = planned_s(plan)
        with contextlib.suppress(OSError):
            show_text(self._live.console, text)  # above what is live

    def update(self, results: Results) -> None:
        decisive = decisive_comparisons(results)
        self._speeds = []
        for comparison in decisive:
            shown = self._in_its_metric(results, comparison)
            if not shown.speed:
                continue
            text = speed_in_words(shown.speed, shown.metric.measure)
            if len(decisive) > 1:
                label = results.label(shown.target)
                text = f"{label}, {shown.load.sentence} {text}"
            self._speeds.append(text)
        self._launches_done += 1
        launches_per_round = len(launch_groups(self._plan))
        is_round_done = self._launches_done % launches_per_round == 0
        if is_round_done and not self._is_live:
            line = self._progress()
            if self._speeds:
                line += ": " + "; ".join(self._speeds)
            say(line)

    def _in_its_metric(self, results: Results, comparison: Comparison) -> Comparison:
        """Return the comparison of the same targets and load in the metric that was first."""
        where = (comparison.target, comparison.load)
        if comparison.speed:
            self._kinds.setdefault(where, (comparison.method, comparison.metric))
        if where not in self._kinds:
            return comparison
        return comparison_beside(results.comparisons, comparison, *self._kinds[where]) or comparison

    def _done_s(self) -> float:
        in_step_s = time.monotonic() - self._step_start
        return self._before_s + min(self._step_s, in_step_s)

    def _progress(self) -> str:
        left_s = max(0.0, self._total_s - self._done_s())
        minutes, seconds = divmod(round(left_s), 60)
        return f"round {self._round} of {self._plan.rounds}, {minutes}:{seconds:02} left"

    def tick(self) -> None:
        """Redraw, but seldom: it takes CPU time from what is measured."""
        now = time.monotonic()
        if not self._is_live or now - self._refreshed < TICK_S:
            return
        self._refreshed = now
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        lines = [Text(printable(self._text), overflow="ellipsis", no_wrap=True)]
        for speed in self._speeds:
            lines.append(Text(printable(f"  {speed} so far"), no_wrap=False, overflow="fold"))
        bar = ProgressBar(total=self._total_s, completed=self._done_s(), width=40)
        try:
            self._live.update(Group(bar, Text(f" {self._progress()}"), *lines), refresh=True)
        except OSError:  # the terminal is gone, as after an ssh session
            self._is_live = False

    def close(self) -> None:
        if self._is_live:
            with contextlib.suppress(OSError):
                self._live.stop()
