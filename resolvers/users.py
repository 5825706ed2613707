"""People: who may see whom, and the joins that lead to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

from msgspec import UNSET

from core.backends import BackendName
from core.errors import BadUserInput, Conflict, Forbidden, NotFound
from core.principals import Principal, PrincipalKind
from core.scopes import ROLE_SCOPES, UserRole
from datasources.mongo import Keyset, NewUser, UserChanges, UserRecord, UserStatus
from resolvers._person import checked_email, checked_permissions, checked_phone
from resolvers.audit import AuditEvent, audited
from resolvers.bounds import check_length, checked_name
from resolvers.clients import client_to_act_for
from resolvers.context import Context, OneByKey
from resolvers.idempotency import note, noted
from resolvers.keysets import KeysetSlice, KeysetSlices, keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows

MAX_IDS = 1000
_RANK = list(UserRole)

NOBODY = "there is no such user"
ADDRESS_TAKEN = "somebody of this client has this e-mail address already"


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


class UserByErpCustomerId(OneByKey[str, UserRecord]):
    """The user behind a customer of ERPNext, wherever they are invoiced: `buyers` says whose an invoice is."""

    async def fetch(self, keys: list[str]) -> list[UserRecord]:
        users = await self.sources.mongo.users_by_erp_customer_ids(keys)
        return [user for user in users if may_see(self.ctx.principal, user)]

    def key(self, row: UserRecord) -> str:
        return row.linked_accounts.erp_customer_id or ""


class UsersOfClients(KeysetSlices[UserRecord]):
    """The people of several clients whom the principal may see."""

    async def rows(
        self, parent_ids: Sequence[str], *, limit: int, after: Keyset | None, **narrowed: Any
    ) -> list[UserRecord]:
        return await self.sources.mongo.users(limit=limit, after=after, client_ids=parent_ids, **narrowed)

    def parent_id(self, row: UserRecord) -> str:
        return row.client_id


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
    check_length("ids", wanted.ids, MAX_IDS)
    client_ids = visible_client_ids(principal)
    ids = wanted.ids
    if principal.is_customer:
        ids = [principal.user_id or ""] if ids is None or principal.user_id in ids else []
    narrowed: dict[str, Any] = {
        "ids": None if ids is None else tuple(ids),
        "role": wanted.role,
        "status": wanted.status,
        "search": wanted.search,
    }
    if wanted.client_id is None:
        narrowed["client_ids"] = client_ids
        rows = await ctx.sources.mongo.users(limit=limit + 1, after=position, **narrowed)
    else:
        if client_ids is not None and wanted.client_id not in client_ids:
            return no_rows()
        listed = KeysetSlice(wanted.client_id, limit, position, tuple(narrowed.items()))
        rows = await ctx.loader(UsersOfClients).load(listed)
        narrowed["client_ids"] = (wanted.client_id,)
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_users(**narrowed))


def visible_client_ids(principal: Principal) -> tuple[str, ...] | None:
    """The clients whose rows a principal may see; None: all of them."""
    match principal.kind:
        case PrincipalKind.SERVICE:
            return None
        case PrincipalKind.PLATFORM:
            return principal.client_ids
        case _:
            return (principal.client_id,) if principal.client_id else ()


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
        raise NotFound(NOBODY)
    if found.status is not UserStatus.ACTIVE:
        raise BadUserInput("this user is not active")
    return found


# -- who may change whom -----------------------------------------------------------------------------------------------


async def user_to_change(ctx: Context, id: str) -> UserRecord:
    """Somebody whom the caller may change.

    Raises NotFound for somebody who is not there or not theirs, Forbidden for somebody above them.
    """
    found = await user(ctx, id)
    if found is None:
        raise NotFound(NOBODY)
    check_not_above(ctx.principal, found)
    return found


def check_not_above(principal: Principal, target: UserRecord) -> None:
    """Raises Forbidden for a user whose role is above the caller's own. Only users have anybody above them."""
    if not _reaches(principal, target.role):
        raise Forbidden("this user's role is above yours")


def _check_may_give(principal: Principal, role: UserRole) -> None:
    """Raises Forbidden for a role that reaches further than the caller, by rank or by what a platform or a token has
    been cut to. A customer's may always be given: it opens nothing but a person's own rows."""
    if not _reaches(principal, role):
        raise Forbidden("nobody gives a role above their own")
    if missing := ROLE_SCOPES[role] - ROLE_SCOPES[UserRole.CUSTOMER] - principal.scopes:
        raise Forbidden(f"nobody gives a role that may do what they may not: {', '.join(sorted(missing))}")


def _reaches(principal: Principal, role: UserRole) -> bool:
    if principal.kind is not PrincipalKind.USER:
        return True
    return principal.role is not None and _RANK.index(role) <= _RANK.index(principal.role)


async def _check_may_permit(ctx: Context, permissions: Sequence[str]) -> None:
    """Raises Forbidden for a user who lacks one of them."""
    if ctx.principal.kind is not PrincipalKind.USER:
        return
    own = await user(ctx, ctx.principal.user_id or "")
    held = own.staff_access.permissions if own and own.staff_access else ()
    if not set(permissions) <= set(held):
        raise Forbidden("nobody grants a permission that they lack")


# -- changing them -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewPerson:
    """As the caller says it. `client_id` None: the caller's own client."""

    email: str
    name: str
    client_id: str | None = None
    phone: str | None = None
    role: UserRole = UserRole.CUSTOMER


async def create_user(ctx: Context, wanted: NewPerson) -> UserRecord:
    """Somebody new, without accounts anywhere. Repeated under its idempotency key it is the same user.

    Raises BadUserInput for what cannot be said about a person, NotFound for a client that is not theirs, Forbidden for
    a role above the caller's, Conflict where somebody of the client has this address.
    """
    email, name = checked_email("email", wanted.email), checked_name("name", wanted.name)
    phone = None if wanted.phone is None else checked_phone("phone", wanted.phone)
    client = await client_to_act_for(ctx, wanted.client_id)
    _check_may_give(ctx.principal, wanted.role)
    mongo = ctx.sources.mongo
    new = NewUser(client_id=client.id, email=email, name=name, phone=phone, role=wanted.role)
    if (earlier := noted(ctx, "user")) is not None:
        if made := await mongo.user(earlier):
            return made
        new = replace(new, id=earlier)
    await note(ctx, "user", new.id)
    await _check_address_is_free(ctx, client.id, email, None)
    async with audited(ctx, AuditEvent.USER_CREATED, "user", new.id, clientId=client.id, role=new.role.value):
        with taken_means(ADDRESS_TAKEN):
            return await mongo.create_user(new)


async def update_user(ctx: Context, id: str, wanted: UserChanges) -> UserRecord:
    """Raises as `user_to_change` and `create_user` do."""
    changes = _checked(wanted)
    target = await user_to_change(ctx, id)
    if changes.role is not UNSET:
        _check_may_give(ctx.principal, changes.role)
    if changes.email is not UNSET:
        await _check_address_is_free(ctx, target.client_id, changes.email, target.id)
    said = sorted(each.name for each in fields(changes) if getattr(changes, each.name) is not UNSET)
    if not said:
        return target
    if changes.role is not UNSET and changes.role is not target.role:
        detail = {"from": target.role.value, "to": changes.role.value, "fields": said}
        return await _revised(ctx, AuditEvent.USER_ROLE_CHANGED, target, changes, **detail)
    return await _revised(ctx, AuditEvent.USER_CHANGED, target, changes, fields=said)


async def set_user_status(ctx: Context, id: str, status: UserStatus) -> UserRecord:
    """Only an ACTIVE user may sign in; whatever else they have stays.

    Raises as `user_to_change` does, and Forbidden for letting somebody in again whose role may do what the caller may
    not.
    """
    target = await user_to_change(ctx, id)
    if status is UserStatus.ACTIVE and target.status is not UserStatus.ACTIVE:
        _check_may_give(ctx.principal, target.role)
    detail = {"from": target.status.value, "to": status.value}
    return await _revised(ctx, AuditEvent.USER_STATUS_CHANGED, target, UserChanges(status=status), **detail)


async def grant_staff_access(ctx: Context, id: str, permissions: Sequence[str]) -> UserRecord:
    """Let somebody use these, and nothing else. Raises as `user_to_change` does, and Forbidden for a permission that
    the caller lacks."""
    checked = checked_permissions("permissions", permissions)
    target = await user_to_change(ctx, id)
    await _check_may_permit(ctx, checked)
    changes = UserChanges(permissions=checked)
    return await _revised(ctx, AuditEvent.STAFF_ACCESS_GRANTED, target, changes, permissions=list(checked))


async def revoke_staff_access(ctx: Context, id: str) -> UserRecord:
    """Fine for somebody who has none. Raises as `user_to_change` does."""
    target = await user_to_change(ctx, id)
    return await _revised(ctx, AuditEvent.STAFF_ACCESS_REVOKED, target, UserChanges(permissions=None))


def _checked(wanted: UserChanges) -> UserChanges:
    email, name, phone = wanted.email, wanted.name, wanted.phone
    return replace(
        wanted,
        email=UNSET if email is UNSET else checked_email("email", email),
        name=UNSET if name is UNSET else checked_name("name", name),
        phone=phone if phone is UNSET or phone is None else checked_phone("phone", phone),
    )


async def _check_address_is_free(ctx: Context, client_id: str, email: str, user_id: str | None) -> None:
    """Raises Conflict for an address under which somebody else of the client has bought."""
    if any(each.id != user_id for each in await ctx.sources.mongo.users_who_had(client_id, email)):
        raise Conflict(ADDRESS_TAKEN)


async def _revised(
    ctx: Context, event: AuditEvent, target: UserRecord, changes: UserChanges, **detail: Any
) -> UserRecord:
    def check(found: UserRecord) -> None:
        # Who they are may have changed since the caller was shown them.
        if not may_see(ctx.principal, found):
            raise NotFound(NOBODY)
        check_not_above(ctx.principal, found)

    async with audited(ctx, event, "user", target.id, **detail):
        with nullcontext() if changes.email is UNSET else taken_means(ADDRESS_TAKEN):
            revised = await ctx.sources.mongo.revise_user(target.id, changes, check=check)
    return await told(ctx, target.id, revised)


async def told(ctx: Context, id: str, changed: UserRecord | None) -> UserRecord:
    """Whoever remembers this user is told that they are not what they were."""
    ctx.loader(UserById).clear(id)
    await ctx.sources.identities.changed()
    if changed is None:
        raise NotFound(NOBODY)
    return changed


@contextmanager
def taken_means(message: str, *, source: BackendName | None = None) -> Iterator[None]:
    """Around a write whose only conflict is this one; the store cannot tell which value is taken."""
    try:
        yield
    except Conflict as exc:
        raise Conflict(message, source=source) from exc
