"""The apps that the built-in targets serve: the gist's routes, once in each framework.

`uvicorn apps:fastapi` serves one of them. An attribute is built when it is first asked for, so that a server
imports its own framework and no other. The gist ("MicroPie vs FastAPI Benchmarks (with wrk)", 2025-01-29) has
`/`, `/index` and `/index?name=X`; FastAPI sends its strings as JSON, and MicroPie has one handler for all three.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

GREETING = "Hello ASGI World!"


def _micropie() -> ASGIApp:
    from micropie import App

    class Root(App):  # type: ignore[misc]  # micropie ships no types
        async def index(self, name: str | None = None) -> str:
            return f"Hello {name}" if name else GREETING

    app: ASGIApp = Root()
    return app


def _fastapi() -> ASGIApp:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/")
    async def root() -> str:
        return GREETING

    @app.get("/index")
    async def index(name: str | None = None) -> str:
        return f"Hello {name}" if name else "Hello FastAPI World!"

    return app


def _starlette() -> ASGIApp:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse, Response
    from starlette.routing import Route

    async def index(request: Request) -> Response:
        name = request.query_params.get("name")
        return PlainTextResponse(f"Hello {name}" if name else GREETING)

    return Starlette(routes=[Route("/", index), Route("/index", index)])


def _asgi() -> ASGIApp:
    from urllib.parse import parse_qs

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # uvicorn then goes on without lifespan events
            raise NotImplementedError(scope["type"])
        status, text = 200, GREETING
        if scope["path"] not in ("/", "/index"):
            status, text = 404, "Not Found"
        elif scope["query_string"]:
            name = parse_qs(scope["query_string"].decode("latin-1")).get("name", [""])[0]
            text = f"Hello {name}" if name else GREETING
        body = text.encode()
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


_BUILDERS = {"micropie": _micropie, "fastapi": _fastapi, "starlette": _starlette, "asgi": _asgi}


def __getattr__(name: str) -> ASGIApp:
    if name not in _BUILDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = globals()[name] = _BUILDERS[name]()
    return app
