"""Tables on a terminal, as wide as it is; nothing of them is ever cut."""

import itertools
from collections.abc import Sequence

from micropie_benchlib.report.layout import Table, cell_width, padded
from micropie_benchlib.report.printing import printable

INDENT = "  "  # of what belongs to a heading on a terminal
GAP = "  "  # between the columns of a table there


def terminal_lines(table: Table, *, width: int) -> list[str]:
    """Figures stay in one line if there is room, else rows become lists of their cells."""
    rows = [list(table.titles)]
    for row in table.rows:
        rows.append(list(map(printable, row)))
    gaps = len(INDENT) + len(GAP) * (len(table.titles) - 1)
    for break_figures in (False, True):
        widths = []
        for is_text, cells in zip(table.are_texts, zip(*rows, strict=True), strict=True):
            widths.append(narrowest(cells, can_break=is_text or break_figures))
        spare = width - gaps - sum(widths)
        if spare >= 0:
            return drawn_lines(table, rows, widened(rows, widths, spare))
    return listed_lines(rows)


def narrowest(cells: Sequence[str], *, can_break: bool) -> int:
    """The first cell is its title, which always breaks."""
    title, *others = cells
    pieces = title.split()
    for cell in others:
        pieces += cell.split() if can_break else [cell]
    return max(map(cell_width, pieces), default=0)


def widened(rows: Sequence[Sequence[str]], widths: Sequence[int], spare: int) -> list[int]:
    result = []
    for width, cells in zip(widths, zip(*rows, strict=True), strict=True):
        more = min(spare, max(map(cell_width, cells)) - width)
        more = max(0, more)
        spare -= more
        result.append(width + more)
    return result


def broken(text: str, width: int) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if cell_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [line for line in lines if line] or [""]


def drawn_lines(table: Table, rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    lines = []
    for row in rows:
        cells = list(map(broken, row, widths))
        for parts in itertools.zip_longest(*cells, fillvalue=""):
            line = INDENT + GAP.join(padded(parts, widths, table.are_texts))
            lines.append(line.rstrip())
        if row is rows[0]:
            lines.append(INDENT + "─" * (sum(widths) + len(GAP) * (len(widths) - 1)))
    return lines


def listed_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    (_, *titles), *others = rows
    room = max(map(len, titles))
    lines = []
    for first, *cells in others:
        lines.append(INDENT + first)
        for title, cell in zip(titles, cells, strict=True):
            if cell:
                lines.append(f"{2 * INDENT}{title:<{room}}  {cell}")
    return lines
