"""The built-in apps answer as the gist's did, and their workloads all alike."""

import importlib.metadata
import json
import subprocess
import sys
import time
import urllib.request

import pytest
from conftest import ROOT, Start

from micropie_benchlib.core.built_ins import BUILT_INS

BUNDLED = ("micropie", "fastapi", "starlette", "asgi")
FRAMEWORKS = set(BUILT_INS) - {"asgi"}
GREETING = "Hello ASGI World!"
ROUTES = {"fastapi": (f'"{GREETING}"', '"Hello FastAPI World!"', '"Hello Ann Lee"')}
PLAIN_ROUTES = (GREETING, GREETING, "Hello Ann Lee")
UPLOAD = [
    {"number": n, "name": f"Zo\u00eb \U0001f600 <a/b&c=d>\n{n}", "a": [n / 4, n > 50, None]}
    for n in range(100)
]


def skip_unless_installed(name: str) -> None:
    """Skip the test of a framework that is not in the lock, where it is not installed."""
    if name in BUNDLED:
        return
    for package in BUILT_INS[name].packages:
        try:
            importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{package} is not installed")


def answer(url: str, data: bytes | None = None) -> tuple[int, str, str]:
    headers = {"Content-Type": "application/json"} if data else {}
    request = urllib.request.Request(url, data=data, headers=headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.headers["Content-Type"], response.read().decode()


@pytest.mark.parametrize("name", BUILT_INS)
def test_routes_answer_as_in_the_gist_and_workloads_alike(name: str, start: Start) -> None:
    skip_unless_installed(name)
    paths = ("/", "/index", "/index?name=Ann%20Lee")
    sent = json.dumps(UPLOAD, indent=1, ensure_ascii=False).encode()
    assert 9_000 < len(sent) < 11_000
    compact = json.dumps(UPLOAD, separators=(",", ":"), ensure_ascii=False)
    with start(name, workers=1) as running:
        bodies = tuple(answer(running.url(path))[2] for path in paths)
        assert bodies == ROUTES.get(name, PLAIN_ROUTES)
        assert answer(running.url("/json")) == (200, "application/json", '{"Hello":"World"}')
        assert answer(running.url("/upload"), sent) == (200, "application/json", compact)
        assert answer(running.url("/compute"))[::2] == (200, "42538")
        began = time.monotonic()
        assert answer(running.url("/delayed"))[::2] == (200, "delayed")
        assert time.monotonic() - began > 0.009


@pytest.mark.slow
@pytest.mark.parametrize("name", [None, *BUILT_INS])
def test_no_framework_but_the_one_asked_for_is_imported(name: str | None) -> None:
    if name:
        skip_unless_installed(name)
    use = f"apps.{name}" if name else ""
    code = f"import sys, apps\n{use}\nprint(*sys.modules)"
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    wanted = {"fastapi", "starlette"} if name == "fastapi" else {name}
    assert FRAMEWORKS & set(out.split()) == FRAMEWORKS & wanted


def test_unknown_app_is_an_attribute_error() -> None:
    import apps

    with pytest.raises(AttributeError, match="nosuch"):
        apps.nosuch  # noqa: B018
