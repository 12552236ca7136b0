"""The ASGI servers, each with its module, and what they have in common."""

import itertools
import re

from micropie_benchlib.core.choices import AsgiServer
from micropie_benchlib.core.results import WorkerFacts
from micropie_benchlib.core.targets import ServerSettings
from micropie_benchlib.core.text import UNKNOWN, show_value
from micropie_benchlib.serve.asgi_server import Versions, with_version
from micropie_benchlib.serve.granian import GRANIAN
from micropie_benchlib.serve.hypercorn import HYPERCORN
from micropie_benchlib.serve.uvicorn import UVICORN

ASGI_SERVERS = {
    AsgiServer.UVICORN: UVICORN,
    AsgiServer.GRANIAN: GRANIAN,
    AsgiServer.HYPERCORN: HYPERCORN,
}
SERVER_PACKAGES = tuple(
    dict.fromkeys(itertools.chain(*(facts.packages for facts in ASGI_SERVERS.values())))
)
# Variables that would silently change the settings of a server.
SILENT_SETTINGS = re.compile("|".join(facts.variables for facts in ASGI_SERVERS.values()))


def served_as(
    settings: ServerSettings, versions: Versions, worker: WorkerFacts | None
) -> dict[str, str]:
    facts = ASGI_SERVERS[settings.asgi]
    proxy_headers = show_value(settings.proxy_headers) if facts.has_uvicorn_options else "none"
    event_loop = facts.event_loop(settings, versions)
    if worker and worker.event_loop:
        event_loop = with_version(worker.event_loop.partition(".")[0], versions)
    served = {
        "server": with_version(settings.asgi, versions),
        "event loop": event_loop,
        "HTTP parser": facts.http_parser(settings, versions),
        "access log": show_value(settings.access_log),
        "proxy headers": proxy_headers,
        "workers": str(settings.workers),
    }
    return served | (interpreter_of(worker) if worker else {})


def interpreter_of(worker: WorkerFacts) -> dict[str, str]:
    changed = [f"{name}={value}" for name, value in sorted(worker.variables.items())]
    changed += [f"{name}={value}" for name, value in sorted(worker.flags.items())]
    gil = "" if worker.gil else ", without the GIL"
    return {
        "Python": f"{worker.implementation} {worker.python}{gil}",
        "Python's settings": ", ".join(changed) or "none",
        "nice": str(worker.nice),
        "scheduling": worker.scheduling or UNKNOWN,
    }
