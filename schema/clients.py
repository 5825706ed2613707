"""Platforms (client apps) and the companies that use them (clients)."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from msgspec import UNSET

from core.address import Address
from core.scopes import SERVICE_ONLY
from datasources.mongo import (
    BackendScopeRecord,
    ClientAppRecord,
    ClientChanges,
    ClientRecord,
    PlaceRecord,
    PointRecord,
)
from resolvers import clients, families, invoices, orders, users
from resolvers.clients import ClientAppById, ClientToRegister, ClientWanted
from schema.directives import BY_ID, requires
from schema.families import Family
from schema.fields import link, secret
from schema.info import Info
from schema.inputs import AddressInput, given, or_as_before
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


@strawberry.type(description="A company that uses a platform.", directives=[BY_ID])
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

    @strawberry.field(
        description="Which part of each backend is this client's; what is not set gives nothing. "
        "Not shown to customers, nor to a platform whose key stands in browsers."
    )
    def backend_scope(parent: strawberry.Parent[ClientRecord], info: Info) -> BackendScope | None:
        return clients.scope_to_show(info.context.principal, parent)

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


# -- changing ----------------------------------------------------------------------------------------------------------

Overlap = Annotated[int | None, strawberry.argument(description="How long other keys go on working: up to 30 days.")]
LifeInDays = Annotated[
    int | None, strawberry.argument(description="When the new key ends by itself, 1 to 3650 days from now; else never.")
]


@strawberry.type(description="A key that was issued for a client.")
class IssuedClientKey:
    client: Client
    api_key: str = secret(of="client", description="Shown here and never again.")


@strawberry.type(description="A key that was issued for a platform.")
class IssuedClientAppKey:
    client_app: ClientApp
    api_key: str = secret(of="client_app", description="Shown here and never again.")


@strawberry.input(description="A new platform.")
class RegisterClientAppInput:
    name: str
    scopes: list[Scope] = strawberry.field(description="What it and its clients may do; nobody grants what they lack.")
    is_server_side: bool | None = strawberry.field(
        default=False, description="Its key never leaves a server, so that it may read its clients' data."
    )


@strawberry.input(description="A new client of a platform.")
class RegisterClientInput:
    client_app_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whose client it is; platforms leave it out."
    )
    name: str
    code: str = strawberry.field(
        description="Short name, unique on its platform: 1 to 32 letters, digits, `_` and `-`."
    )
    external_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The platform's own id of it, unique there."
    )
    default_currency: CurrencyCode | None = strawberry.field(default=strawberry.UNSET, description="EUR unless given.")

    def wanted(self) -> ClientToRegister:
        return ClientToRegister(
            name=self.name,
            code=self.code,
            external_id=given(self.external_id),
            default_currency=given(self.default_currency),
            client_app_id=given(self.client_app_id),
        )


@strawberry.input(description="What is left out stays as it is.")
class UpdateClientInput:
    name: str | None = strawberry.UNSET
    external_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Null: the platform has no id of it any more."
    )
    default_currency: CurrencyCode | None = strawberry.UNSET

    def changes(self) -> ClientChanges:
        return ClientChanges(
            name=or_as_before(self.name),
            external_id=UNSET if self.external_id is strawberry.UNSET else self.external_id,
            default_currency=or_as_before(self.default_currency),
        )


@strawberry.input(description="Which part of each backend is a client's, as a whole: what is left out gives nothing.")
class BackendScopeInput:
    medusa_sales_channel_ids: list[strawberry.ID] | None = strawberry.UNSET
    medusa_region_id: strawberry.ID | None = strawberry.UNSET
    erp_company: str | None = strawberry.UNSET
    erp_warehouse: str | None = strawberry.UNSET
    strapi_customer_ids: list[strawberry.ID] | None = strawberry.UNSET
    payload_tenant: str | None = strawberry.UNSET
    pickup: AddressInput | None = strawberry.field(default=strawberry.UNSET, description="Where its deliveries start.")

    def scope(self) -> BackendScopeRecord:
        pickup = given(self.pickup)
        return BackendScopeRecord(
            medusa_sales_channel_ids=tuple(given(self.medusa_sales_channel_ids) or ()),
            medusa_region_id=given(self.medusa_region_id),
            erp_company=given(self.erp_company),
            erp_warehouse=given(self.erp_warehouse),
            strapi_customer_ids=tuple(given(self.strapi_customer_ids) or ()),
            payload_tenant=given(self.payload_tenant),
            pickup=None if pickup is None else _place(pickup.to_address()),
        )


def _place(address: Address) -> PlaceRecord:
    location = None
    if address.latitude is not None and address.longitude is not None:
        location = PointRecord(address.latitude, address.longitude)
    return PlaceRecord(
        name=address.name,
        street=address.street,
        city=address.city,
        postal_code=address.postal_code,
        country=address.country,
        location=location,
    )


@strawberry.type
class ClientMutation:
    @strawberry.mutation(
        description="Makes a platform and its first key.",
        directives=[requires(SERVICE_ONLY)],
    )
    async def register_client_app(self, info: Info, input: RegisterClientAppInput) -> IssuedClientAppKey | None:
        issued = await clients.register_client_app(
            info.context, name=input.name, scopes=list(input.scopes), is_server_side=bool(input.is_server_side)
        )
        return IssuedClientAppKey(client_app=issued.owner, api_key=issued.api_key)  # type: ignore[arg-type]

    @strawberry.mutation(
        description="Makes a client and its first key. A `code` or `externalId` that its platform knows is CONFLICT.",
        directives=[requires("core:write")],
    )
    async def register_client(self, info: Info, input: RegisterClientInput) -> IssuedClientKey | None:
        issued = await clients.register_client(info.context, input.wanted())
        return IssuedClientKey(client=issued.owner, api_key=issued.api_key)  # type: ignore[arg-type]

    @strawberry.mutation(description="Changes what a client is called.", directives=[requires("core:write")])
    async def update_client(self, info: Info, id: strawberry.ID, input: UpdateClientInput) -> Client | None:
        return await clients.update_client(info.context, id, input.changes())

    @strawberry.mutation(
        description="Says which part of each backend is a client's, instead of what was said before.",
        directives=[requires(SERVICE_ONLY)],
    )
    async def set_client_backend_scope(self, info: Info, id: strawberry.ID, scope: BackendScopeInput) -> Client | None:
        return await clients.set_backend_scope(info.context, id, scope.scope())

    @strawberry.mutation(
        description="Deactivation revokes the client's key at once; activation issues no new one.",
        directives=[requires("keys:admin")],
    )
    async def set_client_active(self, info: Info, id: strawberry.ID, is_active: bool) -> Client | None:
        return await clients.set_client_active(info.context, id, is_active)

    @strawberry.mutation(
        description="Deactivation revokes the platform's key at once, and no key of its clients works without it; "
        "activation issues no new one.",
        directives=[requires("keys:admin")],
    )
    async def set_client_app_active(self, info: Info, id: strawberry.ID, is_active: bool) -> ClientApp | None:
        return await clients.set_client_app_active(info.context, id, is_active)

    @strawberry.mutation(
        description="Issues a new key. Every other one works for `overlapSeconds` more, then never.",
        directives=[requires("keys:admin")],
    )
    async def rotate_client_key(
        self,
        info: Info,
        id: strawberry.ID,
        overlap_seconds: Overlap = 0,
        expires_in_days: LifeInDays = strawberry.UNSET,
    ) -> IssuedClientKey | None:
        issued = await clients.rotate_client_key(
            info.context, id, overlap_s=overlap_seconds or 0, expires_in_days=given(expires_in_days)
        )
        return IssuedClientKey(client=issued.owner, api_key=issued.api_key)  # type: ignore[arg-type]

    @strawberry.mutation(
        description="Issues a new key. Every other one works for `overlapSeconds` more, then never.",
        directives=[requires("keys:admin")],
    )
    async def rotate_client_app_key(
        self,
        info: Info,
        id: strawberry.ID,
        overlap_seconds: Overlap = 0,
        expires_in_days: LifeInDays = strawberry.UNSET,
    ) -> IssuedClientAppKey | None:
        issued = await clients.rotate_client_app_key(
            info.context, id, overlap_s=overlap_seconds or 0, expires_in_days=given(expires_in_days)
        )
        return IssuedClientAppKey(client_app=issued.owner, api_key=issued.api_key)  # type: ignore[arg-type]
