"""The options in their groups, each a type that says what its options mean together; presets."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer

from micropie_benchlib.cli.commands import option
from micropie_benchlib.cli.text import (
    Reads,
    beside_file,
    comma_separated,
    one_or_more,
    parse_rate,
    parse_seconds,
    parse_share,
    program,
    request_body,
)
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.choices import AsgiServer, Decisive, Http, Inconclusive, Loop
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import DEFAULT_ROUNDS, USEFUL_ROUNDS, WARM_UP_S, MachineNames
from micropie_benchlib.core.requests import PAIRED_TIMEOUT_S, WORKLOADS, WRK_TIMEOUT_S
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.core.text import parse_duration
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, split_url
from micropie_benchlib.serve.asgi import ASGI_SERVERS

if TYPE_CHECKING:
    from micropie_benchlib.cli.exports import Exports


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What --quick, --short and --gist set, unless another option sets it."""

    connections: str
    duration: str
    rounds: int


DEFAULTS = Preset(connections="100,200", duration="2s", rounds=DEFAULT_ROUNDS)
QUICK = Preset(connections="100", duration="1s", rounds=3)
SHORT = Preset(connections="100", duration="1s", rounds=10)
GIST = Preset(connections="100,200", duration="30s", rounds=1)
SEARCH = Preset(connections="100", duration="2s", rounds=USEFUL_ROUNDS)
MAX_TIME_S = 3600  # for a --precision


@dataclass(frozen=True, slots=True, kw_only=True)
class QuickOptions:
    PANEL: ClassVar = "Rounds and trials"

    quick: bool = option(
        "--quick", default=False, help="A first result in 15 s: 3 rounds of 1 s, no --precision."
    )

    def preset(self) -> Preset:
        return QUICK if self.quick else DEFAULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetOptions(QuickOptions):
    short: bool = option(
        "--short",
        default=False,
        help="A minute: 10 rounds of 1 s at 100 connections, no --precision.",
    )
    gist: bool = option(
        "--gist",
        default=False,
        help="As in the gist: 1 round of 30 s at 100 and 200 connections, no --precision.",
    )

    def preset(self) -> Preset:
        """Return the values of what no other option sets. Raises UsageError for two presets."""
        chosen = [(self.quick, QUICK), (self.short, SHORT), (self.gist, GIST)]
        presets = [preset for is_chosen, preset in chosen if is_chosen]
        if len(presets) > 1:
            raise UsageError("--quick, --short and --gist exclude each other")
        return presets[0] if presets else DEFAULTS


def file_option(text: str, *, metavar: str = "FILE") -> Any:
    return option(metavar=metavar, help=text, reads=beside_file)


def target_names() -> list[str]:
    return list(BUILT_INS)


TargetsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME=]TARGET",
        help="Targets to compare; the first is the reference.  [default: fastapi micropie]",
        show_default=False,
        autocompletion=target_names,
    ),
]
ReferenceOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The target that the others are compared with.  [default: the first]",
        show_default=False,
        rich_help_panel="Targets",
    ),
]
GitOption = Annotated[
    str | None,
    typer.Option(
        metavar="A..B",
        help="The target at commits A and B, or at A and as your files are; "
        "`bisect` also takes all commits between.",
        show_default=False,
        rich_help_panel="Targets",
    ),
]
WrkOption = Annotated[
    str | None,
    typer.Option(
        envvar="MICROPIE_BENCH_WRK", metavar="PATH", help="The wrk to use.", rich_help_panel="Load"
    ),
    Reads(program),
]
VerboseOption = Annotated[
    bool,
    typer.Option("-v", "--verbose", help="Print all tables and warnings, and wrk's own reports."),
]


def connections_option(preset: Preset) -> Any:
    return option(
        *("-c", "--connections"),
        metavar="N,N...",
        help="Numbers of connections, separated by commas.",
        show_default=preset.connections,
        reads=comma_separated,
    )


def rounds_option(preset: Preset) -> Any:
    return option(
        *("-r", "--rounds"),
        min=1,
        metavar="N",
        help="Rounds: each starts every server afresh.",
        show_default=str(preset.rounds),
    )


def duration_option(preset: Preset) -> Any:
    return option(
        *("-d", "--duration"),
        metavar="TIME",
        help="Duration of each trial, such as 5s or 1m.",
        show_default=preset.duration,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    PANEL: ClassVar = "Load"

    connections: str | None = connections_option(DEFAULTS)
    threads: int = option("-t", "--threads", default=4, min=1, metavar="N", help="wrk's threads.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    PANEL: ClassVar = "Load"

    rate: str | None = option(
        *("-R", "--rate"),
        metavar="RATE",
        help="Requests/s in total, such as 5000, or a share of what the slowest target can "
        "handle, such as 70%; latency counts from each request's scheduled time.",
        show_default="as fast as possible",
    )

    @property
    def per_s(self) -> float | None:
        """The rate, where it is no share. Raises UsageError."""
        return parse_rate(self.rate) if self.rate is not None and self.share is None else None

    @property
    def share(self) -> float | None:
        """The rate, where it is a share. Raises UsageError."""
        if self.rate is None or not self.rate.strip().endswith("%"):
            return None
        share = parse_share("--rate", self.rate)
        if not 0 < share <= 1:
            raise UsageError(
                f"{self.rate!r}: use a share from 1% to 100%, or requests/s", option="--rate"
            )
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOptions:
    PANEL: ClassVar = "Rounds and trials"

    duration: str | None = duration_option(DEFAULTS)
    rounds: int | None = rounds_option(DEFAULTS)
    warm_up: str = option(
        default=f"{WARM_UP_S}s",
        metavar="TIME",
        help="Warm-up load before each server's first trial.",
    )
    start_timeout: str = option(
        default=f"{ServerSettings().start_timeout_s:.0f}s",
        metavar="TIME",
        help="How long a server may take to start.",
    )
    seed: int | None = option(
        metavar="N", help="Seed of the random order; chosen and recorded if not given."
    )

    def duration_s(self, preset: Preset) -> int:
        return parse_duration(preset.duration if self.duration is None else self.duration)

    @property
    def warm_up_s(self) -> float:
        return parse_seconds("--warm-up", self.warm_up)

    def serving(self, settings: ServerSettings) -> ServerSettings:
        """Return the settings with the time that a server may take. Raises UsageError."""
        start_timeout_s = parse_seconds("--start-timeout", self.start_timeout)
        return dataclasses.replace(settings, start_timeout_s=start_timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictOptions(TrialOptions):
    metric: Decisive | None = option(
        help="What verdicts and the gate are based on.",
        show_default="cpu if CPU limits the servers, else throughput (p99 at a rate)",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingOptions(VerdictOptions):
    precision: str | None = option(
        metavar="SHARE", help="Wanted half-width of intervals, such as 1%; adds the rounds needed."
    )
    max_time: str | None = option(
        metavar="TIME", help="How long --precision may take.", show_default=f"{MAX_TIME_S // 3600}h"
    )
    paired: bool | None = option(
        "--paired/--no-paired",
        help="Also measure two targets at the same moment: what disturbs one disturbs both.",
        show_default="where possible",
    )

    @property
    def precision_share(self) -> float | None:
        """Half the width that intervals should have, as a share. Raises UsageError."""
        if self.precision is None:
            if self.max_time is not None:
                raise UsageError("needs --precision, such as 1%", option="--max-time")
            return None
        share = parse_share("--precision", self.precision)
        if not 0 < share <= 1:
            raise UsageError(f"{self.precision!r}: use a share such as 1%", option="--precision")
        return share

    @property
    def most_s(self) -> float:
        return MAX_TIME_S if self.max_time is None else parse_seconds("--max-time", self.max_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLoadOptions(LoadOptions):
    connections: str | None = connections_option(SEARCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchTrialOptions(TrialOptions):
    rounds: int | None = rounds_option(SEARCH)


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectTrialOptions(VerdictOptions):
    duration: str | None = duration_option(SHORT)
    rounds: int | None = rounds_option(SHORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectOptions:
    PANEL: ClassVar = "Versions"

    slower_than: str | None = option(
        metavar="SHARE",
        help="Look for a version slower than the oldest by more than this, such as 5%.",
        show_default="any step, slower or faster",
    )

    @property
    def share(self) -> float | None:
        """How much slower a version must be. Raises UsageError."""
        if self.slower_than is None:
            return None
        return parse_share("--slower-than", self.slower_than)


MAX_LIMIT_SHARE = 0.05  # of a trial's time: a rate that is 5% too high makes such a queue


def limit_option(default: str | None) -> Any:
    return option(
        default=default, metavar="TIME", help="The limit of the p99 latency, such as 50ms."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitOptions:
    PANEL: ClassVar = "Load"

    p99_limit: str | None = limit_option(None)

    def limit_s(self, duration_s: int) -> float | None:
        """Return the limit of the p99 latency, for trials of that time. Raises UsageError."""
        if self.p99_limit is None:
            return None
        limit_s = parse_seconds("--p99-limit", self.p99_limit)
        if not limit_s or self.p99_limit.strip()[-1].isdigit():
            raise UsageError(
                f"{self.p99_limit!r}: use a time with its unit, such as 50ms", option="--p99-limit"
            )
        if limit_s > MAX_LIMIT_SHARE * duration_s:
            needed_s = math.ceil(limit_s / MAX_LIMIT_SHARE)
            raise UsageError(
                f"{self.p99_limit}: the limit must be 5% of a trial's time or less, "
                f"since a growing queue would not reach it in {duration_s} s: "
                f"use -d {needed_s}s or longer",
                option="--p99-limit",
            )
        return limit_s


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions(LimitOptions):
    p99_limit: str | None = limit_option("50ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    PANEL: ClassVar = "Request"

    workload: list[str] | None = option(
        metavar="NAME",
        help=f"{', '.join(WORKLOADS)}; repeatable.",
        autocompletion=lambda: list(WORKLOADS),
        reads=one_or_more,
    )
    path: list[str] | None = option(
        metavar="PATH", help="A path to request; repeatable.", show_default="/", reads=one_or_more
    )
    method: str | None = option(
        *("-X", "--method"),
        metavar="NAME",
        help="The request's method.",
        show_default="GET; POST with --body",
    )
    header: list[str] | None = option(
        *("-H", "--header"),
        metavar="'NAME: VALUE'",
        help="A header to send; repeatable.",
        reads=one_or_more,
    )
    body: str | None = option(
        metavar="TEXT",
        help="The request's body; @FILE is a file's content, '-' standard input.",
        reads=request_body,
    )
    expect_status: int | None = option(
        min=200,
        max=599,
        metavar="N",
        help="The status that responses must have.",
        show_default="any 2xx",
    )
    keep_alive: bool = option(
        default=True, help="Keep connections open; otherwise each request opens its own."
    )
    timeout: str | None = option(
        metavar="TIME",
        help="Count slower responses as errors.",
        show_default=f"{WRK_TIMEOUT_S}s; {PAIRED_TIMEOUT_S}s in paired trials",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersOptions:
    PANEL: ClassVar = "Server"

    workers: int = option(
        *("-w", "--workers"), default=4, min=1, metavar="N", help="Worker processes of the server."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions(WorkersOptions):
    access_log: bool = option(default=True, help="The server's access log; the gist had it on.")
    loop: Loop = option(
        default=Loop.AUTO, help="uvicorn's event loop; auto is uvloop if installed."
    )
    http: Http = option(
        default=Http.AUTO, help="uvicorn's HTTP parser; auto is httptools if installed."
    )
    proxy_headers: bool = option(default=True, help="Let uvicorn read proxy headers (its default).")
    server: AsgiServer = option(default=AsgiServer.UVICORN, help="The server of ASGI apps.")
    python: str | None = option(
        metavar="PATH", help="The Python that runs your own apps.", reads=program
    )
    host: str = option(default="127.0.0.1", metavar="ADDRESS", help="Address to listen on.")

    def settings(self, *, port: int | None = None) -> ServerSettings:
        """Return the settings of every server. Raises UsageError if they exclude each other."""
        settings = ServerSettings(
            host=self.host,
            port=port,
            workers=self.workers,
            access_log=self.access_log,
            loop=self.loop,
            http=self.http,
            proxy_headers=self.proxy_headers,
            asgi=self.server,
        )
        ASGI_SERVERS[settings.asgi].check_options(settings)
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class PortOptions(ServingOptions):
    port: int | None = option(
        min=1, max=65535, metavar="N", help="The servers' port.", show_default="free ports"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineOptions:
    """Which machines serve and make load; without them it is this one."""

    PANEL: ClassVar = "Machines"

    server_on: str | None = option(
        metavar="HOST", help="Serve on that machine, as `ssh HOST` reaches it."
    )
    load_on: str | None = option(
        metavar="HOST,HOST...", help="Send load from that machine, or from several."
    )
    ssh_config: str | None = file_option("An ssh configuration to use instead of ~/.ssh/config.")

    def machine_names(self, targets: Sequence[Target], loads: Sequence[Load]) -> MachineNames:
        hosts = tuple(filter(None, (self.load_on or "").split(",")))
        if self.load_on is not None and not hosts:
            raise UsageError("names no machine", option="--load-on")
        for host in hosts if self.server_on is None else (self.server_on, *hosts):
            if not re.fullmatch(r"[^-\s/][^\s/]*", host):
                raise UsageError(f"{host!r} is not a host name for ssh")
        if len(set(hosts)) < len(hosts):
            raise UsageError("names a machine twice", option="--load-on")
        if self.server_on in hosts and len(hosts) > 1:
            raise UsageError(
                f"{self.server_on} cannot be both the server and one of several load machines"
            )
        for load in loads:
            threads = 1 if load.rate_per_s else load.wrk_threads
            if len(hosts) > load.connections // threads:
                raise UsageError(
                    f"{load.connections} connections of {threads} threads cannot be shared "
                    f"by {len(hosts)} machines: use a smaller -t, or a larger -c"
                )
        for target in targets if hosts else ():
            for url in target.urls:
                if are_loopback(addresses_of(split_url(url)[1])):
                    raise UsageError(f"{url} means a different server on each machine")
        return MachineNames(
            server=self.server_on or "", loads=hosts, ssh_config=self._config(hosts)
        )

    def _config(self, hosts: Sequence[str]) -> str | None:
        if not self.ssh_config:
            return None
        path = Path(self.ssh_config).absolute()
        if not self.server_on and not hosts:
            raise UsageError("is for other machines: --server-on, --load-on", option="--ssh-config")
        if not path.is_file():
            raise UsageError(f"{self.ssh_config}: there is no such file", option="--ssh-config")
        return str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteOptions(MachineOptions):
    """The same, and whether URLs may be other machines'."""

    allow_remote: bool = option(
        "--allow-remote", default=False, help="Allow URLs of other machines."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    PANEL: ClassVar = "Exports"

    export_json: str | None = file_option("Write the results as JSON ('-': stdout).")
    export_markdown: str | None = file_option(
        "Write verdict and tables in Markdown; -v: the whole report."
    )
    export_csv: str | None = file_option("Write a row for each measurement.")
    export_html: str | None = file_option("Write a page with charts.")
    export_github_comment: str | None = file_option(
        "Write the verdict in Markdown, for a comment that is found again by its first line."
    )
    export_github_benchmark: str | None = file_option("Write JSON for github-action-benchmark.")

    def opened(self, *, inputs: Sequence[str] = (), new_baseline: str | None = None) -> Exports:
        """Return the files to write. Raises UsageError for one that cannot be, or is an input."""
        from micropie_benchlib.cli.exports import BASELINE, Exports  # with all that renders them

        files = {BASELINE: new_baseline} if new_baseline else {}
        for field, file in dataclasses.asdict(self).items():
            if file is not None:
                files[f"--{field.replace('_', '-')}"] = file
        return Exports(files, inputs=inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    PANEL: ClassVar = "Gate"

    baseline: str | None = file_option("What the gate compares with.", metavar="RESULTS.json")
    baseline_optional: bool = option(
        "--baseline-optional",
        default=False,
        help="Pass, and write the baseline, where it does not exist yet.",
    )
    accept_changed_response: bool = option(
        "--accept-changed-response",
        default=False,
        help="Compare although responses are not those of the baseline.",
    )
    fail_if_slower: str | None = option(
        metavar="SHARE",
        help="Exit with 3 if a target is significantly slower by more than this, such as 5%.",
    )
    inconclusive: Inconclusive = option(
        default=Inconclusive.PASS, help="What the gate does if it cannot tell; fail exits with 4."
    )
    strict: bool = option(
        "--strict", default=False, help="Refuse to compare targets that do not do equal work."
    )

    @property
    def new_baseline(self) -> str | None:
        """The baseline that is to be written; None if there is one, or must be."""
        if self.baseline is None or not self.baseline_optional or Path(self.baseline).exists():
            return None
        return self.baseline
