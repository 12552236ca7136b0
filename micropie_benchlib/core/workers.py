"""What a worker of a server under test sees of itself: its Python, its code, its environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFacts:
    """What the worker of an ASGI app saw once it had imported the app.

    `event_loop` is the class of the loop that ran then; empty if none did. `module_file` is
    the file of the app's module, and it ran in `directory`. `flags` are those of the
    interpreter that are on, `variables` those of its environment that change its speed.
    """

    executable: str
    implementation: str
    python: str
    gil: bool
    flags: Mapping[str, int]
    event_loop: str
    module_file: str | None
    directory: str
    variables: Mapping[str, str]
    nice: int
