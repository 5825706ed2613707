"""What was done to keys and access, by whom and from where. Entries are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pymongo import DESCENDING

from datasources.mongo.driver import Store
from datasources.mongo.records import AuditRecord


class Audit(Store):
    """The collection `audit`. There is no method that changes or removes an entry, and none is to be added."""

    async def record(self, entry: Mapping[str, Any]) -> None:
        """Add an entry; the time is the moment of the call."""
        async with self._call("insert", "audit"):
            await self._db.audit.insert_one({"at": datetime.now(UTC), **entry})

    async def audit(self, *, last: int, subject_id: str | None = None) -> list[AuditRecord]:
        """The newest entries, at most so many and of one subject if it is named, the oldest of them first."""
        conditions = {} if subject_id is None else {"subject.id": subject_id}
        async with self._call("find", "audit"):
            found = self._db.audit.find(conditions).sort([("at", DESCENDING), ("_id", DESCENDING)]).limit(last)
            documents = await found.batch_size(last + 1).to_list(last)
        return self._records(AuditRecord, documents[::-1])
