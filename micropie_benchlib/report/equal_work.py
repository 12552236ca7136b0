"""The table of what differs between the targets, and its sentences."""

from __future__ import annotations

from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.layout import Table, columns_from
from micropie_benchlib.stats.deciding import chosen_metric
from micropie_benchlib.stats.equal_work import work_of


def are_built_in(results: Results) -> bool:
    """Return whether all targets are built in, so that they have the named workloads."""
    return all(facts.spec.partition("@")[0] in BUILT_INS for facts in results.targets)


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
    return [Table(title="Equal work?", columns=columns_from(titles, left=titles), rows=tuple(rows))]


def work_sentences(results: Results) -> list[str]:
    """Return in what the targets differ, in one line."""
    differing = [fact.name for fact in work_of(results) if fact.differs]
    if not differing:
        return []
    sentence = f'The targets differ in {", ".join(differing)}: see "Equal work?".'
    if "workers" in differing and chosen_metric(results) is None:
        sentence += " Between different numbers of workers the verdicts go by requests/s."
    return [sentence]


def equal_answers_sentences(results: Results) -> list[str]:
    """Return how the built-ins can be compared by equal answers, where theirs differ."""
    differing = {fact.name for fact in work_of(results) if fact.differs}
    if "hash of body" not in differing or not are_built_in(results):
        return []
    return ["--workload json compares the built-ins by equal answers."]
