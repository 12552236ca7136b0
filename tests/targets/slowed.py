"""The built-in MicroPie app, slowed down: a regression.

It runs BURN_LOOPS (in the environment) of plain Python before each answer.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

LOOPS = int(os.environ.get("BURN_LOOPS", "0"))
APPS = Path(__file__).parents[2] / "apps.py"

_spec = importlib.util.spec_from_file_location("apps", APPS)
assert _spec is not None
assert _spec.loader is not None
_apps = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_apps)
_micropie = _apps.micropie


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    for _ in range(LOOPS):
        pass
    await _micropie(scope, receive, send)
