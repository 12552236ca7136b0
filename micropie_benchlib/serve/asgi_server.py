"""What each ASGI server has to say of itself: the form that its module fills in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from micropie_benchlib.core.choices import Http, Loop
from micropie_benchlib.core.errors import UsageError
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings

Versions = Mapping[str, str]  # of what is installed where the server runs, by package


@dataclass(frozen=True, slots=True, kw_only=True)
class AsgiServerFacts:
    options: Callable[[AsgiTarget, ServerSettings, int], list[str]]  # after `python -m NAME`
    packages: tuple[str, ...]  # whose versions are recorded
    variables: str  # a pattern of those that would change its settings silently
    event_loop: Callable[[ServerSettings, Versions], str]
    http_parser: Callable[[ServerSettings, Versions], str]
    ready_line: str = ""  # of its log, for each worker that serves
    no_lifespan_line: str = ""  # of its log, where an app's startup raised and it went on
    has_uvicorn_options: bool = False  # of the HTTP parser and a proxy's headers

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
    return f"{name} {versions[name]}" if name in versions else name


def uvloop_if_installed(settings: ServerSettings, versions: Versions) -> str:
    if settings.loop is not Loop.AUTO:
        return with_version(settings.loop, versions)
    return with_version("uvloop", versions) if "uvloop" in versions else Loop.ASYNCIO
