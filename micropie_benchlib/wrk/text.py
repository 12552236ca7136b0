"""The lines of wrk's text report, and their units."""

from __future__ import annotations

# As many digits as wrk can print, so that each figure is one that a results file can hold.
_DECIMALS = r"(?:\.\d{1,6})?"
_TIME = rf"(\d{{1,5}}{_DECIMALS}(?:us|ms|s|m|h))"
_BYTES = rf"(\d{{1,5}}{_DECIMALS}(?:[KMGT]?B)?)"
_BYTES_PER_S = rf"(\d{{1,5}}{_DECIMALS}(?:[KMG]?B)?)"
_COUNT = r"(\d{1,15})"
_REQ_SEC = rf"(\d{{1,15}}{_DECIMALS}[kMG]?)"
_SHARE = rf"(-?nan|\d{{1,3}}{_DECIMALS})%"
REPORT_LINES = {
    "running": r"Running (\d{1,6}[smh]) test @ (\S+)",
    "load": r"([1-9]\d{0,5}) threads and ([1-9]\d{0,5}) connections",
    "header": r"Thread Stats\s+Avg\s+Stdev\s+Max\s+\+/- Stdev",
    "latency": rf"Latency\s+{_TIME}\s+{_TIME}\s+{_TIME}\s+{_SHARE}",
    "req_sec": rf"Req/Sec\s+{_REQ_SEC}\s+{_REQ_SEC}\s+{_REQ_SEC}\s+{_SHARE}",
    "distribution": r"Latency Distribution",
    "percentile": rf"(50|75|90|99)%\s+{_TIME}",
    "total": rf"{_COUNT} requests in {_TIME}, {_BYTES} read",
    "socket": rf"Socket errors: connect {_COUNT}, read {_COUNT}, write {_COUNT}, timeout {_COUNT}",
    "status": rf"Non-2xx or 3xx responses: {_COUNT}",
    "throughput": rf"Requests/sec:\s+(\d{{1,14}}{_DECIMALS})",
    "transfer": rf"Transfer/sec:\s+{_BYTES_PER_S}",
}
REQUIRED_LINES = ("running", "load", "latency", "req_sec", "total", "throughput", "transfer")
WRK_FAILURES = (
    r"unable to (resolve|connect to|create thread|record) |number of connections must be "
)
