"""Platforms and their clients: who may see which, and who may change them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from core.errors import BadUserInput, Forbidden, NotFound, RateLimited
from core.networks import network_of
from core.principals import Principal, PrincipalKind
from core.scopes import CLIENT_SCOPES, UserRole
from datasources.mongo import (
    BackendScopeRecord,
    ClientAppRecord,
    ClientChanges,
    ClientRecord,
    Keyset,
    NewClient,
    NewClientApp,
    new_id,
)
from resolvers import keys
from resolvers.audit import AuditEvent, audited
from resolvers.bounds import (
    check_length,
    checked_code,
    checked_currency,
    checked_external_id,
    checked_name,
    checked_text,
)
from resolvers.context import Context, OneByKey
from resolvers.keys import Issued
from resolvers.keysets import KeysetSlice, KeysetSlices, keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows

DEFAULT_CURRENCY = "EUR"
LONGEST_ID, MOST_IDS = 128, 100
"""Of what a backend scope holds."""


@dataclass(frozen=True)
class ClientWanted:
    """What a list of clients is narrowed to; None: not at all."""

    is_active: bool | None = None
    search: str | None = None
    app_id: str | None = None


@dataclass(frozen=True)
class ClientToRegister:
    """`client_app_id` None: the caller's own platform."""

    name: str
    code: str
    external_id: str | None = None
    default_currency: str | None = None
    client_app_id: str | None = None


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


class ClientsOfApps(KeysetSlices[ClientRecord]):
    """The clients of several platforms. Only for platforms whose clients the principal may see, or narrowed to those
    that they may."""

    async def rows(
        self, parent_ids: Sequence[str], *, limit: int, after: Keyset | None, **narrowed: Any
    ) -> list[ClientRecord]:
        return await self.sources.mongo.clients(limit=limit, after=after, app_ids=parent_ids, **narrowed)

    def parent_id(self, row: ClientRecord) -> str:
        return row.client_app_id


def may_see(principal: Principal, client: ClientRecord) -> bool:
    """Services all, platforms theirs, clients and users their own."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return True
        case PrincipalKind.PLATFORM:
            return client.client_app_id == principal.client_app_id
        case _:
            return client.id == principal.client_id


def scope_to_show(principal: Principal, client: ClientRecord) -> BackendScopeRecord | None:
    """A client's part of the backends, for those who work with it: not for its customers, nor a key in browsers."""
    is_bare = principal.kind is PrincipalKind.PLATFORM and not principal.is_server_side
    return None if is_bare or principal.is_customer else client.backend_scope


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
    narrowed = {**visible, "is_active": wanted.is_active, "search": wanted.search}
    if wanted.app_id is None:
        rows = await ctx.sources.mongo.clients(limit=limit + 1, after=position, **narrowed)
    else:
        if narrowed.pop("app_ids", [wanted.app_id]) != [wanted.app_id]:
            return no_rows()
        listed = KeysetSlice(wanted.app_id, limit, position, tuple(narrowed.items()))
        rows = await ctx.loader(ClientsOfApps).load(listed)
        narrowed["app_ids"] = [wanted.app_id]
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_clients(**narrowed))


async def client_to_act_for(ctx: Context, client_id: str | None) -> ClientRecord:
    """The client whose records a caller changes: their own, or for those who have several the named one.

    Raises BadUserInput when nobody is named who must be, or the client is not active; NotFound for one not theirs.
    """
    principal = ctx.principal
    wanted = client_id if client_id is not None else principal.client_id
    if wanted is None:
        raise BadUserInput("`clientId` says for which client")
    found = await ctx.sources.mongo.client(wanted)
    is_public_key = principal.kind is PrincipalKind.PLATFORM and not principal.is_server_side
    if found is None or is_public_key or not may_see(principal, found):
        raise NotFound("there is no such client")
    if not found.is_active:
        raise BadUserInput("this client is not active")
    return found


# -- changing ----------------------------------------------------------------------------------------------------------


async def register_client_app(
    ctx: Context, *, name: str, scopes: list[str], is_server_side: bool
) -> Issued[ClientAppRecord]:
    """A new platform and its key. For services.

    Raises BadUserInput for a scope that no platform has, Forbidden for one that the caller lacks.
    """
    if not ctx.principal.is_service:
        raise Forbidden("only a service registers platforms")
    if unknown := sorted(set(scopes) - CLIENT_SCOPES):
        raise BadUserInput(f"no platform has the scope {', '.join(map(repr, unknown))}")
    if lacking := sorted(set(scopes) - ctx.principal.scopes):
        raise Forbidden(f"nobody grants what they lack: {', '.join(lacking)}")
    app_id, name, held = new_id(), checked_name("name", name), tuple(sorted(set(scopes)))
    detail = {"name": name, "scopes": list(held), "isServerSide": is_server_side}
    async with (
        audited(ctx, AuditEvent.APP_REGISTERED, "client_app", app_id, **detail),
        keys.first_key(ctx, ClientAppRecord, app_id) as (key, mark),
    ):
        made = await ctx.sources.mongo.create_client_app(NewClientApp(name, held, is_server_side, mark, app_id))
    return Issued(made, key)


async def register_client(ctx: Context, wanted: ClientToRegister) -> Issued[ClientRecord]:
    """A new client and its key. For platforms, whose own it becomes, and for services, which name the platform.

    Raises Conflict, which shows nothing of the other one, where the platform has a client of that code or external id;
    Forbidden for other callers; NotFound for a platform that is not theirs; BadUserInput for one that is not active;
    RateLimited for too many by a key that stands in browsers.
    """
    app = await _app_to_register_with(ctx, wanted.client_app_id)
    client_id = new_id()
    name, code = checked_name("name", wanted.name), checked_code("code", wanted.code)
    external_id = None if wanted.external_id is None else checked_external_id("externalId", wanted.external_id)
    currency = checked_currency("defaultCurrency", wanted.default_currency or DEFAULT_CURRENCY)
    await _check_pace(ctx)
    detail = {"clientAppId": app.id, "code": code, "externalId": external_id}
    async with (
        audited(ctx, AuditEvent.CLIENT_REGISTERED, "client", client_id, **detail),
        keys.first_key(ctx, ClientRecord, client_id) as (key, mark),
    ):
        new = NewClient(app.id, name, code, external_id, currency, mark, client_id)
        made = await ctx.sources.mongo.create_client(new)
    # A platform that reads its clients' data reads the new one's, too.
    await ctx.sources.identities.changed()
    return Issued(made, key)


async def update_client(ctx: Context, id: str, changes: ClientChanges) -> ClientRecord:
    """Raises NotFound, Forbidden, BadUserInput for a value out of bounds; Conflict for an external id that is taken."""
    target = await client_to_change(ctx, id)
    checked = ClientChanges(
        name=UNSET if changes.name is UNSET else checked_name("name", changes.name),
        external_id=changes.external_id
        if changes.external_id in (UNSET, None)
        else checked_external_id("externalId", str(changes.external_id)),
        default_currency=UNSET
        if changes.default_currency is UNSET
        else checked_currency("defaultCurrency", changes.default_currency),
    )
    return _still_there(ctx, await ctx.sources.mongo.revise_client(target.id, checked))


async def set_backend_scope(ctx: Context, id: str, scope: BackendScopeRecord) -> ClientRecord:
    """Replace which part of each backend is a client's: what is not set gives nothing. For services.

    Raises NotFound, Forbidden, BadUserInput for a value out of bounds.
    """
    if not ctx.principal.is_service:
        raise Forbidden("only a service says what is whose")
    target = await client_to_change(ctx, id)
    checked = _checked_scope(scope)
    parts = {
        "medusaSalesChannelIds": list(checked.medusa_sales_channel_ids),
        "medusaRegionId": checked.medusa_region_id,
        "erpCompany": checked.erp_company,
        "erpWarehouse": checked.erp_warehouse,
        "strapiCustomerIds": list(checked.strapi_customer_ids),
        "payloadTenant": checked.payload_tenant,
    }
    try:
        async with audited(ctx, AuditEvent.SCOPE_SET, "client", target.id, **parts):
            changed = await ctx.sources.mongo.set_backend_scope(target.id, checked)
    finally:
        await ctx.sources.identities.changed()
    return _still_there(ctx, changed)


async def set_client_active(ctx: Context, id: str, is_active: bool) -> ClientRecord:
    """As `keys.set_active`. Raises NotFound, Forbidden."""
    return _still_there(ctx, await keys.set_active(ctx, await client_to_change(ctx, id), is_active))


async def set_client_app_active(ctx: Context, id: str, is_active: bool) -> ClientAppRecord:
    """As `keys.set_active`. Raises NotFound, Forbidden."""
    changed = await keys.set_active(ctx, await client_app_to_change(ctx, id), is_active)
    ctx.loader(ClientAppById).clear(changed.id)
    return changed


async def rotate_client_key(
    ctx: Context, id: str, *, overlap_s: int, expires_in_days: int | None
) -> Issued[ClientRecord]:
    """As `keys.rotate`. Raises NotFound, Forbidden."""
    target = await client_to_change(ctx, id)
    issued = await keys.rotate(ctx, target, overlap_s=overlap_s, expires_in_days=expires_in_days)
    ctx.loader(ClientById).clear(target.id)
    return issued


async def rotate_client_app_key(
    ctx: Context, id: str, *, overlap_s: int, expires_in_days: int | None
) -> Issued[ClientAppRecord]:
    """As `keys.rotate`. Raises NotFound, Forbidden."""
    target = await client_app_to_change(ctx, id)
    issued = await keys.rotate(ctx, target, overlap_s=overlap_s, expires_in_days=expires_in_days)
    ctx.loader(ClientAppById).clear(target.id)
    return issued


async def client_to_change(ctx: Context, id: str) -> ClientRecord:
    """A client that the caller may change: any for services, theirs for platforms on servers, their own for clients and
    their administrators.

    Raises NotFound for one that they do not see, Forbidden for one that they only see.
    """
    found = await ctx.loader(ClientById).load(id)
    if found is None:
        raise NotFound("there is no such client")
    principal = ctx.principal
    may_change = {
        PrincipalKind.SERVICE: True,
        PrincipalKind.PLATFORM: principal.is_server_side,
        PrincipalKind.CLIENT: True,
        PrincipalKind.USER: principal.role is UserRole.ADMIN,
    }
    if not may_change[principal.kind]:
        raise Forbidden("these credentials do not change clients")
    return found


async def client_app_to_change(ctx: Context, id: str) -> ClientAppRecord:
    """A platform that the caller may change: any for services, itself for one on a server.

    Raises NotFound for one that they do not see, Forbidden for one that they only see.
    """
    found = await ctx.loader(ClientAppById).load(id)
    if found is None:
        raise NotFound("there is no such platform")
    if not (ctx.principal.is_service or ctx.principal.is_server_side):
        raise Forbidden("these credentials do not change platforms")
    return found


async def _app_to_register_with(ctx: Context, named: str | None) -> ClientAppRecord:
    principal = ctx.principal
    if principal.kind not in (PrincipalKind.SERVICE, PrincipalKind.PLATFORM):
        raise Forbidden("only platforms register clients")
    wanted = named if named is not None else principal.client_app_id
    if wanted is None:
        raise BadUserInput("`clientAppId` says for which platform")
    app = await ctx.loader(ClientAppById).load(wanted)
    if app is None:
        raise NotFound("there is no such platform")
    if not app.is_active:
        raise BadUserInput("this platform is not active")
    return app


async def _check_pace(ctx: Context) -> None:
    """Raises RateLimited where too many clients are registered from one place, with a key that anybody can read there.
    By place, so that whoever does it keeps nobody else from registering."""
    principal = ctx.principal
    if principal.kind is not PrincipalKind.PLATFORM or principal.is_server_side:
        return
    limit = ctx.sources.settings.registration_limit
    if limit.is_off:
        return
    taken = await ctx.sources.registrations.take(f"{principal.id} {network_of(ctx.address)}", limit, 1)
    if not taken.is_allowed:
        passed = {"name": "registrationsPerSecond", "value": limit.rate_per_s}
        raise RateLimited("too many registrations", retry_after_s=taken.retry_after_s, limit=passed)


def _checked_scope(scope: BackendScopeRecord) -> BackendScopeRecord:
    def one(field: str, value: str | None) -> str | None:
        return None if value is None else checked_text(field, value, LONGEST_ID)

    def several(field: str, values: tuple[str, ...]) -> tuple[str, ...]:
        check_length(field, values, MOST_IDS)
        return tuple(dict.fromkeys(checked_text(field, value, LONGEST_ID) for value in values))

    return BackendScopeRecord(
        medusa_sales_channel_ids=several("medusaSalesChannelIds", scope.medusa_sales_channel_ids),
        medusa_region_id=one("medusaRegionId", scope.medusa_region_id),
        erp_company=one("erpCompany", scope.erp_company),
        erp_warehouse=one("erpWarehouse", scope.erp_warehouse),
        strapi_customer_ids=several("strapiCustomerIds", scope.strapi_customer_ids),
        payload_tenant=one("payloadTenant", scope.payload_tenant),
        pickup=scope.pickup,
    )


def _still_there(ctx: Context, changed: ClientRecord | None) -> ClientRecord:
    """What was changed, which the running operation is to read anew."""
    if changed is None:
        raise NotFound("there is no such client")
    ctx.loader(ClientById).clear(changed.id)
    return changed


def _visible(principal: Principal) -> dict[str, Any]:
    """`may_see` as a filter."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return {}
        case PrincipalKind.PLATFORM:
            return {"app_ids": [principal.client_app_id or ""]}
        case _:
            return {"ids": (principal.client_id or "",)}
