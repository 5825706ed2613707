"""Families: people of one client who share benefits."""

from __future__ import annotations

from typing import Any

from core.errors import Forbidden
from core.principals import Principal
from core.scopes import UserRole
from datasources.mongo import FamilyRecord, UserRecord
from resolvers import users
from resolvers.context import Context, OneByKey
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows
from resolvers.users import visible_client_ids


class Relative:
    """Somebody as the members of their family see them: by name and role. Whatever else is read is FORBIDDEN."""

    def __init__(self, user: UserRecord) -> None:
        self.id: str = user.id
        self.name: str = user.name
        self.role: UserRole = user.role

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise Forbidden("members of a family see each other's name and role, nothing more")


class MemberById(OneByKey[str, UserRecord | Relative]):
    """A member of a family that the principal may see. Only families lead here, so whom a customer meets besides
    themselves is a relative."""

    async def fetch(self, keys: list[str]) -> list[UserRecord | Relative]:
        principal = self.ctx.principal
        found = await self.sources.mongo.users_by_ids(keys)
        if not principal.is_customer:
            return [user for user in found if users.may_see(principal, user)]
        theirs = [user for user in found if user.client_id == principal.client_id]
        return [user if users.may_see(principal, user) else Relative(user) for user in theirs]

    def key(self, row: UserRecord | Relative) -> str:
        return row.id


class FamilyById(OneByKey[str, FamilyRecord]):
    """A family that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[FamilyRecord]:
        rows = await self.sources.mongo.families_by_ids(keys)
        return [row for row in rows if may_see(self.ctx.principal, row)]

    def key(self, row: FamilyRecord) -> str:
        return row.id


def may_see(principal: Principal, family: FamilyRecord) -> bool:
    """Customers the family they are in, everyone else those of their clients."""
    if principal.is_customer:
        return any(member.user_id == principal.user_id for member in family.members)
    client_ids = visible_client_ids(principal)
    return client_ids is None or family.client_id in client_ids


async def family(ctx: Context, id: str) -> FamilyRecord | None:
    return await ctx.loader(FamilyById).load(id)


async def families(
    ctx: Context, *, first: int | None, after: str | None, client_id: str | None = None
) -> Page[FamilyRecord]:
    """Newest first; of one client if it is named."""
    principal = ctx.principal
    limit, position = checked_first(first), keyset_after(after)
    client_ids = visible_client_ids(principal)
    if client_id is not None:
        if client_ids is not None and client_id not in client_ids:
            return no_rows()
        client_ids = [client_id]
    member_id = principal.user_id if principal.is_customer else None
    narrowed = {"client_ids": client_ids, "member_id": member_id}
    rows = await ctx.sources.mongo.families(limit=limit + 1, after=position, **narrowed)
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_families(**narrowed))
