"""The way of a request: its size, its key, route, body and answer.

Keys are of two kinds, as Medusa's are.
"""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.keys import MEDUSA_API_KEY
from sandbox.medusa.query import parse
from sandbox.medusa.routes import METHODS, UNSUPPORTED_ROUTES, Router, routes
from sandbox.medusa.wire import (
    Call,
    MedusaError,
    Unauthorized,
    Unparsable,
    answer,
    no_route,
    not_supported,
    read_body,
    text,
)
from sandbox.store import Store

MOST_HEAD_BYTES = 16 * 1024
BEARER_KEY = (
    "A secret API key was passed as a Bearer token. Secret API keys must be sent using HTTP Basic authentication "
    "instead (Authorization: Basic <secret-api-key>)."
)
NO_PUBLISHABLE_KEY = (
    "Publishable API key required in the request header: x-publishable-api-key. You can manage your keys in settings "
    "in the dashboard."
)
BAD_PUBLISHABLE_KEY = "A valid publishable key is required to proceed with the request"
CUSTOMER_ROUTES = ("/store/customers/me", "/store/orders")


def head_is_too_large(request: Request) -> bool:
    """Node refuses a request line and headers of more than 16 KB together."""
    target = request.scope.get("raw_path", b"") + request.scope["query_string"]
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw)
    return len(request.method) + len(target) + len(" ? HTTP/1.1\r\n") + headers > MOST_HEAD_BYTES


def admit(request: Request, path: str, store: Store) -> list[str]:
    """The sales channels that a request's key is for. Raises: MedusaError for a wrong key or none."""
    if path == "/admin" or path.startswith("/admin/"):
        _check_secret_key(request)
    elif path == "/store" or path.startswith("/store/"):
        return _channels(request, path, store)
    return []


def _check_secret_key(request: Request) -> None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        if value.startswith("sk_"):
            raise Unauthorized(BEARER_KEY)
        if value.count(".") == 2:
            raise not_supported("the tokens of admin users")
    if scheme.lower() != "basic" or MEDUSA_API_KEY not in (value, _decoded(value)):
        raise Unauthorized


def _decoded(value: str) -> str:
    """The user name in Basic credentials."""
    try:
        return base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _channels(request: Request, path: str, store: Store) -> list[str]:
    key = request.headers.get("x-publishable-api-key")
    if not key:
        raise MedusaError("not_allowed", NO_PUBLISHABLE_KEY)
    row = store.get("api_key", key)
    if row is None:
        raise MedusaError("not_allowed", BAD_PUBLISHABLE_KEY)
    if request.headers.get("authorization", "").lower().startswith("bearer ey"):
        raise not_supported("the tokens of customers")
    if path in CUSTOMER_ROUTES:
        raise Unauthorized
    return list(row["sales_channel_ids"])


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
