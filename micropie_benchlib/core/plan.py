"""A whole comparison as asked for: the machines, launches and trials that it consists of."""

import math
from dataclasses import dataclass

from micropie_benchlib.core.choices import Decisive, Method
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.results import TargetFacts
from micropie_benchlib.core.secrets import Secrets
from micropie_benchlib.core.targets import ServerSettings, Target

DEFAULT_ROUNDS = 18
USEFUL_ROUNDS = 6  # their interval is of some use
MIN_ROUNDS_WITH_SOME_SINGLE = 4  # of a comparison in which more than the first have such trials
WARM_UP_S = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineNames:
    """Those that serve and make load, by ssh's names; "" is this one."""

    server: str = ""
    loads: tuple[str, ...] = ()
    ssh_config: str | None = None

    @property
    def are_here(self) -> bool:
        return not self.server and not self.loads

    @property
    def are_one(self) -> bool:
        return self.loads == ((self.server,) if self.server else ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole comparison, as asked for; the first target is the reference.

    With a `precision`, half of an interval's width as a share, these rounds are the first
    stage; with those after them it may take `most_s`. `variables` are the values in it that
    were taken from the environment. What is not equal work is not measured if it is `strict`,
    nor a target that responds otherwise than in the `baseline`.
    With a `rate_share` the loads get their rates later: that share of what the slowest target
    answers. With a `p99_limit_s` it is told at a rate whether the p99 latency keeps that, and
    else the highest rate is looked for at which it does.
    """

    targets: tuple[Target, ...]
    loads: tuple[Load, ...]
    rounds: int
    seed: int
    server: ServerSettings
    paired: bool
    warm_up_s: float = WARM_UP_S
    metric: Decisive | None = None
    precision: float | None = None
    most_s: float = math.inf
    variables: tuple[str, ...] = ()
    strict: bool = False
    machine_names: MachineNames = MachineNames()
    rate_share: float | None = None
    p99_limit_s: float | None = None
    baseline: tuple[TargetFacts, ...] = ()

    @property
    def is_at_a_rate(self) -> bool:
        return self.rate_share is not None or self.loads[0].rate_per_s is not None

    @property
    def seeks_capacity(self) -> bool:
        return self.p99_limit_s is not None and not self.is_at_a_rate

    @property
    def secrets(self) -> Secrets:
        workloads = [load.workload for load in self.loads]
        return Secrets.of(workloads, self.targets, self.variables)

    @property
    def names(self) -> list[str]:
        return [target.name for target in self.targets]

    @property
    def threads(self) -> int:
        """The most threads that a wrk is asked to have; at a rate they fit each load."""
        return max(load.threads for load in self.loads)

    def measures_alone(self, round_number: int) -> bool:
        """Where paired trials decide, each second round has single ones, of few the first."""
        if not self.paired:
            return True
        if self.metric is None:
            workers = {self.server_of(target).workers for target in self.targets}
            single_decides = len(workers) > 1
        else:
            single_decides = self.metric is not Decisive.CPU and not self.is_at_a_rate
        is_for_tables = round_number == 1
        if self.rounds >= MIN_ROUNDS_WITH_SOME_SINGLE:
            is_for_tables = round_number % 2 == 1
        return single_decides or is_for_tables

    def server_of(self, target: Target) -> ServerSettings:
        return target.server or self.server


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    targets: tuple[Target, ...]
    load: Load

    @property
    def method(self) -> Method:
        return Method.SINGLE if len(self.targets) == 1 else Method.PAIRED


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A fresh start of one target's server, or of two, and the trials in the order made."""

    round: int
    targets: tuple[Target, ...]
    trials: tuple[Trial, ...]
