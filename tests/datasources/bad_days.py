"""Simulators on a real socket, and every way in which a server and the network before it can fail."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import ASGIApp

RETRY_AFTER_S = 7
TEN_MB = 10_000_000
PIECE = b"x" * 65536
DRIP_S = 0.01
TRACEBACK = b"<html><h1>Internal Server Error</h1>File /srv/app.py at http://10.0.0.7:9000</html>"
SECRETS = ("10.0.0.7", "/srv/app.py", "<h1>")
"""Of that page, for nobody to see."""


@dataclass(frozen=True)
class Asked:
    """One request, and the stream that its answer is written to."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def answer(self, status: int, body: bytes, *, length: int | None = None, **headers: str) -> None:
        """`length` None: the body's own."""
        told = {"content-type": "application/json", "content-length": str(len(body) if length is None else length)}
        told |= {name.replace("_", "-"): value for name, value in headers.items()} | {"connection": "close"}
        self._tell(status, told, body)

    def pass_on(self, answer: httpx.Response) -> None:
        kept = {name: value for name, value in answer.headers.items() if name not in ("content-encoding", "date")}
        if self.method != "HEAD":
            kept["content-length"] = str(len(answer.content))
        self._tell(answer.status_code, kept | {"connection": "close"}, answer.content)

    def _tell(self, status: int, headers: dict[str, str], body: bytes) -> None:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self.writer.write(f"HTTP/1.1 {status} Said\r\n{lines}\r\n".encode())
        if self.method != "HEAD":
            self.writer.write(body)


Failure = Callable[[Asked, "Stage"], Coroutine[Any, Any, None]]


@dataclass
class Stage:
    """Passes requests on to the simulators, but for those that `strikes` (method, a space, the path) matches: they fail
    as `failure` does. `struck` are these, `asked` all."""

    app: ASGIApp
    strikes: str = ""
    failure: Failure | None = None
    error_inside: bytes = b""
    """What the backend says under a status of success when something is wrong."""
    asked: list[str] = field(default_factory=list)
    struck: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                asked = await _read(reader, writer)
                line = f"{asked.method} {asked.path.partition('?')[0]}"
                self.asked.append(line)
                if self.failure is not None and re.fullmatch(self.strikes, line):
                    self.struck.append(line)
                    await self.failure(asked, self)
                else:
                    answer = await self.simulated(asked)
                    asked.pass_on(answer)
                await writer.drain()
        finally:
            writer.close()

    async def simulated(self, asked: Asked) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{asked.headers['host']}") as client:
            return await client.request(asked.method, asked.path, headers=asked.headers, content=asked.body)


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = b""
    if headers.get("transfer-encoding") == "chunked":
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        del headers["transfer-encoding"]
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(method, path, headers, body, reader, writer)


@asynccontextmanager
async def on_stage(stage: Stage, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The stage's address."""
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(stage.serve(reader, writer))
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await task

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls, limit=2**20)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await server.wait_closed()


# -- failures ----------------------------------------------------------------------------------------------------------


async def hangs(asked: Asked, stage: Stage) -> None:
    """Until the caller leaves."""
    await asked.reader.read()


async def drips(asked: Asked, stage: Stage) -> None:
    """A byte now and then, for as long as anybody listens."""
    asked.answer(200, b"", length=1_000_000)
    while not asked.reader.at_eof() and not asked.writer.is_closing():
        asked.writer.write(b" ")
        await asked.writer.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(asked.reader.read(), DRIP_S)


async def drops(asked: Asked, stage: Stage) -> None:
    """The connection ends without a word."""


async def breaks_off(asked: Asked, stage: Stage) -> None:
    """The connection ends in the middle of the body."""
    asked.answer(200, b'{"data": [{"id": "tru', length=1000)


async def fails(asked: Asked, stage: Stage) -> None:
    asked.answer(500, TRACEBACK, content_type="text/html")


async def is_overrun(asked: Asked, stage: Stage) -> None:
    asked.answer(503, TRACEBACK, content_type="text/html")


async def limits_its_rate(asked: Asked, stage: Stage) -> None:
    asked.answer(429, b"{}", retry_after=str(RETRY_AFTER_S))


async def truncates_json(asked: Asked, stage: Stage) -> None:
    asked.answer(200, b'{"data": [{"id": "tru')


async def says_nothing(asked: Asked, stage: Stage) -> None:
    asked.answer(200, b"")


async def shows_a_page(asked: Asked, stage: Stage) -> None:
    """What stands in its place has a status of success and nothing to do with it."""
    asked.answer(200, TRACEBACK, content_type="text/html")


async def mistakes_types(asked: Asked, stage: Stage) -> None:
    """The simulator's own answer, with everything in it of another type."""
    answer = await stage.simulated(asked)
    asked.answer(200, json.dumps(_mistaken(answer.json())).encode())


async def hides_an_error(asked: Asked, stage: Stage) -> None:
    asked.answer(200, stage.error_inside)


async def says_too_much(asked: Asked, stage: Stage) -> None:
    asked.answer(200, b'{"data": "' + b"x" * TEN_MB + b'"}')


async def never_stops(asked: Asked, stage: Stage) -> None:
    """As much as anybody takes."""
    asked.answer(200, b"[", length=10**12)
    while not asked.writer.is_closing():
        asked.writer.write(PIECE)
        await asked.writer.drain()


async def leads_elsewhere(asked: Asked, stage: Stage) -> None:
    asked.answer(302, b"", location=f"http://{asked.headers['host']}/elsewhere")


def _mistaken(value: Any) -> Any:
    match value:
        case dict():
            return {name: _mistaken(inner) for name, inner in value.items()} or 7
        case list():
            return [_mistaken(inner) for inner in value] or 7
        case str():
            return 7
        case _:
            return {"not": "this"}
