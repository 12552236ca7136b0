"""Published tables next to what is measured here."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping

from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.published import Edition, by_throughput, editions, label_of
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.equal_work import equal_answers_sentences
from micropie_benchlib.report.figures import format_speed, interval_cell
from micropie_benchlib.report.layout import Conclusion, Table, columns_from
from micropie_benchlib.report.tables import GIST_COLUMNS, gist_row
from micropie_benchlib.stats.ranking import Contest, contests

SAME_BYTES = 1.0  # what was read is printed with two decimals
MAX_IN_FLIGHT = 1.05  # requests for each connection: latencies are rounded


def published_table(results: Results, edition: Edition, load: LoadId) -> Table:
    """Return the published figures of a load, each above what was measured here."""
    rows = []
    for row in edition.rows[load]:
        measured = gist_row(results.single_trials(label_of(row.name), load))
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
        return "no significant difference here"
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
            f"{load.sentence} is {margin:.1%}, without error bars."
        )
        for row in rows:
            if row.in_flight > MAX_IN_FLIGHT * load.connections:
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
    for edition in editions().values():
        in_order = by_throughput(next(iter(edition.rows.values())))
        labels = ", ".join(label_of(row.name) for row in in_order)
        rows.append((edition.day, edition.source, edition.served_by, edition.load, labels))
    titles = ("Edition", "Source", "Served by", "wrk", "Frameworks, as published")
    return Table(title="", columns=columns_from(titles, left=titles), rows=tuple(rows))
