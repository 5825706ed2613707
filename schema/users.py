"""People, and the same person in each backend."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from core.scopes import UserRole
from datasources.mongo import LinkedAccountsRecord, UserRecord, UserStatus
from resolvers import deliveries, invoices, orders, users, workflows
from resolvers.clients import ClientById
from resolvers.families import FamilyById
from resolvers.users import UserWanted
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.clients import Client
    from schema.deliveries import Delivery
    from schema.families import Family
    from schema.invoices import Invoice
    from schema.orders import Order, OrderFilter
    from schema.workflows import Workflow

strawberry.enum(UserRole, description="What a user is to their client; each role may do what the one before may.")
strawberry.enum(UserStatus, description="Only ACTIVE users may sign in.")


@strawberry.input(description="Narrows a list of users.")
class UserFilter:
    client_id: strawberry.ID | None = strawberry.UNSET
    role: UserRole | None = strawberry.UNSET
    status: UserStatus | None = strawberry.UNSET
    search: str | None = strawberry.field(default=strawberry.UNSET, description="Part of the name or e-mail address.")
    ids: list[strawberry.ID] | None = strawberry.UNSET


def users_wanted(filter: UserFilter | None, client_id: str | None = None) -> UserWanted:
    """`client_id` is that of the parent and wins."""
    if not filter:
        return UserWanted(client_id=client_id)
    return UserWanted(
        client_id=client_id or given(filter.client_id),
        role=given(filter.role),
        status=given(filter.status),
        search=filter.search or None,
        ids=filter.ids if isinstance(filter.ids, list) else None,
    )


@strawberry.type(description="What a member of staff may use.")
class StaffAccess:
    permissions: list[str]
    granted_at: datetime


@strawberry.type(description="The same person in each backend.")
class LinkedAccounts:
    medusa_customer_id: strawberry.ID | None
    stripe_customer_id: strawberry.ID | None
    erp_customer_id: strawberry.ID | None
    wallet_id: strawberry.ID | None
    fleetbase_contact_id: strawberry.ID | None


@strawberry.type(description="A person: a customer, or somebody who works for a client.")
class User:
    id: strawberry.ID
    email: str
    name: str
    phone: str | None
    role: UserRole
    status: UserStatus
    client: Annotated[Client, strawberry.lazy("schema.clients")] | None = link(
        ClientById, key="client_id", description="The company they belong to."
    )
    family: Annotated[Family, strawberry.lazy("schema.families")] | None = link(
        FamilyById, key="family_id", description="The family whose benefits they share."
    )
    created_at: datetime
    updated_at: datetime

    @strawberry.field(description="What they may use as staff.")
    def staff_access(parent: strawberry.Parent[UserRecord]) -> StaffAccess | None:
        return parent.staff_access

    @strawberry.field(description="The same person in each backend.")
    def linked_accounts(parent: strawberry.Parent[UserRecord]) -> LinkedAccounts:
        accounts: LinkedAccountsRecord = parent.linked_accounts
        return accounts

    @strawberry.field(description="Their orders, newest first.", directives=[requires("commerce:read")])
    async def orders(
        parent: strawberry.Parent[UserRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: Annotated[OrderFilter, strawberry.lazy("schema.orders")] | None = strawberry.UNSET,
    ) -> Connection[Annotated[Order, strawberry.lazy("schema.orders")]] | None:
        wanted = filter.wanted() if filter else None
        return await orders.orders_of_user(info.context, parent, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="Their invoices, newest first.", directives=[requires("erp:read")])
    async def invoices(
        parent: strawberry.Parent[UserRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
    ) -> Connection[Annotated[Invoice, strawberry.lazy("schema.invoices")]] | None:
        return await invoices.invoices_of_user(info.context, parent, first=first, after=given(after))

    @strawberry.field(description="Deliveries of their orders, newest first.", directives=[requires("logistics:read")])
    async def deliveries(
        parent: strawberry.Parent[UserRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
    ) -> Connection[Annotated[Delivery, strawberry.lazy("schema.deliveries")]] | None:
        return await deliveries.deliveries_of_user(info.context, parent, first=first, after=given(after))

    @strawberry.field(description="What was started for them, newest first.", directives=[requires("workflows:read")])
    async def workflows(
        parent: strawberry.Parent[UserRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
    ) -> Connection[Annotated[Workflow, strawberry.lazy("schema.workflows")]] | None:
        return await workflows.workflows_of_user(info.context, parent, first=first, after=given(after))


@strawberry.type
class UserQuery:
    @strawberry.field(description="People, newest first.", directives=[requires("core:read")])
    async def users(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: UserFilter | None = strawberry.UNSET,
    ) -> Connection[User] | None:
        wanted = users_wanted(filter)
        return await users.users(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="One person.", directives=[requires("core:read")])
    async def user(self, info: Info, id: strawberry.ID) -> User | None:
        return await users.user(info.context, id)
