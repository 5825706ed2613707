"""`GET /status/{number}`: a status list, for whoever checks one of our credentials. It is public and names nobody."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from core import operation
from core.errors import BackendError
from resolvers.status_lists import StatusLists
from rest.gateway import gateway_of

TIMEOUT_S = 5.0
MAX_AGE_S = 60
"""How long others may go by what they have heard. A revocation counts everywhere after that."""
_NUMBER = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


def status_lists() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/status/{number}")
    async def status_list(request: Request, number: str) -> Response:
        """The signed credential as it is, for that is what verifiers ask for; 404 for a list that there is not, 503
        while that cannot be told."""
        if not _NUMBER.fullmatch(number):
            return PlainTextResponse("there is no such list", 404)
        with operation.running(operation.within(TIMEOUT_S)):
            try:
                token = await _lists(request).token(int(number))
            except BackendError:
                return PlainTextResponse("the list cannot be read now", 503, {"Retry-After": "1"})
        if token is None:
            return PlainTextResponse("there is no such list", 404)
        return PlainTextResponse(token, headers={"Cache-Control": f"public, max-age={MAX_AGE_S}"})

    return router


def _lists(request: Request) -> StatusLists:
    """One for the gateway that serves this request."""
    gateway, state = gateway_of(request), request.app.state
    kept: tuple[object, StatusLists] | None = getattr(state, "status_lists", None)
    if kept is None or kept[0] is not gateway:
        kept = state.status_lists = (gateway, StatusLists(gateway.sources))
    return kept[1]
