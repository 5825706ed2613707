"""Every request has an id: in its answer's `X-Request-Id`, in its errors and in the log."""

from __future__ import annotations

from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_LENGTH = 64


class RequestIds:
    """ASGI middleware. A caller may bring an id: letters, digits and hyphens, at most 64 characters."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        usable = given.isascii() and given.replace("-", "").isalnum() and len(given) <= MAX_LENGTH
        request_id = given if usable else uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-request-id"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


def request_id(connection: HTTPConnection) -> str:
    """The id that `RequestIds` gave this request."""
    value: str = connection.state.request_id
    return value
