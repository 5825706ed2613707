"""How walt.id says no: in an envelope whose code is text, or in some places as plain text."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

_NAMES = {
    400: "BadRequestException",
    401: "UnauthorizedException",
    403: "ForbiddenException",
    404: "NotFoundException",
    409: "ConflictException",
    415: "UnsupportedMediaTypeException",
    429: "TooManyRequestsException",
    500: "IllegalStateException",
}


class WaltError(Exception):
    """An error answer. `is_text`: without the envelope."""

    def __init__(self, status: int, message: str, *, is_text: bool = False) -> None:
        super().__init__(status, message)
        self.status, self.message, self.is_text = status, message, is_text

    def response(self) -> Response:
        if self.is_text:
            return PlainTextResponse(self.message, self.status)
        envelope: dict[str, Any] = {
            "exception": True,
            "id": _NAMES.get(self.status, "Exception"),
            "status": HTTPStatus(self.status).phrase,
            "code": str(self.status),
            "message": self.message,
        }
        return JSONResponse(envelope, self.status)


def bad_request(message: str) -> WaltError:
    return WaltError(400, message)


def not_simulated(what: str) -> WaltError:
    return WaltError(501, f"The sandbox does not support {what}.")
