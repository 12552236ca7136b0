"""Published tables next to what is measured here."""

import dataclasses
import itertools

from micropie_benchlib.core.estimates import Estimate
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.published import (
    PublishedRow,
    PublishedTable,
    by_throughput,
    label_of,
    published_tables,
)
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import Kind
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.figures import speed_in_words
from micropie_benchlib.report.layout import Conclusion, Table
from micropie_benchlib.report.tables import GIST_TITLES, gist_row
from micropie_benchlib.report.warnings import lines_of
from micropie_benchlib.stats.ranking import PairwiseComparisons, all_pairwise
from micropie_benchlib.stats.warnings import warnings_of

SAME_BYTES = 1.0  # what was read is printed with two decimals
MAX_IN_FLIGHT = 1.05  # requests for each connection: latencies are rounded


def reproduction_conclusion(results: Results, published: PublishedTable) -> Conclusion:
    pairwise_by_load = {pairwise.load: pairwise for pairwise in all_pairwise(results)}
    figures, sentences = [], stack_sentences(results, published)
    for load in published.rows:
        if load in results.loads:
            figures.append(side_by_side_table(results, published, load))
            sentences += order_lines(published, load, pairwise_by_load.get(load))
    warnings = []
    for sighting in warnings_of(results):
        if sighting.warning.kind is not Kind.UNEQUAL_BUILT_INS:  # of apps that are not the table's
            warnings.append(sighting)
    return dataclasses.replace(
        conclude(results),
        sentences=tuple(sentences),
        tables=tuple(figures),
        warnings=(*published_warnings(published), *lines_of(results, warnings)),
    )


def side_by_side_table(results: Results, published: PublishedTable, load: LoadId) -> Table:
    rows = []
    for row in published.rows[load]:
        label = label_of(row.name)
        measured = gist_row(results.single_trials(label, load))
        rows.append((f"{label}, published", *row.cells))
        rows.append((f"{label}, measured", *measured))
    return Table(
        title=f"{load.title}, published and measured here", titles=GIST_TITLES, rows=tuple(rows)
    )


def order_lines(
    published: PublishedTable, load: LoadId, pairwise: PairwiseComparisons | None
) -> list[str]:
    """Return of each two neighbours in the published order which is ahead here, if known."""
    lines = []
    for ahead, behind in itertools.pairwise(by_throughput(published.rows[load])):
        margin = ahead.requests_per_s / behind.requests_per_s
        names = label_of(ahead.name), label_of(behind.name)
        here = "not measured"
        if pairwise and all(name in pairwise.speeds for name in names):
            speed = pairwise.compare(*names)
            if speed:
                here = f"{speed_in_words(speed, pairwise.metric.measure)}: {finding_on(speed)}"
        pair = f"{names[0]} over {names[1]}"
        lines.append(f"{load.sentence}, {pair}: published {margin:.3f}x, here {here}")
    return lines


def finding_on(speed: Estimate) -> str:
    if speed.interval.contains(1):
        return "no significant difference"
    return "confirmed" if speed.low > 1 else "reversed"


def stack_sentences(results: Results, published: PublishedTable) -> list[str]:
    responses = {facts.name: facts.responses for facts in results.targets}
    sentences = []
    for load, rows in published.rows.items():
        for row in rows:
            label = label_of(row.name)
            response = responses.get(label, {}).get(load.workload)
            if not response or not row.response_bytes:
                continue
            finding = f"; published: {row.response_bytes:.1f}."
            if abs(response.bytes - row.response_bytes) <= SAME_BYTES:
                finding = ", as published."
            to = "" if load.workload == DEFAULT_WORKLOAD else f" to {load.workload}"
            sentences.append(f"{label} sends{to} {response.bytes} bytes{finding}")
    return list(dict.fromkeys(sentences))


def published_warnings(published: PublishedTable) -> list[str]:
    warnings = list(published.warnings)
    for load, rows in published.rows.items():
        first, second, *_ = by_throughput(rows)
        margin = first.requests_per_s / second.requests_per_s - 1
        warnings.append(
            f"The published margin of {label_of(first.name)} over {label_of(second.name)} at "
            f"{load.sentence} is {margin:.1%}, without error bars."
        )
        timeouts = []
        for row in rows:
            if row.timeouts:
                timeouts.append(row.timeouts)
            if row.in_flight > MAX_IN_FLIGHT * load.connections:
                warnings.append(little_warning(row, load))
        if timeouts:
            warnings.append(
                f"The published rows have {min(timeouts)} to {max(timeouts)} timeouts each: "
                "wrk's limit of 2 s caps their longest latencies, and their means leave out "
                "slower responses."
            )
    return warnings


def little_warning(row: PublishedRow, load: LoadId) -> str:
    return (
        f"The published row of {label_of(row.name)} breaks Little's law: "
        f"{row.requests_per_s:.0f} requests/s of {row.mean} would need "
        f"{row.in_flight:.0f} requests in flight, "
        f"but had {load.connections} connections. "
        "wrk's correction raises its mean like this when responses stall."
    )


def list_of_published_tables() -> Table:
    rows = []
    for published in published_tables().values():
        in_order = by_throughput(next(iter(published.rows.values())))
        labels = ", ".join(label_of(row.name) for row in in_order)
        rows.append((published.day, published.source, published.served_by, published.load, labels))
    titles = ("Table", "Source", "Served by", "wrk", "Frameworks, as published")
    return Table(title="", titles=titles, left=titles, rows=tuple(rows))
