"""Tables, verdict lines and conclusions, before they are drawn anywhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.core.estimates import Comparison, Estimate
from micropie_benchlib.core.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """The first column and those titled in `left` have texts, the others figures."""

    title: str
    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[str, ...] = ()

    @property
    def are_texts(self) -> list[bool]:
        return [title in (self.titles[0], *self.left) for title in self.titles]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLine:
    """The verdict on one target under one load; the sentence leaves the load out."""

    comparison: Comparison
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What follows from results.

    `sentences` are what else a command says; `tables` and `chart`, ratios by name, those that
    only it has; warnings of the run were said before it.
    """

    heading: str = ""
    verdict_lines: tuple[VerdictLine, ...] = ()
    gate: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    chart: tuple[tuple[str, Estimate], ...] = ()
    warnings: tuple[str, ...] = ()
    run_warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What every export is made of; with details it is all that there is, if that is long."""

    results: Results
    conclusion: Conclusion
    details: bool = False


class Code(str):
    """A cell that is to be copied as it stands: Markdown shows it as code."""

    __slots__ = ()


def padded(cells: Sequence[str], widths: Sequence[int], are_texts: Sequence[bool]) -> list[str]:
    result = []
    for cell, width, is_text in zip(cells, widths, are_texts, strict=True):
        padding = " " * (width - cell_width(cell))
        result.append(cell + padding if is_text else padding + cell)
    return result


def cell_width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
