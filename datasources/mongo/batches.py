"""Stock batches that platforms keep in step with their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError
from pymongo.results import BulkWriteResult

from datasources.mongo.driver import Document, Store, among, matching
from datasources.mongo.records import BatchRecord, Keyset

WRITES_PER_CALL = 500
BULK_TIMEOUT_S = 20.0
DUPLICATE_KEY = 11000

Content = dict[str, str | None]


@dataclass(frozen=True)
class BatchToSync:
    """A batch as a platform has it; fields as in `BatchRecord`, the quantity without zeros at its end."""

    external_id: str
    sku: str
    quantity: Decimal
    warehouse: str | None = None
    expires_at: date | None = None


@dataclass(frozen=True)
class SyncedBatches:
    """What became of the batches of a sync, in numbers."""

    created: int
    updated: int
    unchanged: int


class Batches(Store):
    """The collection `batches`. Batches are never deleted."""

    async def batches(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[BatchRecord]:
        """`filter` as for `count_batches`."""
        return await self._page("batches", BatchRecord, _batch_filter(**filter), limit, after)

    async def count_batches(self, **filter: Any) -> int:
        """Of these `client_ids` (None: all), with one of these `skus`."""
        return await self._count("batches", _batch_filter(**filter))

    async def sync_batches(self, client_id: str, batches: Sequence[BatchToSync]) -> SyncedBatches:
        """Make what is stored equal to these batches of distinct external ids; others stay as they are.

        The numbers tell what this call did, however many run at once: each batch is created by one of them, and is
        updated by those that found another content. A call that is cut off has done some of the batches whole.
        """
        created = updated = 0
        for start in range(0, len(batches), WRITES_PER_CALL):
            some = batches[start : start + WRITES_PER_CALL]
            stored = await self._contents(client_id, [batch.external_id for batch in some])
            missing = [batch for batch in some if batch.external_id not in stored]
            made = await self._create_missing(client_id, missing)
            rest = [batch for batch in some if batch.external_id not in made]
            different = [batch for batch in rest if stored.get(batch.external_id) != _content(batch)]
            created += len(made)
            updated += await self._update_different(client_id, different)
        return SyncedBatches(created, updated, len(batches) - created - updated)

    async def _contents(self, client_id: str, external_ids: Sequence[str]) -> Mapping[str, Content]:
        """What is stored of these, by external id."""
        conditions = {"clientId": among([client_id]), "externalId": {"$in": list(external_ids)}}
        async with self._call("find", "batches", batch_size=len(external_ids)):
            found = await self._db.batches.find(conditions).batch_size(WRITES_PER_CALL + 1).to_list(None)
        return {batch.external_id: _content(batch) for batch in self._records(BatchRecord, found)}

    async def _create_missing(self, client_id: str, batches: Sequence[BatchToSync]) -> set[str]:
        """The external ids of those that were really not there."""
        now = datetime.now(UTC)

        def create(batch: BatchToSync) -> UpdateOne:
            content = {name: value for name, value in _content(batch).items() if value is not None}
            row = {"clientId": ObjectId(client_id), **content, "createdAt": now, "updatedAt": now, "revision": 1}
            return UpdateOne(_the_batch(client_id, batch), {"$setOnInsert": row}, upsert=True)

        done = await self._bulk([create(batch) for batch in batches])
        return {batches[index].external_id for index in (done.upserted_ids or {})} if done is not None else set()

    async def _update_different(self, client_id: str, batches: Sequence[BatchToSync]) -> int:
        """How many of them had another content at the moment of writing. `$set` carries text alone; see the package."""

        def update(batch: BatchToSync) -> UpdateOne:
            content = _content(batch).items()
            differs = [{name: {"$exists": True} if value is None else {"$ne": value}} for name, value in content]
            change: Document = {"$set": {name: value for name, value in content if value is not None}}
            if absent := {name: "" for name, value in content if value is None}:
                change["$unset"] = absent
            change |= {"$currentDate": {"updatedAt": True}, "$inc": {"revision": 1}}
            return UpdateOne({**_the_batch(client_id, batch), "$or": differs}, change)

        done = await self._bulk([update(batch) for batch in batches])
        return done.matched_count if done is not None else 0

    async def _bulk(self, writes: list[UpdateOne]) -> BulkWriteResult | None:
        """Each write by itself. That another call created a batch first is no error: it is there, and not made here."""
        if not writes:
            return None
        async with self._call("update", "batches", batch_size=len(writes), timeout_s=BULK_TIMEOUT_S):
            try:
                done: BulkWriteResult = await self._db.batches.bulk_write(writes, ordered=False)
            except BulkWriteError as exc:
                details = exc.details or {}
                if {error["code"] for error in details.get("writeErrors", ())} - {DUPLICATE_KEY} or details.get(
                    "writeConcernErrors"
                ):
                    raise
                done = BulkWriteResult(dict(details), acknowledged=True)
        return done


def _content(batch: BatchToSync | BatchRecord) -> Content:
    """What a sync may change, as it is stored: equal numbers are equal texts."""
    return {
        "sku": batch.sku,
        "quantity": format(batch.quantity, "f"),
        "warehouse": batch.warehouse,
        "expiresAt": None if batch.expires_at is None else batch.expires_at.isoformat(),
    }


def _the_batch(client_id: str, batch: BatchToSync) -> Document:
    return {"clientId": among([client_id]), "externalId": batch.external_id}


def _batch_filter(*, client_ids: Sequence[str] | None = None, skus: Sequence[str] | None = None) -> Document:
    return matching(clientId=among(client_ids), sku=None if skus is None else {"$in": list(skus)})
