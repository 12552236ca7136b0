"""The response to one request, as it is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from micropie_benchlib.core.requests import header_value
from micropie_benchlib.core.values import Count, Headers, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The answer to one request.

    `bytes` counts everything on the wire, the head included, as wrk counts; `body_bytes`
    the body alone, decoded. `http_version` is such as `1.1`. `excerpt` is the body's
    beginning, where it is a text; it is not saved.
    """

    status: Status
    bytes: Count
    headers: Headers
    body_sha256: str
    body_bytes: Count
    http_version: str
    excerpt: str = ""

    @property
    def says_close(self) -> bool:
        """Whether it says that its connection ends with it."""
        connection = (header_value(self.headers, "Connection") or "").lower()
        if self.http_version == "1.0":
            return connection != "keep-alive"
        return connection == "close"
