"""Families, who share benefits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.mongo import FamilyRole
from resolvers import families
from resolvers.clients import ClientById
from resolvers.families import BenefitToShare, MemberById, MembersByFamilyId
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given, instant
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.clients import Client
    from schema.users import User

strawberry.enum(FamilyRole, description="A family has one OWNER.")


@strawberry.type(description="Somebody's place in a family.")
class FamilyMember:
    user: Annotated[User, strawberry.lazy("schema.users")] | None = strawberry.field(
        description="Who it is. Members see each other's name and role, nothing more."
    )
    role: FamilyRole
    joined_at: datetime


@strawberry.type(description="Something that every member of a family may use.")
class FamilyBenefit:
    code: str
    name: str
    shared_by: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        MemberById, key="shared_by_id", description="The member who brought it."
    )
    percent_off: Decimal | None = strawberry.field(description="A discount in per cent.")
    valid_until: datetime | None = strawberry.field(description="When it ends, or ended.")


@strawberry.type(description="People of one client who share benefits.")
class Family:
    id: strawberry.ID
    name: str
    client: Annotated[Client, strawberry.lazy("schema.clients")] | None = link(
        ClientById, key="client_id", description="The company whose customers they are."
    )
    members: list[FamilyMember] = link(MembersByFamilyId, key="id", description="In the order in which they joined.")
    benefits: list[FamilyBenefit]
    created_at: datetime
    updated_at: datetime


@strawberry.input(description="A family of one; others are added.")
class CreateFamilyInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whose customers they are, where the caller acts for several clients."
    )
    name: str
    owner_id: strawberry.ID = strawberry.field(description="An active user of that client who is in no family.")


@strawberry.input(description="Something that a member shares with the family.")
class FamilyBenefitInput:
    code: str = strawberry.field(description="Unique in the family: 1 to 32 letters, digits, `_` and `-`.")
    name: str
    shared_by_id: strawberry.ID = strawberry.field(description="The member who brings it.")
    percent_off: Decimal | None = strawberry.field(
        default=strawberry.UNSET, description="A discount in per cent, with at most 2 decimal places."
    )
    valid_until: datetime | None = strawberry.field(default=strawberry.UNSET, description="When it ends.")

    def wanted(self) -> BenefitToShare:
        return BenefitToShare(
            code=self.code,
            name=self.name,
            shared_by_id=self.shared_by_id,
            percent_off=given(self.percent_off),
            valid_until=instant(given(self.valid_until)),
        )


@strawberry.type
class FamilyQuery:
    @strawberry.field(description="Families, newest first.", directives=[requires("core:read")])
    async def families(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[Family] | None:
        return await families.families(info.context, first=first, after=given(after))

    @strawberry.field(description="One family.", directives=[requires("core:read")])
    async def family(self, info: Info, id: strawberry.ID) -> Family | None:
        return await families.family(info.context, id)


@strawberry.type
class FamilyMutation:
    @strawberry.mutation(description="Begins a family.", directives=[requires("core:write")])
    async def create_family(self, info: Info, input: CreateFamilyInput) -> Family | None:
        return await families.create_family(
            info.context, client_id=given(input.client_id), name=input.name, owner_id=input.owner_id
        )

    @strawberry.mutation(
        description="Adds somebody to a family, or makes a member something else. A new OWNER takes the place of the "
        "one before, who becomes an ADULT.",
        directives=[requires("core:write")],
    )
    async def add_family_member(
        self, info: Info, family_id: strawberry.ID, user_id: strawberry.ID, role: FamilyRole
    ) -> Family | None:
        return await families.add_family_member(info.context, family_id, user_id, role)

    @strawberry.mutation(
        description="Takes a member out; what they shared ends. The OWNER goes last, or hands over first.",
        directives=[requires("core:write")],
    )
    async def remove_family_member(self, info: Info, family_id: strawberry.ID, user_id: strawberry.ID) -> Family | None:
        return await families.remove_family_member(info.context, family_id, user_id)

    @strawberry.mutation(
        description="Adds a benefit that a member brings, or changes the one with the same code.",
        directives=[requires("core:write")],
    )
    async def share_family_benefit(
        self, info: Info, family_id: strawberry.ID, input: FamilyBenefitInput
    ) -> Family | None:
        return await families.share_family_benefit(info.context, family_id, input.wanted())

    @strawberry.mutation(
        description="Ends a benefit now; it stays on the list with its end.", directives=[requires("core:write")]
    )
    async def revoke_family_benefit(self, info: Info, family_id: strawberry.ID, code: str) -> Family | None:
        return await families.revoke_family_benefit(info.context, family_id, code)
