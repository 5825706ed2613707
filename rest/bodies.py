"""Bodies of REST requests and answers: JSON, of a bounded size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from core.errors import BadUserInput

MAX_BYTES = 1_000_000


class TooLarge(BadUserInput):
    """A body beyond its limit."""


async def read_json(request: Request) -> Any:
    """What the body holds; an empty object where there is none.

    Raises BadUserInput for what is no JSON, TooLarge, without reading on, beyond `MAX_BYTES`.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise TooLarge(f"a body has at most {MAX_BYTES} bytes")
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise BadUserInput("the body is JSON, and its Content-Type is application/json")
    try:
        return orjson.loads(bytes(body))
    except orjson.JSONDecodeError as exc:
        raise BadUserInput("the body is no JSON") from exc


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type="application/json")
