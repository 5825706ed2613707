"""API keys, by their hashes."""

from __future__ import annotations

from datetime import UTC, datetime

from datasources.mongo.driver import Document, Store, matching, object_ids
from datasources.mongo.records import KeyRecord


class Keys(Store):
    """The collection `keys`. A key that has ended stays, so that its hash is never another's."""

    async def key(self, hash: str) -> KeyRecord | None:
        async with self._call("find", "keys"):
            document = await self._db["keys"].find_one({"_id": hash})
        return self._record(KeyRecord, document)

    async def keys_of(self, owner_id: str) -> list[KeyRecord]:
        """All that an owner ever had, the newest first."""
        found = await self._in("keys", KeyRecord, "ownerId", object_ids([owner_id]))
        return sorted(found, key=lambda key: key.generation, reverse=True)

    async def add_key(self, key: KeyRecord) -> None:
        """Raises Conflict where the owner has a key of that generation."""
        document = {
            "_id": key.hash,
            "ownerKind": key.owner_kind,
            "ownerId": key.owner_id,
            "generation": key.generation,
            **matching(hint=key.hint, expiresAt=key.expires_at),
        }
        await self._insert_new("keys", document, KeyRecord)

    async def end_key(self, hash: str, at: datetime) -> None:
        """Have it end then, or when it would have ended anyway if that is sooner."""

        def change(document: Document) -> Document | None:
            before = document.get("revokedAt")
            return None if before is not None and before <= at else {**document, "revokedAt": at}

        await self._revise("keys", hash, change, KeyRecord)

    async def end_keys(self, owner_id: str, at: datetime, *, below: int | None = None) -> None:
        """`end_key` for all of an owner's keys, or those of the generations below that one."""
        now = datetime.now(UTC)
        for key in await self.keys_of(owner_id):
            is_over = key.ends_at is not None and key.ends_at <= min(at, now)
            if not is_over and (below is None or key.generation < below):
                await self.end_key(key.hash, at)

    async def drop_key(self, hash: str) -> None:
        """Forget a key that nobody has ever seen."""
        async with self._call("delete", "keys"):
            await self._db["keys"].delete_one({"_id": hash})
