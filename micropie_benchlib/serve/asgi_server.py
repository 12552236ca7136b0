"""What each ASGI server has to say of itself: the form that its module fills in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from micropie_benchlib.core.choices import Http, Loop
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings

Versions = Mapping[str, str]  # of what is installed where the server runs, by package


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiServerFacts:
    """How an ASGI server is run, and what decides its speed.

    `options` returns what follows `python -m NAME`, `event_loop` and `http_parser` which of
    them it has, with their versions. The versions of `packages` are recorded. Variables whose
    names match `variables` would change its settings silently. Its log says `ready_line` for
    each worker that serves, and `no_lifespan_line` where an app's startup raised and it went
    on all the same; empty if it does not say so. `has_uvicorn_options` is whether it lets its
    HTTP parser and the reading of a proxy's headers be chosen.
    """

    options: Callable[[AsgiTarget, ServerSettings, int], list[str]]
    packages: tuple[str, ...]
    variables: str
    event_loop: Callable[[ServerSettings, Versions], str]
    http_parser: Callable[[ServerSettings, Versions], str]
    ready_line: str = ""
    no_lifespan_line: str = ""
    has_uvicorn_options: bool = False

    def check_options(self, settings: ServerSettings) -> None:
        if self.has_uvicorn_options:
            return
        if settings.http is not Http.AUTO:
            raise UsageError(f"is uvicorn's: {settings.asgi} has its own", option="--http")
        if not settings.proxy_headers:
            raise UsageError(
                f"is uvicorn's: {settings.asgi} has no such option", option="--no-proxy-headers"
            )


def with_version(name: str, versions: Versions) -> str:
    """Return the package's name and version, or its name where that is not known."""
    return f"{name} {versions[name]}" if name in versions else name


def uvloop_if_installed(settings: ServerSettings, versions: Versions) -> str:
    if settings.loop is not Loop.AUTO:
        return with_version(settings.loop, versions)
    return with_version("uvloop", versions) if "uvloop" in versions else Loop.ASYNCIO
