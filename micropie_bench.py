#!/usr/bin/env python3
"""Compare MicroPie with FastAPI, or any two HTTP servers, under identical load.

This is the command line: the story of each command. What the stories are made of lies in
the rooms of micropie_benchlib/, and each uses only those named before it, in its line:

core      targets, loads, plans, measurements, results: what everything else speaks of
  wrk     its command line, its exact figures, its text reports
  stats   intervals, verdicts, ranks, the gate's decision, whether a trial counts
  report  tables and sentences; a module for each export
core
  system  processes and their guard, /proc, clocks, checks of the machine
  serve   how targets are started, asked and ended; a module for each ASGI server
  load    one trial: servers on one side, wrks on the other (uses wrk and stats, too)
  remote  the same on other machines; run does not know it
  run     rounds, launches, rates, capacities
cli       options, bench.toml, targets as typed, progress, exports (uses all)
programs  what runs as a process of its own, with the standard library alone
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import errno
import functools
import hashlib
import importlib
import inspect
import io
import itertools
import json
import math
import os
import platform
import random
import re
import shlex
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, ClassVar, NoReturn, get_args, get_type_hints

import psutil
import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from micropie_benchlib import __version__
from micropie_benchlib.core.arrivals import rate_complaint
from micropie_benchlib.core.built_ins import BUILT_INS, BuiltIn
from micropie_benchlib.core.choices import AsgiServer, Decisive, Http, Loop, Method, Verdict
from micropie_benchlib.core.errors import BenchError, CannotGoOnError, HopelessError, UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.measurements import Measurement
from micropie_benchlib.core.paths import APPS, BUNDLED, ROOT
from micropie_benchlib.core.plan import DEFAULT_ROUNDS, USEFUL_ROUNDS, WARM_UP_S, Places, Plan
from micropie_benchlib.core.requests import (
    BUILT_IN_PATHS,
    DEFAULT_WORKLOAD,
    NAMED_WORKLOADS,
    WORKLOADS,
    WRK_TIMEOUT_S,
    Workload,
    header_value,
)
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.results import (
    Environment,
    Machine,
    Results,
    Role,
    Settings,
    WorkloadFacts,
)
from micropie_benchlib.core.secrets import HIDDEN, NO_SECRETS, Secrets, without_url_secrets
from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    ServerSettings,
    Target,
    UrlTarget,
)
from micropie_benchlib.core.text import format_latency, format_rate
from micropie_benchlib.core.units import SECONDS_IN, parse_duration
from micropie_benchlib.core.values import FinalStatus, Headers, Positive, Scheme
from micropie_benchlib.load.failures import TRIAL_ERRORS
from micropie_benchlib.load.generators import DUET_TIMEOUT_S
from micropie_benchlib.load.links import link_of
from micropie_benchlib.load.machine import describe_machine
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.load.trial import apply_load, apply_warm_up, at_once, endless, load_of_wrk
from micropie_benchlib.load.wrk_program import examine_wrk, find_wrk
from micropie_benchlib.remote.agent import BOOT_ID, AgentFacts
from micropie_benchlib.remote.crew import Crew
from micropie_benchlib.remote.machines import OtherMachine, Ssh
from micropie_benchlib.report.calibration import calibration_conclusion
from micropie_benchlib.report.conclusions import conclude, conclude_side_by_side
from micropie_benchlib.report.csv_rows import to_csv
from micropie_benchlib.report.drawing import draw_speeds
from micropie_benchlib.report.editions import (
    EDITIONS,
    EDITIONS_BY_DAY,
    Edition,
    editions_table,
    label_of,
    reproduction_conclusion,
)
from micropie_benchlib.report.equal_work import work_tables
from micropie_benchlib.report.figures import format_speed, useful_interval
from micropie_benchlib.report.gate import gate_sentences
from micropie_benchlib.report.github import to_github_benchmark
from micropie_benchlib.report.headings import machine_tables
from micropie_benchlib.report.layout import Conclusion, Report, Table, columns_from
from micropie_benchlib.report.markdown import to_markdown, wrk_reports
from micropie_benchlib.report.markdown_text import markdown_lines
from micropie_benchlib.report.merging import check_same_load, merge, suffixed_by_file
from micropie_benchlib.report.page import to_html
from micropie_benchlib.report.printing import printable, printable_lines
from micropie_benchlib.report.results_file import from_json, to_json
from micropie_benchlib.report.tables import result_tables
from micropie_benchlib.report.terminal import INDENT, broken, terminal_lines
from micropie_benchlib.run.actions import Actions
from micropie_benchlib.run.estimates import SEARCH_STEPS, SEARCH_TRIALS, planned_s, rehearsal_s
from micropie_benchlib.run.experiment import EarlyEnd, run_experiment
from micropie_benchlib.run.schedule import launch_groups, schedule
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, free_port, split_url
from micropie_benchlib.serve.asgi import ASGI_SERVERS, SERVER_PACKAGES
from micropie_benchlib.serve.files import needed_files
from micropie_benchlib.serve.kinds import launched_targets, with_addresses
from micropie_benchlib.serve.logs import trim
from micropie_benchlib.serve.packages import fetch
from micropie_benchlib.serve.servers import RunningServer
from micropie_benchlib.serve.start import run_prepare, start_server
from micropie_benchlib.serve.versions import package_versions
from micropie_benchlib.stats.deciding import deciding_metrics
from micropie_benchlib.stats.distributions import distribute
from micropie_benchlib.stats.gate import Gate
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.system.checks import Finding, State, examine, state_of
from micropie_benchlib.system.children import TICK_S, await_any
from micropie_benchlib.system.processes import all_cores, require_proc, search_file
from micropie_benchlib.system.temporary import temporary_directory
from micropie_benchlib.wrk.documents import decode_text
from micropie_benchlib.wrk.rows import parse_reports

if TYPE_CHECKING:
    from rich.console import Console


TOP_EXAMPLES = """
\b
Examples:
  micropie_bench compare              MicroPie against FastAPI, some 4 minutes
  micropie_bench compare --quick      a try in 10 s: one round, so no result
  micropie_bench compare a=old:app b=new:app
  micropie_bench COMMAND --help       more of each command
"""
TARGET_SYNTAX = """
\b
A target is one of
  micropie, fastapi, starlette, asgi  built in; `targets` lists all
  fastapi@0.115.7                     that release of it, fetched once
  fastapi@2025-06-03                  with its server, as of that day
  module:attribute                    your ASGI app, found from this directory
  'cmd:COMMAND'                       any server, with {port} for its port
  http://HOST:PORT/                   a server that runs already
NAME=TARGET sets the name that tables show.
"""
CAPACITY_EXAMPLES = """
\b
Examples:
  micropie_bench capacity
  micropie_bench capacity fastapi mine=app:app --p99 20ms -c 50
  micropie_bench capacity mine=app:app -r 1    # a first look, no interval
"""
COMPARE_EXAMPLES = """
\b
Examples:
  micropie_bench compare -c 50,400 -r 12
  micropie_bench compare before=old:app after=app:app --path /items
  micropie_bench compare mine=app:app 'go=cmd:./server -port {port}'
  micropie_bench compare one=app:app four=app:app --set one.workers=1
  micropie_bench compare --config bench.toml
  micropie_bench compare micropie@0.13 micropie --fail-if-slower 5%
  micropie_bench compare --export-json run.json --export-html run.html
"""
SERVE_EXAMPLES = """
\b
Examples:
  micropie_bench serve micropie
  micropie_bench serve app:app --port 9000 -w 2
"""
REPRODUCE_EXAMPLES = """
\b
Examples:
  micropie_bench reproduce             the gist
  micropie_bench reproduce --list      six tables that were published
  micropie_bench reproduce 2026-05-11
"""
PARSE_EXAMPLES = """
\b
Examples:
  wrk -t4 -c100 -d30s --latency http://127.0.0.1:8000/ | micropie_bench parse
  micropie_bench parse reports.txt --export-markdown tables.md
A line before a report names its framework.
"""
REPORT_EXAMPLES = """
\b
Examples:
  micropie_bench report run.json --export-html run.html
  micropie_bench report here.json there.json
"""
ABOUT = (__doc__ or "micropie_bench").splitlines()[0]  # python -OO drops docstrings
OTHER_OPTIONS = "Other options"


def write_options(subject: Any, context: typer.Context, formatter: Any) -> None:
    """Write the help of arguments and options under the names of their groups."""
    records: dict[str, list[tuple[str, str]]] = {}
    for parameter in subject.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        name, text = record
        title = getattr(parameter, "rich_help_panel", None) or OTHER_OPTIONS
        text = re.sub(r"\[default: \((.*?)\)(?=[;\]])", r"[default: \1", text)
        if parameter.param_type_name == "argument":
            title, name = "Arguments", name.partition(" <")[0]  # without typer's type
        records.setdefault(title, []).append((name, text))
    for title in sorted(records, key=lambda title: title == OTHER_OPTIONS):  # these last
        with formatter.section(title):
            formatter.write_dl(records[title], col_max=26)


REQUEST_NAMES = ("path", "method", "header", "body")
PRESET_NAMES = ("connections", "duration", "rounds", "precision", "max_time")
OVERRIDES: Mapping[str, Sequence[str]] = {
    "quick": (*PRESET_NAMES, "short", "gist"),
    "short": (*PRESET_NAMES, "quick", "gist"),
    "gist": (*PRESET_NAMES, "quick", "short"),
    "workload": REQUEST_NAMES,
    **dict.fromkeys(REQUEST_NAMES, ("workload",)),
}


def came_from(context: Any, name: str) -> str:
    """Return where the value of an option came from: COMMANDLINE, DEFAULT_MAP or another."""
    source = context.get_parameter_source(name)
    return source.name if source else ""


def file_at_fault(context: Any, message: str) -> str:
    """Return bench.toml and a colon, if the message begins with an option that it sets."""
    option = re.match(r"--(?:no-)?([a-z0-9-]+)", message)
    if option and came_from(context, option[1].replace("-", "_")) == "DEFAULT_MAP":
        return f"{context.params['config']}: "
    return ""


class GroupedCommand(TyperCommand):
    """A command whose help has its options in groups.

    An option of the command line goes before what bench.toml says instead of it, and an error
    says which of the two it is in.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command, without what the command line overrides."""
        defaults = {parameter.name: parameter.default for parameter in self.params}
        for name, overridden in OVERRIDES.items():
            if came_from(ctx, name) != "COMMANDLINE":
                continue
            for other in overridden:
                if came_from(ctx, other) == "DEFAULT_MAP":
                    ctx.params[other] = defaults[other]
        try:
            return super().invoke(ctx)
        except UsageError as error:
            raise UsageError(file_at_fault(ctx, str(error)) + str(error)) from None

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options in groups."""
        write_options(self, ctx, formatter)


class GroupedTop(TyperGroup):
    """The top command: its help has each command's line whole."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands, then the options."""
        rows = []
        for name in self.list_commands(ctx):
            subcommand = self.get_command(ctx, name)
            text = (subcommand.help if subcommand else None) or ""
            rows.append((name, text.partition("\n")[0]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)
        write_options(self, ctx, formatter)


Command = Callable[..., int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEntry:
    """A command, and what stands below its help."""

    name: str
    function: Command
    examples: str


COMMANDS: list[CommandEntry] = []


def command(name: str, *, examples: str = "") -> Callable[[Command], Command]:
    """Return a decorator that makes a function the command of that name.

    A parameter that is a dataclass stands for a group of options, one for each field: so
    commands share options, and each is declared once.
    """

    def decorate(function: Command) -> Command:
        COMMANDS.append(CommandEntry(name=name, function=function, examples=examples))
        return function

    return decorate


def make_app(top: Callable[..., None]) -> typer.Typer:
    """Return the command line, whose top command is `top`; it is made only once it is needed."""
    app = typer.Typer(
        cls=GroupedTop,
        help=ABOUT,
        epilog=TOP_EXAMPLES,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(top)
    for entry in COMMANDS:
        register = app.command(name=entry.name, cls=GroupedCommand, epilog=entry.examples)
        register(with_groups_as_options(entry.function))
    return app


def with_groups_as_options(function: Command) -> Command:
    """Return the function with the fields of its dataclass parameters in their place."""
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {}
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        if dataclasses.is_dataclass(hints[name]):
            groups[name] = hints[name]
            parameters += group_parameters(hints[name])
        else:
            parameters.append(
                parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
            )

    @functools.wraps(function)
    def call(**values: Any) -> int:
        for name, group in groups.items():
            fields = {field.name: values.pop(field.name) for field in dataclasses.fields(group)}
            values[name] = group(**fields)
        return function(**values)

    signature = inspect.Signature(parameters)
    call.__signature__ = signature  # type: ignore[attr-defined]  # typer reads it
    return call


def group_parameters(group: Any) -> list[inspect.Parameter]:
    """Return a parameter for each field of a dataclass, with its default.

    In the help they stand under the group's PANEL.
    """
    hints = get_type_hints(group, include_extras=True)
    del hints["PANEL"]  # no option
    for hint in hints.values():
        for option in get_args(hint)[1:]:
            option.rich_help_panel = group.PANEL
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in dataclasses.fields(group)
    ]


def workload_names() -> list[str]:
    """Return what a shell completes --workload with."""
    return list(WORKLOADS)


def target_names() -> list[str]:
    """Return what a shell completes a target with."""
    return list(BUILT_INS)


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
MOST_TIME_S = 3600  # for a --precision
TargetsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[NAME=]TARGET",
        help="What is compared; the first is the reference.  [default: fastapi micropie]",
        show_default=False,
        autocompletion=target_names,
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(
        "-w",
        "--workers",
        min=1,
        metavar="N",
        help="Worker processes of the server.",
        rich_help_panel="Server",
    ),
]
WrkOption = Annotated[
    str | None,
    typer.Option(
        envvar="MICROPIE_BENCH_WRK", metavar="PATH", help="The wrk to use.", rich_help_panel="Load"
    ),
]
RemoteOption = Annotated[
    bool,
    typer.Option(
        "--allow-remote", help="Send load to other machines, too.", rich_help_panel="Load"
    ),
]
VerboseOption = Annotated[
    bool, typer.Option("-v", "--verbose", help="Print all tables and notes, and wrk's own reports.")
]
QuickOption = Annotated[
    bool,
    typer.Option(
        "--quick", help="A quick try: 1 round of 1 s.", rich_help_panel="Rounds and trials"
    ),
]
ShortOption = Annotated[
    bool,
    typer.Option(
        "--short",
        help="A minute: 10 rounds of 1 s at 100 connections.",
        rich_help_panel="Rounds and trials",
    ),
]
GistOption = Annotated[
    bool,
    typer.Option(
        "--gist", help="As in the gist: 1 round of 30 s.", rich_help_panel="Rounds and trials"
    ),
]
PortOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=65535,
        metavar="N",
        rich_help_panel="Server",
        help="The servers' port.",
        show_default="free ones",
    ),
]
StrictOption = Annotated[
    bool,
    typer.Option(
        "--strict",
        help="Refuse to compare targets that do not do equal work.",
        rich_help_panel="Targets",
    ),
]


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
            raise UsageError(f"--rate {self.rate!r}: use a share from 1% to 100%, or requests/s")
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
            show_default=f"{MOST_TIME_S // 3600}h",
        ),
    ] = None
    duet: Annotated[
        bool | None,
        typer.Option(
            "--duet/--no-duet",
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
                raise UsageError("--max-time needs --precision, such as 1%")
            return None
        share = parse_share("--precision", self.precision)
        if not 0 < share <= 1:
            raise UsageError(f"--precision {self.precision!r}: use a share such as 1%")
        return share

    @property
    def most_s(self) -> float:
        """How long a --precision may take. Raises UsageError."""
        return MOST_TIME_S if self.max_time is None else parse_seconds("--max-time", self.max_time)


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
    ] = None
    path: Annotated[
        list[str] | None,
        typer.Option(metavar="PATH", help="A path to request; repeatable.", show_default="/"),
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
    ] = None
    body: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            help="The request's body; @FILE is a file's content, '-' standard input.",
        ),
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
            help="A later answer is an error.",
            show_default=f"{WRK_TIMEOUT_S}s; {DUET_TIMEOUT_S}s in duets",
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOptions:
    """Which machines serve and make load; without them it is this one."""

    PANEL: ClassVar = "Machines"

    server_on: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Serve on that machine, as `ssh HOST` reaches it."),
    ] = None
    load_on: Annotated[
        str | None,
        typer.Option(metavar="HOST,HOST...", help="Load from that machine, or from several."),
    ] = None
    ssh_config: Annotated[
        str | None, typer.Option(metavar="FILE", help="What ssh reads instead of ~/.ssh/config.")
    ] = None

    def places(self, targets: Sequence[Target], loads: Sequence[Load]) -> Places:
        """Return the machines. Raises UsageError for those that cannot be."""
        hosts = tuple(filter(None, (self.load_on or "").split(",")))
        if self.load_on is not None and not hosts:
            raise UsageError("--load-on names no machine")
        for host in [*([] if self.server_on is None else [self.server_on]), *hosts]:
            if not re.fullmatch(r"[^-\s/][^\s/]*", host):
                raise UsageError(f"{host!r} is no machine that ssh could reach: give its name")
        if len(set(hosts)) < len(hosts):
            raise UsageError("--load-on names a machine twice")
        places = Places(
            server=self.server_on or "",
            loads=hosts,
            ssh_config=str(Path(self.ssh_config).absolute()) if self.ssh_config else None,
        )
        if self.ssh_config and places.are_here:
            raise UsageError("--ssh-config is for other machines: --server-on, --load-on")
        if self.ssh_config and not Path(self.ssh_config).is_file():
            raise UsageError(f"--ssh-config {self.ssh_config}: there is no such file")
        if self.server_on in hosts and len(hosts) > 1:
            raise UsageError(f"{self.server_on} cannot serve and make load beside other machines")
        for load in loads:
            threads = 1 if load.rate_per_s else load.wrk_threads
            if len(hosts) > load.connections // threads:
                raise UsageError(
                    f"{load.connections} connections of {threads} threads cannot be shared "
                    f"by {len(hosts)} machines: use a smaller -t, or a larger -c"
                )
        for url in itertools.chain(*(target.urls for target in targets if hosts)):
            if are_loopback(addresses_of(split_url(url)[1])):
                raise UsageError(f"{url} is another server on each machine")
        return places


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingOptions:
    """How every target is served."""

    PANEL: ClassVar = "Server"

    workers: WorkersOption = 4
    access_log: Annotated[
        bool, typer.Option(help="The server's access log; the gist had it on.")
    ] = True
    loop: Annotated[
        Loop, typer.Option(help="uvicorn's event loop; auto is uvloop if installed.")
    ] = Loop.AUTO
    http: Annotated[
        Http, typer.Option(help="uvicorn's HTTP parser; auto is httptools if installed.")
    ] = Http.AUTO
    proxy_headers: Annotated[
        bool, typer.Option(help="Let uvicorn read a proxy's headers, its own default.")
    ] = True
    server: Annotated[AsgiServer, typer.Option(help="The server of ASGI apps.")] = (
        AsgiServer.UVICORN
    )
    python: Annotated[
        str | None, typer.Option(metavar="PATH", help="The Python that runs apps of your own.")
    ] = None

    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = (
        "127.0.0.1"
    )

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
        check_uvicorn_options(settings)
        return settings


def check_uvicorn_options(settings: ServerSettings) -> None:
    """Raise UsageError if what only uvicorn lets be chosen is chosen for another server."""
    if ASGI_SERVERS[settings.asgi].has_uvicorn_options:
        return
    if settings.http is not Http.AUTO:
        raise UsageError(f"--http is uvicorn's: {settings.asgi} has its own")
    if not settings.proxy_headers:
        raise UsageError(f"--no-proxy-headers is uvicorn's: {settings.asgi} has no such thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The files that results are written to."""

    PANEL: ClassVar = "Exports"

    export_json: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the results as JSON ('-': stdout).")
    ] = None
    export_markdown: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write the whole report in Markdown.")
    ] = None
    export_csv: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a row for each measurement.")
    ] = None
    export_html: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write a page with charts.")
    ] = None
    export_github_benchmark: Annotated[
        str | None, typer.Option(metavar="FILE", help="Write JSON for github-action-benchmark.")
    ] = None

    def destinations(self) -> dict[str, str]:
        """Return the files asked for, by option."""
        destinations = {}
        for field in dataclasses.fields(self):
            file = getattr(self, field.name)
            if file is not None:
                destinations[f"--{field.name.replace('_', '-')}"] = file
        return destinations


RENDERERS: Mapping[str, Callable[[Report], str]] = {
    "--export-json": lambda report: to_json(report.results),
    "--export-markdown": to_markdown,
    "--export-csv": to_csv,
    "--export-html": to_html,
    "--export-github-benchmark": to_github_benchmark,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """When a slower target fails the run."""

    PANEL: ClassVar = "Gate"

    baseline: Annotated[
        str | None, typer.Option(metavar="RESULTS.json", help="What the gate compares with.")
    ] = None
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Exit with 1 if a target is surely slower by more than that, such as 5%.",
        ),
    ] = None


TABLE_CONFIG: Mapping[str, Any] = {"extra": "forbid", "coerce_numbers_to_str": True}
VARIABLE = re.compile(r"\$(\$?)\{(\w+)\}")
VARIABLE_NAME = r"[A-Za-z_]\w*"
MOST_SHOWN = 60  # characters of a wrong value
SPEC_KEYS = ("app", "command", "url")
TARGET_NAME = r"[\w.@-]+"
PATH_OPTIONS = (
    "baseline",
    "ssh_config",
    *(field.name for field in dataclasses.fields(ExportOptions)),
)
PROGRAM_OPTIONS = ("python", "wrk")


# Groups of options, and options by name, that may stand in bench.toml; as `compare` has them.
FILE_OPTIONS: tuple[Any, ...] = (
    *(LoadOptions, RateOptions, TimingOptions),
    {"quick": QuickOption, "short": ShortOption, "gist": GistOption},
    *(RequestOptions, ServingOptions),
    {"port": PortOption, "strict": StrictOption},
    PlaceOptions,
    {"wrk": WrkOption, "allow_remote": RemoteOption},
    *(GateOptions, ExportOptions),
    {"verbose": VerboseOption},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTable:
    """A target as a table has it; None for what is as for all targets."""

    __pydantic_config__: ClassVar = TABLE_CONFIG

    app: str | None = None
    command: str | None = None
    url: str | None = None
    directory: str | None = None
    python: str | None = None
    env: Mapping[str, str] | None = None
    prepare: str | None = None
    arguments: tuple[str, ...] | None = None
    scheme: Scheme | None = None
    server: AsgiServer | None = None
    workers: Positive | None = None
    access_log: bool | None = None
    loop: Loop | None = None
    http: Http | None = None
    proxy_headers: bool | None = None
    host: str | None = None
    start_timeout: str | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What it sets, by key."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {key: value for key, value in values.items() if value is not None}

    @property
    def spec(self) -> str:
        """The target as on the command line."""
        return f"cmd:{self.command}" if self.command else self.app or self.url or ""

    def server_settings(self, common: ServerSettings) -> ServerSettings | None:
        """Return how it is served; None if that is as all are. Raises UsageError."""
        given = self.given
        changes = {key: given[key] for key in SERVER_KEYS if key in given}
        if not changes:
            return None
        if "server" in changes:
            changes["asgi"] = changes.pop("server")
        if "start_timeout" in changes:
            text = changes.pop("start_timeout")
            changes["start_timeout_s"] = parse_seconds("start_timeout", text)
        settings = dataclasses.replace(common, **changes)
        if not ASGI_SERVERS[settings.asgi].has_uvicorn_options:  # what all have is not for it
            settings = dataclasses.replace(
                settings, http=self.http or Http.AUTO, proxy_headers=self.proxy_headers is not False
            )
        check_uvicorn_options(settings)
        return settings


SERVER_KEYS = (
    *("server", "workers", "access_log", "loop", "http", "proxy_headers", "host"),
    "start_timeout",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadTable:
    """A workload as a table of bench.toml has it."""

    __pydantic_config__: ClassVar = TABLE_CONFIG

    method: str | None = None
    path: str = "/"
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: str | None = None
    body_file: str | None = None
    expect_status: FinalStatus | None = None

    def workload(self, name: str, *, directory: Path) -> Workload:
        """Return the workload of that name. Raises UsageError."""
        if name in WORKLOADS:
            raise UsageError("choose another name: a built-in workload has it")
        if self.body is not None and self.body_file is not None:
            raise UsageError("use either body or body_file")
        body = (self.body or "").encode()
        if self.body_file is not None:
            body = read_body(f"@{directory / self.body_file}")
        headers = parse_headers(f"{key}: {value}" for key, value in self.headers.items())
        return Workload(
            name=name,
            method=parse_method(self.method, default="POST" if body else "GET"),
            path=parse_path(self.path),
            headers=with_content_type(headers, body),
            body=body,
            expect_status=self.expect_status,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchFile:
    """What bench.toml says. Its paths are as seen from where this tool was started.

    `targets` has what each sets, by name, and `settings` what --set does. `options` are
    defaults of the command line's options; `variables` are the values that were taken from
    the environment.
    """

    directory: Path = Path()
    targets: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    workloads: tuple[Workload, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    variables: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """Return the text without the values that were taken from the environment."""
        return Variables(self.variables).hide(text)


NO_FILE = BenchFile()


class Variables:
    """Fills in what texts take from the environment, and knows the values that it took."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = list(values)

    def fill(self, value: Any, place: str) -> Any:
        """Return the value with each ${VARIABLE} in its texts replaced.

        $${VARIABLE} is the text itself. Raises UsageError for a variable that is not set,
        and for what no program can be given.
        """
        if isinstance(value, dict):
            return {key: self.fill(each, f"{place}.{key}") for key, each in value.items()}
        if isinstance(value, list):
            return [self.fill(each, place) for each in value]
        if not isinstance(value, str):
            return value
        if "\0" in value:
            raise UsageError(f"{place}: leave out the character NUL")
        return VARIABLE.sub(functools.partial(self._value, place), value)

    def _value(self, place: str, match: re.Match[str]) -> str:
        escape, name = match.groups()
        if escape:
            return match[0][1:]
        if name not in os.environ:
            raise UsageError(
                f"{place}: the environment has no {name}: set it, or write $${{{name}}} "
                "for the text itself"
            )
        self.values.append(os.environ[name])
        return os.environ[name]

    def hide(self, text: str) -> str:
        """Return the text without those values."""
        return Secrets.of((), (), self.values).hide_whole_words(text)


def validated(kind: Any, value: Any, place: str) -> Any:
    """Return the value as one of that kind. Raises UsageError, in one line with the place."""
    from pydantic import TypeAdapter, ValidationError

    config = None if dataclasses.is_dataclass(kind) else TABLE_CONFIG
    try:
        read = TypeAdapter(kind, config=config).validate_python(value)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
    else:
        check_booleans(value, read, place)
        return read
    steps = [place, *(str(step) for step in first["loc"] if not isinstance(step, int))]
    steps = [step for step in steps if step != "nullable"]  # pydantic's, of what may be None
    if first["type"] == "unexpected_keyword_argument":
        known = [field.name for field in dataclasses.fields(kind)]
        raise unknown_key(".".join(steps), known)
    wanted = first["msg"].replace("Input should be", "use").replace("dictionary", "table")
    shown = repr(first["input"])
    if len(shown) > MOST_SHOWN:  # whole or not at all: a part of a secret would not be known
        raise UsageError(f"{'.'.join(steps)}: {wanted}")
    raise UsageError(f"{'.'.join(steps)} is {shown}: {wanted}")


def check_booleans(value: Any, read: Any, place: str) -> None:
    """Raise UsageError where true or false was read as a number, as pydantic does."""
    if isinstance(value, bool) and read is not value:
        raise UsageError(f"{place} is {str(value).lower()}: use a number")
    if dataclasses.is_dataclass(read):
        for key, each in value.items():
            check_booleans(each, getattr(read, key), f"{place}.{key}")


def unknown_key(place: str, known: Sequence[str]) -> UsageError:
    """Return that there is no such key at the place, whose last part it is."""
    key = place.rpartition(".")[2]
    where = did_you_mean(key, known)
    if key in file_options():
        where = " here: it belongs above the first [table]"
    return UsageError(f"{place}: unknown key{where or '; use ' + ', '.join(known)}")


def file_options() -> dict[str, Any]:
    """Return the type of each option that bench.toml may have, by its name there."""
    annotations: dict[str, Any] = {}
    for each in FILE_OPTIONS:
        if isinstance(each, dict):
            annotations |= each
        else:
            annotations |= {option.name: option.annotation for option in group_parameters(each)}
    return {name: get_args(annotation)[0] for name, annotation in annotations.items()}


def take_defaults(context: typer.Context, file: str | None) -> str | None:
    """Let the file's options be the defaults of the command line's."""
    if file is not None:
        context.default_map = dict(read_bench_file(file).options)
    return file


@functools.cache  # the command line asks for it first, then the command
def read_bench_file(file: str) -> BenchFile:
    """Return what the file says. Raises UsageError, in one line with the place."""
    import tomllib

    try:
        content = read_whole(file, f"--config {file!r}", most_bytes=MOST_CONFIG_BYTES)
        data = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # not TOML, or not UTF-8
        raise UsageError(f"--config {file!r}: {error}") from None
    variables = Variables()
    try:
        filled = {key: variables.fill(value, key) for key, value in data.items()}
        return bench_file(filled, directory=Path(file).parent, variables=variables.values)
    except UsageError as error:
        raise UsageError(f"{file}: {variables.hide(str(error))}") from None


def bench_file(
    content: Mapping[str, Any], *, directory: Path, variables: Sequence[str]
) -> BenchFile:
    """Return what the content of a file in the directory says. Raises UsageError."""
    content = dict(content)
    targets = content.pop("targets", {})
    workloads = content.pop("workloads", {})
    types = file_options()
    options = {}
    for name, value in content.items():
        if name not in types:
            raise unknown_key(name, [*types, "targets", "workloads"])
        options[name] = file_option(name, value, types[name], directory)
    described = [name for name in REQUEST_NAMES if name in options]
    if workloads and described:
        raise UsageError(f"{described[0]}: leave it out, for [workloads] has the requests")
    return BenchFile(
        directory=directory,
        targets=target_tables(targets, directory),
        workloads=tuple(file_workloads(workloads, directory)),
        options=options,
        variables=tuple(dict.fromkeys(variables)),
    )


def file_option(name: str, value: Any, kind: Any, directory: Path) -> Any:
    """Return an option of the file as the command line has it. Raises UsageError."""
    if name == "connections" and isinstance(value, list):
        value = ",".join(map(str, value))
    if name == "rate" and isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if kind == list[str] | None and isinstance(value, str):
        value = [value]
    value = validated(kind, value, name)
    if not isinstance(value, str):
        return value
    if name in PATH_OPTIONS and value != "-":
        return str(directory / value)
    if name in PROGRAM_OPTIONS:
        return program_path(value, directory)
    if name == "body" and value.startswith("@"):
        return f"@{directory / value[1:]}"
    return str(value)


def program_path(text: str, directory: Path) -> str:
    """Return a program as seen from here: a path is from the directory, a name is left."""
    return str(directory / text) if "/" in text else text


def target_tables(targets: Any, directory: Path) -> dict[str, Mapping[str, Any]]:
    """Return what a file says of its targets, by name. Raises UsageError.

    They are tables, or each is as on the command line.
    """
    if isinstance(targets, list):
        targets = named_targets(validated(list[str], targets, "targets"))
    tables: dict[str, Mapping[str, Any]] = {}
    for name, value in validated(dict[str, Any], targets, "targets").items():
        place = checked_place("targets", name)
        table = spec_table(value) if isinstance(value, str) else value
        given = target_table(validated(dict[str, Any], table, place), place)
        check_spec(given, place)
        if "python" in given:
            given["python"] = program_path(given["python"], directory)
        if "directory" in given:
            given["directory"] = str(directory / given["directory"])
        tables[name] = given
    return tables


def check_spec(table: Mapping[str, Any], place: str) -> None:
    """Raise UsageError unless the table says in one way what the target is."""
    if sum(key in table for key in SPEC_KEYS) != 1:
        raise UsageError(f"{place}: a target needs one of app, command and url")


def named_targets(texts: Iterable[str]) -> dict[str, str]:
    """Return the specs of targets as on the command line, by name. Raises UsageError."""
    specs: dict[str, str] = {}
    for text in texts:
        name, spec = split_target(text)
        name = name or default_name(spec)
        if name in specs:
            raise UsageError(f"targets: two are named {name!r}: name them apart, as 'a={spec}'")
        specs[name] = spec
    return specs


def checked_place(table: str, name: str) -> str:
    """Return where the table of that name stands. Raises UsageError for what is no name."""
    if not name or not name.isprintable():
        raise UsageError(f"{table}.{name!r}: a name consists of characters that can be printed")
    return f"{table}.{name}"


def target_table(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return what the table of a target sets, by key. Raises UsageError."""
    table = dict(table)
    if isinstance(table.get("arguments"), str):
        try:
            table["arguments"] = shlex.split(table["arguments"])
        except ValueError as error:
            raise UsageError(f"{place}.arguments: {error}") from None
    read: TargetTable = validated(TargetTable, table, place)
    for name in read.env or {}:
        if not re.fullmatch(VARIABLE_NAME, name):
            raise UsageError(f"{place}.env.{name}: a variable's name has letters, digits and _")
    return read.given


def file_workloads(workloads: Any, directory: Path) -> Iterator[Workload]:
    """Yield the file's workloads. Raises UsageError."""
    for name, table in validated(dict[str, Any], workloads, "workloads").items():
        place = checked_place("workloads", name)
        read: WorkloadTable = validated(WorkloadTable, table, place)
        try:
            yield read.workload(name, directory=directory)
        except UsageError as error:
            raise UsageError(f"{place}: {error}") from None


def parse_settings(texts: Iterable[str], variables: Variables) -> dict[str, dict[str, Any]]:
    """Return what --set says: a table for each target, by name. Raises UsageError."""
    keys = [field.name for field in dataclasses.fields(TargetTable) if field.name != "env"]
    setting = re.compile(
        rf"(?:targets\.)?(.+?)\.({'|'.join(keys)}|env\.{VARIABLE_NAME})=(.*)", re.S
    )
    tables: dict[str, dict[str, Any]] = {}
    for text in texts:
        match = setting.fullmatch(text)
        if not match:
            shown = text.partition("=")[0]  # its value may be a secret
            raise UsageError(
                f"--set {shown}: use NAME.KEY=VALUE, as in mine.workers=1; KEY is one of "
                f"{', '.join(keys)}, env.VARIABLE"
            )
        name, key, value = match.groups()
        value = variables.fill(value, f"--set {name}.{key}")
        table = tables.setdefault(name, {})
        if key.startswith("env."):
            table.setdefault("env", {})[key.removeprefix("env.")] = value
        else:
            table.update(target_table({key: value}, f"--set {name}"))
    return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOptions:
    """Where targets have settings of their own."""

    PANEL: ClassVar = "Targets"

    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Targets, workloads and options in TOML, such as bench.toml.",
            callback=take_defaults,
            is_eager=True,
        ),
    ] = None
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME.KEY=VALUE",
            help="A setting of one target, such as mine.workers=1; repeatable.",
        ),
    ] = None

    def read(self) -> BenchFile:
        """Return what the file and --set say; nothing if there is none. Raises UsageError."""
        file = NO_FILE if self.config is None else read_bench_file(self.config)
        variables = Variables(file.variables)
        try:
            settings = parse_settings(self.settings or (), variables)
        except UsageError as error:
            raise UsageError(variables.hide(str(error))) from None
        return dataclasses.replace(file, settings=settings, variables=tuple(variables.values))


def hiding_variables(function: Command) -> Command:
    """Return the command so that no error of it has a value taken from the environment."""

    @functools.wraps(function)
    def call(*, config: ConfigOptions, **values: Any) -> int:
        try:
            return function(config=config, **values)
        except HopelessError:  # its reasons are without them
            raise
        except BenchError as error:
            message = config.read().hide(str(error))
            if message == str(error):
                raise
            raise type(error)(message) from None

    return call


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question that names the known word most like it; nothing if none is."""
    import difflib

    matches = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""


def find_python(wanted: str | None) -> str:
    """Return the path of the Python asked for, empty if none is. Raises UsageError."""
    if not wanted:
        return ""
    path = shutil.which(wanted)
    if path:
        return str(Path(path).absolute())
    hint = ": there is no such program"
    if Path(wanted, "bin", "python").exists():
        hint = f" is a directory: use {Path(wanted, 'bin', 'python')}"
    raise UsageError(f"python {wanted!r}{hint}")


def split_target(text: str) -> tuple[str | None, str]:
    """Return the name, if there is one, and the spec of `[NAME=]SPEC`."""
    match = re.fullmatch(rf"(?:({TARGET_NAME})=)?(.+)", text, re.DOTALL)
    return (match[1], match[2]) if match else (None, text)


def spec_table(spec: str) -> dict[str, Any]:
    """Return what a spec says, by the keys of a target's table."""
    kind, _, rest = spec.partition(":")
    if kind == "cmd":
        return {"command": rest}
    return {"url" if is_url(spec) else "app": spec}


def is_url(spec: str) -> bool:
    """Return whether a spec is the URL of a server that somebody else runs."""
    return re.match(r"https?://", spec) is not None


def default_name(spec: str) -> str:
    """Return the name of a target that is given none. Raises UsageError."""
    kind, _, rest = spec.partition(":")
    if kind != "cmd":
        return without_url_secrets(spec)
    return Path(command_words(rest)[0]).name.replace("{python}", "python")


def command_words(command_line: str) -> list[str]:
    """Return the words of a command. Raises UsageError for one that would need a shell."""
    shown = f"'cmd:{command_line}'"
    try:
        words = shlex.split(command_line)
    except ValueError as error:
        raise UsageError(f"{shown}: {error}") from None
    if not words:
        raise UsageError("cmd: needs a command, as in 'cmd:server --port {port}'")
    if match := re.match(r"([A-Za-z_]\w*)=", words[0]):
        raise UsageError(
            f"{shown}: no shell reads this: leave {words[0]} out, "
            f"and use --set NAME.env.{match[1]}=VALUE, or env in bench.toml"
        )
    if words[0] == "cd":
        raise UsageError(
            f"{shown}: no shell reads this: leave cd out, "
            "and use --set NAME.directory=DIRECTORY, or directory in bench.toml"
        )
    for word in words:
        if re.fullmatch(r"&&?|\|\|?|[<>]{1,2}|\S*;", word):
            raise UsageError(f"{shown}: no shell reads {word!r}: use 'cmd:sh -c \"...\"'")
    return words


DECIDED_ARGUMENT = re.compile(
    r"--(host|port|bind|uds|fd|workers|reload|app-dir|interface|loop|worker-class"
    r"|(no-)?access-log(file)?|(no-)?proxy-headers)(=|$)|-[bwk]"
)
KEYS_WITHOUT_MEANING: Mapping[str, tuple[str, ...]] = {
    "an ASGI app": (),
    "a built-in": ("scheme", "directory"),
    "a command": ("server", "arguments", "access_log", "loop", "http", "proxy_headers"),
    "a URL": tuple(field.name for field in dataclasses.fields(TargetTable) if field.name != "url"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSpec:
    """A target as asked for, and what decides how it is served.

    `table` has what it sets itself, `server` what all do. `python` is one that all apps of
    the user's have.
    """

    name: str
    table: TargetTable
    directory: Path
    server: ServerSettings
    python: str | None

    @property
    def spec(self) -> str:
        """The target as on the command line."""
        return self.table.spec

    def target(self) -> Target:
        """Return the target that is meant. Raises UsageError if there is none."""
        if self.table.command is not None:
            return self._command_target(self.table.command)
        if self.table.url is not None:
            return self._url_target(self.table.url)
        built_in = self.spec.partition("@")[0]
        if built_in in BUILT_INS:
            return self._built_in_target(built_in)
        if not re.fullmatch(r"[^\W\d][\w.]*:[^\W\d][\w.]*", self.spec) or ".py:" in self.spec:
            raise unknown_target(self.spec)
        return AsgiTarget(
            name=self.name,
            label=self.name,
            spec=self.spec,
            app=self.spec,
            directory=self._own_directory(),
            python=find_python(self.table.python or self.python),
            arguments=self._arguments(),
            scheme=self.table.scheme or "http",
            **self._common("an ASGI app"),
        )

    def _common(self, kind: str) -> dict[str, Any]:
        """Return what all targets that are started may set.

        Raises UsageError for what has no meaning for a target of that kind.
        """
        for key in KEYS_WITHOUT_MEANING[kind]:
            if key in self.table.given:
                raise UsageError(f"{self.name}.{key} has no meaning for {kind}: leave it out")
        return {
            "env": tuple((self.table.env or {}).items()),
            "prepare": self.table.prepare or "",
            "server": self.table.server_settings(self.server),
        }

    def _arguments(self) -> tuple[str, ...]:
        """Return what its server gets besides. Raises UsageError for what the tool decides."""
        arguments = self.table.arguments or ()
        for argument in arguments:
            if DECIDED_ARGUMENT.match(argument):
                raise UsageError(
                    f"{self.name}.arguments: leave out {argument}, which this tool decides; "
                    f"{', '.join(SERVER_KEYS)} are keys of their own"
                )
        return arguments

    def _own_directory(self) -> Path:
        """Return where it runs. Raises UsageError if there is no such directory."""
        directory = Path(self.table.directory or self.directory).absolute()
        if not directory.is_dir():
            raise UsageError(f"{self.name}.directory: there is no directory {str(directory)!r}")
        return directory

    def _url_target(self, url: str) -> UrlTarget:
        """Return a server that somebody else runs. Raises UsageError if it cannot be one."""
        if not is_url(url):
            raise UsageError(f"{url!r}: a URL begins with http:// or https://")
        self._common("a URL")
        split_url(url)
        return UrlTarget(name=self.name, label=self.name, spec=without_url_secrets(url), url=url)

    def _built_in_target(self, key: str) -> AsgiTarget:
        """Return a built-in; raise UsageError if it is neither here nor to be fetched."""
        built_in = BUILT_INS[key]
        version = self._release(key)
        if "PYTHONPATH" in (self.table.env or {}):
            raise UsageError(
                f"{self.name}.env.PYTHONPATH has no meaning for a built-in, which runs with "
                "what was installed for it: leave it out"
            )
        label = f"{built_in.label} {version}" if version else built_in.label
        python = find_python(self.table.python)
        target = AsgiTarget(
            name=self.name,
            label=label if self.name == self.spec else self.name,
            spec=self.spec,
            app=f"apps:{key}",
            directory=APPS,
            python=python,
            arguments=self._arguments(),
            packages=built_in.packages,
            package_dir=ROOT if BUNDLED and not version and not python else None,
            is_built_in=True,
            **self._common("a built-in"),
        )
        asgi = (target.server or self.server).asgi
        if parse_day(version):
            requirements = (*built_in.packages[:1], *ASGI_SERVERS[asgi].packages)
            return dataclasses.replace(target, requirements=requirements, as_of=version)
        if version:
            requirements = self._requirements(built_in, version, asgi)
            return dataclasses.replace(target, requirements=requirements)
        self._require_installed(target, asgi)
        return target

    def _release(self, key: str) -> str:
        """Return the version of a built-in that is asked for, or the day; empty if none is.

        Raises UsageError for what is neither.
        """
        if self.spec == key:
            return ""
        release = self.spec.removeprefix(f"{key}@")
        if not parse_day(release) and not re.fullmatch(r"\d[\w.!+]*", release):
            raise UsageError(
                f"unknown target {self.spec!r}: a version is like {key}@0.32, a day like "
                f"{key}@2025-06-03"
            )
        if self.table.python:
            raise UsageError(f"{self.name}.python: a fetched version runs on this tool's Python")
        return release

    def _require_installed(self, target: AsgiTarget, asgi: AsgiServer) -> None:
        """Raise UsageError if the built-in's framework, or its server, is not there."""
        for package in [*target.packages[:1], asgi]:
            if package_versions([package], python=target.python):
                continue
            if target.python:
                raise UsageError(
                    f"{self.name}: no {package} there: {target.python} -m pip install {package}"
                )
            release = f"{self.spec if package == asgi else package}@VERSION"
            raise UsageError(
                f"{package} is not installed here: install it, or use {release}, which fetches it"
            )

    def _requirements(self, built_in: BuiltIn, version: str, asgi: AsgiServer) -> tuple[str, ...]:
        """Return what pip fetches: the release, and the servers of the others."""
        if not built_in.packages:
            key = self.spec.partition("@")[0]
            raise UsageError(f"{self.spec!r}: {key} is part of this tool, and has no versions")
        uvicorn, chosen = ASGI_SERVERS[AsgiServer.UVICORN], ASGI_SERVERS[asgi]
        versions = package_versions([*uvicorn.packages, *chosen.packages])
        requirements = [f"{built_in.packages[0]}=={version}"]
        requirements += [f"{name}=={pinned}" for name, pinned in versions.items()]
        if asgi not in versions:
            requirements.append(asgi)
        return tuple(requirements)

    def _command_target(self, command_line: str) -> CommandTarget:
        """Return a server that a command starts. Raises UsageError if it cannot be one."""
        texts = [*command_words(command_line), *(self.table.env or {}).values()]
        if not any("{port}" in text for text in texts):
            raise UsageError(
                f"{self.spec!r}: a command needs {{port}} where its port goes, "
                "as in 'cmd:server --port {port}'"
            )
        if self.table.workers and not any("{workers}" in text for text in texts):
            raise UsageError(f"{self.name}.workers: the command has no {{workers}} to say it by")
        return CommandTarget(
            name=self.name,
            label=self.name,
            spec=self.spec,
            command=command_line,
            directory=self._own_directory(),
            python=find_python(self.table.python or self.python),
            scheme=self.table.scheme or "http",
            **self._common("a command"),
        )


def parse_day(text: str) -> str | None:
    """Return the day, as 2025-06-03; None for another text. Raises UsageError."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        day = datetime.date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text}: {error}") from None
    if day > datetime.datetime.now(datetime.UTC).date():
        raise UsageError(f"{text} is yet to come: name a day up to today")
    return text


def unknown_target(spec: str) -> UsageError:
    """Return that the spec is no target, and what was probably meant."""
    shown = f"unknown target {without_url_secrets(spec)!r}"
    if re.fullmatch(r"[\w.-]+:\d+(/\S*)?|\[[\da-f:]+\](:\d+)?(/\S*)?", spec):
        return UsageError(f"{shown}: a URL begins with http://, as in http://{spec}")
    path, _, attribute = spec.partition(":")
    if path.endswith(".py"):
        module = ".".join(Path(path).with_suffix("").parts)
        if path.startswith(("/", "..")):
            module = Path(path).stem
        meant = f"{module}:{attribute or 'app'}"
        return UsageError(f"{shown}: name the module, not its file, as in {meant}")
    return UsageError(
        f"{shown}{did_you_mean(spec, BUILT_INS)}: use {', '.join(BUILT_INS)}, "
        "one of these @VERSION or @DAY, module:attribute for an ASGI app in this directory, "
        "cmd:COMMAND, or http://HOST:PORT/"
    )


def parse_target(text: str, serving: ServingOptions | None = None) -> Target:
    """Return the target that `[NAME=]SPEC` names. Raises UsageError if there is none."""
    (target,) = parse_targets([text], serving or ServingOptions())
    return target


def find_edition(day: str) -> Edition:
    """Return the published table of that day. Raises UsageError if there is none."""
    if day not in EDITIONS_BY_DAY:
        raise UsageError(
            f"no table was published on {day!r}{did_you_mean(day, EDITIONS_BY_DAY)}: "
            f"use {', '.join(EDITIONS_BY_DAY)} (reproduce --list)"
        )
    return EDITIONS_BY_DAY[day]


def edition_targets(edition: Edition, server: ServerSettings) -> tuple[Target, ...]:
    """Return the frameworks of a published table, with the packages of its day."""
    texts = [f"{label_of(name)}={name}@{edition.day}" for name in edition.names]
    targets: list[Target] = []
    for name, target in zip(
        edition.names, parse_targets(texts, ServingOptions(), server=server), strict=True
    ):
        assert isinstance(target, AsgiTarget)  # noqa: S101  # as all built-ins
        package, *others = target.requirements
        requirements = (*edition.requirements.get(name, (package,)), *others)
        targets.append(
            dataclasses.replace(
                target,
                app=f"apps:{edition.apps.get(name, name)}",
                as_of=edition.as_of or edition.day,
                requirements=requirements,
            )
        )
    return tuple(targets)


def edition_loads(edition: Edition, duration_s: int) -> tuple[Load, ...]:
    """Return the loads of a published table, for so long."""
    loads: list[Load] = []
    for load in edition.rows:
        loads += make_loads(
            [load.connections],
            threads=edition.threads,
            duration_s=duration_s,
            workloads=[WORKLOADS[load.workload]],
        )
    return tuple(loads)


def parse_targets(
    texts: Sequence[str],
    serving: ServingOptions,
    *,
    server: ServerSettings | None = None,
    file: BenchFile = NO_FILE,
) -> tuple[Target, ...]:
    """Return the targets that the texts name, with the settings that each has of its own.

    All others are as `serving` and `server` say. Raises UsageError for what is no target,
    for a name or label used twice, and for settings of a target that is not among them.
    """
    server = server or serving.settings()
    targets: dict[str, Target] = {}
    for text in texts:
        try:
            spec = target_spec(text, serving, server=server, file=file)
            target = spec.target()
        except UsageError as error:
            raise UsageError(file.hide(str(error))) from None
        labels = [each.label for each in targets.values()]
        if target.name in targets or target.label in labels:
            raise UsageError(
                f"two targets are named {target.name!r}: name them apart, "
                f"as in 'a={target.spec}' 'b={target.spec}'"
            )
        targets[target.name] = dataclasses.replace(target, spec=file.hide(target.spec))
    for name in file.settings:
        if name not in targets:
            raise UsageError(
                f"--set {name}: no target has that name{did_you_mean(name, targets)}: "
                f"there are {', '.join(targets)}"
            )
    return tuple(targets.values())


def target_spec(
    text: str, serving: ServingOptions, *, server: ServerSettings, file: BenchFile
) -> TargetSpec:
    """Return what is asked for by `[NAME=]SPEC`, or by the name of a table of the file.

    --set goes before the command line's target, and that before the file.
    """
    if text in file.targets:
        name, table, directory = text, file.targets[text], file.directory
    else:
        given_name, spec = split_target(text)
        name = given_name or file.hide(default_name(spec))
        table = merged(file.targets.get(name, {}), spec_table(spec))
        directory = Path()
    table = merged(table, file.settings.get(name, {}))
    check_spec(table, f"--set {name}")
    return TargetSpec(
        name=name,
        table=TargetTable(**table),
        directory=directory,
        server=server,
        python=serving.python,
    )


def merged(table: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of a target with the changes, which may make it another target."""
    result = dict(table)
    if any(key in changes for key in SPEC_KEYS):
        for key in SPEC_KEYS:
            result.pop(key, None)
    result.update(changes)
    if "env" in table and "env" in changes:
        result["env"] = {**table["env"], **changes["env"]}
    return result


def resolve_hosts(plan: Plan, *, allow_remote: bool) -> Plan:
    """Return the plan with the addresses of its URLs, and say what goes to other machines.

    Each name is looked up here and not again, so that what is allowed is what is asked.
    Raises UsageError for another machine where that is not allowed.
    """
    seconds: float = plan.rounds * sum(load.duration_s for load in plan.loads)
    if plan.precision:
        seconds = max(seconds, plan.most_s)
    connections = max(load.connections for load in plan.loads)
    pace = "without pause"
    if plan.p99_limit_s:
        seconds *= SEARCH_TRIALS
    if plan.is_at_a_rate:
        rates = [load.rate_per_s for load in plan.loads if load.rate_per_s]
        pace = f"at {format_rate(max(rates))}" if rates else "at a rate that is yet to be found"
        seconds += rehearsal_s(plan)
    amount = f"requests {pace} on up to {connections} connections, for {seconds:.0f} s in all"
    targets: list[Target] = []
    for target in plan.targets:
        addresses: list[str] = []
        for url in target.urls:
            addresses = addresses_of(split_url(url)[1])
            if not are_loopback(addresses):
                check_remote(url, addresses, amount, allowed=allow_remote)
        targets.append(with_addresses(target, addresses))
    return dataclasses.replace(plan, targets=tuple(targets))


def check_remote(url: str, addresses: Sequence[str], amount: str, *, allowed: bool) -> None:
    """Say what is sent to another machine. Raises UsageError if that is not allowed."""
    host = split_url(url)[1]
    if not allowed:
        raise UsageError(
            f"{url}: not this machine. This sends it {amount}: "
            "only do that to a server of your own, with --allow-remote"
        )
    if not addresses:
        raise UsageError(f"{url}: the host {host} is not known: mend its name")
    say(f"warning: sending {host} {amount}")


RESERVED_HEADERS = ("connection", "content-length", "expect", "transfer-encoding", "upgrade")
LONGEST_TIMEOUT_S = 120  # wrk takes 8 MB of memory for each second of it


def parse_workloads(request: RequestOptions, file: BenchFile = NO_FILE) -> tuple[Workload, ...]:
    """Return the workloads by name, or those that the other options describe.

    Without either they are those of the file. Raises UsageError for a name or a value that
    wrk cannot send.
    """
    described = (request.path, request.method, request.header, request.body)
    is_described = any(option is not None for option in described)
    if request.workload and is_described:
        raise UsageError(
            "--workload names a whole request: leave out --path, --method, --header and --body"
        )
    if request.workload:
        workloads = named_workloads(request.workload, file)
    elif is_described or not file.workloads:
        workloads = described_workloads(request, file)
    else:
        workloads = list(file.workloads)
    timeout_s = WRK_TIMEOUT_S
    if request.timeout is not None:
        timeout_s = parse_duration(request.timeout, option="--timeout")
        if timeout_s > LONGEST_TIMEOUT_S:
            raise UsageError(f"--timeout {request.timeout!r}: at most {LONGEST_TIMEOUT_S}s")
    return tuple(
        dataclasses.replace(
            workload,
            expect_status=request.expect_status or workload.expect_status,
            keep_alive=request.keep_alive,
            timeout_s=timeout_s,
        )
        for workload in workloads
    )


def named_workloads(wanted: Sequence[str], file: BenchFile) -> list[Workload]:
    """Return the workloads of --workload. Raises UsageError."""
    known = {workload.name: workload for workload in (*NAMED_WORKLOADS, *file.workloads)}
    for name in wanted:
        if name not in known:
            raise UsageError(
                f"--workload {name!r}{did_you_mean(name, known)}: use {', '.join(known)}"
            )
    return [workload for workload in known.values() if workload.name in wanted]


def described_workloads(request: RequestOptions, file: BenchFile) -> list[Workload]:
    """Return a workload for each --path; all have the other options. Raises UsageError."""
    body = read_body(request.body)
    method = parse_method(request.method, default="POST" if body else "GET")
    given = parse_headers(request.header or ())
    headers = with_content_type(given, body)
    if headers != given:
        say("the body is JSON: Content-Type: application/json is sent with it")
    workloads: dict[str, Workload] = {}
    for text in request.path or ("/",):
        path = parse_path(text)
        name = f"{method} {file.hide(without_url_secrets(path))}"
        if (method, path, headers, body) == ("GET", "/", (), b""):
            name = DEFAULT_WORKLOAD
        if name in workloads:
            raise UsageError(f"--path {without_url_secrets(path)!r} is given twice")
        workloads[name] = Workload(name=name, method=method, path=path, headers=headers, body=body)
    return list(workloads.values())


def with_content_type(headers: Headers, body: bytes) -> Headers:
    """Return the headers with the type of a body that is JSON, if they have none."""
    if not is_json(body) or header_value(headers, "Content-Type") is not None:
        return headers
    return (*headers, ("Content-Type", "application/json"))


def parse_path(text: str) -> str:
    """Return the path. Raises UsageError if a request cannot have it."""
    if not re.fullmatch(r"/[!\"$-~]*", text):
        raise UsageError(
            f"--path {text!r}: a path begins with / and has no space, # or letter beyond ASCII"
        )
    return text


def parse_method(text: str | None, *, default: str) -> str:
    """Return the method in capitals. Raises UsageError if wrk cannot use it."""
    method = default if text is None else text.upper()
    if not re.fullmatch(r"(?!HEAD$|CONNECT$)[A-Z]{1,20}", method):
        raise UsageError(
            f"--method {text!r}: use one such as GET or POST; "
            "wrk cannot read the answers to HEAD, CONNECT"
        )
    return method


def parse_headers(texts: Iterable[str]) -> Headers:
    """Return names and values. Raises UsageError for one that wrk sets, or two alike."""
    headers: dict[str, tuple[str, str]] = {}
    for text in texts:
        match = re.fullmatch(r"([!#$%&'*+.^_`|~\w-]+):[ \t]*([ -~]*)", text, re.ASCII)
        name = match[1].lower() if match else ""
        if not match or name in headers or name in RESERVED_HEADERS:
            raise UsageError(
                f"--header {header_name(text)!r}: use 'Name: value', each name once, "
                f"and none of {', '.join(RESERVED_HEADERS)}"
            )
        headers[name] = (match[1], match[2].strip())
    return tuple(headers.values())


def header_name(text: str) -> str:
    """Return what a message shows of a header as typed: its value may be a secret."""
    name, colon, _ = text.partition(":")
    if colon:
        return f"{name}: {HIDDEN}"
    return HIDDEN if text else ""


MOST_BODY_BYTES = 64 << 20
MOST_CONFIG_BYTES = 1 << 20


def read_body(text: str | None) -> bytes:
    """Return the body that is meant; empty for None. Raises UsageError."""
    if text is None:
        return b""
    if text == "-":
        return sys.stdin.buffer.read()
    if not text.startswith("@"):
        if is_file(text):
            raise UsageError(f"--body {text!r} is a file: to send its content, use @{text}")
        return text.encode("utf-8", errors="surrogateescape")
    return read_whole(text[1:], f"--body {text!r}", most_bytes=MOST_BODY_BYTES)


def read_whole(file: str, place: str, *, most_bytes: int) -> bytes:
    """Return the file's content. Raises UsageError, with the place, and for more than that."""
    try:
        with Path(file).open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}") from None
    if len(content) > most_bytes:
        raise UsageError(f"{place}: it has more than {most_bytes >> 20} MiB")
    return content


def is_file(text: str) -> bool:
    """Return whether there is a file of that name."""
    with contextlib.suppress(OSError, ValueError):  # no name of a file at all
        return Path(text).is_file()
    return False


def is_json(body: bytes) -> bool:
    """Return whether the body is an object or a list in JSON."""
    try:
        return isinstance(json.loads(body), dict | list)
    except (ValueError, RecursionError):
        return False


def parse_seconds(option: str, text: str) -> float:
    """Return the seconds of a time such as 0.3s, 500ms or 2m. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h)?", text.strip())
    if not match:
        raise UsageError(f"{option} {text!r}: use a time such as 0.3s, 500ms or 2m")
    return float(match[1]) * SECONDS_IN[match[2] or "s"]


MOST_RATE_CONNECTIONS = 1000  # each has a thread of wrk


def parse_rate(text: str) -> float:
    """Return the requests/s that a text such as 5000 means. Raises UsageError."""
    match = re.fullmatch(r"\d{1,7}(\.\d{1,3})?", text.strip())
    if not match or not float(text):
        raise UsageError(f"--rate {text!r}: use requests/s such as 5000, or a share such as 70%")
    return float(text)


def checked_at_rates(loads: Sequence[Load]) -> tuple[Load, ...]:
    """Return the loads, with as many connections at a rate as without.

    Raises UsageError where wrk cannot make such a load at a rate, or it would tell nothing.
    """
    if sys.platform != "linux":
        raise UsageError("requests at a rate need Linux: its clock_nanosleep")
    for load in loads:
        if load.connections > MOST_RATE_CONNECTIONS:
            raise UsageError(
                f"--connections {load.connections}: at a rate each is a thread of wrk; "
                f"use {MOST_RATE_CONNECTIONS} or fewer"
            )
        if not load.workload.keep_alive:
            raise UsageError(
                "--no-keep-alive: at a rate the time of a new connection would count as latency"
            )
        reason = rate_complaint(load)
        if reason:
            raise UsageError(f"--rate: {reason}")
    checked = []
    for load in loads:
        threads = fitting_threads(load.connections, threads=load.threads)
        checked.append(dataclasses.replace(load, threads=threads))
    return tuple(checked)


def parse_share(option: str, text: str) -> float:
    """Return the share that a text such as 5% means. Raises UsageError."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)%", text.strip())
    if not match:
        raise UsageError(f"{option} {text!r}: use a share such as 5%")
    return float(match[1]) / 100


def parse_connections(text: str, *, threads: int) -> list[int]:
    """Return the comma-separated counts. Raises UsageError for what wrk does not take."""
    words = [word.strip() for word in text.split(",")]
    are_counts = all(re.fullmatch(r"[1-9]\d{0,5}", word) for word in words)
    if not are_counts or len(set(words)) < len(words):
        raise UsageError(
            f"--connections {text!r}: use different whole numbers from 1 to 999999, such as 100,200"
        )
    counts = [int(word) for word in words]
    if min(counts) < threads:
        raise UsageError(
            f"--connections {min(counts)} is below --threads {threads}: "
            "wrk needs one for each thread"
        )
    return counts


def fitting_threads(connections: int, *, threads: int) -> int:
    """Return the most threads up to these with which wrk opens all of the connections."""
    return max(count for count in range(1, threads + 1) if connections % count == 0)


def make_loads(
    connections: Sequence[int],
    *,
    threads: int,
    duration_s: int,
    workloads: Sequence[Workload] = (WORKLOADS[DEFAULT_WORKLOAD],),
) -> tuple[Load, ...]:
    """Return each workload at each of the connection counts."""
    loads = []
    for workload, count in itertools.product(workloads, connections):
        loads.append(
            Load(connections=count, threads=threads, duration_s=duration_s, workload=workload)
        )
    return tuple(loads)


def choose_preset(*, quick: bool = False, short: bool = False, gist: bool = False) -> Preset:
    """Return the values of what no other option sets. Raises UsageError for two presets."""
    if quick + short + gist > 1:
        raise UsageError("--quick, --short and --gist exclude each other")
    if quick:
        return QUICK
    if short:
        return SHORT
    return GIST if gist else DEFAULTS


def check_paths(plan: Plan) -> None:
    """Raise UsageError for a path that a built-in does not have.

    Some frameworks would answer it with a page of their own, and be measured on that.
    """
    built_ins = [target for target in plan.targets if target.is_built_in]
    for load in plan.loads:
        path = load.workload.path.partition("?")[0]
        if built_ins and path not in BUILT_IN_PATHS:
            raise UsageError(
                f"--path {path!r}: {built_ins[0].name} is built in, and has no such path; "
                f"it has {', '.join(BUILT_IN_PATHS)}"
            )


def planned_loads(
    load: LoadOptions,
    timing: TrialOptions,
    request: RequestOptions,
    preset: Preset,
    file: BenchFile = NO_FILE,
    *,
    rate: RateOptions = RateOptions(),
    seeks_capacity: bool = False,
) -> tuple[Load, ...]:
    """Return the loads asked for; the preset has what is not. Raises UsageError."""
    connections = preset.connections if load.connections is None else load.connections
    is_at_rates = seeks_capacity or rate.rate is not None
    loads = make_loads(
        parse_connections(connections, threads=1 if is_at_rates else load.threads),
        threads=load.threads,
        duration_s=timing.duration_s(preset),
        workloads=parse_workloads(request, file),
    )
    if not is_at_rates:
        return loads
    return checked_at_rates([dataclasses.replace(each, rate_per_s=rate.per_s) for each in loads])


def make_plan(
    targets: tuple[Target, ...],
    *,
    loads: tuple[Load, ...],
    server: ServerSettings,
    timing: TimingOptions,
    preset: Preset,
    variables: tuple[str, ...] = (),
    strict: bool = False,
    places: Places = Places(),
    rate_share: float | None = None,
    p99_limit_s: float | None = None,
) -> Plan:
    """Return the plan. Raises UsageError for duets that cannot be had, and unknown paths.

    Duets are the default where they are possible, with two rounds or more and no port.
    """
    rounds = timing.rounds or preset.rounds
    precision = timing.wished_precision
    if precision and rounds < 2:
        raise UsageError("--precision needs a first stage of at least 2 rounds (--rounds)")
    are_ours = all(target.is_launched for target in targets)
    has_cores = len(all_cores()) > 1 or not places.are_here
    duet_is_possible = len(targets) > 1 and has_cores and are_ours
    duet = timing.duet
    if duet and not duet_is_possible:
        raise UsageError(
            "--duet needs two targets that it starts, at least 2 cores, "
            "and a system with CPU affinity (Linux)"
        )
    if duet and server.port:
        raise UsageError("--duet runs two servers at once: leave out --port, or use --no-duet")
    if duet is None:
        duet = duet_is_possible and rounds > 1 and not server.port
        if duet_is_possible and rounds > 1 and server.port:
            say("warning: two servers cannot share --port: without duets intervals are wider")
    seed = timing.seed
    if seed is None:
        seed = random.SystemRandom().randrange(2**32)
    plan = Plan(
        targets=targets,
        loads=loads,
        rounds=rounds,
        seed=seed,
        server=server,
        duet=duet,
        warm_up_s=timing.warm_up_s,
        metric=timing.metric,
        precision=precision,
        most_s=timing.most_s,
        variables=variables,
        strict=strict,
        places=places,
        rate_share=rate_share,
        p99_limit_s=p99_limit_s,
    )
    if plan.is_at_a_rate and plan.metric is Decisive.THROUGHPUT:
        raise UsageError("--metric throughput: at a --rate it is given; use cpu or p99")
    check_paths(plan)
    return plan


def make_gate(options: GateOptions, plan: Plan) -> Gate | None:
    """Return the gate that is asked for, if any. Raises UsageError, BenchError."""
    if options.fail_if_slower is None:
        if options.baseline is not None:
            raise UsageError("--baseline needs --fail-if-slower, such as 5%")
        return None
    margin = parse_share("--fail-if-slower", options.fail_if_slower)
    if plan.rounds < 2 or len(plan.targets) < 2:
        raise UsageError(
            "--fail-if-slower needs at least 2 rounds and 2 targets: it decides by an interval"
        )
    if options.baseline is None:
        return Gate(margin=margin, baseline=None)
    if plan.rate_share:
        raise UsageError(
            "--baseline needs a --rate in requests/s: a share is another rate each time"
        )
    try:
        baseline = read_results(options.baseline)
    except BenchError as error:
        raise UsageError(f"--baseline: {error}") from None
    check_baseline(options.baseline, baseline, plan)
    return Gate(margin=margin, baseline=baseline)


SERVING_FIELDS = ("asgi", "workers", "loop", "http", "access_log", "proxy_headers")


def baseline_differences(baseline: Results, plan: Plan) -> list[str]:
    """Return how targets and requests of the same name differ, other than by versions."""
    differences = []
    facts_by_name = {facts.name: facts for facts in baseline.targets}
    for target in plan.targets:
        facts = facts_by_name.get(target.name)
        if facts is None:
            continue
        spec = plan.secrets.hide_whole_words(target.spec)
        if facts.spec not in (spec, target.spec):
            differences.append(f"{target.name} was {facts.spec} there, and is {spec} now")
        then, now = baseline.server_of(facts), plan.server_of(target)
        if then is None or not target.is_app:
            continue
        for field in SERVING_FIELDS:
            before, after = getattr(then, field), getattr(now, field)
            if before != after:
                differences.append(f"{target.name} had {field} {before} there, and {after} now")
    requests = {request.name: request for request in settings_of(plan).workloads}
    for request in baseline.settings.workloads if baseline.settings else ():
        if request != requests.get(request.name, request):
            differences.append(
                f"{request.name} was another request there (method, path, headers, body, expected "
                "status, --keep-alive or --timeout)"
            )
    return differences


def check_baseline(file: str, baseline: Results, plan: Plan) -> None:
    """Raise UsageError if the baseline lacks an interval for what the plan compares."""
    differing = baseline_differences(baseline, plan)
    if differing:
        raise UsageError(f"--baseline {file!r} is of something else: {'; '.join(differing)}")
    reference, *others = plan.names
    available = []
    for comparison in baseline.comparisons:
        is_planned = comparison.method is Method.SOLO or plan.duet
        kind = (comparison.method, comparison.metric)
        decides = kind in deciding_metrics(comparison.load, plan.metric)
        if comparison.interval and is_planned and decides:
            available.append((comparison.target, comparison.reference, comparison.load))
    for name, load in itertools.product(others, plan.loads):
        if (name, reference, load.id) in available:
            continue
        described = [
            f"{target} against {against}, {load_id.in_full}"
            for target, against, load_id in dict.fromkeys(available)
        ]
        raise UsageError(
            f"--baseline {file!r} has no interval for {name} against {reference} at "
            f"{load.id.sentence}; it has: {'; '.join(described) or 'none'}"
        )


def read_results(file: str) -> Results:
    """Return the results in a file. Raises BenchError."""
    try:
        return from_json(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(f"cannot read {file!r}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BenchError(f"cannot read {file!r}: it is not a text") from None
    except BenchError as error:
        raise BenchError(f"{file!r}: {error}") from None


def terminal_size(stream: IO[str]) -> os.terminal_size:
    """Return the columns and lines of the stream's terminal; 80 x 24 if it does not tell.

    COLUMNS comes first, as everywhere. rich takes 80 for any terminal that is dumb.
    """
    columns, lines = 80, 24
    with contextlib.suppress(OSError, ValueError):
        columns, lines = os.get_terminal_size(stream.fileno())
    wished = os.environ.get("COLUMNS", "")
    if wished.isdecimal():
        columns = int(wished)
    return os.terminal_size((columns or 80, lines or 24))


def console_on(stream: IO[str]) -> Console:
    """Return a console on the stream: as wide as the terminal, where there is one.

    FORCE_COLOR makes a terminal of anything; rich heeds NO_COLOR and TERM=dumb.
    """
    from rich.console import Console

    terminal = stream.isatty() or bool(os.environ.get("FORCE_COLOR"))
    size = terminal_size(stream)
    return Console(
        file=stream,
        width=size.columns if terminal else UNLIMITED_WIDTH,
        height=size.lines,
        force_terminal=terminal,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


UNLIMITED_WIDTH = 10_000


def say(text: str) -> None:
    """Print a line on standard error; a measurement does not fail for want of a reader."""
    with contextlib.suppress(OSError):
        show_text(console_on(sys.stderr), text)


def show_lines(lines: Iterable[str], console: Console) -> None:
    """Print the lines: whatever their texts hold, nothing of it steers the terminal."""
    for line in lines:
        console.print(printable_lines(line))


def show_table(table: Table, console: Console) -> None:
    """Print a table: drawn on a terminal, else as Markdown."""
    title, lines = f"{table.title}\n", markdown_lines(table)
    if console.is_terminal:
        title, lines = table.title, terminal_lines(table, width=console.width)
    console.print()
    if table.title:
        console.print(printable_lines(title), style="bold")
    print("\n".join([*lines, ""]), file=console.file)


class Exporter:
    """Writes a text to a file whole or not at all; '-' is standard output."""

    def __init__(self, option: str, destination: str) -> None:
        """Raise UsageError at once if the file cannot be written.

        No result may be lost to a typing error.
        """
        self.to_stdout = destination in ("-", "/dev/stdout")
        self.path = Path(destination)
        self.replaces = False
        if self.to_stdout:
            return
        try:
            # Anything but a file is a device or pipe: there is nothing to replace.
            self.replaces = not self.path.exists() or self.path.is_file()
            if self.replaces:
                self.path = self.path.resolve()
                tempfile.TemporaryFile(dir=self.path.parent).close()
            if self.path.is_file() or self.path.is_dir():
                self.path.open("a").close()
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{option} {destination!r}: {reason}") from None

    def write(self, text: str) -> None:
        """Write the file in one step, in UTF-8. Raises BenchError."""
        data = text.encode("utf-8", errors="backslashreplace")
        if self.to_stdout:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            return
        try:
            if self.replaces:
                self._replace(data)
            else:
                self.path.write_bytes(data)
        except OSError as error:
            older = "; the file that is there is older" if self.path.is_file() else ""
            raise BenchError(f"not written: {self.path}: {error.strerror}{older}") from None

    def _replace(self, data: bytes) -> None:
        """Put a new file in the place of the old one, with its owner and permissions."""
        number, name = tempfile.mkstemp(
            prefix=".micropie_bench-", suffix=".part", dir=self.path.parent
        )
        part = Path(name)
        try:
            with open(number, "wb") as file:
                file.write(data)
                self._take_over_permissions(number)
            part.replace(self.path)
        finally:
            part.unlink(missing_ok=True)

    def _take_over_permissions(self, number: int) -> None:
        """Give the open file the permissions of the old one, or of any new one."""
        if not self.path.exists():
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(number, 0o666 & ~umask)
            return
        old = self.path.stat()
        with contextlib.suppress(OSError):  # only root may give files away
            os.fchown(number, old.st_uid, old.st_gid)
        os.fchmod(number, stat.S_IMODE(old.st_mode))


class Exports:
    """The files that results are written to, by option."""

    def __init__(self, options: ExportOptions, *, inputs: Sequence[str] = ()) -> None:
        """Raise UsageError if one cannot be written, or is one of the inputs."""
        self._files = {
            option: Exporter(option, file) for option, file in options.destinations().items()
        }
        to_stdout = [option for option, file in self._files.items() if file.to_stdout]
        if len(to_stdout) > 1:
            raise UsageError(f"{' and '.join(to_stdout)} cannot share standard output")
        paths = [file.path for file in self._files.values() if file.replaces]
        for path in paths:
            if paths.count(path) > 1:
                raise UsageError(f"two exports go to one file: {path}")
        for file in inputs:
            if Path(file).resolve() in paths:
                raise UsageError(f"{file!r} is to be read: export to another file")
        self._shares_stdout = bool(to_stdout)

    @property
    def console(self) -> Console:
        """Where tables go: not between the lines of an export."""
        return console_on(sys.stderr if self._shares_stdout else sys.stdout)

    def save(self, results: Results) -> None:
        """Write what was measured so far as JSON, where that can be written anew."""
        file = self._files.get("--export-json")
        if file and file.replaces:
            file.write(to_json(results))

    def write(self, report: Report) -> None:
        """Write all of them. Raises BenchError for those that were not, at the end."""
        failures = []
        # A reader of stdout may be gone: that comes last.
        for option, file in sorted(self._files.items(), key=lambda item: item[1].to_stdout):
            try:
                file.write(RENDERERS[option](report))
            except BenchError as error:
                failures.append(str(error))
        if failures:
            raise BenchError("; ".join(failures))


class ProgressReport:
    """Tells on standard error how much of the plan is done.

    On a terminal that is what runs now, a bar, and each target's speed so far; elsewhere
    one line for each finished round, and with `verbose` for each step.
    """

    def __init__(self, plan: Plan, *, verbose: bool) -> None:
        from rich.live import Live

        console = console_on(sys.stderr)
        self._plan = plan
        self._verbose = verbose
        self._launches_done = 0
        self._total_s = planned_s(plan)
        self._text = ""
        self._speeds: list[str] = []
        self._rounds_done = 0
        self._before_s = self._step_s = 0.0
        self._start = self._step_start = self._refreshed = time.monotonic()
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._is_live = sys.stderr.isatty() and not console.is_dumb_terminal
        if self._is_live:
            self._live.start()

    def announce(self, text: str, seconds: float) -> None:
        """Begin a step that should take this long."""
        self._before_s += self._step_s
        self._step_s = seconds
        self._step_start = time.monotonic()
        self._refreshed = 0.0  # long ago: what begins is shown at once
        self._text = text
        if self._verbose and not self._is_live:
            say(text)
        self.tick()

    def extend(self, plan: Plan, text: str) -> None:
        """Take in that there are more rounds, and say why."""
        self._plan = plan
        self._total_s = planned_s(plan)
        with contextlib.suppress(OSError):
            show_text(self._live.console, text)  # above what is live

    def update(self, results: Results) -> None:
        """Take in what was measured so far, with one more launch."""
        self._speeds = []
        for comparison in decisive_comparisons(results):
            speed = comparison.speed
            if speed:
                self._speeds.append(
                    f"{results.label(comparison.target)}, {comparison.load.sentence}: "
                    f"{format_speed(speed)} as fast{useful_interval(speed)}"
                )
        self._launches_done += 1
        done = self._launches_done // len(launch_groups(self._plan))
        if done > self._rounds_done and not self._is_live:
            parts = [f"round {done} of {self._plan.rounds} done", self._times(), *self._speeds]
            say("; ".join(parts))
        self._rounds_done = done

    def _done_s(self) -> float:
        """Return how much of the planned time is over."""
        return self._before_s + min(self._step_s, time.monotonic() - self._step_start)

    def _times(self) -> str:
        """Return the time that has passed, and what is left by the plan."""
        elapsed = datetime.timedelta(seconds=round(time.monotonic() - self._start))
        left = datetime.timedelta(seconds=round(max(0.0, self._total_s - self._done_s())))
        return f"{elapsed} elapsed, {left} left"

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
        self._live.update(Group(bar, Text(f" {self._times()}"), *lines), refresh=True)

    def close(self) -> None:
        """Take all of it off the screen."""
        if self._is_live:
            self._live.stop()


def tell_github(report: Report, gate_lines: Sequence[str]) -> None:
    """Add to the step's summary in GitHub Actions, and annotate with the gate's lines."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(to_markdown(report))
        except OSError as error:
            say(f"warning: GITHUB_STEP_SUMMARY not written: {error.strerror}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in gate_lines:
            kind = "error" if line.startswith("gate failed") else "notice"
            escaped = line.replace("%", "%25")
            with contextlib.suppress(OSError):  # in one line, however wide the terminal is
                show_lines([f"::{kind} title=micropie_bench::{escaped}"], console_on(sys.stderr))


def new_results(
    *,
    seed: int | None = None,
    settings: Settings | None = None,
    environment: Environment | None = None,
    measurements: tuple[Measurement, ...] = (),
    warnings: tuple[str, ...] = (),
    machines: tuple[Machine, ...] = (),
    secrets: Secrets = NO_SECRETS,
) -> Results:
    """Return results of this moment and this command, without its secrets."""
    created = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    words = map(secrets.hide_in_word, sys.argv[1:])
    command_line = shlex.join([Path(sys.argv[0]).name, *words])
    return Results(
        created=created,
        command=command_line.encode(errors="backslashreplace").decode(),
        seed=seed,
        settings=settings,
        environment=environment,
        measurements=measurements,
        warnings=warnings,
        machines=machines,
    )


def settings_of(plan: Plan) -> Settings:
    """Return what is recorded of the plan."""
    secrets = plan.secrets
    workloads = {load.workload.name: load.workload for load in plan.loads}
    facts = [
        WorkloadFacts(
            name=workload.name,
            method=workload.method,
            path=secrets.hide_whole_words(workload.path),
            headers=secrets.hide_in_headers(workload.headers),
            body_sha256=hashlib.sha256(workload.body).hexdigest(),
            expect_status=workload.expect_status,
            keep_alive=workload.keep_alive,
            timeout_s=workload.timeout_s,
        )
        for workload in workloads.values()
    ]
    connections = dict.fromkeys(load.connections for load in plan.loads)
    return Settings(
        server=dataclasses.replace(plan.server, host=secrets.hide_whole_words(plan.server.host)),
        workloads=tuple(facts),
        connections=tuple(connections),
        threads=plan.threads,
        duration_s=plan.loads[0].duration_s,
        rounds=plan.rounds,
        duet=plan.duet,
        warm_up_s=plan.warm_up_s,
        metric=plan.metric,
        precision=plan.precision,
        first_rounds=plan.rounds if plan.precision else None,
        rate_per_s=None if plan.rate_share else plan.loads[0].rate_per_s,
        rate_share=plan.rate_share,
        p99_limit_s=plan.p99_limit_s,
    )


def actions_for(
    plan: Plan,
    crew: Crew,
    wrk: str,
    work_dir: Path,
    progress: ProgressReport,
    save: Callable[[Results], None],
) -> Actions:
    """Return the real actions: servers, wrk, the export file and the progress report."""
    logs = [work_dir / "server-0.log", work_dir / "server-1.log"]
    next_log = itertools.cycle(logs)  # no more than two servers run at once
    launched = launched_targets(plan.targets)
    needed = needed_files([] if crew.server else launched, wrk, work_dir)
    if crew.server:
        crew.server.ask_for(None, "need", launched)

    def prepare_target(target: Target) -> None:
        crew.prepare(target, timeout_s=plan.server_of(target).start_timeout_s)

    def start(target: Target) -> RunningServer:
        needed.check()
        return crew.start(target, plan.server_of(target), log=next(next_log))

    def tick() -> None:
        progress.tick()
        for log in logs:
            trim(log)

    def keep(results: Results) -> None:
        progress.update(results)
        save(results)

    def ask(server: RunningServer, workload: Workload) -> Response:
        return crew.ask(server, workload, tick=tick)

    def warm_up(servers: Sequence[RunningServer], load: Load) -> None:
        if not plan.warm_up_s:
            return
        own = endless(load.without_rate, plan.warm_up_s)
        sides = crew.sides(wrk, servers, own, work_dir)
        apply_warm_up(sides, load, seconds=plan.warm_up_s, tick=tick)

    def measure(servers: Sequence[RunningServer], load: Load) -> list[Observation]:
        is_duet = len(servers) > 1
        sides = crew.sides(wrk, servers, load_of_wrk(load, is_duet=is_duet), work_dir)
        return apply_load(sides, load, is_duet=is_duet, tick=tick)

    return Actions(
        prepare=prepare_target,
        start=start,
        ask=ask,
        warm_up=warm_up,
        load=measure,
        save=keep,
        tick=tick,
        announce=progress.announce,
        extend=progress.extend,
        secrets=plan.secrets,
    )


LATE_IMPORTS = (
    *("encodings.idna", "encodings.unicode_escape", "h11", "httptools"),
    *("rich.live", "rich.progress_bar", "ssl"),
)


def import_all() -> None:
    """Import what is otherwise imported when it is first needed.

    So a run does not depend on the files that it was started from: a cache may be emptied
    meanwhile, or a checkout updated.
    """
    for module in LATE_IMPORTS:
        with contextlib.suppress(ImportError):  # such as ssl, which few runs need
            importlib.import_module(module)
    to_json(new_results())  # pydantic imports parts of itself late


def run_plan(
    plan: Plan, *, wrk: str | None, save: Callable[[Results], None], verbose: bool
) -> tuple[Results, EarlyEnd | None]:
    """Return the results of the plan, and its early end if it had one."""
    require_proc()
    import_all()
    with temporary_directory() as work_dir, contextlib.ExitStack() as stack:
        muster = assemble_crew(plan, wrk, work_dir, stack)
        plan, crew = muster.plan, muster.crew
        targets = tuple(crew.fetch(target, say) for target in plan.targets)
        plan = dataclasses.replace(plan, targets=targets)
        warnings = [*muster.warnings]
        for finding in examine_crew(plan, crew):
            if finding.warns:
                warnings.append(f"{finding.check}: {finding.found}; {finding.remedy}")
        for warning in warnings:
            say(f"warning: {warning}")
        results = new_results(
            seed=plan.seed,
            settings=settings_of(plan),
            environment=muster.environment,
            warnings=tuple(warnings),
            machines=muster.machines,
            secrets=plan.secrets,
        )
        with contextlib.closing(ProgressReport(plan, verbose=verbose)) as progress:
            actions = actions_for(plan, crew, muster.wrk, work_dir, progress, save)
            results, early_end = run_experiment(plan, results, actions)
    results = dataclasses.replace(results, distributions=distribute(results))
    return results, early_end


@dataclass(frozen=True, slots=True, kw_only=True)
class Muster:
    """What is known of all machines before anything starts.

    The plan has the address of its servers in it, and `wrk` is the path of this machine's,
    empty where others make the load.
    """

    plan: Plan
    crew: Crew
    wrk: str
    environment: Environment
    machines: tuple[Machine, ...] = ()
    warnings: tuple[str, ...] = ()


def assemble_crew(
    plan: Plan, wrk: str | None, work_dir: Path, stack: contextlib.ExitStack
) -> Muster:
    """Return the machines of the plan, connected until the stack ends, and what they tell.

    Raises BenchError if one cannot be reached or cannot do its part.
    """
    places = plan.places
    wrk_path = "" if places.loads else find_wrk(wrk)
    here = describe_machine(wrk_path)
    here = dataclasses.replace(here, wrk=plan.secrets.hide_whole_words(here.wrk))
    if places.are_here:
        if plan.server.port:
            free_port(plan.server.host, plan.server.port)
        return Muster(plan=plan, crew=Crew(), wrk=wrk_path, environment=here)
    connected = connect_all(places, work_dir, stack)
    facts: dict[str, AgentFacts] = {
        host: machine.ask_for(AgentFacts, "describe", wrk, makes_load=host in places.loads)
        for host, machine in connected.items()
    }
    (first_facts, *_) = facts.values()
    crew = Crew(
        server=connected.get(places.server),
        loads=tuple(connected[host] for host in places.loads),
        own_link=link_of(first_facts.director),
    )
    plan = with_address(plan, first_facts.address if places.server else first_facts.director)
    say(muster_sentence(places, plan.server.host))
    machines = [
        record_of(host, places, machine, facts[host]) for host, machine in connected.items()
    ]
    if not places.server:
        server = Machine(role=Role.SERVER, host="", environment=here, address=plan.server.host)
        machines.insert(0, server)
    if not places.loads:
        machines.append(Machine(role=Role.LOAD, host="", environment=here))
    return Muster(
        plan=plan,
        crew=crew,
        wrk=wrk_path,
        environment=environment_of(machines),
        machines=tuple(machines),
        warnings=tuple(same_machine_warnings(facts, takes_part=len(machines) > len(facts))),
    )


def connect_all(
    places: Places, work_dir: Path, stack: contextlib.ExitStack
) -> dict[str, OtherMachine]:
    """Return the other machines by host, the server's first, connected until the stack ends."""
    ssh = Ssh(directory=work_dir, config=places.ssh_config)
    hosts = list(dict.fromkeys(filter(None, [places.server, *places.loads])))

    def connect(host: str) -> OtherMachine:
        return stack.enter_context(OtherMachine(host, ssh, announce=say))

    machines = at_once([functools.partial(connect, host) for host in hosts])
    return dict(zip(hosts, machines, strict=True))


def record_of(host: str, places: Places, machine: OtherMachine, facts: AgentFacts) -> Machine:
    """Return what is recorded of a machine."""
    role = Role.SERVER if host == places.server else Role.LOAD
    return Machine(
        role=Role.BOTH if places.are_one else role,
        host=host,
        environment=facts.environment,
        address=facts.address,
        round_trip_s=machine.round_trip_s(),
    )


def environment_of(machines: Sequence[Machine]) -> Environment:
    """Return the environment of the machine with the servers, with the first load's wrk."""
    (served, *_) = (each.environment for each in machines if each.role is not Role.LOAD)
    (loaded, *_) = (each.environment for each in machines if each.role is not Role.SERVER)
    return dataclasses.replace(served, wrk=loaded.wrk, wrk_version=loaded.wrk_version)


def with_address(plan: Plan, address: str) -> Plan:
    """Return the plan with servers that listen on the address, but for those with their own.

    Raises BenchError if the address is not known.
    """

    def placed(settings: ServerSettings) -> ServerSettings:
        if plan.places.are_one or not are_loopback(addresses_of(settings.host)):
            return settings
        if not address:
            raise BenchError("ssh does not tell the address of the servers: name it by --host")
        return dataclasses.replace(settings, host=address)

    targets: list[Target] = []
    for target in plan.targets:
        own = placed(target.server) if target.server else None
        targets.append(dataclasses.replace(target, server=own))
    return dataclasses.replace(plan, targets=tuple(targets), server=placed(plan.server))


def muster_sentence(places: Places, address: str) -> str:
    """Return what listens where, and what sends load from where."""
    server = places.server or "this machine"
    loads = " and ".join(places.loads) or "this machine"
    return f"servers listen on {address} of {server}; load comes from {loads}"


def same_machine_warnings(facts: Mapping[str, AgentFacts], *, takes_part: bool) -> Iterator[str]:
    """Yield which hosts are one machine, so that what runs there shares its cores.

    This machine is one of them if it takes part itself.
    """
    own_id = search_file(BOOT_ID, "(.+)")
    by_id: dict[str, list[str]] = {}
    if takes_part and own_id:
        by_id[own_id] = ["this machine"]
    for host, each in facts.items():
        if each.boot_id:
            by_id.setdefault(each.boot_id, []).append(host)
    for hosts in by_id.values():
        if len(hosts) > 1:
            yield f"{' and '.join(hosts)} are one machine: what runs there shares its cores"


def examine_crew(plan: Plan, crew: Crew) -> list[Finding]:
    """Return what on each machine could spoil the measurement; others' by their names."""
    workers = max(plan.server_of(target).workers for target in plan.targets)
    connections = max(load.connections for load in plan.loads)
    if plan.is_at_a_rate or plan.p99_limit_s:
        connections *= 2  # the thread of each has an open file, too
    findings: list[Finding] = []
    for machine, serves, loads in crew.roles:
        needs = (workers if serves else 0, plan.threads if loads else 0, connections)
        if machine is None:
            findings += examine(*needs)
            continue
        for finding in machine.call(list[Finding], "examine", *needs):
            check = f"{machine.host}: {finding.check}"
            findings.append(dataclasses.replace(finding, check=check))
    return findings


def examine_machines(plan: Plan, wrk: str | None) -> list[Finding]:
    """Return what could spoil the plan on its machines, and between them."""
    if plan.places.are_here:
        return [examine_wrk(wrk), *examine_crew(plan, Crew())]
    with temporary_directory() as work_dir, contextlib.ExitStack() as stack:
        muster = assemble_crew(plan, wrk, work_dir, stack)
        findings = [
            Finding(
                check="one machine",
                state=State.WARNING,
                found=warning,
                why="servers and load take each other's cores",
                remedy="name machines of their own",
            )
            for warning in muster.warnings
        ]
        for machine in muster.machines:
            findings += examine_connection(machine)
        findings += examine_crew(muster.plan, muster.crew)
        return [*findings, examine_reach(muster, work_dir)]


def examine_connection(machine: Machine) -> Iterator[Finding]:
    """Yield which Python and wrk a machine has, and how far away it is."""
    name = machine.host or "here"
    environment = machine.environment
    found = f"Python {environment.python}, {environment.executable}"
    if environment.wrk:
        found += f"; wrk {environment.wrk_version}, {environment.wrk}"
    yield Finding(
        check=f"{name}: programs", state=State.OK, found=found, why="they run there", remedy=""
    )
    if machine.round_trip_s is not None:
        yield Finding(
            check=f"{name}: round trip",
            state=state_of(machine.round_trip_s > LONG_ROUND_TRIP_S),
            found=format_latency(machine.round_trip_s),
            why="readings of CPU time take in so much more than a trial",
            remedy="use a longer --duration, or a nearer machine",
        )


LONG_ROUND_TRIP_S = 0.02  # 1% of the default trial


def examine_reach(muster: Muster, work_dir: Path) -> Finding:
    """Return whether a server answers where the load would come from."""
    (target,) = muster.plan.targets
    state, found = State.OK, ""
    try:
        with muster.crew.start(
            target, muster.plan.server_of(target), log=work_dir / "server.log"
        ) as server:
            server.await_workers()
            found = f"{server.url('/')} answers"
            muster.crew.ask(server, Workload(), tick=lambda: None)
    except TRIAL_ERRORS as error:
        state, found = State.WARNING, str(error)
    return Finding(
        check="server from load",
        state=state,
        found=found,
        why="load goes straight there, by a free port",
        remedy="let the firewall pass it, name the address by --host, or the port by --port",
    )


VERDICT_STYLES = {
    Verdict.FASTER: "bold green",
    Verdict.SLOWER: "bold red",
    Verdict.SAME: "bold cyan",
    Verdict.UNDECIDED: "bold yellow",
}
MOST_CAVEATS = 8  # that are shown without -v


def wrapped(text: str, console: Console, *, first: str = "", indent: str = "") -> list[str]:
    """Return the text in lines that fit a terminal, broken at spaces; `first` begins it.

    `first` and `indent` are of one width.
    """
    width = max(40, console.width) if console.is_terminal else UNLIMITED_WIDTH
    first_line, *others = broken(text, width - len(indent))
    return [first + first_line, *(indent + line for line in others)]


def show_text(console: Console, text: str, *, first: str = "", indent: str = "") -> None:
    """Print a text, broken at spaces where there is a terminal."""
    show_lines(wrapped(text, console, first=first, indent=indent), console)


def show_answers(conclusion: Conclusion, console: Console) -> None:
    """Print the heading, and below it each answer: its verdict, in its colour, then why."""
    from rich.text import Text

    if conclusion.heading:
        show_text(console, conclusion.heading)
        console.print()
    room = max(len(verdict) for verdict in Verdict)
    for answer in conclusion.answers:
        lines = wrapped(
            f"{answer.load.sentence}: {answer.sentence}",
            console,
            first=f"{INDENT}{answer.verdict:<{room}}  ",
            indent=f"{INDENT}{'':<{room}}  ",
        )
        text = Text(printable_lines("\n".join(lines)))
        start = len(INDENT)
        text.stylize(VERDICT_STYLES[answer.verdict], start, start + len(answer.verdict))
        console.print(text)


def show_report(
    report: Report, console: Console, *, verbose: bool, said: Sequence[str] = ()
) -> None:
    """Print the answers, the tables, and what to know; with verbose all that there is.

    What was said before is not said again.
    """
    results, conclusion = report.results, report.conclusion
    show_answers(conclusion, console)
    for sentence in conclusion.sentences:
        show_text(console, sentence)
    if console.is_terminal and not console.is_dumb_terminal:
        drawing = draw_speeds(results, conclusion.answers, width=min(100, console.width))
        show_lines(["", *drawing] if drawing else [], console)
    tables = [*result_tables(results, details=verbose), *conclusion.tables]
    tables += work_tables(results, details=verbose)
    if verbose:
        tables += machine_tables(results)
    for table in tables:
        show_table(table, console)
    caveats = [caveat for caveat in conclusion.caveats if caveat not in said]
    show_caveats(caveats, console, verbose=verbose)
    if verbose:
        show_lines(wrk_reports(results), console)
    for line in conclusion.gate:  # last, where a job's log is looked at first
        show_text(console, line)


def show_caveats(caveats: Sequence[str], console: Console, *, verbose: bool) -> None:
    """Print what should be known; without verbose only so many lines of it."""
    if not caveats:
        return
    console.print("Before you quote it", style="bold")
    shown = list(caveats if verbose else caveats[:MOST_CAVEATS])
    if len(shown) < len(caveats):
        shown.append(f"{len(caveats) - len(shown)} more; -v prints them")
    for caveat in shown:
        show_text(console, caveat, first="  - ", indent="    ")


def finish(
    report: Report, exports: Exports, *, verbose: bool, said: Sequence[str] = ()
) -> BenchError | None:
    """Write the exports and print the report; return what was not written, if anything."""
    failure = None
    try:
        exports.write(report)
    except BenchError as error:
        failure = error
    show_report(report, exports.console, verbose=verbose, said=said)
    return failure


def status_of(results: Results) -> int:
    """Return the exit status: 1 if a measurement is void, or a capacity is not known."""
    are_valid = [m.valid or results.is_step(m.load) for m in results.measurements]
    are_known = [capacity.rate_per_s is not None for capacity in results.capacities]
    return 0 if all(are_valid + are_known) else 1


def run_and_report(
    plan: Plan,
    exports: Exports,
    *,
    wrk: str | None,
    concluding: Callable[[Results], Conclusion],
    verbose: bool,
    gate: Gate | None = None,
) -> int:
    """Carry the plan out, print and export its results, and return the exit status.

    Raises BenchError at the end if an export was not written.
    """
    results, early_end = run_plan(plan, wrk=wrk, save=exports.save, verbose=verbose)
    if early_end and not results.measurements:
        say(f"{results.warnings[-1]}: nothing was measured, and no file was written or changed")
        return early_end.status
    conclusion = concluding(results)
    decision = gate.decide(results) if gate else None
    gate_lines = gate_sentences(results, decision) if decision else []
    conclusion = dataclasses.replace(conclusion, gate=tuple(gate_lines))
    report = Report(results=results, conclusion=conclusion)
    failure = finish(report, exports, verbose=verbose, said=results.warnings)
    tell_github(report, gate_lines)
    if early_end:
        kept = "the rounds before" if early_end.round > 1 else "what was measured of it"
        say(f"{results.warnings[-1]}: the results are those of {kept}")
    if failure:
        raise failure
    if early_end:
        return early_end.status
    has_failed = decision is not None and decision.fails
    return 1 if has_failed else status_of(results)


def top(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001  # main() reads it
        bool, typer.Option("-V", "--version", help="Print the version.")
    ] = False,
    debug: Annotated[  # noqa: ARG001  # main() reads it
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Print the help if there is no command."""
    if context.invoked_subcommand is None:
        console_on(sys.stdout).print(context.get_help())


@command("serve", examples=SERVE_EXAMPLES)
@hiding_variables
def serve(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="What is served.", autocompletion=target_names)
    ],
    port: Annotated[
        int, typer.Option(min=1, max=65535, metavar="N", help="The port to listen on.")
    ] = 8000,
    *,
    config: ConfigOptions,
    serving: ServingOptions,
) -> int:
    """Run one target in the foreground, as the gist did; Ctrl-C ends it."""
    settings = serving.settings(port=port)
    (served,) = parse_targets([target], serving, server=settings, file=config.read())
    if not served.is_launched:
        raise UsageError(f"{target}: somebody else serves that")
    require_proc()
    settings = served.server or settings
    try:
        run_prepare(served, timeout_s=settings.start_timeout_s)
        with start_server(fetch(served, say), settings, log=None) as running:
            running.await_workers(deadline_s=math.inf)
            child = running.child
            while child and not child.exit:
                await_any([child], 3600)
    except KeyboardInterrupt:
        return 0
    status = child.exit.code if child and child.exit else "unknown"
    raise BenchError(f"{target}: the server ended by itself, with status {status}")


def compared_targets(
    texts: Sequence[str] | None, serving: ServingOptions, *, server: ServerSettings, file: BenchFile
) -> tuple[Target, ...]:
    """Return the targets asked for, or those of the file, or the gist's. Raises UsageError."""
    wanted = texts or [*file.targets] or ["fastapi", "micropie"]
    return parse_targets(wanted, serving, server=server, file=file)


@command("compare", examples=TARGET_SYNTAX + COMPARE_EXAMPLES)
@hiding_variables
def compare(
    targets: TargetsArgument = None,
    *,
    config: ConfigOptions,
    load: LoadOptions,
    rate: RateOptions,
    timing: TimingOptions,
    quick: QuickOption = False,
    short: ShortOption = False,
    gist: GistOption = False,
    request: RequestOptions,
    serving: ServingOptions,
    port: PortOption = None,
    strict: StrictOption = False,
    machines: PlaceOptions,
    wrk: WrkOption = None,
    allow_remote: RemoteOption = False,
    gate_options: GateOptions,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Measure targets under the same load, and print the gist's tables and a verdict."""
    preset = choose_preset(quick=quick, short=short, gist=gist)
    file = config.read()
    server = timing.serving(serving.settings(port=port))
    parsed = compared_targets(targets, serving, server=server, file=file)
    loads = planned_loads(load, timing, request, preset, file, rate=rate)
    plan = make_plan(
        parsed,
        loads=loads,
        server=server,
        timing=timing,
        preset=preset,
        variables=file.variables,
        strict=strict,
        places=machines.places(parsed, loads),
        rate_share=rate.share,
    )
    plan = resolve_hosts(plan, allow_remote=allow_remote)
    baseline = gate_options.baseline
    exports = Exports(export, inputs=[baseline] if baseline else [])
    return run_and_report(
        plan,
        exports,
        wrk=wrk,
        concluding=conclude,
        verbose=verbose,
        gate=make_gate(gate_options, plan),
    )


MOST_LIMIT_SHARE = 0.05  # of a trial's time: a rate that is 5% too high makes such a queue


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """What capacity is sought."""

    PANEL: ClassVar = "Load"

    p99: Annotated[
        str, typer.Option(metavar="TIME", help="The limit of the p99 latency, such as 50ms.")
    ] = "50ms"

    def limit_s(self, duration_s: int) -> float:
        """Return the limit of the p99 latency, for trials of that time. Raises UsageError."""
        limit_s = parse_seconds("--p99", self.p99)
        if not limit_s or self.p99.strip()[-1].isdigit():
            raise UsageError(f"--p99 {self.p99!r}: use a time with its unit, such as 50ms")
        if limit_s > MOST_LIMIT_SHARE * duration_s:
            needed_s = math.ceil(limit_s / MOST_LIMIT_SHARE)
            raise UsageError(
                f"--p99 {self.p99}: the limit must be 5% of a trial's time or less, since a "
                f"growing queue would not reach it in {duration_s} s: use -d {needed_s}s or longer"
            )
        return limit_s


@command("capacity", examples=TARGET_SYNTAX + CAPACITY_EXAMPLES)
@hiding_variables
def capacity(
    targets: TargetsArgument = None,
    *,
    config: ConfigOptions,
    search: SearchOptions,
    load: LoadOptions,
    trials: TrialOptions,
    request: RequestOptions,
    serving: ServingOptions,
    machines: PlaceOptions,
    wrk: WrkOption = None,
    allow_remote: RemoteOption = False,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Find the highest rate at which targets keep their p99 latency below a limit."""
    file = config.read()
    server = trials.serving(serving.settings())
    parsed = compared_targets(targets, serving, server=server, file=file)
    loads = planned_loads(load, trials, request, SEARCH, file, seeks_capacity=True)
    plan = make_plan(
        parsed,
        loads=loads,
        server=server,
        timing=TimingOptions(**dataclasses.asdict(trials), duet=False),
        preset=SEARCH,
        variables=file.variables,
        places=machines.places(parsed, loads),
        p99_limit_s=search.limit_s(loads[0].duration_s),
    )
    plan = resolve_hosts(plan, allow_remote=allow_remote)
    exports = Exports(export)
    say(search_sentence(plan))
    return run_and_report(plan, exports, wrk=wrk, concluding=conclude, verbose=verbose)


def search_sentence(plan: Plan) -> str:
    """Return how a capacity is sought, and what that costs."""
    takes = datetime.timedelta(seconds=round(planned_s(plan)))
    return (
        f"each launch: a trial as fast as it goes, then some {SEARCH_STEPS} rates by bisection, a "
        f"missed one twice; {len(schedule(plan))} launches, some {takes} in all"
    )


@command("calibrate", examples=TARGET_SYNTAX)
@hiding_variables
def calibrate(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME=]TARGET",
            help="What is measured against itself.  [default: fastapi]",
            show_default=False,
            autocompletion=target_names,
        ),
    ] = None,
    *,
    config: ConfigOptions,
    load: LoadOptions,
    rate: RateOptions,
    timing: TimingOptions,
    request: RequestOptions,
    serving: ServingOptions,
    machines: PlaceOptions,
    wrk: WrkOption = None,
    allow_remote: RemoteOption = False,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Measure a target against itself: how small a difference can this machine resolve?"""
    if timing.rounds == 1:
        raise UsageError("--rounds 1 gives no interval: calibrate needs at least 2")
    file = config.read()
    server = timing.serving(serving.settings())
    texts = [target] if target else [*file.targets][:1] or ["fastapi"]
    (original,) = parse_targets(texts, serving, server=server, file=file)
    twins = [
        dataclasses.replace(original, name=name, label=f"{original.label} ({name})")
        for name in ("a", "b")
    ]
    loads = planned_loads(load, timing, request, DEFAULTS, file, rate=rate)
    plan = make_plan(
        tuple(twins),
        loads=loads,
        server=server,
        timing=timing,
        preset=DEFAULTS,
        variables=file.variables,
        places=machines.places(twins, loads),
        rate_share=rate.share,
    )
    plan = resolve_hosts(plan, allow_remote=allow_remote)
    return run_and_report(
        plan, Exports(export), wrk=wrk, concluding=calibration_conclusion, verbose=verbose
    )


@command("reproduce", examples=REPRODUCE_EXAMPLES)
def reproduce(
    edition: Annotated[
        str, typer.Argument(metavar="EDITION", help="The day of a published table; see --list.")
    ] = EDITIONS[0].day,
    *,
    list_editions: Annotated[
        bool, typer.Option("--list", help="List the published tables, and measure nothing.")
    ] = False,
    timing: TimingOptions,
    quick: QuickOption = False,
    wrk: WrkOption = None,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Measure a published table with its day's packages, next to its figures."""
    if list_editions:
        show_table(editions_table(), console_on(sys.stdout))
        return 0
    chosen = find_edition(edition)
    preset = choose_preset(quick=quick)
    if preset is DEFAULTS and len(chosen.names) > 2:
        preset = dataclasses.replace(preset, rounds=USEFUL_ROUNDS)
    server = timing.serving(chosen.server)
    plan = make_plan(
        edition_targets(chosen, server),
        loads=edition_loads(chosen, timing.duration_s(preset)),
        server=server,
        timing=timing,
        preset=preset,
    )
    concluding = functools.partial(reproduction_conclusion, edition=chosen)
    return run_and_report(plan, Exports(export), wrk=wrk, concluding=concluding, verbose=verbose)


@command("doctor")
def doctor(
    workers: WorkersOption = 4,
    *,
    load: LoadOptions,
    machines: PlaceOptions,
    wrk: WrkOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> int:
    """Say what on this machine would spoil a measurement, each with its remedy."""
    require_proc()
    loads = planned_loads(load, TimingOptions(), RequestOptions(), DEFAULTS)
    target = parse_target("asgi")
    plan = make_plan(
        (target,),
        loads=loads,
        server=ServerSettings(workers=workers),
        timing=TimingOptions(),
        preset=QUICK,
        places=machines.places([target], loads),
    )
    findings = examine_machines(plan, wrk)
    if as_json:
        data = [dataclasses.asdict(finding) for finding in findings]
        sys.stdout.write(json.dumps(data, indent=2) + "\n")
        return 0
    rows = []
    for finding in findings:
        advice = f"{finding.why}: {finding.remedy}" if finding.warns else finding.why
        rows.append((finding.check, finding.state.value, finding.found, advice))
    titles = ("Check", "State", "Found", "Why it matters, and the remedy")
    columns = columns_from(titles, left=titles)
    table = Table(title="", columns=columns, rows=tuple(rows))
    show_table(table, console_on(sys.stdout))
    return 0


@command("parse", examples=PARSE_EXAMPLES)
def parse(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A text with wrk's reports; '-' is standard input."),
    ] = "-",
    *,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Print the gist's tables from wrk's own text; the heading above a report names it."""
    exports = Exports(export, inputs=[file])
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise BenchError(f"cannot read {file!r}: {error.strerror}") from None
    results = new_results(measurements=tuple(parse_reports(decode_text(data))))
    report = Report(results=results, conclusion=conclude(results))
    failure = finish(report, exports, verbose=verbose)
    if failure:
        raise failure
    has_figures = any(measurement.valid for measurement in results.measurements)
    return 0 if has_figures else 1


@command("report", examples=REPORT_EXAMPLES)
def report_again(
    files: Annotated[
        list[str], typer.Argument(metavar="RESULTS.json", help="Files of --export-json.")
    ],
    *,
    export: ExportOptions,
    verbose: VerboseOption = False,
) -> int:
    """Show saved results again, in any format; several side by side."""
    exports = Exports(export, inputs=files)
    results_by_file = {file: read_results(file) for file in dict.fromkeys(files)}
    if len(results_by_file) == 1:
        (results,) = results_by_file.values()
        conclusion = conclude(results)
    else:
        check_same_load(results_by_file)
        results = merge(suffixed_by_file(results_by_file))
        conclusion = conclude_side_by_side(results_by_file)
    failure = finish(Report(results=results, conclusion=conclusion), exports, verbose=verbose)
    if failure:
        raise failure
    return 0


def describe_versions(versions: Mapping[str, str]) -> str:
    """Return the packages with their versions, separated by commas."""
    return ", ".join(f"{package} {version}" for package, version in versions.items())


@command("targets")
def list_targets(wrk: WrkOption = None) -> int:
    """List what can be measured here, with versions."""
    rows = []
    for name, built_in in BUILT_INS.items():
        versions = package_versions(built_in.packages)
        described = describe_versions(versions)
        if len(versions) < len(built_in.packages):
            described = f"not here; {name}@VERSION is fetched"
        rows.append((name, built_in.about, described))
    rows += [
        ("NAME@VERSION", "one of these at a version, fetched from the Python index", ""),
        ("NAME@DAY", "one of these and its server as of a day, such as 2025-06-03", ""),
        ("module:attribute", "an ASGI app found from this directory", ""),
        ("cmd:COMMAND", "any server, with {port}, {host}, {workers} and {python} filled in", ""),
        ("http://HOST:PORT/", "a server that runs already", ""),
    ]
    titles = ("Target", "What it is", "Versions")
    columns = columns_from(titles, left=titles)
    console = console_on(sys.stdout)
    show_table(Table(title="", columns=columns, rows=tuple(rows)), console)
    servers = describe_versions(package_versions(SERVER_PACKAGES))
    python = f"Python {platform.python_version()} ({sys.executable})"
    console.print(f"\nServed by {servers}; {python}.")
    console.print(f"Load by wrk {examine_wrk(wrk).found}.")
    return 0


def repair_streams() -> None:
    """Replace standard streams that were closed, which Python sets to None.

    Characters that the others cannot encode are escaped.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            null = open(os.devnull, "r+")  # noqa: SIM115  # as long as the process
            setattr(sys, name, null)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def handle_signals() -> None:
    """Let SIGTERM and SIGHUP end the tool as Ctrl-C does, unless they are ignored."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def explain(error: BenchError | CannotGoOnError | TyperException | OSError | psutil.Error) -> int:
    """Print the error as one line on standard error, and return the exit status."""
    number = getattr(error, "errno", None)
    if number in (errno.EPIPE, errno.ENOSPC):
        # So that Python's last flush of standard output is quiet.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if number == errno.ENOSPC and getattr(error, "filename", None) is None:
        say(f"micropie_bench: {error}, for standard output or in {tempfile.gettempdir()}")
    elif number != errno.EPIPE:
        message = error.format_message() if isinstance(error, TyperException) else str(error)
        for line in error.reasons if isinstance(error, HopelessError) else [message]:
            say(f"micropie_bench: {without_url_secrets(' '.join(line.split()))}")
    return getattr(error, "exit_code", 1)


def program_name() -> str:
    """Return the name by which a shell completes this command."""
    name = Path(sys.argv[0]).name
    return "micropie_bench" if name.endswith(".py") else name


def main(argv: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    repair_streams()
    handle_signals()
    leading = list(itertools.takewhile(lambda word: word.startswith("-"), argv))
    try:
        if {"-V", "--version"} & set(leading):  # typer takes longer
            console_on(sys.stdout).print(f"micropie_bench {__version__}")
            return 0
        arguments = list(argv)
        return make_app(top)(args=arguments, prog_name=program_name(), standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except (BenchError, CannotGoOnError, TyperException, OSError, psutil.Error) as error:
        if "--debug" in leading:
            traceback.print_exc()
        return explain(error)


def entry_point() -> NoReturn:
    """Run the command of this process, and end it."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    entry_point()
