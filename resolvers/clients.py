"""Platforms and their clients: who may see which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from core.errors import BadUserInput
from core.principals import Principal, PrincipalKind
from datasources.mongo import ClientAppRecord, ClientRecord
from resolvers.context import Context, OneByKey
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows


@dataclass(frozen=True)
class ClientWanted:
    """What a list of clients is narrowed to; None: not at all."""

    is_active: bool | None = None
    search: str | None = None
    app_id: str | None = None


class ClientById(OneByKey[str, ClientRecord]):
    """A client that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[ClientRecord]:
        rows = await self.sources.mongo.clients_by_ids(keys)
        return [row for row in rows if may_see(self.ctx.principal, row)]

    def key(self, row: ClientRecord) -> str:
        return row.id


class ClientAppById(OneByKey[str, ClientAppRecord]):
    """A platform: its own, or any for a service."""

    async def fetch(self, keys: list[str]) -> list[ClientAppRecord]:
        principal = self.ctx.principal
        seen = keys if principal.is_service else [key for key in keys if key == _own_app_id(principal)]
        return await self.sources.mongo.client_apps_by_ids(seen)

    def key(self, row: ClientAppRecord) -> str:
        return row.id


def may_see(principal: Principal, client: ClientRecord) -> bool:
    """Services all, platforms theirs, clients and users their own."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return True
        case PrincipalKind.PLATFORM:
            return client.client_app_id == principal.client_app_id
        case _:
            return client.id == principal.client_id


def _own_app_id(principal: Principal) -> str | None:
    """Users do not see the platform that their client uses."""
    return principal.client_app_id if principal.kind is not PrincipalKind.USER else None


async def client_app(ctx: Context, id: str) -> ClientAppRecord | None:
    return await ctx.loader(ClientAppById).load(id)


async def client_apps(ctx: Context, *, first: int | None, after: str | None) -> Page[ClientAppRecord]:
    """Newest first."""
    limit, position = checked_first(first), keyset_after(after)
    own = _own_app_id(ctx.principal)
    ids = None if ctx.principal.is_service else [own] if own else []
    rows = await ctx.sources.mongo.client_apps(limit=limit + 1, after=position, ids=ids)
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_client_apps(ids=ids))


async def client(ctx: Context, *, id: str | None, external_id: str | None, code: str | None) -> ClientRecord | None:
    """By exactly one of the three. Raises BadUserInput when there is not one, or a code fits several clients."""
    if sum(value is not None for value in (id, external_id, code)) != 1:
        raise BadUserInput("give exactly one of `id`, `externalId` and `code`")
    if id is not None:
        return await ctx.loader(ClientById).load(id)
    visible = _visible(ctx.principal)
    found = await ctx.sources.mongo.clients(limit=2, external_id=external_id, code=code, **visible)
    if len(found) > 1:
        raise BadUserInput("this fits clients of several platforms; ask by `id`")
    return found[0] if found else None


async def clients(ctx: Context, *, first: int | None, after: str | None, wanted: ClientWanted) -> Page[ClientRecord]:
    """Newest first."""
    limit, position = checked_first(first), keyset_after(after)
    visible = _visible(ctx.principal)
    if wanted.app_id is not None:
        if visible.get("app_ids") not in (None, [wanted.app_id]):
            return no_rows()
        visible["app_ids"] = [wanted.app_id]
    narrowed = {**visible, "is_active": wanted.is_active, "search": wanted.search}
    rows = await ctx.sources.mongo.clients(limit=limit + 1, after=position, **narrowed)
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_clients(**narrowed))


def _visible(principal: Principal) -> dict[str, Any]:
    """`may_see` as a filter."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return {}
        case PrincipalKind.PLATFORM:
            return {"app_ids": [principal.client_app_id or ""]}
        case _:
            return {"ids": [principal.client_id or ""]}
