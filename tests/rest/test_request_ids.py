"""Request ids: the caller's if it is one, else a new one; in the answer and for everything inside."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from rest.request_ids import MAX_LENGTH, RequestIds, request_id

NEW = re.compile(r"[0-9a-f]{32}")


async def _show(request: Request) -> JSONResponse:
    return JSONResponse({"id": request_id(request)})


async def _socket(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"id": request_id(socket)})
    await socket.close()


APP = RequestIds(Starlette(routes=[Route("/", _show), WebSocketRoute("/ws", _socket)]))


async def asked(*given: bytes) -> tuple[str, str]:
    """The id in the answer's header, and the one that the application saw."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        answer = await client.get("/", headers=[(b"X-Request-Id", value) for value in given])
    return answer.headers["x-request-id"], answer.json()["id"]


@pytest.mark.parametrize("given", [b"abc", b"A-1", b"0b8f9c3e-6f0e-4a53-9a8e-6d1f2a3b4c5d", b"x" * MAX_LENGTH])
async def test_the_callers_id_is_kept(given: bytes) -> None:
    assert await asked(given) == (given.decode(), given.decode())


@pytest.mark.parametrize(
    "given", [b"", b"-", b"---", b"x" * (MAX_LENGTH + 1), b"a b", b"a_b", b"<script>", b"a\xe9", b"\xb2", b"{}", b"a,b"]
)
async def test_what_is_none_is_replaced(given: bytes) -> None:
    answered, seen = await asked(given)
    assert answered == seen
    assert NEW.fullmatch(seen)


async def test_without_one_each_request_gets_its_own() -> None:
    first, second = await asked(), await asked()
    assert first[0] == first[1] != second[0]


async def test_a_route_that_is_not_there_has_one_as_well() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://gateway") as client:
        answer = await client.get("/nothing")
    assert answer.status_code == 404
    assert NEW.fullmatch(answer.headers["x-request-id"])


async def test_a_socket_has_one() -> None:
    sent: list[Any] = []
    incoming = iter([{"type": "websocket.connect"}])

    async def receive() -> Any:
        return next(incoming)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/ws", "headers": [(b"x-request-id", b"r1")], "query_string": b""}
    await APP(scope, receive, send)
    assert '"r1"' in sent[1]["text"]


async def test_a_lifespan_passes_untouched() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    await RequestIds(app)({"type": "lifespan"}, None, None)  # type: ignore[arg-type]
    assert seen == [{"type": "lifespan"}]
