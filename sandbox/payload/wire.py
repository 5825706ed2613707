"""Answers as Payload gives them behind Next.js: JSON, its errors, and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.responses import Response

HEADERS = {
    "vary": "Sec-CH-Prefers-Color-Scheme, rsc, next-router-state-tree, next-router-prefetch, "
    "next-router-segment-prefetch, Accept-Encoding",
    "x-powered-by": "Next.js, Payload",
}
NO_PAGE = '<!DOCTYPE html><html lang="en"><head><title>404: This page could not be found.</title></head></html>'


class PayloadError(Exception):
    """An answer other than 2xx."""

    def __init__(self, status: int, message: str, *, name: str | None = None, data: Any = None) -> None:
        super().__init__(status, message)
        self.status = status
        error = {"name": name, "data": data, "message": message} if name else {"message": message}
        self.body: dict[str, Any] = {"errors": [error]}


class NoRoute(PayloadError):
    """The one error of another shape."""

    def __init__(self, path: str) -> None:
        super().__init__(404, path)
        self.body = {"message": f'Route not found "{path}"'}


def not_found() -> PayloadError:
    return PayloadError(404, "Not Found")


def not_allowed() -> PayloadError:
    return PayloadError(403, "You are not allowed to perform this action.")


def broken() -> PayloadError:
    """What the database did not understand."""
    return PayloadError(500, "Something went wrong.")


def no_such_path(path: str) -> PayloadError:
    """Names are minified in a production build."""
    message = f"The following path cannot be queried: {path}"
    return PayloadError(400, message, name="i", data=[{"path": path}])


def invalid(collection: str, problems: Sequence[Mapping[str, str]]) -> PayloadError:
    names = ", ".join(problem.get("label", problem["path"]) for problem in problems)
    told = "field is" if len(problems) == 1 else "fields are"
    data = {"collection": collection, "errors": list(problems)}
    return PayloadError(400, f"The following {told} invalid: {names}", name="j", data=data)


def not_supported(what: str) -> PayloadError:
    """Payload has it, the simulator does not: say so rather than pretend."""
    return PayloadError(501, f"The sandbox does not support {what}.")


def answer(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, {**HEADERS, "content-type": "application/json"})


def no_page() -> Response:
    """Next.js's own, for what is no route of Payload's."""
    return Response(NO_PAGE, 404, {**HEADERS, "content-type": "text/html; charset=utf-8"})


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    return iso(datetime.now(UTC))
