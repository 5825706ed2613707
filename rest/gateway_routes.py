"""`/api/gateway`: what its routes do with a request. Which routes there are `routes.py` says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.routing import Route as Path
from strawberry.schema import BaseSchema

from core.backends import BackendName
from core.errors import BadUserInput, GatewayError, NotFound
from core.kept import Kept
from resolvers.pages import offset_after
from rest import health, storage
from rest.bodies import TooLarge, read_json
from rest.caching import NO_STORE, cache_headers, conditional
from rest.envelope import Told, done, failed, told
from rest.gateway import gateway_of
from rest.graphql import ConnectionContext
from rest.limits import tell_allowance
from rest.methods import Methods
from rest.operations import Document, Operations, Outcome, document, name_of, tell
from rest.parameters import GRAPHQL_TYPES, from_body, from_query, input_from_body, with_text
from rest.proxy import Found
from rest.routes import PREFIX, ROUTES, Route

TOO_LARGE = 413
UPLOAD, DOWNLOAD = "Mutation.uploadFile", "Query.file"


def gateway_routes(schema: BaseSchema, graphql_path: str, routes: Sequence[Route] = tuple(ROUTES)) -> list[BaseRoute]:
    """Every route, the health of the whole, and for whatever else is asked below the prefix an error of our shape."""
    operations = Operations(schema)
    by_path: dict[str, dict[str, Served]] = defaultdict(dict)
    for route in routes:
        by_path[route.path][route.method] = Served(operations, route, graphql_path)
    found: list[BaseRoute] = [
        Path(PREFIX + path, Methods({method: served.answer for method, served in methods.items()}, _refused))
        for path, methods in by_path.items()
    ]
    found.append(Path(f"{PREFIX}/health", Methods({"GET": health.answer(operations)}, _refused)))
    found.append(Path(PREFIX + "/{path:path}", Methods({}, _refused)))
    return found


class Served:
    """One route, and the operation that it is."""

    def __init__(self, operations: Operations, route: Route, graphql_path: str) -> None:
        self._operations = operations
        self._route = route
        self._graphql_path = graphql_path
        self.document = _document(route)

    async def answer(self, request: Request) -> Response:
        route = self._route
        try:
            answer = await self._answer(request)
        except GatewayError as exc:
            status = TOO_LARGE if isinstance(exc, TooLarge) else None
            answer = failed(request, route.source, told(exc, request), status=status)
        tell_allowance(request, answer)
        answer.headers.setdefault("Cache-Control", NO_STORE["Cache-Control"])
        return answer

    async def _answer(self, request: Request) -> Response:
        route = self._route
        ctx = await self._operations.admitted(request, self.document)
        try:
            variables = self._said(request)
            if route.field == UPLOAD:
                async with storage.incoming(request, ctx, variables, gateway_of(request).sources.settings) as file:
                    return await self._executed(request, ctx, {**variables, **file})
            if request.method not in ("GET", "HEAD", "DELETE"):
                variables |= await self._in_body(request)
        except HTTPException as exc:
            error = TooLarge(exc.reason) if exc.status_code == TOO_LARGE else BadUserInput(exc.reason)
            self._operations.refused(request, self.document.name, error, ctx.principal)
            raise error from exc
        except GatewayError as exc:
            self._operations.refused(request, self.document.name, exc, ctx.principal)
            raise
        return await self._executed(request, ctx, variables)

    def _said(self, request: Request) -> dict[str, Any]:
        """What is said in the address."""
        route, schema = self._route, self._operations.graphql
        parts = {name: with_text(value, name) for name, value in request.path_params.items()}
        return {**from_query(request.query_params.multi_items(), route.query, schema), **parts}

    async def _in_body(self, request: Request) -> dict[str, Any]:
        route, schema = self._route, self._operations.graphql
        body = await read_json(request)
        if route.input is not None:
            return {"input": input_from_body(body, route.input, schema)}
        return from_body(body, route.named, schema)

    async def _executed(self, request: Request, ctx: ConnectionContext, variables: dict[str, Any]) -> Response:
        route = self._route
        prepared = route.prepare(variables)
        variables = {"limit": route.limit, **variables}
        paging = {"limit": variables["limit"], "offset": _offset(variables.get("after"))}
        page: dict[str, Any] = {}

        def shape(value: Any, kept: Kept) -> Any:
            if isinstance(value, dict):
                page.update(value.get("pageInfo") or {})
            return route.shape.make(Found(value, kept, paging))

        outcome = await self._operations.execute(ctx, self.document, {**variables, **prepared}, shape)
        answer = await self._told(request, ctx, outcome, variables)
        tell(answer, outcome, route.field, self._graphql_path)
        if page.get("hasNextPage"):
            following = request.url.remove_query_params(["offset", "page", "after"])
            following = following.include_query_params(after=page["endCursor"])
            answer.headers.append("Link", f'<{following.path}?{following.query}>; rel="next"')
        return answer

    async def _told(
        self, request: Request, ctx: ConnectionContext, outcome: Outcome, variables: dict[str, Any]
    ) -> Response:
        route = self._route
        if outcome.error is not None:
            return failed(request, route.source, outcome.error)
        if outcome.value is None:
            return failed(request, route.source, told(NotFound(f"{request.url.path} is not there"), request))
        if route.field == DOWNLOAD and variables.get("download"):
            return await storage.download(request, ctx, variables["key"])
        trace = {"trace": outcome.extensions["trace"]} if "trace" in outcome.extensions else {}
        answer = done(request, route.source, outcome.value, status=route.status, **trace)
        if request.method not in ("GET", "HEAD"):
            return answer
        headers = NO_STORE if trace else cache_headers(self._operations.graphql, route.field)
        return conditional(request, answer, outcome.value, headers)


def _document(route: Route) -> Document:
    said = {name: GRAPHQL_TYPES.get(kind, kind) or "" for name, kind in route.query.items()}
    types = {"limit": "Int", **route.parts, **said, **route.named, **route.fixed}
    if route.input is not None:
        types["input"] = f"{route.input}!"
    return document(name_of(route.method, route.path), route.field, route.arguments, route.shape.selection, types)


def _refused(request: Request, error: Told) -> Response:
    return failed(request, BackendName.OMNISTACK, error)


def _offset(after: str | None) -> int:
    """How many rows come before the page, where its cursor counts them."""
    try:
        return offset_after(after)
    except BadUserInput:
        return 0  # its list goes on behind a row, or will refuse it
