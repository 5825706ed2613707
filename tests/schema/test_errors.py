"""Which errors a client may read."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from graphql import GraphQLError

from core import operation
from core.backends import BackendName
from core.errors import (
    BackendBadResponse,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadUserInput,
    Conflict,
    Forbidden,
    GatewayError,
    IdempotencyConflict,
    NotFound,
    Overloaded,
    RateLimited,
    Unauthenticated,
    WorkflowFailed,
)
from core.operation import Operation
from schema.errors import MAX_ERRORS, readable, readable_all

MEDUSA = BackendName.MEDUSA
OURS: list[tuple[GatewayError, dict[str, Any]]] = [
    (Unauthenticated("m"), {"code": "UNAUTHENTICATED", "retryable": False}),
    (Forbidden("m"), {"code": "FORBIDDEN", "retryable": False}),
    (NotFound("m"), {"code": "NOT_FOUND", "retryable": False}),
    (BadUserInput("m"), {"code": "BAD_USER_INPUT", "retryable": False}),
    (Conflict("m"), {"code": "CONFLICT", "retryable": False}),
    (IdempotencyConflict("m"), {"code": "IDEMPOTENCY_CONFLICT", "retryable": False}),
    (RateLimited("m", retry_after_s=1.5), {"code": "RATE_LIMITED", "retryable": True, "retryAfterMs": 1500}),
    (Overloaded("m"), {"code": "OVERLOADED", "retryable": True}),
    (WorkflowFailed("m"), {"code": "WORKFLOW_FAILED", "retryable": False}),
    (BackendUnavailable(MEDUSA, "m"), {"code": "UPSTREAM_UNAVAILABLE", "retryable": True, "source": "MEDUSA"}),
    (BackendTimeout(MEDUSA, "m"), {"code": "UPSTREAM_TIMEOUT", "retryable": True, "source": "MEDUSA"}),
    (BackendRejected(MEDUSA, "m", status=422), {"code": "UPSTREAM_REJECTED", "retryable": False, "source": "MEDUSA"}),
    (BackendBadResponse(MEDUSA, "m"), {"code": "UPSTREAM_BAD_RESPONSE", "retryable": False, "source": "MEDUSA"}),
    (BackendRateLimited(MEDUSA, "m"), {"code": "RATE_LIMITED", "retryable": True, "source": "MEDUSA"}),
]


@pytest.fixture(autouse=True)
def running() -> Operation:
    current = Operation(request_id="r1")
    operation.enter(current)
    return current


def located(cause: BaseException | None, message: str = "whatever") -> GraphQLError:
    error = cause if isinstance(cause, Exception) else None
    return GraphQLError(message, path=["orders", 0], original_error=error)


@pytest.mark.parametrize(("error", "extensions"), OURS, ids=lambda value: getattr(value, "code", ""))
def test_ours_pass_with_their_code_and_the_request_id(error: GatewayError, extensions: dict[str, Any]) -> None:
    told = readable(located(error))
    assert told.message == "m"
    assert told.path == ["orders", 0]
    assert told.extensions == {**extensions, "requestId": "r1"}
    assert told.original_error is None


def test_every_class_of_ours_is_tried_above() -> None:
    def below(kind: type[GatewayError]) -> set[type[GatewayError]]:
        return {kind, *(one for sub in kind.__subclasses__() for one in below(sub))}

    defined = {kind for kind in below(GatewayError) if kind.__module__ == "core.errors" and "code" in vars(kind)}
    assert {type(error) for error, _ in OURS} == defined - {GatewayError}


@pytest.mark.parametrize("cause", [RuntimeError("hush"), KeyError("hush"), ValueError("hush"), TimeoutError("hush")])
def test_what_is_not_ours_is_masked_and_logged_whole(cause: Exception, caplog: pytest.LogCaptureFixture) -> None:
    told = readable(located(cause, "hush"))
    assert "hush" not in str(told)
    assert told.extensions == {"code": "INTERNAL", "retryable": False, "requestId": "r1"}
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert record.exc_info[1] is cause
    assert vars(record)["request_id"] == "r1"


def test_an_unexpected_error_without_a_place_is_masked_too() -> None:
    told = readable(GraphQLError("hush", original_error=ValueError("hush")))
    assert told.message != "hush"
    assert told.extensions == {"code": "INTERNAL", "retryable": False, "requestId": "r1"}


@pytest.mark.parametrize("cause", [None, GraphQLError("inner")])
def test_what_graphql_says_about_a_document_is_the_callers_mistake(cause: GraphQLError | None) -> None:
    told = readable(GraphQLError("Cannot query field 'x'.", original_error=cause))
    assert told.message == "Cannot query field 'x'."
    assert told.extensions == {"code": "BAD_USER_INPUT", "retryable": False, "requestId": "r1"}


def test_a_code_that_is_there_stays() -> None:
    told = readable(GraphQLError("m", extensions={"code": "QUERY_TOO_COMPLEX", "limit": 1}))
    assert told.extensions == {"code": "QUERY_TOO_COMPLEX", "retryable": False, "limit": 1, "requestId": "r1"}


@pytest.mark.parametrize("number", [0, 1, MAX_ERRORS])
def test_up_to_fifty_are_told_one_by_one(number: int) -> None:
    assert len(readable_all([located(NotFound("m")) for _ in range(number)])) == number


def test_more_than_fifty_are_counted_in_a_last_one() -> None:
    told = readable_all([located(NotFound(str(n))) for n in range(MAX_ERRORS + 7)])
    assert [error.message for error in told] == [str(n) for n in range(MAX_ERRORS)] + ["7 more errors"]
    assert told[-1].extensions == {"code": "INTERNAL", "retryable": False, "omitted": 7, "requestId": "r1"}
