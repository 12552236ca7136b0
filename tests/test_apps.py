"""The built-in apps answer as the gist's did."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import micropie_bench as mb

if TYPE_CHECKING:
    from conftest import Start

ROOT = Path(__file__).parent.parent

GREETING = "Hello ASGI World!"
ROUTES = {
    "micropie": (GREETING, GREETING, "Hello Ann Lee"),
    "fastapi": (f'"{GREETING}"', '"Hello FastAPI World!"', '"Hello Ann Lee"'),
    "starlette": (GREETING, GREETING, "Hello Ann Lee"),
    "asgi": (GREETING, GREETING, "Hello Ann Lee"),
}


@pytest.mark.parametrize("name", mb.BUILT_INS)
def test_routes_answer_as_in_the_gist(name: str, start: Start) -> None:
    with start(name, workers=1) as running:
        base = f"http://127.0.0.1:{running.port}"
        paths = ("/", "/index", "/index?name=Ann%20Lee")
        bodies = tuple(urllib.request.urlopen(base + path, timeout=10).read().decode() for path in paths)
    assert bodies == ROUTES[name]


@pytest.mark.parametrize("name", [None, *mb.BUILT_INS])
def test_no_framework_but_the_one_asked_for_is_imported(name: str | None) -> None:
    code = f"import sys, apps; {f'apps.{name};' if name else ''} print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    wanted = {"fastapi": {"fastapi", "starlette"}, "starlette": {"starlette"}, "micropie": {"micropie"}}.get(
        name or "", set()
    )
    assert {"micropie", "fastapi", "starlette"} & set(out.split()) == wanted


def test_unknown_app_is_an_attribute_error() -> None:
    import apps

    with pytest.raises(AttributeError, match="nosuch"):
        apps.nosuch  # noqa: B018
