"""The files that each launch needs, as they were when the run began."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from micropie_benchlib.core.errors import CannotGoOnError
from micropie_benchlib.core.targets import LaunchedTarget
from micropie_benchlib.serve.kinds import TARGET_KINDS
from micropie_benchlib.system.children import GUARD


def stamp(path: Path) -> tuple[int, ...]:
    """Return inode, size and time of a file; nothing of a directory, which may change."""
    status = path.stat()
    if path.is_dir():
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns


class NeededFiles:
    """What must be there, and files unchanged, for each launch."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._stamps = {path: stamp(path) for path in paths}

    def check(self) -> None:
        """Raise CannotGoOnError if something is not as it was."""
        for path, before in self._stamps.items():
            try:
                is_same = stamp(path) == before
            except OSError as error:
                raise CannotGoOnError(f"{path} cannot be read: {error.strerror}") from None
            if not is_same:
                raise CannotGoOnError(f"{path} was changed")


def needed_files(targets: Iterable[LaunchedTarget], wrk: str, work_dir: Path) -> NeededFiles:
    """Return what each launch of the targets needs on the disk; `wrk` is empty without load."""
    paths = {work_dir, Path(sys.executable), GUARD}
    if wrk:
        paths.add(Path(wrk))
    for target in targets:
        paths |= {target.directory, *TARGET_KINDS[type(target)].files(target)}
        if target.package_dir:
            paths.add(target.package_dir)
    return NeededFiles(sorted(paths))
