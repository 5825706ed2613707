"""Faults on demand: what a backend does on a bad day, injected in front of or behind a simulator.

A rule says which requests it strikes and how:

    {"method": "POST", "path": "/v1/orders", "kind": "hang", "when": "after", "count": 2}

`kind`   latency (`ms`), status (`status`, an error page), hang (until the caller leaves), malformed (200, half a JSON
         body), drop (the connection is closed without an answer)
`when`   `before` the simulator does anything, or `after` its effect is committed (the cruel one)
`path`   a regular expression that must match the whole path below the backend; omitted: every path
`method` omitted: every method;  `count`: how often it strikes, omitted: for ever;  `rate`: 0 to 1, omitted: always

Of several rules that fit, latencies add up and the first of the other kinds strikes; those after it keep their count.
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
        if self.ms < 0 or not 0 <= self.rate <= 1 or not 200 <= self.status <= 599:
            raise ValueError("a fault has ms from 0, a rate from 0 to 1 and a status from 200 to 599")
        try:
            re.compile(self.path or "")
        except re.error as exc:
            raise ValueError(f"the path of a fault is a regular expression: {exc}") from exc

    def strikes(self, method: str, path: str) -> bool:
        if self.count == 0 or (self.method and self.method.upper() != method):
            return False
        if self.path and not re.fullmatch(self.path, path):
            return False
        if self.rate < 1 and random.random() >= self.rate:  # noqa: S311 - dice, not secrets
            return False
        if self.count:
            self.count -= 1
        return True


@dataclass
class Call:
    """One request that reached a simulator. `query` is as sent; `status` is None until it is answered."""

    method: str
    path: str
    query: str
    status: int | None = None


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
        call = Call(method, path, scope["query_string"].decode())
        self.calls.append(call)

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                call.status = message["status"]
            await send(message)

        await self._answer(scope, receive, counted, method, path)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, method: str, path: str) -> None:
        delays_s = {"before": 0.0, "after": 0.0}
        fatal: Fault | None = None
        for fault in self.faults:
            if (fatal and fault.kind != "latency") or not fault.strikes(method, path):
                continue
            if fault.kind == "latency":
                delays_s[fault.when] += fault.ms / 1000
            else:
                fatal = fault
        late = _late(send, delays_s["after"])
        if delays_s["before"]:
            await asyncio.sleep(delays_s["before"])
        if fatal is None:
            await self._app(scope, receive, late)
            return
        if fatal.when == "after":
            await self._app(scope, receive, _swallow)
        await self._fail(fatal, scope, receive, late)

    async def _fail(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.kind == "status":
            page = Response(
                "<html><body><h1>Service Unavailable</h1></body></html>", fault.status, media_type="text/html"
            )
            await page(scope, receive, send)
        elif fault.kind == "malformed":
            await Response('{"data": [{"id": "tru', 200, media_type="application/json")(scope, receive, send)
        elif fault.kind == "hang":
            await _wait_for_release_or_departure(self.released, receive)
            await Response(status_code=504)(scope, receive, send)
        else:
            # An empty response with a length it does not keep makes the server cut the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})


def _late(send: Send, delay_s: float) -> Send:
    """Hold an answer back for so long."""
    if not delay_s:
        return send

    async def delayed(message: Message) -> None:
        if message["type"] == "http.response.start":
            await asyncio.sleep(delay_s)
        await send(message)

    return delayed


async def _swallow(message: Message) -> None:
    """Take an answer and tell nobody: the effect is real, the answer is lost."""


async def _wait_for_release_or_departure(released: asyncio.Event, receive: Receive) -> None:
    async def departed() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    waiting = [asyncio.create_task(released.wait()), asyncio.create_task(departed())]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
