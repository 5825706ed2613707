"""Who is at work on something that only one may do at a time, whichever process they are in.

A lease has an end, so that work which died with its process blocks nobody for ever.
Whoever holds one stops before that.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from core.errors import Conflict
from datasources.mongo.driver import Document, Store


class Leases(Store):
    """The collection `leases`."""

    async def lease(self, name: str, *, seconds: float) -> str | None:
        """Take a lease that is free or has run out. Gives the word that ends it; None: somebody else has it."""
        now, holder = datetime.now(UTC).timestamp(), uuid4().hex
        mine: Document = {"_id": name, "holder": holder, "until": now + seconds}
        async with self._call("find", "leases"):
            held: Document | None = await self._db.leases.find_one({"_id": name})
        if held is None:
            try:
                async with self._call("insert", "leases"):
                    await self._db.leases.insert_one(mine)
            except Conflict:
                return None
            return holder
        if held["until"] > now:
            return None
        async with self._call("update", "leases"):
            taken = await self._db.leases.replace_one({"_id": name, "holder": held["holder"]}, mine)
        return holder if taken.matched_count else None

    async def extend_lease(self, name: str, holder: str, *, seconds: float) -> bool:
        """Hold it for so long from now on. False when it has run out and is somebody else's."""
        async with self._call("update", "leases"):
            held = await self._db.leases.update_one(
                {"_id": name, "holder": holder}, {"$set": {"until": datetime.now(UTC).timestamp() + seconds}}
            )
        return bool(held.matched_count)

    async def end_lease(self, name: str, holder: str) -> None:
        """Nothing happens when it has run out and is somebody else's."""
        async with self._call("delete", "leases"):
            await self._db.leases.delete_one({"_id": name, "holder": holder})
