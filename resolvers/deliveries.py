"""Deliveries: whose they are, how they are listed, ordered and canceled.

A delivery is of whoever its order is of; one without order is of whom the ownership collection names. Fleetbase knows
neither, so that lists for anybody but services are made by `_delivery_walks`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from core.address import Address
from core.backends import BackendName
from core.errors import BackendError, BadUserInput, GatewayError, NotFound
from datasources.fleetbase import DeliveryRecord, NewDelivery
from datasources.mongo import OwnershipRecord, UserRecord
from resolvers import users
from resolvers._delivery_joins import AnyDeliveryById, DeliveriesByOrderId, DeliveryByOrderId
from resolvers._delivery_walks import Whose, walk
from resolvers.context import Context, OneByKey
from resolvers.orders import OrderById, channels_of_user
from resolvers.ownership import owns
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page
from resolvers.products import channels_of
from resolvers.users import visible_client_ids

__all__ = [
    "DeliveriesByOrderId",
    "DeliveryById",
    "DeliveryByOrderId",
    "DeliveryWanted",
    "cancel_delivery",
    "create_delivery",
    "deliveries",
    "deliveries_of_user",
    "delivery",
]

MAX_ORDER_IDS = 100


@dataclass(frozen=True)
class DeliveryWanted:
    """What a list of deliveries is narrowed to; None: not at all.

    `status` may be several with commas, and `active` is all that are not finished.
    """

    order_ids: tuple[str, ...] | None = None
    status: str | None = None
    driver_id: str | None = None

    def fits(self, row: DeliveryRecord) -> bool:
        if self.driver_id is not None and (row.driver is None or row.driver.id != self.driver_id):
            return False
        if self.status is None:
            return True
        statuses = self.status.split(",")
        return row.status in statuses or ("active" in statuses and not row.is_finished)


class DeliveryById(OneByKey[str, DeliveryRecord]):
    """A delivery that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[DeliveryRecord]:
        found = await self.ctx.loader(AnyDeliveryById).load_many(keys)
        return await _theirs(self.ctx, [row for row in found if row is not None])

    def key(self, row: DeliveryRecord) -> str:
        return row.id


async def _theirs(ctx: Context, rows: list[DeliveryRecord]) -> list[DeliveryRecord]:
    """Those that the caller may see."""
    if ctx.principal.is_service:
        return rows
    order_ids = list(dict.fromkeys(row.order_id for row in rows if row.order_id))
    others = [row.id for row in rows if not row.order_id]
    orders, owners = await asyncio.gather(
        ctx.loader(OrderById).load_many(order_ids),
        ctx.sources.mongo.owners(BackendName.FLEETBASE, others) if others else _no_owners(),
    )
    visible = {order.id for order in orders if order is not None}
    visible |= {owner.row_id for owner in owners if owns(ctx.principal, owner)}
    return [row for row in rows if (row.order_id or row.id) in visible]


async def _no_owners() -> list[OwnershipRecord]:
    return []


# -- lists -----------------------------------------------------------------------------------------------------------


async def delivery(ctx: Context, id: str) -> DeliveryRecord | None:
    """None for one that is not there, or not theirs."""
    return await ctx.loader(DeliveryById).load(id)


async def deliveries(
    ctx: Context, *, first: int | None, after: str | None, wanted: DeliveryWanted
) -> Page[DeliveryRecord]:
    """Newest first: for services by when they were made, for all others by their orders.

    Raises BadUserInput for more than 100 order ids.
    """
    limit, principal = checked_first(first), ctx.principal
    if wanted.order_ids is not None:
        return await _of_orders(ctx, wanted.order_ids, limit, offset_after(after), wanted)
    if principal.is_service:
        offset = offset_after(after)
        rows = await ctx.sources.fleetbase.deliveries(
            limit=limit + 1, offset=offset, status=wanted.status, driver_id=wanted.driver_id
        )
        return offset_page(rows[:limit], offset, has_next=len(rows) > limit)
    whose = Whose(
        channel_ids=channels_of(principal),
        customer_ids=principal.medusa_customer_ids if principal.is_customer else None,
        client_ids=tuple(visible_client_ids(principal) or ()),
        user_id=principal.user_id if principal.is_customer else None,
    )
    return await walk(ctx, whose, limit, after, wanted.fits)


async def deliveries_of_user(
    ctx: Context, user: UserRecord, *, first: int | None, after: str | None
) -> Page[DeliveryRecord]:
    """Of this user's orders and what was recorded as theirs, newest first; nothing for callers who may not see the
    user's rows."""
    limit = checked_first(first)
    if not users.may_see(ctx.principal, user):
        return no_rows()
    whose = Whose(await channels_of_user(ctx, user), user.medusa_customer_ids, (user.client_id,), user.id)
    return await walk(ctx, whose, limit, after, lambda row: True)


async def _of_orders(
    ctx: Context, order_ids: Sequence[str], limit: int, offset: int, wanted: DeliveryWanted
) -> Page[DeliveryRecord]:
    order_ids = list(dict.fromkeys(order_ids))
    if len(order_ids) > MAX_ORDER_IDS:
        raise BadUserInput(f"`orderIds` takes at most {MAX_ORDER_IDS} ids")
    if not ctx.principal.is_service:
        orders = await ctx.loader(OrderById).load_many(order_ids)
        order_ids = [order.id for order in orders if order is not None]
    lists = await ctx.loader(DeliveriesByOrderId).load_many(order_ids)
    rows = [row for rows in lists for row in rows if wanted.fits(row)]
    rows.sort(key=lambda row: (row.created_at, row.id), reverse=True)
    page = rows[offset : offset + limit]
    return offset_page(page, offset, has_next=offset + limit < len(rows), total=len(rows))


# -- changes ---------------------------------------------------------------------------------------------------------


async def create_delivery(
    ctx: Context,
    *,
    order_id: str | None,
    pickup: Address,
    dropoff: Address,
    driver_id: str | None,
    scheduled_at: datetime | None,
    notes: str | None,
) -> DeliveryRecord:
    """A delivery of this order, or of none. An order that has one which is not canceled gets no second: that one is
    the answer.

    Raises NotFound for an order that is not theirs; BadUserInput for a platform that names no order, for nobody could
    see what it makes.
    """
    new = NewDelivery(
        internal_id=order_id or f"gateway-{uuid4().hex}",
        pickup=pickup,
        dropoff=dropoff,
        driver_id=driver_id,
        scheduled_at=scheduled_at,
        notes=notes,
    )
    if order_id is not None:
        if await ctx.loader(OrderById).load(order_id) is None:
            raise NotFound("there is no such order")
        made = await ctx.sources.fleetbase.create_delivery(new)
    else:
        made = await _create_without_order(ctx, new)
    _forget(ctx, made)
    return made


async def _create_without_order(ctx: Context, new: NewDelivery) -> DeliveryRecord:
    principal, fleetbase = ctx.principal, ctx.sources.fleetbase
    if principal.is_service:
        return await fleetbase.create_delivery(new)
    if principal.client_id is None:
        raise BadUserInput("`orderId` is needed: a platform's own delivery would be of no client")
    made = await fleetbase.create_delivery(new)
    try:
        await ctx.sources.mongo.record_ownership(BackendName.FLEETBASE, made.id, principal.client_id, principal.user_id)
    except BackendError:
        # Unrecorded it would drive about unseen by those who ordered it.
        with suppress(GatewayError):
            await fleetbase.cancel_delivery(made.id)
        raise
    return made


async def cancel_delivery(ctx: Context, id: str) -> DeliveryRecord:
    """Cancel it, unless that has happened. Raises NotFound for one that is not theirs, Conflict for a completed one."""
    if await delivery(ctx, id) is None:
        raise NotFound("there is no such delivery")
    canceled = await ctx.sources.fleetbase.cancel_delivery(id)
    _forget(ctx, canceled)
    return canceled


def _forget(ctx: Context, changed: DeliveryRecord) -> None:
    """What this operation has read before is out of date."""
    ctx.loader(AnyDeliveryById).clear(changed.id)
    ctx.loader(DeliveryById).clear(changed.id)
    if changed.internal_id:
        ctx.loader(DeliveriesByOrderId).clear(changed.internal_id)
        ctx.loader(DeliveryByOrderId).clear(changed.internal_id)
