"""The REST layer as its callers meet it."""

from __future__ import annotations

import asyncio
from contextvars import Context
from dataclasses import dataclass
from typing import Any

import httpx
from fastapi import FastAPI

from tests.access.callers import Caller
from tests.fulfilment import Company


@dataclass
class Counter:
    """`callers` are those of the access tests, by name, and `narrow`: a manager whose token may do nothing of what
    routes need."""

    app: FastAPI
    company: Company
    callers: dict[str, Caller]

    async def ask(
        self,
        method: str,
        path: str,
        caller: str | None = "service",
        *,
        headers: dict[str, str] | None = None,
        **sent: Any,
    ) -> httpx.Response:
        """As on a server, where no request begins in the context of another. No caller: no credentials."""
        shown = {} if caller is None else dict(self.callers[caller].headers)
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            asked = client.request(method, path, headers=shown | (headers or {}), **sent)
            return await asyncio.create_task(asked, context=Context())

    async def data(self, method: str, path: str, caller: str = "service", **sent: Any) -> Any:
        """The data of a gateway route's answer. Fails when it was refused."""
        answer = await self.ask(method, f"/api/gateway{path}", caller, **sent)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json()["data"]
