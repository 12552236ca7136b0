"""Tables, answers and conclusions, before they are drawn anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from micropie_benchlib.core.estimates import Comparison
from micropie_benchlib.core.results import Results


class Align(StrEnum):
    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    title: str
    align: Align = Align.RIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Cells in rows; rendered for terminal, Markdown and HTML."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The verdict on one target under one load; the sentence leaves the load out."""

    comparison: Comparison
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What follows from results.

    The answers, the gate's decision, what else a command says, tables that only this
    command has, and the warnings; those of the run were said before it.
    """

    heading: str = ""
    answers: tuple[Answer, ...] = ()
    gate: tuple[str, ...] = ()
    sentences: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    run_warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What every export is made of."""

    results: Results
    conclusion: Conclusion


class Code(str):
    """A cell that is to be copied as it stands: Markdown shows it as code."""

    __slots__ = ()


def columns_from(titles: Sequence[str], *, left: Sequence[str]) -> tuple[Column, ...]:
    """Return columns of these titles; those in `left` are aligned there."""
    columns = []
    for title in titles:
        align = Align.LEFT if title in left else Align.RIGHT
        columns.append(Column(title=title, align=align))
    return tuple(columns)


def padded(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> list[str]:
    """Return a row's cells, each as wide as its column, on the column's side."""
    result = []
    for cell, width, column in zip(cells, widths, columns, strict=True):
        padding = " " * (width - cell_width(cell))
        is_left = column.align is Align.LEFT
        result.append(cell + padding if is_left else padding + cell)
    return result


def cell_width(text: str) -> int:
    """Return how many columns of a terminal the text takes."""
    from rich.cells import cell_len

    return cell_len(text)
