"""Twilio's paths: who may call, and the life of a message."""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import keys
from sandbox.rate import FixedWindow
from sandbox.store import Row, Store
from sandbox.twilio.rules import Refused, check_message, segments

ACCOUNT = f"/2010-04-01/Accounts/{keys.TWILIO_ACCOUNT_SID}"
SENT_AFTER_S, DELIVERED_AFTER_S = 1.0, 3.0
PAGE_SIZE, LARGEST_PAGE = 50, 1000
FINAL = frozenset({"delivered", "undelivered", "failed", "canceled"})
_ALL_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


@dataclass(frozen=True)
class Options:
    rate_per_second: int = 1_000
    clock: Callable[[], float] = time.time
    """Unix seconds."""


def seed(store: Store) -> None:
    """Nothing: messages come later."""


def create_app(store: Store, options: Options = Options()) -> ASGIApp:
    """The simulator over a store."""
    window = FixedWindow(options.rate_per_second, 1, options.clock)

    async def account(request: Request) -> Response:
        named = {"sid": keys.TWILIO_ACCOUNT_SID, "friendly_name": "Sandbox", "status": "active", "type": "Full"}
        return _json({**named, "uri": f"{ACCOUNT}.json", "subresource_uris": {"messages": f"{ACCOUNT}/Messages.json"}})

    async def send(request: Request) -> Response:
        form = _form(request, await request.body())
        check_message(form)
        message = _message(form, options.clock())
        store.put("message", message["sid"], message)
        return _json(_shown(message, options.clock()), 201)

    async def listed(request: Request) -> Response:
        query = dict(request.query_params)
        return _json(_page(store, query, options.clock()))

    async def message(request: Request) -> Response:
        row = _row(store, request)
        if request.method == "DELETE":
            store.delete("message", row["sid"])
            return Response(status_code=204)
        if request.method == "POST":
            row = _changed(row, _form(request, await request.body()), options.clock())
            store.put("message", row["sid"], row)
        return _json(_shown(row, options.clock()))

    async def not_there(request: Request) -> Response:
        path = request.url.path.removeprefix(request.scope["root_path"])
        if any(route.path_regex.match(path) for route in routes):
            raise Refused(405, 20004, "Method not allowed")
        raise Refused(404, 20404, f"The requested resource {path} was not found")

    def limited(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                _admit(request, is_granted=window.take().granted)
                response = await endpoint(request)
            except Refused as refused:
                response = _json(refused.body, refused.status)
            response.headers["Twilio-Request-Id"] = f"RQ{secrets.token_hex(16)}"
            return response

        return answer

    under = "/2010-04-01/Accounts/{account}"
    routes = [
        Route(f"{under}/Messages.json", limited(send), methods=["POST"]),
        Route(f"{under}/Messages.json", limited(listed)),
        Route(f"{under}/Messages/{{sid}}.json", limited(message), methods=["GET", "POST", "DELETE"]),
        Route(f"{under}.json", limited(account)),
    ]
    return Starlette(routes=[*routes, Route("/{path:path}", limited(not_there), methods=_ALL_METHODS)])


def _message(form: Mapping[str, str], now_s: float) -> Row:
    sid = f"SM{secrets.token_hex(16)}"
    uri = f"{ACCOUNT}/Messages/{sid}"
    return {
        "account_sid": keys.TWILIO_ACCOUNT_SID,
        "api_version": "2010-04-01",
        "body": form["Body"],
        "created_s": now_s,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": form["From"],
        "messaging_service_sid": None,
        "num_media": "0",
        "num_segments": str(segments(form["Body"])),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": form["To"],
        "uri": f"{uri}.json",
    }


def _shown(row: Row, now_s: float) -> dict[str, Any]:
    """As the API tells of it: it moves on by itself, until it is final."""
    shown = {key: value for key, value in row.items() if key != "created_s"}
    age_s = now_s - row["created_s"]
    if row["status"] not in FINAL and age_s >= SENT_AFTER_S:
        shown["status"] = "sent" if age_s < DELIVERED_AFTER_S else "delivered"
    was_sent = shown["status"] in ("sent", "delivered")
    created = formatdate(row["created_s"])
    sent = formatdate(row["created_s"] + SENT_AFTER_S) if was_sent else None
    price = f"-{0.0079 * int(row['num_segments']):.5f}" if was_sent else None
    return {**shown, "date_created": created, "date_updated": sent or created, "date_sent": sent, "price": price}


def _changed(row: Row, form: Mapping[str, str], now_s: float) -> Row:
    """Redacted. Nothing here is scheduled, so that nothing can be canceled. Raises Refused."""
    if "Status" in form:
        raise Refused(400, 30409, "Message is not in a cancelable state.")
    if form.get("Body") != "":
        raise Refused(400, 20001, "Body may only be updated to an empty text.")
    if _shown(row, now_s)["status"] not in FINAL:
        raise Refused(400, 20009, "Cannot redact a message that has not been sent yet.")
    return {**row, "body": ""}


def _row(store: Store, request: Request) -> Row:
    row = store.get("message", request.path_params["sid"])
    if row is None:
        raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")
    return row


def _page(store: Store, query: dict[str, str], now_s: float) -> dict[str, Any]:
    """Newest first. The next page's address is a relative one. Raises Refused."""
    size, number = query.get("PageSize", str(PAGE_SIZE)), query.get("Page", "0")
    if not (size.isdecimal() and number.isdecimal() and int(size) > 0):
        raise Refused(400, 20001, "Page and PageSize must be numbers.")
    if any(name.startswith("DateSent") for name in query):
        raise Refused(501, 20501, "The sandbox does not filter by date.")
    rows = [
        row
        for row in reversed(store.rows("message"))
        if query.get("To", row["to"]) == row["to"] and query.get("From", row["from"]) == row["from"]
    ]
    per_page, page = min(int(size), LARGEST_PAGE), int(number)
    start = per_page * page
    shown = rows[start : start + per_page]

    def uri(page: int) -> str:
        filters = [(name, query[name]) for name in ("To", "From") if name in query]
        return f"{ACCOUNT}/Messages.json?{urlencode([*filters, ('PageSize', per_page), ('Page', page)])}"

    has_next = start + per_page < len(rows)
    return {
        "messages": [_shown(row, now_s) for row in shown],
        "page": page,
        "page_size": per_page,
        "start": start,
        "end": max(0, start + len(shown) - 1),
        "uri": uri(page),
        "first_page_uri": uri(0),
        "next_page_uri": f"{uri(page + 1)}&PageToken=PA{shown[-1]['sid']}" if has_next else None,
        "previous_page_uri": uri(page - 1) if page else None,
    }


def _form(request: Request, raw: bytes) -> dict[str, str]:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return {}  # as the real API: a JSON body has no parameters
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError as exc:
        raise Refused(400, 20001, "The body is no UTF-8.") from exc


def _admit(request: Request, *, is_granted: bool) -> None:
    """Raises Refused."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        pair = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pair = ""
    if scheme.lower() != "basic" or pair != f"{keys.TWILIO_ACCOUNT_SID}:{keys.TWILIO_AUTH_TOKEN}":
        raise Refused(401, 20003, "Authenticate")
    if not is_granted:
        raise Refused(429, 20429, "Too Many Requests")
    if request.path_params.get("account", keys.TWILIO_ACCOUNT_SID) != keys.TWILIO_ACCOUNT_SID:
        raise Refused(404, 20404, f"The requested resource {request.url.path} was not found")


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
