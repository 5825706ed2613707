"""Requests and answers as Medusa's Express server speaks them: errors, ETags, JSON bodies, HTML 404s, ids and times."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_id(prefix: str) -> str:
    """`prefix_` and a ULID: ids of later milliseconds sort later."""
    value = (int(datetime.now(UTC).timestamp() * 1000) << 80) | secrets.randbits(80)
    return f"{prefix}_" + "".join(CROCKFORD[(value >> shift) & 31] for shift in range(125, -1, -5))


def twin(prefix: str, id: str) -> str:
    """The id of a row that exists once for the row `id`: the same characters after another prefix."""
    return prefix + id[id.rindex("_") :]


def iso(moment: datetime) -> str:
    """UTC with milliseconds, as Medusa writes times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    return iso(datetime.now(UTC))


EXPRESS = {"x-powered-by": "Express", "connection": "keep-alive", "keep-alive": "timeout=5"}
STATUS = {
    "invalid_data": 400,
    "not_allowed": 400,
    "unauthorized": 401,
    "not_found": 404,
    "conflict": 409,
    "duplicate_error": 422,
    "not_supported": 501,
}


class MedusaError(Exception):
    """An answer `{type, message[, code]}` with the status that its type has."""

    def __init__(self, type: str, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = STATUS[type]
        self.body = {"code": code, "type": type, "message": message} if code else {"type": type, "message": message}


class Unauthorized(MedusaError):
    """401, which alone has no type."""

    def __init__(self, message: str = "Unauthorized") -> None:
        super().__init__("unauthorized", message)
        self.body = {"message": message}


class Unparsable(MedusaError):
    """A body that is no JSON: found before Medusa's own code runs, which adds the header `vary`."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid_data", message)


def not_supported(what: str) -> MedusaError:
    """Medusa has it, the simulator does not: say so rather than pretend."""
    return MedusaError("not_supported", f"The sandbox does not support {what}.")


def missing(entity: str, id: str) -> MedusaError:
    """What Medusa's workflows say of an id they do not know."""
    return MedusaError("not_found", f"{entity} id not found: {id}")


@dataclass(frozen=True)
class Call:
    """One request, read to its end: handlers never wait between reading rows and writing them."""

    path: Mapping[str, str]
    query: dict[str, Any]
    body: dict[str, Any]
    """Empty when nothing was sent."""
    channels: list[str]
    """Of the publishable key, on the store's routes."""

    @property
    def id(self) -> str:
        return self.path["id"]

    @property
    def fields(self) -> str | None:
        """The `fields` parameter, also when it was sent in pieces."""
        value = self.query.get("fields")
        return ",".join(value) if isinstance(value, list) else value


Handler = Callable[[Call], Any]
"""Takes a call, gives the body of a 200. Raises: MedusaError."""


def answer(body: Any, status: int = 200, request: Request | None = None, *, varies: bool = True) -> Response:
    """JSON with Express's weak ETag; 304 for a GET that already has it."""
    content = orjson.dumps(body)
    etag = _etag(content)
    headers = {**EXPRESS, "etag": etag, "content-type": "application/json; charset=utf-8"}
    if varies:
        headers["vary"] = "Origin"
    if request is not None and request.method == "GET" and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(content, status, headers)


def text(body: str) -> Response:
    """A 200 as Express sends a string."""
    return Response(body, headers={**EXPRESS, "etag": _etag(body.encode())}, media_type="text/html")


def no_route(method: str, path: str) -> Response:
    """Express's own page for a route or a method that does not exist."""
    title = f"Cannot {method} {html.escape(path)}"
    page = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Error</title>\n</head>\n'
        f"<body>\n<pre>{title}</pre>\n</body>\n</html>\n"
    )
    return Response(page, 404, EXPRESS, media_type="text/html")


def _etag(content: bytes) -> str:
    digest = base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()
    return f'W/"{len(content):x}-{digest[:27]}"'


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent, {} for none. Raises: MedusaError for anything else."""
    sent = await request.body()
    if not sent or "json" not in request.headers.get("content-type", ""):
        return {}
    try:
        body = json.loads(sent)
    except json.JSONDecodeError as exc:
        raise Unparsable(_parser_message(exc)) from exc
    if not isinstance(body, dict):
        raise MedusaError("invalid_data", f"Invalid request: Expected type: 'object' for field '', got: '{body}'")
    return body


def _parser_message(exc: json.JSONDecodeError) -> str:
    """What Node says where Python's parser gives up."""
    if exc.pos >= len(exc.doc):
        return "Unexpected end of JSON input"
    if exc.msg.startswith("Expecting property name"):
        return f"Expected property name or '}}' in JSON at position {exc.pos}"
    return f"Unexpected token '{exc.doc[exc.pos]}', \"{exc.doc[:10]}\"... is not valid JSON"
