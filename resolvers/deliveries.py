"""Deliveries: whose they are, how they are listed, ordered, followed and canceled.

A delivery is of whoever its order is of; one without order is of whom the ownership collection names. Fleetbase knows
neither, so that lists for anybody but services are made by `_delivery_walks`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from core.address import Address
from core.backends import BackendName
from core.concurrency import bounded_map
from core.errors import BackendError, BadUserInput, GatewayError, NotFound
from datasources.fleetbase import DeliveryRecord, NewDelivery, TrackingRecord
from datasources.mongo import UserRecord
from datasources.rows import DELIVERIES
from resolvers import users
from resolvers._delivery_joins import AnyDeliveryById, DeliveriesByOrderId, DeliveryByOrderId
from resolvers._delivery_walks import Whose, walk
from resolvers.bounds import check_length
from resolvers.context import Context, OneByKey
from resolvers.orders import OrderById, channels_of_user
from resolvers.ownership import OwnerOfDelivery, owns
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page
from resolvers.products import channels_of
from resolvers.remembered import Remembered
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
    "eta_seconds",
    "followed_delivery",
    "tracking",
]

MAX_ORDER_IDS = 100
TRACKED_AT_ONCE = 5


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
        rows = await self.ctx.loader(AnyDeliveryById).load_many(keys)
        seen = await asyncio.gather(*(may_see(self.ctx, key, row) for key, row in zip(keys, rows, strict=True)))
        return [row for row, is_seen in zip(rows, seen, strict=True) if row is not None and is_seen]

    def key(self, row: DeliveryRecord) -> str:
        return row.id


async def may_see(ctx: Context, id: str, row: DeliveryRecord | None) -> bool:
    """Whether a delivery is one that the caller may see: their order's, or without order recorded as theirs.

    One that is not there (None) is looked for as long as a stranger's, so that time does not tell them apart.
    """
    principal = ctx.principal
    if principal.is_service:
        return row is not None
    if channels_of(principal) != () and (row is None or row.order_id):
        order = await ctx.loader(OrderById).load(row.order_id if row and row.order_id else id)
        return row is not None and order is not None
    owner = await ctx.loader(OwnerOfDelivery).load(id)
    return row is not None and not row.order_id and owns(principal, owner)


# -- on their way ----------------------------------------------------------------------------------------------------


class TrackingById(Remembered[TrackingRecord | None]):
    """What a route engine says of a delivery, whosever it is: a call for each. None where nothing can be told."""

    kind = DELIVERIES

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.followed: set[str] = set()
        """Deliveries that this operation has asked for by themselves. Those of a list would be too many calls."""

    async def asked(self, keys: list[str]) -> list[TrackingRecord | None]:
        return await bounded_map(self.sources.fleetbase.tracking, keys, at_once=TRACKED_AT_ONCE)


async def followed_delivery(ctx: Context, id: str) -> DeliveryRecord | None:
    """As `delivery`, and when it arrives will be asked of the route engine."""
    ctx.loader(TrackingById).followed.add(id)
    return await delivery(ctx, id)


def eta_seconds(ctx: Context, row: DeliveryRecord) -> int | Awaitable[int | None] | None:
    """How long it still takes, as a route engine has it now, for a delivery under way that was asked for by itself;
    for the rows of lists, and where the engine cannot tell, what was computed with the route."""
    is_followed = row.id in ctx.loader(TrackingById).followed
    if not is_followed or row.driver is None or row.is_finished:
        return row.eta_seconds
    return _live_eta_seconds(ctx, row)


async def _live_eta_seconds(ctx: Context, row: DeliveryRecord) -> int | None:
    with suppress(BackendError):
        tracked = await ctx.loader(TrackingById).load(row.id)
        if tracked is not None and tracked.eta_seconds is not None:
            return tracked.eta_seconds
    return row.eta_seconds


async def tracking(ctx: Context, id: str) -> TrackingRecord | None:
    """Where it is and when it arrives; None for one that is not there, not theirs, or cannot be tracked."""
    found = await delivery(ctx, id)
    return await ctx.loader(TrackingById).load(id) if found else None


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

        async def ask() -> list[DeliveryRecord]:
            return await ctx.sources.fleetbase.deliveries(
                limit=limit + 1, offset=offset, status=wanted.status, driver_id=wanted.driver_id
            )

        rows = await ctx.sources.rows.answer(DELIVERIES, (limit, offset, wanted), ask, scope="all")
        return offset_page(rows[:limit], offset, has_next=len(rows) > limit)
    whose = Whose(
        channel_ids=channels_of(principal),
        customer_ids=principal.medusa_customer_ids if principal.is_customer else None,
        client_ids=visible_client_ids(principal) or (),
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
    check_length("orderIds", order_ids, MAX_ORDER_IDS)
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
    the answer. Without an order the same holds for the same idempotency key.

    Raises NotFound for an order that is not theirs; BadUserInput for a platform that names no order, for nobody could
    see what it makes.
    """
    new = NewDelivery(
        internal_id=order_id or f"gateway-{ctx.idempotency_key() or uuid4().hex}",
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
