"""moto as a child process, filled with the objects that are kept, and talked to as S3 would be."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import weakref
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from sandbox.keys import MINIO_ACCESS_KEY, MINIO_BUCKET
from sandbox.s3.objects import Objects, path_of

_HOME = Path(__file__).resolve().parents[2]
_SIGNED = {"authorization": f"AWS4-HMAC-SHA256 Credential={MINIO_ACCESS_KEY}/20260101/us-east-1/s3/aws4_request"}
"""moto checks no signature, but takes a request without one for a stranger's."""
GRACE_S = 5.0


class Engine:
    """Started by the first call. It ends with this object, or with the process."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._starting = asyncio.Lock()
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] | None = None,
        body: AsyncIterable[bytes] | bytes | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """moto's answer, whose body is not read yet. `target` is path and query, percent-encoded."""
        async with self._starting:
            if self._client is None:
                self._client = await self._start()
        async with _asked(self._client, method, target, headers, body) as answer:
            yield answer

    async def _start(self) -> httpx.AsyncClient:
        process = subprocess.Popen(  # noqa: ASYNC220 - our own program, which is there at once
            [sys.executable, "-m", "sandbox.s3.moto_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_HOME,
        )
        weakref.finalize(self, _end, process)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        port = int(await asyncio.to_thread(process.stdout.readline))
        # No connection outlives its answer, so that none is left behind by a test's event loop.
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            limits=httpx.Limits(max_keepalive_connections=0),
            timeout=60,
            trust_env=False,
        )
        async with _asked(client, "PUT", f"/{MINIO_BUCKET}") as made:
            made.raise_for_status()
        for kept in self._objects.all():
            async with _asked(client, "PUT", path_of(kept.key), kept.headers, kept.chunks()) as stored:
                stored.raise_for_status()
        return client


@asynccontextmanager
async def _asked(
    client: httpx.AsyncClient,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: AsyncIterable[bytes] | bytes | None = None,
) -> AsyncIterator[httpx.Response]:
    request = client.build_request(method, target, headers={**_SIGNED, **(headers or {})}, content=body)
    answer = await client.send(request, stream=True)
    try:
        yield answer
    finally:
        await answer.aclose()


def _end(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
