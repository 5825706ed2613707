"""Medusa 2.21: its store and admin API over the demo shop.

Routes and parameters that Medusa has and this has not answer 501; routes that Medusa has not answer Express's 404 page.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.medusa.gate import admit, head_is_too_large
from sandbox.medusa.query import parse
from sandbox.medusa.routes import METHODS, UNSUPPORTED_ROUTES, Router, routes
from sandbox.medusa.seed import seed
from sandbox.medusa.wire import Call, MedusaError, Unparsable, answer, no_route, not_supported, read_body, text
from sandbox.store import Store

__all__ = ["create_app", "seed"]


def create_app(store: Store) -> ASGIApp:
    """The simulator over its rows."""
    router = Router(routes(store))

    async def respond(request: Request) -> Response:
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        if head_is_too_large(request):
            return Response(status_code=431)
        if path == "/health":
            return text("OK")
        try:
            channels = admit(request, path, store)
            found = router.find(request.method, path)
            if found is None:
                if request.method in METHODS and UNSUPPORTED_ROUTES.fullmatch(path):
                    raise not_supported(f"{request.method} {path}")
                return no_route(request.method, path)
            handler, names = found
            call = Call(names, parse(request.scope["query_string"].decode()), await read_body(request), channels)
            return answer(handler(call), request=request)
        except MedusaError as exc:
            return answer(exc.body, exc.status, varies=not isinstance(exc, Unparsable))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await respond(Request(scope, receive))
            await response(scope, receive, send)

    return app
