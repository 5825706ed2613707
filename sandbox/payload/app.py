"""Payload's routes below `/api`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.payload.accounts import Accounts
from sandbox.payload.config import DEMO, Collection
from sandbox.payload.documents import Documents
from sandbox.payload.query import parse
from sandbox.payload.wire import NoRoute, PayloadError, answer, no_page, not_supported
from sandbox.store import Store

OVERRIDES = ("x-payload-http-method-override", "x-http-method-override")
FORM = "application/x-www-form-urlencoded"


def create_app(store: Store, collections: Sequence[Collection] = DEMO) -> ASGIApp:
    """The simulator over a seeded store, configured with these collections."""
    by_slug = {each.slug: each for each in collections}
    accounts = Accounts(store, list(collections))

    async def respond(request: Request) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        head, *rest = path.removeprefix("/").split("/")
        if head != "api" or not "".join(rest):
            return no_page()
        try:
            return await route(request, path, rest)
        except PayloadError as exc:
            return answer(exc.body, exc.status)

    async def route(request: Request, path: str, parts: list[str]) -> Response:
        slug, *rest = parts
        method, text = request.method, request.scope["query_string"].decode()
        override = next((request.headers[name] for name in OVERRIDES if name in request.headers), None)
        if method == "POST" and override is not None:
            if request.headers.get("content-type", "").partition(";")[0] != FORM:
                raise not_supported("a method override without a form")
            method, text = override, (await request.body()).decode()
        if slug in ("graphql", "access", "globals"):
            raise not_supported(f"/api/{slug}")
        collection = by_slug.get(slug)
        if collection is None:
            raise NoRoute(path)
        caller = accounts.caller(request)
        if collection.auth and rest == ["me"] and method == "GET":
            return answer(accounts.me(caller))
        if collection.auth and rest == ["login"] and method == "POST":
            return answer(accounts.login(slug, await _body(request)))
        documents = Documents(store, by_slug, collection, caller[0] if caller else None)
        query = parse(text)
        match method, rest:
            case "GET", []:
                return answer(documents.find(query))
            case "GET", ["count"]:
                return answer(documents.count(query))
            case "GET", [id]:
                return answer(documents.one(id, query))
            case "POST", []:
                return answer(documents.create(await _body(request), query), 201)
            case "PATCH", []:
                return answer(documents.update_where(await _body(request), query))
            case "PATCH", [id]:
                return answer(documents.update(id, await _body(request), query))
            case "DELETE", []:
                return answer(documents.delete_where(query))
            case "DELETE", [id]:
                return answer(documents.delete(id, query))
        raise NoRoute(path)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await respond(Request(scope, receive))
            await response(scope, receive, send)

    return app


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await request.body())
    except orjson.JSONDecodeError as exc:
        raise PayloadError(400, "Invalid JSON") from exc
    return body if isinstance(body, dict) else {}
