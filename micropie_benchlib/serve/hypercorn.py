"""hypercorn: its options and settings."""

import re

from micropie_benchlib.core.choices import Loop
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings, host_and_port
from micropie_benchlib.serve.asgi_server import AsgiServerFacts, Versions, with_version


def options(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    """It looks an app up among the module's attributes, and apps.py makes its own when asked."""
    words = ["--bind", host_and_port(settings.host, port)]
    words += ["--workers", str(settings.workers)]
    if settings.access_log:
        words += ["--access-logfile", "-"]
    words += ["--worker-class", chosen_loop(settings)]
    app = target.app
    if target.is_built_in:
        app = re.sub(r":(\w+)$", r':__getattr__("\1")', app)
    return [*words, app]


def chosen_loop(settings: ServerSettings) -> Loop:
    """It takes uvloop only when told to."""
    return Loop.ASYNCIO if settings.loop is Loop.AUTO else settings.loop


def event_loop(settings: ServerSettings, versions: Versions) -> str:
    return with_version(chosen_loop(settings), versions)


def http_parser(_settings: ServerSettings, versions: Versions) -> str:
    return with_version("h11", versions)


HYPERCORN = AsgiServerFacts(
    options=options,
    packages=("hypercorn", "h11", "uvloop"),
    variables="HYPERCORN_",
    event_loop=event_loop,
    http_parser=http_parser,
)
