"""ASGI apps: the command, environment and files of their servers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from micropie_benchlib.core.paths import BUNDLED, ROOT
from micropie_benchlib.core.targets import AsgiTarget, ServerSettings
from micropie_benchlib.serve.asgi import ASGI_SERVERS, SILENT_SETTINGS
from micropie_benchlib.serve.commands import Readiness, server_environment


def app_argv(target: AsgiTarget, settings: ServerSettings, port: int) -> list[str]:
    """Return the command that serves the app on the port.

    A target with a directory of packages runs without the interpreter's own
    site-packages (-S), so that all of it comes from there.
    """
    python = [target.python or sys.executable]
    if target.package_dir:
        python.append("-S")
    options = ASGI_SERVERS[settings.asgi].options(target, settings, port)
    return [*python, "-m", settings.asgi, *options, *target.arguments]


def app_environment(target: AsgiTarget, inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the app's server.

    Inherited variables that would silently change its settings are left out. In a
    .pyz the bundled packages come first on PYTHONPATH, before the user's.
    """
    kept = {name: value for name, value in inherited.items() if not SILENT_SETTINGS.match(name)}
    environment = server_environment(target, kept)
    if target.package_dir:
        environment["PYTHONPATH"] = str(target.package_dir)
    elif BUNDLED and not target.python:
        paths = [str(ROOT), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    return environment


def app_readiness(settings: ServerSettings) -> Readiness:
    """Return when the app's server is ready: when all workers accept."""
    return Readiness(
        processes=settings.workers,
        has_fixed_workers=True,
        log_line=ASGI_SERVERS[settings.asgi].ready_line,
    )


def app_files(target: AsgiTarget) -> set[Path]:
    """Return the files of the app's module, or of the whole package that it is in."""
    directory = target.directory
    module = directory.joinpath(*target.app.partition(":")[0].split("."))
    package = directory / module.relative_to(directory).parts[0]
    files = [module.with_suffix(".py"), *package.rglob("*.py")]
    return {file for file in files if file.is_file()}
