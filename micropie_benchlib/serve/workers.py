"""What workers of ASGI apps tell of themselves, by programs/loader that hands the app over."""

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from micropie_benchlib.core.built_ins import FRAMEWORK_PACKAGES, OTHER_PACKAGES
from micropie_benchlib.core.errors import BenchError, adapter
from micropie_benchlib.core.paths import has_module
from micropie_benchlib.core.results import WorkerFacts
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings
from micropie_benchlib.serve.asgi import SERVER_PACKAGES
from micropie_benchlib.serve.kinds import app_argv, app_environment, first_on_path
from micropie_benchlib.serve.versions import LOADER
from micropie_benchlib.system.processes import SPEED_VARIABLES, is_alive

LOADED_APP = "micropie_bench_app:app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker that has imported the app.

    `distributions` are all that it could import, by lower-case name; `modules` the names of
    what it did import, and `files` theirs.
    """

    facts: WorkerFacts
    distributions: Mapping[str, str]
    modules: frozenset[str]
    files: tuple[Path, ...]

    def versions(self, target: AsgiTarget) -> dict[str, str]:
        """Of fetched packages all; else those of the server and of imported frameworks."""
        if target.requirements:
            return dict(sorted(self.distributions.items()))
        names = [*target.packages, *SERVER_PACKAGES]
        names += [name for name in (*FRAMEWORK_PACKAGES, *OTHER_PACKAGES) if name in self.modules]
        known = self.distributions
        return {name: known[name] for name in dict.fromkeys(names) if name in known}


class LoadedApp:
    def __init__(self, target: AsgiTarget, work_dir: Path) -> None:
        self._target = target
        self._directory = Path(tempfile.mkdtemp(dir=work_dir, prefix="workers-"))

    def argv(self, settings: ServerSettings, port: int) -> list[str]:
        loaded = dataclasses.replace(self._target, app=LOADED_APP, is_built_in=False)
        return app_argv(loaded, settings, port)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        environment = app_environment(self._target, inherited)
        return first_on_path([str(LOADER.parent)], environment) | {
            "MICROPIE_BENCH_APP": self._target.app,
            "MICROPIE_BENCH_VARIABLES": SPEED_VARIABLES.pattern,
            "MICROPIE_BENCH_FACTS": str(self._directory),
        }

    def _files(self) -> Iterator[Path]:
        return self._directory.glob("*.json")

    def has_lost_a_worker(self) -> bool:
        return not all(is_pid_alive(int(file.stem)) for file in self._files())

    def worker(self) -> Worker | None:
        """Raises BenchError if it was imported from elsewhere than where it lies."""
        for file in sorted(self._files()):
            text = file.read_text(encoding="utf-8")
            if text:
                worker: Worker = adapter(Worker).validate_json(text)
                check_origin(self._target, worker)
                return worker
        return None


def check_origin(target: AsgiTarget, worker: Worker) -> None:
    facts = worker.facts
    if not facts.module_file:
        return
    foreign = file_of_no_commit(target, Path(facts.module_file), worker)
    if foreign and target.source:
        raise BenchError(
            f"{target.name}: {facts.executable} imports {foreign}, which is not of commit "
            f"{target.source.commit[:10]}: uninstall it there, or use another --python"
        )
    directory = target.directory.resolve()
    is_elsewhere = not Path(facts.module_file).is_relative_to(directory)
    if is_elsewhere and has_module(directory, target.top_module):
        raise BenchError(
            f"{target.name}: {target.top_module} lies in {directory}, but {facts.executable} "
            f"imports it from {facts.module_file}: uninstall it there, or use another --python"
        )


def file_of_no_commit(target: AsgiTarget, module_file: Path, worker: Worker) -> Path | None:
    """Return a file that a target at a commit has from elsewhere, if there is one.

    Of its working tree it may use nothing but a Python that lies there.
    """
    if not target.root or not target.repository:
        return None
    if not module_file.is_relative_to(target.root):
        return module_file
    allowed = (target.root, Path(worker.facts.executable).parent.parent, LOADER.parent)
    for file in worker.files:
        is_allowed = any(file.is_relative_to(place) for place in allowed)
        if file.is_relative_to(target.repository) and not is_allowed:
            return file
    return None


def is_pid_alive(pid: int) -> bool:
    try:
        return is_alive(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False
