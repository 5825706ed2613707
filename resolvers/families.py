"""Families: people of one client who share benefits."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from core.errors import BadUserInput, Conflict, Forbidden, NotFound
from core.principals import Principal
from core.scopes import UserRole
from datasources.mongo import FamilyBenefitRecord, FamilyRecord, FamilyRole, Keyset, UserRecord, UserStatus
from resolvers import users
from resolvers.bounds import checked_code, checked_decimal, checked_name
from resolvers.clients import client_to_act_for
from resolvers.context import Context, ManyByKey, OneByKey
from resolvers.keysets import KeysetSlice, KeysetSlices, keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows
from resolvers.users import UserById, visible_client_ids

MAX_MEMBERS, MAX_BENEFITS = 50, 100
TRIES_TO_HAND_OVER = 30
"""Every lost race means that somebody else became the owner, so that this bounds how many are in front."""

Benefits = tuple[FamilyBenefitRecord, ...]


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


@dataclass(frozen=True)
class Member:
    """Somebody's place in a family. `user` is None for somebody whom the principal may not see."""

    family_id: str
    user: UserRecord | Relative | None
    role: FamilyRole
    joined_at: datetime


@dataclass(frozen=True)
class BenefitToShare:
    """What a member brings into a family. `percent_off` is in per cent; None: it is no discount."""

    code: str
    name: str
    shared_by_id: str
    percent_off: Decimal | None = None
    valid_until: datetime | None = None


class MemberById(OneByKey[str, UserRecord | Relative]):
    """A member of a family that the principal may see. Only families lead here, so whom a customer meets besides
    themselves is a relative."""

    async def fetch(self, keys: list[str]) -> list[UserRecord | Relative]:
        found = [_as_seen(self.ctx.principal, user) for user in await self.sources.mongo.users_by_ids(keys)]
        return [user for user in found if user is not None]

    def key(self, row: UserRecord | Relative) -> str:
        return row.id


class MembersByFamilyId(ManyByKey[str, Member]):
    """A family's members in the order in which they joined. Only for families that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[Member]:
        principal = self.ctx.principal
        return [
            Member(
                user.family_id or "",
                _as_seen(principal, user),
                user.family_role or FamilyRole.ADULT,
                user.family_joined_at or user.created_at,
            )
            for user in await self.sources.mongo.members_of_families(keys)
        ]

    def key(self, row: Member) -> str:
        return row.family_id


class FamiliesOfClients(KeysetSlices[FamilyRecord]):
    """The families of several clients whom the principal may see."""

    async def rows(
        self, parent_ids: Sequence[str], *, limit: int, after: Keyset | None, **narrowed: Any
    ) -> list[FamilyRecord]:
        return await self.sources.mongo.families(limit=limit, after=after, client_ids=parent_ids, **narrowed)

    def parent_id(self, row: FamilyRecord) -> str:
        return row.client_id


class FamilyOfUser(OneByKey[str, FamilyRecord]):
    """A family by its id. Only for ids from users whom the principal may see whole: customers are their own."""

    async def fetch(self, keys: list[str]) -> list[FamilyRecord]:
        rows = await self.sources.mongo.families_by_ids(keys)
        return [row for row in rows if _is_of_theirs(self.ctx.principal, row)]

    def key(self, row: FamilyRecord) -> str:
        return row.id


class FamilyById(FamilyOfUser):
    """A family that the principal may see: customers the one they are in, everyone else those of their clients."""

    async def fetch(self, keys: list[str]) -> list[FamilyRecord]:
        if self.ctx.principal.is_customer:
            own = await _own_family_ids(self.ctx)
            keys = [key for key in keys if key in own]
        return await super().fetch(keys)


def _as_seen(principal: Principal, user: UserRecord) -> UserRecord | Relative | None:
    if users.may_see(principal, user):
        return user
    return Relative(user) if principal.is_customer and user.client_id == principal.client_id else None


def _is_of_theirs(principal: Principal, family: FamilyRecord) -> bool:
    client_ids = visible_client_ids(principal)
    return client_ids is None or family.client_id in client_ids


async def _own_family_ids(ctx: Context) -> list[str]:
    """The family of the user who asks, if they are in one."""
    user = await ctx.loader(UserById).load(ctx.principal.user_id or "")
    return [user.family_id] if user is not None and user.family_id is not None else []


async def family(ctx: Context, id: str) -> FamilyRecord | None:
    return await ctx.loader(FamilyById).load(id)


async def families(
    ctx: Context, *, first: int | None, after: str | None, client_id: str | None = None
) -> Page[FamilyRecord]:
    """Newest first; of one client if it is named."""
    principal = ctx.principal
    limit, position = checked_first(first), keyset_after(after)
    client_ids = visible_client_ids(principal)
    if client_id is not None and client_ids is not None and client_id not in client_ids:
        return no_rows()
    ids = tuple(await _own_family_ids(ctx)) if principal.is_customer else None
    narrowed: dict[str, Any] = {"client_ids": client_ids if client_id is None else (client_id,), "ids": ids}
    if client_id is None:
        rows = await ctx.sources.mongo.families(limit=limit + 1, after=position, **narrowed)
    else:
        rows = await ctx.loader(FamiliesOfClients).load(KeysetSlice(client_id, limit, position, (("ids", ids),)))
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_families(**narrowed))


# -- changing one ------------------------------------------------------------------------------------------------------


async def create_family(ctx: Context, *, client_id: str | None, name: str, owner_id: str) -> FamilyRecord:
    """A family of one. Raises NotFound for an owner who is not of that client, BadUserInput for one who is not active,
    Conflict for one who is in a family."""
    name = checked_name("name", name)
    client = await client_to_act_for(ctx, client_id)
    owner = await _joining(ctx, owner_id, client.id)
    made = await ctx.sources.mongo.create_family(client.id, name, owner.id)
    _forget(ctx, made.id, owner.id)
    return made


async def add_family_member(ctx: Context, family_id: str, user_id: str, role: FamilyRole) -> FamilyRecord:
    """Adds a member, or makes one something else; a new owner takes the place of the one before, who becomes an adult.

    Raises Conflict for a member of another family, for an owner who is to be less without a successor, and for more
    members than a family may have.
    """
    mongo = ctx.sources.mongo
    family, members = await _settled(ctx, family_id)
    user = await _joining(ctx, user_id, family.client_id)
    known = next((member for member in members if member.id == user.id), None)
    if known is None:
        if not members and role is not FamilyRole.OWNER:
            raise Conflict("an empty family gets its owner first")
        if len(members) >= MAX_MEMBERS:
            raise Conflict(f"a family has at most {MAX_MEMBERS} members")
        # Whoever is to own it joins first: nobody steps down for somebody whom another family gets.
        await mongo.join_family(user.id, family.id, FamilyRole.ADULT if role is FamilyRole.OWNER else role)
        if len(await mongo.members_of_families([family.id])) > MAX_MEMBERS:
            await mongo.leave_family(user.id, family.id)  # Others joined at once.
            raise Conflict(f"a family has at most {MAX_MEMBERS} members")
    elif role is not FamilyRole.OWNER:
        await mongo.join_family(user.id, family.id, role)
    if role is FamilyRole.OWNER and (known is None or known.family_role is not FamilyRole.OWNER):
        try:
            await _hand_over(ctx, family.id, user.id)
        except Conflict:
            await _settled(ctx, family.id)  # Whoever stepped down for this user, or another, owns it now.
            raise
    return await _done(ctx, family.id, user.id, *(member.id for member in members))


async def remove_family_member(ctx: Context, family_id: str, user_id: str) -> FamilyRecord:
    """Takes a member out; what they shared ends. Raises NotFound for somebody who is no member, Conflict for an owner
    with others left."""
    family, members = await _settled(ctx, family_id)
    if user_id not in {member.id for member in members}:
        raise NotFound("there is no such member")
    await ctx.sources.mongo.leave_family(user_id, family.id, may_be_owner=len(members) == 1)
    return await _done(ctx, family.id, user_id, *(member.id for member in members))


async def share_family_benefit(ctx: Context, family_id: str, wanted: BenefitToShare) -> FamilyRecord:
    """Adds a benefit, or changes one that the same member shares. One that has ended may be shared anew by anybody, and
    the one that ended first makes room where a family has as many as it may.

    Raises Conflict for a code that another member shares, and for more benefits than a family may have.
    """
    now = datetime.now(UTC)
    new = _checked(wanted, now)
    family, members = await _settled(ctx, family_id)
    if new.shared_by_id not in {member.id for member in members}:
        raise BadUserInput("`sharedById` is no member of this family")

    def shared(benefits: Benefits) -> Benefits:
        known = next((benefit for benefit in benefits if benefit.code == new.code), None)
        if known is not None:
            if known.shared_by_id != new.shared_by_id and not _has_ended(known, now):
                raise Conflict("another member shares a benefit with this code")
            return tuple(new if benefit is known else benefit for benefit in benefits)
        if len(benefits) >= MAX_BENEFITS:
            ended = [benefit for benefit in benefits if _has_ended(benefit, now)]
            if not ended:
                raise Conflict(f"a family has at most {MAX_BENEFITS} benefits")
            first = min(ended, key=lambda benefit: benefit.valid_until or now)
            benefits = tuple(benefit for benefit in benefits if benefit is not first)
        return (*benefits, new)

    await ctx.sources.mongo.change_benefits(family.id, shared)
    return await _done(ctx, family.id)


async def revoke_family_benefit(ctx: Context, family_id: str, code: str) -> FamilyRecord:
    """Ends a benefit now; it stays on the list. Raises NotFound for a code that the family does not have."""
    now = _moment()
    family, _ = await _settled(ctx, family_id)

    def revoked(benefits: Benefits) -> Benefits:
        if code not in {benefit.code for benefit in benefits}:
            raise NotFound("there is no such benefit")
        return tuple(_ended(benefit, now) if benefit.code == code else benefit for benefit in benefits)

    await ctx.sources.mongo.change_benefits(family.id, revoked)
    return await _done(ctx, family.id)


async def _joining(ctx: Context, user_id: str, client_id: str) -> UserRecord:
    """Read anew: what this operation changed before counts."""
    found = await ctx.sources.mongo.user(user_id)
    if found is None or found.client_id != client_id or not users.may_see(ctx.principal, found):
        raise NotFound("there is no such user")
    if found.status is not UserStatus.ACTIVE:
        raise BadUserInput("this user is not active")
    return found


async def _hand_over(ctx: Context, family_id: str, user_id: str) -> None:
    """Make a member the owner. Without owner in between: who it is to be is written down before, so that whoever finds
    it so can finish."""
    mongo = ctx.sources.mongo
    await mongo.name_heir(family_id, user_id)
    for _ in range(TRIES_TO_HAND_OVER):
        members = await mongo.members_of_families([family_id])
        if user_id not in {member.id for member in members}:
            raise Conflict("this user has left the family in the meantime")
        for member in members:
            if member.family_role is FamilyRole.OWNER and member.id != user_id:
                await mongo.disown_family(member.id, family_id)
        try:
            await mongo.own_family(user_id, family_id)
        except Conflict:
            continue  # Somebody else became the owner, or this user left.
        return
    raise Conflict("this family is being handed over by too many at once")


async def _settled(ctx: Context, id: str) -> tuple[FamilyRecord, list[UserRecord]]:
    """A family and its members, after what a call that was cut off left undone: a family without owner gets the one
    whom it was to have, and what those share who are not in it ends. Raises NotFound."""
    mongo = ctx.sources.mongo
    ctx.loader(FamilyById).clear(id)
    family = await ctx.loader(FamilyById).load(id)
    if family is None:
        raise NotFound("there is no such family")
    members = await mongo.members_of_families([id])
    if members and all(member.family_role is not FamilyRole.OWNER for member in members):
        # Where somebody became the owner meanwhile, or the heir left, whoever did that comes by here as well.
        with suppress(Conflict):
            await mongo.own_family(_heir(family, members).id, id)
        members = await mongo.members_of_families([id])
    now, theirs = _moment(), {member.id for member in members}
    # Those read before the members: whoever shared them and is not among the members has left since.
    orphans = [each for each in family.benefits if each.shared_by_id not in theirs and not _has_ended(each, now)]
    if orphans:
        settled = await mongo.change_benefits(
            id, lambda benefits: tuple(_ended(each, now) if each in orphans else each for each in benefits)
        )
        family = settled or family
    return family, members


def _heir(family: FamilyRecord, members: list[UserRecord]) -> UserRecord:
    """Whom it was to belong to; else the adult, or else anybody, who joined first."""
    named = [member for member in members if member.id == family.heir_id]
    adults = [member for member in members if member.family_role is FamilyRole.ADULT]
    return (named or adults or members)[0]


async def _done(ctx: Context, family_id: str, *user_ids: str) -> FamilyRecord:
    """The family as it is after a change, and nothing of how it was."""
    family, members = await _settled(ctx, family_id)
    _forget(ctx, family_id, *user_ids, *(member.id for member in members))
    return family


def _forget(ctx: Context, family_id: str, *user_ids: str) -> None:
    for of_family in (FamilyById, FamilyOfUser, MembersByFamilyId):
        ctx.loader(of_family).clear(family_id)
    for user_id in user_ids:
        ctx.loader(UserById).clear(user_id)
        ctx.loader(MemberById).clear(user_id)


def _checked(wanted: BenefitToShare, now: datetime) -> FamilyBenefitRecord:
    percent_off = wanted.percent_off
    if percent_off is not None:
        percent_off = checked_decimal("percentOff", percent_off, largest=Decimal(100), places=2)
        if percent_off == 0:
            raise BadUserInput("`percentOff` is more than 0")
    if wanted.valid_until is not None and wanted.valid_until <= now:
        raise BadUserInput("`validUntil` is in the past")
    return FamilyBenefitRecord(
        code=checked_code("code", wanted.code),
        name=checked_name("name", wanted.name),
        shared_by_id=wanted.shared_by_id,
        percent_off=percent_off,
        valid_until=wanted.valid_until,
    )


def _has_ended(benefit: FamilyBenefitRecord, now: datetime) -> bool:
    return benefit.valid_until is not None and benefit.valid_until <= now


def _ended(benefit: FamilyBenefitRecord, now: datetime) -> FamilyBenefitRecord:
    """One that has ended already stays as it is."""
    return benefit if _has_ended(benefit, now) else msgspec.structs.replace(benefit, valid_until=now)


def _moment() -> datetime:
    """Now, as exact as the store keeps it."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
