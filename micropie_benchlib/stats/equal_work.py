"""What decides how much work a request is, target by target."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from micropie_benchlib.core.requests import Response, header_value
from micropie_benchlib.core.results import Results, TargetFacts
from micropie_benchlib.core.text import UNKNOWN, show_value

HEAD = "bytes of head"  # all that is not the body: framing of chunks, too
FRAMING = "framing"


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
    facts["bytes of body"] = str(response.body_bytes)
    facts[HEAD] = str(response.bytes - response.body_bytes)
    facts["hash of body"] = response.body_sha256[:8]
    return facts


def work_facts(results: Results, facts: TargetFacts) -> dict[str, str]:
    """Return what decides how much work a target has with a request, by what it is."""
    known = dict(facts.served_as)
    own_python = results.environment.python if results.environment and facts.server else None
    python = facts.python or own_python
    if python:
        known.setdefault("Python", python)
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
