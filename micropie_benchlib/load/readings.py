"""What is read of servers and wrks in a trial."""

from dataclasses import dataclass

from micropie_benchlib.core.measurements import ServerUse, WrkResult
from micropie_benchlib.core.warnings import BenchWarning
from micropie_benchlib.load.cpu_accounts import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What was seen of one server when the time of a trial was up, and until it was at rest.

    `silences_s` says how long ago each of wrk's connections received anything. `idle_cpu_s` of
    the CPU time under load was idle use of threads that also work: it is not in the server's
    use, nor is what never rests (`restless_cores` while idle), unless the server `polls`.
    `late_cpu_s` was used after the load, and of that `put_off_s` not for requests under way. It
    `had_backlog` if it still worked on an earlier load; `unseen_s` was used between the two.
    Its CPU quota stopped it in `throttled` of so many `periods`.
    """

    silences_s: tuple[float, ...] = ()
    work: Work | None = None
    idle_cpu_s: float = 0.0
    restless_cores: float = 0.0
    late_cpu_s: float = 0.0
    put_off_s: float = 0.0
    polls: bool = False
    is_at_rest: bool = True
    had_backlog: bool = False
    unseen_s: float = 0.0
    throttled: int = 0
    periods: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReading:
    """An item for each server of the trial, where they run; endings are without silences."""

    uses: tuple[ServerUse | None, ...]
    endings: tuple[Ending, ...]
    disturbances: tuple[BenchWarning, ...]
    cores: int
    full_link: BenchWarning | None
    busy_partner: BenchWarning | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadReading:
    """What the wrks of one machine reported in one trial: an item for each server.

    For `delay_s` they could have run and others had their `cores`. `clock_step_s` is by how
    much that machine's clock was set meanwhile.
    """

    runs: tuple[WrkResult, ...]
    reports: tuple[str, ...]
    silences_s: tuple[tuple[float, ...], ...]
    cpu_s: float
    delay_s: float
    cores: int
    clock_step_s: float
    connections_opened: int | None
    disturbances: tuple[BenchWarning, ...]
    full_link: BenchWarning | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCores:
    servers: int
    loads: tuple[int, ...]
    are_shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What was seen of one server in one trial.

    `load_cpus_s` is the CPU time of the server's wrk on each load machine, `load_delays_s` how
    long all wrks there could have run and others had the cores. `busy_partner` is a server of
    this tool that worked meanwhile without a part in the trial.
    """

    wrk: WrkResult
    report: str
    use: ServerUse | None
    disturbances: tuple[BenchWarning, ...]
    load_cpus_s: tuple[float, ...]
    load_delays_s: tuple[float, ...]
    cores: TrialCores
    busy_partner: BenchWarning | None = None
    ending: Ending = Ending()
    clock_step_s: float = 0.0
    connections_opened: int | None = None
    full_link: BenchWarning | None = None
