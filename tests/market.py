"""The demo company in a test: its simulators behind the real datasources, and the core store in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from core import operation
from core.backends import BackendName
from core.operation import Operation
from core.principals import Principal
from core.scopes import UserRole
from core.signals import LocalSignals
from datasources import HttpBackends, Sources
from datasources.erpnext import Erpnext
from datasources.fleetbase import Fleetbase
from datasources.medusa import Medusa
from datasources.mongo import (
    BackendScopeRecord,
    BuyerRecord,
    ClientRecord,
    LinkedAccountsRecord,
    Mongo,
    OwnershipRecord,
    UserRecord,
    UserStatus,
)
from datasources.payload import Payload
from datasources.redis import Shared
from resolvers.context import Context
from sandbox.erpnext.seeding import WALK_INS
from sandbox.faults import FaultLine
from sandbox.store import Row, Store
from sandbox.world import REGION_EUR, Client, Person, short
from tests.callers import WORLD


class MemoryMongo(Mongo):
    """The core store's people, clients and ownership, in dictionaries. Counts its calls."""

    def __init__(self) -> None:
        self.users_by_id = {person.id: _user(person) for person in WORLD.people}
        self.clients_by_id = {client.id: _client(client) for client in WORLD.clients}
        self.ownership: dict[tuple[BackendName, str], OwnershipRecord] = {}
        self.calls: list[str] = []

    async def users_by_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        self.calls.append("users_by_ids")
        return [self.users_by_id[each] for each in ids if each in self.users_by_id]

    async def buyers_by_medusa_customer_ids(self, ids: Sequence[str]) -> list[BuyerRecord]:
        self.calls.append("buyers_by_medusa_customer_ids")
        return [self._buyer(user) for user in self.users_by_id.values() if set(user.medusa_customer_ids) & set(ids)]

    async def buyers_by_erp_customer_ids(self, ids: Sequence[str]) -> list[BuyerRecord]:
        self.calls.append("buyers_by_erp_customer_ids")
        users = [user for user in self.users_by_id.values() if user.linked_accounts.erp_customer_id in ids]
        return [self._buyer(user) for user in users]

    def _buyer(self, user: UserRecord) -> BuyerRecord:
        return BuyerRecord(user, self.clients_by_id[user.client_id].backend_scope or BackendScopeRecord())

    async def users_by_erp_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        self.calls.append("users_by_erp_customer_ids")
        return [user for user in self.users_by_id.values() if user.linked_accounts.erp_customer_id in ids]

    async def clients_by_ids(self, ids: Sequence[str]) -> list[ClientRecord]:
        self.calls.append("clients_by_ids")
        return [self.clients_by_id[each] for each in ids if each in self.clients_by_id]

    async def add_medusa_customer_id(self, user_id: str, customer_id: str) -> bool:
        user = self.users_by_id[user_id]
        ids = tuple(dict.fromkeys((*user.medusa_customer_ids, customer_id)))
        self.users_by_id[user_id] = msgspec.structs.replace(user, medusa_customer_ids=ids)
        return ids != user.medusa_customer_ids

    async def record_ownership(
        self, backend: BackendName, id: str, client_id: str | None, user_id: str | None, *, kind: str | None = None
    ) -> None:
        record = OwnershipRecord(
            backend=backend.name,
            row_id=id,
            client_id=client_id,
            user_id=user_id,
            kind=kind,
            created_at=datetime.now(UTC),
        )
        self.ownership.setdefault((backend, id), record)

    async def forget_ownership(self, backend: BackendName, id: str) -> None:
        self.ownership.pop((backend, id), None)

    async def owner(self, backend: BackendName, id: str) -> OwnershipRecord | None:
        return self.ownership.get((backend, id))

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
        kind: str | None = None,
    ) -> list[OwnershipRecord]:
        self.calls.append("owned")
        rows = [
            row
            for (of, _), row in self.ownership.items()
            if of is backend
            and kind in (None, row.kind)
            and (client_ids is None or row.client_id in client_ids)
            and (user_id is None or row.user_id == user_id)
            and (before is None or row.created_at < before)
        ]
        return sorted(rows, key=lambda row: row.created_at, reverse=True)[:limit]


@dataclass
class Simulator:
    """`store` holds its rows, `line` the calls it has seen and its faults."""

    store: Store
    line: FaultLine

    @property
    def paths(self) -> list[str]:
        """What was asked of it, in order."""
        return [f"{call.method} {call.path}" for call in self.line.calls]


@dataclass
class Shop(Simulator):
    medusa: Medusa

    @property
    def new_orders(self) -> list[str]:
        """The ids of orders that are not of the demo world."""
        return [row["id"] for row in self.store.rows("order")[len(WORLD.orders) :]]


@dataclass
class Couriers(Simulator):
    fleetbase: Fleetbase

    @property
    def new_deliveries(self) -> list[Row]:
        """Those that are not of the demo world."""
        return [row for row in self.store.rows("order") if int(row["id"].removeprefix("order_demo")) > 100_000]

    def change(self, n: int, **changes: object) -> None:
        """Change the delivery of the demo world's n-th order."""
        row = self.store.get("order", short("order", n)) or {}
        self.store.put("order", row["id"], {**row, **changes})


@dataclass
class Books(Simulator):
    erpnext: Erpnext

    @property
    def calls(self) -> int:
        """How often the running operation has asked, which began with the last context."""
        return sum(call.backend is BackendName.ERPNEXT for call in operation.current().calls)

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


@dataclass
class Content(Simulator):
    payload: Payload

    def change(self, collection: str, named: str, /, **changes: object) -> str:
        """Change the document that has this slug. Gives its id."""
        row = next(row for row in self.store.rows(collection) if row["slug"] == named)
        self.store.put(collection, str(row["id"]), {**row, **changes})
        return str(row["id"])


@dataclass
class Market:
    """Everything that a resolver of the shop, the couriers, the books or the content meets."""

    shop: Shop
    couriers: Couriers
    books: Books
    content: Content
    mongo: MemoryMongo
    signals: LocalSignals
    backends: HttpBackends

    def context(self, principal: Principal) -> Context:
        """As an entrance makes one, in an operation of its own, of a worker that remembers no rows yet."""
        operation.enter(Operation())
        absent: dict[str, Any] = dict.fromkeys(("temporal", "health", "settings"))
        sources = Sources(**vars(self.backends), **absent, mongo=self.mongo, shared=Shared(self.signals))
        return Context(sources, principal)

    def forget_calls(self) -> None:
        self.mongo.calls.clear()
        for simulator in (self.shop, self.couriers, self.books, self.content):
            simulator.line.calls.clear()


def delivered(client: int | None = None) -> list[str]:
    """The ids of deliveries that have an order, newest first: all of them, or those of a client."""
    orders = [order for order in WORLD.delivered if client is None or order.client is WORLD.clients[client]]
    return [short("order", order.n) for order in reversed(orders)]


def _user(of: Person) -> UserRecord:
    is_customer = of.role == "CUSTOMER"
    return UserRecord(
        id=of.id,
        client_id=of.client.id,
        email=of.email,
        name=of.name,
        role=UserRole(of.role),
        status=UserStatus.ACTIVE,
        medusa_customer_ids=(of.medusa_id,) if is_customer else (),
        linked_accounts=LinkedAccountsRecord(erp_customer_id=of.erp_id if is_customer else None),
        created_at=of.created_at,
        updated_at=of.created_at,
    )


def _client(of: Client) -> ClientRecord:
    return ClientRecord(
        id=of.id,
        name=of.name,
        code=of.code,
        client_app_id=of.app.id,
        backend_scope=BackendScopeRecord(
            medusa_sales_channel_ids=(of.channel_id,),
            medusa_region_id=REGION_EUR,
            erp_company=of.company,
            erp_warehouse=of.warehouse,
            payload_tenant=of.code,
        ),
        created_at=WORLD.anchor,
        updated_at=WORLD.anchor,
    )
