"""Where text goes: terminals, their width, and lines that fit."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

from micropie_benchlib.report.layout import Table
from micropie_benchlib.report.markdown_text import markdown_lines
from micropie_benchlib.report.printing import printable_lines
from micropie_benchlib.report.terminal import broken, terminal_lines

if TYPE_CHECKING:
    from rich.console import Console


@functools.cache
def console_class() -> type[Console]:
    """Return rich's console, which raises when its reader is gone; rich ends the process."""
    from rich.console import Console

    class RaisingConsole(Console):
        def on_broken_pipe(self) -> None:
            raise  # rich calls this where it handles the BrokenPipeError

    return RaisingConsole


def console_on(stream: IO[str]) -> Console:
    """COLUMNS comes first, as everywhere; rich takes 80 for any terminal that is dumb.

    FORCE_COLOR makes a terminal of anything; rich heeds NO_COLOR and TERM=dumb.
    """
    terminal = stream.isatty() or bool(os.environ.get("FORCE_COLOR"))
    columns, lines = 80, 24
    with contextlib.suppress(OSError, ValueError):
        columns, lines = os.get_terminal_size(stream.fileno())
    environment = os.environ.get("COLUMNS", "")
    if environment.isdecimal():
        columns = int(environment)
    return console_class()(
        file=stream,
        width=(columns or 80) if terminal else UNLIMITED_WIDTH,
        height=lines or 24,
        force_terminal=terminal,
        highlight=False,
        markup=False,
        emoji=False,
        soft_wrap=True,
    )


UNLIMITED_WIDTH = 10_000


def say(text: str) -> None:
    """Print a line on standard error; a measurement does not fail for want of a reader."""
    with contextlib.suppress(OSError):
        show_text(console_on(sys.stderr), text)


def show_lines(lines: Iterable[str], console: Console) -> None:
    """Print the lines: whatever their texts hold, nothing of it steers the terminal."""
    for line in lines:
        console.print(printable_lines(line))


def table_of_texts(titles: Sequence[str], rows: Iterable[tuple[str, ...]]) -> Table:
    return Table(title="", titles=tuple(titles), left=tuple(titles), rows=tuple(rows))


def show_table(table: Table, console: Console) -> None:
    console.print()
    if table.title:
        title = "\n".join(wrapped(table.title, console))
        console.print(printable_lines(title), style="bold")
    if console.is_terminal:
        lines = terminal_lines(table, width=console.width)
    else:
        lines = ["", *markdown_lines(table)] if table.title else markdown_lines(table)
    print("\n".join(lines), file=console.file)


def wrapped(text: str, console: Console, *, first: str = "", indent: str = "") -> list[str]:
    """Return the text in lines that fit; `first` begins it and is as wide as `indent`."""
    width = max(40, console.width) if console.is_terminal else UNLIMITED_WIDTH
    first_line, *others = broken(text, width - len(indent))
    return [first + first_line, *(indent + line for line in others)]


def show_text(console: Console, text: str, *, first: str = "", indent: str = "") -> None:
    show_lines(wrapped(text, console, first=first, indent=indent), console)
