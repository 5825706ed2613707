"""The outbox: messages that go out at most once."""

from __future__ import annotations

from datetime import UTC, datetime

from pymongo.errors import DuplicateKeyError

from datasources.mongo.driver import Store, one
from datasources.mongo.records import MessageRecord, MessageStatus


class Outbox(Store):
    """The collection `outbox`."""

    async def claim_message(self, key: str) -> MessageRecord:
        """The right to send this message. The first caller gets SENDING; a later one the state it found, where
        SENDING has become UNKNOWN, because the first never told how it ended."""
        async with self._call("insert", "outbox"):
            try:
                now = datetime.now(UTC)
                await self._db.outbox.insert_one({"_id": key, "status": MessageStatus.SENDING.value, "createdAt": now})
            except DuplicateKeyError:
                pass
            else:
                return MessageRecord(key=key, status=MessageStatus.SENDING)
        async with self._call("update", "outbox"):
            await self._db.outbox.update_one(
                {"_id": key, "status": MessageStatus.SENDING.value}, {"$set": {"status": MessageStatus.UNKNOWN.value}}
            )
        found = one(await self._in("outbox", MessageRecord, "_id", [key]))
        return found or MessageRecord(key=key, status=MessageStatus.UNKNOWN)

    async def release_message(self, key: str) -> None:
        """Give back the right to send it, for it surely was not sent: a later caller may. One that is not SENDING stays
        what it is."""
        async with self._call("delete", "outbox"):
            await self._db.outbox.delete_one({"_id": key, "status": MessageStatus.SENDING.value})

    async def settle_message(
        self, key: str, status: MessageStatus, *, provider_id: str | None = None, detail: str | None = None
    ) -> None:
        """How sending ended. A message that is SENT stays SENT."""
        async with self._call("update", "outbox"):
            await self._db.outbox.update_one(
                {"_id": key, "status": {"$in": [MessageStatus.SENDING.value, MessageStatus.UNKNOWN.value]}},
                {
                    "$set": {"status": status.value, "providerId": provider_id, "detail": detail},
                    "$currentDate": {"settledAt": True},
                },
            )
