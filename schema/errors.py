"""Which errors a client may read: ours as they are, everything else as INTERNAL with a request id to quote."""

from __future__ import annotations

import logging

from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from core import operation
from core.errors import GatewayError
from engine.answers import ToldError

log = logging.getLogger("omnistack.errors")

NOT_TO_BE_RUN = (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError)
"""Strawberry's refusals of requests without a fitting operation. Over HTTP its router answers them itself."""
MAX_ERRORS = 50
"""Reported one by one; the rest are counted in one last error."""


def readable(error: GraphQLError) -> GraphQLError:
    """The error as the client sees it. What is masked is logged whole, under the request id that the client gets."""
    request_id = operation.current().request_id
    cause = error.original_error
    if cause is None or isinstance(cause, (GraphQLError, *NOT_TO_BE_RUN)) or _is_about_a_literal(error):
        # Parse, validation and variable errors are written for the client already.
        code = (error.extensions or {}).get("code", "BAD_USER_INPUT")
        return _with(error, error.message, {"retryable": False, **(error.extensions or {}), "code": code}, request_id)
    if isinstance(cause, GatewayError):
        return _with(error, str(cause), cause.extensions, request_id)
    log.error("masked error", exc_info=cause, extra={"request_id": request_id, "path": error.path})
    message = "Something went wrong inside the gateway; quote the request id."
    return _with(error, message, {"code": "INTERNAL", "retryable": False}, request_id)


def readable_all(errors: list[GraphQLError]) -> list[GraphQLError]:
    """At most MAX_ERRORS, and one that counts the rest. What clients can read already stays as it is."""
    if all(isinstance(error, ToldError) for error in errors):
        return errors
    shown = [readable(error) for error in errors[:MAX_ERRORS]]
    if len(errors) > MAX_ERRORS:
        rest = len(errors) - MAX_ERRORS
        codes = {"code": "INTERNAL", "retryable": False, "omitted": rest}
        shown.append(_with(GraphQLError(""), f"{rest} more errors", codes, operation.current().request_id))
    return shown


def _is_about_a_literal(error: GraphQLError) -> bool:
    """Whether a scalar did not understand a value in the document. Validation says so with the scalar's ValueError
    as its cause and a node, but no path: nothing was executed yet."""
    return isinstance(error.original_error, ValueError) and error.path is None and bool(error.nodes)


def _with(error: GraphQLError, message: str, extensions: dict[str, object], request_id: str) -> GraphQLError:
    # No original error: Strawberry would log its traceback again.
    return ToldError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={**extensions, "requestId": request_id},
    )
