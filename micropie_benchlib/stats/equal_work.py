"""What decides how much work a request is, target by target."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from micropie_benchlib.core.choices import AsgiServer, Http, Loop
from micropie_benchlib.core.requests import header_value
from micropie_benchlib.core.responses import Response
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.text import UNKNOWN, show_value

HEAD = "bytes of head"  # all that is not the body: framing of chunks, too
FRAMING = "framing"


def with_version(name: str, versions: Mapping[str, str]) -> str:
    """Return the package's name and version, or its name where that is not known."""
    return f"{name} {versions[name]}" if name in versions else name


def event_loop(server: ServerSettings, versions: Mapping[str, str]) -> str:
    """Return which event loop the server has, given the versions of what is installed there."""
    if server.loop is not Loop.AUTO:
        return with_version(server.loop, versions)
    if server.asgi is AsgiServer.HYPERCORN or "uvloop" not in versions:
        return Loop.ASYNCIO
    return with_version("uvloop", versions)


def http_parser(server: ServerSettings, versions: Mapping[str, str]) -> str:
    """Return which HTTP parser the server has, likewise."""
    if server.asgi is AsgiServer.GRANIAN:
        return "granian's own"
    if server.asgi is AsgiServer.HYPERCORN:
        return with_version("h11", versions)
    if server.http is not Http.AUTO:
        return with_version(server.http, versions)
    return with_version("httptools" if "httptools" in versions else "h11", versions)


def serving_facts(server: ServerSettings, versions: Mapping[str, str]) -> dict[str, str]:
    """Return what a server does for each request, for files that do not record it."""
    proxy_headers = "none"
    if server.asgi is AsgiServer.UVICORN:
        proxy_headers = show_value(server.proxy_headers)
    return {
        "server": with_version(server.asgi, versions),
        "event loop": event_loop(server, versions),
        "HTTP parser": http_parser(server, versions),
        "access log": show_value(server.access_log),
        "proxy headers": proxy_headers,
        "workers": str(server.workers),
    }


def answer_facts(response: Response) -> dict[str, str]:
    """Return what an answer consists of, by what it is."""
    content_type = header_value(response.headers, "Content-Type")
    is_chunked = header_value(response.headers, "Transfer-Encoding") == "chunked"
    facts = {
        "keep-alive": show_value(not response.says_close),
        "status": str(response.status),
        "content type": content_type or "none",
        FRAMING: "chunked" if is_chunked else "whole",
    }
    if response.body_bytes is None:  # in files of older versions
        facts["bytes in all"] = str(response.bytes)
    else:
        facts["bytes of body"] = str(response.body_bytes)
        facts[HEAD] = str(response.bytes - response.body_bytes)
    facts["hash of body"] = response.body_sha256[:8]
    return facts


def work_facts(results: Results, facts: TargetFacts) -> dict[str, str]:
    """Return what decides how much work a target has with a request, by what it is."""
    server = results.server_of(facts)
    known = dict(facts.served_as)
    if server and not known:
        known = serving_facts(server, facts.versions)
    own_python = results.environment.python if results.environment and server else None
    python = facts.python or own_python
    if python:
        known["Python"] = python
    known["scheme"] = facts.scheme
    for workload, response in facts.responses.items():
        prefix = f"{workload}: " if len(facts.responses) > 1 else ""
        for name, value in answer_facts(response).items():
            known[f"{prefix}{name}"] = value
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFact:
    """Something that decides how much work a request is: its value of each target."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether it is surely not the same for all."""
        return len(set(self.values) - {UNKNOWN}) > 1

    @property
    def state(self) -> str:
        """Whether it is equal, in a word."""
        if self.differs:
            return "differs"
        return UNKNOWN if UNKNOWN in self.values else "equal"


def work_of(results: Results) -> list[WorkFact]:
    """Return what decides how much work a request is, if there are targets to compare."""
    by_target = [work_facts(results, facts) for facts in results.targets]
    if len(by_target) < 2:
        return []
    names = dict.fromkeys(itertools.chain(*by_target))
    found = []
    for name in names:
        values = tuple(known.get(name, UNKNOWN) for known in by_target)
        found.append(WorkFact(name=name, values=values))
    return found
