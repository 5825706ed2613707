"""Pages of deliveries for those who are not services.

Fleetbase knows no clients. So a list walks along what leads to the caller's deliveries, newest first: their orders in
Medusa, merged with what the ownership collection has recorded for them. Each of these leads to none, one or several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from core.backends import BackendName
from core.concurrency import SIDE_BY_SIDE
from core.errors import BadUserInput
from datasources.fleetbase import DeliveryRecord
from datasources.medusa import OrderRecord
from datasources.mongo import OwnershipRecord
from resolvers._delivery_joins import AnyDeliveryById, DeliveriesByOrderId
from resolvers.context import Context, Loader
from resolvers.orders import OrderSlices, OrderWanted, Slice
from resolvers.pages import MAX_FIRST, NO_CURSOR, Edge, Page, decode_cursor, encode_cursor, page_of

Lead = OrderRecord | OwnershipRecord

STRETCHES = 5
"""How often a page looks further for deliveries that fit. Then it ends where it stands, and can be continued."""
FIRST_STRETCH = 20


@dataclass(frozen=True)
class Whose:
    """Of the orders that these customers (None: all) have in these channels (None: all), and what is recorded for
    these clients and, unless None, this user."""

    channel_ids: tuple[str, ...] | None
    customer_ids: tuple[str, ...] | None
    client_ids: tuple[str, ...]
    user_id: str | None


@dataclass(frozen=True)
class Position:
    """How far a walk has come: past so many orders, and past what was recorded at this time or later."""

    orders: int = 0
    recorded_before: datetime | None = None

    def cursor(self, n: int) -> str:
        """Of the delivery number `n`, counted from 0, of the next order or record; -1: of none of them yet."""
        before = self.recorded_before.isoformat() if self.recorded_before else None
        return encode_cursor(self.orders, before, n)


@dataclass(frozen=True)
class Step:
    """What one order or one record led to, and where the walk stood before it."""

    position: Position
    deliveries: list[DeliveryRecord]


@dataclass(frozen=True)
class Stretch:
    """A piece of a walk: the next so many orders and records."""

    whose: Whose
    position: Position
    length: int


@dataclass(frozen=True)
class Walked:
    steps: list[Step]
    position: Position
    is_all: bool
    """Nothing lies behind."""


class Stretches(Loader[Stretch, Walked]):
    """Pieces of several walks at a time: their deliveries are fetched together."""

    async def batch_load_fn(self, keys: list[Stretch]) -> list[Walked]:
        turn = asyncio.Semaphore(SIDE_BY_SIDE)
        orders, recorded = await asyncio.gather(
            asyncio.gather(*(self._orders(key, turn) for key in keys)),
            asyncio.gather(*(self._recorded(key, turn) for key in keys)),
        )
        newest = [
            _newest(theirs, others, key.length) for key, theirs, others in zip(keys, orders, recorded, strict=True)
        ]
        of_orders, by_id = await self._deliveries([row for rows in newest for row in rows])
        return [
            self._walked(
                key,
                rows,
                is_all=len(theirs) < key.length and len(others) < key.length and len(rows) == len(theirs) + len(others),
                of_orders=of_orders,
                by_id=by_id,
            )
            for key, rows, theirs, others in zip(keys, newest, orders, recorded, strict=True)
        ]

    async def _orders(self, key: Stretch, turn: asyncio.Semaphore) -> list[OrderRecord]:
        whose, offset = key.whose, key.position.orders
        if whose.customer_ids is None:
            async with turn:
                page = await self.sources.medusa.orders(limit=key.length, offset=offset, channel_ids=whose.channel_ids)
            return page.rows
        if not whose.customer_ids:
            return []
        asked = Slice(whose.customer_ids, whose.channel_ids, OrderWanted(), key.length, offset)
        return (await self.ctx.loader(OrderSlices).load(asked)).rows

    async def _recorded(self, key: Stretch, turn: asyncio.Semaphore) -> list[OwnershipRecord]:
        whose = key.whose
        if not whose.client_ids:
            return []
        async with turn:
            return await self.sources.mongo.owned(
                BackendName.FLEETBASE,
                limit=key.length,
                client_ids=whose.client_ids,
                user_id=whose.user_id,
                before=key.position.recorded_before,
            )

    async def _deliveries(
        self, rows: Sequence[Lead]
    ) -> tuple[dict[str, list[DeliveryRecord]], dict[str, DeliveryRecord]]:
        """By order id, and by delivery id for recorded ones that have no order: the others come with theirs."""
        order_ids = list(dict.fromkeys(row.id for row in rows if isinstance(row, OrderRecord)))
        ids = list(dict.fromkeys(row.row_id for row in rows if isinstance(row, OwnershipRecord)))
        lists, recorded = await asyncio.gather(
            self.ctx.loader(DeliveriesByOrderId).load_many(order_ids), self.ctx.loader(AnyDeliveryById).load_many(ids)
        )
        without_order = {row.id: row for row in recorded if row is not None and row.order_id is None}
        return dict(zip(order_ids, lists, strict=True)), without_order

    def _walked(
        self,
        key: Stretch,
        rows: Sequence[Lead],
        *,
        is_all: bool,
        of_orders: dict[str, list[DeliveryRecord]],
        by_id: dict[str, DeliveryRecord],
    ) -> Walked:
        position, steps = key.position, []
        for row in rows:
            if isinstance(row, OrderRecord):
                steps.append(Step(position, of_orders[row.id]))
                position = replace(position, orders=position.orders + 1)
            else:
                steps.append(Step(position, [by_id[row.row_id]] if row.row_id in by_id else []))
                position = replace(position, recorded_before=row.created_at)
        return Walked(steps, position, is_all)


def _newest(orders: Sequence[OrderRecord], recorded: Sequence[OwnershipRecord], length: int) -> list[Lead]:
    leads: list[Lead] = [*orders, *recorded]
    return sorted(leads, key=lambda lead: lead.created_at, reverse=True)[:length]


async def walk(
    ctx: Context, whose: Whose, limit: int, after: str | None, fits: Callable[[DeliveryRecord], bool]
) -> Page[DeliveryRecord]:
    """The next so many deliveries that fit, and whether there are more."""
    position, skipped = _position_of(after)
    edges: list[Edge[DeliveryRecord]] = []
    length = max(limit + 1, FIRST_STRETCH)
    for _ in range(STRETCHES):
        walked = await ctx.loader(Stretches).load(Stretch(whose, position, length))
        for step in walked.steps:
            for n, row in enumerate(step.deliveries):
                if n < skipped or not fits(row):
                    continue
                if len(edges) == limit:
                    return page_of(edges, has_next=True, has_previous=after is not None)
                edges.append(Edge(row, step.position.cursor(n)))
            skipped = 0
        position = walked.position
        if walked.is_all:
            return page_of(edges, has_next=False, has_previous=after is not None)
        length = MAX_FIRST
    page = page_of(edges, has_next=True, has_previous=after is not None)
    # It may be short or empty, so that its end is where the walk stands, not its last row.
    return replace(page, page_info=replace(page.page_info, end_cursor=position.cursor(-1)))


def _position_of(after: str | None) -> tuple[Position, int]:
    """Where to go on, and how many deliveries of the first step have been shown.

    Raises BadUserInput for a cursor of another list.
    """
    if after is None:
        return Position(), 0
    match decode_cursor(after):
        case [int(orders), None | str() as before, int(shown)] if 0 <= orders < 2**31 and -1 <= shown < 2**31:
            try:
                moment = datetime.fromisoformat(before) if before else None
            except ValueError as exc:
                raise BadUserInput(NO_CURSOR) from exc
            return Position(orders, moment), shown + 1
        case _:
            raise BadUserInput(NO_CURSOR)
