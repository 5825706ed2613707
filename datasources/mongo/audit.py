"""What was done to keys and access, by whom and from where. Entries are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from datasources.mongo.driver import Store, to_document


class Audit(Store):
    """The collection `audit`."""

    async def record(self, entry: Mapping[str, Any]) -> None:
        """Add an entry; the time is the moment of the call."""
        async with self._call("insert", "audit"):
            await self._db.audit.insert_one(to_document({"at": datetime.now(UTC), **entry}))
