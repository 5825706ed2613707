"""A worker at a served gateway's workflows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.access.gateway import Served
from workflows.worker import build_worker

ENDED_S = 30.0
NOBODYS = "order-fulfillment-" + "0" * 16
"""How the ids of those workflows begin that stand in a queue without worker."""


@asynccontextmanager
async def working(served: Served) -> AsyncIterator[None]:
    """From when every workflow has closed that was waiting for a worker."""
    company = served.company
    waiting = [row.key for row in served.rows["Workflow"] if not row.key.startswith(NOBODYS)]
    async with build_worker(company.sources.temporal._client, company.settings, company.sources):
        async with asyncio.timeout(ENDED_S):
            await asyncio.gather(*[company.end(key) for key in waiting])
        yield
