"""An ASGI app whose paths answer in ways that need an option."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        raise NotImplementedError
    status, body = 200, b"a plain answer"
    path = scope["path"]
    if path == "/gone":
        status, body = 404, b"nothing here"
    elif path == "/moved":
        status, body = 302, b""
    elif path == "/slow":
        await asyncio.sleep(1.1)
    elif path == "/slow-to-many":
        await answer_slowly_to_many()
    elif path == "/orders":
        sent = (await receive())["body"]
        if sent != b'{"item": 1}' or (b"content-type", b"application/json") not in scope["headers"]:
            status, body = 422, b'{"detail": "item: field required"}'
    elif path == "/tenant" and (b"host", b"shop.example") not in scope["headers"]:
        status, body = 400, b"unknown host"
    headers = [(b"content-length", str(len(body)).encode()), (b"location", b"/")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_slowly_to_many() -> None:
    """Take 2.2 s for each of several requests at a time, and no time for one alone."""
    global asking
    asking += 1
    await asyncio.sleep(0.1)
    if asking > 1:
        await asyncio.sleep(2.1)
    asking -= 1


async def sometimes_there(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer 404 at first, and 200 in each tenth answer after the 150th."""
    global answers
    if scope["type"] == "lifespan":
        raise NotImplementedError
    answers += 1
    status = 200 if answers > 150 and answers % 10 == 0 else 404
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})


answers = 0
asking = 0
