"""What an experiment does to the world, injected so that tests can provoke faults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.secrets import NO_SECRETS, Secrets
from micropie_benchlib.core.targets import Target
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.system.children import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """`announce` is called with what runs now, and the seconds that it should take; `extend`
    with a plan of more rounds than before, and why. What is recorded is without the
    `secrets`.
    """

    prepare: Callable[[Target], None]
    start: Callable[[Target], RunningServer]
    ask: Callable[[RunningServer, Workload], Response]
    warm_up: Callable[[Sequence[RunningServer], Load], object]
    load: Callable[[Sequence[RunningServer], Load], list[Observation]]
    save: Callable[[Results], None]
    tick: Tick
    announce: Callable[[str, float], None]
    extend: Callable[[Plan, str], None]
    secrets: Secrets = NO_SECRETS
