"""How each kind of target is launched: its command, environment, readiness and files."""

import contextlib
import dataclasses
import os
import re
import shlex
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from micropie_benchlib.core.errors import CannotGoOnError
from micropie_benchlib.core.paths import BUNDLED, ROOT
from micropie_benchlib.core.targets import (
    AsgiTarget,
    CommandTarget,
    LaunchedTarget,
    ServerSettings,
    Target,
    UrlTarget,
)
from micropie_benchlib.serve.asgi import ASGI_SERVERS, SILENT_SETTINGS
from micropie_benchlib.system.children import GUARD


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """So many `processes` must accept connections; one missing of fixed workers has died."""

    processes: int
    has_fixed_workers: bool
    log_line: str = ""  # for each process that serves, where the system does not tell


def server_environment(target: LaunchedTarget, inherited: Mapping[str, str]) -> dict[str, str]:
    """Its Python's programs come first."""
    environment = dict(inherited)
    if target.python:
        paths = [str(Path(target.python).parent), environment.get("PATH", os.defpath)]
        environment["PATH"] = os.pathsep.join(paths)
    return first_on_path(code_paths(target), environment | dict(target.env))


def code_paths(target: LaunchedTarget) -> list[str]:
    return [str(target.root / "src"), str(target.root)] if target.root else []


def first_on_path(paths: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a Python that looks for modules there first."""
    found = [*paths, environment.get("PYTHONPATH", "")]
    if not paths:
        return dict(environment)
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, found))}


def filled(text: str, target: LaunchedTarget, settings: ServerSettings, port: int) -> str:
    values = {
        "{port}": str(port),
        "{host}": settings.host,
        "{workers}": str(settings.workers),
        "{python}": target.python or sys.executable,
    }
    return re.sub(r"\{(port|host|workers|python)\}", lambda match: values[match[0]], text)


# Commands.


def command_argv(target: CommandTarget, settings: ServerSettings, port: int) -> list[str]:
    return [filled(word, target, settings, port) for word in shlex.split(target.command)]


ONE_LISTENS = Readiness(processes=1, has_fixed_workers=False)
PROGRAM_SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".php", ".pl", ".jar")


def command_files(target: CommandTarget) -> set[Path]:
    """Return the programs in its directory that the command names: its data may change."""
    found = set()
    for word in shlex.split(target.command):
        file = target.directory / word
        if file.suffix in PROGRAM_SUFFIXES and file.is_file():
            found.add(file)
    return found


# ASGI apps.


def app_argv(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    """With a directory of packages (-S) all of them come from there."""
    python = [target.python or sys.executable]
    if target.package_dir:
        python.append("-S")
    options = ASGI_SERVERS[settings.asgi].options(target, settings, port)
    return [*python, "-m", settings.asgi, *options, *target.arguments]


def app_environment(target: AsgiTarget, inherited: Mapping[str, str]) -> dict[str, str]:
    """Variables that would silently change a server's settings are left out."""
    kept = {name: value for name, value in inherited.items() if not SILENT_SETTINGS.match(name)}
    environment = server_environment(target, kept)
    if target.package_dir:
        environment["PYTHONPATH"] = str(target.package_dir)
    elif BUNDLED and not target.python:
        environment = first_on_path([*code_paths(target), str(ROOT)], environment)
    return environment


def app_readiness(settings: ServerSettings) -> Readiness:
    return Readiness(
        processes=settings.workers,
        has_fixed_workers=True,
        log_line=ASGI_SERVERS[settings.asgi].ready_line,
    )


def app_files(target: AsgiTarget) -> set[Path]:
    first, *rest = target.app.partition(":")[0].split(".")
    package = target.directory / first
    module = package.joinpath(*rest)
    files = {module.with_suffix(".py"), *package.rglob("*.py")}
    return set(filter(Path.is_file, files))


class TargetKind(NamedTuple):
    """`files` are what a server's program is read from."""

    argv: Callable[[Any, ServerSettings, int], list[str]]
    environment: Callable[[Any, Mapping[str, str]], dict[str, str]]
    readiness: Callable[[ServerSettings], Readiness]
    files: Callable[[Any], set[Path]]


TARGET_KINDS: Mapping[type[LaunchedTarget], TargetKind] = {
    AsgiTarget: TargetKind(app_argv, app_environment, app_readiness, app_files),
    CommandTarget: TargetKind(
        command_argv, server_environment, lambda _: ONE_LISTENS, command_files
    ),
}


def launched_targets(targets: Iterable[Target]) -> list[LaunchedTarget]:
    return [target for target in targets if not isinstance(target, UrlTarget)]


def with_addresses(target: Target, addresses: Sequence[str]) -> Target:
    if isinstance(target, UrlTarget):
        return dataclasses.replace(target, addresses=tuple(addresses))
    return target


# The files that each launch needs, as they were when the run began.


def stamp(path: Path) -> tuple[int, ...]:
    """Return inode, size and time of a file; nothing of a directory, which may change."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


class NeededFiles:
    def __init__(self, paths: Iterable[Path]) -> None:
        self._stamps = {path: stamp(path) for path in paths}

    def check(self) -> None:
        for path, before in self._stamps.items():
            try:
                is_same = stamp(path) == before
            except OSError as error:
                raise CannotGoOnError(f"{path} cannot be read: {error.strerror}") from None
            if not is_same:
                raise CannotGoOnError(f"{path} was changed")


def mapped_programs(processes: Iterable[psutil.Process]) -> set[Path]:
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):
            maps = Path(f"/proc/{process.pid}/maps").read_text(errors="replace")
            for line in maps.splitlines():
                _, permissions, _, _, _, *path = line.split(maxsplit=5)
                if "x" in permissions and path and path[0].startswith("/"):
                    found.add(Path(path[0]))
    return found


def needed_files(targets: Iterable[LaunchedTarget], wrk: str, work_dir: Path) -> NeededFiles:
    """`wrk` is empty without load."""
    paths = {work_dir, Path(sys.executable), GUARD}
    if wrk:
        paths.add(Path(wrk))
    for target in targets:
        paths |= {target.directory, *TARGET_KINDS[type(target)].files(target)}
        if target.package_dir:
            paths.add(target.package_dir)
    return NeededFiles(sorted(paths))
