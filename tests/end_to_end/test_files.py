"""Large files pass through without being held."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psutil

from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import ROOT, Gateway
from tests.end_to_end.transfer import MEGABYTE, numbers

SIZE_MB = 200
GROWTH_BYTES = 50 * 1024 * 1024
WARM_MB = 20
"""What is moved first, so that what grows is not what is loaded or allocated once."""
UPLOAD = "mutation Upload($file: Upload!, $key: String) { uploadFile(file: $file, key: $key) { key url sizeBytes } }"


class Memory:
    """The most that a process has held while it was watched, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.before = self.most = self._process.memory_info().rss

    @property
    def growth(self) -> int:
        return self.most - self.before

    async def watch(self) -> None:
        while True:
            self.most = max(self.most, self._process.memory_info().rss)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def watched(pid: int) -> AsyncIterator[Memory]:
    memory = Memory(pid)
    task = asyncio.create_task(memory.watch())
    try:
        yield memory
    finally:
        task.cancel()


async def form(megabytes: int, boundary: str) -> AsyncIterator[bytes]:
    """The upload of that much, as a multipart request that is made while it is sent."""
    operations = json.dumps({"query": UPLOAD, "variables": {"file": None, "key": None}})
    for name, value in (("operations", operations), ("map", '{"0": ["variables.file"]}')):
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    disposition = 'form-data; name="0"; filename="large.bin"'
    yield f"--{boundary}\r\nContent-Disposition: {disposition}\r\nContent-Type: application/x-large\r\n\r\n".encode()
    async for chunk in numbers(megabytes, hashlib.sha256()):
        yield chunk
    yield f"\r\n--{boundary}--\r\n".encode()


async def uploaded(gateway: Gateway, megabytes: int) -> dict[str, Any]:
    headers = {
        **gateway.service(),
        "content-type": "multipart/form-data; boundary=part",
        "graphql-require-preflight": "1",
    }
    async with httpx.AsyncClient(timeout=120, trust_env=False) as http:
        answer = await http.post(f"{gateway.url}/graphql", content=form(megabytes, "part"), headers=headers)
    body = answer.json()
    assert "errors" not in body, body["errors"]
    stored: dict[str, Any] = body["data"]["uploadFile"]
    return stored


async def test_a_large_file_goes_through_the_gateway_and_comes_back_by_its_url(new_gateway: NewGateway) -> None:
    gateway = await new_gateway(MUTATION_TIMEOUT_S="120")  # this is about memory, on however busy a machine
    await uploaded(gateway, WARM_MB)
    async with watched(gateway.pid) as memory:
        stored = await uploaded(gateway, SIZE_MB)
        assert stored["sizeBytes"] == SIZE_MB * MEGABYTE
        sent, received = hashlib.sha256(), hashlib.sha256()
        async with (
            httpx.AsyncClient(timeout=120, trust_env=False) as http,
            http.stream("GET", stored["url"]) as answer,
        ):
            assert answer.headers["content-disposition"].startswith("attachment")
            async for chunk in answer.aiter_bytes():
                received.update(chunk)
    async for _ in numbers(SIZE_MB, sent):
        pass
    assert received.digest() == sent.digest()
    assert memory.growth < GROWTH_BYTES
    deleted = await gateway.data("mutation ($key: String!) { deleteFile(key: $key) }", {"key": stored["key"]})
    assert deleted == {"deleteFile": True}
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(stored["url"])).status_code == 404


async def test_the_datasource_holds_a_piece_at_a_time(gateway: Gateway) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.end_to_end.transfer", gateway.sandbox._url, str(SIZE_MB),
        cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    async with watched(process.pid) as memory:
        process.stdin.write(b"\n")
        told = await process.stdout.readline()
    process.stdin.close()
    await process.wait()
    assert told == b"equal\n"
    assert memory.growth < GROWTH_BYTES
