"""`GET /api/gateway/health`: how every system is doing and how quickly it answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from core.backends import BackendName
from core.errors import GatewayError
from rest.bodies import json_response
from rest.caching import NO_STORE
from rest.envelope import failed, meta_of, told
from rest.limits import tell_allowance
from rest.operations import Operations, Outcome, document

_DOCUMENT = document(
    "GET_health", "Query.health", "", "status systems { name status latencyMs mode circuit message } checkedAt", {}
)


def answer(operations: Operations) -> Callable[[Request], Awaitable[Response]]:
    """Its callers read `status` and `systems` from the answer itself, so that they stand there as well as in `data`."""

    async def serve(request: Request) -> Response:
        try:
            ctx = await operations.admitted(request, _DOCUMENT)
            outcome = await operations.execute(ctx, _DOCUMENT, {})
        except GatewayError as exc:
            made = failed(request, BackendName.OMNISTACK, told(exc, request))
        else:
            made = _answer(request, outcome)
        tell_allowance(request, made)
        made.headers.update(NO_STORE)
        return made

    return serve


def _answer(request: Request, outcome: Outcome) -> Response:
    if outcome.value is None:
        error = outcome.error or told(GatewayError("the systems cannot be looked at"), request)
        return failed(request, BackendName.OMNISTACK, error)
    data = _data(outcome.value)
    meta = meta_of(request, BackendName.OMNISTACK.value)
    return json_response({"success": True, **data, "data": data, "meta": meta})


def _data(health: dict[str, Any]) -> dict[str, Any]:
    systems = {system["name"].lower(): _system(system) for system in health["systems"]}
    return {"status": health["status"].lower(), "systems": systems, "checkedAt": health["checkedAt"]}


def _system(system: dict[str, Any]) -> dict[str, Any]:
    """`latency` in milliseconds."""
    latency = system["latencyMs"]
    told_of = {
        "status": system["status"].lower(),
        "latency": None if latency is None else round(latency),
        "mode": system["mode"].lower(),
        "circuit": system["circuit"].lower(),
    }
    return told_of | ({"message": system["message"]} if system["message"] else {})
