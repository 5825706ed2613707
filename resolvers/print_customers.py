"""Customers of the print shop: whose they are, how they are listed, and how one is made.

They are a client's by its scope, or because the gateway made them for it: the ownership collection says so, and whom
of the client's people they are. The scope is a service's to set, so that making one does not widen it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial

from core.backends import BackendName
from core.errors import BackendError, BadUserInput, GatewayError
from datasources.mongo import OwnershipRecord, UserRecord
from datasources.strapi import JobCustomerRecord, chunks
from resolvers._person import checked_email
from resolvers._print_pages import merged, place_of
from resolvers.bounds import checked_name
from resolvers.context import Context, Loader, OneByKey
from resolvers.idempotency import note, noted
from resolvers.ownership import owns
from resolvers.pages import Page, checked_first
from resolvers.users import UserById, user_to_act_for, visible_client_ids

CUSTOMER = "customer"
"""Kind of ownership."""
MAX_OWNED = 1000
"""How many of what the gateway made for somebody are in their lists: the newest."""
CLOCKS = timedelta(seconds=5)
"""What the print shop's clock may be behind ours."""


class OwnerOfPrintRow(OneByKey[str, OwnershipRecord]):
    """What is recorded about a customer or a job, whosever it is."""

    async def fetch(self, keys: list[str]) -> list[OwnershipRecord]:
        return await self.sources.mongo.owners(BackendName.STRAPI, keys)

    def key(self, row: OwnershipRecord) -> str:
        return row.row_id


class OwnedPrintRows(Loader[str, tuple[str, ...]]):
    """The ids of what the gateway made for the principal's clients, newest first, by its kind."""

    async def batch_load_fn(self, keys: list[str]) -> list[tuple[str, ...]]:
        client_ids = visible_client_ids(self.ctx.principal)
        return [await self._ids(kind, client_ids or ()) for kind in keys]

    async def _ids(self, kind: str, client_ids: tuple[str, ...]) -> tuple[str, ...]:
        if not client_ids or self.ctx.principal.is_customer:
            return ()
        mongo = self.sources.mongo
        rows = await mongo.owned(BackendName.STRAPI, kind=kind, limit=MAX_OWNED, client_ids=client_ids)
        return tuple(row.row_id for row in rows)


class JobCustomerById(OneByKey[str, JobCustomerRecord]):
    """A customer that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[JobCustomerRecord]:
        found = {row.id: row for row in await self.sources.strapi.customers_by_ids(keys)}
        # Whoever is not there is looked for as well, so that time does not tell strangers from them.
        seen = await asyncio.gather(*(may_see_row(self.ctx, key) for key in keys))
        return [found[key] for key, is_seen in zip(keys, seen, strict=True) if is_seen and key in found]

    def key(self, row: JobCustomerRecord) -> str:
        return row.id


class UserOfJobCustomer(Loader[str, UserRecord | None]):
    """Which user a customer is, as was said when they were made; None where they are none the principal may see."""

    async def batch_load_fn(self, keys: list[str]) -> list[UserRecord | None]:
        owners = await self.ctx.loader(OwnerOfPrintRow).load_many(keys)
        users = {owner.user_id for owner in owners if owner is not None and owner.user_id is not None}
        found = await self.ctx.loader(UserById).load_many(list(users))
        by_id = {user.id: user for user in found if user is not None}
        return [by_id.get(owner.user_id or "") if owner is not None else None for owner in owners]


async def may_see_row(ctx: Context, id: str) -> bool:
    """Whether a customer lies in the principal's scope, or a customer or job was made for one of their clients."""
    principal = ctx.principal
    scope = principal.visible_scope
    if scope is None or (id in scope.strapi_customer_ids and not principal.is_customer):
        return True
    return owns(principal, await ctx.loader(OwnerOfPrintRow).load(id))


async def customer_ids_of(ctx: Context) -> tuple[str, ...] | None:
    """The customers whose rows are in the principal's lists; None: all, which is for services alone."""
    scope = ctx.principal.visible_scope
    if scope is None:
        return None
    given = () if ctx.principal.is_customer else scope.strapi_customer_ids
    return tuple(dict.fromkeys((*given, *await ctx.loader(OwnedPrintRows).load(CUSTOMER))))


async def job_customers(ctx: Context, *, first: int | None, after: str | None) -> Page[JobCustomerRecord]:
    """Newest first."""
    limit, behind = checked_first(first), place_of(after)
    ids = await customer_ids_of(ctx)
    customers = ctx.sources.strapi.customers
    streams = [partial(customers, some) for some in ([None] if ids is None else chunks(ids))]
    return await merged(streams, limit, behind, lambda row: True)


async def create_job_customer(ctx: Context, *, name: str, email: str | None, user_id: str | None) -> JobCustomerRecord:
    """A new customer, who is this user's if one is named. The same idempotency key makes no second one.

    Raises NotFound for a user who is not theirs; BadUserInput for a platform that names none, for nobody could see
    what it makes.
    """
    name = checked_name("name", name)
    email = None if email is None else checked_email("email", email)
    user = None if user_id is None else await user_to_act_for(ctx, user_id)
    client_id = user.client_id if user else ctx.principal.client_id
    if client_id is None and not ctx.principal.is_service:
        raise BadUserInput("`userId` is needed: a platform's own customer would be of no client")
    made = await _left_behind(ctx, name, email)
    if made is None:
        await note(ctx, "asked", datetime.now(UTC).isoformat())
        made = await ctx.sources.strapi.create_customer(name, email)
    await note(ctx, "made", made.id)
    try:
        await ctx.sources.mongo.record_ownership(
            BackendName.STRAPI, made.id, client_id, user.id if user else None, kind=CUSTOMER
        )
    except BackendError:
        if ctx.idempotency_key() is None:
            # Nobody would ever see them.
            with suppress(GatewayError):
                await ctx.sources.strapi.delete_customer(made.id)
        raise
    ctx.loader(OwnerOfPrintRow).clear(made.id)
    ctx.loader(OwnedPrintRows).clear(CUSTOMER)
    return made


async def _left_behind(ctx: Context, name: str, email: str | None) -> JobCustomerRecord | None:
    """What an earlier try under the same key has made: it has said so, or it asked and heard nothing."""
    strapi = ctx.sources.strapi
    if made_id := noted(ctx, "made"):
        return next(iter(await strapi.customers_by_ids([made_id])), None)
    if not (asked_at := noted(ctx, "asked")):
        return None
    alike = await strapi.customers_like(name, email, since=datetime.fromisoformat(asked_at) - CLOCKS)
    owners = await ctx.loader(OwnerOfPrintRow).load_many([customer.id for customer in alike])
    return next((customer for customer, owner in zip(alike, owners, strict=True) if owner is None), None)
