"""The packages of targets at commits: one Python for all, or for each those that it locks."""

import dataclasses
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.targets import LaunchedTarget, Target
from micropie_benchlib.serve.kinds import launched_targets
from micropie_benchlib.serve.packages import FETCH_DEADLINE_S, install, kept_in_cache
from micropie_benchlib.serve.versions import examine_python
from micropie_benchlib.system.children import run_guarded

INSTALLABLE = ("uv.lock", "pylock.toml", "requirements.txt", "requirements*.txt")
OTHER_LOCKS = ("requirements/*.txt", "constraints*.txt", "Pipfile.lock", "pdm.lock", "poetry.lock")
PROJECT = ("pyproject.toml", "setup.cfg", "setup.py")  # `-e .` takes requirements from these
REMEDY = "use --python, or --set NAME.python=PATH for each"
MAX_REASON = 300  # characters of what uv says

Announce = Callable[[str], None]


def with_environments(targets: Sequence[Target], announce: Announce) -> tuple[Target, ...]:
    """Return the targets, those at commits with a Python where they have none.

    What runs in the working tree of these is treated like them. If all have the lock files of
    the working tree, that is the Python of its .venv, or this one. Else each gets the packages
    of its own lock files. Raises BenchError.
    """
    placed = {target.name: target for target in targets}
    launched = launched_targets(targets)
    for top in dict.fromkeys(target.repository for target in launched):
        if top is None:
            continue
        members = [target for target in launched if belongs_to(top, target)]
        for member in with_pythons(top, members, announce):
            placed[member.name] = member
    return tuple(placed.values())


def belongs_to(top: Path, target: LaunchedTarget) -> bool:
    if target.repository or target.is_built_in:
        return target.repository == top
    return target.directory.resolve().is_relative_to(top)


def with_pythons(
    top: Path, members: Sequence[LaunchedTarget], announce: Announce
) -> list[LaunchedTarget]:
    """Return the members of a working tree and its commits with a Python, and with their root."""
    placed = []
    are_different = False
    for member in members:
        placed.append(dataclasses.replace(member, root=member.root or top))
        root, inner = place_of(placed[-1])
        if not member.python and lock_files(root, inner) != lock_files(top, inner):
            are_different = True
    found = []
    for member in placed:
        python = member.python or python_beside(top, place_of(member)[1])
        if are_different and not member.python:
            python = own_python(member, python or sys.executable, announce)
        elif python != member.python:
            announce(f"{member.name}: run by {python} (same lock files)")
        found.append(dataclasses.replace(member, python=python))
    return found


def place_of(target: LaunchedTarget) -> tuple[Path, Path]:
    """Return the root of the target's code, and where in it the target runs."""
    root = target.root or target.directory.resolve()
    return root, target.directory.resolve().relative_to(root)


def folders_of(root: Path, inner: Path) -> list[Path]:
    """Return the directory at `inner` and those above it, up to the root."""
    folders = [inner, *inner.parents]
    return [root / folder for folder in folders]


def lock_files(
    root: Path, inner: Path, patterns: Sequence[str] = (*INSTALLABLE, *OTHER_LOCKS)
) -> dict[str, str]:
    """Return the hashes of the lock files that may hold there, by path from the root."""
    found = {}
    for folder in folders_of(root, inner):
        for pattern in patterns:
            for file in sorted(folder.glob(pattern)):
                path = str(file.relative_to(root))
                found[path] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def python_beside(top: Path, inner: Path) -> str:
    """Return the Python of the nearest .venv in the working tree; empty if there is none."""
    for folder in folders_of(top, inner):
        python = folder / ".venv" / "bin" / "python"
        if python.exists():
            return str(python)
    return ""


def files_to_install(root: Path, inner: Path) -> list[Path]:
    for folder in folders_of(root, inner):
        for pattern in INSTALLABLE:
            files = sorted(folder.glob(pattern))
            if files:
                return files
    return []


def own_python(target: LaunchedTarget, base: str, announce: Announce) -> str:
    """Return a Python like the base, with the packages of the target's lock files."""
    root, inner = place_of(target)
    files, locks = files_to_install(root, inner), lock_files(root, inner)
    if not files:
        others = ", ".join(locks) or "it has no lock file"
        raise BenchError(
            f"{target.name}: lock files differ, and uv cannot install its own ({others}): {REMEDY}"
        )
    names = ", ".join(str(file.relative_to(root)) for file in files)
    version = examine_python(base).python
    uv = find_uv(announce)

    def make(directory: Path) -> None:
        announce(f"{target.name}: installing {names} for Python {version} (once)")
        install_locked(uv, files, base, directory)

    project = lock_files(root, inner, PROJECT)
    wanted = [names, locks, project, os.path.realpath(base), version]
    try:
        directory = kept_in_cache("environment", wanted, make)
    except BenchError as error:
        raise BenchError(f"{target.name}: uv cannot install {names}: {error}: {REMEDY}") from None
    return str(directory / "bin" / "python")


def find_uv(announce: Announce) -> str:
    """Return the uv on PATH, or else one that pip fetches once."""
    found = shutil.which("uv")
    if found:
        return found

    def make(directory: Path) -> None:
        announce("fetching uv (once)")
        install("uv", ["uv"], directory)

    return str(kept_in_cache("uv", sys.platform, make) / "bin" / "uv")


def install_locked(uv: str, files: Sequence[Path], base: str, directory: Path) -> None:
    """Raises BenchError with what uv says. The directory may be renamed afterwards."""
    python = str(directory / "bin" / "python")
    steps = [[uv, "venv", "--quiet", "--relocatable", "--python", base, str(directory)]]
    if files[0].name == "uv.lock":
        # Members of its workspace would be installed from a checkout that goes.
        options = ["--frozen", "--no-install-project", "--no-install-workspace"]
        steps.append([uv, "sync", "--quiet", *options, "--python", python])
    else:
        steps.append([uv, "pip", "install", "--quiet", "--python", python])
        for file in files:
            steps[-1] += ["-r", str(file)]
    environment = dict(os.environ, UV_PROJECT_ENVIRONMENT=str(directory), NO_COLOR="1")
    environment.pop("VIRTUAL_ENV", None)
    for step in steps:
        done = run_guarded(step, timeout_s=FETCH_DEADLINE_S, env=environment, cwd=files[0].parent)
        if done.status:
            raise BenchError(" ".join(done.errors.split())[:MAX_REASON])
