"""What an experiment does to the world, injected so that tests can provoke faults."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from micropie_benchlib.core.loads import Load, LoadId
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.secrets import NO_SECRETS, Secrets
from micropie_benchlib.core.targets import Target
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.system.children import Tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    targets: tuple[Target, ...]
    load: LoadId | None
    round: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondStage:
    """The rounds `needed` for a precision (half an interval, a share); the rest take `seconds`."""

    first_rounds: int
    reached: float
    wanted: float
    needed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """What an experiment does to the world.

    `extend` is called with a plan of more rounds than before, and why; or with one whose loads
    have got their rates. `drop` is called with one of fewer targets.
    """

    prepare: Callable[[Target], None]
    start: Callable[[Target], RunningServer]
    ask: Callable[[RunningServer, Workload], tuple[Response, ...]]
    warm_up: Callable[[Sequence[RunningServer], Load], object]
    load: Callable[[Sequence[RunningServer], Load], list[Observation]]
    save: Callable[[Results], None]
    tick: Tick
    announce: Callable[[Step], None]
    extend: Callable[[Plan, SecondStage | None], None]
    drop: Callable[[Plan, Sequence[BenchWarning]], None]
    secrets: Secrets = NO_SECRETS
    baseline: Mapping[str, TargetFacts] = dataclasses.field(default_factory=dict)
