"""Rate limits at the entrances: told in headers over HTTP, and as an operation's error on a socket."""

from __future__ import annotations

from typing import Any

from graphql import GraphQLError
from starlette.requests import HTTPConnection
from starlette.responses import Response
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from core.errors import RateLimited
from core.principals import Principal
from engine.rate_limits import Allowance
from rest.gateway import gateway_of
from rest.request_ids import request_id


async def admit(connection: HTTPConnection, principal: Principal, document: str | None) -> None:
    """Let an operation in, at its cost. Raises RateLimited."""
    allowance = await gateway_of(connection).rate_limits.take(principal, document)
    connection.state.allowance = allowance
    if allowance is not None and (refusal := allowance.refusal):
        raise refusal


def was_admitted(connection: HTTPConnection) -> bool:
    """Whether this request's operation has been counted."""
    return hasattr(connection.state, "allowance")


def tell_allowance(connection: HTTPConnection, answer: Response) -> None:
    """Put what is left to the caller into the answer's headers."""
    allowance: Allowance | None = getattr(connection.state, "allowance", None)
    if allowance is not None:
        answer.headers.update(allowance.headers)


class LimitedOperations(BaseGraphQLTransportWSHandler[Any, None]):
    """graphql-transport-ws, where each operation is let in on its own."""

    async def run_operation(self, operation: Operation[Any, None]) -> None:
        socket = self.context.request
        try:
            await admit(socket, self.context.principal, operation.query)
        except RateLimited as exc:
            told = {**exc.extensions, "requestId": request_id(socket)}
            await operation.send_initial_errors([GraphQLError(str(exc), extensions=told)])
            return
        await super().run_operation(operation)
