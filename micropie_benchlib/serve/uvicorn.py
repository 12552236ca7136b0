"""uvicorn: its options, log lines and settings."""

from micropie_benchlib.core.choices import Http
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings
from micropie_benchlib.serve.asgi_server import (
    AsgiServerFacts,
    Versions,
    uvloop_if_installed,
    with_version,
)


def options(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    words = ["--host", settings.host, "--port", str(port)]
    words += ["--workers", str(settings.workers)]
    words += ["--loop", settings.loop, "--http", settings.http]
    words += ["--app-dir", str(target.directory)]
    if not settings.access_log:
        words.append("--no-access-log")
    if not settings.proxy_headers:
        words.append("--no-proxy-headers")
    return [*words, target.app]


def http_parser(settings: ServerSettings, versions: Versions) -> str:
    if settings.http is not Http.AUTO:
        return with_version(settings.http, versions)
    return with_version("httptools" if "httptools" in versions else "h11", versions)


UVICORN = AsgiServerFacts(
    options=options,
    packages=("uvicorn", "uvloop", "httptools", "h11"),
    variables=r"UVICORN_|(WEB_CONCURRENCY|FORWARDED_ALLOW_IPS)$",
    event_loop=uvloop_if_installed,
    http_parser=http_parser,
    ready_line="Application startup complete",
    no_lifespan_line="ASGI 'lifespan' protocol appears unsupported.",
    has_uvicorn_options=True,
)
