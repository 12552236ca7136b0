"""Options of targets, servers, machines, exports and the gate."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from micropie_benchlib.cli.reading import Reads, beside_file, program
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.choices import AsgiServer, Http, Loop
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.plan import Places
from micropie_benchlib.core.targets import ServerSettings, Target
from micropie_benchlib.serve.addresses import addresses_of, are_loopback, split_url
from micropie_benchlib.serve.asgi import ASGI_SERVERS


def target_names() -> list[str]:
    """Return what a shell completes a target with."""
    return list(BUILT_INS)


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
    Reads(program),
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
        str | None,
        typer.Option(metavar="FILE", help="What ssh reads instead of ~/.ssh/config."),
        Reads(beside_file),
    ] = None

    def places(self, targets: Sequence[Target], loads: Sequence[Load]) -> Places:
        """Return the machines. Raises UsageError for those that cannot be."""
        hosts = tuple(filter(None, (self.load_on or "").split(",")))
        if self.load_on is not None and not hosts:
            raise UsageError("names no machine", option="--load-on")
        for host in [*([] if self.server_on is None else [self.server_on]), *hosts]:
            if not re.fullmatch(r"[^-\s/][^\s/]*", host):
                raise UsageError(f"{host!r} is no machine that ssh could reach: give its name")
        if len(set(hosts)) < len(hosts):
            raise UsageError("names a machine twice", option="--load-on")
        places = Places(
            server=self.server_on or "",
            loads=hosts,
            ssh_config=str(Path(self.ssh_config).absolute()) if self.ssh_config else None,
        )
        if self.ssh_config and places.are_here:
            raise UsageError("is for other machines: --server-on, --load-on", option="--ssh-config")
        if self.ssh_config and not Path(self.ssh_config).is_file():
            raise UsageError(f"{self.ssh_config}: there is no such file", option="--ssh-config")
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
        str | None,
        typer.Option(metavar="PATH", help="The Python that runs apps of your own."),
        Reads(program),
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
        ASGI_SERVERS[settings.asgi].check_options(settings)
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """The files that results are written to."""

    PANEL: ClassVar = "Exports"

    export_json: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the results as JSON ('-': stdout)."),
        Reads(beside_file),
    ] = None
    export_markdown: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write the whole report in Markdown."),
        Reads(beside_file),
    ] = None
    export_csv: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a row for each measurement."),
        Reads(beside_file),
    ] = None
    export_html: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write a page with charts."),
        Reads(beside_file),
    ] = None
    export_github_benchmark: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Write JSON for github-action-benchmark."),
        Reads(beside_file),
    ] = None

    def destinations(self) -> dict[str, str]:
        """Return the files asked for, by option."""
        destinations = {}
        for field in dataclasses.fields(self):
            file = getattr(self, field.name)
            if file is not None:
                destinations[f"--{field.name.replace('_', '-')}"] = file
        return destinations


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """When a slower target fails the run."""

    PANEL: ClassVar = "Gate"

    baseline: Annotated[
        str | None,
        typer.Option(metavar="RESULTS.json", help="What the gate compares with."),
        Reads(beside_file),
    ] = None
    fail_if_slower: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Exit with 1 if a target is significantly slower by more than that, such as 5%.",
        ),
    ] = None
