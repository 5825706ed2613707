"""`/livez` and `/readyz`, for whoever keeps the gateway running."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from core.backends import BackendName
from rest.gateway import gateway_of

NEEDED = frozenset({BackendName.OMNISTACK, BackendName.TEMPORAL})
"""Without these nothing works; a backend behind a field costs that field only."""


def probes() -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/livez")
    async def livez() -> PlainTextResponse:
        """The process lives and its event loop turns."""
        return PlainTextResponse("alive")

    @router.get("/readyz")
    async def readyz(request: Request) -> JSONResponse:
        """MongoDB and Temporal answer. The rest was ready before the first request was accepted."""
        measured = await gateway_of(request).sources.health.measure()
        absent = [system.name.name for system in measured.systems if system.name in NEEDED and not system.is_up]
        return JSONResponse({"ready": not absent, "waitingFor": absent}, status_code=503 if absent else 200)

    return router
