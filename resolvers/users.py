"""People: who may see whom, and the joins that lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import BadUserInput, NotFound
from core.principals import Principal, PrincipalKind
from core.scopes import UserRole
from datasources.mongo import UserRecord, UserStatus
from resolvers.context import Context, Loader, OneByKey
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows

MAX_IDS = 1000


@dataclass(frozen=True)
class UserWanted:
    """What a list of users is narrowed to; None: not at all."""

    client_id: str | None = None
    role: UserRole | None = None
    status: UserStatus | None = None
    search: str | None = None
    ids: Sequence[str] | None = None


class UserById(OneByKey[str, UserRecord]):
    """A user that the principal may see, by gateway id."""

    async def fetch(self, keys: list[str]) -> list[UserRecord]:
        users = await self.sources.mongo.users_by_ids(keys)
        return [user for user in users if may_see(self.ctx.principal, user)]

    def key(self, row: UserRecord) -> str:
        return row.id


class UserByMedusaCustomerId(Loader[str, UserRecord | None]):
    """The user behind a customer of Medusa: the linked account, or one that a cart made. One user answers several."""

    async def batch_load_fn(self, keys: list[str]) -> list[UserRecord | None]:
        users = await self.sources.mongo.users_by_medusa_customer_ids(list(dict.fromkeys(keys)))
        seen = [user for user in users if may_see(self.ctx.principal, user)]
        by_customer = {customer_id: user for user in seen for customer_id in user.medusa_customer_ids}
        return [by_customer.get(key) for key in keys]


class UserByErpCustomerId(OneByKey[str, UserRecord]):
    """The user behind a customer of ERPNext."""

    async def fetch(self, keys: list[str]) -> list[UserRecord]:
        users = await self.sources.mongo.users_by_erp_customer_ids(keys)
        return [user for user in users if may_see(self.ctx.principal, user)]

    def key(self, row: UserRecord) -> str:
        return row.linked_accounts.erp_customer_id or ""


def may_see(principal: Principal, user: UserRecord) -> bool:
    """Services everyone, customers themselves, staff and clients their client's people, server-side platforms those of
    their clients."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return True
        case PrincipalKind.PLATFORM:
            return user.client_id in principal.client_ids
        case PrincipalKind.CLIENT:
            return user.client_id == principal.client_id
        case PrincipalKind.USER:
            if principal.is_customer:
                return user.id == principal.user_id
            return user.client_id == principal.client_id


async def user(ctx: Context, id: str) -> UserRecord | None:
    """None for somebody unknown, or not theirs to see."""
    return await ctx.loader(UserById).load(id)


async def users(ctx: Context, *, first: int | None, after: str | None, wanted: UserWanted) -> Page[UserRecord]:
    """Newest first. Raises BadUserInput for more than a thousand ids."""
    principal = ctx.principal
    limit = checked_first(first)
    position = keyset_after(after)
    if wanted.ids is not None and len(wanted.ids) > MAX_IDS:
        raise BadUserInput(f"`ids` holds at most {MAX_IDS}, not {len(wanted.ids)}")
    client_ids = visible_client_ids(principal)
    if wanted.client_id is not None:
        if client_ids is not None and wanted.client_id not in client_ids:
            return no_rows()
        client_ids = [wanted.client_id]
    ids = wanted.ids
    if principal.is_customer:
        ids = [principal.user_id or ""] if ids is None or principal.user_id in ids else []
    narrowed = {
        "ids": ids,
        "client_ids": client_ids,
        "role": wanted.role,
        "status": wanted.status,
        "search": wanted.search,
    }
    rows = await ctx.sources.mongo.users(limit=limit + 1, after=position, **narrowed)
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_users(**narrowed))


def visible_client_ids(principal: Principal) -> list[str] | None:
    """The clients whose rows a principal may see; None: all of them."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return None
        case PrincipalKind.PLATFORM:
            return list(principal.client_ids)
        case _:
            return [principal.client_id] if principal.client_id else []


async def user_to_act_for(ctx: Context, user_id: str | None) -> UserRecord | None:
    """The user on whose behalf a caller acts: themselves, or the named one if that is theirs to act for.

    None when nobody is named and the caller is no user. Raises NotFound for somebody who is not there or not theirs,
    BadUserInput for somebody who is not active.
    """
    wanted = user_id or ctx.principal.user_id
    if wanted is None:
        return None
    found = await user(ctx, wanted)
    if found is None:
        raise NotFound("there is no such user")
    if found.status is not UserStatus.ACTIVE:
        raise BadUserInput("this user is not active")
    return found
