"""Options of the load: connections, rates, time, request; and the presets."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

import typer

from micropie_benchlib.cli.reading import Reads, comma_separated, one_or_more, request_body
from micropie_benchlib.cli.text import parse_rate, parse_seconds, parse_share
from micropie_benchlib.core.choices import Decisive
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.plan import DEFAULT_ROUNDS, USEFUL_ROUNDS, WARM_UP_S
from micropie_benchlib.core.requests import PAIRED_TIMEOUT_S, WORKLOADS, WRK_TIMEOUT_S
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.units import parse_duration


def workload_names() -> list[str]:
    """Return what a shell completes --workload with."""
    return list(WORKLOADS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What --quick, --short and --gist set, unless another option sets it."""

    connections: str
    duration: str
    rounds: int


DEFAULTS = Preset(connections="100,200", duration="2s", rounds=DEFAULT_ROUNDS)
QUICK = Preset(connections="100", duration="1s", rounds=1)
SHORT = Preset(connections="100", duration="1s", rounds=10)
GIST = Preset(connections="100,200", duration="30s", rounds=1)
SEARCH = Preset(connections="100", duration="2s", rounds=USEFUL_ROUNDS)
MAX_TIME_S = 3600  # for a --precision


def choose_preset(*, quick: bool = False, short: bool = False, gist: bool = False) -> Preset:
    """Return the values of what no other option sets. Raises UsageError for two presets."""
    if quick + short + gist > 1:
        raise UsageError("--quick, --short and --gist exclude each other")
    if quick:
        return QUICK
    if short:
        return SHORT
    return GIST if gist else DEFAULTS


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How many connections wrk opens, by how many threads."""

    PANEL: ClassVar = "Load"

    connections: Annotated[
        str | None,
        typer.Option(
            "-c",
            "--connections",
            metavar="N,N...",
            help="Numbers of connections, separated by commas.",
            show_default=f"{DEFAULTS.connections}; {SEARCH.connections} for a capacity",
        ),
        Reads(comma_separated),
    ] = None
    threads: Annotated[
        int, typer.Option("-t", "--threads", min=1, metavar="N", help="wrk's threads.")
    ] = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOptions:
    """Whether requests are made at a rate."""

    PANEL: ClassVar = "Load"

    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="Requests/s in all, such as 5000, or a share of what the slowest target "
            "answers, such as 70%; latency counts from when a request was due.",
            show_default="as fast as they are answered",
        ),
    ] = None

    @property
    def is_share(self) -> bool:
        """Whether the rate is a share."""
        return self.rate is not None and self.rate.strip().endswith("%")

    @property
    def per_s(self) -> float | None:
        """The rate, where it is no share. Raises UsageError."""
        return None if self.rate is None or self.is_share else parse_rate(self.rate)

    @property
    def share(self) -> float | None:
        """The rate, where it is a share. Raises UsageError."""
        if self.rate is None or not self.is_share:
            return None
        share = parse_share("--rate", self.rate)
        if not 0 < share <= 1:
            raise UsageError(
                f"{self.rate!r}: use a share from 1% to 100%, or requests/s", option="--rate"
            )
        return share


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialOptions:
    """How long and how often is measured."""

    PANEL: ClassVar = "Rounds and trials"

    duration: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--duration",
            metavar="TIME",
            help="Duration of each trial, such as 5s or 1m.",
            show_default=DEFAULTS.duration,
        ),
    ] = None
    rounds: Annotated[
        int | None,
        typer.Option(
            "-r",
            "--rounds",
            min=1,
            metavar="N",
            help="Rounds: each starts every server afresh.",
            show_default=f"{DEFAULTS.rounds}; {SEARCH.rounds} for a capacity",
        ),
    ] = None
    warm_up: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Load on each server before its first trial.",
            show_default=f"{WARM_UP_S}s",
        ),
    ] = None
    start_timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long a server may take to start.",
            show_default=f"{ServerSettings().start_timeout_s:.0f}s",
        ),
    ] = None
    seed: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Seed of the random order; chosen and recorded if not given."
        ),
    ] = None

    def duration_s(self, preset: Preset) -> int:
        """Return each trial's duration in whole seconds. Raises UsageError."""
        return parse_duration(preset.duration if self.duration is None else self.duration)

    @property
    def warm_up_s(self) -> float:
        """How long servers are warmed up. Raises UsageError."""
        return WARM_UP_S if self.warm_up is None else parse_seconds("--warm-up", self.warm_up)

    def serving(self, settings: ServerSettings) -> ServerSettings:
        """Return the settings with the time that a server may take. Raises UsageError."""
        if self.start_timeout is None:
            return settings
        start_timeout_s = parse_seconds("--start-timeout", self.start_timeout)
        return dataclasses.replace(settings, start_timeout_s=start_timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingOptions(TrialOptions):
    """The same, and what a verdict goes by."""

    precision: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Half-width that the intervals should have, such as 1%: the rounds after --rounds "
            "are as many as that needs.",
        ),
    ] = None
    max_time: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="How long --precision may take.",
            show_default=f"{MAX_TIME_S // 3600}h",
        ),
    ] = None
    paired: Annotated[
        bool | None,
        typer.Option(
            "--paired/--no-paired",
            help="Measure two targets at the same time, too: what disturbs one disturbs both.",
            show_default="where possible",
        ),
    ] = None
    metric: Annotated[
        Decisive | None,
        typer.Option(
            help="What verdicts and gate go by.",
            show_default="cpu where CPU limits the servers, else throughput; at a rate p99",
        ),
    ] = None

    @property
    def wished_precision(self) -> float | None:
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
        """How long a --precision may take. Raises UsageError."""
        return MAX_TIME_S if self.max_time is None else parse_seconds("--max-time", self.max_time)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOptions:
    """The request that is repeated."""

    PANEL: ClassVar = "Request"

    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"{', '.join(WORKLOADS)}; repeatable.",
            autocompletion=workload_names,
        ),
        Reads(one_or_more),
    ] = None
    path: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A path to request; repeatable.", show_default="/"),
        Reads(one_or_more),
    ] = None
    method: Annotated[
        str | None,
        typer.Option(
            "-X",
            "--method",
            metavar="NAME",
            help="The request's method.",
            show_default="GET; POST with --body",
        ),
    ] = None
    header: Annotated[
        list[str] | None,
        typer.Option(
            "-H", "--header", metavar="'NAME: VALUE'", help="A header to send; repeatable."
        ),
        Reads(one_or_more),
    ] = None
    body: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The request's body; @FILE is a file's content, '-' standard input.",
        ),
        Reads(request_body),
    ] = None
    expect_status: Annotated[
        int | None,
        typer.Option(
            min=200,
            max=599,
            metavar="N",
            help="The status that answers must have.",
            show_default="any 2xx",
        ),
    ] = None
    keep_alive: Annotated[
        bool, typer.Option(help="Keep connections open; without, each request has one of its own.")
    ] = True
    timeout: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Count slower responses as errors.",
            show_default=f"{WRK_TIMEOUT_S}s; {PAIRED_TIMEOUT_S}s in paired trials",
        ),
    ] = None


MAX_LIMIT_SHARE = 0.05  # of a trial's time: a rate that is 5% too high makes such a queue


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What capacity is sought."""

    PANEL: ClassVar = "Load"

    p99_limit: Annotated[
        str, typer.Option(metavar="TIME", help="The limit of the p99 latency, such as 50ms.")
    ] = "50ms"

    def limit_s(self, duration_s: int) -> float:
        """Return the limit of the p99 latency, for trials of that time. Raises UsageError."""
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
