"""All that a run recorded, as the results file has it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal

from micropie_benchlib import __version__
from micropie_benchlib.core import values
from micropie_benchlib.core.bisection import Bisection
from micropie_benchlib.core.choices import Decisive, Method
from micropie_benchlib.core.estimates import Comparison, Distribution
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.measurements import Capacity, Measurement
from micropie_benchlib.core.metrics import valid_runs
from micropie_benchlib.core.requests import WRK_TIMEOUT_S, Response
from micropie_benchlib.core.targets import ServerSettings, Source
from micropie_benchlib.core.warnings import BenchWarning, Kind

SCHEMA: Final = "micropie-bench/3"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """What the worker of an ASGI app saw once it had imported the app.

    `event_loop` is the class of the loop that ran then; empty if none did. `module_file` is
    the file of the app's module, and it ran in `directory`. `flags` are those of the
    interpreter that are on, `variables` those of its environment that change its speed.
    `scheduling` is the class of its scheduling; empty where it is not known.
    """

    executable: str
    implementation: str
    python: str
    gil: bool
    flags: Mapping[str, int]
    event_loop: str
    module_file: str | None
    directory: str
    variables: Mapping[str, str]
    nice: int
    scheduling: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetFacts:
    """What was found out about a target when it was launched.

    `responses` has the answer to one request of each workload, by the workload's name.
    `server` is how an ASGI app was served, and None for other targets; `served_as` is what
    that means for each request, by what it is, in words. `python` is the version of the
    interpreter that ran it, if one was named. It was asked by `scheme`. It is compared with
    the `reference`, the first target if none is named. A `worker` of an ASGI app told the
    rest of itself. `source` is the commit of its code, if that is in a repository; with a ref
    the paths are as from its top.
    """

    name: values.Name
    label: values.Name
    spec: str
    versions: Mapping[str, str]
    server_command: str
    responses: Mapping[str, Response]
    server: ServerSettings | None = None
    python: str | None = None
    scheme: values.Scheme = "http"
    served_as: Mapping[str, str] = dataclasses.field(default_factory=dict)
    reference: values.Name | None = None
    worker: WorkerFacts | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadFacts:
    """A workload as it is recorded: its body only as a hash."""

    name: values.Name
    method: str
    path: str
    headers: values.Headers
    body_sha256: str
    expect_status: values.Status | None = None
    keep_alive: bool = True
    timeout_s: values.Positive = WRK_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What was asked for.

    With a `precision`, half of an interval's width as a share, the number of rounds was
    chosen after `first_rounds`. With a `rate_share` the rates of the loads are that share of
    what the slowest target answered.
    """

    server: ServerSettings
    workloads: tuple[WorkloadFacts, ...]
    connections: tuple[values.Connections, ...]
    threads: values.Positive
    duration_s: values.Positive
    rounds: values.Positive
    paired: bool
    warm_up_s: values.Seconds
    metric: Decisive | None = None
    precision: values.Share | None = None
    first_rounds: values.Positive | None = None
    rate_per_s: values.PositiveRate | None = None
    rate_share: values.Share | None = None
    p99_limit_s: values.Seconds | None = None

    def load_differences(self, other: Settings) -> list[str]:
        pairs = {
            "workloads": (self.workloads, other.workloads),
            "threads": (self.threads, other.threads),
            "duration_s": (self.duration_s, other.duration_s),
            "rate": (self.rate_per_s, other.rate_per_s),
            "rate_share": (self.rate_share, other.rate_share),
            "p99_limit_s": (self.p99_limit_s, other.p99_limit_s),
            "workers": (self.server.workers, other.server.workers),
            "access_log": (self.server.access_log, other.server.access_log),
        }
        return [name for name, (mine, theirs) in pairs.items() if mine != theirs]


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where it was measured; None for what the machine does not tell.

    `bundle` is the build of micropie_bench.pyz, `wrk` the path of wrk.
    """

    python: str
    executable: str
    bundle: str | None = None
    implementation: str
    platform: str
    kernel: str
    cpu_model: str | None = None
    cpu_count: values.Positive
    governor: str | None = None
    wrk: str
    wrk_version: str
    packages: Mapping[str, str]


class Role(StrEnum):
    """What a machine does in a comparison that takes more than one."""

    SERVER = "server"
    LOAD = "load"
    BOTH = "server and load"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine that took part, by the name that ssh has for it; "" is the controller's own.

    `address` is where its servers listened, or the load came from, as far as it is known.
    `round_trip_s` is how long a call to its agent and the answer took.
    """

    role: Role
    host: str
    environment: Environment
    address: str = ""
    round_trip_s: values.Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All that a results file holds; measurements are in the order made.

    A parsed text of wrk has neither settings nor environment. `environment` is that of the
    machine with the servers; `machines` are all that took part, where those were several. After a
    `bisection` the rest is of its last comparison.
    """

    __pydantic_config__: ClassVar[Mapping[str, Any]] = {"allow_inf_nan": False}

    schema: Literal["micropie-bench/3"] = SCHEMA
    version: str = __version__
    created: str
    command: str
    seed: int | None = None
    settings: Settings | None = None
    environment: Environment | None = None
    targets: tuple[TargetFacts, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    capacities: tuple[Capacity, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    distributions: tuple[Distribution, ...] = ()
    warnings: tuple[BenchWarning, ...] = ()
    machines: tuple[Machine, ...] = ()
    bisection: Bisection | None = None

    @property
    def early_end(self) -> BenchWarning | None:
        for warning in self.warnings:
            if warning.kind in (Kind.INTERRUPTED, Kind.ENDED):
                return warning
        return None

    @property
    def names(self) -> list[str]:
        names = [facts.name for facts in self.targets]
        names += [measurement.target for measurement in self.measurements]
        return list(dict.fromkeys(names))

    def label(self, name: str) -> str:
        for facts in self.targets:
            if facts.name == name:
                return facts.label
        return name

    @property
    def labels(self) -> list[str]:
        return list(map(self.label, self.names))

    @property
    def loads(self) -> list[LoadId]:
        """The loads: workloads as they were asked for, then others; connections rise."""
        loads = dict.fromkeys(measurement.load for measurement in self.measurements)
        order = [workload.name for workload in self.settings.workloads] if self.settings else []
        order += [load.workload for load in loads]

        def position(load: LoadId) -> tuple[int, int, float]:
            return order.index(load.workload), load.connections, load.rate_per_s or 0

        return sorted(loads, key=position)

    @property
    def seeks_capacity(self) -> bool:
        settings = self.settings
        if settings and settings.p99_limit_s and not settings.rate_per_s:
            return settings.rate_share is None
        return bool(self.capacities)

    @property
    def reported_loads(self) -> list[LoadId]:
        return list(itertools.filterfalse(self.is_step, self.loads))

    def is_step(self, load: LoadId) -> bool:
        """Return whether the load is one of those that a capacity was sought at."""
        return load.rate_per_s is not None and self.seeks_capacity

    def capacities_of(self, name: str, load: LoadId) -> dict[int, float]:
        """Return the known capacities of a target by round, in requests/s."""
        known = {}
        for each in self.capacities:
            if (each.target, each.load) == (name, load) and each.rate_per_s:
                known[each.round] = each.rate_per_s
        return known

    def p99s_s(self, name: str, load: LoadId) -> list[float]:
        """Return the p99 latency of each valid trial that the tables of a load are of."""
        found = []
        for trial in self.reported_trials(name, load):
            if trial.valid and trial.latency_p99_s:
                found.append(trial.latency_p99_s)
        return found

    @property
    def workloads(self) -> list[str]:
        return list(dict.fromkeys(load.workload for load in self.loads))

    def trials(self, load: LoadId, method: Method) -> list[Measurement]:
        return [m for m in self.measurements if (m.load, m.method) == (load, method)]

    def single_trials(self, name: str, load: LoadId) -> list[Measurement]:
        return self.trials_of(name, load, Method.SINGLE)

    def trials_of(self, name: str, load: LoadId, method: Method) -> list[Measurement]:
        return [m for m in self.trials(load, method) if m.target == name]

    def reported_method(self, load: LoadId) -> Method:
        """Return by which trials the tables of a load are: the ones of its latencies."""
        for distribution in self.distributions:
            if distribution.load == load:
                return distribution.method
        return Method.SINGLE

    def reported_trials(self, name: str, load: LoadId) -> list[Measurement]:
        return self.trials_of(name, load, self.reported_method(load))

    def reported_counts(self, load: LoadId) -> set[int]:
        """Return of how many trials of a target the tables of a load are."""
        return {len(self.reported_trials(name, load)) for name in self.names}

    def throughputs(self, name: str, load: LoadId) -> list[float]:
        return [run.requests_per_s for run in valid_runs(self.single_trials(name, load))]

    def latencies(self, name: str, load: LoadId) -> dict[float, float]:
        """Return a target's known latencies under a load, in seconds by percent."""
        for distribution in self.distributions:
            if (distribution.target, distribution.load) == (name, load):
                return dict(distribution.percentiles)
        return {}
