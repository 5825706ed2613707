"""What the ERP tests stand on: the simulated books beside the simulated shop, both behind the real datasources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import httpx
import msgspec
from pydantic import SecretStr

from core.principals import BackendScope, Principal
from core.settings import ErpnextSettings
from datasources.erpnext import Erpnext
from datasources.mongo import BackendScopeRecord, LinkedAccountsRecord, UserRecord
from resolvers.context import Context
from sandbox import erpnext as simulator
from sandbox.faults import FaultLine
from sandbox.keys import ERPNEXT_API_KEY, ERPNEXT_API_SECRET
from sandbox.store import Row, Store
from sandbox.world import Client, Person
from tests import commerce
from tests.commerce import WORLD, MemoryMongo, Shop, open_shop

WALK_INS = 3
"""Invoices of the demo world that are for no order."""


class ErpMongo(MemoryMongo):
    """The core store, with everybody's part of the ERP."""

    def __init__(self) -> None:
        super().__init__()
        for person in WORLD.customers:
            linked = LinkedAccountsRecord(erp_customer_id=person.erp_id)
            known = self.users_by_id[person.id]
            self.users_by_id[person.id] = msgspec.structs.replace(known, linked_accounts=linked)
        for client in WORLD.clients:
            scope = BackendScopeRecord(
                medusa_sales_channel_ids=(client.channel_id,),
                erp_company=client.company,
                erp_warehouse=client.warehouse,
            )
            self.clients_by_id[client.id] = msgspec.structs.replace(self.clients_by_id[client.id], backend_scope=scope)

    async def users_by_erp_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        self.calls.append("users_by_erp_customer_ids")
        return [user for user in self.users_by_id.values() if user.linked_accounts.erp_customer_id in ids]


@dataclass
class Books:
    """`store` holds the ERP's rows, `line` the calls that it has seen."""

    erpnext: Erpnext
    store: Store
    line: FaultLine
    shop: Shop
    mongo: ErpMongo

    def context(self, principal: Principal) -> Context:
        """As an entrance makes one, in an operation of its own."""
        ctx = self.shop.context(principal)
        ctx.sources = replace(ctx.sources, erpnext=self.erpnext, mongo=self.mongo)
        self.line.calls.clear()
        return ctx

    @property
    def calls(self) -> int:
        """How often the ERP was asked since the last context was made."""
        return len(self.line.calls)

    @property
    def made(self) -> list[Row]:
        """Invoices that are not of the demo world."""
        return self.store.rows("Sales Invoice")[len(WORLD.invoiced) + WALK_INS :]

    def change(self, order_id: str, **changes: object) -> str:
        """Change the invoice of an order of the demo world. Gives its name."""
        rows = self.store.rows("Sales Invoice")
        row = next(row for row in rows if row["custom_commerce_order_id"] == order_id)
        self.store.put("Sales Invoice", row["name"], {**row, **changes})
        return str(row["name"])


@asynccontextmanager
async def open_books(company: str | None = None) -> AsyncIterator[Books]:
    """`company` is the one that services invoice for unless they say otherwise."""
    store = Store(None)
    store.seed(simulator.seed)
    line = FaultLine(simulator.create_app(store))
    settings = ErpnextSettings(
        api_key=SecretStr(ERPNEXT_API_KEY), api_secret=SecretStr(ERPNEXT_API_SECRET), company=company
    )
    client = httpx.AsyncClient(base_url="http://books", transport=httpx.ASGITransport(app=line))
    async with open_shop() as shop:
        erpnext = Erpnext(client, settings)
        try:
            yield Books(erpnext, store, line, shop, ErpMongo())
        finally:
            await erpnext.aclose()
            store.close()


def user(someone: Person) -> Principal:
    """Signed in as somebody of the demo world."""
    erp_id = someone.erp_id if someone.role == "CUSTOMER" else None
    return replace(commerce.user(someone), erp_customer_id=erp_id, backend_scope=_scope(someone.client))


def client(n: int = 0) -> Principal:
    """A client of the demo world, by its key."""
    return replace(commerce.client(n), backend_scope=_scope(WORLD.clients[n]))


def platform(*, server_side: bool) -> Principal:
    """The second platform of the demo world, alone."""
    alone = commerce.platform(server_side=server_side)
    return replace(alone, backend_scope=_scope(*(each for each in WORLD.clients if each.id in alone.client_ids)))


def _scope(*clients: Client) -> BackendScope:
    return BackendScope(
        medusa_sales_channel_ids=tuple(client.channel_id for client in clients),
        erp_companies=tuple(client.company for client in clients),
        erp_warehouses=tuple(client.warehouse for client in clients),
    )
