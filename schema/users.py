"""People, and the same person in each backend."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from msgspec import UNSET

from core.backends import BackendName
from core.scopes import SERVICE_ONLY, UserRole
from datasources.mongo import LinkedAccountsRecord, UserChanges, UserRecord, UserStatus
from resolvers import (
    credentials,
    deliveries,
    invoices,
    linked_accounts,
    orders,
    payments,
    provisioning,
    users,
    workflows,
)
from resolvers.clients import ClientById
from resolvers.families import FamilyOfUser
from resolvers.users import NewPerson, UserWanted
from schema.directives import BY_ID, requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given, or_as_before
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.clients import Client
    from schema.credentials import Credential
    from schema.deliveries import Delivery
    from schema.families import Family
    from schema.invoices import Invoice
    from schema.orders import Order, OrderFilter
    from schema.payments import PaymentMethod
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


@strawberry.type(description="A person: a customer, or somebody who works for a client.", directives=[BY_ID])
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
        FamilyOfUser,
        key="family_id",
        description="The family whose benefits they share.",
        directives=[requires("core:read")],
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

    @strawberry.field(description="Credentials that they hold, newest first.", directives=[requires("identity:read")])
    async def credentials(
        parent: strawberry.Parent[UserRecord],
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
    ) -> Connection[Annotated[Credential, strawberry.lazy("schema.credentials")]] | None:
        return await credentials.credentials_of_user(info.context, parent, first=first, after=given(after))

    @strawberry.field(description="What they can pay with, newest first.", directives=[requires("payments:read")])
    async def payment_methods(
        parent: strawberry.Parent[UserRecord], info: Info
    ) -> list[Annotated[PaymentMethod, strawberry.lazy("schema.payments")]] | None:
        return await payments.payment_methods_of_user(info.context, parent)

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


@strawberry.input(description="Somebody new.")
class CreateUserInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Their client; callers that are one, or work for one, leave it out."
    )
    email: str = strawberry.field(description="Nobody else of the client may have it, in whatever case.")
    name: str
    phone: str | None = strawberry.UNSET
    role: UserRole | None = strawberry.field(
        default=UserRole.CUSTOMER, description="Nobody gives a role above their own."
    )
    provision: list[BackendName] | None = strawberry.field(
        default=strawberry.UNSET, description="Where they get an account at once, as by `provisionUser`."
    )

    def person(self) -> NewPerson:
        return NewPerson(
            email=self.email,
            name=self.name,
            client_id=given(self.client_id),
            phone=given(self.phone),
            role=given(self.role) or UserRole.CUSTOMER,
        )


@strawberry.input(description="What is left out stays as it is.")
class UpdateUserInput:
    email: str | None = strawberry.UNSET
    name: str | None = strawberry.UNSET
    phone: str | None = strawberry.field(default=strawberry.UNSET, description="Null: they have none any more.")
    role: UserRole | None = strawberry.field(
        default=strawberry.UNSET, description="Nobody gives a role above their own."
    )

    def changes(self) -> UserChanges:
        return UserChanges(
            email=or_as_before(self.email),
            name=or_as_before(self.name),
            phone=UNSET if self.phone is strawberry.UNSET else self.phone,
            role=or_as_before(self.role),
        )


@strawberry.type
class UserMutation:
    @strawberry.field(
        description="Makes a user, who stays even if an account in a backend cannot be had: then that account is null "
        "with that backend's error, and `provisionUser` tries again.",
        directives=[requires("core:write")],
    )
    async def create_user(self, info: Info, input: CreateUserInput) -> User | None:
        return await provisioning.create_user(info.context, input.person(), given(input.provision) or ())

    @strawberry.field(
        description="Changes a user whose role is not above the caller's.", directives=[requires("core:write")]
    )
    async def update_user(self, info: Info, id: strawberry.ID, input: UpdateUserInput) -> User | None:
        return await users.update_user(info.context, id, input.changes())

    @strawberry.field(
        description="Lets a user sign in or not; whatever else they have stays.", directives=[requires("core:write")]
    )
    async def set_user_status(self, info: Info, id: strawberry.ID, status: UserStatus) -> User | None:
        return await users.set_user_status(info.context, id, status)

    @strawberry.field(
        description="Creates what is missing of this user in the backends; safe to repeat. An account that cannot be "
        "had is null with that backend's error.",
        directives=[requires("core:write")],
    )
    async def provision_user(
        self,
        info: Info,
        id: strawberry.ID,
        backends: Annotated[
            list[BackendName] | None,
            strawberry.argument(description="MEDUSA, STRIPE, ERPNEXT, FLEETBASE, WALTID; or all."),
        ] = strawberry.UNSET,
    ) -> User | None:
        return await provisioning.provision_user(info.context, id, given(backends))

    @strawberry.field(
        description="Says who a user is in a backend, instead of what was said before.",
        directives=[requires(SERVICE_ONLY)],
    )
    async def link_account(
        self, info: Info, user_id: strawberry.ID, backend: BackendName, account_id: strawberry.ID
    ) -> User | None:
        return await linked_accounts.link_account(info.context, user_id, backend, account_id)

    @strawberry.field(
        description="Lets a user use these as staff, and nothing else. Nobody grants what they lack.",
        directives=[requires("core:write")],
    )
    async def grant_staff_access(self, info: Info, user_id: strawberry.ID, permissions: list[str]) -> User | None:
        return await users.grant_staff_access(info.context, user_id, permissions)

    @strawberry.field(description="Ends what a user may use as staff.", directives=[requires("core:write")])
    async def revoke_staff_access(self, info: Info, user_id: strawberry.ID) -> User | None:
        return await users.revoke_staff_access(info.context, user_id)
