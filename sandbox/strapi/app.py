"""Strapi's paths: who may call, and what becomes of a call."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from sandbox import keys
from sandbox.store import Store
from sandbox.strapi import documents, rules
from sandbox.strapi.errors import Refusal, forbidden, not_found, unauthorized, unsupported
from sandbox.strapi.filters import in_order, matcher
from sandbox.strapi.query import Node, paging, parse
from sandbox.strapi.types import BY_PATH, ContentType
from sandbox.strapi.views import View

READ_ONLY_TOKEN = "sandbox0strapi0readonly"  # noqa: S105
"""A token that may not write."""
MAX_HEAD_BYTES = 16 * 1024
"""Of a request's first line and its headers; Node refuses longer ones."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_ALLOWED = {"list": "HEAD, GET, POST", "one": "HEAD, GET, PUT, DELETE"}


async def _at_once() -> None:
    """Nothing happens between the look-up and the insert."""


@dataclass(frozen=True)
class Options:
    before_insert: Callable[[], Awaitable[None]] = _at_once
    """Awaited between the check that a JobID is free and the insert: what is unique is not race-safe."""


def create_app(store: Store, options: Options = Options()) -> ASGIApp:
    """The simulator over a seeded store."""
    content = _Content(store, options)

    async def health(request: Request) -> Response:
        return Response(status_code=204)

    async def answer(request: Request) -> Response:
        try:
            response = await content.answer(request)
        except Refusal as refusal:
            response = _json(refusal.body, refusal.status)
        response.headers["Vary"] = "Origin"
        if response.status_code != 400:
            response.headers["X-Powered-By"] = "Strapi <strapi.io>"
        return response

    return Starlette(
        routes=[
            Route("/_health", health),
            Route("/api/{plural}", answer, methods=_METHODS),
            Route("/api/{plural}/{id}", answer, methods=_METHODS),
            Route("/{path:path}", answer, methods=_METHODS),
        ]
    )


class _Content:
    def __init__(self, store: Store, options: Options) -> None:
        self._store, self._options = store, options

    async def answer(self, request: Request) -> Response:
        if _head_bytes(request) > MAX_HEAD_BYTES:
            return Response(status_code=431)
        of = BY_PATH.get(request.path_params.get("plural", ""))
        if of is None:
            raise not_found()
        document_id = request.path_params.get("id")
        method = "GET" if request.method == "HEAD" else request.method
        allowed = _ALLOWED["list" if document_id is None else "one"]
        if method not in allowed:
            return Response("Method Not Allowed", 405, {"Allow": allowed}, media_type="text/plain")
        sent = rules.parsed(await request.body()) if method in ("POST", "PUT") else None
        _authenticate(request, writes=method != "GET")
        query = parse(request.query_params.multi_items())
        if "locale" in query.below or "_q" in query.below:
            raise unsupported("locale and _q")
        drafts = query.at("status").value == "draft"
        data = rules.data_of(sent) if method in ("POST", "PUT") else {}
        if document_id is not None:
            return self._one(of, document_id, method, query, data, drafts=drafts)
        if method == "GET":
            return self._list(of, query, drafts=drafts)
        return await self._create(of, query, data, drafts=drafts)

    def _list(self, of: ContentType, query: Node, *, drafts: bool) -> Response:
        wanted = matcher(self._store, of, query.at("filters"), drafts=drafts)
        view = View(self._store, of, query, drafts=drafts)
        pages = paging(query.at("pagination"))
        found = [row for row in documents.rows(self._store, of, drafts=drafts) if wanted(row)]
        ordered = in_order(of, found, query.at("sort").words())
        shown = [view.of(row) for row in ordered[pages.start : pages.start + pages.limit]]
        return _json({"data": shown, "meta": {"pagination": pages.described(len(found))}})

    async def _create(self, of: ContentType, query: Node, data: dict[str, object], *, drafts: bool) -> Response:
        view = View(self._store, of, query, drafts=drafts)
        values = rules.checked(self._store, of, data, found=None)
        rules.check_unique(self._store, of, values, found=None)
        await self._options.before_insert()
        with self._store.transaction():
            made = documents.create(self._store, of, values, publish=not drafts, at=None)
        return _json({"data": view.of(made), "meta": {}}, 201)

    def _one(
        self, of: ContentType, id: str, method: str, query: Node, data: dict[str, object], *, drafts: bool
    ) -> Response:
        if method == "DELETE":
            self._store.delete(of.name, id)
            return Response(status_code=204)
        view = View(self._store, of, query, drafts=drafts)
        if method == "GET":
            row = documents.row(self._store, of, id, drafts=drafts)
            if row is None:
                raise not_found()
            return _json({"data": view.of(row), "meta": {}})
        found = documents.document(self._store, of, id)
        if found is None:
            raise not_found()
        values = rules.checked(self._store, of, data, found=found)
        rules.check_unique(self._store, of, values, found=found)
        with self._store.transaction():
            changed = documents.update(self._store, of, found, values, publish=not drafts)
        return _json({"data": view.of(changed), "meta": {}})


def _authenticate(request: Request, *, writes: bool) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or token not in (keys.STRAPI_API_TOKEN, READ_ONLY_TOKEN):
        raise unauthorized()
    if writes and token == READ_ONLY_TOKEN:
        raise forbidden()


def _head_bytes(request: Request) -> int:
    headers = sum(len(name) + len(value) + 4 for name, value in request.scope["headers"])
    return len(request.scope.get("raw_path") or b"") + len(request.scope["query_string"]) + headers + 16


def _json(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, {"Content-Type": "application/json; charset=utf-8"})
