"""Deliveries by what leads to them, whosever they are: the caller has been allowed to see the other end."""

from __future__ import annotations

from collections.abc import Hashable

from core.principals import Principal
from datasources.fleetbase import DeliveryRecord
from datasources.rows import DELIVERIES
from resolvers.context import ManyByKey, OneByKey
from resolvers.products import channels_of
from resolvers.remembered import Remembered
from resolvers.users import visible_client_ids


class DeliveriesByOrderId(Remembered[list[DeliveryRecord]], ManyByKey[str, DeliveryRecord]):
    """All deliveries of an order, newest first. Who may see the order may see them."""

    kind = DELIVERIES

    async def fetch(self, keys: list[str]) -> list[DeliveryRecord]:
        return await self.sources.fleetbase.deliveries_by_order_ids(keys)

    def key(self, row: DeliveryRecord) -> str:
        return row.internal_id or ""


class DeliveryByOrderId(OneByKey[str, DeliveryRecord]):
    """The newest delivery of an order that is not canceled."""

    async def fetch(self, keys: list[str]) -> list[DeliveryRecord]:
        all_of_them = await self.ctx.loader(DeliveriesByOrderId).load_many(keys)
        uncanceled = ([row for row in rows if not row.is_canceled] for rows in all_of_them)
        return [rows[0] for rows in uncanceled if rows]

    def key(self, row: DeliveryRecord) -> str:
        return row.internal_id or ""


def eyes_of(principal: Principal) -> Hashable:
    """Equal for those who are shown the same deliveries. Of a row that somebody else has asked for nobody shall learn,
    by how quick an answer is, that it is there."""
    if principal.is_customer:
        return principal.user_id
    return visible_client_ids(principal), channels_of(principal)


class AnyDeliveryById(Remembered[DeliveryRecord | None], OneByKey[str, DeliveryRecord]):
    """A delivery, whosever it is. One alone is seconds old; of several, Fleetbase's list may be minutes old."""

    kind = DELIVERIES

    def scope(self, keys: list[str]) -> Hashable:
        return eyes_of(self.ctx.principal), len(keys) > 1

    async def fetch(self, keys: list[str]) -> list[DeliveryRecord]:
        if len(keys) > 1:
            return await self.sources.fleetbase.deliveries_by_ids(keys)
        found = await self.sources.fleetbase.delivery(keys[0])
        return [found] if found else []

    def key(self, row: DeliveryRecord) -> str:
        return row.id
