"""Connects an experiment (run/) to real servers, wrk, the export file and the progress report."""

import contextlib
import importlib
from collections.abc import Callable, Sequence

from micropie_benchlib.cli.progress import ProgressReport
from micropie_benchlib.cli.records import new_results
from micropie_benchlib.core.loads import Load
from micropie_benchlib.core.paths import packaged_text
from micropie_benchlib.core.plan import Plan
from micropie_benchlib.core.requests import Response, Workload
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.targets import Target
from micropie_benchlib.load.hosts import Hosts
from micropie_benchlib.load.readings import Observation
from micropie_benchlib.load.trial import apply_load, apply_warm_up, endless, load_of_wrk
from micropie_benchlib.report.results_file import to_json
from micropie_benchlib.run.actions import Actions
from micropie_benchlib.serve.servers import RunningServer


def actions_for(
    plan: Plan, hosts: Hosts, progress: ProgressReport, save: Callable[[Results], None]
) -> Actions:
    hosts.need(plan.targets)

    def prepare(target: Target) -> None:
        timeout_s = plan.server_of(target).start_timeout_s
        hosts.host_of(target).prepare(target, timeout_s=timeout_s)

    def start(target: Target) -> RunningServer:
        return hosts.start(target, plan.server_of(target))

    def tick() -> None:
        progress.tick()
        hosts.here.trim_logs()

    def keep(results: Results) -> None:
        progress.update(results)
        save(results)

    def ask(server: RunningServer, workload: Workload) -> tuple[Response, ...]:
        return hosts.ask(server, workload, tick=tick)

    def warm_up(servers: Sequence[RunningServer], load: Load) -> None:
        if not plan.warm_up_s:
            return
        own = endless(load.without_rate, plan.warm_up_s)
        apply_warm_up(hosts.sides(servers, own), load, seconds=plan.warm_up_s, tick=tick)

    def measure(servers: Sequence[RunningServer], load: Load) -> list[Observation]:
        is_paired = len(servers) > 1
        sides = hosts.sides(servers, load_of_wrk(load, is_paired=is_paired))
        return apply_load(sides, load, is_paired=is_paired, tick=tick)

    return Actions(
        prepare=prepare,
        start=start,
        ask=ask,
        warm_up=warm_up,
        load=measure,
        save=keep,
        tick=tick,
        announce=progress.announce,
        extend=progress.extend,
        drop=progress.drop,
        secrets=plan.secrets,
        baseline={facts.name: facts for facts in plan.baseline},
    )


LATE_MODULES = (
    *("encodings.idna", "encodings.unicode_escape", "httptools"),
    *("rich.live", "rich.progress_bar", "ssl"),
)
LATE_TEXTS = {
    "micropie_benchlib.wrk": ("done.lua", "rate.lua"),
    "micropie_benchlib.report": ("page.html", "page.css", "page.js", "warnings.toml"),
}  # by package


def import_all() -> None:
    """Import now what would be loaded on first use: files may change meanwhile."""
    for module in LATE_MODULES:
        with contextlib.suppress(ImportError):  # such as ssl, which few runs need
            importlib.import_module(module)
    for package, names in LATE_TEXTS.items():
        for name in names:
            packaged_text(package, name)
    to_json(new_results())  # pydantic imports parts of itself late
