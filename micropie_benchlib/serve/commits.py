"""The code of a target: its commit's files in a directory of ours, or its working tree."""

import contextlib
import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.core.paths import has_module
from micropie_benchlib.core.targets import AsgiTarget, Source, StartedTarget, Target
from micropie_benchlib.system import git

Announce = Callable[[str], None]
Started = TypeVar("Started", bound=StartedTarget)
MAX_NAMED = 3  # files in a warning


def in_src(target: AsgiTarget, announce: Announce) -> AsgiTarget:
    """Return the target with src/ as its directory, if its module is there instead."""
    source = target.directory / "src"
    module = target.top_module
    if has_module(target.directory, module) or not has_module(source, module):
        return target
    shown = source.relative_to(target.root) if target.root else source
    announce(f"{target.name}: {module} is imported from {shown}")
    return dataclasses.replace(target, directory=source)


def with_code(target: Target, work_dir: Path, announce: Announce) -> Target:
    """Return the target with its commit's files, in a new directory in `work_dir`.

    Of one that runs in a working tree the commit is noted. Raises BenchError.
    """
    if not isinstance(target, StartedTarget) or target.is_built_in:
        return target
    if not target.source or not target.source.ref:
        return dataclasses.replace(target, source=working_tree(target.directory))
    placed = checked_out(target, target.source, work_dir, announce)
    return in_src(placed, announce) if isinstance(placed, AsgiTarget) else placed


def working_tree(directory: Path) -> Source | None:
    """Return the commit of the working tree; None if the directory is in none."""
    with contextlib.suppress(BenchError):
        return Source(commit=git.find_commit(directory, "HEAD"), is_clean=git.is_clean(directory))
    return None


def checked_out(target: Started, source: Source, work_dir: Path, announce: Announce) -> Started:
    repository = git.find_repository(target.directory)
    short = source.commit[:10]
    root = Path(tempfile.mkdtemp(dir=work_dir, prefix=f"{short}-")).resolve()
    git.check_out(repository.top, source.commit, root)
    missing = {
        "submodules are left empty": git.submodules(repository.top, source.commit),
        "Git LFS has no content here for": git.lfs_pointers(root),
    }
    for what, paths in missing.items():
        if paths:
            named = ", ".join(paths[:MAX_NAMED]) + (", ..." if paths[MAX_NAMED:] else "")
            announce(f"warning: {target.name}: {what}: {named}")
    directory = root / repository.prefix
    if not directory.is_dir():
        raise BenchError(f"{target.name}: commit {short} has no directory {repository.prefix}")
    return dataclasses.replace(target, directory=directory, root=root, repository=repository.top)
