"""A process that does nothing but move one large file: `python -m tests.end_to_end.transfer URL MEGABYTES`.

It prints `ready`, waits for a line, uploads that much to the sandbox at this address, reads it again and prints
`equal` or `different`.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import AsyncIterator

from pydantic import HttpUrl, SecretStr

from core.settings import MinioSettings
from datasources.s3 import S3
from sandbox import keys

KEY = "service/transfer.bin"
MEGABYTE = 1_000_000


async def numbers(megabytes: int, seen: hashlib._Hash) -> AsyncIterator[bytes]:
    """Other bytes in every megabyte."""
    for n in range(megabytes):
        chunk = hashlib.shake_128(str(n).encode()).digest(MEGABYTE)
        seen.update(chunk)
        yield chunk


async def move(url: str, megabytes: int) -> bool:
    s3 = S3.open(
        MinioSettings(
            endpoint=HttpUrl(f"{url}/s3"),
            access_key=SecretStr(keys.MINIO_ACCESS_KEY),
            secret_key=SecretStr(keys.MINIO_SECRET_KEY),
        )
    )
    await s3.ping()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    sent, received = hashlib.sha256(), hashlib.sha256()
    await s3.write_file(KEY, numbers(megabytes, sent), "application/octet-stream")
    found = await s3.file(KEY)
    assert found is not None
    async for piece in s3.read_file(found):
        received.update(piece)
    await s3.delete_file(KEY)
    await s3.aclose()
    return found.size_bytes == megabytes * MEGABYTE and sent.digest() == received.digest()


if __name__ == "__main__":
    print("equal" if asyncio.run(move(sys.argv[1], int(sys.argv[2]))) else "different")
