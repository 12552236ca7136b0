"""granian: its options and settings."""

from micropie_benchlib.core.targets import AsgiTarget, ServerSettings
from micropie_benchlib.serve.asgi_server import AsgiServerFacts, Versions, uvloop_if_installed


def options(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    words = ["--interface", "asgi", "--host", settings.host, "--port", str(port)]
    words += ["--workers", str(settings.workers), "--loop", settings.loop]
    words.append("--access-log" if settings.access_log else "--no-access-log")
    return [*words, target.app]


def http_parser(_settings: ServerSettings, _versions: Versions) -> str:
    return "granian's own"


GRANIAN = AsgiServerFacts(
    options=options,
    packages=("granian", "uvloop"),
    variables="GRANIAN_",
    event_loop=uvloop_if_installed,
    http_parser=http_parser,
)
