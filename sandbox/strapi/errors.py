"""How Strapi refuses."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An error answer. `details` None: it has none, not even empty ones."""

    def __init__(self, status: int, name: str, message: str, details: dict[str, Any] | None) -> None:
        super().__init__(status, name, message)
        self.status, self.name, self.message, self.details = status, name, message, details

    @property
    def body(self) -> dict[str, Any]:
        error: dict[str, Any] = {"status": self.status, "name": self.name, "message": self.message}
        return {"data": None, "error": error if self.details is None else {**error, "details": self.details}}


def invalid(message: str, *, field: str | None = None, value: object = None) -> Refusal:
    """Validation failed; with `field`, of that attribute."""
    if field is None:
        return Refusal(400, "ValidationError", message, {})
    problem = {"path": [field], "message": message, "name": "ValidationError", "value": value}
    return Refusal(400, "ValidationError", message, {"errors": [problem]})


def invalid_key(key: str, *, path: str | None = None, param: str | None = None) -> Refusal:
    """A key that nothing is called by, in a parameter of the query; `param` None: in the body."""
    details = {"key": key, "path": path, "source": "query", "param": param}
    if param is None:
        details = {"key": key, "path": path, "source": "body"}
    return Refusal(400, "ValidationError", f"Invalid key {key}" + (f" at {path}" if path else ""), details)


def not_found() -> Refusal:
    return Refusal(404, "NotFoundError", "Not Found", {})


def unauthorized() -> Refusal:
    return Refusal(401, "UnauthorizedError", "Missing or invalid credentials", {})


def forbidden() -> Refusal:
    return Refusal(403, "ForbiddenError", "Forbidden", {})


def broken() -> Refusal:
    return Refusal(500, "InternalServerError", "Internal Server Error", None)


def unsupported(what: str) -> Refusal:
    """The real Strapi may do this; the simulator does not."""
    return Refusal(501, "NotImplementedError", f"The sandbox does not support {what}.", {})
