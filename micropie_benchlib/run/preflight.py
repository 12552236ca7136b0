"""What is checked before the first round."""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from micropie_benchlib.core.errors import BenchError, Reason
from micropie_benchlib.core.plan import Launch
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.run.actions import Actions
from micropie_benchlib.run.launch import LaunchRun
from micropie_benchlib.stats.equal_work import FRAMING, HEAD, work_of


class Check(NamedTuple):
    """What launching targets and asking them showed: facts, and why some are unmeasurable."""

    facts: list[TargetFacts]
    unmeasurable: list[Reason]


def check_launch(launch: Launch, actions: Actions) -> Check:
    """Launch the targets, ask them, and return what that shows; nothing is measured."""
    run = LaunchRun(launch, actions)
    with contextlib.ExitStack() as stack:
        run.start(stack)
        facts = [run.ask_each_workload(target) for target in launch.targets]
    return Check(facts=facts, unmeasurable=run.unmeasurable())


def require_equal_work(results: Results) -> None:
    """Raise BenchError if what the targets are asked to do differs (--strict).

    How a framework frames the same body, chunked or not and with which headers, is its own
    work, and may differ.
    """
    labels = [facts.label for facts in results.targets]
    differing = []
    for fact in work_of(results):
        if fact.differs and not fact.name.endswith((HEAD, FRAMING)):
            values = [f"{label} {value}" for label, value in zip(labels, fact.values, strict=True)]
            differing.append(f"{fact.name} ({', '.join(values)})")
    if differing:
        raise BenchError(
            f"--strict: the targets' work is not equal: {'; '.join(differing)}. "
            "Nothing was measured"
        )
