"""What the commerce tests stand on: the simulated shop in process, the core store in memory, callers of every kind."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from core import operation
from core.backends import BackendName
from core.principals import BackendScope, Principal, PrincipalKind
from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, UserRole
from core.settings import ErpnextSettings, FleetbaseSettings, MedusaSettings
from datasources import Sources
from datasources.erpnext import Erpnext
from datasources.fleetbase import Fleetbase
from datasources.medusa import Medusa
from datasources.mongo import BackendScopeRecord, ClientRecord, Mongo, OwnershipRecord, UserRecord, UserStatus
from resolvers.context import Context
from sandbox import medusa as simulator
from sandbox.app import create_app
from sandbox.faults import FaultLine
from sandbox.keys import (
    ERPNEXT_API_KEY,
    ERPNEXT_API_SECRET,
    FLEETBASE_API_KEY,
    MEDUSA_API_KEY,
    MEDUSA_PUBLISHABLE_KEY,
)
from sandbox.store import Store
from sandbox.world import REGION_EUR, Client, Person, World

WORLD = World(datetime(2026, 6, 1, tzinfo=UTC))
MEDUSA = MedusaSettings(api_key=SecretStr(MEDUSA_API_KEY), publishable_key=SecretStr(MEDUSA_PUBLISHABLE_KEY))
ERPNEXT = ErpnextSettings(api_key=SecretStr(ERPNEXT_API_KEY), api_secret=SecretStr(ERPNEXT_API_SECRET))


class MemoryMongo(Mongo):
    """The core store's people, clients and ownership, in dictionaries. Counts its calls."""

    def __init__(self) -> None:
        self.users_by_id = {person.id: _user(person) for person in WORLD.people}
        self.clients_by_id = {client.id: _record(client) for client in WORLD.clients}
        self.ownership: dict[tuple[BackendName, str], OwnershipRecord] = {}
        self.calls: list[str] = []

    async def users_by_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        self.calls.append("users_by_ids")
        return [self.users_by_id[each] for each in ids if each in self.users_by_id]

    async def users_by_medusa_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        self.calls.append("users_by_medusa_customer_ids")
        return [user for user in self.users_by_id.values() if set(user.medusa_customer_ids) & set(ids)]

    async def clients_by_ids(self, ids: Sequence[str]) -> list[ClientRecord]:
        self.calls.append("clients_by_ids")
        return [self.clients_by_id[each] for each in ids if each in self.clients_by_id]

    async def add_medusa_customer_id(self, user_id: str, customer_id: str) -> None:
        user = self.users_by_id[user_id]
        ids = tuple(dict.fromkeys((*user.medusa_customer_ids, customer_id)))
        self.users_by_id[user_id] = msgspec.structs.replace(user, medusa_customer_ids=ids)

    async def record_ownership(self, backend: BackendName, id: str, client_id: str | None, user_id: str | None) -> None:
        record = OwnershipRecord(
            backend=backend.name, row_id=id, client_id=client_id, user_id=user_id, created_at=datetime.now(UTC)
        )
        self.ownership.setdefault((backend, id), record)

    async def owner(self, backend: BackendName, id: str) -> OwnershipRecord | None:
        return self.ownership.get((backend, id))


@dataclass
class Shop:
    """The simulator (its rows, its faults and the calls it has seen) behind the real datasource."""

    medusa: Medusa
    store: Store
    line: FaultLine
    mongo: MemoryMongo = field(default_factory=MemoryMongo)
    others: dict[str, Any] = field(default_factory=dict)
    """Further sources by name."""
    lines: dict[str, FaultLine] = field(default_factory=dict)
    """Every backend's calls, by its name."""

    def context(self, principal: Principal) -> Context:
        """As an entrance makes one, in an operation of its own. What is not here is None."""
        operation.enter(operation.Operation())
        nothing: dict[str, Any] = dict.fromkeys(source.name for source in fields(Sources))
        return Context(Sources(**{**nothing, "medusa": self.medusa, "mongo": self.mongo, **self.others}), principal)

    @property
    def paths(self) -> list[str]:
        """What the shop was asked, in order."""
        return [f"{call.method} {call.path}" for call in self.line.calls]

    @property
    def new_orders(self) -> list[str]:
        """The ids of orders that are not of the demo world."""
        return [row["id"] for row in self.store.rows("order")[len(WORLD.orders) :]]


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    """The shop alone."""
    store = Store(None)
    store.seed(simulator.seed)
    line = FaultLine(simulator.create_app(store))
    medusa = Medusa(_client(Starlette(routes=[Mount("/medusa", line)]), "medusa"), MEDUSA)
    try:
        yield Shop(medusa, store, line)
    finally:
        await medusa.aclose()
        store.close()


@asynccontextmanager
async def open_market() -> AsyncIterator[Shop]:
    """The shop with its couriers and its books."""
    app = create_app(None)
    lines, stores = app.state.lines, app.state.stores
    medusa = Medusa(_client(app, "medusa"), MEDUSA)
    fleetbase = Fleetbase(_client(app, "fleetbase", f"Bearer {FLEETBASE_API_KEY}"), FleetbaseSettings())
    erpnext = Erpnext(_client(app, "erpnext"), ERPNEXT)
    try:
        others = {"fleetbase": fleetbase, "erpnext": erpnext}
        yield Shop(medusa, stores["medusa"], lines["medusa"], others=others, lines=lines)
    finally:
        for source in (medusa, fleetbase, erpnext):
            await source.aclose()
        for store in stores.values():
            store.close()


def _client(app: Starlette, backend: str, authorization: str | None = None) -> httpx.AsyncClient:
    headers = {"Authorization": authorization} if authorization else {}
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(base_url=f"http://sandbox/{backend}", transport=transport, headers=headers)


SERVICE = Principal(PrincipalKind.SERVICE, ALL_SCOPES)


def person(role: str, client: int = 0, n: int = 0) -> Person:
    """The n-th person of a role of a client of the demo world."""
    return [each for each in WORLD.people if each.role == role and each.client is WORLD.clients[client]][n]


def user(someone: Person) -> Principal:
    """Signed in as somebody of the demo world."""
    role = UserRole(someone.role)
    return Principal(
        PrincipalKind.USER,
        ROLE_SCOPES[role],
        client_app_id=someone.client.app.id,
        client_id=someone.client.id,
        user_id=someone.id,
        role=role,
        email=someone.email,
        medusa_customer_ids=_user(someone).medusa_customer_ids,
        backend_scope=_scope(someone.client),
    )


def client(n: int = 0) -> Principal:
    """A client of the demo world, by its key."""
    of = WORLD.clients[n]
    return Principal(
        PrincipalKind.CLIENT, CLIENT_SCOPES, client_app_id=of.app.id, client_id=of.id, backend_scope=_scope(of)
    )


def platform(*, server_side: bool) -> Principal:
    """The second platform of the demo world, alone."""
    app = WORLD.apps[1]
    clients = [each for each in WORLD.clients if each.app is app] if server_side else []
    return Principal(
        PrincipalKind.PLATFORM,
        CLIENT_SCOPES,
        client_app_id=app.id,
        client_ids=tuple(each.id for each in clients),
        backend_scope=_scope(*clients),
        is_server_side=server_side,
    )


def _scope(*clients: Client) -> BackendScope:
    return BackendScope(
        medusa_sales_channel_ids=tuple(each.channel_id for each in clients),
        erp_companies=tuple(each.company for each in clients),
        erp_warehouses=tuple(each.warehouse for each in clients),
    )


def _user(of: Person) -> UserRecord:
    return UserRecord(
        id=of.id,
        client_id=of.client.id,
        email=of.email,
        name=of.name,
        role=UserRole(of.role),
        status=UserStatus.ACTIVE,
        medusa_customer_ids=(of.medusa_id,) if of.role == "CUSTOMER" else (),
        created_at=of.created_at,
        updated_at=of.created_at,
    )


def _record(of: Client) -> ClientRecord:
    return ClientRecord(
        id=of.id,
        name=of.name,
        code=of.code,
        client_app_id=of.app.id,
        backend_scope=BackendScopeRecord(medusa_sales_channel_ids=(of.channel_id,), medusa_region_id=REGION_EUR),
        created_at=WORLD.anchor,
        updated_at=WORLD.anchor,
    )
