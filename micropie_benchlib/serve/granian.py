"""granian: its options."""

from __future__ import annotations

from micropie_benchlib.core.targets import AsgiTarget, ServerSettings


def granian_options(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    """Return what follows `python -m granian`."""
    options = ["--interface", "asgi", "--host", settings.host, "--port", str(port)]
    options += ["--workers", str(settings.workers), "--loop", settings.loop]
    options.append("--access-log" if settings.access_log else "--no-access-log")
    return [*options, target.app]
