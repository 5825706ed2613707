"""Files over REST: what comes as a body or in a form, and what goes out, both piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from core import operation
from core.errors import BadUserInput, Forbidden, NotFound
from core.settings import Settings
from resolvers import files
from resolvers.context import Context
from rest.bodies import TooLarge
from rest.request_ids import request_id
from rest.uploads import SCOPE, uploaded

IN_MEMORY_BYTES = 1024 * 1024
"""Of a file that has to be here before it is stored; the rest of it goes to disk."""
DOWNLOAD_S = 3600.0
"""For a whole file; between its pieces the datasource is less patient."""


class _Body(UploadFile):
    """A request's body as a file: read no faster than it is stored."""

    def __init__(self, request: Request, name: str | None, max_bytes: int) -> None:
        super().__init__(BytesIO(), filename=name, headers=request.headers)
        self._stream = request.stream()
        self._left = max_bytes

    async def read(self, size: int = -1) -> bytes:
        """What has come, however much is asked for; nothing at its end. Raises TooLarge."""
        async for chunk in self._stream:
            if chunk:
                self._left -= len(chunk)
                if self._left < 0:
                    raise TooLarge("the file is larger than files may be")
                return chunk
        return b""


@asynccontextmanager
async def incoming(
    request: Request, ctx: Context, said: dict[str, Any], settings: Settings
) -> AsyncIterator[dict[str, Any]]:
    """The variables `file` and, where a form has it, `key`. `said` is what the address says.

    Raises BadUserInput for a form without file, Forbidden before anything is read.
    """
    if SCOPE not in ctx.principal.scopes:
        raise Forbidden(f"this needs {SCOPE}")
    limit = settings.upload_max_bytes
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            raise TooLarge(f"a file has at most {limit} bytes")
        body = _Body(request, said.get("name"), limit)
        if ctx.caller_key is None:
            yield {"file": body}
            return
        # Whether a repeated request is the same one only its content can tell, which is therefore here first.
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spooled:
            file = UploadFile(cast("BinaryIO", spooled), filename=body.filename, headers=request.headers)
            while chunk := await body.read():
                await file.write(chunk)
            await file.seek(0)
            yield {"file": file}
        return
    async with uploaded(request, ctx.principal, limit, needs_preflight=False) as received:
        form = await received.form()
        sent, key = form.get("file"), form.get("key")
        if not isinstance(sent, UploadFile):
            raise BadUserInput("the form has a file called `file`")
        yield {"file": sent, **({"key": key} if isinstance(key, str) and "key" not in said else {})}


async def download(request: Request, ctx: Context, key: str) -> Response:
    """A file that the caller may have, as it is stored. Raises NotFound, for it may just have gone."""
    running = operation.within(DOWNLOAD_S, request_id=request_id(request))
    with operation.running(running):
        found = await files.download(ctx, key)
    if found is None:
        raise NotFound("there is no such file")
    content = found.content

    async def pieces() -> AsyncIterator[bytes]:
        operation.enter(running)
        async for piece in content:
            yield piece

    headers = {
        "Content-Length": str(found.file.size_bytes),
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(pieces(), headers=headers, media_type=found.content_type)
