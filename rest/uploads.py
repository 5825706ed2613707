"""Files that come with an operation: multipart bodies as the GraphQL multipart request specification has them.

A browser sends such a body to another site without asking first. So it is taken only with a header that makes the
browser ask, from callers who may store files, and while it comes it goes to disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from cross_web import HTTPException
from fastapi import Request
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import Message

from core.errors import Forbidden
from core.principals import Principal

PREFLIGHT_HEADERS = ("graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
"""Any of them will do, with any value: no page of another site can send them unless CORS lets it."""
SCOPE = "storage:write"
MAX_FILES, MAX_FIELDS = 10, 10
FIELDS_BYTES = 1024 * 1024
"""For all that is not the file."""
TOO_LARGE = 413


@asynccontextmanager
async def uploaded(
    request: Request, principal: Principal, max_bytes: int, *, needs_preflight: bool = True
) -> AsyncIterator[Request]:
    """The request as it may be read, and when the block ends its files are gone.

    Raises HTTPException, and Forbidden, before any of an upload is read.
    """
    if not _is_upload(request):
        yield request
        return
    if needs_preflight and not any(request.headers.get(name) for name in PREFLIGHT_HEADERS):
        raise HTTPException(400, f"a multipart request has one of the headers {', '.join(PREFLIGHT_HEADERS)}")
    if SCOPE not in principal.scopes:
        raise Forbidden(f"this needs {SCOPE}")
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > max_bytes + FIELDS_BYTES:
        raise _too_large(max_bytes)
    received = _UploadRequest(request, max_bytes)
    try:
        yield received
    finally:
        await received.close()


def _is_upload(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "multipart/form-data"


class _UploadRequest(Request):
    """A request whose body is counted while it comes, and whose files are few."""

    def __init__(self, request: Request, max_bytes: int) -> None:
        super().__init__(request.scope, self._count)
        self._source = request
        self._max_bytes = max_bytes
        self._left = max_bytes + FIELDS_BYTES

    async def _count(self) -> Message:
        message = await self._source.receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise _too_large(self._max_bytes)
        return message

    async def _get_form(self, **how: Any) -> Any:
        try:
            return await super()._get_form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=FIELDS_BYTES)
        except StarletteHTTPException as exc:
            raise HTTPException(exc.status_code, exc.detail) from exc


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(TOO_LARGE, f"what is uploaded has at most {max_bytes} bytes")
