"""Prism: a server made of an API's own description, which refuses what that does not allow. Beside a simulator it reads
every request along."""

from __future__ import annotations

import asyncio
import socket
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from starlette.types import ASGIApp

from tests.npm.install import installed

SPECS = Path(__file__).resolve().parents[3] / "shared" / "specs" / "prism"
START_S, CALL_S = 120.0, 30.0
LISTENING = b"Prism is listening"
STRICT = {"stripe", "sendgrid", "twilio"}
"""Where answers are checked as well. What Prism invents for OpenAI's does not fit them."""


@asynccontextmanager
async def prisms(*apis: str) -> AsyncIterator[dict[str, str]]:
    """The addresses of one server for each, by name."""
    program = installed("prism") / "node_modules" / ".bin" / "prism"
    async with AsyncExitStack() as stack:
        ports = {api: _free_port() for api in apis}
        outputs = [await stack.enter_async_context(_running(program, api, port)) for api, port in ports.items()]
        for output in outputs:
            await _listening(output)
            # Nobody reads what it says later, which must not stop it.
            drained = asyncio.create_task(_drain(output))
            stack.callback(drained.cancel)
        yield {api: f"http://127.0.0.1:{port}" for api, port in ports.items()}


@asynccontextmanager
async def _running(program: Path, api: str, port: int) -> AsyncIterator[asyncio.StreamReader]:
    """What it says."""
    arguments = ["mock", str(SPECS / f"{api}.json"), "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--errors"] if api in STRICT else []
    process = await asyncio.create_subprocess_exec(program, *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _listening(output: asyncio.StreamReader) -> None:
    told: list[bytes] = []
    async with asyncio.timeout(START_S):
        while LISTENING not in (line := await output.readline()):
            assert line, b"".join(told).decode()
            told.append(line)


async def _drain(output: asyncio.StreamReader) -> None:
    while await output.read(65536):
        pass


def _free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@dataclass
class ReadAlong(httpx.AsyncBaseTransport):
    """Sends each request to the simulator, whose answer counts, and a copy to Prism at `url`, whose verdict is kept.
    `prefix` is what the simulator's paths begin with and the description's do not; `unknown` are the requests that it
    does not describe."""

    app: ASGIApp
    url: str
    prefix: str
    unknown: frozenset[str] = frozenset()
    read: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    without_spec: set[str] = field(default_factory=set)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        content = await request.aread()
        path = request.url.raw_path.decode().removeprefix(self.prefix)
        line = f"{request.method} {path.partition('?')[0]}"
        if line in self.unknown:
            self.without_spec.add(line)
        else:
            await self._judge(line, request.method, path, request.headers, content)
        simulator = httpx.ASGITransport(self.app)
        return await simulator.handle_async_request(
            httpx.Request(request.method, request.url, headers=request.headers, content=content)
        )

    async def _judge(self, line: str, method: str, path: str, headers: Mapping[str, str], content: bytes) -> None:
        told = {name: value for name, value in headers.items() if name.lower() not in ("host", "content-length")}
        status, text = await verdict(method, self.url + path, told, content)
        self.read.append(line)
        if status >= 300:
            self.refused.append(f"{line} {content.decode()[:300]}: {status} {text[:600]}")


async def verdict(method: str, url: str, headers: Mapping[str, str], content: bytes) -> tuple[int, str]:
    """What Prism says to a request. It cannot answer in pieces, so that it is never asked to."""
    told = {name: value for name, value in headers.items() if value != "text/event-stream"}
    async with httpx.AsyncClient(timeout=CALL_S) as client:
        answer = await client.request(method, url, headers=told, content=content)
        return answer.status_code, answer.text
