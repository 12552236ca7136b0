"""The request that a trial repeats, workloads that have names, and the response as recorded."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from micropie_benchlib.core.values import Count, Headers, Positive, Status


def header_value(headers: Headers, name: str) -> str | None:
    """Return the first header of that name, however it is spelled; None if there is none."""
    for key, value in headers:
        if key.lower() == name.lower():
            return value
    return None


DEFAULT_WORKLOAD = "hello"
FIRST_ERROR_STATUS = 400  # wrk counts this one and those above as errors
WRK_TIMEOUT_S = 2  # wrk's own default
PAIRED_TIMEOUT_S = 10  # in a paired trial: its frozen moments are no fault of the server


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The request that is repeated.

    `expect_status` is None for any 2xx. Without `keep_alive` each request has a connection of
    its own. A response that takes longer than `timeout_s` is an error.
    """

    name: str = DEFAULT_WORKLOAD
    method: str = "GET"
    path: str = "/"
    headers: Headers = ()
    body: bytes = b""
    expect_status: Status | None = None
    keep_alive: bool = True
    timeout_s: Positive = WRK_TIMEOUT_S

    @property
    def sent_headers(self) -> Headers:
        if self.keep_alive:
            return self.headers
        return (*self.headers, ("Connection", "close"))

    @property
    def request_line(self) -> str:
        return f"{self.method} {self.path}"

    def expects(self, status: int) -> bool:
        if self.expect_status is None:
            return 200 <= status <= 299
        return status == self.expect_status


def _upload_body() -> bytes:
    items = [{"id": number, "name": f"item {number}", "tags": ["a", "b"]} for number in range(222)]
    return json.dumps(items, separators=(",", ":")).encode()


NAMED_WORKLOADS = (
    Workload(),
    Workload(name="greet", path="/index?name=Ann"),
    Workload(name="json", path="/json"),
    Workload(name="delayed", path="/delayed"),
    Workload(name="compute", path="/compute"),
    Workload(
        name="upload",
        method="POST",
        path="/upload",
        headers=(("Content-Type", "application/json"),),
        body=_upload_body(),
    ),
)
WORKLOADS = {workload.name: workload for workload in NAMED_WORKLOADS}
BUILT_IN_PATHS = ("/", "/index", "/json", "/delayed", "/compute", "/upload")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """The response to one request.

    `bytes` counts everything on the wire, the head included, as wrk counts; `body_bytes`
    the body alone, decoded. `http_version` is such as `1.1`. `excerpt` is the body's
    beginning, where it is a text, and it took `took_s` to come; these are not saved. Where
    bodies of others like it differ, `body_varies_by` is how many bytes longer or shorter they
    were; None if all were the same.
    """

    status: Status
    bytes: Count
    headers: Headers
    body_sha256: str
    body_bytes: Count
    http_version: str
    excerpt: str = ""
    took_s: float = 0.0
    body_varies_by: Count | None = None

    def beside(self, others: Iterable[Response]) -> Response:
        variations = [self.body_varies_by]
        for other in others:
            if other.status == self.status:
                variations.append(other.body_varies_by)
                if other.body_sha256 != self.body_sha256:
                    variations.append(abs(other.body_bytes - self.body_bytes))
        known = [variation for variation in variations if variation is not None]
        return dataclasses.replace(self, body_varies_by=max(known, default=None))

    @property
    def says_close(self) -> bool:
        connection = (header_value(self.headers, "Connection") or "").lower()
        if self.http_version == "1.0":
            return connection != "keep-alive"
        return connection == "close"


def redirect_advice(url: str, response: Response) -> str:
    """Return where a response leads to, and what to do; empty if it does not."""
    location = header_value(response.headers, "Location")
    if location is None or not 300 <= response.status <= 399:
        return ""
    goal = urljoin(url, location)
    before, after = urlsplit(url), urlsplit(goal)
    other = f"the target {goal}"
    if before[:2] == after[:2]:
        path = after._replace(scheme="", netloc="", fragment="").geturl()
        other = f"--path {shlex.quote(path)}"
    return f", which leads to {location}: use {other}, or --expect-status {response.status}"
