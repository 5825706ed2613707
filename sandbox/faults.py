"""Faults on demand: what a backend does on a bad day, injected in front of or behind a simulator.

A rule says which requests it strikes and how:

    {"method": "POST", "path": "/v1/orders", "kind": "hang", "when": "after", "count": 2}

`kind`   latency (`ms`), status (`status`, an error page), hang (until the caller leaves), malformed (200, half a JSON
         body), drop (the connection is closed without an answer)
`when`   `before` the simulator does anything, or `after` its effect is committed (the cruel one)
`path`   a regular expression that must match the whole path below the backend; omitted: every path
`method` omitted: every method;  `count`: how often it strikes, omitted: for ever;  `rate`: 0 to 1, omitted: always
"""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Kind = Literal["latency", "status", "hang", "malformed", "drop"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass
class Fault:
    kind: Kind
    when: Literal["before", "after"] = "before"
    method: str | None = None
    path: str | None = None
    ms: float = 0.0
    status: int = 503
    count: int | None = None
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS or self.when not in ("before", "after"):
            raise ValueError(f"a fault is one of {KINDS}, before or after its effect")

    def strikes(self, method: str, path: str) -> bool:
        if self.count == 0 or (self.method and self.method != method):
            return False
        if self.path and not re.fullmatch(self.path, path):
            return False
        if self.rate < 1 and random.random() >= self.rate:  # noqa: S311 - dice, not secrets
            return False
        if self.count:
            self.count -= 1
        return True


@dataclass(frozen=True)
class Call:
    """One request that reached a simulator. `query` is as sent."""

    method: str
    path: str
    query: str
    status: int | None


class FaultLine:
    """ASGI middleware around one simulator: counts its calls and applies its rules."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.released = asyncio.Event()

    def replace(self, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Set the rules and let go of every request that hangs under the old ones."""
        faults = [Fault(**rule) for rule in rules]
        self.faults = faults
        self.released.set()
        self.released = asyncio.Event()
        return [asdict(fault) for fault in faults]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        method = scope["method"]
        status: int | None = None

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, counted, method, path)
        finally:
            self.calls.append(Call(method, path, scope["query_string"].decode(), status))

    async def _answer(self, scope: Scope, receive: Receive, send: Send, method: str, path: str) -> None:
        struck = [fault for fault in self.faults if fault.strikes(method, path)]
        for fault in struck:
            if fault.kind == "latency":
                await asyncio.sleep(fault.ms / 1000)
        fatal = next((fault for fault in struck if fault.kind != "latency"), None)
        if fatal is None:
            await self._app(scope, receive, send)
            return
        if fatal.when == "after":
            await self._app(scope, receive, _swallow)
        await self._fail(fatal, scope, receive, send)

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "status":
            page = Response("<html><body><h1>Service Unavailable</h1></body></html>", fault.status, media_type="text/html")
            await page(scope, receive, send)
        elif fault.kind == "malformed":
            await Response('{"data": [{"id": "tru', 200, media_type="application/json")(scope, receive, send)
        elif fault.kind == "hang":
            await _wait_for_release_or_departure(self.released, receive)
            await Response(status_code=504)(scope, receive, send)
        else:
            # An empty response with a length it does not keep makes the server cut the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


async def _swallow(message: Message) -> None:
    """Take an answer and tell nobody: the effect is real, the answer is lost."""


async def _wait_for_release_or_departure(released: asyncio.Event, receive: Receive) -> None:
    async def departed() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = [asyncio.create_task(released.wait()), asyncio.create_task(departed())]
    _, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
