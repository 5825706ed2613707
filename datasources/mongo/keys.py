"""API keys, by their hashes."""

from __future__ import annotations

from datasources.mongo.driver import Store
from datasources.mongo.records import KeyRecord


class Keys(Store):
    """The collection `keys`."""

    async def key(self, hash: str) -> KeyRecord | None:
        async with self._call("find", "keys"):
            document = await self._db["keys"].find_one({"_id": hash})
        return self._record(KeyRecord, document)
