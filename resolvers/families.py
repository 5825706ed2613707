"""Families: people of one client who share benefits."""

from __future__ import annotations

from core.principals import Principal
from datasources.mongo import FamilyRecord
from resolvers.context import Context, OneByKey
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows
from resolvers.users import visible_client_ids


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
