"""What the logistics tests stand on: the simulated couriers in process, beside the simulated shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import httpx
from pydantic import SecretStr

from core.backends import BackendName
from core.principals import Principal
from core.settings import FleetbaseSettings
from datasources.fleetbase import Fleetbase
from datasources.mongo import OwnershipRecord
from resolvers.context import Context
from sandbox import fleetbase as simulator
from sandbox.faults import FaultLine
from sandbox.keys import FLEETBASE_API_KEY
from sandbox.store import Store
from sandbox.world import short
from tests.commerce import WORLD, MemoryMongo, Shop, open_shop


class LogisticsMongo(MemoryMongo):
    """With what the ownership collection is asked about many rows."""

    async def owners(self, backend: BackendName, ids: Sequence[str]) -> list[OwnershipRecord]:
        self.calls.append("owners")
        return [self.ownership[backend, each] for each in ids if (backend, each) in self.ownership]

    async def owned(
        self,
        backend: BackendName,
        *,
        limit: int,
        client_ids: Sequence[str] | None = None,
        user_id: str | None = None,
        before: datetime | None = None,
    ) -> list[OwnershipRecord]:
        self.calls.append("owned")
        rows = [
            row
            for (of, _), row in self.ownership.items()
            if of is backend
            and (client_ids is None or row.client_id in client_ids)
            and (user_id is None or row.user_id == user_id)
            and (before is None or row.created_at < before)
        ]
        return sorted(rows, key=lambda row: row.created_at, reverse=True)[:limit]


@dataclass
class Couriers:
    """The simulator (its rows, its faults and the calls it has seen) behind the real datasource."""

    fleetbase: Fleetbase
    store: Store
    line: FaultLine

    @property
    def paths(self) -> list[str]:
        """What Fleetbase was asked, in order."""
        return [f"{call.method} {call.path}" for call in self.line.calls]

    @property
    def new_deliveries(self) -> list[dict[str, Any]]:
        """Those that are not of the demo world."""
        return [row for row in self.store.rows("order") if int(row["id"].removeprefix("order_demo")) > 100_000]

    def change(self, n: int, **changes: object) -> None:
        """Change the delivery of the demo world's n-th order."""
        row = self.store.get("order", short("order", n)) or {}
        self.store.put("order", row["id"], {**row, **changes})


@asynccontextmanager
async def open_couriers(options: simulator.Options = simulator.Options()) -> AsyncIterator[Couriers]:  # noqa: B008
    store = Store(None)
    store.seed(simulator.seed)
    line = FaultLine(simulator.create_app(store, options))
    client = httpx.AsyncClient(
        base_url="http://sandbox",
        transport=httpx.ASGITransport(line),
        headers={"Authorization": f"Bearer {FLEETBASE_API_KEY}"},
    )
    settings = FleetbaseSettings(api_key=SecretStr(FLEETBASE_API_KEY), rate_per_minute=None)
    fleetbase = Fleetbase(client, settings)
    try:
        yield Couriers(fleetbase, store, line)
    finally:
        await fleetbase.aclose()
        store.close()


@dataclass
class Yard:
    """Shop and couriers, as a resolver has them."""

    shop: Shop
    couriers: Couriers
    mongo: LogisticsMongo

    def context(self, principal: Principal) -> Context:
        ctx = self.shop.context(principal)
        return Context(replace(ctx.sources, fleetbase=self.couriers.fleetbase, mongo=self.mongo), principal)

    def forget_calls(self) -> None:
        self.shop.line.calls.clear()
        self.couriers.line.calls.clear()
        self.mongo.calls.clear()


@asynccontextmanager
async def open_yard() -> AsyncIterator[Yard]:
    async with open_shop() as shop, open_couriers() as couriers:
        yield Yard(shop, couriers, LogisticsMongo())


def delivered(client: int | None = None) -> list[str]:
    """The ids of deliveries that have an order, newest first: all of them, or those of a client."""
    orders = [order for order in WORLD.delivered if client is None or order.client is WORLD.clients[client]]
    return [short("order", order.n) for order in reversed(orders)]
