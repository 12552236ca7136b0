"""Which errors invalidate a trial rather than end the run."""

from __future__ import annotations

import errno

import psutil

from micropie_benchlib.core.errors import BenchError
from micropie_benchlib.system.children import no_room

TRIAL_ERRORS = (BenchError, OSError, psutil.Error)  # they invalidate a trial; others go on


def reason_of(error: Exception) -> str:
    """Return why a trial is invalid: the error in words, and for a full disk what to do."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_room(error)
    return str(error)
