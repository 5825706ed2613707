"""Stripe's error body: `{"error": {...}}` with null fields left out."""

from __future__ import annotations

from typing import Any

from sandbox.store import Row


class StripeError(Exception):
    """A refusal. `fields` are further members of the error object, such as `payment_intent`."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error: Row = {"type": type, "code": code, "message": message, "param": param, **fields}

    def body(self, request_id: str) -> Row:
        error = {name: value for name, value in self.error.items() if value is not None}
        if "code" in error:
            error["doc_url"] = doc_url(error["code"])
        error["request_log_url"] = f"https://dashboard.stripe.com/test/logs/{request_id}"
        return {"error": error}


def doc_url(code: str) -> str:
    return f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"


def no_such(kind: str, id: str, param: str, *, status: int = 400) -> StripeError:
    """An id that fits nothing: 404 where the URL names it, 400 where a parameter does."""
    return StripeError(status, f"No such {kind}: '{id}'", code="resource_missing", param=param)


def invalid(message: str, param: str, code: str | None = None) -> StripeError:
    return StripeError(400, message, code=code, param=param)


def not_simulated(what: str) -> StripeError:
    return StripeError(501, f"The sandbox does not simulate {what}.", type="api_error")
