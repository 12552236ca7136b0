"""Tables that MicroPie's author published, as data."""

import dataclasses
import functools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.text import parse_bytes, parse_time, pluralize

GIST_DAY = "2025-01-29"  # of the gist that this tool began as a rerun of


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """A framework under one load, with the texts as printed; empty or None where none was."""

    name: str
    requests_per_s: float
    mean: str
    max: str
    requests: int | None
    read: str
    transfer: str
    timeouts: int

    @property
    def response_bytes(self) -> float | None:
        if self.requests and self.read:
            return parse_bytes(self.read) / self.requests
        return parse_bytes(self.transfer) / self.requests_per_s if self.transfer else None

    @property
    def in_flight(self) -> float:
        """By Little's law."""
        return self.requests_per_s * parse_time(self.mean)

    @property
    def cells(self) -> tuple[str, ...]:
        read = f"{parse_bytes(self.read) / 2**20:.2f}" if self.read else ""
        transfer = f"{parse_bytes(self.transfer) / 2**10:.2f}" if self.transfer else ""
        return self.mean, self.max, f"{self.requests_per_s:.2f}", read, transfer


def published_rows(text: str) -> tuple[PublishedRow, ...]:
    """Return the rows of a text with the fields of PublishedRow in columns; `-` is none."""
    rows = []
    for line in text.strip().splitlines():
        words = ["" if word == "-" else word for word in line.split()]
        name, rate, mean, longest, requests, read, transfer, timeouts = words
        rows.append(
            PublishedRow(
                name=name,
                requests_per_s=float(rate),
                mean=mean,
                max=longest,
                requests=int(requests) if requests else None,
                read=read,
                transfer=transfer,
                timeouts=int(timeouts or 0),
            )
        )
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTable:
    """One published table: its source, how it was served and loaded, and its rows by load.

    `apps` has what of apps.py was served, where that is not the built-in's own, and
    `requirements` what pip installs of a framework, likewise. The packages are those that
    were there at `as_of`, in ISO 8601; on the `day` if it is empty. `warnings` are what a
    reader should know of how it was made.
    """

    day: str
    source: str
    server: ServerSettings
    threads: int
    duration: str
    rows: Mapping[LoadId, tuple[PublishedRow, ...]]
    apps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    requirements: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    as_of: str = ""
    warnings: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        return [row.name for row in next(iter(self.rows.values()))]

    @property
    def served_by(self) -> str:
        return f"{self.server.asgi}, {pluralize(self.server.workers, 'worker')}"

    @property
    def load(self) -> str:
        counts = dict.fromkeys(load.connections for load in self.rows)
        connections = " and ".join(f"-c{count}" for count in counts)
        return f"-t{self.threads} {connections} -d{self.duration}"


def label_of(name: str) -> str:
    return BUILT_INS[name].label


def by_throughput(rows: Iterable[PublishedRow]) -> list[PublishedRow]:
    return sorted(rows, key=lambda row: -row.requests_per_s)


@functools.cache
def published_tables() -> dict[str, PublishedTable]:
    text = packaged_text(__package__, "published_tables.toml")
    tables = {}
    for table in tomllib.loads(text)["tables"]:
        tables[table["day"]] = published_of(table)
    return tables


def published_of(table: dict[str, Any]) -> PublishedTable:
    rows = {}
    for load in table.pop("loads"):
        workload = load.get("workload", DEFAULT_WORKLOAD)
        load_id = LoadId(workload=workload, connections=load["connections"])
        rows[load_id] = published_rows(load["rows"])
    asgi = AsgiServer(table.pop("asgi", AsgiServer.UVICORN))
    server = ServerSettings(workers=table.pop("workers"), asgi=asgi)
    return PublishedTable(server=server, rows=rows, **table)
