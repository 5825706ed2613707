"""File storage in a test: the simulator behind the real datasource, as the sandbox mounts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from core.settings import MinioSettings
from datasources.s3 import S3
from sandbox import keys, s3
from sandbox.faults import FaultLine
from sandbox.store import Store

SETTINGS = MinioSettings(
    access_key=SecretStr(keys.MINIO_ACCESS_KEY), secret_key=SecretStr(keys.MINIO_SECRET_KEY), timeout_s=5
)


class Storage:
    """`line` has seen its calls and has its faults; `http` speaks to it without credentials; `s3` is the datasource."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.front = s3.create_app(store)
        self.line = FaultLine(self.front)
        self.app = Starlette(routes=[Mount("/s3", self.line)])
        self.http = self.client()
        self.s3 = S3(self.client(), SETTINGS)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url="http://sandbox/s3", transport=httpx.ASGITransport(self.app))

    @property
    def asked(self) -> list[str]:
        """Methods and queries, in order."""
        return [f"{call.method} {call.query}".strip() for call in self.line.calls]

    async def content(self, key: str) -> bytes:
        found = await self.s3.file(key)
        assert found is not None
        return b"".join([piece async for piece in self.s3.read_file(found)])

    async def unfinished(self) -> int:
        """How many uploads in parts were begun and neither ended nor given up."""
        async with self.front.engine.ask("GET", f"/{keys.MINIO_BUCKET}?uploads") as answer:
            return (await answer.aread()).count(b"<UploadId>")


@asynccontextmanager
async def open_storage(path: Path | None = None) -> AsyncIterator[Storage]:
    store = Store(path)
    store.seed(s3.seed)
    storage = Storage(store)
    yield storage
    await storage.http.aclose()
    await storage.s3.aclose()
    store.close()


def some_bytes(size: int, *, seed: int = 0) -> bytes:
    return Random(seed).randbytes(size)


async def in_chunks(content: bytes, size: int = 200_000) -> AsyncIterator[bytes]:
    for begins in range(0, len(content), size):
        yield content[begins : begins + size]
