"""What names a report in a text: the nearest Markdown heading, and the label right before it.

What looks like code, a command or a sentence names nothing, nor does what another fence holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.wrk.documents import TextLine, without_prefix

HEADING = re.compile(r"#{1,6}\s*([^\s#!].*)")
UNDERLINE = re.compile(r"={3,}|-{3,}")
RULE = re.compile(r"([-=*_~])\1{2,}")
FENCE = re.compile(r"```|~~~")
LIST_MARK = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+|>\s*")
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
WRK_COMMAND = re.compile(
    r"(?:^|[\s/\"'`$>#%])wrk2?\s(?:.*\s)?(?:-{1,2}[a-z]|[\"']?https?://)", re.IGNORECASE
)
SHELL_PROMPT = re.compile(
    r"[$%❯➜λ»]\s|>\s*(?:\./|sudo |wrk)"
    r"|\(?[\w.-]+\)?\s[$%❯➜]\s"
    r"|\[?[\w.-]+@[^\s\]]+[^$#%>]*[$#%>]"
    r"|\S+:\S+ \S+[$%] "
    r"|(?:PS )?[A-Z]:\\[^>]*>"
)
PROSE = re.compile(
    r"[.,;!?。，！？…]$"  # ends as a sentence does, or goes on
    r"|\w{3}[.!?] \w|[。！？]\w"  # two sentences
    r"|\s-{1,2}[A-Za-z][\w-]*(?:\s|=|$)"  # a command's options
    r"|^\||\|.*\|"  # a table's row
)
MAX_TITLE = 200  # characters; what is longer is neither title nor command


def is_command(text: str) -> bool:
    """Return whether the line is one that was typed, a prompt before it or not."""
    return bool(WRK_COMMAND.search(text[:MAX_TITLE]) or SHELL_PROMPT.match(text[:MAX_TITLE]))


def is_label(text: str) -> bool:
    """Return whether a line can be a label: short, and no sentence of a text."""
    is_short = len(text) <= 80 and len(text.split()) <= 10
    return is_short and bool(re.search(r"\w", text)) and not PROSE.search(text)


def plain(text: str) -> str:
    """Return a title without Markdown's marks and without what cannot be shown."""
    text = LIST_MARK.sub("", LINK.sub(r"\1", text), count=1)
    printable = "".join(filter(str.isprintable, " ".join(text.split())))
    return printable.strip("#*_`:：= ").replace("|", "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """What stands before a report: its name, and whether nothing else was said."""

    name: str
    is_silent: bool


class Namer:
    """Names the reports of a text, which is read gap by gap."""

    def __init__(self) -> None:
        self._heading = ""
        self._label = ""
        self._fence = ""

    def read_gap(
        self, lines: Sequence[TextLine], prefixes: Sequence[re.Pattern[str] | None]
    ) -> Gap:
        """Return what the lines before a report say of it.

        The prefixes are those of the reports below and above.
        """
        said = self._lines_outside_of_code(lines, prefixes)
        above = ""  # the line before, if it is text
        for text in said:
            if is_command(text):
                above = ""
                continue
            heading = HEADING.fullmatch(text) if len(text) <= MAX_TITLE else None
            if heading or (above and UNDERLINE.fullmatch(text)):
                self._heading = plain(heading[1] if heading else above)
                self._label = above = ""
            elif RULE.fullmatch(text):
                self._label = above = ""
            elif text:
                self._label = plain(text) if not above and is_label(text) else ""
                above = "" if LIST_MARK.match(text) else text
            else:
                above = ""
        name = ": ".join(filter(None, [self._heading, self._label]))
        is_silent = not any(text and not RULE.fullmatch(text) for text in said)
        return Gap(name=name, is_silent=is_silent)

    def _lines_outside_of_code(
        self, lines: Sequence[TextLine], prefixes: Sequence[re.Pattern[str] | None]
    ) -> list[str]:
        """Return the lines without prefixes, and without fences that close before the report."""
        said: list[str] = []
        begun_at = 0  # where the lines of the open fence begin
        for line in lines:
            text = without_prefix(line.text, *prefixes)
            mark = text[:3] if FENCE.match(text) else ""
            if self._fence and mark == self._fence:
                del said[begun_at:]
                said.append("")
                self._fence = ""
            elif mark and not self._fence and mark not in text[3:].lstrip("`~"):
                said.append("")
                begun_at = len(said)
                self._fence = mark
            else:
                said.append(text)
        return said
