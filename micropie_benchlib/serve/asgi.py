"""The ASGI servers: how each is run, and when it is ready."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass

from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings
from micropie_benchlib.serve.granian import granian_options
from micropie_benchlib.serve.hypercorn import hypercorn_options
from micropie_benchlib.serve.uvicorn import uvicorn_options


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """When a launched server counts as ready.

    `processes` must accept connections on its port. With `has_fixed_workers` there are
    always just so many, and one that goes missing has died. Otherwise processes may come
    and go, and the server is ready once they have come to rest. `log_line` is what its
    log says for each process that serves, for systems that do not tell who accepts.
    """

    processes: int
    has_fixed_workers: bool
    log_line: str | None


SILENT_SETTINGS = re.compile(
    rf"({'|'.join(AsgiServer).upper()})_|(WEB_CONCURRENCY|FORWARDED_ALLOW_IPS)$"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiServerFacts:
    """How an ASGI server is run, and what decides its speed.

    `options` returns what follows `python -m NAME`. The versions of `packages` are
    recorded. `log_line` is what its log says for each worker that serves, if that is
    known. `has_uvicorn_options` is whether it lets its HTTP parser and the reading of a
    proxy's headers be chosen.
    """

    options: Callable[[AsgiTarget, ServerSettings, int], list[str]]
    packages: tuple[str, ...]
    log_line: str | None = None
    has_uvicorn_options: bool = False


ASGI_SERVERS = {
    AsgiServer.UVICORN: AsgiServerFacts(
        options=uvicorn_options,
        packages=("uvicorn", "uvloop", "httptools", "h11"),
        log_line="Application startup complete",
        has_uvicorn_options=True,
    ),
    AsgiServer.GRANIAN: AsgiServerFacts(options=granian_options, packages=("granian", "uvloop")),
    AsgiServer.HYPERCORN: AsgiServerFacts(
        options=hypercorn_options, packages=("hypercorn", "h11", "uvloop")
    ),
}
SERVER_PACKAGES = tuple(
    dict.fromkeys(itertools.chain(*(facts.packages for facts in ASGI_SERVERS.values())))
)
