"""Deliveries by what leads to them, whosever they are: the caller has been allowed to see the other end."""

from __future__ import annotations

from datasources.fleetbase import DeliveryRecord
from resolvers.context import ManyByKey, OneByKey


class DeliveriesByOrderId(ManyByKey[str, DeliveryRecord]):
    """All deliveries of an order, newest first. Who may see the order may see them."""

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


class AnyDeliveryById(OneByKey[str, DeliveryRecord]):
    """A delivery, whosever it is. One alone is as it is at this moment; of several, their list may be minutes old."""

    async def fetch(self, keys: list[str]) -> list[DeliveryRecord]:
        if len(keys) > 1:
            return await self.sources.fleetbase.deliveries_by_ids(keys)
        found = await self.sources.fleetbase.delivery(keys[0])
        return [found] if found else []

    def key(self, row: DeliveryRecord) -> str:
        return row.id
