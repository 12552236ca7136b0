"""hypercorn: its options."""

from __future__ import annotations

import re

from micropie_benchlib.core.choices import Loop
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings, name_place


def hypercorn_options(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    """Return what follows `python -m hypercorn`.

    It looks an app up among the attributes that a module has already. Those of apps.py
    are made when they are first asked for, so they are asked for by `__getattr__`.
    """
    options = ["--bind", name_place(settings.host, port)]
    options += ["--workers", str(settings.workers)]
    if settings.access_log:
        options += ["--access-logfile", "-"]
    loop = Loop.ASYNCIO if settings.loop is Loop.AUTO else settings.loop
    options += ["--worker-class", loop]
    app = target.app
    if target.is_built_in:
        app = re.sub(r":(\w+)$", r':__getattr__("\1")', app)
    return [*options, app]
