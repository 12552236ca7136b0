"""Tables on a terminal, as wide as it is."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from micropie_benchlib.report.layout import Align, Table, cell_width, padded
from micropie_benchlib.report.printing import printable

INDENT = "  "  # of what belongs to a heading on a terminal
GAP = "  "  # between the columns of a table there


def terminal_lines(table: Table, *, width: int) -> list[str]:
    """Return the table for a terminal of that width; nothing of it is ever cut.

    Figures stay in one line if there is room, else they break at spaces as texts do. Where
    that is not enough, each row becomes a list of its cells.
    """
    table = printable_table(table)
    for break_figures in (False, True):
        least = least_widths(table, break_figures=break_figures)
        spare = width - len(INDENT) - len(GAP) * (len(least) - 1) - sum(least)
        if spare >= 0:
            return drawn_lines(table, wider(table, least, spare))
    return listed_lines(table)


def printable_table(table: Table) -> Table:
    """Return the table with cells that can be shown."""
    rows = [tuple(map(printable, row)) for row in table.rows]
    return dataclasses.replace(table, rows=tuple(rows))


def cells_by_column(table: Table) -> list[list[str]]:
    """Return the title and the cells of each column."""
    titles = [column.title for column in table.columns]
    return [list(cells) for cells in zip(titles, *table.rows, strict=True)]


def least_widths(table: Table, *, break_figures: bool) -> list[int]:
    """Return how narrow each column may be: titles and texts are broken at spaces only."""
    widths = []
    for column, (title, *cells) in zip(table.columns, cells_by_column(table), strict=True):
        pieces = title.split()
        for cell in cells:
            can_break = break_figures or column.align is Align.LEFT
            pieces += cell.split() if can_break else [cell]
        widths.append(max(map(cell_width, pieces), default=0))
    return widths


def wider(table: Table, widths: Sequence[int], spare: int) -> list[int]:
    """Return the widths, with as much of what is to spare as the columns can use."""
    result = []
    for width, cells in zip(widths, cells_by_column(table), strict=True):
        wish = max(map(cell_width, cells)) - width
        more = max(0, min(wish, spare))
        spare -= more
        result.append(width + more)
    return result


def broken(text: str, width: int) -> list[str]:
    """Return the text in lines of that width, broken at spaces; one line at least."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if cell_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line] or [""]


def drawn_lines(table: Table, widths: Sequence[int]) -> list[str]:
    """Return the table drawn in columns of these widths, which hold every word."""
    titles = tuple(column.title for column in table.columns)
    lines = []
    for row in (titles, *table.rows):
        cells = [broken(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            line = INDENT + GAP.join(padded(parts, widths, table.columns))
            lines.append(line.rstrip())
        if row is titles:
            lines.append(INDENT + "─" * (sum(widths) + len(GAP) * (len(widths) - 1)))
    return lines


def listed_lines(table: Table) -> list[str]:
    """Return each row as its first cell, and the others below it, by their titles."""
    others = table.columns[1:]
    room = max(len(column.title) for column in others)
    lines = []
    for row in table.rows:
        lines.append(INDENT + row[0])
        for column, cell in zip(others, row[1:], strict=True):
            if cell:
                lines.append(f"{2 * INDENT}{column.title:<{room}}  {cell}")
    return lines
