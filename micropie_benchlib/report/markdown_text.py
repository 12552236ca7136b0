"""Texts and tables in Markdown."""

import re

from micropie_benchlib.report.layout import Code, Table, cell_width, padded
from micropie_benchlib.report.printing import printable, printable_lines

# In Markdown: the start of a tag, of code, an entity, emphasis, a backslash, a link's middle;
# and what at the start of a line begins a heading, quotation or list.
MARKDOWN_MARKS = re.compile(r"[<`&\\*~]|(?<![^\W_])_|_(?![^\W_])|(?<=\])\(")
MARKDOWN_START = re.compile(r"^(\d*)([#>+.)-])(?=[\s#>]|$)")


def markdown_text(text: str) -> str:
    """Return a text in one line of Markdown, which shows each of its characters."""
    line = " ".join(text.split())
    line = MARKDOWN_MARKS.sub(r"\\\g<0>", line)
    return printable(MARKDOWN_START.sub(r"\1\\\2", line))


def markdown_fence(text: str, *, shortest: int) -> str:
    """Return so many backticks, or more than the text has in a row."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(shortest, longest + 1)


def markdown_code(text: str) -> str:
    line = printable(text)
    fence = markdown_fence(line, shortest=1)
    padding = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{padding}{line}{padding}{fence}"


def markdown_block(text: str) -> str:
    fence = markdown_fence(text, shortest=3)
    return f"{fence}\n{printable_lines(text.rstrip())}\n{fence}"


def markdown_cell(cell: str) -> str:
    shown = markdown_code(cell) if isinstance(cell, Code) else markdown_text(cell)
    return shown.replace("|", r"\|")


def markdown_lines(table: Table) -> list[str]:
    rows = [tuple(map(markdown_cell, row)) for row in (table.titles, *table.rows)]
    widths = [max(map(cell_width, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        lines.append(f"| {' | '.join(padded(row, widths, table.are_texts))} |")
    rule = "|".join("-" * (width + 2) for width in widths)
    lines.insert(1, f"|{rule}|")
    return lines
