"""What names a report in a text: headings, labels and other lines above it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass

from micropie_benchlib.wrk.documents import TextLine, untagged, without_prefix

MARKED_LEVEL, PLAIN_LEVEL, FENCED_LEVEL = 7, 8, 9  # below Markdown's six


# A mark gives the level by its length, a tag by its digit.
MARKED_HEADINGS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"[-=~*+_<>#]{2,}\s*(?P<text>\w.*?)\s*[-=~*+_<>]{3,}",  # --- alpha ---
        r"(?P<mark>#{1,6})\s*(?P<text>[^\s#!].*)",  # Markdown
        r"(?P<mark>={1,6})\s+(?P<text>\S.*)",  # AsciiDoc
        r"(?P<quote>\*\*|__|\*|_|`)(?P<text>\S.*?)(?P=quote)[:：]?",  # a bold line
        r"(?:<[^<>]*>\s*)*<(?P<tag>h[1-6]|summary|b|strong|caption|dt)\b[^<>]*>(?P<text>.*?)</.*",
    )
)
UNDERLINE = re.compile(r"([-=~^\"'#*+.:_])\1{2,}")
UNDERLINE_LEVELS = {"=": 1, "-": 2}
FENCE = re.compile(r"(```|~~~)")
FENCE_ITSELF = "fence"
CODE_MARK = re.compile(  # a fence behind a prefix; reST, AsciiDoc, Jekyll, Jira
    r"```|\.\. |::$|:[\w-]+:|\[(?:source|listing|,)|\{%|\{code"
)
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


# They say that results follow, and not of what.
GENERIC_TITLES = frozenset(
    {
        *("benchmark", "benchmarks", "benchmarking", "example", "load test", "load testing"),
        *("log", "logs", "output", "performance", "raw", "raw output", "raw results", "report"),
        *("result", "results", "run", "sample output", "stdout", "test", "test result"),
        *("test results", "tests", "wrk", "wrk output", "wrk result", "wrk results"),
    }
)


def heading_text(line: str) -> str:
    """Return the line without Markdown marks and without what cannot be shown."""
    text = LINK.sub(r"\1", untagged(line))
    text = LIST_MARK.sub("", text, count=1) if LIST_MARK.match(text) else text
    printable = "".join(filter(str.isprintable, " ".join(text.split())))
    return printable.strip("#*_`:：= ").replace("|", "/")


LONGEST_TITLE = 200  # in characters; what is longer is neither title nor command


def is_command(text: str) -> bool:
    """Return whether the line is one that was typed, a prompt before it or not."""
    if len(text) > LONGEST_TITLE:
        return False
    return bool(WRK_COMMAND.search(text) or SHELL_PROMPT.match(text))


def is_title(text: str) -> bool:
    """Return whether a plain line can be a title: short, and no sentence of a text."""
    is_short = len(text) <= 80 and len(text.split()) <= 10
    return is_short and bool(re.search(r"\w", text)) and not PROSE.search(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A title in a text. One of a lower level holds those of higher ones after it."""

    level: int
    text: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GapLine:
    """A line between reports, without their prefix; blank where it only marks code."""

    number: int
    text: str
    is_fenced: bool


def marked_heading(line: GapLine) -> Heading | None:
    """Return the heading that the line's own marks make it; root's prompt is no mark."""
    is_typed = re.match(r"#\s+(\S*/)?wrk2?\s|\$\s", line.text)
    if is_typed or len(line.text) > LONGEST_TITLE:
        return None
    for pattern in MARKED_HEADINGS:
        match = pattern.fullmatch(line.text)
        if not match or not re.search(r"\w", match["text"]):
            continue
        groups = match.groupdict()
        level = len(groups.get("mark") or "") or MARKED_LEVEL
        tag = groups.get("tag") or ""
        if tag[1:].isdigit():
            level = int(tag[1:])
        return Heading(level=level, text=heading_text(match["text"]), number=line.number)
    return None


def underlined_heading(line: GapLine, above: GapLine) -> Heading | None:
    """Return the heading that the line underlines, as in Markdown and reST."""
    is_text = re.search(r"\w", above.text) and not is_command(above.text)
    if not UNDERLINE.fullmatch(line.text) or not is_text:
        return None
    level = UNDERLINE_LEVELS.get(line.text[0], 3)
    return Heading(level=level, text=heading_text(above.text), number=above.number)


def marked_headings(lines: Sequence[GapLine]) -> list[Heading]:
    """Return the headings among the lines that are marked as such."""
    headings = []
    for position, line in enumerate(lines):
        heading = marked_heading(line)
        if not heading and position:
            heading = underlined_heading(line, lines[position - 1])
        if heading and heading.text:
            headings.append(heading)
    return headings


def closing_paragraph(lines: Sequence[GapLine]) -> list[GapLine]:
    """Return the last paragraph of the lines; commands below it are passed over."""
    paragraph: list[GapLine] = []
    for line in reversed(lines):
        is_text = re.search(r"\w", line.text) and not is_command(line.text)
        if is_text:
            paragraph.insert(0, line)
        elif paragraph:
            break
    return paragraph


def plain_title(lines: Sequence[GapLine], *, level: int) -> Heading | None:
    """Return the title that the last paragraph of the lines is, if it is one.

    A paragraph is a title if it is one short line that is no sentence. Of a longer one,
    the last line is if it begins with a capital and has few words.
    """
    paragraph = closing_paragraph(lines)
    if not paragraph or marked_headings(paragraph):
        return None
    last = paragraph[-1]
    following = lines[lines.index(last) + 1 :]
    if following and UNDERLINE.fullmatch(following[0].text):
        return None
    text = heading_text(last.text)
    is_alone = len(paragraph) == 1
    is_label = text[:1].isupper() and len(text.split()) <= 4 and not LIST_MARK.match(last.text)
    if not is_title(text) or not (is_alone or is_label):
        return None
    return Heading(level=level, text=text, number=last.number)


class Outline:
    """The headings that hold at a place of a text, which is read gap by gap."""

    def __init__(self) -> None:
        self.path: list[Heading] = []
        self._fence = ""

    def read_gap(
        self, lines: Sequence[TextLine], prefixes: Sequence[re.Pattern[str] | None]
    ) -> list[str]:
        """Take in the lines before a report; return what they say, blank lines left out.

        A plain title holds until something else is said than wrk's own command.
        """
        gap = self._gap_lines(lines, prefixes)
        said = [line.text for line in gap if line.text]
        if not all(map(WRK_COMMAND.search, said)):
            self._leave(PLAIN_LEVEL)
        for heading in titles_in(gap):
            self._leave(heading.level)
            self.path.append(heading)
        return said

    def _leave(self, level: int) -> None:
        """Forget the headings of that level and of those below."""
        while self.path and self.path[-1].level >= level:
            self.path.pop()

    def _gap_lines(
        self, lines: Sequence[TextLine], prefixes: Sequence[re.Pattern[str] | None]
    ) -> list[GapLine]:
        """Return the lines with what is code among them, fences as blank lines.

        The prefixes are those of the reports below and above. That of a report in a fence is
        not that of the text outside of it.
        """
        fences: list[str] = []
        above = ""
        for line in lines:
            is_fence = self._cross_fence(line.text, above)
            fences.append(FENCE_ITSELF if is_fence else self._fence)
            above = line.text
        gap = []
        for line, fence in zip(lines, fences, strict=True):
            is_beside_report = fence == self._fence or not self._fence
            text = without_prefix(line.text, *prefixes) if is_beside_report else line.text
            if fence == FENCE_ITSELF or CODE_MARK.match(text) or not untagged(text):
                text = ""
            gap.append(GapLine(number=line.number, text=text, is_fenced=bool(fence)))
        return gap

    def _cross_fence(self, text: str, above: str) -> bool:
        """Return whether the line opens or closes a fence, and note it.

        `~~~~~` can underline what stands above it, as in reST.
        """
        mark = text[:3]
        if not FENCE.fullmatch(mark) or mark in text[3:].lstrip("`~"):
            return False
        if self._fence:
            is_end = mark == self._fence
            self._fence = "" if is_end else self._fence
            return is_end
        if mark == "~~~" and 3 < len(text) >= len(above) > 0:
            return False
        self._fence = mark
        return True


def titles_in(gap: Sequence[GapLine]) -> list[Heading]:
    """Return the titles among the lines before a report, the outermost first.

    What is fenced is code: a line alone there is a title below those outside, and others
    are only where there is none outside.
    """
    outside = [line for line in gap if not line.is_fenced]
    fenced = [line for line in gap if line.is_fenced]
    titles = marked_headings(outside)
    plain = plain_title(outside, level=PLAIN_LEVEL)
    titles += [plain] if plain else []
    said = [line for line in fenced if line.text and not is_command(line.text)]
    if len(said) == 1 or not titles:
        marked = [
            dataclasses.replace(heading, level=FENCED_LEVEL) for heading in marked_headings(fenced)
        ]
        plain = plain_title(fenced, level=FENCED_LEVEL)
        titles += [plain] if plain else marked
    return titles
