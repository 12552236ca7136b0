"""What is read of servers and wrks in a trial."""

from __future__ import annotations

from dataclasses import dataclass

from micropie_benchlib.core.measurements import ServerUse, WrkResult
from micropie_benchlib.core.warnings import BenchWarning


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What was seen of one server when the time of a trial was up, under load still.

    `silences_s` says how long ago each of wrk's connections received anything, as far as
    it is known. `busy_threads` counts the threads of the server that worked; None if
    that is not known. `busy_share` is that of the servers' cores, whoever used them.
    """

    silences_s: tuple[float, ...] = ()
    busy_threads: int | None = None
    busy_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReading:
    """What was seen of the servers of one trial, where they run: an item for each server.

    They could use `cores`, as a number. `disturbances` are those of their machine, and
    `full_link` says so if its network was the limit. The endings are without silences.
    """

    uses: tuple[ServerUse | None, ...]
    endings: tuple[Ending, ...]
    disturbances: tuple[BenchWarning, ...]
    cores: int
    full_link: BenchWarning | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReading:
    """What the wrks of one machine reported in one trial: an item for each server.

    Together they used `cpu_s` and could use `cores`, as a number. `clock_step_s` is by how
    much that machine's clock was set meanwhile; `disturbances` are those of that machine.
    """

    runs: tuple[WrkResult, ...]
    reports: tuple[str, ...]
    silences_s: tuple[tuple[float, ...], ...]
    cpu_s: float
    cores: int
    clock_step_s: float
    connections_opened: int | None
    disturbances: tuple[BenchWarning, ...]
    full_link: BenchWarning | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCores:
    """How many cores all servers of a trial could use, and the wrks of each load machine.

    `are_shared` is whether they are the same cores.
    """

    servers: int
    loads: tuple[int, ...]
    are_shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one server in one trial.

    `clock_step_s` is by how much the clock was set meanwhile. `load_cpus_s` is the CPU time
    of the server's wrk on each load machine. `full_link` says so if a network link was the
    limit.
    """

    wrk: WrkResult
    report: str
    use: ServerUse | None
    disturbances: tuple[BenchWarning, ...]
    load_cpus_s: tuple[float, ...]
    cores: TrialCores
    ending: Ending = Ending()
    clock_step_s: float = 0.0
    connections_opened: int | None = None
    full_link: BenchWarning | None = None
