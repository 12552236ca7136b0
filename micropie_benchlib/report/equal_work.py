"""The table of what differs between the targets."""

from __future__ import annotations

from micropie_benchlib.core.results import Results
from micropie_benchlib.report.layout import Table
from micropie_benchlib.stats.equal_work import work_of

MAX_WORK_COLUMNS = 4  # targets that fit beside each other on a terminal


def work_tables(results: Results, *, details: bool = True) -> list[Table]:
    """Return the table of what is equal between the targets and what differs.

    There is none if nothing differs; without details it has only what does, and of many
    targets a row for each.
    """
    work = work_of(results)
    if not any(fact.differs for fact in work):
        return []
    shown = [fact for fact in work if details or fact.differs]
    labels = [facts.label for facts in results.targets]
    titles = ("What", *labels, "State")
    rows = [(fact.name, *fact.values, fact.state) for fact in shown]
    if not details and len(labels) > MAX_WORK_COLUMNS:
        titles, *rows = zip(titles, *rows, strict=True)
    return [Table(title="Equal work?", titles=titles, left=titles, rows=tuple(rows))]
