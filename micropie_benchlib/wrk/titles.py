"""What names a report: the nearest Markdown heading, and the label right before it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.wrk.reports import WRK_PHRASES, TextLine, without_prefix

HEADING = re.compile(r"#{1,6}\s*([^\s#!].*)")
UNDERLINE = re.compile(r"={3,}|-{3,}")
RULE = re.compile(r"([-=*_~])\1{2,}")
FENCE = re.compile(r"(```|~~~)[`~]*[^`~]*")
LIST_MARK = re.compile(r"(?:[-*+•]|\d{1,3}[.)])\s+|>\s*")
LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
COMMAND = re.compile(
    r"[$%❯➜λ»]\s|\S+@\S+.*[$#%>]|(?:PS )?[A-Z]:\\.*>"  # behind a prompt
    r"|(?:.*[\s/\"'$>#%])?wrk2?\s.*(?:-[a-zA-Z]|://)"
    r"|<"  # a tag
)
SENTENCE = re.compile(
    r"[.,;!?。，！？…]$"  # ends as a sentence does, or goes on
    r"|\w{3}[.!?] \w|[。！？]\w"  # two sentences
    r"|\s--?[A-Za-z][\w-]*(?:\s|=|$)|^\||\|.*\|"  # a command's options, a table's row
)
MAX_TITLE = 200  # characters that are read of a line
MAX_LABEL = 80


def is_label(text: str) -> bool:
    is_short = len(text) <= MAX_LABEL and len(text.split()) <= 10
    return is_short and bool(re.search(r"\w", text)) and not SENTENCE.search(text)


def plain(text: str) -> str:
    """Return a title without Markdown's marks and without what cannot be shown."""
    text = LIST_MARK.sub("", LINK.sub(r"\1", text), count=1)
    printable = "".join(filter(str.isprintable, " ".join(text.split())))
    return printable.strip("#*_`:：= ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    name: str
    is_silent: bool


class Namer:
    def __init__(self) -> None:
        self._heading = ""
        self._label = ""
        self._fence = ""

    def read_gap(
        self, lines: Sequence[TextLine], prefixes: Sequence[re.Pattern[str] | None]
    ) -> Gap:
        """The prefixes are those of the reports below and above."""
        said = self._lines_outside_of_code(lines, prefixes)
        above = ""  # the line before, if it is text
        for text in said:
            if COMMAND.match(text):
                above = ""
                continue
            heading = HEADING.fullmatch(text)
            if heading or (above and UNDERLINE.fullmatch(text)):
                self._heading = plain(heading[1] if heading else above)
                self._label = above = ""
            elif RULE.fullmatch(text) or WRK_PHRASES.search(text):
                self._label = above = ""
            elif text:
                stands_alone = not above and is_label(text)
                self._label = plain(text) if stands_alone else ""
                above = text
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
            text = without_prefix(line.text, *prefixes)[:MAX_TITLE]
            fence = FENCE.fullmatch(text)
            if not fence or (self._fence and fence[1] != self._fence):
                said.append(text)
            elif self._fence:
                said[begun_at:] = [""]  # what a closed fence holds says nothing of the report
                self._fence = ""
            else:
                said.append("")
                begun_at = len(said)
                self._fence = fence[1]
        return said
