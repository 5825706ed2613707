"""People with the part of each backend that is their client's: together they say whose a row is."""

from __future__ import annotations

from collections.abc import Sequence

from datasources.mongo.driver import IDS_PER_CALL, Document, Store
from datasources.mongo.records import BuyerRecord

_WITH_CLIENT: Document = {
    "$lookup": {"from": "clients", "localField": "clientId", "foreignField": "_id", "as": "client"}
}


class Buyers(Store):
    """The collections `users` and `clients`, read as one."""

    async def buyers_by_medusa_customer_ids(self, ids: Sequence[str]) -> list[BuyerRecord]:
        """One row may answer several of the ids, and several rows the same one."""
        return await self._buyers("medusaCustomerIds", ids)

    async def buyers_by_erp_customer_ids(self, ids: Sequence[str]) -> list[BuyerRecord]:
        return await self._buyers("linkedAccounts.erpCustomerId", ids)

    async def buyers_by_emails(self, emails: Sequence[str]) -> list[BuyerRecord]:
        """Whoever has one of these addresses, in small letters; of each client one at most."""
        return await self._buyers("emailKey", emails)

    async def _buyers(self, field: str, ids: Sequence[str]) -> list[BuyerRecord]:
        documents: list[Document] = []
        for start in range(0, len(ids), IDS_PER_CALL):
            some = list(ids[start : start + IDS_PER_CALL])
            stages: list[Document] = [{"$match": {field: {"$in": some}}}, _WITH_CLIENT]
            async with self._call("aggregate", "users", batch_size=len(some)):
                documents += await self._db.users.aggregate(stages, batchSize=10_000).to_list(None)
        return self._records(BuyerRecord, [_together(document) for document in documents])


def _together(user: Document) -> Document:
    clients = user.pop("client")
    return {"user": user, "scope": (clients[0].get("backendScope") if clients else None) or {}}
