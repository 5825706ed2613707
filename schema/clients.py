"""Platforms (client apps) and the companies that use them (clients)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.mongo import BackendScopeRecord, ClientAppRecord, ClientRecord
from resolvers import clients, families, invoices, orders, users
from resolvers.clients import ClientAppById, ClientWanted
from schema.directives import requires
from schema.families import Family
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection
from schema.scalars import CurrencyCode, Place, Scope
from schema.users import User, UserFilter, users_wanted

if TYPE_CHECKING:
    from schema.invoices import Invoice, InvoiceFilter
    from schema.orders import Order, OrderFilter


@strawberry.input(description="Narrows a list of clients.")
class ClientFilter:
    is_active: bool | None = strawberry.UNSET
    search: str | None = strawberry.field(default=strawberry.UNSET, description="Part of the name or the code.")


def clients_wanted(filter: ClientFilter | None, app_id: str | None = None) -> ClientWanted:
    if not filter:
        return ClientWanted(app_id=app_id)
    return ClientWanted(
        is_active=filter.is_active if isinstance(filter.is_active, bool) else None,
        search=filter.search or None,
        app_id=app_id,
    )


@strawberry.type(description="Which part of each backend is a client's; what is not set gives nothing.")
class BackendScope:
    medusa_sales_channel_ids: list[strawberry.ID]
    medusa_region_id: strawberry.ID | None
    erp_company: str | None
    erp_warehouse: str | None
    strapi_customer_ids: list[strawberry.ID]
    payload_tenant: str | None
    pickup: Place | None = strawberry.field(description="Where its deliveries start.")


@strawberry.type(description="A company that uses a platform.")
class Client:
    id: strawberry.ID
    external_id: strawberry.ID | None = strawberry.field(description="The platform's own id of this client.")
    name: str
    code: str = strawberry.field(description="Short name, unique on its platform.")
    default_currency: CurrencyCode
    is_active: bool
    key_hint: str | None = strawberry.field(
        description="The last four characters of the key; the key itself is shown once, when it is issued."
    )
    key_expires_at: datetime | None
    app: Annotated[ClientApp, strawberry.lazy("schema.clients")] | None = link(
        ClientAppById, key="client_app_id", description="The platform that it uses."
    )
    created_at: datetime
    updated_at: datetime

    @strawberry.field(description="Which part of each backend is this client's; what is not set gives nothing.")
    def backend_scope(parent: strawberry.Parent[ClientRecord]) -> BackendScope | None:
        scope: BackendScopeRecord | None = parent.backend_scope
        return scope

    @strawberry.field(description="Its people, newest first.", directives=[requires("core:read")])
    async def users(
        parent: strawberry.Parent[ClientRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: UserFilter | None = strawberry.UNSET,
    ) -> Connection[User] | None:
        wanted = users_wanted(filter, client_id=parent.id)
        return await users.users(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="Its families, newest first.", directives=[requires("core:read")])
    async def families(
        parent: strawberry.Parent[ClientRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
    ) -> Connection[Family] | None:
        return await families.families(info.context, first=first, after=given(after), client_id=parent.id)

    @strawberry.field(description="Orders in its sales channels, newest first.", directives=[requires("commerce:read")])
    async def orders(
        parent: strawberry.Parent[ClientRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: Annotated[OrderFilter, strawberry.lazy("schema.orders")] | None = strawberry.UNSET,
    ) -> Connection[Annotated[Order, strawberry.lazy("schema.orders")]] | None:
        wanted = filter.wanted() if filter else None
        return await orders.orders_of_client(info.context, parent, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="Invoices of its company, newest first.", directives=[requires("erp:read")])
    async def invoices(
        parent: strawberry.Parent[ClientRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: Annotated[InvoiceFilter, strawberry.lazy("schema.invoices")] | None = strawberry.UNSET,
    ) -> Connection[Annotated[Invoice, strawberry.lazy("schema.invoices")]] | None:
        wanted = filter.wanted() if filter else None
        return await invoices.invoices_of_client(info.context, parent, first=first, after=given(after), wanted=wanted)


@strawberry.type(description="A platform whose clients use the gateway, such as BookMaster.")
class ClientApp:
    id: strawberry.ID
    name: str
    scopes: list[Scope] = strawberry.field(description="What its key may do; its clients' keys are cut to it.")
    is_active: bool
    key_hint: str | None = strawberry.field(description="The last four characters of the key.")
    key_expires_at: datetime | None
    is_server_side: bool = strawberry.field(
        description="Its key never leaves a server, so that it may read its clients' data without a client key."
    )
    created_at: datetime
    updated_at: datetime

    @strawberry.field(description="Its clients, newest first.", directives=[requires("core:read")])
    async def clients(
        parent: strawberry.Parent[ClientAppRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: ClientFilter | None = strawberry.UNSET,
    ) -> Connection[Client] | None:
        wanted = clients_wanted(filter, app_id=parent.id)
        return await clients.clients(info.context, first=first, after=given(after), wanted=wanted)


@strawberry.type
class ClientQuery:
    @strawberry.field(description="Platforms, newest first.", directives=[requires("core:read")])
    async def client_apps(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[ClientApp] | None:
        return await clients.client_apps(info.context, first=first, after=given(after))

    @strawberry.field(description="One platform.", directives=[requires("core:read")])
    async def client_app(self, info: Info, id: strawberry.ID) -> ClientApp | None:
        return await clients.client_app(info.context, id)

    @strawberry.field(description="Clients, newest first.", directives=[requires("core:read")])
    async def clients(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: ClientFilter | None = strawberry.UNSET,
    ) -> Connection[Client] | None:
        wanted = clients_wanted(filter)
        return await clients.clients(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(
        description="By gateway id, or by the platform's own id (`externalId`), or by `code`: exactly one.",
        directives=[requires("core:read")],
    )
    async def client(
        self,
        info: Info,
        id: strawberry.ID | None = strawberry.UNSET,
        external_id: strawberry.ID | None = strawberry.UNSET,
        code: str | None = strawberry.UNSET,
    ) -> Client | None:
        return await clients.client(info.context, id=given(id), external_id=given(external_id), code=given(code))
