"""The GraphQL endpoint: who is calling is settled here, once, before anything is parsed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from math import ceil
from typing import Any

import orjson
from cross_web import HTTPException
from fastapi import Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import HTTPConnection
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.exceptions import ConnectionRejectionError
from strawberry.fastapi import BaseContext, GraphQLRouter
from strawberry.http import GraphQLRequestData
from strawberry.schema import BaseSchema
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UNSET

from core.auth import CREDENTIAL_NAMES, read_credentials
from core.errors import BackendError, BadUserInput, Forbidden, GatewayError, RateLimited, Unauthenticated
from core.principals import Principal, PrincipalKind
from core.settings import UPLOAD_MAX_BYTES
from datasources import Sources
from resolvers.context import Context
from rest.gateway import address_of, gateway_of
from rest.idempotency import ExtendedOperations, caller_key, tell_idempotency
from rest.limits import admit, tell_allowance, was_admitted
from rest.request_ids import request_id
from rest.sockets import watch_of, watched
from rest.uploads import uploaded

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN = 4400, 4401, 4403
"""Close codes of graphql-transport-ws for what is no message, for no credentials and for wrong ones."""
TOO_MANY_FAILURES = 4429
"""Wrong credentials, from an address that has shown too many of them."""
NOT_ALLOWED, TOO_MANY_REQUESTS = 403, 429
TRY_AGAIN_LATER = 1013
"""RFC 6455's registry: the core store is down, so that nobody can be recognised."""
NOBODY = Principal(PrincipalKind.PLATFORM, frozenset())
"""Who stands on a socket before `connection_init`. Strawberry lets them do nothing but introduce themselves."""


class ConnectionContext(Context, BaseContext):
    """A `Context` as Strawberry's router wants it: with the request, and on sockets what `connection_init` said."""

    def __init__(self, sources: Sources, principal: Principal, **wishes: Any) -> None:
        Context.__init__(self, sources, principal, **wishes)
        BaseContext.__init__(self)
        self.connection_params: dict[str, Any] | None = None


class _ClosingSocket(ASGIWebSocketAdapter):
    """Strawberry closes every refused connection with 4403; one without credentials is 4401."""

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:
        async for message in super().iter_json(ignore_parsing_errors=ignore_parsing_errors):
            # Strawberry takes their shape for granted, and lets the connection break off.
            if not _is_message(message):
                await self.close(BAD_REQUEST, "This is no message of graphql-transport-ws")
                return
            yield message

    async def close(self, code: int, reason: str) -> None:
        await super().close(getattr(self.ws.state, "close_code", code), reason)


def _is_message(message: object) -> bool:
    """Whether everything in it that is there is of the type that graphql-transport-ws gives it."""
    if not isinstance(message, dict) or not isinstance(message.get("id", ""), str):
        return False
    if message.get("type") != "subscribe":
        return isinstance(message.get("type"), str)
    payload = message.get("payload")
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("operationName"), str | None)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("extensions"), dict | None)
    )


class GraphQLEntrance(GraphQLRouter[ConnectionContext, None]):
    """POST and graphql-transport-ws on one path. Refusals before execution have the shape of GraphQL errors."""

    websocket_adapter_class = _ClosingSocket
    graphql_transport_ws_handler_class = ExtendedOperations

    def __init__(
        self, schema: BaseSchema, path: str, *, allowed_origins: Sequence[str], upload_max_bytes: int = UPLOAD_MAX_BYTES
    ) -> None:
        super().__init__(
            schema,
            path,
            graphql_ide=None,
            allow_queries_via_get=False,
            context_getter=context_of,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            allowed_origins=allowed_origins,
            multipart_uploads_enabled=True,
        )
        self._upload_max_bytes = upload_max_bytes

    async def run(self, request: Any, context: Any = UNSET, root_value: Any = UNSET) -> Any:
        if self.is_websocket_request(request):
            async with watched(request):
                return await super().run(request, context, root_value)
        try:
            try:
                async with uploaded(request, context.principal, self._upload_max_bytes) as received:
                    answer = await super().run(received, context, root_value)
            except (HTTPException, Forbidden) as exc:
                answer = _refused_unread(exc, request_id(request))
                if not was_admitted(request):
                    await admit(request, context.principal, None)
        except RateLimited as exc:
            answer = refused(exc, TOO_MANY_REQUESTS, request_id(request))
        tell_allowance(request, answer)
        return answer

    async def execute_single(
        self,
        request: Any,
        request_adapter: Any,
        sub_response: Response,
        context: ConnectionContext,
        root_value: None,
        request_data: GraphQLRequestData,
    ) -> Any:
        await admit(request, context.principal, request_data.query)
        result = await super().execute_single(request, request_adapter, sub_response, context, root_value, request_data)
        tell_idempotency(result, sub_response)
        return result

    async def on_ws_connect(self, context: ConnectionContext) -> Any:
        shown, socket = context.connection_params or {}, context.request
        assert socket is not None  # noqa: S101 - the router sets it before the first message
        try:
            gateway = gateway_of(socket)
            context.principal = await gateway.recognise(socket, shown)
        except RateLimited as exc:
            socket.state.close_code = TOO_MANY_FAILURES
            raise ConnectionRejectionError from exc
        except Unauthenticated as exc:
            if not any(name in CREDENTIAL_NAMES for name in map(str.lower, shown)):
                socket.state.close_code = UNAUTHORIZED
            raise ConnectionRejectionError from exc
        except BackendError as exc:
            socket.state.close_code = TRY_AGAIN_LATER
            raise ConnectionRejectionError from exc
        named = {name.lower(): value for name, value in shown.items()}
        context.is_traced = _wants_trace(named.get("x-gateway-trace"), context.principal)
        watch_of(socket).begin(context, read_credentials(shown), gateway.identify)
        return await super().on_ws_connect(context)

    async def parse_multipart(self, request: Any) -> Any:
        # Strawberry takes for granted that the map is one, and that its paths lead somewhere.
        try:
            return await super().parse_multipart(request)
        except (AttributeError, IndexError, TypeError, ValueError) as exc:
            raise HTTPException(400, "The map of a multipart request says where in `operations` its files go") from exc

    async def get_sub_response(self, request: Request) -> Response:
        # The router keeps the current response on itself, where concurrent requests would meet.
        fresh = Response()
        del fresh.headers["content-length"]
        return fresh

    def parse_json(self, data: str | bytes) -> Any:
        # Strawberry takes these for granted, and answers 500.
        parsed = super().parse_json(data)
        if not isinstance(parsed, dict | list):
            raise HTTPException(400, "A GraphQL request is a JSON object")
        if isinstance(parsed, dict) and not isinstance(parsed.get("operationName"), str | None):
            raise HTTPException(400, "The GraphQL operation's `operationName` must be a string or null, if provided.")
        return parsed

    def decode_json(self, data: str | bytes) -> object:
        # Stricter than the standard library: no NaN, no half of a surrogate pair, no nesting without end.
        return orjson.loads(data)

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()


async def context_of(connection: HTTPConnection) -> ConnectionContext:
    """Who is calling, from the headers; on a socket that is asked later.

    Raises BadUserInput for a timeout that is none, and what `recognise` raises.
    """
    gateway = gateway_of(connection)
    if connection.scope["type"] == "websocket":
        return ConnectionContext(gateway.sources, NOBODY, address=address_of(connection))
    timeout_s = _timeout_s(connection)
    principal = await gateway.recognise(connection, connection.headers)
    return ConnectionContext(
        gateway.sources,
        principal,
        request_id=request_id(connection),
        timeout_s=timeout_s,
        is_traced=_wants_trace(connection.headers.get("x-gateway-trace"), principal),
        may_subscribe=False,
        address=address_of(connection),
        caller_key=caller_key(connection),
    )


def _refused_unread(error: HTTPException | Forbidden, request_id: str) -> Response:
    """Strawberry's own refusals (no JSON, no query, a mutation by GET) are plain text; ours have a code."""
    if isinstance(error, Forbidden):
        return refused(error, NOT_ALLOWED, request_id)
    return refused(BadUserInput(error.reason), error.status_code, request_id)


def refused(error: GatewayError, status: int, request_id: str) -> Response:
    """The answer to a request that was not executed."""
    body = {"errors": [{"message": str(error), "extensions": {**error.extensions, "requestId": request_id}}]}
    wait = {} if error.retry_after_s is None else {"Retry-After": str(ceil(error.retry_after_s))}
    return JSONResponse(body, status_code=status, headers=wait)


def _timeout_s(connection: HTTPConnection) -> float | None:
    """From X-Request-Timeout-Ms, which can only shorten. Raises BadUserInput when it is no positive number."""
    value = connection.headers.get("x-request-timeout-ms")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value) > 0):
        raise BadUserInput("X-Request-Timeout-Ms is a whole number of milliseconds above zero")
    return int(value) / 1000


def _wants_trace(header: object, principal: Principal) -> bool:
    return header == "1" and (principal.is_service or "webhooks:read" in principal.scopes)
