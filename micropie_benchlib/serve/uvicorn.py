"""uvicorn: its options."""

from __future__ import annotations

from micropie_benchlib.core.targets import AsgiTarget, ServerSettings


def uvicorn_options(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    """Return what follows `python -m uvicorn`, as in the gist."""
    options = ["--host", settings.host, "--port", str(port)]
    options += ["--workers", str(settings.workers)]
    options += ["--loop", settings.loop, "--http", settings.http]
    options += ["--app-dir", str(target.directory)]
    if not settings.access_log:
        options.append("--no-access-log")
    if not settings.proxy_headers:
        options.append("--no-proxy-headers")
    return [*options, target.app]
