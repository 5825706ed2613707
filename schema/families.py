"""Families, who share benefits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.mongo import FamilyBenefitRecord, FamilyRole
from resolvers import families
from resolvers.clients import ClientById
from resolvers.families import MemberById
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.clients import Client
    from schema.users import User

strawberry.enum(FamilyRole, description="A family has one OWNER.")


@strawberry.type(description="Somebody's place in a family.")
class FamilyMember:
    user: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        MemberById, key="user_id", description="Who it is. Members see each other's name and role, nothing more."
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
    valid_until: datetime | None

    @strawberry.field(description="A discount in per cent.")
    def percent_off(parent: strawberry.Parent[FamilyBenefitRecord]) -> Decimal | None:
        return None if parent.percent_off is None else Decimal(parent.percent_off)


@strawberry.type(description="People of one client who share benefits.")
class Family:
    id: strawberry.ID
    name: str
    client: Annotated[Client, strawberry.lazy("schema.clients")] | None = link(
        ClientById, key="client_id", description="The company whose customers they are."
    )
    members: list[FamilyMember]
    benefits: list[FamilyBenefit]
    created_at: datetime
    updated_at: datetime


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
