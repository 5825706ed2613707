"""What every answer of `/api/gateway` is wrapped in: `{success, data?, error?, meta}`; `meta` tells source, time and
request id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response

from core.backends import BackendName
from core.errors import GatewayError
from rest.bodies import json_response
from rest.request_ids import request_id

Told = Mapping[str, Any]
"""An error as clients read it: `message` and `extensions`, with the code in them."""

STATUS = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "BAD_USER_INPUT": 400,
    "QUERY_TOO_COMPLEX": 400,
    "CONFLICT": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "RATE_LIMITED": 429,
    "OVERLOADED": 503,
    "WORKFLOW_FAILED": 422,
    "UPSTREAM_REJECTED": 422,
    "UPSTREAM_BAD_RESPONSE": 502,
    "UPSTREAM_UNAVAILABLE": 503,
    "UPSTREAM_TIMEOUT": 504,
    "INTERNAL": 500,
}
"""HTTP statuses of codes. A backend's rate limit is not the caller's: see `status_of`."""
_OF_ENVELOPE = ("code", "requestId")
"""Extensions that have a place of their own."""


def status_of(extensions: Told) -> int:
    code = str(extensions.get("code"))
    if code == "RATE_LIMITED" and "source" in extensions:
        return 503
    return STATUS.get(code, 500)


def told(error: GatewayError, connection: HTTPConnection) -> Told:
    """An error of ours that was raised outside of an operation."""
    return {"message": str(error), "extensions": {**error.extensions, "requestId": request_id(connection)}}


def done(connection: HTTPConnection, source: BackendName, data: Any, *, status: int = 200, **meta: Any) -> Response:
    """`meta` is told besides what every answer says of itself."""
    body = {"success": True, "data": data, "meta": meta_of(connection, source.value, meta)}
    return json_response(body, status)


def failed(connection: HTTPConnection, source: BackendName, error: Told, *, status: int | None = None) -> Response:
    """`error` tells of the backend that failed, where it was another than the route's own."""
    extensions = error["extensions"]
    details = {key: value for key, value in extensions.items() if key not in _OF_ENVELOPE}
    named = {"code": extensions["code"], "message": error["message"], "details": details}
    body = {
        "success": False,
        "error": named,
        "meta": meta_of(connection, str(extensions.get("source", source.name)).lower()),
    }
    return json_response(body, status or status_of(extensions), wait_headers(extensions))


def wait_headers(extensions: Told) -> dict[str, str]:
    """When to come again, where that is known."""
    wait_ms = extensions.get("retryAfterMs")
    return {} if wait_ms is None else {"Retry-After": str(ceil(wait_ms / 1000))}


def meta_of(connection: HTTPConnection, source: str, more: Told | None = None) -> dict[str, Any]:
    """Where an answer comes from, when, and to which request; and whatever else is told."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {"source": source, "timestamp": now, "requestId": request_id(connection), **(more or {})}
