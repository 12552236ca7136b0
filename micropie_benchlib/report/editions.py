"""Published tables next to what is measured here."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.text import pluralize
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.equal_work import equal_answers_sentences
from micropie_benchlib.report.figures import format_speed, interval_cell
from micropie_benchlib.report.layout import Conclusion, Table, columns_from
from micropie_benchlib.report.tables import GIST_COLUMNS, gist_row
from micropie_benchlib.stats.ranking import Contest, contests
from micropie_benchlib.wrk.text import parse_bytes, parse_time


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """What was published of one framework under one load, with the texts as printed.

    Empty, or None, where nothing was. `timeouts` are answers that took over 2 s.
    """

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
        """The bytes of a response: what was read in all, or else in a second."""
        if self.requests and self.read:
            return parse_bytes(self.read) / self.requests
        return parse_bytes(self.transfer) / self.requests_per_s if self.transfer else None

    @property
    def in_flight(self) -> float:
        """How many requests were under way at a time, by Little's law."""
        return self.requests_per_s * parse_time(self.mean)

    @property
    def cells(self) -> tuple[str, ...]:
        """The gist's columns after the name."""
        read = f"{parse_bytes(self.read) / 2**20:.2f}" if self.read else ""
        transfer = f"{parse_bytes(self.transfer) / 2**10:.2f}" if self.transfer else ""
        return self.mean, self.max, f"{self.requests_per_s:.2f}", read, transfer


def published_rows(text: str) -> tuple[PublishedRow, ...]:
    """Return the rows of a text with the fields of PublishedRow in columns; `-` is none."""
    rows = []
    for line in text.strip().splitlines():
        name, rate, *texts, timeouts = ("" if word == "-" else word for word in line.split())
        mean, longest, requests, read, transfer = texts
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
class Edition:
    """One published table: its source, how it was served and loaded, and its rows by load.

    `apps` has what of apps.py was served, where that is not the built-in's own, and
    `requirements` what pip installs of a framework, likewise. The packages are those that
    were there at `as_of`, in ISO 8601; on the `day` if it is empty. `remarks` are what a
    reader should know of how it was made.
    """

    day: str
    source: str
    server: ServerSettings
    threads: int
    duration: str
    rows: Mapping[LoadId, tuple[PublishedRow, ...]]
    apps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    requirements: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    as_of: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The frameworks' built-ins, in the order of the table."""
        return [row.name for row in next(iter(self.rows.values()))]

    @property
    def served_by(self) -> str:
        """How it was served, in words."""
        return f"{self.server.asgi}, {pluralize(self.server.workers, 'worker')}"

    @property
    def load(self) -> str:
        """wrk's options."""
        counts = dict.fromkeys(load.connections for load in self.rows)
        connections = " and ".join(f"-c{count}" for count in counts)
        return f"-t{self.threads} {connections} -d{self.duration}"


def _load_id(connections: int, workload: str = DEFAULT_WORKLOAD) -> LoadId:
    return LoadId(workload=workload, connections=connections)


def _plain(*names: str) -> dict[str, str]:
    """Return those apps of apps.py that return JSON in the plainest way, by built-in."""
    return {name: f"plain_{name}" for name in names}


# Columns: built-in, requests/s, mean and longest latency, requests, read in all and per
# second, timeouts.
EDITIONS = (
    Edition(
        day="2025-01-29",
        source="gist 1269e389 (StarLabs StarLite MkIV)",
        server=ServerSettings(workers=4),
        threads=4,
        duration="30s",
        rows={
            _load_id(100): published_rows(
                """
                fastapi   2031.28  49.15ms  102.39ms  61027   8.39MB  285.95KB  -
                micropie  2239.68  44.58ms  101.74ms  67283  17.02MB  580.29KB  -
                """
            ),
            _load_id(200): published_rows(
                """
                fastapi   2195.34  91.97ms  365.85ms  65928   9.06MB  309.07KB  -
                micropie  2450.02  81.46ms  142.96ms  73571  18.61MB  634.76KB  -
                """
            ),
        },
    ),
    Edition(
        day="2025-01-30",
        source="r/Python 1id4vt7 (StarLabs StarLite MkIV)",
        server=ServerSettings(workers=4),
        threads=4,
        duration="30s",
        rows={
            _load_id(1000, "json"): published_rows(
                """
                starlette  2876.03  344.06ms  -  -  -  1.29MB    -
                micropie   2583.53  383.03ms  -  -  -  1.21MB    -
                fastapi    2398.27  411.76ms  -  -  -  1.08MB    -
                quart      1790.77  550.98ms  -  -  -  824.01KB  -
                """
            ),
            _load_id(1000, "compute"): published_rows(
                """
                starlette  1150.61  854.00ms  -  -  -  166.49KB  -
                micropie   1172.31  834.71ms  -  -  -  191.35KB  -
                fastapi    1125.05  872.02ms  -  -  -  162.76KB  -
                quart      1087.58  900.84ms  -  -  -  157.35KB  -
                """
            ),
            _load_id(1000, "delayed"): published_rows(
                """
                starlette  2575.46  383.92ms  -  -  -  387.81KB  -
                micropie   2427.21  407.63ms  -  -  -  410.36KB  -
                fastapi    2017.15  488.75ms  -  -  -  303.78KB  -
                quart      1745.00  563.26ms  -  -  -  262.82KB  -
                """
            ),
        },
        remarks=(
            "The code of its apps is not known: /, /compute and /delayed are measured by "
            "workloads of this tool, with other bytes. Litestar's figures are not known.",
        ),
    ),
    Edition(
        day="2025-02-04",
        source="README of MicroPie, commit 401f466",
        server=ServerSettings(workers=4),
        threads=12,
        duration="30s",
        rows={
            _load_id(1000): published_rows(
                """
                muffin      6508.80  132.62ms  2.00s  -  -  0.90MB    533
                starlette   6340.40  130.72ms  2.00s  -  -  0.86MB    621
                blacksheep  5928.99  142.48ms  1.99s  -  -  0.98MB    526
                micropie    5447.04  157.04ms  2.00s  -  -  0.85MB    470
                litestar    5088.38  151.59ms  2.00s  -  -  730.46KB  662
                sanic       4236.29  196.80ms  2.00s  -  -  682.61KB  452
                fastapi     2352.53  396.95ms  2.00s  -  -  326.23KB  516
                """
            )
        },
        apps=_plain(
            *("muffin", "starlette", "blacksheep", "micropie", "litestar", "sanic", "fastapi")
        ),
        remarks=(
            "What its apps returned is not known: by its bytes, only Starlette and FastAPI sent "
            "the plainest JSON.",
        ),
    ),
    Edition(
        day="2025-06-03",
        source="gist 26ad4bab (Dell XPS 13)",
        server=ServerSettings(workers=4),
        threads=4,
        duration="15s",
        rows={
            _load_id(64): published_rows(
                """
                muffin      58931.31  1.08ms  29.21ms  889891  -         7.98MB  -
                blacksheep  55060.05  1.15ms  15.11ms  831432  120.52MB  7.98MB  -
                micropie    52685.82  1.35ms  21.59ms  791721  121.56MB  8.09MB  -
                starlette   51930.45  1.22ms  17.42ms  779092  -         7.03MB  -
                litestar    40401.18  1.57ms  33.66ms  610059  -         5.47MB  -
                sanic       35508.58  1.84ms  37.83ms  536203  82.33MB   5.45MB  -
                fastapi     18756.73  3.52ms  56.73ms  281493  38.12MB   2.54MB  -
                """
            )
        },
        apps={
            **_plain("muffin", "micropie", "starlette", "litestar", "sanic"),
            "blacksheep": "plain_blacksheep_def",
            "fastapi": "plain_fastapi_def",
        },
        requirements={"micropie": ("micropie[all]",)},
        remarks=(
            "The handlers of BlackSheep and FastAPI were def, not async def: FastAPI runs such "
            "in threads, BlackSheep does not.",
        ),
    ),
    Edition(
        day="2025-07-07",
        source="gist 39e846ed (MicroPie 0.13)",
        server=ServerSettings(workers=1),
        threads=4,
        duration="15s",
        rows={
            _load_id(64): published_rows(
                """
                blacksheep  23041.66  2.82ms   88.84ms  345832  46.83MB  3.12MB  -
                starlette   21615.41  3.00ms   90.34ms  324374  43.93MB  2.93MB  -
                micropie    18519.02  3.53ms  105.00ms  277960  42.68MB  2.84MB  -
                fastapi      8899.40  7.22ms   56.09ms  133542  18.08MB  1.21MB  -
                quart        8601.40  7.52ms  117.99ms  129089  17.60MB  1.17MB  -
                """
            )
        },
        apps=_plain("blacksheep", "starlette", "micropie", "fastapi", "quart"),
        requirements={"micropie": ("micropie[all]==0.13",)},
        remarks=("Each row is the best of several runs.",),
    ),
    Edition(
        day="2026-05-11",
        source="gist 39e846ed (MicroPie 0.29, Dell XPS 13 9350)",
        server=ServerSettings(workers=8, asgi=AsgiServer.GRANIAN),
        threads=4,
        duration="15s",
        rows={
            _load_id(1000): published_rows(
                """
                micropie    234244.46   4.04ms   53.62ms  3536707  462.36MB  30.62MB  -
                blacksheep  231688.13   4.04ms   82.57ms  3495372  455.76MB  30.21MB  -
                starlette   223883.45   4.24ms   76.26ms  3381117  441.35MB  29.22MB  -
                fastapi     150351.61   6.57ms  131.65ms  2270601  294.85MB  19.52MB  -
                quart       104469.09  11.75ms  197.47ms  1575417  202.18MB  13.41MB  -
                """
            )
        },
        apps=_plain("micropie", "blacksheep", "starlette", "fastapi", "quart"),
        as_of="2026-05-11T07:00:00Z",  # the gist's last change; MicroPie 0.29 is of that day
        requirements={"micropie": ("micropie[all]",)},
        remarks=(
            "What was read over the requests gives 134.6 to 137.1 bytes for an answer, which is "
            "that of no such stack: granian 2.7.4 answers with 142, Quart's with 143.",
        ),
    ),
)
EDITIONS_BY_DAY = {edition.day: edition for edition in EDITIONS}
SAME_BYTES = 1.0  # what was read is printed with two decimals
MOST_IN_FLIGHT = 1.05  # requests for each connection: latencies are rounded


def label_of(name: str) -> str:
    """Return what tables show for a built-in."""
    return BUILT_INS[name].label


def by_throughput(rows: Iterable[PublishedRow]) -> list[PublishedRow]:
    """Return the rows in the published order: by requests/s, the most first."""
    return sorted(rows, key=lambda row: -row.requests_per_s)


def published_table(results: Results, edition: Edition, load: LoadId) -> Table:
    """Return the published figures of a load, each above what was measured here."""
    rows = []
    for row in edition.rows[load]:
        measured = gist_row(results.solo_trials(label_of(row.name), load))
        rows.append((f"{label_of(row.name)}, published", *row.cells))
        rows.append((f"{label_of(row.name)}, measured", *measured))
    return Table(
        title=f"{load.title}, published and measured here", columns=GIST_COLUMNS, rows=tuple(rows)
    )


ORDER_COLUMNS = columns_from(
    ("Published Order", "Published", "Here", "Interval", "Finding"),
    left=["Published Order", "Finding"],
)


def finding_on(speed: Estimate | None) -> str:
    """Return what a speed says of a published order, by which it should lie above 1."""
    if speed is None:
        return "not measured"
    if speed.interval is None or speed.interval.contains(1):
        return "not to be told apart here"
    return "confirmed" if speed.interval.low > 1 else "reversed"


def order_table(edition: Edition, load: LoadId, contest: Contest | None) -> Table:
    """Return of each two neighbours in the published order which is ahead here, if known."""
    rows = []
    for ahead, behind in itertools.pairwise(by_throughput(edition.rows[load])):
        published = f"{ahead.requests_per_s / behind.requests_per_s:.3f}x"
        names = label_of(ahead.name), label_of(behind.name)
        speed = None
        if contest and all(name in contest.speeds for name in names):
            speed = contest.compare(*names)
        here = format_speed(speed) if speed else "none"
        pair = f"{names[0]} over {names[1]}"
        rows.append((pair, published, here, interval_cell(speed), finding_on(speed)))
    measure = f" {contest.metric.facts.measure}" if contest else ""
    return Table(
        title=f"{load.title}, the published order, and speed{measure} here",
        columns=ORDER_COLUMNS,
        rows=tuple(rows),
    )


def stack_sentences(results: Results, edition: Edition) -> list[str]:
    """Return whether each target's bytes of a response are those of the published stack."""
    sentences = []
    for load, rows in edition.rows.items():
        for row in rows:
            response = responses_of(results, label_of(row.name)).get(load.workload)
            if not response or not row.response_bytes:
                continue
            proof = "not as published"
            if abs(response.bytes - row.response_bytes) <= SAME_BYTES:
                proof = "as published"
            to = "" if load.workload == DEFAULT_WORKLOAD else f" to {load.workload}"
            sentence = (
                f"{label_of(row.name)} answers{to} {response.bytes} bytes, "
                f"published {row.response_bytes:.1f}: {proof}"
            )
            sentences.append(sentence)
    return [f"{sentence}." for sentence in dict.fromkeys(sentences)]


def responses_of(results: Results, name: str) -> Mapping[str, Response]:
    """Return a target's answers by workload; nothing if it was not asked."""
    for facts in results.targets:
        if facts.name == name:
            return facts.responses
    return {}


def edition_remarks(edition: Edition) -> list[str]:
    """Return what a reader of the published table should know."""
    remarks = list(edition.remarks)
    for load, rows in edition.rows.items():
        first, second, *_ = by_throughput(rows)
        margin = first.requests_per_s / second.requests_per_s - 1
        remarks.append(
            f"The published margin of {label_of(first.name)} over {label_of(second.name)} at "
            f"{load.sentence} is {margin:.1%}, without a spread."
        )
        for row in rows:
            if row.in_flight > MOST_IN_FLIGHT * load.connections:
                remarks.append(
                    f"The published row of {label_of(row.name)} breaks Little's law: "
                    f"{row.requests_per_s:.0f} requests/s of {row.mean} are {row.in_flight:.0f} "
                    f"under way at a time, on {load.connections} connections. Where answers stall, "
                    "wrk's correction raises its mean so."
                )
        timeouts = [row.timeouts for row in rows if row.timeouts]
        if timeouts:
            remarks.append(
                f"The published rows have {min(timeouts)} to {max(timeouts)} timeouts each: "
                "their longest latencies are wrk's limit of 2 s, and their means leave out what "
                "took longer."
            )
    return remarks


def reproduction_conclusion(results: Results, edition: Edition) -> Conclusion:
    """Return the published figures beside those of the results, and what they say."""
    measured = [load for load in edition.rows if load in results.loads]
    by_load = {contest.load: contest for contest in contests(results)}
    tables = [published_table(results, edition, load) for load in measured]
    tables += [order_table(edition, load, by_load.get(load)) for load in measured]
    conclusion = conclude(results)
    advice = equal_answers_sentences(results)  # of apps that are not those of a published table
    caveats = [caveat for caveat in conclusion.caveats if caveat not in advice]
    return dataclasses.replace(
        conclusion,
        sentences=tuple(stack_sentences(results, edition)),
        tables=tuple(tables),
        caveats=(*edition_remarks(edition), *caveats),
    )


def editions_table() -> Table:
    """Return the editions that can be reproduced."""
    rows = []
    for edition in EDITIONS:
        in_order = by_throughput(next(iter(edition.rows.values())))
        labels = ", ".join(label_of(row.name) for row in in_order)
        rows.append((edition.day, edition.source, edition.served_by, edition.load, labels))
    titles = ("Edition", "Source", "Served by", "wrk", "Frameworks, as published")
    return Table(title="", columns=columns_from(titles, left=titles), rows=tuple(rows))
