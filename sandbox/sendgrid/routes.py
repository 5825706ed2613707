"""SendGrid's paths: who may call, how much, and what becomes of an accepted mail."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import keys
from sandbox.rate import Allowance, FixedWindow
from sandbox.sendgrid.rules import Known, Problem, problems
from sandbox.store import Row, Store
from sandbox.world import World

READ_ONLY_KEY = "SG.sandbox.readonly"
"""A key of the same account that lacks the scope `mail.send`."""

_SCOPES = ("mail.batch.create", "mail.batch.read", "mail.send", "templates.read")
_MAX_BODY_BYTES = 30 * 1024 * 1024
_VERIFIED_DOMAIN = keys.SENDGRID_FROM.rpartition("@")[2]
_FAMILIES = frozenset(
    {"mail", "templates", "scopes", "user", "marketing", "suppression", "asm", "stats", "ips", "subusers", "messages"}
    | {"whitelabel", "verified_senders", "api_keys", "mail_settings", "tracking_settings", "alerts", "categories"}
)
"""First parts of the paths that the real API has under /v3."""

_TEMPLATES = (
    ("d-0123456789abcdef0123456789abcdef", "Order confirmation", "Your order {{order_number}}"),
    ("d-fedcba9876543210fedcba9876543210", "Ticket", "Your ticket for {{event_name}}"),
)
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Options:
    rate_per_second: int = 10_000
    max_body_bytes: int = _MAX_BODY_BYTES
    clock: Callable[[], float] = time.time
    """Unix seconds."""


class _Refusal(Exception):
    """An error answer of one or more problems."""

    def __init__(self, status: int, *found: Problem) -> None:
        super().__init__(status, found)
        self.status, self.found = status, found


def seed(store: Store) -> None:
    """The dynamic templates; mails come later."""
    at = World(datetime.now(UTC)).anchor
    for template_id, name, subject in _TEMPLATES:
        version = {
            "id": secrets.token_hex(16),
            "template_id": template_id,
            "active": 1,
            "name": name,
            "subject": subject,
            "generate_plain_content": True,
            "editor": "code",
            "updated_at": f"{at:%Y-%m-%d %H:%M:%S}",
        }
        template = {"id": template_id, "name": name, "generation": "dynamic", "updated_at": version["updated_at"]}
        store.put("template", template_id, {**template, "versions": [version]})


def create_app(store: Store, options: Options = Options()) -> ASGIApp:
    """The simulator over a seeded store."""
    window = FixedWindow(options.rate_per_second, 1, options.clock)

    async def send(request: Request) -> Response:
        _authenticate(request, scope="mail.send")
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise _Refusal(415, Problem("Content-Type should be application/json."))
        if "content-encoding" in request.headers:
            raise _Refusal(501, Problem("The sandbox does not support compressed bodies."))
        return _send(store, _object(await _body(request, options.max_body_bytes)), options.clock())

    async def new_batch(request: Request) -> Response:
        _authenticate(request)
        batch_id = secrets.token_urlsafe(48)
        store.put("batch", batch_id, {"batch_id": batch_id})
        return _json({"batch_id": batch_id}, 201)

    async def batch(request: Request) -> Response:
        _authenticate(request)
        row = store.get("batch", request.path_params["id"])
        if row is None:
            raise _Refusal(400, Problem("invalid batch id"))
        return _json(row)

    async def scopes(request: Request) -> Response:
        key = _authenticate(request)
        return _json({"scopes": [scope for scope in _SCOPES if key == keys.SENDGRID_API_KEY or scope != "mail.send"]})

    async def templates(request: Request) -> Response:
        _authenticate(request)
        return _templates(store, request.query_params)

    async def template(request: Request) -> Response:
        _authenticate(request)
        row = store.get("template", request.path_params["id"])
        if row is None:
            raise _Refusal(404, Problem("not found"))
        return _json(row)

    async def not_there(request: Request) -> Response:
        version, _, rest = request.path_params["path"].partition("/")
        if version != "v3" or rest.partition("/")[0] not in _FAMILIES:
            raise _Refusal(404, Problem("not found"))
        _authenticate(request)
        if any(route.path_regex.match(request.url.path.removeprefix(request.scope["root_path"])) for route in routes):
            raise _Refusal(405, Problem("method not allowed"))
        raise _Refusal(501, Problem(f"The sandbox does not support {request.method} /{version}/{rest}."))

    def limited(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            allowance = window.take()
            if not allowance.granted:
                return _with_rate(_refused(_Refusal(429, Problem("too many requests"))), allowance)
            try:
                response = await endpoint(request)
            except _Refusal as refusal:
                response = _refused(refusal)
            return _with_rate(response, allowance)

        return answer

    routes = [
        Route("/v3/mail/send", limited(send), methods=["POST"]),
        Route("/v3/mail/batch", limited(new_batch), methods=["POST"]),
        Route("/v3/mail/batch/{id}", limited(batch)),
        Route("/v3/scopes", limited(scopes)),
        Route("/v3/templates", limited(templates)),
        Route("/v3/templates/{id}", limited(template)),
    ]
    return Starlette(routes=[*routes, Route("/{path:path}", limited(not_there), methods=_ALL_METHODS)])


def _send(store: Store, body: Mapping[str, Any], now_s: float) -> Response:
    """Judge the body, keep its mails, answer. Nothing is awaited in between. Raises `_Refusal`."""
    subjects = {row["id"]: any(each["subject"] for each in row["versions"]) for row in store.rows("template")}
    batches = {row["batch_id"] for row in store.rows("batch")}
    if found := problems(body, Known(subjects, batches), now_s):
        raise _Refusal(400, *found)
    for path, sender in _senders(body):
        if sender["email"].rpartition("@")[2].lower() != _VERIFIED_DOMAIN:
            raise _Refusal(403, Problem("The from address does not match a verified Sender Identity.", path))
    if ((body.get("mail_settings") or {}).get("sandbox_mode") or {}).get("enable"):
        return Response(status_code=200)
    message_id = secrets.token_urlsafe(16)
    with store.transaction():
        for index, personalization in enumerate(body["personalizations"]):
            mail = _mail(store, message_id, index, body, personalization)
            store.put("mail", mail["id"], mail)
    return Response(status_code=202, headers={"X-Message-Id": message_id})


def _senders(body: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The global sender and those of single personalizations, each with its path."""
    own = [
        (f"personalizations.{index}.from", each["from"])
        for index, each in enumerate(body["personalizations"])
        if each.get("from")
    ]
    return [("from", body["from"]), *own]


def _mail(store: Store, message_id: str, index: int, body: Mapping[str, Any], own: Mapping[str, Any]) -> Row:
    """One mail: what its personalization says before what the request says for all."""
    template = store.get("template", body.get("template_id") or "")
    shared = {key: value for key, value in body.items() if key not in ("personalizations", "reply_to_list")}
    replies = body.get("reply_to_list") or ([body["reply_to"]] if body.get("reply_to") else [])
    return {
        **shared,
        "id": f"{message_id}.{index}",
        "message_id": message_id,
        "from": own.get("from") or body["from"],
        "reply_to": replies,
        "to": own["to"],
        "cc": own.get("cc") or [],
        "bcc": own.get("bcc") or [],
        "subject": own.get("subject") or body.get("subject") or (template and template["versions"][0]["subject"]),
        "content": body.get("content") or [],
        "template_id": body.get("template_id"),
        "dynamic_template_data": own.get("dynamic_template_data") or {},
        "substitutions": own.get("substitutions") or {},
        "headers": {**(body.get("headers") or {}), **(own.get("headers") or {})},
        "custom_args": {**(body.get("custom_args") or {}), **(own.get("custom_args") or {})},
        "categories": body.get("categories") or [],
        "send_at": own.get("send_at") or body.get("send_at"),
        "created_at": datetime.now(UTC).isoformat(),
    }


def _templates(store: Store, query: Mapping[str, str]) -> Response:
    """Under `result` when a page is asked for, under `templates` when not; legacy ones unless told otherwise."""
    generations = query.get("generations", "legacy").split(",")
    found = [row for row in store.rows("template") if row["generation"] in generations]
    if "page_token" in query:
        raise _Refusal(501, Problem("The sandbox does not support page_token."))
    if "page_size" not in query:
        return _json({"templates": found})
    size = query["page_size"]
    if not size.isdecimal() or not 1 <= int(size) <= 200:
        raise _Refusal(400, Problem("The page_size must be from 1 to 200.", "page_size"))
    return _json({"result": found[: int(size)], "_metadata": {"count": len(found)}})


def _authenticate(request: Request, *, scope: str | None = None) -> str:
    """The key. Raises `_Refusal`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or key not in (keys.SENDGRID_API_KEY, READ_ONLY_KEY):
        message = (
            "The provided authorization grant is invalid, expired, or revoked" if key else "authorization required"
        )
        raise _Refusal(401, Problem(message))
    if scope and key == READ_ONLY_KEY:
        raise _Refusal(403, Problem("access forbidden"))
    if "on-behalf-of" in request.headers:
        raise _Refusal(501, Problem("The sandbox does not support subusers."))
    return key


async def _body(request: Request, limit: int) -> bytes:
    """Raises `_Refusal` (413) as soon as it is known to be too large."""
    declared = request.headers.get("content-length", "0")
    size, chunks = 0, []
    if not declared.isdecimal() or int(declared) <= limit:
        async for chunk in request.stream():
            size += len(chunk)
            chunks.append(chunk)
            if size > limit:
                break
        else:
            return b"".join(chunks)
    raise _Refusal(413, Problem("content too large"))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise _Refusal(400, Problem("Bad Request"))
    return value


def _refused(refusal: _Refusal) -> Response:
    found = [{"message": each.message, "field": each.field, "help": None} for each in refusal.found]
    return _json({"errors": found}, refusal.status)


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _with_rate(response: Response, allowance: Allowance) -> Response:
    response.headers["X-RateLimit-Limit"] = str(allowance.limit)
    response.headers["X-RateLimit-Remaining"] = str(allowance.remaining)
    response.headers["X-RateLimit-Reset"] = str(allowance.resets_at)
    return response
