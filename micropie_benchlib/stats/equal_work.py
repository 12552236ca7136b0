"""What decides how much work a request is, target by target."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from micropie_benchlib.core.requests import Response, header_value
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.text import UNKNOWN, pluralize, show_value
from micropie_benchlib.core.warnings import BenchWarning, Kind

HEAD = "head bytes"  # all that is not the body: framing of chunks, too
FRAMING = "framing"
BODY_BYTES = "body bytes"
BODY_HASH = "body hash"
WORKERS = "workers"


def response_facts(response: Response) -> dict[str, str]:
    content_type = header_value(response.headers, "Content-Type")
    is_chunked = header_value(response.headers, "Transfer-Encoding") == "chunked"
    return {
        "keep-alive": show_value(not response.says_close),
        "status": str(response.status),
        "content type": content_type or "none",
        FRAMING: "chunked" if is_chunked else "whole",
        BODY_BYTES: str(response.body_bytes),
        HEAD: str(response.bytes - response.body_bytes),
        BODY_HASH: response.body_sha256[:8],
    }


def changed_responses(before: TargetFacts, now: TargetFacts) -> list[BenchWarning]:
    """Bodies that vary by nature may differ by twice as much as they were seen to."""
    changes = []
    for workload, response in now.responses.items():
        earlier = before.responses.get(workload, response)
        known = []
        for each in (earlier, response):
            if each.body_varies_by is not None:
                known.append(each.body_varies_by)
        is_longer = abs(earlier.body_bytes - response.body_bytes) > 2 * sum(known)
        compared = ["status", "content type"]
        if is_longer:
            compared.append(BODY_BYTES)
        elif not known:
            compared.append(BODY_HASH)
        facts, earlier_facts = response_facts(response), response_facts(earlier)
        for what in compared:
            if facts[what] != earlier_facts[what]:
                changes.append(
                    BenchWarning.of(
                        Kind.RESPONSE_CHANGED,
                        target=now.label,
                        request=workload,
                        what=what,
                        now=facts[what],
                        before=earlier_facts[what],
                    )
                )
    return changes


MEDIA = {"application/json": "JSON", "text/html": "HTML", "text/plain": "text"}


def response_in_words(response: Response) -> str:
    """Such as `JSON of 19 bytes`."""
    media = (header_value(response.headers, "Content-Type") or "").partition(";")[0]
    return f"{MEDIA.get(media, media or 'no type')} of {pluralize(response.body_bytes, 'byte')}"


def work_facts(facts: TargetFacts, shared: Collection[str]) -> dict[tuple[str | None, str], str]:
    """Return facts by workload and what; None is the workload of facts about the server."""
    served = dict(facts.served_as)
    if facts.python:
        served.setdefault("Python", facts.python)
    served["scheme"] = facts.scheme
    for package, version in facts.versions.items():
        if package in shared and f"{package} {version}" not in served.values():
            served[package] = version
    known: dict[tuple[str | None, str], str] = {}
    for what, value in served.items():
        known[None, what] = value
    for workload, response in facts.responses.items():
        for what, value in response_facts(response).items():
            known[workload, what] = value
    return known


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkFact:
    """A fact that decides how much work a request is; it has no workload if about the server."""

    workload: str | None
    what: str
    name: str
    values: tuple[str, ...]

    @property
    def is_of_response(self) -> bool:
        return self.workload is not None

    @property
    def differs(self) -> bool:
        return len(set(self.values) - {UNKNOWN}) > 1

    @property
    def state(self) -> str:
        if self.differs:
            return "differs"
        return UNKNOWN if UNKNOWN in self.values else "equal"


def work_of(results: Results) -> list[WorkFact]:
    packages: Counter[str] = Counter()
    for facts in results.targets:
        packages.update(facts.versions.keys())
    shared = {package for package, count in packages.items() if count > 1}
    by_target = [work_facts(facts, shared) for facts in results.targets]
    if len(by_target) < 2:
        return []
    has_several = any(len(facts.responses) > 1 for facts in results.targets)
    found = []
    for fact in dict.fromkeys(itertools.chain(*by_target)):
        values = tuple(known.get(fact, UNKNOWN) for known in by_target)
        workload, what = fact
        name = f"{workload}: {what}" if workload and has_several else what
        found.append(WorkFact(workload=workload, what=what, name=name, values=values))
    return found


def differing_responses(results: Results, differing: Iterable[WorkFact]) -> str:
    """Return what the responses are where that differs, else in what; of several by workload."""
    whats: dict[str, list[str]] = {}
    for fact in differing:
        whats.setdefault(fact.workload or "", []).append(fact.what)
    parts = []
    for workload, names in whats.items():
        found: dict[str, None] = {}
        for facts in results.targets:
            if workload in facts.responses:
                found[response_in_words(facts.responses[workload])] = None
        shown = ", ".join(found if len(found) > 1 else names)
        parts.append(f"{workload}: {shown}" if len(results.workloads) > 1 else shown)
    return "; ".join(parts)
