"""Reads wrk's text reports out of a text, whatever stands before their lines."""

import codecs
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from micropie_benchlib.core.measurements import Errors, Latency, WrkResult
from micropie_benchlib.core.text import parse_bytes, parse_time
from micropie_benchlib.core.warnings import BenchWarning, Kind

# As many digits as wrk can print, so that each figure is one that a results file can hold.
_DECIMALS = r"(?:\.\d{1,6})?"
_TIME = rf"(\d{{1,5}}{_DECIMALS}(?:us|ms|s|m|h))"
_BYTES = rf"(\d{{1,5}}{_DECIMALS}(?:[KMGT]?B)?)"
_BYTES_PER_S = rf"(\d{{1,5}}{_DECIMALS}(?:[KMG]?B)?)"
_COUNT = r"(\d{1,15})"
_REQ_SEC = rf"(\d{{1,15}}{_DECIMALS}[kMG]?)"
_SHARE = rf"(-?nan|\d{{1,3}}{_DECIMALS})%"
FIRST_LINE = re.compile(r"Running (\d{1,6}[smh]) test @ (\S+)$")
REPORT_LINES = {
    "load": r"([1-9]\d{0,5}) threads and ([1-9]\d{0,5}) connections",
    "header": r"Thread Stats\s+Avg\s+Stdev\s+Max\s+\+/- Stdev",
    "latency": rf"Latency\s+{_TIME}\s+{_TIME}\s+{_TIME}\s+{_SHARE}",
    "req_sec": rf"Req/Sec\s+{_REQ_SEC}\s+{_REQ_SEC}\s+{_REQ_SEC}\s+{_SHARE}",
    "distribution": r"Latency Distribution",
    "p50": rf"50%\s+{_TIME}",
    "p75": rf"75%\s+{_TIME}",
    "p90": rf"90%\s+{_TIME}",
    "p99": rf"99%\s+{_TIME}",
    "total": rf"{_COUNT} requests in {_TIME}, {_BYTES} read",
    "socket": rf"Socket errors: connect {_COUNT}, read {_COUNT}, write {_COUNT}, timeout {_COUNT}",
    "status": rf"Non-2xx or 3xx responses: {_COUNT}",
    "throughput": rf"Requests/sec:\s+(\d{{1,14}}{_DECIMALS})",
    "transfer": rf"Transfer/sec:\s+{_BYTES_PER_S}",
}
REQUIRED_LINES = ("load", "latency", "req_sec", "total", "throughput", "transfer")
# What looks like these is wrk's, and must not be passed over where it is in no report.
WRK_PHRASES = re.compile(
    r"Running \d+\w* test @"
    r"|\d requests in \d\S*, \S+ read"
    r"|(?:Requests|Transfer)/sec:\s*\d"
    r"|Thread Stats\s+Avg"
    r"|Socket errors: connect \d"
    r"|Non-2xx or 3xx responses:\s*\d"
    r"|^\d+ threads and \d+ connections$"
    r"|^(?:Latency|Req/Sec)(?:\s+\d\S*){3}"
    r"|^unable to (?:resolve|connect to|create thread|record) |^number of connections must be "
)
WRK2_LINE = re.compile(r"Thread calibration: |Latency Distribution \(HdrHistogram")
INVISIBLE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, and movements of the cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a terminal's title, and links
    r"|\x1b[()][0-9A-Z]|[\x00\x1b\u200b\ufeff]"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    number: int
    text: str

    @property
    def location(self) -> str:
        return f"line {self.number}: {self.text[:100]!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundReport:
    """A report in a text, from line to line; `prefix` matches what stands before each."""

    first: int
    last: int
    prefix: re.Pattern[str] | None
    url: str
    duration: str
    threads: int
    connections: int
    wrk: WrkResult

    @property
    def kind(self) -> tuple[str, str, int, int]:
        return self.url, self.duration, self.threads, self.connections


def decode_text(data: bytes) -> str:
    """UTF-16 with its mark, as PowerShell writes it, or UTF-8."""
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8", errors="replace")


def text_lines(text: str) -> list[TextLine]:
    """A progress bar's carriage returns end lines, too."""
    lines = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        lines.append(TextLine(number=number, text=INVISIBLE.sub("", line).strip()))
    return lines


def prefix_pattern(prefix: str) -> re.Pattern[str] | None:
    """Return what matches a comment sign, or a log's time, whose digits may differ."""
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
    for prefix in prefixes:
        match = prefix.match(text) if prefix else None
        if match:
            return text[match.end() :].strip()
    return text


def find_reports(lines: Sequence[TextLine]) -> tuple[list[FoundReport], list[BenchWarning]]:
    starts = [index for index, line in enumerate(lines) if FIRST_LINE.search(line.text)]
    reports: list[FoundReport] = []
    unread = unread_lines(lines[: starts[0]] if starts else lines)
    for start, end in itertools.pairwise([*starts, len(lines)]):
        try:
            report = read_report(lines[start:end])
        except ValueError as error:
            unread.append(unread_report(lines[start], str(error)))
        else:
            reports.append(report)
            unread += unread_lines(lines[report.last : end])
    return reports, unread


def unread_report(first: TextLine, reason: str) -> BenchWarning:
    return BenchWarning.of(Kind.UNREAD_REPORT, line=str(first.number), reason=reason)


def unread_lines(lines: Sequence[TextLine]) -> list[BenchWarning]:
    """Return the first of these lines that looks like wrk's; they are in no report."""
    for line in lines:
        if WRK_PHRASES.search(line.text):
            return [unread_report(line, f"not part of a complete report, {line.location}")]
    return []


def read_report(lines: Sequence[TextLine]) -> FoundReport:
    before, duration, url, _ = FIRST_LINE.split(lines[0].text)
    prefix = prefix_pattern(before)
    found: dict[str, re.Match[str]] = {}
    for line in lines[1:]:
        text = without_prefix(line.text, prefix)
        if not text:
            continue
        if WRK2_LINE.search(text):
            raise ValueError(f"printed by wrk2, which is not supported, {line.location}")
        kind, match = classify(text)
        if match is None or kind in found:
            raise ValueError(f"unexpected line, {line.location}")
        found[kind] = match
        if kind == "transfer":
            break
    if "transfer" not in found:
        raise ValueError("the Transfer/sec line is missing")
    missing = [kind for kind in REQUIRED_LINES if kind not in found]
    if missing:
        raise ValueError(f"it has no line for: {', '.join(missing)}")
    return FoundReport(
        first=lines[0].number,
        last=line.number,
        prefix=prefix,
        url=url,
        duration=duration,
        threads=int(found["load"][1]),
        connections=int(found["load"][2]),
        wrk=wrk_result(found),
    )


def classify(text: str) -> tuple[str, re.Match[str] | None]:
    for kind, pattern in REPORT_LINES.items():
        match = re.fullmatch(pattern, text)
        if match:
            return kind, match
    return "", None


def wrk_result(found: Mapping[str, re.Match[str]]) -> WrkResult:
    connect = read = write = timeout = status = 0
    if "socket" in found:  # wrk prints only the errors that there were
        connect, read, write, timeout = map(int, found["socket"].groups())
    if "status" in found:
        status = int(found["status"][1])
    return WrkResult(
        duration_s=parse_time(found["total"][2]),
        requests=int(found["total"][1]),
        bytes=round(parse_bytes(found["total"][3])),
        requests_per_s=float(found["throughput"][1]),
        bytes_per_s=parse_bytes(found["transfer"][1]),
        latency=wrk_latency(found),
        errors=Errors(connect=connect, read=read, write=write, status=status, timeout=timeout),
    )


def wrk_latency(found: Mapping[str, re.Match[str]]) -> Latency | None:
    """Where wrk timed no request it prints 0.00us, and nan% for the share within a deviation."""
    mean, stdev, longest, share_within = found["latency"].groups()
    if share_within.endswith("nan"):
        return None
    percentiles: dict[str, Any] = {}
    for kind in ("p50", "p75", "p90", "p99"):
        if kind in found:
            percentiles[f"{kind}_s"] = parse_time(found[kind][1])
    return Latency(
        mean_s=parse_time(mean), stdev_s=parse_time(stdev), max_s=parse_time(longest), **percentiles
    )
