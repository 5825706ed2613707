"""What one path does with each method."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from core.errors import NotFound
from rest.envelope import Told, told
from rest.request_ids import request_id

Answer = Callable[[Request], Awaitable[Response]]
Refuse = Callable[[Request, Told], Response]


log = logging.getLogger("omnistack.errors")

_MASKED: Told = {
    "message": "Something went wrong inside the gateway; quote the request id.",
    "extensions": {"code": "INTERNAL", "retryable": False},
}


class Methods:
    """An ASGI application. HEAD is GET without the body; methods that are not there are refused as `refuse` does, and
    without any the path itself is not there. What nobody has foreseen is masked."""

    def __init__(self, methods: Mapping[str, Answer], refuse: Refuse) -> None:
        self._methods = methods
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request)
        except ClientDisconnect:
            return  # nobody is there to be told
        except Exception:
            log.exception("masked error", extra={"request_id": request_id(request)})
            answer = self._refuse(request, _MASKED)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        serve = self._methods.get("GET" if request.method == "HEAD" else request.method)
        if serve is None:
            return self._refused(request)
        answer = await serve(request)
        if request.method != "HEAD":
            return answer
        return _without_body(answer)

    def _refused(self, request: Request) -> Response:
        if not self._methods:
            return self._refuse(request, told(NotFound("there is no such route"), request))
        allowed = ", ".join(sorted([*self._methods, *(["HEAD"] if "GET" in self._methods else [])]))
        error = {"message": f"this route takes {allowed}", "extensions": {"code": "METHOD_NOT_ALLOWED"}}
        refused = self._refuse(request, error)
        refused.headers["Allow"] = allowed
        return refused


def _without_body(answer: Response) -> Response:
    bare = Response(status_code=answer.status_code)
    bare.raw_headers = answer.raw_headers
    return bare
