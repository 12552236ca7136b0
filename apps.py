"""The apps that the built-in targets serve: the gist's routes and four workloads.

Behind them are those of the published tables, which have `/` alone.

Each framework has them once; `uvicorn apps:fastapi` serves one of them. An attribute is
built when it is first asked for, so that a server imports its own framework and no other.
The gist ("MicroPie vs FastAPI Benchmarks (with wrk)", 2025-01-29) has `/`, `/index` and
`/index?name=X`; FastAPI sends its strings as JSON, and MicroPie has one handler for all
three. The bodies of the workloads, `/json`, `/delayed`, `/compute` and POST `/upload`, are
the same bytes everywhere.
"""

# No `from __future__ import annotations`: frameworks evaluate their handlers' annotations,
# where local names are lost.
import asyncio
import importlib
import json
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

GREETING = "Hello ASGI World!"
HELLO = {"Hello": "World"}


async def _delayed() -> str:
    await asyncio.sleep(0.010)
    return "delayed"


def _compute() -> str:
    """Return the result of some 0.3 ms of work in plain Python."""
    total = 0
    for number in range(5000):
        total = (total + number * number) % 1_000_003
    return str(total)


def _dumps(value: object) -> str:
    """Return compact JSON, as those frameworks write it that do so of themselves."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_posted: ContextVar[bytearray] = ContextVar("_posted")


def _keeping_body(app: "ASGIApp") -> "ASGIApp":
    """Return the app, behind what keeps the body of each POST in `_posted`."""

    async def keeping(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope.get("method") != "POST":
            await app(scope, receive, send)
            return
        body = bytearray()
        _posted.set(body)

        async def copying() -> "Message":
            message = await receive()
            body.extend(message.get("body", b""))
            return message

        await app(scope, copying, send)

    return keeping


def _micropie_module() -> Any:
    try:
        return importlib.import_module("micropie")
    except ModuleNotFoundError:
        return importlib.import_module("MicroPie")  # its name up to 0.13


def _micropie_base(module: Any) -> Any:
    """Return the class that apps derive from: Server up to 0.9.2."""
    return getattr(module, "App", None) or module.Server


def _micropie_payload(module: Any) -> Callable[[Any], Any] | None:
    """Return what gives the JSON that was sent to an app.

    None for releases up to 0.9.9.4, which do not hand it on.
    """
    request = getattr(module, "Request", None)  # none up to 0.9.1
    if hasattr(request, "json"):  # 0.28 and later
        return lambda app: app.request.json()
    if request and hasattr(request({"type": "http", "method": "POST"}), "get_json"):
        return lambda app: app.request.get_json
    return None


def _micropie() -> "ASGIApp":
    module = _micropie_module()
    payload = _micropie_payload(module)
    base: Any = _micropie_base(module)

    def reply(
        value: object,
    ) -> tuple[int, str, list[tuple[str, str]]]:  # a dict would be sent with spaces
        return 200, _dumps(value), [("Content-Type", "application/json")]

    class Root(base):  # type: ignore[misc]  # micropie ships no types
        async def index(self, name: str | None = None) -> str:
            return f"Hello {name}" if name else GREETING

        async def json(self) -> tuple[int, str, list[tuple[str, str]]]:
            return reply(HELLO)

        async def delayed(self) -> str:
            return await _delayed()

        async def compute(self) -> str:
            return _compute()

        async def upload(self) -> tuple[int, str, list[tuple[str, str]]]:
            return reply(payload(self) if payload else json.loads(_posted.get()))

    app: ASGIApp = Root()
    return app if payload else _keeping_body(app)


def _fastapi() -> "ASGIApp":
    from fastapi import Body, FastAPI
    from fastapi.responses import PlainTextResponse

    app = FastAPI()

    @app.get("/")
    async def root() -> str:
        return GREETING

    @app.get("/index")
    async def index(name: str | None = None) -> str:
        return f"Hello {name}" if name else "Hello FastAPI World!"

    @app.get("/json")
    async def hello() -> dict[str, str]:
        return HELLO

    @app.get("/delayed", response_class=PlainTextResponse)
    async def delayed() -> str:
        return await _delayed()

    @app.get("/compute", response_class=PlainTextResponse)
    async def compute() -> str:
        return _compute()

    @app.post("/upload")
    async def upload(payload: Annotated[Any, Body()]) -> Any:
        return payload

    return app


def _starlette() -> "ASGIApp":
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    async def index(request: Request) -> Response:
        name = request.query_params.get("name")
        return PlainTextResponse(f"Hello {name}" if name else GREETING)

    async def hello(_request: Request) -> Response:
        return JSONResponse(HELLO)

    async def delayed(_request: Request) -> Response:
        return PlainTextResponse(await _delayed())

    async def compute(_request: Request) -> Response:
        return PlainTextResponse(_compute())

    async def upload(request: Request) -> Response:
        return JSONResponse(await request.json())

    return Starlette(
        routes=[
            Route("/", index),
            Route("/index", index),
            Route("/json", hello),
            Route("/delayed", delayed),
            Route("/compute", compute),
            Route("/upload", upload, methods=["POST"]),
        ]
    )


def _litestar() -> "ASGIApp":
    from litestar import Litestar, MediaType, get, post

    async def index(name: str | None = None) -> str:
        return f"Hello {name}" if name else GREETING

    async def hello() -> dict[str, str]:
        return HELLO

    async def delayed() -> str:
        return await _delayed()

    async def compute() -> str:
        return _compute()

    async def upload(data: Any) -> Any:
        return data

    app = Litestar(
        [
            get(["/", "/index"], media_type=MediaType.TEXT)(index),
            get("/json")(hello),
            get("/delayed", media_type=MediaType.TEXT)(delayed),
            get("/compute", media_type=MediaType.TEXT)(compute),
            post("/upload", status_code=200)(upload),
        ]
    )
    return cast("ASGIApp", app)


def _blacksheep() -> "ASGIApp":
    from blacksheep import Application, Request, Response, Router, json, text

    async def index(name: str | None = None) -> Response:
        return text(f"Hello {name}" if name else GREETING)

    async def hello() -> Response:
        return json(HELLO)

    async def delayed() -> Response:
        return text(await _delayed())

    async def compute() -> Response:
        return text(_compute())

    async def upload(request: Request) -> Response:
        return json(await request.json())

    app = Application(router=Router())
    app.router.add_get("/", index)
    app.router.add_get("/index", index)
    app.router.add_get("/json", hello)
    app.router.add_get("/delayed", delayed)
    app.router.add_get("/compute", compute)
    app.router.add_post("/upload", upload)
    return cast("ASGIApp", app)


def _quart() -> "ASGIApp":
    from quart import Quart, Response, request

    def text(text: str) -> Response:
        return Response(text, mimetype="text/plain")

    def reply(value: object) -> Response:  # jsonify would sort the keys and add a newline
        return Response(_dumps(value), mimetype="application/json")

    async def index() -> Response:
        name = request.args.get("name")
        return text(f"Hello {name}" if name else GREETING)

    async def hello() -> Response:
        return reply(HELLO)

    async def delayed() -> Response:
        return text(await _delayed())

    async def compute() -> Response:
        return text(_compute())

    async def upload() -> Response:
        return reply(await request.get_json())

    app = Quart(__name__)
    app.add_url_rule("/", view_func=index)
    app.add_url_rule("/index", view_func=index)
    app.add_url_rule("/json", view_func=hello)
    app.add_url_rule("/delayed", view_func=delayed)
    app.add_url_rule("/compute", view_func=compute)
    app.add_url_rule("/upload", view_func=upload, methods=["POST"])
    return cast("ASGIApp", app)


def _sanic() -> "ASGIApp":
    from sanic import HTTPResponse, Request, Sanic, json, text

    async def index(request: Request) -> HTTPResponse:
        name = request.args.get("name")
        return text(f"Hello {name}" if name else GREETING)

    async def hello(_request: Request) -> HTTPResponse:
        return json(HELLO)

    async def delayed(_request: Request) -> HTTPResponse:
        return text(await _delayed())

    async def compute(_request: Request) -> HTTPResponse:
        return text(_compute())

    async def upload(request: Request) -> HTTPResponse:
        return json(request.json, ensure_ascii=False)

    app = Sanic("apps")
    app.add_route(index, "/")
    app.add_route(index, "/index", name="index_too")  # Sanic wants each route named apart
    app.add_route(hello, "/json")
    app.add_route(delayed, "/delayed")
    app.add_route(compute, "/compute")
    app.add_route(upload, "/upload", methods=["POST"])
    return cast("ASGIApp", app)


def _falcon() -> "ASGIApp":
    from falcon import MEDIA_JSON, MEDIA_TEXT
    from falcon.asgi import App, Request, Response
    from falcon.media import JSONHandler

    class Root:
        async def on_get(self, request: Request, response: Response) -> None:
            name = request.get_param("name")
            response.content_type, response.text = MEDIA_TEXT, f"Hello {name}" if name else GREETING

        async def on_get_json(self, _request: Request, response: Response) -> None:
            response.media = HELLO

        async def on_get_delayed(self, _request: Request, response: Response) -> None:
            response.content_type, response.text = MEDIA_TEXT, await _delayed()

        async def on_get_compute(self, _request: Request, response: Response) -> None:
            response.content_type, response.text = MEDIA_TEXT, _compute()

        async def on_post_upload(self, request: Request, response: Response) -> None:
            response.media = await request.get_media()

    app, root = App(), Root()
    app.resp_options.media_handlers[MEDIA_JSON] = JSONHandler(
        dumps=_dumps
    )  # Falcon's own has spaces
    app.add_route("/", root)
    app.add_route("/index", root)
    for route in ("json", "delayed", "compute", "upload"):
        app.add_route(f"/{route}", root, suffix=route)
    return cast("ASGIApp", app)


def _muffin() -> "ASGIApp":
    from muffin import Application, Request, ResponseJSON, ResponseText

    async def index(request: Request) -> ResponseText:
        name = request.url.query.get("name")
        return ResponseText(f"Hello {name}" if name else GREETING)

    async def hello(_request: Request) -> ResponseJSON:
        return ResponseJSON(HELLO)

    async def delayed(_request: Request) -> ResponseText:
        return ResponseText(await _delayed())

    async def compute(_request: Request) -> ResponseText:
        return ResponseText(_compute())

    async def upload(request: Request) -> ResponseJSON:
        return ResponseJSON(await request.json())

    app = Application()
    app.route("/", "/index")(index)
    app.route("/json")(hello)
    app.route("/delayed")(delayed)
    app.route("/compute")(compute)
    app.route("/upload", methods=["POST"])(upload)
    return cast("ASGIApp", app)


def _asgi() -> "ASGIApp":
    from urllib.parse import parse_qs

    async def app(scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http":  # uvicorn then goes on without lifespan events
            raise NotImplementedError(scope["type"])
        status, media_type, text = 200, b"text/plain; charset=utf-8", GREETING
        match scope["path"]:
            case "/" | "/index":
                if scope["query_string"]:
                    name = parse_qs(scope["query_string"].decode("latin-1")).get("name", [""])[0]
                    text = f"Hello {name}" if name else GREETING
            case "/json":
                media_type, text = b"application/json", _dumps(HELLO)
            case "/delayed":
                text = await _delayed()
            case "/compute":
                text = _compute()
            case "/upload":
                media_type, text = b"application/json", _dumps(json.loads(await _body(receive)))
            case _:
                status, text = 404, "Not Found"
        body = text.encode()
        headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


async def _body(receive: "Receive") -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


# The apps of the published tables: JSON as each framework returns it in its plainest way.


def _plain_micropie() -> "ASGIApp":
    base: Any = _micropie_base(_micropie_module())

    class Root(base):  # type: ignore[misc]  # micropie ships no types
        async def index(self) -> dict[str, str]:
            return HELLO

    return cast("ASGIApp", Root())


def _plain_fastapi(*, by_def: bool = False) -> "ASGIApp":
    from fastapi import FastAPI

    app = FastAPI()

    # Without a type: with one it would check the value.
    async def hello():  # type: ignore[no-untyped-def]
        return HELLO

    def hello_by_def():  # type: ignore[no-untyped-def]
        return HELLO

    app.get("/")(hello_by_def if by_def else hello)
    return app


def _plain_starlette() -> "ASGIApp":
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def hello(_request: Request) -> JSONResponse:
        return JSONResponse(HELLO)

    return Starlette(routes=[Route("/", hello)])


def _plain_litestar() -> "ASGIApp":
    from litestar import Litestar, get

    async def hello() -> dict[str, str]:
        return HELLO

    return cast("ASGIApp", Litestar([get("/")(hello)]))


def _plain_blacksheep(*, by_def: bool = False) -> "ASGIApp":
    from blacksheep import Application, Response, Router, json

    async def hello() -> Response:
        return json(HELLO)

    def hello_by_def() -> Response:
        return json(HELLO)

    app = Application(router=Router())
    app.router.add_get("/", hello_by_def if by_def else hello)
    return cast("ASGIApp", app)


def _plain_quart() -> "ASGIApp":
    from quart import Quart

    async def hello() -> dict[str, str]:
        return HELLO

    app = Quart(__name__)
    app.add_url_rule("/", view_func=hello)
    return cast("ASGIApp", app)


def _plain_sanic() -> "ASGIApp":
    from sanic import HTTPResponse, Request, Sanic, json

    async def hello(_request: Request) -> HTTPResponse:
        return json(HELLO)

    app = Sanic("apps")
    app.add_route(hello, "/")
    return cast("ASGIApp", app)


def _plain_muffin() -> "ASGIApp":
    from muffin import Application, Request

    async def hello(_request: Request) -> dict[str, str]:
        return HELLO

    app = Application()
    app.route("/")(hello)
    return cast("ASGIApp", app)


_BUILDERS: dict[str, Callable[[], "ASGIApp"]] = {
    "micropie": _micropie,
    "fastapi": _fastapi,
    "starlette": _starlette,
    "asgi": _asgi,
    "litestar": _litestar,
    "blacksheep": _blacksheep,
    "quart": _quart,
    "sanic": _sanic,
    "falcon": _falcon,
    "muffin": _muffin,
    "plain_micropie": _plain_micropie,
    "plain_fastapi": _plain_fastapi,
    "plain_fastapi_def": partial(_plain_fastapi, by_def=True),
    "plain_starlette": _plain_starlette,
    "plain_litestar": _plain_litestar,
    "plain_blacksheep": _plain_blacksheep,
    "plain_blacksheep_def": partial(_plain_blacksheep, by_def=True),
    "plain_quart": _plain_quart,
    "plain_sanic": _plain_sanic,
    "plain_muffin": _plain_muffin,
}


def __getattr__(name: str) -> "ASGIApp":
    if name not in _BUILDERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = globals()[name] = _BUILDERS[name]()
    return app
