"""The user's cache directory, if it can be trusted.

The .pyz carries this file for its launcher, too, so it imports the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def trusted_cache() -> str | None:
    """Return this user's cache directory, made if need be; None if none can be trusted.

    It is trusted if it, and what it lies in, belong to this user and nobody else may write
    there.
    """

    def is_ours(status: os.stat_result) -> bool:
        return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()

    def others_may_write(status: os.stat_result) -> bool:
        return bool(status.st_mode & 0o022)

    home = Path(os.environ.get("HOME") or "")
    base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    cache = base / "micropie_bench"
    if not cache.is_absolute():
        return None
    try:
        missing = [cache]
        above = base
        while not above.exists() and above != home:  # a home is not ours to make
            missing.append(above)
            above = above.parent
        status = above.stat()  # ~/.cache may be a link to a larger disk
        sticky = status.st_mode & stat.S_ISVTX  # others cannot replace what is ours
        if not is_ours(status) or (others_may_write(status) and not sticky):
            return None
        for directory in reversed(missing):
            with contextlib.suppress(FileExistsError):
                directory.mkdir(mode=0o700)
            status = directory.lstat()  # another process may have made it, or a link
            if not is_ours(status) or others_may_write(status):
                return None
    except OSError:
        return None
    return str(cache)
