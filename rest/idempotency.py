"""Idempotency keys at the entrances: a header over HTTP, `extensions` over both HTTP and WebSockets; what became of
them is told by status and headers over HTTP."""

from __future__ import annotations

from contextvars import ContextVar
from math import ceil
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response
from strawberry.schema import BaseSchema
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from core.errors import Conflict, IdempotencyConflict
from rest.limits import LimitedOperations

CONFLICT = 409
_REFUSALS = {Conflict.code, IdempotencyConflict.code}

_said: ContextVar[dict[str, Any] | None] = ContextVar("said", default=None)
"""`extensions` of the operation that runs in this task."""


def caller_key(connection: HTTPConnection) -> str | None:
    """As it came in the header."""
    return connection.headers.get("idempotency-key")


def tell_idempotency(result: ExecutionResult, answer: Response) -> None:
    """Put into the answer's status and headers whether an operation was refused for its key, or not executed again."""
    if isinstance(result, PreExecutionError):
        told = (result.errors or [])[0].extensions or {}
        if told.get("code") in _REFUSALS:
            answer.status_code = CONFLICT
        if told.get("code") in _REFUSALS and "retryAfterMs" in told:
            answer.headers["Retry-After"] = str(ceil(told["retryAfterMs"] / 1000))
    elif "idempotency" in (result.extensions or {}):
        answer.headers["Idempotency-Replayed"] = "true"


class ExtendedOperations(LimitedOperations):
    """graphql-transport-ws, where operations have `extensions` too. Strawberry leaves them out."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.schema: Any = _WithExtensions(self.schema)

    async def handle_subscribe(self, message: Any) -> None:
        _said.set(message["payload"].get("extensions"))  # the operation's task inherits it
        await super().handle_subscribe(message)


class _WithExtensions:
    def __init__(self, schema: BaseSchema) -> None:
        self._schema = schema

    async def stream(self, query: str | None, **how: Any) -> Any:
        return await self._schema.stream(query, operation_extensions=_said.get(), **how)
