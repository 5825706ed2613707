"""The objects as they are kept: what is told of each in the store, its content in a file beside it."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from sandbox.keys import MINIO_BUCKET
from sandbox.store import Row, Store

KIND = "object"
CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Kept:
    """One object. `headers` are those it is uploaded and downloaded with."""

    key: str
    headers: dict[str, str]
    file: Path

    async def chunks(self) -> AsyncIterator[bytes]:
        with self.file.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk


class Objects:
    """Files lie in a folder beside the store's, or in a temporary one where the store is in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _folder(self) -> Path:
        if self._store.path is None:
            folder = Path(tempfile.mkdtemp(prefix="sandbox-s3-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            return folder
        folder = self._store.path.with_suffix("")
        folder.mkdir(exist_ok=True)
        return folder

    def all(self) -> Iterator[Kept]:
        """As they are kept; what was seeded and never touched is written to its file now."""
        for row in self._store.rows(KIND):
            file = self._folder / row["file"]
            if not file.exists() and "text" in row:
                file.write_bytes(row["text"].encode())
            size = str(file.stat().st_size)
            yield Kept(row["key"], {**row["headers"], "content-length": size}, file)

    def begin(self) -> BinaryIO:
        """A file to write an object's content to, for `keep`."""
        return tempfile.NamedTemporaryFile(dir=self._folder, delete=False)  # type: ignore[return-value]

    def keep(self, key: str, headers: dict[str, str], content: BinaryIO) -> None:
        """In place of what was kept under this key."""
        content.close()
        name = name_of(key)
        Path(content.name).replace(self._folder / name)
        with self._store.transaction():
            self._store.put(KIND, key, row_of(key, headers))

    def forget(self, key: str) -> None:
        self._store.delete(KIND, key)
        (self._folder / name_of(key)).unlink(missing_ok=True)


def row_of(key: str, headers: dict[str, str], text: str | None = None) -> Row:
    told: Row = {"key": key, "headers": headers, "file": name_of(key)}
    return told if text is None else {**told, "text": text}


def name_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def path_of(key: str) -> str:
    """Of an object, percent-encoded."""
    return f"/{MINIO_BUCKET}/{quote(key)}"
