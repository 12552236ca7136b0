"""Texts with reports of wrk in them: finds each report, whatever stands before its lines."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.measurements import Errors, Latency, WrkResult
from micropie_benchlib.core.units import parse_bytes, parse_time
from micropie_benchlib.wrk.text import REPORT_LINES, REQUIRED_LINES, WRK_FAILURES

INVISIBLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, and movements of the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a terminal's title, and links
    r"|\x1b[()][0-9A-Z]|[\x00\x1b\u200b\ufeff]"
)
HTML_TAG = re.compile(
    r"</?(?:pre|code|samp|kbd|p|br|span|div|font|details|summary|blockquote|ul|ol|li|table|tr|td|th"
    r"|h[1-6]|b|i|em|strong|caption|dl|dt|dd)\b[^<>]*>",
    re.IGNORECASE,
)
REPORT_BEGINNING = re.compile(REPORT_LINES["running"] + r"$")


# Whatever looks like these and is no line of a report must not be passed over.
WRK_PHRASES = re.compile(
    r"Running \d+\w* test @"
    r"|\d requests in \d\S*, \S+ read"
    r"|(?:Requests|Transfer)/sec:\s*\d"
    r"|Thread Stats\s+Avg"
    r"|Socket errors: connect \d"
    r"|Non-2xx or 3xx responses:\s*\d"
    r"|^\d+ threads and \d+ connections$"
    r"|^(?:Latency|Req/Sec)(?:\s+\d\S*){3}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """A line of a text, without what is invisible; numbers count from 1."""

    number: int
    text: str

    @property
    def place(self) -> str:
        """Where it stands, and how it begins, for a message."""
        return f"line {self.number}: {self.text[:100]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReport:
    """A report in a text, from line to line; `prefix` matches what stands before each.

    `duration` is as printed in its first line.
    """

    first: TextLine
    last: TextLine
    prefix: re.Pattern[str] | None
    url: str
    duration: str
    threads: int
    connections: int
    wrk: WrkResult


def decode_text(data: bytes) -> str:
    """Return the text of a file: UTF-16 with its mark, as PowerShell writes it, or UTF-8."""
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8", errors="replace")


def text_lines(text: str) -> list[TextLine]:
    """Return the lines of a text. A progress bar's carriage returns end lines, too."""
    lines = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        lines.append(TextLine(number=number, text=INVISIBLE.sub("", line).strip()))
    return lines


def untagged(text: str) -> str:
    """Return the text without the HTML tags that people put around reports."""
    return HTML_TAG.sub("", text).strip()


def prefix_pattern(prefix: str) -> re.Pattern[str] | None:
    """Return what matches such a prefix on other lines: a comment sign, a log's time.

    Its digits may differ from line to line. None if it is blank.
    """
    if not prefix.strip():
        return None
    pattern = ""
    for part in re.findall(r"\d+|\s+|[^\d\s]+", prefix.rstrip()):
        if part.isdigit():
            pattern += r"\d+"
        elif part.isspace():
            pattern += r"\s+"
        else:
            pattern += re.escape(part)
    return re.compile(rf"{pattern}\s*")


def without_prefix(text: str, *prefixes: re.Pattern[str] | None) -> str:
    """Return the text without the first of the prefixes that it has; else as it is."""
    for prefix in prefixes:
        match = prefix.match(text) if prefix else None
        if match:
            return text[match.end() :].strip()
    return text


class ReportReader:
    """Finds wrk's text reports line by line; `reports` has those found so far.

    Each line of a report may stand behind the prefix of its first.
    """

    def __init__(self) -> None:
        self.reports: list[FoundReport] = []
        self._first = TextLine(number=0, text="")
        self._prefix: re.Pattern[str] | None = None
        self._lines: dict[str, re.Match[str]] = {}
        self._percentiles: dict[str, Any] = {}

    def read_line(self, line: TextLine) -> None:
        """Take in one line. Raises BenchError, with its place, if it is out of order."""
        text = untagged(line.text)
        beginning = REPORT_BEGINNING.search(text)
        if beginning:
            self._begin_report(line, text, beginning)
        elif self._lines:
            self._continue_report(line, text)
        elif WRK_PHRASES.search(text) or re.match(WRK_FAILURES, text):
            raise BenchError(
                f"not understood as a wrk report, {line.place}: "
                "complete the report, or remove the line"
            )

    def close(self) -> None:
        """Raise BenchError if a report has begun and not ended."""
        if self._lines:
            beginning = self._lines["running"][0]
            raise BenchError(
                f"the last wrk report has no Transfer/sec line; it began: {beginning!r}"
            )

    def _begin_report(self, line: TextLine, text: str, beginning: re.Match[str]) -> None:
        """Take in the first line of a report."""
        if self._lines:
            raise BenchError(f"a wrk report ends before its Transfer/sec line, at {line.place}")
        self._first = line
        self._prefix = prefix_pattern(text[: beginning.start()])
        self._lines, self._percentiles = {"running": beginning}, {}

    def _continue_report(self, line: TextLine, text: str) -> None:
        """Take in another line of a report. Raises BenchError for one that has no place."""
        bare = without_prefix(text, self._prefix)
        if not bare:
            return
        kind, match = self._classify(bare)
        is_repeated = kind in self._lines and kind != "percentile"
        if match is None or is_repeated:
            raise BenchError(f"not understood as a wrk report, {line.place}")
        self._lines[kind] = match
        if kind == "percentile":
            self._percentiles[f"p{match[1]}_s"] = parse_time(match[2])
        if kind == "transfer":
            self._finish_report(line)

    def _classify(self, text: str) -> tuple[str, re.Match[str] | None]:
        """Return which line of a report this is; an empty kind if it is none."""
        for kind, pattern in REPORT_LINES.items():
            match = re.fullmatch(pattern, text)
            if match:
                return kind, match
        return "", None

    def _finish_report(self, last: TextLine) -> None:
        """Make a report of its lines."""
        missing = [kind for kind in REQUIRED_LINES if kind not in self._lines]
        if missing:
            raise BenchError(
                f"the wrk report that ends at {last.place} has no line for: {', '.join(missing)}"
            )
        try:
            wrk = self._result()
        except ValueError as error:
            raise BenchError(
                f"the wrk report that ends at {last.place} cannot be: {error}"
            ) from None
        self.reports.append(
            FoundReport(
                first=self._first,
                last=last,
                prefix=self._prefix,
                url=self._lines["running"][2],
                duration=self._lines["running"][1],
                threads=int(self._lines["load"][1]),
                connections=int(self._lines["load"][2]),
                wrk=wrk,
            )
        )
        self._lines = {}

    def _result(self) -> WrkResult:
        """Return the figures of one report, as printed."""
        lines = self._lines
        return WrkResult(
            duration_s=parse_time(lines["total"][2]),
            requests=int(lines["total"][1]),
            bytes=round(parse_bytes(lines["total"][3])),
            requests_per_s=float(lines["throughput"][1]),
            bytes_per_s=parse_bytes(lines["transfer"][1]),
            latency=self._latency(),
            errors=self._errors(),
        )

    def _latency(self) -> Latency | None:
        """Return the latencies of one report; None where wrk timed no request.

        Then it prints 0.00us for each, and nan% for the share within a deviation.
        """
        mean, stdev, longest, share_within = self._lines["latency"].groups()
        if share_within.endswith("nan"):
            return None
        return Latency(
            mean_s=parse_time(mean),
            stdev_s=parse_time(stdev),
            max_s=parse_time(longest),
            **self._percentiles,
        )

    def _errors(self) -> Errors:
        """Return the errors of one report; wrk prints only those that there were."""
        connect = read = write = timeout = status = 0
        if "socket" in self._lines:
            groups = self._lines["socket"].groups()
            connect, read, write, timeout = map(int, groups)
        if "status" in self._lines:
            status = int(self._lines["status"][1])
        return Errors(connect=connect, read=read, write=write, status=status, timeout=timeout)


def find_reports(lines: Iterable[TextLine]) -> list[FoundReport]:
    """Return every report in the lines. Raises BenchError, with the line, if one is not whole."""
    reader = ReportReader()
    for line in lines:
        reader.read_line(line)
    reader.close()
    return reader.reports
